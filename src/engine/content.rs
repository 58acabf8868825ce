//! One content from its join to its end: how far it is, and when to give it up. Decides nothing about peers and knows no chunks.

use std::time::Duration;

use crate::base::Instant;
use crate::manifest::Manifest;
use crate::wire::Handle;

use super::dialing::Reach;
use super::flush::Flush;
use super::input::{Join, Order, Patience};
use super::manifest_fetch::ManifestFetch;

/// One content that this node takes part in.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) handle: Handle,
    pub(super) order: Order,
    pub(super) patience: Option<Patience>,
    /// Until then more sources may be found.
    pub(super) search_until: Instant,
    pub(super) phase: Phase,
    pub(super) last_progress_at: Instant,
    pub(super) reach: Reach,
    pub(super) flush: Flush,
}

/// How far a content is. From `Fetching` to `Complete` its chunks are open in the transfer.
#[derive(Debug)]
pub(super) enum Phase {
    /// Only its id is known.
    Manifest(ManifestFetch),
    /// The manifest is known; the store is being opened.
    Opening(Manifest),
    /// Chunks are fetched.
    Fetching,
    /// All is verified and durable; it is being put in its place.
    Finishing,
    /// All that was wanted is there.
    Complete,
    /// The fetch ended without success.
    Failed,
}

/// Payload of a content, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentTotals {
    /// Received from peers and verified.
    pub fetched_len: u64,
    /// Received and not needed.
    pub duplicate_len: u64,
    /// Received and found corrupt.
    pub corrupt_len: u64,
    /// Sent to peers.
    pub sent_len: u64,
}

impl Content {
    pub(super) fn new(now: Instant, handle: Handle, join: Join) -> Self {
        let phase = match join.manifest {
            Some(manifest) => Phase::Opening(manifest),
            None => Phase::Manifest(ManifestFetch::default()),
        };
        Self {
            handle,
            order: join.order,
            patience: join.patience,
            search_until: now + join.patience.map_or(Duration::ZERO, |patience| patience.search),
            phase,
            last_progress_at: now,
            reach: Reach::default(),
            flush: Flush::default(),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Failed)
    }

    pub(super) fn manifest_fetch(&mut self) -> Option<&mut ManifestFetch> {
        match &mut self.phase {
            Phase::Manifest(fetch) => Some(fetch),
            Phase::Opening(_) | Phase::Fetching | Phase::Finishing | Phase::Complete | Phase::Failed => None,
        }
    }

    /// The manifest, while the store is being opened.
    pub(super) fn opening(&self) -> Option<&Manifest> {
        match &self.phase {
            Phase::Opening(manifest) => Some(manifest),
            Phase::Manifest(_) | Phase::Fetching | Phase::Finishing | Phase::Complete | Phase::Failed => None,
        }
    }

    /// Something of it is still to come from peers.
    pub(super) fn wants_peers(&self) -> bool {
        match &self.phase {
            Phase::Manifest(_) | Phase::Opening(_) | Phase::Fetching => true,
            Phase::Finishing | Phase::Complete | Phase::Failed => false,
        }
    }

    /// What came is passed on as it becomes durable, so it is flushed at once.
    pub(super) fn has_window(&self) -> bool {
        matches!(self.order, Order::Sequential { window_len: Some(_) })
    }
}
