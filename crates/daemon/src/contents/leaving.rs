//! Which contents are left, and when: those that nobody wants here any more, or that make room for others. Invariant: what a peer or this node
//! needs at this moment stays. Absent here: which are joined.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use swarm_core::base::ContentId;
use swarm_core::presence::Presence;
use swarm_library::LibraryKey;

use super::joined::Joined;
use super::{Contents, Done, SEEK_INTERVAL, opening};
use crate::clock;
use crate::limits::{FILES_JOINED_MAX, JOINED_MAX};

impl Contents {
    /// Ends fetches of a library that waits for nothing: what they were to bring came another way, or nobody wants it any more. Then removes what
    /// they left.
    pub(super) async fn end_fetches(&mut self, library: LibraryKey) {
        let Some(handle) = self.libraries.get(&library).cloned() else { return };
        if *handle.is_mirror.borrow() {
            return;
        }
        self.steers.forget(library, |_| true);
        self.wanted.retain(|_, wanted| wanted.library != library);
        let is_of = |joined: &Joined| joined.library == library && joined.is_fetching;
        let of_it = self.joined.iter().filter(|(_, joined)| is_of(joined)).map(|(content, _)| *content);
        for content in of_it.collect::<Vec<_>>() {
            self.joined.remove(&content);
            self.wanted.remove(&content);
            self.leave(content).await;
        }
        let over: Vec<ContentId> =
            self.waiting.iter().filter(|(known, _)| *known == library).map(|(_, content)| *content).collect();
        let retried = self.retries.iter().filter(|(_, retry)| retry.library == library);
        let over: Vec<ContentId> = over.into_iter().chain(retried.map(|(content, _)| *content)).collect();
        self.waiting.retain(|(known, _)| *known != library);
        for content in over {
            self.wanted.remove(&content);
            self.retries.remove(&content);
        }
        let Some(fetched) = handle.fetched.borrow().clone() else { return };
        self.used.set(self.joined.keys().copied().collect());
        let used = self.used.clone();
        self.tasks.spawn_blocking(move || {
            opening::remove_leftovers(&fetched.dir, &used);
            Done::Over
        });
    }

    /// Nothing more comes for a library that is not kept here any more.
    pub(super) async fn forget_library(&mut self, library: LibraryKey) {
        self.steers.forget(library, |_| true);
        self.waiting.retain(|(known, _)| *known != library);
        self.wanted.retain(|_, wanted| wanted.library != library);
        self.retries.retain(|_, retry| retry.library != library);
        self.sought.retain(|_, sought| sought.library != library);
        let of_it = self.joined.iter().filter(|(_, joined)| joined.library == library);
        for content in of_it.map(|(content, _)| *content).collect::<Vec<_>>() {
            self.joined.remove(&content);
            self.leave(content).await;
        }
    }

    pub(super) async fn leave(&mut self, content: ContentId) {
        *self.leaving.entry(content).or_default() += 1;
        self.end_fetch(content);
        self.node.leave(content).await;
    }

    /// The engine left a content as often as it was told to, if that was the last time.
    pub(super) fn on_left(&mut self, content: ContentId) {
        if let Some(left) = self.leaving.get_mut(&content) {
            *left -= 1;
            if *left == 0 {
                self.leaving.remove(&content);
            }
        }
    }

    /// Where many files are joined, the contents go first that were used longest ago and that nobody fetches now.
    pub(super) async fn leave_surplus(&mut self) {
        let count = |joined: &BTreeMap<ContentId, Joined>| joined.values().map(|joined| joined.files).sum();
        let mut files: usize = count(&self.joined);
        if files <= FILES_JOINED_MAX {
            return;
        }
        let snapshot = self.node.snapshot().await;
        let is_sought = |content: &ContentId| {
            snapshot.engine.contents.iter().any(|known| known.content == *content && known.lacking_peers > 0)
        };
        let rests = |joined: &Joined| !joined.is_fetching && joined.used_at.elapsed() >= SURPLUS_AFTER;
        let resting = self.joined.iter().filter(|(_, joined)| rests(joined));
        let mut resting: Vec<(Instant, ContentId, usize)> =
            resting.map(|(content, joined)| (joined.used_at, *content, joined.files)).collect();
        resting.sort_unstable();
        for (_, content, len) in resting {
            if files <= FILES_JOINED_MAX {
                return;
            }
            if !is_sought(&content) {
                files -= len;
                self.joined.remove(&content);
                self.leave(content).await;
            }
        }
    }

    /// Leaves what nobody asked for lately. A daemon that fetches asks again and again; that it takes part says nothing, because it may be here for
    /// others, too: two that wait for each other would keep everything.
    pub(super) async fn leave_idle(&mut self) {
        let is_idle = |joined: &Joined| joined.used_at.elapsed() >= IDLE_TIMEOUT;
        let mut left: Vec<ContentId> =
            self.served().filter(|(_, joined)| is_idle(joined)).map(|(content, _)| *content).collect();
        self.keep_for_strangers(&mut left).await;
        let surplus = (self.served().count() - left.len()).saturating_sub(JOINED_MAX / 2);
        left.extend(self.longest_unused(&left, surplus));
        for content in left {
            self.joined.remove(&content);
            self.leave(content).await;
        }
    }

    /// What a mirror has is fetched by tickets, too: who takes part in it keeps it here.
    async fn keep_for_strangers(&mut self, left: &mut Vec<ContentId>) {
        let is_mirrored = |content: &ContentId| {
            let library = self.joined.get(content).and_then(|joined| self.libraries.get(&joined.library));
            library.is_some_and(|library| *library.is_mirror.borrow())
        };
        if !left.iter().any(is_mirrored) {
            return;
        }
        let snapshot = self.node.snapshot().await;
        let has_links = |content: &ContentId| {
            let is_it = |presence: &&Presence| presence.content == *content && !presence.links.is_empty();
            snapshot.presences.iter().any(|presence| is_it(&presence))
        };
        let kept: Vec<ContentId> =
            left.iter().copied().filter(|content| is_mirrored(content) && has_links(content)).collect();
        left.retain(|content| !kept.contains(content));
        for content in kept {
            if let Some(joined) = self.joined.get_mut(&content) {
                joined.used_at = clock::moment();
            }
        }
    }

    /// So many contents that nobody asks for any more, those that were asked for longest ago: they make room before they are idle.
    fn longest_unused(&self, but: &[ContentId], count: usize) -> Vec<ContentId> {
        let is_unused = |content: &ContentId, joined: &Joined| {
            joined.used_at.elapsed() >= UNUSED_MIN && !but.contains(content)
        };
        let mut unused: Vec<(Instant, ContentId)> = self
            .served()
            .filter(|(content, joined)| is_unused(content, joined))
            .map(|(content, joined)| (joined.used_at, *content))
            .collect();
        unused.sort_unstable();
        unused.into_iter().take(count).map(|(_, content)| content).collect()
    }

    pub(super) fn end_fetch(&self, content: ContentId) {
        self.fetches.send_if_modified(|fetches| fetches.remove(&content).is_some());
    }
}

/// Where many are joined, a content that nobody wanted for so long may be left.
const SURPLUS_AFTER: Duration = Duration::from_secs(1);
/// Whoever fetches asks more often.
const UNUSED_MIN: Duration = Duration::from_secs(6);
const _: () = assert!(UNUSED_MIN.as_secs() > SEEK_INTERVAL.as_secs());
/// A content that nobody wanted for so long is left.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
