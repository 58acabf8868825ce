//! The daemon itself: starts what there is to start, and ties it together in one loop. Invariant: one daemon has a folder; what is wrong in one
//! of its files changes nothing, and is told until it is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_daemon_files::{DaemonFolder, NewMount, Proof, Reloaded};
use swarm_discovery::Finders;
use swarm_library::wire::{Hello, ListedPeer, PROTOCOL_MAJOR, PROTOCOL_MINOR};
use swarm_library::{Guid, LibraryKey, Locks, Role, SignedLock};
use swarm_link::{Endpoint, IdentityStore, LinkOptions};
use swarm_node::{Limits, Node, NodeEvent, NodeSnapshot, Options, WireTotals};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asking::{Asker, Call};
use crate::clock;
use crate::contents::{self, Contents, Lacking};
use crate::control::{ControlSocket, socket_path};
use crate::error::DaemonError;
use crate::exchange::{self, Dialed, Exchange, PeerState, Target, hash_password, keep_linked};
use crate::library::{self, Input as LibraryInput, LibraryHandle, LibrarySettings, Output as LibraryOutput};
use crate::limits::FLAGS_PER_PEER_MAX;
use crate::origins;
use crate::page::Pages;
use crate::protocol::ProposedUser;
use crate::rejected;
use crate::settings::{Settings, without_effect};

/// A daemon that is ready to run.
pub struct Daemon {
    folder: DaemonFolder,
    state: PathBuf,
    _lock: File,
    endpoint: Endpoint,
    control: ControlSocket,
    asker: Asker,
    calls: mpsc::Receiver<Call>,
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order.
    Done,
    /// At once, at a second signal.
    Forced,
}

/// A library that runs, or does not start.
pub(crate) enum Running {
    Works { handle: LibraryHandle, task: JoinHandle<()>, settings: LibrarySettings },
    Stands { why: String, settings: LibrarySettings, tried_at: Instant },
}

/// What the loop works on.
pub(crate) struct Desk {
    pub(crate) folder: DaemonFolder,
    state: PathBuf,
    pub(crate) endpoint: Endpoint,
    pub(crate) node: Node,
    pub(crate) libraries: BTreeMap<LibraryKey, Running>,
    authors: BTreeSet<NodeId>,
    pub(crate) peers: watch::Receiver<Vec<PeerState>>,
    /// Why peers are not linked, by address.
    pub(crate) dial_troubles: BTreeMap<String, String>,
    /// Peers that trusted peers told of: node, then who told, with the address.
    pub(crate) told: BTreeMap<NodeId, BTreeMap<NodeId, ListedPeer>>,
    /// Where finders saw peers of this node, the newest first.
    pub(crate) found: BTreeMap<NodeId, Vec<Address>>,
    pub(crate) proposed: Vec<ProposedUser>,
    pub(crate) locks: BTreeMap<LibraryKey, Locks>,
    /// Files that failed verification, as peers report them.
    pub(crate) flags: Vec<(NodeId, swarm_library::wire::Flag)>,
    pub(crate) began_at: Instant,
    pub(crate) traffic: Traffic,
    /// What no linked peer has of what libraries wait for.
    pub(crate) lacking: watch::Receiver<BTreeMap<LibraryKey, Lacking>>,
    /// Peers that speak HTTP(S) alone.
    pub(crate) origins: watch::Receiver<origins::Origins>,
    pub(crate) pages: Pages,
    dialing: BTreeMap<Target, CancellationToken>,
    exchange: mpsc::Sender<exchange::Input>,
    contents: mpsc::Sender<contents::Input>,
    to_origins: mpsc::Sender<origins::Input>,
    outputs: mpsc::Sender<LibraryOutput>,
    dialed: mpsc::Sender<Dialed>,
    meeting_places: watch::Sender<Vec<ContentId>>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

/// Bytes that came and went, for rates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    at: Option<Instant>,
    received_len: u64,
    sent_len: u64,
    /// Bytes a second, over the last seconds.
    pub(crate) down: u64,
    pub(crate) up: u64,
    /// Of each peer, since the start.
    pub(crate) of_peers: BTreeMap<NodeId, WireTotals>,
}

