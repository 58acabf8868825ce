//! One dial: races the addresses of a node against each other, each with a head start over the next (RFC 8305). Invariant: once
//! the dial ends, however it ends, no attempt goes on. Decides neither which node to dial nor when to dial it again.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectError, ConnectionError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::config::Transports;
use super::identity::Identity;
use super::interfaces::{canonical, is_local};
use super::link::{CloseReason, QuicLink};
use super::path;
use super::protocol::Protocol;
use super::tls::{self, FoundKey};
use crate::limits::{DIAL_STAGGER, RESOLVES_AT_ONCE};
use swarm_core::base::NodeId;
use swarm_core::base::limits::SOURCE_ADDRESSES_MAX;
use swarm_core::manifest::Address;
use swarm_core::trust::Denial;

/// Why there is no link to a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The node is this one.
    #[error("{} is this node itself: dial another", .0.short())]
    Myself(NodeId),
    /// There is no address to try.
    #[error("no address is known for node {}: give one, as in NODEID@host:port", .0.short())]
    NoAddress(NodeId),
    /// Another node answered.
    #[error(
        "the node at {address} shows key {}, not the expected {}: the ticket is old or someone else listens there",
        found.short(), expected.short()
    )]
    WrongKey {
        /// The address that answered.
        address: SocketAddr,
        /// The node that was dialed.
        expected: NodeId,
        /// The key that the handshake met. The other side shows it; nothing has proved it.
        found: NodeId,
    },
    /// No address led to the node.
    #[error("no way to node {}: {}; {}", node.short(), list(attempts), way_out(attempts))]
    Unreachable {
        /// The node that was dialed.
        node: NodeId,
        /// All attempts, each with its error.
        attempts: Vec<Attempt>,
    },
    /// The node proved its key, but this node's policy denies it a link.
    #[error("node {} may not link to this node: {denial}", node.short())]
    Denied {
        /// The node that was dialed.
        node: NodeId,
        /// The rule that denies the link.
        denial: Denial,
    },
    /// The endpoint was closed.
    #[error("this node is shutting down")]
    Closed,
}

/// One address that did not lead to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The address as given, or one that a host name resolved to.
    pub address: Address,
    /// The cause of the failure.
    pub error: AttemptError,
}

/// Why one address did not lead to the node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttemptError {
    /// The host name resolves to no address.
    #[error("is a name that does not resolve ({0})")]
    Unresolved(String),
    /// The address cannot be dialed at all, or not from the address that this node listens on.
    #[error("cannot be dialed from here")]
    NotRoutable,
    /// This machine has no route to it: no network, or no IPv6.
    #[error("is out of reach: this machine has no route to it")]
    NoRoute,
    /// This machine refuses to send there.
    #[error("is blocked: a firewall or a route of this machine forbids UDP to it")]
    Blocked,
    /// Another node answered, with this key.
    #[error("shows key {}", .0.short())]
    WrongKey(NodeId),
    /// No answer came in time.
    #[error("does not answer")]
    NoAnswer,
    /// No answer came in time, and the other machine reports that no process listens there.
    #[error("refuses: no process listens on that port")]
    NotListening,
    /// A node answered and then closed the link.
    #[error("answers, but {0}")]
    Closed(CloseReason),
    /// The endpoint was closed.
    #[error("was not tried")]
    Stopping,
}

/// The parts of the endpoint that an attempt needs.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) quinn: quinn::Endpoint,
    pub(super) identity: Identity,
    pub(super) transports: Transports,
    /// The protocol to agree on.
    pub(super) protocol: Protocol,
    /// Addresses of this machine: links to them use the settings for one machine.
    pub(super) own: Arc<[IpAddr]>,
    /// The address that the socket is bound to.
    pub(super) bound: SocketAddr,
}

pub(super) async fn dial(
    dialer: Dialer,
    node: NodeId,
    addresses: &[Address],
    limit: Duration,
) -> Result<QuicLink, DialError> {
    if node == dialer.identity.node_id() {
        return Err(DialError::Myself(node));
    }
    if addresses.is_empty() {
        return Err(DialError::NoAddress(node));
    }
    let mut race = Race::new(dialer, node, addresses);
    let won = timeout(limit, race.run()).await;
    match won {
        Ok(Some(link)) => Ok(link),
        Ok(None) | Err(_) => {
            race.explain_silence().await;
            Err(race.into_error())
        }
    }
}

