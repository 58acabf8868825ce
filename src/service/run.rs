//! The loop of a service: takes calls, events, signals and what was opened, one at a time, and tells the node what to do.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::config::Config;
use super::contents::{Contents, Entry, EntryId, Spec, State};
use super::control::{Call, ControlSocket};
use super::http;
use super::opening::{Opened, Opener, Refusal};
use super::protocol::{Answer, ContentStatus, ErrorKind, Request, Status};
use super::rates::RecentRates;
use super::saved::{Saved, SavedError};
use super::schedule::{Rates, TimeOfDay, rates_at};
use super::signals::{Asked, Signals};
use super::status::View;
use crate::base::limits::{
    CONTENTS_MAX, CONTROL_CLIENTS_MAX, NODE_BUFFERS_LEN, NODE_STOP_TIMEOUT, OPENING_RETRY, OPENINGS_MAX,
};
use crate::base::{ContentId, Instant};
use crate::engine::{Event, FetchFailure, Join, Order};
use crate::manifest::{Manifest, Source, Ticket};
use crate::node::clock::{Clock, local_minute};
use crate::node::{Limits, Node, NodeEvent, NodeSnapshot};
use crate::storage::HashProgress;
use crate::transport::Endpoint;

/// A service that is ready to run.
pub struct Service {
    config_path: PathBuf,
    config: Config,
    endpoint: Endpoint,
    control: Arc<ControlSocket>,
    metrics: Option<TcpListener>,
    saved: Saved,
    work: Work,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order.
    Done,
    /// At once, at a second signal.
    Forced,
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The list of what was added at run time cannot be used.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The metrics page has no place.
    #[error("cannot listen at {address} for metrics_listen: {source}; free it or name another")]
    Metrics {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What the loop works on.
struct Work {
    contents: Contents,
    opener: Opener,
    openings: JoinSet<(EntryId, Result<Opened, Refusal>)>,
    rates: RecentRates,
    limits: Rates,
    clock: Clock,
    is_stopping: bool,
}

/// A service that runs.
struct Running {
    config_path: PathBuf,
    config: Config,
    endpoint: Endpoint,
    node: Node,
    saved: Saved,
    work: Work,
    published: watch::Sender<Arc<Status>>,
}

impl Service {
    /// Reads what was added at earlier runs and takes the place of the metrics page. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the list cannot be read, or the address of the metrics page is taken.
    pub fn prepare(
        config_path: PathBuf,
        config: Config,
        state_dir: &std::path::Path,
        endpoint: Endpoint,
        control: ControlSocket,
    ) -> Result<Self, ServiceError> {
        let saved = Saved::open(state_dir)?;
        let opener = Opener { cache_dir: state_dir.join("index"), saved: saved.clone() };
        let mut contents = Contents::default();
        for spec in &config.contents {
            contents.insert(entry(spec.clone(), true));
        }
        for known in saved.load()? {
            let mut entry = entry(known.spec, false);
            entry.content = known.content.parse().ok();
            contents.insert(entry);
        }
        let metrics = config.metrics_listen.map(listen).transpose()?;
        let work = Work {
            contents,
            opener,
            openings: JoinSet::new(),
            rates: RecentRates::default(),
            limits: Rates::default(),
            clock: Clock::start(),
            is_stopping: false,
        };
        Ok(Self { config_path, config, endpoint, control: Arc::new(control), metrics, saved, work })
    }

    /// Runs until a signal asks it to stop, and then for at most [`NODE_STOP_TIMEOUT`].
    pub async fn run(self, mut signals: Signals) -> Ending {
        let limits = Limits {
            buffers_len: NODE_BUFFERS_LEN,
            up: self.config.rates.up,
            down: self.config.rates.down,
            up_per_peer: self.config.per_peer.up,
            down_per_peer: self.config.per_peer.down,
            links_max: self.config.max_peers,
        };
        let (node, mut events, node_task) = Node::start(self.endpoint.clone(), limits);
        let published = watch::Sender::new(Arc::new(Status { is_healthy: true, ..Status::default() }));
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        let (calls, mut call_queue) = mpsc::channel(CONTROL_CLIENTS_MAX);
        tasks.spawn(Arc::clone(&self.control).serve(calls, ending.clone(), tasks.clone()));
        if let Some(metrics) = self.metrics {
            tasks.spawn(http::serve(metrics, published.subscribe(), ending.clone(), tasks.clone()));
        }
        let mut running = Running {
            config_path: self.config_path,
            config: self.config,
            endpoint: self.endpoint,
            node,
            saved: self.saved,
            work: self.work,
            published,
        };
        running.publish().await;
        info!(
            node = %running.endpoint.node_id(),
            listen = %running.endpoint.bound_address(),
            control = %self.control.path().display(),
            "ready"
        );
        notify(&[sd_notify::NotifyState::Ready]);
        running.serve(&mut events, &mut call_queue, &mut signals).await;
        notify(&[sd_notify::NotifyState::Stopping]);
        running.stop(node_task, &mut signals, &ending, &tasks).await
    }
}

impl Running {
    async fn serve(
        &mut self,
        events: &mut mpsc::Receiver<NodeEvent>,
        calls: &mut mpsc::Receiver<Call>,
        signals: &mut Signals,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.start_openings().await;
            tokio::select! {
                Some(event) = events.recv() => self.on_event(event).await,
                Some(call) = calls.recv() => self.on_call(call).await,
                Some(opened) = self.work.openings.join_next() => {
                    // Never aborted, and a panic inside comes out as a refusal.
                    if let Ok((id, result)) = opened {
                        self.on_opened(id, result).await;
                    }
                }
                _ = tick.tick() => self.on_tick().await,
                asked = signals.next() => match asked {
                    Asked::Stop => return,
                    Asked::Reload => self.reload().await,
                },
            }
        }
    }

    /// Lets go of everything; what takes too long is cut off, and so is all of it at a second signal.
    async fn stop(
        mut self,
        node_task: JoinHandle<NodeSnapshot>,
        signals: &mut Signals,
        ending: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Ending {
        info!("stopping");
        self.work.is_stopping = true;
        self.publish().await;
        let orderly = async {
            self.node.stop().await;
            // A node that panicked has said so.
            let _ = node_task.await;
            ending.cancel();
            tasks.close();
            tasks.wait().await;
        };
        tokio::select! {
            ended = timeout(NODE_STOP_TIMEOUT, orderly) => {
                if ended.is_err() {
                    warn!("some peers did not take their leave in time");
                }
                info!("stopped");
                Ending::Done
            }
            () = signals.stop() => Ending::Forced,
        }
    }

    async fn on_tick(&mut self) {
        let now = self.work.clock.now();
        self.work.contents.retry(now);
        let wanted = rates_at(TimeOfDay::of_minute(local_minute()), &self.config.schedule, self.config.rates);
        if wanted != self.work.limits {
            self.work.limits = wanted;
            self.node.set_limits(wanted.up, wanted.down).await;
        }
        let snapshot = self.node.snapshot().await;
        self.work.rates.sample(now, &snapshot.engine);
        let status = self.view(&snapshot, &self.source()).status();
        self.published.send_replace(Arc::new(status));
    }

    async fn publish(&self) {
        let snapshot = self.node.snapshot().await;
        let status = self.view(&snapshot, &self.source()).status();
        self.published.send_replace(Arc::new(status));
    }

    fn source(&self) -> Source {
        self.endpoint.source(&self.config.advertise)
    }

    fn view<'a>(&'a self, snapshot: &'a NodeSnapshot, source: &'a Source) -> View<'a> {
        View {
            contents: &self.work.contents,
            snapshot,
            rates: &self.work.rates,
            source,
            listen: self.endpoint.bound_address(),
            limits: self.work.limits,
            uptime: self.work.clock.now() - Instant::ZERO,
            is_stopping: self.work.is_stopping,
        }
    }

