//! Contents without names: served from wherever they stand, fetched into a folder of their own, adopted by a replica.

mod adopting;
mod packed;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use swarm_sync::{ContentHash, FileContent, Replica as _, ReplicaError, StageJob, Staged, TreePath};

use super::disk::{Disk, Fate, volatile};
use super::fetch::alone;
use super::watch::{Plan, Tap, Watch};
use super::{bytes, far_future, long_ago};
use crate::dir::Dir;
use crate::fetching::Fetching;
use crate::{
    FetchedSource, FolderOptions, FolderReplica, Gathered, GatheredStore, Places, ServedFolder, StandsAt,
    Store as _, StoreError, Trouble, Verdict,
};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{
    ChunkHasher, ChunkIndex, ContentFile, Geometry, Manifest, content_chunk_len_log2, library_manifest,
};

/// A library: its contents, the places that it knows, and the folder that it fetches into, on one file system.
struct Library {
    home: tempfile::TempDir,
    contents: Vec<Vec<u8>>,
    manifest: Manifest,
    known: Arc<Known>,
}

#[derive(Default)]
struct Known(Mutex<BTreeMap<ContentHash, Vec<StandsAt>>>);

impl Places for Known {
    fn places(&self, hash: &ContentHash, _len: u64) -> Vec<StandsAt> {
        self.0.lock().unwrap().get(hash).cloned().unwrap_or_default()
    }
}

