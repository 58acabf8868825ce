//! What was added at run time, on disk, so that it outlives a restart. Replaced whole, so it is never half written. Manifests
//! that contents need are kept beside the list: those named by a user may go away.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contents::{Collected, Contents, Spec};
use crate::base::limits::{CONTENTS_MAX, MANIFEST_FILE_LEN_MAX, SAVED_LEN_MAX};
use crate::base::{Category, ContentId};
use crate::manifest::{Manifest, ManifestFile};

/// The folder of the list.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    folder: PathBuf,
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The system refused.
    #[error("cannot {op} `{}`: {source}", path.display())]
    Disk {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` is not a {what} ({why}): restore it, or move it away and begin a new one", path.display())]
    Damaged {
        /// The list.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl SavedError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Disk { .. } | Self::Damaged { .. } => Category::Disk,
        }
    }
}

/// One content of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedContent {
    /// Its id, so that it can be named before it is opened.
    pub(super) content: String,
    pub(super) spec: Spec,
    /// It was offered by others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) collected: Option<Collected>,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    version: u32,
    contents: Vec<SavedContent>,
}

impl Saved {
    /// The list below this state folder; the folder is made for the owner alone.
    pub(super) fn open(state_dir: &Path) -> Result<Self, SavedError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = state_dir.join("contents");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(disk("create", &folder))?;
        Ok(Self { folder })
    }

    /// What was added before; nothing if there is no list.
    pub(super) fn load(&self) -> Result<Vec<SavedContent>, SavedError> {
        let path = self.list_path();
        let bytes = match read(&path, SAVED_LEN_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(disk("read", &path))?,
        };
        let damaged = |why: String| SavedError::Damaged { path: path.clone(), what: "list of contents", why };
        decode(&bytes).map_err(damaged)
    }

    /// Writes down everything that was added at run time.
    pub(super) fn store(&self, contents: &Contents) -> Result<(), SavedError> {
        let saved = contents.iter().filter(|(_, entry)| !entry.is_configured);
        let contents = saved.filter_map(|(_, entry)| {
            let (content, spec) = (entry.content?.to_string(), entry.spec.clone());
            Some(SavedContent { content, spec, collected: entry.collected })
        });
        let path = self.list_path();
        let bytes = encode(contents.collect()).map_err(io::Error::from);
        let written = bytes.and_then(|bytes| replace(&path, &bytes));
        written.map_err(disk("write", &path))
    }

    /// Keeps a manifest; returns where.
    pub(super) fn keep_manifest(&self, manifest: &Manifest) -> Result<PathBuf, SavedError> {
        let path = self.manifest_path(manifest.id());
        replace(&path, &ManifestFile::new(manifest.clone()).encode()).map_err(disk("write", &path))?;
        Ok(path)
    }

    /// A manifest that was kept, if it is there and whole.
    pub(super) fn manifest(&self, content: ContentId) -> Option<Manifest> {
        let bytes = read(&self.manifest_path(content), MANIFEST_FILE_LEN_MAX as u64).ok()?;
        let file = ManifestFile::decode(&bytes.into()).ok()?;
        (file.manifest.id() == content).then_some(file.manifest)
    }

    /// Lets a manifest go.
    pub(super) fn drop_manifest(&self, content: ContentId) {
        // There may be none; one that stays costs only space.
        let _ = fs::remove_file(self.manifest_path(content));
    }

    fn list_path(&self) -> PathBuf {
        self.folder.join("list.json")
    }

    fn manifest_path(&self, content: ContentId) -> PathBuf {
        self.folder.join(format!("{content}.swarm"))
    }
}

/// What a list holds, or why it is none.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<SavedContent>, String> {
    let list: List = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if list.version != VERSION {
        return Err(format!("version {} instead of {VERSION}", list.version));
    }
    if list.contents.len() > CONTENTS_MAX {
        return Err(format!("more than {CONTENTS_MAX} contents"));
    }
    Ok(list.contents)
}

/// A list as it is written.
pub(super) fn encode(contents: Vec<SavedContent>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&List { version: VERSION, contents })
}

/// Reads a file that may not be longer than so many bytes.
pub(super) fn read(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(len_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > len_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {len_max} bytes")));
    }
    Ok(bytes)
}

/// Writes a file, or leaves it as it was.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

pub(super) fn disk(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SavedError {
    move |source| SavedError::Disk { op, path: path.to_owned(), source }
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::service::contents::Entry;
    use crate::storage::HashProgress;

    fn entry(path: &str, is_configured: bool) -> Entry {
        let progress = watch::Sender::new(HashProgress { hashed_len: 0, total_len: 0 });
        let mut entry = Entry::new(Spec::Paths { paths: vec![path.into()] }, is_configured, progress);
        entry.content = Some(ContentId::from_bytes([path.len() as u8; 32]));
        entry
    }

    #[test]
    fn what_was_added_is_remembered_and_what_is_configured_is_not() {
        let state = tempfile::tempdir().expect("a folder");
        let saved = Saved::open(state.path()).expect("opened");
        assert_eq!(saved.load().expect("no list is an empty list"), []);
        let mut contents = Contents::default();
        contents.insert(entry("/a", false));
        contents.insert(entry("/configured", true));
        saved.store(&contents).expect("written");
        let loaded = Saved::open(state.path()).expect("opened").load().expect("read");
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].spec, Spec::Paths { paths: vec!["/a".into()] });
    }

    #[test]
    fn a_list_that_cannot_be_read_is_never_taken_for_an_empty_one() {
        let state = tempfile::tempdir().expect("a folder");
        let saved = Saved::open(state.path()).expect("opened");
        for text in ["", "{}", "[]", "{\"version\":2,\"contents\":[]}"] {
            fs::write(saved.list_path(), text).expect("written");
            let message = saved.load().expect_err(text).to_string();
            assert!(message.contains("move it away") && message.lines().count() == 1, "{message}");
        }
    }
}
