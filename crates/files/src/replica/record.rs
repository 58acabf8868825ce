//! The record of a batch: what may stand beside the tree, or under a temporary name, if the batch is interrupted. Invariant: it is durable
//! before the first effect, and stays until the effects are.
//!
//! What replaces an entry is exchanged with it in one step, and then the old one is renamed from beside the tree to its version. Between
//! the two, the record tells the old one from a copy that was not used: their contents differ.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_sync::{DETOUR_PREFIX, Kind, Op, OpKind, ReplicaError, RunId, TreePath};

use super::fault::io_fault;
use super::incoming::{INCOMING, Incoming, store_fault};
use super::root::Root;
use crate::dir::{Access, Dir};

/// What a batch is about to do that a crash may leave half done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) run: RunId,
    pub(super) replaced: Vec<Replaced>,
    pub(super) detours: Vec<Detour>,
}

/// An entry that another one replaces.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Replaced {
    /// Where the new one stands beside the tree.
    pub(super) number: u64,
    pub(super) path: TreePath,
    /// What the new one is.
    pub(super) content: Kind,
}

/// An entry that goes to its place by way of a temporary name, because two change places.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Detour {
    pub(super) from: TreePath,
    /// The temporary name.
    pub(super) at: TreePath,
    /// Where it goes in the end, if this batch says so.
    pub(super) to: Option<TreePath>,
}

impl Record {
    /// The record of these operations, each with the number of what it puts.
    pub(super) fn of(run: RunId, ops: &[(Op, Option<u64>)]) -> Self {
        let replaced = ops.iter().filter_map(|(op, number)| match (&op.kind, number) {
            (OpKind::Put { content, .. }, Some(number)) if op.expected.is_some() => {
                Some(Replaced { number: *number, path: op.path.clone(), content: content.clone() })
            }
            _ => None,
        });
        let detours = ops.iter().filter_map(|(op, _)| match &op.kind {
            OpKind::Move { from } if op.path.name().starts_with(DETOUR_PREFIX) => {
                let to = ops.iter().find_map(|(next, _)| match &next.kind {
                    OpKind::Move { from } if *from == op.path => Some(next.path.clone()),
                    _ => None,
                });
                Some(Detour { from: from.clone(), at: op.path.clone(), to })
            }
            _ => None,
        });
        Self { run, replaced: replaced.collect(), detours: detours.collect() }
    }

    /// Writes the record, if there is anything to record, and makes it durable together with what was staged for these operations.
    pub(super) fn write(
        &self,
        root: &Root,
        incoming: &Incoming,
        ops: &[(Op, Option<u64>)],
    ) -> Result<(), ReplicaError> {
        let Some(path) = self.first_path() else {
            // Without the sync, a crash could leave half a content under its name.
            let is_unsynced = incoming.has_unsynced_copies(ops.iter().filter_map(|(_, number)| *number));
            return if is_unsynced { incoming.sync(root) } else { Ok(()) };
        };
        let number = incoming.number();
        incoming.make_folder(root, path, number)?;
        let place = Path::new(INCOMING).join(format!("{RECORD}{number}"));
        let file = root
            .dir
            .open_file(&place, Access::CreateNew)
            .map_err(|error| store_fault(path, RECORDING, &error))?;
        incoming.add_record(place);
        let json = serde_json::to_vec(self).map_err(|error| io_fault(path, RECORDING, &error.into()))?;
        std::os::unix::fs::FileExt::write_all_at(&file, &json, 0)
            .map_err(|error| io_fault(path, RECORDING, &error))?;
        if incoming.is_unsynced() {
            return incoming.sync(root);
        }
        file.sync_data().map_err(|error| io_fault(path, RECORDING, &error))?;
        root.dir.sync_directory(Path::new(INCOMING)).map_err(|error| store_fault(path, RECORDING, &error))
    }

    fn first_path(&self) -> Option<&TreePath> {
        let replaced = self.replaced.first().map(|replaced| &replaced.path);
        replaced.or_else(|| self.detours.first().map(|detour| &detour.at))
    }

    /// The record of this name; `None` if it is no record, or was not complete: then no effect followed it.
    pub(super) fn read(dir: &Dir, place: &Path) -> Option<Self> {
        let (file, look) = dir.open_to_read(place).ok()?;
        let mut json = vec![0; usize::try_from(look.len).ok()?];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut json, 0).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// Whether a name beside the tree is that of a record.
pub(super) fn is_record(name: &str) -> bool {
    name.strip_prefix(RECORD).is_some_and(is_number)
}

/// Whether a name beside the tree is that of a copy: a number, in the folder of a thread or not.
pub(super) fn is_copy(name: &str) -> bool {
    is_number(name.rsplit_once('/').map_or(name, |(_, name)| name))
}

fn is_number(name: &str) -> bool {
    name.parse::<u64>().is_ok_and(|number| number.to_string() == name)
}

/// Where the entry of this name beside the tree stands.
pub(super) fn beside(name: &str) -> PathBuf {
    Path::new(INCOMING).join(name)
}

const RECORD: &str = "run-";
const RECORDING: &str = "record what is done to";
