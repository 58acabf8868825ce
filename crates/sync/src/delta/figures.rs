//! How many bytes a plan names as missing, counted: the promise of deltas.

use super::made::{SplitMix, random};
use super::*;

/// Bytes to fetch by pieces alone, and after the gaps were refined.
struct Named {
    by_pieces: u64,
    by_slices: u64,
}

fn named(old: &[u8], new: &[u8]) -> Named {
    let recipe = Recipe::of(old);
    let plan = fill_plan(&Recipe::of(new), &[(FileIndex::REPLACED, &recipe)]);
    let mut found = Vec::new();
    for gap in plan.gaps(old.len() as u64) {
        let bytes = &new[gap.to as usize..][..gap.len as usize];
        let before = gap.before.map_or(&[][..], |place| &old[place.at.min(old.len() as u64) as usize..]);
        let after = gap.after.map_or(&[][..], |place| &old[..place.at as usize]);
        let (from_start, from_end) = equal_slices(bytes, before, after);
        found.extend(refine(&gap, (&from_start, &from_end)));
    }
    let refined = plan.refined(found);
    assert!(filled(&refined, old, new) == new, "the plan gives the new file");
    Named { by_pieces: plan.missing_len(), by_slices: refined.missing_len() }
}

fn filled(plan: &FillPlan, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(new.len());
    for &step in plan.steps() {
        let (source, at) = step.place().map_or((new, step.to()), |place| (old, place.at));
        bytes.extend_from_slice(&source[at as usize..][..step.len() as usize]);
    }
    bytes
}

fn overwritten(old: &[u8], places: u64, len: usize) -> Vec<u8> {
    let mut chance = SplitMix(99);
    let mut new = old.to_vec();
    for place in 0..places {
        let at = chance.below((old.len() - len) as u64) as usize;
        new[at..at + len].copy_from_slice(&random(1000 + place, len));
    }
    new
}

fn inserted(old: &[u8], places: u64, len: usize) -> Vec<u8> {
    let mut chance = SplitMix(98);
    let mut at = (0..places).map(|_| chance.below(old.len() as u64) as usize).collect::<Vec<_>>();
    at.sort_unstable();
    let mut new = Vec::with_capacity(old.len() + places as usize * len);
    let mut next = 0;
    for (place, at) in at.into_iter().enumerate() {
        new.extend_from_slice(&old[next..at]);
        new.extend_from_slice(&random(2000 + place as u64, len));
        next = at;
    }
    new.extend_from_slice(&old[next..]);
    new
}

fn check(old: &[u8], new: &[u8], by_pieces_max: u64, by_slices_max: u64) {
    let named = named(old, new);
    println!("by pieces {}, by slices {}", named.by_pieces, named.by_slices);
    assert!(named.by_pieces <= by_pieces_max, "{} bytes by pieces", named.by_pieces);
    assert!(named.by_slices <= by_slices_max, "{} bytes by slices", named.by_slices);
}

fn old() -> Vec<u8> {
    random(7, 64 << 20)
}

#[test]
fn a_hundred_overwrites_of_4_kib_name_two_slices_each() {
    let old = old();
    check(&old, &overwritten(&old, 100, 4 << 10), 14 << 20, 100 * (8 << 10));
}

#[test]
fn a_hundred_insertions_of_100_bytes_name_less_than_a_quarter_of_their_pieces() {
    let old = old();
    check(&old, &inserted(&old, 100, 100), 12 << 20, 2 << 20);
}

#[test]
fn a_byte_in_front_names_one_slice() {
    let old = old();
    let new = [&[1], &old[..]].concat();
    check(&old, &new, 256 << 10, 4 << 10);
}

#[test]
fn an_appended_megabyte_names_itself() {
    let old = old();
    let new = [&old[..], &random(8, 1_000_000)].concat();
    check(&old, &new, 1_000_000 + (256 << 10), 1_000_000 + (4 << 10));
}

#[test]
fn changes_of_one_percent_name_little_more_than_what_changed() {
    let old = old();
    let changed = overwritten(&old, 7, 100_000);
    check(&old, &changed, 25 * 70_000, 11 * 70_000);
    let moved = [&[1], &changed[..]].concat();
    check(&old, &moved, 25 * 70_000, 11 * 70_000);
}
