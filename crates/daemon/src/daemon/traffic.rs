//! Bytes that came and went. Invariant: a rate is that of the last whole interval, however often it is asked for; the totals of peers are those
//! since the start. Absent here: the counting (`swarm-node`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use swarm_core::base::NodeId;
use swarm_node::{NodeSnapshot, WireTotals};

use crate::clock;

/// Bytes that came and went, for rates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    at: Option<Instant>,
    received_len: u64,
    sent_len: u64,
    /// Bytes a second, over the last seconds.
    pub(crate) down: u64,
    pub(crate) up: u64,
    /// Of each peer, since the start.
    pub(crate) of_peers: BTreeMap<NodeId, WireTotals>,
}

impl Traffic {
    pub(super) fn is_old(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= TRAFFIC_INTERVAL)
    }

    pub(super) fn take(&mut self, snapshot: NodeSnapshot) {
        let is_old = self.is_old();
        self.of_peers = snapshot.wire;
        if !is_old {
            return;
        }
        let now = clock::moment();
        let (received_len, sent_len) = (snapshot.wire_total.received_len, snapshot.wire_total.sent_len);
        if let Some(at) = self.at {
            let secs = now.duration_since(at).as_secs_f64().max(0.001);
            let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / secs) as u64;
            (self.down, self.up) = (rate(received_len, self.received_len), rate(sent_len, self.sent_len));
        }
        (self.at, self.received_len, self.sent_len) = (Some(now), received_len, sent_len);
    }
}

const TRAFFIC_INTERVAL: Duration = Duration::from_secs(2);
