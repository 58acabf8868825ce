//! The engine: one alone among hostile peers, and a small world under any operations.
//!
//! The first is a script of bytes. Some are inputs of this node's driver (a chunk came, an upload ended), which keep to the
//! contract of `engine::Input`; the rest are messages of peers, in any order, with ids that are right now and then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swarm_core::base::limits::{FRAME_LEN_MAX, SOURCE_ADDRESSES_MAX};
use swarm_core::base::{Bitfield, ContentId, Instant, NodeId};
use swarm_core::manifest::{Manifest, Run};
use swarm_core::trust::Role;
use swarm_core::wire::{DeclineReason, Hello, Message, RequestId};
use swarm_engine::limits::REQUESTS_OPEN_MAX;
use swarm_engine::{
    ChunkVerdict, DialFailure, Engine, Event, Extent, Input, Join, Kept, LinkId, Order, Output, Patience,
    Purpose, Refusal, RefusalCause, Reread, RunRequest, UploadEnd, Violation,
};
use swarm_sim::Swarm;

use super::hostile::{self, Script};
use super::pieces::{address, manifest_of, node};
use super::{Samples, bounded};

/// Whatever peers send: no panic, few outputs for one input, memory that does not grow with the number of messages, no upload of
/// chunks that are not held, no output for a link that is gone, and no message that a peer would refuse.
pub(super) fn peer(bytes: &[u8]) {
    bounded(0, (0, HELD_LEN), || {
        let mut world = World::new();
        let mut script = Script(bytes);
        while let Some(op) = script.next() {
            world.step(op, &mut script);
        }
        world.end();
    });
}

/// One engine, and the state of its driver.
struct World {
    now: Instant,
    engine: Engine,
    manifests: [Manifest; 3],
    links: BTreeMap<LinkId, NodeId>,
    next_link: u64,
    receiving: BTreeMap<(LinkId, RequestId), (ContentId, Run)>,
    uploading: BTreeMap<(LinkId, RequestId), (ContentId, Run)>,
    dialing: VecDeque<NodeId>,
    /// Chunks that were verified and not lost, by content.
    held: BTreeMap<ContentId, Bitfield>,
    /// Inputs that outputs led to, in order.
    facts: Vec<Input>,
    is_stopped: bool,
}

impl World {
    /// Half of one content, only the id of a second, and a third without chunks.
    fn new() -> Self {
        let manifests = [
            manifest_of(&[("a", 120_000), ("b", 50_000)]),
            manifest_of(&[("c", 40_000)]),
            manifest_of(&[("d", 0)]),
        ];
        let mut engine = Engine::new(node(100), 7);
        engine.take_offers();
        let mut world = Self {
            now: Instant::ZERO,
            engine,
            manifests,
            links: BTreeMap::new(),
            next_link: 0,
            receiving: BTreeMap::new(),
            uploading: BTreeMap::new(),
            dialing: VecDeque::new(),
            held: BTreeMap::new(),
            facts: Vec::new(),
            is_stopped: false,
        };
        world.join(0, true);
        world.join(1, false);
        world.join(2, true);
        world
    }

    fn join(&mut self, which: usize, is_known: bool) {
        let manifest = self.manifests[which].clone();
        let (content, count) = (manifest.id(), manifest.geometry().chunk_count());
        let patience = Some(Patience { idle: Duration::from_secs(600), search: Duration::ZERO });
        let known = is_known.then_some(manifest);
        self.input(Input::Join(Box::new(Join {
            content,
            manifest: known,
            order: Order::RarestFirst,
            patience,
        })));
        if is_known {
            self.open_store(content, (0..count).map(|chunk| chunk % 2 == 0).collect());
        }
    }

