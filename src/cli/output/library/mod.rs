//! What is shown of a daemon and its libraries. Invariant: tables fit 80 columns but for the names in their last ones; what comes from peers
//! is escaped.

mod json;
mod path;
mod status;
mod tables;

pub(in crate::cli) use json::{ProposalJson, TakenBackJson};
pub(in crate::cli) use path::{dispute_text, path_text};
pub(in crate::cli) use status::{daemon_screen, library_screen, limits_text, lock_line};
pub(in crate::cli) use tables::{
    authors_table, commits_text, entries_table, libraries_table, library_peers_table, policy_text,
    proposal_text, proposed_users_table, taken_back_text, users_table, verified_text,
};

use super::sync::quoted;
use swarm_core::base::Shown;
use swarm_daemon::PeerStatus;

/// The first digits of an id.
fn short(id: &str) -> String {
    Shown(id.get(..8).unwrap_or(id)).to_string()
}

/// A sentence on lines of a terminal, indented. A word that is longer than a line stays whole.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut lines, mut width) = (indent.to_owned(), indent.len());
    for (number, word) in text.split_whitespace().enumerate() {
        let len = word.chars().count();
        if number > 0 && width + 1 + len > LINE_WIDTH {
            lines += "\n";
            lines += indent;
            width = indent.len();
        } else if number > 0 {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += len;
    }
    lines + "\n"
}

/// What a peer is called where several are listed: its name, if no other has that, too.
fn name_among(peer: &PeerStatus, peers: &[PeerStatus]) -> String {
    let count = |label: &dyn Fn(&PeerStatus) -> String| {
        peers.iter().filter(|other| label(other) == label(peer)).count()
    };
    let with_user = |peer: &PeerStatus| match &peer.user {
        // The user of an invitation is nobody's name.
        Some(user) if !peer.name.is_empty() && !user.contains(' ') => format!("{user}@{}", peer.name),
        _ => peer.name.clone(),
    };
    if count(&|peer| peer.name.clone()) <= 1 {
        return peer.name.clone();
    }
    if count(&with_user) <= 1 {
        return with_user(peer);
    }
    match &peer.node {
        Some(node) if !peer.name.is_empty() => format!("{}@{}", short(node), peer.name),
        _ => peer.name.clone(),
    }
}

/// Columns of a terminal.
const LINE_WIDTH: usize = 80;

/// Text in a column so wide; a long one is cut.
fn column(text: &str, width: usize) -> String {
    let shown = Shown(text).to_string();
    if shown.chars().count() <= width {
        return shown;
    }
    let cut: String = shown.chars().take(width.saturating_sub(1)).collect();
    cut + "…"
}
