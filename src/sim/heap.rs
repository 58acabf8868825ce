//! What happens when. Invariant: events come out by time, and in the order they went in where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One thing that is to happen; kept small, because there are millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A part of a chunk stream has come through the receiver's downlink.
    Unit { link: u32, direction: u8, request: u32, len: u32 },
    /// A node's uplink is free.
    UplinkFree(u32),
    /// A node's engine wanted to be woken.
    Wakeup(u32),
    /// An input for a node is due; the number is its place among the parked.
    Input(u32),
    /// A dial comes to its end.
    Dialed { from: u32, to: u32, link_draw: u32 },
    /// A node gets new neighbours if it has too few.
    Introduce(u32),
    /// A step of the script is due.
    Step(u32),
}

/// The event heap. Times are nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Heap {
    heap: BinaryHeap<Reverse<(u64, u64, What)>>,
    sequence: u64,
}

impl Heap {
    /// Adds an event.
    pub(super) fn push(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.heap.push(Reverse((at, self.sequence, what)));
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<(u64, What)> {
        self.heap.pop().map(|Reverse((at, _, what))| (at, what))
    }
}

/// Things waiting for their event, by number.
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
    /// Parks a thing; returns its number.
    pub(super) fn park(&mut self, item: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.items[place as usize] = Some(item);
            return place;
        }
        self.items.push(Some(item));
        (self.items.len() - 1) as u32
    }

    /// Takes a thing out.
    pub(super) fn take(&mut self, place: u32) -> Option<T> {
        let item = self.items.get_mut(place as usize)?.take();
        if item.is_some() {
            self.free.push(place);
        }
        item
    }
}
