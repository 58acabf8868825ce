//! Finds nodes anywhere by BitTorrent's distributed hash table (BEP 5): a node announces its UDP port under a hash derived from
//! the content's id, and a node that wants the content looks that hash up.
//!
//! The table gives addresses, not keys. Each address is asked for its node's key by a handshake that goes no further
//! ([`Endpoint::identify`]), so that every reported key is proved. The alternative, a mutable item (BEP 44) with keys in it, could
//! be overwritten by every node that knows the content; an announcement can be made only from its own address.
//!
//! Invariant: the table never sees a content's id, and an address is asked once in ten minutes at most. Absent here: the decision
//! to dial; IPv6, which the table of IPv4 does not carry.
//!
//! [`Endpoint::identify`]: swarm_link::Endpoint::identify

pub(super) mod addresses;
mod lookup;
mod schedule;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs as _};

use mainline::Dht;
use mainline::async_dht::AsyncDht;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep_until, timeout};

use self::addresses::{Addresses, is_worth_asking};
use self::schedule::{Query, QueryKind, Schedule};
use super::{Found, Surroundings, Trouble, Way};
use crate::limits::{DHT_ADDRESSES_PER_LOOKUP_MAX, DHT_PROBES_MAX, DHT_QUERIES_MAX, DHT_QUERY_TIMEOUT};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Address, Source};

/// Announces the contents of this node, and reports nodes that have the wanted ones, until the sender of the participation is
/// dropped. Announcements cannot be taken back: the table forgets them within the hour. The table is entered by the `bootstrap`
/// nodes, or by those of the public one.
pub(super) async fn run(bootstrap: Vec<Address>, mut surroundings: Surroundings) {
    let IpAddr::V4(bind) = to_ipv4(surroundings.endpoint.bound_address().ip()) else {
        let why =
            "it takes IPv4, and this node listens on an IPv6 address alone: let it listen on an IPv4 address";
        return tell(&surroundings, why);
    };
    let is_private = !bootstrap.is_empty();
    let started = tokio::select! {
        started = start(bootstrap, bind) => started,
        () = ended(&mut surroundings) => return,
    };
    match started {
        Ok(dht) => Finder::new(dht, is_private, surroundings).run().await,
        Err(error) => tell(&surroundings, &error.to_string()),
    }
}

fn tell(surroundings: &Surroundings, why: &str) {
    let reason = format!("not looking for peers by the DHT: {why}");
    let _ = surroundings.troubles.try_send(Trouble { way: Way::Dht, reason });
}

struct Finder {
    dht: AsyncDht,
    is_private: bool,
    surroundings: Surroundings,
    schedule: Schedule,
    addresses: Addresses,
    queries: JoinSet<(Query, bool)>,
    probes: JoinSet<(SocketAddrV4, Option<NodeId>)>,
    heard_sender: mpsc::Sender<(ContentId, SocketAddrV4)>,
    heard: mpsc::Receiver<(ContentId, SocketAddrV4)>,
}

impl Finder {
    fn new(dht: AsyncDht, is_private: bool, surroundings: Surroundings) -> Self {
        let (heard_sender, heard) = mpsc::channel(DHT_PROBES_MAX);
        Self {
            dht,
            is_private,
            surroundings,
            schedule: Schedule::default(),
            addresses: Addresses::default(),
            queries: JoinSet::new(),
            probes: JoinSet::new(),
            heard_sender,
            heard,
        }
    }

