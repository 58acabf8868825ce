//! `swarm status`: how the running node stands.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::args::{DaemonDir, Global, StatusArgs};
use super::control;
use super::daemon;
use super::failure::Failure;
use super::output;
use swarm_host::protocol::{Answer, Request};

pub(super) fn run(args: &StatusArgs, global: &Global) -> Result<(), Failure> {
    if args.dir.is_some() {
        return daemon_status(args, global);
    }
    let mut client = control::connect(&args.node, global)?;
    let is_screen = args.watch && !args.json && std::io::stdout().is_terminal();
    loop {
        let answer = control::ask(&mut client, Request::Status, &mut |_, _| {})?;
        let Answer::Status(status) = answer else { return Err(control::odd(answer)) };
        match (args.json, is_screen) {
            (true, _) => output::json(&status)?,
            (false, true) => {
                output::text(&format!("{TO_TOP}{}{CLEAR_BELOW}", output::status_screen(&status)))?;
            }
            (false, false) => output::text(&output::status_screen(&status))?,
        }
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn daemon_status(args: &StatusArgs, global: &Global) -> Result<(), Failure> {
    let folder = DaemonDir { dir: args.dir.clone() };
    let is_screen = args.watch && !args.json && std::io::stdout().is_terminal();
    loop {
        let reply = daemon::ask(&folder, global, &swarm_daemon::Request::Status)?;
        let swarm_daemon::Reply::Status(status) = reply else { return Ok(()) };
        match (args.json, is_screen) {
            (true, _) => output::json(&status)?,
            (false, true) => {
                let screen = output::daemon_screen(&status).replace('\n', END_OF_LINE);
                output::text(&format!("{TO_TOP}{screen}{CLEAR_BELOW}"))?;
            }
            (false, false) => output::text(&output::daemon_screen(&status))?,
        }
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
/// The cursor home, and everything below it gone: no flicker, as clearing first would give.
const TO_TOP: &str = "\x1b[H";
/// Nothing of a longer line stays.
const END_OF_LINE: &str = "\x1b[K\n";
const CLEAR_BELOW: &str = "\x1b[J";
