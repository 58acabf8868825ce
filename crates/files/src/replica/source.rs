//! The bytes of a file below a root, for the replica that copies them. Invariant: all bytes come from one open file, whatever its name
//! leads to meanwhile.

use std::any::Any;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use swarm_sync::{ContentSource, Entry, ReplicaError, TreePath};

use super::fault::{fault, io_fault};
use super::look::{Look, look_open};
use super::root::Root;
use crate::file::File;

/// A file below a root; opened when it is read first.
pub(super) struct FolderSource {
    root: Arc<Root>,
    /// Below the root.
    place: PathBuf,
    /// Where it stands for the user.
    path: TreePath,
    /// What was observed there; nothing for a kept version, whose name tells what it is.
    expected: Option<Entry>,
    open: Option<(File, Look)>,
}

impl FolderSource {
    pub(super) fn new(root: &Arc<Root>, place: PathBuf, path: TreePath, expected: Option<Entry>) -> Self {
        Self { root: Arc::clone(root), place, path, expected, open: None }
    }

    /// The open file, and what was seen of it when it was opened.
    pub(super) fn file(&mut self) -> Result<(&File, &Look), ReplicaError> {
        if self.open.is_none() {
            let opened = self.root.dir.open_to_read(&self.place);
            let (file, look) = opened.map_err(|errno| fault(&self.path, "open", errno))?;
            let expected_len =
                self.expected.as_ref().map(|entry| entry.file().map_or(0, |content| content.len));
            if expected_len.is_some_and(|len| len != look.len) {
                return Err(self.changed());
            }
            self.open = Some((file, look));
        }
        self.open.as_ref().map(|(file, look)| (file, look)).ok_or_else(|| self.changed())
    }

    /// Why the bytes are not the expected ones: the file may have changed before it was opened, or while it was read.
    pub(super) fn mismatch(&self) -> ReplicaError {
        let is_as_observed = |look: &Look| {
            self.expected
                .as_ref()
                .is_none_or(|entry| (entry.modified_ns, entry.stamp) == (look.modified_ns, look.stamp()))
        };
        let is_same = self.open.as_ref().is_some_and(|(file, before)| {
            is_as_observed(before) && look_open(file).is_ok_and(|after| after.is_unchanged_since(before))
        });
        if is_same { ReplicaError::Integrity { path: self.path.clone() } } else { self.changed() }
    }

    fn changed(&self) -> ReplicaError {
        ReplicaError::Changed { path: self.path.clone() }
    }
}

impl ContentSource for FolderSource {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let path = self.path.clone();
        let (file, _) = self.file()?;
        loop {
            match file.read_at(buf, offset) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| io_fault(&path, "read", &error)),
            }
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
