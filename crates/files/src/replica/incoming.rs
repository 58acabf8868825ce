//! Contents that stand beside the tree, in `.swarm/incoming`, until they take their places. Invariant: a number names one file for as long
//! as the replica lives, and is never used again.
//!
//! Each thread has a folder of its own there: file systems let one thread at a time make files in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::io::Errno;
use swarm_core::base::Shown;
use swarm_sync::{FileContent, ReplicaError, Staged, TreePath};

use super::fault::fault;
use super::fetched::{Moved, Origin};
use super::look::Look;
use super::root::Root;
use crate::error::StoreError;
use crate::file::File;
use crate::locked;

/// What stands beside the tree.
#[derive(Default)]
pub(super) struct Incoming {
    next: [AtomicU64; LANES],
    is_made: [AtomicBool; LANES],
    /// Syncs that began.
    begun: AtomicU64,
    /// The number of the last one that succeeded.
    covered: AtomicU64,
    /// Anything that no sync covers yet.
    is_unsynced: AtomicBool,
    /// Held while a sync is under way.
    syncing: Mutex<()>,
    /// What was staged, and the number of the sync that makes it durable, or of one before the next that succeeds. Zero needs none.
    staged: Mutex<BTreeMap<u64, (Copied, u64)>>,
    /// Where those came from that were moved here.
    taken: Mutex<BTreeMap<u64, Origin>>,
    left: Mutex<Left>,
}

/// What stays beside the tree until the effects are durable.
#[derive(Default)]
struct Left {
    records: Vec<PathBuf>,
    /// Numbers of displaced entries that could neither be put back nor kept: only a recovery may touch them.
    held: BTreeSet<u64>,
}

/// A content that was copied and proven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) content: FileContent,
    pub(super) look: Look,
}

impl Incoming {
    /// A number for an entry beside the tree. It tells the folder that it stands in.
    pub(super) fn number(&self) -> u64 {
        let lane = rayon::current_thread_index().unwrap_or(0) % LANES;
        self.next[lane].fetch_add(1, Ordering::SeqCst) * LANES as u64 + lane as u64
    }

    /// Makes the folder of the entry with this number when something comes there for the first time.
    pub(super) fn make_folder(&self, root: &Root, path: &TreePath, number: u64) -> Result<(), ReplicaError> {
        let is_made = &self.is_made[lane(number)];
        if is_made.load(Ordering::SeqCst) {
            return Ok(());
        }
        let folder = folder(number);
        root.dir.make_directory(&folder).map_err(|error| store_fault(path, "make .swarm for", &error))?;
        root.dir.hold(&folder).map_err(|errno| fault(path, "open .swarm for", errno))?;
        is_made.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Makes a file beside the tree.
    pub(super) fn create(&self, root: &Root, path: &TreePath) -> Result<(u64, File), ReplicaError> {
        loop {
            let number = self.number();
            self.make_folder(root, path, number)?;
            match root.dir.create_file(&place(number)) {
                Ok(file) => return Ok((number, file)),
                // An earlier run left it, and was not recovered from yet.
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    // If somebody removed the folder, the next one makes it again.
                    self.is_made[lane(number)].store(false, Ordering::SeqCst);
                    return Err(fault(path, "create a copy of", errno));
                }
            }
        }
    }

    /// Moves a fetched file beside the tree. `None` if it is on another file system.
    pub(super) fn take(
        &self,
        root: &Root,
        path: &TreePath,
        origin: Origin,
    ) -> Result<Option<u64>, ReplicaError> {
        loop {
            let number = self.number();
            self.make_folder(root, path, number)?;
            match origin.move_to(path, &root.dir, &place(number)) {
                Ok(Moved::Here) => {
                    locked(&self.taken).insert(number, origin);
                    return Ok(Some(number));
                }
                Ok(Moved::TooFar) => return Ok(None),
                Ok(Moved::NameTaken) => {}
                Err(error) => {
                    // As in `create`.
                    self.is_made[lane(number)].store(false, Ordering::SeqCst);
                    return Err(error);
                }
            }
        }
    }

    /// A file that was taken is ready. Its bytes were synced by the fetch; only its names, its time and its permissions were not.
    pub(super) fn insert_taken(&self, number: u64, copied: Copied) -> Staged {
        self.mark_unsynced();
        locked(&self.staged).insert(number, (copied, 0));
        Staged(number)
    }

    /// A copy is ready: all its bytes are written.
    pub(super) fn insert(&self, number: u64, copied: Copied) -> Staged {
        // One that is under way may have begun before the bytes were written.
        let covered_by = self.begun.load(Ordering::SeqCst) + 1;
        self.mark_unsynced();
        locked(&self.staged).insert(number, (copied, covered_by));
        Staged(number)
    }

    pub(super) fn get(&self, staged: Staged) -> Option<Copied> {
        locked(&self.staged).get(&staged.0).map(|(copied, _)| *copied)
    }

    /// Whether any of these may be lost by a power cut. What is staged meanwhile for a later batch is of no account.
    pub(super) fn has_unsynced_copies(&self, numbers: impl IntoIterator<Item = u64>) -> bool {
        let covered = self.covered.load(Ordering::SeqCst);
        let staged = locked(&self.staged);
        numbers.into_iter().any(|number| staged.get(&number).is_some_and(|(_, by)| *by > covered))
    }

