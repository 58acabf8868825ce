//! Reads what an origin lists, again and again, and takes over what a trusted one has of a library that no linked peer has. Invariant: an origin
//! that does not answer is asked later and later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use swarm_library::LibraryKey;
use swarm_origins::{Listing, OriginError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::listed::Listed;
use super::shared::Shared;
use super::taking::{Compared, Comparing, take_all};
use super::{Followed, Ground};
use crate::library::Input as LibraryInput;

pub(super) struct Polling {
    shared: Arc<Shared>,
    ground: Ground,
    libraries: watch::Receiver<BTreeMap<LibraryKey, Followed>>,
}

impl Polling {
    pub(super) fn new(
        shared: Arc<Shared>,
        ground: Ground,
        libraries: watch::Receiver<BTreeMap<LibraryKey, Followed>>,
    ) -> Self {
        Self { shared, ground, libraries }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let (mut wait, mut soon) = (RETRY_MIN, SOON_MIN);
        loop {
            let libraries = self.libraries.borrow_and_update().clone();
            let pause = match self.look_at_all(&libraries).await {
                Ok(is_soon) => {
                    (wait, soon) =
                        (RETRY_MIN, if is_soon { (soon * 2).min(POLL_INTERVAL) } else { SOON_MIN });
                    if is_soon { soon } else { POLL_INTERVAL }
                }
                Err(error) => {
                    self.note_trouble(&error);
                    wait = (wait * 2).min(RETRY_MAX);
                    wait
                }
            };
            // What wakes it early may come often.
            tokio::time::sleep(SOON_MIN.min(pause)).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.libraries.changed() => if changed.is_err() { return },
                () = self.shared.look.notified() => {}
            }
        }
    }

    fn note_trouble(&self, error: &OriginError) {
        let words = error.to_string();
        self.shared.change(|state| {
            if state.trouble.as_ref() != Some(&words) {
                tracing::warn!(origin = self.shared.settings.url.as_str(), %error, "an origin cannot be used now");
            }
            (state.is_connected, state.trouble) = (false, Some(words));
        });
    }

    /// Returns whether to look again soon.
    async fn look_at_all(&self, libraries: &BTreeMap<LibraryKey, Followed>) -> Result<bool, OriginError> {
        self.forget_others(libraries);
        let mut is_soon = false;
        for (key, followed) in
            libraries.iter().filter(|(_, followed)| self.shared.may_give(&followed.settings))
        {
            is_soon |= self.look_at(*key, followed).await?;
        }
        Ok(is_soon)
    }

    async fn look_at(&self, key: LibraryKey, followed: &Followed) -> Result<bool, OriginError> {
        let known = self.shared.listings.borrow().get(&key).cloned();
        let tag = known.as_ref().and_then(|listed| listed.tag.as_deref());
        let listed = match self.shared.origin.list(followed.settings.guid.as_str(), tag).await {
            Ok(Listing::Same) => known.unwrap_or_default(),
            Ok(Listing::Files { files, tag }) => {
                let made = tokio::task::spawn_blocking(move || Arc::new(Listed::new(files, tag)));
                let listed = made.await.unwrap_or_default();
                self.shared.forget_refused(key, &listed);
                self.shared.listings.send_modify(|listings| drop(listings.insert(key, Arc::clone(&listed))));
                listed
            }
            Err(OriginError::Missing(_)) => {
                self.forget(key);
                return Ok(self.note_answer());
            }
            Err(error) => return Err(error),
        };
        self.note_answer();
        self.compare(key, followed, listed).await
    }

    /// Returns that nothing is to be done soon.
    fn note_answer(&self) -> bool {
        self.shared.change(|state| (state.is_connected, state.trouble) = (true, None));
        false
    }

    async fn compare(
        &self,
        key: LibraryKey,
        followed: &Followed,
        listed: Arc<Listed>,
    ) -> Result<bool, OriginError> {
        let may_take = self.may_take(key, followed);
        if may_take && followed.settings.is_followed {
            // A library is signed in only once somebody that counts was heard about it.
            let _ = followed.handle.inputs.send(LibraryInput::Heard { is_sealed: false }).await;
        }
        let (shared, me, of_library) = (Arc::clone(&self.shared), self.ground.me, followed.clone());
        let work = move || {
            let (shared, followed) = (&shared, &of_library);
            Comparing { shared, followed, listed: &listed, me, may_take }.run()
        };
        let compared = match tokio::task::spawn_blocking(work).await {
            Ok(Ok(compared)) => compared,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot compare what an origin lists");
                return Ok(false);
            }
            Err(_) => return Ok(false),
        };
        self.note_compared(key, &compared);
        self.take(key, followed, compared).await
    }

    async fn take(
        &self,
        key: LibraryKey,
        followed: &Followed,
        compared: Compared,
    ) -> Result<bool, OriginError> {
        let Compared { takes, has_more, .. } = compared;
        if takes.is_empty() {
            return Ok(has_more);
        }
        let (shared, followed, runtime) = (Arc::clone(&self.shared), followed.clone(), Handle::current());
        let work = move || take_all(&shared, key, &followed, takes, &runtime);
        let outcome = tokio::task::spawn_blocking(work).await.unwrap_or_default();
        match outcome.trouble {
            Some(error) => Err(error),
            None => Ok(outcome.is_soon || has_more),
        }
    }

    /// Whether what the origin lists is taken over: it is trusted, and no linked peer has the library.
    fn may_take(&self, key: LibraryKey, followed: &Followed) -> bool {
        let settings = &followed.settings;
        let is_open =
            !settings.is_paused && !settings.is_mirror && !settings.is_sealed && settings.has_target();
        let peers = self.ground.peers.borrow();
        let has = |peer: &crate::exchange::PeerState| {
            peer.libraries.get(&key).is_some_and(|library| library.role.is_some())
        };
        self.shared.settings.trusted
            && is_open
            && followed.handle.state.borrow().is_scanned
            && !peers.iter().any(has)
    }

    fn note_compared(&self, key: LibraryKey, compared: &Compared) {
        self.shared.change(|state| {
            state.shares.insert(key, compared.share);
            state.faults.retain(|(of, _), fault| *of != key || fault.issue == "hash-mismatch");
        });
        for (path, fault) in &compared.faults {
            self.shared.fault(key, path, fault.clone());
        }
    }

    fn forget(&self, key: LibraryKey) {
        if self.shared.listings.borrow().contains_key(&key) {
            self.shared.listings.send_modify(|listings| drop(listings.remove(&key)));
        }
        self.shared.change(|state| {
            state.shares.remove(&key);
            state.faults.retain(|(of, _), _| *of != key);
        });
    }

    fn forget_others(&self, libraries: &BTreeMap<LibraryKey, Followed>) {
        let known: Vec<LibraryKey> = self.shared.listings.borrow().keys().copied().collect();
        for key in known
            .into_iter()
            .filter(|key| libraries.get(key).is_none_or(|followed| !self.shared.may_give(&followed.settings)))
        {
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
