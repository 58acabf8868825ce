//! A disk in memory: entries with numbers that are used again, times of its own clock, and what of it survives a power cut. Every change goes
//! through [`Disk::set`], which journals what stood there before. Invariant: what was there at a settle is there after any power cut that
//! comes later, unless it was changed since. Knows no operations and no users.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use swarm_core::base::Rng;
use swarm_sync::{ContentHash, Entry, FileContent, FileId, KeptId, Kind, NameRules, Stamp, TreePath};

/// The bytes of a file, with their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(Arc<(Vec<u8>, ContentHash)>);

impl Bytes {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let hash = ContentHash::of(&bytes);
        Self(Arc::new((bytes, hash)))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0.0
    }

    pub(super) fn hash(&self) -> ContentHash {
        self.0.1
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Folder,
    File {
        bytes: Bytes,
        executable: bool,
    },
    Symlink(Box<str>),
    /// A socket.
    Special,
}

/// Who wrote what no settle has made durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    User,
    Sync,
}

/// An entry. Times are nanoseconds since 1970 by the clock of its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) inode: u64,
    pub(super) body: Body,
    pub(super) modified_ns: i64,
    pub(super) changed_ns: i64,
    /// Its owner took away the right to read it.
    pub(super) locked: bool,
    /// Whose bytes a power cut could still tear; `None` once they are durable.
    pub(super) unsettled: Option<Author>,
}

impl Node {
    /// What a user would call it; `None` for what is no part of a tree.
    pub(super) fn kind(&self) -> Option<Kind> {
        match &self.body {
            Body::Folder => Some(Kind::Folder),
            Body::File { bytes, executable } => Some(Kind::File(FileContent {
                len: bytes.as_slice().len() as u64,
                hash: bytes.hash(),
                executable: *executable,
            })),
            Body::Symlink(target) => Some(Kind::Symlink { target: target.clone() }),
            Body::Special => None,
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.body == Body::Folder
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp { id: Some(FileId { device: 1, inode: self.inode }), changed_ns: self.changed_ns }
    }

    /// The entry as it is now; `None` for what is no part of a tree.
    pub(super) fn entry(&self) -> Option<Entry> {
        Some(Entry { kind: self.kind()?, modified_ns: self.modified_ns, stamp: self.stamp() })
    }

    /// What must not get lost of it: bytes of a file, target of a link.
    pub(super) fn content(&self) -> Option<ContentHash> {
        match &self.body {
            Body::File { bytes, .. } => Some(bytes.hash()),
            Body::Symlink(target) => Some(ContentHash::of(format!("link to {target}").as_bytes())),
            Body::Folder | Body::Special => None,
        }
    }
}

/// A place on the disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Live(TreePath),
    Kept(KeptId),
    Staged(u64),
}

/// What stood at a path at some time.
pub(super) type Past = (TreePath, Option<Kind>);

/// One replica's disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) names: NameRules,
    live: BTreeMap<TreePath, Node>,
    kept: BTreeMap<KeptId, Node>,
    staged: BTreeMap<u64, Node>,
    /// Changes since the last settle, oldest first: their number, and what stood there before.
    journal: Vec<(u64, Slot, Option<Node>)>,
    /// Number of the change that is under way. Its steps survive a power cut together or not at all.
    change: u64,
    /// What stood where at some time that no power cut can take back.
    past: BTreeMap<TreePath, Vec<Option<Kind>>>,
    /// The same since the last settle, each with the number of its change.
    recent: Vec<(u64, Past)>,
    /// Numbers of removed entries, to be used again: the last one first, as ext4 does.
    free: Vec<u64>,
    next_inode: u64,
    /// What its clock shows beside the true time, in nanoseconds.
    pub(super) clock_ns: i64,
    /// Nothing can be written for lack of space.
    pub(super) full: bool,
    /// It is unplugged.
    pub(super) away: bool,
    /// Nothing can be written for lack of rights.
    pub(super) read_only: bool,
    /// Moves to a name for the time of a batch, from and to: known before they are performed, so no power cut takes them.
    detours: Vec<(TreePath, TreePath)>,
    /// Settles so far, for a planted bug.
    settles: u64,
}

impl Disk {
    pub(super) fn new(names: NameRules) -> Self {
        Self {
            names,
            live: BTreeMap::new(),
            kept: BTreeMap::new(),
            staged: BTreeMap::new(),
            journal: Vec::new(),
            change: 0,
            past: BTreeMap::new(),
            recent: Vec::new(),
            free: Vec::new(),
            next_inode: 10,
            clock_ns: 0,
            full: false,
            away: false,
            read_only: false,
            detours: Vec::new(),
            settles: 0,
        }
    }

    pub(super) fn live(&self) -> &BTreeMap<TreePath, Node> {
        &self.live
    }

