//! Watches a folder. What it tells is a hint where to look: a scan decides what happened. Invariant: a folder is watched before the hint
//! that it is new, so that what is written into it is found by the scan or named by a later hint.
//!
//! Every folder is watched by itself, and not the tree at once: excluded folders cost nothing, and a new folder is known to be watched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use swarm_core::base::Shown;
use swarm_sync::TreePath;
use walkdir::WalkDir;

use super::Ignore;
use super::walk::OURS;

/// Where something may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// At this place, or below it.
    Place(TreePath),
    /// Anywhere: the root changed, or more happened than was told.
    Everything,
    /// A part of the tree is not watched from now on: only scans see changes there.
    CannotWatch(WatchError),
}

/// Why a folder is not watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The system watches as many folders of this user as it may.
    #[error(
        "this user watches as many folders as the system allows: raise the limit with `sudo sysctl fs.inotify.max_user_watches=1048576`; until then changes are found by scans"
    )]
    LimitReached,
    /// The system does not watch it.
    #[error("cannot watch `{}`: {why}; changes are found by scans", Shown(path))]
    Refused {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
}

/// Watches a folder until it is dropped.
pub struct FolderWatcher {
    /// Dropped first: then the thread's channel ends.
    _watching: Arc<Mutex<RecommendedWatcher>>,
}

/// What a watcher tells.
pub struct Hints {
    hints: Receiver<Hint>,
    is_overflown: Arc<AtomicBool>,
}

impl FolderWatcher {
    /// Watches all folders below the root. Links are not followed, and mounts not crossed.
    pub fn start(root: &Path, ignore: Option<Ignore>) -> Result<(Self, Hints), WatchError> {
        let refused =
            |error: std::io::Error| WatchError::Refused { path: root.to_owned(), why: error.to_string() };
        let root = &std::path::absolute(root).map_err(refused)?;
        let (events, raw) = sync_channel(EVENTS_MAX);
        let (sender, hints) = sync_channel(EVENTS_MAX);
        let is_overflown = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&is_overflown);
        let handler = move |event: notify::Result<Event>| {
            // Our own reads are events as well: they must not fill the channel.
            if event.as_ref().is_ok_and(|event| !event.need_rescan() && !is_change(event.kind)) {
                return;
            }
            if let Err(TrySendError::Full(_)) = events.try_send(event) {
                lost.store(true, Ordering::Relaxed);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(handler, config).map_err(|error| refusal(root, &error))?;
        let watching = Arc::new(Mutex::new(watcher));
        let tree = Tree { root: root.to_owned(), ignore };
        tree.watch_below(&mut crate::locked(&watching), root)?;
        let teller = Teller {
            tree,
            watching: Arc::downgrade(&watching),
            sender,
            is_overflown: Arc::clone(&is_overflown),
        };
        let spawned = std::thread::Builder::new().name("watch".into()).spawn(move || teller.run(&raw));
        spawned.map_err(refused)?;
        Ok((Self { _watching: watching }, Hints { hints, is_overflown }))
    }
}

impl Hints {
    /// The next hint; `None` if none comes within this time.
    ///
    /// # Errors
    /// If the watcher was dropped.
    pub fn next(&self, within: Duration) -> Result<Option<Hint>, WatcherGone> {
        if self.is_overflown.swap(false, Ordering::Relaxed) {
            return Ok(Some(Hint::Everything));
        }
        match self.hints.recv_timeout(within) {
            Ok(hint) => Ok(Some(hint)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(WatcherGone),
        }
    }
}

/// The watcher was dropped: there will be no hint any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the folder is not watched any more")]
pub struct WatcherGone;

struct Tree {
    root: PathBuf,
    ignore: Option<Ignore>,
}

/// Turns events into hints, on a thread of its own: the thread that reports events must not be kept waiting, nor asked to watch more.
struct Teller {
    tree: Tree,
    watching: Weak<Mutex<RecommendedWatcher>>,
    sender: SyncSender<Hint>,
    is_overflown: Arc<AtomicBool>,
}

impl Teller {
    /// A program that writes a file causes several events: those that come within a moment are taken together.
    fn run(&self, raw: &Receiver<notify::Result<Event>>) {
        let mut changed = BTreeMap::new();
        while let Ok(first) = raw.recv() {
            std::thread::sleep(MOMENT);
            for event in std::iter::once(first).chain(raw.try_iter().take(EVENTS_MAX)) {
                self.note(event, &mut changed);
            }
            for (path, may_be_new) in std::mem::take(&mut changed) {
                self.on_change(&path, may_be_new);
            }
        }
    }

