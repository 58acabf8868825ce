//! Watches a folder. What it tells is a hint: it says where to look, and only a scan of that place says what changed. Invariant: whatever
//! changes after [`Watcher::start`] returned lies at or below some place that it tells of, or it tells of everything.

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use swarm_core::base::Shown;
use swarm_sync::{STATE_FOLDER_NAME, TreePath};

use super::Ignore;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// At this place and below it.
    Place(TreePath),
    /// Everywhere: events were lost, or the root itself changed.
    Everything,
    /// Nothing more will be told of some folders.
    CannotWatch {
        /// The reason, with the way out.
        why: String,
    },
}

/// Tells of changes in a folder until it is dropped.
pub struct Watcher {
    _watched: RecommendedWatcher,
}

/// Why a folder cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WatchError(String);

impl Watcher {
    /// Watches a folder and all below it. `tell` is called by a thread of its own, and must not block. Takes some seconds for a million
    /// files.
    pub fn start(
        root: &Path,
        ignore: Option<Ignore>,
        mut tell: impl FnMut(Hint) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let places = Places { root: root.to_owned(), ignore };
        let handle = move |event: notify::Result<Event>| match event {
            Ok(event) => places.of(&event).into_iter().for_each(&mut tell),
            Err(error) => {
                tell(Hint::CannotWatch { why: reason(&places.root, &error) });
                tell(Hint::Everything);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let refused = |error: notify::Error| WatchError(reason(root, &error));
        let mut watched = RecommendedWatcher::new(handle, config).map_err(refused)?;
        watched.watch(root, RecursiveMode::Recursive).map_err(refused)?;
        Ok(Self { _watched: watched })
    }
}

/// Makes hints of events.
struct Places {
    root: PathBuf,
    ignore: Option<Ignore>,
}

impl Places {
    fn of(&self, event: &Event) -> Vec<Hint> {
        if event.need_rescan() {
            return vec![Hint::Everything];
        }
        let is_of_interest = match &event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Any
            | EventKind::Other
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_) => true,
            EventKind::Access(_) => false,
        };
        if !is_of_interest {
            return Vec::new();
        }
        // What stands in a folder does not change with the folder's own times and mode.
        let is_metadata = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
        event
            .paths
            .iter()
            .filter(|path| !(is_metadata && path.is_dir()))
            .filter_map(|path| self.at(path))
            .collect()
    }

    fn at(&self, path: &Path) -> Option<Hint> {
        let Some(below) = path.strip_prefix(&self.root).ok().filter(|below| !below.as_os_str().is_empty())
        else {
            return Some(Hint::Everything);
        };
        // A name that no tree can have is told of by a scan of the folder that it is in.
        let named = |below: &Path| below.to_str().and_then(|text| TreePath::new(text).ok());
        let Some(place) = below.ancestors().find_map(named) else { return Some(Hint::Everything) };
        if place.components().next() == Some(STATE_FOLDER_NAME) {
            return None;
        }
        let is_ignored = self.ignore.as_ref().is_some_and(|ignore| ignore(&place, path.is_dir()));
        (!is_ignored).then_some(Hint::Place(place))
    }
}

fn reason(root: &Path, error: &notify::Error) -> String {
    let root = Shown(root);
    match &error.kind {
        ErrorKind::MaxFilesWatch => format!(
            "`{root}` has more folders than the system lets one user watch: raise the limit with `sysctl fs.inotify.max_user_watches=1048576`"
        ),
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            format!(
                "`{root}` cannot be watched, too many programs watch folders already: raise the limit with `sysctl fs.inotify.max_user_instances=1024`"
            )
        }
        ErrorKind::Io(error) => format!("`{root}` cannot be watched: {error}"),
        ErrorKind::Generic(_)
        | ErrorKind::PathNotFound
        | ErrorKind::WatchNotFound
        | ErrorKind::InvalidConfig(_) => {
            format!("`{root}` cannot be watched: {}", Shown(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    use super::*;

    fn watched(root: &Path) -> (Watcher, Receiver<Hint>) {
        let (sender, hints) = sync_channel(10_000);
        let ignore = |path: &TreePath, _: bool| path.name() == "ignored";
        let tell = move |hint| sender.send(hint).expect("the test listens");
        let watcher =
            Watcher::start(root, Some(std::sync::Arc::new(ignore)), tell).expect("it can be watched");
        (watcher, hints)
    }

    /// Waits until some hint covers the path.
    fn is_told(hints: &Receiver<Hint>, path: &str) -> bool {
        let path = TreePath::new(path).expect("a path");
        while let Ok(hint) = hints.recv_timeout(Duration::from_secs(10)) {
            match hint {
                Hint::Place(place) if path.is_at_or_below(&place) => return true,
                Hint::Everything => return true,
                Hint::Place(_) | Hint::CannotWatch { .. } => {}
            }
        }
        false
    }

    #[test]
    fn each_kind_of_change_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/old"), "x").unwrap();
        let (_watcher, hints) = watched(&root);
        fs::write(root.join("new"), "x").unwrap();
        assert!(is_told(&hints, "new"));
        fs::rename(root.join("d/old"), root.join("d/moved")).unwrap();
        assert!(is_told(&hints, "d/moved"));
        fs::remove_file(root.join("d/moved")).unwrap();
        assert!(is_told(&hints, "d/moved"));
        let mut nested = root.join("a");
        (0..5).for_each(|at| nested = nested.join(at.to_string()));
        fs::create_dir_all(&nested).unwrap();
        fs::write(nested.join("deep"), "x").unwrap();
        assert!(is_told(&hints, "a/0/1/2/3/4/deep"));
    }

    #[test]
    fn what_is_ignored_and_the_state_of_sync_are_not_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join(".swarm")).unwrap();
        let (_watcher, hints) = watched(&root);
        fs::write(root.join(".swarm/x"), "x").unwrap();
        fs::write(root.join("ignored"), "x").unwrap();
        fs::write(root.join("last"), "x").unwrap();
        let first = hints.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(first, Hint::Place(TreePath::new("last").unwrap()));
    }
}
