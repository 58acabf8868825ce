//! What a replica tells of contents beside their BLAKE3.

use std::any::Any;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use swarm_core::manifest::{ContentFile, library_manifest};
use swarm_sync::{Blind, BlindWhy, ContentSource, FileContent, Replica as _, ReplicaError};

use super::super::watch::{Plan, Tap, Watch};
use super::{Side, path};
use crate::dir::Dir;
use crate::tap::Op;
use crate::{Digest, Digests, FolderOptions, FolderReplica, IndexOptions, digest_of_source, index};

#[derive(Default)]
struct Heard(Mutex<Vec<(FileContent, Digest)>>);

impl Digests for Heard {
    fn note(&self, content: &FileContent, digest: Digest) {
        self.0.lock().unwrap().push((*content, digest));
    }
}

fn listening(folder: &Path) -> (FolderReplica, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let options = FolderOptions { digests: Some(Arc::<Heard>::clone(&heard)), ..FolderOptions::default() };
    (FolderReplica::open(folder, options).unwrap(), heard)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 3 + at / 70_000) as u8).collect()
}

#[test]
fn a_content_that_is_read_whole_is_told_with_its_sha256_and_chunk_hashes() {
    for len in [0, 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 5, (16 << 20) + 1, 20 << 20, (41 << 20) + 3] {
        let mut side = Side::new();
        let data = bytes(len);
        fs::write(side.path().join("file"), &data).unwrap();
        let (replica, heard) = listening(side.path());
        let found = side.found("file");
        let hashed = replica.hash(vec![found]).remove(0).unwrap().1;
        let content = *hashed.file().unwrap();
        let told = heard.0.lock().unwrap().clone();
        let [(told_content, digest)] = &told[..] else { panic!("{len}: {told:?}") };
        assert_eq!((told_content, content.hash.0), (&content, *blake3::hash(&data).as_bytes()), "{len}");
        assert_eq!(digest.sha256, <[u8; 32]>::from(Sha256::digest(&data)), "{len}");
        check_chunks(side.path(), &content, digest);
        assert_eq!(replica.digest_of(&path("file")).unwrap(), (content, digest.clone()), "{len}");
    }
}

struct Held(Vec<u8>);

impl ContentSource for Held {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let rest = &self.0[offset as usize..];
        let len = rest.len().min(buf.len()).min(100_000);
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

#[test]
fn a_source_that_is_read_whole_gives_the_same_digest_as_a_file() {
    for len in [1, 1 << 20, (1 << 20) + 1, (3 << 20) + 77] {
        let side = Side::new();
        let data = bytes(len);
        fs::write(side.path().join("file"), &data).unwrap();
        let (content, digest) = listening(side.path()).0.digest_of(&path("file")).unwrap();
        let of_source = |data: Vec<u8>| digest_of_source(&mut Held(data), &path("file"), &content);
        assert_eq!(of_source(data.clone()).unwrap(), digest, "{len}");
        assert!(of_source(vec![7; len]).is_err() && of_source(data[1..].to_vec()).is_err(), "{len}");
    }
}

/// The chunk hashes are those that indexing the file alone gives, so they make a manifest.
fn check_chunks(folder: &Path, content: &FileContent, digest: &Digest) {
    let options = IndexOptions { chunk_len_log2: None, sha256: false, skip_unportable: false };
    let indexed = index(&[folder.join("file")], &options, None, &|_| {}).unwrap().manifest;
    assert_eq!(indexed.files()[0].chunk_hashes, digest.chunk_hashes);
    let file = ContentFile {
        hash: content.hash.0,
        len: content.len,
        chunk_hashes: digest.chunk_hashes.clone().into(),
    };
    let carried = library_manifest([file]).unwrap();
    assert_eq!(carried.geometry().chunk_count(), indexed.geometry().chunk_count());
}

#[test]
fn nothing_is_told_of_a_file_that_cannot_be_read() {
    let mut side = Side::of(&[("file", "text")]);
    let found = side.found("file");
    let heard = Arc::new(Heard::default());
    let plan = Plan::FailKind { kind: |op| matches!(op, Op::Read), errno: Errno::IO };
    let watch = Watch::new(plan, &super::super::disk::Disk::of(side.path()));
    let dir = Dir::open(side.path()).unwrap().tapped(Tap::of(&watch));
    let options = FolderOptions { digests: Some(Arc::<Heard>::clone(&heard)), ..FolderOptions::default() };
    let replica = FolderReplica::over(dir, options).unwrap();
    let hashed = replica.hash(vec![found]);
    let unreadable = |blind: &Blind| matches!(blind.why, BlindWhy::Unreadable(_));
    assert!(hashed[0].as_ref().is_err_and(unreadable), "{hashed:?}");
    assert_eq!(heard.0.lock().unwrap().len(), 0);
}

#[test]
fn a_long_read_that_is_stopped_ends_and_tells_nothing() {
    let mut side = Side::new();
    // Longer than all that may wait for the thread that hashes in order.
    fs::File::create(side.path().join("file")).unwrap().set_len(512 << 20).unwrap();
    let found = side.found("file");
    let heard = Arc::new(Heard::default());
    let options = FolderOptions { digests: Some(Arc::<Heard>::clone(&heard)), ..FolderOptions::default() };
    let stop = Arc::clone(&options.stop);
    let replica = FolderReplica::open(side.path(), options).unwrap();
    let hashed = std::thread::scope(|scope| {
        let hashing = scope.spawn(|| replica.hash(vec![found]));
        std::thread::yield_now();
        stop.store(true, Ordering::Relaxed);
        hashing.join().unwrap()
    });
    assert!(hashed[0].is_err(), "{hashed:?}");
    assert_eq!(heard.0.lock().unwrap().len(), 0);
}