    fn open_store(&mut self, content: ContentId, durable: Bitfield) {
        let wanted = Bitfield::full(durable.len());
        self.held.insert(content, durable.clone());
        self.input(Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
    }

    fn step(&mut self, op: u8, script: &mut Script<'_>) {
        match op % 16 {
            0 => self.link_up(script),
            1 => {
                if let Some(link) = self.pick_link(script.byte()) {
                    self.link_down(link);
                }
            }
            2 => self.raw_message(script),
            3..=9 => self.message(script),
            10 => self.chunk_comes(script),
            11 => self.upload_ends(script),
            12 => self.time_goes(Duration::from_millis(u64::from(script.word()) * 4)),
            13 => self.perform_facts(),
            14 => self.own_affairs(script),
            _ => self.dial_ends(script),
        }
    }

    fn link_up(&mut self, script: &mut Script<'_>) {
        if self.links.len() >= LINKS_MAX {
            return;
        }
        let what = script.byte();
        let peer = node(what % NODES);
        let dial = self.dialing.iter().position(|dialing| *dialing == peer).filter(|_| what & 0x80 != 0);
        let dialed = dial.and_then(|at| self.dialing.remove(at)).is_some();
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.links.insert(link, peer);
        let address = Some(address("198.51.100.7:4433"));
        let role = if what & 0x20 == 0 { Role::Full } else { Role::Mirror };
        self.input(Input::LinkUp { link, node: peer, role, dialed, address });
        // Most peers send Hello at once.
        if what & 0x40 == 0 {
            self.say(link, Message::Hello(Hello::ours()));
        }
    }

    fn link_down(&mut self, link: LinkId) {
        self.forget_link(link);
        self.input(Input::LinkDown { link, reason: "gone".to_owned() });
    }

    fn forget_link(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.receiving.retain(|(of, _), _| *of != link);
        self.uploading.retain(|(of, _), _| *of != link);
    }

    fn pick_link(&self, number: u8) -> Option<LinkId> {
        let at = usize::from(number) % self.links.len().max(1);
        self.links.keys().nth(at).copied()
    }

    fn say(&mut self, link: LinkId, message: Message) {
        if self.links.contains_key(&link) {
            self.input(Input::Message { link, message });
        }
    }

    /// A message decoded from bytes of the script, as from a link.
    fn raw_message(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.pick_link(script.byte()) else { return };
        let len = usize::from(script.byte());
        match Message::decode(script.take(len)) {
            Ok(Some(message)) => self.say(link, message),
            Ok(None) => {}
            Err(error) => {
                let violation = Violation::Malformed(error.to_string());
                self.input(Input::Malformed { link, violation });
            }
        }
    }

    fn message(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.pick_link(script.byte()) else { return };
        if let Some(message) = hostile::message(script, &self.manifests) {
            self.say(link, message);
        }
    }

    /// The next chunk of an open request arrives whole, is corrupt, or breaks off.
    fn chunk_comes(&mut self, script: &mut Script<'_>) {
        let (which, how) = (script.byte(), script.byte());
        let at = usize::from(which) % self.receiving.len().max(1);
        let Some((&(link, request), &(content, run))) = self.receiving.iter().nth(at) else { return };
        let Some(manifest) = self.manifests.iter().find(|manifest| manifest.id() == content) else { return };
        let pieces: Vec<_> = manifest.geometry().pieces(run).collect();
        let from = self.links.get(&link).copied();
        self.receiving.remove(&(link, request));
        for piece in pieces {
            let chunk = piece.chunk;
            if how % 4 == 3 || !piece.is_whole {
                let len = piece.len - piece.len / 3 * u32::from(how % 4 == 3);
                self.input(Input::Received { link, request, len });
                let offset = piece.offset;
                self.input(Input::SliceKept { link, request, chunk, offset, len });
                break;
            }
            self.input(Input::Received { link, request, len: piece.len });
            self.input(Input::ChunkArrived { link, request, chunk });
            let verdict = if how % 4 == 2 { ChunkVerdict::Corrupt } else { ChunkVerdict::Verified };
            self.checked(content, chunk.get(), from, verdict);
        }
        if self.links.contains_key(&link) {
            self.input(Input::StreamEnded { link, request });
        }
    }

    fn checked(&mut self, content: ContentId, chunk: u32, from: Option<NodeId>, verdict: ChunkVerdict) {
        let Some(manifest) = self.manifests.iter().find(|manifest| manifest.id() == content) else { return };
        let Some(minted) = manifest.geometry().chunk(chunk) else { return };
        if let (ChunkVerdict::Verified, Some(held)) = (verdict, self.held.get_mut(&content)) {
            held.insert(chunk);
        }
        self.input(Input::ChunkChecked { content, chunk: minted, from, verdict });
    }

    fn upload_ends(&mut self, script: &mut Script<'_>) {
        let (which, how) = (script.byte(), script.byte());
        let at = usize::from(which) % self.uploading.len().max(1);
        let Some((&(link, request), &(content, run))) = self.uploading.iter().nth(at) else { return };
        self.uploading.remove(&(link, request));
        let (end, sent_len) = match how % 4 {
            0 => (UploadEnd::Stopped, 0),
            1 if how > 200 => {
                if let Some(held) = self.held.get_mut(&content) {
                    held.remove(run.first().get());
                }
                (UploadEnd::Lost(run.first()), 0)
            }
            2 if how > 200 => {
                let (extent, reason) = (Extent::Content, String::new());
                (UploadEnd::Unreadable { chunk: run.first(), extent, reason }, 0)
            }
            _ => (UploadEnd::Sent, u64::from(run.len())),
        };
        self.input(Input::UploadEnded { link, request, sent_len, end });
    }

    fn time_goes(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..WAKEUPS_MAX {
            let Some((at, _)) = self.engine.next_wakeup().filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            self.input(Input::Wakeup);
        }
        self.now = until;
        self.input(Input::Wakeup);
    }

    fn perform_facts(&mut self) {
        for fact in std::mem::take(&mut self.facts) {
            self.input(fact);
        }
    }

    /// Inputs of the product and the transport.
    fn own_affairs(&mut self, script: &mut Script<'_>) {
        let (what, content) = (script.byte(), hostile::content_of(script, &self.manifests));
        match what % 16 {
            0..=3 => {
                let addresses = vec![address("203.0.113.9:4433")];
                let purpose = match what >> 4 {
                    0..=4 => Purpose::Fetch,
                    5..=9 => Purpose::Push,
                    10..=12 => Purpose::Offered,
                    _ => Purpose::Meet,
                };
                self.input(Input::AddSource { content, node: node(what >> 4), addresses, purpose });
            }
            4..=9 => {
                if let Some(link) = self.pick_link(what >> 4) {
                    self.input(Input::Measured { link, rtt: Duration::from_millis(u64::from(what)) });
                }
            }
            10 | 11 => {
                self.input(Input::Refuse { node: node(what >> 4), content, reason: DeclineReason::NoRoom })
            }
            12 => {
                self.held.remove(&content);
                self.input(Input::Leave { content, reason: DeclineReason::NotHere });
            }
            13 => self.input(Input::StoreFailed { content }),
            14 if what > 0xd0 => self.input(Input::Stop),
            _ => {}
        }
    }

    fn dial_ends(&mut self, script: &mut Script<'_>) {
        let Some(node) = self.dialing.pop_front() else { return };
        let failure = match script.byte() % 3 {
            0 => DialFailure::Refused(Refusal::new(RefusalCause::WrongKey, "another key")),
            _ => DialFailure::Unreachable("no answer".to_owned()),
        };
        self.input(Input::DialFailed { node, failure });
    }

    /// The oldest dial fails, as dials do in time.
    fn oldest_dial_fails(&mut self) {
        if let Some(node) = self.dialing.pop_front() {
            let failure = DialFailure::Unreachable("no answer".to_owned());
            self.facts.push(Input::DialFailed { node, failure });
        }
    }

    /// Passes an input to the engine and takes all outputs.
    fn input(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        let mut count = 0;
        while let Some(output) = self.engine.poll() {
            count += 1;
            assert!(count <= OUTPUTS_MAX, "more than {OUTPUTS_MAX} orders for one fact");
            self.perform(output);
        }
        let is_over = self.engine.next_wakeup().is_none_or(|(at, _)| at > self.now);
        assert!(is_over, "something is still due");
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { node, addresses } => {
                assert!(addresses.len() <= SOURCE_ADDRESSES_MAX);
                // A meeting is dialed in addition to other dials, so a node may be listed twice.
                self.dialing.push_back(node);
                if self.dialing.len() > DIALS_MAX {
                    self.oldest_dial_fails();
                }
            }
            Output::Close { link, .. } => {
                assert!(self.links.contains_key(&link), "a link that is gone is closed");
                self.forget_link(link);
            }
            Output::Send { link, message } => {
                assert!(self.links.contains_key(&link), "something is said on a link that is gone");
                let written = message.encode();
                assert!(written.len() <= FRAME_LEN_MAX);
                assert_eq!(Message::decode(written), Ok(Some(message)));
            }
            Output::Receive(RunRequest { link, request, content, run }) => {
                assert!(self.links.contains_key(&link), "something is asked of a link that is gone");
                assert!(self.receiving.insert((link, request), (content, run)).is_none());
                let open = self.receiving.keys().filter(|(of, _)| *of == link).count();
                assert!(open <= REQUESTS_OPEN_MAX);
            }
            Output::Abandon { link, request } => {
                // What a driver does if the stream has not started.
                if self.receiving.remove(&(link, request)).is_some() {
                    self.facts.push(Input::StreamEnded { link, request });
                }
            }
            Output::Upload(RunRequest { link, request, content, run }) => {
                self.upload((link, request), content, run)
            }
            Output::StopUpload { link, request } => {
                if self.uploading.remove(&(link, request)).is_some() {
                    let end = UploadEnd::Stopped;
                    self.facts.push(Input::UploadEnded { link, request, sent_len: 0, end });
                }
            }
            Output::VerifyKept { content, chunk } => {
                if let Some(held) = self.held.get_mut(&content) {
                    held.insert(chunk.get());
                }
                let verdict = ChunkVerdict::Verified;
                self.facts.push(Input::ChunkChecked { content, chunk, from: None, verdict });
            }
            Output::Reread { content, chunk } => {
                self.facts.push(Input::Reread { content, chunk, found: Reread::Readable });
            }
            Output::Flush { content } => {
                let geometry = self.manifests.iter().find(|manifest| manifest.id() == content);
                let chunks = geometry.zip(self.held.get(&content)).map(|(manifest, held)| {
                    held.iter().filter_map(|chunk| manifest.geometry().chunk(chunk)).collect()
                });
                self.facts.push(Input::Flushed { content, chunks: chunks.unwrap_or_default() });
            }
            Output::Finish { content } => self.facts.push(Input::Finished { content }),
            Output::Event(event) => self.on_event(event),
        }
    }

