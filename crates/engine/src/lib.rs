//! The engine: decides everything, does nothing. Facts go in, orders come out, time and chance are arguments.
//!
//! Usage: `handle(now, input)`, then drain `poll()`, then sleep until `next_wakeup()` or the next fact. It cannot fail: bad
//! peers become [`Output::Close`], bad disks come back as [`Input::StoreFailed`]. It never sees payload bytes.
//!
//! This file only routes. Absent here: sockets, files, clocks, tasks.

pub mod limits;

mod input;
mod io;
mod refusal;
mod violation;

mod access;
mod accusations;
mod chunk_map;
mod fetch;
mod leave;
mod links;
mod messages;
mod part;
mod snapshot;
mod sources;
mod waking;

mod content;
mod contents;
mod flush;
mod manifest_fetch;
mod participation;
mod session;
mod sessions;

mod availability;
mod chunks;
mod download;
mod picker;
mod pipeline;
mod ranks;
mod rate;
mod reassignment;
mod shares;
mod transfer;

mod capacity;
mod lone_seed;
mod serving;
mod spreading;
mod super_seeding;
mod unreadable;
mod uploads;
mod withdrawal;

mod dialing;
mod hearsay;
mod neighbours;
mod peers;
mod pex;
mod reputation;

mod timers;
mod turn;

use swarm_core::base::{Instant, NodeId};

use contents::Contents;
use dialing::Dialing;
use pex::{Crowd, Pex};
use serving::Serving;
use sessions::Sessions;
use transfer::Transfer;
use turn::Turn;

pub use chunk_map::{ChunkMap, MapQuery, PeerRow};
pub use content::ContentTotals;
pub use input::{ChunkVerdict, DialFailure, Input, Join, Kept, Order, Patience, Purpose, Reread};
pub use io::{Bottleneck, CloseReason, Event, Extent, FetchFailure, LinkId, Output, RunRequest, UploadEnd};
pub use peers::{PeerStanding, PeerTotals};
pub use ranks::{Rank, Ranks};
pub use refusal::{Refusal, RefusalCause};
pub use reputation::Reputation;
pub use shares::ShareId;
pub use snapshot::{ContentSnapshot, FetchPhase, PeerSnapshot, Snapshot, Survey};
pub use timers::Timer;
pub use violation::Violation;

/// One node's decisions.
#[derive(Debug)]
pub struct Engine {
    node: NodeId,
    contents: Contents,
    sessions: Sessions,
    transfer: Transfer,
    serving: Serving,
    dialing: Dialing,
    pex: Pex,
    turn: Turn,
    takes_offers: bool,
    life: Life,
    next_handle: u32,
}

/// How far a node is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// Links are closed, and what is verified is made durable.
    Stopping,
    Stopped,
}

impl Engine {
    /// An engine for the node with this key. The seed is all the chance it will ever have.
    pub fn new(node: NodeId, seed: u64) -> Self {
        Self {
            node,
            contents: Contents::default(),
            sessions: Sessions::default(),
            transfer: Transfer::default(),
            serving: Serving::default(),
            dialing: Dialing::default(),
            pex: Pex::default(),
            turn: Turn::new(seed),
            takes_offers: false,
            life: Life::Running,
            next_handle: 0,
        }
    }

    /// From now on offers are not declined at once: each [`Event::Offered`] is answered by [`Input::Join`] or [`Input::Refuse`].
    pub fn take_offers(&mut self) {
        self.takes_offers = true;
    }

    /// What a node was worth at earlier runs. One that gave a wrong chunk not long ago is banned.
    pub fn remember(&mut self, node: NodeId, past: Reputation) {
        self.dialing.peers.remember(node, past);
    }

