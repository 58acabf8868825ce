//! The one task that owns all records. Invariant: `records` and the registry hold the same keys; every change of a record is in
//! `dirty` until it is on disk. The registry decides which nodes are named to a node, `reach` with which addresses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::Totals;
use super::book::{Book, Key, Row};
use super::pace::network_of;
use super::probe::{Probe, Probed, Prober};
use super::reach;
use crate::limits::{
    BOOK_ROWS_AT_ONCE, PROBES_AT_ONCE, REGISTRY_ENTRIES_PER_ADDRESS_MAX, REGISTRY_RECORDS_LEN_MAX,
};
use swarm_core::base::limits::ANNOUNCE_TIME_TO_LIVE;
use swarm_core::base::{ContentId, Instant, NodeId};
use swarm_core::manifest::Address;
use swarm_core::registry::{Announce, Ask, Registry};
use swarm_core::wire::{Coordination, Neighbour, SignedAnnounce};
use swarm_link::{Endpoint, Identity};

/// The number of a link to the coordinator; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(pub(super) u64);

/// A message to the desk, from links and probes.
pub(super) enum Call {
    Joined {
        client: ClientId,
        node: NodeId,
        observed: SocketAddr,
        queue: mpsc::Sender<Coordination>,
    },
    Announced {
        client: ClientId,
        observed: SocketAddr,
        announce: SignedAnnounce,
        wanted: u32,
        links: Vec<NodeId>,
    },
    Withdrew {
        client: ClientId,
        content: ContentId,
    },
    /// `is_farewell`: the node closed the link itself, so its announcements are forgotten.
    Left {
        client: ClientId,
        is_farewell: bool,
    },
    Probed {
        key: Key,
        observed: SocketAddr,
        probed: Probed,
    },
}

pub(super) struct Desk {
    /// The node of the process that this coordinator runs in.
    own: NodeId,
    registry: Registry,
    records: BTreeMap<Key, Record>,
    records_len: usize,
    by_address: BTreeMap<IpAddr, usize>,
    clients: BTreeMap<ClientId, Client>,
    client_of: BTreeMap<NodeId, ClientId>,
    prober: Prober,
    to_probe: VecDeque<Key>,
    probing: usize,
    book: Book,
    dirty: BTreeSet<Key>,
    wall_clock: fn() -> SystemTime,
    calls: mpsc::Sender<Call>,
    report: watch::Sender<Totals>,
}

struct Client {
    node: NodeId,
    observed: SocketAddr,
    queue: mpsc::Sender<Coordination>,
    contents: BTreeSet<ContentId>,
}

struct Record {
    announce: SignedAnnounce,
    observed: SocketAddr,
    /// Unconfirmed addresses at which a probe reached the node.
    reached: Vec<Address>,
    standing: Standing,
    /// Whether a probe verified a chunk of the content.
    is_chunk_proven: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Waits for a probe, or is being probed.
    Probing {
        was_listed: bool,
    },
    Listed,
    /// The probe did not reach the node, or got no chunk; it is repeated after a while.
    Failed {
        at: Instant,
    },
    /// The node sent a corrupt chunk to the probe.
    Liar,
}

