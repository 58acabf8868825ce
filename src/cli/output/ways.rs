//! Commands that messages name as a way out: they are about the daemon that the command of the message was about. Invariant: a command that
//! names its daemon already, and one for another machine, stays as it is.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use super::sync::quoted;
use swarm_core::base::Shown;

/// The folder that `--dir` named, as a shell takes it.
static FOLDER: OnceLock<String> = OnceLock::new();

/// Takes over the folder of the daemon that `--dir` named.
pub(in crate::cli) fn name_folder(dir: &Path) {
    // A process runs one command.
    let _ = FOLDER.set(quoted(&Shown(dir).to_string()));
}

/// A text whose commands in backticks name the daemon, too.
pub(super) fn with_folder(text: &str) -> Cow<'_, str> {
    FOLDER.get().map_or(Cow::Borrowed(text), |folder| Cow::Owned(naming(text, folder)))
}

/// A command that names the daemon, too.
pub(super) fn command(words: &str) -> String {
    FOLDER.get().map_or_else(|| words.to_owned(), |folder| format!("{words} --dir {folder}"))
}

fn naming(text: &str, folder: &str) -> String {
    let mut named = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number > 0 {
            named.push('`');
        }
        named += part;
        if number % 2 == 1 && is_about_a_daemon(part) {
            named += " --dir ";
            named += folder;
        }
    }
    named
}

fn is_about_a_daemon(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let is_one = words.next() == Some("swarm") && words.next().is_some_and(|word| OF_DAEMONS.contains(&word));
    is_one && !command.contains("--dir") && !command.contains("ADDRESS")
}

/// Commands that take `--dir`, without `share`, which is named for other machines.
const OF_DAEMONS: [&str; 22] = [
    "approvals",
    "approve",
    "author",
    "changes",
    "conflicts",
    "daemon",
    "explain",
    "library",
    "lock",
    "peer",
    "refuse",
    "resolve",
    "restore",
    "status",
    "subscribe",
    "undo",
    "unlock",
    "unsubscribe",
    "user",
    "users",
    "versions",
    "withdraw",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_about_a_daemon_name_its_folder() {
        let check = |text: &str, expected: &str| assert_eq!(naming(text, "'a b'"), expected);
        check("`swarm peer ls` lists them", "`swarm peer ls --dir 'a b'` lists them");
        check("`x`: `swarm status`", "`x`: `swarm status --dir 'a b'`");
        for text in [
            "swarm peer ls",
            "`swarm fetch` or `swarm id`",
            "`swarm daemon --dir c`",
            "`swarm subscribe ADDRESS DIR` there",
            "`swarm",
            "",
        ] {
            check(text, text);
        }
    }
}
