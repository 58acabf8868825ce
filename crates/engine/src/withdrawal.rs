//! Chunks that this node takes back: for good where their bytes have changed, or until they can be read again. Peers are told, and
//! requests that wait for such a chunk are rejected. When a chunk is read again is decided in `unreadable`.

use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::{ChunkRuns, Message, RejectReason};

use super::download::Downloads;
use super::input::Reread;
use super::io::{Event, Extent, Output};
use super::serving::{Serving, reject, send_haves};
use super::timers::Timer;
use super::turn::Turn;
use super::unreadable::Trouble;

impl Serving {
    /// A chunk cannot be served any more: all peers are told, and requests that wait for it are rejected.
    pub(super) fn withdraw(
        &mut self,
        turn: &mut Turn,
        downloads: &mut Downloads,
        content: ContentId,
        chunk: ChunkIndex,
    ) {
        let Some(chunks) = downloads.chunks_mut(content) else { return };
        if !chunks.on_lost(chunk) {
            return;
        }
        let mut lost = Bitfield::new(chunks.geometry().chunk_count());
        lost.insert(chunk.get());
        self.take_back(turn, downloads, content, &lost, RejectReason::NotHeld);
        turn.emit(Event::ChunkLost { content, chunk });
    }

    /// A chunk could not be read, which says nothing of its bytes: what the trouble concerns is not served until it can be read.
    pub(super) fn set_aside(
        &mut self,
        turn: &mut Turn,
        downloads: &mut Downloads,
        (content, chunk): (ContentId, ChunkIndex),
        extent: Extent,
        reason: String,
    ) {
        let Some(chunks) = downloads.chunks_mut(content) else { return };
        if !chunks.have().contains(chunk.get()) {
            // The trouble is known.
            return;
        }
        let aside = chunks.set_aside(chunk, extent);
        // Peers that were not told of these chunks yet hear of them when they are back.
        if let Some(unannounced) = self.unannounced.get_mut(&content) {
            aside.iter().for_each(|index| {
                unannounced.remove(index);
            });
        }
        let is_told = self.unreadable.entry(content).or_default().add(turn.now, chunk, aside.clone());
        self.wait_for_reread(turn, content);
        // Super-seeding would reveal what cannot be read.
        self.end_seeding(turn, downloads, content);
        self.take_back(turn, downloads, content, &aside, RejectReason::Unreadable);
        if is_told {
            turn.emit(Event::ReadTrouble { content, chunk, reason });
        }
    }

    /// Orders a read of each chunk that is due.
    pub(super) fn on_reread_timer(&mut self, turn: &mut Turn, content: ContentId) {
        let Some(unreadable) = self.unreadable.get_mut(&content) else { return };
        for chunk in unreadable.take_due(turn.now) {
            turn.order(Output::Reread { content, chunk });
        }
        self.wait_for_reread(turn, content);
    }

    /// A chunk was read again.
    pub(super) fn on_reread(
        &mut self,
        turn: &mut Turn,
        downloads: &mut Downloads,
        (content, chunk): (ContentId, ChunkIndex),
        found: Reread,
    ) {
        let Some(unreadable) = self.unreadable.get_mut(&content) else { return };
        if let Some(ended) = unreadable.on_reread(turn.now, chunk, found) {
            bring_back(turn, downloads, content, &ended);
            if found == Reread::Changed {
                // The others of this trouble are looked at when a peer asks for them.
                self.withdraw(turn, downloads, content, chunk);
            }
        }
        self.wait_for_reread(turn, content);
    }

    fn wait_for_reread(&mut self, turn: &mut Turn, content: ContentId) {
        let Some(unreadable) = self.unreadable.get(&content) else { return };
        match unreadable.next_at() {
            Some(at) => turn.timers.set(Timer::Reread(content), at),
            None => turn.timers.cancel(Timer::Reread(content)),
        }
        if unreadable.is_empty() {
            self.unreadable.remove(&content);
        }
    }

    /// Tells all peers that chunks are not here, and rejects what waits for them.
    fn take_back(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        content: ContentId,
        gone: &Bitfield,
        reason: RejectReason,
    ) {
        let (Some(handle), Some(chunks)) = (downloads.handle(content), downloads.chunks(content)) else {
            return;
        };
        for runs in ChunkRuns::of(gone) {
            for link in downloads.introduced(content) {
                turn.send(link, Message::Lost { handle, chunks: runs.clone() });
            }
        }
        let geometry = chunks.geometry();
        let waiting = self.uploads.take_waiting(|wanted| {
            wanted.content == content
                && geometry.pieces(wanted.run).any(|piece| gone.contains(piece.chunk.get()))
        });
        for (link, request) in waiting {
            reject(turn, link, request, reason);
        }
    }
}

/// A trouble is over: all peers hear of its chunks again.
fn bring_back(turn: &mut Turn, downloads: &mut Downloads, content: ContentId, ended: &Trouble) {
    let Some(chunks) = downloads.chunks_mut(content) else { return };
    let back = chunks.bring_back(&ended.chunks);
    for link in downloads.introduced(content) {
        send_haves(turn, downloads, link, content, ChunkRuns::of(&back));
    }
    if ended.is_told {
        turn.emit(Event::ReadAgain { content, chunk: ended.probe });
    }
}
