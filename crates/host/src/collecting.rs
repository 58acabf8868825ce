//! Contents that others offer: who may, whether there is room, what goes for it, when each was last wanted. What is let in is an
//! entry like any other. Invariant: a content is let in before its store is opened, and the list says so first; what is in use
//! never goes.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::contents::{Collected, Entry, EntryId, FetchSpec, Spec, State};
use super::disk_space::{Held, needed, victims};
use super::policy::Collecting;
use super::protocol::StoreStatus;
use super::run::Running;
use crate::limits::{CONTENTS_MAX, STORE_FREE_LEN_MIN, UNHEARD_OFFER_TIMEOUT, WANTED_SAVE_INTERVAL};
use swarm_core::base::{ByteLen, ContentId, Instant, NodeId, Shown};
use swarm_core::manifest::{Manifest, Ticket};
use swarm_core::wire::DeclineReason;
use swarm_engine::Snapshot;
use swarm_files::{Shelf, StoreError, free_len};
use swarm_node::clock::wall_clock;

/// What a node that collects has beside its contents.
pub(super) struct Collector {
    policy: Collecting,
    shelf: Arc<Shelf>,
    clearing: JoinSet<()>,
    /// When a peer last wanted what is not on disk yet.
    unsaved_since: Option<Instant>,
}

impl Collector {
    /// Takes the folder, and removes what an earlier run discarded and did not get to remove.
    pub(super) fn open(policy: Collecting) -> Result<Self, StoreError> {
        let shelf = Arc::new(Shelf::open(&policy.store)?);
        shelf.clear()?;
        Ok(Self { policy, shelf, clearing: JoinSet::new(), unsaved_since: None })
    }

    fn clear(&mut self) {
        while self.clearing.try_join_next().is_some() {}
        let shelf = Arc::clone(&self.shelf);
        self.clearing.spawn_blocking(move || {
            if let Err(error) = shelf.clear() {
                warn!(%error, "what was evicted still takes room");
            }
        });
    }

    /// Waits until everything that was evicted is gone.
    pub(super) async fn end(&mut self) {
        while self.clearing.join_next().await.is_some() {}
    }
}

impl Running {
    /// A peer asks this node to take a content and keep it.
    pub(super) async fn on_offered(&mut self, node: NodeId, content: ContentId) {
        let (peer, id) = (node.short(), content.short());
        let Some(collector) = &self.collector else {
            return debug!(peer, content = id, "a peer offers a content");
        };
        if let Some(known) = self.work.contents.find(content) {
            let state = self.work.contents.get(known).map(|entry| &entry.state);
            // Otherwise it is about to be joined.
            if matches!(state, Some(State::Failed { .. })) {
                self.node.refuse(node, content, DeclineReason::NotHere).await;
            }
            return;
        }
        let refusal = if !collector.policy.admits(node, content) {
            Some(DeclineReason::NotAccepted)
        } else if self.work.contents.len() >= CONTENTS_MAX {
            Some(DeclineReason::NoRoom)
        } else {
            None
        };
        if let Some(reason) = refusal {
            info!(peer, content = id, ?reason, "an offer is not taken");
            return self.node.refuse(node, content, reason).await;
        }
        info!(peer, content = id, "taking what a peer offers");
        let ticket = Ticket::new(content).to_string();
        let spec = Spec::Fetch(FetchSpec::whole(ticket, collector.shelf.place(content)));
        let mut entry = Entry::of(spec, false);
        entry.content = Some(content);
        entry.collected = Some(Collected { len: None, wanted_at_ms: now_ms() });
        self.work.contents.insert(entry);
    }

    /// Whether a content may be opened: one that was offered needs room, which is made if it can be. If not, it is gone.
    pub(super) async fn admit(&mut self, id: EntryId, manifest: &Manifest) -> bool {
        let Some(entry) = self.work.contents.get(id) else { return false };
        if !matches!(entry.collected, Some(Collected { len: None, .. })) {
            return true;
        }
        let (content, len) = (manifest.id(), manifest.geometry().content_len());
        if let Err(why) = self.make_room(len).await {
            info!(content = content.short(), name = manifest.name(), why, "an offer is not taken");
            self.forget(id, DeclineReason::NoRoom).await;
            return false;
        }
        let placed = self.collector.as_ref().map_or(Ok(()), |collector| collector.shelf.make_place(content));
        if let Err(error) = placed {
            self.refuse(id, error.into()).await;
            return false;
        }
        let Some(entry) = self.work.contents.get_mut(id) else { return false };
        entry.name = manifest.name();
        entry.content_len = len;
        if let Some(collected) = &mut entry.collected {
            collected.len = Some(len);
        }
        if let Err(error) = self.saved.store(&self.work.contents) {
            self.refuse(id, error.into()).await;
            return false;
        }
        true
    }

    /// Makes sure that so many bytes fit, or says why they do not.
    async fn make_room(&mut self, len: u64) -> Result<(), String> {
        let Some(collector) = &self.collector else { return Ok(()) };
        let (quota_len, path) = (collector.policy.quota_len, collector.shelf.path().to_owned());
        let snapshot = self.node.snapshot().await.engine;
        let free_len = free_len(&path).unwrap_or(u64::MAX);
        let claimed_len = self.claimed_len(&snapshot) + len + STORE_FREE_LEN_MIN;
        let lacking_len = claimed_len.saturating_sub(free_len);
        let over_len = needed(len, self.used_len(), quota_len)
            .ok_or_else(|| format!("its {} are more than the quota", ByteLen(len)))?;
        if lacking_len > 0 && quota_len.is_none() {
            return Err(format!(
                "{} are free at `{}`, {} more are needed",
                ByteLen(free_len),
                Shown(&path),
                ByteLen(lacking_len)
            ));
        }
        let victims = victims(over_len.max(lacking_len), &self.held(&snapshot));
        let victims = victims.ok_or("everything that is here is in use or pinned")?;
        for content in victims {
            self.evict(content).await;
        }
        Ok(())
    }

