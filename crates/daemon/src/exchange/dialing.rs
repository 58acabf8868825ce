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
    mut states: watch::Receiver<Vec<PeerState>>,
    (inputs, dialed): (mpsc::Sender<Input>, mpsc::Sender<Dialed>),
    ending: CancellationToken,
) {
    let work = async {
        let (mut wait, mut node) = (RETRY_MIN, target.node);
        loop {
            if let Some(node) = node {
                let is_gone = |states: &Vec<PeerState>| states.iter().all(|state| state.node != node);
                if !is_gone(&states.borrow()) {
                    wait = RETRY_MIN;
                    if states.wait_for(is_gone).await.is_err() {
                        // Nothing tells of links any more: the daemon ends.
                        return;
                    }
                    // Another link may have taken its place, whose Hello is on its way.
                    tokio::time::sleep(REPLACING_PAUSE).await;
                    continue;
                }
            }
            let before = linked(&states.borrow());
            let found = match node {
                Some(node) => Ok(node),
                None => identify_soon(&endpoint, &target, until_newcomer(&mut states, &before, true)).await,
            };
            if let (None, Ok(found)) = (node, &found) {
                let identified = Dialed::Identified { address: target.address.clone(), node: *found };
                let _ = dialed.send(identified).await;
                node = Some(*found);
            }
            let link = match found {
                Ok(node) => dial(&endpoint, &target, node).await,
                Err(reason) => Err(reason),
            };
            let failed = match link {
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
                // However many come, an address is dialed only so often.
                tokio::time::sleep(wait.min(RETRY_MIN)).await;
                let newcomer = until_newcomer(&mut states, &before, node.is_none());
                let _ = tokio::time::timeout(wait.saturating_sub(RETRY_MIN), newcomer).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = ending.cancelled() => {}
    }
}

/// Waits until a node is linked that was not before: it may be the one at an address that did not answer so far, and is a stranger until it is
/// asked there. Forever, if nobody is awaited.
async fn until_newcomer(
    states: &mut watch::Receiver<Vec<PeerState>>,
    before: &BTreeSet<NodeId>,
    is_awaited: bool,
) {
    let is_newcomer = |state: &PeerState| !before.contains(&state.node);
    if !is_awaited || states.wait_for(|states| states.iter().any(is_newcomer)).await.is_err() {
        std::future::pending().await
    }
}

/// Asks which node answers at an address; anew when somebody comes: what was sent to a peer that was not up yet is sent again only seconds later.
async fn identify_soon(
    endpoint: &Endpoint,
    target: &Target,
    newcomer: impl Future<Output = ()>,
) -> Result<NodeId, Sentence> {
    tokio::select! {
        found = identify(endpoint, &target.address) => return found,
        () = newcomer => {}
    }
    identify(endpoint, &target.address).await
}

async fn dial(endpoint: &Endpoint, target: &Target, known: NodeId) -> Result<swarm_link::QuicLink, Sentence> {
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

const GREETING_PAUSE: Duration = Duration::from_secs(1);
const REPLACING_PAUSE: Duration = Duration::from_millis(200);
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test]
    async fn a_node_that_comes_is_told_to_whom_it_is_unknown() {
        let peer = |n: u8| PeerState {
            node: NodeId::from_bytes([n; 32]),
            name: String::new(),
            address: ([127, 0, 0, 1], 1).into(),
            libraries: BTreeMap::new(),
            user: None,
            sent_len: 0,
            received_len: 0,
            agent: String::new(),
            protocol: (0, 0),
            round_trip: Duration::ZERO,
        };
        let (states, mut seen) = watch::channel(vec![peer(1)]);
        let before = linked(&states.borrow());
        let soon = Duration::from_millis(50);
        states.send_replace(vec![peer(1)]);
        let nobody = tokio::time::timeout(soon, until_newcomer(&mut seen, &before, true));
        assert!(nobody.await.is_err(), "nobody came");
        states.send_replace(vec![peer(1), peer(2)]);
        let unawaited = tokio::time::timeout(soon, until_newcomer(&mut seen, &before, false));
        assert!(unawaited.await.is_err(), "who it is is known");
        until_newcomer(&mut seen, &before, true).await;
    }
}
