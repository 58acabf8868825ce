//! The tap of the tests: numbers the operations of a fetch, records those that change the disk, and lets a chosen one
//! fail. Knows no chunks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::super::dir::Access;
use super::super::tap::Op;
use super::disk::Disk;
use crate::locked;

/// Observes the operations on one folder, or on one file in it; by default none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    watch: Option<Arc<Watch>>,
    /// The number of the open file.
    file: Option<usize>,
}

/// Records the operations of one fetch, and decides which fail.
#[derive(Debug)]
pub(super) struct Watch {
    plan: Plan,
    is_healed: AtomicBool,
    state: Mutex<State>,
}

/// The planned fault.
#[derive(Debug)]
pub(super) enum Plan {
    /// No fault.
    Nothing,
    /// The operation of this number fails, once.
    Fail { at: usize, errno: Errno },
    /// Every operation of this kind fails, until it is healed.
    FailKind { kind: fn(&Op<'_>) -> bool, errno: Errno },
    /// From this number on every operation that needs space fails.
    Full { at: usize },
    /// From this number on no existing file can be opened for reading.
    NoDescriptors { at: usize },
    /// From this number on every sync fails.
    NoSync { at: usize },
    /// Every operation of this kind fails.
    Refuse { kind: fn(&Op<'_>) -> bool, errno: Errno },
    /// The operation of this number, if it is a write, writes only a part.
    Short { at: usize },
    /// Every operation of this kind reports its arrival, and waits for its release.
    Hold { kind: fn(&Op<'_>) -> bool, arrived: SyncSender<()>, leave: Mutex<Receiver<()>> },
    /// Somebody else acts immediately before the first operation of this kind.
    Meanwhile { kind: fn(&Op<'_>) -> bool, act: Act },
}

/// What somebody else does, once.
pub(super) struct Act(Mutex<Option<Box<dyn FnOnce() + Send>>>);

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// Numbers of files by name; a number is never used twice.
    names: BTreeMap<PathBuf, usize>,
    file_count: usize,
    log: Vec<Done>,
}

/// An operation that changed the disk, or a report to the caller of the fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Create {
        file: usize,
        path: PathBuf,
    },
    Write {
        file: usize,
        offset: u64,
        data: Vec<u8>,
    },
    SetLen {
        file: usize,
        len: u64,
    },
    Punch {
        file: usize,
        offset: u64,
        len: u64,
    },
    SyncData {
        file: usize,
    },
    Rename {
        file: usize,
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    MakeDirectory {
        path: PathBuf,
    },
    SyncDirectory {
        path: PathBuf,
    },
    SyncFileSystem,
    RenameFolder {
        from: PathBuf,
        to: PathBuf,
    },
    /// Two files have each other's name now.
    Exchange {
        one: (usize, PathBuf),
        other: (usize, PathBuf),
    },
    /// These chunks were reported as durable.
    Said(Vec<u32>),
}

impl Act {
    pub(super) fn of(act: impl FnOnce() + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(act))))
    }
}

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an act")
    }
}

impl Tap {
    pub(super) fn of(watch: &Arc<Watch>) -> Self {
        Self { watch: Some(Arc::clone(watch)), file: None }
    }

    pub(crate) fn of_file(&self, path: &Path) -> Self {
        let file = self.watch.as_ref().and_then(|watch| locked(&watch.state).names.get(path).copied());
        Self { watch: self.watch.clone(), file }
    }

    pub(crate) fn run<T, E: From<Errno>>(
        &self,
        op: Op<'_>,
        perform: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(watch) = &self.watch else { return perform() };
        watch.before(&op)?;
        let done = perform()?;
        locked(&watch.state).note(self.file, op);
        Ok(done)
    }

    pub(crate) fn cut<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        match self.watch.as_deref() {
            Some(watch @ Watch { plan: Plan::Short { at }, .. }) if locked(&watch.state).count == *at => {
                &data[..data.len().div_ceil(2)]
            }
            Some(_) | None => data,
        }
    }
}

impl Watch {
    /// Watches a folder in this state.
    pub(super) fn new(plan: Plan, disk: &Disk) -> Arc<Self> {
        let names = disk.names.clone();
        let state = State { names, file_count: disk.files.len(), ..State::default() };
        Arc::new(Self { plan, is_healed: AtomicBool::new(false), state: Mutex::new(state) })
    }

