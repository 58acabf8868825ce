//! Keeps a link about libraries to each known peer: dials it when there is none, and waits longer after each failure.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_link::{Endpoint, Protocol};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Input, PeerState, linked};
use crate::sentence::Sentence;

/// A peer that is to be linked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) node: Option<NodeId>,
    /// Where it may be reached, too.
    pub(crate) others: Vec<Address>,
}

/// What dialing a peer told.
#[derive(Debug)]
pub(crate) enum Dialed {
    /// The node that answered at an address which had none yet.
    Identified { address: String, node: NodeId },
    /// It does not answer.
    Failed { address: String, reason: Sentence },
}

/// Dials one peer whenever it is not linked, until it is cancelled.
pub(crate) async fn keep_linked(
    endpoint: Endpoint,
    target: Target,
    states: watch::Receiver<Vec<PeerState>>,
    (inputs, dialed): (mpsc::Sender<Input>, mpsc::Sender<Dialed>),
    ending: CancellationToken,
) {
    let work = async {
        let (mut wait, mut node) = (RETRY_MIN, target.node);
        loop {
            let is_linked = |node: NodeId| -> bool {
                let linked: BTreeSet<NodeId> = linked(&states.borrow());
                linked.contains(&node)
            };
            if node.is_some_and(is_linked) {
                wait = RETRY_MIN;
                tokio::time::sleep(LOOK_INTERVAL).await;
                continue;
            }
            let failed = match dial(&endpoint, &target, &mut node, &dialed).await {
                Ok(link) => {
                    let _ = inputs.send(Input::Up { link, dialed: true }).await;
                    // Its Hello makes it known as linked.
                    tokio::time::sleep(GREETING_PAUSE).await;
                    None
                }
                Err(reason) => Some(reason),
            };
            if let Some(reason) = failed {
                let failed = Dialed::Failed { address: target.address.clone(), reason };
                let _ = dialed.send(failed).await;
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = ending.cancelled() => {}
    }
}

async fn dial(
    endpoint: &Endpoint,
    target: &Target,
    node: &mut Option<NodeId>,
    dialed: &mpsc::Sender<Dialed>,
) -> Result<swarm_link::QuicLink, Sentence> {
    let known = match *node {
        Some(node) => node,
        None => {
            let found = identify(endpoint, &target.address).await?;
            *node = Some(found);
            let identified = Dialed::Identified { address: target.address.clone(), node: found };
            let _ = dialed.send(identified).await;
            found
        }
    };
    if known == endpoint.node_id() {
        return Err(Sentence::new("peer-itself", [], "this is the node itself"));
    }
    let address: Address = target.address.parse().map_err(|error| Sentence::from(format!("{error}")))?;
    let addresses: Vec<Address> = std::iter::once(address).chain(target.others.iter().cloned()).collect();
    let link = endpoint.dial(known, Protocol::Library, &addresses).await;
    link.map_err(|error| Sentence::from(&error))
}

async fn identify(endpoint: &Endpoint, address: &str) -> Result<NodeId, Sentence> {
    let failed = |error: std::io::Error| {
        let text = format!("cannot look up {address}: {error}");
        Sentence::new("peer-lookup", [("address", &address), ("why", &error)], text)
    };
    let resolved = tokio::net::lookup_host(address).await.map_err(failed)?;
    let mut reason = Sentence::from(format!("{address} has no address"));
    for address in resolved.collect::<Vec<SocketAddr>>() {
        match endpoint.identify(address).await {
            Ok(node) => return Ok(node),
            Err(error) => {
                let text = format!("no node answers at {address}: {error}");
                reason = Sentence::new("peer-silent", [("address", &address), ("why", &error)], text);
            }
        }
    }
    Err(reason)
}

/// How often a linked peer is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
const GREETING_PAUSE: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(15);
