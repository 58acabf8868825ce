//! Nodes that find each other by a DHT of a few nodes on loopback.

use std::sync::Arc;

use mainline::Testnet;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::Participation;
use swarm_core::presence::Presence;
use swarm_link::{Endpoint, Identity, LinkOptions};

struct Party {
    presences: watch::Sender<Participation>,
    found: mpsc::Receiver<Found>,
    endpoint: Endpoint,
    task: JoinHandle<()>,
}

#[expect(clippy::disallowed_methods, reason = "each test awaits the end of its tasks")]
fn party(table: &Testnet, seed: u8, presence: Presence) -> Party {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let identity = Identity::from_seed([seed; 32]);
    let endpoint = Endpoint::bind(Some(listen), &identity, LinkOptions::default()).expect("bound");
    let (presences, reader) =
        watch::channel(Participation { presences: [presence].into(), ..Participation::default() });
    let (sender, found) = mpsc::channel(4);
    let surroundings = Surroundings {
        endpoint: endpoint.clone(),
        participation: reader,
        lan_seen: None,
        found: sender,
        advertise: Arc::from([]),
        troubles: mpsc::channel(1).0,
        clock: swarm_link::Clock::start(),
    };
    let bootstrap = table.bootstrap.iter().map(|node| node.parse().expect("an address")).collect();
    Party { presences, found, endpoint, task: tokio::spawn(run(bootstrap, surroundings)) }
}

fn content() -> ContentId {
    ContentId::from_bytes([7; 32])
}

fn presence(is_wanting: bool) -> Presence {
    Presence { content: content(), have_count: 0, chunk_count: 4, is_wanting, links: Vec::new() }
}

impl Party {
    async fn end(self) {
        drop(self.presences);
        self.task.await.expect("it ends by itself");
    }
}

#[tokio::test]
async fn a_table_that_cannot_be_entered_is_told() {
    let bootstrap = vec!["[::1]:6881".parse().expect("an address")];
    let error = start(bootstrap, Ipv4Addr::LOCALHOST).await.expect_err("no IPv4 there");
    let expected = "none of its nodes has an IPv4 address: [::1]:6881; name others";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_lookup_finds_the_announcing_node_and_proves_its_key() {
    let table = spawn_blocking(|| Testnet::builder(4).build().expect("a table")).await.expect("built");
    let seed = party(&table, 2, presence(false));
    let asked = table.nodes[0].clone().as_async();
    let look = || lookup::Peers::new(asked.get_peers(lookup::info_hash(content())));
    while look().next().await.is_none() {}
    // Handshakes start only while a caller waits for links; this wait is to yield none.
    let listening = seed.endpoint.clone();
    let mut fetcher = party(&table, 1, presence(true));
    let found = tokio::select! {
        found = fetcher.found.recv() => found.expect("found"),
        link = listening.accept() => panic!("{link:?}"),
    };
    let source =
        Source { node: seed.endpoint.node_id(), addresses: vec![seed.endpoint.bound_address().into()] };
    assert_eq!(found, Found { content: content(), source, way: Way::Dht });
    seed.end().await;
    fetcher.end().await;
}
