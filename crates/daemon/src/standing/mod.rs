//! How everything stands, put together from what the parts of a daemon tell. Invariant: putting it together changes nothing, and waits for no library.
//! `libraries` says how each library stands, `peers` how each peer does. Absent here: the shapes (`status`).

mod libraries;
mod origins;
mod peers;

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::manifest::Source;

use crate::daemon::Desk;
use crate::daemon::preparing::all_warnings;
use crate::protocol::{Lan, LanNode};
use crate::sentence::Sentence;
use crate::status::{ISSUES, PeerStatus, STATES, Status, StatusError, TRUSTS};

/// How everything stands.
pub(crate) fn status(desk: &Desk) -> Status {
    let uptime = desk.began_at.elapsed();
    let states = desk.peers.borrow().clone();
    let mut status = Status {
        node: desk.endpoint.node_id().to_string(),
        address: own_address(desk),
        uptime: duration_words(uptime),
        uptime_seconds: uptime.as_secs(),
        rate_down: desk.traffic.down,
        rate_up: desk.traffic.up,
        limit_up: desk.limits.up.map(|rate| rate.0),
        limit_down: desk.limits.down.map(|rate| rate.0),
        metrics: desk.pages.bound().map(|address| address.to_string()),
        file_errors: file_errors(desk),
        file_warnings: all_warnings(&desk.folder),
        ..Status::default()
    };
    for (key, running) in &desk.libraries {
        let library = libraries::library_status(desk, key, running, &states, &mut status.errors);
        status.libraries.push(library);
    }
    status.libraries.sort_by(|one, other| one.name.cmp(&other.name));
    status.peers = peers::peers(desk, &states);
    status.errors.extend(origins::origin_errors(desk));
    status.peer_sync = peer_sync(&status.peers);
    status.errors.extend(flag_errors(desk));
    debug_assert!(status.errors.iter().all(|error| ISSUES.contains(&error.issue.as_str())));
    debug_assert!(status.libraries.iter().all(|library| STATES.contains(&library.state.as_str())));
    debug_assert!(status.peers.iter().all(|peer| TRUSTS.contains(&peer.trust.as_str())));
    status
}

/// Who announces itself on the local network. A key and addresses that were read as such: no text of a stranger.
pub(crate) fn lan(desk: &Desk) -> Lan {
    let peers = desk.folder.peers();
    let node = |source: &Source| LanNode {
        node: source.node.to_string(),
        addresses: source.addresses.iter().map(ToString::to_string).collect(),
        is_peer: peers.iter().any(|peer| peer.node == Some(source.node)),
    };
    // A finder that does not run has let go of the list.
    let is_looking = desk.lan.has_changed().is_ok();
    Lan { is_looking, nodes: desk.lan.borrow().iter().filter(|_| is_looking).map(node).collect() }
}

/// How far each peer is with each library that it shares with this node: peers of which nothing is known are left out.
fn peer_sync(peers: &[PeerStatus]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut synced = BTreeMap::new();
    for peer in peers {
        let of_peer =
            peer.libraries.iter().filter(|library| library.is_shared && !library.percent.is_empty());
        let percents: BTreeMap<String, String> =
            of_peer.map(|library| (library.name.clone(), format!("{}%", library.percent))).collect();
        if !percents.is_empty() {
            synced.insert(peer.address.clone(), percents);
        }
    }
    synced
}

/// Files whose bytes are wrong, as peers report them.
fn flag_errors(desk: &Desk) -> impl Iterator<Item = StatusError> {
    desk.flags.iter().map(|(from, flag)| {
        let guid = desk.libraries.get(&flag.library).map(|running| running.settings().guid.to_string());
        let from = from.short();
        let detail = match flag.source {
            None => Sentence::new(
                "wrong-bytes-told",
                [("node", &from)],
                format!("node {from} reports wrong bytes"),
            ),
            Some(source) => {
                let source = source.short();
                let text = format!("node {from} reports wrong bytes from {source}");
                Sentence::new("wrong-bytes-of", [("node", &from), ("source", &source)], text)
            }
        };
        StatusError {
            guid: guid.unwrap_or_default(),
            file: flag.path.to_string(),
            issue: "hash-mismatch".to_owned(),
            detail: detail.to_string(),
            told: detail.told(),
        }
    })
}

/// What is wrong in the files, and what cannot be done as they say.
fn file_errors(desk: &Desk) -> Vec<String> {
    let errors = desk.folder.errors().iter().map(ToString::to_string);
    errors.chain(desk.pages.trouble().map(str::to_owned)).collect()
}

/// As another node's peers.json takes it.
fn own_address(desk: &Desk) -> String {
    let source = desk.endpoint.source(&[]);
    let address = source.addresses.first().map(ToString::to_string).unwrap_or_default();
    format!("{}@{address}", source.node)
}

/// With one decimal; 100 only if all is there.
fn percent(here: u64, all: u64, is_complete: bool) -> String {
    if is_complete {
        return "100.0".to_owned();
    }
    let tenths = if all == 0 { 0 } else { (u128::from(here) * 1000 / u128::from(all)).min(999) };
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A span of time for people, as in `3h 12m`.
pub(crate) fn duration_words(span: Duration) -> String {
    let (hours, minutes, seconds) = (span.as_secs() / 3600, span.as_secs() / 60 % 60, span.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m {seconds}s"),
        (hours, minutes) => format!("{hours}h {minutes}m"),
    }
}
