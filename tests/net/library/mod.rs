//! Daemons that keep libraries, on hosts of a laboratory: each has its folder `daemon` in the folder of its node, and the library in
//! `daemon/lib`. A test looks at what the control socket tells, and at files; it waits for what is to hold, never for a fixed time.

mod crew;
mod meeting;
mod swarm;
mod two;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::Stopwatch;

/// What the daemon of a folder replies; `None` if it does not answer.
fn try_ask(folder: &Path, request: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(folder.join(".swarm/control.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    writeln!(stream, "{request}").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// Waits until something holds, for so long at most.
fn until(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let clock = Stopwatch::start();
    while !holds() {
        assert!(clock.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// Whether a longer form of a test was asked for.
fn is_long() -> bool {
    ["SWARM_LONG_TESTS", "SWARM_NET_TESTS"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
