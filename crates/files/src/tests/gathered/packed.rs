//! Small files of a fetch, in one file together.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use swarm_core::base::Bitfield;
use swarm_core::manifest::FileIndex;
use swarm_sync::{ContentSource as _, ReplicaError, TreePath};

use super::super::disk::{Disk, Fate, volatile};
use super::super::fetch::alone;
use super::super::watch::{Plan, Tap, Watch};
use super::{Library, bytes, hex};
use crate::dir::Dir;
use crate::fetching::Fetching;
use crate::{Store as _, StoreError, Verdict};

/// Three small ones and a long one.
fn library() -> Library {
    Library::of(&[bytes(1, 5000), bytes(2, 1), bytes(3, 64 << 10), bytes(4, (64 << 10) + 1)])
}

fn pack(library: &Library) -> PathBuf {
    library.at("fetched").join(hex(&library.manifest)).join("packed")
}

/// All bytes of a small content that is whole.
fn read_source(library: &Library, store: &crate::GatheredStore, number: usize) -> Vec<u8> {
    let mut source = store.source(&library.hash(number), true).expect("it is whole");
    let mut data = vec![0; library.contents[number].len() + 100];
    let len = source.read_at(0, &mut data).unwrap();
    data.truncate(len);
    assert_eq!(source.read_at(len as u64, &mut [0; 10]), Ok(0), "the next file does not follow");
    data
}

#[test]
fn small_files_are_told_after_a_flush_adopted_by_a_copy_and_served_all_the_time() {
    let library = library();
    let (store, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (0, 4));
    for number in 0..3 {
        library.write(&store, number);
        library.read(&store, number).unwrap();
    }
    assert_eq!(store.take_whole(), [], "nothing is durable yet");
    assert!(store.source(&library.hash(0), true).is_none());
    assert_eq!(store.flush().unwrap().len(), 3);
    assert_eq!(store.take_whole().len(), 3);
    assert_eq!(library.fetched().len(), 2, "the pack, and the journal of the long one");
    for number in 0..3 {
        assert!(read_source(&library, &store, number) == library.contents[number]);
        library.read(&store, number).unwrap();
        library.adopt(&store, number, &format!("{number}.txt"));
        library.read(&store, number).unwrap();
    }
    assert!(store.finish().is_err(), "the long one is missing");
    library.write(&store, 3);
    store.finish().unwrap();
    assert!(pack(&library).exists(), "the long one waits in the folder");
    library.adopt(&store, 3, "long");
    assert_eq!(fs::read_dir(library.at("fetched")).unwrap().count(), 0);
}

#[test]
fn wrong_bytes_are_refused_and_slices_count_once_they_are_the_content() {
    let library = library();
    let (store, _) = library.open();
    let (chunk, data) = (library.chunks(0)[0], &library.contents[0]);
    assert_eq!(store.write_chunk(chunk, &bytes(9, 5000)).unwrap(), Verdict::Corrupt);
    assert!(matches!(store.write_chunk(chunk, &data[1..]), Err(StoreError::Range { .. })));
    assert_eq!(store.verify_kept(chunk).unwrap(), Verdict::Corrupt, "nothing is there");
    store.keep_slice(chunk, 3000, &data[3000..]).unwrap();
    assert!(matches!(store.keep_slice(chunk, 3000, data), Err(StoreError::Range { .. })));
    assert_eq!(store.verify_kept(chunk).unwrap(), Verdict::Corrupt);
    assert!(matches!(library.read(&store, 0), Err(StoreError::NotVerified { .. })));
    store.keep_slice(chunk, 0, &data[..3000]).unwrap();
    assert_eq!(store.verify_kept(chunk).unwrap(), Verdict::Verified);
    // What is right is not written over.
    store.keep_slice(chunk, 0, &bytes(9, 5000)).unwrap();
    assert_eq!(store.flush().unwrap(), [chunk]);
    assert_eq!(store.flush().unwrap(), []);
    library.read(&store, 0).unwrap();
}

