//! What nodes that keep libraries say to each other: one task that owns all links about libraries, and decides what is asked of whom. Bytes of
//! files go another way (`contents`).
//!
//! `links` are the tasks of one link, `stock` is what they read from an index, `dialing` keeps a link to each known peer; `greeting` takes its Hello,
//! `hearing` what it says of libraries, `telling` says what changed here; `gate` says what is taken of whom, `access` who may have what. Invariant: a peer is
//! told of a library only if it may have it; a commit is asked of one peer at a time; a stranger costs little, and takes no peer's place.

mod access;
mod asked;
mod dialing;
mod gate;
mod greeting;
mod hearing;
mod links;
mod recipes;
mod squeezing;
mod stock;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_core::base::NodeId;
use swarm_core::manifest::Source;
use swarm_library::wire::{Hello, ListedPeer, ListedUser, Message, Standing};
use swarm_library::{After, Completion, Frontier, LibraryKey, Policy, Role, SignedLock};
use swarm_link::{Endpoint, QuicLink};
use swarm_sync::{ContentHash, TreePath};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use access::{Access, LibraryRule, PeerRule, UserRule};
pub use access::{hash_password, verify_password};
pub(crate) use dialing::{Dialed, Target, keep_linked};

use crate::clock;
use crate::contents;
use crate::library::{LibraryHandle, LibraryState};
use crate::proof::{Gate, Passwords};
use asked::Asked;
use greeting::Verifying;
use links::{LinkStart, Outgoing, Stock};
use squeezing::Squeezer;

/// What the exchange is told.
pub(crate) enum Input {
    /// A link stands; both ends are proven.
    Up { link: QuicLink, dialed: bool },
    /// A message came.
    Message { link: u64, message: Message },
    /// A commit came and was taken by the worker.
    CommitTaken { library: LibraryKey, author: NodeId, seq: u64 },
    /// A link is gone.
    Down { link: u64, reason: String },
    /// A library changed.
    Changed(LibraryKey),
    /// The contents want something said.
    Contents(contents::Output),
    /// The libraries there are.
    Libraries(BTreeMap<LibraryKey, LibraryHandle>),
    /// Who may have what.
    Access(Box<Access>),
    /// A password was compared.
    Verified { link: u64, gate: Gate },
    /// What was read from an index for a link was written.
    StockSent { link: u64 },
    /// What trusted peers are told of peers and users.
    OwnList { peers: Vec<ListedPeer>, users: Vec<ListedUser> },
    /// A lock of this node.
    Lock(SignedLock),
}

/// What the exchange tells the daemon.
#[derive(Debug)]
pub(crate) enum Output {
    /// A trusted peer's list.
    PeerList { from: NodeId, peers: Vec<ListedPeer>, users: Vec<ListedUser> },
    /// A peer begins to tell anew which files failed verification: what it told before is over.
    FlagsAnew { from: NodeId, library: LibraryKey },
    /// A peer reports a file that failed verification.
    Flag { from: NodeId, flag: swarm_library::wire::Flag },
    /// A lock came.
    Lock(SignedLock),
}

/// A peer, as the status shows it.
#[derive(Clone, Debug)]
pub(crate) struct PeerState {
    pub(crate) node: NodeId,
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) libraries: BTreeMap<LibraryKey, PeerLibrary>,
    /// The user of this node that it proved to be.
    pub(crate) user: Option<String>,
    pub(crate) sent_len: u64,
    pub(crate) received_len: u64,
    /// Program and version, as it greets; empty if it does not tell.
    pub(crate) agent: String,
    /// The version of the protocol of libraries that it speaks: major and minor.
    pub(crate) protocol: (u32, u32),
    /// Of its link about libraries, smoothed.
    pub(crate) round_trip: Duration,
}

/// How far a peer is with a library.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerLibrary {
    pub(crate) completion: Completion,
    pub(crate) activity: String,
    pub(crate) policy: Option<Policy>,
    pub(crate) role: Option<Role>,
    /// Whether it and this node know the same commits.
    pub(crate) is_level: bool,
    /// As the peer calls it; empty if it does not tell.
    pub(crate) name: String,
    pub(crate) guid: String,
}

