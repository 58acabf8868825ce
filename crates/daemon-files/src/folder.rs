//! The folder of a daemon: its files are made, read, watched and rewritten here. Invariant: what the getters give is valid,
//! whatever is on disk. Blocking, and without a thread or clock: the caller polls. Edits hold a lock (`flock`) of the folder, so that
//! those of several processes follow each other. Absent here: a lock against a second daemon, which must be of another file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::disk::{self, Replacement, Stamp};
use crate::error::{EditError, FileError, OpenError, Place, Warning};
use crate::json::Json;
use crate::limits::EDIT_ATTEMPTS;
use crate::state::{Contents, State};
use crate::watched::Watched;
use crate::{Config, FileName, Library, Peer, Subscription, User};

/// The folder of a daemon.
#[derive(Debug)]
pub struct DaemonFolder {
    dir: PathBuf,
    state: State,
    /// Files that are wrong now.
    errors: Vec<FileError>,
    /// Files of which others' rights were taken away at the last reading.
    modes: Vec<Warning>,
    watched: BTreeMap<FileName, Watched>,
}

/// What a reading of the files brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Files of which the meaning is another than before.
    pub changed: BTreeSet<FileName>,
    /// All files that are wrong now; of these the last good state goes on.
    pub errors: Vec<FileError>,
    /// Warnings that were not there before.
    pub warnings: Vec<Warning>,
}

