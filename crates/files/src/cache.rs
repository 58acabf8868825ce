//! Hashes of files that were indexed before, so that an unchanged tree is not read again. Each indexed path has one checksummed
//! file, which is replaced whole, so that any number of processes may use the folder at once. Invariant: an entry is used only
//! if path, length, times, inode and device are unchanged; an unreadable cache file counts as missing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::hashing::{Stamp, nanos_of};
use super::index::IndexOptions;
use crate::limits::{CACHE_FILE_LEN_MAX, CACHE_FILES_MAX};
use swarm_core::base::Shown;
use swarm_core::manifest::Hash;

/// A folder of cached hashes.
#[derive(Clone, Debug)]
pub struct IndexCache {
    dir: PathBuf,
    now_nanos: i128,
}

/// A file and its state: hashes are valid for that state alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CacheKey {
    pub(super) entry: String,
    pub(super) stamp: Stamp,
}

/// The hashes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) blake3: Hash,
    pub(super) sha256: Option<Hash>,
    pub(super) chunk_len_log2: u8,
    pub(super) chunk_hashes: Bytes,
}

/// The cached entries of one indexed path.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, (Stamp, Cached)>);

impl Known {
    /// The hashes of a file, if its state is unchanged.
    pub(super) fn remove(&mut self, key: &CacheKey) -> Option<Cached> {
        let (stamp, cached) = self.0.remove(&key.entry)?;
        (stamp == key.stamp).then_some(cached)
    }
}

impl IndexCache {
    /// A cache in this folder, which is created when it is first needed. `now` is the start of indexing: files changed within the two
    /// seconds before it are not cached, since a further change might not show in their times.
    pub fn new(dir: impl Into<PathBuf>, now: SystemTime) -> Self {
        Self { dir: dir.into(), now_nanos: nanos_of(now) }
    }

    /// All cached entries of a path.
    pub(super) fn load(&self, root: &Path, options: IndexOptions) -> Known {
        let path = self.file_for(root, options);
        match read_lines(&path) {
            Ok(Some(lines)) => Known(lines.into_iter().filter_map(Line::decode).collect()),
            Ok(None) => {
                warn!(path = %Shown(&path), "the index cache is damaged and not used");
                Known::default()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Known::default(),
            Err(error) => {
                warn!(path = %Shown(&path), %error, "the index cache cannot be read");
                Known::default()
            }
        }
    }

    /// Replaces the cached entries of a path. A failure is no error: the files are then hashed again.
    pub(super) fn store<'a>(
        &self,
        root: &Path,
        options: IndexOptions,
        files: impl Iterator<Item = (CacheKey, &'a Cached)>,
    ) {
        let lines: Vec<Line> = files
            .filter(|(key, _)| !key.stamp.is_racy(self.now_nanos))
            .map(|(key, cached)| Line::encode(key, cached))
            .collect();
        let path = self.file_for(root, options);
        if let Err(error) = self.write_lines(&path, &lines).and_then(|()| self.prune()) {
            warn!(path = %Shown(&path), %error, "the index cache cannot be written");
        }
    }

    fn file_for(&self, root: &Path, options: IndexOptions) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        let options = (options.chunk_len_log2.map_or(0, |log2| log2), options.sha256);
        hasher.update(&[FORMAT, options.0, u8::from(options.1)]);
        hasher.update(root.as_os_str().as_encoded_bytes());
        let name = HEXLOWER.encode(&hasher.finalize().as_bytes()[..16]);
        self.dir.join(format!("{name}.index"))
    }