    async fn run(mut self) {
        let clock = self.surroundings.clock;
        loop {
            self.begin_queries();
            let wakeup = self.schedule.next_at();
            let may_query = self.queries.len() < DHT_QUERIES_MAX;
            let may_probe = self.probes.len() < DHT_PROBES_MAX;
            let goes_on = tokio::select! {
                changed = self.surroundings.participation.changed() => changed.is_ok(),
                Some(done) = self.queries.join_next() => {
                    if let Ok((query, is_done)) = done {
                        self.schedule.on_ended(self.surroundings.clock.now(), query, is_done);
                    }
                    true
                }
                Some(done) = self.probes.join_next() => match done {
                    Ok((address, node)) => self.on_probed(address, node).await,
                    Err(_) => true,
                },
                Some((content, address)) = self.heard.recv(), if may_probe => self.on_heard(content, address).await,
                () = sleep_until(clock.deadline(wakeup.unwrap_or_default())), if may_query && wakeup.is_some() => true,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn begin_queries(&mut self) {
        let now = self.surroundings.clock.now();
        let presences = self.surroundings.participation.borrow_and_update().presences.clone();
        self.schedule.on_presences(now, &presences);
        while self.queries.len() < DHT_QUERIES_MAX
            && let Some(query) = self.schedule.pop_due(now)
        {
            let (dht, heard) = (self.dht.clone(), self.heard_sender.clone());
            let port = self.port();
            self.queries.spawn(async move { (query, perform(&dht, query, port, heard).await) });
        }
    }

    /// The table sees this node's address; only the port has to be sent.
    fn port(&self) -> u16 {
        let advertised = self.surroundings.advertise.first().map(Address::port);
        advertised.unwrap_or_else(|| self.surroundings.endpoint.outer_port())
    }

    async fn on_heard(&mut self, content: ContentId, address: SocketAddrV4) -> bool {
        if !is_worth_asking(address, self.is_private)
            || !self.addresses.hear(self.surroundings.clock.now(), address, content)
        {
            return self.report(address).await;
        }
        let endpoint = self.surroundings.endpoint.clone();
        self.probes.spawn(async move {
            let identified = endpoint.identify(address.into()).await;
            if let Err(error) = &identified {
                tracing::debug!(%address, %error, "no node answers at an address of the DHT");
            }
            (address, identified.ok())
        });
        true
    }

    async fn on_probed(&mut self, address: SocketAddrV4, node: Option<NodeId>) -> bool {
        let node = node.filter(|node| *node != self.surroundings.endpoint.node_id());
        self.addresses.on_probed(address, node);
        self.report(address).await
    }

    /// Reports the node at an address for each content that it was not reported for; false if the receiver is gone.
    async fn report(&mut self, address: SocketAddrV4) -> bool {
        for (content, node) in self.addresses.report(address) {
            let source = Source { node, addresses: vec![SocketAddr::from(address).into()] };
            if self.surroundings.found.send(Found { content, source, way: Way::Dht }).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Runs one query; true if it succeeded.
async fn perform(
    dht: &AsyncDht,
    query: Query,
    port: u16,
    heard: mpsc::Sender<(ContentId, SocketAddrV4)>,
) -> bool {
    let content = query.content.short();
    let hash = lookup::info_hash(query.content);
    let performed = timeout(DHT_QUERY_TIMEOUT, async {
        match query.kind {
            QueryKind::Announce => {
                dht.announce_peer(hash, Some(port)).await.map_err(|error| error.to_string())
            }
            QueryKind::Lookup => {
                let mut peers = lookup::Peers::new(dht.get_peers(hash));
                for _ in 0..DHT_ADDRESSES_PER_LOOKUP_MAX {
                    let Some(address) = peers.next().await else { break };
                    if heard.send((query.content, address)).await.is_err() {
                        break;
                    }
                }
                Ok(hash)
            }
        }
    });
    match performed.await {
        Ok(Ok(_)) => {
            tracing::debug!(content, kind = query.kind.name(), "the DHT was asked");
            true
        }
        Ok(Err(error)) => {
            tracing::debug!(content, kind = query.kind.name(), error, "the DHT did not do it");
            false
        }
        Err(_) => {
            tracing::debug!(content, kind = query.kind.name(), "the DHT does not answer");
            false
        }
    }
}

/// Binds a socket and resolves host names, which may take long: so on a blocking thread. The table's own thread ends when the
/// returned handle is dropped.
async fn start(bootstrap: Vec<Address>, bind: Ipv4Addr) -> Result<AsyncDht, StartError> {
    let build = move || {
        let mut builder = Dht::builder();
        builder.bind_address(bind);
        if !bootstrap.is_empty() {
            let resolved: Vec<SocketAddr> =
                bootstrap.iter().filter_map(|node| node.as_str().to_socket_addrs().ok()).flatten().collect();
            if !resolved.iter().any(SocketAddr::is_ipv4) {
                return Err(StartError::NoBootstrap(bootstrap));
            }
            builder.bootstrap(&resolved);
        }
        builder.build().map(Dht::as_async).map_err(StartError::Socket)
    };
    spawn_blocking(build).await.map_err(|_| StartError::Stopping)?
}

/// Why the table cannot be used.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("no socket: {0}")]
    Socket(std::io::Error),
    #[error("none of its nodes has an IPv4 address: {}; name others", list(.0))]
    NoBootstrap(Vec<Address>),
    #[error("this node is ending")]
    Stopping,
}

fn list(addresses: &[Address]) -> String {
    addresses.iter().map(Address::as_str).collect::<Vec<_>>().join(", ")
}

/// Resolves when the sender of the participation is dropped.
async fn ended(surroundings: &mut Surroundings) {
    while surroundings.participation.changed().await.is_ok() {}
}

fn to_ipv4(ip: IpAddr) -> IpAddr {
    if ip.is_unspecified() { Ipv4Addr::UNSPECIFIED.into() } else { ip.to_canonical() }
}

#[cfg(test)]
mod tests;
