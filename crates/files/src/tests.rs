//! Tests of the crate's promises on real folders.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use swarm_core::base::Bitfield;
use swarm_core::manifest::EntryPath;

pub(super) mod watch;

mod disk;
mod fetch;
mod gathered;
mod names;
mod reading;

mod blobs;
mod crashes;
mod injected;
mod refused;

mod replica;

/// The files of a content, created in a folder and indexed with 16 KiB chunks.
struct World {
    source: tempfile::TempDir,
    target: tempfile::TempDir,
    index: Index,
}

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed).collect()
}

fn options(sha256: bool) -> IndexOptions {
    IndexOptions { chunk_len_log2: Some(14), sha256, skip_unportable: false }
}

fn far_future() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1 << 40)
}

fn long_ago() -> SystemTime {
    UNIX_EPOCH
}

fn index_of(path: &Path, cache: Option<&IndexCache>) -> Result<Index, IndexError> {
    index(&[path.to_owned()], &options(false), cache, &|_| {})
}

fn world(files: &[(&str, Vec<u8>)]) -> World {
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("c");
    fs::create_dir(&root).unwrap();
    for (name, data) in files {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), data).unwrap();
    }
    let index = index_of(&root, None).unwrap();
    World { source, target: tempfile::tempdir().unwrap(), index }
}

impl World {
    fn manifest(&self) -> &Manifest {
        &self.index.manifest
    }

    fn chunk(&self, index: u32) -> ChunkIndex {
        self.manifest().geometry().chunk(index).unwrap()
    }

    fn data_of(&self, chunk: u32) -> Vec<u8> {
        self.data(self.chunk(chunk))
    }

    fn data(&self, chunk: ChunkIndex) -> Vec<u8> {
        let span = self.manifest().geometry().span(chunk);
        let file = fs::File::open(self.index.roots.path(&self.manifest().file(span.file).path)).unwrap();
        let mut data = vec![0; span.len as usize];
        file.read_exact_at(&mut data, span.file_offset).unwrap();
        data
    }

    fn try_open(&self, overwrite: bool) -> Result<(TargetStore, Opened), StoreError> {
        let wanted = Bitfield::full(self.manifest().geometry().chunk_count());
        let options = TargetOptions { overwrite, ..TargetOptions::default() };
        TargetStore::open(self.target.path(), self.manifest().clone(), wanted, options, &|_| {})
    }

    fn open(&self) -> (TargetStore, Opened) {
        self.try_open(false).unwrap()
    }

    fn write(&self, store: &dyn Store, chunks: impl IntoIterator<Item = u32>) {
        for index in chunks {
            let chunk = self.chunk(index);
            assert_eq!(store.write_chunk(chunk, &self.data(chunk)).unwrap(), Verdict::Verified);
        }
    }

    fn write_all(&self, store: &dyn Store) {
        self.write(store, 0..self.manifest().geometry().chunk_count());
    }

    fn seed(&self, clock: fn() -> SystemTime) -> SeedStore {
        let all = Bitfield::full(self.manifest().geometry().chunk_count());
        SeedStore::new(self.manifest().clone(), self.index.roots.clone(), all, clock)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.target.path().join("c").join(name)
    }

    fn journal(&self) -> PathBuf {
        self.target.path().join(journal::file_name(self.manifest().id()))
    }

    /// Reads every chunk that the store claims: each must be right or be refused.
    fn check_reads(&self, store: &dyn Store) {
        for chunk in self.manifest().geometry().chunks() {
            let data = self.data(chunk);
            let mut buf = vec![0; data.len()];
            if store.read(chunk, 0, &mut buf).is_ok() {
                assert!(buf == data, "chunk {} is wrong", chunk.get());
            }
        }
    }

    fn finish_and_check(&self, store: &TargetStore) {
        self.write_all(store);
        store.finish().unwrap();
        for file in self.manifest().files() {
            let got = fs::read(self.target.path().join(file.path.as_str())).unwrap();
            assert_eq!(blake3::hash(&got).as_bytes(), &file.blake3, "{}", file.path);
        }
        assert!(!self.journal().exists());
        assert!(scan(self.manifest(), self.target.path(), &|_| {}).unwrap().is_whole());
    }
}

