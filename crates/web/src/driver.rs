//! One node: facts in, effects out. Performs the engine's orders on its links and contents; decides nothing that the engine decides.
//!
//! Usage: tell it a fact (`on_…`, or what a product wants), take [`Driver::next_effect`] until there is none, and come back at
//! [`Driver::next_wakeup`] with [`Driver::on_time`]. Effects are to be performed in order.

mod links;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use self::links::End;
use crate::content::Content;
use crate::effect::{Channel, Effect, Notice, ReadId};
use crate::limits::{HANDSHAKE_TIMEOUT, PING_INTERVAL, SEARCH_PATIENCE};
use crate::link::{Link, Own, Stage};
use swarm_carrier::Binding;
use swarm_core::base::limits::LINK_IDLE_TIMEOUT;
use swarm_core::base::{Bitfield, Category, ContentId, Instant, NodeId};
use swarm_core::manifest::{ChunkIndex, Manifest, SigningKey, Source};
use swarm_core::wire::DeclineReason;
use swarm_engine::{
    ChunkVerdict, DialFailure, Engine, Event, FetchFailure, Input, Join, Kept, LinkId, Order, Output,
    Patience, Purpose, Reread, RunRequest, Snapshot,
};

/// A node in a page.
pub struct Driver {
    key: SigningKey,
    node: NodeId,
    engine: Engine,
    now: Instant,
    links: BTreeMap<Channel, Link>,
    next_channel: u32,
    contents: BTreeMap<ContentId, Content>,
    reads: BTreeMap<ReadId, Purposed>,
    next_read: u32,
    /// Facts that the engine is still to hear.
    inputs: VecDeque<Input>,
    effects: VecDeque<Effect>,
    /// What random numbers are drawn from, and how many were.
    seed: [u8; 32],
    drawn: u64,
}

/// What a read is for.
#[derive(Clone, Copy, Debug)]
enum Purposed {
    Upload(ContentId, ChunkIndex),
    VerifyKept(ContentId, ChunkIndex),
    Reread(ContentId, ChunkIndex),
}

impl Driver {
    /// A node with this secret key (RFC 8032 seed). The seed must be new and random: all chance comes from it.
    pub fn new(secret: &[u8; 32], seed: [u8; 32]) -> Self {
        let key = SigningKey::from_seed(secret);
        let node = key.public();
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(&seed).as_bytes();
        Self {
            engine: Engine::new(node, u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            key,
            node,
            now: Instant::ZERO,
            links: BTreeMap::new(),
            next_channel: 0,
            contents: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_read: 0,
            inputs: VecDeque::new(),
            effects: VecDeque::new(),
            seed,
            drawn: 0,
        }
    }

    /// The public key of this node.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// The next effect.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to come back if nothing else happens.
    pub fn next_wakeup(&self) -> Option<Instant> {
        let engine = self.engine.next_wakeup().map(|(at, _)| at);
        let links = self.links.values().map(|link| match &link.stage {
            Stage::Up(up) => (up.pinged_at + PING_INTERVAL).min(link.heard_at + LINK_IDLE_TIMEOUT),
            _ => link.heard_at + HANDSHAKE_TIMEOUT,
        });
        links.chain(engine).min()
    }

    /// Everything at this instant.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.survey().snapshot()
    }

    /// The manifest of a content, once it is known.
    pub fn manifest(&self, content: ContentId) -> Option<&Manifest> {
        self.contents.get(&content).map(|content| &content.manifest)
    }

    /// Fetches a content from these nodes, and serves what it has of it.
    pub fn fetch(
        &mut self,
        content: ContentId,
        sources: Vec<Source>,
        manifest: Option<Manifest>,
        patience: Duration,
    ) {
        let patience = Some(Patience { idle: patience, search: SEARCH_PATIENCE });
        if let Some(manifest) = &manifest {
            self.add_content(manifest.clone());
        }
        self.tell(Input::Join(Box::new(Join { content, manifest, order: Order::RarestFirst, patience })));
        for source in sources {
            self.add_source(content, source);
        }
        self.work();
    }

