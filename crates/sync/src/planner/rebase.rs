//! What becomes of the base where a run does not make both sides the same: the base of a held entry goes along with the folders above
//! it, and the base of what left a path does not stay behind for a held entry that stands there.

use std::collections::BTreeSet;

use super::merge::{Fate, Merge};
use super::nodes::{NodeId, Place, ROOT, path_by};
use crate::{Rebase, Side, TreePath};

/// The entries of the base that have another path after the run, or none, where the operations do not tell.
pub(super) fn rebased(merge: &Merge<'_>) -> Vec<Rebase> {
    let is_held = |node: &NodeId| merge.fates[*node] == Fate::Held;
    let on_sides = |node| Side::BOTH.into_iter().filter_map(move |side| merge.target_path(node, side));
    let held_at: BTreeSet<TreePath> = merge.forest.ids().filter(is_held).flat_map(on_sides).collect();
    let waiting = waiting(merge);
    let rebase = |node: NodeId| {
        let from = &merge.forest.nodes[node].base.as_ref()?.path;
        // Elsewhere both sides have the same afterwards, and the base is what both have.
        let waits = waiting.contains(&node);
        (waits || held_at.contains(from)).then_some(())?;
        let to = if waits { path_by(node, |above| place_after(merge, above)) } else { None };
        (to.as_ref() != Some(from)).then(|| Rebase { from: from.clone(), to })
    };
    merge.forest.ids().filter_map(rebase).collect()
}

/// Nodes that are held, and the folders of the base that held ones stood in: their base does not move.
pub(super) fn waiting(merge: &Merge<'_>) -> BTreeSet<NodeId> {
    let mut waiting = BTreeSet::new();
    for node in merge.forest.ids().filter(|node| merge.fates[*node] == Fate::Held) {
        let parent = |node: &NodeId| merge.forest.nodes[*node].base.as_ref().map(|base| base.place.parent);
        let above = std::iter::successors(Some(node), parent);
        for waits in above.take_while(|node| *node != ROOT) {
            if !waiting.insert(waits) {
                break;
            }
        }
    }
    waiting
}

fn place_after<'a>(merge: &'a Merge<'_>, node: NodeId) -> Option<&'a Place> {
    match &merge.fates[node] {
        Fate::Live(want) => Some(&want.place),
        Fate::Dead | Fate::Held => merge.forest.nodes[node].base.as_ref().map(|base| &base.place),
    }
}