fn three_files() -> World {
    world(&[("a", bytes(1, 50_000)), ("d/b", bytes(2, 16_384)), ("d/z", vec![0; 40_000])])
}

#[test]
fn an_index_gives_the_hash_that_b3sum_gives() {
    for len in [0, 1, 16_383, 16_384, 16_385, 100_000, 3_000_000] {
        let data = bytes(3, len);
        let world = world(&[("f", data.clone())]);
        let file = &world.manifest().files()[0];
        assert_eq!(file.blake3, *blake3::hash(&data).as_bytes(), "{len}");
        assert_eq!(file.chunk_len_log2 == 0, len <= 16_384, "{len}");
    }
}

#[test]
fn a_tree_of_odd_things_is_indexed_and_what_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tree");
    fs::create_dir_all(root.join("leer/innen")).unwrap();
    fs::create_dir_all(root.join("x")).unwrap();
    for name in ["x/ü b.txt", "x/-rf", "..a", "*?"] {
        fs::write(root.join(name), name).unwrap();
    }
    fs::set_permissions(root.join("x/-rf"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("x", root.join("link")).unwrap();
    let made = index(std::slice::from_ref(&root), &options(true), None, &|_| {}).unwrap();
    let shown: Vec<String> =
        made.manifest.files().iter().map(|f| format!("{} {}", f.path, f.executable)).collect();
    assert_eq!(shown, ["tree/*? false", "tree/..a false", "tree/x/-rf true", "tree/x/ü b.txt false"]);
    assert_eq!(made.manifest.empty_directories(), [EntryPath::new("tree/leer/innen").unwrap()]);
    assert_eq!(
        made.skipped,
        [Skipped {
            path: root.join("link").canonicalize().unwrap().with_file_name("link"),
            why: SkippedWhy::Symlink
        }]
    );
    assert!(made.manifest.files().iter().all(|file| file.sha256.is_some()));
    assert!(matches!(index_of(&root.join("link"), None), Err(IndexError::Symlink { .. })));
    assert!(matches!(index_of(&root.join("none"), None), Err(IndexError::Disk { .. })));
    let twice = [root.join("x/-rf"), root.join("x/-rf")];
    assert!(matches!(index(&twice, &options(false), None, &|_| {}), Err(IndexError::SameName { .. })));
    let bad: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]);
    fs::write(root.join(bad), b"").unwrap();
    assert!(matches!(index_of(&root, None), Err(IndexError::Unusable(names)) if names.count() == 1));
}

#[test]
fn unchanged_files_come_out_of_the_cache_and_young_or_changed_ones_do_not() {
    let world = three_files();
    let (root, state) = (world.source.path().join("c"), tempfile::tempdir().unwrap());
    let reused = |now| index_of(&root, Some(&IndexCache::new(state.path(), now))).unwrap().reused_files;
    assert_eq!(reused(long_ago()), 0);
    assert_eq!(reused(far_future()), 0, "nothing young is remembered");
    assert_eq!(reused(far_future()), 3);
    fs::write(root.join("a"), bytes(9, 50_000)).unwrap();
    let cache = IndexCache::new(state.path(), far_future());
    let made = index_of(&root, Some(&cache)).unwrap();
    assert_eq!(made.reused_files, 2);
    assert_eq!(made.manifest.files()[0].blake3, *blake3::hash(&bytes(9, 50_000)).as_bytes());
    for item in fs::read_dir(state.path()).unwrap() {
        let path = item.unwrap().path();
        let mut damaged = fs::read(&path).unwrap();
        damaged[40] ^= 1;
        fs::write(path, damaged).unwrap();
    }
    assert_eq!(reused(far_future()), 0);
    assert_eq!(reused(far_future()), 3);
}

