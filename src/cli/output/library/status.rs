//! How a daemon stands, on one screen: libraries, then peers, then what somebody has to see to.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::{text, ways};
use super::tables::{libraries_table, library_peers_table};
use super::{name_among, quoted, short};
use swarm_core::base::{ByteLen, Rate, Shown};
use swarm_daemon::{LibraryStatus, LockStatus, Status, StatusError};

/// Everything.
pub(in crate::cli) fn daemon_screen(status: &Status) -> String {
    let mut screen = format!(
        "node {} up {}, receiving {}, sending {}\naddress {}\n",
        short(&status.node),
        Shown(&status.uptime),
        Rate(status.rate_down),
        Rate(status.rate_up),
        Shown(&status.address),
    );
    screen += "\n";
    screen += &if status.libraries.is_empty() {
        ways::with_folder(
            "no libraries yet: `swarm library create` makes one, `swarm subscribe` follows one\n",
        )
        .into_owned()
    } else {
        libraries_table(&status.libraries)
    };
    if !status.peers.is_empty() {
        screen += "\n";
        screen += &library_peers_table(&status.peers);
    }
    let to_see: Vec<String> = to_see(status);
    if !to_see.is_empty() {
        screen += "\n";
        screen += &lines(to_see);
    }
    screen
}

/// One library.
pub(in crate::cli) fn library_screen(library: &LibraryStatus, status: &Status) -> String {
    let mut screen = format!("library {}\nGUID    {}\n", Shown(&library.name), Shown(&library.guid));
    let (state, activity) = (Shown(&library.state), Shown(&library.activity));
    let activity = if library.activity.is_empty() { String::new() } else { format!(" ({activity})") };
    let _ = writeln!(screen, "state   {state}{activity}, {} % here", Shown(&library.percent));
    let (files, bytes) = (text::count(library.files as usize, "file"), ByteLen(library.bytes));
    let _ = writeln!(
        screen,
        "files   {files}, {bytes}; here {}, {}; {}",
        library.files_here,
        ByteLen(library.bytes_here),
        text::count(library.commits as usize, "commit"),
    );
    for mount in &library.mounts {
        let kind = if mount.sync { "sync target" } else { "read-only" };
        let _ = writeln!(screen, "folder  {} at {} ({kind})", Shown(&mount.dir), Shown(&mount.libpath));
    }
    if let Some(policy) = &library.policy {
        let rows = super::tables::policy_text(policy);
        let rows = rows.lines().enumerate().map(|(number, row)| {
            let lead = if number == 0 { "policy" } else { "" };
            format!("{lead:<8}{row}")
        });
        screen += &lines(rows);
    }
    if library.limit_up.is_some() || library.limit_down.is_some() {
        let [up, down] = [library.limit_up, library.limit_down].map(|limit| limit.map(Rate));
        let _ = writeln!(screen, "limits  {}", limits_text(up, down));
    }
    let _ = match library.scrub_days {
        0 => writeln!(screen, "scrub   off: `swarm library verify` reads all files again"),
        days => {
            writeln!(screen, "scrub   all files are read again every {}", text::count(days as usize, "day"))
        }
    };
    screen += &lines(of_library(library));
    let errors = status.errors.iter().filter(|error| error.guid == library.guid);
    screen += &lines(errors.map(|error| error_line(error, &library.name)));
    for peer in &status.peers {
        for known in peer.libraries.iter().filter(|known| known.guid == library.guid) {
            let name = name_among(peer, &status.peers);
            let who = if name.is_empty() { &peer.address } else { &name };
            let _ = writeln!(screen, "peer    {}: {}", Shown(who), super::tables::peer_percent(known));
        }
    }
    screen
}

/// The limits of a library in one line.
pub(in crate::cli) fn limits_text(up: Option<Rate>, down: Option<Rate>) -> String {
    let word = |rate: Option<Rate>| rate.map_or_else(|| "no limit".to_owned(), |rate| rate.to_string());
    format!("up {}, down {}", word(up), word(down))
}

