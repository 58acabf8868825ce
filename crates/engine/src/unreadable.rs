//! Chunks that cannot be read just now: a permission, a sector, a disk that is away. Peers are told that they are not here, nothing
//! is withdrawn for good, and one chunk of each trouble is read again, later and later, until all come back.
//! Invariant: a chunk is set aside by one trouble at most.

use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId, Instant};
use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::{ChunkRuns, Message, RejectReason};

use super::Engine;
use super::io::{Event, Extent, Output, Reread};
use super::timers::Timer;

/// One trouble, and what it keeps from being served.
#[derive(Debug)]
pub(super) struct Aside {
    /// Read again to see whether the trouble is over.
    probe: ChunkIndex,
    chunks: Bitfield,
    tries: u32,
    /// `None` while it is being read.
    due_at: Option<Instant>,
    /// The product was told, and is told when it is over.
    is_told: bool,
}

impl Engine {
    /// A chunk could not be read, which says nothing of its bytes.
    pub(super) fn set_aside(
        &mut self,
        content: ContentId,
        chunk: ChunkIndex,
        extent: Extent,
        reason: String,
    ) {
        let now = self.now;
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Some(chunks) = state.chunks_mut() else { return };
        if !chunks.have().contains(chunk.get()) {
            // Of a trouble that is known.
            return;
        }
        let aside = chunks.set_aside(chunk, extent);
        // What peers were not told of yet they hear of when it is back.
        if let Some(fresh) = &mut state.unannounced {
            for index in aside.iter() {
                fresh.remove(index);
            }
        }
        let is_told = state.unreadable.iter().filter(|aside| aside.is_told).count() < TROUBLES_TOLD_MAX;
        state.unreadable.push(Aside {
            probe: chunk,
            chunks: aside.clone(),
            tries: 0,
            due_at: Some(now + REREAD_FIRST),
            is_told,
        });
        self.timers.set_if_unset(Timer::Reread(content), now + REREAD_FIRST);
        // What is offered one by one could be among what cannot be read.
        self.end_offers(content);
        self.take_back(content, &aside, RejectReason::Unreadable);
        if is_told {
            self.emit(Event::ReadTrouble { content, chunk, reason });
        }
    }

    /// Tells everybody that chunks are not here, and rejects what waits for them.
    pub(super) fn take_back(&mut self, content: ContentId, gone: &Bitfield, reason: RejectReason) {
        let Some(state) = self.contents.get(&content) else { return };
        let (handle, Some(chunks)) = (state.handle, state.chunks()) else { return };
        let geometry = chunks.geometry().clone();
        for runs in ChunkRuns::of(gone) {
            for link in self.introduced(content) {
                self.send(link, Message::Lost { handle, chunks: runs.clone() });
            }
        }
        let waiting = self.uploads.take_waiting(|wanted| {
            wanted.content == content
                && geometry.pieces(wanted.run).any(|piece| gone.contains(piece.chunk.get()))
        });
        for (link, request) in waiting {
            self.reject(link, request, reason);
        }
    }

    /// Reads again what is due.
    pub(super) fn on_reread_timer(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let due = state.unreadable.iter_mut().filter(|aside| aside.due_at.is_some_and(|at| at <= self.now));
        for aside in due {
            aside.due_at = None;
            self.outputs.push_back(Output::Reread { content, chunk: aside.probe });
        }
        self.wait_for_reread(content);
    }

    pub(super) fn on_reread(&mut self, content: ContentId, chunk: ChunkIndex, found: Reread) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let is_it = |aside: &Aside| aside.probe == chunk && aside.due_at.is_none();
        let Some(at) = state.unreadable.iter().position(is_it) else { return };
        match found {
            Reread::Trouble => {
                let aside = &mut state.unreadable[at];
                aside.tries += 1;
                aside.due_at = Some(self.now + backoff(aside.tries));
            }
            Reread::Readable | Reread::Changed => {
                let aside = state.unreadable.remove(at);
                self.bring_back(content, &aside);
                if found == Reread::Changed {
                    // The others are looked at when they are asked for.
                    self.withdraw(content, chunk);
                }
            }
        }
        self.wait_for_reread(content);
    }

    fn bring_back(&mut self, content: ContentId, aside: &Aside) {
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return;
        };
        let back = chunks.bring_back(&aside.chunks);
        for link in self.introduced(content) {
            self.send_haves(link, content, ChunkRuns::of(&back));
        }
        if aside.is_told {
            self.emit(Event::ReadAgain { content, chunk: aside.probe });
        }
    }

    fn wait_for_reread(&mut self, content: ContentId) {
        let Some(state) = self.contents.get(&content) else { return };
        match state.unreadable.iter().filter_map(|aside| aside.due_at).min() {
            Some(at) => self.timers.set(Timer::Reread(content), at),
            None => self.timers.cancel(Timer::Reread(content)),
        }
    }
}

fn backoff(tries: u32) -> Duration {
    REREAD_FIRST.saturating_mul(1 << tries.min(16)).min(REREAD_MAX)
}

/// A disk that was only busy is back by then; the store itself has tried a few times within the first half second.
const REREAD_FIRST: Duration = Duration::from_secs(1);
/// One chunk is read so often as long as the trouble lasts: whoever plugs the disk in again waits no longer.
const REREAD_MAX: Duration = Duration::from_secs(30);
/// Troubles of one content at a time that the product is told of: a tree without its disk may have one a file.
const TROUBLES_TOLD_MAX: usize = 8;