struct Race {
    dialer: Dialer,
    node: NodeId,
    /// Addresses still to try, best first.
    waiting: VecDeque<Target>,
    seen: BTreeSet<SocketAddr>,
    running: JoinSet<(usize, Outcome)>,
    /// Every attempt begun, with the error to report if it does not end in time.
    attempts: Vec<(Target, AttemptError)>,
    /// Indexes of attempts that are host names; the addresses they resolved to are attempts of their own.
    resolved: BTreeSet<usize>,
}

#[derive(Clone)]
enum Target {
    Name(Address),
    Socket(SocketAddr),
}

enum Outcome {
    Linked(QuicLink),
    Resolved(Vec<SocketAddr>),
    Failed(AttemptError),
}

impl Race {
    fn new(dialer: Dialer, node: NodeId, addresses: &[Address]) -> Self {
        let waiting = addresses.iter().take(SOURCE_ADDRESSES_MAX).map(Target::of).collect();
        let (seen, running, attempts) = (BTreeSet::new(), JoinSet::new(), Vec::new());
        Self { dialer, node, waiting, seen, running, attempts, resolved: BTreeSet::new() }
    }

    /// The first link, or `None` when all attempts have failed.
    async fn run(&mut self) -> Option<QuicLink> {
        loop {
            self.begin_next();
            let may_begin = !self.waiting.is_empty();
            tokio::select! {
                Some(done) = self.running.join_next() => {
                    let (index, outcome) = done.expect("an attempt does not panic and is never aborted");
                    if let Some(link) = self.on_outcome(index, outcome) {
                        return Some(link);
                    }
                }
                () = sleep(DIAL_STAGGER), if may_begin => {}
                else => return None,
            }
        }
    }

    fn begin_next(&mut self) {
        while let Some(target) = self.waiting.pop_front() {
            if let Target::Socket(address) = &target
                && !self.seen.insert(canonical(*address))
            {
                continue;
            }
            let (dialer, node, index) = (self.dialer.clone(), self.node, self.attempts.len());
            let unended = match &target {
                Target::Name(_) => AttemptError::Unresolved("no answer from the name servers".to_owned()),
                Target::Socket(_) => AttemptError::NoAnswer,
            };
            self.attempts.push((target.clone(), unended));
            self.running.spawn(async move { (index, attempt(&dialer, node, target).await) });
            return;
        }
    }

    fn on_outcome(&mut self, index: usize, outcome: Outcome) -> Option<QuicLink> {
        match outcome {
            Outcome::Linked(link) => return Some(link),
            Outcome::Resolved(sockets) => {
                self.resolved.insert(index);
                for socket in sockets.into_iter().take(SOURCE_ADDRESSES_MAX).rev() {
                    self.waiting.push_front(Target::Socket(socket));
                }
            }
            Outcome::Failed(error) => self.attempts[index].1 = error,
        }
        None
    }

    /// Asks the system about addresses that did not answer: it reports path errors to connected sockets only.
    async fn explain_silence(&mut self) {
        let bound = self.dialer.bound.ip();
        let silent = self.attempts.iter_mut().filter(|(_, error)| *error == AttemptError::NoAnswer);
        let silent = silent.filter_map(|(target, error)| match target {
            Target::Socket(address) => Some((*address, error)),
            Target::Name(_) => None,
        });
        let probes: Vec<_> =
            silent.filter_map(|(at, error)| Some((path::probe(bound, at)?, error))).collect();
        if probes.is_empty() {
            return;
        }
        // Enough for a host on the same network to answer, and for most others.
        sleep(PROBE_WAIT).await;
        for (probe, error) in probes {
            if let Some(known) = probe.outcome() {
                *error = known;
            }
        }
    }

    /// A wrong key is the most useful error, unless it was met on loopback alone: a ticket names the loopback address of the machine
    /// that made it, and here another node may listen on that address.
    fn into_error(self) -> DialError {
        let node = self.node;
        if self.attempts.iter().any(|(_, error)| *error == AttemptError::Stopping) {
            return DialError::Closed;
        }
        let is_only = self.attempts.len() == 1;
        for (target, error) in &self.attempts {
            if let (Target::Socket(address), AttemptError::WrongKey(found)) = (target, error)
                && (is_only || !address.ip().is_loopback())
            {
                return DialError::WrongKey { address: *address, expected: node, found: *found };
            }
        }
        let attempts = self.attempts.into_iter().enumerate();
        let attempts = attempts.filter(|(index, _)| !self.resolved.contains(index));
        let attempts = attempts.map(|(_, (target, error))| Attempt { address: target.into_address(), error });
        DialError::Unreachable { node, attempts: attempts.collect() }
    }
}

impl Target {
    fn of(address: &Address) -> Self {
        address.as_str().parse().map_or_else(|_| Self::Name(address.clone()), Self::Socket)
    }

