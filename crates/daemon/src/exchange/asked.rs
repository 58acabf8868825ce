//! Which commits are on their way: those that a peer was asked for, and those that the library's worker was handed and has not taken yet.
//! Invariant: no commit is asked for while it is on its way, so that none comes twice, and the small files with it neither.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use swarm_core::base::NodeId;
use swarm_library::{Frontier, LibraryKey};

/// The commits that are on their way, by library and author.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<(LibraryKey, NodeId), Ask>);

#[derive(Debug)]
struct Ask {
    /// The peer was asked over this link.
    link: u64,
    at: Instant,
    /// The last one that the peer had when it was asked. What it made since may not be in its answer.
    until: u64,
    /// All that was asked for came, and was handed to the worker: the last of it.
    handed: Option<u64>,
}

impl Asked {
    /// The number of the last commit that need not be asked for, if the peer of `link` is to be asked for the next ones now. `ours` and `theirs`
    /// are the last ones of the author here and there.
    pub(super) fn ask(
        &mut self,
        (library, author): (LibraryKey, NodeId),
        (ours, theirs): (u64, u64),
        link: u64,
        now: Instant,
    ) -> Option<u64> {
        let known = self.0.get(&(library, author));
        let after = match known.map(|ask| ask.handed) {
            None => ours,
            Some(None) => return None,
            Some(Some(handed)) => ours.max(handed),
        };
        if theirs <= after {
            return None;
        }
        self.0.insert((library, author), Ask { link, at: now, until: theirs, handed: None });
        Some(after)
    }

    /// A commit came and was handed to the worker. Returns whether it was the last one that was asked for.
    pub(super) fn on_handed(&mut self, of: (LibraryKey, NodeId), seq: u64, now: Instant) -> bool {
        let Some(ask) = self.0.get_mut(&of) else { return false };
        ask.at = now;
        ask.handed = (seq >= ask.until).then_some(seq).max(ask.handed);
        seq == ask.until
    }

    /// Forgets what the worker has looked at, and what did not come in time. `ours` is what is here, and `passed_over` the commit of an author
    /// that the worker did not take.
    pub(super) fn forget_done(
        &mut self,
        library: &LibraryKey,
        (ours, passed_over): (&Frontier, &BTreeMap<NodeId, u64>),
        now: Instant,
    ) {
        self.0.retain(|(of, author), ask| match ask.handed {
            None => now.duration_since(ask.at) < ASKED_TIMEOUT,
            Some(handed) => {
                let (is_past, age) = (|seq: &u64| *seq >= handed, now.duration_since(ask.at));
                // One that was not taken now would not be taken at once, either.
                let is_refused = passed_over.get(author).is_some_and(is_past) && age >= ASKED_TIMEOUT;
                let is_over = of == library && (is_past(&ours.seq(author)) || is_refused);
                !is_over && age < HANDED_TIMEOUT
            }
        });
    }

    /// Nothing more comes over a link.
    pub(super) fn on_down(&mut self, link: u64) {
        self.0.retain(|_, ask| ask.link != link || ask.handed.is_some());
    }

    /// A library has another worker, which was handed nothing.
    pub(super) fn forget(&mut self, library: &LibraryKey) {
        self.0.retain(|(of, _), _| of != library);
    }
}

/// A peer that was asked for commits and sends none for so long: others are asked.
const ASKED_TIMEOUT: Duration = Duration::from_secs(15);
/// What was handed to a worker that has not looked at it for so long did not reach it.
const HANDED_TIMEOUT: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use swarm_library::{CommitId, Position};

    use super::*;
    use crate::clock;

    fn library() -> LibraryKey {
        LibraryKey::from_slice(&[1; 32]).expect("32 bytes")
    }

    fn author() -> NodeId {
        NodeId::from_bytes([2; 32])
    }

    fn of() -> (LibraryKey, NodeId) {
        (library(), author())
    }

    fn at(seq: u64) -> Frontier {
        let position = Position { author: author(), seq, id: CommitId([3; 32]) };
        Frontier::from_positions([position]).expect("one author")
    }

    #[test]
    fn what_the_worker_was_handed_is_not_asked_for_again() {
        let (mut asked, now, none) = (Asked::default(), clock::moment(), BTreeMap::new());
        assert_eq!(asked.ask(of(), (0, 2), 7, now), Some(0));
        assert_eq!(asked.ask(of(), (0, 2), 8, now), None, "it is asked for already");
        asked.on_handed(of(), 1, now);
        assert_eq!(asked.ask(of(), (0, 2), 8, now), None, "the second is coming");
        asked.on_handed(of(), 2, now);
        // The worker has not taken them, and another peer, or a third commit, is heard of.
        asked.forget_done(&library(), (&Frontier::default(), &none), now);
        assert_eq!(asked.ask(of(), (0, 2), 8, now), None);
        asked.on_down(7);
        assert_eq!(asked.ask(of(), (0, 2), 8, now), None, "it is here, whatever became of the link");
        assert_eq!(asked.ask(of(), (0, 3), 8, now), Some(2), "what follows is asked for at once");
    }

    /// Its answer ends before it: waiting for it there would be waiting for the timeout.
    #[test]
    fn what_a_peer_makes_while_it_answers_is_asked_for_at_once() {
        let (mut asked, now) = (Asked::default(), clock::moment());
        assert_eq!(asked.ask(of(), (0, 2), 7, now), Some(0));
        assert_eq!(asked.ask(of(), (0, 3), 7, now), None, "the first two are coming");
        assert!(!asked.on_handed(of(), 1, now));
        assert_eq!(asked.ask(of(), (0, 3), 7, now), None);
        assert!(asked.on_handed(of(), 2, now), "all that was asked for");
        assert_eq!(asked.ask(of(), (0, 3), 7, now), Some(2));
    }

    #[test]
    fn what_does_not_come_or_is_refused_is_asked_for_again() {
        let (mut asked, now, none) = (Asked::default(), clock::moment(), BTreeMap::new());
        assert_eq!(asked.ask(of(), (0, 1), 7, now), Some(0));
        asked.forget_done(&library(), (&Frontier::default(), &none), now + ASKED_TIMEOUT);
        assert_eq!(asked.ask(of(), (0, 1), 8, now), Some(0));
        asked.on_handed(of(), 1, now);
        asked.forget_done(&library(), (&Frontier::default(), &none), now + ASKED_TIMEOUT);
        assert_eq!(asked.ask(of(), (0, 1), 7, now), None, "the worker is busy");
        let passed_over = BTreeMap::from([(author(), 1)]);
        asked.forget_done(&library(), (&Frontier::default(), &passed_over), now);
        assert_eq!(asked.ask(of(), (0, 1), 7, now), None, "it was not taken, and would not be now");
        asked.forget_done(&library(), (&Frontier::default(), &passed_over), now + ASKED_TIMEOUT);
        assert_eq!(asked.ask(of(), (0, 1), 7, now), Some(0), "it may be taken by now");
        asked.on_handed(of(), 1, now);
        asked.forget(&library());
        assert_eq!(asked.ask(of(), (0, 1), 7, now), Some(0));
        asked.on_handed(of(), 1, now);
        asked.forget_done(&library(), (&at(1), &none), now);
        assert_eq!(asked.ask(of(), (1, 2), 7, now), Some(1));
        asked.on_down(7);
        assert_eq!(asked.ask(of(), (1, 2), 8, now), Some(1), "another link is asked");
    }
}
