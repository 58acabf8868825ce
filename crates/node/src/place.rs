//! A node's place on the network: its endpoint, which gives links of every transport, and who takes links of other protocols than the
//! peers'.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_core::trust::{Denial, Role};
use swarm_core::wire::CloseCode;
use swarm_link::{Admission, AnyLink, DialError, Endpoint, LinkOptions, Network, Protocol, QuicLink};

#[derive(Clone)]
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    /// Of the node: links of pages are carried among them.
    pub(super) tasks: TaskTracker,
    /// Takes links to a coordinator, if this node is one.
    pub(super) coordination: Option<mpsc::Sender<QuicLink>>,
    /// Takes links about libraries, if this node keeps some.
    pub(super) libraries: Option<mpsc::Sender<QuicLink>>,
}

impl Place {
    /// Returns a link if it is for peers' traffic. A full queue is no reason to keep peers waiting.
    fn sort(&self, link: QuicLink) -> Option<QuicLink> {
        match link.protocol() {
            Protocol::Peer => return Some(link),
            Protocol::Coordinator => match &self.coordination {
                Some(coordination) => drop(coordination.try_send(link)),
                None => link.close(CloseCode::NoCoordinator.code(), "this node is no coordinator"),
            },
            Protocol::Library => match &self.libraries {
                Some(libraries) => drop(libraries.try_send(link)),
                None => link.close(CloseCode::NoLibraries.code(), "this node keeps no libraries"),
            },
        }
        None
    }
}

impl Network for Place {
    type Link = AnyLink;

    fn node_id(&self) -> NodeId {
        self.endpoint.node_id()
    }

    fn link_options(&self) -> LinkOptions {
        self.endpoint.link_options()
    }

    async fn dial_peer(
        &self,
        limit: Duration,
        node: NodeId,
        addresses: &[Address],
    ) -> Result<AnyLink, DialError> {
        let dialed = self.endpoint.dial_within(limit, node, Protocol::Peer, addresses).await;
        dialed.map(AnyLink::Quic)
    }

    async fn accept(&self) -> Option<AnyLink> {
        loop {
            tokio::select! {
                link = self.endpoint.accept() => {
                    if let Some(link) = self.sort(link?) {
                        return Some(link.into());
                    }
                }
                Some(link) = self.endpoint.accept_carried() => return Some(link.into()),
                Some(channel) = self.endpoint.accept_web() => {
                    let endpoint = self.endpoint.clone();
                    self.tasks.spawn(async move { endpoint.run_web_transport(channel).await });
                }
            }
        }
    }

    fn admission(&self) -> watch::Receiver<Admission> {
        self.endpoint.admission()
    }

    fn admits(&self, link: &AnyLink) -> Result<Role, Denial> {
        self.endpoint.admits_any(link)
    }

    async fn close(&self, code: u32, reason: &str) {
        self.endpoint.close(code, reason).await;
    }
}