#[test]
fn whoever_opens_it_again_believes_what_has_its_hash() {
    let library = library();
    let (store, _) = library.open();
    (0..3).for_each(|number| library.write(&store, number));
    store.flush().unwrap();
    let places = std::sync::Arc::<super::Known>::clone(&library.known);
    let manifest = library.manifest.clone();
    let twice =
        crate::GatheredStore::open(manifest, &|_| true, places, &library.at("fetched"), super::far_future);
    assert!(matches!(twice, Err(StoreError::Busy { .. })), "{twice:?}");
    drop(store);
    // A byte of one of them is another one now.
    let file = fs::OpenOptions::new().read(true).write(true).open(pack(&library)).unwrap();
    let (all, first) = (fs::read(pack(&library)).unwrap(), &library.contents[0]);
    let at = all.windows(first.len()).position(|part| part == first).unwrap();
    file.write_all_at(&[!first[0]], at as u64).unwrap();
    drop(file);
    let (store, gathered) = library.open_for(&|hash| *hash != library.hash(1));
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (1, 3), "one is wrong, one not wanted");
    assert_eq!(store.take_whole(), [library.hash(2)]);
    assert_eq!(store.waiting_count(), 1, "until it is released");
    assert!(matches!(library.read(&store, 0), Err(StoreError::NotVerified { .. })));
    library.write(&store, 0);
    store.flush().unwrap();
    assert!(read_source(&library, &store, 0) == *first);
}

#[test]
fn bytes_that_changed_in_the_pack_reach_neither_peers_nor_places() {
    let library = library();
    let (store, _) = library.open();
    library.write(&store, 0);
    store.flush().unwrap();
    assert_eq!(store.take_whole(), [library.hash(0)]);
    fs::write(pack(&library), bytes(9, 80_000)).unwrap();
    assert!(matches!(library.read(&store, 0), Err(StoreError::Changed { .. })));
    let source = store.source(&library.hash(0), true).unwrap();
    let path = TreePath::new("a").unwrap();
    assert_eq!(library.stage(source, "a", library.content(0)), Err(ReplicaError::Integrity { path }));
}

#[test]
fn a_small_file_that_is_told_as_whole_survives_any_crash() {
    let library = Library::of(&[bytes(1, 5000), bytes(2, 6000)]);
    let folder = tempfile::tempdir().unwrap();
    let watch = Watch::new(Plan::Nothing, &Disk::default());
    let dir = Dir::open(folder.path()).unwrap().tapped(Tap::of(&watch));
    let all = Bitfield::full(library.manifest.geometry().chunk_count());
    let (fetching, _) =
        alone(|| Fetching::open_in(dir, folder.path().to_owned(), &library.manifest, all)).unwrap();
    let mut told: Vec<FileIndex> = Vec::new();
    for number in [0, 1] {
        let chunk = library.chunks(number)[0];
        assert_eq!(fetching.write_chunk(chunk, library.data(number, chunk)).unwrap(), Verdict::Verified);
        alone(|| fetching.flush()).unwrap();
        told.extend(fetching.take_whole());
        assert_eq!(told.len(), number + 1);
        // Everything is lost that no sync covers.
        let log = watch.log();
        let lost = volatile(&log);
        let fate = |at| if lost.contains(&at) { Fate::Lost } else { Fate::Kept };
        let crashed = Disk::default().after(&log, &(0..log.len()).map(fate).collect::<Vec<_>>());
        let pack = crashed.read(&PathBuf::from("packed")).expect("its name is durable");
        let data = &library.contents[number];
        assert!(pack.windows(data.len()).any(|part| part == data), "{number}");
    }
}

#[test]
fn a_mirror_makes_a_file_of_each_small_one() {
    let library = library();
    let blobs = std::sync::Arc::new(crate::BlobFolder::open(&library.at("mirror")).unwrap());
    let places = || std::sync::Arc::clone(&blobs) as std::sync::Arc<dyn crate::Places>;
    let open = || {
        let manifest = library.manifest.clone();
        crate::GatheredStore::open(manifest, &|_| true, places(), &blobs.incoming(), super::far_future)
            .unwrap()
    };
    let (store, _) = open();
    (0..4).for_each(|number| library.write(&store, number));
    store.finish().unwrap();
    for hash in store.take_whole() {
        blobs.keep(&store, &hash).unwrap();
        assert!(blobs.has(&hash));
    }
    drop(store);
    let (again, gathered) = open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (4, 0), "nothing is fetched again");
    for number in 0..4 {
        library.read(&again, number).unwrap();
    }
}
