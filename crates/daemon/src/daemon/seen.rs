//! When peers were linked last, kept over a restart. Invariant: it knows peers of peers.json alone, so that no stranger fills it; what cannot be read or
//! written costs times, and nothing else. Absent here: who is linked (`exchange`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use swarm_core::base::NodeId;

/// When each peer was linked last.
pub(crate) struct Seen {
    path: PathBuf,
    /// Milliseconds since 1970.
    times: BTreeMap<NodeId, u64>,
    linked: Vec<NodeId>,
    saved_at_ms: u64,
}

impl Seen {
    /// What was kept in a daemon's state.
    pub(crate) fn open(state: &std::path::Path) -> Self {
        let path = state.join(FILE);
        let kept: BTreeMap<String, u64> =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let times = kept.into_iter().filter_map(|(node, at_ms)| Some((node.parse().ok()?, at_ms))).collect();
        Self { path, times, linked: Vec::new(), saved_at_ms: 0 }
    }

    /// When a peer was linked last, milliseconds since 1970.
    pub(crate) fn last(&self, node: &NodeId) -> Option<u64> {
        self.times.get(node).copied()
    }

    /// Takes which of the known peers are linked now. Those that are not known any more are forgotten.
    pub(crate) fn look(&mut self, known: &[NodeId], linked: &[NodeId], now_ms: u64) {
        let linked: Vec<NodeId> = linked.iter().filter(|node| known.contains(node)).copied().collect();
        let before = self.times.len();
        self.times.retain(|node, _| known.contains(node));
        let is_news = self.times.len() != before || self.linked != linked;
        self.times.extend(linked.iter().map(|node| (*node, now_ms)));
        let is_due = !linked.is_empty() && now_ms.abs_diff(self.saved_at_ms) >= SAVE_INTERVAL_MS;
        self.linked = linked;
        if is_news || is_due {
            self.save(now_ms);
        }
    }

    /// Keeps what is known now: after a power cut the last minute may be lacking, so nothing waits for the disk.
    fn save(&mut self, now_ms: u64) {
        self.saved_at_ms = now_ms;
        let times: BTreeMap<String, u64> =
            self.times.iter().map(|(node, at_ms)| (node.to_string(), *at_ms)).collect();
        let new = self.path.with_extension("new");
        let written = serde_json::to_vec_pretty(&times)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&new, text))
            .and_then(|()| std::fs::rename(&new, &self.path));
        if let Err(error) = written {
            tracing::debug!(%error, "when peers were linked last cannot be kept");
        }
    }
}

const FILE: &str = "peers-seen.json";
/// How often the times of linked peers are written: a daemon that is killed forgets no more.
const SAVE_INTERVAL_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    #[test]
    fn the_last_time_of_a_peer_is_kept_over_a_restart_and_forgotten_with_the_peer() {
        let folder = tempfile::tempdir().expect("a folder");
        let (anna, bob, stranger) = (node(1), node(2), node(3));
        let mut seen = Seen::open(folder.path());
        assert_eq!(seen.last(&anna), None);
        seen.look(&[anna, bob], &[anna, bob, stranger], 1000);
        seen.look(&[anna, bob], &[anna], 5000);
        assert_eq!([anna, bob, stranger].map(|node| seen.last(&node)), [Some(5000), Some(1000), None]);

        let mut seen = Seen::open(folder.path());
        assert_eq!([anna, bob].map(|node| seen.last(&node)), [Some(5000), Some(1000)], "it is kept");
        seen.look(&[bob], &[], 6000);
        assert_eq!(Seen::open(folder.path()).last(&anna), None, "it is no peer any more");
        assert_eq!(Seen::open(folder.path()).last(&bob), Some(1000));
    }

    #[test]
    fn a_peer_that_stays_linked_is_written_once_a_minute() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut seen = Seen::open(folder.path());
        let kept = || Seen::open(folder.path()).last(&node(1));
        for now_ms in [1000, 2000, 60_999] {
            seen.look(&[node(1)], &[node(1)], now_ms);
            assert_eq!(kept(), Some(1000), "at {now_ms}");
        }
        seen.look(&[node(1)], &[node(1)], 61_000);
        assert_eq!(kept(), Some(61_000));
    }

    #[test]
    fn a_file_that_is_none_is_one_without_times() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), "{\"x\": 1").expect("written");
        assert_eq!(Seen::open(folder.path()).times.len(), 0);
        std::fs::write(folder.path().join(FILE), "{\"x\": 1}").expect("written");
        assert_eq!(Seen::open(folder.path()).times.len(), 0);
    }
}
