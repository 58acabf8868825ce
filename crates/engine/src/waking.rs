//! After a time in which this node stood still: a peer that seems to have stalled was not heard, so that is held against none.
//! Patience, backoff and what is waited for begin anew.

use std::time::Duration;

use swarm_core::base::limits::LINK_IDLE_TIMEOUT;

use super::Engine;
use super::input::Patience;
use super::io::{CloseReason, LinkId};
use super::timers::Timer;

impl Engine {
    pub(super) fn on_woke(&mut self, slept: Duration) {
        if slept >= LINK_IDLE_TIMEOUT {
            // The other ends gave these links up meanwhile, and this end did not hear of it: new ones are there sooner than this end
            // would notice.
            let links: Vec<LinkId> = self.sessions.by_link.keys().copied().collect();
            for link in links {
                self.close(link, CloseReason::OfNoUse("this node stood still for longer than a link lasts"));
            }
        }
        self.transfer.on_woke(self.turn.now);
        for (content, state) in &mut self.contents.by_id {
            state.last_progress_at = self.turn.now;
            if let Some(fetch) = state.manifest_fetch() {
                fetch.on_woke(self.turn.now);
            }
            let Some(Patience { idle, search }) = state.patience else { continue };
            self.turn.timers.set(Timer::Patience(*content), self.turn.now + idle);
            if self.turn.now < state.search_until {
                // Finders have lost their links, too.
                state.search_until = self.turn.now + search;
                self.turn.timers.set(Timer::Search(*content), state.search_until);
            }
        }
        self.dialing.peers.end_backoff(self.turn.now);
        self.dial_due();
        self.transfer.fill_all(&mut self.turn);
    }
}