#[test]
fn a_seed_gives_right_bytes_or_says_that_the_file_changed() {
    for clock in [long_ago as fn() -> SystemTime, far_future] {
        let world = three_files();
        let seed = world.seed(clock);
        world.check_reads(&seed);
        let mut buf = [0; 100];
        seed.read(world.chunk(1), 50, &mut buf).unwrap();
        assert_eq!(buf, world.data(world.chunk(1))[50..150]);
        let path = world.source.path().join("c/a");
        let mut changed = bytes(1, 50_000);
        changed[20_000] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(matches!(seed.read(world.chunk(1), 0, &mut buf), Err(StoreError::Changed { chunk: 1, .. })));
        seed.read(world.chunk(0), 0, &mut buf).unwrap();
        fs::write(&path, b"short").unwrap();
        let _ = seed.read(world.chunk(0), 0, &mut buf);
        assert!(matches!(seed.read(world.chunk(3), 0, &mut buf), Err(StoreError::Changed { chunk: 3, .. })));
        assert!(matches!(seed.flush(), Ok(chunks) if chunks.is_empty()));
        assert!(matches!(seed.write_chunk(world.chunk(0), &[]), Err(StoreError::ReadOnlyStore)));
    }
}

#[test]
fn a_scan_tells_good_damaged_short_and_missing_files_apart() {
    let world = three_files();
    let root = world.source.path().join("c");
    fs::File::options().write(true).open(root.join("a")).unwrap().write_all_at(b"!", 17_000).unwrap();
    fs::remove_file(root.join("d/b")).unwrap();
    fs::File::options().write(true).open(root.join("d/z")).unwrap().set_len(20_000).unwrap();
    for at in [world.source.path(), &root] {
        let found = scan(world.manifest(), at, &|_| {}).unwrap();
        let states: Vec<_> = found.files.iter().map(|f| (f.state.clone(), f.good_chunks, f.chunks)).collect();
        assert_eq!(
            states,
            [(FileState::Damaged, 3, 4), (FileState::Missing, 0, 1), (FileState::OtherLen(20_000), 1, 3)]
        );
        assert!(!found.is_whole());
    }
}

#[test]
fn a_fetch_writes_syncs_renames_and_leaves_nothing_else() {
    let world = three_files();
    let (store, opened) = world.open();
    assert_eq!((opened.durable.count(), opened.resumed), (0, false));
    let chunk = world.chunk(0);
    assert_eq!(store.write_chunk(chunk, &vec![7; 16_384]).unwrap(), Verdict::Corrupt);
    assert!(matches!(store.read(chunk, 0, &mut [0]), Err(StoreError::NotVerified { .. })));
    assert!(!world.at("a.part").exists());
    world.write(&store, 0..4);
    assert!(world.at("a.part").exists() && !world.at("a").exists());
    assert_eq!(store.flush().unwrap().len(), 4);
    assert!(!world.at("a.part").exists() && world.at("a").exists());
    assert!(matches!(store.finish(), Err(StoreError::Unfinished { missing: 1, .. })));
    assert!(matches!(world.try_open(false), Err(StoreError::Busy { .. })));
    assert!(
        find_manifest(world.target.path(), world.manifest().id()).is_some_and(|m| &m == world.manifest())
    );
    world.check_reads(&store);
    world.finish_and_check(&store);
    world.check_reads(&store);
    assert_eq!(fs::metadata(world.at("d/z")).unwrap().blocks(), 0, "zeros take no space");
    assert_eq!(fs::read_dir(world.target.path()).unwrap().count(), 1);
    drop(store);
    let (again, opened) = world.open();
    assert!(opened.durable.is_full());
    again.finish().unwrap();
}

#[test]
fn a_long_file_is_written_right_whatever_of_it_can_pass_the_page_cache_by() {
    let mut data = vec![0; (64 << 20) + 5];
    blake3::Hasher::new().finalize_xof().fill(&mut data);
    let world = world(&[("film.bin", data)]);
    let (store, _) = world.open();
    let chunks = world.manifest().geometry().chunk_count();
    let mut buffer = vec![0; 5 * DIRECT_ALIGN];
    let aligned = buffer.as_ptr().align_offset(DIRECT_ALIGN);
    for index in 0..chunks {
        let data = world.data(world.chunk(index));
        let at = aligned + usize::from(index % 3 == 0);
        buffer[at..][..data.len()].copy_from_slice(&data);
        let written = store.write_chunk(world.chunk(index), &buffer[at..][..data.len()]).unwrap();
        assert_eq!(written, Verdict::Verified);
        if index == chunks / 2 {
            store.flush().unwrap();
        }
    }
    world.check_reads(&store);
    world.finish_and_check(&store);
}

