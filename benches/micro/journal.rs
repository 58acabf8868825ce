//! The journal: the cost of recording a chunk, and of reading a journal of many records. The data are small and, if possible,
//! on a file system in memory, so that neither a disk nor hashing is measured.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkHasher, EntryPath, File, Manifest, combine_chunk_values};
use swarm_files::{Store, TargetOptions, TargetStore, Verdict};
use tempfile::TempDir;

#[expect(clippy::disallowed_methods, reason = "it times")]
pub(crate) fn journal(c: &mut Criterion) {
    let (manifest, data) = small_chunks();
    let mut group = c.benchmark_group("journal");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1));
    group.bench_function("flush of one chunk, of 10000", |b| {
        b.iter_custom(|count| {
            let mut time = Duration::ZERO;
            let mut left = count;
            while left > 0 {
                // A chunk is flushed only once, and the last one would complete the file.
                let folder = folder();
                let store = open(folder.path(), &manifest);
                for chunk in (0..CHUNK_COUNT - 1).take(left as usize) {
                    write(&store, &data, chunk);
                    let start = Instant::now();
                    assert_eq!(store.flush().expect("a file system that works").len(), 1);
                    time += start.elapsed();
                    left -= 1;
                }
            }
            time
        });
    });
    group.throughput(Throughput::Elements(u64::from(CHUNK_COUNT)));
    group.bench_function("10000 chunks found again, recorded one by one", |b| {
        let folder = folder();
        let store = open(folder.path(), &manifest);
        // Every second chunk first: this makes as many runs as possible.
        for chunk in (0..CHUNK_COUNT).step_by(2).chain((1..CHUNK_COUNT).step_by(2)) {
            write(&store, &data, chunk);
            store.flush().expect("a file system that works");
        }
        drop(store);
        b.iter(|| open(folder.path(), &manifest));
    });
    group.finish();
}

/// In memory where the system has that.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

fn open(folder: &Path, manifest: &Manifest) -> TargetStore {
    let options = TargetOptions { overwrite: false, unwanted_empty: BTreeSet::new() };
    let wanted = Bitfield::full(manifest.geometry().chunk_count());
    TargetStore::open(folder, manifest.clone(), wanted, options, &|_| {}).expect("a good folder").0
}

fn write(store: &TargetStore, data: &[u8], chunk: u32) {
    let chunk = store.manifest().geometry().chunk(chunk).expect("one of them");
    assert_eq!(store.write_chunk(chunk, data).expect("room"), Verdict::Verified);
}

/// A file whose chunks all have these bytes. Their hashes still differ, because a chunk's hash depends on its place.
fn small_chunks() -> (Manifest, Vec<u8>) {
    let data = vec![7; 1 << CHUNK_LEN_LOG2];
    let len = u64::from(CHUNK_COUNT) << CHUNK_LEN_LOG2;
    let geometry = swarm_core::manifest::Geometry::new([(len, CHUNK_LEN_LOG2)]).expect("one file");
    let value = |index| {
        let span = geometry.span(geometry.chunk(index).expect("one of them"));
        ChunkHasher::hash(&span, &data)
    };
    let values: Vec<_> = (0..CHUNK_COUNT).map(value).collect();
    let file = File {
        path: EntryPath::new("film").expect("a good path"),
        len,
        executable: false,
        blake3: combine_chunk_values(len, CHUNK_LEN_LOG2, &values).expect("as many values as chunks"),
        sha256: None,
        chunk_len_log2: CHUNK_LEN_LOG2,
        chunk_hashes: Bytes::from(values.concat()),
    };
    (Manifest::new(vec![file], Vec::new()).expect("a good manifest"), data)
}

const CHUNK_COUNT: u32 = 10_000;
const CHUNK_LEN_LOG2: u8 = 14;
