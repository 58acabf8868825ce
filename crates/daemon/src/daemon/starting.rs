//! Starts the parts of a daemon, each in tasks of their own, and the queues from them to the loop. Invariant: each part can say something before
//! the loop runs, and waits for it; no queue is unbounded. Absent here: libraries, which start as the files say (`libraries`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use swarm_daemon_files::Config;
use swarm_discovery::{Finders, Found};
use swarm_library::wire::{Hello, PROTOCOL_MAJOR, PROTOCOL_MINOR};
use swarm_link::QuicLink;
use swarm_node::{Limits, Node, NodeEvent, NodeSnapshot, Options};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limiting::{self, limits_now};
use super::seen::Seen;
use super::traffic::Traffic;
use super::{Daemon, Desk, QUEUE, SPOOL_FOLDER, host_name};
use crate::asking::Call;
use crate::clock;
use crate::contents::{Contents, Steers, Tickets};
use crate::exchange::{self, Dialed, Exchange};
use crate::library::Outbox;
use crate::origins;
use crate::page::Pages;
use crate::settings::Settings;

/// What the loop reads.
pub(super) struct Queues {
    /// Links that peers opened.
    pub(super) links: mpsc::Receiver<QuicLink>,
    pub(super) exchange: mpsc::Receiver<exchange::Output>,
    pub(super) libraries: Arc<Outbox>,
    pub(super) dialed: mpsc::Receiver<Dialed>,
    pub(super) found: mpsc::Receiver<Found>,
    pub(super) calls: mpsc::Receiver<Call>,
}

/// A daemon whose parts run.
pub(super) struct Started {
    pub(super) desk: Desk,
    pub(super) queues: Queues,
    pub(super) node_task: JoinHandle<NodeSnapshot>,
}

/// Starts everything but the libraries.
pub(super) fn start(daemon: Daemon) -> Started {
    let Daemon { folder, state, _lock: lock, endpoint, control, asker, calls, passwords } = daemon;
    let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
    let config = folder.config();
    let limits = limits_now(config);
    let (links, link_queue) = mpsc::channel(QUEUE);
    let (meeting_places, meeting_watch) = watch::channel(Vec::new());
    let (lan_seen, lan) = watch::channel(Arc::from([]));
    let options = Options {
        limits: limits_of(limits),
        finders: finders_of(config),
        libraries: Some(links),
        meeting_places: Some(meeting_watch),
        lan_seen: Some(lan_seen),
        ..Options::default()
    };
    let (node, node_events, node_task) = Node::start(endpoint.clone(), options);
    let (exchange, exchange_queue) = mpsc::channel(QUEUE);
    let (contents, contents_queue) = mpsc::channel(QUEUE);
    let (exchange_outputs, exchange_said) = mpsc::channel(QUEUE);
    let outputs = Arc::new(Outbox::default());
    let (dialed, dialed_queue) = mpsc::channel(QUEUE);
    let (found, found_queue) = mpsc::channel(QUEUE);
    let start = exchange::Start {
        endpoint: endpoint.clone(),
        own: hello_of(config),
        access: Settings::of(&folder, endpoint.node_id()).access,
        passwords,
        contents: contents.clone(),
        outputs: exchange_outputs,
        tasks: tasks.clone(),
        ending: ending.clone(),
    };
    let (exchange_task, peers) = Exchange::new(start, exchange.clone());
    tasks.spawn(exchange_task.run(exchange_queue));
    let (to_origins, origins_settings) = watch::channel(origins::Settings::default());
    let (fetches, fetches_seen) = watch::channel(origins::Fetches::new());
    let ground = origins::Ground {
        me: endpoint.node_id(),
        spool: state.join(SPOOL_FOLDER),
        contents: contents.clone(),
        peers: peers.clone(),
        fetches: fetches_seen,
        down: node.down(),
        tasks: tasks.clone(),
        ending: ending.clone(),
    };
    let (origins_task, origins) = origins::Running::new(ground);
    tasks.spawn(origins_task.run(origins_settings));
    let (engine_events, engine_queue) = mpsc::channel(QUEUE);
    tasks.spawn(sort_events(node_events, engine_events, found));
    let remembered = (Steers::read(&state), Tickets::read(&state), endpoint.signing_key());
    let contents_task = Contents::new(node.clone(), exchange.clone(), fetches, remembered);
    let lacking = contents_task.lacking();
    tasks.spawn(contents_task.run(contents_queue, engine_queue));
    tasks.spawn(control.serve(asker.clone(), ending.clone(), tasks.clone()));
    let desk = Desk {
        seen: Seen::open(&state),
        lan,
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
        outputs: Arc::clone(&outputs),
        dialed,
        meeting_places,
        limits,
        tasks,
        ending,
        _lock: lock,
    };

    let queues = Queues {
        links: link_queue,
        exchange: exchange_said,
        libraries: outputs,
        dialed: dialed_queue,
        found: found_queue,
        calls,
    };
    Started { desk, queues, node_task }
}

fn finders_of(config: &Config) -> Finders {
    Finders {
        coordinators: config.coordinators.clone(),
        zone: config.zone.clone(),
        lan: config.lan,
        dht: config.dht,
        dht_bootstrap: config.dht_bootstrap.clone(),
        ..Finders::default()
    }
}

fn limits_of(limits: swarm_daemon_files::Limits) -> Limits {
    let swarm_daemon_files::Limits { up, down } = limiting::of_node(limits);
    Limits { buffers_len: BUFFERS_LEN, windows_len: WINDOWS_LEN, up, down, ..Limits::default() }
}

/// What this node says of itself on a new link.
fn hello_of(config: &Config) -> Hello {
    Hello {
        major: PROTOCOL_MAJOR,
        minor: PROTOCOL_MINOR,
        user: config.username.clone(),
        password: config.password.expose().to_owned(),
        name: host_name(),
        api: None,
        reads_compressed: true,
        agent: swarm_core::wire::Hello::ours().agent,
    }
}

/// Nodes that finders name go to the desk, the rest to the contents.
async fn sort_events(
    mut events: mpsc::Receiver<NodeEvent>,
    engine: mpsc::Sender<NodeEvent>,
    found: mpsc::Sender<Found>,
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

/// As a node of `swarm node` has it.
const BUFFERS_LEN: u64 = 64 << 20;
const WINDOWS_LEN: u64 = 64 << 20;
