//! Bytes of a file on a simulated disk, read piece by piece: users may edit it between two pieces.

use std::any::Any;

use swarm_sync::{ContentSource, Entry, KeptId, ReplicaError, TreePath};

use super::disk::{Body, Node};
use super::hub::{Hub, Need, Shared};
use super::perform::stands_as;

/// Where the bytes are.
#[derive(Clone, Debug)]
enum Place {
    Live(TreePath, Entry),
    Kept(KeptId),
}

/// A file that is read.
pub(super) struct SimSource {
    hub: Shared,
    at: usize,
    place: Place,
    /// The number of the file, once it is open.
    opened: Option<u64>,
}

impl SimSource {
    pub(super) fn live(hub: Shared, at: usize, path: TreePath, expected: Entry) -> Self {
        Self { hub, at, place: Place::Live(path, expected), opened: None }
    }

    pub(super) fn kept(hub: Shared, at: usize, kept: KeptId) -> Self {
        Self { hub, at, place: Place::Kept(kept), opened: None }
    }

    fn path(&self) -> &TreePath {
        match &self.place {
            Place::Live(path, _) => path,
            Place::Kept(kept) => &kept.path,
        }
    }

    /// The file, if it may be read: the expected one, and the one that was opened.
    fn file(&self, hub: &Hub) -> Option<Node> {
        let disk = &hub.disks[self.at];
        let node = match &self.place {
            Place::Kept(kept) => disk.kept().get(kept)?,
            Place::Live(path, expected) => {
                let node = disk.live().get(path)?;
                let is_it = self.opened.is_some() || stands_as(hub, node, expected);
                is_it.then_some(node)?
            }
        };
        self.opened.is_none_or(|inode| inode == node.inode).then(|| node.clone())
    }
}

impl ContentSource for SimSource {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let shared = self.hub.clone();
        let mut hub = shared.lock();
        hub.effect(self.at, Need::Read, "read", Some(self.path()))?;
        let changed = || ReplicaError::Changed { path: self.path().clone() };
        let node = self.file(&hub).ok_or_else(changed)?;
        if node.locked {
            return Err(ReplicaError::Denied { path: self.path().clone(), op: "read" });
        }
        let Body::File { bytes, .. } = &node.body else { return Err(changed()) };
        self.opened = Some(node.inode);
        let rest = bytes.as_slice().get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