    pub(super) fn kept(&self) -> &BTreeMap<KeptId, Node> {
        &self.kept
    }

    pub(super) fn staged(&self) -> &BTreeMap<u64, Node> {
        &self.staged
    }

    /// What stands at a path, under the name that it has on this disk.
    pub(super) fn find(&self, path: &TreePath) -> Option<(&TreePath, &Node)> {
        if let Some(found) = self.live.get_key_value(path) {
            return Some(found);
        }
        if !self.names.ignores_case && !self.names.ignores_form {
            return None;
        }
        let folded = fold(path.as_str(), self.names);
        self.live.iter().find(|(other, _)| fold(other.as_str(), self.names) == folded)
    }

    /// The path that a new entry would get: in its folder as that is named here. `None` without that folder.
    pub(super) fn place(&self, path: &TreePath) -> Option<TreePath> {
        let Some(parent) = path.parent() else { return Some(path.clone()) };
        let (parent, node) = self.find(&parent)?;
        if !node.is_folder() {
            return None;
        }
        TreePath::below(Some(parent), path.name()).ok()
    }

    pub(super) fn has_below(&self, folder: &TreePath) -> bool {
        self.live.keys().any(|path| path.is_below(folder))
    }

    /// What must not get lost of what stands under its name here.
    pub(super) fn live_contents(&self) -> BTreeSet<ContentHash> {
        self.live.values().filter_map(Node::content).collect()
    }

    /// The same, with the number of entries that have it.
    pub(super) fn live_counts(&self) -> BTreeMap<ContentHash, u32> {
        let mut counts = BTreeMap::new();
        for content in self.live.values().filter_map(Node::content) {
            *counts.entry(content).or_default() += 1;
        }
        counts
    }

    /// The same of what stands here under its name or as a kept version.
    pub(super) fn contents(&self) -> BTreeSet<ContentHash> {
        self.live.values().chain(self.kept.values()).filter_map(Node::content).collect()
    }

    /// Whether this stood at a path at some time, and no power cut can take that back.
    pub(super) fn was_durable(&self, past: &Past) -> bool {
        self.past.get(&past.0).is_some_and(|kinds| kinds.contains(&past.1))
    }

    /// Begins a change: its steps survive a power cut together or not at all.
    pub(super) fn begin(&mut self) {
        self.change += 1;
    }

    /// Puts an entry in a place, or takes away what is there.
    pub(super) fn set(&mut self, slot: Slot, node: Option<Node>) -> Option<Node> {
        if let Slot::Live(path) = &slot {
            let kind = node.as_ref().and_then(Node::kind);
            self.recent.push((self.change, (path.clone(), kind)));
        }
        let before = self.put(slot.clone(), node);
        self.journal.push((self.change, slot, before.clone()));
        before
    }

    fn put(&mut self, slot: Slot, node: Option<Node>) -> Option<Node> {
        match (slot, node) {
            (Slot::Live(path), Some(node)) => self.live.insert(path, node),
            (Slot::Live(path), None) => self.live.remove(&path),
            (Slot::Kept(id), Some(node)) => self.kept.insert(id, node),
            (Slot::Kept(id), None) => self.kept.remove(&id),
            (Slot::Staged(number), Some(node)) => self.staged.insert(number, node),
            (Slot::Staged(number), None) => self.staged.remove(&number),
        }
    }

    /// Moves an entry and all below it.
    pub(super) fn rename(&mut self, from: &TreePath, to: &TreePath, now_ns: i64) {
        let paths: Vec<TreePath> =
            self.live.keys().filter(|path| path.is_at_or_below(from)).cloned().collect();
        let nodes: Vec<(TreePath, Option<Node>)> =
            paths.into_iter().map(|path| (path.clone(), self.set(Slot::Live(path), None))).collect();
        for (path, node) in nodes {
            let moved = path.moved(from, to).unwrap_or_else(|| to.clone());
            let node =
                node.map(|node| if path == *from { Node { changed_ns: now_ns, ..node } } else { node });
            self.set(Slot::Live(moved), node);
        }
    }

    /// Removes an entry. Its number may be used again at once.
    pub(super) fn unlink(&mut self, path: &TreePath) {
        if let Some(node) = self.set(Slot::Live(path.clone()), None) {
            self.free.push(node.inode);
        }
    }

