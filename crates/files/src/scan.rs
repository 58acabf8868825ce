//! Finds which chunks of a content a folder holds, by hashing its files or from an earlier scan of unchanged ones. Reads
//! only; the caller decides what follows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;

use super::cache::{CacheKey, Cached, IndexCache};
use super::dir::Standing;
use super::file::File;
use super::hashing::{HashProgress, Meter, Stamp, hash_as_sent};
use super::index::IndexOptions;
use super::open_files::OpenFiles;
use super::roots::{OpenRoots, Roots};
use super::{ErrorKind, StoreError};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, EntryPath, FileIndex, Manifest};

/// The result of a scan.
#[derive(Debug)]
pub struct Scan {
    /// Chunks that match the manifest.
    pub good: Bitfield,
    /// Every file of the manifest, in its order.
    pub files: Vec<FileReport>,
    /// Empty folders of the manifest that are missing.
    pub missing_directories: Vec<EntryPath>,
    /// The places where the entries were searched.
    pub roots: Roots,
    /// Number of files that were not read, because they are unchanged since an earlier scan.
    pub reused_files: usize,
}

/// The result for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub file: FileIndex,
    /// The path where it was searched.
    pub path: PathBuf,
    /// The state of the file.
    pub state: FileState,
    /// Number of its chunks that are good.
    pub good_chunks: u32,
    /// Number of all its chunks.
    pub chunks: u32,
}

/// The state of a file on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Every byte is right.
    Good,
    /// A file of the right length with wrong bytes.
    Damaged,
    /// A file of another length, in bytes; some chunks may be good.
    OtherLen(u64),
    /// There is no file.
    Missing,
    /// The file could not be read: the error, as text.
    Unreadable(String),
}

impl Scan {
    /// Whether every file and folder of the content is there and right.
    pub fn is_whole(&self) -> bool {
        self.missing_directories.is_empty() && self.files.iter().all(|file| file.state == FileState::Good)
    }
}

