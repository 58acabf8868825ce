//! The fetches of tickets as they stand. Invariant: each is in one step, and so many are remembered and no more. Absent here: what follows from a step.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use swarm_core::base::{ContentId, NodeId};
use swarm_library::LibraryKey;

use super::TicketFault;
use super::given::Given;
use super::record::{Record, RecordFolder, Stage};
use crate::clock;
use crate::limits::{TICKET_QUIET, TICKETS_MAX};

/// All fetches of tickets.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    pub(super) state: PathBuf,
    pub(super) of: BTreeMap<ContentId, TicketFetch>,
    /// Fetches whose record cannot be read now: what came of them stays.
    pub(super) unreadable: BTreeSet<ContentId>,
    /// Libraries whose leftovers were removed.
    pub(super) cleaned: BTreeSet<LibraryKey>,
    /// New ones that are being remembered.
    pub(super) coming: usize,
    /// Contents whose files get their places at this moment, those of fetches that were cancelled meanwhile among them.
    pub(super) landing: BTreeMap<ContentId, LibraryKey>,
}

/// One fetch.
#[derive(Debug)]
pub(super) struct TicketFetch {
    pub(super) library: LibraryKey,
    pub(super) folder: RecordFolder,
    pub(super) record: Record,
    pub(super) step: Step,
}

/// What is done about a fetch now.
#[derive(Debug)]
pub(super) enum Step {
    /// It has no turn.
    Waits,
    /// The engine has it.
    Joined(Box<TicketJoined>),
    /// It came to nothing, and is tried again; `None` until somebody resumes it.
    Failed { why: String, due_at: Option<Instant>, wait: Duration },
    /// Its files get their places.
    Landing { joining: u64, waited: Duration },
    /// They stand in the library.
    Done,
}

/// A fetch that the engine has.
#[derive(Debug)]
pub(super) struct TicketJoined {
    /// Tells it from an earlier joining.
    pub(super) joining: u64,
    /// Once it was read.
    pub(super) given: Option<Given>,
    pub(super) is_open: bool,
    /// Chunks that are wanted, once that is known.
    pub(super) runs: Vec<Range<u32>>,
    /// When bytes came last, and how many were there then.
    pub(super) since: Instant,
    pub(super) verified_len: u64,
    /// The last peer that refused this node.
    pub(super) refused_by: Option<NodeId>,
    pub(super) store_trouble: Option<String>,
    /// How long it waited before.
    pub(super) waited: Duration,
}

impl Tickets {
    /// Whether none of them goes on by itself.
    pub(in crate::contents) fn are_at_rest(&self) -> bool {
        self.of.values().all(|ticket| match &ticket.step {
            Step::Done | Step::Failed { due_at: None, .. } => true,
            Step::Waits | Step::Failed { due_at: Some(_), .. } => ticket.record.is_paused,
            Step::Joined(_) | Step::Landing { .. } => false,
        })
    }

    /// What is remembered in the state of a daemon.
    pub(crate) fn read(state: &Path) -> Self {
        let (read, unreadable) = RecordFolder::read_all(state);
        let read = read.into_iter().filter_map(|(content, folder, record)| {
            let step = if record.stage == Stage::Done { Step::Done } else { Step::Waits };
            Some((content, TicketFetch { library: record.library()?, folder, record, step }))
        });
        Self { of: read.collect(), unreadable, state: state.to_owned(), ..Self::default() }
    }

    /// Fetches whose bytes are in the folders of libraries, or may be.
    pub(super) fn with_bytes(&self) -> BTreeSet<ContentId> {
        let open = self.of.iter().filter(|(_, ticket)| !matches!(ticket.step, Step::Done));
        open.map(|(content, _)| *content).chain(self.unreadable.iter().copied()).collect()
    }

    /// Whether the engine may tell something of this content that is for a fetch.
    pub(in crate::contents) fn has_joined(&self, content: &ContentId) -> bool {
        self.joined(content).is_some()
    }

    /// Whether the engine has any.
    pub(in crate::contents) fn is_fetching(&self) -> bool {
        self.of.values().any(|ticket| matches!(ticket.step, Step::Joined(_)))
    }

    pub(super) fn joined(&self, content: &ContentId) -> Option<&TicketJoined> {
        match &self.of.get(content)?.step {
            Step::Joined(joined) => Some(joined),
            Step::Waits | Step::Failed { .. } | Step::Landing { .. } | Step::Done => None,
        }
    }

