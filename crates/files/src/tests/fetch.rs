//! One fetch as the node does it, with its reports of durable chunks, and the check that a later fetch continues from any state it left.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::super::dir::Dir;
use super::disk::Disk;
use super::watch::{Tap, Watch};
use super::{World, world};
use crate::{Opened, Store, StoreError, TargetOptions, TargetStore, Verdict};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, Manifest};

/// A content and its bytes.
pub(super) struct Content {
    pub(super) manifest: Manifest,
    files: Vec<Vec<u8>>,
    overwrite: bool,
    /// Files that had the final names before, and may still have them.
    old: Disk,
    _world: World,
}

/// The reports that the caller of a fetch has received.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) durable: BTreeSet<u32>,
    /// The durable chunks when the store was opened, if that succeeded.
    pub(super) opened: Option<BTreeSet<u32>>,
}

/// The state that a resume found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    pub(super) existed: bool,
    pub(super) doubted: bool,
    pub(super) durable_count: u32,
}

impl Content {
    pub(super) fn of(files: &[(&str, Vec<u8>)]) -> Self {
        let world = world(files);
        let manifest = world.manifest().clone();
        let root = world.source.path();
        let files = manifest.files().iter().map(|file| fs::read(root.join(file.path.as_str())).unwrap());
        let files = files.collect();
        Self { manifest, files, overwrite: false, old: Disk::default(), _world: world }
    }

    /// The same content, fetched over existing files.
    pub(super) fn over(self, old: Disk) -> Self {
        Self { overwrite: true, old, ..self }
    }

    pub(super) fn chunk_count(&self) -> u32 {
        self.manifest.geometry().chunk_count()
    }

    fn chunk(&self, index: u32) -> ChunkIndex {
        self.manifest.geometry().chunk(index).unwrap()
    }

    fn data(&self, chunk: ChunkIndex) -> &[u8] {
        let span = self.manifest.geometry().span(chunk);
        &self.files[span.file.get()][span.file_offset as usize..][..span.len as usize]
    }

    fn open(&self, dir: Dir) -> Result<(TargetStore, Opened), StoreError> {
        let options = TargetOptions { overwrite: self.overwrite, ..TargetOptions::default() };
        let wanted = Bitfield::full(self.chunk_count());
        TargetStore::open_in(dir, self.manifest.clone(), wanted, options, &|_| {})
    }

    /// Fetches into a folder, watched, until the content is complete or an operation fails. After a failure it flushes once more,
    /// as the node does; that may succeed.
    pub(super) fn fetch(&self, dir: &Path, watch: &Arc<Watch>, heard: &mut Heard) -> Result<(), StoreError> {
        let dir = Dir::open(dir)?.tapped(Tap::of(watch));
        let (store, opened) = self.open(dir)?;
        heard.durable = opened.durable.iter().collect();
        heard.opened = Some(heard.durable.clone());
        watch.said(&opened.durable.iter().collect::<Vec<_>>());
        let ended = self.fill(&store, &opened, watch, heard);
        if ended.is_err() {
            let _ = flush(&store, watch, heard);
        }
        ended
    }

    /// Three flush windows: most chunks, then one that arrives in slices, then the rest.
    fn fill(
        &self,
        store: &TargetStore,
        opened: &Opened,
        watch: &Watch,
        heard: &mut Heard,
    ) -> Result<(), StoreError> {
        let missing: Vec<u32> =
            (0..self.chunk_count()).filter(|chunk| !opened.durable.contains(*chunk)).collect();
        let (most, rest) = missing.split_at(missing.len() * 2 / 3);
        for chunk in most {
            self.write(store, *chunk)?;
        }
        flush(store, watch, heard)?;
        if let Some((sliced, rest)) = rest.split_first() {
            let (chunk, data) = (self.chunk(*sliced), self.data(self.chunk(*sliced)));
            let middle = data.len() / 2;
            store.keep_slice(chunk, 0, &data[..middle])?;
            store.keep_slice(chunk, middle as u32, &data[middle..])?;
            assert_eq!(store.verify_kept(chunk)?, Verdict::Verified);
            for chunk in &rest[..rest.len() / 2] {
                self.write(store, *chunk)?;
            }
            flush(store, watch, heard)?;
            for chunk in &rest[rest.len() / 2..] {
                self.write(store, *chunk)?;
            }
            flush(store, watch, heard)?;
        }
        store.finish()
    }

