//! A node's presence on the network: one UDP socket that dials and listens, and its handshakes.
//!
//! Invariant: at most [`HANDSHAKES_MAX`] handshakes of unknown nodes go on at once, and none of them can fail the endpoint.
//! A link goes only to a node that proves its key and that the admission rules let in. Pages in browsers come on the same port, if
//! that is turned on, and get channels ([`web_transport`]), never links.
//!
//! [`web_transport`]: super::web_transport

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn::{Incoming, ServerConfig, TokioRuntime, VarInt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::accepting::{self, Accepting, Arrival};
use super::any_link::AnyLink;
use super::carried::{self, ByteStream, CarriedError, CarriedLink, Carrying};
use super::config::{self, LinkOptions, Transports};
use super::dial::{self, AttemptError, DialError, Dialer};
use super::identify;
use super::identity::Identity;
use super::interfaces::{self, canonical, is_local};
use super::link::QuicLink;
use super::network::Link as _;
use super::protocol::Protocol;
use super::socket::{self, BindError};
use super::web_certificate::WebCertificateError;
use super::web_channel::WebTransportChannel;
use super::web_transport::{WEB_TRANSPORT_PATH, WebAcceptor, WebTransportOptions};
use crate::limits::{
    CARRIED_WAITING_MAX, DIAL_TIMEOUT, ENDPOINT_CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT, HANDSHAKE_TIMEOUT_CROWDED,
    HANDSHAKES_MAX, HANDSHAKES_UNPROVEN_MAX, LEARNED_ADDRESSES_MAX,
};
use swarm_core::base::NodeId;
use swarm_core::manifest::{Address, SigningKey, Source};
use swarm_core::trust::{AdmissionRules, Applicant, Denial, Open, Role};
use swarm_core::wire::CloseCode;

/// Dials nodes and accepts their links. Clones share one endpoint; it holds its node's key as long as it lives.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    /// Held also for its lock: no other process can take the key meanwhile.
    identity: Identity,
}

struct Shared {
    quinn: quinn::Endpoint,
    bound: SocketAddr,
    /// The port of the last start, if this start could not have it.
    lost_port: Option<u16>,
    /// Addresses that this machine had when the socket was bound.
    own: Arc<[IpAddr]>,
    options: LinkOptions,
    transports: Transports,
    /// The node that dialers find here, whatever other nodes this endpoint dials as.
    listener: Identity,
    accepting: Accepting,
    /// Set once pages are served.
    web: OnceLock<WebAcceptor>,
    handshakes: Mutex<JoinSet<Option<Arrival>>>,
    learned: watch::Sender<Learned>,
    admission: watch::Sender<Admission>,
    /// Links over other transports that were let in, and wait for [`Endpoint::accept_carried`].
    carried: (mpsc::Sender<CarriedLink>, Mutex<mpsc::Receiver<CarriedLink>>),
}

/// The rules that decide about links, and the clock that certificates are checked against.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Admits or denies each link.
    pub rules: Arc<dyn AdmissionRules>,
    /// Reads the time of day.
    pub clock: fn() -> SystemTime,
}

/// Addresses that are not this machine's own but lead to it, such as a port of its gateway.
#[derive(Default)]
struct Learned {
    /// In the order in which they were learned, newest last.
    addresses: Vec<SocketAddr>,
    /// The search for outside addresses has found one, or found that there is none for now.
    is_settled: bool,
}

