//! Which contents are fetched, in which order, and when again. Invariant: so many are fetched at once and no more; one of which nothing comes gives way
//! to those that wait, and what came to nothing is tried again, later and later. Absent here: how a content is joined and opened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use swarm_core::base::ContentId;
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;

use super::joined::Joined;
use super::opening::{self, Assigned};
use super::{Contents, Done, Part, Wanted};
use crate::clock;
use crate::library::Input as LibraryInput;
use crate::limits::FETCHES_MAX;

/// When a fetch is tried again.
pub(super) struct Retry {
    pub(super) library: LibraryKey,
    /// For people.
    pub(super) why: Option<String>,
    /// `None` while it is tried.
    pub(super) due_at: Option<Instant>,
    /// How long it waited last.
    pub(super) wait: Duration,
}

impl Contents {
    /// Finds out which contents carry what is wanted.
    pub(super) fn assign(&mut self, library: LibraryKey, wanted: BTreeMap<ContentHash, u64>, taken: u64) {
        let Some(handle) = self.libraries.get(&library) else { return };
        let steered = self.steers.held().filter_map(|(_, part, _)| match part {
            Part::Rest(content) => Some(content),
            Part::File(_) | Part::Ticket(_) => None,
        });
        let joined = self.wanted.keys().copied().chain(steered).collect();
        let path = handle.index_path.clone();
        self.handed.entry(library).or_default().begin(taken);
        self.tasks
            .spawn_blocking(move || Done::Assigned(library, opening::assign(&path, &wanted, &joined), taken));
    }

    /// It was found out which contents carry what is wanted.
    pub(super) async fn on_assigned(&mut self, library: LibraryKey, assigned: Assigned, taken: u64) {
        let handed = self.handed.entry(library).or_default();
        let unseen = |(content, mut hashes): (ContentId, BTreeMap<ContentHash, u64>)| {
            hashes.retain(|hash, _| !handed.has_file(hash, taken));
            (!hashes.is_empty()).then_some((content, hashes))
        };
        let assigned: Vec<_> = assigned.into_iter().filter_map(unseen).collect();
        handed.end(taken);
        for (content, hashes) in assigned {
            let wanted = self.wanted.entry(content);
            let wanted = wanted.or_insert_with(|| Wanted { library, files: BTreeMap::new() });
            for (hash, len) in hashes {
                let known = wanted.files.entry(hash).or_default();
                *known = len.max(*known);
            }
            let is_retried = self.retries.get(&content).is_some_and(|retry| retry.due_at.is_some());
            let is_fetching = self.joined.get(&content).is_some_and(|joined| joined.is_fetching);
            let waits = self.waiting.iter().any(|(_, waiting)| *waiting == content);
            if self.is_resting(&library, &content) {
                self.open_resting(library, content).await;
            } else if !is_fetching && !waits && !is_retried {
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
            if !is_fetching && !waits && !self.is_resting(&library, &content) {
                self.waiting.push_back((library, content));
            }
        }
        self.start_fetches().await;
    }

    /// What is fetched may be what nobody has any more: if nothing of it comes, others have their turn.
    pub(super) async fn take_turns(&mut self) {
        let is_late = |joined: &Joined| joined.is_fetching && joined.used_at.elapsed() >= TURN;
        let resting = self.resting();
        let has_late =
            |(content, joined): (&ContentId, &Joined)| is_late(joined) && !resting.contains(content);
        if self.waiting.is_empty() || !self.joined.iter().any(has_late) {
            return;
        }
        let snapshot = self.node.snapshot().await;
        let had = |content: &ContentId| {
            let presence = snapshot.presences.iter().find(|presence| presence.content == *content);
            presence.map_or(0, |presence| presence.have_count)
        };
        let mut late = Vec::new();
        let is_late =
            |(content, joined): &(&ContentId, &mut Joined)| is_late(joined) && !resting.contains(content);
        for (content, joined) in self.joined.iter_mut().filter(is_late) {
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

    /// The content that waited longest, of the library with the greatest priority, and of those there that somebody put first.
    pub(super) fn next_waiting(&mut self) -> Option<(LibraryKey, ContentId)> {
        let of: BTreeSet<LibraryKey> = self.waiting.iter().map(|(library, _)| *library).collect();
        let now = clock::moment();
        let full: Vec<LibraryKey> =
            of.into_iter().filter(|library| self.backlog.is_full(*library, now)).collect();
        let priority = |library: &LibraryKey, content: &ContentId| {
            (
                self.libraries.get(library).map(|handle| handle.priority),
                std::cmp::Reverse(self.first_rank(library, content)),
            )
        };
        let waiting = self.waiting.iter().enumerate().filter(|(_, (library, _))| !full.contains(library));
        let (at, _) = waiting
            .max_by_key(|(at, (library, content))| (priority(library, content), std::cmp::Reverse(*at)))?;
        self.waiting.remove(at)
    }

    /// Begins fetches, as long as there is room.
    pub(super) async fn start_fetches(&mut self) {
        while self.moving().count() < FETCHES_MAX {
            let Some((library, content)) = self.next_waiting() else { return };
            // One that was served until now is opened anew, with what is wanted of it.
            let served = self.joined.remove(&content);
            if served.is_some() {
                self.leave(content).await;
            }
            let asking = served.map(|served| served.asking).unwrap_or_default();
            self.begin(library, content, true, asking).await;
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
        self.retries.insert(content, Retry { library, why: why.clone(), due_at, wait });
        // The store that was open for serving goes in a moment: that is no trouble.
        let why = why.filter(|_| wait >= TROUBLE_MIN);
        if let (Some(why), Some(handle)) = (why, self.libraries.get(&library)) {
            tracing::warn!(content = content.short(), why, "files of a library cannot be fetched now");
            let _ = handle.arrived.send(LibraryInput::FetchTrouble(why)).await;
        }
    }

    /// Begins again what came to nothing, once it has waited.
    pub(super) async fn retry(&mut self) {
        let now = clock::moment();
        let is_due = |retry: &Retry| retry.due_at.is_some_and(|at| at <= now);
        let due = self.retries.iter().filter(|(_, retry)| is_due(retry));
        let due: Vec<(LibraryKey, ContentId)> =
            due.map(|(content, retry)| (retry.library, *content)).collect();
        for (library, content) in due {
            // What is held is tried again when it goes on.
            if self.is_resting(&library, &content) {
                self.retries.remove(&content);
            } else if let Some(retry) = self.retries.get_mut(&content) {
                retry.due_at = None;
                self.waiting.push_back((library, content));
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
        self.flow.forget(&content);
        let library = joined.library;
        let opened_for = std::mem::take(&mut joined.opened_for);
        if let Some(mut wanted) = self.wanted.remove(&content) {
            wanted.files.retain(|hash, _| !opened_for.contains_key(hash));
            if !wanted.files.is_empty() {
                self.waiting.push_back((library, content));
                self.wanted.insert(content, wanted);
            }
        }
        if !self.wanted.contains_key(&content) {
            self.steers.forget(library, |part| *part == Part::Rest(content));
        }
        self.stop_waiting_for_held();
    }
}

/// What is fetched gives way to what waits, when nothing of it came for so long.
const TURN: Duration = Duration::from_secs(120);
/// How soon a fetch that came to nothing is tried again, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A fetch that came to nothing so often that it waits for so long is a trouble.
const TROUBLE_MIN: Duration = Duration::from_millis(400);
