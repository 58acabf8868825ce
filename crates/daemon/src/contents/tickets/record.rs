//! Fetches of tickets as they are remembered: a folder each, with what was given and a file that says how far it is. Invariant: a fetch is remembered before
//! anything of it is fetched, and what its file says was on the disk before anything follows from it; a folder without that file is no fetch.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_core::base::ContentId;
use swarm_core::base::limits::MANIFEST_BODY_LEN_MAX;
use swarm_core::manifest::Manifest;
use swarm_library::LibraryKey;
use swarm_sync::{ContentHash, TreePath};

use super::opening::Chosen;
use crate::limits::{GIVEN_LEN_MAX, TICKETS_MAX};
use crate::transfers::Priority;

/// What is remembered of a fetch, beside what was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The key of the library.
    library: String,
    /// The folder in it; nothing for the top.
    folder: Option<String>,
    /// Files and folders of the content that are wanted; none for all.
    pub(super) files: Vec<String>,
    pub(super) is_paused: bool,
    pub(super) priority: Priority,
    pub(super) stage: Stage,
    /// Milliseconds since 1970.
    pub(super) added_at_ms: u64,
    /// What is known of it while it is not fetched.
    pub(super) known: Known,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(crate) enum Stage {
    /// Bytes lack.
    Fetching,
    /// All is here, and files get their places: nothing is fetched again.
    Landing,
    /// The files stand in the library.
    Done,
}

/// Figures for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// In the library: of the one file, or of the first one.
    pub(super) path: Option<String>,
    pub(super) files: u64,
    pub(super) len: u64,
    pub(super) here_len: u64,
    /// Files that took another name, as one stood there.
    pub(super) renamed: u64,
}

/// The folder of one fetch.
#[derive(Clone, Debug)]
pub(crate) struct RecordFolder(PathBuf);

impl Record {
    pub(crate) fn new(
        library: LibraryKey,
        folder: Option<&TreePath>,
        files: Vec<String>,
        now_ms: u64,
    ) -> Self {
        Self {
            library: ContentHash(*library.as_bytes()).to_string(),
            folder: folder.map(|folder| folder.as_str().to_owned()),
            files,
            is_paused: false,
            priority: Priority::default(),
            stage: Stage::Fetching,
            added_at_ms: now_ms,
            known: Known::default(),
        }
    }

    /// The same, with what is known of it before it is fetched.
    pub(crate) fn knowing(mut self, chosen: Option<&Chosen>, manifest: Option<&Manifest>) -> Self {
        if let Some((chosen, manifest)) = chosen.zip(manifest) {
            let first = chosen.first(manifest, 1).into_iter().next();
            let folder = self.folder.as_deref().map(|folder| format!("{folder}/")).unwrap_or_default();
            self.known.path = first.map(|(path, _)| folder + path);
            (self.known.files, self.known.len) = (chosen.files(), chosen.len);
        }
        self
    }

    /// The library, if the record names one.
    pub(super) fn library(&self) -> Option<LibraryKey> {
        LibraryKey::from_slice(&ContentHash::from_hex(&self.library)?.0)
    }

    /// The folder in the library, if it is not the top.
    pub(super) fn folder(&self) -> Option<TreePath> {
        self.folder.as_deref().and_then(|folder| TreePath::new(folder).ok())
    }
}

impl RecordFolder {
    fn of(state: &Path, content: &ContentId) -> Self {
        Self(state.join(FOLDER).join(content.to_string()))
    }

    /// Remembers a new fetch; [`io::ErrorKind::AlreadyExists`] if the content is fetched already.
    ///
    /// # Errors
    /// If the disk refuses it; nothing is remembered then.
    pub(crate) fn create(
        state: &Path,
        content: &ContentId,
        given: &Bytes,
        record: &Record,
    ) -> io::Result<Self> {
        let folder = Self::of(state, content);
        let mut maker = fs::DirBuilder::new();
        maker.mode(0o700);
        maker.recursive(true).create(state.join(FOLDER))?;
        maker.recursive(false).create(&folder.0)?;
        let written = folder.write(GIVEN, given).and_then(|()| folder.save(record));
        let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
        let written = written.and_then(|()| sync(&state.join(FOLDER))).and_then(|()| sync(state));
        if written.is_err() {
            folder.remove();
        }
        written.map(|()| folder)
    }