#[test]
fn what_was_flushed_is_there_after_a_kill_and_the_rest_is_fetched_again() {
    let world = three_files();
    let (store, _) = world.open();
    world.write(&store, [0, 2, 5]);
    assert_eq!(store.flush().unwrap().len(), 3);
    world.write(&store, [1]);
    drop(store);
    let (store, opened) = world.open();
    assert_eq!(opened.durable.iter().collect::<Vec<_>>(), [0, 2, 5]);
    assert_eq!((opened.resumed, opened.doubted, opened.hashed_chunks), (true, false, 3));
    world.check_reads(&store);
    world.finish_and_check(&store);
}

#[test]
fn a_part_that_changed_since_is_noticed_and_hashed_whole() {
    let world = three_files();
    let (store, _) = world.open();
    world.write(&store, [0, 1, 2]);
    store.flush().unwrap();
    drop(store);
    fs::File::options().write(true).open(world.at("a.part")).unwrap().write_all_at(b"!!", 17_000).unwrap();
    let (store, opened) = world.open();
    assert!(opened.doubted);
    assert_eq!(opened.durable.iter().collect::<Vec<_>>(), [0, 2]);
    drop(store);
    fs::remove_file(world.at("a.part")).unwrap();
    let (store, opened) = world.open();
    assert!(opened.durable.is_empty());
    world.write(&store, [3]);
    drop(store);
    let (store, opened) = world.open();
    assert!(opened.durable.is_empty(), "claims of a removed file do not come back");
    world.finish_and_check(&store);
}

#[test]
fn no_wrong_claim_of_a_damaged_journal_is_believed() {
    let world = world(&[("a", bytes(1, 50_000))]);
    let (store, _) = world.open();
    world.write(&store, [0]);
    store.flush().unwrap();
    world.write(&store, [2]);
    store.flush().unwrap();
    drop(store);
    let (journal, part) = (fs::read(world.journal()).unwrap(), fs::read(world.at("a.part")).unwrap());
    let check = |damaged: &[u8]| {
        fs::write(world.journal(), damaged).unwrap();
        fs::write(world.at("a.part"), &part).unwrap();
        let (store, opened) = world.open();
        let durable: Vec<u32> = opened.durable.iter().collect();
        assert!(durable.iter().all(|chunk| [0, 2].contains(chunk)), "{durable:?}");
        drop(store);
        let (_, again) = world.open();
        assert_eq!(again.durable, opened.durable, "what was decided is recorded");
        assert!(!again.doubted);
        durable
    };
    assert_eq!(check(&journal), [0, 2]);
    for (at, bit) in (0..journal.len()).flat_map(|at| [(at, 0), (at, at % 8)]) {
        let mut flipped = journal.clone();
        flipped[at] ^= 1 << bit;
        let durable = check(&flipped);
        assert!(durable.contains(&0) || at > journal.len() - 60, "byte {at}");
    }
    for len in 0..journal.len() {
        check(&journal[..len]);
    }
}

#[test]
fn a_torn_record_does_not_harm_the_next() {
    // Long records leave bytes behind the next one that may look like wrong records.
    let long = |shift| [&4001_u32.to_le_bytes()[..], &[0; 4][..shift], &[1, 0, 0, 0].repeat(100)].concat();
    let short = [&[9, 0, 0, 0, 1, 2, 3][..], &[5; 15]].concat();
    for torn in [short, long(0), long(1), long(2), long(3)] {
        let world = world(&[("a", bytes(1, 50_000))]);
        let (store, _) = world.open();
        world.write(&store, [0]);
        store.flush().unwrap();
        let whole = fs::read(world.journal()).unwrap();
        drop(store);
        fs::write(world.journal(), [&whole[..], &torn].concat()).unwrap();
        let (store, opened) = world.open();
        assert_eq!((opened.doubted, opened.durable.count()), (false, 1));
        world.write(&store, [1]);
        store.flush().unwrap();
        drop(store);
        let (_, opened) = world.open();
        assert_eq!((opened.doubted, opened.durable.count()), (false, 2));
    }
}