    /// Bytes that are yet to be written of what was let in.
    fn claimed_len(&self, snapshot: &Snapshot) -> u64 {
        let here = |content: ContentId| {
            let found = snapshot.contents.iter().find(|state| state.content == content);
            found.map(|state| state.verified_len)
        };
        let claim = |(_, entry): (EntryId, &Entry)| {
            let len = entry.collected?.len?;
            // What is looked at after a restart was all there before, if it was complete.
            let was_complete = matches!(entry.spec, Spec::Fetch(FetchSpec { is_complete: true, .. }));
            let present_len = here(entry.content?).unwrap_or(entry.present_len);
            match entry.state {
                State::Serving => None,
                State::Waiting | State::Hashing if was_complete => None,
                State::Waiting | State::Hashing | State::Fetching | State::Failed { .. } => {
                    Some(len.saturating_sub(present_len))
                }
            }
        };
        self.work.contents.iter().filter_map(claim).sum()
    }

    /// Bytes of everything that was let in.
    fn used_len(&self) -> u64 {
        self.work.contents.iter().filter_map(|(_, entry)| entry.collected?.len).sum()
    }

    fn held(&self, snapshot: &Snapshot) -> Vec<Held> {
        let Some(collector) = &self.collector else { return Vec::new() };
        let is_lacked = |content: ContentId| {
            snapshot.contents.iter().any(|state| state.content == content && state.lacking_peers > 0)
        };
        let held = |(_, entry): (EntryId, &Entry)| {
            let (collected, content) = (entry.collected?, entry.content?);
            let is_in_use = entry.state != State::Serving || is_lacked(content);
            let must_stay = is_in_use || collector.policy.is_pinned(content);
            Some(Held { content, len: collected.len?, wanted_at_ms: collected.wanted_at_ms, must_stay })
        };
        self.work.contents.iter().filter_map(held).collect()
    }

    /// Takes a content off the store. Whatever happens, it is on the list or discarded.
    async fn evict(&mut self, content: ContentId) {
        let Some(id) = self.work.contents.find(content) else { return };
        let Some(collector) = &self.collector else { return };
        if let Err(error) = collector.shelf.discard(content) {
            return warn!(%error, content = content.short(), "cannot be evicted");
        }
        let name = self.work.contents.get(id).map(|entry| entry.name.clone()).unwrap_or_default();
        info!(content = content.short(), name, "evicted to make room");
        self.forget(id, DeclineReason::NoRoom).await;
        if let Some(collector) = &mut self.collector {
            collector.clear();
        }
    }

    /// A content that was offered turned out to be none that a node can have: true if it is gone.
    pub(super) async fn forget_unheard(&mut self, content: ContentId) -> bool {
        let Some(id) = self.work.contents.find(content) else { return false };
        let collected = self.work.contents.get(id).and_then(|entry| entry.collected);
        let is_unheard = matches!(collected, Some(Collected { len: None, .. }));
        if is_unheard {
            self.forget(id, DeclineReason::NotAccepted).await;
        }
        is_unheard
    }

    async fn forget(&mut self, id: EntryId, reason: DeclineReason) {
        let Some(content) = self.work.contents.remove(id).and_then(|entry| entry.content) else { return };
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "what is gone will be back after a restart");
        }
        self.node.leave_because(content, reason).await;
        self.saved.drop_manifest(content);
    }

    /// Notes what peers want now.
    pub(super) async fn look_at_wanted(&mut self, snapshot: &Snapshot) {
        let Some(collector) = &mut self.collector else { return };
        let (now, now_ms) = (self.work.clock.now(), now_ms());
        let mut unheard = Vec::new();
        let wanted = snapshot.contents.iter().filter(|state| state.lacking_peers > 0);
        let wanted: std::collections::BTreeSet<ContentId> = wanted.map(|state| state.content).collect();
        for (id, entry) in self.work.contents.iter_mut() {
            let (Some(collected), Some(content)) = (&mut entry.collected, entry.content) else { continue };
            if wanted.contains(&content) || self.work.rates.content(content).sent > 0 {
                collected.wanted_at_ms = now_ms;
                collector.unsaved_since.get_or_insert(now);
            } else if collected.len.is_none()
                && now_ms.saturating_sub(collected.wanted_at_ms) > UNHEARD_OFFER_TIMEOUT.as_millis() as u64
            {
                unheard.push(id);
            }
        }
        let is_due = |since: Instant| now.since(since) >= WANTED_SAVE_INTERVAL;
        if collector.unsaved_since.is_some_and(is_due) {
            self.save_wanted();
        }
        for id in unheard {
            info!("the peer that offered a content left before it sent the manifest");
            self.forget(id, DeclineReason::NotHere).await;
        }
    }

    /// Writes down when each content was last wanted, if that changed.
    pub(super) fn save_wanted(&mut self) {
        let Some(collector) = &mut self.collector else { return };
        if collector.unsaved_since.take().is_some()
            && let Err(error) = self.saved.store(&self.work.contents)
        {
            warn!(%error, "when contents were last wanted will not be known after a restart");
        }
    }

    pub(super) fn store_status(&self) -> Option<StoreStatus> {
        let collector = self.collector.as_ref()?;
        Some(StoreStatus {
            path: collector.shelf.path().to_owned(),
            used_bytes: self.used_len(),
            quota_bytes: collector.policy.quota_len,
        })
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