impl Endpoint {
    /// Binds the node's socket to `listen`, or to any port on all addresses; then it prefers the port of the identity's last start.
    /// Must be called within a tokio runtime, which then also drives the socket.
    ///
    /// # Errors
    /// If the port is taken or forbidden, or the address is not this machine's.
    pub fn bind(
        listen: Option<SocketAddr>,
        identity: &Identity,
        options: LinkOptions,
    ) -> Result<Self, BindError> {
        let (socket, lost_port) = socket::bind(listen, identity.last_port())?;
        let failed = |source| BindError::Socket { address: listen.unwrap_or(socket::ANY), source };
        let bound = socket.local_addr().map_err(failed)?;
        let transports = Transports::new(options);
        let accepting = Accepting::new(identity, None, &transports);
        let default = ServerConfig::clone(&accepting.config(false));
        let quinn = quinn::Endpoint::new(
            config::endpoint_config_of(identity),
            Some(default),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        let own = interfaces::addresses().unwrap_or_default().into();
        let handshakes = Mutex::new(JoinSet::new());
        let identity = identity.clone();
        let learned = watch::Sender::new(Learned::default());
        let admission = watch::Sender::new(Admission { rules: Arc::new(Open), clock: || UNIX_EPOCH });
        let (carried, carried_queue) = mpsc::channel(CARRIED_WAITING_MAX);
        let carried = (carried, Mutex::new(carried_queue));
        let shared = Shared {
            quinn,
            bound,
            lost_port,
            own,
            options,
            transports,
            listener: identity.clone(),
            accepting,
            web: OnceLock::new(),
            handshakes,
            learned,
            admission,
            carried,
        };
        Ok(Self { shared: Arc::new(shared), identity })
    }

    /// Links to `node` for `protocol`. Tries all of `addresses`, each a little after the one before; the first that proves the
    /// node's key wins, and the other attempts are dropped. Dropping the future cancels the dial.
    ///
    /// The peer checks this node's key after the future is ready: if it refuses, it closes the link at once.
    ///
    /// # Errors
    /// If `node` is this node, has no address, proved another key, is denied a link, or did not answer in [`DIAL_TIMEOUT`].
    ///
    /// [`DIAL_TIMEOUT`]: crate::limits::DIAL_TIMEOUT
    pub async fn dial(
        &self,
        node: NodeId,
        protocol: Protocol,
        addresses: &[Address],
    ) -> Result<QuicLink, DialError> {
        self.dial_within(DIAL_TIMEOUT, node, protocol, addresses).await
    }

    /// As [`Endpoint::dial`], for a caller with less time than [`DIAL_TIMEOUT`].
    ///
    /// # Errors
    /// As [`Endpoint::dial`].
    ///
    /// [`DIAL_TIMEOUT`]: crate::limits::DIAL_TIMEOUT
    pub async fn dial_within(
        &self,
        limit: Duration,
        node: NodeId,
        protocol: Protocol,
        addresses: &[Address],
    ) -> Result<QuicLink, DialError> {
        let dialer = Dialer {
            quinn: self.shared.quinn.clone(),
            identity: self.identity.clone(),
            transports: self.shared.transports.clone(),
            protocol,
            own: Arc::clone(&self.shared.own),
            bound: self.shared.bound,
        };
        let link = dial::dial(dialer, node, addresses, limit).await?;
        match self.admits(&link) {
            Ok(_) => Ok(link),
            Err(denial) => {
                link.turn_away(&denial);
                Err(DialError::Denied { node, denial })
            }
        }
    }

    /// The node that answers at an address. It gets no link, and does not learn who asks. Dropping the future cancels it.
    ///
    /// # Errors
    /// If no node answers within [`IDENTIFY_TIMEOUT`], or the answer proves no node's key.
    ///
    /// [`IDENTIFY_TIMEOUT`]: crate::limits::IDENTIFY_TIMEOUT
    pub async fn identify(&self, address: SocketAddr) -> Result<NodeId, AttemptError> {
        identify::identify(&self.shared.quinn, &self.shared.transports, address).await
    }

    /// The next link that another node dialed, once it proved its key; `None` when the endpoint is closed.
    ///
    /// Handshakes start only while a caller waits here: the caller bounds them. Dropping the future cancels it without loss.
    pub async fn accept(&self) -> Option<QuicLink> {
        let mut handshakes = self.shared.handshakes.lock().await;
        loop {
            tokio::select! {
                Some(done) = handshakes.join_next() => match done {
                    Ok(Some(Arrival::Link(link))) if self.lets_in(&link) => return Some(link),
                    Ok(Some(Arrival::Page(channel))) => {
                        if let Some(web) = self.shared.web.get() {
                            web.put(channel);
                        }
                    }
                    Ok(Some(Arrival::Link(_)) | None) | Err(_) => {}
                },
                incoming = self.shared.quinn.accept(), if handshakes.len() < HANDSHAKES_MAX => {
                    let Some(incoming) = incoming else {
                        self.end_web();
                        return None;
                    };
                    self.admit(incoming, &mut handshakes);
                }
            }
        }
    }

    /// Takes a link over another transport to a peer that proved its key, if the admission rules let it in: the next caller of
    /// [`Endpoint::accept_carried`] gets it. Waits while many are waiting.
    pub async fn hand_over(&self, link: CarriedLink) {
        match self.admits_any(&AnyLink::Carried(link.clone())) {
            // A closed queue is an endpoint that is gone, and its links with it.
            Ok(_) => drop(self.shared.carried.0.send(link).await),
            Err(denial) => {
                tracing::info!(node = %link.peer(), transport = ?link.transport(), %denial, "turned away");
                link.close(CloseCode::TurnedAway.code(), &denial.to_string());
            }
        }
    }

    /// Links to `node` by a WebSocket at one address, over TCP. What is returned beside the link moves its bytes: it is to be awaited for as
    /// long as the link lives.
    ///
    /// # Errors
    /// If nothing answers there, or another node, or the node is denied a link.
    pub async fn dial_web_socket(
        &self,
        node: NodeId,
        address: &Address,
    ) -> Result<(CarriedLink, Carrying), CarriedError> {
        let places = dial::resolved(address).await;
        let stream = TcpStream::connect(&places[..]).await.map_err(CarriedError::no_stream)?;
        // Messages are gathered by the layers above: what is sent is to leave at once.
        stream.set_nodelay(true).map_err(CarriedError::no_stream)?;
        let url = format!("ws://{address}{WEB_TRANSPORT_PATH}");
        let at = Some(address.clone());
        let (link, carrying) = carried::dial_web_socket(stream, &url, &self.identity, node, at).await?;
        match self.admits_any(&AnyLink::Carried(link.clone())) {
            Ok(_) => Ok((link, carrying)),
            Err(denial) => Err(CarriedError::Denied(denial)),
        }
    }

    /// A link by a WebSocket that a peer asked for, whose HTTP upgrade is done, once the peer has proved its key. It is for
    /// [`Endpoint::run_link`].
    ///
    /// # Errors
    /// If the peer proves no key.
    pub async fn accept_web_socket<S: ByteStream>(
        &self,
        stream: S,
    ) -> Result<(CarriedLink, Carrying), CarriedError> {
        carried::accept_web_socket(stream, &self.identity, None).await
    }

    /// A link's whole life on the channel of a page.
    pub async fn run_web_transport(&self, channel: WebTransportChannel) {
        match carried::accept_web_transport(channel, &self.identity).await {
            Ok((link, carrying)) => self.run_link(link, carrying).await,
            Err(error) => tracing::debug!(%error, "no link"),
        }
    }

    /// The rest of the life of a link whose peer has proved its key: [`Endpoint::hand_over`], and the moving of its bytes. A link that ends
    /// before the node has taken it is not handed over.
    pub async fn run_link(&self, link: CarriedLink, mut carrying: Carrying) {
        tokio::select! {
            () = self.hand_over(link) => {}
            () = &mut carrying => return,
        }
        carrying.await;
    }

    /// The next link over another transport. Dropping the future cancels it without loss.
    pub async fn accept_carried(&self) -> Option<CarriedLink> {
        self.shared.carried.1.lock().await.recv().await
    }

    /// Lets pages in browsers open WebTransport sessions on this node's port, from now on. Until then HTTP/3 is not offered at all.
    /// Once turned on it stays so; later calls change nothing.
    ///
    /// # Errors
    /// If no certificate can be made.
    pub fn serve_web_transport(&self, options: WebTransportOptions) -> Result<(), WebCertificateError> {
        let Shared { listener, options: link_options, .. } = &*self.shared;
        let transports = Transports::serving_pages(*link_options);
        let web = WebAcceptor::new(options, listener.clone(), transports)?;
        // The first call has turned it on.
        let _ = self.shared.web.set(web);
        Ok(())
    }

    /// The channel of the next page that came; `None` when the endpoint is closed, or serves no pages. The page has proved nothing
    /// yet.
    ///
    /// Pages arrive only while a caller waits in [`Endpoint::accept`]. At most [`WEB_CHANNELS_WAITING_MAX`] wait to be taken here.
    /// Dropping the future cancels it without loss.
    ///
    /// [`WEB_CHANNELS_WAITING_MAX`]: crate::limits::WEB_CHANNELS_WAITING_MAX
    pub async fn accept_web(&self) -> Option<WebTransportChannel> {
        self.shared.web.get()?.next().await
    }

    /// SHA-256 of the certificate that pages are shown now, and of the one from next week on: a page that is given both can connect
    /// for at least a week. Empty if no pages are served. They are others after a restart.
    pub fn web_certificate_hashes(&self) -> Vec<[u8; 32]> {
        self.shared.web.get().map(WebAcceptor::hashes).unwrap_or_default()
    }

    /// Replaces the admission rules. Existing links stay until the caller checks them with [`Endpoint::admits`].
    pub fn set_admission(&self, admission: Admission) {
        self.shared.admission.send_replace(admission);
    }

    /// The current admission rules, and their later replacements.
    pub fn admission(&self) -> watch::Receiver<Admission> {
        self.shared.admission.subscribe()
    }

    /// The role of the peer of a link by the current admission rules.
    ///
    /// # Errors
    /// Why the peer may not be linked.
    pub fn admits(&self, link: &QuicLink) -> Result<Role, Denial> {
        self.admits_key(link.peer(), link.certificate())
    }

    /// The same for a link of any transport. Where the transport shows no certificate, rules that ask for one let nobody in.
    ///
    /// # Errors
    /// Why the peer may not be linked.
    pub fn admits_any(&self, link: &AnyLink) -> Result<Role, Denial> {
        self.admits_key(link.peer(), link.certificate())
    }

    fn admits_key(&self, node: NodeId, certificate: &[u8]) -> Result<Role, Denial> {
        let Admission { rules, clock } = self.shared.admission.borrow().clone();
        let unix_secs = clock().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        rules.admit(&Applicant { node, certificate, unix_secs })
    }

    fn lets_in(&self, link: &QuicLink) -> bool {
        let admitted = self.admits(link);
        if let Err(denial) = &admitted {
            tracing::info!(node = %link.peer(), address = %link.remote_address(), %denial, "turned away");
            link.turn_away(denial);
        }
        admitted.is_ok()
    }

    /// An endpoint on the same socket that dials under another key: peers see another node. It accepts no links.
    pub fn disguised(&self, identity: Identity) -> Self {
        Self { shared: Arc::clone(&self.shared), identity }
    }

    /// The identity of this node, for handshakes of other transports.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key that signs as this node.
    pub fn signing_key(&self) -> SigningKey {
        self.identity.signing_key()
    }

    /// The public key of this node.
    pub fn node_id(&self) -> NodeId {
        self.identity.node_id()
    }

    /// The UDP port; a seed passes it to [`Identity::remember_port`].
    pub fn port(&self) -> u16 {
        self.shared.bound.port()
    }

    /// The UDP port that tickets of the last start name, if this start could not have it.
    pub fn lost_port(&self) -> Option<u16> {
        self.shared.lost_port
    }

    /// Bytes that one link may hold in memory.
    pub fn link_options(&self) -> LinkOptions {
        self.shared.options
    }

    /// The address the socket is bound to; `[::]` is all addresses, IPv4 and IPv6.
    pub fn bound_address(&self) -> SocketAddr {
        self.shared.bound
    }

    /// Addresses at which others may reach this node, the widest reach first, loopback last: those of this machine, and those that
    /// were learned.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        let own = interfaces::addresses().unwrap_or_else(|_| self.shared.own.to_vec());
        interfaces::reachable_at(self.shared.bound, &own, &self.learned())
    }

