//! Walks a folder in path order: a folder stands directly before its entries, and these are sorted by their bytes. Runs on a thread of its
//! own, a bounded number of entries ahead of its reader; a place that is no folder is told at once.
//!
//! Invariants: a place that could not be looked at is told as blind, never left out; links are not followed and mounts not crossed, so
//! the walk ends. At most one folder is held open, beside those of so many entries that they are looked at in parts: memory and
//! descriptors depend on the largest folder, not on the tree.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::FileType;
use rustix::io::Errno;
use swarm_core::base::Shown;
use swarm_sync::limits::LINK_LEN_MAX;
use swarm_sync::{Blind, BlindWhy, Found, FoundKind, ReplicaError, Seen, TreePath, UnnamedWhy, Walk};

use super::beneath::os;
use super::fault::words;
use super::listing::{Listing, list};
use super::look::{Look, look_at, look_open};
use super::root::Root;

/// Starts a walk of `place` and below, or of everything.
pub(super) fn walk(root: &Arc<Root>, place: Option<&TreePath>) -> Result<Walk, ReplicaError> {
    root.check()?;
    let (sender, batches) = sync_channel(BATCHES_MAX);
    let mut walker = Walker { root: Arc::clone(root), frames: Vec::new(), batch: Vec::new(), sender };
    // What begins a walk is less than a batch: nothing waits for a reader here.
    let begun = match place {
        None => walker.start_at_root(),
        Some(place) => walker.start_at(place),
    };
    if begun.is_err() || walker.frames.is_empty() {
        walker.check_root();
        return Ok(Box::new(walker.batch.into_iter()));
    }
    let walk = move || walker.run();
    let thread = std::thread::Builder::new().name("walk".into()).spawn(walk).map_err(|error| {
        ReplicaError::Io { path: Shown(root.dir.path()).to_string(), op: "walk", why: error.to_string() }
    })?;
    Ok(Box::new(Ahead { batches: Some(batches), batch: Vec::new().into_iter(), thread: Some(thread) }))
}

/// What the reader of a walk holds. Dropping it ends the walk.
struct Ahead {
    batches: Option<Receiver<Batch>>,
    batch: std::vec::IntoIter<Result<Seen, ReplicaError>>,
    thread: Option<JoinHandle<()>>,
}

type Batch = Vec<Result<Seen, ReplicaError>>;

impl Iterator for Ahead {
    type Item = Result<Seen, ReplicaError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(seen) = self.batch.next() {
                return Some(seen);
            }
            self.batch = self.batches.as_ref()?.recv().ok()?.into_iter();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // The thread ends when it finds that nobody receives any more.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Walker {
    root: Arc<Root>,
    /// The folders that are being walked, outermost first.
    frames: Vec<Frame>,
    batch: Batch,
    sender: SyncSender<Batch>,
}

/// A folder that is being walked.
struct Frame {
    /// `None` for the root.
    path: Option<TreePath>,
    listing: Listing,
    /// Held while entries are left to look at.
    folder: Option<OwnedFd>,
    /// Entries that were looked at, last first.
    looked: Vec<Looked>,
    /// Entries of the listing that were looked at.
    looked_count: usize,
}

struct Looked {
    index: usize,
    look: Result<Look, Errno>,
    /// What a link says.
    target: Option<Box<Result<CString, Errno>>>,
}

/// Nobody reads the walk any more.
struct Unread;

impl Walker {
    fn run(mut self) {
        // An unread walk has nobody to tell.
        let _ = self.walk_frames().and_then(|()| self.finish());
    }

    fn start_at_root(&mut self) -> Result<(), Unread> {
        match self.open(None, self.root.home) {
            Ok(()) => Ok(()),
            Err(why) => {
                let path = Shown(self.root.dir.path()).to_string();
                self.send(Err(ReplicaError::Io { path, op: "list", why: why.to_string() }))
            }
        }
    }

