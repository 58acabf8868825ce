//! What peers were worth at earlier runs, on disk: who gave a wrong chunk stays banned after a restart, for a while.
//! Replaced whole, so it is never half written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::saved::{SavedError, disk, read, replace};
use crate::limits::REPUTATIONS_LEN_MAX;
use swarm_core::base::NodeId;
use swarm_engine::limits::PEERS_MAX;
use swarm_engine::{PeerSnapshot, Reputation};

/// What is remembered of each node, as it was when this run began.
#[derive(Debug)]
pub(super) struct Reputations {
    path: PathBuf,
    past: BTreeMap<NodeId, Reputation>,
    /// Deeds of this run that are written down, so that nothing is written where nothing happened.
    written: Vec<(NodeId, [u64; 4])>,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    version: u32,
    /// Seconds since 1970; what is in it fades from then on.
    saved_at: u64,
    peers: Vec<Remembered>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    node: String,
    good_bytes: f64,
    bad_chunks: f64,
    stalls: f64,
    lies: f64,
}

impl Reputations {
    /// Reads what is remembered in this state folder; nothing if there is no list.
    pub(super) fn open(state_dir: &std::path::Path, now: SystemTime) -> Result<Self, SavedError> {
        let path = state_dir.join("peers.json");
        let past = match read(&path, REPUTATIONS_LEN_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            bytes => {
                let bytes = bytes.map_err(disk("read", &path))?;
                let damaged = |why| SavedError::Damaged { path: path.clone(), what: "list of peers", why };
                decode(&bytes, now).map_err(damaged)?
            }
        };
        Ok(Self { path, past, written: Vec::new() })
    }

    /// What is remembered, for the engine.
    pub(super) fn past(&self) -> impl Iterator<Item = (NodeId, Reputation)> {
        self.past.iter().map(|(node, reputation)| (*node, *reputation))
    }

    /// What a node is worth after a run of that length.
    pub(super) fn of(&self, peer: &PeerSnapshot, uptime: Duration) -> Reputation {
        let past = self.past.get(&peer.node).copied().unwrap_or_default();
        past.decayed(uptime).with(&peer.totals)
    }

    /// Writes down what each peer is worth now, if anything happened since the last time.
    pub(super) fn store(
        &mut self,
        peers: &[PeerSnapshot],
        uptime: Duration,
        now: SystemTime,
    ) -> Result<(), SavedError> {
        let deeds = |peer: &PeerSnapshot| {
            let totals = &peer.totals;
            (peer.node, [totals.verified_len, totals.corrupt_chunks, totals.stalls, totals.lies])
        };
        let deeds: Vec<_> = peers.iter().map(deeds).filter(|(_, deeds)| *deeds != [0; 4]).collect();
        if deeds == self.written {
            return Ok(());
        }
        let mut all: BTreeMap<NodeId, Reputation> =
            self.past().map(|(node, past)| (node, past.decayed(uptime))).collect();
        all.extend(peers.iter().map(|peer| (peer.node, self.of(peer, uptime))));
        all.retain(|_, reputation| !reputation.is_faded());
        let bytes = encode(&all, now).map_err(std::io::Error::from);
        bytes.and_then(|bytes| replace(&self.path, &bytes)).map_err(disk("write", &self.path))?;
        self.written = deeds;
        Ok(())
    }
}

/// What a list holds, faded since it was written, or why it is none.
pub(super) fn decode(bytes: &[u8], now: SystemTime) -> Result<BTreeMap<NodeId, Reputation>, String> {
    let list: List = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if list.version != VERSION {
        return Err(format!("version {} instead of {VERSION}", list.version));
    }
    if list.peers.len() > PEERS_MAX {
        return Err(format!("more than {PEERS_MAX} peers"));
    }
    let elapsed = Duration::from_secs(unix_secs(now).saturating_sub(list.saved_at));
    let one = |peer: Remembered| {
        let node: NodeId =
            peer.node.parse().map_err(|error| format!("`{}`: {error}", peer.node.escape_debug()))?;
        let reputation = Reputation {
            good_len: peer.good_bytes,
            bad_chunks: peer.bad_chunks,
            stalls: peer.stalls,
            lies: peer.lies,
        };
        let deeds = [reputation.good_len, reputation.bad_chunks, reputation.stalls, reputation.lies];
        if deeds.iter().any(|deed| *deed < 0.0) {
            return Err(format!("less than nothing of node {}", node.short()));
        }
        Ok((node, reputation.decayed(elapsed)))
    };
    list.peers.into_iter().map(one).collect()
}