    /// Adds an outside address that a gateway mapped to this node; the newest [`LEARNED_ADDRESSES_MAX`] are kept.
    ///
    /// [`LEARNED_ADDRESSES_MAX`]: crate::limits::LEARNED_ADDRESSES_MAX
    pub fn learn_address(&self, address: SocketAddr) {
        self.shared.learned.send_modify(|Learned { addresses, is_settled }| {
            addresses.retain(|known| *known != address);
            if addresses.len() >= LEARNED_ADDRESSES_MAX {
                addresses.remove(0);
            }
            addresses.push(address);
            *is_settled = true;
        });
    }

    /// Removes an outside address that no longer leads here.
    pub fn forget_address(&self, address: SocketAddr) {
        self.shared.learned.send_modify(|learned| learned.addresses.retain(|known| *known != address));
    }

    /// Notes that there is no outside address for now, so that [`Endpoint::settled_addresses`] need not wait.
    pub fn settle_addresses(&self) {
        self.shared.learned.send_modify(|learned| learned.is_settled = true);
    }

    /// Waits until an outside address was learned, or it is known that there is none for now. Dropping the future cancels the
    /// wait.
    pub async fn settled_addresses(&self) {
        let mut learned = self.shared.learned.subscribe();
        let _ = learned.wait_for(|learned| learned.is_settled).await;
    }