    /// Delays operations of a kind: each sends on the first channel and waits for the second.
    pub(super) fn holding(kind: fn(&Op<'_>) -> bool) -> (Arc<Self>, Receiver<()>, SyncSender<()>) {
        let (arrived, arrivals) = sync_channel(1000);
        let (let_go, leave) = sync_channel(1000);
        let plan = Plan::Hold { kind, arrived, leave: Mutex::new(leave) };
        (Self::new(plan, &Disk::default()), arrivals, let_go)
    }

    /// Ends the fault: every later operation succeeds.
    pub(super) fn heal(&self) {
        self.is_healed.store(true, Ordering::Relaxed);
    }

    /// Number of operations so far.
    pub(super) fn count(&self) -> usize {
        locked(&self.state).count
    }

    /// Operations and reports so far.
    pub(super) fn log(&self) -> Vec<Done> {
        locked(&self.state).log.clone()
    }

    /// Records that these chunks were reported as durable.
    pub(super) fn said(&self, chunks: &[u32]) {
        locked(&self.state).log.push(Done::Said(chunks.to_vec()));
    }

    fn before(&self, op: &Op<'_>) -> Result<(), Errno> {
        let number = {
            let mut state = locked(&self.state);
            state.count += 1;
            state.count - 1
        };
        match &self.plan {
            Plan::Fail { at, errno } if number == *at => Err(*errno),
            Plan::FailKind { kind, errno } if kind(op) && !self.is_healed.load(Ordering::Relaxed) => {
                Err(*errno)
            }
            Plan::Full { at } if number >= *at && needs_space(op) => Err(Errno::NOSPC),
            Plan::NoDescriptors { at } if number >= *at && is_read_open(op) => Err(Errno::MFILE),
            Plan::NoSync { at } if number >= *at && is_sync(op) => Err(Errno::IO),
            Plan::Refuse { kind, errno } if kind(op) => Err(*errno),
            Plan::Hold { kind, arrived, leave } if kind(op) => {
                // If the test dropped the channels, the operation need not wait.
                let _ = arrived.send(());
                let _ = locked(leave).recv();
                Ok(())
            }
            Plan::Meanwhile { kind, act } if kind(op) => {
                if let Some(act) = locked(&act.0).take() {
                    act();
                }
                Ok(())
            }
            Plan::Nothing
            | Plan::Fail { .. }
            | Plan::FailKind { .. }
            | Plan::Full { .. }
            | Plan::NoDescriptors { .. }
            | Plan::NoSync { .. }
            | Plan::Refuse { .. }
            | Plan::Short { .. }
            | Plan::Hold { .. }
            | Plan::Meanwhile { .. } => Ok(()),
        }
    }
}

impl State {
    fn note(&mut self, file: Option<usize>, op: Op<'_>) {
        let of_file = || file.expect("an open file has a number");
        let done = match op {
            Op::Open { path, access } => match access {
                Access::Create | Access::CreateNew if !self.names.contains_key(path) => {
                    let file = self.file_count;
                    self.file_count += 1;
                    self.names.insert(path.to_owned(), file);
                    Done::Create { file, path: path.to_owned() }
                }
                Access::Create | Access::CreateNew | Access::Read | Access::Write | Access::WriteDirect => {
                    return;
                }
            },
            Op::Rename { from, to } => match self.names.remove(from) {
                Some(file) => {
                    self.names.insert(to.to_owned(), file);
                    Done::Rename { file, from: from.to_owned(), to: to.to_owned() }
                }
                None => {
                    move_below(&mut self.names, from, to);
                    Done::RenameFolder { from: from.to_owned(), to: to.to_owned() }
                }
            },
            Op::Exchange { one, other } => {
                let [one_file, other_file] = [one, other].map(|path| self.names[path]);
                self.names.insert(one.to_owned(), other_file);
                self.names.insert(other.to_owned(), one_file);
                Done::Exchange { one: (one_file, one.to_owned()), other: (other_file, other.to_owned()) }
            }
            Op::MakeLink { path } => {
                let file = self.file_count;
                self.file_count += 1;
                self.names.insert(path.to_owned(), file);
                Done::Create { file, path: path.to_owned() }
            }
            Op::Remove { path } => {
                self.names.remove(path);
                Done::Remove { path: path.to_owned() }
            }
            Op::MakeDirectory { path } => Done::MakeDirectory { path: path.to_owned() },
            Op::SyncDirectory { path } => Done::SyncDirectory { path: path.to_owned() },
            Op::SyncFileSystem => Done::SyncFileSystem,
            Op::Write { offset, data } => Done::Write { file: of_file(), offset, data: data.to_vec() },
            Op::SetLen { len } => Done::SetLen { file: of_file(), len },
            Op::Punch { offset, len } => Done::Punch { file: of_file(), offset, len },
            Op::SyncData => Done::SyncData { file: of_file() },
            Op::Stat
            | Op::List { .. }
            | Op::Lock
            | Op::Metadata
            | Op::Read
            | Op::Reserve
            | Op::SetPermissions => return,
        };
        self.log.push(done);
    }
}

/// Files of a folder that was renamed.
pub(super) fn move_below(names: &mut BTreeMap<PathBuf, usize>, from: &Path, to: &Path) {
    let moved: Vec<_> = names.keys().filter(|name| name.starts_with(from)).cloned().collect();
    for name in moved {
        let file = names.remove(&name).expect("it was listed");
        names.insert(to.join(name.strip_prefix(from).expect("it is below")), file);
    }
}

pub(super) fn is_sync(op: &Op<'_>) -> bool {
    matches!(op, Op::SyncData | Op::SyncDirectory { .. } | Op::SyncFileSystem)
}

fn is_read_open(op: &Op<'_>) -> bool {
    matches!(op, Op::Open { access: Access::Read, .. })
}

fn needs_space(op: &Op<'_>) -> bool {
    match op {
        Op::Open { access, .. } => matches!(access, Access::Create | Access::CreateNew),
        Op::Write { .. }
        | Op::SetLen { .. }
        | Op::Punch { .. }
        | Op::Reserve
        | Op::MakeDirectory { .. }
        | Op::MakeLink { .. } => true,
        Op::Stat
        | Op::List { .. }
        | Op::Rename { .. }
        | Op::Exchange { .. }
        | Op::Remove { .. }
        | Op::SyncDirectory { .. }
        | Op::SyncFileSystem
        | Op::Lock
        | Op::Metadata
        | Op::Read
        | Op::SetPermissions
        | Op::SyncData => false,
    }
}
