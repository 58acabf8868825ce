//! The event heap. Invariant: events come out by time, and those of equal times in the order of insertion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One future event; kept small, because there are millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A part of a chunk stream has passed the receiver's downlink.
    Unit { link: u32, direction: u8, request: u32, len: u32 },
    /// A node's uplink is free.
    UplinkFree(u32),
    /// A node's engine asked to be woken now.
    Wakeup(u32),
    /// An input for a node is due; the number is its index in [`Parked`].
    Input(u32),
    /// A dial ends.
    Dialed { from: u32, to: u32, link_draw: u32 },
    /// A node gets new neighbours if it has too few.
    Introduce(u32),
    /// A step of the script is due.
    Step(u32),
}

/// The event heap. Times are nanoseconds. With ten thousand nodes half a million events wait, and one heap of all would miss the
/// cache at every step of a sift. So a heap holds only the events of the current slot; those of the next two seconds lie unsorted in
/// their slots, and a second heap holds the rest until its slot comes near.
#[derive(Debug)]
pub(super) struct Heap {
    /// Events of the current slot, and of earlier ones.
    now: BinaryHeap<Reverse<Entry>>,
    /// Events of the following slots, by slot modulo [`SLOTS`].
    soon: Vec<Vec<Entry>>,
    soon_count: usize,
    far: BinaryHeap<Reverse<Entry>>,
    /// The current slot.
    slot: u64,
    sequence: u64,
}

type Entry = (u64, u64, What);

impl Default for Heap {
    fn default() -> Self {
        Self {
            now: BinaryHeap::new(),
            soon: vec![Vec::new(); SLOTS as usize],
            soon_count: 0,
            far: BinaryHeap::new(),
            slot: 0,
            sequence: 0,
        }
    }
}

impl Heap {
    /// Adds an event.
    pub(super) fn push(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.place((at, self.sequence, what));
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<(u64, What)> {
        while self.now.is_empty() {
            self.turn()?;
        }
        self.now.pop().map(|Reverse((at, _, what))| (at, what))
    }

    fn place(&mut self, entry: Entry) {
        let slot = entry.0 >> SLOT_NANOS_LOG2;
        if slot <= self.slot {
            self.now.push(Reverse(entry));
        } else if slot < self.slot + SLOTS {
            self.soon[(slot % SLOTS) as usize].push(entry);
            self.soon_count += 1;
        } else {
            self.far.push(Reverse(entry));
        }
    }

    /// Advances to the next slot, or to the first with an event if all are far. `None` without events.
    fn turn(&mut self) -> Option<()> {
        let first_far = self.far.peek().map(|Reverse((at, ..))| at >> SLOT_NANOS_LOG2);
        self.slot = if self.soon_count > 0 { self.slot + 1 } else { first_far? };
        let due = std::mem::take(&mut self.soon[(self.slot % SLOTS) as usize]);
        self.soon_count -= due.len();
        self.now.extend(due.into_iter().map(Reverse));
        while let Some(Reverse((at, ..))) = self.far.peek()
            && at >> SLOT_NANOS_LOG2 < self.slot + SLOTS
            && let Some(Reverse(entry)) = self.far.pop()
        {
            self.place(entry);
        }
        Some(())
    }
}

/// A quarter of a millisecond: some thousand events when half a million wait.
const SLOT_NANOS_LOG2: u32 = 18;
/// Two seconds of slots.
const SLOTS: u64 = 8192;

/// Inputs that wait for their event, by number: events themselves stay small.
#[derive(Debug)]
pub(super) struct Parked<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Parked<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Parked<T> {
    /// Stores an item; returns its number.
    pub(super) fn park(&mut self, item: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.items[place as usize] = Some(item);
            return place;
        }
        self.items.push(Some(item));
        (self.items.len() - 1) as u32
    }

    /// Removes an item.
    pub(super) fn take(&mut self, place: u32) -> Option<T> {
        let item = self.items.get_mut(place as usize)?.take();
        if item.is_some() {
            self.free.push(place);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn events_come_out_by_time_and_then_in_the_order_they_went_in(
            steps in prop::collection::vec((any::<bool>(), 0u64..3), 1..400),
            waits in prop::collection::vec(0u64..1 << 33, 400),
        ) {
            let (mut heap, mut plain, mut now) = (Heap::default(), Vec::new(), 0);
            for (number, ((is_push, scale), wait)) in (0u32..).zip(steps.into_iter().zip(waits)) {
                if is_push {
                    // Now and within the slot, within the next slots, and beyond.
                    let at = now + wait * scale % (1 << (12 * (scale + 1)));
                    heap.push(at, What::Wakeup(number));
                    plain.push((at, number));
                } else {
                    let first = plain.iter().copied().min();
                    plain.retain(|event| Some(*event) != first);
                    let popped = heap.pop().map(|(at, what)| {
                        let What::Wakeup(number) = what else { panic!("{what:?}") };
                        (at, number)
                    });
                    prop_assert_eq!(popped, first);
                    now = first.map_or(now, |(at, _)| at);
                }
            }
        }
    }
}
