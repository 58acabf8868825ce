//! One link as the protocol sees it: who is at the other end, what each side opened, what it was told. Decides nothing, and knows
//! neither chunks nor requests.

use std::collections::BTreeMap;

use swarm_core::base::{ContentId, Instant, NodeId};
use swarm_core::manifest::Address;
use swarm_core::trust::Role;

use super::participation::{Participation, PeerOpens};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) node: NodeId,
    pub(super) role: Role,
    pub(super) dialed: bool,
    /// Where the peer is, as seen from here.
    pub(super) address: Option<Address>,
    pub(super) up_at: Instant,
    /// From its Hello; until then nothing else is taken.
    pub(super) greeting: Option<Greeting>,
    pub(super) opens: PeerOpens,
    /// Contents that this node opened here so far: the peer bounds how many it takes.
    pub(super) opens_said: usize,
    pub(super) remotes: BTreeMap<ContentId, Remote>,
    /// When it last told of chunks that it had not before: some peer serves it.
    pub(super) last_gain_at: Instant,
    /// Chunks from here that it called corrupt.
    pub(super) blames: u32,
    /// Peers that it accused of wrong chunks.
    pub(super) accusations: u32,
}

/// What a peer says of itself.
#[derive(Debug)]
pub(super) struct Greeting {
    /// Both sides tell each other of others.
    pub(super) speaks_pex: bool,
}

/// One content on one link.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) participation: Participation,
    /// Pages of the manifest that it was sent.
    pub(super) pages_sent: u32,
    /// It says that all of it is on its disk.
    pub(super) is_durable: bool,
    /// How many chunks it named lately.
    pub(super) named: Named,
    /// Payload sent to it, bytes.
    pub(super) sent_len: u64,
    /// It took everything; told once.
    pub(super) has_completed: bool,
}

/// Chunks that a peer named in Have and Lost lately: each costs this node time, and what was taken back can be said again.
#[derive(Debug, Default)]
pub(super) struct Named {
    count: f64,
    at: Instant,
}

impl Named {
    /// Counts so many more, of a content with so many chunks. False if no peer has reason to name so many: all of them many
    /// times over, and once more each second.
    pub(super) fn add(&mut self, now: Instant, count: u32, chunk_count: u32) -> bool {
        let per_sec = f64::from(chunk_count.max(NAMED_PER_SEC_MIN));
        let forgotten = per_sec * now.since(self.at).as_secs_f64();
        self.count = (self.count - forgotten).max(0.0) + f64::from(count);
        self.at = now;
        self.count <= per_sec * NAMED_TIMES_MAX
    }
}

impl Session {
    /// A link that has just come up.
    pub(super) fn new(
        now: Instant,
        (node, role): (NodeId, Role),
        dialed: bool,
        address: Option<Address>,
    ) -> Self {
        Self {
            node,
            role,
            dialed,
            address,
            up_at: now,
            greeting: None,
            opens: PeerOpens::default(),
            opens_said: 0,
            remotes: BTreeMap::new(),
            last_gain_at: now,
            blames: 0,
            accusations: 0,
        }
    }

    pub(super) fn is_greeted(&self) -> bool {
        self.greeting.is_some()
    }

    pub(super) fn speaks_pex(&self) -> bool {
        self.greeting.as_ref().is_some_and(|greeting| greeting.speaks_pex)
    }

    /// How far both sides are with a content, if either opened it.
    pub(super) fn participation(&self, content: ContentId) -> Option<Participation> {
        self.remotes.get(&content).map(|remote| remote.participation)
    }

    /// The peer takes part in the content.
    pub(super) fn takes_part(&self, content: ContentId) -> bool {
        self.participation(content).is_some_and(Participation::is_opened_there)
    }
}

/// A lone seed shows and hides all of it whenever it is left with one peer or gets a second one.
const NAMED_TIMES_MAX: f64 = 16.0;
/// Of contents with few chunks.
const NAMED_PER_SEC_MIN: u32 = 1024;
