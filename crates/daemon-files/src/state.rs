//! What the five files say, all of them valid. Decides which of the files on disk are taken: each alone, and libraries and
//! subscriptions so that their folders stand apart. Invariant: a state holds to all rules of all files. Opens no file but to
//! resolve symbolic links.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use swarm_core::base::text::text_of;

use crate::config::{Config, FileConfig};
use crate::disk::Content;
use crate::error::{FileError, Place, Warning};
use crate::json::{Json, SyntaxError};
use crate::key_path::KeyPath;
use crate::libraries::{FileLibraries, Library};
use crate::limits::FILE_LEN_MAX;
use crate::loaded::Loaded;
use crate::peers::{FilePeers, Peer};
use crate::subscriptions::{FileSubscriptions, Subscription};
use crate::users::{FileUsers, User};
use crate::{FileName, folders};

/// What the files say.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) config: Loaded<Config>,
    pub(crate) peers: Loaded<Vec<Peer>>,
    pub(crate) users: Loaded<Vec<User>>,
    pub(crate) libraries: Loaded<Vec<Library>>,
    pub(crate) subscriptions: Loaded<Vec<Subscription>>,
}

/// The files as they are on disk, or why one cannot be read.
pub(crate) type Contents = BTreeMap<FileName, Result<Content, String>>;

impl State {
    /// What a new folder says.
    pub(crate) fn fresh(home: &Path) -> Self {
        let json = |file: FileName| file.default_text().parse::<Json>().expect("the defaults are JSON");
        Self {
            config: config(json(FileName::Config), home).expect("a valid default"),
            peers: peers(json(FileName::Peers)).expect("a valid default"),
            users: users(json(FileName::Users)).expect("a valid default"),
            libraries: libraries(json(FileName::Libraries), home).expect("a valid default"),
            subscriptions: subscriptions(json(FileName::Subscriptions), home).expect("a valid default"),
        }
    }

    /// What holds once these files have been read: of a file that is wrong, what held before.
    pub(crate) fn after(&self, contents: &Contents, home: &Path) -> (Self, Vec<FileError>) {
        let mut next = self.clone();
        let mut errors = Vec::new();
        let json = |file| document(file, contents);
        take(&mut next.config, json(FileName::Config).and_then(|json| config(json, home)), &mut errors);
        take(&mut next.peers, json(FileName::Peers).and_then(peers), &mut errors);
        take(&mut next.users, json(FileName::Users).and_then(users), &mut errors);
        let none = Self::fresh(home);
        let read = json(FileName::Libraries).and_then(|json| libraries(json, home)).and_then(|new| {
            folders::check(home, &new, &none.subscriptions, FileName::Libraries).map(|()| new)
        });
        take(&mut next.libraries, read, &mut errors);
        let read = json(FileName::Subscriptions).and_then(|json| subscriptions(json, home)).and_then(|new| {
            folders::check(home, &none.libraries, &new, FileName::Subscriptions).map(|()| new)
        });
        take(&mut next.subscriptions, read, &mut errors);
        errors.extend(next.part_folders(self, home));
        (next, errors)
    }

    /// The document of a file.
    pub(crate) fn json(&self, file: FileName) -> Option<&Json> {
        match file {
            FileName::Config => Some(&self.config.json),
            FileName::Peers => Some(&self.peers.json),
            FileName::Users => Some(&self.users.json),
            FileName::Libraries => Some(&self.libraries.json),
            FileName::Subscriptions => Some(&self.subscriptions.json),
            FileName::FilesLocal => None,
        }
    }

    /// Files of which the meaning differs.
    pub(crate) fn changed_since(&self, old: &Self) -> BTreeSet<FileName> {
        let pairs = [
            (FileName::Config, self.config.value != old.config.value),
            (FileName::Peers, self.peers.value != old.peers.value),
            (FileName::Users, self.users.value != old.users.value),
            (FileName::Libraries, self.libraries.value != old.libraries.value),
            (FileName::Subscriptions, self.subscriptions.value != old.subscriptions.value),
        ];
        pairs.into_iter().filter(|(_, is_changed)| *is_changed).map(|(file, _)| file).collect()
    }