impl Daemon {
    /// Takes a folder, makes what is missing in it, and binds its sockets. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If a file of the folder is wrong, another daemon has it, or a port is taken.
    pub fn prepare(dir: &Path) -> Result<Self, DaemonError> {
        let mut folder = DaemonFolder::open(dir)?;
        let state = folder.dir().join(STATE_FOLDER);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
        made.map_err(failed("make", &state))?;
        let lock = lock(&state, dir)?;
        hash_passwords(&mut folder);
        let identity = IdentityStore::open(&state)?.acquire(Some(key_claim()))?;
        let config = folder.config();
        let address = config.listen.unwrap_or(std::net::Ipv6Addr::UNSPECIFIED.into());
        let listen = (config.port != 0 || config.listen.is_some()).then(|| (address, config.port).into());
        let endpoint = Endpoint::bind(listen, &identity, LinkOptions::default())?;
        let socket = socket_path(folder.dir());
        let control = ControlSocket::bind(&socket).map_err(failed("listen at", &socket))?;
        let (calls, call_queue) = mpsc::channel(QUEUE);
        let asker = Asker::new(calls);
        Ok(Self { folder, state, _lock: lock, endpoint, control, asker, calls: call_queue })
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.endpoint.node_id()
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.endpoint.bound_address()
    }

    /// Asks it, once it runs.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.folder.dir()
    }

    /// Where it keeps what is not for people.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What is odd in the files, a line each.
    pub fn warnings(&self) -> Vec<String> {
        all_warnings(&self.folder)
    }

    /// Runs until `stop` is ready.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { folder, state, _lock, endpoint, control, asker, calls: mut call_queue } = self;
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        let config = folder.config();
        let finders = Finders {
            coordinators: config.coordinators.clone(),
            zone: config.zone.clone(),
            lan: config.lan,
            dht: config.dht,
            dht_bootstrap: config.dht_bootstrap.clone(),
            ..Finders::default()
        };
        let limits = Limits {
            buffers_len: BUFFERS_LEN,
            windows_len: WINDOWS_LEN,
            up: config.limits.up,
            down: config.limits.down,
            ..Limits::default()
        };
        let (links, mut link_queue) = mpsc::channel(QUEUE);
        let (meeting_places, meeting_watch) = watch::channel(Vec::new());
        let options = Options {
            limits,
            finders,
            libraries: Some(links),
            meeting_places: Some(meeting_watch),
            ..Options::default()
        };
        let (node, node_events, node_task) = Node::start(endpoint.clone(), options);
        let (exchange, exchange_queue) = mpsc::channel(QUEUE);
        let (contents, contents_queue) = mpsc::channel(QUEUE);
        let (contents_outputs, mut contents_said) = mpsc::channel(QUEUE);
        let (exchange_outputs, mut exchange_said) = mpsc::channel(QUEUE);
        let (outputs, mut library_said) = mpsc::channel(QUEUE);
        let (dialed, mut dialed_queue) = mpsc::channel(QUEUE);
        let (found, mut found_queue) = mpsc::channel(QUEUE);
        let own = Hello {
            major: PROTOCOL_MAJOR,
            minor: PROTOCOL_MINOR,
            user: config.username.clone(),
            password: config.password.expose().to_owned(),
            name: host_name(),
            api: None,
        };
        let start = exchange::Start {
            endpoint: endpoint.clone(),
            own,
            access: Settings::of(&folder, endpoint.node_id()).access,
            contents: contents.clone(),
            outputs: exchange_outputs,
            tasks: tasks.clone(),
            ending: ending.clone(),
        };
        let (exchange_task, peers) = Exchange::new(start, exchange.clone());
        tasks.spawn(exchange_task.run(exchange_queue));
        let (to_origins, origins_queue) = mpsc::channel(QUEUE);
        let ground = origins::Ground {
            me: endpoint.node_id(),
            spool: state.join(SPOOL_FOLDER),
            contents: contents.clone(),
            peers: peers.clone(),
            tasks: tasks.clone(),
            ending: ending.clone(),
        };
        let (origins_task, origins) = origins::Running::new(ground);
        tasks.spawn(origins_task.run(origins_queue));
        let (engine_events, engine_queue) = mpsc::channel(QUEUE);
        tasks.spawn(sort_events(node_events, engine_events, found));
        let contents_task = Contents::new(node.clone(), contents_outputs, to_origins.clone());
        let lacking = contents_task.lacking();
        tasks.spawn(contents_task.run(contents_queue, engine_queue));
        tasks.spawn(control.serve(asker.clone(), ending.clone(), tasks.clone()));
        let mut desk = Desk {
            folder,
            state,
            endpoint,
            node,
            libraries: BTreeMap::new(),
            authors: BTreeSet::new(),
            peers,
            dial_troubles: BTreeMap::new(),
            told: BTreeMap::new(),
            found: BTreeMap::new(),
            proposed: Vec::new(),
            locks: BTreeMap::new(),
            flags: Vec::new(),
            began_at: clock::moment(),
            traffic: Traffic::default(),
            lacking,
            origins,
            pages: Pages::new(asker, tasks.clone(), ending.clone()),
            dialing: BTreeMap::new(),
            exchange,
            contents,
            to_origins,
            outputs,
            dialed,
            meeting_places,
            tasks,
            ending,
        };
        desk.apply().await;
        tokio::pin!(stop);
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(link) = link_queue.recv() => desk.to_exchange(exchange::Input::Up { link, dialed: false }).await,
                Some(output) = contents_said.recv() => desk.to_exchange(exchange::Input::Contents(output)).await,
                Some(output) = exchange_said.recv() => desk.on_exchange(output),
                Some(output) = library_said.recv() => desk.on_library(output).await,
                Some(dialed) = dialed_queue.recv() => desk.on_dialed(dialed).await,
                Some(found) = found_queue.recv() => desk.on_found(&found),
                Some(call) = call_queue.recv() => desk.on_call(call).await,
                _ = look.tick() => desk.look().await,
            }
        }
        desk.stop(node_task, library_said).await;
    }
}

