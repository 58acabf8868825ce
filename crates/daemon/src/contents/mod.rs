//! Contents of libraries in the engine: which are joined, to fetch or to serve, and when they are left. A commit's files are one content; it is
//! joined when files of it are wanted here or sought by a peer, and left when nobody wants it any more, so that a node with hundreds of commits
//! holds the manifests of a few.
//!
//! `turns` says which are fetched, in which order and when again, `leaving` which are left; `opening` and `filling` are what blocks, `reporting` is what
//! workers are told, `supply` whether bytes can come. Invariant: a content is served from wherever its files stand on this disk; what the engine or a
//! thread tells of an earlier joining of a content says nothing of the present one. Absent here: the order of chunks and which peer sends them (the
//! engine), and where files go (the library's worker).

mod backlog;
mod filling;
mod flow;
mod handed;
mod jobs;
mod joined;
mod leaving;
mod opening;
mod reporting;
mod steering;
mod supply;
mod tickets;
mod turns;

pub(crate) use jobs::{Job, Jobs, JobsQuery, SteerFault};
pub(crate) use opening::{check_free, check_is_inside};
pub(crate) use steering::{Part, Steers};
pub(crate) use supply::Lacking;
pub use supply::Supply;
pub(crate) use tickets::{Chosen, Given, NewTicket, OpeningFault, Record, TicketFault, Tickets};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Manifest, SigningKey, Source};
use swarm_daemon_files::Limits;
use swarm_engine::{Event, Join, Kept, Order, Purpose, ShareId};
use swarm_library::LibraryKey;
use swarm_library::wire::RecipeRequest;
use swarm_node::{Node, NodeEvent};
use swarm_sync::ContentHash;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::clock;
use crate::exchange;
use crate::library::LibraryHandle;
use crate::limits::JOINED_MAX;
use crate::origins;
use crate::transfers::{Action, Priority};
use backlog::Backlog;
use filling::{Asking, Patience};
use flow::Flow;
use handed::Handed;
use joined::Joined;
use opening::{Assigned, Opened, Served, Used};
use supply::Sought;
use tickets::TicketDone;
use turns::Retry;

/// What the contents are told.
pub(crate) enum Input {
    /// Paths of a library wait for these contents, with their lengths; its worker had taken what was handed to it up to this number.
    Wanted(LibraryKey, BTreeMap<ContentHash, u64>, u64),
    /// No path of a library waits for anything.
    WantsNothing(LibraryKey),
    /// Contents that a mirror fetches whole, as the worker saw it when it had taken what was handed to it up to this number.
    Mirror(LibraryKey, Vec<ContentId>, u64),
    /// A peer asks for contents to be served.
    Seek {
        /// Where the answer goes.
        link: u64,
        library: LibraryKey,
        contents: Vec<ContentId>,
    },
    /// A peer that has the library is there, and was asked nothing yet.
    PeerCame(LibraryKey),
    /// A peer serves contents.
    Serving { source: Source, contents: Vec<ContentId> },
    /// Whether the bytes of a file can come; `None` if nothing fetches them yet.
    Supply { file: ContentHash, reply: oneshot::Sender<Option<Supply>> },
    /// What is fetched now.
    Jobs { query: JobsQuery, reply: oneshot::Sender<Jobs> },
    /// A part is fetched otherwise from now on, as somebody says.
    Steer {
        library: LibraryKey,
        part: Part,
        action: Option<Action>,
        priority: Option<Priority>,
        reply: oneshot::Sender<Result<(), SteerFault>>,
    },
    /// A content is fetched by a ticket.
    Ticket(Box<NewTicket>),
    /// The libraries that work, and all there are.
    Libraries(BTreeMap<LibraryKey, LibraryHandle>, BTreeSet<LibraryKey>),
}

