//! Serving: uploads, unchoke slots, and telling peers which chunks there are. Owns the upload queues, the uplink's meter, the
//! super-seedings, what was not announced yet and what cannot be read. Invariants: only a peer with an unchoke slot is sent anything; what is announced is
//! verified. Absent: who takes part, what is fetched, payload.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId, Rate};
use swarm_core::manifest::{ChunkIndex, Run};
use swarm_core::wire::{ChunkRuns, Message, RejectReason, RequestId};

use super::capacity::{Slots, UploadMeter};
use super::download::Downloads;
use super::io::{LinkId, Output, RunRequest};
use super::session::Session;
use super::super_seeding::SuperSeeding;
use super::timers::Timer;
use super::turn::Turn;
use super::unreadable::Unreadable;
use super::uploads::{Need, Uploads};

#[derive(Debug, Default)]
pub(super) struct Serving {
    pub(super) uploads: Uploads,
    pub(super) meter: UploadMeter,
    /// While this node super-seeds anything.
    pub(super) slots: Option<Slots>,
    /// Contents of which this node has the only full copy that it knows of.
    pub(super) seedings: BTreeMap<ContentId, SuperSeeding>,
    /// Chunks verified since peers were last told, of each content whose store is open.
    pub(super) unannounced: BTreeMap<ContentId, Bitfield>,
    /// What cannot be read just now, of each content in trouble.
    pub(super) unreadable: BTreeMap<ContentId, Unreadable>,
}

impl Serving {
    /// The store of a content is open.
    pub(super) fn open(&mut self, turn: &mut Turn, downloads: &Downloads, content: ContentId) {
        let Some(chunks) = downloads.chunks(content) else { return };
        self.unannounced.insert(content, Bitfield::new(chunks.geometry().chunk_count()));
        if chunks.have().is_full() {
            self.seedings.insert(content, SuperSeeding::new(chunks.geometry(), &mut turn.rng));
        }
    }

    /// This node left a content, or joins it anew.
    pub(super) fn forget(&mut self, content: ContentId) {
        self.unannounced.remove(&content);
        self.seedings.remove(&content);
        self.unreadable.remove(&content);
    }

    pub(super) fn on_link_up(&mut self, turn: &mut Turn, link: LinkId) {
        if self.uploads.on_link_up(turn.now, link) {
            turn.send(link, Message::Choke { choked: false });
        } else {
            turn.timers.set_if_unset(Timer::Rotate, turn.now + ROTATE_INTERVAL);
        }
    }

    /// Highest rate of the last minutes at which payload went out while a request always waited.
    pub(super) fn capacity(&self, turn: &Turn) -> Rate {
        self.meter.capacity(turn.now)
    }

    /// Both sides know the manifest: the peer hears of the chunks here.
    pub(super) fn introduce(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
    ) {
        let Some(chunks) = downloads.chunks(content) else { return };
        self.uploads.on_alive(turn.now, link);
        if self.seedings.contains_key(&content) {
            self.reveal_to_newcomer(turn, downloads, link, content);
        } else {
            send_haves(turn, downloads, link, content, ChunkRuns::of(chunks.have()));
        }
    }

    /// A chunk is verified; it is announced with those that follow soon.
    pub(super) fn on_verified(&mut self, turn: &mut Turn, content: ContentId, chunk: ChunkIndex) {
        if let Some(unannounced) = self.unannounced.get_mut(&content) {
            unannounced.insert(chunk.get());
        }
        turn.timers.set_if_unset(Timer::Haves(content), turn.now + HAVE_DELAY);
    }

    /// Tells all peers what was verified since the last time.
    pub(super) fn announce(&mut self, turn: &mut Turn, downloads: &Downloads, content: ContentId) {
        turn.timers.cancel(Timer::Haves(content));
        let Some(unannounced) = self.unannounced.get_mut(&content).filter(|chunks| !chunks.is_empty()) else {
            return;
        };
        let len = unannounced.len();
        let fresh = ChunkRuns::of(&std::mem::replace(unannounced, Bitfield::new(len)));
        for link in downloads.introduced(content) {
            self.uploads.on_alive(turn.now, link);
            send_haves(turn, downloads, link, content, fresh.clone());
        }
    }