impl Desk {
    /// Makes everything as the files say now.
    async fn apply(&mut self) {
        let settings = Settings::of(&self.folder, self.endpoint.node_id());
        let Settings { libraries, access, authors, .. } = settings;
        self.found.retain(|node, _| access.peers.contains_key(node));
        self.authors.clone_from(&authors);
        let gone: Vec<LibraryKey> =
            self.libraries.keys().filter(|key| !libraries.contains_key(key)).copied().collect();
        for key in gone {
            self.end_library(key).await;
        }
        for (key, settings) in libraries {
            self.apply_library(key, settings).await;
        }
        let handles: BTreeMap<LibraryKey, LibraryHandle> = self.handles();
        let guids = self.libraries.values().map(|running| &running.settings().guid);
        self.meeting_places.send_replace(guids.map(LibraryKey::rendezvous).collect());
        self.to_contents(contents::Input::Libraries(handles.clone())).await;
        self.to_exchange(exchange::Input::Access(Box::new(access))).await;
        self.to_exchange(exchange::Input::Libraries(handles)).await;
        self.set_origins().await;
        self.say_own_list().await;
        self.dial(self.all_targets());
        self.pages.follow(self.folder.config().metrics);
    }

    /// Tells the origins what the files say, and which libraries work.
    async fn set_origins(&self) {
        let works = self.libraries.iter().filter_map(|(key, running)| match running {
            Running::Works { handle, settings, .. } => {
                Some((*key, origins::Followed { handle: handle.clone(), settings: settings.clone() }))
            }
            Running::Stands { .. } => None,
        });
        let input = origins::Input::Settings(crate::settings::origins_of(&self.folder), works.collect());
        // They take what they are told for as long as they live.
        let _ = self.to_origins.send(input).await;
    }

    /// Pins certificates that were seen at first contact.
    async fn pin_origins(&mut self) {
        let known: Vec<_> = self.origins.borrow().values().cloned().collect();
        for origin in known {
            let url = &origin.settings.url;
            let is_open = |peer: &swarm_daemon_files::Peer| {
                peer.origin.as_ref() == Some(url) && peer.fingerprint.is_none()
            };
            let Some(seen) = origin.to_pin().filter(|_| self.folder.peers().iter().any(is_open)) else {
                continue;
            };
            match self.folder.pin_origin(url, seen) {
                Ok(_) => {
                    tracing::info!(origin = url.as_str(), fingerprint = %seen, "pinned the certificate of an origin at first contact");
                    self.apply().await;
                }
                Err(error) => {
                    tracing::warn!(origin = url.as_str(), %error, "cannot pin the certificate of an origin")
                }
            }
        }
    }

