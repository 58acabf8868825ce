//! The folders of a library, opened as one tree: where they stand, what is left out of them, and the lock of the sync target. Invariant: a folder
//! is made and marked once, when it is new to its library; a sync target has one library, and one daemon. Absent here: the tree (`swarm-mounts`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use swarm_files::Digests;
use swarm_mounts::{MountIdentity, MountKind, MountSpec, Overlay, OverlayOptions, mark_target};
use swarm_sync::{IgnoreRules, TreePath};

use crate::library::digests::DigestQueue;
use crate::library::error::LibraryError;
use crate::library::memory::write_durably;
use crate::library::places::Root;
use crate::library::settings::LibrarySettings;
use crate::library::target_lock::TargetLock;
use crate::library::whiteouts::StoredWhiteouts;

/// What the mounts are opened with.
pub(super) struct Mounting<'a> {
    pub(super) settings: &'a LibrarySettings,
    pub(super) folder: &'a Path,
    pub(super) whiteouts: &'a Arc<StoredWhiteouts>,
    pub(super) digests: &'a Arc<DigestQueue>,
    pub(super) ignore: &'a IgnoreRules,
    pub(super) stop: &'a Arc<AtomicBool>,
}

impl Mounting<'_> {
    /// Opens the mounts. A folder that is new to this library is made and marked, and remembered: a later one at its path is another.
    pub(super) fn open(&self) -> Result<Overlay, LibraryError> {
        let known_path = self.folder.join(MOUNTS);
        let known: Vec<MountIdentity> = match std::fs::read(&known_path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| LibraryError::state(&known_path, "read")(damaged(&error)))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(LibraryError::state(&known_path, "read")(error)),
        };
        let guid = self.settings.guid.as_str();
        for mount in &self.settings.mounts {
            let is_new = !known.iter().any(|known| known.dir == mount.dir);
            if mount.kind == MountKind::SyncTarget && is_new {
                std::fs::create_dir_all(&mount.dir).map_err(LibraryError::state(&mount.dir, "make"))?;
                mark_target(&mount.dir, guid)?;
            }
        }
        let rules = self.ignore.clone();
        let ignore = move |path: &TreePath, is_folder: bool| rules.is_ignored_in_folder(path, is_folder);
        let digests: Arc<dyn Digests> = Arc::clone(self.digests) as Arc<dyn Digests>;
        let options = OverlayOptions {
            stop: Arc::clone(self.stop),
            ignore: Some(Arc::new(ignore)),
            chunk_values: Some(self.folder.join(CHUNK_VALUES)),
            known,
            digests: Some(digests),
            ..OverlayOptions::new(guid)
        };
        let whiteouts: Arc<dyn swarm_mounts::Whiteouts> =
            Arc::clone(self.whiteouts) as Arc<dyn swarm_mounts::Whiteouts>;
        let overlay = Overlay::open(self.settings.mounts.clone(), whiteouts, options)?;
        let text = serde_json::to_vec_pretty(&overlay.identities())
            .map_err(|error| LibraryError::state(&known_path, "write")(error.into()))?;
        write_durably(&known_path, &text).map_err(LibraryError::state(&known_path, "write"))?;
        Ok(overlay)
    }
}

pub(crate) fn ignore_rules(settings: &LibrarySettings) -> Result<IgnoreRules, LibraryError> {
    let bad = |error: swarm_sync::BadPattern| LibraryError::Pattern(error.to_string());
    let rules = IgnoreRules::new().with_excludes(&settings.excludes).map_err(bad)?;
    rules.with_includes(&settings.includes).map_err(bad)
}

/// What the tree of this disk is made of. Where that changes, a file that is not there any more was not deleted by anybody.
pub(super) fn sides_of(settings: &LibrarySettings) -> String {
    let mount = |mount: &MountSpec| {
        let kind = match mount.kind {
            MountKind::ReadOnly => "readonly",
            MountKind::SyncTarget => "sync",
        };
        (
            mount.dir.to_string_lossy().into_owned(),
            mount.libpath.as_ref().map(|path| path.as_str().to_owned()),
            kind,
        )
    };
    let mounts: Vec<_> = settings.mounts.iter().map(mount).collect();
    serde_json::json!([mounts, settings.includes, settings.excludes]).to_string()
}

/// The mounts as places, the sync target first.
pub(super) fn roots_of(settings: &LibrarySettings) -> Vec<Root> {
    let root = |mount: &MountSpec| Root::new(mount.libpath.clone(), mount.dir.clone());
    let (targets, others): (Vec<&MountSpec>, Vec<&MountSpec>) =
        settings.mounts.iter().partition(|mount| mount.kind == MountKind::SyncTarget);
    targets.into_iter().chain(others).map(root).collect()
}

/// The lock of the sync target that settings name.
pub(super) enum LockedTarget {
    /// It is the one that is held.
    Same,
    /// It was taken now; nothing if there is no sync target.
    Other(Option<TargetLock>),
}

impl LockedTarget {
    pub(super) fn of(
        settings: &LibrarySettings,
        folder: &Path,
        held: Option<&TargetLock>,
    ) -> Result<Self, LibraryError> {
        let target = settings.mounts.iter().find(|mount| mount.kind == MountKind::SyncTarget);
        let Some(target) = target else { return Ok(Self::Other(None)) };
        if held.is_some_and(|held| held.is_of(&target.dir)) {
            return Ok(Self::Same);
        }
        TargetLock::take(&target.dir, folder).map(|lock| Self::Other(Some(lock)))
    }
}

/// What was remembered of the folders says nothing any more.
fn damaged(error: &serde_json::Error) -> std::io::Error {
    let way_out = "see that the folders of the library are the right ones, then remove this file";
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{error}: {way_out}"))
}

const MOUNTS: &str = "mounts.json";
const CHUNK_VALUES: &str = "chunk-values";
