//! Makes a manifest of files on disk; hashes on all cores. Invariant: there is a manifest only if no file changed while it
//! was hashed. Memory is bounded by one read buffer for each thread, and the hashes themselves.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::cache::{CacheKey, Cached, IndexCache};
use super::hashing::{HashProgress, Meter, Stamp, each_piece, hash_chunk};
use super::portable::{UnusableNames, WindowsNames, settle};
use super::roots::{OpenRoots, Roots};
use super::walk::{Found, Skipped, Walked, walk};
use swarm_core::base::limits::{CHUNK_LEN_LOG2_MAX, CHUNK_LEN_LOG2_MIN};
use swarm_core::base::{Category, Shown};
use swarm_core::manifest::{
    ChunkSpan, File, Geometry, Hash, Manifest, ManifestError, auto_chunk_len_log2, combine_chunk_values,
};

/// Options of indexing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// Chunk length as a power of two; `None` chooses it by the length of each file.
    pub chunk_len_log2: Option<u8>,
    /// Whether SHA-256 is computed besides BLAKE3.
    pub sha256: bool,
    /// Whether names that no content can have are left out, rather than refused.
    pub skip_unportable: bool,
}

/// The result of indexing.
#[derive(Debug)]
pub struct Index {
    /// The content.
    pub manifest: Manifest,
    /// The places of its entries on disk.
    pub roots: Roots,
    /// Entries left out, in walking order.
    pub skipped: Vec<Skipped>,
    /// Names in the content that Windows cannot store.
    pub windows_names: WindowsNames,
    /// Number of files with hashes from the cache.
    pub reused_files: usize,
}

/// Why files could not be indexed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The system refused an operation.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// A given path is a symbolic link.
    #[error("`{}` is a symbolic link: name the file or folder it points to", Shown(path))]
    Symlink {
        /// The path.
        path: PathBuf,
    },
    /// A given path is a device, socket or pipe.
    #[error("`{}` is not a file or folder: name one", Shown(path))]
    Special {
        /// The path.
        path: PathBuf,
    },
    /// A file whose length is not the number of its bytes, as in /proc and /sys.
    #[error("`{}` does not hold as many bytes as it says: copy it to a file and seed that", Shown(path))]
    NoLength {
        /// The file.
        path: PathBuf,
    },
    /// A given path has no last component, so the content would have no name.
    #[error("`{}` has no name: name a folder below it", Shown(path))]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// Two given paths have the same name.
    #[error("`{}` is the second path named `{name}`: rename one of them or seed them apart", Shown(path))]
    SameName {
        /// The second of them.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// Names that no content can have.
    #[error("{0}")]
    Unusable(UnusableNames),
    /// A file was written to while it was hashed.
    #[error("`{}` changed while it was hashed: try again when nothing writes to it", Shown(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A chunk length outside the limits.
    #[error(
        "chunk length 2^{0} is not between 2^{CHUNK_LEN_LOG2_MIN} and 2^{CHUNK_LEN_LOG2_MAX}: take one that is"
    )]
    ChunkLen(u8),
    /// The found entries do not make a valid manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file could not be opened.
    #[error(transparent)]
    Store(#[from] super::StoreError),
}

impl IndexError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Disk { source, .. } => Category::of_io(source.kind()),
            Self::Changed { .. } => Category::Integrity,
            Self::Store(error) => error.category(),
            Self::Symlink { .. }
            | Self::Special { .. }
            | Self::NoLength { .. }
            | Self::NoName { .. }
            | Self::SameName { .. }
            | Self::Unusable(_)
            | Self::ChunkLen(_)
            | Self::Manifest(_) => Category::Usage,
        }
    }
}

impl IndexError {
    pub(super) fn disk(path: &Path, op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { path: path.to_owned(), op, source }
    }

    pub(super) fn from_walk(root: &Path, error: walkdir::Error) -> Self {
        let path = error.path().unwrap_or(root).to_owned();
        let source = error.into_io_error().unwrap_or_else(|| io::Error::other("the folder holds itself"));
        Self::Disk { path, op: "walk", source }
    }
}