    /// Whose records count in a library.
    fn authors_of(&self, settings: &LibrarySettings) -> BTreeSet<NodeId> {
        let me = self.endpoint.node_id();
        let counts = |node: &&NodeId| **node == me || settings.version_of.is_none_or(|only| only == **node);
        self.authors.iter().filter(counts).copied().collect()
    }

    async fn apply_library(&mut self, key: LibraryKey, settings: LibrarySettings) {
        let authors = self.authors_of(&settings);
        if let Some(Running::Works { handle, settings: known, .. }) = self.libraries.get_mut(&key) {
            let _ = handle.inputs.send(LibraryInput::Authors(authors)).await;
            if *known != settings {
                let _ = handle.inputs.send(LibraryInput::Settings(Box::new(settings.clone()))).await;
                handle.priority = settings.priority;
                *known = settings;
            }
            return;
        }
        let start = library::Start {
            settings: settings.clone(),
            folder: self.state.join(LIBRARIES_FOLDER).join(settings.guid.as_str()),
            key: self.endpoint.signing_key(),
            authors,
            outputs: self.outputs.clone(),
        };
        let running = match library::start(start) {
            Ok((handle, task)) => Running::Works { handle, task, settings },
            Err(error) => {
                let why = error.to_string();
                let is_news = !matches!(self.libraries.get(&key), Some(Running::Stands { why: known, .. }) if *known == why);
                if is_news {
                    tracing::warn!(library = settings.name, %error, "a library does not start");
                }
                Running::Stands { why, settings, tried_at: clock::moment() }
            }
        };
        self.libraries.insert(key, running);
    }

    async fn end_library(&mut self, key: LibraryKey) {
        if let Some(Running::Works { handle, task, .. }) = self.libraries.remove(&key) {
            handle.stop.store(true, Ordering::Relaxed);
            drop(handle);
            // It ends at its next look at the flag, and holds the lock of its index until then.
            let _ = tokio::time::timeout(STOP_TIMEOUT, task).await;
        }
    }

    fn handles(&self) -> BTreeMap<LibraryKey, LibraryHandle> {
        let works = self.libraries.iter().filter_map(|(key, running)| match running {
            Running::Works { handle, .. } => Some((*key, handle.clone())),
            Running::Stands { .. } => None,
        });
        works.collect()
    }

    fn dial(&mut self, targets: BTreeSet<Target>) {
        let gone: Vec<Target> =
            self.dialing.keys().filter(|target| !targets.contains(target)).cloned().collect();
        for target in gone {
            if let Some(ending) = self.dialing.remove(&target) {
                ending.cancel();
            }
            self.dial_troubles.remove(&target.address);
        }
        for target in targets {
            if self.dialing.contains_key(&target) || target.node == Some(self.endpoint.node_id()) {
                continue;
            }
            let ending = self.ending.child_token();
            let dialing = keep_linked(
                self.endpoint.clone(),
                target.clone(),
                self.peers.clone(),
                (self.exchange.clone(), self.dialed.clone()),
                ending.clone(),
            );
            self.tasks.spawn(dialing);
            self.dialing.insert(target, ending);
        }
    }

    /// Looks whether files changed, and whether a library that stands can work now.
    async fn look(&mut self) {
        if self.folder.changed() {
            let reloaded = self.folder.reload();
            self.on_reloaded(reloaded).await;
        }
        let waiting: Vec<LibraryKey> = self
            .libraries
            .iter()
            .filter(|(_, running)| matches!(running, Running::Stands { tried_at, .. } if tried_at.elapsed() >= RETRY_INTERVAL))
            .map(|(key, _)| *key)
            .collect();
        if !waiting.is_empty() {
            self.apply().await;
        }
        self.pages.look();
        self.pin_origins().await;
        if self.traffic.is_old() {
            self.look_at_traffic().await;
        }
    }

    /// Takes the bytes that came and went until now; the rates are those of an interval.
    pub(crate) async fn look_at_traffic(&mut self) {
        let snapshot = self.node.snapshot().await;
        self.traffic.take(snapshot);
    }

    async fn on_reloaded(&mut self, reloaded: Reloaded) {
        for error in &reloaded.errors {
            tracing::error!("{error}; going on with what it said before");
        }
        for warning in &reloaded.warnings {
            tracing::warn!("{warning}");
        }
        if !reloaded.changed.is_empty() {
            let names: Vec<String> = reloaded.changed.iter().map(ToString::to_string).collect();
            tracing::info!(files = names.join(" "), "taken over");
            for line in without_effect(&self.folder) {
                tracing::warn!("{line}");
            }
            hash_passwords(&mut self.folder);
            self.apply().await;
        }
    }

