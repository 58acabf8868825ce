//! A running node: the engine, and every effect it orders. Decides nothing.
//!
//! `drive` is the loop, `io` performs outputs, `fact` is what tasks report; `links`, `stores` and `uploads` are the tables, `link` is one
//! connection's tasks, `receive` and `upload` move payload. Absent here: what to fetch or serve (products), printing.

pub mod limits;

pub mod clock;

mod blocks;
mod budget;
mod throttle;
mod windows;

mod events;
mod fact;
mod ground;

mod drive;
mod finding;
mod io;
mod link;
mod links;
mod place;
mod readmission;
mod receive;
mod shares;
mod stores;
mod traced;
mod upload;
mod uploads;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use self::throttle::Throttle;

use self::fact::Command;
use self::finding::Finding;
use self::ground::Ground;
use self::place::Place;
use swarm_core::base::{Bitfield, ContentId, NodeId, Rate};
use swarm_core::manifest::{Address, Source};
use swarm_core::presence::Presence;
use swarm_core::wire::DeclineReason;
use swarm_discovery::{Finders, Found, Trouble};
use swarm_engine::{ChunkMap, Event, Join, Kept, MapQuery, Purpose, Ranks, Reputation, ShareId, Snapshot};
use swarm_files::{Store, StoreError, StoreWarning};
use swarm_link::{Endpoint, Network, QuicLink};

/// What a node may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Chunk buffers of all downloads together, bytes.
    pub buffers_len: u64,
    /// What QUIC may hold of all links together, bytes, each way. Zero: as much as their own windows allow.
    pub windows_len: u64,
    /// Payload sent, all peers together.
    pub up: Option<Rate>,
    /// Payload received, all peers together.
    pub down: Option<Rate>,
    /// Payload sent to one peer.
    pub up_per_peer: Option<Rate>,
    /// Payload received from one peer.
    pub down_per_peer: Option<Rate>,
    /// Links at once; further ones are turned away. `None`: as many as the engine takes.
    pub links_max: Option<usize>,
}

/// What a node is started with.
#[derive(Debug, Default)]
pub struct Options {
    /// What it may use.
    pub limits: Limits,
    /// How it finds others.
    pub finders: Finders,
    /// Where others reach it, if the addresses of its machine are not it.
    pub advertise: Vec<Address>,
    /// Whether the product answers every `Offered`, by [`Node::join`] or [`Node::refuse`].
    pub takes_offers: bool,
    /// Takes links to a coordinator, if this node is one.
    pub coordination: Option<mpsc::Sender<QuicLink>>,
    /// Takes links about libraries, if this node keeps some.
    pub libraries: Option<mpsc::Sender<QuicLink>>,
    /// What finders announce and look for in place of the contents that the node takes part in: their nodes are told to the product alone.
    pub meeting_places: Option<watch::Receiver<Vec<ContentId>>>,
    /// Takes the nodes that announce themselves on the local network, if that finder is on.
    pub lan_seen: Option<watch::Sender<Arc<[Source]>>>,
    /// What nodes were worth at earlier runs.
    pub past: Vec<(NodeId, Reputation)>,
    /// Longest dial, where that is to be less than [`DIAL_TIMEOUT`]: who waits no longer learns what went wrong, too.
    ///
    /// [`DIAL_TIMEOUT`]: swarm_link::limits::DIAL_TIMEOUT
    pub dial_timeout: Option<Duration>,
}

/// A running node, as products hold it.
#[derive(Clone)]
pub struct Node {
    commands: mpsc::Sender<Command>,
    down: Throttle,
}

/// Something that happened, for the product.
#[derive(Debug)]
pub enum NodeEvent {
    /// The engine says so.
    Engine(Event),
    /// A store could not do what it was told; the engine's `Failed` follows if that ends a fetch.
    StoreError {
        /// The content whose store failed.
        content: ContentId,
        /// The cause.
        error: StoreError,
    },
    /// A store did without something that its place cannot do; the bytes are all there.
    StoreWarning {
        /// The content whose store it concerns.
        content: ContentId,
        /// What a person should know of it.
        warning: StoreWarning,
    },
    /// A finder names a node; it is told once a node, content and way, and at a meeting place whenever the node is seen.
    Found(Found),
    /// A finder cannot work.
    FinderTrouble(Trouble),
}

/// Everything at one instant.
#[derive(Clone, Debug, Default)]
pub struct NodeSnapshot {
    /// The engine's view.
    pub engine: Snapshot,
    /// What the node takes part in, as it is announced to others.
    pub presences: Vec<Presence>,
    /// UDP payload by peer, over all its links.
    pub wire: BTreeMap<NodeId, WireTotals>,
    /// UDP payload of all links there ever were.
    pub wire_total: WireTotals,
}

/// UDP payload, bytes: chunks, control, acknowledgements, retransmissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireTotals {
    /// Received.
    pub received_len: u64,
    /// Sent.
    pub sent_len: u64,
}

impl WireTotals {
    fn add(&mut self, other: Self) {
        self.received_len += other.received_len;
        self.sent_len += other.sent_len;
    }
}