/// Makes a manifest of files and folders. A file becomes an entry with its name, a folder entries `name/...`. Blocks until all
/// is hashed; `progress` is called from hashing threads, about every 16 MiB.
pub fn index(
    paths: &[PathBuf],
    options: &IndexOptions,
    cache: Option<&IndexCache>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Index, IndexError> {
    index_without(paths, &[], options, cache, progress)
}

/// As [`index`], without the files `left_out` where a folder holds them: the file that the manifest is written to is no part of it.
pub fn index_without(
    paths: &[PathBuf],
    left_out: &[PathBuf],
    options: &IndexOptions,
    cache: Option<&IndexCache>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Index, IndexError> {
    if let Some(log2) =
        options.chunk_len_log2.filter(|log2| !(CHUNK_LEN_LOG2_MIN..=CHUNK_LEN_LOG2_MAX).contains(log2))
    {
        return Err(IndexError::ChunkLen(log2));
    }
    let mut walked = walk(paths, left_out)?;
    // Checked before hashing, which may take hours.
    settle(&mut walked, options.skip_unportable)?;
    let entries = walked.files.iter().map(|found| &found.entry).chain(&walked.empty_directories);
    let windows_names = WindowsNames::of(entries);
    let roots = Roots::tops(walked.tops.clone());
    let cached = recall(&walked, *options, cache);
    let reused_files = cached.iter().flatten().count();
    let work = Work { options, walked: &walked, open: OpenRoots::new(roots.clone()) };
    let hashes = work.hash(cached, progress)?;
    if let Some(cache) = cache {
        remember(&walked, *options, cache, &hashes);
    }
    let files = walked.files.iter().zip(hashes).map(|(found, hashes)| file_of(found, hashes)).collect();
    let manifest = Manifest::new(files, walked.empty_directories)?;
    Ok(Index { manifest, roots, skipped: walked.skipped, windows_names, reused_files })
}

/// A file to hash, and the layout of its chunks.
struct Work<'a> {
    options: &'a IndexOptions,
    walked: &'a Walked,
    open: OpenRoots,
}

/// A unit of work for one thread.
#[derive(Clone, Copy)]
enum Job {
    /// Computes the SHA-256 of a file, in one pass.
    Sha256 { file: usize },
    /// Hashes one chunk.
    Chunk { file: usize, span: ChunkSpan },
}

impl Work<'_> {
    /// The hashes of all files, in walking order; files in `cached` are not hashed again.
    fn hash(
        &self,
        cached: Vec<Option<Cached>>,
        progress: &(dyn Fn(HashProgress) + Sync),
    ) -> Result<Vec<Cached>, IndexError> {
        let jobs = self.jobs(&cached)?;
        let meter = Meter::new(jobs.iter().map(|&job| self.job_len(job)).sum(), progress);
        let done: Vec<Hash> = jobs
            .par_iter()
            .with_max_len(JOBS_AT_ONCE_MAX)
            .map(|&job| self.perform(job, &meter))
            .collect::<Result<_, _>>()?;
        let mut hashes: Vec<(Vec<Hash>, Option<Hash>)> = vec![Default::default(); self.walked.files.len()];
        for (job, hash) in jobs.iter().zip(done) {
            match *job {
                Job::Sha256 { file } => hashes[file].1 = Some(hash),
                Job::Chunk { file, .. } => hashes[file].0.push(hash),
            }
        }
        let files = self.walked.files.iter().zip(cached).zip(hashes);
        Ok(files
            .map(|((found, cached), (values, sha256))| {
                cached.unwrap_or_else(|| hashed(found.stamp.len, self.log2(found), &values, sha256))
            })
            .collect())
    }

    /// SHA-256 jobs first: they are the slowest and cannot be split, so they would end last.
    fn jobs(&self, cached: &[Option<Cached>]) -> Result<Vec<Job>, IndexError> {
        let to_do: Vec<usize> = (0..cached.len()).filter(|&file| cached[file].is_none()).collect();
        let mut jobs = Vec::new();
        if self.options.sha256 {
            jobs.extend(to_do.iter().map(|&file| Job::Sha256 { file }));
        }
        for file in to_do {
            let found = &self.walked.files[file];
            let geometry =
                Geometry::new([(found.stamp.len, self.log2(found))]).ok_or(ManifestError::TooManyChunks)?;
            jobs.extend(geometry.chunks().map(|chunk| Job::Chunk { file, span: geometry.span(chunk) }));
        }
        Ok(jobs)
    }

    fn perform(&self, job: Job, meter: &Meter<'_>) -> Result<Hash, IndexError> {
        let (Job::Sha256 { file } | Job::Chunk { file, .. }) = job;
        let found = &self.walked.files[file];
        let open = self.open.open(&found.entry)?;
        Self::check_stamp(&open, found)?;
        let hash = match job {
            Job::Sha256 { .. } => sha256_of(&open, found.stamp.len),
            Job::Chunk { span, .. } => hash_chunk(&open, &span, None),
        };
        let hash = match hash {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                // The file was cut meanwhile, or never had its reported length.
                Self::check_stamp(&open, found)?;
                return Err(IndexError::NoLength { path: found.path.clone() });
            }
            hash => hash.map_err(IndexError::disk(&found.path, "read"))?,
        };
        Self::check_stamp(&open, found)?;
        meter.add(self.job_len(job));
        Ok(hash)
    }

    fn check_stamp(open: &super::file::File, found: &Found) -> Result<(), IndexError> {
        let stamp = Stamp::of(open).map_err(IndexError::disk(&found.path, "stat"))?;
        if stamp == found.stamp { Ok(()) } else { Err(IndexError::Changed { path: found.path.clone() }) }
    }

    fn job_len(&self, job: Job) -> u64 {
        match job {
            Job::Sha256 { file } => self.walked.files[file].stamp.len,
            Job::Chunk { span, .. } => span.len.into(),
        }
    }

    fn log2(&self, found: &Found) -> u8 {
        self.options.chunk_len_log2.unwrap_or_else(|| auto_chunk_len_log2(found.stamp.len))
    }
}