/// What the contents ask of the exchange.
#[derive(Debug)]
pub(crate) enum Output {
    /// Peers that have the library are to serve these.
    Seek(LibraryKey, Vec<ContentId>),
    /// An answer to a link.
    Serving { link: u64, library: LibraryKey, contents: Vec<ContentId> },
    /// A peer is asked how ranges of a file are made up. Dropping `reply` says that it does not tell.
    AskRecipe { node: NodeId, request: RecipeRequest, reply: oneshot::Sender<Bytes> },
}

/// One task that owns all of it.
pub(crate) struct Contents {
    node: Node,
    libraries: BTreeMap<LibraryKey, LibraryHandle>,
    /// The share of each library, for as long as the node runs, and its limits.
    shares: BTreeMap<LibraryKey, (ShareId, Limits)>,
    joined: BTreeMap<ContentId, Joined>,
    /// Those whose folders stay.
    used: Used,
    next_joining: u64,
    /// Contents that were left, until the engine says so as often: what it tells before that is of an earlier joining.
    leaving: BTreeMap<ContentId, u32>,
    waiting: VecDeque<(LibraryKey, ContentId)>,
    backlog: Backlog,
    /// What is wanted of each content that waits, is fetched or is held.
    wanted: BTreeMap<ContentId, Wanted>,
    /// How people steer single fetches.
    steers: Steers,
    /// What was told of all transfers last.
    jobs_told: Option<(Instant, Jobs)>,
    /// Payload of the last seconds.
    flow: Flow,
    /// What came and the workers may not have seen yet.
    handed: BTreeMap<LibraryKey, Handed>,
    /// What peers are asked for, and how far it came.
    sought: BTreeMap<ContentId, Sought>,
    /// What no linked peer has, by library, as it was seen last.
    lacking: watch::Sender<BTreeMap<LibraryKey, Lacking>>,
    looked_at: Instant,
    /// Contents that are fetched by tickets.
    tickets: Tickets,
    /// Opens keys of sealed contents that are for this node.
    me: Arc<SigningKey>,
    /// Fetches that came to nothing, and are tried again.
    retries: BTreeMap<ContentId, Retry>,
    exchange: mpsc::Sender<exchange::Input>,
    /// What is fetched, for origins: they follow it, and nobody waits for them.
    fetches: watch::Sender<origins::Fetches>,
    tasks: JoinSet<Done>,
    stopping: bool,
}

/// What is wanted of a content.
struct Wanted {
    library: LibraryKey,
    /// Files that did not come yet, with their lengths; zero where that is not known.
    files: BTreeMap<ContentHash, u64>,
}

/// What a blocking task came to.
enum Done {
    /// What is wanted, and how far the worker was when it said so.
    Assigned(LibraryKey, Assigned, u64),
    /// Something that nothing follows from.
    Over,
    Served(ContentId, u64, Option<Served>),
    Opened(ContentId, u64, Result<(Box<Opened>, Kept), String>),
    /// Of a content that is fetched by a ticket.
    Ticket(ContentId, u64, TicketDone),
}

impl Contents {
    pub(crate) fn new(
        node: Node,
        exchange: mpsc::Sender<exchange::Input>,
        fetches: watch::Sender<origins::Fetches>,
        (steers, tickets, me): (Steers, Tickets, SigningKey),
    ) -> Self {
        Self {
            node,
            libraries: BTreeMap::new(),
            shares: BTreeMap::new(),
            joined: BTreeMap::new(),
            used: Used::default(),
            next_joining: 0,
            leaving: BTreeMap::new(),
            waiting: VecDeque::new(),
            backlog: Backlog::default(),
            wanted: BTreeMap::new(),
            steers,
            jobs_told: None,
            flow: Flow::default(),
            handed: BTreeMap::new(),
            sought: BTreeMap::new(),
            lacking: watch::channel(BTreeMap::new()).0,
            looked_at: clock::moment(),
            tickets,
            me: Arc::new(me),
            retries: BTreeMap::new(),
            exchange,
            fetches,
            tasks: JoinSet::new(),
            stopping: false,
        }
    }