/// What the exchange is started with.
pub(crate) struct Start {
    pub(crate) endpoint: Endpoint,
    /// What this node shows to peers.
    pub(crate) own: Hello,
    pub(crate) access: Access,
    pub(crate) passwords: Passwords,
    pub(crate) contents: mpsc::Sender<contents::Input>,
    pub(crate) outputs: mpsc::Sender<Output>,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// One task that owns all links.
pub(crate) struct Exchange {
    start: Start,
    inputs: mpsc::Sender<Input>,
    libraries: BTreeMap<LibraryKey, LibraryHandle>,
    /// The same, for the tasks of links.
    handles: watch::Sender<BTreeMap<LibraryKey, LibraryHandle>>,
    links: BTreeMap<u64, Linked>,
    next_link: u64,
    asked: Asked,
    states: watch::Sender<Vec<PeerState>>,
    own_list: (Vec<ListedPeer>, Vec<ListedUser>),
    locks: BTreeMap<LibraryKey, Vec<SignedLock>>,
    /// What was said of a library last: it is not said again.
    said: BTreeMap<LibraryKey, Said>,
    /// Something changed since the states were published.
    is_news: bool,
    recipes_asked: recipes::Asked,
    recipe_tellers: recipes::Tellers,
    /// `None` without memory for it: nothing is compressed then.
    squeezer: Option<Arc<Squeezer>>,
}

/// What peers are told whenever it changes.
#[derive(PartialEq)]
struct Said {
    frontier: Frontier,
    votes_digest: [u8; 32],
    policy: Policy,
    grants_digest: Option<[u8; 32]>,
    rotten: BTreeMap<TreePath, ContentHash>,
}

/// A link that stands.
struct Linked {
    node: NodeId,
    link: QuicLink,
    /// Who dialed: of two links between two nodes, the one that the lesser dialed stays.
    dialer: NodeId,
    outgoing: Outgoing,
    up_at: Instant,
    hello: Option<Hello>,
    /// What this node showed.
    shown: Hello,
    user: Option<String>,
    /// How its password is compared.
    verifying: Verifying,
    standing: BTreeMap<LibraryKey, Standing>,
    /// It told more than is remembered.
    is_cut: bool,
    /// Libraries of which something is taken from it.
    taken: watch::Sender<BTreeSet<LibraryKey>>,
    /// It said that it does.
    reads_compressed: watch::Sender<bool>,
    /// What is still to be sent of which library; commits after these numbers.
    stock: BTreeMap<(LibraryKey, Stock), BTreeMap<NodeId, u64>>,
    is_sending: bool,
    /// Each has a question about a file that is answered.
    recipe_permits: Arc<Semaphore>,
    peer: PeerState,
}

impl Exchange {
    pub(crate) fn new(start: Start, inputs: mpsc::Sender<Input>) -> (Self, watch::Receiver<Vec<PeerState>>) {
        let (states, watch) = watch::channel(Vec::new());
        let squeezer = Squeezer::new().ok().map(Arc::new);
        let mut start = start;
        start.own.reads_compressed = squeezer.is_some();
        let exchange = Self {
            start,
            inputs,
            libraries: BTreeMap::new(),
            handles: watch::channel(BTreeMap::new()).0,
            links: BTreeMap::new(),
            next_link: 1,
            asked: Asked::default(),
            states,
            own_list: Default::default(),
            locks: BTreeMap::new(),
            said: BTreeMap::new(),
            is_news: false,
            recipes_asked: recipes::Asked::default(),
            recipe_tellers: recipes::Tellers::new(),
            squeezer,
        };
        (exchange, watch)
    }

