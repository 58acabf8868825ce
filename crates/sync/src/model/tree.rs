//! One tree in memory. Invariant: what stands in a folder has that folder above it; what an operation replaces or removes is kept.

use std::collections::BTreeMap;

use crate::{Entry, FileContent, FileId, Kind, Op, OpKind, Source, Stamp, TreePath};

/// A tree, and all that it ever lost to an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// What stands at each path.
    pub entries: BTreeMap<TreePath, Entry>,
    /// Files and links that an operation replaced or removed.
    pub kept: Vec<Kind>,
    /// Whether files have numbers.
    pub has_ids: bool,
    /// Numbers of removed entries: the next new one may get them.
    pub free_ids: Vec<u64>,
    /// The highest number so far.
    pub last_id: u64,
    /// Nanoseconds since 1970: goes on with each change.
    pub now_ns: i64,
}

/// Why an operation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something else stands there.
    #[error("{0}: not what was expected")]
    Unexpected(TreePath),
    /// The path is taken.
    #[error("{0}: occupied")]
    Occupied(TreePath),
    /// The folder of the path does not stand.
    #[error("{0}: no such folder above")]
    NoFolder(TreePath),
    /// A folder is not empty.
    #[error("{0}: not empty")]
    NotEmpty(TreePath),
    /// The other side does not have these bytes.
    #[error("{0}: no such bytes on the other side")]
    NoSource(TreePath),
    /// A folder would stand in itself.
    #[error("{0}: into itself")]
    IntoItself(TreePath),
}

impl Tree {
    /// Performs an operation; `other` is the other side before any operation.
    pub fn perform(&mut self, op: &Op, other: &Self) -> Result<(), Fault> {
        let place = match &op.kind {
            OpKind::Move { from } => from,
            OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } | OpKind::Remove => {
                &op.path
            }
        };
        self.check_expected(place, op.expected.as_deref())?;
        self.check_folder(&op.path)?;
        match &op.kind {
            OpKind::MakeFolder => self.make(&op.path, Kind::Folder, None),
            OpKind::Move { from } => self.checked_move(from, &op.path)?,
            OpKind::Put { content, modified_ns, source } => {
                check_source(&op.path, content, source, other)?;
                self.checked_remove(&op.path)?;
                self.make(&op.path, content.clone(), Some(*modified_ns));
            }
            OpKind::SetExecutable { executable } => self.checked_bit(&op.path, *executable)?,
            OpKind::Remove => {
                if op.expected.is_none() {
                    return Err(Fault::Unexpected(op.path.clone()));
                }
                self.checked_remove(&op.path)?;
            }
        }
        Ok(())
    }

    /// What stands at a path and below it.
    pub fn at_or_below(&self, path: &TreePath) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.entries.range(path.clone()..).take_while(|(other, _)| other.is_at_or_below(path))
    }

    /// Makes an entry, or gives a file other bytes.
    pub fn write(&mut self, path: &TreePath, kind: Kind) {
        self.now_ns += 1;
        let now_ns = self.now_ns;
        match self.entries.get_mut(path) {
            Some(entry) => {
                entry.kind = kind;
                entry.modified_ns = now_ns;
                entry.stamp.changed_ns = now_ns;
            }
            None => self.make(path, kind, None),
        }
    }

    /// Removes a path and everything below it, as a user would: nothing is kept.
    pub fn delete(&mut self, path: &TreePath) {
        let gone: Vec<TreePath> = self.at_or_below(path).map(|(path, _)| path.clone()).collect();
        for path in gone {
            let entry = self.entries.remove(&path);
            self.free_ids.extend(entry.and_then(|entry| entry.stamp.id).map(|id| id.inode));
        }
    }

    /// Moves a path and everything below it to a free path.
    pub fn rename(&mut self, from: &TreePath, to: &TreePath) {
        let moved: Vec<TreePath> = self.at_or_below(from).map(|(path, _)| path.clone()).collect();
        for path in moved {
            let entry = self.entries.remove(&path);
            if let (Some(entry), Some(path)) = (entry, path.moved(from, to)) {
                self.entries.insert(path, entry);
            }
        }
    }

    /// Whether something may be made at a path: it is free, and its folder stands.
    pub fn is_free(&self, path: &TreePath) -> bool {
        !self.entries.contains_key(path) && self.check_folder(path).is_ok()
    }

    fn make(&mut self, path: &TreePath, kind: Kind, modified_ns: Option<i64>) {
        self.now_ns += 1;
        let inode = self.free_ids.pop().unwrap_or(self.last_id + 1);
        self.last_id = self.last_id.max(inode);
        let id = self.has_ids.then_some(FileId { device: 1, inode });
        let stamp = Stamp { id, changed_ns: self.now_ns };
        let entry = Entry { kind, modified_ns: modified_ns.unwrap_or(self.now_ns), stamp };
        self.entries.insert(path.clone(), entry);
    }

    fn check_expected(&self, path: &TreePath, expected: Option<&Entry>) -> Result<(), Fault> {
        let found = self.entries.get(path);
        let is_same = match (found, expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => found.agrees(expected) && found.stamp.id == expected.stamp.id,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_same { Ok(()) } else { Err(Fault::Unexpected(path.clone())) }
    }

    fn check_folder(&self, path: &TreePath) -> Result<(), Fault> {
        let Some(parent) = path.parent() else { return Ok(()) };
        let is_folder = self.entries.get(&parent).is_some_and(Entry::is_folder);
        if is_folder { Ok(()) } else { Err(Fault::NoFolder(path.clone())) }
    }

    fn checked_move(&mut self, from: &TreePath, to: &TreePath) -> Result<(), Fault> {
        if self.entries.contains_key(to) {
            return Err(Fault::Occupied(to.clone()));
        }
        if to.is_below(from) {
            return Err(Fault::IntoItself(to.clone()));
        }
        self.rename(from, to);
        Ok(())
    }

    fn checked_remove(&mut self, path: &TreePath) -> Result<(), Fault> {
        if self.at_or_below(path).count() > 1 {
            return Err(Fault::NotEmpty(path.clone()));
        }
        let Some(entry) = self.entries.remove(path) else { return Ok(()) };
        if !entry.is_folder() {
            self.kept.push(entry.kind);
        }
        Ok(())
    }

    fn checked_bit(&mut self, path: &TreePath, executable: bool) -> Result<(), Fault> {
        match self.entries.get_mut(path).map(|entry| &mut entry.kind) {
            Some(Kind::File(content)) if content.executable != executable => content.executable = executable,
            Some(_) | None => return Err(Fault::Unexpected(path.clone())),
        }
        Ok(())
    }
}

fn check_source(path: &TreePath, content: &Kind, source: &Source, other: &Tree) -> Result<(), Fault> {
    let bytes = |content: &FileContent| (content.len, content.hash);
    let has_bytes = |kind: &Kind| match (kind.file(), content.file()) {
        (Some(one), Some(other)) => bytes(one) == bytes(other),
        (None, None) => kind == content,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let has_source = match source {
        Source::Other { path } => other.entries.get(path).is_some_and(|entry| has_bytes(&entry.kind)),
        Source::Settled { .. } | Source::Kept { .. } => true,
    };
    if has_source && *content != Kind::Folder { Ok(()) } else { Err(Fault::NoSource(path.clone())) }
}