    pub(super) fn joined_mut(&mut self, content: &ContentId) -> Option<&mut TicketJoined> {
        match &mut self.of.get_mut(content)?.step {
            Step::Joined(joined) => Some(joined),
            Step::Waits | Step::Failed { .. } | Step::Landing { .. } | Step::Done => None,
        }
    }

    /// Why a content is not fetched once more, as far as its fetches tell. One that is done is forgotten for that. While a cancelled one still gives
    /// files their places, it would write into the record of the new one.
    pub(super) fn fault_of(&mut self, content: &ContentId) -> Option<TicketFault> {
        match self.of.get(content).map(|ticket| &ticket.step) {
            Some(Step::Done) => {
                self.of.remove(content).inspect(|ticket| ticket.folder.remove());
                None
            }
            Some(_) => Some(TicketFault::Fetched),
            None => self.landing.contains_key(content).then_some(TicketFault::Landing),
        }
    }

    /// Makes room for one more: the oldest of those that are done gives way.
    pub(super) fn make_room(&mut self) -> bool {
        if self.of.len() + self.coming < TICKETS_MAX {
            return true;
        }
        let done = self.of.iter().filter(|(_, ticket)| matches!(ticket.step, Step::Done));
        let oldest = done.min_by_key(|(_, ticket)| ticket.record.added_at_ms).map(|(content, _)| *content);
        let gone = oldest.and_then(|content| self.of.remove(&content));
        gone.inspect(|gone| gone.folder.remove()).is_some()
    }

    /// Bytes that other fetches of a library lack.
    pub(super) fn reserved(&self, library: LibraryKey, but: &ContentId) -> u64 {
        let others = self.of.iter().filter(|(content, ticket)| {
            *content != but && ticket.library == library && matches!(ticket.step, Step::Joined(_))
        });
        let lacks =
            |ticket: &TicketFetch| ticket.record.known.len.saturating_sub(ticket.record.known.here_len);
        others.map(|(_, ticket)| lacks(ticket)).fold(0, u64::saturating_add)
    }

    /// Those that may have their turn now, the first one first.
    pub(super) fn due(&self, now: Instant) -> Vec<ContentId> {
        let is_due = |ticket: &TicketFetch| match &ticket.step {
            Step::Waits => !ticket.record.is_paused,
            Step::Failed { due_at, .. } => !ticket.record.is_paused && due_at.is_some_and(|at| at <= now),
            Step::Joined(_) | Step::Landing { .. } | Step::Done => false,
        };
        let mut due: Vec<_> = self.of.iter().filter(|(_, ticket)| is_due(ticket)).collect();
        due.sort_by_key(|(content, TicketFetch { record, .. })| {
            (std::cmp::Reverse(record.priority), record.added_at_ms, **content)
        });
        due.into_iter().map(|(content, _)| *content).collect()
    }

    /// Those that the engine has, and nothing came of for long.
    pub(super) fn quiet(&self, now: Instant) -> Vec<ContentId> {
        let is_quiet = |(_, ticket): &(&ContentId, &TicketFetch)| match &ticket.step {
            Step::Joined(joined) => now.duration_since(joined.since) >= TICKET_QUIET,
            Step::Waits | Step::Failed { .. } | Step::Landing { .. } | Step::Done => false,
        };
        self.of.iter().filter(is_quiet).map(|(content, _)| *content).collect()
    }

    pub(super) fn working_count(&self) -> usize {
        let works = |ticket: &&TicketFetch| matches!(ticket.step, Step::Joined(_) | Step::Landing { .. });
        self.of.values().filter(works).count()
    }
}

impl TicketJoined {
    pub(super) fn new(joining: u64, waited: Duration) -> Self {
        Self {
            joining,
            given: None,
            is_open: false,
            runs: Vec::new(),
            since: clock::moment(),
            verified_len: 0,
            refused_by: None,
            store_trouble: None,
            waited,
        }
    }
}

