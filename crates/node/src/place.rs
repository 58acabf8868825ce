//! A node's place on the network: its endpoint, which gives links of every transport, and who takes links of other protocols than the
//! peers'.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use swarm_core::base::NodeId;
use swarm_core::base::limits::SOURCE_ADDRESSES_MAX;
use swarm_core::manifest::Address;
use swarm_core::trust::{Denial, Role};
use swarm_core::wire::CloseCode;
use swarm_link::limits::DIAL_STAGGER;
use swarm_link::{
    Admission, AnyLink, CarriedLink, DialError, Endpoint, LinkOptions, Network, Protocol, QuicLink,
    WebTransportChannel,
};

#[derive(Clone)]
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    /// Of the node: links of pages are carried among them.
    pub(super) tasks: TaskTracker,
    /// WebTransport sessions that may yet begin.
    pub(super) sessions: Arc<Semaphore>,
    /// Takes links to a coordinator, if this node is one.
    pub(super) coordination: Option<mpsc::Sender<QuicLink>>,
    /// Takes links about libraries, if this node keeps some.
    pub(super) libraries: Option<mpsc::Sender<QuicLink>>,
}

impl Place {
    /// A link by WebSocket, at the first address that gives one, each tried a little after the one before: a node that serves pages takes them on the TCP port with the number of
    /// its UDP port.
    /// It begins when QUIC has failed, or has had its head start.
    async fn dial_web_socket(
        &self,
        node: NodeId,
        addresses: &[Address],
        quic_failed: &Notify,
    ) -> Option<CarriedLink> {
        let _ = timeout(QUIC_HEAD_START, quic_failed.notified()).await;
        let mut attempts = JoinSet::new();
        for (number, address) in (0u32..).zip(addresses.iter().take(SOURCE_ADDRESSES_MAX)) {
            let (endpoint, address) = (self.endpoint.clone(), address.clone());
            attempts.spawn(async move {
                tokio::time::sleep(DIAL_STAGGER * number).await;
                let dialed = timeout(WEB_SOCKET_TIMEOUT, endpoint.dial_web_socket(node, &address)).await;
                (address, dialed)
            });
        }
        while let Some(done) = attempts.join_next().await {
            match done {
                Ok((address, Ok(Ok((link, carrying))))) => {
                    self.tasks.spawn(carrying);
                    tracing::debug!(node = %node.short(), %address, "linked by WebSocket: QUIC does not get through");
                    return Some(link);
                }
                Ok((address, Ok(Err(error)))) => {
                    tracing::debug!(node = %node.short(), %address, %error, "no WebSocket");
                }
                Ok((address, Err(_))) => {
                    tracing::debug!(node = %node.short(), %address, "no WebSocket in time")
                }
                // An attempt does not panic, and none is aborted.
                Err(_) => {}
            }
        }
        None
    }

    /// Carries the link of a page, if there are not too many.
    fn run(&self, channel: WebTransportChannel) {
        let Ok(session) = Arc::clone(&self.sessions).try_acquire_owned() else {
            let reason = "this node has as many pages as it may: try again later";
            return channel.close(CloseCode::TooManyLinks.code(), reason);
        };
        let endpoint = self.endpoint.clone();
        self.tasks.spawn(async move {
            endpoint.run_web_transport(channel).await;
            drop(session);
        });
    }

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
        let quic_failed = Notify::new();
        let by_quic = self.endpoint.dial_within(limit, node, Protocol::Peer, addresses);
        let by_web_socket = timeout(limit, self.dial_web_socket(node, addresses, &quic_failed));
        tokio::pin!(by_quic, by_web_socket);
        let (mut failure, mut is_web_socket_over) = (None, false);
        loop {
            tokio::select! {
                link = &mut by_quic, if failure.is_none() => match link {
                    Ok(link) => return Ok(link.into()),
                    // UDP may be blocked on the way: what TCP comes to decides.
                    Err(error @ DialError::Unreachable { .. }) if !is_web_socket_over => {
                        failure = Some(error);
                        quic_failed.notify_one();
                    }
                    Err(error) => return Err(error),
                },
                link = &mut by_web_socket, if !is_web_socket_over => match (link.ok().flatten(), failure.take()) {
                    (Some(link), _) => return Ok(link.into()),
                    (None, Some(error)) => return Err(error),
                    (None, None) => is_web_socket_over = true,
                },
            }
        }
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
                Some(channel) = self.endpoint.accept_web() => self.run(channel),
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

/// QUIC is tried alone for so long: on a path of 500 ms its handshake takes one second.
const QUIC_HEAD_START: Duration = Duration::from_millis(1500);
/// Longest try of one address by WebSocket.
const WEB_SOCKET_TIMEOUT: Duration = Duration::from_secs(4);