    /// Begins at a place, at which nothing need stand.
    fn start_at(&mut self, place: &TreePath) -> Result<(), Unread> {
        if place.components().next() == Some(OURS) || self.is_in_ignored(place) {
            return Ok(());
        }
        let relative = Path::new(place.as_str());
        let blind = |why| Ok(Seen::Blind(Blind { path: place.clone(), why }));
        let (above, look) = match self.root.dir.parent(relative) {
            Ok((parent, name)) => {
                let above = look_open(parent.as_fd(&self.root.dir));
                (above, look_at(parent.as_fd(&self.root.dir), name))
            }
            Err(errno) => (Err(errno), Err(errno)),
        };
        match (above, look) {
            (_, Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => Ok(()),
            (Ok(above), _) if self.is_elsewhere(&above) => self.send(blind(BlindWhy::Mount)),
            (_, look) => {
                let is_link = look.is_ok_and(|look| look.kind == FileType::Symlink);
                let target = is_link.then(|| Box::new(self.root.dir.read_link(relative)));
                self.take(place.clone(), look, target)
            }
        }
    }

    fn is_in_ignored(&self, place: &TreePath) -> bool {
        place.ancestors().any(|above| self.root.ignores(&above, true))
    }

    fn walk_frames(&mut self) -> Result<(), Unread> {
        while let Some(frame) = self.frames.last_mut() {
            if frame.looked.is_empty() && !frame.look_on() {
                self.frames.pop();
                continue;
            }
            let Some(looked) = frame.looked.pop() else { continue };
            match frame.path_of(looked.index) {
                Ok(path) => self.take(path, looked.look, looked.target)?,
                Err((shown, why)) => self.send(Ok(Seen::Unnamed { shown, why }))?,
            }
        }
        Ok(())
    }

    /// Tells of one entry, and begins to walk it if it is a folder.
    fn take(
        &mut self,
        path: TreePath,
        look: Result<Look, Errno>,
        target: Option<Box<Result<CString, Errno>>>,
    ) -> Result<(), Unread> {
        let look = match look {
            Ok(look) => look,
            // It vanished after its folder was listed.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return self.blind(path, BlindWhy::Unreadable(words(errno))),
        };
        let is_folder = look.kind == FileType::Directory;
        if self.root.ignores(&path, is_folder) {
            return Ok(());
        }
        if self.is_elsewhere(&look) {
            return self.blind(path, BlindWhy::Mount);
        }
        let kind = match look.kind {
            FileType::RegularFile => FoundKind::File { len: look.len, executable: look.is_executable() },
            FileType::Directory => return self.enter(path, look),
            FileType::Symlink => match link_target(target) {
                Ok(target) => FoundKind::Symlink { target },
                Err(why) => return self.blind(path, why),
            },
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return self.blind(path, BlindWhy::Special),
        };
        self.found(path, kind, &look)
    }

    /// Tells of a folder, if it could be listed: of a folder that could not, nothing is known.
    fn enter(&mut self, path: TreePath, look: Look) -> Result<(), Unread> {
        match self.open(Some(path.clone()), look) {
            Ok(()) => self.found(path, FoundKind::Folder, &look),
            Err(why) => self.blind(path, why),
        }
    }

    /// Opens and lists a folder, to walk it next.
    fn open(&mut self, path: Option<TreePath>, seen: Look) -> Result<(), BlindWhy> {
        let why = |errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => BlindWhy::Changing,
            errno => BlindWhy::Unreadable(words(errno)),
        };
        let relative = path.as_ref().map_or("", TreePath::as_str);
        let folder = self.root.dir.open_folder(Path::new(relative)).map_err(why)?;
        // Something may have been mounted there since it was looked at.
        if look_open(&folder).map_err(why)?.id != seen.id {
            return Err(BlindWhy::Changing);
        }
        let mut listing = list(&folder).map_err(why)?;
        if path.is_none() {
            listing.leave_out(OURS);
        }
        self.frames.push(Frame { path, listing, folder: Some(folder), looked: Vec::new(), looked_count: 0 });
        Ok(())
    }

    /// Whether an entry is on another mount than the root. Files of an overlay may have another device than its folders, so only the
    /// device of folders counts.
    fn is_elsewhere(&self, look: &Look) -> bool {
        let home = &self.root.home;
        let is_other_mount = matches!((look.mount, home.mount), (Some(mount), Some(home)) if mount != home);
        is_other_mount || (look.kind == FileType::Directory && look.id.device != home.id.device)
    }

