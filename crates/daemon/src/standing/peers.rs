//! How each peer stands: those of the files, those that peers told of, and those that are linked without either. Invariant: a node is named once.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::NodeId;
use swarm_daemon_files::Peer;
use swarm_library::wire::ListedPeer;
use swarm_library::{LibraryKey, Trust};

use super::origins::origin_status;
use super::percent;
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::exchange::{PeerLibrary, PeerState};
use crate::sentence::Sentence;
use crate::status::{PeerLibraryStatus, PeerStatus};

/// How the peers stand.
pub(super) fn peers(desk: &Desk, states: &[PeerState]) -> Vec<PeerStatus> {
    let mut shown = Vec::new();
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    for peer in desk.folder.peers() {
        if let Some(url) = &peer.origin {
            shown.push(origin_status(desk, peer, url));
            continue;
        }
        let state = peer.node.and_then(|node| states.iter().find(|state| state.node == node));
        seen.extend(peer.node);
        shown.push(peer_of_files(desk, peer, state));
    }
    for (node, told) in &desk.told {
        if seen.insert(*node) {
            let state = states.iter().find(|state| state.node == *node);
            shown.push(peer_of_peers(desk, *node, told, state));
        }
    }
    for state in states.iter().filter(|state| !seen.contains(&state.node)) {
        shown.push(peer_of_link(desk, state));
    }
    for peer in &mut shown {
        let node: Option<NodeId> = peer.node.as_ref().and_then(|node| node.parse().ok());
        let state = states.iter().find(|state| Some(state.node) == node);
        count_traffic(desk, node, state, peer);
        match state {
            Some(state) => tell_of_link(state, peer),
            None => peer.last_seen_ms = node.and_then(|node| desk.seen.last(&node)),
        }
    }
    shown
}

fn peer_of_files(desk: &Desk, peer: &Peer, state: Option<&PeerState>) -> PeerStatus {
    let trust = match (peer.is_mirror, peer.trusted) {
        (true, _) => Trust::Mirror,
        (false, true) => Trust::Trusted,
        (false, false) => Trust::Untrusted,
    };
    let (address, trouble) = where_it_is(desk, peer, state);
    PeerStatus {
        trouble_told: trouble.as_ref().and_then(Sentence::told),
        trouble: trouble.map(|trouble| trouble.to_string()),
        address,
        node: peer.node.map(|node| node.to_string()),
        name: peer.name.clone().or_else(|| state.map(|state| state.name.clone())).unwrap_or_default(),
        trust: trust_word(trust).to_owned(),
        connected: state.is_some(),
        user: state.and_then(|state| state.user.clone()),
        libraries: state.map(|state| peer_libraries(desk, state)).unwrap_or_default(),
        ..PeerStatus::default()
    }
}

fn peer_of_peers(
    desk: &Desk,
    node: NodeId,
    told: &BTreeMap<NodeId, ListedPeer>,
    state: Option<&PeerState>,
) -> PeerStatus {
    let address = told.values().find_map(|peer| peer.address.as_ref()).map(ToString::to_string);
    PeerStatus {
        address: address.unwrap_or_default(),
        node: Some(node.to_string()),
        name: told.values().map(|peer| peer.name.clone()).next().unwrap_or_default(),
        trust: "unknown".to_owned(),
        connected: state.is_some(),
        user: state.and_then(|state| state.user.clone()),
        told_by: told.keys().map(NodeId::to_string).collect(),
        libraries: state.map(|state| peer_libraries(desk, state)).unwrap_or_default(),
        ..PeerStatus::default()
    }
}

fn peer_of_link(desk: &Desk, state: &PeerState) -> PeerStatus {
    PeerStatus {
        address: state.address.to_string(),
        node: Some(state.node.to_string()),
        name: state.name.clone(),
        trust: "unknown".to_owned(),
        connected: true,
        user: state.user.clone(),
        libraries: peer_libraries(desk, state),
        ..PeerStatus::default()
    }
}

/// Links of contents and links about libraries together.
fn count_traffic(desk: &Desk, node: Option<NodeId>, state: Option<&PeerState>, peer: &mut PeerStatus) {
    if let Some(totals) = node.and_then(|node| desk.traffic.of_peers.get(&node)) {
        (peer.received, peer.sent) = (totals.received_len, totals.sent_len);
    }
    if let Some(state) = state {
        peer.received += state.received_len;
        peer.sent += state.sent_len;
    }
}

/// How near it is, and what it speaks.
fn tell_of_link(state: &PeerState, peer: &mut PeerStatus) {
    let (major, minor) = state.protocol;
    peer.round_trip_us = u64::try_from(state.round_trip.as_micros()).ok();
    peer.agent = Some(state.agent.clone()).filter(|agent| !agent.is_empty());
    peer.protocol = Some(format!("{major}.{minor}"));
}

/// Where a peer of the files is, and why it is not linked.
fn where_it_is(desk: &Desk, peer: &Peer, state: Option<&PeerState>) -> (String, Option<Sentence>) {
    let found = peer.node.and_then(|node| desk.found.get(&node)).and_then(|addresses| addresses.first());
    let dialed = peer.address.as_ref().or(found).map(ToString::to_string);
    let trouble = match &dialed {
        Some(address) => desk.dial_troubles.get(address).cloned(),
        None => Some(Sentence::new("peer-not-found", [], "not found yet")),
    };
    let seen = state.map(|state| state.address.to_string());
    let address = peer.address.as_ref().map(ToString::to_string).or(seen).or(dialed);
    (address.unwrap_or_default(), trouble.filter(|_| state.is_none()))
}

fn peer_libraries(desk: &Desk, state: &PeerState) -> Vec<PeerLibraryStatus> {
    let line = |(key, known): (&LibraryKey, &PeerLibrary)| {
        let ours = desk.libraries.get(key).map(Running::settings);
        let completion = known.completion;
        let is_known = known.role.is_some();
        PeerLibraryStatus {
            name: ours.map_or_else(|| known.name.clone(), |settings| settings.name.clone()),
            guid: ours.map_or_else(|| known.guid.clone(), |settings| settings.guid.to_string()),
            is_shared: ours.is_some(),
            is_level: known.is_level,
            percent: if is_known {
                percent(completion.bytes_here(), completion.bytes(), completion.is_complete())
            } else {
                String::new()
            },
            activity: known.activity.clone(),
            deletions_to_do: completion.deletions_to_do,
        }
    };
    state.libraries.iter().map(line).collect()
}

pub(super) fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "trusted",
        Trust::Untrusted => "untrusted",
        Trust::Mirror => "mirror",
    }
}
