//! Finds nodes on the same network: each announces itself by multicast DNS (RFC 6762, 6763) as an instance of `_swarm._udp.local.`,
//! with its key and a short id of each of its contents, and hears the others.
//!
//! Invariant: an announcement tells a node that does not know the content nothing but that one short id is there again.
//! Everything received is checked and bounded before it is kept. Absent here: the decision to dial.

mod book;
pub(super) mod record;
mod responder;

use tokio::time::{MissedTickBehavior, interval};

use self::book::Book;
use self::record::Announcement;
use self::responder::{Heard, Responder};
use super::{Found, Surroundings};
use crate::limits::LAN_TURN;
use swarm_core::presence::Presence;

/// Announces the contents of this node, and reports nodes that have the wanted ones, until the sender of the participation is
/// dropped; then it takes the announcement back.
pub(super) async fn run(network: Network, surroundings: Surroundings) {
    let address = surroundings.endpoint.bound_address().ip();
    if address.is_loopback() && !network.with_loopback {
        tracing::debug!(%address, "not looking for peers on the local network: others cannot reach this address");
        return;
    }
    match Responder::start(network, &surroundings.endpoint) {
        Ok(responder) => Lan::new(responder, surroundings).run().await,
        Err(error) => tracing::debug!(%error, "not looking for peers on the local network"),
    }
}

/// The network that announcements go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// UDP port of multicast DNS.
    pub(super) port: u16,
    /// Whether loopback counts too: for tests.
    pub(super) with_loopback: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { port: mdns_sd::MDNS_PORT, with_loopback: false }
    }
}

struct Lan {
    responder: Responder,
    surroundings: Surroundings,
    book: Book,
    announced: Option<Announcement>,
    /// Number of rotations of the contents that do not fit into one announcement.
    turn: usize,
}

impl Lan {
    fn new(responder: Responder, surroundings: Surroundings) -> Self {
        let book = Book::new(surroundings.endpoint.node_id());
        Self { responder, surroundings, book, announced: None, turn: 0 }
    }

    async fn run(mut self) {
        let mut turns = interval(LAN_TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.tick().await;
        while self.report().await {
            self.list();
            self.announce();
            tokio::select! {
                changed = self.surroundings.participation.changed() => if changed.is_err() {
                    break;
                },
                heard = self.responder.next() => self.on_heard(heard),
                _ = turns.tick() => self.on_turn().await,
            }
        }
        self.responder.stop().await;
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Node(name, seen) => self.book.hear(name, seen),
            Heard::Gone(name) => self.book.forget(&name),
            Heard::Stopped => self.restart("it stopped"),
        }
    }

    async fn on_turn(&mut self) {
        self.turn += 1;
        if self.responder.is_flooded().await {
            self.restart("another host floods it");
        }
    }

    fn restart(&mut self, why: &str) {
        tracing::debug!(why, "the announcements of the local network are heard anew");
        self.announced = None;
        self.responder.restart();
    }

    /// Announces the contents of this node, if they changed since the last announcement.
    fn announce(&mut self) {
        let presences = self.surroundings.participation.borrow_and_update().presences.clone();
        let asked_for = |presence: &Presence| self.book.is_asked_for(presence.content);
        let announcement =
            Announcement::new(self.surroundings.endpoint.node_id(), &presences, asked_for, self.turn);
        if self.announced.as_ref() == Some(&announcement) {
            return;
        }
        // Whoever lists others is listed by them: people find either from the other.
        let is_listed = self.surroundings.lan_seen.is_some();
        let done = if announcement.contents.is_empty() && !is_listed {
            self.responder.withdraw()
        } else {
            self.responder.announce(&announcement, &self.surroundings.endpoint)
        };
        match done {
            Ok(()) => self.announced = Some(announcement),
            Err(error) => tracing::debug!(%error, "could not announce on the local network"),
        }
    }

    /// Tells which nodes there are, if somebody wants to know.
    fn list(&self) {
        if let Some(seen) = &self.surroundings.lan_seen {
            let nodes = self.book.nodes();
            seen.send_if_modified(|known| {
                let is_news = known[..] != nodes[..];
                if is_news {
                    *known = nodes.into();
                }
                is_news
            });
        }
    }

    /// Reports the nodes that were not reported yet; false if the receiver is gone.
    async fn report(&mut self) -> bool {
        let presences = self.surroundings.participation.borrow().presences.clone();
        for (content, source) in self.book.report(&presences) {
            let found = Found { content, source, way: super::Way::Lan };
            if self.surroundings.found.send(found).await.is_err() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
