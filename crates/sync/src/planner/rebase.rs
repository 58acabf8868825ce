//! Where the base of a held entry is found after a run: it goes along with the folders above it. Otherwise a conflict would forget what
//! both sides agreed on.

use std::collections::BTreeSet;

use super::merge::{Fate, Merge};
use super::nodes::{NodeId, Place, ROOT};
use crate::{Rebase, TreePath};

/// The entries of the base that are held and have another path after the run.
pub(super) fn rebased(merge: &Merge<'_>) -> Vec<Rebase> {
    let held = merge.forest.ids().filter(|node| merge.fates[*node] == Fate::Held);
    let rebase = |node: NodeId| {
        let from = merge.forest.nodes[node].base.as_ref()?.path.clone();
        let to = path_after(merge, node).filter(|to| *to != from)?;
        Some(Rebase { from, to })
    };
    held.filter_map(rebase).collect()
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

fn path_after(merge: &Merge<'_>, node: NodeId) -> Option<TreePath> {
    let mut names: Vec<&str> = Vec::new();
    let mut above = node;
    while above != ROOT {
        let place = place_after(merge, above).filter(|_| names.len() < merge.forest.nodes.len())?;
        names.push(&place.name);
        above = place.parent;
    }
    names.reverse();
    TreePath::new(names.join("/")).ok()
}

fn place_after<'a>(merge: &'a Merge<'_>, node: NodeId) -> Option<&'a Place> {
    match &merge.fates[node] {
        Fate::Live(want) => Some(&want.place),
        Fate::Dead | Fate::Held => merge.forest.nodes[node].base.as_ref().map(|base| &base.place),
    }
}
