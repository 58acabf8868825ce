//! Unchanged paths that a plan has to know of, because a new name may be the same name on a side, or the name that a conflict copy would
//! get. They are looked up in folders in which that can happen, so a pass over few differences stays a small one.

use std::collections::BTreeSet;

use crate::planner::name_key;
use crate::{Difference, Index, NameRules, PerSide, Side, TreePath};

/// Unchanged paths beside those that differ, in path order, as far as a plan needs them.
pub(crate) fn standing<I: Index>(
    index: &I,
    differences: &[Difference],
    names: &PerSide<NameRules>,
) -> Result<Vec<TreePath>, I::Error> {
    let mut found = BTreeSet::new();
    for side in Side::BOTH {
        let wanted = Wanted::new(differences, side, *names.of(side));
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

/// What is looked for on a side.
struct Wanted {
    rules: NameRules,
    /// Folders to look into; `None` for the top.
    folders: BTreeSet<Option<TreePath>>,
    /// Keys of names that are new on the side, with their folders.
    new: BTreeSet<(Option<TreePath>, String)>,
    /// Folders in which a conflict copy may be made.
    disputed: BTreeSet<Option<TreePath>>,
}

impl Wanted {
    fn new(differences: &[Difference], side: Side, rules: NameRules) -> Self {
        let mut wanted =
            Self { rules, folders: BTreeSet::new(), new: BTreeSet::new(), disputed: BTreeSet::new() };
        let is_one_for_many = rules.ignores_case || rules.ignores_form;
        for difference in differences {
            let folder = difference.path.parent();
            let is_new = difference.now.of(side).is_none() && difference.now.of(side.other()).is_some();
            if is_new && is_one_for_many {
                wanted.new.insert((folder.clone(), name_key(difference.path.name(), rules)));
                wanted.folders.insert(folder.clone());
            }
            if Side::BOTH.into_iter().all(|side| !difference.is_unchanged(side)) && !difference.agrees() {
                wanted.disputed.insert(folder.clone());
                wanted.folders.insert(folder);
            }
        }
        wanted
    }

    fn has(&self, path: &TreePath) -> bool {
        let folder = path.parent();
        (path.name().contains(COPY_MARK) && self.disputed.contains(&folder))
            || self.new.contains(&(folder, name_key(path.name(), self.rules)))
    }
}

/// A part of the name of every conflict copy.
const COPY_MARK: &str = " (conflict";