/// Hashes the files of a content below `root` (a folder, or the only file), on all cores. Missing, damaged or
/// unreadable files are part of the result; an error means that `root` itself cannot be read.
pub fn scan(
    manifest: &Manifest,
    root: &Path,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Scan, StoreError> {
    scan_with(manifest, root, None, progress)
}

/// As [`scan`], but files with the stamps of an earlier scan of this content are not read again.
pub fn scan_remembering(
    manifest: &Manifest,
    root: &Path,
    cache: &IndexCache,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Scan, StoreError> {
    scan_with(manifest, root, Some(cache), progress)
}

fn scan_with(
    manifest: &Manifest,
    root: &Path,
    cache: Option<&IndexCache>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Scan, StoreError> {
    let roots = Roots::find(manifest, root)?;
    let open = OpenRoots::new(roots.clone());
    let mut files: Vec<FileReport> = (0..manifest.files().len())
        .filter_map(|index| manifest.geometry().file(index))
        .map(|file| look_at(manifest, &open, file))
        .collect();
    let memory = cache.map(|cache| Memory::load(cache, manifest, root, &open, &files)).transpose()?;
    let is_known = |file: FileIndex| memory.as_ref().is_some_and(|memory| memory.known.contains_key(&file));
    let to_hash: Vec<ChunkIndex> = files
        .iter()
        .filter(|report| !is_known(report.file))
        .filter(|report| report.state == FileState::Damaged || matches!(report.state, FileState::OtherLen(_)))
        .flat_map(|report| manifest.geometry().file_chunks(report.file))
        .collect();
    let held = OpenFiles::default();
    let open_file = |file: FileIndex| Ok(held.get(file, || open.open(&manifest.file(file).path)).ok());
    let mut good = good_chunks(manifest, &to_hash, &open_file, progress)?;
    if let Some(memory) = &memory {
        memory.recall(manifest, &mut good);
        memory.store(manifest, &open, &good);
    }
    let reused_files = memory.map_or(0, |memory| memory.known.len());
    for report in &mut files {
        let range = manifest.geometry().file_chunk_range(report.file);
        report.good_chunks = range.filter(|&chunk| good.contains(chunk)).count() as u32;
        if report.state == FileState::Damaged && report.good_chunks == report.chunks {
            report.state = FileState::Good;
        }
    }
    let is_missing = |entry: &&EntryPath| {
        !open.place(entry).and_then(|(dir, at)| dir.stat(&at)).is_ok_and(|at| at == Standing::Directory)
    };
    let missing_directories = manifest.empty_directories().iter().filter(is_missing).cloned().collect();
    Ok(Scan { good, files, missing_directories, roots, reused_files })
}

/// The results of an earlier scan, and the present stamps.
struct Memory<'a> {
    cache: &'a IndexCache,
    /// The content and place as a key of the cache.
    key: PathBuf,
    stamps: BTreeMap<FileIndex, Stamp>,
    /// A byte for each chunk of an unchanged file: 1 if it is good.
    known: BTreeMap<FileIndex, Bytes>,
}

impl<'a> Memory<'a> {
    fn load(
        cache: &'a IndexCache,
        manifest: &Manifest,
        root: &Path,
        open: &OpenRoots,
        files: &[FileReport],
    ) -> Result<Self, StoreError> {
        let whole = std::path::absolute(root).map_err(StoreError::disk(root, "find"))?;
        let key = whole.join(manifest.id().to_string());
        let mut remembered = cache.load(&key, IndexOptions::default());
        let (mut stamps, mut known) = (BTreeMap::new(), BTreeMap::new());
        for report in files.iter().filter(|report| report.chunks > 0) {
            let Some(stamp) = stamp(manifest, open, report.file) else { continue };
            stamps.insert(report.file, stamp);
            let entry = manifest.file(report.file).path.as_str().to_owned();
            let cached = remembered.remove(&CacheKey { entry, stamp });
            let fits = |cached: &Cached| {
                cached.blake3 == manifest.file(report.file).blake3
                    && cached.chunk_hashes.len() == report.chunks as usize
            };
            if let Some(cached) = cached.filter(fits) {
                known.insert(report.file, cached.chunk_hashes);
            }
        }
        Ok(Self { cache, key, stamps, known })
    }

    fn recall(&self, manifest: &Manifest, good: &mut Bitfield) {
        for (file, verdicts) in &self.known {
            let chunks = manifest.geometry().file_chunk_range(*file).zip(verdicts);
            for (chunk, _) in chunks.filter(|(_, verdict)| **verdict == 1) {
                good.insert(chunk);
            }
        }
    }

    /// Caches the result of every file that no process wrote to meanwhile.
    fn store(&self, manifest: &Manifest, open: &OpenRoots, good: &Bitfield) {
        let verdicts = |file: FileIndex| {
            let range = manifest.geometry().file_chunk_range(file);
            range.map(|chunk| u8::from(good.contains(chunk))).collect::<Vec<u8>>().into()
        };
        let is_still = |(file, stamp_then): &(&FileIndex, &Stamp)| {
            stamp(manifest, open, **file).as_ref() == Some(*stamp_then)
        };
        let lines: Vec<(CacheKey, Cached)> = self
            .stamps
            .iter()
            .filter(is_still)
            .map(|(file, stamp)| {
                let entry = manifest.file(*file);
                let key = CacheKey { entry: entry.path.as_str().to_owned(), stamp: *stamp };
                let chunk_hashes = verdicts(*file);
                let (blake3, chunk_len_log2) = (entry.blake3, entry.chunk_len_log2);
                (key, Cached { blake3, sha256: None, chunk_len_log2, chunk_hashes })
            })
            .collect();
        let lines = lines.iter().map(|(key, cached)| (key.clone(), cached));
        self.cache.store(&self.key, IndexOptions::default(), lines);
    }
}

fn stamp(manifest: &Manifest, open: &OpenRoots, file: FileIndex) -> Option<Stamp> {
    let opened = open.open(&manifest.file(file).path).ok()?;
    Stamp::of(&opened).ok()
}

/// Hashes these chunks on all cores; chunks that cannot be read, or whose file `open` does not give, are not good.
pub(super) fn good_chunks(
    manifest: &Manifest,
    chunks: &[ChunkIndex],
    open: &(dyn Fn(FileIndex) -> Result<Option<Arc<File>>, StoreError> + Sync),
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Bitfield, StoreError> {
    let geometry = manifest.geometry();
    let meter = Meter::new(chunks.iter().map(|&chunk| u64::from(geometry.chunk_len(chunk))).sum(), progress);
    let is_good = |&chunk: &ChunkIndex| {
        let span = geometry.span(chunk);
        let hash = open(span.file)?.and_then(|file| hash_as_sent(manifest, chunk, &file, None).ok());
        meter.add(span.len.into());
        Ok(hash == Some(manifest.chunk_hash(chunk)))
    };
    let verdicts: Vec<bool> =
        chunks.par_iter().with_max_len(1).map(is_good).collect::<Result<_, StoreError>>()?;
    let mut good = Bitfield::new(geometry.chunk_count());
    for (chunk, _) in chunks.iter().zip(verdicts).filter(|(_, is_good)| *is_good) {
        good.insert(chunk.get());
    }
    Ok(good)
}

/// The state as far as it shows without reading; a file of the right length counts as damaged until its chunks are hashed.
fn look_at(manifest: &Manifest, open: &OpenRoots, index: FileIndex) -> FileReport {
    let file = manifest.file(index);
    let state = match open.place(&file.path).and_then(|(dir, at)| dir.stat(&at)) {
        Ok(Standing::Nothing) => FileState::Missing,
        Ok(Standing::File { len, .. }) => match open.open(&file.path) {
            Ok(_) if len != file.len => FileState::OtherLen(len),
            Ok(_) => FileState::Damaged,
            Err(error) => FileState::Unreadable(error.to_string()),
        },
        Ok(Standing::Directory) => FileState::Unreadable("it is a folder".to_owned()),
        Ok(Standing::Symlink) => FileState::Unreadable("it is a symbolic link".to_owned()),
        Ok(Standing::Special) => FileState::Unreadable("it is not a regular file".to_owned()),
        Err(error) if error.kind() == ErrorKind::Missing => FileState::Missing,
        Err(error) => FileState::Unreadable(error.to_string()),
    };
    let chunks = manifest.geometry().file_chunk_range(index).len() as u32;
    FileReport { file: index, path: open.roots().path(&file.path), state, good_chunks: 0, chunks }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::index;

    #[test]
    fn unchanged_files_are_not_read_again_and_what_was_bad_stays_bad() {
        let (source, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (source.path().join("c/one"), source.path().join("c/two"));
        std::fs::create_dir(source.path().join("c")).unwrap();
        std::fs::write(&one, [1; 5000]).unwrap();
        std::fs::write(&two, [2; 5000]).unwrap();
        let root = source.path().join("c");
        let options = IndexOptions::default();
        let manifest = index(std::slice::from_ref(&root), &options, None, &|_| {}).unwrap().manifest;
        let check = |now: u64, reused_files: usize, good: [bool; 2]| {
            let cache = IndexCache::new(state.path(), UNIX_EPOCH + Duration::from_secs(now));
            let found = scan_remembering(&manifest, &root, &cache, &|_| {}).unwrap();
            let states = found.files.iter().map(|report| report.state == FileState::Good);
            assert_eq!((found.reused_files, states.collect::<Vec<_>>()), (reused_files, good.to_vec()));
        };
        // At a time long past every file is young: a further change might not show.
        check(1, 0, [true, true]);
        check(1 << 33, 0, [true, true]);
        check(1 << 33, 2, [true, true]);
        std::fs::write(&two, [3; 5000]).unwrap();
        check(1 << 33, 1, [true, false]);
        check(1 << 33, 2, [true, false]);
        std::fs::remove_file(&one).unwrap();
        check(1 << 33, 1, [false, false]);
    }
}
