//! A service that is a coordinator, too: its own node is one of those that others are told of.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::run::Running;
use swarm_coordinator::{Coordinator, CoordinatorError, OwnNode, OwnPlace, Totals};
use swarm_core::base::ContentId;
use swarm_core::manifest::Source;
use swarm_core::presence::Presence;
use swarm_engine::Purpose;
use swarm_link::{Endpoint, Link};
use swarm_node::clock::wall_clock;

/// A coordinator beside the node.
pub(super) struct Coordinating {
    coordinator: Coordinator,
    own: OwnNode,
    tasks: TaskTracker,
    ending: CancellationToken,
}

/// A coordinator that knows nothing of its own node yet.
pub(super) struct Started {
    coordinator: Coordinator,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Started {
    pub(super) fn new(endpoint: &Endpoint, state_dir: &std::path::Path) -> Result<Self, CoordinatorError> {
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        let folder = state_dir.join("coordinator");
        let coordinator = Coordinator::start(endpoint, &folder, wall_clock, &tasks, &ending)?;
        Ok(Self { coordinator, tasks, ending })
    }

    pub(super) fn links(&self) -> tokio::sync::mpsc::Sender<Link> {
        self.coordinator.links()
    }

    pub(super) async fn enter(self, endpoint: &Endpoint) -> Coordinating {
        let own = self.coordinator.own_node(endpoint).await;
        let Self { coordinator, tasks, ending } = self;
        Coordinating { coordinator, own, tasks, ending }
    }
}

impl Coordinating {
    pub(super) fn totals(&self) -> Totals {
        *self.coordinator.totals().borrow()
    }

    /// Waits until all that is known is on disk.
    pub(super) async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Who else has a content. Waits for ever where there is no coordinator. To be cancelled by dropping the future.
pub(super) async fn next_neighbours(coordinating: &mut Option<Coordinating>) -> (ContentId, Vec<Source>) {
    match coordinating {
        Some(coordinating) => coordinating.own.next().await,
        None => std::future::pending().await,
    }
}

impl Running {
    pub(super) async fn on_neighbours(&mut self, content: ContentId, sources: Vec<Source>) {
        for source in sources {
            self.node.add_source(content, source, Purpose::Fetch).await;
        }
    }

    /// Tells the coordinator what its own node takes part in.
    pub(super) async fn announce_own(&mut self, presences: Vec<Presence>) {
        let (now, source) = (self.work.clock.now(), self.source());
        let (zone, up) = (self.config.fixed.finders.zone.clone(), self.work.limits.up.unwrap_or_default());
        let Some(coordinating) = &mut self.coordinating else { return };
        coordinating.own.announce(now, &OwnPlace { source, zone, up }, &presences).await;
    }
}
