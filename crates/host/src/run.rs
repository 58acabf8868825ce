//! The loop of a service: takes calls, events, signals and what was opened, one at a time, and tells the node what to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::admission_files::AdmissionFiles;
use super::collecting::Collector;
use super::config::Config;
use super::contents::{Contents, Entry, EntryId};
use super::control::{Call, ControlSocket};
use super::coordinating::{self, Coordinating, next_neighbours};
use super::opening::{Opened, Opener, Refusal};
use super::page::AskedNode;
use super::rates::RecentRates;
use super::reputations::Reputations;
use super::saved::{Saved, SavedError};
use super::schedule::{Rates, TimeOfDay, rates_at};
use super::signals::{Asked, Signals};
use super::status::View;
use crate::limits::{CONTROL_CLIENTS_MAX, NODE_BUFFERS_LEN, NODE_STOP_TIMEOUT, NODE_WINDOWS_LEN};
use swarm_coordinator::CoordinatorError;
use swarm_core::base::limits::COORDINATORS_MAX;
use swarm_core::base::{Category, Instant, Shown};
use swarm_core::manifest::Source;
use swarm_credentials::CredentialsError;
use swarm_engine::PeerSnapshot;
use swarm_files::StoreError;
use swarm_link::Endpoint;
use swarm_node::clock::{Clock, local_minute, wall_clock};
use swarm_node::{Node, NodeEvent, NodeSnapshot, Options};
use swarm_web_server::{ServeError, Serving};

/// A service that is ready to run.
pub struct Service {
    config_path: Option<PathBuf>,
    config: Config,
    endpoint: Endpoint,
    control: Arc<ControlSocket>,
    metrics: Option<TcpListener>,
    pages: Option<Serving>,
    saved: Saved,
    reputations: Reputations,
    collector: Option<Collector>,
    coordinator: Option<coordinating::Started>,
    admission_files: AdmissionFiles,
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
    /// The folder that contents are collected in cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node cannot be a coordinator.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    /// A file that says who belongs cannot be used.
    #[error(transparent)]
    Trust(#[from] CredentialsError),
    /// Pages have no place.
    #[error(transparent)]
    Pages(#[from] ServeError),
    /// The metrics page has no place.
    #[error("cannot listen at {address} for metrics_listen: {source}; free it or name another")]
    Metrics {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ServiceError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Saved(error) => error.category(),
            Self::Store(error) => error.category(),
            Self::Coordinator(error) => error.category(),
            Self::Trust(error) => error.category(),
            Self::Metrics { .. } | Self::Pages(_) => Category::Other,
        }
    }
}

/// What the loop works on.
pub(super) struct Work {
    pub(super) contents: Contents,
    pub(super) opener: Opener,
    pub(super) openings: JoinSet<(EntryId, Result<Opened, Refusal>)>,
    pub(super) rates: RecentRates,
    pub(super) limits: Rates,
    pub(super) clock: Clock,
}

/// A service that runs.
pub(super) struct Running {
    pub(super) config_path: Option<PathBuf>,
    pub(super) config: Config,
    pub(super) endpoint: Endpoint,
    pub(super) node: Node,
    pub(super) metrics_listen: Option<std::net::SocketAddr>,
    pages: Option<Serving>,
    pub(super) saved: Saved,
    pub(super) reputations: Reputations,
    /// When they were written down last.
    remembered_at: Instant,
    /// Whether a peer was banned since then.
    pub(super) has_banned: bool,
    pub(super) collector: Option<Collector>,
    pub(super) coordinating: Option<Coordinating>,
    /// Named in tickets.
    coordinators: Vec<Source>,
    pub(super) admission_files: AdmissionFiles,
    pub(super) work: Work,
}

impl Service {
    /// Reads what was added at earlier runs, takes the folder for what is collected and the place of the metrics page, and starts
    /// the coordinator. `config_path` is read again at SIGHUP. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If a list cannot be read, a folder cannot be used, or the address of the metrics page is taken.
    pub fn prepare(
        config_path: Option<PathBuf>,
        config: Config,
        state_dir: &std::path::Path,
        endpoint: Endpoint,
        control: ControlSocket,
    ) -> Result<Self, ServiceError> {
        let saved = Saved::open(state_dir)?;
        let reputations = Reputations::open(state_dir, wall_clock())?;
        let opener = Opener { cache_dir: state_dir.join("index"), saved: saved.clone() };
        let mut contents = Contents::default();
        for spec in &config.live.contents {
            contents.insert(Entry::of(spec.clone(), true));
        }
        for known in saved.load()? {
            let mut entry = Entry::of(known.spec, false);
            entry.content = known.content.parse().ok();
            entry.collected = known.collected;
            contents.insert(entry);
        }
        let metrics = config.fixed.metrics_listen.map(listen).transpose()?;
        let work = Work {
            contents,
            opener,
            openings: JoinSet::new(),
            rates: RecentRates::default(),
            limits: Rates::default(),
            clock: Clock::start(),
        };
        let pages = match &config.fixed.web {
            Some(origins) => Some(Serving::start(&endpoint, origins.clone(), wall_clock)?),
            None => None,
        };
        let collector = config.fixed.collecting.clone().map(Collector::open).transpose()?;
        let coordinator =
            config.fixed.is_coordinator.then(|| coordinating::Started::new(&endpoint, state_dir));
        let (coordinator, control) = (coordinator.transpose()?, Arc::new(control));
        let admission_files = AdmissionFiles::set(&endpoint, config.live.trust.clone(), wall_clock)?;
        Ok(Self {
            config_path,
            config,
            endpoint,
            control,
            metrics,
            pages,
            saved,
            reputations,
            collector,
            coordinator,
            admission_files,
            work,
        })
    }

