//! Whole nodes on a network within this process.

mod memory;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use self::memory::World;
use super::finding::Finding;
use super::ground::Ground;
use super::{Node, NodeEvent, Options};
use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::{Manifest, Source};
use swarm_engine::{Event, Join, Order, Purpose};
use swarm_files::{IndexOptions, SeedStore, TargetOptions, TargetStore, index};

fn node_of(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

async fn join(node: &Node, content: ContentId, manifest: Option<Manifest>) {
    node.join(Join { content, manifest, order: Order::RarestFirst, patience: None }).await;
}

/// The first event that is of use here.
async fn event<T>(events: &mut mpsc::Receiver<NodeEvent>, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            if let NodeEvent::Engine(event) = events.recv().await.expect("the node runs")
                && let Some(found) = wanted(event)
            {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), search).await.expect("it comes soon")
}

#[tokio::test]
async fn a_content_passes_from_node_to_node_on_a_network_without_sockets() {
    let folder = tempfile::tempdir().expect("a place");
    let (film, out) = (folder.path().join("film"), folder.path().join("out"));
    let bytes: Vec<u8> = (0..3_000_000u32).flat_map(|word| (word / 7).to_le_bytes()).collect();
    fs::write(&film, &bytes).expect("a place");
    fs::create_dir(&out).expect("a place");
    let made =
        index(std::slice::from_ref(&film), &IndexOptions::default(), None, &|_| {}).expect("a good file");
    let content = made.manifest.id();
    let count = made.manifest.geometry().chunk_count();
    let (all, nothing) = (Bitfield::full(count), Bitfield::new(count));

    let world = World::default();
    let start = |number| {
        let finding = Finding::idle(Vec::new()).0;
        Node::start_on(world.place(node_of(number)), finding, Ground::new(None), Options::default())
    };
    let (seed, mut seed_events, seeding) = start(1);
    let (peer, mut peer_events, fetching) = start(2);

    let store = SeedStore::new(made.manifest.clone(), made.roots, all.clone(), || SystemTime::UNIX_EPOCH);
    join(&seed, content, Some(made.manifest)).await;
    seed.open_store(content, Arc::new(store), all.clone(), nothing).await;

    join(&peer, content, None).await;
    // The memory network asks for no address; the engine dials no source without one.
    let addresses = vec!["127.0.0.1:1".parse().expect("an address")];
    peer.add_source(content, Source { node: node_of(1), addresses }, Purpose::Fetch).await;
    let manifest = event(&mut peer_events, |event| match event {
        Event::ManifestComplete { manifest } => Some(manifest),
        _ => None,
    });
    let manifest = manifest.await;
    let (store, opened) = TargetStore::open(&out, manifest, all.clone(), TargetOptions::default(), &|_| {})
        .expect("a good place");
    peer.open_store(content, Arc::new(store), opened.durable, all).await;
    event(&mut peer_events, |event| matches!(event, Event::Completed { .. }).then_some(())).await;
    assert!(fs::read(out.join("film")).expect("it is there") == bytes);

    let wire = peer.snapshot().await.wire_total;
    assert!(wire.received_len >= bytes.len() as u64, "{wire:?}");
    peer.stop().await;
    fetching.await.expect("it ends");
    event(&mut seed_events, |event| matches!(event, Event::PeerLeft { .. }).then_some(())).await;
    seed.stop().await;
    seeding.await.expect("it ends");
}