#[test]
fn files_of_others_are_replaced_only_on_request() {
    for (name, data, survives) in
        [("a", bytes(7, 50_000), true), ("a", b"x".to_vec(), true), ("a.part", bytes(7, 50_000), false)]
    {
        let world = three_files();
        fs::create_dir_all(world.at("")).unwrap();
        fs::write(world.at(name), &data).unwrap();
        assert!(matches!(world.try_open(false), Err(StoreError::TargetExists { .. })), "{name}");
        assert_eq!(fs::read(world.at(name)).unwrap(), data);
        assert!(!world.journal().exists());
        let (store, _) = world.try_open(true).unwrap();
        assert_eq!(fs::read(world.at(name)).is_ok_and(|now| now == data), survives, "{name}");
        drop(store);
        let (store, _) = world.try_open(true).unwrap();
        world.finish_and_check(&store);
    }
}

#[test]
fn a_file_that_is_right_already_and_a_part_without_journal_are_taken_over() {
    let world = three_files();
    fs::create_dir_all(world.at("d")).unwrap();
    fs::write(world.at("d/b"), bytes(2, 16_384)).unwrap();
    let mut half = bytes(1, 50_000);
    half[..16_384].fill(9);
    fs::write(world.at("a.part"), half).unwrap();
    let inode = fs::metadata(world.at("d/b")).unwrap().ino();
    let (store, opened) = world.open();
    assert_eq!(opened.durable.iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    world.finish_and_check(&store);
    assert_eq!(fs::metadata(world.at("d/b")).unwrap().ino(), inode);
}

#[test]
fn links_in_the_way_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    for name in ["a", "a.part", "d"] {
        let world = three_files();
        fs::create_dir_all(world.at("")).unwrap();
        symlink(outside.path().join("x"), world.at(name)).unwrap();
        let refused = world.try_open(true).unwrap_err();
        assert!(matches!(refused, StoreError::Unsafe { .. }), "{name} {refused}");
    }
    let world = three_files();
    let (store, _) = world.open();
    fs::create_dir_all(world.at("")).unwrap();
    symlink(outside.path(), world.at("d")).unwrap();
    let chunk = world.chunk(4);
    assert!(matches!(store.write_chunk(chunk, &world.data(chunk)), Err(StoreError::Unsafe { .. })));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn slices_are_kept_verified_and_never_overwrite_what_is_verified() {
    let world = three_files();
    let (store, _) = world.open();
    let (chunk, data) = (world.chunk(1), world.data(world.chunk(1)));
    assert_eq!(store.verify_kept(chunk).unwrap(), Verdict::Corrupt);
    store.keep_slice(chunk, 0, &data[..9_000]).unwrap();
    assert_eq!(store.verify_kept(chunk).unwrap(), Verdict::Corrupt);
    store.keep_slice(chunk, 9_000, &data[9_000..]).unwrap();
    assert_eq!(store.verify_kept(chunk).unwrap(), Verdict::Verified);
    store.keep_slice(chunk, 0, &[0; 100]).unwrap();
    world.check_reads(&store);
    // Zeros over unverified bytes: the hole must be punched, not assumed.
    store.keep_slice(world.chunk(5), 0, &[1; 500]).unwrap();
    world.finish_and_check(&store);
}

#[test]
fn a_late_slice_loses_the_race_against_a_verified_chunk() {
    let world = world(&[("a", bytes(1, 40 * 16_384))]);
    let (store, _) = world.open();
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| world.write_all(&store));
            threads.spawn(|| {
                for chunk in world.manifest().geometry().chunks() {
                    store.keep_slice(chunk, 100, &[0xee; 16_000]).unwrap();
                }
            });
        }
        threads.spawn(|| (0..20).for_each(|_| drop(store.flush().unwrap())));
    });
    world.check_reads(&store);
    world.finish_and_check(&store);
}

#[test]
fn the_content_may_want_the_temporary_names_itself() {
    let world = world(&[
        ("a", bytes(1, 20_000)),
        ("a.part", bytes(2, 20_000)),
        ("b", bytes(3, 9)),
        ("b.part/x", bytes(4, 9)),
        (&"n".repeat(255), bytes(5, 9)),
    ]);
    let (store, _) = world.open();
    world.write(&store, 0..4);
    store.flush().unwrap();
    world.finish_and_check(&store);
}

