//! Every entry of the three trees as a node. Invariant: a node stands at most once in each tree; on a side, no two nodes stand at one
//! place. Folders that are no difference but have one below them are nodes too, the same in all three trees.

use std::collections::{BTreeMap, BTreeSet};

use super::moves::Moves;
use crate::limits::PATH_LEN_MAX;
use crate::{Difference, Entry, Kind, PerSide, Side, Stamp, TreePath};

/// Number of a node.
pub(super) type NodeId = usize;

/// The root of the trees: the parent of what stands at the top.
pub(super) const ROOT: NodeId = 0;

/// Where a node stands: it stays the same if a folder above it moves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) parent: NodeId,
    pub(super) name: Box<str>,
}

/// What stands on a side now.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) place: Place,
    pub(super) path: TreePath,
    pub(super) entry: Entry,
}

/// What both sides agreed on last.
#[derive(Clone, Debug)]
pub(super) struct Based {
    pub(super) path: TreePath,
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) base: Option<Based>,
    pub(super) now: PerSide<Option<Standing>>,
}

/// All nodes.
#[derive(Debug, Default)]
pub(super) struct Forest {
    pub(super) nodes: Vec<Node>,
    /// What stands in each folder, on each side.
    children: PerSide<BTreeMap<NodeId, Vec<NodeId>>>,
    base_at: BTreeMap<TreePath, NodeId>,
    now_at: PerSide<BTreeMap<TreePath, NodeId>>,
}

impl Forest {
    /// The nodes of these differences, of the folders above them, and of unchanged paths beside them.
    pub(super) fn new(differences: &[&Difference], moves: &PerSide<Moves>, standing: &[TreePath]) -> Self {
        let mut forest = Self { nodes: vec![Node::default()], ..Self::default() };
        for one in differences.iter().filter(|one| one.base.is_some()) {
            forest.base_at.insert(one.path.clone(), forest.nodes.len());
            forest.nodes.push(Node::default());
        }
        // Before any folder without a difference becomes a node: those have not moved.
        let claims = PerSide::each(|side| forest.claims(differences, moves.of(side), side));
        for side in Side::BOTH {
            forest.add_side(differences, claims.of(side), side);
        }
        forest.add_base(differences);
        for path in standing {
            if find(differences, path).is_none() {
                forest.standing(path);
            }
        }
        forest
    }

    pub(super) fn ids(&self) -> std::ops::Range<NodeId> {
        ROOT + 1..self.nodes.len()
    }

    pub(super) fn now(&self, node: NodeId, side: Side) -> Option<&Standing> {
        self.nodes[node].now.of(side).as_ref()
    }

    pub(super) fn is_on_both(&self, node: NodeId) -> bool {
        Side::BOTH.into_iter().all(|side| self.now(node, side).is_some())
    }

    /// The nodes that stand in a folder on a side.
    pub(super) fn children(&self, node: NodeId, side: Side) -> &[NodeId] {
        self.children.of(side).get(&node).map_or(&[], Vec::as_slice)
    }