    fn found(&mut self, path: TreePath, kind: FoundKind, look: &Look) -> Result<(), Unread> {
        let found = Found { path, kind, modified_ns: look.modified_ns, stamp: look.stamp() };
        self.send(Ok(Seen::Entry(found)))
    }

    fn blind(&mut self, path: TreePath, why: BlindWhy) -> Result<(), Unread> {
        self.send(Ok(Seen::Blind(Blind { path, why })))
    }

    fn send(&mut self, seen: Result<Seen, ReplicaError>) -> Result<(), Unread> {
        self.batch.push(seen);
        if self.batch.len() < BATCH_LEN {
            return Ok(());
        }
        if let Err(stopped) = self.root.check_stop() {
            self.batch.push(Err(stopped));
            self.flush()?;
            return Err(Unread);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Unread> {
        let next = Vec::with_capacity(BATCH_LEN);
        self.sender.send(std::mem::replace(&mut self.batch, next)).map_err(|_| Unread)
    }

    fn finish(&mut self) -> Result<(), Unread> {
        self.check_root();
        self.flush()
    }

    /// A root that went away during the walk looked empty from then on.
    fn check_root(&mut self) {
        if let Err(gone) = self.root.check() {
            self.batch.push(Err(gone));
        }
    }
}

impl Frame {
    /// Looks at the next entries; false if none are left.
    fn look_on(&mut self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let from = self.looked_count;
        let to = self.listing.len().min(from + LOOKED_MAX);
        let mut looked: Vec<Looked> =
            (from..to).map(|index| Looked { index, look: Err(Errno::NOENT), target: None }).collect();
        // A cold disk has its entries in the order of their numbers.
        looked.sort_unstable_by_key(|one| self.listing.inode(one.index));
        for one in &mut looked {
            let name = self.listing.name(one.index);
            one.look = look_at(folder.as_fd(), name);
            if one.look.is_ok_and(|look| look.kind == FileType::Symlink) {
                one.target = Some(Box::new(rustix::fs::readlinkat(folder, name, Vec::new())));
            }
        }
        looked.sort_unstable_by_key(|one| std::cmp::Reverse(one.index));
        self.looked = looked;
        self.looked_count = to;
        if to == self.listing.len() {
            self.folder = None;
        }
        from < to
    }

    /// The path of an entry; an error is what to show of one that is no part of the tree, and why it is none.
    fn path_of(&self, index: usize) -> Result<TreePath, (String, UnnamedWhy)> {
        let name = self.listing.name(index);
        let text = name.to_str().map_err(|_| (self.shown(name), UnnamedWhy::NotUtf8))?;
        TreePath::below(self.path.as_ref(), text).map_err(|fault| (self.shown(name), fault.into()))
    }

    fn shown(&self, name: &CStr) -> String {
        let folder = self.path.as_ref().map_or("", TreePath::as_str);
        Shown(Path::new(folder).join(os(name))).to_string()
    }
}

fn link_target(target: Option<Box<Result<CString, Errno>>>) -> Result<Box<str>, BlindWhy> {
    match target.map(|target| *target) {
        Some(Ok(target)) => match target.into_string() {
            Ok(target) if target.len() <= LINK_LEN_MAX => Ok(target.into()),
            Ok(_) | Err(_) => Err(BlindWhy::LinkTarget),
        },
        Some(Err(Errno::NOENT | Errno::INVAL)) | None => Err(BlindWhy::Changing),
        Some(Err(errno)) => Err(BlindWhy::Unreadable(words(errno))),
    }
}

/// The folder at the root that holds what is ours.
pub(super) const OURS: &str = ".swarm";
/// Entries that are handed over at once.
const BATCH_LEN: usize = 1024;
/// Batches that the walk is ahead of its reader.
const BATCHES_MAX: usize = 16;
/// Entries of one folder that are looked at before they are told: about a megabyte.
const LOOKED_MAX: usize = 16_384;