impl Step {
    /// How long it waited after it came to nothing.
    pub(super) fn waited(&self) -> Duration {
        match self {
            Self::Failed { wait, .. } => *wait,
            Self::Joined(joined) => joined.waited,
            Self::Landing { waited, .. } => *waited,
            Self::Waits | Self::Done => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transfers::Priority;

    /// A book in a folder, with fetches of contents that begin with these bytes, added in this order.
    fn book(state: &Path, contents: &[u8]) -> Tickets {
        let library = LibraryKey::from_slice(&[7; 32]).expect("32 bytes");
        for (number, content) in contents.iter().enumerate() {
            let record = Record::new(library, None, Vec::new(), number as u64);
            RecordFolder::create(state, &id(*content), &Bytes::new(), &record).expect("remembered");
        }
        Tickets::read(state)
    }

    fn id(first: u8) -> ContentId {
        ContentId::from_bytes([first; 32])
    }

    fn ticket(tickets: &mut Tickets, content: u8) -> &mut TicketFetch {
        tickets.of.get_mut(&id(content)).expect("it is there")
    }

    #[test]
    fn the_first_turn_is_of_the_highest_priority_and_then_of_the_oldest() {
        let state = tempfile::tempdir().expect("a folder");
        let mut tickets = book(state.path(), &[5, 3, 9, 1, 4]);
        ticket(&mut tickets, 9).record.priority = Priority::High;
        ticket(&mut tickets, 3).record.is_paused = true;
        let now = clock::moment();
        let failed = |due_at| Step::Failed { why: String::new(), due_at, wait: Duration::ZERO };
        ticket(&mut tickets, 1).step = failed(Some(now));
        ticket(&mut tickets, 4).step = failed(None);
        assert_eq!(tickets.due(now), [id(9), id(5), id(1)]);
        ticket(&mut tickets, 1).step = failed(Some(now + Duration::from_secs(1)));
        assert_eq!(tickets.due(now), [id(9), id(5)]);
    }

    #[test]
    fn what_is_done_gives_way_and_what_is_not_does_not() {
        let state = tempfile::tempdir().expect("a folder");
        let contents: Vec<u8> = (0..TICKETS_MAX as u8).collect();
        let mut tickets = book(state.path(), &contents);
        assert!(!tickets.make_room(), "none is done");
        ticket(&mut tickets, 8).step = Step::Done;
        ticket(&mut tickets, 6).step = Step::Done;
        assert!(tickets.make_room());
        assert!(!tickets.of.contains_key(&id(6)) && tickets.of.contains_key(&id(8)), "the oldest went");
        assert_eq!(Tickets::read(state.path()).of.len(), TICKETS_MAX - 1, "and is not remembered");
    }

    #[test]
    fn those_that_are_being_remembered_take_room() {
        let state = tempfile::tempdir().expect("a folder");
        let mut tickets = book(state.path(), &[1, 2]);
        tickets.coming = TICKETS_MAX - 3;
        assert!(tickets.make_room());
        tickets.coming += 1;
        assert!(!tickets.make_room());
    }

    #[test]
    fn a_content_is_fetched_once_more_when_nothing_of_it_is_under_way() {
        let state = tempfile::tempdir().expect("a folder");
        let mut tickets = book(state.path(), &[1, 2]);
        ticket(&mut tickets, 2).step = Step::Done;
        let library = ticket(&mut tickets, 1).library;
        tickets.landing.insert(id(3), library);
        assert_eq!(tickets.fault_of(&id(1)), Some(TicketFault::Fetched));
        assert_eq!(tickets.fault_of(&id(2)), None);
        assert!(!tickets.of.contains_key(&id(2)), "the one that is done is forgotten");
        assert_eq!(tickets.fault_of(&id(3)), Some(TicketFault::Landing));
        tickets.landing.clear();
        assert_eq!(tickets.fault_of(&id(3)), None);
    }

    #[test]
    fn what_others_lack_is_no_room_for_one_more() {
        let state = tempfile::tempdir().expect("a folder");
        let mut tickets = book(state.path(), &[1, 2, 3]);
        for content in [1, 2, 3] {
            let fetch = ticket(&mut tickets, content);
            (fetch.record.known.len, fetch.record.known.here_len) = (100, 30);
        }
        let library = ticket(&mut tickets, 1).library;
        assert_eq!(tickets.reserved(library, &id(1)), 0, "none of them is fetched");
        ticket(&mut tickets, 2).step = Step::Joined(Box::new(TicketJoined::new(1, Duration::ZERO)));
        assert_eq!((tickets.reserved(library, &id(1)), tickets.reserved(library, &id(2))), (70, 0));
    }
}
