use super::*;

const MIB: u64 = 1 << 20;

fn seeding(chunk_count: u64) -> (Geometry, SuperSeeding) {
    let geometry = Geometry::new([(chunk_count * MIB, 20)]).expect("a small file");
    let seeding = SuperSeeding::new(&geometry, &mut Rng::seeded(1));
    (geometry, seeding)
}

#[test]
fn a_peer_is_revealed_a_share_of_the_content_ahead_or_a_few_chunks_or_sixteen_mebibytes() {
    for (chunk_count, ahead_mib) in [(40, 2), (4096, 8), (40_000, 16)] {
        let (geometry, mut seeding) = seeding(chunk_count);
        seeding.on_link(&geometry, LinkId(1));
        let fresh = seeding.top_up(&geometry, LinkId(1), &Bitfield::new(geometry.chunk_count()));
        assert_eq!(fresh.len(), ahead_mib, "{chunk_count}");
    }
}

#[test]
fn a_choked_peer_keeps_what_it_got_and_holds_nothing_back() {
    let (geometry, mut seeding) = seeding(40);
    let has = Bitfield::new(40);
    let (choked, other) = (LinkId(1), LinkId(2));
    seeding.on_link(&geometry, choked);
    let fresh = seeding.top_up(&geometry, choked, &has);
    seeding.on_asked(&geometry, choked, fresh[0]);
    seeding.on_out(&geometry, choked, fresh[0]);
    seeding.on_choked(choked, |_| false);
    // A request that was on its way.
    seeding.on_asked(&geometry, choked, fresh[1]);
    seeding.on_link(&geometry, other);
    let mut seen = Vec::new();
    while !seeding.is_all_out() {
        for chunk in seeding.top_up(&geometry, other, &has) {
            seeding.on_asked(&geometry, other, chunk);
            seeding.on_out(&geometry, other, chunk);
            seen.push(chunk);
        }
    }
    assert!(seen.len() == 39 && !seen.contains(&fresh[0]));
    seeding.on_link(&geometry, choked);
    seeding.top_up(&geometry, choked, &has);
}

#[test]
fn two_peers_are_revealed_different_chunks_until_all_are_out() {
    let (geometry, mut seeding) = seeding(40);
    let has = Bitfield::new(40);
    let mut seen = Bitfield::new(40);
    for link in [LinkId(1), LinkId(2)] {
        seeding.on_link(&geometry, link);
    }
    while !seeding.is_all_out() {
        for link in [LinkId(1), LinkId(2)] {
            for chunk in seeding.top_up(&geometry, link, &has) {
                assert!(seen.insert(chunk), "chunk {chunk} was revealed before");
                seeding.on_asked(&geometry, link, chunk);
                seeding.on_out(&geometry, link, chunk);
            }
        }
    }
    assert!(seen.is_full());
}

#[test]
fn what_did_not_spread_from_its_first_taker_is_revealed_to_another() {
    let (geometry, mut seeding) = seeding(6);
    let mut has = [Bitfield::new(6), Bitfield::new(6)];
    for link in [LinkId(0), LinkId(1)] {
        seeding.on_link(&geometry, link);
    }
    while !seeding.is_all_out() {
        for link in [LinkId(0), LinkId(1)] {
            let number = link.0 as usize;
            for chunk in seeding.top_up(&geometry, link, &has[number]) {
                seeding.on_asked(&geometry, link, chunk);
                seeding.on_out(&geometry, link, chunk);
                has[number].insert(chunk);
            }
        }
    }
    let first = has[0].iter().next().expect("it was revealed some");
    seeding.on_out(&geometry, LinkId(1), first);
    let again = seeding.top_up(&geometry, LinkId(1), &has[1]);
    assert!(!again.is_empty() && !again.contains(&first), "{again:?}");
    assert!(again.iter().all(|&chunk| has[0].contains(chunk)), "{again:?}");
}

#[test]
fn what_a_lost_peer_was_revealed_goes_to_the_others() {
    let (geometry, mut seeding) = seeding(4);
    let has = Bitfield::new(4);
    for link in [LinkId(1), LinkId(2)] {
        seeding.on_link(&geometry, link);
    }
    let lost = seeding.top_up(&geometry, LinkId(1), &has);
    seeding.on_link_down(LinkId(1));
    let mut all = Vec::new();
    for _ in 0..4 {
        let fresh = seeding.top_up(&geometry, LinkId(2), &has);
        for &chunk in &fresh {
            seeding.on_asked(&geometry, LinkId(2), chunk);
        }
        all.extend(fresh);
    }
    assert!(lost.iter().all(|chunk| all.contains(chunk)) && all.len() == 4, "{all:?}");
}

#[test]
fn what_is_remembered_does_not_grow_with_links_that_come_and_go() {
    let (geometry, mut seeding) = seeding(40);
    for round in 0..50 {
        let link = LinkId(round);
        seeding.on_link(&geometry, link);
        seeding.show_all(link, true);
        for chunk in 0..40 {
            seeding.on_out(&geometry, link, chunk);
        }
        seeding.on_link_down(link);
    }
    assert!(seeding.queue.len() <= 80 && seeding.out.len() <= 40);
}

#[test]
fn a_chunk_that_was_out_is_not_revealed_before_all_are() {
    let (geometry, mut seeding) = seeding(40);
    seeding.on_link(&geometry, LinkId(1));
    seeding.show_all(LinkId(1), true);
    for chunk in 0..20 {
        seeding.on_out(&geometry, LinkId(1), chunk);
    }
    seeding.on_link(&geometry, LinkId(2));
    let fresh = seeding.top_up(&geometry, LinkId(2), &Bitfield::new(40));
    assert!(!fresh.is_empty() && fresh.iter().all(|&chunk| chunk >= 20), "{fresh:?}");
}

#[test]
fn a_peer_that_asks_for_none_of_its_reveals_is_named_after_a_while() {
    let (geometry, mut seeding) = seeding(40);
    seeding.on_link(&geometry, LinkId(1));
    seeding.top_up(&geometry, LinkId(1), &Bitfield::new(40));
    assert!(seeding.look(Instant::ZERO).is_empty() && seeding.look(Instant::ZERO).is_empty());
    assert_eq!(seeding.look(Instant::ZERO), [LinkId(1)]);
}
