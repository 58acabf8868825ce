//! What is new on one side, and meets nothing: it is made on the other side, and takes no part in the merge. So a first run of a million
//! new files costs a plan the operations and little else. Fresh is an entry that has nothing of the base or of the other side at its path,
//! stands in folders that are fresh or the same in all three trees, cannot be the goal of a move, and has nothing below it that is not
//! fresh. Absent here: sides on which two names may be one, and mirrors of what is on the remote side alone.

use std::collections::BTreeSet;

use super::moves::has_left;
use crate::{
    ContentHash, DETOUR_PREFIX, Difference, Direction, Entry, FileId, NameRules, Op, OpKind, Policy, Side,
    Source, TreePath,
};

/// The differences that take part in the merge, and those that are fresh, both in path order.
pub(super) fn part<'a>(
    differences: Vec<&'a Difference>,
    policy: &Policy,
) -> (Vec<&'a Difference>, Vec<&'a Difference>) {
    if Side::BOTH.into_iter().any(|side| *policy.names.of(side) != NameRules::default()) {
        return (differences, Vec::new());
    }
    let mut is_fresh = without_meetings(&differences, policy);
    drop_above_others(&differences, &mut is_fresh);
    drop_below_others(&differences, &mut is_fresh);
    drop_names_of_copies(&differences, &mut is_fresh);
    let mut flags = is_fresh.into_iter();
    differences.into_iter().partition(|_| !flags.next().unwrap_or(false))
}

/// The operations that make fresh folders on a side, in path order.
pub(super) fn folders<'a>(fresh: &'a [&Difference], side: Side) -> impl Iterator<Item = Op> + 'a {
    let make = |one: &Difference| Op { path: one.path.clone(), kind: OpKind::MakeFolder, expected: None };
    coming(fresh, side).filter(|(_, entry)| entry.is_folder()).map(move |(one, _)| make(one))
}

/// The operations that put fresh files and links on a side, in path order.
pub(super) fn contents<'a>(fresh: &'a [&Difference], side: Side) -> impl Iterator<Item = Op> + 'a {
    let put = |one: &Difference, entry: &Entry| {
        let source = Source::Other { path: one.path.clone() };
        let kind = OpKind::Put { content: entry.kind.clone(), modified_ns: entry.modified_ns, source };
        Op { path: one.path.clone(), kind, expected: None }
    };
    coming(fresh, side).filter(|(_, entry)| !entry.is_folder()).map(move |(one, entry)| put(one, entry))
}

/// Number of fresh entries that a side does not have.
pub(super) fn count(fresh: &[&Difference], side: Side) -> usize {
    coming(fresh, side).count()
}

fn coming<'a>(fresh: &'a [&Difference], side: Side) -> impl Iterator<Item = (&'a Difference, &'a Entry)> {
    fresh.iter().filter_map(move |one| Some((*one, one.now.of(side.other()).as_ref()?)))
}

/// Which entries have nothing else at their path, and cannot be moved ones.
fn without_meetings(differences: &[&Difference], policy: &Policy) -> Vec<bool> {
    let left = Left::of(differences);
    let is_fresh = |one: &&Difference| match (&one.base, &one.now.local, &one.now.remote) {
        (None, Some(entry), None) => !left.may_be(entry),
        (None, None, Some(entry)) => policy.direction == Direction::Both && !left.may_be(entry),
        _ => false,
    };
    differences.iter().map(is_fresh).collect()
}

/// What left its path in the base, on either side: a new entry that is like it may be it.
#[derive(Default)]
struct Left {
    ids: BTreeSet<FileId>,
    contents: BTreeSet<(u64, ContentHash)>,
}

impl Left {
    fn of(differences: &[&Difference]) -> Self {
        let mut left = Self::default();
        for one in differences.iter().filter(|one| Side::BOTH.into_iter().any(|side| has_left(one, side))) {
            let Some(base) = &one.base else { continue };
            left.ids.extend([base.ids.local, base.ids.remote].into_iter().flatten());
            // An empty file is no evidence of a move.
            let file = base.kind.file().filter(|file| file.len > 0);
            left.contents.extend(file.map(|file| (file.len, file.hash)));
        }
        left
    }

    fn may_be(&self, entry: &Entry) -> bool {
        let has_content = entry.file().is_some_and(|file| self.contents.contains(&(file.len, file.hash)));
        has_content || entry.stamp.id.is_some_and(|id| self.ids.contains(&id))
    }
}

/// In path order, what stands below a folder comes directly after it.
fn drop_above_others(differences: &[&Difference], is_fresh: &mut [bool]) {
    let mut next_other: Option<&TreePath> = None;
    for (one, is_fresh) in differences.iter().zip(is_fresh).rev() {
        *is_fresh &= next_other.is_none_or(|other| !other.is_below(&one.path));
        if !*is_fresh {
            next_other = Some(&one.path);
        }
    }
}

fn drop_below_others(differences: &[&Difference], is_fresh: &mut [bool]) {
    let mut above: Vec<(&TreePath, bool)> = Vec::new();
    for (one, is_fresh) in differences.iter().zip(is_fresh) {
        while above.last().is_some_and(|(path, _)| !one.path.is_below(path)) {
            above.pop();
        }
        let is_child =
            |path: &TreePath| one.path.as_str().len() == path.as_str().len() + 1 + one.path.name().len();
        *is_fresh &= above.last().is_none_or(|(path, is_fresh)| *is_fresh && is_child(path));
        above.push((&one.path, *is_fresh));
    }
}

/// Conflict copies, and what is moved out of the way, get names that are free in their folders: names like those have to be known to the
/// merge.
fn drop_names_of_copies(differences: &[&Difference], is_fresh: &mut [bool]) {
    let others = differences.iter().zip(&*is_fresh).filter(|(_, is_fresh)| !**is_fresh);
    let folders: BTreeSet<Option<TreePath>> = others.map(|(one, _)| one.path.parent()).collect();
    for (one, is_fresh) in differences.iter().zip(is_fresh) {
        let is_like_one = one.path.name().contains('(') || one.path.name().starts_with(DETOUR_PREFIX);
        *is_fresh &= !(is_like_one && folders.contains(&one.path.parent()));
    }
}
