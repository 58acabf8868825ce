//! The blocking work before a content can be served: indexing, scanning, opening a target. Knows no network.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::Spec;
use super::saved::{Saved, SavedError, read};
use crate::base::limits::MANIFEST_FILE_LEN_MAX;
use crate::base::{Bitfield, Category, ContentId};
use crate::manifest::{Manifest, ManifestFile};
use crate::node::clock::wall_clock;
use crate::storage::{
    HashProgress, IndexCache, IndexError, IndexOptions, Opening, SeedStore, Store, StoreError, Target,
    TargetOptions, index, scan_remembering,
};

/// What opening needs beside the content itself.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    pub(super) cache_dir: PathBuf,
    pub(super) saved: Saved,
}

/// A content that can be served.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    pub(super) store: Arc<dyn Store>,
    pub(super) durable: Bitfield,
    pub(super) wanted: Bitfield,
    /// Bytes of the durable chunks.
    pub(super) present_len: u64,
    /// What is to be remembered of where it comes from.
    pub(super) spec: Spec,
}

/// Why a content cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) category: Category,
    pub(super) message: String,
}

impl Opener {
    /// Opens a content; `manifest` is one that came from peers. Blocks until everything is hashed that has to be.
    pub(super) fn open(
        &self,
        spec: Spec,
        is_configured: bool,
        manifest: Option<Manifest>,
        progress: &(dyn Fn(HashProgress) + Sync),
    ) -> Result<Opened, Refusal> {
        let cache = IndexCache::new(&self.cache_dir, wall_clock());
        match &spec {
            Spec::Paths { paths } => {
                let made = index(paths, &IndexOptions::default(), Some(&cache), progress)?;
                for skipped in &made.skipped {
                    tracing::warn!(path = %skipped.path.display(), why = ?skipped.why, "left out");
                }
                let all = Bitfield::full(made.manifest.geometry().chunk_count());
                let store = SeedStore::new(made.manifest.clone(), made.roots, all, wall_clock);
                Ok(Opened::seed(made.manifest, store, spec))
            }
            Spec::Copy { manifest: path, path: root } => {
                let manifest = read_manifest(path)?;
                let store = scanned(&manifest, root, &cache, progress)?;
                if store.good().is_empty() && manifest.geometry().chunk_count() > 0 {
                    let message = format!(
                        "`{}` holds no chunk of {}: name the folder that does",
                        root.display(),
                        path.display()
                    );
                    return Err(Refusal { category: Category::Integrity, message });
                }
                // A manifest that a user named may go away: the node keeps its own.
                let kept = if is_configured { path.clone() } else { self.saved.keep_manifest(&manifest)? };
                let spec = Spec::Copy { manifest: kept, path: root.clone() };
                Ok(Opened::seed(manifest, store, spec))
            }
            Spec::Fetch { out, is_complete, .. } => {
                let manifest = manifest.ok_or_else(Refusal::bug)?;
                if *is_complete
                    && let Ok(store) = scanned(&manifest, out, &cache, progress)
                    && store.good().is_full()
                {
                    return Ok(Opened::seed(manifest, store, spec));
                }
                self.saved.keep_manifest(&manifest)?;
                let wanted = Bitfield::full(manifest.geometry().chunk_count());
                let options = TargetOptions::default();
                let opening = Opening { progress, clock: wall_clock };
                let (store, opened) = match Target::open(out, &manifest, &wanted, &options, opening)? {
                    Target::Filled(store, opened) => (store, opened),
                    Target::Complete(store) => return Ok(Opened::seed(manifest, *store, spec)),
                };
                let durable = opened.durable;
                let present_len = len_of(&manifest, &durable);
                Ok(Opened { manifest, store, durable, wanted, present_len, spec })
            }
        }
    }

    /// A manifest of a content that is fetched, if an earlier run kept it.
    pub(super) fn known_manifest(&self, content: ContentId) -> Option<Manifest> {
        self.saved.manifest(content)
    }
}

impl Opened {
    fn seed(manifest: Manifest, store: SeedStore, spec: Spec) -> Self {
        let durable = store.good().clone();
        let (wanted, present_len) = (Bitfield::new(durable.len()), len_of(&manifest, &durable));
        Self { manifest, store: Arc::new(store), durable, wanted, present_len, spec }
    }
}

impl Refusal {
    fn bug() -> Self {
        let message = "opening a content failed: this is a bug, please report it".to_owned();
        Self { category: Category::Other, message }
    }

    /// The thread that was to open it died.
    pub(super) fn died() -> Self {
        Self::bug()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

impl From<IndexError> for Refusal {
    fn from(error: IndexError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

impl From<SavedError> for Refusal {
    fn from(error: SavedError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, Refusal> {
    let refused = |category, message| Refusal { category, message };
    let bytes = read(path, MANIFEST_FILE_LEN_MAX as u64).map_err(|error| {
        refused(Category::of_io(error.kind()), format!("cannot read `{}`: {error}", path.display()))
    })?;
    let file = ManifestFile::decode(&bytes.into())
        .map_err(|error| refused(Category::Usage, format!("{}: {error}", path.display())))?;
    Ok(file.manifest)
}

fn scanned(
    manifest: &Manifest,
    root: &Path,
    cache: &IndexCache,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<SeedStore, Refusal> {
    let found = scan_remembering(manifest, root, cache, progress)?;
    Ok(SeedStore::new(manifest.clone(), found.roots, found.good, wall_clock))
}

fn len_of(manifest: &Manifest, chunks: &Bitfield) -> u64 {
    let geometry = manifest.geometry();
    let held = geometry.chunks().filter(|chunk| chunks.contains(chunk.get()));
    held.map(|chunk| u64::from(geometry.chunk_len(chunk))).sum()
}
