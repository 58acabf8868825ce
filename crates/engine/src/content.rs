//! One content from its join to its end: its phase, its manifest, its durability. Invariants: a phase follows the one before it, or is
//! `Failed`; `Finish` is ordered once, when all that was wanted is durable. Absent: chunks and requests, which are the transfer's.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{ContentId, Instant};
use swarm_core::manifest::{ChunkIndex, Manifest};
use swarm_core::wire::{Handle, Message};

use super::chunks::Chunks;
use super::dialing::Reach;
use super::flush::{FLUSH_INTERVAL, Flush};
use super::input::{Join, Order, Patience};
use super::io::{Event, FetchFailure, LinkId, Output};
use super::manifest_fetch::ManifestFetch;
use super::participation::Participation;
use super::session::Session;
use super::timers::Timer;
use super::transfer::Transfer;
use super::turn::Turn;

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

    /// Makes what is verified durable, unless that is under way.
    pub(super) fn flush(&mut self, turn: &mut Turn, content: ContentId) {
        if self.flush.begin() {
            turn.timers.cancel(Timer::Flush(content));
            turn.order(Output::Flush { content });
        }
    }

    /// A chunk that was not here is verified.
    pub(super) fn on_verified(&mut self, turn: &mut Turn, content: ContentId, len: u64, is_last: bool) {
        self.last_progress_at = turn.now;
        self.flush.on_verified(len);
        turn.timers.set_if_unset(Timer::Flush(content), turn.now + FLUSH_INTERVAL);
        if is_last || self.flush.is_long() || self.has_window() {
            self.flush(turn, content);
        }
    }

    /// These chunks are durable. What was verified meanwhile is flushed at once if there is a reason, or in its time.
    pub(super) fn on_flushed(
        &mut self,
        turn: &mut Turn,
        content: ContentId,
        transfer: &mut Transfer,
        flushed: &[ChunkIndex],
        is_stopping: bool,
    ) {
        self.flush.on_flushed();
        // Of a fetch that failed nothing more is verified.
        let Some(chunks) = transfer.downloads.chunks_mut(content) else { return };
        flushed.iter().for_each(|chunk| chunks.on_durable(*chunk));
        let is_due = is_stopping || chunks.is_verified() || self.flush.is_long() || self.has_window();
        if self.flush.has_pending() && is_due {
            self.flush(turn, content);
        } else if self.flush.has_pending() {
            turn.timers.set_if_unset(Timer::Flush(content), turn.now + FLUSH_INTERVAL);
        }
        self.finish_if_durable(turn, content, transfer);
    }

    /// Ends the fetch without success, unless it has ended. What is verified is flushed.
    pub(super) fn fail(
        &mut self,
        turn: &mut Turn,
        content: ContentId,
        transfer: &mut Transfer,
        failure: FetchFailure,
    ) {
        if matches!(self.phase, Phase::Failed | Phase::Complete) {
            return;
        }
        transfer.cancel_all(turn, content);
        // A store that failed once is flushed once more: it may still record what it holds.
        self.flush(turn, content);
        self.phase = Phase::Failed;
        transfer.fail(content);
        turn.emit(Event::Failed { content, failure });
    }

    /// All of it is at its place. What went to a reader's stream is on no disk.
    pub(super) fn is_kept(&self, transfer: &Transfer, content: ContentId) -> bool {
        let is_full = transfer.downloads.chunks(content).is_some_and(|chunks| chunks.have().is_full());
        matches!(self.phase, Phase::Complete) && is_full && !self.has_window()
    }

    /// All that was wanted may be durable: then it is put in its place.
    pub(super) fn finish_if_durable(&mut self, turn: &mut Turn, content: ContentId, transfer: &mut Transfer) {
        let is_durable = transfer.downloads.chunks(content).is_some_and(Chunks::is_durable);
        if matches!(self.phase, Phase::Fetching) && is_durable {
            self.phase = Phase::Finishing;
            transfer.finish(content);
            turn.order(Output::Finish { content });
        }
    }

    /// Asks a peer that knows the manifest for it, if it is missing and not on its way.
    pub(super) fn ask_for_manifest(
        &mut self,
        turn: &mut Turn,
        content: ContentId,
        sessions: &BTreeMap<LinkId, Session>,
    ) {
        let handle = self.handle;
        let Some(fetch) = self.manifest_fetch().filter(|fetch| fetch.is_unasked()) else { return };
        let knows =
            |session: &Session| session.participation(content).is_some_and(Participation::is_known_there);
        let Some((&link, _)) = sessions.iter().find(|(_, session)| knows(session)) else { return };
        let (pages, deadline) = fetch.start(turn.now, link);
        turn.timers.set(Timer::Manifest(content), deadline);
        pages.for_each(|page| turn.send(link, Message::ManifestRequest { handle, page }));
    }

    /// What came is passed on as it becomes durable, so it is flushed at once.
    pub(super) fn has_window(&self) -> bool {
        matches!(self.order, Order::Sequential { window_len: Some(_) })
    }
}
