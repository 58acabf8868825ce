//! A copy of a content on this machine, whole or in part, that is served where it is. The one place where such a copy is opened.

use std::path::{Path, PathBuf};

use swarm_core::base::{Category, Shown};
use swarm_core::manifest::Manifest;
use swarm_files::{HashProgress, IndexCache, SeedStore, StoreError, scan, scan_remembering};
use swarm_node::clock::wall_clock;

/// Why a copy cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing of it is right.
    #[error("`{}` holds no chunk of {}: name the folder that does", Shown(.root), Shown(.manifest))]
    Nothing {
        /// The folder, or the only file.
        root: PathBuf,
        /// The manifest file that was compared.
        manifest: PathBuf,
    },
}

impl CopyError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Store(error) => error.category(),
            Self::Nothing { .. } => Category::Integrity,
        }
    }
}

/// Opens what `root` holds of a content. Blocks until all of it is hashed, but for files that `cache` remembers unchanged.
///
/// # Errors
/// If it cannot be read, or no chunk of it is right; `named` is the manifest's file, for the message.
pub fn open_copy(
    (manifest, named): (&Manifest, &Path),
    root: &Path,
    cache: Option<&IndexCache>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<SeedStore, CopyError> {
    let store = scanned(manifest, root, cache, progress)?;
    if store.good().is_empty() && manifest.geometry().chunk_count() > 0 {
        return Err(CopyError::Nothing { root: root.to_owned(), manifest: named.to_owned() });
    }
    Ok(store)
}

/// As [`open_copy`]; a copy without a single right chunk is no error.
pub(crate) fn scanned(
    manifest: &Manifest,
    root: &Path,
    cache: Option<&IndexCache>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<SeedStore, StoreError> {
    let found = match cache {
        Some(cache) => scan_remembering(manifest, root, cache, progress),
        None => scan(manifest, root, progress),
    }?;
    Ok(SeedStore::new(manifest.clone(), found.roots, found.good, wall_clock))
}
