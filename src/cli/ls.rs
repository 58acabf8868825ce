//! `swarm ls`: what the running node serves.

use super::args::{Global, LsArgs};
use super::control;
use super::failure::Failure;
use super::output;
use swarm_host::protocol::{Answer, Request};

pub(super) fn run(args: &LsArgs, global: &Global) -> Result<(), Failure> {
    let mut client = control::connect(&args.node, global)?;
    let answer = control::ask(&mut client, Request::List, &mut |_, _| {})?;
    let Answer::Contents { contents } = answer else { return Err(control::odd(answer)) };
    if args.json {
        contents.iter().try_for_each(output::json)?;
    } else if contents.is_empty() {
        output::note("the node serves nothing yet: add something with swarm add");
    } else {
        output::text(&output::contents_table(&contents))?;
    }
    Ok(())
}
