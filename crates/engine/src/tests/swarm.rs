//! Several engines fetch from each other until all have everything, or give up.

use super::*;

#[test]
fn a_leech_gets_manifest_and_chunks_from_one_seed() {
    let mut world = World::new(one_file(300));
    let seed = world.node(10_000_000, |_| true);
    let leech = world.node(1, |_| false);
    world.link(leech, seed);
    world.run(MINUTE);
    assert!(world.has_all(leech), "{:?}", world.nodes[leech].engine.survey().snapshot());
    assert!(
        world.log.iter().any(|(node, event)| *node == seed && matches!(event, Event::PeerCompleted { .. }))
    );
    let totals = world.nodes[leech].engine.survey().snapshot().contents[0].totals;
    assert_eq!((totals.fetched_len, totals.duplicate_len, totals.corrupt_len), (300 * (16 << 10), 0, 0));
}

#[test]
fn four_partial_seeds_make_a_whole() {
    let mut world = World::new(one_file(400));
    let leech = world.node(1, |_| false);
    for part in 0..4 {
        let seed = world.node(1_000_000, move |chunk| chunk % 4 == part);
        world.link(leech, seed);
    }
    world.run(MINUTE);
    assert!(world.has_all(leech));
}

#[test]
fn a_seed_that_dies_midway_is_replaced_by_the_others() {
    let mut world = World::new(one_file(400));
    let leech = world.node(1, |_| false);
    let seeds: Vec<usize> = (0..3).map(|_| world.node(1_000_000, |_| true)).collect();
    seeds.iter().for_each(|seed| world.link(leech, *seed));
    world.run(Duration::from_millis(800));
    assert!(!world.has_all(leech));
    world.kill(seeds[1]);
    world.run(MINUTE);
    assert!(world.has_all(leech));
}

#[test]
fn a_liar_is_banned_after_its_first_chunk_and_named() {
    let mut world = World::new(one_file(400));
    let leech = world.node(1, |_| false);
    let seeds: Vec<usize> = (0..4).map(|_| world.node(1_000_000, |_| true)).collect();
    world.nodes[seeds[2]].lies = true;
    seeds.iter().for_each(|seed| world.link(leech, *seed));
    world.run(MINUTE);
    assert!(world.has_all(leech));
    let liar = world.nodes[seeds[2]].id;
    let banned: Vec<NodeId> = world
        .log
        .iter()
        .filter_map(|(_, event)| if let Event::PeerBanned { node, .. } = event { Some(*node) } else { None })
        .collect();
    assert_eq!(banned, [liar]);
    let snapshot = world.nodes[leech].engine.survey().snapshot();
    let totals = snapshot.peers.iter().find(|peer| peer.node == liar).expect("it is in the book");
    assert!(totals.totals.corrupt_chunks >= 1 && totals.totals.verified_chunks == 0);
}

#[test]
fn a_seed_fifty_times_slower_does_not_hold_up_the_end() {
    let mut world = World::new(one_file(600));
    let leech = world.node(1, |_| false);
    let fast = world.node(1_000_000, |_| true);
    let slow = world.node(20_000, |_| true);
    world.link(leech, fast);
    world.link(leech, slow);
    let time = world.completed_at(leech, MINUTE).expect("it ends");
    let bound = Duration::from_secs_f64(600.0 * 16384.0 / 1_020_000.0);
    assert!(time < bound.mul_f64(1.15), "{time:?} against {bound:?}");
    let totals = world.nodes[leech].engine.survey().snapshot().contents[0].totals;
    assert!(totals.duplicate_len * 100 <= totals.fetched_len, "{totals:?}");
}