    /// Serves a content of which every byte is there.
    pub fn seed(&mut self, manifest: Manifest) {
        let content = manifest.id();
        let mut whole = Content::new(manifest.clone());
        let chunks = whole.open_whole();
        self.contents.insert(content, whole);
        let join = Join { content, manifest: Some(manifest), order: Order::RarestFirst, patience: None };
        self.tell(Input::Join(Box::new(join)));
        let wanted = Bitfield::new(chunks.len());
        self.tell(Input::StoreOpened { content, durable: chunks, wanted, kept: Kept::new() });
        self.work();
    }

    /// Names a node that may have a content.
    pub fn add_source(&mut self, content: ContentId, Source { node, addresses }: Source) {
        self.tell(Input::AddSource { content, node, addresses, purpose: Purpose::Fetch });
        self.work();
    }

    /// Takes no part in a content any more.
    pub fn leave(&mut self, content: ContentId) {
        self.tell(Input::Leave { content, reason: DeclineReason::NotHere });
        self.work();
    }

    /// Ends everything: flushes, tells peers, closes links.
    pub fn stop(&mut self) {
        self.tell(Input::Stop);
        self.work();
    }

    /// It is so late now. To be told before any other fact.
    pub fn on_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let channels: Vec<Channel> = self.links.keys().copied().collect();
        for channel in channels {
            self.look_after(channel);
        }
        self.tell(Input::Wakeup);
        self.work();
    }

    /// Nothing of the world was heard for a while: the page was frozen, or the machine asleep.
    pub fn on_woke(&mut self, slept: Duration) {
        // Whoever has left meanwhile is noticed by its channel.
        self.links.values_mut().for_each(|link| link.heard_at = self.now);
        self.tell(Input::Woke { slept });
        self.work();
    }

    /// A peer has opened a channel to this node. Returns its number. Without a binding it is not encrypted.
    pub fn on_accepted(&mut self, binding: Option<Binding>) -> Channel {
        let channel = self.new_channel();
        self.links.insert(channel, Link::new(None, false, self.now));
        self.on_opened(channel, binding);
        channel
    }

    /// A channel that was asked for is open. Without a binding it is not encrypted.
    pub fn on_opened(&mut self, channel: Channel, binding: Option<Binding>) {
        let seed = self.random();
        let own = Own { key: &self.key, node: self.node, seed };
        let Some(link) = self.links.get_mut(&channel) else { return };
        link.heard_at = self.now;
        if let Some(message) = link.on_opened(binding, &own) {
            self.effects.push_back(Effect::Send { channel, message });
        }
    }

    /// A message came, decrypted.
    pub fn on_message(&mut self, channel: Channel, message: Bytes) {
        let Some(link) = self.links.get_mut(&channel) else { return };
        link.heard_at = self.now;
        if matches!(link.stage, Stage::Up(_)) {
            self.on_record(channel, message);
        } else {
            self.on_handshake(channel, &message);
        }
        self.work();
    }

    /// So many bytes of messages have left.
    pub fn on_sent(&mut self, channel: Channel, len: usize) {
        if let Some(link) = self.links.get_mut(&channel) {
            link.unsent_len = link.unsent_len.saturating_sub(len);
            self.work();
        }
    }

    /// A channel is closed, or could not be opened.
    pub fn on_closed(&mut self, channel: Channel, reason: &str) {
        self.drop_link(channel, reason, End::Lost);
        self.work();
    }

    /// The storage of a content is open. The record is what it was given at the last flush; empty if it is new.
    pub fn on_stored(&mut self, content: ContentId, record: &[u8]) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let durable = state.open(record);
        let wanted = Bitfield::full(durable.len());
        self.tell(Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
        self.work();
    }

    /// The storage of a content has failed: nothing more can be written there.
    pub fn on_store_failed(&mut self, content: ContentId, category: Category, reason: &str) {
        let reason = reason.to_owned();
        self.effects.push_back(Effect::Notice(Notice::Failed { content, category, reason }));
        self.tell(Input::StoreFailed { content });
        self.work();
    }

    /// Bytes that were asked for; `None` if they cannot be read.
    pub fn on_read(&mut self, id: ReadId, bytes: Option<Bytes>) {
        let Some(purpose) = self.reads.remove(&id) else { return };
        let (Purposed::Upload(content, chunk)
        | Purposed::VerifyKept(content, chunk)
        | Purposed::Reread(content, chunk)) = purpose;
        let Some(state) = self.contents.get_mut(&content) else { return };
        let is_readable = bytes.is_some();
        let is_right = bytes.is_some_and(|bytes| state.check(chunk, bytes));
        match purpose {
            // The fault of the storage, and of no peer.
            Purposed::VerifyKept(..) if !is_readable => {
                state.has_verified(chunk);
                let words = "what was received cannot be read back: reload the page to go on";
                return self.on_store_failed(content, Category::Disk, words);
            }
            Purposed::Reread(..) if !is_readable => {
                self.tell(Input::Reread { content, chunk, found: Reread::Trouble });
            }
            Purposed::Upload(..) if is_right => {}
            Purposed::Upload(..) => {
                state.on_lost(chunk);
                self.lose(content, chunk);
            }
            Purposed::VerifyKept(..) => {
                state.has_verified(chunk);
                if is_right {
                    state.on_verified(chunk);
                }
                let verdict = if is_right { ChunkVerdict::Verified } else { ChunkVerdict::Corrupt };
                self.tell(Input::ChunkChecked { content, chunk, from: None, verdict });
            }
            Purposed::Reread(..) => {
                let found = if is_right { Reread::Readable } else { Reread::Changed };
                self.tell(Input::Reread { content, chunk, found });
            }
        }
        self.work();
    }

    /// A flush is done.
    pub fn on_flushed(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let chunks = state.flushed();
        self.tell(Input::Flushed { content, chunks });
        self.work();
    }

    /// The files of a content have their names.
    pub fn on_finished(&mut self, content: ContentId) {
        self.tell(Input::Finished { content });
        self.work();
    }

    fn tell(&mut self, input: Input) {
        self.inputs.push_back(input);
    }

    /// Works off facts and orders, then gives the channels what they have room for, until nothing is left.
    fn work(&mut self) {
        loop {
            while let Some(input) = self.inputs.pop_front() {
                self.engine.handle(self.now, input);
                while let Some(output) = self.engine.poll() {
                    self.perform(output);
                }
            }
            let channels: Vec<Channel> = self.links.keys().copied().collect();
            for channel in channels {
                self.read_streams(channel);
                self.send(channel);
            }
            if self.inputs.is_empty() {
                return;
            }
        }
    }

    /// Carries out one order of the engine.
    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { node, addresses } => {
                let channel = self.new_channel();
                self.links.insert(channel, Link::new(Some(node), true, self.now));
                self.effects.push_back(Effect::Dial { channel, node, addresses });
            }
            Output::Close { link, reason } => {
                self.close(channel_of(link), reason.code(), &reason.to_string())
            }
            Output::Send { link, message } => self.say(channel_of(link), message),
            Output::Receive(RunRequest { link, request, content, run }) => {
                if let Some(up) = self.up(channel_of(link)) {
                    up.receiving.expect(request, content, run);
                }
            }
            Output::Abandon { link, request } => {
                let channel = channel_of(link);
                let Some(up) = self.up(channel) else { return };
                if let Some(came) = up.receiving.abandon(&mut up.carrier, request) {
                    self.on_came(channel, came);
                }
            }
            Output::Upload(RunRequest { link, request, content, run }) => {
                self.upload(channel_of(link), request, content, run);
            }
            Output::StopUpload { link, request } => {
                let channel = channel_of(link);
                let Some(up) = self.up(channel) else { return };
                if let Some(next) = up.uploading.stop(&mut up.carrier, request) {
                    self.on_upload(channel, next);
                }
            }
            Output::VerifyKept { content, chunk } => {
                if let Some(state) = self.contents.get_mut(&content) {
                    state.verify(chunk);
                }
                self.read(Purposed::VerifyKept(content, chunk));
            }
            Output::Reread { content, chunk } => self.read(Purposed::Reread(content, chunk)),
            Output::Flush { content } => {
                if let Some(state) = self.contents.get_mut(&content) {
                    let flush = state.flush();
                    self.effects.push_back(flush);
                } else {
                    self.tell(Input::Flushed { content, chunks: Vec::new() });
                }
            }
            Output::Finish { content } => self.effects.push_back(Effect::Finish { content }),
            Output::Event(event) => self.on_event(event),
        }
    }

    fn on_event(&mut self, event: Event) {
        let notice = match event {
            Event::ManifestComplete { manifest } => return self.on_manifest(manifest),
            Event::PeerJoined { node, agent } => Notice::PeerJoined { node, agent },
            Event::PeerLeft { node, reason } => Notice::PeerLost { node, reason },
            Event::PeerUnreachable { node, failure } => {
                let (DialFailure::Unreachable(reason)
                | DialFailure::Refused(swarm_engine::Refusal { words: reason, .. })) = failure;
                Notice::PeerLost { node, reason }
            }
            Event::PeerBanned { node, violation } => {
                Notice::PeerBanned { node, reason: violation.to_string() }
            }
            Event::Completed { content } => Notice::Completed { content },
            Event::Left { content } => {
                self.contents.remove(&content);
                self.effects.push_back(Effect::Forget { content });
                Notice::Left { content }
            }
            Event::Stopped => Notice::Stopped,
            // Of a store that failed, its own words were told before.
            Event::Failed { failure: FetchFailure::Store, .. }
            | Event::PeerDeclined { .. }
            | Event::Offered { .. }
            | Event::PeerFound { .. }
            | Event::BlamedByPeer { .. }
            | Event::PeerAccused { .. }
            | Event::PeerDenied { .. }
            | Event::PeerCompleted { .. }
            | Event::PeerDurable { .. }
            | Event::ChunkLost { .. }
            | Event::ReadTrouble { .. }
            | Event::ReadAgain { .. } => return,
            Event::Failed { content, failure } => {
                Notice::Failed { content, category: failure.category(), reason: words(&failure) }
            }
        };
        self.effects.push_back(Effect::Notice(notice));
    }

    fn on_manifest(&mut self, manifest: Manifest) {
        if manifest.is_sealed() {
            let (content, category) = (manifest.id(), Category::Usage);
            let reason = "the content is sealed: fetch it with the command `swarm fetch`".to_owned();
            self.effects.push_back(Effect::Notice(Notice::Failed { content, category, reason }));
            return self.tell(Input::Leave { content, reason: DeclineReason::NotHere });
        }
        self.add_content(manifest);
    }

    fn add_content(&mut self, manifest: Manifest) {
        let content = Content::new(manifest);
        self.effects.push_back(content.to_store());
        self.contents.insert(content.manifest.id(), content);
    }

    /// Asks for a whole chunk, unless that was asked for already.
    fn read(&mut self, purpose: Purposed) {
        let (content, chunk, is_upload) = match purpose {
            Purposed::Upload(content, chunk) => (content, chunk, true),
            Purposed::VerifyKept(content, chunk) | Purposed::Reread(content, chunk) => {
                (content, chunk, false)
            }
        };
        let is_asked =
            |asked: &Purposed| matches!(asked, Purposed::Upload(of, at) if (*of, *at) == (content, chunk));
        let Some(state) = self.contents.get(&content) else { return };
        if is_upload && self.reads.values().any(is_asked) {
            return;
        }
        let span = state.manifest.geometry().span(chunk);
        let id = ReadId(self.next_read);
        self.next_read = self.next_read.wrapping_add(1);
        self.reads.insert(id, purpose);
        let file = span.file.get() as u32;
        self.effects.push_back(Effect::Read { id, content, file, offset: span.file_offset, len: span.len });
    }

    fn new_channel(&mut self) -> Channel {
        self.next_channel += 1;
        Channel(self.next_channel)
    }

    fn random(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(&self.drawn.to_le_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// What a failure says to people.
fn words(failure: &FetchFailure) -> String {
    match failure {
        FetchFailure::NoSource(swarm_engine::Bottleneck::NoPeer(Some(last))) => {
            format!("no peer could be reached: {last}")
        }
        FetchFailure::NoSource(_) => "no peer has sent anything for too long".to_owned(),
        FetchFailure::Refused(refusal) => refusal.words.clone(),
        FetchFailure::Manifest(reason) => reason.clone(),
        FetchFailure::Store => "the storage failed".to_owned(),
    }
}

/// A link has one channel, and the engine knows it by the same number.
fn link_of(channel: Channel) -> LinkId {
    LinkId(channel.0.into())
}

fn channel_of(link: LinkId) -> Channel {
    Channel(link.0 as u32)
}
