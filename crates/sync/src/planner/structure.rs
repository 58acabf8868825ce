//! What only the tree as a whole shows. Invariant afterwards: on each side, what stands has living folders above it, no two nodes
//! stand at one place or under one name, and no folder stands in itself.

use std::collections::{BTreeMap, BTreeSet};

use super::disputes::Dispute;
use super::merge::{Fate, Merge};
use super::names;
use super::nodes::{NodeId, Place, ROOT};
use crate::{ConflictKind, PerSide, Side, TreePath};

/// Settles what the nodes, each merged by itself, do to each other.
pub(super) fn settle(merge: &mut Merge<'_>) {
    let pins = pins(merge);
    let walls = walls(merge);
    // Each turn decides or holds at least one node, and a node is decided a limited number of times.
    for _ in 0..TURNS_MAX {
        let has_changed = pin(merge, &pins)
            || wall_off(merge, &walls)
            || revive(merge)
            || break_circle(merge)
            || part_collisions(merge)
            || spare_bases(merge)
            || refuse_names(merge);
        if !has_changed {
            return;
        }
    }
    // Trees that contradict themselves, such as a base with an entry in a folder that it does not have, could go on for ever: better
    // nothing is done.
    merge.fates.fill(Fate::Held);
}

/// A million random pairs need less than 100 turns.
const TURNS_MAX: usize = 1000;

/// Folders above what a side could not look at: they must not vanish or move.
fn pins(merge: &Merge<'_>) -> Vec<NodeId> {
    let blind = Side::BOTH.into_iter().flat_map(|side| merge.policy.blind.of(side));
    let above: BTreeSet<TreePath> = blind.flat_map(TreePath::ancestors).collect();
    let nodes: BTreeSet<NodeId> = above.iter().flat_map(|path| merge.forest.all_now_at(path)).collect();
    nodes.into_iter().collect()
}

/// The places that a side could not look at: something unknown may stand there.
fn walls(merge: &Merge<'_>) -> BTreeSet<Place> {
    let blind = Side::BOTH.into_iter().flat_map(|side| merge.policy.blind.of(side));
    let places = blind.flat_map(|path| {
        let parents = match path.parent() {
            Some(parent) => merge.forest.all_now_at(&parent),
            None => vec![ROOT],
        };
        parents.into_iter().map(|parent| Place { parent, name: path.name().into() })
    });
    places.collect()
}

fn pin(merge: &mut Merge<'_>, pins: &[NodeId]) -> bool {
    let mut has_changed = false;
    for &node in pins {
        let moves = |want: &Place| {
            let now = Side::BOTH.into_iter().filter_map(|side| merge.forest.now(node, side));
            now.into_iter().any(|standing| standing.place != *want)
        };
        match &merge.fates[node] {
            Fate::Dead => merge.fates[node] = Fate::Held,
            Fate::Live(want) if moves(&want.place) => merge.freeze(node, None),
            Fate::Live(_) | Fate::Held => continue,
        }
        has_changed = true;
    }
    has_changed
}

fn wall_off(merge: &mut Merge<'_>, walls: &BTreeSet<Place>) -> bool {
    let comes_there = |node: &NodeId| match &merge.fates[*node] {
        Fate::Live(want) => walls.contains(&want.place),
        Fate::Dead | Fate::Held => false,
    };
    if walls.is_empty() {
        return false;
    }
    let found: Vec<NodeId> = merge.forest.ids().filter(comes_there).collect();
    found.iter().for_each(|node| merge.freeze(*node, None));
    !found.is_empty()
}

/// What stands has living folders above it.
fn revive(merge: &mut Merge<'_>) -> bool {
    let mut has_changed = false;
    for side in Side::BOTH {
        for node in merge.forest.ids() {
            let mut below = node;
            while let Some(parent) = merge.target(below, side).map(|place| place.parent) {
                if parent == ROOT || merge.target(parent, side).is_some() {
                    break;
                }
                if !revive_parent(merge, below, parent) {
                    break;
                }
                has_changed = true;
                below = parent;
            }
        }
    }
    has_changed
}