/// What somebody has to see to.
fn to_see(status: &Status) -> Vec<String> {
    let mut lines: Vec<String> = status.libraries.iter().flat_map(of_library).collect();
    let name_of = |guid: &str| {
        let known = status.libraries.iter().find(|library| library.guid == guid);
        known.map_or(guid, |library| library.name.as_str()).to_owned()
    };
    lines.extend(status.errors.iter().map(|error| error_line(error, &name_of(&error.guid))));
    lines.extend(status.file_errors.iter().map(|error| format!("error: {}", Shown(error))));
    lines.extend(status.file_warnings.iter().map(|warning| format!("warning: {}", Shown(warning))));
    lines
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

fn error_line(error: &StatusError, library: &str) -> String {
    let file = if error.file.is_empty() { String::new() } else { format!(":/{}", Shown(&error.file)) };
    format!("error: {}{file}: {}: {}", Shown(library), Shown(&error.issue), Shown(&error.detail))
}

fn of_library(library: &LibraryStatus) -> Vec<String> {
    let name = Shown(&library.name);
    let command = quoted(&name.to_string());
    let mut lines = Vec::new();
    if library.conflicts > 0 {
        let count = text::count(library.conflicts as usize, "conflict");
        lines.push(format!("{name}: {count}: {}", ways::command(&format!("swarm conflicts {command}"))));
    }
    if library.conflicts_elsewhere > 0 {
        let count = text::count(library.conflicts_elsewhere as usize, "conflict");
        lines.push(format!("{name}: {count} for others to decide: swarm conflicts {command}"));
    }
    if library.proposals > 0 {
        let count = text::count(library.proposals as usize, "proposal");
        lines.push(format!(
            "{name}: {count} waiting for votes: {}",
            ways::command(&format!("swarm approvals {command}"))
        ));
    }
    if library.waiting > 0 {
        let count = text::count(library.waiting as usize, "change");
        lines.push(format!("{name}: {count} of this machine waiting for approval by others:"));
        lines.push("  `swarm approve ID` there, or `swarm withdraw ID` here takes it back".to_owned());
    }
    if let Some(first) = library.untrusted_commits.keys().next() {
        let commits = library.untrusted_commits.values().sum::<u64>();
        let commits = text::count(commits as usize, "commit");
        let authors = text::count(library.untrusted_commits.len(), "author");
        lines.push(format!("{name}: {commits} of {authors} not trusted: swarm peer trust {}", short(first)));
    }
    if let Some(held) = library.held_here {
        let count = text::count(held as usize, "deletion");
        lines.push(format!(
            "{name}: {count} on this disk, held: {}",
            ways::command(&format!("swarm approve --here {command}"))
        ));
    }
    if library.deletions_to_do > 0 {
        lines.push(format!("{name}: {} to do", text::count(library.deletions_to_do as usize, "deletion")));
    }
    for differs in &library.policy_differences {
        lines.push(format!("{name}: another policy at {}", Shown(differs)));
    }
    lines.extend(library.locks.iter().map(|lock| lock_line(&library.name, lock)));
    lines
}

/// Who edits what.
pub(in crate::cli) fn lock_line(library: &str, lock: &LockStatus) -> String {
    let why = if lock.why.is_empty() { String::new() } else { format!(": {}", Shown(&lock.why)) };
    format!(
        "{}:/{}: locked by {} for {} more{why}",
        Shown(library),
        Shown(&lock.path),
        short(&lock.holder),
        text::duration(Duration::from_secs(lock.seconds_left)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::is_hidden;
    use swarm_daemon::{MountStatus, PeerLibraryStatus, PeerStatus};

    fn check(status: &Status, expected: &str) {
        let screen = daemon_screen(status);
        assert_eq!(screen, expected, "{screen}");
        for line in screen.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    fn status() -> Status {
        let library = LibraryStatus {
            name: "Lib 1".to_owned(),
            guid: "jdfhdhdbe484746".to_owned(),
            state: "syncing".to_owned(),
            percent: "62.5".to_owned(),
            files: 1200,
            bytes: 3_200_000_000,
            eta_seconds: Some(75),
            ..LibraryStatus::default()
        };
        let of_peer = PeerLibraryStatus {
            name: "Lib 1".to_owned(),
            guid: library.guid.clone(),
            is_shared: true,
            percent: "100.0".to_owned(),
            ..PeerLibraryStatus::default()
        };
        let offered = PeerLibraryStatus {
            name: "Scans".to_owned(),
            guid: "s1".to_owned(),
            ..PeerLibraryStatus::default()
        };
        let peer = PeerStatus {
            address: "10.0.0.2:8000".to_owned(),
            node: Some("aabbccddeeff".to_owned()),
            trust: "trusted".to_owned(),
            connected: true,
            libraries: vec![of_peer, offered],
            ..PeerStatus::default()
        };
        let away = PeerStatus {
            name: "anna".to_owned(),
            trust: "untrusted".to_owned(),
            trouble: Some("no answer".to_owned()),
            ..PeerStatus::default()
        };
        Status {
            node: "0123456789abcdef".to_owned(),
            address: "0123@10.0.0.1:8000".to_owned(),
            uptime: "3m 5s".to_owned(),
            rate_down: 12_000_000,
            libraries: vec![library],
            peers: vec![peer, away],
            ..Status::default()
        }
    }

    #[test]
    fn a_screen_says_who_is_how_far() {
        check(
            &status(),
            "\
node 01234567 up 3m 5s, receiving 12.0 MB/s, sending 0 B/s
address 0123@10.0.0.1:8000

LIBRARY             STATE           HERE     FILES       SIZE      LEFT
Lib 1               syncing       62.5 %      1200    3.20 GB      1:15

PEER                      NODE      TRUST      LINK
10.0.0.2:8000             aabbccdd  trusted    connected
  Lib 1: 100.0 %
  offers Scans (s1)
anna                      -         untrusted  away
  no answer
",
        );
    }

    #[test]
    fn a_screen_names_what_somebody_has_to_see_to() {
        let lock = LockStatus {
            path: "a/b".to_owned(),
            holder: "aabbccddeeff".to_owned(),
            seconds_left: 7200,
            why: "colours".to_owned(),
        };
        let library = LibraryStatus {
            name: "Lib 1".to_owned(),
            guid: "g".to_owned(),
            state: "held".to_owned(),
            percent: "100.0".to_owned(),
            conflicts: 1,
            proposals: 2,
            held_here: Some(500),
            locks: vec![lock],
            ..LibraryStatus::default()
        };
        let error = StatusError {
            guid: "g".to_owned(),
            file: "f".to_owned(),
            issue: "hash-mismatch".to_owned(),
            detail: "wrong bytes".to_owned(),
            told: None,
        };
        let (libraries, errors) = (vec![library], vec![error]);
        let screen = daemon_screen(&Status { libraries, errors, ..Status::default() });
        let lines: Vec<&str> = screen.lines().skip(6).collect();
        assert_eq!(
            lines,
            [
                "Lib 1: 1 conflict: swarm conflicts 'Lib 1'",
                "Lib 1: 2 proposals waiting for votes: swarm approvals 'Lib 1'",
                "Lib 1: 500 deletions on this disk, held: swarm approve --here 'Lib 1'",
                "Lib 1:/a/b: locked by aabbccdd for 2:00:00 more: colours",
                "error: Lib 1:/f: hash-mismatch: wrong bytes",
            ]
        );
    }

    #[test]
    fn peers_of_one_name_are_told_apart_and_sentences_are_wrapped() {
        let why = "no way to node e1e1e1e1: 127.0.0.1:1 refuses: no process listens on that port; check that it runs";
        let peer = |node: &str, user: Option<&str>| PeerStatus {
            name: "host".to_owned(),
            node: Some(node.repeat(8)),
            user: user.map(str::to_owned),
            trust: "trusted".to_owned(),
            trouble: Some(why.to_owned()),
            ..PeerStatus::default()
        };
        let peers =
            vec![peer("a1", Some("anna")), peer("b2", None), peer("c3", Some("invited to x 01234567"))];
        let sentence = "  no way to node e1e1e1e1: 127.0.0.1:1 refuses: no process listens on that port;\n  check that it runs\n";
        let expected = format!(
            "PEER                      NODE      TRUST      LINK\n\
             anna@host                 a1a1a1a1  trusted    away\n{sentence}\
             b2b2b2b2@host             b2b2b2b2  trusted    away\n{sentence}\
             c3c3c3c3@host             c3c3c3c3  trusted    away\n{sentence}"
        );
        assert_eq!(library_peers_table(&peers), expected);
    }

    #[test]
    fn no_name_of_a_peer_acts_on_a_terminal() {
        let evil = || "\u{1b}[2J\u{9b}31m\nforged\r\u{202e}".to_owned();
        let mut status = status();
        let lock = LockStatus { path: evil(), holder: evil(), seconds_left: 1, why: evil() };
        let mount = MountStatus { dir: evil(), libpath: evil(), sync: true };
        let library = &mut status.libraries[0];
        (library.name, library.activity, library.policy_differences) = (evil(), evil(), vec![evil()]);
        (library.locks, library.mounts, library.conflicts) = (vec![lock], vec![mount], 1);
        let peer = &mut status.peers[0];
        (peer.name, peer.told_by, peer.trouble) = (evil(), vec![evil()], Some(evil()));
        (peer.libraries[0].name, peer.libraries[0].activity) = (evil(), evil());
        (peer.libraries[1].name, peer.libraries[1].guid) = (evil(), evil());
        status.file_errors.push(evil());
        let screens = [daemon_screen(&status), library_screen(&status.libraries[0], &status)];
        for screen in screens {
            assert!(!screen.contains(|char| char != '\n' && is_hidden(char)), "{screen:?}");
            assert!(!screen.contains("\nforged"), "{screen:?}");
        }
    }
}