    /// Gives those that wait their turn, as long as there is room.
    async fn start_openings(&mut self) {
        while self.work.openings.len() < OPENINGS_MAX {
            let Some(id) = self.work.contents.next_waiting() else { return };
            match self.work.prepare(id) {
                Prepared::Open(manifest) => self.work.open(id, manifest),
                Prepared::AskPeers(ticket) => self.begin_fetch(id, ticket).await,
                Prepared::Refused(refusal) => self.refuse(id, refusal).await,
            }
        }
    }

    /// Only the id is known: the manifest comes from peers.
    async fn begin_fetch(&mut self, id: EntryId, ticket: Ticket) {
        if self.is_twin(id, ticket.content).await {
            return;
        }
        let Some(entry) = self.work.contents.get_mut(id) else { return };
        entry.state = State::Fetching;
        entry.content = Some(ticket.content);
        self.join(ticket.content, None).await;
        for source in ticket.sources {
            self.node.add_source(ticket.content, source).await;
        }
        info!(content = %ticket.content.short(), "fetching");
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "what was added will not be known after a restart");
        }
        self.answer_added(id, false).await;
    }

    async fn join(&self, content: ContentId, manifest: Option<Manifest>) {
        self.node.join(Join { content, manifest, order: Order::RarestFirst, patience: None }).await;
    }

    async fn on_opened(&mut self, id: EntryId, result: Result<Opened, Refusal>) {
        let opened = match result {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(id, refusal).await,
        };
        let content = opened.manifest.id();
        if self.is_twin(id, content).await {
            return;
        }
        // It may have been removed meanwhile.
        let Some(entry) = self.work.contents.get_mut(id) else { return };
        let is_joined = entry.state == State::Fetching;
        let is_seed = opened.wanted.is_empty();
        if let (Some(before), Spec::Paths { .. }) =
            (entry.content.filter(|before| *before != content), &entry.spec)
        {
            warn!(before = %before.short(), now = %content.short(), name = %entry.name, "the data changed: it is another content now");
        }
        entry.content = Some(content);
        entry.name = opened.manifest.name();
        entry.spec = opened.spec;
        entry.content_len = opened.manifest.geometry().content_len();
        entry.present_len = opened.present_len;
        (entry.lost_chunks, entry.refusal) = (0, None);
        entry.state = if is_seed { State::Serving } else { State::Fetching };
        let (is_configured, name) = (entry.is_configured, entry.name.clone());
        if !is_configured && let Err(error) = self.saved.store(&self.work.contents) {
            return self.refuse(id, error.into()).await;
        }
        if !is_joined {
            self.join(content, Some(opened.manifest)).await;
        }
        self.node.open_store(content, opened.store, opened.durable, opened.wanted).await;
        if !is_joined && !is_seed {
            self.add_sources(id).await;
        }
        info!(content = %content.short(), name, bytes = opened.present_len, "serving");
        self.answer_added(id, false).await;
    }

    async fn add_sources(&self, id: EntryId) {
        let Some(Spec::Fetch { ticket, .. }) = self.work.contents.get(id).map(|entry| &entry.spec) else {
            return;
        };
        let Ok(ticket) = ticket.parse::<Ticket>() else { return };
        for source in ticket.sources {
            self.node.add_source(ticket.content, source).await;
        }
    }

    /// Whether another entry serves this content already: one is enough. One that only claims it gives way.
    async fn is_twin(&mut self, id: EntryId, content: ContentId) -> bool {
        let Some(other) = self.work.contents.find_other(content, id) else { return false };
        let is_live = |entry: &Entry| matches!(entry.state, State::Serving | State::Fetching);
        let twice = Answer::error(ErrorKind::Other, "it was added a second time: see `swarm ls`");
        if !self.work.contents.get(other).is_some_and(is_live) {
            if let Some(mut claim) = self.work.contents.remove(other) {
                claim.answer(twice);
            }
            return false;
        }
        let waiter = self.work.contents.remove(id).and_then(|twin| twin.waiter);
        warn!(content = %content.short(), "a content is named twice: it is served once");
        if let Some(first) = self.work.contents.get_mut(other).filter(|_| waiter.is_some()) {
            first.answer(twice);
            first.waiter = waiter;
            self.answer_added(other, true).await;
        }
        true
    }

    /// A content cannot be served: whoever added it is told, and it was never there; otherwise it is tried again.
    async fn refuse(&mut self, id: EntryId, refusal: Refusal) {
        let retry_at = self.work.clock.now() + OPENING_RETRY;
        let Some(entry) = self.work.contents.get_mut(id) else { return };
        let Refusal { kind, message } = refusal;
        let is_live = matches!(entry.state, State::Serving | State::Fetching);
        let joined = entry.content.filter(|_| is_live);
        if entry.waiter.is_some() {
            entry.answer(Answer::error(kind, message));
            self.work.contents.remove(id);
        } else {
            if entry.refusal.as_ref() != Some(&message) {
                warn!(name = %entry.name, message, "cannot be served; trying again every now and then");
            }
            entry.refusal = Some(message);
            entry.state = State::Failed { retry_at };
        }
        if let Some(content) = joined {
            self.node.leave(content).await;
        }
    }

    async fn answer_added(&mut self, id: EntryId, was_there: bool) {
        let Some(content) = self.content_status(id).await else { return };
        if let Some(entry) = self.work.contents.get_mut(id) {
            entry.answer(Answer::Added { content: Box::new(content), was_there });
        }
    }

    async fn content_status(&self, id: EntryId) -> Option<ContentStatus> {
        let wanted = self.work.contents.get(id)?.content?.to_string();
        let snapshot = self.node.snapshot().await;
        let contents = self.view(&snapshot, &self.source()).contents();
        contents.into_iter().find(|content| content.content.as_ref() == Some(&wanted))
    }

    async fn on_call(&mut self, call: Call) {
        let spec = match call.request {
            Request::AddPaths { paths } => Spec::Paths { paths },
            Request::AddCopy { manifest, path } => Spec::Copy { manifest, path },
            Request::AddFetch { ticket, out } => Spec::Fetch { ticket, out, is_complete: false },
            Request::Remove { content } => {
                let answer = self.remove(&content).await;
                return reply(call.answer, answer);
            }
            Request::List => {
                let snapshot = self.node.snapshot().await;
                let contents = self.view(&snapshot, &self.source()).contents();
                return reply(call.answer, Answer::Contents { contents });
            }
            Request::Status => {
                let snapshot = self.node.snapshot().await;
                let status = self.view(&snapshot, &self.source()).status();
                return reply(call.answer, Answer::Status(Box::new(status)));
            }
        };
        if let Err(answer) = self.work.may_add(&spec) {
            return reply(call.answer, answer);
        }
        let mut entry = Entry::new(spec, false, call.progress);
        entry.waiter = Some(call.answer);
        self.work.contents.insert(entry);
    }

    async fn remove(&mut self, prefix: &str) -> Answer {
        let id = match self.work.contents.find_prefix(prefix) {
            Ok(id) => id,
            Err(error) => return Answer::error(ErrorKind::Usage, error),
        };
        if self.work.contents.get(id).is_some_and(|entry| entry.is_configured) {
            let path = self.config_path.display();
            let message = format!("it is named in `{path}`: take it out there and send SIGHUP to the node");
            return Answer::error(ErrorKind::Usage, message);
        }
        let Some(mut entry) = self.work.contents.remove(id) else {
            return Answer::error(ErrorKind::Usage, "no such content");
        };
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "what was removed will be back after a restart");
        }
        entry.answer(Answer::error(ErrorKind::Other, "it was removed meanwhile"));
        let Some(content) = entry.content else { return Answer::error(ErrorKind::Usage, "no such content") };
        self.node.leave(content).await;
        self.saved.drop_manifest(content);
        info!(content = %content.short(), name = %entry.name, "removed");
        Answer::Removed { content: content.to_string(), name: entry.name }
    }

    async fn on_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Engine(event) => self.on_engine_event(event).await,
            // The engine's Failed follows if it ends a fetch.
            NodeEvent::StoreError { content, error } => {
                warn!(content = %content.short(), %error, "the store failed");
                self.refuse_content(content, error.into()).await;
            }
        }
    }

    async fn on_engine_event(&mut self, event: Event) {
        match event {
            Event::ManifestComplete { manifest } => {
                if let Some(id) = self.work.contents.find(manifest.id()) {
                    self.work.open(id, Some(manifest));
                }
            }
            Event::Completed { content } => self.on_completed(content),
            Event::Failed { content, failure } => {
                let message = match failure {
                    FetchFailure::Refused(reason) => reason,
                    FetchFailure::NoSource(_) => "no source made progress".to_owned(),
                    FetchFailure::Store => "the store failed".to_owned(),
                };
                self.refuse_content(content, Refusal { kind: ErrorKind::Other, message }).await;
            }
            Event::ChunkLost { content, chunk } => {
                warn!(content = %content.short(), chunk = chunk.get(), "withdrew a chunk: the data changed or cannot be read");
                if let Some(entry) =
                    self.work.contents.find(content).and_then(|id| self.work.contents.get_mut(id))
                {
                    entry.lost_chunks += 1;
                }
            }
            Event::PeerJoined { node, agent } => info!(peer = %node.short(), agent, "a peer joined"),
            Event::PeerLeft { node, reason } => info!(peer = %node.short(), reason, "a peer left"),
            Event::PeerUnreachable { node, failure } => {
                info!(peer = %node.short(), ?failure, "a peer is not reached")
            }
            Event::PeerDeclined { node, content } => {
                info!(peer = %node.short(), content = %content.short(), "a peer does not have it");
            }
            Event::PeerBanned { node, violation } => warn!(peer = %node.short(), %violation, "banned a peer"),
            Event::BlamedByPeer { node, content, chunk } => {
                warn!(peer = %node.short(), content = %content.short(), chunk = chunk.get(), "a peer says that a chunk from here was corrupt: check this machine");
            }
            Event::PeerCompleted { node, content } => {
                info!(peer = %node.short(), content = %content.short(), "a peer has everything now");
            }
            Event::Left { .. } | Event::Stopped => {}
        }
    }

    fn on_completed(&mut self, content: ContentId) {
        let Some(entry) = self.work.contents.find(content).and_then(|id| self.work.contents.get_mut(id))
        else {
            return;
        };
        if entry.state != State::Fetching {
            return;
        }
        info!(content = %content.short(), name = %entry.name, "fetched, and serving");
        entry.state = State::Serving;
        entry.present_len = entry.content_len;
        if let Spec::Fetch { is_complete, .. } = &mut entry.spec {
            *is_complete = true;
        }
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "the fetch will be checked again after a restart");
        }
    }

    /// A content that was joined cannot be served any more: it is opened anew after a while.
    async fn refuse_content(&mut self, content: ContentId, refusal: Refusal) {
        let Some(id) = self.work.contents.find(content) else { return };
        if matches!(self.work.contents.get(id).map(|entry| &entry.state), Some(State::Failed { .. })) {
            return;
        }
        self.refuse(id, refusal).await;
    }

    /// Takes the contents and limits of the configuration as it is now; the rest needs a restart.
    async fn reload(&mut self) {
        let config = match Config::load(&self.config_path) {
            Ok(config) => config,
            Err(error) => {
                return warn!(%error, "the configuration is not taken; going on with the one before");
            }
        };
        let is_configured = |work: &Work| {
            let configured = work.contents.iter().filter(|(_, entry)| entry.is_configured);
            configured.map(|(id, entry)| (id, entry.spec.clone())).collect::<Vec<_>>()
        };
        let before = is_configured(&self.work);
        for (id, spec) in &before {
            if !config.contents.contains(spec)
                && let Some(content) = self.work.contents.remove(*id).and_then(|entry| entry.content)
            {
                info!(content = %content.short(), "removed");
                self.node.leave(content).await;
            }
        }
        for spec in &config.contents {
            if !before.iter().any(|(_, known)| known == spec) {
                self.work.contents.insert(entry(spec.clone(), true));
            }
        }
        if self.config.needs_restart(&config) {
            warn!(
                "only contents, limit_up, limit_down and schedule are taken while the node runs: restart it for the rest"
            );
        }
        (self.config.contents, self.config.rates) = (config.contents, config.rates);
        self.config.schedule = config.schedule;
        info!(contents = self.work.contents.len(), "took the configuration anew");
    }
}

