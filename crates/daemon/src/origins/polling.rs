//! Reads what an origin lists, again and again, and takes over what a trusted one has of a library that no linked peer has. Invariant: an origin
//! that does not answer is asked later and later, and so is each library of which its list is bad: one that is holds up no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_library::LibraryKey;
use swarm_origins::{Listing, OriginError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::listed::Listed;
use super::putting::{Putting, put_all};
use super::shared::{OriginFault, Shared};
use super::taking::{Compared, Comparing, ComparingError};
use super::{Followed, Ground, Libraries};
use crate::clock;
use crate::library::Input as LibraryInput;
use crate::limits::ORIGIN_FILES_LISTED_MAX;
use crate::sentence::Sentence;

pub(super) struct Polling {
    shared: Arc<Shared>,
    ground: Ground,
    libraries: watch::Receiver<Libraries>,
    /// Where it is waited for the origin.
    threads: Handle,
    /// Libraries of which the list was bad.
    pauses: BTreeMap<LibraryKey, Pause>,
    /// The library at which the last round ended early: the next one begins after it.
    stopped_at: Option<LibraryKey>,
}

/// When a library is asked for again.
struct Pause {
    due_at: Instant,
    wait: Duration,
}

impl Polling {
    pub(super) fn new(
        shared: Arc<Shared>,
        ground: Ground,
        libraries: watch::Receiver<Libraries>,
        threads: Handle,
    ) -> Self {
        let (pauses, stopped_at) = (BTreeMap::new(), None);
        Self { shared, ground, libraries, threads, pauses, stopped_at }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let (mut wait, mut soon) = (RETRY_MIN, SOON_MIN);
        loop {
            let libraries = self.libraries.borrow_and_update().clone();
            let (pause, least) = match self.look_at_all(&libraries).await {
                Ok(is_soon) => {
                    (wait, soon) =
                        (RETRY_MIN, if is_soon { (soon * 2).min(POLL_INTERVAL) } else { SOON_MIN });
                    (if is_soon { soon } else { POLL_INTERVAL }, SOON_MIN)
                }
                Err(error) => {
                    self.note_trouble(&error);
                    wait = (wait * 2).min(RETRY_MAX);
                    let asked = error.after().unwrap_or_default().min(ASKED_MAX);
                    (wait.max(asked), SOON_MIN.max(asked))
                }
            };
            let is_well = self.shared.state().is_connected;
            // What wakes it early may come often.
            tokio::time::sleep(least.min(pause)).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(least)) => {}
                changed = self.libraries.changed() => if changed.is_err() { return },
                () = self.shared.look.notified(), if is_well => {}
            }
        }
    }

    fn note_trouble(&self, error: &OriginError) {
        let words = Sentence::from(error);
        self.shared.change(|state| {
            if state.trouble.as_ref() != Some(&words) {
                tracing::warn!(origin = self.shared.settings.url.as_str(), %error, "an origin cannot be used now");
            }
            (state.is_connected, state.trouble) = (false, Some(words));
        });
    }

    /// Returns whether to look again soon.
    ///
    /// # Errors
    /// What is so of all of the origin.
    async fn look_at_all(&mut self, libraries: &Libraries) -> Result<bool, OriginError> {
        self.forget_others(libraries);
        if !libraries.values().any(|followed| self.shared.may_give(&followed.settings)) {
            let why = "nothing is asked of it: no library is to come from it, and those of this machine itself only if it is trusted";
            self.shared.change(|state| {
                (state.is_connected, state.trouble) = (false, Some(Sentence::new("origin-unneeded", [], why)))
            });
        }
        let mut keys: Vec<LibraryKey> = libraries.keys().copied().collect();
        let first = self.stopped_at.map_or(0, |at| keys.partition_point(|key| *key <= at));
        keys.rotate_left(first);
        let mut is_soon = false;
        for key in keys {
            let followed = &libraries[&key];
            let rests = self.pauses.get(&key).is_some_and(|pause| pause.due_at > clock::moment());
            if rests || !self.shared.may_give(&followed.settings) {
                continue;
            }
            match self.look_at(key, followed).await {
                Ok(is_soon_here) => is_soon |= is_soon_here,
                Err(error) if error.is_of_server() => {
                    self.stopped_at = Some(key);
                    return Err(error);
                }
                Err(error) => self.note_bad(key, &error),
            }
        }
        self.stopped_at = None;
        Ok(is_soon)
    }

    /// The list of a library is bad.
    fn note_bad(&mut self, key: LibraryKey, error: &OriginError) {
        let before = self.pauses.get(&key).map_or(POLL_INTERVAL / 2, |pause| pause.wait);
        let wait = (before * 2).min(BAD_MAX).max(error.after().unwrap_or_default().min(ASKED_MAX));
        self.pauses.insert(key, Pause { due_at: clock::moment() + wait, wait });
        let issue = if *error == OriginError::Sealed { "not-synced" } else { "fetch" };
        let detail = format!("nothing comes from {}: {error}", self.shared.settings.url);
        let detail =
            Sentence::new("from-origin", [("url", &self.shared.settings.url)], detail).because(error.into());
        // What was listed before holds on where this time no answer came.
        if !error.is_transient() {
            self.shared.set_listed(key, None);
        }
        self.shared.trouble(key, OriginFault { issue, detail });
    }

    async fn look_at(&mut self, key: LibraryKey, followed: &Followed) -> Result<bool, OriginError> {
        let known = self.shared.listings.borrow().get(&key).cloned();
        let tag = known.as_ref().and_then(|listed| listed.tag.as_deref());
        let listed = match self.shared.origin.list(followed.settings.guid.as_str(), tag).await {
            Ok(Listing::Same) => known.unwrap_or_default(),
            Ok(Listing::Files { files, tag, unread }) => {
                self.check_len(key, files.len())?;
                let make = move || {
                    let mut listed = Listed::new(files, tag);
                    listed.unread = unread;
                    Arc::new(listed)
                };
                let listed = tokio::task::spawn_blocking(make).await.unwrap_or_default();
                self.shared.set_listed(key, Some(Arc::clone(&listed)));
                listed
            }
            Err(OriginError::Missing(_)) => {
                self.forget(key);
                self.note_answer();
                return Ok(false);
            }
            Err(error) => {
                if !error.is_of_server() {
                    self.note_answer();
                }
                if error == OriginError::Sealed {
                    self.note_sealed(followed).await;
                }
                return Err(error);
            }
        };
        self.note_answer();
        self.pauses.remove(&key);
        let compared = self.compare(key, followed, Arc::clone(&listed)).await;
        let url = &self.shared.settings.url;
        let fault = match &compared {
            Err(error) => {
                let text = format!("nothing is taken over from {url}: {error}");
                let detail = Sentence::new("take-over", [("url", url), ("why", error)], text);
                Some(OriginFault { issue: "fetch", detail })
            }
            Ok(_) if listed.unread > 0 => {
                let count = listed.unread;
                let detail =
                    format!("{url} lists {count} files in a way that is not understood: they are left out");
                let detail = Sentence::new("origin-unread", [("url", url), ("n", &count)], detail);
                Some(OriginFault { issue: "not-synced", detail })
            }
            Ok(_) => None,
        };
        match fault {
            Some(fault) => self.shared.trouble(key, fault),
            None => self.shared.change(|state| drop(state.troubles.remove(&key))),
        }
        let Some(compared) = compared.ok().flatten() else { return Ok(false) };
        self.put(key, followed, compared).await
    }

    /// All lists of an origin together have a limit, too.
    fn check_len(&self, key: LibraryKey, len: usize) -> Result<(), OriginError> {
        let listings = self.shared.listings.borrow();
        let others = listings.iter().filter(|(of, _)| **of != key).map(|(_, listed)| listed.files.len());
        let all = others.sum::<usize>().saturating_add(len);
        if all <= ORIGIN_FILES_LISTED_MAX {
            Ok(())
        } else {
            Err(OriginError::TooLong(ORIGIN_FILES_LISTED_MAX))
        }
    }

    fn note_answer(&self) {
        self.shared.change(|state| (state.is_connected, state.trouble) = (true, None));
    }

    /// Nothing is signed in a library in the clear that somebody who counts says is sealed.
    async fn note_sealed(&self, followed: &Followed) {
        if self.shared.settings.trusted && followed.settings.is_followed {
            let _ = followed.handle.inputs.send(LibraryInput::Heard { is_sealed: true }).await;
        }
    }

    /// Compares the list with the library; nothing if that ended early.
    async fn compare(
        &self,
        key: LibraryKey,
        followed: &Followed,
        listed: Arc<Listed>,
    ) -> Result<Option<Compared>, ComparingError> {
        let may_take = self.may_take(key, followed);
        if may_take && followed.settings.is_followed {
            // A library is signed in only once somebody that counts was heard about it.
            let _ = followed.handle.inputs.send(LibraryInput::Heard { is_sealed: false }).await;
        }
        let (shared, me, of_library) = (Arc::clone(&self.shared), self.ground.me, followed.clone());
        let work = move || {
            let (shared, followed) = (&shared, &of_library);
            Comparing { shared, library: key, followed, listed: &listed, me, may_take }.run()
        };
        tokio::task::spawn_blocking(work).await.ok().transpose()
    }

    async fn put(
        &self,
        key: LibraryKey,
        followed: &Followed,
        compared: Compared,
    ) -> Result<bool, OriginError> {
        let Compared { share, faults, unnamed, takes, has_more } = compared;
        self.shared.note_compared(key, share, faults, unnamed);
        if takes.is_empty() {
            return Ok(has_more);
        }
        let putting = Putting {
            shared: Arc::clone(&self.shared),
            library: key,
            followed: followed.clone(),
            runtime: Handle::current(),
        };
        let outcome = self.threads.spawn_blocking(move || put_all(&putting, takes)).await.unwrap_or_default();
        match outcome.trouble {
            Some(error) => Err(error),
            None => Ok(outcome.is_soon || has_more),
        }
    }

    /// Whether what the origin lists is taken over: it is trusted, and no linked peer has the library. What this node takes over goes on as its own
    /// version: that is not what the versions of one author alone means, and not for a library that is sealed.
    fn may_take(&self, key: LibraryKey, followed: &Followed) -> bool {
        let settings = &followed.settings;
        let is_open = !settings.is_paused
            && !settings.is_mirror
            && !settings.is_sealed
            && settings.version_of.is_none()
            && settings.has_target()
            && matches!(followed.handle.keys.sealing(), Ok(None));
        let peers = self.ground.peers.borrow();
        let has = |peer: &crate::exchange::PeerState| {
            peer.libraries.get(&key).is_some_and(|library| library.role.is_some())
        };
        self.shared.settings.trusted
            && is_open
            && followed.handle.state.borrow().is_scanned
            && !peers.iter().any(has)
    }

    fn forget(&mut self, key: LibraryKey) {
        self.pauses.remove(&key);
        self.shared.set_listed(key, None);
        self.shared.change(|state| drop(state.troubles.remove(&key)));
    }

    fn forget_others(&mut self, libraries: &Libraries) {
        let listed = self.shared.listings.borrow().keys().copied().collect::<Vec<_>>();
        let told = self.shared.state().troubles.into_keys();
        let mut known: Vec<LibraryKey> = self.pauses.keys().copied().chain(listed).chain(told).collect();
        known.retain(|key| {
            libraries.get(key).is_none_or(|followed| !self.shared.may_give(&followed.settings))
        });
        for key in known {
            self.forget(key);
        }
    }
}

/// How often a list is read.
const POLL_INTERVAL: Duration = Duration::from_secs(30);
/// How soon it is read again when a file changed at the origin meanwhile, at first.
const SOON_MIN: Duration = Duration::from_secs(1);
/// How soon an origin is asked again that did not answer, at first and at most.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How soon it is asked again for a library of which its list is bad, at most.
const BAD_MAX: Duration = Duration::from_secs(15 * 60);
/// How long it is left alone at most because it asks for that.
const ASKED_MAX: Duration = swarm_origins::limits::REST_ASKED_MAX;