    /// Runs until a signal asks it to stop, and then for at most [`NODE_STOP_TIMEOUT`].
    pub async fn run(self, mut signals: Signals) -> Ending {
        let Config { fixed, live, .. } = &self.config;
        let limits = fixed.peers.limits(live.rates, NODE_BUFFERS_LEN, NODE_WINDOWS_LEN);
        let finders = self.config.finders();
        let advertise = fixed.advertise.clone();
        let options = Options {
            limits,
            finders,
            advertise,
            takes_offers: self.collector.is_some(),
            coordination: self.coordinator.as_ref().map(coordinating::Started::links),
            libraries: None,
            meeting_places: None,
            lan_seen: None,
            past: self.reputations.past().collect(),
            dial_timeout: None,
        };
        let (node, mut events, node_task) = Node::start(self.endpoint.clone(), options);
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        let (calls, mut call_queue) = mpsc::channel(CONTROL_CLIENTS_MAX);
        tasks.spawn(Arc::clone(&self.control).serve(calls.clone(), ending.clone(), tasks.clone()));
        let metrics_listen = self.metrics.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(metrics) = self.metrics {
            tasks.spawn(swarm_pages::serve(metrics, AskedNode(calls), ending.clone(), tasks.clone()));
        }
        let coordinating = match self.coordinator {
            Some(coordinator) => Some(coordinator.enter(&self.endpoint).await),
            None => None,
        };
        let mut coordinators = self.config.fixed.finders.coordinators.clone();
        if coordinating.is_some() {
            coordinators.insert(0, self.endpoint.source(&self.config.fixed.advertise));
            coordinators.truncate(COORDINATORS_MAX);
        }
        let mut running = Running {
            config_path: self.config_path,
            config: self.config,
            endpoint: self.endpoint,
            node,
            metrics_listen,
            pages: self.pages,
            saved: self.saved,
            reputations: self.reputations,
            remembered_at: Instant::ZERO,
            has_banned: false,
            collector: self.collector,
            coordinating,
            coordinators,
            admission_files: self.admission_files,
            work: self.work,
        };
        info!(
            node = %running.endpoint.node_id(),
            listen = %running.endpoint.bound_address(),
            control = %Shown(&self.control.path()),
            "ready"
        );
        notify(&[sd_notify::NotifyState::Ready]);
        running.serve(&mut events, &mut call_queue, &mut signals).await;
        // Clients that ask from now on are told that the node is stopping.
        drop(call_queue);
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
                (content, sources) = next_neighbours(&mut self.coordinating) => {
                    self.on_neighbours(content, sources).await;
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
        let orderly = async {
            self.save_wanted();
            // First, or it would take the links that end now for nodes that went away.
            if let Some(coordinating) = &self.coordinating {
                coordinating.end().await;
            }
            self.node.stop().await;
            // A node that panicked has said so.
            if let Ok(last) = node_task.await {
                self.remember(&last.engine.peers);
            }
            if let Some(collector) = &mut self.collector {
                collector.end().await;
            }
            if let Some(pages) = self.pages.take() {
                pages.end().await;
            }
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
        if let Err(error) = self.admission_files.look() {
            warn!(%error, "going on with who belonged before");
        }
        let now = self.work.clock.now();
        self.work.contents.retry(now);
        let live = &self.config.live;
        let wanted = rates_at(TimeOfDay::of_minute(local_minute()), &live.schedule, live.rates);
        if wanted != self.work.limits {
            self.work.limits = wanted;
            self.node.set_limits(wanted.up, wanted.down).await;
        }
        let snapshot = self.node.snapshot().await;
        self.work.rates.sample(now, &snapshot.engine);
        if std::mem::take(&mut self.has_banned) || now - self.remembered_at >= REMEMBER_INTERVAL {
            self.remembered_at = now;
            self.remember(&snapshot.engine.peers);
        }
        self.look_at_wanted(&snapshot.engine).await;
        self.announce_own(snapshot.presences).await;
    }

    fn remember(&mut self, peers: &[PeerSnapshot]) {
        let uptime = self.uptime();
        if let Err(error) = self.reputations.store(peers, uptime, wall_clock()) {
            warn!(%error, "what peers were worth will not be known after a restart");
        }
    }

    fn uptime(&self) -> Duration {
        self.work.clock.now() - Instant::ZERO
    }

    pub(super) fn source(&self) -> Source {
        self.endpoint.source(&self.config.fixed.advertise)
    }

    pub(super) fn view<'a>(&'a self, snapshot: &'a NodeSnapshot, source: &'a Source) -> View<'a> {
        View {
            contents: &self.work.contents,
            snapshot,
            rates: &self.work.rates,
            source,
            coordinators: &self.coordinators,
            store: self.store_status(),
            totals: self.coordinating.as_ref().map(Coordinating::totals),
            listen: self.endpoint.bound_address(),
            metrics_listen: self.metrics_listen,
            limits: self.work.limits,
            uptime: self.uptime(),
            reputations: &self.reputations,
        }
    }
}

fn listen(address: std::net::SocketAddr) -> Result<TcpListener, ServiceError> {
    let failed = |source| ServiceError::Metrics { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

/// Without systemd it has no effect.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot tell systemd how the node stands");
    }
}

const TICK: Duration = Duration::from_secs(1);
/// What a kill may make it forget.
const REMEMBER_INTERVAL: Duration = Duration::from_secs(30);