/// What is to be done for an entry whose turn it is.
enum Prepared {
    Open(Option<Manifest>),
    AskPeers(Ticket),
    Refused(Refusal),
}

impl Work {
    fn prepare(&self, id: EntryId) -> Prepared {
        let Some(Spec::Fetch { ticket, .. }) = self.contents.get(id).map(|entry| &entry.spec) else {
            return Prepared::Open(None);
        };
        let ticket: Ticket = match ticket.parse() {
            Ok(ticket) => ticket,
            Err(error) => {
                return Prepared::Refused(Refusal { kind: ErrorKind::Usage, message: format!("{error}") });
            }
        };
        match self.opener.known_manifest(ticket.content) {
            Some(manifest) => Prepared::Open(Some(manifest)),
            None => Prepared::AskPeers(ticket),
        }
    }

    /// Opens an entry on a thread of its own: it may have to hash what is there.
    fn open(&mut self, id: EntryId, manifest: Option<Manifest>) {
        let Some(entry) = self.contents.get_mut(id) else { return };
        if entry.state == State::Waiting {
            entry.state = State::Hashing;
        }
        let (spec, is_configured) = (entry.spec.clone(), entry.is_configured);
        let (opener, progress) = (self.opener.clone(), entry.progress.clone());
        self.openings.spawn_blocking(move || {
            let show = |hashed: HashProgress| {
                progress.send_replace(hashed);
            };
            let open = || opener.open(spec, is_configured, manifest, &show);
            let opened = std::panic::catch_unwind(AssertUnwindSafe(open));
            (id, opened.unwrap_or_else(|_| Err(Refusal::died())))
        });
    }