#[test]
fn only_what_is_wanted_is_made() {
    let world = world(&[("a", bytes(1, 9)), ("b", bytes(2, 9)), ("e", vec![])]);
    let mut wanted = Bitfield::new(2);
    wanted.insert(1);
    let options =
        TargetOptions { unwanted_empty: [EntryPath::new("c/e").unwrap()].into(), ..TargetOptions::default() };
    let (store, _) =
        TargetStore::open(world.target.path(), world.manifest().clone(), wanted, options, &|_| {}).unwrap();
    let unwanted = world.chunk(0);
    assert!(matches!(store.write_chunk(unwanted, &world.data(unwanted)), Err(StoreError::Unwanted { .. })));
    world.write(&store, [1]);
    store.finish().unwrap();
    assert_eq!(fs::read_dir(world.at("")).unwrap().count(), 1);
}

#[test]
fn a_wrong_sha256_keeps_the_file_from_its_name() {
    let mut file = swarm_core::manifest::File {
        path: EntryPath::new("f").unwrap(),
        len: 5,
        executable: true,
        blake3: *blake3::hash(b"hello").as_bytes(),
        sha256: Some([1; 32]),
        chunk_len_log2: 0,
        chunk_hashes: bytes::Bytes::new(),
    };
    for is_right in [false, true] {
        if is_right {
            file.sha256 = Some(<sha2::Sha256 as sha2::Digest>::digest(b"hello").into());
        }
        let manifest = Manifest::new(vec![file.clone()], vec![]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = TargetStore::open(
            folder.path(),
            manifest.clone(),
            Bitfield::full(1),
            TargetOptions::default(),
            &|_| {},
        )
        .unwrap();
        let chunk = manifest.geometry().chunk(0).unwrap();
        let _ = store.write_chunk(chunk, b"hello").unwrap();
        assert_eq!(matches!(store.flush(), Err(StoreError::Integrity { .. })), !is_right);
        assert_eq!(folder.path().join("f").exists(), is_right);
        if is_right {
            let mode = fs::metadata(folder.path().join("f")).unwrap().mode();
            assert_eq!(mode & 0o100, 0o100);
        }
    }
}

#[test]
fn a_finished_file_that_was_changed_is_not_served() {
    let world = three_files();
    let (store, _) = world.open();
    world.finish_and_check(&store);
    world.check_reads(&store);
    fs::File::options().write(true).open(world.at("a")).unwrap().write_all_at(b"!!", 17_000).unwrap();
    let mut buf = [0; 10];
    assert!(matches!(store.read(world.chunk(1), 0, &mut buf), Err(StoreError::Changed { chunk: 1, .. })));
    world.check_reads(&store);
}

#[test]
fn a_stream_gets_every_byte_once_and_in_order() {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let len = bytes.len().min(1000);
            self.0.lock().unwrap().extend(&bytes[..len]);
            Ok(len)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let world = three_files();
    let sink = Sink::default();
    let file = world.manifest().geometry().file(0).unwrap();
    let store = StreamStore::new(world.manifest().clone(), file, Box::new(sink.clone()));
    world.write(&store, [2, 1]);
    assert_eq!(store.flush().unwrap(), []);
    let data = world.data(world.chunk(0));
    assert_eq!(store.write_chunk(world.chunk(0), &vec![0; data.len()]).unwrap(), Verdict::Corrupt);
    store.keep_slice(world.chunk(0), 100, &data[100..]).unwrap();
    store.keep_slice(world.chunk(0), 0, &data[..100]).unwrap();
    assert_eq!(store.verify_kept(world.chunk(0)).unwrap(), Verdict::Verified);
    assert_eq!(store.flush().unwrap(), [world.chunk(0), world.chunk(1), world.chunk(2)]);
    assert!(matches!(store.finish(), Err(StoreError::Unfinished { missing: 1, .. })));
    world.write(&store, [1, 3]);
    store.finish().unwrap();
    assert_eq!(*sink.0.lock().unwrap(), bytes(1, 50_000));
    assert!(matches!(store.read(world.chunk(0), 0, &mut [0]), Err(StoreError::NotServed)));
    assert!(matches!(store.write_chunk(world.chunk(4), &[0]), Err(StoreError::Unwanted { .. })));
}
