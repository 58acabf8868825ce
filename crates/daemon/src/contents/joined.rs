//! A content in the engine, as the daemon knows it. Invariant: whoever fills its store from older versions ends with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use swarm_core::base::NodeId;
use swarm_files::GatheredStore;
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;
use tokio::sync::watch;

use crate::clock;
use crate::limits::LINKS_MAX;

/// A content in the engine.
pub(super) struct Joined {
    pub(super) library: LibraryKey,
    /// Tells it from an earlier joining of the same content.
    pub(super) joining: u64,
    pub(super) store: Option<Arc<GatheredStore>>,
    /// In its manifest, once that is known.
    pub(super) files: usize,
    /// It is fetched, and not complete.
    pub(super) is_fetching: bool,
    /// When somebody wanted it last.
    pub(super) used_at: Instant,
    /// Chunks of it that were here when it was looked whether any come.
    pub(super) had_count: u32,
    /// When peers were asked to serve it last.
    pub(super) sought_at: Option<Instant>,
    /// Links that asked before it was ready.
    pub(super) asking: Vec<u64>,
    /// It was opened while it was held: older versions here were not looked at for what they have of it.
    pub(super) is_unfilled: bool,
    /// The files that its store was opened for; those that are wanted later need another opening.
    pub(super) opened_for: BTreeMap<ContentHash, u64>,
    /// What its store said when it failed.
    pub(super) store_trouble: Option<String>,
    /// Peers that serve it. Whoever fills its store from older versions ends when this is dropped.
    pub(super) servers: watch::Sender<Vec<NodeId>>,
}

impl Joined {
    pub(super) fn on_server(&self, node: NodeId) {
        self.servers.send_if_modified(|servers| {
            let is_new = !servers.contains(&node) && servers.len() < LINKS_MAX;
            if is_new {
                servers.push(node);
            }
            is_new
        });
    }

    pub(super) fn new(library: LibraryKey, joining: u64, is_fetching: bool) -> Self {
        Self {
            library,
            joining,
            store: None,
            files: 0,
            is_fetching,
            used_at: clock::moment(),
            had_count: 0,
            sought_at: None,
            asking: Vec::new(),
            is_unfilled: false,
            opened_for: BTreeMap::new(),
            store_trouble: None,
            servers: watch::channel(Vec::new()).0,
        }
    }
}