    async fn on_library(&mut self, output: LibraryOutput) {
        match output {
            LibraryOutput::Wanted(library, wanted) => {
                self.to_contents(contents::Input::Wanted(library, wanted)).await;
            }
            LibraryOutput::Mirror(library, contents) => {
                self.to_contents(contents::Input::Mirror(library, contents)).await;
            }
            LibraryOutput::Changed(library) => self.to_exchange(exchange::Input::Changed(library)).await,
            LibraryOutput::WantsNothing(library) => {
                self.to_contents(contents::Input::WantsNothing(library)).await;
            }
            LibraryOutput::NeedsTarget(library) => self.make_target(library).await,
        }
    }

    /// Files come to a library without a sync target: it gets one below the default folder.
    async fn make_target(&mut self, library: LibraryKey) {
        let Some(settings) = self.libraries.get(&library).map(Running::settings) else { return };
        if settings.has_target() {
            return;
        }
        let (name, dir) = (settings.name.clone(), settings.default_target.to_string_lossy().into_owned());
        let mount = NewMount { dir: dir.clone(), libpath: "/".to_owned(), is_sync: true };
        match self.folder.add_mount(&name, &mount) {
            Ok(reloaded) => {
                tracing::info!(library = name, dir, "files arrive: made a folder for them");
                self.on_reloaded(reloaded).await;
                self.apply().await;
            }
            Err(error) => {
                tracing::warn!(library = name, %error, "files arrive, and no folder can be made for them")
            }
        }
    }

    fn on_exchange(&mut self, output: exchange::Output) {
        match output {
            exchange::Output::PeerList { from, peers, users } => {
                for told in self.told.values_mut() {
                    told.remove(&from);
                }
                for peer in peers.into_iter().filter(|peer| peer.node != self.endpoint.node_id()) {
                    self.told.entry(peer.node).or_default().insert(from, peer);
                }
                self.told.retain(|_, told| !told.is_empty());
                self.proposed.retain(|user| user.by != from.to_string());
                self.proposed.extend(users.into_iter().map(|user| ProposedUser {
                    name: user.name,
                    role: user.role.as_str().to_owned(),
                    by: from.to_string(),
                }));
                let targets = self.all_targets();
                self.dial(targets);
            }
            exchange::Output::FlagsAnew { from, library } => {
                self.flags.retain(|(known, flag)| *known != from || flag.library != library);
            }
            exchange::Output::Flag { from, flag } => {
                let of_peer = self.flags.iter().filter(|(known, _)| *known == from).count();
                let is_room = self.flags.len() < FLAGS_MAX && of_peer < FLAGS_PER_PEER_MAX;
                if is_room && !self.flags.iter().any(|(_, known)| *known == flag) {
                    self.flags.push((from, flag));
                }
            }
            exchange::Output::Lock(lock) => self.take_lock(lock),
        }
    }

    /// Users that trusted peers propose, without those that are known or were rejected.
    pub(crate) fn proposed_users(&self) -> Vec<ProposedUser> {
        let rejected = rejected::read(&self.state);
        let is_known = |name: &str| self.folder.users().iter().any(|user| user.user == name);
        let mut users = self.proposed.clone();
        users.retain(|user| !is_known(&user.name) && !rejected.contains(&user.name));
        users
    }

    pub(crate) fn reject_user(&self, name: &str) -> std::io::Result<()> {
        rejected::add(&self.state, name)
    }

    pub(crate) fn take_lock(&mut self, lock: SignedLock) {
        let _ = self.locks.entry(lock.lock().library).or_default().take(lock, clock::now_ms());
    }

    /// Own peers, where the files have them and where finders saw them, and those that trusted peers told of.
    fn all_targets(&self) -> BTreeSet<Target> {
        let mut targets = Settings::of(&self.folder, self.endpoint.node_id()).targets;
        let known: BTreeSet<NodeId> = targets.iter().filter_map(|target| target.node).collect();
        for (node, told) in &self.told {
            let address = told.values().find_map(|peer| peer.address.as_ref());
            if let Some(address) = address.filter(|_| !known.contains(node)) {
                targets.insert(Target {
                    address: address.to_string(),
                    node: Some(*node),
                    others: Vec::new(),
                });
            }
        }
        for (node, addresses) in &self.found {
            let Some((first, others)) = addresses.split_first() else { continue };
            targets.insert(Target { address: first.to_string(), node: Some(*node), others: others.to_vec() });
        }
        targets
    }

