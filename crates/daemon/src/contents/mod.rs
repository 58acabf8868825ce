//! Contents of libraries in the engine: which are joined, to fetch or to serve, and when they are left. A commit's files are one content; it is
//! joined when files of it are wanted here or sought by a peer, and left when nobody wants it any more, so that a node with hundreds of commits
//! holds the manifests of a few.
//!
//! Invariant: a content is served from wherever its files stand on this disk; what the engine or a thread tells of an earlier joining of a content
//! says nothing of the present one. Absent here: the order of chunks and which peer sends them (the
//! engine), and where files go (the library's worker).

mod backlog;
mod filling;
mod handed;
mod leaving;
mod opening;
mod supply;

pub(crate) use opening::{check_free, check_is_inside};
pub(crate) use supply::Lacking;
pub use supply::Supply;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{ChunkIndex, Manifest, Source};
use swarm_daemon_files::Limits;
use swarm_engine::{Event, Join, Kept, Order, Purpose, ShareId};
use swarm_files::GatheredStore;
use swarm_library::LibraryKey;
use swarm_library::wire::RecipeRequest;
use swarm_node::{Node, NodeEvent};
use swarm_sync::ContentHash;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::clock;
use crate::library::{Input as LibraryInput, LibraryHandle};
use crate::limits::{FETCHES_MAX, JOINED_MAX, LINKS_MAX};
use crate::origins;
use backlog::Backlog;
use filling::Asking;
use handed::Handed;
use opening::{Assigned, Opened, Served};
use supply::Sought;

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
    /// The libraries there are.
    Libraries(BTreeMap<LibraryKey, LibraryHandle>),
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
    next_joining: u64,
    /// Contents that were left, until the engine says so as often: what it tells before that is of an earlier joining.
    leaving: BTreeMap<ContentId, u32>,
    waiting: VecDeque<(LibraryKey, ContentId)>,
    backlog: Backlog,
    /// What is wanted of each content that waits or is fetched.
    wanted: BTreeMap<ContentId, BTreeSet<ContentHash>>,
    /// What came and the workers may not have seen yet.
    handed: BTreeMap<LibraryKey, Handed>,
    /// What peers are asked for, and how far it came.
    sought: BTreeMap<ContentId, Sought>,
    /// What no linked peer has, by library, as it was seen last.
    lacking: watch::Sender<BTreeMap<LibraryKey, Lacking>>,
    looked_at: Instant,
    /// Fetches that came to nothing, and are tried again.
    retries: BTreeMap<ContentId, Retry>,
    outputs: mpsc::Sender<Output>,
    /// What is fetched, for origins: they follow it, and nobody waits for them.
    fetches: watch::Sender<origins::Fetches>,
    tasks: JoinSet<Done>,
    stopping: bool,
}

/// When a fetch is tried again.
struct Retry {
    library: LibraryKey,
    /// `None` while it is tried.
    due_at: Option<Instant>,
    /// How long it waited last.
    wait: Duration,
}

/// A content in the engine.
struct Joined {
    library: LibraryKey,
    /// Tells it from an earlier joining of the same content.
    joining: u64,
    store: Option<Arc<GatheredStore>>,
    /// In its manifest, once that is known.
    files: usize,
    /// It is fetched, and not complete.
    is_fetching: bool,
    /// When somebody wanted it last.
    used_at: Instant,
    /// Chunks of it that were here when it was looked whether any come.
    had_count: u32,
    /// When peers were asked to serve it last.
    sought_at: Option<Instant>,
    /// Links that asked before it was ready.
    asking: Vec<u64>,
    /// The files that its store was opened for; those that are wanted later need another opening.
    opened_for: BTreeSet<ContentHash>,
    /// What its store said when it failed.
    store_trouble: Option<String>,
    /// Peers that serve it. Whoever fills its store from older versions ends when this is dropped.
    servers: watch::Sender<Vec<NodeId>>,
}

/// What a blocking task came to.
enum Done {
    /// What is wanted, and how far the worker was when it said so.
    Assigned(LibraryKey, Assigned, u64),
    /// Something that nothing follows from.
    Over,
    Served(ContentId, u64, Option<Served>),
    Opened(ContentId, u64, Result<(Box<Opened>, Kept), String>),
}