    /// Removes a copy that is not needed; one that was taken goes back to where it came from.
    pub(super) fn discard(&self, root: &Root, number: u64) {
        let origin = locked(&self.taken).remove(&number);
        if origin.is_some_and(|origin| self.give_back(root, number, &origin)) {
            return self.forget(number);
        }
        self.forget(number);
        // What stays is removed by the next recovery.
        if let Err(error) = root.dir.remove_file(&place(number)) {
            tracing::debug!(%error, number, "a copy beside the tree stays");
        }
    }

    /// Returns what was taken and found no place, since a recovery would remove it. The caller took care that no effect is under way.
    pub(super) fn return_taken(&self, root: &Root) {
        let taken = std::mem::take(&mut *locked(&self.taken));
        for (number, origin) in taken {
            if self.give_back(root, number, &origin) {
                self.forget(number);
            }
        }
    }

    /// Moves a taken file back, unless something else stands beside the tree by now: an entry of the user that it changed places with.
    fn give_back(&self, root: &Root, number: u64, origin: &Origin) -> bool {
        let is_same = |copied: Copied| {
            root.dir
                .look(&place(number))
                .is_ok_and(|look| look.is_some_and(|look| look.has_bytes_of(&copied.look)))
        };
        self.get(Staged(number)).is_none_or(is_same) && origin.take_back(&root.dir, &place(number))
    }

    /// A displaced entry stays beside the tree.
    pub(super) fn hold(&self, number: u64) {
        locked(&self.left).held.insert(number);
    }

    pub(super) fn is_held(&self, number: u64) -> bool {
        locked(&self.left).held.contains(&number)
    }

    /// A record was written here.
    pub(super) fn add_record(&self, place: PathBuf) {
        locked(&self.left).records.push(place);
    }

    /// Something was changed that no sync covers.
    pub(super) fn mark_unsynced(&self) {
        self.is_unsynced.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.is_unsynced.load(Ordering::SeqCst)
    }

    /// Makes everything durable that was changed below the root, if anything was.
    pub(super) fn sync(&self, root: &Root) -> Result<(), ReplicaError> {
        // Who finds that a sync is under way waits for it: it may be the one that covers what was done here.
        let _turn = locked(&self.syncing);
        // What is done from here on is left to the next sync.
        if !self.is_unsynced.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let synced = Self::sync_file_system(root);
        match &synced {
            Ok(()) => self.covered.store(number, Ordering::SeqCst),
            Err(_) => self.mark_unsynced(),
        }
        synced
    }

    fn sync_file_system(root: &Root) -> Result<(), ReplicaError> {
        let failed = |error: StoreError| ReplicaError::Io {
            path: Shown(root.dir.path()).to_string(),
            op: "sync",
            why: error.to_string(),
        };
        if !root.dir.sync_file_system().map_err(failed)? {
            // The one call that every system has: it syncs all that is mounted.
            rustix::fs::sync();
        }
        Ok(())
    }

    /// Makes everything durable; then no record is needed any more.
    pub(super) fn settle(&self, root: &Root) -> Result<(), ReplicaError> {
        // Not whether it is to stop: what was done until then is to be remembered.
        root.check_place()?;
        self.sync(root)?;
        let mut left = locked(&self.left);
        if left.held.is_empty() {
            for record in left.records.drain(..) {
                // One that stays is found to be of no use by the next recovery.
                if let Err(error) = root.dir.remove_file(&record) {
                    tracing::debug!(%error, "a record beside the tree stays");
                }
            }
        }
        Ok(())
    }

    /// The copy took its place.
    pub(super) fn forget(&self, number: u64) {
        locked(&self.staged).remove(&number);
        locked(&self.taken).remove(&number);
    }
}

/// Where the entry of a number stands, below the root.
pub(crate) fn place(number: u64) -> PathBuf {
    PathBuf::from(format!("{INCOMING}/{LANE}{}/{number}", lane(number)))
}

/// The folder that the entry of a number stands in, below the root.
fn folder(number: u64) -> PathBuf {
    PathBuf::from(format!("{INCOMING}/{LANE}{}", lane(number)))
}

fn lane(number: u64) -> usize {
    (number % LANES as u64) as usize
}

/// Whether a name in [`INCOMING`] is that of a folder of copies.
pub(super) fn is_lane(name: &str) -> bool {
    name.strip_prefix(LANE).is_some_and(|number| number.parse::<usize>().is_ok_and(|number| number < LANES))
}

/// The meaning of a failure that a fetch would report, for a path of the tree.
pub(super) fn store_fault(path: &TreePath, op: &'static str, error: &StoreError) -> ReplicaError {
    match error {
        StoreError::Disk { source, .. } => match Errno::from_io_error(source) {
            Some(errno) => fault(path, op, errno),
            None => ReplicaError::Io { path: path.to_string(), op, why: source.to_string() },
        },
        StoreError::NoInodes { .. } => ReplicaError::Full { path: path.clone() },
        error => ReplicaError::Io { path: path.to_string(), op, why: error.to_string() },
    }
}

/// Below the root, on its file system, so that contents are renamed from it to their places.
pub(super) const INCOMING: &str = ".swarm/incoming";
/// More threads than this share folders.
const LANES: usize = 8;
const LANE: &str = "lane-";