    fn into_address(self) -> Address {
        match self {
            Self::Name(address) => address,
            Self::Socket(socket) => socket.into(),
        }
    }
}

async fn attempt(dialer: &Dialer, node: NodeId, target: Target) -> Outcome {
    match target {
        Target::Name(address) => resolve(&address).await,
        Target::Socket(address) => match connect(dialer, node, address).await {
            Ok(link) => Outcome::Linked(link),
            Err(error) => Outcome::Failed(error),
        },
    }
}

/// The places that an address names; none if its name does not resolve.
pub(super) async fn resolved(address: &Address) -> Vec<SocketAddr> {
    match Target::of(address) {
        Target::Socket(place) => vec![place],
        Target::Name(name) => match resolve(&name).await {
            Outcome::Resolved(places) => places,
            Outcome::Linked(_) | Outcome::Failed(_) => Vec::new(),
        },
    }
}

/// Host names are resolved side by side, each on a thread that nothing can interrupt. Their number is limited: dead name servers
/// would otherwise occupy every blocking thread, and disk work would wait.
async fn resolve(address: &Address) -> Outcome {
    let Ok(turn) = RESOLVING.acquire().await else { return Outcome::Failed(AttemptError::Stopping) };
    let name = address.clone();
    let resolving = tokio::task::spawn_blocking(move || {
        let sockets = name.as_str().to_socket_addrs().map(Iterator::collect);
        drop(turn);
        sockets
    });
    match resolving.await {
        Ok(Ok(sockets)) => Outcome::Resolved(sockets),
        Ok(Err(error)) => Outcome::Failed(AttemptError::Unresolved(error.to_string())),
        // The runtime is shutting down.
        Err(_) => Outcome::Failed(AttemptError::Stopping),
    }
}

async fn connect(dialer: &Dialer, node: NodeId, address: SocketAddr) -> Result<QuicLink, AttemptError> {
    path::check(dialer.bound.ip(), address)?;
    let found = FoundKey::default();
    let tls = tls::dialing(&dialer.identity, node, dialer.protocol, &found);
    let tls = QuicClientConfig::try_from(tls).expect("AES-128 is among the suites");
    let mut config = ClientConfig::new(Arc::new(tls));
    let is_local = is_local(canonical(address).ip(), &dialer.own);
    let transports = &dialer.transports;
    config.transport_config(Arc::clone(if is_local { &transports.local } else { &transports.network }));
    let connecting =
        dialer.quinn.connect_with(config, address, tls::SERVER_NAME).map_err(|error| not_begun(&error))?;
    match connecting.await {
        Ok(connection) => QuicLink::new(connection, is_local).ok_or(AttemptError::NoAnswer),
        Err(error) => {
            Err(found.get().map_or_else(|| not_finished(error), |key| AttemptError::WrongKey(*key)))
        }
    }
}

pub(super) fn not_begun(error: &ConnectError) -> AttemptError {
    match error {
        ConnectError::EndpointStopping => AttemptError::Stopping,
        ConnectError::CidsExhausted
        | ConnectError::InvalidServerName(_)
        | ConnectError::InvalidRemoteAddress(_)
        | ConnectError::NoDefaultClientConfig
        | ConnectError::UnsupportedVersion => AttemptError::NotRoutable,
    }
}

pub(super) fn not_finished(error: ConnectionError) -> AttemptError {
    match CloseReason::from(error) {
        CloseReason::TimedOut => AttemptError::NoAnswer,
        CloseReason::ClosedHere => AttemptError::Stopping,
        reason @ (CloseReason::ClosedByPeer { .. } | CloseReason::Reset | CloseReason::Transport(_)) => {
            AttemptError::Closed(reason)
        }
    }
}

fn list(attempts: &[Attempt]) -> String {
    let shown: Vec<_> = attempts.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

/// Advice for a failed dial. Faults of this machine come first, because the user can mend them at once.
fn way_out(attempts: &[Attempt]) -> &'static str {
    let has = |error: AttemptError| attempts.iter().any(|attempt| attempt.error == error);
    let is_no_route = |attempt: &Attempt| attempt.error == AttemptError::NoRoute;
    if has(AttemptError::Blocked) {
        "let UDP out through this machine's firewall"
    } else if attempts.iter().all(is_no_route) {
        "check the network of this machine"
    } else {
        "check that it runs and that UDP gets through"
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.address, self.error)
    }
}

static RESOLVING: Semaphore = Semaphore::const_new(RESOLVES_AT_ONCE);
const PROBE_WAIT: Duration = Duration::from_millis(100);
