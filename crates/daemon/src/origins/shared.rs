//! One origin as its tasks and those who show it see it: what it lists, how it stands, what is wrong with its files. Invariant: a file of which
//! wrong bytes came is not asked for again before the origin lists another version of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_daemon_files::{Fingerprint, OriginUrl, Secret};
use swarm_library::LibraryKey;
use swarm_origins::{Check, ListedFile, Options, Origin, OriginError, Seen};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::listed::Listed;
use crate::library::LibrarySettings;
use crate::limits::{ORIGIN_FAULTS_MAX, ORIGIN_FILES_REFUSED_MAX};

/// What the files say of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OriginSettings {
    pub(crate) url: OriginUrl,
    pub(crate) user: Option<(String, Secret)>,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) trusted: bool,
}

/// How an origin stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct OriginState {
    /// Its last answer was one.
    pub(crate) is_connected: bool,
    /// What is wrong with all of it.
    pub(crate) trouble: Option<String>,
    /// What it has of libraries of this node.
    pub(crate) shares: BTreeMap<LibraryKey, OriginShare>,
    /// What is wrong with files of it.
    pub(crate) faults: BTreeMap<(LibraryKey, String), OriginFault>,
}

/// What an origin has of a library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OriginShare {
    /// Bytes of the files of the library.
    pub(crate) len: u64,
    /// Bytes of those that the origin lists with the same hash.
    pub(crate) listed_len: u64,
    /// It lists all of them.
    pub(crate) is_complete: bool,
}

/// What is wrong with a file of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OriginFault {
    /// As in the status: `hash-mismatch`, `conflict`, `not-synced`.
    pub(crate) issue: &'static str,
    /// For people.
    pub(crate) detail: String,
}

/// One origin.
pub(crate) struct Shared {
    pub(crate) settings: OriginSettings,
    pub(crate) origin: Origin,
    /// What it lists, by library.
    pub(super) listings: watch::Sender<BTreeMap<LibraryKey, Arc<Listed>>>,
    /// Its list is to be read soon.
    pub(super) look: Notify,
    /// It is not used any more.
    ending: CancellationToken,
    state: Mutex<OriginState>,
    refused: Mutex<Vec<ListedFile>>,
}

impl Shared {
    pub(super) fn new(settings: OriginSettings, ending: CancellationToken) -> Result<Self, OriginError> {
        let check = match settings.fingerprint {
            None => Check::FirstContact,
            Some(Fingerprint::Authority) => Check::Authority,
            Some(Fingerprint::Sha256(hash)) => Check::Sha256(hash),
        };
        let user =
            settings.user.as_ref().map(|(name, password)| (name.clone(), password.expose().to_owned()));
        let origin = Origin::new(Options { url: settings.url.to_string(), user, check })?;
        Ok(Self {
            settings,
            origin,
            listings: watch::channel(BTreeMap::new()).0,
            look: Notify::new(),
            ending,
            state: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Whether it goes on as it is by these settings: what was pinned from its own answers changes nothing.
    pub(super) fn is_as(&self, settings: &OriginSettings) -> bool {
        let is_pinned = settings.fingerprint.is_some() && settings.fingerprint == self.to_pin();
        let fingerprint = if is_pinned { self.settings.fingerprint } else { settings.fingerprint };
        self.settings == OriginSettings { fingerprint, ..settings.clone() }
    }

    /// Waits on a blocking thread; nothing if the origin is not used any more.
    pub(super) fn wait<T>(&self, runtime: &Handle, work: impl Future<Output = T>) -> Option<T> {
        runtime.block_on(self.ending.run_until_cancelled(work))
    }

    /// Whether files of a library may come from it.
    pub(super) fn may_give(&self, settings: &LibrarySettings) -> bool {
        settings.from_origins.as_ref().is_none_or(|from| from.contains(&self.settings.url))
    }

    /// What was seen at first contact.
    pub(crate) fn to_pin(&self) -> Option<Fingerprint> {
        let seen = self.origin.seen().filter(|_| self.settings.fingerprint.is_none())?;
        Some(match seen {
            Seen::Authority => Fingerprint::Authority,
            Seen::Sha256(hash) => Fingerprint::Sha256(hash),
        })
    }

    /// How it stands.
    pub(crate) fn state(&self) -> OriginState {
        self.locked().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut OriginState)) {
        change(&mut self.locked());
    }

    /// Something is wrong with a file.
    pub(super) fn fault(&self, library: LibraryKey, path: &str, fault: OriginFault) {
        let mut state = self.locked();
        let key = (library, path.to_owned());
        let is_new = state.faults.get(&key) != Some(&fault);
        if is_new && (state.faults.contains_key(&key) || state.faults.len() < ORIGIN_FAULTS_MAX) {
            tracing::warn!(origin = self.settings.url.as_str(), path, "{}", fault.detail);
            state.faults.insert(key, fault);
        }
    }

    /// Wrong bytes of a file came.
    pub(super) fn note_wrong(&self, library: LibraryKey, file: &ListedFile) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused.contains(file) && refused.len() < ORIGIN_FILES_REFUSED_MAX {
            refused.push(file.clone());
        }
        drop(refused);
        let detail = format!(
            "{} gave bytes that are not those of the file it lists: nothing of them was kept, and it is not asked for the file again before it lists another version",
            self.settings.url
        );
        self.fault(library, &file.path, OriginFault { issue: "hash-mismatch", detail });
    }

    /// Whether wrong bytes of this version came.
    pub(super) fn is_refused(&self, file: &ListedFile) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(file)
    }

    /// What is known to be wrong with files is kept only as long as they are listed so.
    pub(super) fn forget_refused(&self, library: LibraryKey, listed: &Listed) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_listed = |file: &ListedFile| listed.files.iter().any(|listed| listed == file);
        let is_elsewhere = |file: &ListedFile| {
            self.listings.borrow().iter().any(|(key, listed)| *key != library && listed.files.contains(file))
        };
        refused.retain(|file| is_listed(file) || is_elsewhere(file));
        let still: Vec<String> = refused.iter().map(|file| file.path.clone()).collect();
        drop(refused);
        self.locked().faults.retain(|(of, path), fault| {
            *of != library || fault.issue != "hash-mismatch" || still.contains(path)
        });
    }

    fn locked(&self) -> MutexGuard<'_, OriginState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
