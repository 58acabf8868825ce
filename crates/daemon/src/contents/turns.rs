//! Which contents are fetched, in which order, and when again. Invariant: so many are fetched at once and no more; one of which nothing comes gives way
//! to those that wait, and what came to nothing is tried again, later and later. Absent here: how a content is joined and opened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use swarm_core::base::ContentId;
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;

use super::joined::Joined;
use super::opening::{self, Assigned};
use super::{Contents, Done};
use crate::clock;
use crate::library::Input as LibraryInput;
use crate::limits::FETCHES_MAX;

/// When a fetch is tried again.
pub(super) struct Retry {
    pub(super) library: LibraryKey,
    /// `None` while it is tried.
    pub(super) due_at: Option<Instant>,
    /// How long it waited last.
    pub(super) wait: Duration,
}

impl Contents {
    /// Finds out which contents carry what is wanted.
    pub(super) fn assign(&mut self, library: LibraryKey, wanted: BTreeMap<ContentHash, u64>, taken: u64) {
        let Some(handle) = self.libraries.get(&library) else { return };
        let (path, joined) = (handle.index_path.clone(), self.wanted.keys().copied().collect());
        self.handed.entry(library).or_default().begin(taken);
        self.tasks
            .spawn_blocking(move || Done::Assigned(library, opening::assign(&path, &wanted, &joined), taken));
    }

    /// It was found out which contents carry what is wanted.
    pub(super) async fn on_assigned(&mut self, library: LibraryKey, assigned: Assigned, taken: u64) {
        let handed = self.handed.entry(library).or_default();
        let unseen = |(content, mut hashes): (ContentId, BTreeSet<ContentHash>)| {
            hashes.retain(|hash| !handed.has_file(hash, taken));
            (!hashes.is_empty()).then_some((content, hashes))
        };
        let assigned: Vec<_> = assigned.into_iter().filter_map(unseen).collect();
        handed.end(taken);
        for (content, hashes) in assigned {
            self.wanted.entry(content).or_default().extend(hashes);
            let is_retried = self.retries.get(&content).is_some_and(|retry| retry.due_at.is_some());
            let is_fetching = self.joined.get(&content).is_some_and(|joined| joined.is_fetching);
            let waits = self.waiting.iter().any(|(_, waiting)| *waiting == content);
            if !is_fetching && !waits && !is_retried {
                self.waiting.push_back((library, content));
            }
        }
        self.start_fetches().await;
    }

    /// Fetches contents whole, one after the other.
    pub(super) async fn mirror(&mut self, library: LibraryKey, contents: Vec<ContentId>, taken: u64) {
        let handed = self.handed.entry(library).or_default();
        let mut lacking = contents;
        lacking.retain(|content| !handed.has_content(content, taken));
        handed.begin(taken);
        handed.end(taken);
        for content in lacking {
            let is_fetching = self.joined.get(&content).is_some_and(|joined| joined.is_fetching);
            let waits = self.waiting.iter().any(|(_, waiting)| *waiting == content);
            if !is_fetching && !waits {
                self.waiting.push_back((library, content));
            }
        }
        self.start_fetches().await;
    }

    /// What is fetched may be what nobody has any more: if nothing of it comes, others have their turn.
    pub(super) async fn take_turns(&mut self) {
        let is_late = |joined: &Joined| joined.is_fetching && joined.used_at.elapsed() >= TURN;
        if self.waiting.is_empty() || !self.joined.values().any(is_late) {
            return;
        }
        let snapshot = self.node.snapshot().await;
        let had = |content: &ContentId| {
            let presence = snapshot.presences.iter().find(|presence| presence.content == *content);
            presence.map_or(0, |presence| presence.have_count)
        };
        let mut late = Vec::new();
        for (content, joined) in self.joined.iter_mut().filter(|(_, joined)| is_late(joined)) {
            let have_count = had(content);
            if have_count > joined.had_count {
                (joined.had_count, joined.used_at) = (have_count, clock::moment());
            } else {
                late.push((joined.library, *content));
            }
        }
        for (library, content) in late {
            self.joined.remove(&content);
            self.leave(content).await;
            self.waiting.push_back((library, content));
        }
        self.start_fetches().await;
    }

    /// The content that waited longest, of the library with the greatest priority.
    pub(super) fn next_waiting(&mut self) -> Option<(LibraryKey, ContentId)> {
        let priority = |library: &LibraryKey| self.libraries.get(library).map(|handle| handle.priority);
        let waiting = self.waiting.iter().enumerate();
        let (at, _) = waiting.max_by_key(|(at, (library, _))| (priority(library), std::cmp::Reverse(*at)))?;
        self.waiting.remove(at)
    }

    /// Begins fetches, as long as there is room.
    pub(super) async fn start_fetches(&mut self) {
        while self.joined.values().filter(|joined| joined.is_fetching).count() < FETCHES_MAX {
            let Some((library, content)) = self.next_waiting() else { return };
            // One that was served until now is opened anew, with what is wanted of it.
            let served = self.joined.remove(&content);
            if served.is_some() {
                self.leave(content).await;
            }
            let asking = served.map(|served| served.asking).unwrap_or_default();
            self.begin(library, content, true, asking);
        }
    }

    /// Leaves a content; what is wanted of it is fetched again after a while.
    pub(super) async fn give_up_for_now(
        &mut self,
        library: LibraryKey,
        content: ContentId,
        why: Option<String>,
    ) {
        if self.joined.remove(&content).is_some() {
            self.leave(content).await;
        }
        if !self.wanted.contains_key(&content) {
            return;
        }
        let before = self.retries.get(&content).map(|retry| retry.wait);
        let wait = before.map_or(RETRY_MIN, |wait| (wait * 2).min(RETRY_MAX));
        let due_at = Some(clock::moment() + wait);
        self.retries.insert(content, Retry { library, due_at, wait });
        // The store that was open for serving goes in a moment: that is no trouble.
        let why = why.filter(|_| wait >= TROUBLE_MIN);
        if let (Some(why), Some(handle)) = (why, self.libraries.get(&library)) {
            tracing::warn!(content = content.short(), why, "files of a library cannot be fetched now");
            let _ = handle.inputs.send(LibraryInput::FetchTrouble(why)).await;
        }
    }

    /// Begins again what came to nothing, once it has waited.
    pub(super) async fn retry(&mut self) {
        let now = clock::moment();
        for (content, retry) in &mut self.retries {
            if retry.due_at.is_some_and(|at| at <= now) {
                retry.due_at = None;
                self.waiting.push_back((retry.library, *content));
            }
        }
        self.start_fetches().await;
    }

    /// What was wanted of a content is here. What is wanted since then is fetched by another opening.
    pub(super) fn on_completed(&mut self, content: ContentId) {
        self.retries.remove(&content);
        self.sought.remove(&content);
        let Some(joined) = self.joined.get_mut(&content).filter(|joined| joined.is_fetching) else { return };
        (joined.is_fetching, joined.used_at) = (false, clock::moment());
        let mut wanted = self.wanted.remove(&content).unwrap_or_default();
        wanted.retain(|hash| !joined.opened_for.contains(hash));
        if !wanted.is_empty() {
            self.waiting.push_back((joined.library, content));
            self.wanted.insert(content, wanted);
        }
    }
}

/// What is fetched gives way to what waits, when nothing of it came for so long.
const TURN: Duration = Duration::from_secs(120);
/// How soon a fetch that came to nothing is tried again, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A fetch that came to nothing so often that it waits for so long is a trouble.
const TROUBLE_MIN: Duration = Duration::from_millis(400);
