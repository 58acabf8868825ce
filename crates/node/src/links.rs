//! The links that stand. Invariants: QUIC's windows are divided among as many links as stand here; each byte on the wire is counted once,
//! with its link while that stands and with the past from then on.

use std::collections::BTreeMap;

use super::WireTotals;
use super::link::LinkHandle;
use super::windows::Windows;
use swarm_core::base::NodeId;
use swarm_engine::LinkId;
use swarm_engine::limits::PEERS_MAX;
use swarm_link::Link;

pub(super) struct Links<L> {
    standing: BTreeMap<LinkId, LinkHandle<L>>,
    max: Option<usize>,
    last: u64,
    windows: Windows,
    /// Of links that are gone.
    past: BTreeMap<NodeId, WireTotals>,
    past_total: WireTotals,
}

impl<L: Link> Links<L> {
    /// None yet, and no more than `max` at a time.
    pub(super) fn new(max: Option<usize>, windows: Windows) -> Self {
        Self {
            standing: BTreeMap::new(),
            max,
            last: 0,
            windows,
            past: BTreeMap::new(),
            past_total: WireTotals::default(),
        }
    }

    /// As many stand as may.
    pub(super) fn is_crowded(&self) -> bool {
        self.max.is_some_and(|max| self.standing.len() >= max)
    }

    /// A name that no link had before.
    pub(super) fn next_id(&mut self) -> LinkId {
        self.last += 1;
        LinkId(self.last)
    }

    pub(super) fn add(&mut self, id: LinkId, handle: LinkHandle<L>) {
        self.standing.insert(id, handle);
        self.windows.divide(&self.standing);
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&LinkHandle<L>> {
        self.standing.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut LinkHandle<L>> {
        self.standing.get_mut(&link)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LinkHandle<L>> {
        self.standing.values()
    }

    /// The control stream of a link stands: it gets its windows.
    pub(super) fn set_up(&mut self, link: LinkId) -> Option<&LinkHandle<L>> {
        let handle = self.standing.get_mut(&link)?;
        handle.is_up = true;
        self.windows.give(handle);
        Some(handle)
    }

    /// The same link, before something long is asked for on it.
    pub(super) fn make_room(&mut self, link: LinkId) -> Option<&LinkHandle<L>> {
        let handle = self.standing.get_mut(&link)?;
        self.windows.make_room(handle);
        Some(handle)
    }

    /// Takes a link out that is over.
    pub(super) fn remove(&mut self, link: LinkId) -> Option<LinkHandle<L>> {
        let handle = self.standing.remove(&link)?;
        self.windows.divide(&self.standing);
        let totals = handle.wire();
        self.past.entry(handle.link.peer()).or_default().add(totals);
        self.past_total.add(totals);
        while self.past.len() > PEERS_MAX {
            self.past.pop_first();
        }
        Some(handle)
    }

    /// Lets all of them go: their tasks say farewell.
    pub(super) fn clear(&mut self) {
        self.standing.clear();
    }

    /// Bytes of an upload to read at once.
    pub(super) fn block_len(&self) -> u32 {
        self.windows.block_len()
    }

    /// By peer.
    pub(super) fn wire(&self) -> BTreeMap<NodeId, WireTotals> {
        let mut wire = self.past.clone();
        for handle in self.standing.values() {
            wire.entry(handle.link.peer()).or_default().add(handle.wire());
        }
        wire
    }

    /// Of all links there ever were.
    pub(super) fn wire_total(&self) -> WireTotals {
        let mut total = self.past_total;
        self.standing.values().for_each(|handle| total.add(handle.wire()));
        total
    }
}
