//! Announces contents to coordinators, and asks them for nodes. One client a coordinator, each on a link of its own; a coordinator
//! that cannot be reached is dialed again with backoff, and delays no other one.

mod client;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Participation, Surroundings};
use client::Client;
use swarm_core::base::{NodeId, Zone};
use swarm_core::manifest::Source;

/// Keeps a client for every coordinator of any content.
pub(super) async fn run(zone: Option<Zone>, surroundings: Surroundings) {
    let mut participation = surroundings.participation.clone();
    let (mut clients, mut running) = (BTreeMap::<NodeId, CancellationToken>::new(), JoinSet::new());
    loop {
        let wanted = wanted(&participation.borrow_and_update(), surroundings.endpoint.node_id());
        clients.retain(|node, ending| {
            let is_wanted = wanted.contains_key(node);
            if !is_wanted {
                ending.cancel();
            }
            is_wanted
        });
        for (node, coordinator) in wanted {
            clients.entry(node).or_insert_with(|| {
                let ending = CancellationToken::new();
                let client = Client::new(coordinator, zone.clone(), surroundings.clone());
                let token = ending.clone();
                running.spawn(async move { token.run_until_cancelled(client.run()).await });
                ending
            });
        }
        tokio::select! {
            changed = participation.changed() => if changed.is_err() { return },
            Some(_) = running.join_next() => {}
        }
    }
}

fn wanted(participation: &Participation, own: NodeId) -> BTreeMap<NodeId, Source> {
    let named = participation.coordinators.values().flatten();
    named.filter(|source| source.node != own).map(|source| (source.node, source.clone())).collect()
}

/// First backoff of a coordinator that could not be reached; it doubles each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest backoff.
const RETRY_MAX: Duration = Duration::from_secs(60);
