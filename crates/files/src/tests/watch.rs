//! The tap of the tests: it numbers the operations of a fetch, writes down those that change the disk, and lets a chosen one go
//! wrong. Knows no chunks.

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

/// Looks into the operations on one folder, or on one file in it; by default into nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    watch: Option<Arc<Watch>>,
    /// The open file.
    file: Option<usize>,
}

/// What is seen and decided of the operations of one fetch.
#[derive(Debug)]
pub(super) struct Watch {
    plan: Plan,
    is_healed: AtomicBool,
    state: Mutex<State>,
}

/// What goes wrong.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing.
    Nothing,
    /// The operation of this number fails, once.
    Fail { at: usize, errno: Errno },
    /// Every operation of this kind fails, until it is healed.
    FailKind { kind: fn(&Op<'_>) -> bool, errno: Errno },
    /// From this number on whatever needs space fails.
    Full { at: usize },
    /// From this number on no file that is there can be opened for reading.
    NoDescriptors { at: usize },
    /// From this number on every sync fails.
    NoSync { at: usize },
    /// Every operation of this kind fails.
    Refuse { kind: fn(&Op<'_>) -> bool, errno: Errno },
    /// The operation of this number, if it writes, takes only a part.
    Short { at: usize },
    /// Every operation of this kind says that it is there, and waits to be let go.
    Hold { kind: fn(&Op<'_>) -> bool, arrived: SyncSender<()>, leave: Mutex<Receiver<()>> },
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// Files by their names; numbers are never used twice.
    names: BTreeMap<PathBuf, usize>,
    file_count: usize,
    log: Vec<Done>,
}

/// An operation that changed the disk, or what the one who fetches was told.
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
    /// These chunks were said to be durable.
    Said(Vec<u32>),
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
    /// Watches a folder that holds this.
    pub(super) fn new(plan: Plan, disk: &Disk) -> Arc<Self> {
        let names = disk.names.clone();
        let state = State { names, file_count: disk.files.len(), ..State::default() };
        Arc::new(Self { plan, is_healed: AtomicBool::new(false), state: Mutex::new(state) })
    }

    /// One that holds up a kind of operation: each sends on the first channel and waits for the second.
    pub(super) fn holding(kind: fn(&Op<'_>) -> bool) -> (Arc<Self>, Receiver<()>, SyncSender<()>) {
        let (arrived, arrivals) = sync_channel(1000);
        let (let_go, leave) = sync_channel(1000);
        let plan = Plan::Hold { kind, arrived, leave: Mutex::new(leave) };
        (Self::new(plan, &Disk::default()), arrivals, let_go)
    }

    /// What went wrong goes well from now on.
    pub(super) fn heal(&self) {
        self.is_healed.store(true, Ordering::Relaxed);
    }

    /// Operations so far.
    pub(super) fn count(&self) -> usize {
        locked(&self.state).count
    }

    /// What was done so far.
    pub(super) fn log(&self) -> Vec<Done> {
        locked(&self.state).log.clone()
    }

    /// The one who fetches was told that these are durable.
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
                // Whoever let go of the channels waits for nothing any more.
                let _ = arrived.send(());
                let _ = locked(leave).recv();
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
            | Plan::Hold { .. } => Ok(()),
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
            Op::Rename { from, to } => {
                let file = self.names.remove(from).expect("what is renamed was there");
                self.names.insert(to.to_owned(), file);
                Done::Rename { file, from: from.to_owned(), to: to.to_owned() }
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
            Op::Stat | Op::Lock | Op::Metadata | Op::Read | Op::Reserve | Op::SetPermissions => return,
        };
        self.log.push(done);
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
        Op::Write { .. } | Op::SetLen { .. } | Op::Punch { .. } | Op::Reserve | Op::MakeDirectory { .. } => {
            true
        }
        Op::Stat
        | Op::Rename { .. }
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
