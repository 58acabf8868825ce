use proptest::prelude::*;

use super::*;
use crate::tests::manifest_of;

const LINK: LinkId = LinkId(1);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// One file of chunks of 16 KiB, all wanted, none there.
fn chunks(count: usize, order: Order) -> Chunks {
    let manifest = manifest_of(&[("a", count * (16 << 10))]);
    let all = Bitfield::full(manifest.geometry().chunk_count());
    Chunks::new(manifest, &Bitfield::new(all.len()), &all, order, 1)
}

fn check_tally(chunks: &Chunks) {
    let wanted = chunks.geometry().chunks().filter(|chunk| chunks.state(*chunk) != ChunkState::Unwanted);
    let wanted_len = wanted.map(|chunk| u64::from(chunks.geometry().chunk_len(chunk))).sum();
    let mut recount = Tally { wanted_len, ..Tally::default() };
    for chunk in chunks.geometry().chunks() {
        recount.count(chunks.state(chunk), u64::from(chunks.geometry().chunk_len(chunk)), true);
        let is_there = matches!(chunks.state(chunk), ChunkState::Verified | ChunkState::Durable);
        let is_served = is_there && !chunks.aside.contains(chunk.get());
        assert_eq!(chunks.have.contains(chunk.get()), is_served);
        assert_eq!(chunks.is_checking(chunk), chunks.state(chunk) == ChunkState::Checking);
    }
    assert_eq!(chunks.tally, recount);
    let queued = chunks.states.iter().filter(|state| **state == ChunkState::Queued).count();
    assert_eq!(chunks.picker.len(), queued);
}

proptest! {
    #[test]
    fn tallies_equal_a_recount_after_anything(ops in prop::collection::vec((0u8..10, 0u32..12, 0u64..3), 0..80)) {
        let mut chunks = chunks(12, Order::RarestFirst);
        for (op, index, request) in ops {
            let chunk = chunks.geometry().chunk(index).expect("below 12");
            let run = chunks.geometry().run(index, 0, 16 << 10).expect("one chunk");
            match op {
                0 => chunks.on_asked(run, LINK, RequestId(request)),
                1 => chunks.on_released(chunk, LINK, RequestId(request)),
                2 => { chunks.on_arrived(chunk); }
                3 => { chunks.on_kept(chunk, request as u32 * 4096, 8192, node(request as u8)); }
                4 => { chunks.on_verified(chunk); }
                5 => { chunks.on_corrupt(chunk, (request == 0).then_some(node(1))); }
                6 => chunks.on_durable(chunk),
                7 => { chunks.on_lost(chunk); }
                8 => { chunks.set_aside(chunk, Extent::Chunk); }
                _ => { let all = chunks.aside.clone(); chunks.bring_back(&all); }
            }
            check_tally(&chunks);
        }
    }
}

#[test]
fn short_chunks_are_asked_for_together_up_to_a_mebibyte_or_what_is_wanted_or_a_thousand() {
    let long = chunks(200, Order::Sequential { window_len: None });
    let asked = |chunks: &Chunks, len_max| {
        let all = Bitfield::full(chunks.geometry().chunk_count());
        let run = chunks.next_run(&all, len_max).expect("a run");
        (run.first().get(), chunks.geometry().pieces(run).count())
    };
    assert_eq!(asked(&long, u64::MAX), (0, 64));
    assert_eq!(asked(&long, 5 << 14), (0, 5));
    assert_eq!(asked(&long, (5 << 14) - 1), (0, 4));
    assert_eq!(asked(&long, 0), (0, 1), "one always");
    // Only what the peer has, in a row.
    let has: Bitfield = (0..200).map(|chunk| chunk != 3).collect();
    let run = long.next_run(&has, u64::MAX).expect("a run");
    assert_eq!((run.first().get(), run.len()), (0, 3 << 14));

    let names: Vec<String> = (0..2000).map(|index| format!("{index:04}")).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 100)).collect();
    let manifest = manifest_of(&files);
    let all = Bitfield::full(2000);
    let order = Order::Sequential { window_len: None };
    let tiny = Chunks::new(manifest, &Bitfield::new(2000), &all, order, 1);
    assert_eq!(asked(&tiny, u64::MAX), (0, RUN_CHUNKS_MAX as usize));
}

#[test]
fn a_run_ends_where_something_is_on_its_way_and_where_the_window_does() {
    let mut sequential = chunks(40, Order::Sequential { window_len: Some(10 << 14) });
    let run = |chunks: &Chunks| {
        let run = chunks.next_run(&Bitfield::full(40), u64::MAX)?;
        Some((run.first().get(), run.len() >> 14))
    };
    assert_eq!(run(&sequential), Some((0, 10)));
    let other = sequential.geometry().run(4, 0, 16 << 10).expect("one chunk");
    sequential.on_asked(other, LINK, RequestId(1));
    assert_eq!(run(&sequential), Some((0, 4)));
    let first = sequential.geometry().run(0, 0, 4 << 14).expect("four chunks");
    sequential.on_asked(first, LINK, RequestId(2));
    assert_eq!(run(&sequential), Some((5, 5)));
}

