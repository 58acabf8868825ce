//! Text between daemons is compressed on the wire; what does not shrink goes as it is.

use std::fmt::Write as _;

use super::Team;

const FILES: u32 = 60;
const LINES: u32 = 100;

/// Logs of a machine: lines that are alike, and none twice.
fn text(file: u32) -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let number = u64::from(file * LINES + line) * 2_654_435_761 % 1_000_003;
        let _ = writeln!(
            text,
            "2026-11-29T23:59:{:02}Z INFO request {number} of user {} took {} ms",
            line % 60,
            number % 97,
            number % 13
        );
    }
    text
}

/// Bytes that `b` gets of one commit with these files, and bytes of the files.
fn received(files: impl Fn(&Team, u32)) -> (u64, u64) {
    let team = Team::sharing("ab");
    team.write("a/lib/first", "x");
    team.until_text("ab", "first", "x");
    team.run('a', crate::support::args!["library", "pause", "Lib 1"]).expect_code(0);
    team.until("it is paused", || team.library('a')["state"] == "paused");
    (0..FILES).for_each(|file| files(&team, file));
    let before = team.peer_status('b', 'a')["received"].as_u64().expect("a number");
    team.run('a', crate::support::args!["library", "resume", "Lib 1"]).expect_code(0);
    team.until("all is there", || team.library('b')["files_here"] == FILES + 1);
    let after = team.peer_status('b', 'a')["received"].as_u64().expect("a number");
    (after - before, team.library('b')["bytes"].as_u64().expect("a number"))
}

#[test]
fn small_files_of_text_take_less_on_the_wire_than_they_are_long() {
    let (wire, len) = received(|team, file| team.write(&format!("a/lib/{file}.log"), &text(file)));
    assert!(wire * 2 < len, "{wire} bytes came for {len}");
}

#[test]
fn what_does_not_shrink_takes_no_more() {
    let (wire, len) = received(|team, file| drop(team.file(&format!("a/lib/{file}.jpg"), 6000)));
    assert!(wire > len && wire * 4 < len * 5, "{wire} bytes came for {len}");
}