    fn write_lines(&self, path: &Path, lines: &[Line]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let bytes = bytes_of(lines)?;
        if bytes.len() as u64 > CACHE_FILE_LEN_MAX {
            return Err(io::Error::other("too much to remember"));
        }
        // The counter makes the name unique among threads, the id among processes; a leftover of a dead process is replaced.
        let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{}-{unique}.tmp", std::process::id()));
        let mut file = fs::File::create(&temporary)?;
        let written = file.write_all(&bytes).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // Best effort: the folder is swept by age anyway.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for item in fs::read_dir(&self.dir)? {
            let item = item?;
            // Another process may remove the file at any time.
            if let Ok(metadata) = item.metadata() {
                files.push((metadata.modified()?, item.path()));
            }
        }
        files.sort();
        let excess = files.len().saturating_sub(CACHE_FILES_MAX);
        for (_, path) in files.into_iter().take(excess) {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// Reads a cache file and writes it again; `None` if it is malformed.
pub(super) fn rewritten(bytes: &[u8]) -> Option<Vec<u8>> {
    let known = lines_of(bytes)?.into_iter().map(Line::decode);
    let lines: Option<Vec<Line>> = known
        .map(|line| line.map(|(entry, (stamp, cached))| Line::encode(CacheKey { entry, stamp }, &cached)))
        .collect();
    bytes_of(&lines?).ok()
}

/// The entry of one file in a cache file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    entry: String,
    len: u64,
    mtime: [i64; 2],
    ctime: [i64; 2],
    inode: u64,
    device: u64,
    blake3: String,
    sha256: String,
    chunk_len_log2: u8,
    chunk_hashes: String,
}

impl Line {
    fn encode(key: CacheKey, cached: &Cached) -> Self {
        let split = |nanos: i128| [(nanos / NANOS) as i64, (nanos % NANOS) as i64];
        Self {
            entry: key.entry,
            len: key.stamp.len,
            mtime: split(key.stamp.mtime_nanos),
            ctime: split(key.stamp.ctime_nanos),
            inode: key.stamp.inode,
            device: key.stamp.device,
            blake3: HEXLOWER.encode(&cached.blake3),
            sha256: cached.sha256.map(|hash| HEXLOWER.encode(&hash)).unwrap_or_default(),
            chunk_len_log2: cached.chunk_len_log2,
            chunk_hashes: HEXLOWER.encode(&cached.chunk_hashes),
        }
    }

    fn decode(self) -> Option<(String, (Stamp, Cached))> {
        let join = |[secs, nanos]: [i64; 2]| {
            let is_part = i128::from(nanos).abs() < NANOS;
            is_part.then(|| i128::from(secs) * NANOS + i128::from(nanos))
        };
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).ok();
        let stamp = Stamp {
            len: self.len,
            mtime_nanos: join(self.mtime)?,
            ctime_nanos: join(self.ctime)?,
            inode: self.inode,
            device: self.device,
        };
        let sha256 = if self.sha256.is_empty() { None } else { Some(bytes(&self.sha256)?.try_into().ok()?) };
        let cached = Cached {
            blake3: bytes(&self.blake3)?.try_into().ok()?,
            sha256,
            chunk_len_log2: self.chunk_len_log2,
            chunk_hashes: bytes(&self.chunk_hashes)?.into(),
        };
        Some((self.entry, (stamp, cached)))
    }
}

/// `None` if the bytes are malformed.
fn read_lines(path: &Path) -> io::Result<Option<Vec<Line>>> {
    if fs::metadata(path)?.len() > CACHE_FILE_LEN_MAX {
        return Ok(None);
    }
    Ok(lines_of(&fs::read(path)?))
}

fn lines_of(bytes: &[u8]) -> Option<Vec<Line>> {
    let (sum, body) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(body) != *sum {
        return None;
    }
    serde_json::from_slice(body).ok()
}

fn bytes_of(lines: &[Line]) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec(lines)?;
    Ok([blake3::hash(&body).as_bytes().as_slice(), &body].concat())
}

static COUNTER: AtomicU64 = AtomicU64::new(0);
/// Part of the name of a cache file, so that builds with another format do not find it.
const FORMAT: u8 = 1;
const NANOS: i128 = 1_000_000_000;