    /// The UDP port at which the outside world reaches this node, as far as it is known: a mapped port, or its own.
    pub fn outer_port(&self) -> u16 {
        self.learned().last().map_or(self.port(), SocketAddr::port)
    }

    fn learned(&self) -> Vec<SocketAddr> {
        self.shared.learned.borrow().addresses.clone()
    }

    /// This node as a source for others: at `advertised`, or else at its own addresses.
    pub fn source(&self, advertised: &[Address]) -> Source {
        let own = || self.local_addresses().into_iter().map(Address::from).collect();
        let addresses = if advertised.is_empty() { own() } else { advertised.to_vec() };
        Source { node: self.node_id(), addresses }
    }

    /// Closes all links and accepts no more. Each peer is told once; a peer that misses the packet notices the idle timeout.
    pub async fn close(&self, code: u32, reason: &str) {
        self.end_web();
        self.shared.quinn.close(VarInt::from_u32(code), reason.as_bytes());
        let _ = timeout(ENDPOINT_CLOSE_TIMEOUT, self.shared.quinn.wait_idle()).await;
    }

    fn end_web(&self) {
        if let Some(web) = self.shared.web.get() {
            web.end();
        }
    }

    fn admit(&self, incoming: Incoming, handshakes: &mut JoinSet<Option<Arrival>>) {
        let remote = canonical(incoming.remote_address());
        if handshakes.len() >= HANDSHAKES_UNPROVEN_MAX && !incoming.remote_address_validated() {
            // A client with a forged address never answers a Retry. Where QUIC does not allow one, the client is refused.
            let _ = incoming.retry();
            return;
        }
        let is_local = is_local(remote.ip(), &self.shared.own);
        let serving = self.shared.web.get().map(WebAcceptor::serving);
        let accepting = serving.as_ref().map_or(&self.shared.accepting, |serving| &serving.accepting);
        match incoming.accept_with(accepting.config(is_local)) {
            Ok(connecting) => {
                let is_crowded = handshakes.len() >= HANDSHAKES_MAX / 2;
                let limit = if is_crowded { HANDSHAKE_TIMEOUT_CROWDED } else { HANDSHAKE_TIMEOUT };
                handshakes.spawn(accepting::handshake(connecting, (remote, is_local), serving, limit));
            }
            Err(error) => tracing::debug!(%remote, %error, "handshake refused"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({} on {})", self.node_id().short(), self.shared.bound)
    }
}