#[test]
fn the_rest_of_a_broken_chunk_is_asked_for_first() {
    let mut chunks = chunks(8, Order::RarestFirst);
    let broken = chunks.geometry().chunk(5).expect("below 8");
    assert_eq!(chunks.on_kept(broken, 0, 10_000, node(1)), 10_000);
    assert_eq!(chunks.on_kept(broken, 5_000, 6_000, node(1)), 1_000);
    let run = chunks.next_run(&Bitfield::full(8), 1 << 20).expect("a run");
    assert_eq!((run.first(), run.offset(), run.len()), (broken, 11_000, (16 << 10) - 11_000));
}

#[test]
fn slices_of_two_peers_are_blamed_on_nobody_and_then_asked_of_one() {
    let mut chunks = chunks(2, Order::RarestFirst);
    let chunk = chunks.geometry().chunk(0).expect("below 2");
    chunks.on_kept(chunk, 0, 8 << 10, node(1));
    chunks.on_kept(chunk, 8 << 10, 8 << 10, node(2));
    assert!(chunks.is_put_together(chunk));
    chunks.on_arrived(chunk);
    assert_eq!(chunks.on_corrupt(chunk, None), Blame::Shared);
    assert_eq!(chunks.on_kept(chunk, 0, 100, node(1)), 0);
    chunks.on_arrived(chunk);
    assert_eq!(chunks.on_corrupt(chunk, Some(node(2))), Blame::Certain(node(2)));
}

#[test]
fn a_chunk_may_be_durable_before_the_word_of_its_check_comes() {
    let mut chunks = chunks(1, Order::RarestFirst);
    let chunk = chunks.geometry().chunk(0).expect("the one");
    chunks.on_arrived(chunk);
    chunks.on_durable(chunk);
    assert!(!chunks.is_durable());
    assert!(chunks.on_verified(chunk));
    assert!(chunks.is_durable());
}

#[test]
fn a_window_begins_where_something_is_wanted() {
    let manifest = manifest_of(&[("a", 100 << 14), ("b", 2 << 14)]);
    let mut wanted = Bitfield::new(102);
    (100..102).for_each(|chunk| assert!(wanted.insert(chunk)));
    let order = Order::Sequential { window_len: Some(48 << 10) };
    let chunks = Chunks::new(manifest, &Bitfield::new(102), &wanted, order, 1);
    let run = chunks.next_run(&Bitfield::full(102), 1 << 20).expect("a run");
    assert_eq!(run.first().get(), 100);
}

#[test]
fn a_window_moves_with_what_is_durable() {
    let mut chunks = chunks(100, Order::Sequential { window_len: Some(48 << 10) });
    let full = Bitfield::full(100);
    let run = chunks.next_run(&full, 1 << 20).expect("a run");
    assert_eq!((run.first().get(), run.len()), (0, 48 << 10));
    chunks.on_asked(run, LINK, RequestId(1));
    assert_eq!(chunks.next_run(&full, 1 << 20), None);
    let first = run.first();
    chunks.on_arrived(first);
    chunks.on_verified(first);
    assert_eq!(chunks.next_run(&full, 1 << 20), None);
    chunks.on_durable(first);
    assert_eq!(chunks.next_run(&full, 1 << 20).map(|run| run.first().get()), Some(3));
}

fn begun(ranges: &[(u32, u32, u32)]) -> Chunks {
    let mut kept = Kept::new();
    for &(chunk, start, end) in ranges {
        kept.entry(chunk).or_default().insert(start..end);
    }
    let mut chunks = chunks(3, Order::RarestFirst);
    chunks.begin(kept);
    check_tally(&chunks);
    chunks
}

#[test]
fn only_the_rest_of_what_the_store_has_is_asked_for() {
    let mut chunks = begun(&[(1, 0, 5000), (1, 9000, 16 << 10)]);
    let all = Bitfield::full(3);
    let run = chunks.next_run(&all, u64::MAX).expect("something is missing");
    assert_eq!((run.first().get(), run.offset(), run.len()), (1, 5000, 4000));
    let chunk = chunks.geometry().chunk(1).expect("it has three");
    chunks.on_asked(run, LINK, RequestId(1));
    assert_eq!(chunks.on_kept(chunk, 5000, 4000, node(1)), 4000);
    assert!(chunks.is_put_together(chunk));
}

#[test]
fn nobody_is_blamed_for_a_chunk_that_began_here_and_it_comes_whole_from_one_peer() {
    let mut chunks = begun(&[(0, 0, 5000)]);
    let chunk = chunks.geometry().chunk(0).expect("it has three");
    chunks.on_kept(chunk, 5000, (16 << 10) - 5000, node(1));
    assert!(chunks.on_arrived(chunk));
    assert_eq!(chunks.on_corrupt(chunk, None), Blame::Shared);
    assert_eq!(chunks.on_kept(chunk, 0, 5000, node(2)), 0);
    let run = chunks.next_run(&Bitfield::full(1), u64::MAX).expect("it is missing");
    assert_eq!((run.first().get(), run.offset(), run.len()), (0, 0, 16 << 10));
}

#[test]
fn what_a_store_cannot_have_is_not_believed() {
    let whole = 16 << 10;
    for ranges in [&[(0, 0, whole)][..], &[(0, 0, whole - 1), (0, whole, whole + 1)], &[(9, 0, 5)]] {
        let run = begun(ranges).next_run(&Bitfield::full(3), 1).expect("all is missing");
        assert_eq!((run.offset(), run.len()), (0, whole), "{ranges:?}");
    }
}