impl Library {
    fn of(contents: &[Vec<u8>]) -> Self {
        let manifest = library_manifest(contents.iter().map(|data| content_file(data))).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("tree")).unwrap();
        Self { home, contents: contents.to_vec(), manifest, known: Arc::default() }
    }

    /// One of one chunk, and one of three.
    fn of_two() -> Self {
        Self::of(&[bytes(1, 70_000), bytes(2, (2 << 20) + 77)])
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn hash(&self, number: usize) -> ContentHash {
        ContentHash::of(&self.contents[number])
    }

    /// Puts a content under a name, and tells the library of it.
    fn stands(&self, number: usize, folder: &str, name: &str) {
        fs::create_dir_all(self.at(folder)).unwrap();
        fs::write(self.at(folder).join(name), &self.contents[number]).unwrap();
        self.knows(number, folder, name);
    }

    fn knows(&self, number: usize, folder: &str, name: &str) {
        let place = StandsAt { folder: Arc::new(ServedFolder::new(self.at(folder))), relative: name.into() };
        self.known.0.lock().unwrap().entry(self.hash(number)).or_default().push(place);
    }

    fn open(&self) -> (GatheredStore, Gathered) {
        self.open_for(&|_| true)
    }

    /// Serves what stands, and fetches nothing.
    fn serve(&self) -> GatheredStore {
        self.open_for(&|_| false).0
    }

    fn open_for(&self, wanted: &dyn Fn(&ContentHash) -> bool) -> (GatheredStore, Gathered) {
        let places = Arc::<Known>::clone(&self.known);
        GatheredStore::open(self.manifest.clone(), wanted, places, &self.at("fetched"), far_future).unwrap()
    }

    fn chunks(&self, number: usize) -> Vec<ChunkIndex> {
        let geometry = self.manifest.geometry();
        let of =
            |chunk: &ChunkIndex| self.manifest.file(geometry.span(*chunk).file).blake3 == self.hash(number).0;
        geometry.chunks().filter(of).collect()
    }

    fn data(&self, number: usize, chunk: ChunkIndex) -> &[u8] {
        let span = self.manifest.geometry().span(chunk);
        &self.contents[number][span.file_offset as usize..][..span.len as usize]
    }

    fn write(&self, store: &GatheredStore, number: usize) {
        for chunk in self.chunks(number) {
            assert_eq!(store.write_chunk(chunk, self.data(number, chunk)).unwrap(), Verdict::Verified);
        }
    }

    /// Reads a whole content, and checks its bytes.
    fn read(&self, store: &GatheredStore, number: usize) -> Result<(), StoreError> {
        for chunk in self.chunks(number) {
            let data = self.data(number, chunk);
            let mut buf = vec![0; data.len()];
            store.read(chunk, 0, &mut buf)?;
            assert!(buf == data, "chunk {} is wrong", chunk.get());
        }
        Ok(())
    }

    /// The names in the folder of the fetch; none if it is gone.
    fn fetched(&self) -> Vec<String> {
        let folder = fs::read_dir(self.at("fetched")).into_iter().flatten().next();
        let Some(folder) = folder else { return Vec::new() };
        let names = fs::read_dir(folder.unwrap().path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What the replica of the library's tree makes of a source.
    fn stage(&self, source: FetchedSource, name: &str, content: FileContent) -> Result<Staged, ReplicaError> {
        self.replica().stage(vec![job(source, name, content)], &|_| {}).remove(0)
    }

    fn replica(&self) -> FolderReplica {
        FolderReplica::open(&self.at("tree"), FolderOptions::default()).unwrap()
    }

    fn content(&self, number: usize) -> FileContent {
        FileContent { len: self.contents[number].len() as u64, hash: self.hash(number), executable: false }
    }

    /// Moves a whole content into the tree, as a node does that adopts it.
    fn adopt(&self, store: &GatheredStore, number: usize, name: &str) -> u64 {
        let replica = self.replica();
        let source = store.source(&self.hash(number), true).unwrap();
        let content = FileContent { executable: true, ..self.content(number) };
        let staged = replica.stage(vec![job(source, name, content)], &|_| {}).remove(0).unwrap();
        let op = super::replica::put_content(name, content, None);
        let done = replica.perform(super::replica::RUN, vec![(op, Some(staged))]).remove(0).unwrap();
        assert_eq!(done.now.unwrap().file(), Some(&content));
        replica.settle().unwrap();
        self.knows(number, "tree", name);
        store.release(&self.hash(number));
        fs::metadata(self.at("tree").join(name)).unwrap().ino()
    }
}

fn job(source: FetchedSource, name: &str, content: FileContent) -> StageJob {
    let path = TreePath::new(name).unwrap();
    StageJob {
        path,
        standing: None,
        content,
        modified_ns: 1_000_000_000_123_456_789,
        source: Box::new(source),
    }
}

fn content_file(data: &[u8]) -> ContentFile {
    let len = data.len() as u64;
    let log2 = content_chunk_len_log2(len);
    let chunk_hashes = if log2 == 0 {
        Vec::new()
    } else {
        let geometry = Geometry::new([(len, log2)]).unwrap();
        let value = |chunk| {
            let span = geometry.span(chunk);
            ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
        };
        geometry.chunks().flat_map(value).collect()
    };
    ContentFile { hash: ContentHash::of(data).0, len, chunk_hashes: chunk_hashes.into() }
}

#[test]
fn what_stands_somewhere_is_served_from_there_and_nothing_is_fetched() {
    let library = Library::of_two();
    library.stands(0, "video/a", "any name.mov");
    library.stands(1, "photos", "other");
    let (store, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (4, 0));
    for number in [0, 1, 0, 1] {
        library.read(&store, number).unwrap();
    }
    assert!(!library.at("fetched").exists());
    let chunk = library.chunks(0)[0];
    let refused = store.write_chunk(chunk, library.data(0, chunk)).unwrap_err();
    assert!(matches!(refused, StoreError::Unwanted { .. }), "{refused}");
    assert_eq!(store.flush().unwrap(), []);
    store.finish().unwrap();
}

#[test]
fn a_whole_file_is_told_at_once_adopted_by_a_rename_and_served_from_its_place_afterwards() {
    let library = Library::of_two();
    let (store, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (0, 4));
    library.write(&store, 0);
    let first = library.chunks(1)[0];
    assert_eq!(store.write_chunk(first, library.data(1, first)).unwrap(), Verdict::Verified);
    assert_eq!(store.take_whole(), [], "nothing is durable yet");
    assert!(store.source(&library.hash(0), true).is_none());
    library.read(&store, 0).unwrap();
    assert_eq!(store.flush().unwrap().len(), 2);
    assert_eq!(store.take_whole(), [library.hash(0)]);
    assert_eq!(store.take_whole(), []);
    library.read(&store, 0).unwrap();
    let name = library.hash(0).to_string();
    let folder = library.at("fetched").join(hex(&library.manifest));
    let inode = fs::metadata(folder.join(&name)).unwrap().ino();

    assert_eq!(library.adopt(&store, 0, "film.mov"), inode, "it was copied");
    assert!(!folder.join(&name).exists());
    library.read(&store, 0).unwrap();

    library.write(&store, 1);
    store.flush().unwrap();
    assert_eq!(store.take_whole(), [library.hash(1)]);
    library.adopt(&store, 1, "clip.mov");
    store.finish().unwrap();
    assert!(!folder.exists(), "{:?}", library.fetched());
    for number in [0, 1] {
        library.read(&store, number).unwrap();
    }
    drop(store);
    let (again, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (4, 0));
    library.read(&again, 1).unwrap();
}

#[test]
fn a_file_that_is_told_as_whole_survives_any_crash() {
    let library = Library::of_two();
    let folder = tempfile::tempdir().unwrap();
    let watch = Watch::new(Plan::Nothing, &Disk::default());
    let dir = Dir::open(folder.path()).unwrap().tapped(Tap::of(&watch));
    let all = Bitfield::full(library.manifest.geometry().chunk_count());
    let open = || Fetching::open_in(dir, folder.path().to_owned(), &library.manifest, all);
    let (fetching, _) = alone(open).unwrap();
    for number in [0, 1] {
        for chunk in library.chunks(number) {
            let verdict = fetching.write_chunk(chunk, library.data(number, chunk)).unwrap();
            assert_eq!(verdict, Verdict::Verified);
        }
        alone(|| fetching.flush()).unwrap();
        assert_eq!(fetching.take_whole().len(), 1);
        // Everything is lost that no sync covers.
        let log = watch.log();
        let lost = volatile(&log);
        let fate = |at| if lost.contains(&at) { Fate::Lost } else { Fate::Kept };
        let crashed = Disk::default().after(&log, &(0..log.len()).map(fate).collect::<Vec<_>>());
        let name = PathBuf::from(library.hash(number).to_string());
        assert!(crashed.read(&name) == Some(&library.contents[number][..]), "{number}");
    }
}

#[test]
fn a_fetch_of_some_files_ends_and_its_folder_goes_with_the_last_one() {
    let library = Library::of(&[bytes(1, 75_000), bytes(2, 76_000), bytes(3, 77_000)]);
    library.stands(0, "photos", "a");
    let other = library.hash(2);
    let (store, gathered) = library.open_for(&|hash| *hash != other);
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (1, 1));
    library.write(&store, 1);
    let chunk = library.chunks(2)[0];
    assert!(matches!(store.write_chunk(chunk, library.data(2, chunk)), Err(StoreError::Unwanted { .. })));
    assert!(matches!(library.read(&store, 2), Err(StoreError::NotVerified { .. })));
    store.finish().unwrap();
    assert_eq!(store.take_whole(), [library.hash(1)]);
    assert_eq!(library.fetched(), [library.hash(1).to_string()], "it waits to be adopted");
    library.read(&store, 1).unwrap();
    store.release(&library.hash(1));
    assert_eq!(fs::read_dir(library.at("fetched")).unwrap().count(), 0);
    store.finish().unwrap();
}

#[test]
fn a_fetch_that_was_killed_goes_on_with_what_is_durable() {
    let library = Library::of_two();
    let (store, _) = library.open();
    library.write(&store, 0);
    let chunks = library.chunks(1);
    assert_eq!(store.write_chunk(chunks[0], library.data(1, chunks[0])).unwrap(), Verdict::Verified);
    store.flush().unwrap();
    // Whole, and not adopted before the kill.
    drop(store);
    let (store, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (2, 4));
    assert_eq!(store.take_whole(), [library.hash(0)]);
    library.read(&store, 0).unwrap();
    library.adopt(&store, 0, "film.mov");
    drop(store);
    // Adopted, and known at its place after the next kill.
    let (store, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (2, 3));
    assert_eq!(store.take_whole(), []);
    library.write(&store, 1);
    store.finish().unwrap();
    assert_eq!(store.take_whole(), [library.hash(1)]);
    library.adopt(&store, 1, "clip.mov");
    assert_eq!(fs::read_dir(library.at("fetched")).unwrap().count(), 0);
    for number in [0, 1] {
        library.read(&store, number).unwrap();
    }
}

#[test]
fn a_file_that_was_taken_and_lost_is_fetched_anew() {
    let library = Library::of_two();
    let (store, _) = library.open();
    library.write(&store, 0);
    store.flush().unwrap();
    drop(store);
    fs::remove_file(library.at("fetched").join(hex(&library.manifest)).join(library.hash(0).to_string()))
        .unwrap();
    let (store, gathered) = library.open();
    assert_eq!((gathered.durable.count(), gathered.wanted.count()), (0, 4));
    library.write(&store, 0);
    library.write(&store, 1);
    store.finish().unwrap();
    assert_eq!(store.take_whole().len(), 2);
}

#[test]
fn what_an_ended_fetch_left_is_removed_when_nothing_is_wanted_of_it() {
    let library = Library::of_two();
    let (store, _) = library.open();
    library.write(&store, 0);
    store.flush().unwrap();
    drop(store);
    library.open_for(&|_| false);
    assert_eq!(fs::read_dir(library.at("fetched")).unwrap().count(), 0);
}

#[test]
fn a_place_whose_bytes_changed_is_never_served_and_the_next_one_is() {
    let library = Library::of_two();
    library.stands(1, "bad", "file");
    library.stands(1, "good", "file");
    let bad = library.at("bad/file");
    let store = library.serve();
    library.read(&store, 1).unwrap();
    // In place, under the handle that the store holds.
    let file = fs::File::options().write(true).open(&bad).unwrap();
    file.write_all_at(b"x", 3).unwrap();
    file.set_modified(long_ago()).unwrap();
    library.read(&store, 1).unwrap();
    library.known.0.lock().unwrap().get_mut(&library.hash(1)).unwrap().pop();
    // The handle of the good copy is held, so a new store is asked.
    let (store, gathered) = library.open_for(&|_| false);
    assert_eq!(gathered.durable.count(), 3, "places are believed until they are read");
    let mut buf = vec![0; 10];
    let chunks = library.chunks(1);
    let refused = store.read(chunks[0], 0, &mut buf).unwrap_err();
    assert!(matches!(refused, StoreError::Changed { chunk: 0, .. }), "{refused}");
    assert_eq!(refused.trouble(), None);
    store.read(chunks[1], 0, &mut buf).unwrap();
}

#[test]
fn a_place_that_is_cut_a_link_or_a_folder_is_passed_over() {
    let library = Library::of_two();
    for (name, spoil) in [("cut", 0), ("link", 1), ("folder", 2), ("gone", 3)] {
        let known = Arc::<Known>::clone(&library.known);
        known.0.lock().unwrap().clear();
        library.stands(1, name, "file");
        library.stands(1, "good", "file");
        let at = library.at(name).join("file");
        let spoiled = match spoil {
            0 => fs::write(&at, b"short"),
            1 => fs::remove_file(&at).and_then(|()| symlink(library.at("good/file"), &at)),
            2 => fs::remove_file(&at).and_then(|()| fs::create_dir(&at)),
            _ => fs::remove_file(&at),
        };
        spoiled.unwrap();
        let store = library.serve();
        library.read(&store, 1).unwrap();
        known.0.lock().unwrap().get_mut(&library.hash(1)).unwrap().pop();
        let store = library.serve();
        let refused = library.read(&store, 1).unwrap_err();
        // A file that is gone may be known under another name soon.
        let trouble = (name == "gone").then_some(Trouble::File);
        assert_eq!(refused.trouble(), trouble, "{name}: {refused}");
    }
}

#[test]
fn a_folder_that_is_away_concerns_its_files_alone_until_it_is_back() {
    let library = Library::of_two();
    library.stands(0, "here", "a");
    library.stands(1, "disk", "b");
    fs::rename(library.at("disk"), library.at("hidden")).unwrap();
    let store = library.serve();
    let away = library.read(&store, 1).unwrap_err();
    assert_eq!(away.trouble(), Some(Trouble::File), "{away}");
    library.read(&store, 0).unwrap();
    fs::rename(library.at("hidden"), library.at("disk")).unwrap();
    library.read(&store, 1).unwrap();
}

#[test]
fn a_content_that_got_another_name_is_served_from_there_once_that_is_known() {
    let library = Library::of_two();
    library.stands(1, "tree", "old");
    let store = library.serve();
    fs::rename(library.at("tree/old"), library.at("tree/new")).unwrap();
    let moved = library.read(&store, 1).unwrap_err();
    assert_eq!(moved.trouble(), Some(Trouble::File), "{moved}");
    library.known.0.lock().unwrap().clear();
    library.knows(1, "tree", "new");
    library.read(&store, 1).unwrap();
    library.known.0.lock().unwrap().clear();
    library.read(&library.serve(), 1).map_err(|error| error.trouble()).expect_err("it stands nowhere");
}

#[test]
fn no_durable_chunk_is_lost_while_files_are_adopted() {
    let contents: Vec<_> = (0..60).map(|seed| bytes(seed, 3000)).collect();
    let library = Library::of(&contents);
    let (store, _) = library.open();
    let durable = AtomicUsize::new(0);
    // What may happen to a chunk that is durable: it is read, or is on its way.
    let read = |number: usize| match library.read(&store, number) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.trouble(), Some(Trouble::File), "{number}: {error}"),
    };
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (durable, read) = (&durable, &read);
            scope.spawn(move || {
                for at in (0..).step_by(7) {
                    let count = durable.load(Ordering::SeqCst);
                    (0..count.min(1)).for_each(|_| read((at + reader) % count));
                    if count == 60 {
                        break;
                    }
                }
            });
        }
        for number in 0..60 {
            library.write(&store, number);
            store.flush().unwrap();
            durable.store(number + 1, Ordering::SeqCst);
            for hash in store.take_whole() {
                assert_eq!(hash, library.hash(number));
                library.adopt(&store, number, &number.to_string());
            }
        }
    });
    store.finish().unwrap();
    (0..60).for_each(|number| library.read(&store, number).unwrap());
}

#[test]
fn known_bytes_are_filled_in_before_the_rest_is_fetched() {
    let library = Library::of_two();
    let (store, _) = library.open();
    let chunks = library.chunks(1);
    for chunk in &chunks[..2] {
        let data = library.data(1, *chunk);
        let (known, rest) = data.split_at(data.len() / 3);
        store.keep_slice(*chunk, 0, known).unwrap();
        assert_eq!(store.verify_kept(*chunk).unwrap(), Verdict::Corrupt);
        store.keep_slice(*chunk, known.len() as u32, rest).unwrap();
        assert_eq!(store.verify_kept(*chunk).unwrap(), Verdict::Verified);
    }
    assert_eq!(store.flush().unwrap(), chunks[..2]);
    drop(store);
    let (store, gathered) = library.open();
    assert_eq!(gathered.durable.count(), 2);
    library.write(&store, 1);
    store.flush().unwrap();
    assert_eq!(store.take_whole(), [library.hash(1)]);
}

fn hex(manifest: &Manifest) -> String {
    data_encoding::HEXLOWER.encode(manifest.id().as_bytes())
}
