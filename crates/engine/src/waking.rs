//! After a time in which this node stood still: whoever seems to have been silent was not heard, so nothing of that is held
//! against anybody. Patience, backoff and what is waited for begin anew.

use std::time::Duration;

use swarm_core::base::limits::LINK_IDLE_TIMEOUT;

use super::Engine;
use super::content::Phase;
use super::io::{CloseReason, LinkId, Patience};
use super::timers::Timer;

impl Engine {
    pub(super) fn on_woke(&mut self, slept: Duration) {
        if slept >= LINK_IDLE_TIMEOUT {
            self.close_forgotten_links();
        }
        for session in self.sessions.values_mut() {
            session.last_received_at = self.now;
        }
        for (content, state) in &mut self.contents {
            state.last_progress_at = self.now;
            if let Phase::Manifest(fetch) = &mut state.phase {
                fetch.last_page_at = self.now;
            }
            let Some(Patience { idle, search }) = state.patience else { continue };
            self.timers.set(Timer::Patience(*content), self.now + idle);
            if self.now < state.search_until {
                // Finders have lost their links, too.
                state.search_until = self.now + search;
                self.timers.set(Timer::Search(*content), state.search_until);
            }
        }
        self.peers.end_backoff(self.now);
        self.dial_due();
        self.fill_all();
    }

    /// The other ends gave these links up meanwhile and said so to nobody: new ones are there sooner than this end would notice.
    fn close_forgotten_links(&mut self) {
        let links: Vec<LinkId> = self.sessions.keys().copied().collect();
        for link in links {
            self.close(link, CloseReason::OfNoUse("this node stood still for longer than a link lasts"));
        }
    }
}
