//! Which peers are dialed, and where: own peers, those that trusted peers told of, and own peers where finders saw them. Invariant: a stranger that a
//! finder names is not dialed; a target is dialed by one task, which ends when it is no target any more. Absent here: how a link is kept
//! (`exchange/dialing`).

use std::collections::BTreeSet;

use swarm_core::base::NodeId;
use swarm_core::manifest::Address;

use super::Desk;
use crate::exchange::{Dialed, Target, keep_linked};
use crate::settings::Settings;

impl Desk {
    pub(super) fn dial(&mut self, targets: BTreeSet<Target>) {
        let gone: Vec<Target> =
            self.dialing.keys().filter(|target| !targets.contains(target)).cloned().collect();
        for target in gone {
            if let Some(ending) = self.dialing.remove(&target) {
                ending.cancel();
            }
            self.dial_troubles.remove(&target.address);
        }
        for target in targets {
            if self.dialing.contains_key(&target) || target.node == Some(self.endpoint.node_id()) {
                continue;
            }
            let ending = self.ending.child_token();
            let dialing = keep_linked(
                self.endpoint.clone(),
                target.clone(),
                self.peers.clone(),
                (self.exchange.clone(), self.dialed.clone()),
                ending.clone(),
            );
            self.tasks.spawn(dialing);
            self.dialing.insert(target, ending);
        }
    }

    /// Own peers, where the files have them and where finders saw them, and those that trusted peers told of.
    pub(super) fn all_targets(&self) -> BTreeSet<Target> {
        let mut targets = Settings::of(&self.folder, self.endpoint.node_id()).targets;
        let known: BTreeSet<NodeId> = targets.iter().filter_map(|target| target.node).collect();
        for (node, told) in &self.told {
            let address = told.values().find_map(|peer| peer.address.as_ref());
            if let Some(address) = address.filter(|_| !known.contains(node)) {
                targets.insert(Target {
                    address: address.to_string(),
                    node: Some(*node),
                    others: Vec::new(),
                });
            }
        }
        for (node, addresses) in &self.found {
            let Some((first, others)) = addresses.split_first() else { continue };
            targets.insert(Target { address: first.to_string(), node: Some(*node), others: others.to_vec() });
        }
        targets
    }

    pub(super) async fn on_dialed(&mut self, dialed: Dialed) {
        match dialed {
            Dialed::Identified { address, node } => {
                self.dial_troubles.remove(&address);
                match self.folder.pin_peer(&address, node) {
                    Ok(reloaded) => {
                        tracing::info!(address, node = %node, "pinned the key of a peer at first contact");
                        self.on_reloaded(reloaded).await;
                    }
                    Err(error) => tracing::warn!(address, %error, "cannot pin the key of a peer"),
                }
            }
            Dialed::Failed { address, reason } => {
                if self.dial_troubles.get(&address) != Some(&reason) {
                    tracing::debug!(address, %reason, "a peer is away");
                }
                self.dial_troubles.insert(address, reason);
            }
        }
    }

    /// A finder names a node that has a library of ours. A peer of this node is dialed there whenever it is not linked; strangers are not, as
    /// anybody can announce.
    pub(super) fn on_found(&mut self, found: &swarm_discovery::Found) {
        let node = found.source.node;
        let is_known = self.folder.peers().iter().any(|peer| peer.node == Some(node));
        if !is_known || node == self.endpoint.node_id() {
            return;
        }
        let known = self.found.entry(node).or_default();
        let news: Vec<Address> =
            found.source.addresses.iter().filter(|address| !known.contains(address)).cloned().collect();
        if news.is_empty() {
            return;
        }
        tracing::debug!(node = node.short(), way = found.way.name(), "a peer was found");
        known.splice(0..0, news);
        known.truncate(FOUND_ADDRESSES_MAX);
        self.dial(self.all_targets());
    }
}

/// Addresses of one peer that finders named: a machine has few.
const FOUND_ADDRESSES_MAX: usize = 8;