/// The folder of a living entry lives; the folder of a held one is kept where it is. What goes into a disputed folder waits with it.
fn revive_parent(merge: &mut Merge<'_>, node: NodeId, parent: NodeId) -> bool {
    if merge.is_disputed[parent] {
        let by = merge.held_by[parent];
        merge.freeze(node, by);
    } else if merge.fates[node] == Fate::Held {
        merge.fates[parent] = Fate::Held;
    } else {
        let stands = |side: &Side| merge.forest.now(parent, *side).is_some();
        let Some(side) = Side::BOTH.into_iter().find(stands) else { return false };
        let Some(place) = merge.forest.now(parent, side).map(|standing| standing.place.clone()) else {
            return false;
        };
        merge.live_at(parent, side, place);
    }
    true
}

/// Finds folders that would stand in each other, and disputes those that were moved.
fn break_circle(merge: &mut Merge<'_>) -> bool {
    for side in Side::BOTH {
        if let Some(circle) = circle(merge, side) {
            let dispute = circle_dispute(merge, &circle);
            merge.on_dispute(dispute);
            return true;
        }
    }
    false
}

fn circle(merge: &Merge<'_>, side: Side) -> Option<Vec<NodeId>> {
    let mut seen_in = vec![ROOT; merge.forest.nodes.len()];
    for start in merge.forest.ids() {
        let mut node = start;
        while node != ROOT && seen_in[node] == ROOT {
            seen_in[node] = start;
            node = merge.target(node, side).map_or(ROOT, |place| place.parent);
        }
        if node != ROOT && seen_in[node] == start {
            return Some(around(merge, side, node));
        }
    }
    None
}

fn around(merge: &Merge<'_>, side: Side, start: NodeId) -> Vec<NodeId> {
    let next = |node: &NodeId| merge.target(*node, side).map(|place| place.parent);
    let rest = std::iter::successors(next(&start), next).take_while(|node| *node != start);
    std::iter::once(start).chain(rest).collect()
}

/// The dispute about a circle: each side's version is the first entry that this side moved.
fn circle_dispute(merge: &Merge<'_>, circle: &[NodeId]) -> Dispute {
    let is_moved = |node: NodeId, side: Side| {
        let base = merge.forest.nodes[node].base.as_ref();
        merge.forest.now(node, side).is_some_and(|one| base.is_none_or(|base| base.place != one.place))
    };
    let mut sorted = circle.to_vec();
    sorted.sort_unstable();
    let first = |side: Side| sorted.iter().copied().find(|node| is_moved(*node, side)).unwrap_or(sorted[0]);
    Dispute {
        kind: ConflictKind::Structure,
        nodes: PerSide::each(first),
        others: sorted.clone(),
        detail: "folders were moved into each other".to_owned(),
    }
}

/// Disputes two entries at one place.
fn part_collisions(merge: &mut Merge<'_>) -> bool {
    let mut has_changed = false;
    for side in Side::BOTH {
        for (one, other) in pairs(merge, side, |place| place.name.to_string()) {
            if merge.target(one, side).is_some() && merge.target(one, side) == merge.target(other, side) {
                let dispute = collision(merge, side, one, other);
                merge.on_dispute(dispute);
                has_changed = true;
            }
        }
    }
    has_changed
}

/// The base has one entry at a path. As long as one is held that was there, nothing else comes there: what both sides agreed on last
/// about the held one would be forgotten.
fn spare_bases(merge: &mut Merge<'_>) -> bool {
    let mut held: BTreeMap<&Place, NodeId> = BTreeMap::new();
    for node in merge.forest.ids().filter(|node| merge.fates[*node] == Fate::Held) {
        held.extend(merge.forest.nodes[node].base.as_ref().map(|base| (&base.place, node)));
    }
    let comes_there = |node: NodeId| match &merge.fates[node] {
        Fate::Live(want) => held.get(&want.place).map(|held| (node, *held)),
        Fate::Dead | Fate::Held => None,
    };
    let waiting: Vec<(NodeId, NodeId)> = merge.forest.ids().filter_map(comes_there).collect();
    for &(node, held) in &waiting {
        // The folder above it may have been held just now.
        if merge.fates[node] != Fate::Held {
            let by = merge.held_by[held];
            merge.freeze(node, by);
        }
    }
    !waiting.is_empty()
}

