//! Libraries, peers, entries, commits and proposals, as tables for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::sync::{time_of_ms, time_of_ns};
use super::super::text;
use super::{column, name_among, short, wrapped};
use swarm_core::base::{ByteLen, Shown};
use swarm_daemon::{
    AuthorView, CommitView, EntryView, LibraryStatus, PeerLibraryStatus, PeerStatus, PolicyStatus,
    ProposalView, ProposedUser, TakenBackView, VerifyView,
};
use swarm_daemon_files::{Role, User};

/// One row a library.
pub(in crate::cli) fn libraries_table(libraries: &[LibraryStatus]) -> String {
    let mut table =
        format!("{:<20}{:<12}{:>8}{:>10}{:>11}{:>10}\n", "LIBRARY", "STATE", "HERE", "FILES", "SIZE", "LEFT");
    for library in libraries {
        let left = library.eta_seconds.map(|secs| text::duration(Duration::from_secs(secs)));
        let here = if library.percent.is_empty() { "-".to_owned() } else { format!("{} %", library.percent) };
        let _ = writeln!(
            table,
            "{:<20}{:<12}{:>8}{:>10}{:>11}{:>10}",
            column(&library.name, 19),
            column(&library.state, 11),
            here,
            library.files,
            ByteLen(library.bytes),
            left.unwrap_or_else(|| "-".to_owned()),
        );
    }
    table
}

/// One row a peer, with a line for each library that it has.
pub(in crate::cli) fn library_peers_table(peers: &[PeerStatus]) -> String {
    let mut table = format!("{:<26}{:<10}{:<11}{}\n", "PEER", "NODE", "TRUST", "LINK");
    for peer in peers {
        let name = name_among(peer, peers);
        let who = match (name.as_str(), peer.address.as_str()) {
            ("", "") => "(to be found)".to_owned(),
            ("", address) => address.to_owned(),
            (name, "") => name.to_owned(),
            (name, address) => format!("{name} {address}"),
        };
        let link = if peer.connected { "connected" } else { "away" };
        let node = peer.node.as_deref().map_or_else(|| "-".to_owned(), short);
        let _ = writeln!(table, "{:<26}{node:<10}{:<11}{}", column(&who, 25), column(&peer.trust, 10), link);
        if let Some(why) = peer.trouble.as_ref().filter(|_| !peer.connected) {
            table += &wrapped(&Shown(why).to_string(), "  ");
        }
        if !peer.told_by.is_empty() {
            let who: Vec<String> = peer.told_by.iter().map(|node| short(node)).collect();
            let _ = writeln!(table, "  told of by {}", who.join(", "));
        }
        for library in &peer.libraries {
            let name = Shown(&library.name);
            let _ = if library.is_shared {
                writeln!(table, "  {name}: {}", peer_percent(library))
            } else {
                writeln!(table, "  offers {name} ({})", Shown(&library.guid))
            };
        }
    }
    table
}

/// How far a peer is with a library.
pub(super) fn peer_percent(library: &PeerLibraryStatus) -> String {
    let mut words = match library.percent.as_str() {
        "" => "not known yet".to_owned(),
        percent => format!("{} %", Shown(percent)),
    };
    if !library.activity.is_empty() {
        let _ = write!(words, ", {}", Shown(&library.activity));
    }
    if library.deletions_to_do > 0 {
        let _ = write!(words, ", {} to do", text::count(library.deletions_to_do as usize, "deletion"));
    }
    words
}