    fn may_add(&self, spec: &Spec) -> Result<(), Answer> {
        let usage = |message: String| Err(Answer::error(ErrorKind::Usage, message));
        if self.contents.len() >= CONTENTS_MAX {
            return usage(format!(
                "the node has {CONTENTS_MAX} contents already: remove one, or run a second node"
            ));
        }
        let paths: Vec<&PathBuf> = match spec {
            Spec::Paths { paths } if paths.is_empty() => {
                return usage("no path is named: name one".to_owned());
            }
            Spec::Paths { paths } => paths.iter().collect(),
            Spec::Copy { manifest, path } => vec![manifest, path],
            Spec::Fetch { out, .. } => vec![out],
        };
        if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
            return usage(format!("`{}` is not an absolute path: name it from the root", path.display()));
        }
        let Spec::Fetch { ticket, .. } = spec else { return Ok(()) };
        match ticket.parse::<Ticket>() {
            Err(error) => usage(error.to_string()),
            Ok(ticket) if self.contents.find(ticket.content).is_some() => {
                usage(format!("content {} is here already: see `swarm ls`", ticket.content.short()))
            }
            Ok(_) => Ok(()),
        }
    }
}

fn entry(spec: Spec, is_configured: bool) -> Entry {
    Entry::new(spec, is_configured, watch::Sender::new(HashProgress { hashed_len: 0, total_len: 0 }))
}

/// Whoever asked may be gone.
fn reply(to: tokio::sync::oneshot::Sender<Answer>, answer: Answer) {
    let _ = to.send(answer);
}

fn listen(address: std::net::SocketAddr) -> Result<TcpListener, ServiceError> {
    let failed = |source| ServiceError::Metrics { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

/// Where there is no systemd nobody hears it.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot tell systemd how the node stands");
    }
}

const TICK: Duration = Duration::from_secs(1);