    /// A peer asks for a run that is here in part or whole.
    pub(super) fn on_request(&mut self, turn: &mut Turn, downloads: &Downloads, wanted: RunRequest) {
        let RunRequest { link, request, content, run } = wanted;
        self.on_reveal_taken(turn, downloads, link, content, run);
        let Some(chunks) = downloads.chunks(content) else { return };
        let is_held = chunks.geometry().pieces(run).all(|piece| chunks.have().contains(piece.chunk.get()));
        if !is_held {
            reject(turn, link, request, RejectReason::NotHeld);
        } else if !self.uploads.is_unchoked(link) {
            // Its slot ended while it asked; it wants one.
            self.uploads.on_alive(turn.now, link);
            reject(turn, link, request, RejectReason::Choked);
        } else if !self.uploads.push(wanted) {
            reject(turn, link, request, RejectReason::TooMany);
        } else {
            self.serve(turn, downloads);
        }
    }

    pub(super) fn on_cancel(&mut self, turn: &mut Turn, link: LinkId, request: RequestId) {
        // What was handed over may still be waiting to go out.
        if self.uploads.on_cancelled(link, request) != Some(false) {
            turn.order(Output::StopUpload { link, request });
        }
    }

    /// Starts uploads as long as there is room.
    pub(super) fn serve(&mut self, turn: &mut Turn, downloads: &Downloads) {
        let is_one_by_one = |wanted: &RunRequest| {
            // A peer that lacks more has something else to fetch meanwhile, and would take this one for slow.
            let lacks_little = |has: &Bitfield| has.len() - has.count() <= LACKING_LITTLE;
            let is_rare = |run: Run| {
                let chunks = downloads.chunks(wanted.content);
                chunks.is_some_and(|chunks| chunks.picker.is_rarer_than(RARE_BELOW, run.first().get()))
            };
            downloads.has(wanted.link, wanted.content).is_some_and(lacks_little) && is_rare(wanted.run)
        };
        let share_of = |content| downloads.shares.of(content);
        while let Some(wanted) = self.uploads.pop(turn.now, is_one_by_one, share_of) {
            turn.order(Output::Upload(wanted));
        }
        if self.uploads.has_waiting() {
            // What waits for another peer may go when that takes too long.
            turn.timers.set_if_unset(Timer::Rotate, turn.now + ROTATE_INTERVAL);
        }
    }

    /// An upload is over. Returns what it was, if the link still stands.
    pub(super) fn on_upload_ended(
        &mut self,
        turn: &mut Turn,
        (link, request): (LinkId, RequestId),
        sent_len: u64,
    ) -> Option<RunRequest> {
        let ended = self.uploads.on_ended(link, request)?;
        self.meter.on_sent(turn.now, sent_len, self.uploads.has_waiting());
        Some(ended)
    }

    /// This node leaves a content: what waits is rejected, what is sent is stopped.
    pub(super) fn stop(&mut self, turn: &mut Turn, content: ContentId) {
        for (link, request) in self.uploads.take_waiting(|wanted| wanted.content == content) {
            reject(turn, link, request, RejectReason::NotHeld);
        }
        for (link, request) in self.uploads.active_of(content) {
            reject(turn, link, request, RejectReason::NotHeld);
            turn.order(Output::StopUpload { link, request });
        }
    }

