//! Merges against an oracle: `git merge-file`. What is clean here has the same bytes there. Prints `NOT RUN` where git is missing.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fastrand::Rng;
use swarm_sync::{Merged, merge};

/// A random text and two edited versions of it.
struct Case {
    base: String,
    local: String,
    remote: String,
}

/// How lines of random texts are chosen.
#[derive(Clone, Copy, Debug)]
enum Lines {
    /// No line twice.
    Unique,
    /// From six, so that changes can be aligned in several ways.
    Repeated,
}

/// How both came out.
#[derive(Debug, Default)]
struct Tally {
    both_clean: u32,
    both_conflict: u32,
    /// Allowed: somebody is asked once too often.
    conflict_here_alone: u32,
    clean_here_alone: u32,
    other_bytes: u32,
}

#[test]
fn what_is_clean_here_is_what_git_makes_of_unique_lines() {
    let Some(tally) = compare(Lines::Unique, 1500, 1) else { return };
    assert!(tally.both_clean > 500 && tally.both_conflict > 100, "{tally:?}");
    assert_eq!(tally.clean_here_alone + tally.other_bytes + tally.conflict_here_alone, 0, "{tally:?}");
}

#[test]
fn what_is_clean_here_is_what_git_makes_of_repeated_lines() {
    let Some(tally) = compare(Lines::Repeated, 1500, 2) else { return };
    assert!(tally.both_clean > 500 && tally.both_conflict > 100, "{tally:?}");
    // Changes of repeated lines can be aligned in more than one way, and then git may see an overlap where none is seen here.
    assert!(tally.clean_here_alone <= 2 && tally.conflict_here_alone <= 5, "{tally:?}");
    assert_eq!(tally.other_bytes, 0, "{tally:?}");
}

fn compare(lines: Lines, cases: u32, seed: u64) -> Option<Tally> {
    if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_err() {
        say(&format!("NOT RUN: no git here, so nothing is known about merges of {lines:?} lines"));
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    for _ in 0..cases {
        let case = Case::random(&mut rng, lines);
        count(&mut tally, &case, folder.path());
    }
    say(&format!("{lines:?} lines, {cases} merges: {tally:?}"));
    Some(tally)
}

/// Past the harness, which keeps what a test prints to itself unless it fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn count(tally: &mut Tally, case: &Case, folder: &Path) {
    let here = merge(case.base.as_bytes(), case.local.as_bytes(), case.remote.as_bytes());
    let counter = match (here, git_merge(case, folder)) {
        (Merged::Clean(here), Some(git)) if here == git => &mut tally.both_clean,
        (Merged::Clean(_), Some(_)) => &mut tally.other_bytes,
        (Merged::Clean(_), None) => &mut tally.clean_here_alone,
        (Merged::Overlap, Some(_)) => &mut tally.conflict_here_alone,
        (Merged::Overlap, None) => &mut tally.both_conflict,
        (Merged::NotText | Merged::TooLong, _) => panic!("a short text is refused"),
    };
    *counter += 1;
}

/// The merged bytes; `None` if git says that there is a conflict.
fn git_merge(case: &Case, folder: &Path) -> Option<Vec<u8>> {
    let names = ["local", "base", "remote"];
    for (name, text) in names.iter().zip([&case.local, &case.base, &case.remote]) {
        fs::write(folder.join(name), text).expect("a written file");
    }
    let mut git = Command::new("git");
    let output = git.args(["merge-file", "-p"]).args(names).current_dir(folder).output().expect("git runs");
    let code = output.status.code().expect("git ends by itself");
    assert!(code < 128, "git failed: {}", String::from_utf8_lossy(&output.stderr));
    (code == 0).then_some(output.stdout)
}

impl Case {
    fn random(rng: &mut Rng, lines: Lines) -> Self {
        let mut next = 0;
        let end = if rng.u8(..4) == 0 { "\r\n" } else { "\n" };
        let mut line = |rng: &mut Rng| {
            next += 1;
            match lines {
                Lines::Unique => format!("line {next}{end}"),
                Lines::Repeated => format!("line {}{end}", rng.u8(..6)),
            }
        };
        let base: Vec<String> = (0..rng.usize(..30)).map(|_| line(rng)).collect();
        let [local, remote] = [(); 2].map(|()| edited(rng, &base, &mut line));
        Self { base: joined(rng, &base), local: joined(rng, &local), remote: joined(rng, &remote) }
    }
}

/// Up to three edits, each of up to three lines.
fn edited(rng: &mut Rng, base: &[String], line: &mut impl FnMut(&mut Rng) -> String) -> Vec<String> {
    let mut text = base.to_vec();
    for _ in 0..rng.usize(..=3) {
        let start = rng.usize(..=text.len());
        let end = (start + rng.usize(..=3)).min(text.len());
        let new: Vec<String> = (0..rng.usize(..=3)).map(|_| line(rng)).collect();
        text.splice(start..end, new);
    }
    text
}

/// The text; one in eight has no newline at its end.
fn joined(rng: &mut Rng, lines: &[String]) -> String {
    let text = lines.concat();
    if rng.u8(..8) == 0 { text.trim_end().to_owned() } else { text }
}
