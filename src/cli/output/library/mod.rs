//! What is shown of a daemon and its libraries. Invariant: tables fit 80 columns but for the names in their last ones; what comes from peers
//! is escaped.

mod json;
mod path;
mod status;
mod tables;

pub(in crate::cli) use json::{ProposalJson, TakenBackJson};
pub(in crate::cli) use path::path_text;
pub(in crate::cli) use status::{daemon_screen, library_screen, limits_text, lock_line};
pub(in crate::cli) use tables::{
    authors_table, commits_text, entries_table, libraries_table, library_peers_table, policy_text,
    proposal_text, proposed_users_table, taken_back_text, users_table, verified_text,
};

use super::sync::quoted;
use swarm_core::base::Shown;

/// The first digits of an id.
fn short(id: &str) -> String {
    Shown(id.get(..8).unwrap_or(id)).to_string()
}

/// Text in a column so wide; a long one is cut.
fn column(text: &str, width: usize) -> String {
    let shown = Shown(text).to_string();
    if shown.chars().count() <= width {
        return shown;
    }
    let cut: String = shown.chars().take(width.saturating_sub(1)).collect();
    cut + "…"
}