    /// All fetches that are remembered, and those whose record cannot be read. What is left of others is removed.
    pub(super) fn read_all(state: &Path) -> (Vec<(ContentId, Self, Record)>, BTreeSet<ContentId>) {
        let (mut read, mut unreadable) = (Vec::new(), BTreeSet::new());
        let Ok(folders) = fs::read_dir(state.join(FOLDER)) else { return (read, unreadable) };
        let content = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<ContentId>().ok();
        for content in folders.filter_map(Result::ok).filter_map(content).take(READ_MAX) {
            let folder = Self::of(state, &content);
            match fs::read(folder.0.join(RECORD)) {
                // It was not remembered to its end.
                Err(error) if error.kind() == io::ErrorKind::NotFound => folder.remove(),
                Ok(text) => match serde_json::from_slice(&text) {
                    Ok(record) => read.push((content, folder, record)),
                    // Perhaps of a newer version of this program.
                    Err(_) => {
                        unreadable.insert(content);
                    }
                },
                Err(_) => {
                    unreadable.insert(content);
                }
            }
        }
        (read, unreadable)
    }

    /// What was given.
    ///
    /// # Errors
    /// If the disk does not give it.
    pub(super) fn given(&self) -> io::Result<Bytes> {
        self.read(GIVEN, GIVEN_LEN_MAX)
    }

    /// The manifest that peers sent, if they did.
    pub(super) fn manifest(&self) -> Option<Manifest> {
        Manifest::decode(self.read(MANIFEST, MANIFEST_BODY_LEN_MAX).ok()?).ok()
    }

    /// Remembers a manifest that peers sent: once all is here, nobody is asked for it again.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub(super) fn save_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        self.write(MANIFEST, manifest.body())
    }

    fn read(&self, name: &str, len_max: usize) -> io::Result<Bytes> {
        let mut bytes = Vec::new();
        File::open(self.0.join(name))?.take(len_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Remembers how far it is.
    ///
    /// # Errors
    /// If the disk refuses it; what was remembered holds then.
    pub(super) fn save(&self, record: &Record) -> io::Result<()> {
        self.write(RECORD, &serde_json::to_vec_pretty(record)?)
    }

    /// Forgets it. What cannot be removed now is removed at another start.
    pub(super) fn remove(&self) {
        // Without its record it is no fetch any more.
        let _ = fs::remove_file(self.0.join(RECORD));
        let _ = fs::remove_dir_all(&self.0);
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }
}

const FOLDER: &str = "tickets";
const RECORD: &str = "fetch.json";
const GIVEN: &str = "given";
const MANIFEST: &str = "manifest";
/// More were never remembered at once.
const READ_MAX: usize = 2 * TICKETS_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_is_remembered_once_with_how_far_it_is_until_it_is_removed() {
        let state = tempfile::tempdir().expect("a folder");
        let content = ContentId::from_bytes([3; 32]);
        let library = LibraryKey::from_slice(&[7; 32]).expect("32 bytes");
        let folder = TreePath::new("films/new").expect("a path");
        let mut record = Record::new(library, Some(&folder), vec!["a".to_owned()], 5);
        let given = Bytes::from_static(b"swarm1");
        let kept = RecordFolder::create(state.path(), &content, &given, &record).expect("remembered");
        let again = RecordFolder::create(state.path(), &content, &given, &record).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        record.stage = Stage::Landing;
        record.is_paused = true;
        kept.save(&record).expect("saved");
        let (read, _) = RecordFolder::read_all(state.path());
        let (found, found_folder, found_record) = read.first().expect("one");
        assert_eq!((read.len(), found, found_record), (1, &content, &record));
        assert_eq!(found_folder.given().expect("it is there"), given);
        assert!(found_folder.manifest().is_none(), "none came");
        assert_eq!((record.library(), record.folder()), (Some(library), Some(folder)));
        fs::write(kept.0.join(RECORD), "{\"of\": \"a newer version\"}").expect("written");
        let (read, unreadable) = RecordFolder::read_all(state.path());
        assert!(read.is_empty() && unreadable == BTreeSet::from([content]) && kept.0.is_dir(), "it stays");
        kept.remove();
        assert!(RecordFolder::read_all(state.path()).1.is_empty());
    }

    #[test]
    fn what_was_not_remembered_to_its_end_is_no_fetch_and_is_removed() {
        let state = tempfile::tempdir().expect("a folder");
        let half = state.path().join(FOLDER).join(ContentId::from_bytes([3; 32]).to_string());
        fs::create_dir_all(&half).expect("made");
        fs::write(half.join(GIVEN), "swarm1").expect("written");
        let (read, unreadable) = RecordFolder::read_all(state.path());
        assert!(read.is_empty() && unreadable.is_empty() && !half.exists());
    }
}