/// The dispute about two entries that come to one place on this side. A held one may stand elsewhere on the other side.
fn collision(merge: &Merge<'_>, side: Side, one: NodeId, other: NodeId) -> Dispute {
    let place = |node: NodeId, side: Side| merge.forest.now(node, side).map(|standing| &standing.place);
    let wanted = merge.target(one, side);
    let is_local = |node: NodeId| wanted.is_some() && place(node, Side::Local) == wanted;
    let (local, remote) = if is_local(other) && !is_local(one) { (other, one) } else { (one, other) };
    Dispute {
        kind: ConflictKind::Structure,
        nodes: PerSide { local, remote },
        others: Vec::new(),
        detail: "two entries have this name".to_owned(),
    }
}

/// Nodes of a side that have the same key in one folder, those that stand there already first.
fn pairs(merge: &Merge<'_>, side: Side, key: impl Fn(&Place) -> String) -> Vec<(NodeId, NodeId)> {
    let mut groups: BTreeMap<(NodeId, String), Vec<NodeId>> = BTreeMap::new();
    for node in merge.forest.ids() {
        if let Some(place) = merge.target(node, side) {
            groups.entry((place.parent, key(place))).or_default().push(node);
        }
    }
    let is_new = |node: &NodeId| {
        let now = merge.forest.now(*node, side).map(|standing| &standing.place);
        now != merge.target(*node, side)
    };
    let pairs = groups.into_values().filter(|group| group.len() > 1).flat_map(|mut group| {
        group.sort_by_key(|node| (is_new(node), merge.target(*node, side).map(|place| place.name.clone())));
        let first = group[0];
        group.into_iter().skip(1).map(move |other| (first, other))
    });
    pairs.collect()
}

/// Disputes names that a side cannot hold.
fn refuse_names(merge: &mut Merge<'_>) -> bool {
    let mut has_changed = false;
    for side in Side::BOTH {
        let rules = *merge.policy.names.of(side);
        let unfit = merge.forest.ids().filter_map(|node| Some((node, unfit(merge, node, side)?)));
        let mut refused: Vec<(NodeId, String)> = unfit.collect();
        if rules.ignores_case || rules.ignores_form {
            let pairs = pairs(merge, side, |place| names::key(&place.name, rules));
            refused.extend(pairs.into_iter().filter_map(|(one, other)| same(merge, side, one, other)));
        }
        for (node, detail) in refused {
            if !merge.is_disputed[node] {
                merge.on_dispute(Dispute { detail, ..Dispute::of(ConflictKind::Name, node) });
                has_changed = true;
            }
        }
    }
    has_changed
}

/// Why a node cannot come to its place on a side.
fn unfit(merge: &Merge<'_>, node: NodeId, side: Side) -> Option<String> {
    let place = merge.target(node, side)?;
    let now = merge.forest.now(node, side).map(|standing| &standing.place.name);
    if now == Some(&place.name) {
        return None;
    }
    names::unfit(&place.name, *merge.policy.names.of(side))
}

/// Why two names cannot stand beside each other. Those that do already are left alone.
fn same(merge: &Merge<'_>, side: Side, one: NodeId, other: NodeId) -> Option<(NodeId, String)> {
    let place = merge.target(other, side)?;
    let stands = merge.forest.now(other, side).is_some_and(|standing| standing.place == *place);
    let first = &merge.target(one, side)?.name;
    let detail = format!("{} is the same name there", swarm_core::base::Shown(&**first));
    (!stands).then_some((other, detail))
}
