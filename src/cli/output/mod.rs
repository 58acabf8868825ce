//! All printing. Tickets and JSON go to stdout, everything for people to stderr. Decides nothing. Invariant: a line that is shown
//! has its hidden characters escaped, so that no name, reason or answer of others acts on a terminal; JSON stays data.

mod bars;
mod json;
mod library;
mod lines;
mod log;
mod streams;
mod sync;
mod table;
mod text;
mod ways;

pub(super) use bars::{FetchView, HashView};
pub(super) use json::{Done, Json};
pub(super) use library::{
    ProposalJson, TakenBackJson, authors_table, commits_text, daemon_screen, dispute_text, entries_table,
    libraries_table, library_peers_table, library_screen, limits_text, lock_line, path_text, policy_text,
    proposal_text, proposed_users_table, taken_back_text, users_table, verified_text,
};
pub(super) use lines::SeedView;
pub(super) use log::start_log;
pub(super) use streams::Stdout;
pub(super) use sync::{
    Comparison, ConflictJson, Names, Paint, PairJson, SyncJson, SyncView, VersionJson, changes_table,
    conflict_question, conflict_text, diff_text, explanation_text, hold, pairs_table, plan_text,
    versions_table,
};
pub(super) use table::{contents_table, status_screen};
pub(super) use text::{bottleneck, chunk_name, chunk_place, count, peer_table, read_again, read_trouble};
pub(super) use ways::name_folder;

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::failure::{Exit, Failure};
use swarm_core::base::{Category, Shown};

/// One line for people. May be lost.
pub(super) fn note(line: impl Display) {
    let shown = Shown(format_args!("{line}")).to_string();
    streams::to_stderr(&format!("{}\n", ways::with_folder(&shown)));
}

/// Several lines for people, whose values are escaped already. May be lost.
pub(super) fn notes(lines: &str) {
    lines.lines().for_each(note);
}

/// The same as they are, with colours.
pub(super) fn painted(lines: &str) {
    streams::to_stderr(lines);
}

/// A question to a person, who answers on the same line.
pub(super) fn prompt(question: &str) {
    streams::to_stderr(question);
}

/// The answer came: with it, the terminal is at the begin of a line.
pub(super) fn answered() {
    streams::begin_line();
}

/// One line of what the command was asked for. An error if it cannot be written.
pub(super) fn result(line: impl Display) -> Result<(), Failure> {
    text(&format!("{}\n", Shown(format_args!("{line}"))))
}

/// The same as one JSON object.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    text(&json_line(value))
}

/// The same as it is: values in it are escaped already.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    streams::to_stdout(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}

/// One line on stdout of a command whose work is something else: that goes on if the line cannot be written.
pub(super) fn report(line: impl Display) {
    report_text(&format!("{}\n", Shown(format_args!("{line}"))));
}

fn report_text(text: &str) {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    let Err(error) = streams::to_stdout(text.as_bytes()) else { return };
    // The reader may have enough: that is its choice.
    if error.kind() != ErrorKind::BrokenPipe && !IS_TOLD.swap(true, Ordering::Relaxed) {
        note(format_args!("cannot write to stdout: {error}; going on without it"));
    }
}

fn json_line(value: &impl Serialize) -> String {
    let line = serde_json::to_string(value).expect("these types have no keys or numbers that JSON lacks");
    streams::json_text(&line).into_owned() + "\n"
}

/// Bytes on stdout, all of them.
pub(super) fn bytes(bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut stdout = std::io::stdout();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

/// Why the command failed: an event on stdout if a program reads that, otherwise a line on stderr.
pub(super) fn failure(failure: &Failure, wants_json: bool) {
    if failure.is_shown {
        return;
    }
    // The messages hold their causes already.
    let message = ways::with_folder(&failure.error.to_string()).into_owned();
    let line = format!("swarm: {message}");
    let event = Json::Error { code: failure.exit as u8, message };
    let is_told = wants_json && streams::to_stdout(json_line(&event).as_bytes()).is_ok();
    if !is_told {
        note(line);
    }
}

/// What the parser of arguments has to say: help on stdout, or on stderr what is wrong with them. The latter shows arguments as they
/// were given, and they may be pasted from anywhere: its lines are escaped.
pub(super) fn parsed(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print().and_then(|()| std::io::stdout().flush()) {
            Ok(()) => Exit::Done.into(),
            Err(error) => {
                let unwritten = Failure::stdout(&error);
                failure(&unwritten, false);
                unwritten.exit.into()
            }
        };
    }
    // With its escape sequences, which are otherwise dropped without a trace.
    notes(&error.render().ansi().to_string());
    Exit::from(Category::Usage).into()
}