    /// Takes one fact, and everything that is due by now. Time that goes back counts as standing still.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.turn.now = self.turn.now.max(now);
        match input {
            Input::Wakeup => {}
            Input::Woke { slept } => self.on_woke(slept),
            Input::Join(join) => self.on_join(*join),
            Input::Share { content, share } => self.transfer.downloads.shares.put(content, share),
            Input::Limit { share, down } => {
                self.transfer.downloads.shares.limit(self.turn.now, share, down);
                self.transfer.fill_all(&mut self.turn);
            }
            Input::Rank { content, ranks } => self.transfer.rank(&mut self.turn, content, ranks),
            Input::StoreOpened { content, durable, wanted, kept } => {
                self.on_store_opened(content, (&durable, &wanted), kept)
            }
            Input::AddSource { content, node, addresses, purpose } => {
                self.on_source(content, node, addresses, purpose)
            }
            Input::LinkUp { link, node, role, dialed, address } => {
                self.on_link_up(link, (node, role), dialed, address)
            }
            Input::TurnedAway { link, reason } => self.on_turned_away(link, &reason),
            Input::Access(table) => self.on_access(table),
            Input::LinkDown { link, reason } => self.on_link_down(link, &reason),
            Input::DialFailed { node, failure } => self.on_dial_failed(node, failure),
            Input::Message { link, message } => self.on_message(link, message),
            Input::Malformed { link, violation } => self.punish(link, violation),
            Input::Measured { link, rtt } => self.transfer.on_measured(link, rtt),
            Input::Received { link, request, len } => self.on_received(link, request, len),
            Input::ChunkArrived { link, request, chunk } => {
                self.transfer.on_chunk_arrived(&mut self.turn, link, request, chunk);
            }
            Input::SliceKept { link, request, chunk, offset, len } => {
                self.transfer.on_slice_kept(&mut self.turn, (link, request), chunk, offset, len);
            }
            Input::StreamEnded { link, request } => self.on_stream_ended(link, request),
            Input::ChunkChecked { content, chunk, from, verdict } => {
                self.on_chunk_checked(content, chunk, from, verdict)
            }
            Input::StoreFailed { content } => {
                self.contents.fail(&mut self.turn, &mut self.transfer, content, FetchFailure::Store);
            }
            Input::Flushed { content, chunks } => {
                let (turn, transfer, is_stopping) =
                    (&mut self.turn, &mut self.transfer, self.life != Life::Running);
                if self.contents.on_flushed(turn, transfer, (content, &chunks), is_stopping) {
                    self.transfer.fill_all(&mut self.turn);
                }
            }
            Input::Reread { content, chunk, found } => {
                self.serving.on_reread(&mut self.turn, &mut self.transfer.downloads, (content, chunk), found);
            }
            Input::Finished { content } => self.on_finished(content),
            Input::UploadEnded { link, request, sent_len, end } => {
                self.on_upload_ended(link, request, sent_len, end)
            }
            Input::Leave { content, reason } => self.on_leave(content, reason),
            Input::Refuse { node, content, reason } => {
                if !self.contents.by_id.contains_key(&content) {
                    self.sessions.refuse(&mut self.turn, node, content, reason);
                }
            }
            Input::Stop => self.on_stop(),
        }
        while let Some(timer) = self.turn.timers.pop_due(self.turn.now) {
            self.on_timer(timer);
        }
        if self.life == Life::Stopping && !self.contents.is_flushing() {
            self.life = Life::Stopped;
            self.turn.emit(Event::Stopped);
        }
    }

    /// The next order, in sequence.
    pub fn poll(&mut self) -> Option<Output> {
        self.turn.poll()
    }

    /// The state of things, to look at.
    pub fn survey(&self) -> Survey<'_> {
        Survey::of(self)
    }

    /// When to come back with [`Input::Wakeup`] if nothing else happens, and what for.
    pub fn next_wakeup(&self) -> Option<(Instant, Timer)> {
        self.turn.timers.next()
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Haves(content) => self.serving.announce(&mut self.turn, &self.transfer.downloads, content),
            Timer::Flush(content) => {
                if let Some(state) = self.contents.by_id.get_mut(&content) {
                    state.flush(&mut self.turn, content);
                }
            }
            Timer::Stall(link) => {
                let stalled = self.transfer.on_stall_timer(&mut self.turn, link);
                if let Some(totals) = stalled.and_then(|node| self.dialing.peers.totals(node)) {
                    totals.stalls += 1;
                }
            }
            Timer::Reassign => self.transfer.reassign_all(&mut self.turn),
            Timer::Share => self.transfer.fill_all(&mut self.turn),
            Timer::Manifest(content) => {
                if let Some(link) = self.contents.on_manifest_timer(&mut self.turn, content) {
                    self.close(link, CloseReason::OfNoUse("did not send the manifest"));
                }
            }
            Timer::Patience(content) => self.on_patience_timer(content),
            Timer::Search(_) => {
                self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing)
            }
            Timer::Dial => self.dial_due(),
            Timer::Widen(content) => {
                let (dialing, turn, mut sights) = self.dialing();
                dialing.on_widen_timer(turn, &mut sights, content);
            }
            Timer::Exchange(content) => {
                let (sessions, transfer, peers) =
                    (&self.sessions.by_link, &self.transfer, &self.dialing.peers);
                self.pex.exchange(&mut self.turn, Crowd { sessions, transfer, peers }, content);
            }
            Timer::Neighbours(content) => {
                let (dialing, turn, mut sights) = self.dialing();
                dialing.look_for_neighbours(turn, &mut sights, content);
            }
            Timer::Slots => {
                self.serving.on_slots_timer(&mut self.turn, &self.transfer.downloads, &self.sessions.by_link)
            }
            Timer::Rotate => {
                self.serving.rotate(&mut self.turn, &self.transfer.downloads, &self.sessions.by_link)
            }
            Timer::Reread(content) => self.serving.on_reread_timer(&mut self.turn, content),
            Timer::Reveals(content) => {
                self.serving.look_at_reveals(&mut self.turn, &self.transfer.downloads, content);
            }
        }
    }

    fn on_stop(&mut self) {
        if self.life == Life::Running {
            self.life = Life::Stopping;
        }
        for (content, state) in &mut self.contents.by_id {
            self.serving.announce(&mut self.turn, &self.transfer.downloads, *content);
            state.flush(&mut self.turn, *content);
        }
        let links: Vec<LinkId> = self.sessions.by_link.keys().copied().collect();
        for link in links {
            self.close(link, CloseReason::Done);
        }
    }
}

#[cfg(test)]
mod tests;
