//! The graph that answers make, zones, expiry, limits.

use proptest::prelude::*;

use super::*;
use crate::base::limits::NEIGHBOURS_TARGET;

const LIFE: Duration = Duration::from_mins(10);

fn content() -> ContentId {
    ContentId::from_bytes([1; 32])
}

fn node(number: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn announce(number: u32) -> Announce {
    Announce {
        content: content(),
        node: node(number),
        is_listed: true,
        have_count: 0,
        chunk_count: 100,
        up: Rate(1_000_000),
        zone: None,
        links: Vec::new(),
    }
}

fn ask(number: u32, wanted: u32) -> Ask {
    Ask { content: content(), node: node(number), wanted }
}

/// A crowd that arrives at once: all announce, then all ask.
fn crowd(count: u32, seed: u64) -> Vec<BTreeSet<NodeId>> {
    let mut registry = Registry::new(LIFE, seed);
    (0..count).for_each(|n| registry.announce(Instant::ZERO, announce(n)).expect("there is room"));
    let mut links: Vec<BTreeSet<NodeId>> = vec![BTreeSet::new(); count as usize];
    for _ in 0..4 {
        for n in 0..count {
            for other in registry.ask(Instant::ZERO, &ask(n, NEIGHBOURS_TARGET)) {
                let number = (0..count).find(|&m| node(m) == other.node).expect("it is one of the crowd");
                assert!(links[n as usize].insert(other.node), "named twice");
                links[number as usize].insert(node(n));
            }
        }
    }
    links
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_crowd_becomes_a_nearly_regular_graph(count in 12u32..120, seed: u64) {
        for links in crowd(count, seed) {
            let degree = links.len() as u32;
            prop_assert!((NEIGHBOURS_TARGET - 1..=NEIGHBOURS_TARGET + 2).contains(&degree), "{degree}");
        }
    }

    #[test]
    fn indexes_equal_a_recount(steps in prop::collection::vec((0u8..4, 0u32..20, 0u32..12), 0..120)) {
        let mut registry = Registry::new(LIFE, 1);
        let mut now = Instant::ZERO;
        for (step, n, value) in steps {
            match step {
                0 => registry.announce(now, Announce { links: (100..100 + value).map(node).collect(), ..announce(n) }).expect("room"),
                1 => drop(registry.ask(now, &ask(n, value))),
                2 => registry.withdraw(content(), node(n)),
                _ => {
                    now = now + Duration::from_secs(u64::from(value) * 20);
                    registry.expire(now);
                }
            }
            let known = registry.entries().count();
            prop_assert_eq!(known, registry.expiries.len());
            prop_assert_eq!(known, registry.contents.values().map(Neighbourhood::indexed).sum::<usize>());
        }
    }
}

#[test]
fn a_node_is_told_of_no_neighbour_twice_and_never_of_itself() {
    let mut registry = Registry::new(LIFE, 3);
    (0..4).for_each(|n| registry.announce(Instant::ZERO, announce(n)).expect("there is room"));
    let linked = Announce { links: vec![node(1)], ..announce(0) };
    registry.announce(Instant::ZERO, linked.clone()).expect("there is room");
    let mut ask_of = |now: Instant, n: u32| -> Vec<NodeId> {
        registry.announce(now, if n == 0 { linked.clone() } else { announce(n) }).expect("there is room");
        let mut told: Vec<NodeId> = registry.ask(now, &ask(n, 10)).iter().map(|other| other.node).collect();
        told.sort_unstable();
        told
    };
    assert_eq!(ask_of(Instant::ZERO, 0), [node(2), node(3)]);
    assert_eq!(ask_of(Instant::ZERO, 0), []);
    assert_eq!(ask_of(Instant::ZERO, 2), [node(1), node(3)]);
    // A node that did not become linked is named again.
    assert_eq!(ask_of(Instant::ZERO + LIFE / 2, 0), [node(2), node(3)]);
}

#[test]
fn an_entry_that_is_not_announced_again_expires() {
    let mut registry = Registry::new(LIFE, 3);
    registry.announce(Instant::ZERO, announce(1)).expect("there is room");
    registry.announce(Instant::ZERO, announce(2)).expect("there is room");
    let later = Instant::ZERO + LIFE / 2;
    registry.announce(later, announce(2)).expect("there is room");
    assert_eq!(registry.next_expiry(), Some(Instant::ZERO + LIFE));
    registry.expire(Instant::ZERO + LIFE);
    assert_eq!(registry.entries().map(|entry| entry.node).collect::<Vec<_>>(), [node(2)]);
    registry.expire(later + LIFE);
    assert_eq!((registry.entries().count(), registry.contents().count()), (0, 0));
}

#[test]
fn nodes_of_one_zone_come_first_but_for_two_others() {
    let mut registry = Registry::new(LIFE, 5);
    for n in 0..40 {
        let zone = Some(if n % 2 == 0 { "here" } else { "there" }.parse().expect("a zone"));
        registry.announce(Instant::ZERO, Announce { zone, ..announce(n) }).expect("there is room");
    }
    let told = registry.ask(Instant::ZERO, &ask(0, 10));
    let far =
        told.iter().filter(|other| other.zone.as_ref().is_some_and(|zone| zone.as_str() == "there")).count();
    assert_eq!((told.len(), far), (5, 2));
}

#[test]
fn a_faster_uploader_is_named_more_often() {
    let mut registry = Registry::new(LIFE, 5);
    for n in 0..400 {
        let up = Rate(if n % 2 == 0 { 100_000_000 } else { 1_000_000 });
        registry.announce(Instant::ZERO, Announce { up, ..announce(n) }).expect("there is room");
    }
    let told: Vec<Announce> = (0..20).flat_map(|n| registry.ask(Instant::ZERO, &ask(n, 10))).collect();
    let fast = told.iter().filter(|other| other.up == Rate(100_000_000)).count();
    assert!(fast * 3 > told.len() * 2, "{fast} of {}", told.len());
}
