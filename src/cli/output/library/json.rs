//! What is printed of libraries for programs, beside the objects that the daemon itself gives.

use serde::Serialize;
use swarm_daemon::{ProposalView, TakenBackPath};

/// A proposal, with its library.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ProposalJson<'a> {
    pub(in crate::cli) library: &'a str,
    #[serde(flatten)]
    pub(in crate::cli) proposal: &'a ProposalView,
}

/// A path that was taken back, with its library.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct TakenBackJson<'a> {
    pub(in crate::cli) library: &'a str,
    #[serde(flatten)]
    pub(in crate::cli) path: &'a TakenBackPath,
}
