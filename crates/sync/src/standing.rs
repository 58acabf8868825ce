//! Unchanged paths that a plan has to know of, because a new name may be the same name on a side, or the name that a conflict copy would
//! get. They are looked up in folders in which that can happen, so a pass over few differences stays a small one.

use std::collections::BTreeSet;

use crate::planner::name_key;
use crate::{Difference, Index, NameRules, PerSide, Plan, Side, TreePath};

/// Unchanged paths beside those that differ, in path order, as far as a plan needs them. Names of conflict copies are looked for where a
/// first plan makes copies.
pub(crate) fn standing<I: Index>(
    index: &I,
    differences: &[Difference],
    names: &PerSide<NameRules>,
    first: Option<&Plan>,
) -> Result<Vec<TreePath>, I::Error> {
    let mut found = BTreeSet::new();
    for side in Side::BOTH {
        let mut wanted = Wanted::new(differences, side, *names.of(side));
        wanted.folders.extend(first.into_iter().flat_map(folders_of_copies));
        for folder in &wanted.folders {
            for row in index.known(side, folder.as_ref())? {
                let (path, _) = row?;
                if path.parent() == *folder && wanted.has(&path) {
                    found.insert(path);
                }
            }
        }
    }
    found.retain(|path| differences.binary_search_by(|difference| difference.path.cmp(path)).is_err());
    Ok(found.into_iter().collect())
}

/// Whether a plan makes a conflict copy.
pub(crate) fn has_copies(plan: &Plan) -> bool {
    folders_of_copies(plan).next().is_some()
}

/// Folders in which a plan makes conflict copies.
fn folders_of_copies(plan: &Plan) -> impl Iterator<Item = Option<TreePath>> {
    let ops = Side::BOTH.into_iter().flat_map(|side| plan.ops.of(side));
    ops.filter(|op| op.path.name().contains(COPY_MARK)).map(|op| op.path.parent())
}

/// What is looked for on a side.
struct Wanted {
    rules: NameRules,
    /// Folders to look into; `None` for the top.
    folders: BTreeSet<Option<TreePath>>,
    /// Keys of names that are new on the side, with their folders.
    new: BTreeSet<(Option<TreePath>, String)>,
}

impl Wanted {
    fn new(differences: &[Difference], side: Side, rules: NameRules) -> Self {
        let mut wanted = Self { rules, folders: BTreeSet::new(), new: BTreeSet::new() };
        let is_one_for_many = rules.ignores_case || rules.ignores_form;
        for difference in differences {
            let folder = difference.path.parent();
            let is_new = difference.now.of(side).is_none() && difference.now.of(side.other()).is_some();
            if is_new && is_one_for_many {
                wanted.new.insert((folder.clone(), name_key(difference.path.name(), rules)));
                wanted.folders.insert(folder);
            }
        }
        wanted
    }

    fn has(&self, path: &TreePath) -> bool {
        path.name().contains(COPY_MARK)
            || self.new.contains(&(path.parent(), name_key(path.name(), self.rules)))
    }
}

/// A part of the name of every conflict copy.
const COPY_MARK: &str = " (conflict";
