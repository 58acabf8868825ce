//! A node of this process that stands in for an origin: to the engine the origin is a peer like any other. Invariant: it listens on loopback, and
//! links with this daemon's node alone; what it reads it waits for on the threads of its origin.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::{Manifest, Source};
use swarm_core::trust::{AccessTable, AdmissionRules, Applicant, Denial, Role};
use swarm_engine::{Join, Order};
use swarm_files::Store;
use swarm_link::{Admission, Endpoint, Identity, LinkOptions};
use swarm_node::{Limits, Node, Options};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// The node, and where it is.
pub(super) struct StandIn {
    node: Node,
    source: Source,
    /// Ends with the node.
    task: JoinHandle<()>,
}

/// Lets this daemon's node link, and nobody else.
#[derive(Debug)]
struct Only(NodeId);

impl AdmissionRules for Only {
    fn admit(&self, applicant: &Applicant<'_>) -> Result<Role, Denial> {
        if applicant.node == self.0 { Ok(Role::Full) } else { Err(Denial::NotListed) }
    }

    fn access(&self) -> AccessTable {
        AccessTable::of_nodes([self.0])
    }
}

impl StandIn {
    /// Starts it for a node, on these threads.
    ///
    /// # Errors
    /// For people: the machine gives no port or no chance.
    pub(super) fn start(me: NodeId, threads: &Handle, tasks: &TaskTracker) -> Result<Self, String> {
        let _entered = threads.enter();
        let identity = Identity::ephemeral().map_err(|error| error.to_string())?;
        let loopback = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let endpoint = Endpoint::bind(Some(loopback), &identity, LinkOptions::default());
        let endpoint = endpoint.map_err(|error| error.to_string())?;
        endpoint.set_admission(Admission { rules: Arc::new(Only(me)), clock: || UNIX_EPOCH });
        let source = Source { node: endpoint.node_id(), addresses: vec![endpoint.bound_address().into()] };
        let limits = Limits { buffers_len: BUFFERS_LEN, windows_len: BUFFERS_LEN, ..Limits::default() };
        let (node, mut events, task) = Node::start(endpoint, Options { limits, ..Options::default() });
        // What it serves and loses its store tells; it fetches nothing.
        let ended = async move {
            while events.recv().await.is_some() {}
            let _ = task.await;
        };
        Ok(Self { node, source, task: tasks.spawn_on(ended, threads) })
    }

    /// Where the engine finds it.
    pub(super) fn source(&self) -> Source {
        self.source.clone()
    }

    /// Serves chunks of a content.
    pub(super) async fn serve(&self, manifest: Manifest, store: Arc<dyn Store>, has: Bitfield) {
        let (content, count) = (manifest.id(), manifest.geometry().chunk_count());
        let join = Join { content, manifest: Some(manifest), order: Order::RarestFirst, patience: None };
        self.node.join(join).await;
        self.node.open_store(content, store, has, Bitfield::new(count)).await;
    }

    pub(super) async fn leave(&self, content: ContentId) {
        self.node.leave(content).await;
    }

    /// Ends it, so that the threads may go.
    pub(super) async fn stop(self) {
        let Self { node, task, .. } = self;
        node.stop().await;
        drop(node);
        // One that does not end in time goes with its threads.
        let _ = tokio::time::timeout(STOP_TIMEOUT, task).await;
    }
}

/// Bytes: a link over loopback is quick.
const BUFFERS_LEN: u64 = 8 << 20;
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