#[test]
fn leeches_serve_each_other_while_they_fetch() {
    let mut world = World::new(one_file(600));
    let seed = world.node(1_000_000, |_| true);
    let leeches: Vec<usize> = (0..4).map(|_| world.node(1_000_000, |_| false)).collect();
    for (i, &leech) in leeches.iter().enumerate() {
        world.link(leech, seed);
        leeches[..i].iter().for_each(|&other| world.link(leech, other));
    }
    let times: Vec<Duration> =
        leeches.iter().map(|&l| world.completed_at(l, MINUTE).expect("it ends")).collect();
    let alone = Duration::from_secs_f64(4.0 * 600.0 * 16384.0 / 1_000_000.0);
    let last = times.iter().max().expect("four leeches");
    assert!(
        *last < alone * 2 / 3,
        "{last:?} is hardly better than the {alone:?} that the seed alone would take"
    );
}

#[test]
fn a_fetch_without_any_source_gives_up_after_its_patience() {
    let mut world = World::new(one_file(4));
    let leech = world.node(1, |_| false);
    world.input(
        leech,
        Input::AddSource {
            content: world.manifest.id(),
            node: NodeId::from_bytes([99; 32]),
            addresses: vec!["192.0.2.1:1".parse().expect("an address")],
            purpose: Purpose::Fetch,
        },
    );
    world.run(MINUTE);
    let failures = world
        .log
        .iter()
        .filter(|(_, event)| matches!(event, Event::Failed { failure: FetchFailure::NoSource(_), .. }));
    assert_eq!(failures.count(), 1);
}

#[test]
fn a_stopped_node_flushes_and_says_so_once() {
    let mut world = World::new(one_file(400));
    let seed = world.node(1_000_000, |_| true);
    let leech = world.node(1, |_| false);
    world.link(leech, seed);
    world.run(Duration::from_millis(1500));
    world.input(leech, Input::Stop);
    world.run(MINUTE);
    let stops = world.log.iter().filter(|(node, event)| *node == leech && matches!(event, Event::Stopped));
    assert_eq!(stops.count(), 1);
    assert!(world.nodes[leech].unflushed.is_empty());
}

#[test]
fn what_a_peer_says_out_of_turn_or_out_of_range_closes_the_link() {
    let content = one_file(4).id();
    let have = |runs: &[bool]| ChunkRuns::of(&runs.iter().copied().collect()).pop().expect("not empty");
    for (name, messages) in [
        ("before hello", vec![Message::Choke { choked: false }]),
        (
            "second hello",
            vec![
                Message::Hello(swarm_core::wire::Hello::ours()),
                Message::Hello(swarm_core::wire::Hello::ours()),
            ],
        ),
        (
            "unopened handle",
            vec![
                Message::Hello(swarm_core::wire::Hello::ours()),
                Message::ManifestRequest { handle: Handle(7), page: 0 },
            ],
        ),
        (
            "chunk out of range",
            vec![
                Message::Hello(swarm_core::wire::Hello::ours()),
                Message::Open { handle: Handle(7), content, knows_manifest: true, is_offer: false },
                Message::Have { handle: Handle(7), chunks: have(&[false, false, false, false, true]) },
            ],
        ),
        (
            "page out of range",
            vec![
                Message::Hello(swarm_core::wire::Hello::ours()),
                Message::Open { handle: Handle(7), content, knows_manifest: true, is_offer: false },
                Message::ManifestRequest { handle: Handle(7), page: 1 },
            ],
        ),
        (
            "request out of range",
            vec![
                Message::Hello(swarm_core::wire::Hello::ours()),
                Message::Open { handle: Handle(7), content, knows_manifest: true, is_offer: false },
                Message::Request {
                    request: RequestId(1),
                    handle: Handle(7),
                    chunk: 3,
                    offset: 1,
                    len: 16 << 10,
                },
            ],
        ),
    ] {
        let mut world = World::new(one_file(4));
        let seed = world.node(1, |_| true);
        let node = NodeId::from_bytes([77; 32]);
        world.input(
            seed,
            Input::LinkUp { link: LinkId(50), node, role: Role::Full, dialed: false, address: None },
        );
        for message in messages {
            world.input(seed, Input::Message { link: LinkId(50), message });
        }
        let is_banned = |(_, event): &(usize, Event)| matches!(event, Event::PeerBanned { node: banned, .. } if *banned == node);
        assert!(world.log.iter().any(is_banned), "{name}");
        world.input(
            seed,
            Input::LinkUp { link: LinkId(51), node, role: Role::Full, dialed: false, address: None },
        );
        assert!(
            world.nodes[seed].engine.survey().snapshot().peers.iter().all(|peer| peer.link.is_none()),
            "{name}"
        );
    }
}

