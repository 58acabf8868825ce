//! What was taken over from an origin, by path: so that a change here is told from one there. Invariant: the file is replaced whole; without it what
//! differs is a conflict, and nothing is overwritten. One that is there and cannot be read is an error, and never counts as empty: what was deleted
//! here would come back.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use swarm_core::base::Shown;
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

/// What was taken over cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read `{}`, which says what was taken over from this origin: {source}: nothing is taken over until it can be read, or you remove it: then what differs here and there is a conflict",
    Shown(path.as_path())
)]
pub(super) struct TakenError {
    path: PathBuf,
    source: io::Error,
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
    /// Reads it; one that is not there has nothing.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub(super) fn open(library: &Path, origin: &OriginUrl) -> Result<Self, TakenError> {
        let name = ContentHash::of(origin.as_str().as_bytes()).to_string();
        let path = library.join(FOLDER).join(format!("{}.json", &name[..16]));
        let read = fs::read(&path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
        match read {
            Ok(files) => Ok(Self { path, files }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self { path, files: BTreeMap::new() })
            }
            Err(source) => Err(TakenError { path, source }),
        }
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
        // An origin that goes may still write while it begins again with other settings.
        let _turn = SAVING.lock().unwrap_or_else(PoisonError::into_inner);
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
static SAVING: Mutex<()> = Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_that_is_not_there_is_empty_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let origin: OriginUrl = "https://a.example:8443".parse().expect("an address");
        let digests = Digests { blake3: Some([1; 32]), sha256: None };
        let mut book = TakenBook::open(folder.path(), &origin).expect("it is not there");
        assert_eq!(book.get("a"), None);
        assert!(book.put("a", &digests) && !book.put("a", &digests));
        book.save().expect("saved");
        let again = TakenBook::open(folder.path(), &origin).expect("read");
        assert_eq!(again.get("a").map(Taken::digests), Some(digests));

        fs::write(&book.path, "{\"a\": ").expect("written");
        let error = TakenBook::open(folder.path(), &origin).expect_err("it is cut off").to_string();
        assert!(error.contains("nothing is taken over until") && !error.contains('\n'), "{error}");
        fs::remove_file(&book.path).expect("removed");
        fs::create_dir(&book.path).expect("made");
        TakenBook::open(folder.path(), &origin).expect_err("it is a folder");
    }
}
