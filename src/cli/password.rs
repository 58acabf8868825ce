//! Passwords for commands: from a file, or from stdin. None is ever an argument, which other users of the machine could read.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::failure::Failure;
use super::output;
use swarm_core::base::{Category, Shown};
use swarm_daemon_files::Secret;

/// The first line of a file; without one, or for `-`, of stdin.
pub(super) fn read(file: Option<&Path>) -> Result<Secret, Failure> {
    let (text, from) = match file.filter(|file| *file != Path::new("-")) {
        Some(file) => {
            let opened = std::fs::File::open(file).map_err(|error| Failure::file("read", file, &error))?;
            (first(opened).map_err(|error| Failure::file("read", file, &error))?, Shown(file).to_string())
        }
        None => (typed()?, "stdin".to_owned()),
    };
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        let message = format!("there is no password in `{from}`: write it as its first line");
        return Err(Failure::new(Category::Usage, message));
    }
    Ok(Secret::from(password.to_owned()))
}

/// From stdin; a terminal does not show what is typed.
fn typed() -> Result<String, Failure> {
    let silence = if std::io::stdin().is_terminal() {
        output::prompt("password: ");
        Silence::begin()
    } else {
        None
    };
    let mut line = String::new();
    let read = std::io::stdin().lock().take(LEN_MAX).read_line(&mut line);
    if silence.is_some() {
        output::prompt("\n");
    }
    read.map_err(|error| Failure::new(Category::Other, format_args!("cannot read the password: {error}")))?;
    Ok(line)
}

/// A terminal on stdin that shows nothing of what is typed, until it is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> Option<Self> {
        let before = tcgetattr(rustix::stdio::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}

fn first(file: std::fs::File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(LEN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Longer than any password.
const LEN_MAX: u64 = 64 << 10;
