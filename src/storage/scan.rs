//! What a folder holds of a content, by hashing it. Reads only; decides nothing about it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::dir::Standing;
use super::hashing::{HashProgress, Meter, hash_chunk};
use super::open_files::OpenFiles;
use super::roots::{OpenRoots, Roots};
use super::{ErrorKind, StoreError};
use crate::base::Bitfield;
use crate::manifest::{ChunkIndex, EntryPath, FileIndex, Manifest};

/// What a scan found.
#[derive(Debug)]
pub struct Scan {
    /// Chunks that are what the manifest says.
    pub good: Bitfield,
    /// Every file of the manifest, in its order.
    pub files: Vec<FileReport>,
    /// Empty folders of the manifest that are not there.
    pub missing_directories: Vec<EntryPath>,
    /// Where the entries were looked for.
    pub roots: Roots,
}

/// What a scan found of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub file: FileIndex,
    /// Where it was looked for.
    pub path: PathBuf,
    /// What is there.
    pub state: FileState,
    /// Its chunks that are good.
    pub good_chunks: u32,
    /// All its chunks.
    pub chunks: u32,
}

/// What is at a file's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// The file, byte for byte.
    Good,
    /// A file of the right length with wrong bytes.
    Damaged,
    /// A file of another length, bytes; some chunks may be good.
    OtherLen(u64),
    /// Nothing.
    Missing,
    /// Something that could not be read: the error, as text.
    Unreadable(String),
}

impl Scan {
    /// Every file and folder of the content is there and right.
    pub fn is_whole(&self) -> bool {
        self.missing_directories.is_empty() && self.files.iter().all(|file| file.state == FileState::Good)
    }
}

/// Hashes what `root` (a folder, or the only file) holds of a content, on all cores. Files that are missing, damaged or
/// unreadable are part of the answer; an error means that `root` itself cannot be looked at.
pub fn scan(
    manifest: &Manifest,
    root: &Path,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Scan, StoreError> {
    let roots = Roots::find(manifest, root)?;
    let open = OpenRoots::new(roots.clone());
    let mut files: Vec<FileReport> = (0..manifest.files().len())
        .filter_map(|index| manifest.geometry().file(index))
        .map(|file| look_at(manifest, &open, file))
        .collect();
    let to_hash: Vec<ChunkIndex> = files
        .iter()
        .filter(|report| report.state == FileState::Damaged || matches!(report.state, FileState::OtherLen(_)))
        .flat_map(|report| manifest.geometry().file_chunks(report.file))
        .collect();
    let held = OpenFiles::default();
    let open_file = |file: FileIndex| held.get(file, || open.open(&manifest.file(file).path));
    let good = good_chunks(manifest, &to_hash, &open_file, progress);
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
    Ok(Scan { good, files, missing_directories, roots })
}

/// Hashes these chunks on all cores; those that cannot be opened or read are not good.
pub(super) fn good_chunks(
    manifest: &Manifest,
    chunks: &[ChunkIndex],
    open: &(dyn Fn(FileIndex) -> Result<Arc<File>, StoreError> + Sync),
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Bitfield {
    let geometry = manifest.geometry();
    let meter = Meter::new(chunks.iter().map(|&chunk| u64::from(geometry.chunk_len(chunk))).sum(), progress);
    let is_good = |&chunk: &ChunkIndex| {
        let span = geometry.span(chunk);
        let hash = open(span.file).ok().and_then(|file| hash_chunk(&file, &span, None).ok());
        meter.add(span.len.into());
        hash == Some(manifest.chunk_hash(chunk))
    };
    let verdicts: Vec<bool> = chunks.par_iter().with_max_len(1).map(is_good).collect();
    let mut good = Bitfield::new(geometry.chunk_count());
    for (chunk, _) in chunks.iter().zip(verdicts).filter(|(_, is_good)| *is_good) {
        good.insert(chunk.get());
    }
    good
}

/// What can be told without reading; a file of the right length counts as damaged until its chunks are hashed.
fn look_at(manifest: &Manifest, open: &OpenRoots, index: FileIndex) -> FileReport {
    let file = manifest.file(index);
    let state = match open.place(&file.path).and_then(|(dir, at)| dir.stat(&at)) {
        Ok(Standing::Nothing) => FileState::Missing,
        Ok(Standing::File { len }) => match open.open(&file.path) {
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
