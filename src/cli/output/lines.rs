//! What a seed shows: a line when something happens, and one now and then with what was sent.

use std::time::Duration;

use swarm_core::base::{ByteLen, Instant, Rate};
use swarm_node::NodeSnapshot;
use swarm_node::clock::Clock;

/// The picture of a seed.
pub(in crate::cli) struct SeedView {
    clock: Clock,
    shown_at: Instant,
    shown_len: u64,
}

impl SeedView {
    /// A view that has shown nothing.
    pub(in crate::cli) fn new() -> Self {
        let clock = Clock::start();
        Self { clock, shown_at: Instant::ZERO, shown_len: 0 }
    }

    /// A line if something was sent since the last one.
    pub(in crate::cli) fn show(&mut self, snapshot: &NodeSnapshot) {
        let now = self.clock.now();
        let sent_len: u64 = snapshot.engine.contents.iter().map(|content| content.totals.sent_len).sum();
        if now - self.shown_at < LINE_INTERVAL || sent_len == self.shown_len {
            return;
        }
        let rate = Rate::over(sent_len - self.shown_len, now - self.shown_at);
        let linked = snapshot.engine.peers.iter().filter(|peer| peer.link.is_some()).count();
        super::note(format_args!(
            "sent {} in all, {rate}, {}",
            ByteLen(sent_len),
            super::count(linked, "peer")
        ));
        (self.shown_at, self.shown_len) = (now, sent_len);
    }
}

const LINE_INTERVAL: Duration = Duration::from_secs(5);