    /// What has no effect, or another one than somebody may believe.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let own = [
            &self.config.warnings,
            &self.peers.warnings,
            &self.users.warnings,
            &self.libraries.warnings,
            &self.subscriptions.warnings,
        ];
        let mut warnings: Vec<Warning> = own.into_iter().flatten().cloned().collect();
        warnings.extend(self.unknown_libraries());
        warnings.extend(self.unknown_peers());
        warnings
    }

    /// Takes back what was just read of libraries or subscriptions, if their folders do not stand apart.
    fn part_folders(&mut self, old: &Self, home: &Path) -> Vec<FileError> {
        let check = |libraries: &Self, subscriptions: &Self, blamed| {
            folders::check(home, &libraries.libraries, &subscriptions.subscriptions, blamed).err()
        };
        let changed = self.changed_since(old);
        let blamed =
            match (changed.contains(&FileName::Libraries), changed.contains(&FileName::Subscriptions)) {
                (true, false) => FileName::Libraries,
                (true | false, _) => FileName::Subscriptions,
            };
        let Some(error) = check(self, self, blamed) else { return Vec::new() };
        if blamed == FileName::Libraries {
            self.libraries = old.libraries.clone();
            return vec![error];
        }
        // Both may have changed: the libraries are taken without the subscriptions, or these without those, or neither.
        let Some(own) = check(self, old, FileName::Libraries) else {
            self.subscriptions = old.subscriptions.clone();
            return vec![error];
        };
        let told = check(self, self, FileName::Libraries);
        let mut errors = vec![told.unwrap_or(own)];
        if check(old, self, FileName::Subscriptions).is_some() {
            self.subscriptions = old.subscriptions.clone();
            errors.push(error);
        }
        self.libraries = old.libraries.clone();
        errors
    }

    /// Roles of users in libraries that this node does not have.
    fn unknown_libraries(&self) -> Vec<Warning> {
        let libraries = self.libraries.value.iter();
        let mut known: BTreeSet<&str> =
            libraries.flat_map(|one| [one.name.as_str(), one.guid.as_str()]).collect();
        known.extend(self.subscriptions.value.iter().map(|entry| entry.guid.as_str()));
        let mut warnings = Vec::new();
        for (index, user) in self.users.value.iter().enumerate() {
            for name in user.libraries.keys().filter(|name| !known.contains(name.as_str())) {
                let at = KeyPath::default().index(index).key("libraries").key(name);
                let message = "this node has no library with this name or GUID".to_owned();
                warnings.push(Warning { place: self.users.place(&at), message });
            }
        }
        warnings
    }

    /// Peers that subscriptions name and `peers.json` does not.
    fn unknown_peers(&self) -> Vec<Warning> {
        let known: BTreeSet<String> = self.peers.value.iter().flat_map(Peer::names).collect();
        let mut warnings = Vec::new();
        for (index, entry) in self.subscriptions.value.iter().enumerate() {
            let at = KeyPath::default().index(index);
            let from = entry.from.iter().enumerate().map(|(nth, peer)| (at.key("from").index(nth), peer));
            let version_of = entry.version_of.iter().map(|peer| (at.key("versionOf"), peer));
            for (at, _) in from.chain(version_of).filter(|(_, peer)| !known.contains(*peer)) {
                let message = format!("no peer in {} has this address, node or name", FileName::Peers);
                warnings.push(Warning { place: self.subscriptions.place(&at), message });
            }
        }
        warnings
    }
}

fn take<T>(held: &mut Loaded<T>, read: Result<Loaded<T>, FileError>, errors: &mut Vec<FileError>) {
    match read {
        Ok(read) => *held = read,
        Err(error) => errors.push(error),
    }
}

/// The JSON of a file.
fn document(file: FileName, contents: &Contents) -> Result<Json, FileError> {
    let whole =
        |message: String| FileError { place: Place { file, line: None, key: String::new() }, message };
    let content = match contents.get(&file) {
        Some(Ok(content)) => content,
        Some(Err(why)) => return Err(whole(why.clone())),
        None => return Err(whole("it is missing".to_owned())),
    };
    if content.bytes.len() as u64 > FILE_LEN_MAX {
        return Err(whole(format!("expected at most {FILE_LEN_MAX} bytes")));
    }
    let text = text_of(&content.bytes).map_err(|error| whole(error.to_string()))?;
    text.parse().map_err(|error: SyntaxError| {
        FileError::new(Place { file, line: Some(error.line), key: String::new() }, &error.message)
    })
}

fn config(json: Json, home: &Path) -> Result<Loaded<Config>, FileError> {
    Loaded::new(FileName::Config, json, |file: FileConfig, _| file.checked(home))
}

fn peers(json: Json) -> Result<Loaded<Vec<Peer>>, FileError> {
    Loaded::new(FileName::Peers, json, |file: FilePeers, _| file.checked())
}

fn users(json: Json) -> Result<Loaded<Vec<User>>, FileError> {
    Loaded::new(FileName::Users, json, |file: FileUsers, _| file.checked())
}

fn libraries(json: Json, home: &Path) -> Result<Loaded<Vec<Library>>, FileError> {
    Loaded::new(FileName::Libraries, json, |file: FileLibraries, notes| file.checked(home, notes))
}

fn subscriptions(json: Json, home: &Path) -> Result<Loaded<Vec<Subscription>>, FileError> {
    Loaded::new(FileName::Subscriptions, json, |file: FileSubscriptions, _| file.checked(home))
}
