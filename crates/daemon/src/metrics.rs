//! How a daemon stands, as OpenMetrics text. Pure: a status in, text out. Invariant: the text is bounded, whatever peers and files name; what is
//! left out is counted.

use std::collections::BTreeSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use swarm_core::base::Shown;

use crate::limits::{
    LABEL_LEN_MAX, LIBRARIES_LISTED_MAX, PEERS_LISTED_MAX, SHARES_LISTED_MAX, TROUBLE_LEN_MAX,
};
use crate::status::{LibraryStatus, PeerLibraryStatus, PeerStatus, STATES, Status, StatusError};

/// The text.
pub(crate) fn encode(status: Status) -> String {
    let mut registry = Registry::with_prefix("swarm");
    registry.register_collector(Box::new(Figures::of(status)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

/// Libraries that stand still, a line each.
pub(crate) fn troubles(status: &Status) -> Vec<String> {
    let stopped = status.errors.iter().filter(|error| error.issue == "stopped" && error.file.is_empty());
    let line = |error: &StatusError| {
        let library = status.libraries.iter().find(|library| library.guid == error.guid);
        let name = library.map_or("", |library| library.name.as_str());
        cut(&format!("{name} ({}): {}", error.guid, error.detail), TROUBLE_LEN_MAX)
    };
    stopped.map(line).collect()
}

/// What is listed. Invariant: no two lists have an entry with the same labels, as a series may stand once on the page.
#[derive(Debug)]
struct Figures {
    status: Status,
    libraries: Vec<(Labels<2>, LibraryStatus)>,
    peers: Vec<(String, PeerStatus)>,
    shares: Vec<(Labels<3>, f64)>,
    /// Entries of each kind that there was no room for.
    unlisted: [(&'static str, usize); 3],
}

type Labels<const N: usize> = [(&'static str, String); N];
type Encoded<'a, 'b> = &'a mut DescriptorEncoder<'b>;
/// Name, description and value of a figure that each library or peer has.
type FigureOf<T> = (&'static str, &'static str, fn(&T) -> u64);

impl Figures {
    fn of(mut status: Status) -> Self {
        let libraries = std::mem::take(&mut status.libraries);
        let peers = std::mem::take(&mut status.peers);
        let mut seen = BTreeSet::new();
        let called =
            |peer: PeerStatus| (cut(peer.node.as_ref().unwrap_or(&peer.address), LABEL_LEN_MAX), peer);
        let peers: Vec<_> =
            peers.into_iter().map(called).filter(|(called, _)| seen.insert(called.clone())).collect();
        let all_shares = || peers.iter().flat_map(|(called, peer)| shares(called, peer));
        let unlisted = [
            ("libraries", libraries.len().saturating_sub(LIBRARIES_LISTED_MAX)),
            ("peers", peers.len().saturating_sub(PEERS_LISTED_MAX)),
            ("peer_libraries", all_shares().count().saturating_sub(SHARES_LISTED_MAX)),
        ];
        let share = |(called, library, percent): (&str, &PeerLibraryStatus, f64)| {
            let [name, guid] = library_labels(&library.name, &library.guid);
            ([("peer", called.to_owned()), name, guid], percent)
        };
        let shares = all_shares().take(SHARES_LISTED_MAX).map(share).collect();
        let named = |library: LibraryStatus| (library_labels(&library.name, &library.guid), library);
        let libraries = libraries.into_iter().take(LIBRARIES_LISTED_MAX).map(named).collect();
        let peers = peers.into_iter().take(PEERS_LISTED_MAX).collect();
        Self { status, libraries, peers, shares, unlisted }
    }

    fn encode_libraries(&self, encoder: Encoded<'_, '_>) -> fmt::Result {
        for (name, help, of) in OF_LIBRARIES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            // Nothing is known of a library that never started.
            let known = self.libraries.iter().filter(|(_, library)| !library.percent.is_empty());
            for (labels, library) in known {
                metric.encode_family(labels)?.encode_gauge(&gauge(of(library)))?;
            }
        }
        let help = "How much of its bytes are here, from 0 to 100";
        let mut metric = encoder.encode_descriptor("library_percent", help, None, MetricType::Gauge)?;
        for (labels, library) in &self.libraries {
            encode_percent(&mut metric, labels, &library.percent)?;
        }
        let help = "1 for the state that the library is in";
        let mut metric = encoder.encode_descriptor("library_state", help, None, MetricType::Gauge)?;
        for ([name, guid], library) in &self.libraries {
            for state in STATES {
                let labels = [name.clone(), guid.clone(), ("state", state.to_owned())];
                metric.encode_family(&labels)?.encode_gauge(&i64::from(library.state == state))?;
            }
        }
        Ok(())
    }

    fn encode_peers(&self, encoder: Encoded<'_, '_>) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor("peer", "What a peer is called", None, MetricType::Info)?;
        for (called, peer) in &self.peers {
            let [name, address] = [&peer.name, &peer.address].map(|text| cut(text, LABEL_LEN_MAX));
            let labels = [("peer", called), ("name", &name), ("address", &address), ("trust", &peer.trust)];
            metric.encode_info(&labels.map(|(key, value)| (key, value.as_str())))?;
        }
        let mut metric =
            encoder.encode_descriptor("peer_linked", "1 if it is linked", None, MetricType::Gauge)?;
        for (called, peer) in &self.peers {
            metric.encode_family(&[("peer", called.as_str())])?.encode_gauge(&i64::from(peer.connected))?;
        }
        for (name, help, of) in OF_PEERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (called, peer) in &self.peers {
                encode_counter(metric.encode_family(&[("peer", called.as_str())])?, of(peer))?;
            }
        }
        let help = "How much of the bytes of a library it has, from 0 to 100";
        let mut metric = encoder.encode_descriptor("peer_library_percent", help, None, MetricType::Gauge)?;
        for (labels, percent) in &self.shares {
            metric.encode_family(labels)?.encode_gauge(percent)?;
        }
        Ok(())
    }

    fn encode_node(&self, encoder: Encoded<'_, '_>) -> fmt::Result {
        let status = &self.status;
        let count = |count: usize| count as u64;
        let linked = self.peers.iter().filter(|(_, peer)| peer.connected).count();
        let is_healthy = troubles(status).is_empty();
        for (name, help, value) in [
            ("peers", "Peers that are linked", count(linked)),
            ("healthy", "1 if no library stands still", u64::from(is_healthy)),
            ("errors", "What is wrong with libraries and their files", count(status.errors.len())),
            ("settings_errors", "What is wrong in the files of settings", count(status.file_errors.len())),
            ("uptime_seconds", "Time since the daemon started", status.uptime_seconds),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&gauge(value))?;
        }
        let help = "Entries that this page has no room for";
        let mut metric = encoder.encode_descriptor("unlisted", help, None, MetricType::Gauge)?;
        for (kind, left_out) in self.unlisted {
            metric.encode_family(&[("kind", kind)])?.encode_gauge(&gauge(count(left_out)))?;
        }
        let mut metric = encoder.encode_descriptor("node", "The node", None, MetricType::Info)?;
        metric.encode_info(&[("node", status.node.as_str()), ("version", env!("CARGO_PKG_VERSION"))])
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_libraries(&mut encoder)?;
        self.encode_peers(&mut encoder)?;
        self.encode_node(&mut encoder)
    }
}

fn library_labels(name: &str, guid: &str) -> Labels<2> {
    [("library", cut(name, LABEL_LEN_MAX)), ("guid", cut(guid, LABEL_LEN_MAX))]
}

/// How far a peer is with libraries of this node, where that is known.
fn shares<'a>(
    called: &'a str,
    peer: &'a PeerStatus,
) -> impl Iterator<Item = (&'a str, &'a PeerLibraryStatus, f64)> {
    let shared = peer.libraries.iter().filter(|library| library.is_shared);
    shared.filter_map(move |library| Some((called, library, library.percent.parse().ok()?)))
}

fn encode_percent(metric: &mut MetricEncoder<'_>, labels: &Labels<2>, percent: &str) -> fmt::Result {
    match percent.parse::<f64>() {
        Ok(percent) => metric.encode_family(labels)?.encode_gauge(&percent),
        // It is not known.
        Err(_) => Ok(()),
    }
}

fn encode_counter(mut metric: MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
}

/// Text of others, without what a terminal would act on, and of a limited length in bytes.
fn cut(text: &str, len_max: usize) -> String {
    // What is shown is at least as long as what it shows.
    let shown = Shown(&text[..text.floor_char_boundary(len_max)]).to_string();
    let start = &shown[..shown.floor_char_boundary(len_max)];
    let rest = if start.len() < shown.len() || text.len() > len_max { "…" } else { "" };
    format!("{start}{rest}")
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

const OF_LIBRARIES: [FigureOf<LibraryStatus>; 10] = [
    ("library_files", "Files of a library", |library| library.files),
    ("library_present_files", "Files of it that are here", |library| library.files_here),
    ("library_wanted_files", "Files of it that are to come", |library| {
        library.files.saturating_sub(library.files_here)
    }),
    ("library_bytes", "Length of a library", |library| library.bytes),
    ("library_present_bytes", "Bytes of it that are here", |library| library.bytes_here),
    ("library_wanted_bytes", "Bytes of it that are to come", |library| {
        library.bytes.saturating_sub(library.bytes_here)
    }),
    ("library_deletions_to_do", "Entries here that are to be deleted", |library| library.deletions_to_do),
    ("library_held_deletions", "Deletions here that wait for a yes here", |library| {
        library.held_here.unwrap_or(0)
    }),
    ("library_conflicts", "Conflicts that wait for a decision", |library| library.conflicts),
    ("library_proposals", "Proposals that wait for votes", |library| library.proposals),
];

const OF_PEERS: [FigureOf<PeerStatus>; 2] = [
    ("peer_sent_bytes", "Bytes that went to a peer", |peer| peer.sent),
    ("peer_received_bytes", "Bytes that came from a peer", |peer| peer.received),
];

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn library(name: &str, guid: &str) -> LibraryStatus {
        LibraryStatus {
            name: name.to_owned(),
            guid: guid.to_owned(),
            state: "syncing".to_owned(),
            percent: "62.5".to_owned(),
            files: 4,
            files_here: 3,
            bytes: 800,
            bytes_here: 500,
            ..LibraryStatus::default()
        }
    }

    fn peer(node: Option<&str>, address: &str, libraries: Vec<PeerLibraryStatus>) -> PeerStatus {
        PeerStatus {
            node: node.map(str::to_owned),
            address: address.to_owned(),
            trust: "trusted".to_owned(),
            libraries,
            sent: 7,
            ..PeerStatus::default()
        }
    }

    fn share(name: &str, guid: &str, percent: &str) -> PeerLibraryStatus {
        let (name, guid, percent) = (name.to_owned(), guid.to_owned(), percent.to_owned());
        PeerLibraryStatus { name, guid, percent, is_shared: true, ..PeerLibraryStatus::default() }
    }

    fn stopped(name: &str, guid: &str, why: &str) -> (LibraryStatus, StatusError) {
        let state = LibraryStatus {
            name: name.to_owned(),
            guid: guid.to_owned(),
            state: "stopped".to_owned(),
            ..LibraryStatus::default()
        };
        let (guid, detail) = (guid.to_owned(), why.to_owned());
        (state, StatusError { guid, file: String::new(), issue: "stopped".to_owned(), detail, told: None })
    }

    /// Lines of the page that have one of these words; all of it is what Prometheus reads.
    fn check(status: Status, words: &[&str], expected: &Expect) {
        let text = encode(status);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines: Vec<&str> = lines.filter(|line| words.iter().any(|word| line.contains(word))).collect();
        expected.assert_eq(&lines.join("\n"));
        let read = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned())));
        assert!(!read.expect("it parses").samples.is_empty());
    }

    #[test]
    fn a_library_has_its_figures_and_one_state() {
        let status = Status { libraries: vec![library("Lib 1", "g")], ..Status::default() };
        check(
            status,
            &["library_"],
            &expect![[r#"
                swarm_library_files{library="Lib 1",guid="g"} 4
                swarm_library_present_files{library="Lib 1",guid="g"} 3
                swarm_library_wanted_files{library="Lib 1",guid="g"} 1
                swarm_library_bytes{library="Lib 1",guid="g"} 800
                swarm_library_present_bytes{library="Lib 1",guid="g"} 500
                swarm_library_wanted_bytes{library="Lib 1",guid="g"} 300
                swarm_library_deletions_to_do{library="Lib 1",guid="g"} 0
                swarm_library_held_deletions{library="Lib 1",guid="g"} 0
                swarm_library_conflicts{library="Lib 1",guid="g"} 0
                swarm_library_proposals{library="Lib 1",guid="g"} 0
                swarm_library_percent{library="Lib 1",guid="g"} 62.5
                swarm_library_state{library="Lib 1",guid="g",state="up to date"} 0
                swarm_library_state{library="Lib 1",guid="g",state="syncing"} 1
                swarm_library_state{library="Lib 1",guid="g",state="scanning"} 0
                swarm_library_state{library="Lib 1",guid="g",state="paused"} 0
                swarm_library_state{library="Lib 1",guid="g",state="stopped"} 0
                swarm_library_state{library="Lib 1",guid="g",state="held"} 0
                swarm_library_state{library="Lib 1",guid="g",state="conflict"} 0
                swarm_library_state{library="Lib 1",guid="g",state="waiting"} 0"#]],
        );
    }

    #[test]
    fn a_peer_is_called_by_its_key_and_by_its_address_until_that_is_known() {
        let shares = vec![share("Lib 1", "g", "50.0"), share("Lib 2", "h", "")];
        let peers = vec![peer(Some("ab"), "10.0.0.1:8000", shares), peer(None, "[::1]:8000", Vec::new())];
        check(
            Status { peers, ..Status::default() },
            &["peer_"],
            &expect![[r#"
            swarm_peer_info{peer="ab",name="",address="10.0.0.1:8000",trust="trusted"} 1
            swarm_peer_info{peer="[::1]:8000",name="",address="[::1]:8000",trust="trusted"} 1
            swarm_peer_linked{peer="ab"} 0
            swarm_peer_linked{peer="[::1]:8000"} 0
            swarm_peer_sent_bytes_total{peer="ab"} 7
            swarm_peer_sent_bytes_total{peer="[::1]:8000"} 7
            swarm_peer_received_bytes_total{peer="ab"} 0
            swarm_peer_received_bytes_total{peer="[::1]:8000"} 0
            swarm_peer_library_percent{peer="ab",library="Lib 1",guid="g"} 50.0
            swarm_unlisted{kind="peer_libraries"} 0"#]],
        );
    }

    #[test]
    fn names_of_others_stay_within_their_label() {
        let names = ["a \"b\\", "c\nd\"} 1", "e\u{1b}[2J\u{202e}"];
        let libraries = names.iter().zip(["1", "2", "3"]).map(|(name, guid)| library(name, guid));
        let status = Status { libraries: libraries.collect(), ..Status::default() };
        check(
            status,
            &["library_files"],
            &expect![[r#"
            swarm_library_files{library="a \"b\\",guid="1"} 4
            swarm_library_files{library="c\\nd\"} 1",guid="2"} 4
            swarm_library_files{library="e\\u{1b}[2J\\u{202e}",guid="3"} 4"#]],
        );
        assert_eq!(cut("äöü", 3), "ä…");
    }

    #[test]
    fn a_library_that_never_started_has_a_state_alone_and_a_line_of_health() {
        let (library, error) = stopped("Lib 1", "g", "no\nfolder");
        let status = Status { libraries: vec![library], errors: vec![error], ..Status::default() };
        assert_eq!(troubles(&status), ["Lib 1 (g): no\\nfolder"]);
        check(
            status,
            &["library_", "healthy"],
            &expect![[r#"
                swarm_library_state{library="Lib 1",guid="g",state="up to date"} 0
                swarm_library_state{library="Lib 1",guid="g",state="syncing"} 0
                swarm_library_state{library="Lib 1",guid="g",state="scanning"} 0
                swarm_library_state{library="Lib 1",guid="g",state="paused"} 0
                swarm_library_state{library="Lib 1",guid="g",state="stopped"} 1
                swarm_library_state{library="Lib 1",guid="g",state="held"} 0
                swarm_library_state{library="Lib 1",guid="g",state="conflict"} 0
                swarm_library_state{library="Lib 1",guid="g",state="waiting"} 0
                swarm_healthy 0"#]],
        );
    }

    #[test]
    fn a_page_has_room_for_so_many_and_counts_the_others() {
        let many = LIBRARIES_LISTED_MAX + 10;
        let long = "x".repeat(1000);
        let libraries = (0..many).map(|at| library(&long, &format!("g{at}"))).collect();
        let shares = |at: usize| (0..20).map(|of| share(&long, &format!("g{at}-{of}"), "1.0")).collect();
        let peers: Vec<PeerStatus> =
            (0..PEERS_LISTED_MAX + 10).map(|at| peer(Some(&format!("n{at}")), &long, shares(at))).collect();
        let twice = peers[..2].iter().cloned();
        let peers = peers.iter().cloned().chain(twice).collect();
        let status = Status { libraries, peers, ..Status::default() };
        assert!(encode(status.clone()).len() < 16 << 20);
        check(
            status,
            &["unlisted"],
            &expect![[r#"
            swarm_unlisted{kind="libraries"} 10
            swarm_unlisted{kind="peers"} 10
            swarm_unlisted{kind="peer_libraries"} 5200"#]],
        );
    }
}