impl Node {
    /// Starts a node on this endpoint. Events must be taken out as they come. The task ends after [`Node::stop`], with the
    /// last state of things.
    pub fn start(
        endpoint: Endpoint,
        mut options: Options,
    ) -> (Self, mpsc::Receiver<NodeEvent>, JoinHandle<NodeSnapshot>) {
        let ground = Ground::new(options.limits.down);
        let (finders, advertise) =
            (std::mem::take(&mut options.finders), std::mem::take(&mut options.advertise));
        let lan_seen = options.lan_seen.take();
        let finding = Finding::start(&endpoint, (finders, lan_seen), advertise, &ground);
        let finding = finding.at(options.meeting_places.take());
        let (coordination, libraries) = (options.coordination.take(), options.libraries.take());
        let sessions = Arc::new(Semaphore::new(limits::WEB_SESSIONS_MAX));
        let place = Place { endpoint, tasks: ground.tasks.clone(), sessions, coordination, libraries };
        Self::start_on(place, finding, ground, options)
    }

    /// The same on any network, with these finders.
    fn start_on<N: Network>(
        network: N,
        finding: Finding,
        ground: Ground,
        options: Options,
    ) -> (Self, mpsc::Receiver<NodeEvent>, JoinHandle<NodeSnapshot>) {
        let (commands, command_queue) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (events, event_queue) = mpsc::channel(EVENTS_WAITING_MAX);
        let down = ground.down.clone();
        let driver = drive::Driver::new(network, finding, ground, options, (command_queue, events));
        #[expect(
            clippy::disallowed_methods,
            reason = "the node's root task, handed to the product that awaits it"
        )]
        let task = tokio::spawn(driver.run());
        (Self { commands, down }, event_queue, task)
    }

    /// Takes part in a content. With a manifest, [`Node::open_store`] is to follow; without, after `ManifestComplete`.
    pub async fn join(&self, join: Join) {
        self.command(Command::Join(Box::new(join))).await;
    }

    /// Hands over the store of a content, with the chunks that are there and those that are wanted.
    pub async fn open_store(
        &self,
        content: ContentId,
        store: Arc<dyn Store>,
        durable: Bitfield,
        wanted: Bitfield,
    ) {
        self.open_begun_store(content, store, (durable, wanted), Kept::new()).await;
    }

    /// The same for a store that has parts of chunks, unproven: only the rest of these is fetched.
    pub async fn open_begun_store(
        &self,
        content: ContentId,
        store: Arc<dyn Store>,
        (durable, wanted): (Bitfield, Bitfield),
        kept: Kept,
    ) {
        self.command(Command::OpenStore { content, store, durable, wanted, kept }).await;
    }

    /// Names a node that is to be dialed for a content.
    pub async fn add_source(&self, content: ContentId, source: Source, purpose: Purpose) {
        self.command(Command::AddSource { content, source, purpose }).await;
    }

    /// Names coordinators that know more of a content that was joined.
    pub async fn add_coordinators(&self, content: ContentId, coordinators: Vec<Source>) {
        if !coordinators.is_empty() {
            self.command(Command::AddCoordinators { content, coordinators }).await;
        }
    }

    /// Takes no part in a content any more: peers are told, its store is let go. [`Event::Left`] follows.
    pub async fn leave(&self, content: ContentId) {
        self.leave_because(content, DeclineReason::NotHere).await;
    }

    /// The same, with a reason that peers are told.
    pub async fn leave_because(&self, content: ContentId, reason: DeclineReason) {
        self.command(Command::Leave { content, reason }).await;
    }

    /// Does not take up what a node offered.
    pub async fn refuse(&self, node: NodeId, content: ContentId, reason: DeclineReason) {
        self.command(Command::Refuse { node, content, reason }).await;
    }

    /// Changes the limits of all peers together; what waits for the old ones goes on by the new.
    pub async fn set_limits(&self, up: Option<Rate>, down: Option<Rate>) {
        self.command(Command::SetLimits { up, down }).await;
    }

    /// The limit of what comes from all peers together, for a product that fetches in other ways, too.
    pub fn down(&self) -> Throttle {
        self.down.clone()
    }

    /// Puts a content into a share, until it is left: it has limits with the other contents there, and what waits for these holds up no content
    /// of another share. To be said before the content is joined.
    pub async fn share(&self, content: ContentId, share: ShareId) {
        self.command(Command::Share { content, share }).await;
    }

    /// Limits the contents of a share, all peers together; the limits of the node hold as well.
    pub async fn limit_share(&self, share: ShareId, up: Option<Rate>, down: Option<Rate>) {
        self.command(Command::LimitShare { share, up, down }).await;
    }

    /// Which chunks of a content that was joined are fetched before others, and which are held back for now.
    pub async fn rank(&self, content: ContentId, ranks: Ranks) {
        self.command(Command::Rank { content, ranks }).await;
    }

    /// Chunks by peer, a map for each query; nothing in place of one whose content has no open store.
    pub async fn chunk_maps(&self, queries: Vec<MapQuery>) -> Vec<Option<ChunkMap>> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Maps(queries, reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Everything at this instant; empty if the node has ended.
    pub async fn snapshot(&self) -> NodeSnapshot {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Snapshot(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Ends the node: flushes, tells peers, closes links. The task ends when that is done.
    pub async fn stop(&self) {
        self.command(Command::Stop).await;
    }

    /// A node that has ended takes no commands: that is no error.
    async fn command(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

const COMMANDS_WAITING_MAX: usize = 64;
const EVENTS_WAITING_MAX: usize = 4096;