    /// No unverified chunk is served.
    fn upload(&mut self, name: (LinkId, RequestId), content: ContentId, run: Run) {
        assert!(self.links.contains_key(&name.0), "something is sent on a link that is gone");
        let manifest = self.manifests.iter().find(|manifest| manifest.id() == content).expect("it is ours");
        let held = self.held.get(&content).expect("it is open");
        assert!(manifest.geometry().pieces(run).all(|piece| held.contains(piece.chunk.get())));
        assert!(self.uploading.insert(name, (content, run)).is_none(), "two uploads have one name");
        assert!(self.uploading.len() <= UPLOADS_MAX);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::ManifestComplete { manifest } => {
                let content = manifest.id();
                assert_eq!(content, self.manifests[1].id());
                let durable = Bitfield::new(manifest.geometry().chunk_count());
                self.held.insert(content, durable.clone());
                let wanted = Bitfield::full(durable.len());
                self.facts.push(Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
            }
            Event::ChunkLost { content, chunk } => {
                if let Some(held) = self.held.get_mut(&content) {
                    held.remove(chunk.get());
                }
            }
            Event::Stopped => {
                assert!(!std::mem::replace(&mut self.is_stopped, true), "it stops once");
            }
            Event::ReadTrouble { .. }
            | Event::ReadAgain { .. }
            | Event::PeerJoined { .. }
            | Event::PeerLeft { .. }
            | Event::PeerUnreachable { .. }
            | Event::PeerDeclined { .. }
            | Event::PeerDenied { .. }
            | Event::Offered { .. }
            | Event::PeerFound { .. }
            | Event::PeerBanned { .. }
            | Event::BlamedByPeer { .. }
            | Event::PeerAccused { .. }
            | Event::PeerCompleted { .. }
            | Event::PeerDurable { .. }
            | Event::Completed { .. }
            | Event::Failed { .. }
            | Event::Left { .. } => {}
        }
    }