/// A list as it is written: those with the worst deeds first, if there are too many.
pub(super) fn encode(all: &BTreeMap<NodeId, Reputation>, now: SystemTime) -> serde_json::Result<Vec<u8>> {
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by(|(_, a), (_, b)| {
        let failures = |reputation: &Reputation| reputation.bad_chunks + reputation.stalls + reputation.lies;
        b.bad_chunks.total_cmp(&a.bad_chunks).then(failures(b).total_cmp(&failures(a)))
    });
    let one = |(node, reputation): (&NodeId, &Reputation)| Remembered {
        node: node.to_string(),
        good_bytes: reputation.good_len,
        bad_chunks: reputation.bad_chunks,
        stalls: reputation.stalls,
        lies: reputation.lies,
    };
    let peers = all.into_iter().take(PEERS_MAX).map(one).collect();
    serde_json::to_vec_pretty(&List { version: VERSION, saved_at: unix_secs(now), peers })
}

fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_engine::{PeerStanding, PeerTotals};

    fn peer(byte: u8, totals: PeerTotals) -> PeerSnapshot {
        let node = NodeId::from_bytes([byte; 32]);
        PeerSnapshot { node, totals, accusers: 0, standing: PeerStanding::Away(None), link: None }
    }

    #[test]
    fn deeds_outlive_a_restart_and_fade() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = UNIX_EPOCH + Duration::from_hours(24 * 365 * 50);
        let bad = peer(1, PeerTotals { corrupt_chunks: 1, verified_len: 5 << 30, ..PeerTotals::default() });
        let unknown = peer(2, PeerTotals::default());
        let mut first = Reputations::open(folder.path(), now).expect("no list");
        first.store(&[bad.clone(), unknown], Duration::ZERO, now).expect("room");
        let week = Duration::from_hours(24 * 7);
        let mut second = Reputations::open(folder.path(), now + week / 2).expect("a list");
        let past: Vec<_> = second.past().collect();
        assert_eq!(past.len(), 1);
        assert!(past[0].0 == bad.node && past[0].1.is_bad());
        // Half a week in the file, and a little more while it ran.
        let later = now + week.mul_f64(1.01);
        let good = peer(3, PeerTotals { verified_len: 5 << 30, ..PeerTotals::default() });
        second.store(&[good], week.mul_f64(0.51), later).expect("room");
        let third = Reputations::open(folder.path(), later).expect("a list");
        let forgiven = third.past().next().expect("still known").1;
        assert!(!forgiven.is_bad() && forgiven.bad_chunks > 0.49, "{forgiven:?}");
        // A clock that was set back makes no peer worse.
        let back = Reputations::open(folder.path(), now).expect("a list");
        assert_eq!(back.past().next().expect("still known").1, forgiven);
    }

    #[test]
    fn a_list_that_is_none_is_told_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("peers.json");
        let key = "1".repeat(64);
        let negative = format!(
            r#"{{"version":1,"saved_at":0,"peers":[{{"node":"{key}","good_bytes":-1,"bad_chunks":0,"stalls":0,"lies":0}}]}}"#
        );
        for (text, why) in [
            ("{", "EOF"),
            (r#"{"version":2,"saved_at":0,"peers":[]}"#, "version 2 instead of 1"),
            (negative.as_str(), "less than nothing"),
        ] {
            std::fs::write(&path, text).expect("room");
            let error = Reputations::open(folder.path(), UNIX_EPOCH).expect_err(text).to_string();
            assert!(error.contains(why) && error.contains("peers.json"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("still there"), text);
        }
    }
}