    /// Gives unchoke slots to other peers, where it is their turn.
    pub(super) fn rotate(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        sessions: &BTreeMap<LinkId, Session>,
    ) {
        let need = |link: LinkId| self.need(turn, downloads, link, sessions.get(&link));
        let needs: BTreeMap<LinkId, Need> = sessions.keys().map(|link| (*link, need(*link))).collect();
        let need = |link: LinkId| needs.get(&link).copied().unwrap_or(Need::Nothing);
        let rotation = self.uploads.rotate(turn.now, need);
        for (link, requests) in rotation.choked {
            turn.send(link, Message::Choke { choked: true });
            for request in requests {
                reject(turn, link, request, RejectReason::Choked);
            }
            self.on_slot(turn, downloads, link);
        }
        for link in rotation.unchoked {
            turn.send(link, Message::Choke { choked: false });
            self.on_slot(turn, downloads, link);
        }
        if self.uploads.has_choked() {
            turn.timers.set(Timer::Rotate, turn.now + ROTATE_INTERVAL);
        }
        self.serve(turn, downloads);
    }

    /// What a slot would do for a peer.
    fn need(&self, turn: &Turn, downloads: &Downloads, link: LinkId, session: Option<&Session>) -> Need {
        let Some(session) = session else { return Need::Nothing };
        let is_wanted = |content: &&ContentId| {
            let (chunks, has) = (downloads.chunks(**content), downloads.has(link, **content));
            chunks.zip(has).is_some_and(|(chunks, has)| chunks.have().has_beyond(has))
        };
        let holds_back =
            |content: &ContentId| self.seedings.get(content).is_some_and(|seeding| seeding.holds_back(link));
        let (mut is_interested, mut is_held_back) = (false, true);
        for content in session.remotes.keys().filter(is_wanted) {
            is_interested = true;
            is_held_back &= holds_back(content);
        }
        match turn.now.since(session.last_gain_at) {
            _ if !is_interested => Need::Nothing,
            idle if is_held_back && idle < FORSAKEN_AFTER => Need::Little,
            idle if idle < STARVING_AFTER => Need::More,
            _ => Need::Starving,
        }
    }
}

pub(super) fn send_haves(
    turn: &mut Turn,
    downloads: &Downloads,
    link: LinkId,
    content: ContentId,
    haves: Vec<ChunkRuns>,
) {
    let Some(handle) = downloads.handle(content) else { return };
    for chunks in haves {
        turn.send(link, Message::Have { handle, chunks });
    }
}

pub(super) fn reject(turn: &mut Turn, link: LinkId, request: RequestId, reason: RejectReason) {
    turn.send(link, Message::Reject { request, reason });
}

