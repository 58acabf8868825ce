//! Serving one content on a node of its own: joins with a store that is open, offers it to an aggregator if that is the plan, and says
//! what happens until it is enough. Absent here: hashing, words for people.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::events::{JobEvent, Meaning, News, PeerNews, meaning_of};
use super::fetch::len_of;
use super::place::Place;
use crate::AdmissionFiles;
use swarm_core::base::{Bitfield, Category, ContentId, Instant, NodeId};
use swarm_core::manifest::{Address, Manifest, Source, Ticket};
use swarm_core::wire::DeclineReason;
use swarm_discovery::limits::PORT_MAP_PATIENCE;
use swarm_engine::{Join, Order, Purpose, Refusal, Violation};
use swarm_files::SeedStore;
use swarm_link::Endpoint;
use swarm_node::clock::Clock;
use swarm_node::{Node, NodeEvent, NodeSnapshot, Options};

/// What is served, and until when.
#[derive(Clone, Debug)]
pub struct SeedPlan {
    /// What. The chunks that are there are those of the store.
    pub manifest: Manifest,
    /// What tickets hold beside this node: coordinators, signatures, keys.
    pub ticket: Ticket,
    /// Where others reach this node, if the addresses of its machine are not it.
    pub advertise: Vec<Address>,
    /// It is enough when so many peers have taken everything.
    pub takers: Option<u64>,
    /// A node that is asked to store it, too.
    pub replica: Option<ReplicaPlan>,
}

/// An aggregator that is offered a content.
#[derive(Clone, Debug)]
pub struct ReplicaPlan {
    /// The aggregator.
    pub aggregator: Source,
    /// It is enough when everything is on its disk.
    pub is_enough: bool,
}

/// Why serving ends before it is enough.
#[derive(Debug)]
pub enum SeedError {
    /// It was told to stop.
    Stopped,
    /// The aggregator does not take the content.
    Declined(NodeId, DeclineReason),
    /// The aggregator refuses this node.
    Refused(Refusal),
    /// The aggregator misbehaved.
    Banned(NodeId, Violation),
    /// The node's task died.
    Died,
}

/// The figures of a seed that has ended.
#[derive(Debug)]
pub struct SeedEnd {
    /// What was served.
    pub content: ContentId,
    /// The last state of its node.
    pub last: NodeSnapshot,
    /// Bytes that it served from.
    pub present_len: u64,
    /// How long it served.
    pub elapsed: Duration,
}

/// A seed under way.
pub struct SeedJob {
    plan: SeedPlan,
    endpoint: Endpoint,
    admission_files: AdmissionFiles,
    maps_port: bool,
    node: Node,
    events: mpsc::Receiver<NodeEvent>,
    task: JoinHandle<NodeSnapshot>,
    clock: Clock,
    present_len: u64,
    place: Option<Place>,
    taken: u64,
}

/// Takes a job's events.
type Show<'a> = &'a mut dyn FnMut(JobEvent);

impl SeedError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Stopped => Category::Interrupted,
            // An aggregator without room is one source less, not one that refuses.
            Self::Declined(_, DeclineReason::NoRoom | DeclineReason::NotHere) => Category::NoSource,
            Self::Declined(_, DeclineReason::NotAccepted | DeclineReason::NotAuthorised) => Category::Denied,
            Self::Refused(refusal) => refusal.cause.category(),
            Self::Banned(..) | Self::Died => Category::Other,
        }
    }
}

impl SeedJob {
    /// Starts a node on this endpoint, whose admission rules are those of `admission_files`. Must be called within a tokio runtime; [`SeedJob::run`] serves.
    pub fn start(
        endpoint: Endpoint,
        admission_files: AdmissionFiles,
        options: Options,
        plan: SeedPlan,
    ) -> Self {
        let maps_port = options.finders.map_port;
        let options = Options { advertise: plan.advertise.clone(), ..options };
        let (node, events, task) = Node::start(endpoint.clone(), options);
        let clock = Clock::start();
        let (present_len, place, taken) = (0, None, 0);
        Self {
            plan,
            endpoint,
            admission_files,
            maps_port,
            node,
            events,
            task,
            clock,
            present_len,
            place,
            taken,
        }
    }

    /// Waits until it is known where others reach this node. Returns a ticket that says so.
    pub async fn settle(&mut self) -> Ticket {
        if self.maps_port {
            // A ticket is for outside: it is to name the mapped port. Without one the addresses of the machine are all there is.
            let _ = tokio::time::timeout(PORT_MAP_PATIENCE, self.endpoint.settled_addresses()).await;
        }
        let source = self.endpoint.source(&self.plan.advertise);
        self.place = Some(Place::new(&self.endpoint, &self.plan.advertise, &source));
        self.ticket(source)
    }

