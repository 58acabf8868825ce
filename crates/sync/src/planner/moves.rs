//! Which entries of a side are entries of the base under another name.

use std::collections::BTreeMap;

use crate::{Difference, PerSide, TreePath};

/// Where entries of the base went on a side: from their path in the base to their path now.
pub(super) type Moves = BTreeMap<TreePath, TreePath>;

/// The moves of both sides.
pub(super) fn find(_differences: &[&Difference]) -> PerSide<Moves> {
    PerSide::default()
}
