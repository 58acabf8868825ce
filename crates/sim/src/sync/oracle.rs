//! Knows every content that a user ever wrote, and what became of it by users' own acts and by power cuts. What it says must still stand
//! somewhere has to stand somewhere.

use std::collections::{BTreeMap, BTreeSet};

use swarm_sync::ContentHash;

/// What became of a content by other hands than a synchronisation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody removed it.
    Wanted,
    /// A user overwrote or removed it, on some replica.
    Discarded,
    /// A power cut took it before it was durable anywhere.
    Lost,
}

/// The contents of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    written: BTreeMap<ContentHash, Fate>,
    /// Contents that may be seen, whoever made them: merged texts, and what a power cut left.
    others: BTreeSet<ContentHash>,
    pub(super) findings: Vec<String>,
}

impl Oracle {
    /// A user changed what a replica shows: so many entries had each content before, and have it now. Who removes one of two entries with
    /// the same content may mean both: a change of the other one may be on its way.
    pub(super) fn on_edit(
        &mut self,
        before: &BTreeMap<ContentHash, u32>,
        after: &BTreeMap<ContentHash, u32>,
    ) {
        for new in after.keys().filter(|new| !before.contains_key(*new)) {
            self.written.insert(*new, Fate::Wanted);
        }
        for (gone, _) in before.iter().filter(|(hash, count)| after.get(*hash).is_none_or(|now| now < *count))
        {
            self.discard(gone, Fate::Discarded);
        }
    }

    /// A power cut changed what a replica has.
    pub(super) fn on_power_cut(
        &mut self,
        before: &BTreeSet<ContentHash>,
        after: &BTreeSet<ContentHash>,
        elsewhere: &BTreeSet<ContentHash>,
    ) {
        self.others.extend(after.difference(before));
        for gone in before.difference(after).filter(|gone| !elsewhere.contains(*gone)) {
            self.discard(gone, Fate::Lost);
        }
    }

    /// A power cut left a part of what users wrote: they may have written the same bytes again over durable ones.
    pub(super) fn on_torn(&mut self, torn: &[ContentHash]) {
        torn.iter().for_each(|gone| self.discard(gone, Fate::Lost));
    }

    fn discard(&mut self, gone: &ContentHash, fate: Fate) {
        if let Some(is) = self.written.get_mut(gone) {
            *is = fate;
        }
    }

    /// A merge made a text.
    pub(super) fn on_merge(&mut self, text: ContentHash) {
        self.others.insert(text);
    }

    /// Those of the contents that nobody made as a whole.
    pub(super) fn unknown(&self, live: &BTreeSet<ContentHash>) -> Vec<ContentHash> {
        let is_known = |hash: &ContentHash| self.written.contains_key(hash) || self.others.contains(hash);
        live.iter().filter(|hash| !is_known(hash)).copied().collect()
    }

    /// Contents that no user discarded, and that are not among these.
    pub(super) fn missing(&self, there: &BTreeSet<ContentHash>) -> Vec<ContentHash> {
        let wanted = self.written.iter().filter(|(_, fate)| **fate == Fate::Wanted);
        wanted.map(|(hash, _)| *hash).filter(|hash| !there.contains(hash)).collect()
    }
}
