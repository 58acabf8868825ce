//! What is known of a path of a library, for people.

use std::fmt::Write as _;

use super::super::sync::{Names, run_line, time_of_ns};
use super::super::ways;
use super::short;
use super::status::lock_line;
use swarm_core::base::{ByteLen, Shown};
use swarm_daemon::{DisputeView, LockStatus, PathView, Supply, VersionLine};
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
    match view.conflict.as_deref() {
        Some("here") => {
            text += "  conflict: both versions wait for a decision: swarm conflicts shows them, swarm resolve decides\n";
        }
        Some(_) => text += &elsewhere_text(&view.versions),
        None => {}
    }
    if view.is_left_out {
        text += "  left out by the patterns of this node\n";
    }
    if view.is_waiting {
        let _ = writeln!(text, "  waiting: {}", supply_text(view.supply));
    }
    if let Some(by) = view.replaced_by.as_deref().map(short) {
        let _ = writeln!(
            text,
            "  replaced: {by} replaced this version, and does not count here: if no machine has it any more, \
             `swarm peer trust {by}` takes the newer one"
        );
    }
    if let Some(held) = &view.own_held {
        let id = short(&held.id);
        let _ = writeln!(
            text,
            "  waiting for approval: your change, which needs {} votes: others have what the library has until they \
             say `swarm approve {id}`; `swarm withdraw {id}` takes it back",
            held.needed
        );
    }
    for node in view.held_by.iter().filter(|_| view.own_held.is_none() || view.held_by.len() > 1) {
        let _ = writeln!(
            text,
            "  held: a change by {} waits for votes ({})",
            short(node),
            ways::command("swarm approvals")
        );
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
        Some(Supply::Paused) => "somebody paused its transfer: resume it on the page".to_owned(),
        Some(Supply::Cancelled) => {
            "somebody cancelled its transfer on this machine: resume it on the page".to_owned()
        }
        Some(Supply::Failing) => {
            let command = ways::command("swarm status");
            format!("fetching its bytes failed on this machine, and is tried again ({command} says why)")
        }
    }
}

/// A conflict that this disk takes no part in.
pub(in crate::cli) fn dispute_text(library: &str, dispute: &DisputeView) -> String {
    let mut text = format!("conflict  {}:/{}\n", Shown(library), Shown(&dispute.path));
    for version in &dispute.versions {
        let _ = writeln!(text, "  {}", version_line(version));
    }
    text + &elsewhere_text(&dispute.versions)
}

/// Where a conflict is decided that this disk takes no part in.
fn elsewhere_text(versions: &[VersionLine]) -> String {
    let mut nodes: Vec<String> =
        versions.iter().filter(|version| !version.wins).map(|version| short(&version.author)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let nodes = nodes.join(" or ");
    format!(
        "  conflict: decide it at the machine of {nodes}, or keep what the library has: swarm resolve LIBRARY:/PATH remote\n"
    )
}

fn version_line(version: &VersionLine) -> String {
    let lead = if version.wins { "in the library" } else { "excluded by it" };
    let (what, author) = (size(&version.kind, version.len), short(&version.author));
    format!("{lead}: {what} by {author}, commit {}", version.seq)
}

fn size(kind: &str, len: u64) -> String {
    if kind == "file" { format!("file of {}", ByteLen(len)) } else { Shown(kind).to_string() }
}