    /// Runs until the inputs end.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut events: mpsc::Receiver<NodeEvent>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut rests = false;
        while !self.stopping {
            let is_tick = tokio::select! {
                input = inputs.recv() => {
                    match input {
                        Some(input) => self.on_input(input).await,
                        None => self.stopping = true,
                    }
                    false
                }
                Some(event) = events.recv() => {
                    self.on_event(event).await;
                    false
                }
                Some(Ok(done)) = self.tasks.join_next() => {
                    self.on_done(done).await;
                    false
                }
                _ = tick.tick() => {
                    self.on_tick().await;
                    true
                }
            };
            if is_tick && self.is_at_rest() {
                tick.reset_after(REST_TICK);
                rests = true;
            } else if rests {
                tick.reset_after(TICK);
                rests = false;
            }
        }
        // Nothing is filled any more.
        self.joined.clear();
        // The node has to be heard until it has ended.
        while events.recv().await.is_some() {}
    }

    /// Whether nothing is fetched, and nothing waits to be.
    fn is_at_rest(&self) -> bool {
        let moves = self.moving().next().is_some();
        !moves && self.waiting.is_empty() && self.retries.is_empty() && self.tickets.are_at_rest()
    }

    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Wanted(library, wanted, taken) => self.assign(library, wanted, taken),
            Input::WantsNothing(library) => self.end_fetches(library).await,
            Input::Mirror(library, contents, taken) => self.mirror(library, contents, taken).await,
            Input::Seek { link, library, contents } => {
                for content in contents {
                    self.on_sought(link, library, content).await;
                }
            }
            Input::PeerCame(library) => self.seek_all(|joined| joined.library == library).await,
            Input::Serving { source, contents } => {
                for content in contents {
                    if let Some(joined) = self.joined.get(&content).filter(|joined| joined.is_fetching) {
                        joined.on_server(source.node);
                        self.node.add_source(content, source.clone(), Purpose::Offered).await;
                    }
                }
            }
            Input::Supply { file, reply } => {
                // Who asked may be gone.
                let _ = reply.send(self.supply(&file).await);
            }
            Input::Jobs { query, reply } => {
                let _ = reply.send(self.told_jobs(&query).await);
            }
            Input::Steer { library, part, action, priority, reply } => {
                let _ = reply.send(self.steer(library, part, (action, priority)).await);
            }
            Input::Ticket(new) => self.on_new_ticket(*new),
            Input::Libraries(libraries, known) => {
                self.forget_tickets(&known).await;
                self.on_libraries(libraries).await;
            }
        }
    }

    async fn on_libraries(&mut self, libraries: BTreeMap<LibraryKey, LibraryHandle>) {
        for (library, handle) in &libraries {
            let next = ShareId(self.shares.len() as u64 + 1);
            let (share, limits) = self.shares.entry(*library).or_insert((next, Limits::default()));
            if *limits != handle.limits {
                *limits = handle.limits;
                self.node.limit_share(*share, limits.up, limits.down).await;
            }
        }
        self.handed.retain(|library, _| {
            let (known, now) = (self.libraries.get(library), libraries.get(library));
            // Another worker was handed nothing.
            known.zip(now).is_some_and(|(known, now)| now.inputs.same_channel(&known.inputs))
        });
        let is_gone = |library: &&LibraryKey| !libraries.contains_key(*library);
        for library in self.libraries.keys().filter(is_gone).copied().collect::<Vec<_>>() {
            self.forget_library(library).await;
        }
        let is_paused =
            |library: &LibraryKey| self.libraries.get(library).map(LibraryHandle::fetches_nothing);
        let other = |(library, handle): &(&LibraryKey, &LibraryHandle)| {
            is_paused(library).is_some_and(|was| was != handle.fetches_nothing())
        };
        let changed: Vec<LibraryKey> = libraries.iter().filter(other).map(|(library, _)| *library).collect();
        self.libraries = libraries;
        for library in changed {
            self.follow_steers_of(library).await;
        }
        self.clean_tickets();
        self.start_tickets().await;
    }

    async fn on_done(&mut self, done: Done) {
        match done {
            Done::Over => {}
            Done::Assigned(library, assigned, taken) => self.on_assigned(library, assigned, taken).await,
            Done::Ticket(content, joining, done) => self.on_ticket_done(content, joining, done).await,
            Done::Served(content, joining, served) => {
                if let Some(library) = self.library_of(content, joining) {
                    self.on_served(library, content, served).await;
                }
            }
            Done::Opened(content, joining, opened) => {
                if let Some(library) = self.library_of(content, joining) {
                    self.on_opened(library, content, opened).await;
                }
            }
        }
    }

    /// The library of a content, if this is still the same joining of it.
    fn library_of(&self, content: ContentId, joining: u64) -> Option<LibraryKey> {
        self.joined.get(&content).filter(|joined| joined.joining == joining).map(|joined| joined.library)
    }

    /// Takes a content up, and has its manifest made.
    async fn begin(&mut self, library: LibraryKey, content: ContentId, is_fetching: bool, asking: Vec<u64>) {
        // A node has one store of a content: the library's.
        self.let_ticket_wait(content).await;
        let Some(handle) = self.libraries.get(&library) else { return };
        let path = handle.index_path.clone();
        self.used.begin(content);
        self.next_joining += 1;
        let joining = self.next_joining;
        self.joined.insert(content, Joined { asking, ..Joined::new(library, joining, is_fetching) });
        self.tasks
            .spawn_blocking(move || Done::Served(content, joining, opening::manifest_of(&path, content)));
    }

    /// The manifest of a content was made from the index, or could not be.
    async fn on_served(&mut self, library: LibraryKey, content: ContentId, served: Option<Served>) {
        let Some(joined) = self.joined.get_mut(&content) else { return };
        let is_fetching = joined.is_fetching;
        let manifest = served.map(|served| served.manifest);
        if !is_fetching && manifest.is_none() {
            // It cannot be served without its manifest.
            self.joined.remove(&content);
            return;
        }
        let join = Join { content, manifest: manifest.clone(), order: Order::RarestFirst, patience: None };
        if let Some((share, _)) = self.shares.get(&library) {
            self.node.share(content, *share).await;
        }
        self.node.join(join).await;
        match manifest {
            Some(manifest) => self.open(library, content, manifest),
            None => {
                let wanted = self.wanted_now(&library, &content).into_keys().collect();
                self.begin_fetch(content, origins::Fetch { library, manifest: None, wanted });
            }
        }
        if is_fetching && !self.is_resting(&library, &content) {
            self.seek(library, content).await;
        }
    }

    fn open(&mut self, library: LibraryKey, content: ContentId, manifest: Manifest) {
        let Some(handle) = self.libraries.get(&library).cloned() else { return };
        let wanted = self.wanted_now(&library, &content);
        // Filling waits for somebody who serves the content, and nobody is asked to while it is held.
        let is_resting = self.is_resting(&library, &content);
        let Some(joined) = self.joined.get_mut(&content) else { return };
        joined.is_unfilled = is_resting;
        joined.files = manifest.files().len();
        let wanted = if joined.is_fetching { wanted } else { BTreeMap::new() };
        joined.opened_for.clone_from(&wanted);
        let wanted: BTreeSet<ContentHash> = wanted.into_keys().collect();
        let joining = joined.joining;
        if joined.is_fetching {
            // Before the store is open: who fills it from older versions waits for somebody who serves the content.
            let (known, wanted) = (Some(manifest.clone()), wanted.clone());
            self.begin_fetch(content, origins::Fetch { library, manifest: known, wanted });
        }
        let Some(joined) = self.joined.get_mut(&content) else { return };
        let asking = Asking {
            library,
            servers: joined.servers.subscribe(),
            exchange: self.exchange.clone(),
            runtime: Handle::current(),
            patience: Patience::default(),
            silent: std::sync::Mutex::default(),
        };
        self.tasks.spawn_blocking(move || {
            let opened = opening::open(&handle, manifest, wanted).and_then(|mut opened| {
                let kept =
                    if is_resting { Kept::new() } else { filling::fill(&handle, &mut opened, &asking)? };
                Ok((Box::new(opened), kept))
            });
            if asking.is_over() {
                // It was left meanwhile, and may have been joined again.
                return Done::Over;
            }
            Done::Opened(content, joining, opened)
        });
    }

    async fn on_opened(
        &mut self,
        library: LibraryKey,
        content: ContentId,
        opened: Result<(Box<Opened>, Kept), String>,
    ) {
        let (opened, kept) = match opened {
            Ok(opened) => opened,
            Err(why) => return self.give_up_for_now(library, content, Some(why)).await,
        };
        let Some(joined) = self.joined.get_mut(&content) else { return };
        let store = Arc::new(opened.store);
        joined.store = Some(Arc::clone(&store));
        self.backlog.add(library, &store);
        let asking = std::mem::take(&mut joined.asking);
        self.learn_lens(content, &store);
        self.rank(library, content).await;
        self.node.open_begun_store(content, store, (opened.durable, opened.wanted), kept).await;
        let is_unfilled = self.joined.get(&content).is_some_and(|joined| joined.is_unfilled);
        if is_unfilled && !self.is_resting(&library, &content) {
            // It went on while it was being opened.
            self.follow_steers(library, content).await;
            return;
        }
        for link in asking {
            self.say(Output::Serving { link, library, contents: vec![content] }).await;
        }
        self.report_whole(content).await;
    }

    /// Asks peers to serve those of the contents being fetched that are meant.
    async fn seek_all(&mut self, is_meant: impl Fn(&Joined) -> bool) {
        let fetching = self.moving().filter(|(_, joined)| is_meant(joined));
        let meant: Vec<(LibraryKey, ContentId)> =
            fetching.map(|(content, joined)| (joined.library, *content)).collect();
        for (library, content) in meant {
            self.seek(library, content).await;
        }
    }

    async fn seek(&mut self, library: LibraryKey, content: ContentId) {
        self.sought.entry(content).or_insert_with(|| Sought::new(library));
        if let Some(joined) = self.joined.get_mut(&content) {
            joined.sought_at = Some(clock::moment());
        }
        self.say(Output::Seek(library, vec![content])).await;
    }

    async fn on_sought(&mut self, link: u64, library: LibraryKey, content: ContentId) {
        if let Some(joined) = self.joined.get_mut(&content) {
            joined.used_at = clock::moment();
            if joined.store.is_some() {
                self.say(Output::Serving { link, library, contents: vec![content] }).await;
            } else if !joined.asking.contains(&link) {
                joined.asking.push(link);
            }
            return;
        }
        if self.libraries.contains_key(&library) && self.served().count() < JOINED_MAX {
            // What came of it is served, and stays.
            let is_held = self.is_resting(&library, &content) && !self.is_given_up(&library, &content);
            let is_begun = is_held && self.wanted.contains_key(&content) && self.resting().len() < JOINED_MAX;
            self.begin(library, content, is_begun, vec![link]).await;
        }
    }

    async fn on_event(&mut self, event: NodeEvent) {
        if content_of(&event).is_some_and(|content| self.leaving.contains_key(&content)) {
            return;
        }
        if let Some(content) = tickets::content_of(&event).filter(|content| self.tickets.has_joined(content))
        {
            return self.on_ticket_event(content, event).await;
        }
        match event {
            NodeEvent::Engine(Event::Left { content }) => self.on_left(content),
            NodeEvent::Engine(Event::ManifestComplete { manifest }) => {
                let content = manifest.id();
                if let Some(joined) = self.joined.get(&content) {
                    let library = joined.library;
                    self.remember_chunks(library, &manifest);
                    self.open(library, content, manifest);
                }
            }
            NodeEvent::Engine(Event::Completed { content }) => {
                self.report_whole(content).await;
                self.report_completed(content).await;
                self.on_completed(content);
                self.end_fetch(content);
                self.start_fetches().await;
            }
            NodeEvent::Engine(Event::Failed { content, failure }) => {
                tracing::debug!(content = content.short(), ?failure, "a fetch of a library ended");
                if let Some(joined) = self.joined.get(&content) {
                    let (library, why) = (joined.library, joined.store_trouble.clone());
                    self.give_up_for_now(library, content, why).await;
                }
                self.start_fetches().await;
            }
            NodeEvent::Engine(
                Event::BlamedByPeer { content, chunk, .. } | Event::ChunkLost { content, chunk },
            ) => self.on_suspect(content, chunk).await,
            NodeEvent::StoreError { content, error } => {
                if let Some(joined) = self.joined.get_mut(&content) {
                    joined.store_trouble = Some(error.to_string());
                }
            }
            NodeEvent::Engine(_)
            | NodeEvent::StoreWarning { .. }
            | NodeEvent::Found(_)
            | NodeEvent::FinderTrouble(_) => {}
        }
    }

    /// Chunk values of long files, which this node needs to serve the content later.
    fn remember_chunks(&mut self, library: LibraryKey, manifest: &Manifest) {
        let Some(handle) = self.libraries.get(&library) else { return };
        let (path, manifest) = (handle.index_path.clone(), manifest.clone());
        self.tasks.spawn_blocking(move || {
            opening::remember_chunks(&path, &manifest);
            Done::Over
        });
    }

    async fn on_tick(&mut self) {
        self.look_for_lacking().await;
        let is_fetching = |(_, joined): &(&ContentId, &Joined)| joined.is_fetching;
        let fetching: Vec<ContentId> =
            self.joined.iter().filter(is_fetching).map(|(content, _)| *content).collect();
        for content in fetching {
            self.report_whole(content).await;
        }
        self.seek_all(|joined| joined.sought_at.is_none_or(|at| at.elapsed() >= SEEK_INTERVAL)).await;
        self.retry().await;
        self.take_turns().await;
        self.drop_given_up().await;
        self.leave_idle().await;
        self.leave_surplus().await;
        self.start_tickets().await;
    }

    /// Contents that are here for others alone.
    fn served(&self) -> impl Iterator<Item = (&ContentId, &Joined)> {
        self.joined.iter().filter(|(_, joined)| !joined.is_fetching)
    }

    fn begin_fetch(&self, content: ContentId, fetch: origins::Fetch) {
        self.fetches.send_modify(|fetches| drop(fetches.insert(content, Arc::new(fetch))));
    }

    /// The exchange takes outputs for as long as it lives, and waits for none of the contents.
    async fn say(&self, output: Output) {
        let _ = self.exchange.send(exchange::Input::Contents(output)).await;
    }
}

/// The content whose joining an event is about.
fn content_of(event: &NodeEvent) -> Option<ContentId> {
    match event {
        NodeEvent::Engine(Event::ManifestComplete { manifest }) => Some(manifest.id()),
        NodeEvent::Engine(Event::Completed { content } | Event::Failed { content, .. })
        | NodeEvent::StoreError { content, .. } => Some(*content),
        NodeEvent::Engine(_)
        | NodeEvent::StoreWarning { .. }
        | NodeEvent::Found(_)
        | NodeEvent::FinderTrouble(_) => None,
    }
}

/// How often whole files are looked for, and idle contents.
const TICK: Duration = Duration::from_millis(100);
/// The same while nothing is fetched: a node that rests is not to wake for it.
const REST_TICK: Duration = Duration::from_secs(1);
/// How often peers are asked again for what is being fetched: some came meanwhile, or got what they had not.
const SEEK_INTERVAL: Duration = Duration::from_secs(5);
