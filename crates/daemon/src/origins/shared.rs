//! One origin as its tasks and those who show it see it: what it lists, how it stands, what is wrong with its files. Invariant: a file of which
//! wrong bytes came is not asked for again before the origin lists another version of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_daemon_files::{Fingerprint, OriginUrl, Secret};
use swarm_library::LibraryKey;
use swarm_origins::{Check, ListedFile, Options, Origin, OriginError, Seen};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::listed::Listed;
use super::resting::Resting;
use crate::clock;
use crate::library::LibrarySettings;
use crate::limits::ORIGIN_FAULTS_MAX;
use crate::sentence::Sentence;

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
    pub(crate) trouble: Option<Sentence>,
    /// What it has of libraries of this node.
    pub(crate) shares: BTreeMap<LibraryKey, OriginShare>,
    /// What is wrong with a whole library of it.
    pub(crate) troubles: BTreeMap<LibraryKey, OriginFault>,
    /// What is wrong with files of it.
    pub(crate) faults: BTreeMap<(LibraryKey, String), OriginFault>,
    /// Files with which something is wrong that are not among these.
    pub(crate) unnamed: BTreeMap<LibraryKey, usize>,
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

/// What is wrong with a library or a file of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OriginFault {
    /// As in the status: `hash-mismatch`, `conflict`, `not-synced`, `fetch`, `refused`.
    pub(crate) issue: &'static str,
    /// For people.
    pub(crate) detail: Sentence,
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
    resting: Mutex<Resting>,
    /// The files say by now what was seen at first contact.
    is_pinned: AtomicBool,
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
            resting: Mutex::default(),
            is_pinned: AtomicBool::new(false),
        })
    }

    /// Whether it goes on as it is by these settings: what was pinned from its own answers changes nothing, but taking the pin out again is the way
    /// to another certificate.
    pub(super) fn is_as(&self, settings: &OriginSettings) -> bool {
        let is_own_pin = settings.fingerprint.is_some() && settings.fingerprint == self.seen();
        if is_own_pin {
            self.note_pinned();
        } else if settings.fingerprint.is_none() && self.is_pinned.load(Ordering::Relaxed) {
            return false;
        }
        let fingerprint = if is_own_pin { self.settings.fingerprint } else { settings.fingerprint };
        self.settings == OriginSettings { fingerprint, ..settings.clone() }
    }

    /// Waits on a blocking thread; nothing if the origin is not used any more.
    pub(super) fn wait<T>(&self, runtime: &Handle, work: impl Future<Output = T>) -> Option<T> {
        runtime.block_on(self.ending.run_until_cancelled(work))
    }

    /// Whether files of a library may come from it. One that is not trusted hears nothing of this node's own libraries: a GUID is told only to
    /// those who are to have it.
    pub(super) fn may_give(&self, settings: &LibrarySettings) -> bool {
        match &settings.from_origins {
            Some(from) => from.contains(&self.settings.url),
            None => settings.is_followed || self.settings.trusted,
        }
    }

    /// What was seen at first contact and is to be pinned; nothing once it was.
    pub(crate) fn to_pin(&self) -> Option<Fingerprint> {
        self.seen().filter(|_| !self.is_pinned.load(Ordering::Relaxed))
    }

    /// The files have it.
    pub(crate) fn note_pinned(&self) {
        self.is_pinned.store(true, Ordering::Relaxed);
    }

    fn seen(&self) -> Option<Fingerprint> {
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

    /// Something is wrong with a whole library.
    pub(super) fn trouble(&self, library: LibraryKey, fault: OriginFault) {
        let mut state = self.locked();
        if state.troubles.get(&library) != Some(&fault) {
            tracing::warn!(origin = self.settings.url.as_str(), "{}", fault.detail);
            state.troubles.insert(library, fault);
        }
    }

    /// Something is wrong with a file.
    fn fault(&self, library: LibraryKey, path: &str, fault: OriginFault) {
        let mut state = self.locked();
        let key = (library, path.to_owned());
        let is_new = state.faults.get(&key) != Some(&fault);
        if is_new && (state.faults.contains_key(&key) || state.faults.len() < ORIGIN_FAULTS_MAX) {
            tracing::warn!(origin = self.settings.url.as_str(), path, "{}", fault.detail);
            state.faults.insert(key, fault);
        } else if is_new {
            *state.unnamed.entry(library).or_default() += 1;
        }
    }

    /// A library was compared: `faults` are what is wrong with its files by that, and `unnamed` more.
    pub(super) fn note_compared(
        &self,
        library: LibraryKey,
        share: OriginShare,
        faults: BTreeMap<String, OriginFault>,
        unnamed: usize,
    ) {
        let mut all = faults;
        let resting = self.resting();
        all.extend(resting.faults(library).map(|(path, fault)| (path.clone(), fault.clone())));
        drop(resting);
        self.change(|state| {
            state.shares.insert(library, share);
            state.unnamed.remove(&library);
            if unnamed > 0 {
                state.unnamed.insert(library, unnamed);
            }
            state.faults.retain(|(of, path), fault| *of != library || all.get(path) == Some(fault));
        });
        for (path, fault) in all {
            self.fault(library, &path, fault);
        }
    }

    /// Wrong bytes of a file came.
    pub(super) fn note_wrong(&self, library: LibraryKey, file: &ListedFile) {
        let detail = format!(
            "{} gave bytes that are not those of the file it lists: nothing of them was kept, and it is not asked for the file again before it lists another version",
            self.settings.url
        );
        let detail = Sentence::new("origin-wrong-bytes", [("url", &self.settings.url)], detail);
        let fault = OriginFault { issue: "hash-mismatch", detail };
        self.resting().refuse(library, file, fault.clone());
        self.fault(library, &file.path, fault);
    }

    /// A file came or was put in vain, with what people are told of that: it is tried again later.
    pub(super) fn note_failed(
        &self,
        library: LibraryKey,
        file: &ListedFile,
        replaces: Option<[u8; 32]>,
        fault: Option<OriginFault>,
    ) {
        self.resting().failed(library, file, replaces, fault.clone(), clock::moment());
        if let Some(fault) = fault {
            self.fault(library, &file.path, fault);
        }
    }

    /// A file came.
    pub(super) fn note_came(&self, library: LibraryKey, file: &ListedFile) {
        self.resting().came(library, &file.path);
        self.change(|state| drop(state.faults.remove(&(library, file.path.clone()))));
    }

    /// Whether wrong bytes of this version came.
    pub(super) fn is_refused(&self, library: LibraryKey, file: &ListedFile) -> bool {
        self.resting().is_refused(library, file)
    }

    /// Whether a file is left alone for now.
    pub(super) fn rests(&self, library: LibraryKey, file: &ListedFile, replaces: Option<[u8; 32]>) -> bool {
        self.resting().rests(library, file, replaces, clock::moment())
    }

    /// Another list of a library came, or none any more.
    pub(super) fn set_listed(&self, library: LibraryKey, listed: Option<Arc<Listed>>) {
        self.resting().follow(library, listed.as_deref().unwrap_or(&Listed::default()));
        match listed {
            Some(listed) => {
                self.listings.send_modify(|listings| drop(listings.insert(library, listed)));
            }
            None => {
                self.listings.send_if_modified(|listings| listings.remove(&library).is_some());
                self.change(|state| {
                    state.shares.remove(&library);
                    state.unnamed.remove(&library);
                    state.faults.retain(|(of, _), _| *of != library);
                });
            }
        }
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, OriginState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(trusted: bool) -> OriginSettings {
        let url = "http://127.0.0.1:1".parse().expect("an address");
        OriginSettings { url, user: None, fingerprint: None, trusted }
    }

    #[test]
    fn an_origin_begins_again_when_its_pin_is_taken_out() {
        let fingerprint = Some(Fingerprint::Sha256([1; 32]));
        let pinned = OriginSettings { fingerprint, ..settings(true) };
        let shared = Shared::new(pinned.clone(), CancellationToken::new()).expect("an origin");
        assert!(shared.is_as(&pinned) && !shared.is_as(&settings(true)));
        let shared = Shared::new(settings(true), CancellationToken::new()).expect("an origin");
        assert!(shared.is_as(&settings(true)));
        shared.note_pinned();
        assert!(!shared.is_as(&settings(true)), "what it pinned was taken out again");
        assert_eq!(shared.to_pin(), None);
    }

    #[test]
    fn what_is_wrong_with_many_files_is_counted() {
        let shared = Shared::new(settings(true), CancellationToken::new()).expect("an origin");
        let library = swarm_library::Guid::new("jdfhdhdbe484746").expect("a GUID").key();
        let fault = OriginFault { issue: "conflict", detail: "changed at both".to_owned().into() };
        let faults = (0..ORIGIN_FAULTS_MAX + 3).map(|number| (format!("/{number}"), fault.clone()));
        shared.note_compared(library, OriginShare::default(), faults.collect(), 2);
        let state = shared.state();
        assert_eq!((state.faults.len(), state.unnamed.get(&library)), (ORIGIN_FAULTS_MAX, Some(&5)));
    }
}
