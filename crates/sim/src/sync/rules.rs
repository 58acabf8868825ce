//! Which rows of the planner's table a set of differences asks for: for the histogram alone, so worlds show that they come to every row.

use std::collections::BTreeMap;

use swarm_sync::{Difference, FileId, Side, TreePath};

/// What a side did to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Made,
    Modified,
    Deleted,
    Moved,
}

/// A word for each difference.
pub(super) fn words(differences: &[Difference]) -> Vec<&'static str> {
    let ids = Side::BOTH.map(|side| ids(differences, side));
    let change = |difference: &Difference, side: Side| change(difference, side, &ids[side as usize]);
    let each = |difference: &Difference| {
        let is_folder_lost = is_revived(difference, differences);
        if is_folder_lost {
            return "rule: deleted folder | something new in it";
        }
        word(difference, change(difference, Side::Local), change(difference, Side::Remote))
    };
    differences.iter().map(each).collect()
}

/// Where the numbered files of a side stand that the base does not have there.
fn ids(differences: &[Difference], side: Side) -> BTreeMap<FileId, TreePath> {
    let now = differences.iter().filter_map(|one| Some((one, one.now.of(side).as_ref()?.stamp.id?)));
    now.map(|(one, id)| (id, one.path.clone())).collect()
}

fn change(one: &Difference, side: Side, ids: &BTreeMap<FileId, TreePath>) -> Change {
    match (&one.base, one.now.of(side)) {
        (None, None) => Change::None,
        (None, Some(_)) => Change::Made,
        (Some(base), None) => {
            let at = base.ids.of(side).and_then(|id| ids.get(&id));
            if at.is_some_and(|at| *at != one.path) { Change::Moved } else { Change::Deleted }
        }
        (Some(_), Some(_)) if one.is_unchanged(side) => Change::None,
        (Some(_), Some(_)) => Change::Modified,
    }
}

fn word(one: &Difference, local: Change, remote: Change) -> &'static str {
    use Change::{Deleted, Made, Modified, Moved, None};
    match (local, remote) {
        (Moved, Moved) => "rule: moved | moved",
        _ if one.agrees() => "rule: same change on both",
        (None, Made) | (Made, None) => "rule: made | unchanged",
        (None, Modified) | (Modified, None) => "rule: modified | unchanged",
        (None, Deleted) | (Deleted, None) => "rule: deleted | unchanged",
        (None, Moved) | (Moved, None) => "rule: moved | unchanged",
        (Modified, Modified) => "rule: modified | modified",
        (Made, Made) => "rule: made | made",
        (Deleted, Modified) | (Modified, Deleted) => "rule: deleted | modified",
        (Moved, Modified) | (Modified, Moved) => "rule: moved | modified",
        (Moved, Deleted) | (Deleted, Moved) => "rule: moved | deleted",
        (None, None)
        | (Deleted, Deleted)
        | (Made, Modified | Deleted | Moved)
        | (Modified | Deleted | Moved, Made) => "rule: other",
    }
}

/// Whether one side deleted a folder in which the other has something new.
fn is_revived(folder: &Difference, differences: &[Difference]) -> bool {
    let is_new = |side: Side| {
        let below = |one: &&Difference| one.path.is_below(&folder.path);
        differences.iter().filter(below).any(|one| one.base.is_none() && one.now.of(side).is_some())
    };
    let is_folder = |side: Side| folder.now.of(side).as_ref().is_some_and(swarm_sync::Entry::is_folder);
    let is_lost = |side: Side| folder.base.is_some() && folder.now.of(side).is_none();
    Side::BOTH.into_iter().any(|side| is_lost(side) && is_folder(side.other()) && is_new(side.other()))
}
