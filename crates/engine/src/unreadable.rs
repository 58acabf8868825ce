//! What of a content cannot be read just now, and when it is read again: a permission, a sector, a disk that is away. One chunk of each
//! trouble, its probe, is read again, later and later; when that succeeds all chunks of the trouble are back. Invariants: a chunk is set
//! aside by one trouble at most; of a trouble one read at a time is under way, and while none is, one is due. Knows no peers.

use std::time::Duration;

use swarm_core::base::{Bitfield, Instant};
use swarm_core::manifest::ChunkIndex;

use super::input::Reread;

/// The troubles of one content.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    troubles: Vec<Trouble>,
}

/// One trouble, and what it keeps from being served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Read again to see whether the trouble is over.
    pub(super) probe: ChunkIndex,
    pub(super) chunks: Bitfield,
    /// The product was told, and is told when it is over.
    pub(super) is_told: bool,
    /// Reads of the probe that failed.
    tries: u32,
    /// `None` while the probe is being read.
    due_at: Option<Instant>,
}

impl Unreadable {
    /// These chunks, of which none is set aside, cannot be read as reading this one showed. True if the product is to be told.
    pub(super) fn add(&mut self, now: Instant, probe: ChunkIndex, chunks: Bitfield) -> bool {
        debug_assert!(chunks.contains(probe.get()), "a trouble concerns its probe");
        debug_assert!(chunks.iter().all(|chunk| !self.contains(chunk)), "a chunk is set aside once");
        let is_told = self.troubles.iter().filter(|trouble| trouble.is_told).count() < TROUBLES_TOLD_MAX;
        let due_at = Some(now + backoff(0));
        self.troubles.push(Trouble { probe, chunks, is_told, tries: 0, due_at });
        is_told
    }

    /// Probes that are to be read now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<ChunkIndex> {
        let due = self.troubles.iter_mut().filter(|trouble| trouble.due_at.is_some_and(|at| at <= now));
        due.map(|trouble| {
            trouble.due_at = None;
            trouble.probe
        })
        .collect()
    }

    /// A probe was read. Returns its trouble if that is over.
    pub(super) fn on_reread(&mut self, now: Instant, probe: ChunkIndex, found: Reread) -> Option<Trouble> {
        let is_read = |trouble: &Trouble| trouble.probe == probe && trouble.due_at.is_none();
        let at = self.troubles.iter().position(is_read)?;
        match found {
            Reread::Trouble => {
                let trouble = &mut self.troubles[at];
                trouble.tries = trouble.tries.saturating_add(1);
                trouble.due_at = Some(now + backoff(trouble.tries));
                None
            }
            Reread::Readable | Reread::Changed => Some(self.troubles.remove(at)),
        }
    }

    /// When the next probe is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.troubles.iter().filter_map(|trouble| trouble.due_at).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.troubles.is_empty()
    }

    fn contains(&self, chunk: u32) -> bool {
        self.troubles.iter().any(|trouble| trouble.chunks.contains(chunk))
    }
}

fn backoff(tries: u32) -> Duration {
    REREAD_FIRST.saturating_mul(1 << tries.min(16)).min(REREAD_MAX)
}

/// A disk that was only busy is back by then; the store itself has tried a few times within the first half second.
const REREAD_FIRST: Duration = Duration::from_secs(1);
/// One chunk is read so often as long as the trouble lasts: after a disk is plugged in again, its chunks are back within this time.
const REREAD_MAX: Duration = Duration::from_secs(30);
/// Troubles of one content at a time that the product is told of: a tree without its disk may have one a file.
const TROUBLES_TOLD_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::manifest_of;

    const COUNT: u32 = 12;

    fn chunk(index: u32) -> ChunkIndex {
        let manifest = manifest_of(&[("a", COUNT as usize * (16 << 10))]);
        manifest.geometry().chunk(index).expect("below 12")
    }

    /// Troubles of one chunk each, from the first on, at the beginning of time.
    fn troubled(count: u32) -> (Unreadable, Vec<bool>) {
        let mut unreadable = Unreadable::default();
        let only = |index: u32| (0..COUNT).map(|other| other == index).collect();
        let told = (0..count).map(|index| unreadable.add(Instant::ZERO, chunk(index), only(index))).collect();
        (unreadable, told)
    }

    #[test]
    fn a_probe_is_read_later_and_later_and_once_at_a_time() {
        let (mut unreadable, _) = troubled(1);
        let (mut now, mut pauses) = (Instant::ZERO, Vec::new());
        for _ in 0..7 {
            let due = unreadable.next_at().expect("one is due");
            pauses.push(due.since(now).as_secs());
            now = due;
            assert_eq!(unreadable.take_due(now), [chunk(0)]);
            assert_eq!((unreadable.take_due(now), unreadable.next_at()), (vec![], None), "it is being read");
            assert_eq!(unreadable.on_reread(now, chunk(0), Reread::Trouble), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_trouble_ends_when_its_probe_is_read_and_the_others_go_on() {
        let (mut unreadable, _) = troubled(2);
        let now = Instant::ZERO + REREAD_FIRST;
        assert_eq!(unreadable.on_reread(now, chunk(0), Reread::Readable), None, "it was not ordered");
        assert_eq!(unreadable.take_due(now), [chunk(0), chunk(1)]);
        for (probe, found) in [(1, Reread::Readable), (0, Reread::Changed)] {
            let ended = unreadable.on_reread(now, chunk(probe), found).expect("it is over");
            assert!(ended.chunks.contains(probe) && !unreadable.contains(probe));
            assert_eq!(unreadable.on_reread(now, chunk(probe), found), None, "once");
        }
        assert!(unreadable.is_empty());
    }

    #[test]
    fn the_product_is_told_of_so_many_troubles_at_a_time() {
        let (mut unreadable, told) = troubled(10);
        assert_eq!(told.iter().filter(|told| **told).count(), TROUBLES_TOLD_MAX);
        assert!(!told[8] && !told[9]);
        let now = Instant::ZERO + REREAD_FIRST;
        unreadable.take_due(now);
        unreadable.on_reread(now, chunk(9), Reread::Readable);
        assert!(!unreadable.add(now, chunk(9), (0..COUNT).map(|index| index == 9).collect()));
        unreadable.on_reread(now, chunk(0), Reread::Readable);
        assert!(unreadable.add(now, chunk(0), (0..COUNT).map(|index| index == 0).collect()));
    }
}