    /// The number of a new entry.
    pub(super) fn inode(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.next_inode += 1;
            self.next_inode
        })
    }

    /// Makes durable what stands here.
    pub(super) fn settle(&mut self) {
        self.journal.clear();
        for (_, (path, kind)) in self.recent.drain(..) {
            let kinds = self.past.entry(path).or_default();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let nodes = self.live.values_mut().chain(self.kept.values_mut()).chain(self.staged.values_mut());
        nodes.for_each(|node| node.unsettled = None);
    }

    /// A batch is about to move an entry to a name that it has for the time of the batch alone.
    pub(super) fn note_detour(&mut self, from: TreePath, at: TreePath) {
        self.detours.push((from, at));
    }

    /// Entries that still have such a name go back to where they came from, or stay if that is taken.
    pub(super) fn end_detours(&mut self, now_ns: i64) {
        for (from, at) in std::mem::take(&mut self.detours) {
            let is_free = self.find(&from).is_none() && self.place(&from).is_some();
            if self.live.contains_key(&at) && is_free {
                self.rename(&at, &from, now_ns);
            }
        }
    }

    /// Whether this is the second of two settles: a planted bug leaves out the first.
    pub(super) fn is_settle_due(&mut self) -> bool {
        self.settles += 1;
        self.settles.is_multiple_of(2)
    }

    /// Takes back what a settle did for these staged contents: a planted bug.
    pub(super) fn unsettle(&mut self, staged: &BTreeSet<u64>) {
        let theirs = self.staged.iter_mut().filter(|(number, _)| staged.contains(number));
        theirs.for_each(|(_, node)| node.unsettled = Some(Author::Sync));
    }

    /// The power goes. Names are as they were after some change since the last settle; bytes that were not settled may be torn. Gives the
    /// torn files that a synchronisation had put under their names.
    pub(super) fn power_cut(&mut self, rng: &mut Rng) -> Torn {
        let first = self.journal.first().map_or(self.change, |(change, ..)| change.saturating_sub(1));
        // All, none, or some of it: the ends are what a settle in the wrong place is found by.
        let last = match rng.below(3) {
            0 => first,
            1 => self.change,
            _ => first + rng.below(self.change - first + 1),
        };
        // All that was seen under a name since, torn bytes among it.
        let mut undone: Vec<Node> = self.live.values().cloned().collect();
        while self.journal.last().is_some_and(|(change, ..)| *change > last) {
            if let Some((_, slot, before)) = self.journal.pop() {
                undone.extend(self.put(slot, before));
            }
        }
        self.recent.retain(|(change, _)| *change <= last);
        self.free.clear();
        let torn = self.tear(rng);
        self.part_states(&undone);
        self.settle();
        torn
    }

    /// Two states of a file within one step of the clock, and a power cut that goes back from one to the other, are told apart by nothing
    /// but its bytes. Worlds leave that out: it would hide everything else.
    fn part_states(&mut self, undone: &[Node]) {
        for node in self.live.values_mut() {
            // It may have had another name by then, and changed again after that.
            let is_alike = |was: &Node| was.stamp() == node.stamp() && was.kind() != node.kind();
            if undone.iter().any(is_alike) {
                node.changed_ns += 1;
            }
        }
    }

    fn tear(&mut self, rng: &mut Rng) -> Torn {
        let mut torn = Torn::default();
        for (path, node) in &mut self.live {
            let was = node.kind();
            if let Some(author) = tear(node, rng) {
                self.recent.push((self.change, (path.clone(), node.kind())));
                match author {
                    Author::Sync => torn.of_sync.push(path.clone()),
                    Author::User => {
                        torn.of_users.extend(was.as_ref().and_then(Kind::file).map(|was| was.hash))
                    }
                }
            }
        }
        for node in self.kept.values_mut().chain(self.staged.values_mut()) {
            tear(node, rng);
        }
        torn
    }
}

/// What a power cut left in part.
#[derive(Debug, Default)]
pub(super) struct Torn {
    /// Where a synchronisation put it.
    pub(super) of_sync: Vec<TreePath>,
    /// What users wrote. What is left looks like an edit of theirs.
    pub(super) of_users: Vec<ContentHash>,
}

/// Loses a part of bytes that were not settled. Gives their author if anything was lost.
fn tear(node: &mut Node, rng: &mut Rng) -> Option<Author> {
    let author = node.unsettled?;
    let Body::File { bytes, .. } = &mut node.body else { return None };
    let len = bytes.as_slice().len() as u64;
    let left = match rng.below(3) {
        0 => len,
        1 => 0,
        _ => rng.below(len + 1),
    };
    if left == len {
        return None;
    }
    *bytes = Bytes::new(bytes.as_slice()[..left as usize].to_vec());
    Some(author)
}

/// A name as a disk compares it. Enough for the few names that worlds use.
pub(super) fn fold(path: &str, names: NameRules) -> String {
    let cased = if names.ignores_case { path.to_lowercase() } else { path.to_owned() };
    if names.ignores_form { cased.replace("e\u{301}", "\u{e9}").replace("E\u{301}", "\u{c9}") } else { cased }
}
