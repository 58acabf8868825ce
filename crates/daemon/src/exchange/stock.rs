//! What is read from the index of a library and sent: commits, votes, keys. Invariant: one piece of work a link at a time, and what is asked for
//! again while it waits is sent once.

use swarm_library::limits::AUTHORS_MAX;
use swarm_library::{After, LibraryKey};

use super::links::{self, Stock};
use super::{Exchange, Input};

impl Exchange {
    /// Puts something of a library's index among what is to be sent to a peer that may have it. What is asked for again while it waits is sent once.
    pub(super) fn send_stock(&mut self, link: u64, library: LibraryKey, stock: Stock, after: &[After]) {
        if self.role_of(link, &library).is_none() {
            return;
        }
        let Some(linked) = self.links.get_mut(&link) else { return };
        let waiting = linked.stock.entry((library, stock)).or_default();
        for After { author, seq } in after {
            if waiting.len() < AUTHORS_MAX || waiting.contains_key(author) {
                waiting.insert(*author, *seq);
            }
        }
        self.send_next_stock(link);
    }

    /// One piece of work a link at a time: a peer that asks for much waits for it, and holds nobody else up.
    pub(super) fn send_next_stock(&mut self, link: u64) {
        let Some(linked) = self.links.get_mut(&link).filter(|linked| !linked.is_sending) else { return };
        while let Some(((library, stock), after)) = linked.stock.pop_first() {
            let Some(handle) = self.libraries.get(&library) else { continue };
            linked.is_sending = true;
            let inputs = self.inputs.clone();
            let done = async move { drop(inputs.send(Input::StockSent { link }).await) };
            let bulk = linked.outgoing.bulk.clone();
            return links::send_stock(&self.start.tasks, (library, handle), (stock, after), bulk, done);
        }
    }
}
