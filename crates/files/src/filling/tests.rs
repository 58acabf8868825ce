use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::{Places, ServedFolder, StandsAt};
use swarm_core::manifest::{ChunkHasher, ContentFile, Geometry, Manifest, library_manifest};

/// Nothing stands anywhere.
struct Nowhere;

impl Places for Nowhere {
    fn places(&self, _hash: &ContentHash, _len: u64) -> Vec<StandsAt> {
        Vec::new()
    }
}

/// What the other node does.
#[derive(Clone, Copy, PartialEq)]
enum Teller {
    Honest,
    /// It has the pieces of the old version instead.
    Liar,
    Mute,
}

/// Another node, and what it was asked.
struct Told {
    teller: Teller,
    new: VersionFile,
    old: VersionFile,
    told_len: usize,
}

impl super::Told for Told {
    fn recipes(&mut self, ranges: &[Range<u64>]) -> Option<Vec<Recipe>> {
        assert!(ranges.is_sorted_by(|one, next| one.end < next.start), "{ranges:?}");
        let of = match self.teller {
            Teller::Honest => &self.new,
            Teller::Liar => &self.old,
            Teller::Mute => return None,
        };
        let recipes = of.recipes(ranges).expect("it can be read");
        self.told_len += delta::encode_recipes(&recipes).len();
        Some(recipes)
    }

