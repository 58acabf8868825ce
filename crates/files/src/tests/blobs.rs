//! A sealed content of a library on its way: from the plain files of a member, over a mirror that cannot read it, to another member.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{bytes, far_future};
use crate::{BlobFolder, GatheredStore, Places, ServedFolder, StandsAt, Store, Verdict};
use swarm_core::manifest::{
    ContentKey, FileSealer, Manifest, SealedFile, content_name, sealed_library_manifest,
};
use swarm_sync::{ContentHash, ContentSource as _};

/// Files of a folder that are named by their hashes.
struct Named(PathBuf);

impl Places for Named {
    fn places(&self, hash: &ContentHash, _len: u64) -> Vec<StandsAt> {
        let name = content_name(&hash.0);
        let is_there = self.0.join(&name).exists();
        let folder = Arc::new(ServedFolder::new(&self.0));
        is_there.then(|| StandsAt { folder, relative: name.into() }).into_iter().collect()
    }
}

fn key() -> ContentKey {
    ContentKey::from_bytes([7; 32])
}

fn contents() -> [Vec<u8>; 2] {
    [bytes(1, 5000), bytes(2, (2 << 20) + 77)]
}

/// The sealed content, as who has no key sees it.
fn shut() -> Manifest {
    let sealed = contents().map(|data| {
        let hash = *blake3::hash(&data).as_bytes();
        let sealer = FileSealer::new(&key(), &hash, data.len() as u64).expect("a file");
        let seal = |chunk| {
            let span = sealer.geometry().span(chunk);
            sealer.seal(chunk, &mut data[span.file_offset as usize..][..span.len as usize].to_vec())
        };
        SealedFile { hash, len: data.len() as u64, chunks: sealer.geometry().chunks().map(seal).collect() }
    });
    let made = sealed_library_manifest(sealed, &key()).expect("good files");
    Manifest::decode(made.body().clone()).expect("our own")
}

fn open(manifest: Manifest, places: Arc<dyn Places>, fetched: &Path) -> GatheredStore {
    GatheredStore::open(manifest, &|_| true, places, fetched, far_future).expect("opened").0
}

/// Copies every chunk; those that come whole are told afterwards.
fn copy(from: &GatheredStore, to: &GatheredStore) -> Vec<ContentHash> {
    let geometry = to.manifest().geometry().clone();
    for chunk in geometry.chunks() {
        let mut data = vec![0; geometry.chunk_len(chunk) as usize];
        from.read(chunk, 0, &mut data).expect("it is there");
        assert_eq!(to.write_chunk(chunk, &data).expect("written"), Verdict::Verified);
    }
    to.flush().expect("durable");
    to.finish().expect("all is there");
    to.take_whole()
}

fn holds(folder: &Path, part: &[u8]) -> bool {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let mut files = files.filter(|entry| entry.file_type().is_file());
    files.any(|entry| {
        let bytes = fs::read(entry.path()).expect("a file");
        bytes.windows(part.len()).any(|window| window == part)
            || entry.path().to_string_lossy().as_bytes().windows(part.len()).any(|window| window == part)
    })
}

#[test]
fn a_mirror_keeps_and_serves_what_members_seal_and_open() {
    let home = tempfile::tempdir().expect("a folder");
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("plain")).expect("made");
    for data in contents() {
        let hash = *blake3::hash(&data).as_bytes();
        fs::write(at("plain").join(content_name(&hash)), &data).expect("written");
    }
    let opened = shut().opened(&key()).expect("the key");
    let member = open(opened.clone(), Arc::new(Named(at("plain"))), &at("unused"));
    let blobs = Arc::new(BlobFolder::open(&at("mirror")).expect("made"));
    let places = || Arc::clone(&blobs) as Arc<dyn Places>;
    let mirror = open(shut(), places(), &blobs.incoming());
    for hash in copy(&member, &mirror) {
        assert!(!blobs.has(&hash));
        blobs.keep(&mirror, &hash).expect("kept");
        assert!(blobs.has(&hash));
    }
    for data in contents() {
        let hash = *blake3::hash(&data).as_bytes();
        for part in [&data[..40], &hash, content_name(&hash).as_bytes()] {
            assert!(!holds(&at("mirror"), part));
        }
    }
    // It is served from the place where it is kept, also by the next process.
    drop(mirror);
    let mirror = open(shut(), places(), &blobs.incoming());
    let other = open(opened, Arc::new(Named(at("nothing"))), &at("other"));
    let mut whole = copy(&mirror, &other);
    whole.sort_unstable();
    let mut expected = contents().map(|data| ContentHash::of(&data));
    expected.sort_unstable();
    assert_eq!(whole, expected);
    for data in contents() {
        let mut source = other.source(&ContentHash::of(&data), true).expect("it is whole");
        let mut read = vec![0; data.len()];
        let mut filled = 0;
        while filled < read.len() {
            let len = source.read_at(filled as u64, &mut read[filled..]).expect("read");
            assert!(len > 0);
            filled += len;
        }
        assert!(read == data);
    }
}

#[test]
fn what_a_mirror_has_of_another_content_is_not_fetched_again() {
    let home = tempfile::tempdir().expect("a folder");
    let blobs = Arc::new(BlobFolder::open(&home.path().join("mirror")).expect("made"));
    let manifest = shut();
    let [first, second] = [0, 1].map(|at| ContentHash(manifest.files()[at].blake3));
    let place = home.path().join("mirror").join(&content_name(&first.0)[..2]);
    fs::create_dir_all(&place).expect("made");
    fs::write(place.join(content_name(&first.0)), b"as if it were that").expect("written");
    assert!(blobs.has(&first) && !blobs.has(&second));
    let places = Arc::clone(&blobs) as Arc<dyn Places>;
    let opened = GatheredStore::open(manifest.clone(), &|_| true, places, &blobs.incoming(), far_future);
    let (_, gathered) = opened.expect("opened");
    let file = |at| manifest.geometry().file(at).expect("a file");
    let chunks = |at| manifest.geometry().file_chunk_range(file(at));
    assert!(chunks(0).all(|chunk| gathered.durable.contains(chunk)));
    assert!(chunks(1).all(|chunk| gathered.wanted.contains(chunk)));
}