impl DaemonFolder {
    /// Makes the folder and the files that it lacks, and reads them. Files with passwords become private.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let failed = |what, path: &Path, source| OpenError::Io { what, path: path.to_owned(), source };
        fs::create_dir_all(dir).map_err(|source| failed("make", dir, source))?;
        let dir = std::path::absolute(dir).map_err(|source| failed("find", dir, source))?;
        let lock = disk::lock(&dir).map_err(|source| failed("open", &dir, source))?;
        disk::sweep(&dir, &FileName::ALL.map(FileName::as_str))
            .map_err(|source| failed("clean", &dir, source))?;
        for file in FileName::ALL {
            let path = dir.join(file.as_str());
            make(&path, file).map_err(|source| failed("make", &path, source))?;
        }
        drop(lock);
        let state = State::fresh(&dir);
        let mut folder = Self { dir, state, errors: Vec::new(), modes: Vec::new(), watched: BTreeMap::new() };
        let Reloaded { errors, .. } = folder.reload();
        if errors.is_empty() { Ok(folder) } else { Err(OpenError::Files(errors)) }
    }

    /// Whether a file has changed and come to rest: then [`Self::reload`]. To be called about four times a second; an edit shows
    /// at the second call after it.
    pub fn changed(&mut self) -> bool {
        let dir = &self.dir;
        // All are polled, also behind one that has changed: each counts its polls.
        let mut any = false;
        for (file, watched) in &mut self.watched {
            any |= watched.poll(&dir.join(file.as_str()));
        }
        any
    }

    /// Reads all files. Of a file that is wrong the last good state goes on.
    pub fn reload(&mut self) -> Reloaded {
        let before: BTreeSet<String> = self.warnings().iter().map(ToString::to_string).collect();
        self.modes = self.make_private();
        let contents = self.contents();
        let (state, errors) = self.state.after(&contents, &self.dir);
        let changed = state.changed_since(&self.state);
        self.watched =
            contents.iter().map(|(file, content)| (*file, Watched::since(content.as_ref().ok()))).collect();
        self.state = state;
        self.errors.clone_from(&errors);
        let mut warnings = self.warnings();
        warnings.retain(|warning| !before.contains(&warning.to_string()));
        Reloaded { changed, errors, warnings }
    }

    /// The folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a file is.
    pub fn path(&self, file: FileName) -> PathBuf {
        self.dir.join(file.as_str())
    }

    /// What `config.json` says.
    pub fn config(&self) -> &Config {
        &self.state.config.value
    }

    /// What `peers.json` says.
    pub fn peers(&self) -> &[Peer] {
        &self.state.peers.value
    }

    /// What `users.json` says.
    pub fn users(&self) -> &[User] {
        &self.state.users.value
    }

    /// What `libraries.json` says.
    pub fn libraries(&self) -> &[Library] {
        &self.state.libraries.value
    }

    /// What `subscriptions.json` says.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.state.subscriptions.value
    }

    /// Files that were wrong when they were read last.
    pub fn errors(&self) -> &[FileError] {
        &self.errors
    }

    /// All warnings about what holds.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.state.warnings();
        warnings.extend(self.modes.iter().cloned());
        warnings
    }

    /// Changes `config.json`. Unknown keys and the order stay.
    pub fn edit_config(&mut self, mut edit: impl FnMut(&mut Json)) -> Result<Reloaded, EditError> {
        self.edit(FileName::Config, |json| {
            edit(json);
            Ok(())
        })
    }

    /// Changes `peers.json`. Unknown keys and the order stay.
    pub fn edit_peers(&mut self, mut edit: impl FnMut(&mut Json)) -> Result<Reloaded, EditError> {
        self.edit(FileName::Peers, |json| {
            edit(json);
            Ok(())
        })
    }

    /// Changes `users.json`. Unknown keys and the order stay.
    pub fn edit_users(&mut self, mut edit: impl FnMut(&mut Json)) -> Result<Reloaded, EditError> {
        self.edit(FileName::Users, |json| {
            edit(json);
            Ok(())
        })
    }

    /// Changes `libraries.json`. Unknown keys and the order stay.
    pub fn edit_libraries(&mut self, mut edit: impl FnMut(&mut Json)) -> Result<Reloaded, EditError> {
        self.edit(FileName::Libraries, |json| {
            edit(json);
            Ok(())
        })
    }

    /// Changes `subscriptions.json`. Unknown keys and the order stay.
    pub fn edit_subscriptions(&mut self, mut edit: impl FnMut(&mut Json)) -> Result<Reloaded, EditError> {
        self.edit(FileName::Subscriptions, |json| {
            edit(json);
            Ok(())
        })
    }

    /// Changes a file from what it holds now on disk. The edit may be made again if somebody writes the file meanwhile.
    pub(crate) fn edit(
        &mut self,
        file: FileName,
        mut edit: impl FnMut(&mut Json) -> Result<(), EditError>,
    ) -> Result<Reloaded, EditError> {
        let path = self.path(file);
        let failed = |what, source| EditError::Io { what, path: path.clone(), source };
        let _lock = disk::lock(&self.dir).map_err(|source| failed("lock", source))?;
        for _ in 0..EDIT_ATTEMPTS {
            let mut contents = self.contents();
            let base = self.valid(&self.state, file, &contents).map_err(EditError::Invalid)?;
            let old = base.json(file).expect("only files that are read are edited");
            let mut json = old.clone();
            edit(&mut json)?;
            if json == *old {
                return Ok(self.reload());
            }
            let text = json.to_string();
            let Some(Ok(content)) = contents.get_mut(&file) else { continue };
            let stamp = content.stamp;
            content.bytes = text.clone().into_bytes();
            self.valid(&base, file, &contents).map_err(EditError::Refused)?;
            let mut replacement = Replacement::begin(&path, file.has_passwords())
                .map_err(|source| failed("write beside", source))?;
            replacement.file().write_all(text.as_bytes()).map_err(|source| failed("write beside", source))?;
            // The disk may take long: it is waited for before the look.
            replacement.file().sync_all().map_err(|source| failed("write beside", source))?;
            // Between this look and the renaming a few microseconds remain.
            if Stamp::of(&path) == Some(stamp) {
                replacement.finish().map_err(|source| failed("replace", source))?;
                return Ok(self.reload());
            }
        }
        Err(EditError::Busy(file))
    }

    /// What holds after `base` with these contents, if that file is valid.
    fn valid(&self, base: &State, file: FileName, contents: &Contents) -> Result<State, FileError> {
        let (state, errors) = base.after(contents, &self.dir);
        let error = errors.into_iter().find(|error| error.place.file == file);
        error.map_or(Ok(state), Err)
    }

    fn contents(&self) -> Contents {
        let read = |file: FileName| disk::read(&self.path(file)).map_err(|error| unreadable(&error));
        FileName::READ.into_iter().map(|file| (file, read(file))).collect()
    }

    /// A file that cannot be made private is told as wrong when it is read, or is another user's: then a warning says so.
    fn make_private(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for file in FileName::READ.into_iter().filter(|file| file.has_passwords()) {
            let message = match disk::make_private(&self.path(file)) {
                Ok(false) => continue,
                Ok(true) => "others could read its passwords: its mode is 0600 now".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    format!("others can read its passwords, and its mode cannot be set to 0600: {error}")
                }
            };
            warnings.push(Warning { place: Place { file, line: None, key: String::new() }, message });
        }
        warnings
    }
}

/// Makes a file with its defaults if there is none.
fn make(path: &Path, file: FileName) -> io::Result<()> {
    // A symbolic link that leads nowhere is somebody's disk that is not mounted: it counts as a file, and reading it fails.
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::replace(path, file.default_text(), file.has_passwords())
        }
        other => other.map(drop),
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "it is missing: write it again, or start the daemon anew for an empty one".to_owned()
        }
        _ => format!("it cannot be read: {error}"),
    }
}