impl Desk {
    pub(super) fn new(
        endpoint: &Endpoint,
        probe_identity: Identity,
        book: Book,
        kept: Vec<Row>,
        wall_clock: fn() -> SystemTime,
        calls: mpsc::Sender<Call>,
        report: watch::Sender<Totals>,
    ) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *endpoint.node_id().as_bytes();
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ nanos(wall_clock());
        let mut desk = Self {
            own: endpoint.node_id(),
            registry: Registry::new(ANNOUNCE_TIME_TO_LIVE, seed),
            records: BTreeMap::new(),
            records_len: 0,
            by_address: BTreeMap::new(),
            clients: BTreeMap::new(),
            client_of: BTreeMap::new(),
            prober: Prober::new(endpoint, probe_identity, seed),
            to_probe: VecDeque::new(),
            probing: 0,
            book,
            dirty: BTreeSet::new(),
            wall_clock,
            calls,
            report,
        };
        kept.into_iter().for_each(|row| desk.restore(row));
        info!(announcements = desk.records.len(), "known from before");
        desk
    }

    pub(super) async fn run(
        mut self,
        mut calls: mpsc::Receiver<Call>,
        tasks: TaskTracker,
        ending: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(call) = calls.recv() => self.on_call(call),
                _ = tick.tick() => {
                    self.expire();
                    self.write().await;
                    self.report.send_replace(self.totals());
                }
                () = ending.cancelled() => break,
            }
            self.start_probes(&tasks, &ending);
        }
        while !self.dirty.is_empty() && self.write().await {}
    }

    fn on_call(&mut self, call: Call) {
        match call {
            Call::Joined { client, node, observed, queue } => {
                if let Some(old) = self.client_of.insert(node, client) {
                    // Dropping the sender of its queue ends the task of the old link.
                    self.clients.remove(&old);
                }
                self.clients.insert(client, Client { node, observed, queue, contents: BTreeSet::new() });
            }
            Call::Announced { client, observed, announce, wanted, links } => {
                if let Some(state) = self.clients.get_mut(&client) {
                    state.observed = observed;
                }
                self.on_announced(client, announce, wanted, links);
            }
            Call::Withdrew { client, content } => {
                let Some(state) = self.clients.get_mut(&client) else { return };
                state.contents.remove(&content);
                let node = state.node;
                self.forget((content, node));
            }
            Call::Left { client, is_farewell } => self.on_left(client, is_farewell),
            Call::Probed { key, observed, probed } => self.on_probed(key, observed, probed),
        }
    }

    fn on_announced(&mut self, client: ClientId, announce: SignedAnnounce, wanted: u32, links: Vec<NodeId>) {
        let Some(state) = self.clients.get_mut(&client) else { return };
        let (content, observed) = (announce.body().content, state.observed);
        let key = (content, state.node);
        if let Err(reason) = self.take(key, announce, observed, links) {
            return self.say(client, Coordination::Refused { content, reason });
        }
        if let Some(state) = self.clients.get_mut(&client) {
            state.contents.insert(content);
        }
        if wanted > 0 {
            self.introduce(client, key, wanted);
        }
    }

    /// Stores an announcement in place of an earlier one.
    fn take(
        &mut self,
        key: Key,
        announce: SignedAnnounce,
        observed: SocketAddr,
        links: Vec<NodeId>,
    ) -> Result<(), String> {
        let now = self.now();
        let before = self.records.get(&key);
        if before.is_some_and(|record| record.standing == Standing::Liar) {
            return Err("a chunk from this node failed verification: check its disk".to_owned());
        }
        let len = announce.encode().len();
        let at_address = self.by_address.get(&network_of(observed.ip())).copied().unwrap_or_default();
        if before.is_none()
            && (self.records_len + len > REGISTRY_RECORDS_LEN_MAX
                || at_address >= REGISTRY_ENTRIES_PER_ADDRESS_MAX)
        {
            return Err("the coordinator has no room for more from there: ask another one".to_owned());
        }
        let moved = before.is_none_or(|record| record.observed.ip() != observed.ip());
        let claims = announce.body().have_count > 0;
        let was_listed = before.is_some_and(|record| record.is_listed()) && !moved;
        let standing = match before.map(|record| (record.standing, record.is_chunk_proven)) {
            Some((Standing::Listed, is_proven)) if !moved && (is_proven || !claims) => Standing::Listed,
            Some((Standing::Failed { at }, _)) if !moved && now.since(at) < REPROBE_WAIT => {
                Standing::Failed { at }
            }
            Some((Standing::Probing { was_listed }, _)) if !moved => Standing::Probing { was_listed },
            _ if key.1 == self.own => Standing::Listed,
            _ => Standing::Probing { was_listed },
        };
        let is_waiting = before.is_some_and(|record| matches!(record.standing, Standing::Probing { .. }));
        let (reached, is_chunk_proven) =
            before.map(|record| (record.reached.clone(), record.is_chunk_proven)).unwrap_or_default();
        let record = Record { announce, observed, reached, standing, is_chunk_proven };
        self.registry.announce(now, record.entry(links)).map_err(|full| full.to_string())?;
        self.put(key, record);
        if matches!(standing, Standing::Probing { .. }) && !is_waiting {
            self.to_probe.push_back(key);
        }
        Ok(())
    }

    /// Sends neighbours to a node that asks, and tells those behind a NAT to dial it.
    fn introduce(&mut self, client: ClientId, key: Key, wanted: u32) {
        let (content, node) = key;
        let told = self.registry.ask(self.now(), &Ask { content, node, wanted });
        let Some(asker) = self.clients.get(&client).map(|client| client.observed) else { return };
        let mut neighbours = Vec::new();
        for other in told {
            let Some(record) = self.records.get(&(content, other.node)) else { continue };
            neighbours.push(record.neighbour(asker));
            if reach::is_translated(record.observed, &record.announce.body().addresses) {
                self.arrange_meeting(other.node, key);
            }
        }
        debug!(node = node.short(), content = content.short(), count = neighbours.len(), "named neighbours");
        self.say(client, Coordination::Neighbours { content, neighbours });
    }

    fn arrange_meeting(&self, hidden: NodeId, (content, node): Key) {
        let Some(&client) = self.client_of.get(&hidden) else { return };
        let (Some(record), Some(state)) = (self.records.get(&(content, node)), self.clients.get(&client))
        else {
            return;
        };
        self.say(client, Coordination::Meet { content, neighbour: record.neighbour(state.observed) });
    }

    fn on_left(&mut self, client: ClientId, is_farewell: bool) {
        let Some(state) = self.clients.remove(&client) else { return };
        self.client_of.remove(&state.node);
        for content in state.contents {
            let key = (content, state.node);
            if is_farewell {
                self.forget(key);
            } else if let Some(record) = self.records.get_mut(&key) {
                // The node may be back soon; until then others would dial it in vain.
                record.standing = Standing::Failed { at: Instant::ZERO };
                self.registry.list(content, state.node, false);
                self.dirty.insert(key);
            }
        }
    }

    fn start_probes(&mut self, tasks: &TaskTracker, ending: &CancellationToken) {
        while self.probing < PROBES_AT_ONCE {
            let Some(key) = self.to_probe.pop_front() else { return };
            let Some(record) = self.records.get(&key) else { continue };
            let body = record.announce.body();
            let probe = Probe {
                key,
                observed: record.observed,
                doubtful: reach::doubtful(record.observed, &body.addresses),
                claims_chunks: body.have_count > 0,
            };
            let (prober, calls, ending) = (self.prober.clone(), self.calls.clone(), ending.clone());
            self.probing += 1;
            tasks.spawn(async move {
                if let Some(probed) = ending.run_until_cancelled(prober.run(&probe)).await {
                    // The desk may have ended.
                    let _ = calls.send(Call::Probed { key, observed: probe.observed, probed }).await;
                }
            });
        }
    }

    fn on_probed(&mut self, key: Key, observed: SocketAddr, probed: Probed) {
        self.probing -= 1;
        let now = self.now();
        let Some(record) = self.records.get_mut(&key) else { return };
        if record.observed != observed {
            // The node moved meanwhile: the result is about its old address.
            return self.to_probe.push_back(key);
        }
        let (content, node) = (key.0.short(), key.1.short());
        match probed {
            Probed::Good { reached, has_given_chunk } => {
                record.reached = reached;
                record.is_chunk_proven |= has_given_chunk;
                record.standing = Standing::Listed;
            }
            Probed::Silent => record.standing = Standing::Failed { at: now },
            Probed::Corrupt => {
                warn!(node, content, "a chunk of an announced node failed verification: not taken any more");
                record.standing = Standing::Liar;
            }
        }
        debug!(node, content, standing = ?record.standing, "probed");
        let is_listed = record.is_listed();
        self.registry.list(key.0, key.1, is_listed);
        self.dirty.insert(key);
    }

    fn restore(&mut self, row: Row) {
        let now = self.now();
        let key = (row.announce.body().content, row.announce.body().node);
        let standing = if row.is_listed { Standing::Listed } else { Standing::Failed { at: Instant::ZERO } };
        let record = Record {
            announce: row.announce,
            observed: row.observed,
            reached: Vec::new(),
            standing,
            is_chunk_proven: row.is_listed,
        };
        // Expired rows, and rows beyond the limits, are dropped; the next write removes them. The own node announces itself anew.
        let is_own = key.1 == self.own;
        let _ = (!is_own).then(|| self.registry.restore(now, row.expires_at, record.entry(Vec::new())));
        if self.registry.entry(key.0, key.1).is_some() {
            self.put(key, record);
        }
        self.dirty.insert(key);
    }

    fn put(&mut self, key: Key, record: Record) {
        self.records_len += record.len();
        *self.by_address.entry(network_of(record.observed.ip())).or_default() += 1;
        if let Some(before) = self.records.insert(key, record) {
            self.uncount(&before);
        }
        self.dirty.insert(key);
    }

    fn forget(&mut self, key: Key) {
        self.registry.withdraw(key.0, key.1);
        if let Some(record) = self.records.remove(&key) {
            self.uncount(&record);
            self.dirty.insert(key);
        }
    }

    fn uncount(&mut self, record: &Record) {
        self.records_len -= record.len();
        let network = network_of(record.observed.ip());
        if let Some(count) = self.by_address.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&network);
            }
        }
    }

    fn expire(&mut self) {
        for key in self.registry.expire(self.now()) {
            self.forget(key);
        }
    }

    /// Writes the changed records. False if that failed: they stay dirty and are written later.
    async fn write(&mut self) -> bool {
        let keys: Vec<Key> = self.dirty.iter().copied().take(BOOK_ROWS_AT_ONCE).collect();
        if keys.is_empty() {
            return true;
        }
        let changes: Vec<(Key, Option<Row>)> = keys.iter().map(|key| (*key, self.row(*key))).collect();
        let book = self.book.clone();
        match tokio::task::spawn_blocking(move || book.write(&changes)).await {
            Ok(Ok(())) => {
                keys.iter().for_each(|key| {
                    self.dirty.remove(key);
                });
                true
            }
            Ok(Err(error)) => {
                warn!(%error, "what is announced will not be known after a restart");
                false
            }
            // The task panicked; the panic was logged.
            Err(_) => false,
        }
    }

    fn row(&self, key: Key) -> Option<Row> {
        let record = self.records.get(&key)?;
        let expires_at = self.registry.expires_at(key.0, key.1)?;
        let (announce, observed) = (record.announce.clone(), record.observed);
        Some(Row { announce, observed, is_listed: record.is_listed(), expires_at })
    }

    /// A node that does not read fast enough misses the message; it may ask again.
    fn say(&self, client: ClientId, message: Coordination) {
        let Some(state) = self.clients.get(&client) else { return };
        if state.queue.try_send(message).is_err() {
            debug!(node = state.node.short(), "a node does not read what it is told");
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            contents: self.registry.contents().count(),
            announcements: self.records.len(),
            listed: self.records.values().filter(|record| record.is_listed()).count(),
            links: self.clients.len(),
            records_len: self.records_len,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(nanos((self.wall_clock)()))
    }
}

impl Record {
    fn is_listed(&self) -> bool {
        matches!(self.standing, Standing::Listed | Standing::Probing { was_listed: true })
    }

    fn len(&self) -> usize {
        self.announce.encode().len()
    }

    fn neighbour(&self, asker: SocketAddr) -> Neighbour {
        let claimed = &self.announce.body().addresses;
        let addresses = reach::handed_out(self.observed, claimed, &self.reached, asker);
        Neighbour { announce: self.announce.clone(), addresses }
    }

    fn entry(&self, links: Vec<NodeId>) -> Announce {
        let body = self.announce.body();
        Announce {
            content: body.content,
            node: body.node,
            is_listed: self.is_listed(),
            have_count: body.have_count,
            chunk_count: body.chunk_count,
            up: body.up,
            zone: body.zone.clone(),
            links,
        }
    }
}

/// Nanoseconds since 1970, capped in the year 2554.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Interval between writes of changed records, which also removes expired ones and reports the totals.
const TICK: Duration = Duration::from_secs(1);
/// Wait before a failed probe is repeated, unless the node has moved: a probe costs a dial.
const REPROBE_WAIT: Duration = Duration::from_secs(60);