/// SHA-256 of a file's first `len` bytes.
pub(super) fn sha256_of(file: &super::file::File, len: u64) -> io::Result<Hash> {
    let mut hasher = Sha256::new();
    each_piece(file, 0, len, |_, bytes| hasher.update(bytes))?;
    Ok(hasher.finalize().into())
}

fn hashed(len: u64, log2: u8, values: &[Hash], sha256: Option<Hash>) -> Cached {
    match values {
        [] => Cached {
            blake3: *blake3::hash(&[]).as_bytes(),
            sha256,
            chunk_len_log2: 0,
            chunk_hashes: Bytes::new(),
        },
        [one] => Cached { blake3: *one, sha256, chunk_len_log2: 0, chunk_hashes: Bytes::new() },
        many => Cached {
            blake3: combine_chunk_values(len, log2, many).expect("one value for each of two or more chunks"),
            sha256,
            chunk_len_log2: log2,
            chunk_hashes: many.concat().into(),
        },
    }
}

fn file_of(found: &Found, hashes: Cached) -> File {
    File {
        path: found.entry.clone(),
        len: found.stamp.len,
        executable: found.executable,
        blake3: hashes.blake3,
        sha256: hashes.sha256,
        chunk_len_log2: hashes.chunk_len_log2,
        chunk_hashes: hashes.chunk_hashes,
    }
}

fn recall(walked: &Walked, options: IndexOptions, cache: Option<&IndexCache>) -> Vec<Option<Cached>> {
    let Some(cache) = cache else { return vec![None; walked.files.len()] };
    let mut known: Vec<_> = walked.roots.iter().map(|root| cache.load(root, options)).collect();
    walked.files.iter().map(|found| known[found.root].remove(&key_of(found))).collect()
}

fn remember(walked: &Walked, options: IndexOptions, cache: &IndexCache, hashes: &[Cached]) {
    for (index, root) in walked.roots.iter().enumerate() {
        let files = walked.files.iter().zip(hashes).filter(|(found, _)| found.root == index);
        cache.store(root, options, files.map(|(found, hashes)| (key_of(found), hashes)));
    }
}

fn key_of(found: &Found) -> CacheKey {
    CacheKey { entry: found.entry.as_str().to_owned(), stamp: found.stamp }
}

/// Jobs that a thread takes at a time: one, because their lengths differ a thousandfold.
const JOBS_AT_ONCE_MAX: usize = 1;
