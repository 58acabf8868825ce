//! How a running node stands, as tables for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::text;
use swarm_core::base::{ByteLen, Rate, Shown};
use swarm_host::protocol::{ContentState, ContentStatus, PeerStatus, ReputationStatus, Status};

/// One row a content, and a line with what there is to say beside it.
pub(in crate::cli) fn contents_table(contents: &[ContentStatus]) -> String {
    let mut table = format!(
        "{:<10}{:<10}{:>10}{:>8}{:>11}{:>13}  NAME\n",
        "CONTENT", "STATE", "SIZE", "HERE", "SENT", "RATE"
    );
    for content in contents {
        let id = content.content.as_deref().unwrap_or("-");
        let (rate, name) = (Rate(content.sent_bytes_per_sec), Shown(&content.name));
        let _ = writeln!(
            table,
            "{:<10}{:<10}{:>10}{:>8}{:>11}{:>13}  {name}",
            short(id),
            content.state.as_str(),
            size(content),
            here(content),
            ByteLen(content.sent_bytes),
            rate,
        );
        if let Some(detail) = &content.detail {
            let _ = writeln!(table, "{:<10}{}", "", Shown(detail));
        }
    }
    table
}

/// Everything, as it is shown by `swarm status`.
pub(in crate::cli) fn status_screen(status: &Status) -> String {
    let mut screen = format!(
        "node {} at {}, up {}\n",
        short(&status.node),
        Shown(status.addresses.join(" ")),
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
        let _ = writeln!(screen, "store {}: {}{quota}", Shown(&store.path), ByteLen(store.used_bytes));
    }
    if let Some(known) = &status.coordinator {
        let (nodes, contents) = (text::count(known.nodes, "node"), text::count(known.contents, "content"));
        let _ = writeln!(screen, "coordinating {nodes}, {contents}");
    }
    // What a row of the contents says is not said twice.
    let is_in_a_row =
        |trouble: &&String| status.contents.iter().any(|content| content.detail.as_ref() == Some(*trouble));
    for trouble in status.troubles.iter().filter(|trouble| !is_in_a_row(trouble)) {
        let _ = writeln!(screen, "trouble: {}", Shown(trouble));
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
        let (node, deeds) = (short(&peer.node), deeds(&peer.reputation));
        let _ = writeln!(screen, "doubtful {node}: {deeds}");
    }
    for peer in &status.banned {
        let (node, deeds) = (short(&peer.node), deeds(&peer.reputation));
        let _ = writeln!(screen, "banned {node}: {}; {deeds}", Shown(&peer.why));
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
            short(&peer.node),
            ByteLen(peer.sent_bytes),
            Rate(peer.sent_bytes_per_sec),
            ByteLen(peer.received_bytes),
            Rate(peer.received_bytes_per_sec),
            peer.rtt_ms,
            Shown(&peer.agent),
        );
    }
    table
}

/// The first digits of an id.
fn short(id: &str) -> String {
    Shown(id.get(..8).unwrap_or(id)).to_string()
}

/// Whether nothing is known of it but its id: a content without bytes is served at once.
fn is_unheard(content: &ContentStatus) -> bool {
    content.bytes == 0 && content.state != ContentState::Serving
}

fn size(content: &ContentStatus) -> String {
    if is_unheard(content) { "-".to_owned() } else { ByteLen(content.bytes).to_string() }
}

/// How much of it is here.
fn here(content: &ContentStatus) -> String {
    match (content.state, content.bytes) {
        _ if is_unheard(content) => "-".to_owned(),
        (ContentState::Waiting | ContentState::Failed, _) => "-".to_owned(),
        (_, 0) => "all".to_owned(),
        (_, bytes) if content.present_bytes >= bytes => "all".to_owned(),
        (_, bytes) => format!("{} %", u128::from(content.present_bytes) * 100 / u128::from(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::is_hidden;
    use swarm_host::protocol::{BannedStatus, StoreStatus};

    /// A name that clears the screen, forges a line, and turns what follows.
    const EVIL: &str = "\u{1b}[2J\u{9b}31m\nforged\r\u{202e}\u{200b}";

    #[test]
    fn no_name_in_a_table_acts_on_a_terminal() {
        let evil = || EVIL.to_owned();
        let content = ContentStatus {
            content: Some(evil()),
            name: evil(),
            is_configured: false,
            state: ContentState::Serving,
            detail: Some(evil()),
            category: Some(evil()),
            bytes: 1,
            present_bytes: 1,
            sent_bytes: 0,
            fetched_bytes: 0,
            corrupt_bytes: 0,
            sent_bytes_per_sec: 0,
            fetched_bytes_per_sec: 0,
            lost_chunks: 0,
            ticket: Some(evil()),
        };
        let reputation = ReputationStatus { is_doubtful: true, ..ReputationStatus::default() };
        let peer = PeerStatus {
            node: evil(),
            agent: evil(),
            sent_bytes: 0,
            received_bytes: 0,
            sent_bytes_per_sec: 0,
            received_bytes_per_sec: 0,
            rtt_ms: 1.0,
            reputation: reputation.clone(),
        };
        let status = Status {
            node: evil(),
            addresses: vec![evil()],
            troubles: vec![evil(), evil() + "!"],
            store: Some(StoreStatus { path: EVIL.into(), used_bytes: 0, quota_bytes: None }),
            contents: vec![content],
            peers: vec![peer],
            banned: vec![BannedStatus { node: evil(), why: evil(), reputation }],
            ..Status::default()
        };
        let screen = status_screen(&status);
        assert!(!screen.contains(|char| char != '\n' && is_hidden(char)), "{screen:?}");
        assert!(!screen.contains("\nforged"), "{screen:?}");
        assert_eq!(screen.matches("forged").count(), 7, "{screen}");
    }
}