impl Contents {
    pub(crate) fn new(
        node: Node,
        outputs: mpsc::Sender<Output>,
        fetches: watch::Sender<origins::Fetches>,
    ) -> Self {
        Self {
            node,
            libraries: BTreeMap::new(),
            shares: BTreeMap::new(),
            joined: BTreeMap::new(),
            next_joining: 0,
            leaving: BTreeMap::new(),
            waiting: VecDeque::new(),
            backlog: Backlog::default(),
            wanted: BTreeMap::new(),
            handed: BTreeMap::new(),
            sought: BTreeMap::new(),
            lacking: watch::channel(BTreeMap::new()).0,
            looked_at: clock::moment(),
            retries: BTreeMap::new(),
            outputs,
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
        while !self.stopping {
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.on_input(input).await,
                    None => self.stopping = true,
                },
                Some(event) = events.recv() => self.on_event(event).await,
                Some(Ok(done)) = self.tasks.join_next() => self.on_done(done).await,
                _ = tick.tick() => self.on_tick().await,
            }
        }
        // Nothing is filled any more.
        self.joined.clear();
        // The node has to be heard until it has ended.
        while events.recv().await.is_some() {}
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
            Input::Libraries(libraries) => self.on_libraries(libraries).await,
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
        self.libraries = libraries;
    }

    /// Finds out which contents carry what is wanted.
    fn assign(&mut self, library: LibraryKey, wanted: BTreeMap<ContentHash, u64>, taken: u64) {
        let Some(handle) = self.libraries.get(&library) else { return };
        let (path, joined) = (handle.index_path.clone(), self.wanted.keys().copied().collect());
        self.handed.entry(library).or_default().begin(taken);
        self.tasks
            .spawn_blocking(move || Done::Assigned(library, opening::assign(&path, &wanted, &joined), taken));
    }

    /// Fetches contents whole, one after the other.
    async fn mirror(&mut self, library: LibraryKey, contents: Vec<ContentId>, taken: u64) {
        let handed = self.handed.entry(library).or_default();
        let mut lacking = contents;
        lacking.retain(|content| !handed.has_content(content, taken));
        handed.begin(taken);
        handed.end(taken);
        for content in lacking {
            let is_fetching = self.joined.get(&content).is_some_and(|joined| joined.is_fetching);
            let waits = self.waiting.iter().any(|(_, waiting)| *waiting == content);
            if !is_fetching && !waits {
                self.waiting.push_back((library, content));
            }
        }
        self.start_fetches().await;
    }

    /// What is fetched may be what nobody has any more: if nothing of it comes, others have their turn.
    async fn take_turns(&mut self) {
        let is_late = |joined: &Joined| joined.is_fetching && joined.used_at.elapsed() >= TURN;
        if self.waiting.is_empty() || !self.joined.values().any(is_late) {
            return;
        }
        let snapshot = self.node.snapshot().await;
        let had = |content: &ContentId| {
            let presence = snapshot.presences.iter().find(|presence| presence.content == *content);
            presence.map_or(0, |presence| presence.have_count)
        };
        let mut late = Vec::new();
        for (content, joined) in self.joined.iter_mut().filter(|(_, joined)| is_late(joined)) {
            let have_count = had(content);
            if have_count > joined.had_count {
                (joined.had_count, joined.used_at) = (have_count, clock::moment());
            } else {
                late.push((joined.library, *content));
            }
        }
        for (library, content) in late {
            self.joined.remove(&content);
            self.leave(content).await;
            self.waiting.push_back((library, content));
        }
        self.start_fetches().await;
    }

    async fn on_done(&mut self, done: Done) {
        match done {
            Done::Over => {}
            Done::Assigned(library, assigned, taken) => {
                let handed = self.handed.entry(library).or_default();
                let unseen = |(content, mut hashes): (ContentId, BTreeSet<ContentHash>)| {
                    hashes.retain(|hash| !handed.has_file(hash, taken));
                    (!hashes.is_empty()).then_some((content, hashes))
                };
                let assigned: Vec<_> = assigned.into_iter().filter_map(unseen).collect();
                handed.end(taken);
                for (content, hashes) in assigned {
                    self.wanted.entry(content).or_default().extend(hashes);
                    let is_retried = self.retries.get(&content).is_some_and(|retry| retry.due_at.is_some());
                    let is_fetching = self.joined.get(&content).is_some_and(|joined| joined.is_fetching);
                    let waits = self.waiting.iter().any(|(_, waiting)| *waiting == content);
                    if !is_fetching && !waits && !is_retried {
                        self.waiting.push_back((library, content));
                    }
                }
                self.start_fetches().await;
            }
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
    fn begin(&mut self, library: LibraryKey, content: ContentId, is_fetching: bool, asking: Vec<u64>) {
        self.next_joining += 1;
        let joining = self.next_joining;
        self.joined.insert(content, Joined { asking, ..Joined::new(library, joining, is_fetching) });
        let Some(handle) = self.libraries.get(&library) else { return };
        let path = handle.index_path.clone();
        self.tasks
            .spawn_blocking(move || Done::Served(content, joining, opening::manifest_of(&path, content)));
    }

    /// The content that waited longest, of the library with the greatest priority.
    fn next_waiting(&mut self) -> Option<(LibraryKey, ContentId)> {
        let priority = |library: &LibraryKey| self.libraries.get(library).map(|handle| handle.priority);
        let of: BTreeSet<LibraryKey> = self.waiting.iter().map(|(library, _)| *library).collect();
        let now = clock::moment();
        let full: Vec<LibraryKey> =
            of.into_iter().filter(|library| self.backlog.is_full(*library, now)).collect();
        let waiting = self.waiting.iter().enumerate().filter(|(_, (library, _))| !full.contains(library));
        let (at, _) = waiting.max_by_key(|(at, (library, _))| (priority(library), std::cmp::Reverse(*at)))?;
        self.waiting.remove(at)
    }

    /// Begins fetches, as long as there is room.
    async fn start_fetches(&mut self) {
        while self.joined.values().filter(|joined| joined.is_fetching).count() < FETCHES_MAX {
            let Some((library, content)) = self.next_waiting() else { return };
            // One that was served until now is opened anew, with what is wanted of it.
            let served = self.joined.remove(&content);
            if served.is_some() {
                self.leave(content).await;
            }
            let asking = served.map(|served| served.asking).unwrap_or_default();
            self.begin(library, content, true, asking);
        }
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
                let wanted = self.wanted.get(&content).cloned().unwrap_or_default();
                self.begin_fetch(content, origins::Fetch { library, manifest: None, wanted });
            }
        }
        if is_fetching {
            self.seek(library, content).await;
        }
    }

    fn open(&mut self, library: LibraryKey, content: ContentId, manifest: Manifest) {
        let Some(handle) = self.libraries.get(&library).cloned() else { return };
        let Some(joined) = self.joined.get_mut(&content) else { return };
        joined.files = manifest.files().len();
        let wanted = if joined.is_fetching { self.wanted.get(&content).cloned() } else { None };
        let wanted = wanted.unwrap_or_default();
        joined.opened_for.clone_from(&wanted);
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
            outputs: self.outputs.clone(),
            runtime: Handle::current(),
        };
        self.tasks.spawn_blocking(move || {
            let opened = opening::open(&handle, manifest, wanted).and_then(|mut opened| {
                let kept = filling::fill(&handle, &mut opened, &asking)?;
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
        self.node.open_begun_store(content, store, (opened.durable, opened.wanted), kept).await;
        for link in asking {
            self.say(Output::Serving { link, library, contents: vec![content] }).await;
        }
        self.report_whole(content).await;
    }

    /// Leaves a content; what is wanted of it is fetched again after a while.
    async fn give_up_for_now(&mut self, library: LibraryKey, content: ContentId, why: Option<String>) {
        if self.joined.remove(&content).is_some() {
            self.leave(content).await;
        }
        if !self.wanted.contains_key(&content) {
            return;
        }
        let before = self.retries.get(&content).map(|retry| retry.wait);
        let wait = before.map_or(RETRY_MIN, |wait| (wait * 2).min(RETRY_MAX));
        let due_at = Some(clock::moment() + wait);
        self.retries.insert(content, Retry { library, due_at, wait });
        // The store that was open for serving goes in a moment: that is no trouble.
        let why = why.filter(|_| wait >= TROUBLE_MIN);
        if let (Some(why), Some(handle)) = (why, self.libraries.get(&library)) {
            tracing::warn!(content = content.short(), why, "files of a library cannot be fetched now");
            let _ = handle.inputs.send(LibraryInput::FetchTrouble(why)).await;
        }
    }

    /// Begins again what came to nothing, once it has waited.
    async fn retry(&mut self) {
        let now = clock::moment();
        for (content, retry) in &mut self.retries {
            if retry.due_at.is_some_and(|at| at <= now) {
                retry.due_at = None;
                self.waiting.push_back((retry.library, *content));
            }
        }
        self.start_fetches().await;
    }

    /// Asks peers to serve those of the contents being fetched that are meant.
    async fn seek_all(&mut self, is_meant: impl Fn(&Joined) -> bool) {
        let fetching = self.joined.iter().filter(|(_, joined)| joined.is_fetching && is_meant(joined));
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
            self.begin(library, content, false, vec![link]);
        }
    }

    async fn on_event(&mut self, event: NodeEvent) {
        if content_of(&event).is_some_and(|content| self.leaving.contains_key(&content)) {
            return;
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

    /// A peer got wrong bytes from here, or the engine would have sent some: the file is read again.
    async fn on_suspect(&mut self, content: ContentId, chunk: ChunkIndex) {
        let Some(joined) = self.joined.get(&content) else { return };
        let hash = joined.store.as_ref().and_then(|store| store.content_of(chunk));
        let (Some(hash), Some(handle)) = (hash, self.libraries.get(&joined.library)) else { return };
        let _ = handle.inputs.send(LibraryInput::Suspect(hash)).await;
    }

    /// What was wanted of a content is here. What is wanted since then is fetched by another opening.
    fn on_completed(&mut self, content: ContentId) {
        self.retries.remove(&content);
        self.sought.remove(&content);
        let Some(joined) = self.joined.get_mut(&content).filter(|joined| joined.is_fetching) else { return };
        (joined.is_fetching, joined.used_at) = (false, clock::moment());
        let mut wanted = self.wanted.remove(&content).unwrap_or_default();
        wanted.retain(|hash| !joined.opened_for.contains(hash));
        if !wanted.is_empty() {
            self.waiting.push_back((joined.library, content));
            self.wanted.insert(content, wanted);
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

    /// Tells the worker of files that are whole.
    async fn report_whole(&mut self, content: ContentId) {
        let Some(joined) = self.joined.get(&content) else { return };
        let Some(store) = joined.store.clone() else { return };
        let whole = store.take_whole();
        if !whole.is_empty()
            && let Some(joined) = self.joined.get_mut(&content)
        {
            joined.used_at = clock::moment();
        }
        let Some(joined) = self.joined.get(&content) else { return };
        let Some(handle) = self.libraries.get(&joined.library).filter(|_| !whole.is_empty()) else { return };
        let number = self.handed.entry(joined.library).or_default().files(&whole);
        // A worker that has ended needs nothing more.
        let _ = handle.inputs.send(LibraryInput::Arrived(whole, store, number)).await;
    }

    /// Tells the worker that all that was wanted of a content is there.
    async fn report_completed(&mut self, content: ContentId) {
        let Some(joined) = self.joined.get(&content) else { return };
        if let (Some(store), Some(handle)) = (joined.store.clone(), self.libraries.get(&joined.library)) {
            let number = self.handed.entry(joined.library).or_default().content(content);
            let _ = handle.inputs.send(LibraryInput::Completed(content, store, number)).await;
        }
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
        self.leave_idle().await;
        self.leave_surplus().await;
    }

    /// Contents that are here for others alone.
    fn served(&self) -> impl Iterator<Item = (&ContentId, &Joined)> {
        self.joined.iter().filter(|(_, joined)| !joined.is_fetching)
    }

    fn begin_fetch(&self, content: ContentId, fetch: origins::Fetch) {
        self.fetches.send_modify(|fetches| drop(fetches.insert(content, Arc::new(fetch))));
    }

    /// The exchange takes outputs for as long as it lives.
    async fn say(&self, output: Output) {
        let _ = self.outputs.send(output).await;
    }
}

impl Joined {
    fn on_server(&self, node: NodeId) {
        self.servers.send_if_modified(|servers| {
            let is_new = !servers.contains(&node) && servers.len() < LINKS_MAX;
            if is_new {
                servers.push(node);
            }
            is_new
        });
    }

    fn new(library: LibraryKey, joining: u64, is_fetching: bool) -> Self {
        Self {
            library,
            joining,
            store: None,
            files: 0,
            is_fetching,
            used_at: clock::moment(),
            had_count: 0,
            sought_at: None,
            asking: Vec::new(),
            opened_for: BTreeSet::new(),
            store_trouble: None,
            servers: watch::channel(Vec::new()).0,
        }
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
/// How often peers are asked again for what is being fetched: some came meanwhile, or got what they had not.
const SEEK_INTERVAL: Duration = Duration::from_secs(5);
/// What is fetched gives way to what waits, when nothing of it came for so long.
const TURN: Duration = Duration::from_secs(120);
/// How soon a fetch that came to nothing is tried again, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A fetch that came to nothing so often that it waits for so long is a trouble.
const TROUBLE_MIN: Duration = Duration::from_millis(400);