    fn note(&self, event: notify::Result<Event>, changed: &mut BTreeMap<PathBuf, bool>) {
        match event {
            Ok(event) if event.need_rescan() => self.tell(Hint::Everything),
            Ok(event) => {
                let is_new = may_be_new(event.kind);
                event.paths.into_iter().for_each(|path| *changed.entry(path).or_default() |= is_new);
            }
            Err(error) => self.tell(Hint::CannotWatch(refusal(&self.tree.root, &error))),
        }
    }

    fn on_change(&self, path: &Path, may_be_new: bool) {
        let is_folder = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        let Some(hint) = self.tree.hint(path, is_folder) else { return };
        if is_folder && may_be_new {
            self.watch_more(path);
        }
        self.tell(hint);
    }

    fn watch_more(&self, folder: &Path) {
        let Some(watching) = self.watching.upgrade() else { return };
        if let Err(error) = self.tree.watch_below(&mut crate::locked(&watching), folder) {
            self.tell(Hint::CannotWatch(error));
        }
    }

    fn tell(&self, hint: Hint) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(hint) {
            self.is_overflown.store(true, Ordering::Relaxed);
        }
    }
}

impl Tree {
    /// Watches a folder and all below it that are not excluded.
    fn watch_below(&self, watcher: &mut RecommendedWatcher, folder: &Path) -> Result<(), WatchError> {
        let walk = WalkDir::new(folder).follow_links(false).same_file_system(true).into_iter();
        let folders = walk.filter_entry(|entry| entry.file_type().is_dir() && self.is_watched(entry.path()));
        if folder == self.root && !folder.is_dir() {
            let why = "it is not there".to_owned();
            return Err(WatchError::Refused { path: folder.to_owned(), why });
        }
        // A folder that vanished meanwhile, or may not be read, is not watched; the scan tells of it.
        for entry in folders.flatten() {
            match watcher.watch(entry.path(), RecursiveMode::NonRecursive) {
                Ok(()) => {}
                Err(error) if is_of_one_folder(&error) => {}
                Err(error) => return Err(refusal(entry.path(), &error)),
            }
        }
        Ok(())
    }

    fn is_watched(&self, folder: &Path) -> bool {
        folder == self.root || self.hint(folder, true).is_some()
    }

    /// The hint for a path; `None` if it is no part of the tree.
    fn hint(&self, path: &Path, is_folder: bool) -> Option<Hint> {
        let relative = path.strip_prefix(&self.root).ok()?;
        if relative.starts_with(OURS) {
            return None;
        }
        // Of an entry whose name is not UTF-8, the folder above that has a name is scanned.
        let place = relative.ancestors().find_map(|at| TreePath::new(at.to_str()?).ok());
        let Some(place) = place else { return Some(Hint::Everything) };
        let ignores =
            |path: &TreePath, is_folder| self.ignore.as_ref().is_some_and(|ignore| ignore(path, is_folder));
        let is_excluded = ignores(&place, is_folder) || place.ancestors().any(|above| ignores(&above, true));
        (!is_excluded).then_some(Hint::Place(place))
    }
}

/// Reads do not count, but the end of a write does.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// Whether an entry may not have stood there before.
fn may_be_new(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => {
            true
        }
        EventKind::Access(_) | EventKind::Modify(_) | EventKind::Remove(_) => false,
    }
}

/// Whether the error says something of one folder alone.
fn is_of_one_folder(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied)
        }
        ErrorKind::Generic(_)
        | ErrorKind::WatchNotFound
        | ErrorKind::InvalidConfig(_)
        | ErrorKind::MaxFilesWatch => false,
    }
}

fn refusal(path: &Path, error: &notify::Error) -> WatchError {
    match &error.kind {
        ErrorKind::MaxFilesWatch => WatchError::LimitReached,
        _ => WatchError::Refused { path: path.to_owned(), why: error.to_string() },
    }
}

/// Events that are kept for a reader that is busy with a scan. More of them, and everything is scanned.
const EVENTS_MAX: usize = 16_384;
/// Short enough that nobody waits for it.
const MOMENT: Duration = Duration::from_millis(5);