    /// Serves until it is enough, or until `stop` is ready. To be called once.
    ///
    /// # Errors
    /// Why it ended before.
    pub async fn run(
        &mut self,
        store: SeedStore,
        show: Show<'_>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), SeedError> {
        self.join(store, show).await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                event = self.events.recv() => {
                    let Some(event) = event else { return Err(SeedError::Died) };
                    if let Some(end) = self.on_event(event, show) {
                        return end;
                    }
                }
                _ = tick.tick() => self.look_around(show).await,
                () = &mut stop => return Err(SeedError::Stopped),
            }
            if self.plan.takers.is_some_and(|takers| self.taken >= takers) {
                return Ok(());
            }
        }
    }

    /// Stops the node. To be called after [`SeedJob::run`], whatever that came to.
    pub async fn end(self) -> SeedEnd {
        self.node.stop().await;
        // A node that panicked has said so.
        let last = self.task.await.unwrap_or_default();
        let elapsed = self.clock.now() - Instant::ZERO;
        SeedEnd { content: self.plan.manifest.id(), last, present_len: self.present_len, elapsed }
    }

    async fn join(&mut self, store: SeedStore, show: Show<'_>) {
        let manifest = &self.plan.manifest;
        let (content, good) = (manifest.id(), store.good().clone());
        self.present_len = len_of(manifest, &good);
        let join =
            Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
        self.node.join(join).await;
        let nothing = Bitfield::new(good.len());
        self.node.open_store(content, Arc::new(store), good.clone(), nothing).await;
        if let Some(replica) = &self.plan.replica {
            self.node.add_source(content, replica.aggregator.clone(), Purpose::Push).await;
        }
        self.clock = Clock::start();
        show(JobEvent::Serving { present_len: self.present_len, good });
    }

    /// `Some` ends it.
    fn on_event(&mut self, event: NodeEvent, show: Show<'_>) -> Option<Result<(), SeedError>> {
        match meaning_of(event) {
            Meaning::Tell(News::Peer { node, news, .. }) => {
                let end = self.end_by(node, &news);
                if let Some(Err(_)) = end {
                    return end;
                }
                self.taken += u64::from(news == PeerNews::Completed);
                show(JobEvent::Peer(node, news));
                end
            }
            Meaning::Tell(News::Chunk { chunk, news, .. }) => {
                show(JobEvent::Chunk(chunk, news));
                None
            }
            Meaning::Tell(News::Trouble(trouble)) => {
                show(JobEvent::Trouble(trouble));
                None
            }
            // It has all that it is to have, and writes nothing.
            Meaning::Tell(News::Warning { .. })
            | Meaning::Open(_)
            | Meaning::Complete(_)
            | Meaning::GaveUp(..)
            | Meaning::StoreFailed(..)
            | Meaning::Offer(..)
            | Meaning::Nothing => None,
        }
    }

    /// What news of the aggregator mean for the end.
    fn end_by(&self, node: NodeId, news: &PeerNews) -> Option<Result<(), SeedError>> {
        let replica = self.plan.replica.as_ref().filter(|replica| replica.aggregator.node == node)?;
        match news {
            PeerNews::Durable => replica.is_enough.then_some(Ok(())),
            PeerNews::Declined(
                reason @ (DeclineReason::NotAccepted | DeclineReason::NoRoom | DeclineReason::NotAuthorised),
            ) => Some(Err(SeedError::Declined(node, *reason))),
            PeerNews::Refused(refusal) => Some(Err(SeedError::Refused(refusal.clone()))),
            PeerNews::Banned(violation) => Some(Err(SeedError::Banned(node, violation.clone()))),
            // One that does not take it now may take it later.
            PeerNews::Declined(DeclineReason::NotHere)
            | PeerNews::Found(_)
            | PeerNews::ToldBy(_)
            | PeerNews::Joined { .. }
            | PeerNews::Left { .. }
            | PeerNews::Unreachable { .. }
            | PeerNews::Denied
            | PeerNews::Blames(_)
            | PeerNews::Accused { .. }
            | PeerNews::Completed => None,
        }
    }

    async fn look_around(&mut self, show: Show<'_>) {
        if let Err(error) = self.admission_files.look() {
            show(JobEvent::Trust(error));
        }
        if let Some(source) = self.place.as_mut().and_then(Place::look) {
            show(JobEvent::Moved(Box::new(self.ticket(source))));
        }
        show(JobEvent::Progress(Box::new(self.node.snapshot().await)));
    }

    fn ticket(&self, source: Source) -> Ticket {
        Ticket { sources: vec![source], ..self.plan.ticket.clone() }
    }
}

/// What a seed tells changes slowly.
const TICK: Duration = Duration::from_secs(1);