    /// Runs until the node ends.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let ending = self.start.ending.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut publishing = tokio::time::interval(PUBLISH_INTERVAL);
        publishing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ending.cancelled() => break,
                _ = tick.tick() => self.on_tick(),
                _ = publishing.tick(), if self.is_news => self.publish(),
                input = inputs.recv() => match input {
                    Some(input) => self.on_input(input).await,
                    None => break,
                },
            }
        }
        for linked in self.links.values() {
            linked.link.close(0, "the daemon is stopping");
        }
    }

    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Up { link, dialed } => self.on_up(link, dialed),
            Input::Message { link, message } => self.on_message(link, message).await,
            Input::CommitTaken { library, author, seq } => self.on_commit_taken(library, author, seq),
            Input::Down { link, reason } => self.on_down(link, &reason),
            Input::Changed(library) => self.on_changed(library),
            Input::Contents(output) => self.on_contents(output),
            Input::Libraries(libraries) => self.on_libraries(libraries).await,
            Input::Access(access) => self.on_access(*access).await,
            Input::Verified { link, gate } => self.on_verified(link, gate).await,
            Input::StockSent { link } => {
                if let Some(linked) = self.links.get_mut(&link) {
                    linked.is_sending = false;
                }
                self.send_next_stock(link);
            }
            Input::OwnList { peers, users } => {
                self.own_list = (peers, users);
                let links: Vec<u64> = self.links.keys().copied().collect();
                links.into_iter().for_each(|link| self.say_own_list(link));
            }
            Input::Lock(lock) => self.pass_lock_on(&lock, None),
        }
        self.is_news = true;
    }

    async fn on_libraries(&mut self, libraries: BTreeMap<LibraryKey, LibraryHandle>) {
        let is_more = libraries.keys().any(|library| !self.libraries.contains_key(library));
        for (library, known) in &self.libraries {
            if libraries.get(library).is_none_or(|handle| !handle.inputs.same_channel(&known.inputs)) {
                self.asked.forget(library);
            }
        }
        self.libraries = libraries;
        self.handles.send_replace(self.libraries.clone());
        self.said.clear();
        let links: Vec<u64> = self.links.keys().copied().collect();
        for link in links {
            if is_more && self.links.get(&link).is_some_and(|linked| linked.is_cut) {
                // What it has of the new library may have been forgotten: it says it on its next link.
                self.on_down(link, "this node has another library now");
            } else {
                self.look_whom_to_take_from(link);
                if is_more {
                    // What it told before its library was here: the worker knows nothing of that.
                    self.hear_again(link).await;
                }
            }
        }
        let keys: Vec<LibraryKey> = self.libraries.keys().copied().collect();
        keys.into_iter().for_each(|library| self.on_changed(library));
    }

    fn on_up(&mut self, link: QuicLink, dialed: bool) {
        let (me, node) = (self.start.endpoint.node_id(), link.peer());
        let dialer = if dialed { me } else { node };
        if !self.has_room_for(&node) {
            link.close(2, "this node has as many links about libraries as it may");
            return;
        }
        if let Some((number, known)) = self.links.iter().find(|(_, known)| known.node == node) {
            if known.dialer <= dialer && !known.link.is_closed_here() && known.link.close_reason().is_none() {
                link.close(1, "this link is the second one");
                return;
            }
            let number = *number;
            self.on_down(number, "another link took its place");
        }
        let number = self.next_link;
        self.next_link += 1;
        let (taken, reads_compressed) = (watch::Sender::new(BTreeSet::new()), watch::Sender::new(false));
        let starting = LinkStart {
            number,
            link: link.clone(),
            inputs: self.inputs.clone(),
            libraries: self.handles.subscribe(),
            taken: taken.subscribe(),
            squeezer: self.squeezer.clone(),
            reads_compressed: reads_compressed.subscribe(),
            tasks: self.start.tasks.clone(),
            ending: self.start.ending.clone(),
        };
        let outgoing = links::start(starting);
        let peer = PeerState {
            node,
            name: String::new(),
            address: link.remote_address(),
            libraries: BTreeMap::new(),
            user: None,
            sent_len: 0,
            received_len: 0,
            agent: String::new(),
            protocol: (0, 0),
            round_trip: Duration::ZERO,
        };
        let shown = self.start.access.hello_for(&node, &self.start.own);
        let linked = Linked {
            node,
            link,
            dialer,
            outgoing,
            up_at: clock::moment(),
            hello: None,
            shown: shown.clone(),
            user: None,
            verifying: Verifying::default(),
            standing: BTreeMap::new(),
            is_cut: false,
            taken,
            reads_compressed,
            stock: BTreeMap::new(),
            is_sending: false,
            recipe_permits: Arc::new(Semaphore::new(recipes::TOLD_AT_ONCE)),
            peer,
        };
        self.links.insert(number, linked);
        self.send(number, Message::Hello(shown));
    }

    fn on_down(&mut self, link: u64, reason: &str) {
        if let Some(linked) = self.links.remove(&link) {
            linked.link.close(0, reason);
            tracing::debug!(node = linked.node.short(), reason, "a link about libraries is gone");
        }
        self.asked.on_down(link);
        self.recipes_asked.on_down(link);
        // Others may have what this one was to send.
        let keys: Vec<LibraryKey> = self.libraries.keys().copied().collect();
        keys.into_iter().for_each(|library| self.ask_around(library));
    }

    async fn on_message(&mut self, link: u64, message: Message) {
        let Some(linked) = self.links.get(&link) else { return };
        if let Message::Hello(hello) = message {
            return self.on_hello(link, hello).await;
        }
        if linked.hello.is_none() {
            return self.on_down(link, "it says something before Hello");
        }
        match message {
            Message::Frontier(standing) => self.on_frontier(link, standing).await,
            Message::CommitsRequest { library, after, without_files } => {
                self.on_request(link, library, &after, without_files);
            }
            Message::Votes { library, votes } => self.on_votes(link, library, votes).await,
            Message::KeyGrants { library, grants } => self.on_grants(link, library, grants).await,
            Message::Seek { library, contents } => {
                if self.role_of(link, &library).is_some() {
                    let seek = contents::Input::Seek { link, library, contents };
                    self.to_contents(seek);
                }
            }
            Message::Serving { library, contents } if self.may_give(link, &library) => {
                let Some(linked) = self.links.get(&link) else { return };
                let source =
                    Source { node: linked.node, addresses: vec![linked.link.remote_address().into()] };
                self.to_contents(contents::Input::Serving { source, contents });
            }
            Message::Progress(progress) => self.on_progress(link, progress),
            Message::PeerList { peers, users } => {
                let from = linked.node;
                if self.start.access.is_trusted(&from) {
                    self.tell(Output::PeerList { from, peers, users });
                }
            }
            Message::Flag(flag) => {
                let from = linked.node;
                if self.role_of(link, &flag.library).is_some() {
                    self.tell(Output::Flag { from, flag });
                }
            }
            Message::Lock(lock) => {
                let library = lock.lock().library;
                if self.role_of(link, &library).is_some() && self.start.access.counts(&lock.lock().holder) {
                    self.pass_lock_on(&lock, Some(link));
                    self.tell(Output::Lock(lock));
                }
            }
            Message::Refusal(refusal) => {
                tracing::info!(node = linked.node.short(), why = refusal.why, "a peer refuses");
                if let Some(library) = refusal.library {
                    self.recipes_asked.on_refusal(link, &library);
                }
            }
            Message::RecipeRequest(request) => self.on_recipe_request(link, request),
            Message::RecipePiece(piece) => self.recipes_asked.on_piece(link, &piece),
            // Links take those out; what a peer serves that may not give it is passed over.
            Message::Hello(_)
            | Message::CommitPiece(_)
            | Message::Pack { .. }
            | Message::Compressed(_)
            | Message::Serving { .. } => {}
        }
    }

    fn on_tick(&mut self) {
        self.verify_again();
        let is_silent =
            |linked: &Linked| linked.hello.is_none() && linked.up_at.elapsed() >= GREETING_TIMEOUT;
        let silent: Vec<u64> =
            self.links.iter().filter(|(_, linked)| is_silent(linked)).map(|(link, _)| *link).collect();
        silent.into_iter().for_each(|link| self.on_down(link, "it does not greet"));
        let keys: Vec<LibraryKey> = self.libraries.keys().copied().collect();
        for library in keys {
            self.ask_around(library);
            self.tell_heard(library);
            self.say_progress(library);
        }
        self.recipes_asked.on_tick();
        self.publish();
    }

    fn state_of(&self, library: &LibraryKey) -> LibraryState {
        self.libraries.get(library).map(|handle| handle.state.borrow().clone()).unwrap_or_default()
    }

    /// What the peer of a link may do in a library that this node keeps.
    fn role_of(&self, link: u64, library: &LibraryKey) -> Option<Role> {
        let linked = self.links.get(&link)?;
        if linked.hello.is_none() || linked.verifying.is_going() || !self.libraries.contains_key(library) {
            return None;
        }
        self.start.access.role_of(&linked.node, linked.user.as_deref(), library)
    }

    /// A link whose peer does not read is ended: what it lacks it asks for at the next one.
    fn send(&mut self, link: u64, message: Message) {
        let Some(linked) = self.links.get(&link) else { return };
        let role = match &message {
            Message::Hello(_) | Message::Refusal(_) => Role::Admin,
            other => library_of(other)
                .and_then(|library| self.role_of(link, &library))
                .or_else(|| self.start.access.is_trusted(&linked.node).then_some(Role::Admin))
                .unwrap_or(Role::Mirror),
        };
        let Some(message) = message.for_role(role) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = linked.outgoing.first.try_send(message) {
            self.on_down(link, "it does not read what it is told");
        }
    }

    /// The contents may be waiting for the exchange: nothing waits for them here. What they miss is asked again within seconds.
    fn to_contents(&self, input: contents::Input) {
        let _ = self.start.contents.try_send(input);
    }

    fn tell(&self, output: Output) {
        // The daemon is busy: the peer says it again at the next link.
        let _ = self.start.outputs.try_send(output);
    }

    fn publish(&mut self) {
        self.is_news = false;
        let (me, access) = (self.start.endpoint.node_id(), &self.start.access);
        let states = self.links.values_mut().filter(|linked| linked.hello.is_some()).map(|linked| {
            let stats = linked.link.stats();
            (linked.peer.sent_len, linked.peer.received_len) = (stats.sent_len, stats.received_len);
            linked.peer.round_trip = stats.rtt;
            for (library, known) in &mut linked.peer.libraries {
                let ours = self.libraries.get(library).map(|handle| handle.state.borrow());
                let theirs = linked.standing.get(library).map(|standing| &standing.frontier);
                // Of those that do not count, a node may keep less than another.
                known.is_level = ours.zip(theirs).is_some_and(|(ours, theirs)| {
                    let is_kept = |after: &After| !ours.full.contains(&after.author);
                    let counts = |after: &After| after.author == me || access.is_trusted(&after.author);
                    !ours.frontier.lacking(theirs).iter().any(is_kept)
                        && !theirs.lacking(&ours.frontier).iter().any(counts)
                });
            }
            linked.peer.clone()
        });
        self.states.send_replace(states.collect());
    }
}

