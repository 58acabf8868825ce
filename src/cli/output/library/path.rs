//! What is known of a path of a library, for people.

use std::fmt::Write as _;

use super::super::sync::{Names, run_line, time_of_ns};
use super::super::ways;
use super::short;
use super::status::lock_line;
use swarm_core::base::{ByteLen, Shown};
use swarm_daemon::{LockStatus, PathView, Supply, VersionLine};
use swarm_pair::ChangeView;

/// All of it: what stands here, who made which version, who holds what, what runs did.
pub(in crate::cli) fn path_text(
    library: &str,
    view: &PathView,
    deeds: &[ChangeView],
    locks: &[LockStatus],
) -> String {
    let mut text = format!("{}:/{}\n", Shown(library), Shown(&view.path));
    let _ = match &view.here {
        Some(entry) => writeln!(
            text,
            "  on this disk: {}, modified {}",
            size(&entry.kind, entry.len),
            time_of_ns(entry.modified_ns)
        ),
        None => writeln!(text, "  on this disk: nothing"),
    };
    if let Some(place) = &view.place {
        let _ = writeln!(text, "  stands at {}", Shown(place));
    }
    if view.versions.is_empty() {
        text += "  in the library: nobody ever had something there\n";
    }
    for version in &view.versions {
        let _ = writeln!(text, "  {}", version_line(version));
    }
    if view.is_left_out {
        text += "  left out by the patterns of this node\n";
    }
    if view.is_waiting {
        let _ = writeln!(text, "  waiting: {}", supply_text(view.supply));
    }
    for node in &view.held_by {
        let command = ways::command("swarm approvals");
        let _ = writeln!(text, "  held: a change by {} waits for votes ({command})", short(node));
    }
    for lock in locks {
        let _ = writeln!(text, "  {}", lock_line(library, lock));
    }
    let names = Names::of_library(library);
    for deed in deeds {
        let _ = writeln!(text, "  {}", run_line(deed, &names));
    }
    text
}

/// Whether the bytes of a file that waits can come.
fn supply_text(supply: Option<Supply>) -> String {
    match supply {
        Some(Supply::Coming) => "its bytes are on their way".to_owned(),
        Some(Supply::Asked { seconds }) => {
            format!("peers are asked for its bytes; none came for {seconds} s")
        }
        None | Some(Supply::Queued { ahead: 0 }) => "its bytes are fetched next".to_owned(),
        Some(Supply::Queued { ahead }) => format!("the files of {ahead} other commits are fetched first"),
        Some(Supply::Nobody { seconds }) => format!(
            "no connected peer has its bytes (none came for {seconds} s); they come as soon as a peer that has them is connected"
        ),
        Some(Supply::Failing) => {
            let command = ways::command("swarm status");
            format!("fetching its bytes failed on this machine, and is tried again ({command} says why)")
        }
    }
}

fn version_line(version: &VersionLine) -> String {
    let lead = if version.wins { "in the library" } else { "excluded by it" };
    let (what, author) = (size(&version.kind, version.len), short(&version.author));
    format!("{lead}: {what} by {author}, commit {}", version.seq)
}

fn size(kind: &str, len: u64) -> String {
    if kind == "file" { format!("file of {}", ByteLen(len)) } else { Shown(kind).to_string() }
}