/// A chunk that hardly any peer has is sent to one peer at a time that has all else: the first to have it passes it on, and sent to
/// ten at once it would reach the first as late as the last.
const RARE_BELOW: u32 = 3;
const LACKING_LITTLE: u32 = 2;
/// A peer that gets nothing from any other for so long is not to wait for a whole slot's time.
const STARVING_AFTER: Duration = Duration::from_secs(10);
/// A peer that passes nothing on is not to wait until it gives up, which a fetch does after a minute.
const FORSAKEN_AFTER: Duration = Duration::from_secs(30);
/// How often slots may change hands while a peer waits for one.
const ROTATE_INTERVAL: Duration = Duration::from_secs(2);
/// Haves are batched this long: 10 to 20 ms cost no peer a turn and save most messages.
const HAVE_DELAY: Duration = Duration::from_millis(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::Chunks;
    use crate::input::Order;
    use crate::io::Event;
    use crate::tests::manifest_of;
    use crate::transfer::Transfer;
    use swarm_core::base::Instant;
    use swarm_core::wire::Handle;

    const COUNT: u32 = 4;
    const LINK: LinkId = LinkId(1);

    /// A node that has these chunks of a content of four, and two peers that have none of them.
    fn scene(has: impl Fn(u32) -> bool) -> (Serving, Transfer, Turn, ContentId) {
        let manifest = manifest_of(&[("a", COUNT as usize * (16 << 10))]);
        let (content, durable) = (manifest.id(), (0..COUNT).map(has).collect());
        let (mut serving, mut transfer, mut turn) = (Serving::default(), Transfer::default(), Turn::new(1));
        transfer.join(content, Handle(1));
        let chunks = Chunks::new(manifest, &durable, &Bitfield::full(COUNT), Order::RarestFirst, 1);
        transfer.open(content, chunks);
        serving.open(&mut turn, &transfer.downloads, content);
        for link in [LINK, LinkId(2)] {
            transfer.on_link_up(
                Instant::ZERO,
                link,
                swarm_core::base::NodeId::from_bytes([link.0 as u8; 32]),
            );
            serving.on_link_up(&mut turn, link);
            transfer.downloads.introduce(link, content);
            serving.introduce(&mut turn, &transfer.downloads, link, content);
        }
        (serving, transfer, turn, content)
    }

    fn words(turn: &mut Turn) -> String {
        let word = |output| match output {
            Output::Send { message: Message::Choke { choked: false }, .. } => "unchoke",
            Output::Send { message: Message::Have { .. }, .. } => "have",
            Output::Send { message: Message::Lost { .. }, .. } => "lost",
            Output::Send { message: Message::Reject { .. }, .. } => "reject",
            Output::Upload(_) => "upload",
            Output::StopUpload { .. } => "stop",
            Output::Event(Event::ChunkLost { .. }) => "told-of-loss",
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| turn.poll()).map(word).collect::<Vec<_>>().join(" ")
    }

    fn wanted(downloads: &Downloads, content: ContentId, request: u64, chunk: u32) -> RunRequest {
        let geometry = downloads.chunks(content).expect("it is open").geometry();
        let run = geometry.run(chunk, 0, 16 << 10).expect("one chunk");
        RunRequest { link: LINK, request: RequestId(request), content, run }
    }

    #[test]
    fn what_is_here_is_sent_and_what_is_not_is_rejected() {
        let (mut serving, transfer, mut turn, content) = scene(|chunk| chunk < 2);
        assert_eq!(words(&mut turn), "unchoke have unchoke have");
        for (chunk, expected) in [(0, "upload"), (3, "reject")] {
            let wanted = wanted(&transfer.downloads, content, u64::from(chunk), chunk);
            serving.on_request(&mut turn, &transfer.downloads, wanted);
            assert_eq!(words(&mut turn), expected, "chunk {chunk}");
        }
        serving.stop(&mut turn, content);
        assert_eq!(words(&mut turn), "reject stop");
    }

    #[test]
    fn a_chunk_that_is_lost_is_taken_back_from_all_and_told_once() {
        let (mut serving, mut transfer, mut turn, content) = scene(|chunk| chunk < 2);
        words(&mut turn);
        let chunk = transfer
            .downloads
            .chunks(content)
            .and_then(|chunks| chunks.geometry().chunk(0))
            .expect("a chunk");
        serving.withdraw(&mut turn, &mut transfer.downloads, content, chunk);
        assert_eq!(words(&mut turn), "lost lost told-of-loss");
        serving.withdraw(&mut turn, &mut transfer.downloads, content, chunk);
        assert_eq!(words(&mut turn), "");
    }

    #[test]
    fn verified_chunks_are_announced_together_and_once() {
        let (mut serving, transfer, mut turn, content) = scene(|chunk| chunk < 2);
        words(&mut turn);
        for chunk in transfer.downloads.chunks(content).expect("it is open").geometry().chunks().take(2) {
            serving.on_verified(&mut turn, content, chunk);
        }
        serving.announce(&mut turn, &transfer.downloads, content);
        assert_eq!(words(&mut turn), "have have", "one to each peer");
        serving.announce(&mut turn, &transfer.downloads, content);
        assert_eq!(words(&mut turn), "");
    }

    #[test]
    fn the_only_full_copy_shows_a_lone_peer_all_and_two_peers_a_part_each() {
        let (mut serving, transfer, mut turn, content) = scene(|_| true);
        // The first saw all; as the second came, that was taken back, and each is shown its part.
        assert_eq!(words(&mut turn), "unchoke have unchoke lost have have");
        serving.on_part_ended(&mut turn, &transfer.downloads, LinkId(2), content);
        assert_eq!(words(&mut turn), "have", "the first is alone again");
    }
}
