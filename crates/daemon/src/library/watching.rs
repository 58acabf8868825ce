//! Watches the mounts of a library. What a watcher tells is gathered until nothing happens for a moment; a folder that never rests is looked at
//! all the same.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use swarm_files::{FolderWatcher, Hint, Hints};
use swarm_sync::TreePath;
use tokio::sync::mpsc;

use super::worker::input::Input;
use crate::clock;

/// The watchers of a library. They end when they are dropped.
#[derive(Default)]
pub(crate) struct Watchers {
    running: Vec<FolderWatcher>,
    troubles: Vec<String>,
}

impl Watchers {
    /// Watches each of these folders, which stand at these paths of the library.
    pub(crate) fn start(mounts: &[(Option<TreePath>, PathBuf)], inputs: &mpsc::WeakSender<Input>) -> Self {
        let mut watchers = Self::default();
        for (libpath, dir) in mounts {
            match FolderWatcher::start(dir, None) {
                Ok((watcher, hints)) => {
                    let gathering = Gathering { libpath: libpath.clone(), hints, inputs: inputs.clone() };
                    let spawned =
                        std::thread::Builder::new().name("hints".to_owned()).spawn(move || gathering.run());
                    match spawned {
                        Ok(_) => watchers.running.push(watcher),
                        Err(error) => watchers.troubles.push(error.to_string()),
                    }
                }
                Err(error) => watchers.troubles.push(error.to_string()),
            }
        }
        watchers
    }

    /// Why some folders are not watched: they are looked at now and then.
    pub(crate) fn troubles(&self) -> &[String] {
        &self.troubles
    }
}

struct Gathering {
    libpath: Option<TreePath>,
    hints: Hints,
    inputs: mpsc::WeakSender<Input>,
}

impl Gathering {
    /// Ends when the watcher was dropped, or the worker ended.
    fn run(self) {
        loop {
            let places = match self.hints.next(FULL_LOOK_INTERVAL) {
                Ok(Some(hint)) => self.gather(hint),
                Ok(None) => None,
                Err(_) => return,
            };
            let Some(inputs) = self.inputs.upgrade() else { return };
            if inputs.blocking_send(Input::Look(places)).is_err() {
                return;
            }
        }
    }

    /// All places that are told until a moment of rest; `None` for everything.
    fn gather(&self, first: Hint) -> Option<Vec<TreePath>> {
        let (began, mut places) = (clock::moment(), Some(BTreeSet::new()));
        self.add(&mut places, first);
        while began.elapsed() < RESTLESS_MAX {
            match self.hints.next(REST) {
                Ok(Some(hint)) => self.add(&mut places, hint),
                Ok(None) | Err(_) => break,
            }
        }
        places.map(|places| places.into_iter().collect())
    }

    fn add(&self, places: &mut Option<BTreeSet<TreePath>>, hint: Hint) {
        let place = match hint {
            Hint::Place(place) => self.in_library(&place),
            Hint::Everything => None,
            Hint::CannotWatch(error) => {
                tracing::warn!(%error, "a folder is not watched");
                None
            }
        };
        match (places.as_mut(), place) {
            (Some(known), Some(place)) if known.len() < PLACES_MAX => drop(known.insert(place)),
            _ => *places = None,
        }
    }

    fn in_library(&self, place: &TreePath) -> Option<TreePath> {
        match &self.libpath {
            None => Some(place.clone()),
            Some(libpath) => TreePath::new(format!("{}/{}", libpath.as_str(), place.as_str())).ok(),
        }
    }
}

/// Quiet for so long means that a program is done writing.
const REST: Duration = Duration::from_millis(50);
/// A folder that never rests is looked at this often.
const RESTLESS_MAX: Duration = Duration::from_secs(2);
/// A watcher may miss what no event names: everything is looked at once in this time.
const FULL_LOOK_INTERVAL: Duration = Duration::from_secs(3600);
/// More places than these, and one scan of everything is cheaper.
const PLACES_MAX: usize = 10_000;
