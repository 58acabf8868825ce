//! Which linked peers have which chunks of one content. Invariant: while the chunks are open, the picker's counts equal a recount of
//! what stands here. Those counts change nowhere else. Knows no messages, and not which peer is asked for what.

use std::collections::BTreeMap;

use swarm_core::base::Bitfield;

use super::chunks::Chunks;
use super::io::LinkId;

#[derive(Debug, Default)]
pub(super) struct Availability {
    holders: BTreeMap<LinkId, Holder>,
}

#[derive(Debug)]
struct Holder {
    has: Bitfield,
    /// Counted as one that has everything, not chunk by chunk: most peers of a seed's kind say so at once, and a key in the
    /// picker's order for each chunk would move for nothing.
    is_everywhere: bool,
}

impl Availability {
    /// A peer will name its chunks; until then it has none.
    pub(super) fn introduce(&mut self, link: LinkId, chunk_count: u32) {
        let none = || Holder { has: Bitfield::new(chunk_count), is_everywhere: false };
        self.holders.entry(link).or_insert_with(none);
    }

    /// What a peer has, if it was introduced.
    pub(super) fn of(&self, link: LinkId) -> Option<&Bitfield> {
        self.holders.get(&link).map(|holder| &holder.has)
    }

    /// All that were introduced, by link.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Bitfield)> {
        self.holders.iter().map(|(link, holder)| (*link, &holder.has))
    }

    /// A peer has these chunks. Returns those that are new.
    pub(super) fn add(
        &mut self,
        link: LinkId,
        named: impl Iterator<Item = u32>,
        chunks: Option<&mut Chunks>,
    ) -> Vec<u32> {
        let Some(holder) = self.holders.get_mut(&link) else { return Vec::new() };
        let was_empty = holder.has.is_empty();
        let fresh: Vec<u32> = named.filter(|&chunk| holder.has.insert(chunk)).collect();
        let is_everywhere = was_empty && !fresh.is_empty() && holder.has.is_full();
        holder.is_everywhere |= is_everywhere;
        match chunks {
            Some(chunks) if is_everywhere => chunks.picker.add_everywhere(),
            Some(chunks) => chunks.count(&fresh, true),
            None => {}
        }
        fresh
    }

    /// A peer does not have these chunks. Returns those that it had named.
    pub(super) fn remove(
        &mut self,
        link: LinkId,
        named: impl Iterator<Item = u32>,
        mut chunks: Option<&mut Chunks>,
    ) -> Vec<u32> {
        let Some(holder) = self.holders.get_mut(&link) else { return Vec::new() };
        if std::mem::take(&mut holder.is_everywhere)
            && let Some(chunks) = chunks.as_deref_mut()
        {
            chunks.picker.subtract_everywhere();
            chunks.count(&holder.listed(), true);
        }
        let gone: Vec<u32> = named.filter(|&chunk| holder.has.remove(chunk)).collect();
        if let Some(chunks) = chunks {
            chunks.count(&gone, false);
        }
        gone
    }

    /// A peer is gone.
    pub(super) fn forget(&mut self, link: LinkId, chunks: Option<&mut Chunks>) {
        let (Some(holder), Some(chunks)) = (self.holders.remove(&link), chunks) else { return };
        if holder.is_everywhere {
            chunks.picker.subtract_everywhere();
        } else {
            chunks.count(&holder.listed(), false);
        }
    }

    /// Chunks that were just opened: their picker counts nothing yet.
    pub(super) fn count_in(&self, chunks: &mut Chunks) {
        for holder in self.holders.values() {
            if holder.is_everywhere {
                chunks.picker.add_everywhere();
            } else {
                chunks.count(&holder.listed(), true);
            }
        }
    }
}

impl Holder {
    fn listed(&self) -> Vec<u32> {
        self.has.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::Order;
    use crate::tests::manifest_of;

    const COUNT: u32 = 12;

    fn chunks() -> Chunks {
        let manifest = manifest_of(&[("a", COUNT as usize * (16 << 10))]);
        Chunks::new(manifest, &Bitfield::new(COUNT), &Bitfield::full(COUNT), Order::RarestFirst, 1)
    }

    fn check(availability: &Availability, chunks: &Chunks) {
        for chunk in 0..COUNT {
            let recount = availability.iter().filter(|(_, has)| has.contains(chunk)).count() as u32;
            assert!(chunks.picker.is_rarer_than(recount + 1, chunk), "chunk {chunk}: more than {recount}");
            assert!(!chunks.picker.is_rarer_than(recount, chunk), "chunk {chunk}: fewer than {recount}");
        }
    }

    proptest! {
        #[test]
        fn counts_equal_a_recount_after_anything(ops in prop::collection::vec((0u8..5, 0u64..4, 0u32..COUNT), 0..60)) {
            let (mut availability, mut chunks) = (Availability::default(), chunks());
            for (op, link, chunk) in ops {
                let link = LinkId(link);
                match op {
                    0 => availability.introduce(link, COUNT),
                    1 => { availability.add(link, 0..COUNT, Some(&mut chunks)); }
                    2 => { availability.add(link, chunk..=chunk, Some(&mut chunks)); }
                    3 => { availability.remove(link, chunk..=chunk, Some(&mut chunks)); }
                    _ => availability.forget(link, Some(&mut chunks)),
                }
                check(&availability, &chunks);
            }
        }
    }

    #[test]
    fn chunks_that_are_opened_again_count_what_was_said_before() {
        let mut availability = Availability::default();
        for link in [LinkId(1), LinkId(2)] {
            availability.introduce(link, COUNT);
        }
        availability.add(LinkId(1), 0..COUNT, None);
        availability.add(LinkId(2), 3..5, None);
        let mut chunks = chunks();
        availability.count_in(&mut chunks);
        check(&availability, &chunks);
        availability.forget(LinkId(1), Some(&mut chunks));
        check(&availability, &chunks);
    }
}
