//! The policies that peers told, for a library whose own file has none. Invariant: what a peer told last is remembered over restarts, before any
//! commit of it is taken. Absent here: whom this node trusts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_core::base::NodeId;
use swarm_library::Policy;

use super::memory::write_durably;

/// What a peer told of its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToldPolicy {
    pub(crate) policy: Policy,
    /// It is not of the peer's own files, but of its peers.
    pub(crate) is_taken_over: bool,
}

/// What all told, in a small file.
#[derive(Debug)]
pub(crate) struct ToldPolicies {
    path: PathBuf,
    told: BTreeMap<NodeId, ToldPolicy>,
}

#[derive(Serialize, Deserialize)]
struct Text {
    node: String,
    delete_votes: u32,
    move_votes: u32,
    bulk_changes: u32,
    bulk_votes: u32,
    expiry_days: u32,
    refused_by_one: bool,
    is_taken_over: bool,
}

impl ToldPolicies {
    pub(crate) const FILE: &str = "policies.json";

    /// In the folder of a library's state.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(Self::FILE);
        let texts: Vec<Text> = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                let way_out = "remove this file: peers tell their policies again";
                io::Error::new(io::ErrorKind::InvalidData, format!("{error}: {way_out}"))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let told = texts.iter().filter_map(|text| Some((text.node.parse().ok()?, text.told()))).collect();
        Ok(Self { path, told })
    }

    /// A peer told its policy; durable when this returns.
    pub(crate) fn note(&mut self, node: NodeId, told: ToldPolicy) -> io::Result<()> {
        let is_room = self.told.len() < NODES_MAX || self.told.contains_key(&node);
        if !is_room || self.told.insert(node, told) == Some(told) {
            return Ok(());
        }
        let texts: Vec<Text> = self.told.iter().map(|(node, told)| Text::of(node, told)).collect();
        write_durably(&self.path, &serde_json::to_vec_pretty(&texts)?)
    }

    /// The strictest of those that the trusted peers have of their own; if none has, of those that they took over.
    pub(crate) fn strictest(&self, trusts: &dyn Fn(&NodeId) -> bool) -> Policy {
        let of = |is_taken_over: bool| {
            let told =
                self.told.iter().filter(|(node, told)| trusts(node) && told.is_taken_over == is_taken_over);
            told.map(|(_, told)| told.policy).reduce(Policy::stricter)
        };
        of(false).or_else(|| of(true)).unwrap_or_default()
    }
}

impl Text {
    fn of(node: &NodeId, told: &ToldPolicy) -> Self {
        let ToldPolicy { policy, is_taken_over } = *told;
        let Policy { delete_votes, move_votes, bulk_changes, bulk_votes, expiry_days, refused_by_one } =
            policy;
        let node = node.to_string();
        Self {
            node,
            delete_votes,
            move_votes,
            bulk_changes,
            bulk_votes,
            expiry_days,
            refused_by_one,
            is_taken_over,
        }
    }

    fn told(&self) -> ToldPolicy {
        let Self { delete_votes, move_votes, bulk_changes, bulk_votes, expiry_days, refused_by_one, .. } =
            *self;
        let policy =
            Policy { delete_votes, move_votes, bulk_changes, bulk_votes, expiry_days, refused_by_one };
        ToldPolicy { policy, is_taken_over: self.is_taken_over }
    }
}

/// Peers whose policies are remembered.
const NODES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// `1:2` is a policy of node 1 that holds deletions for two votes, `1:2*` one that it took over; then whom this node trusts.
    fn check(told: &str, trusted: &[u8], expected: u32) {
        let folder = tempfile::tempdir().expect("a place");
        let mut policies = ToldPolicies::open(folder.path()).expect("a new file");
        for word in told.split_whitespace() {
            let (node, votes) = word.split_once(':').expect("a node and votes");
            let is_taken_over = votes.ends_with('*');
            let delete_votes = votes.trim_end_matches('*').parse().expect("a number");
            let policy = Policy { delete_votes, ..Policy::default() };
            let node = NodeId::from_bytes([node.parse().expect("a number"); 32]);
            policies.note(node, ToldPolicy { policy, is_taken_over }).expect("a place");
        }
        let trusts = |node: &NodeId| trusted.contains(&node.as_bytes()[0]);
        assert_eq!(policies.strictest(&trusts).delete_votes, expected, "{told}");
        let again = ToldPolicies::open(folder.path()).expect("it was written");
        assert_eq!(again.strictest(&trusts).delete_votes, expected, "{told}, after a restart");
    }

    #[test]
    fn the_strictest_of_the_trusted_holds() {
        check("", &[1], 0);
        check("1:2 2:3", &[1, 2], 3);
        check("1:2 2:3", &[1], 2);
        check("1:2 2:3", &[], 0);
    }

    #[test]
    fn the_last_that_a_peer_told_holds() {
        check("1:3 1:2", &[1], 2);
    }

    #[test]
    fn a_policy_of_an_owner_is_before_one_that_was_taken_over() {
        check("1:2 2:3*", &[1, 2], 2);
        check("1:2 2:3*", &[2], 3);
        check("1:2 1:2*", &[1], 2);
    }
}
