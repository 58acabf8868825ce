//! Nodes that hear each other on loopback, each test on its own port.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::Participation;
use swarm_core::base::ContentId;
use swarm_core::manifest::Source;
use swarm_link::{Endpoint, Identity, LinkOptions};

struct Party {
    presences: watch::Sender<Participation>,
    lan_seen: watch::Receiver<Arc<[Source]>>,
    found: mpsc::Receiver<Found>,
    endpoint: Endpoint,
    task: JoinHandle<()>,
}

fn party(port: u16, seed: u8, listen: &str) -> Party {
    party_that(false, port, seed, listen)
}

#[expect(clippy::disallowed_methods, reason = "each test awaits the end of its tasks")]
fn party_that(lists: bool, port: u16, seed: u8, listen: &str) -> Party {
    let listen = listen.parse().expect("an address");
    let identity = Identity::from_seed([seed; 32]);
    let endpoint = Endpoint::bind(Some(listen), &identity, LinkOptions::default()).expect("bound");
    let (presences, reader) = watch::channel(Participation::default());
    let (sender, found) = mpsc::channel(4);
    let (list, lan_seen) = watch::channel(Arc::from([]));
    let surroundings = Surroundings {
        endpoint: endpoint.clone(),
        participation: reader,
        lan_seen: lists.then_some(list),
        found: sender,
        advertise: Arc::from([]),
        troubles: mpsc::channel(1).0,
        clock: swarm_link::Clock::start(),
    };
    let network = Network { port, with_loopback: true };
    Party { presences, lan_seen, found, endpoint, task: tokio::spawn(run(network, surroundings)) }
}

fn presence(number: u8, is_wanting: bool) -> Presence {
    let content = ContentId::from_bytes([number; 32]);
    Presence { content, have_count: 0, chunk_count: 4, is_wanting, links: Vec::new() }
}

impl Party {
    fn takes_part_in(&self, presences: &[Presence]) {
        self.presences
            .send_replace(Participation { presences: presences.into(), ..Participation::default() });
    }

    async fn end(self) {
        drop(self.presences);
        self.task.await.expect("it ends by itself");
    }
}

#[tokio::test]
async fn a_node_finds_holders_of_wanted_contents_alone() {
    let mut fetcher = party(45_353, 1, "127.0.0.1:0");
    let mut seed = party(45_353, 2, "127.0.0.1:0");
    fetcher.takes_part_in(&[presence(7, true), presence(8, true)]);
    seed.takes_part_in(&[presence(9, false), presence(7, false)]);
    let found = fetcher.found.recv().await.expect("found");
    assert_eq!(found.content, presence(7, true).content);
    assert_eq!(found.source.node, seed.endpoint.node_id());
    assert_eq!(found.source.addresses, [seed.endpoint.bound_address().into()]);
    assert!(seed.found.try_recv().is_err());

    // Contents that are added later are announced too.
    seed.takes_part_in(&[presence(9, false), presence(8, false)]);
    let found = fetcher.found.recv().await.expect("found");
    assert_eq!(found.content, presence(8, true).content);
    seed.end().await;
    fetcher.end().await;
}

#[tokio::test]
async fn who_left_and_came_back_is_found_again() {
    let mut fetcher = party(45_354, 1, "127.0.0.1:0");
    fetcher.takes_part_in(&[presence(7, true)]);
    let seed = party(45_354, 2, "127.0.0.1:0");
    seed.takes_part_in(&[presence(7, false)]);
    assert!(fetcher.found.recv().await.is_some());
    seed.end().await;
    let seed = party(45_354, 2, "127.0.0.1:0");
    seed.takes_part_in(&[presence(7, false)]);
    let found = fetcher.found.recv().await.expect("found");
    assert_eq!(found.source.addresses, [seed.endpoint.bound_address().into()]);
    seed.end().await;
    fetcher.end().await;
}

#[tokio::test]
async fn nodes_that_list_others_are_listed_without_a_content_until_they_leave() {
    let mut one = party_that(true, 45_355, 1, "127.0.0.1:0");
    let other = party_that(true, 45_355, 2, "127.0.0.1:0");
    // A third one that lists nobody and has nothing is not announced.
    let silent = party(45_355, 3, "127.0.0.1:0");
    let address = other.endpoint.bound_address().into();
    let expected = Source { node: other.endpoint.node_id(), addresses: vec![address] };
    let listed = one.lan_seen.wait_for(|nodes| !nodes.is_empty()).await.expect("it lives").clone();
    assert_eq!(listed[..], [expected]);
    other.end().await;
    let left = one.lan_seen.wait_for(|nodes| nodes.is_empty()).await;
    assert!(left.is_ok(), "it is not listed any more");
    drop(left);
    silent.end().await;
    one.end().await;
}

#[tokio::test]
async fn a_node_that_only_this_machine_reaches_does_not_look() {
    let identity = Identity::from_seed([1; 32]);
    let listen = Some("127.0.0.1:0".parse().expect("an address"));
    let endpoint = Endpoint::bind(listen, &identity, LinkOptions::default()).expect("bound");
    let (_presences, participation) = watch::channel(Participation::default());
    let (found, _found) = mpsc::channel(1);
    run(
        Network::default(),
        Surroundings {
            endpoint,
            participation,
            lan_seen: None,
            found,
            advertise: Arc::from([]),
            troubles: mpsc::channel(1).0,
            clock: swarm_link::Clock::start(),
        },
    )
    .await;
}