fn library_of(message: &Message) -> Option<LibraryKey> {
    match message {
        Message::Frontier(standing) => Some(standing.library),
        Message::CommitsRequest { library, .. }
        | Message::Votes { library, .. }
        | Message::Seek { library, .. }
        | Message::Serving { library, .. }
        | Message::Pack { library, .. }
        | Message::KeyGrants { library, .. } => Some(*library),
        Message::CommitPiece(piece) => Some(piece.library),
        Message::Progress(progress) => Some(progress.library),
        Message::Flag(flag) => Some(flag.library),
        Message::Lock(lock) => Some(lock.lock().library),
        Message::RecipeRequest(request) => Some(request.library),
        Message::RecipePiece(piece) => Some(piece.library),
        Message::Hello(_) | Message::PeerList { .. } | Message::Refusal(_) | Message::Compressed(_) => None,
    }
}

/// Nodes that are linked, for those who dial.
pub(crate) fn linked(states: &[PeerState]) -> BTreeSet<NodeId> {
    states.iter().map(|state| state.node).collect()
}

/// How often peers are told how far this node is.
const TICK: Duration = Duration::from_secs(1);
/// Files with wrong bytes that a peer is told of: its queue takes no more at once.
const FLAGS_AT_ONCE: usize = 16;
/// How soon others see what changed. Each time all is copied: not for each message.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(20);
/// A peer that does not say Hello for so long loses its link.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of an activity.
const ACTIVITY_CHARS: usize = 200;