    async fn on_dialed(&mut self, dialed: Dialed) {
        match dialed {
            Dialed::Identified { address, node } => {
                self.dial_troubles.remove(&address);
                match self.folder.pin_peer(&address, node) {
                    Ok(_) => {
                        tracing::info!(address, node = %node, "pinned the key of a peer at first contact");
                        self.apply().await;
                    }
                    Err(error) => tracing::warn!(address, %error, "cannot pin the key of a peer"),
                }
            }
            Dialed::Failed { address, reason } => {
                if self.dial_troubles.get(&address) != Some(&reason) {
                    tracing::debug!(address, reason, "a peer is away");
                }
                self.dial_troubles.insert(address, reason);
            }
        }
    }

    /// A finder names a node that has a library of ours. A peer of this node is dialed there whenever it is not linked; strangers are not, as
    /// anybody can announce.
    fn on_found(&mut self, found: &swarm_discovery::Found) {
        let node = found.source.node;
        let is_known = self.folder.peers().iter().any(|peer| peer.node == Some(node));
        if !is_known || node == self.endpoint.node_id() {
            return;
        }
        let known = self.found.entry(node).or_default();
        let news: Vec<Address> =
            found.source.addresses.iter().filter(|address| !known.contains(address)).cloned().collect();
        if news.is_empty() {
            return;
        }
        tracing::debug!(node = node.short(), way = found.way.name(), "a peer was found");
        known.splice(0..0, news);
        known.truncate(FOUND_ADDRESSES_MAX);
        self.dial(self.all_targets());
    }

    /// Tells trusted peers whom this node trusts.
    async fn say_own_list(&self) {
        let peers = self.folder.peers().iter().filter(|peer| peer.trusted).filter_map(|peer| {
            let name = peer.name.clone().unwrap_or_default();
            Some(ListedPeer { node: peer.node?, address: peer.address.clone(), name })
        });
        let users = self.folder.users().iter().filter_map(|user| {
            let role = match user.role? {
                swarm_daemon_files::Role::Admin => Role::Admin,
                swarm_daemon_files::Role::Editor => Role::Editor,
                swarm_daemon_files::Role::Viewer => Role::Viewer,
                swarm_daemon_files::Role::Mirror => Role::Mirror,
            };
            Some(swarm_library::wire::ListedUser { name: user.user.clone(), role })
        });
        let own = exchange::Input::OwnList { peers: peers.collect(), users: users.collect() };
        self.to_exchange(own).await;
    }

    /// The parts of a daemon take what they are told for as long as they live.
    pub(crate) async fn to_exchange(&self, input: exchange::Input) {
        let _ = self.exchange.send(input).await;
    }

    async fn to_contents(&self, input: contents::Input) {
        let _ = self.contents.send(input).await;
    }

    pub(crate) fn contents(&self) -> &mpsc::Sender<contents::Input> {
        &self.contents
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn on_call(&mut self, call: Call) {
        crate::answering::answer(self, call).await;
    }

    async fn stop(self, node_task: JoinHandle<NodeSnapshot>, library_said: mpsc::Receiver<LibraryOutput>) {
        let Self { libraries, node, ending, tasks, contents, to_origins, exchange, outputs, .. } = self;
        // Workers that wait to say something are not held up.
        drop((library_said, outputs));
        let mut workers = Vec::new();
        for running in libraries.into_values() {
            if let Running::Works { handle, task, .. } = running {
                handle.stop.store(true, Ordering::Relaxed);
                workers.push(task);
            }
        }
        ending.cancel();
        drop((contents, to_origins, exchange));
        let orderly = async {
            node.stop().await;
            drop(node);
            // A node that panicked has said so.
            let _ = node_task.await;
            for worker in workers {
                let _ = worker.await;
            }
            tasks.close();
            tasks.wait().await;
        };
        if tokio::time::timeout(STOP_TIMEOUT, orderly).await.is_err() {
            tracing::warn!("something did not end in time");
        }
    }
}

impl Running {
    pub(crate) fn settings(&self) -> &LibrarySettings {
        match self {
            Self::Works { settings, .. } | Self::Stands { settings, .. } => settings,
        }
    }
}

impl Traffic {
    fn is_old(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= TRAFFIC_INTERVAL)
    }