#[test]
fn contents_of_a_share_are_fetched_at_its_rate_from_all_peers_together() {
    let chunks = 400;
    let mut world = World::new(one_file(chunks));
    let leech = world.node(1, |_| false);
    let (content, share) = (world.manifest.id(), ShareId(7));
    world.input(leech, Input::Share { content, share });
    world.input(leech, Input::Limit { share, down: Some(Rate(200_000)) });
    for _ in 0..3 {
        let seed = world.node(1_000_000, |_| true);
        world.link(leech, seed);
    }
    let at_rate = |chunks: f64, rate: f64| Duration::from_secs_f64(chunks * 16384.0 / rate);
    world.run(Duration::from_secs(10));
    let came = world.nodes[leech].verified.count();
    assert!((90..=140).contains(&came), "{came} chunks in ten seconds; 122 at the rate");
    // Another rate is gone by at once.
    world.input(leech, Input::Limit { share, down: Some(Rate(800_000)) });
    let changed_at = world.now;
    world.completed_at(leech, MINUTE).expect("it ends");
    let time = world.now - changed_at;
    let expected = at_rate((chunks as u32 - came).into(), 800_000.0);
    assert!(time > expected.mul_f64(0.9) && time < expected.mul_f64(1.2), "{time:?} against {expected:?}");
    let totals = world.nodes[leech].engine.survey().snapshot().contents[0].totals;
    assert_eq!(totals.duplicate_len, 0);
}

#[test]
fn nothing_of_a_paused_share_is_asked_for_until_the_pause_ends() {
    let mut world = World::new(one_file(400));
    let leech = world.node(1, |_| false);
    let (content, share) = (world.manifest.id(), ShareId(7));
    world.input(leech, Input::Share { content, share });
    world.input(leech, Input::Limit { share, down: Some(Rate(0)) });
    let seed = world.node(1_000_000, |_| true);
    world.link(leech, seed);
    world.run(Duration::from_secs(20));
    assert_eq!(world.nodes[leech].verified.count(), 0);
    world.input(leech, Input::Limit { share, down: Some(Rate(10_000_000)) });
    world.run(Duration::from_secs(3));
    assert!(world.nodes[leech].verified.count() > 0, "it goes on");
    // One that begins while something is on its way: that comes, and no more.
    world.input(leech, Input::Limit { share, down: Some(Rate(0)) });
    world.run(Duration::from_secs(5));
    let came = world.nodes[leech].verified.count();
    // Not for as long as a fetch is patient: who wants the content joins it anew then.
    world.run(Duration::from_secs(15));
    assert_eq!((world.nodes[leech].verified.count(), came < 400), (came, true));
    world.input(leech, Input::Limit { share, down: None });
    assert!(world.completed_at(leech, Duration::from_secs(8)).is_some());
}

#[test]
fn a_limit_that_is_lifted_holds_nothing_up() {
    let mut world = World::new(one_file(400));
    let leech = world.node(1, |_| false);
    let (content, share) = (world.manifest.id(), ShareId(7));
    world.input(leech, Input::Share { content, share });
    world.input(leech, Input::Limit { share, down: Some(Rate(1)) });
    let seed = world.node(1_000_000, |_| true);
    world.link(leech, seed);
    world.run(Duration::from_secs(20));
    assert!(world.nodes[leech].verified.count() <= 2);
    world.input(leech, Input::Limit { share, down: None });
    assert!(world.completed_at(leech, Duration::from_secs(8)).is_some());
}