    fn slices(&mut self, ranges: &[Range<u64>], from_both: bool) -> Option<Vec<GapSlices>> {
        assert!(ranges.is_sorted_by(|one, next| one.end < next.start), "{ranges:?}");
        let of = if self.teller == Teller::Liar { &self.old } else { &self.new };
        let slices = of.slices(ranges, from_both).expect("it can be read");
        self.told_len += delta::encode_slices(&slices).len();
        Some(slices)
    }
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn values(data: &[u8]) -> Vec<u8> {
    let log2 = content_chunk_len_log2(data.len() as u64);
    if log2 == 0 {
        return Vec::new();
    }
    let geometry = Geometry::new([(data.len() as u64, log2)]).expect("one file");
    let value = |chunk: ChunkIndex| {
        let span = geometry.span(chunk);
        ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
    };
    geometry.chunks().flat_map(value).collect()
}

fn manifest_of(data: &[u8]) -> Manifest {
    let hash = ContentHash::of(data).0;
    let file = ContentFile { hash, len: data.len() as u64, chunk_hashes: values(data).into() };
    library_manifest([file]).expect("a good content")
}

/// Fills a new version from an old one, fetches the rest, and says how much of it was missing and how much was told.
fn check(old: &[u8], new: &[u8], teller: Teller) -> (Filled, usize) {
    let home = tempfile::tempdir().expect("a place");
    let folder = Arc::new(ServedFolder::new(home.path()));
    let version = |name: &str, data: &[u8]| {
        fs::write(home.path().join(name), data).expect("a place");
        let place = StandsAt { folder: Arc::clone(&folder), relative: name.into() };
        VersionFile::open(&place, values(data)).expect("it stands there")
    };
    let mut told = Told { teller, new: version("new", new), old: version("old", old), told_len: 0 };
    let open = || {
        let places = Arc::new(Nowhere);
        let fetched = home.path().join("fetched");
        GatheredStore::open(manifest_of(new), &|_| true, places, &fetched, far_future).expect("a place")
    };
    let (store, gathered) = open();
    let old = [version("old", old)];
    let hash = ContentHash::of(new);
    let filling = Filling { store: &store, hash, old: &old, is_over: &|| false };
    let filled = filling.run(&gathered.wanted, &mut told).expect("it can be written");
    let whole = store.flush().expect("it can be written");
    assert_eq!(whole.len() as u32, filled.whole);
    drop(store);

    // What was proven is still there after a crash, and the rest of each chunk makes it whole.
    let (store, gathered) = open();
    assert_eq!(gathered.durable.count(), filled.whole);
    let geometry = store.manifest().geometry().clone();
    let lacking: Vec<ChunkIndex> =
        geometry.chunks().filter(|chunk| !gathered.durable.contains(chunk.get())).collect();
    for chunk in lacking {
        let span = geometry.span(chunk);
        let data = &new[span.file_offset as usize..][..span.len as usize];
        let mut kept = filled.kept.get(&chunk.get()).cloned().unwrap_or_default();
        while let Some(gap) = kept.first_gap(span.len) {
            store.keep_slice(chunk, gap.start, &data[gap.start as usize..gap.end as usize]).expect("written");
            kept.insert(gap);
        }
        if store.verify_kept(chunk).expect("it can be read") == Verdict::Corrupt {
            assert!(teller == Teller::Liar);
            assert_eq!(store.write_chunk(chunk, data).expect("written"), Verdict::Verified);
        }
    }
    store.finish().expect("all is there");
    let fetched = store.source(&hash, false);
    assert!(fetched.is_some());
    (filled, told.told_len)
}

fn overwritten(old: &[u8], places: usize, len: usize) -> Vec<u8> {
    let mut new = old.to_vec();
    for place in 0..places {
        let at = (place * 7_919_333) % (old.len() - len);
        new[at..at + len].copy_from_slice(&bytes(100 + place as u64, len));
    }
    new
}

#[test]
fn chunks_that_did_not_change_need_no_other_node() {
    let old = bytes(1, 10 << 20);
    let (filled, told_len) = check(&old, &overwritten(&old, 1, 10), Teller::Mute);
    assert_eq!((filled.whole, filled.missing_len, told_len), (9, 1 << 20, 0));
}

#[test]
fn overwritten_places_are_missing_in_slices_of_4_kib() {
    let old = bytes(1, 40 << 20);
    let (filled, told_len) = check(&old, &overwritten(&old, 4, 100_000), Teller::Honest);
    assert!(filled.missing_len <= 4 * (100_000 + (8 << 10)), "{}", filled.missing_len);
    assert!(told_len < 8 << 10, "{told_len}");
    assert!(filled.whole >= 32, "{}", filled.whole);
}

#[test]
fn a_byte_in_front_is_missing_in_one_slice() {
    let old = bytes(1, 40 << 20);
    let (filled, told_len) = check(&old, &[&[7], &old[..]].concat(), Teller::Honest);
    assert!(filled.missing_len <= 4 << 10, "{}", filled.missing_len);
    assert!(told_len < 20 << 10, "{told_len}");
}

#[test]
fn what_was_cut_out_and_appended_is_found_around_it() {
    let old = bytes(1, 12 << 20);
    let new = [&old[..5_000_000], &old[5_100_000..], &bytes(2, 300_000)].concat();
    let (filled, _) = check(&old, &new, Teller::Honest);
    assert!(filled.missing_len <= 300_000 + (12 << 10), "{}", filled.missing_len);
}

#[test]
fn another_file_at_the_same_place_costs_a_few_samples() {
    let (old, new) = (bytes(1, 40 << 20), bytes(2, 40 << 20));
    let (filled, told_len) = check(&old, &new, Teller::Honest);
    assert_eq!((filled.missing_len, filled.whole), (40 << 20, 0));
    assert!(told_len < 4 << 10, "{told_len}");
}

#[test]
fn a_lie_costs_nothing_but_time() {
    let old = bytes(1, 8 << 20);
    let (filled, _) = check(&old, &overwritten(&old, 8, 50_000), Teller::Liar);
    assert_eq!(filled.kept, BTreeMap::new());
    assert!(filled.missing_len > 0);
}

#[test]
fn of_a_long_gap_the_ends_alone_are_looked_at() {
    let gaps = |lens: &[u64]| {
        let mut to = 0;
        let gap = |len: &u64| {
            to += len;
            Gap { to: to - len, len: *len, before: None, after: None }
        };
        worth_looking_at(&lens.iter().map(gap).collect::<Vec<_>>()).len()
    };
    assert_eq!(
        [gaps(&[]), gaps(&[5]), gaps(&[5, 5]), gaps(&[5, 5, 5]), gaps(&[5, 5, 5, 5])],
        [0, 1, 2, 2, 2]
    );
}

/// Long after any file of a test was written.
fn far_future() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)
}