    fn take(&mut self, snapshot: NodeSnapshot) {
        let is_old = self.is_old();
        self.of_peers = snapshot.wire;
        if !is_old {
            return;
        }
        let now = clock::moment();
        let (received_len, sent_len) = (snapshot.wire_total.received_len, snapshot.wire_total.sent_len);
        if let Some(at) = self.at {
            let secs = now.duration_since(at).as_secs_f64().max(0.001);
            let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / secs) as u64;
            (self.down, self.up) = (rate(received_len, self.received_len), rate(sent_len, self.sent_len));
        }
        (self.at, self.received_len, self.sent_len) = (Some(now), received_len, sent_len);
    }
}

/// What is odd in the files, and what does nothing, a line each.
pub(crate) fn all_warnings(folder: &DaemonFolder) -> Vec<String> {
    let odd = folder.warnings();
    odd.iter().map(ToString::to_string).chain(without_effect(folder)).collect()
}

/// Nodes that finders name go to the desk, the rest to the contents.
async fn sort_events(
    mut events: mpsc::Receiver<NodeEvent>,
    engine: mpsc::Sender<NodeEvent>,
    found: mpsc::Sender<swarm_discovery::Found>,
) {
    while let Some(event) = events.recv().await {
        match event {
            // Found again later, if the desk is busy.
            NodeEvent::Found(node) => drop(found.try_send(node)),
            NodeEvent::FinderTrouble(trouble) => tracing::warn!("{}", trouble.reason),
            event => drop(engine.send(event).await),
        }
    }
}

/// Replaces passwords that somebody wrote into users.json by their hashes.
fn hash_passwords(folder: &mut DaemonFolder) {
    let plain: Vec<(String, swarm_daemon_files::Secret)> = folder
        .users()
        .iter()
        .filter_map(|user| match &user.proof {
            Proof::Pass(pass) => Some((user.user.clone(), pass.clone())),
            Proof::Hash(_) => None,
        })
        .collect();
    for (user, pass) in plain {
        let Some(hash) = hash_password(pass.expose()) else { continue };
        match folder.replace_pass(&user, &pass, &hash) {
            Ok(_) => tracing::info!(user, "users.json: replaced the password by its hash"),
            Err(error) => tracing::warn!(user, %error, "users.json: the password stays as it is"),
        }
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The claim on a key that stands for a daemon, so that it is the same node at every start.
fn key_claim() -> ContentId {
    ContentId::from_bytes(*blake3::hash(b"swarm daemon").as_bytes())
}

fn lock(state: &Path, dir: &Path) -> Result<File, DaemonError> {
    let path = state.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DaemonError::InUse(dir.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

fn failed(op: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DaemonError + use<> {
    let path = path.to_owned();
    move |source| DaemonError::Io { op, path, source }
}

/// A daemon's state, below its folder.
pub(crate) const STATE_FOLDER: &str = ".swarm";
const LIBRARIES_FOLDER: &str = "libraries";
/// Whole files of origins, while they are used.
const SPOOL_FOLDER: &str = "origins";
const QUEUE: usize = 256;
/// How often files are looked at: an edit is to be noticed within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
const TRAFFIC_INTERVAL: Duration = Duration::from_secs(2);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// As a node of `swarm node` has it.
const BUFFERS_LEN: u64 = 64 << 20;
const WINDOWS_LEN: u64 = 64 << 20;
const FLAGS_MAX: usize = 1000;
/// Addresses of one peer that finders named: a machine has few.
const FOUND_ADDRESSES_MAX: usize = 8;

/// Where the index of a library is, in the folder of a daemon: for commands that only read.
pub fn index_path(folder: &Path, guid: &str) -> PathBuf {
    folder.join(STATE_FOLDER).join(LIBRARIES_FOLDER).join(guid).join(library::INDEX)
}

/// A GUID for a new library: 128 bits of chance.
pub fn new_guid() -> Option<Guid> {
    let mut bytes = [0; 16];
    let identity = swarm_link::Identity::ephemeral().ok()?;
    bytes.copy_from_slice(&identity.node_id().as_bytes()[..16]);
    Guid::new(&format!("{:032x}", u128::from_be_bytes(bytes))).ok()
}
