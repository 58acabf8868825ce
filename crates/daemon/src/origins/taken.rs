//! What was taken over from an origin, by path: so that a change here is told from one there. Invariant: the file is replaced whole; without it what
//! differs is a conflict, and nothing is overwritten.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_daemon_files::OriginUrl;
use swarm_sync::ContentHash;

use super::deciding::Digests;

/// A file that was taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    blake3: Option<String>,
    sha256: Option<String>,
}

/// All of them, of one library at one origin.
#[derive(Debug)]
pub(super) struct TakenBook {
    path: PathBuf,
    files: BTreeMap<String, Taken>,
}

impl Taken {
    pub(super) fn of(digests: &Digests) -> Self {
        let hex = |digest: [u8; 32]| ContentHash(digest).to_string();
        Self { blake3: digests.blake3.map(hex), sha256: digests.sha256.map(hex) }
    }

    pub(super) fn digests(&self) -> Digests {
        let digest = |hex: &String| ContentHash::from_hex(hex).map(|hash| hash.0);
        Digests {
            blake3: self.blake3.as_ref().and_then(digest),
            sha256: self.sha256.as_ref().and_then(digest),
        }
    }
}

impl TakenBook {
    /// Reads it; one that cannot be read has nothing.
    pub(super) fn open(library: &Path, origin: &OriginUrl) -> Self {
        let name = ContentHash::of(origin.as_str().as_bytes()).to_string();
        let path = library.join(FOLDER).join(format!("{}.json", &name[..16]));
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, files: read.unwrap_or_default() }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Taken> {
        self.files.get(path)
    }

    /// Notes a file. Returns whether that is news.
    pub(super) fn put(&mut self, path: &str, digests: &Digests) -> bool {
        let taken = Taken::of(digests);
        let is_news = self.files.get(path) != Some(&taken);
        if is_news {
            self.files.insert(path.to_owned(), taken);
        }
        is_news
    }

    /// Writes it.
    pub(super) fn save(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.files).map_err(io::Error::other)?;
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let aside = self.path.with_extension("new");
        fs::write(&aside, bytes)?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(&aside, &self.path)
    }
}

/// Below the folder of a library's memory.
const FOLDER: &str = "origins";
