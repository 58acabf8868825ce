//! Finders beside the engine: tells them what this node takes part in, and takes the nodes that they find. Decides nothing: a node that
//! was found is a source like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::fact::Fact;
use super::ground::Ground;
use crate::limits::FOUND_WAITING_MAX;
use swarm_core::base::limits::COORDINATORS_MAX;
use swarm_core::base::{ContentId, NodeId, Rate};
use swarm_core::manifest::{Address, Source};
use swarm_core::presence::Presence;
use swarm_discovery::{Finders, Found, Participation, Surroundings, Trouble, Way};
use swarm_engine::Engine;
use swarm_engine::limits::PEERS_MAX;
use swarm_link::Endpoint;
use swarm_link::limits::LINK_FINISH_TIMEOUT;

pub(super) struct Finding {
    participation: watch::Sender<Participation>,
    found: mpsc::Receiver<Found>,
    troubles: mpsc::Receiver<Trouble>,
    /// For every content.
    coordinators: Vec<Source>,
    /// For one content each, beside those.
    own_coordinators: BTreeMap<ContentId, Vec<Source>>,
    /// What is announced in place of the engine's contents.
    meeting_places: Option<watch::Receiver<Vec<ContentId>>>,
    /// The limit on uploads.
    up_max: Option<Rate>,
    /// What the product was told already.
    told: BTreeSet<(ContentId, NodeId, Way)>,
    look: tokio::time::Interval,
}

/// The finders' ends of the queues.
pub(super) struct Plugs {
    participation: watch::Receiver<Participation>,
    found: mpsc::Sender<Found>,
    troubles: mpsc::Sender<Trouble>,
}

impl Finding {
    /// Starts the finders. They end by themselves when this is dropped, and take back what they announced; those that are not done
    /// a while after the node's end are cut off.
    pub(super) fn start(
        endpoint: &Endpoint,
        (finders, lan_seen): (Finders, Option<watch::Sender<Arc<[Source]>>>),
        advertise: Vec<Address>,
        ground: &Ground,
    ) -> Self {
        let coordinators = finders.coordinators.clone();
        let (finding, plugs) = Self::idle(coordinators);
        let surroundings = Surroundings {
            endpoint: endpoint.clone(),
            advertise: advertise.into(),
            participation: plugs.participation,
            lan_seen,
            found: plugs.found,
            troubles: plugs.troubles,
            clock: ground.clock,
        };
        let running = swarm_discovery::run(finders, surroundings);
        let ending = ground.ending.clone();
        ground.tasks.spawn(async move {
            let patience = async {
                ending.cancelled().await;
                tokio::time::sleep(LINK_FINISH_TIMEOUT).await;
            };
            tokio::select! {
                () = running => {}
                () = patience => tracing::debug!("finders did not end in time"),
            }
        });
        finding
    }

    /// Without finders, and what some can be attached to.
    pub(super) fn idle(coordinators: Vec<Source>) -> (Self, Plugs) {
        let (participation, participation_watch) = watch::channel(Participation::default());
        let (report, found) = mpsc::channel(FOUND_WAITING_MAX);
        let (trouble_report, troubles) = mpsc::channel(TROUBLES_WAITING_MAX);
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let finding = Self {
            participation,
            found,
            troubles,
            coordinators,
            own_coordinators: BTreeMap::new(),
            meeting_places: None,
            up_max: None,
            told: BTreeSet::new(),
            look,
        };
        (finding, Plugs { participation: participation_watch, found: report, troubles: trouble_report })
    }

    /// With contents that are announced in place of those that the node takes part in.
    pub(super) fn at(self, meeting_places: Option<watch::Receiver<Vec<ContentId>>>) -> Self {
        Self { meeting_places, ..self }
    }

    /// Whether nodes of this content are no sources of the engine's.
    pub(super) fn is_meeting_place(&self, content: &ContentId) -> bool {
        self.meeting_places.as_ref().is_some_and(|places| places.borrow().contains(content))
    }

    /// What a finder says, or that it is time to tell them again what this node takes part in. To be cancelled by dropping the
    /// future.
    pub(super) async fn next(&mut self) -> Fact {
        tokio::select! {
            Some(found) = self.found.recv() => Fact::Found(found),
            Some(trouble) = self.troubles.recv() => Fact::Trouble(trouble),
            _ = self.look.tick() => Fact::LookAround,
        }
    }

    /// Whether the product has not heard of this yet; it has from now on.
    pub(super) fn is_news(&mut self, found: &Found) -> bool {
        let news = (found.content, found.source.node, found.way);
        self.told.len() < PEERS_MAX && self.told.insert(news)
    }

    /// Has finders told soon of a content that was joined: a fetch that waits for it waits for nothing else.
    pub(super) fn look_soon(&mut self) {
        self.look.reset_after(LOOK_SOON);
    }

    /// Who else knows sources of this content.
    pub(super) fn add_coordinators(&mut self, content: ContentId, coordinators: Vec<Source>) {
        let known = self.own_coordinators.entry(content).or_default();
        for coordinator in coordinators {
            if known.len() < COORDINATORS_MAX && !known.contains(&coordinator) {
                known.push(coordinator);
            }
        }
    }

    /// How fast this node may upload.
    pub(super) fn set_up(&mut self, up: Option<Rate>) {
        self.up_max = up;
    }

    /// Tells finders what the engine takes part in.
    pub(super) fn update(&mut self, engine: &Engine) {
        let measured = Some(engine.survey().upload_capacity()).filter(|rate| rate.0 > 0);
        let up = measured.into_iter().chain(self.up_max).min().unwrap_or_default();
        let presences: Arc<[Presence]> = match &self.meeting_places {
            Some(places) => places.borrow().iter().map(|content| meeting_at(*content)).collect(),
            None => engine.survey().presences().into(),
        };
        self.own_coordinators
            .retain(|content, _| presences.iter().any(|presence| presence.content == *content));
        let coordinators = presences.iter().map(|presence| presence.content);
        let coordinators = coordinators.map(|content| (content, self.coordinators_of(content))).collect();
        let participation = Participation { presences, coordinators, up };
        self.participation.send_if_modified(|before| {
            let is_new = *before != participation;
            *before = participation;
            is_new
        });
    }

    fn coordinators_of(&self, content: ContentId) -> Vec<Source> {
        let mut coordinators = self.coordinators.clone();
        for coordinator in self.own_coordinators.get(&content).into_iter().flatten() {
            if !coordinators.iter().any(|known| known.node == coordinator.node) {
                coordinators.push(coordinator.clone());
            }
        }
        coordinators.truncate(COORDINATORS_MAX);
        coordinators
    }
}

/// A place where nodes meet is announced as a content of which nothing is known yet.
fn meeting_at(content: ContentId) -> Presence {
    Presence { content, have_count: 0, chunk_count: 0, is_wanting: true, links: Vec::new() }
}

const TROUBLES_WAITING_MAX: usize = 16;
/// Long enough for what is joined at one time to be told at one time.
const LOOK_SOON: Duration = Duration::from_millis(20);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