    /// The node and everything below it, on either side, each once.
    pub(super) fn subtree(&self, node: NodeId) -> Vec<NodeId> {
        let mut seen = BTreeSet::from([node]);
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            let below = Side::BOTH.into_iter().flat_map(|side| self.children(next, side));
            open.extend(below.copied().filter(|&child| seen.insert(child)));
        }
        seen.into_iter().collect()
    }

    /// Everything below a node on a side.
    pub(super) fn below(&self, node: NodeId, side: Side) -> BTreeSet<NodeId> {
        let mut below = BTreeSet::new();
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            open.extend(self.children(next, side).iter().filter(|child| below.insert(**child)));
        }
        below
    }

    /// The nodes that stand at a path in any of the trees.
    pub(super) fn all_at(&self, path: &TreePath) -> Vec<NodeId> {
        self.base_at.get(path).copied().into_iter().chain(self.all_now_at(path)).collect()
    }

    /// The nodes that stand at a path on the sides.
    pub(super) fn all_now_at(&self, path: &TreePath) -> Vec<NodeId> {
        Side::BOTH.into_iter().filter_map(|side| self.now_at.of(side).get(path)).copied().collect()
    }

    /// Makes a new node of what stands on one side of this one. What stands in it there stands in the new one.
    pub(super) fn split(&mut self, node: NodeId, side: Side) -> NodeId {
        let new = self.nodes.len();
        let mut split = Node::default();
        *split.now.of_mut(side) = self.nodes[node].now.of_mut(side).take();
        if let Some(standing) = split.now.of(side) {
            self.now_at.of_mut(side).insert(standing.path.clone(), new);
            let siblings = self.children.of_mut(side).entry(standing.place.parent).or_default();
            siblings.iter_mut().filter(|child| **child == node).for_each(|child| *child = new);
        }
        self.nodes.push(split);
        let below = self.children.of_mut(side).remove(&node).unwrap_or_default();
        for &child in &below {
            if let Some(standing) = self.nodes[child].now.of_mut(side) {
                standing.place.parent = new;
            }
        }
        self.children.of_mut(side).insert(new, below);
        new
    }

    fn add_side(&mut self, differences: &[&Difference], claims: &BTreeMap<TreePath, NodeId>, side: Side) {
        let mut made = self.made_on_local();
        for one in differences {
            let Some(entry) = one.now.of(side) else { continue };
            let place = Place {
                parent: self.parent(differences, &one.path, Some(side)),
                name: one.path.name().into(),
            };
            let node = match (claims.get(&one.path), side) {
                (Some(node), _) => *node,
                (None, Side::Local) => self.push(),
                (None, Side::Remote) => {
                    made.remove(&(place.clone(), entry.is_folder())).unwrap_or_else(|| self.push())
                }
            };
            self.set_now(node, side, Standing { place, path: one.path.clone(), entry: entry.clone() });
        }
    }

    /// Which node of the base each path of a side holds.
    fn claims(&self, differences: &[&Difference], moves: &Moves, side: Side) -> BTreeMap<TreePath, NodeId> {
        let goals: BTreeSet<&TreePath> = moves.values().collect();
        let mut located: BTreeMap<&TreePath, TreePath> = BTreeMap::new();
        let mut claims = BTreeMap::new();
        for one in differences {
            let Some(base) = &one.base else { continue };
            let path = match moves.get(&one.path) {
                Some(path) => Some(path.clone()),
                None => self.stayed(&one.path, &located).filter(|path| !goals.contains(path)),
            };
            let Some(path) = path else { continue };
            let entry = find(differences, &path).and_then(|found| found.now.of(side).as_ref());
            if entry.is_some_and(|entry| entry.is_folder() == (base.kind == Kind::Folder)) {
                claims.insert(path.clone(), self.base_at[&one.path]);
                located.insert(&one.path, path);
            }
        }
        claims
    }

    /// Where an entry of the base stands if it did not move by itself; `None` if its folder is gone.
    fn stayed(&self, path: &TreePath, located: &BTreeMap<&TreePath, TreePath>) -> Option<TreePath> {
        match path.parent() {
            Some(parent) if self.base_at.contains_key(&parent) => {
                TreePath::below(located.get(&parent), path.name())
                    .ok()
                    .filter(|_| located.contains_key(&parent))
            }
            Some(_) | None => Some(path.clone()),
        }
    }

    /// Nodes that are on the local side alone, by place and by whether they are folders.
    fn made_on_local(&self) -> BTreeMap<(Place, bool), NodeId> {
        let key = |node: NodeId| {
            let local = self.now(node, Side::Local)?;
            Some(((local.place.clone(), local.entry.is_folder()), node))
        };
        let based: BTreeSet<NodeId> = self.base_at.values().copied().collect();
        self.ids().filter(|node| !based.contains(node)).filter_map(key).collect()
    }

    fn add_base(&mut self, differences: &[&Difference]) {
        for one in differences {
            let Some(base) = &one.base else { continue };
            let place =
                Place { parent: self.parent(differences, &one.path, None), name: one.path.name().into() };
            let node = self.base_at[&one.path];
            self.nodes[node].base = Some(Based { path: one.path.clone(), place, kind: base.kind.clone() });
        }
    }

    /// The node of the folder that a path stands in, in the tree of a side or in the base.
    fn parent(&mut self, differences: &[&Difference], path: &TreePath, side: Option<Side>) -> NodeId {
        let Some(parent) = path.parent() else { return ROOT };
        let tree = match side {
            Some(side) => self.now_at.of(side),
            None => &self.base_at,
        };
        match tree.get(&parent) {
            Some(node) => *node,
            // A tree that contradicts itself: this folder stands nowhere.
            None if find(differences, &parent).is_some() => self.push(),
            None => self.standing(&parent),
        }
    }

    /// The node of a path that is the same in all three trees.
    fn standing(&mut self, path: &TreePath) -> NodeId {
        if let Some(node) = self.now_at.local.get(path) {
            return *node;
        }
        let parent = path.parent().map_or(ROOT, |parent| self.standing(&parent));
        let place = Place { parent, name: path.name().into() };
        let entry = Entry { kind: Kind::Folder, modified_ns: 0, stamp: Stamp::default() };
        let node = self.push();
        self.base_at.insert(path.clone(), node);
        self.nodes[node].base = Some(Based { path: path.clone(), place: place.clone(), kind: Kind::Folder });
        for side in Side::BOTH {
            let standing = Standing { place: place.clone(), path: path.clone(), entry: entry.clone() };
            self.set_now(node, side, standing);
        }
        node
    }

    fn push(&mut self) -> NodeId {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn set_now(&mut self, node: NodeId, side: Side, standing: Standing) {
        self.now_at.of_mut(side).insert(standing.path.clone(), node);
        self.children.of_mut(side).entry(standing.place.parent).or_default().push(node);
        *self.nodes[node].now.of_mut(side) = Some(standing);
    }
}

/// The path of a node, if `place` tells the place of it and of each folder above it. `None` for folders in each other.
pub(super) fn path_by<'a>(node: NodeId, place: impl Fn(NodeId) -> Option<&'a Place>) -> Option<TreePath> {
    let mut names: Vec<&str> = Vec::new();
    let mut above = node;
    while above != ROOT {
        let place = place(above).filter(|_| names.len() < PATH_LEN_MAX)?;
        names.push(&place.name);
        above = place.parent;
    }
    names.reverse();
    TreePath::new(names.join("/")).ok()
}

/// The difference at a path.
pub(super) fn find<'a>(differences: &[&'a Difference], path: &TreePath) -> Option<&'a Difference> {
    differences.binary_search_by(|one| one.path.cmp(path)).ok().map(|index| differences[index])
}