/// One row an entry of a library; the first page has a heading.
pub(in crate::cli) fn entries_table(entries: &[EntryView], has_heading: bool) -> String {
    let mut table = String::new();
    if has_heading {
        let _ = writeln!(table, "{:>10}  {:<19}  {:<8}  {:<4}  PATH", "SIZE", "MODIFIED", "AUTHOR", "HERE");
    }
    for entry in entries {
        let size = match entry.kind.as_str() {
            "file" => ByteLen(entry.len).to_string(),
            "symlink" => "link".to_owned(),
            kind => Shown(kind).to_string(),
        };
        let here = if entry.is_here { "yes" } else { "no" };
        let disputed = match entry {
            EntryView { is_disputed: true, .. } => "  (disputed)",
            EntryView { is_waiting: true, .. } => "  (your change waits for approval)",
            _ => "",
        };
        let time = if entry.kind == "folder" { "-".to_owned() } else { time_of_ns(entry.modified_ns) };
        let (author, path) = (short(&entry.author), Shown(&entry.path));
        let _ = writeln!(table, "{size:>10}  {time:<19}  {author:<8}  {here:<4}  {path}{disputed}");
    }
    table
}

/// Each commit with some of its paths.
pub(in crate::cli) fn commits_text(commits: &[CommitView]) -> String {
    let mut shown = String::new();
    for commit in commits {
        let carried = if commit.counts { "" } else { ", only carried: its author is not trusted here" };
        let _ = writeln!(
            shown,
            "{} by {} at {}, {}{carried}",
            short(&commit.id),
            short(&commit.author),
            time_of_ms(commit.made_at_ms),
            text::count(commit.records as usize, "change"),
        );
        some_paths(&commit.paths, commit.records, &mut shown);
    }
    shown
}

/// A proposal: who, what, and who said what about it.
pub(in crate::cli) fn proposal_text(library: &str, proposal: &ProposalView) -> String {
    let state = match &proposal.ended {
        Some(end) => Shown(end).to_string(),
        None => format!("{} of {} votes", proposal.yes.len(), proposal.needed),
    };
    let changes = text::count(proposal.changes as usize, "change");
    let mut shown = format!(
        "{} in {}: {changes} by {} at {}, {state}\n",
        short(&proposal.id),
        Shown(library),
        short(&proposal.author),
        time_of_ms(proposal.seen_at_ms),
    );
    let yes: Vec<String> = proposal.yes.iter().map(|node| short(node)).collect();
    if !yes.is_empty() {
        let _ = writeln!(shown, "  yes: {}", yes.join(", "));
    }
    for (node, why) in &proposal.no {
        let _ = writeln!(shown, "  no: {}: {}", short(node), Shown(why));
    }
    some_paths(&proposal.paths, proposal.changes, &mut shown);
    shown
}

fn some_paths(paths: &[String], all: u64, shown: &mut String) {
    for path in paths.iter().take(PATHS_SHOWN) {
        let _ = writeln!(shown, "  {}", Shown(path));
    }
    let more = all.saturating_sub(paths.len().min(PATHS_SHOWN) as u64);
    if more > 0 {
        let _ = writeln!(shown, "  and {more} more");
    }
}

/// One row an author.
pub(in crate::cli) fn authors_table(authors: &[AuthorView]) -> String {
    let mut table = format!("{:<18}{:>8}  LAST CAME HERE\n", "AUTHOR", "COMMITS");
    for author in authors {
        let carried = match author.carried {
            0 => String::new(),
            carried => format!("  ({carried} only carried: it is not trusted here)"),
        };
        let (node, last) = (column(&author.node, 17), time_of_ms(author.last_seen_at_ms));
        let _ = writeln!(table, "{node:<18}{:>8}  {last}{carried}", author.commits);
    }
    table
}

fn more_than(all: u64, where_to: &str, shown: &mut String) {
    let more = all.saturating_sub(TAKEN_BACK_SHOWN as u64);
    if more > 0 {
        let _ = writeln!(shown, "  and {more} more{where_to}");
    }
}