    pub(super) fn write(&self, store: &TargetStore, chunk: u32) -> Result<(), StoreError> {
        let chunk = self.chunk(chunk);
        assert_eq!(store.write_chunk(chunk, self.data(chunk))?, Verdict::Verified);
        Ok(())
    }

    /// Reads a verified chunk.
    pub(super) fn check_read(&self, store: &TargetStore, chunk: u32) {
        let chunk = self.chunk(chunk);
        let mut read = vec![0; self.data(chunk).len()];
        store.read(chunk, 0, &mut read).unwrap();
        assert!(read == self.data(chunk), "chunk {} is wrong", chunk.get());
    }

    /// Runs the same fetch again on a healthy disk: it believes no wrong chunk, loses no promised one, and completes the content.
    /// A panic here is a finding.
    pub(super) fn check_resume(&self, dir: &Path, promised: &BTreeSet<u32>) -> Resumed {
        let left = Disk::of(dir);
        self.check_final_names(&left);
        let (store, opened) = self.open(Dir::open(dir).unwrap()).unwrap();
        let now = Disk::of(dir);
        for chunk in opened.durable.iter() {
            assert!(self.is_right(&now, self.chunk(chunk)), "chunk {chunk} is believed and wrong");
        }
        let lost: Vec<&u32> = promised.iter().filter(|chunk| !opened.durable.contains(**chunk)).collect();
        assert!(lost.is_empty(), "promised to be durable and lost: {lost:?}");
        for chunk in (0..self.chunk_count()).filter(|chunk| !opened.durable.contains(*chunk)) {
            self.write(&store, chunk).unwrap();
        }
        store.finish().unwrap();
        self.check_complete(dir);
        Resumed { existed: opened.resumed, doubted: opened.doubted, durable_count: opened.durable.count() }
    }

    /// Checks that every file is there and right, and that there are no others.
    pub(super) fn check_complete(&self, dir: &Path) {
        let disk = Disk::of(dir);
        for (file, bytes) in self.manifest.files().iter().zip(&self.files) {
            let path = Path::new(file.path.as_str());
            assert!(disk.read(path) == Some(bytes), "{} is not the content's", file.path);
            let mode = fs::metadata(dir.join(path)).unwrap().mode();
            assert_eq!(mode & 0o100 != 0, file.executable, "{}", file.path);
        }
        assert_eq!(disk.names.len(), self.files.len(), "{:?}", disk.names);
        for folder in self.manifest.empty_directories() {
            assert!(dir.join(folder.as_str()).is_dir(), "{folder}");
        }
    }

    /// Checks that a final name shows nothing, the old file, or the complete new one.
    fn check_final_names(&self, disk: &Disk) {
        for (file, bytes) in self.manifest.files().iter().zip(&self.files) {
            let path = Path::new(file.path.as_str());
            let shown = disk.read(path);
            let is_fine = shown.is_none() || shown == Some(bytes) || shown == self.old.read(path);
            assert!(is_fine, "{} shows something else", file.path);
        }
    }

    fn is_right(&self, disk: &Disk, chunk: ChunkIndex) -> bool {
        let span = self.manifest.geometry().span(chunk);
        let name = self.manifest.file(span.file).path.as_str();
        let holds = |name: &str| {
            let bytes = disk.read(Path::new(name)).and_then(|bytes| bytes.get(span.file_offset as usize..));
            bytes.and_then(|bytes| bytes.get(..span.len as usize)) == Some(self.data(chunk))
        };
        holds(name) || holds(&format!("{name}.part"))
    }
}

fn flush(store: &TargetStore, watch: &Watch, heard: &mut Heard) -> Result<(), StoreError> {
    let chunks: Vec<u32> = store.flush()?.iter().map(|chunk| chunk.get()).collect();
    heard.durable.extend(&chunks);
    watch.said(&chunks);
    Ok(())
}

/// A folder in memory if the system has one: thousands are created, and their syncs need not wait.
pub(super) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

/// Runs `work` on each item on all cores. Each thread has one worker for the parallel parts of the store, so that the operations
/// of a fetch have one order.
pub(super) fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                alone(|| {
                    while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                    {
                        work(item);
                    }
                })
            });
        }
    });
}

/// Runs `work` with one worker for the parallel parts of the store.
pub(super) fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}