    /// The snapshot adds up, and the engine ends when it is told to.
    fn end(mut self) {
        for shown in self.engine.survey().snapshot().contents {
            assert!(
                shown.durable_len <= shown.verified_len && shown.verified_len <= shown.wanted_len,
                "{shown:?}"
            );
        }
        self.engine
            .survey()
            .presences()
            .iter()
            .for_each(|shown| assert!(shown.have_count <= shown.chunk_count));
        self.input(Input::Stop);
        for _ in 0..WAKEUPS_MAX {
            if self.facts.is_empty() {
                break;
            }
            self.perform_facts();
        }
        assert!(self.is_stopped && self.links.is_empty(), "it was told to stop");
    }
}

/// In a small world the checkers find nothing and every node finishes. Two bytes are the seed, one the
/// number of leeches, the rest is a script.
pub(super) fn ops(bytes: &[u8]) {
    let [low, high, leeches, script @ ..] = bytes else { return };
    let seed = u64::from(u16::from_le_bytes([*low, *high]));
    let report = Swarm::small(seed, 1 + u32::from(*leeches % 8), script).run();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

pub(super) fn ops_samples() -> Samples {
    vec![
        ("quiet", vec![7, 0, 4]),
        (
            "more_trouble",
            [vec![9, 1, 5], vec![0x10, 0x27, 2, 0, 0, 0, 0x20, 0x4e, 3, 2, 0, 0, 0, 1, 1, 3, 0xff, 0x7f]]
                .concat(),
        ),
    ]
}

/// Links at once, and the number of nodes behind them.
const LINKS_MAX: usize = 8;
const NODES: u8 = 16;
/// Dials under way; the oldest fails for one more.
const DIALS_MAX: usize = 32;
/// Outputs of one input among so few peers and chunks: a message and a request to each peer for every chunk, and more.
const OUTPUTS_MAX: usize = 512;
/// Uploads of all peers together.
const UPLOADS_MAX: usize = 64;
const WAKEUPS_MAX: usize = 1000;
/// Memory of an engine and its driver for three small contents and eight peers, bytes, however long the script.
const HELD_LEN: u64 = 2 << 20;