/// What was taken back in a library, or would be.
pub(in crate::cli) fn taken_back_text(library: &str, report: &TakenBackView, is_rehearsal: bool) -> String {
    let mut shown = String::new();
    for path in report.paths.iter().take(TAKEN_BACK_SHOWN) {
        let (from, to, name) = (Shown(&path.from), Shown(&path.to), Shown(&path.path));
        let elsewhere = if path.is_here { "" } else { "  (peers are asked for the bytes)" };
        let _ = writeln!(shown, "  {from:<8} -> {to:<8} {name}{elsewhere}");
    }
    more_than(report.back + report.gone, ": --json lists all", &mut shown);
    for (path, why) in report.refused.iter().take(TAKEN_BACK_SHOWN) {
        let _ = writeln!(shown, "  stays: {}: {}", Shown(path), Shown(why));
    }
    more_than(report.refused.len() as u64, "", &mut shown);
    if report.back + report.gone == 0 {
        return shown;
    }
    let verb = if is_rehearsal { "would be taken back" } else { "taken back" };
    let _ = writeln!(
        shown,
        "{}: {verb}: {} as before, {} gone (kept as versions)",
        Shown(library),
        text::count(report.back as usize, "path"),
        text::count(report.gone as usize, "path"),
    );
    if report.wanted_len > 0 {
        let len = ByteLen(report.wanted_len);
        let why = format!(
            "{len} of earlier versions are not on this machine: they come from peers that still have them, and \
             until then the paths stay as they are on this disk"
        );
        shown += &wrapped(&why, "");
    }
    shown
}

/// What a reading of all files found.
pub(in crate::cli) fn verified_text(view: &VerifyView) -> String {
    let mut shown = String::new();
    for path in &view.bad {
        let _ = writeln!(shown, "bad: {}", Shown(path));
    }
    for (path, why) in &view.unreadable {
        let _ = writeln!(shown, "cannot be read: {}: {}", Shown(path), Shown(why));
    }
    let _ = writeln!(shown, "read {}, {}", text::count(view.files as usize, "file"), ByteLen(view.len));
    if view.changed > 0 {
        let count = text::count(view.changed as usize, "file");
        let _ = writeln!(shown, "{count} not compared: changed or removed since the last look");
    }
    if view.is_cut_off {
        shown += "the daemon stopped before all were read\n";
    }
    shown
}

/// One row a user.
pub(in crate::cli) fn users_table(users: &[User]) -> String {
    let mut table = format!("{:<30}{:<9}LIBRARIES\n", "USER", "ROLE");
    for user in users {
        let role = user.role.map_or("-", Role::as_str);
        let of: Vec<String> =
            user.libraries.iter().map(|(name, role)| format!("{}={}", Shown(name), role.as_str())).collect();
        let _ = writeln!(table, "{:<30}{role:<9}{}", column(&user.user, 29), of.join(", "));
    }
    table
}

/// One row a user that a peer proposes.
pub(in crate::cli) fn proposed_users_table(users: &[ProposedUser]) -> String {
    let mut table = format!("{:<30}{:<9}PROPOSED BY\n", "USER", "ROLE");
    for user in users {
        let _ =
            writeln!(table, "{:<30}{:<9}{}", column(&user.name, 29), column(&user.role, 8), short(&user.by));
    }
    table
}

/// How many must agree to what.
pub(in crate::cli) fn policy_text(policy: &PolicyStatus) -> String {
    let bulk = match policy.bulk {
        Some(bulk) => format!("{bulk} changes or more in one commit need {} votes", policy.bulk_approvals),
        None => "there are no bulk changes".to_owned(),
    };
    let refuse = if policy.refuse_by_one { "one no refuses" } else { "a no is only counted" };
    format!(
        "deletions  {} of the trusted peers\nmoves      {} of the trusted peers\nbulk       {bulk}\nexpiry     {}; {refuse}\n",
        policy.delete,
        policy.moves,
        text::count(policy.expiry_days as usize, "day"),
    )
}

/// Paths that are taken back, for people.
const TAKEN_BACK_SHOWN: usize = 20;
/// Paths of a commit or proposal; --json has more.
const PATHS_SHOWN: usize = 10;
