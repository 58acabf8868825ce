//! Upload limits of shares, and which content is in which. Invariant: a content that is in no share has no limit of its own. Downloads of a share
//! are slowed down by the engine, which asks for no more than may come: bytes that wait unread would hold up the whole link.

use std::collections::BTreeMap;

use super::throttle::Throttle;
use swarm_core::base::{ContentId, Rate};
use swarm_engine::ShareId;

#[derive(Default)]
pub(super) struct Shares {
    of: BTreeMap<ContentId, ShareId>,
    up: BTreeMap<ShareId, Throttle>,
}

impl Shares {
    pub(super) fn put(&mut self, content: ContentId, share: ShareId) {
        self.of.insert(content, share);
    }

    pub(super) fn forget(&mut self, content: ContentId) {
        self.of.remove(&content);
    }

    /// Uploads that wait go on by the new rate.
    pub(super) fn limit(&mut self, share: ShareId, up: Option<Rate>) {
        self.up.entry(share).or_insert_with(|| Throttle::new(None)).set(up);
    }

    /// The share of a content, and its limit.
    pub(super) fn of(&mut self, content: ContentId) -> (ShareId, Throttle) {
        let share = self.of.get(&content).copied().unwrap_or_default();
        // One that has no limit yet may get one while it is sent.
        (share, self.up.entry(share).or_insert_with(|| Throttle::new(None)).clone())
    }
}
