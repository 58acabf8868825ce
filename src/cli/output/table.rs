//! How a running node stands, as tables for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::text;
use swarm_core::base::{ByteLen, Rate};
use swarm_host::protocol::{ContentState, ContentStatus, PeerStatus, ReputationStatus, Status};

/// One row a content.
pub(in crate::cli) fn contents_table(contents: &[ContentStatus]) -> String {
    let mut table = format!(
        "{:<10}{:<10}{:>10}{:>8}{:>11}{:>13}  NAME\n",
        "CONTENT", "STATE", "SIZE", "HERE", "SENT", "RATE"
    );
    for content in contents {
        let id = content.content.as_deref().unwrap_or("-");
        let (rate, name) = (Rate(content.sent_bytes_per_sec), content.name.escape_debug());
        let _ = writeln!(
            table,
            "{:<10}{:<10}{:>10}{:>8}{:>11}{:>13}  {name}",
            id.get(..8).unwrap_or(id),
            content.state.as_str(),
            ByteLen(content.bytes),
            here(content),
            ByteLen(content.sent_bytes),
            rate,
        );
    }
    table
}

/// Everything, as it is shown by `swarm status`.
pub(in crate::cli) fn status_screen(status: &Status) -> String {
    let mut screen = format!(
        "node {} at {}, up {}\n",
        status.node.get(..8).unwrap_or_default(),
        status.addresses.join(" "),
        text::duration(Duration::from_secs(status.uptime_seconds)),
    );
    let limit = |rate: Option<u64>| rate.map(|rate| format!(" of {}", Rate(rate))).unwrap_or_default();
    let _ = writeln!(
        screen,
        "sending {}{}, receiving {}{}, {}",
        Rate(status.sent_bytes_per_sec),
        limit(status.limit_up),
        Rate(status.received_bytes_per_sec),
        limit(status.limit_down),
        text::count(status.peers.len(), "peer"),
    );
    if let Some(store) = &status.store {
        let quota = store.quota_bytes.map(|len| format!(" of {}", ByteLen(len))).unwrap_or_default();
        let _ = writeln!(screen, "store {}: {}{quota}", store.path.display(), ByteLen(store.used_bytes));
    }
    if let Some(known) = &status.coordinator {
        let (nodes, contents) = (text::count(known.nodes, "node"), text::count(known.contents, "content"));
        let _ = writeln!(screen, "coordinating {nodes}, {contents}");
    }
    for trouble in &status.troubles {
        let _ = writeln!(screen, "trouble: {trouble}");
    }
    if !status.contents.is_empty() {
        screen += "\n";
        screen += &contents_table(&status.contents);
    }
    if !status.peers.is_empty() {
        screen += "\n";
        screen += &peers_table(&status.peers);
    }
    let doubtful =
        status.peers.iter().filter(|peer| peer.reputation.is_doubtful || peer.reputation.accusers > 0);
    for peer in doubtful {
        let (node, deeds) = (peer.node.get(..8).unwrap_or_default(), deeds(&peer.reputation));
        let _ = writeln!(screen, "doubtful {node}: {deeds}");
    }
    for peer in &status.banned {
        let (node, deeds) = (peer.node.get(..8).unwrap_or_default(), deeds(&peer.reputation));
        let _ = writeln!(screen, "banned {node}: {}; {deeds}", peer.why.escape_debug());
    }
    screen
}

/// What a peer did. Deeds of long ago count in part, so these are no whole numbers.
fn deeds(reputation: &ReputationStatus) -> String {
    format!(
        "{} good, {:.1} bad chunks, {:.1} times silent, {:.1} lies, accused by {}",
        ByteLen(reputation.good_bytes),
        reputation.bad_chunks,
        reputation.stalls,
        reputation.lies,
        text::count(reputation.accusers, "peer")
    )
}

fn peers_table(peers: &[PeerStatus]) -> String {
    let mut table = format!(
        "{:<10}{:>11}{:>13}{:>11}{:>13}{:>10}  PROGRAM\n",
        "PEER", "SENT", "RATE", "RECEIVED", "RATE", "RTT"
    );
    for peer in peers {
        let _ = writeln!(
            table,
            "{:<10}{:>11}{:>13}{:>11}{:>13}{:>7.1} ms  {}",
            peer.node.get(..8).unwrap_or_default(),
            ByteLen(peer.sent_bytes),
            Rate(peer.sent_bytes_per_sec),
            ByteLen(peer.received_bytes),
            Rate(peer.received_bytes_per_sec),
            peer.rtt_ms,
            peer.agent.escape_debug(),
        );
    }
    table
}

/// How much of it is here.
fn here(content: &ContentStatus) -> String {
    match (content.state, content.bytes) {
        (ContentState::Waiting | ContentState::Failed, _) => "-".to_owned(),
        (_, 0) => "all".to_owned(),
        (_, bytes) if content.present_bytes >= bytes => "all".to_owned(),
        (_, bytes) => format!("{} %", u128::from(content.present_bytes) * 100 / u128::from(bytes)),
    }
}
