//! The blocking work before a content can be served: indexing, scanning, opening a target. Knows no network.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content_key::{ContentKeyError, lasting_content_key_in};
use super::contents::{FetchSpec, Spec};
use super::saved::{Saved, SavedError, read};
use crate::jobs::{
    CopyError, FolderPlan, OpenedTarget, Selection, SelectionError, len_of, open_copy, open_folder, scanned,
};
use swarm_core::base::limits::MANIFEST_FILE_LEN_MAX;
use swarm_core::base::{Bitfield, Category, ContentId, Shown};
use swarm_core::manifest::{Manifest, ManifestFile, SealError};
use swarm_files::{
    HashProgress, Index, IndexCache, IndexError, IndexOptions, SeedStore, Skipped, Store, StoreError, index,
};
use swarm_node::clock::wall_clock;

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
    /// For people: what was left out, and what not all systems can store.
    pub(super) remarks: Vec<String>,
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
            Spec::Paths { paths, skip_unportable } => {
                let options = IndexOptions { skip_unportable: *skip_unportable, ..IndexOptions::default() };
                let made = index(paths, &options, Some(&cache), progress)?;
                let remarks = remarks_on(&made);
                let all = Bitfield::full(made.manifest.geometry().chunk_count());
                let store = SeedStore::new(made.manifest.clone(), made.roots, all, wall_clock);
                Ok(Opened { remarks, ..Opened::seed(made.manifest, store, spec) })
            }
            Spec::Copy { manifest: path, path: root } => {
                let manifest = read_manifest(path)?;
                let store = open_copy((&manifest, path), root, Some(&cache), progress)?;
                // A manifest that a user named may go away: the node keeps its own.
                let kept = if is_configured { path.clone() } else { self.saved.keep_manifest(&manifest)? };
                let spec = Spec::Copy { manifest: kept, path: root.clone() };
                Ok(Opened::seed(manifest, store, spec))
            }
            Spec::Fetch(fetch) => {
                let manifest = manifest.ok_or_else(Refusal::bug)?;
                let manifest = match &fetch.content_key {
                    Some(path) => manifest.opened(&lasting_content_key_in(path)?)?,
                    None => manifest,
                };
                open_fetch(&self.saved, fetch, manifest, &cache, progress)
            }
        }
    }

    /// A manifest of a content that is fetched, if an earlier run kept it.
    pub(super) fn known_manifest(&self, content: ContentId) -> Option<Manifest> {
        self.saved.manifest(content)
    }
}

impl Opened {
    /// Bytes of the chunks that are here or are to come.
    pub(super) fn complete_len(&self) -> u64 {
        let mut all = self.durable.clone();
        self.wanted.iter().for_each(|chunk| {
            all.insert(chunk);
        });
        len_of(&self.manifest, &all)
    }

    fn seed(manifest: Manifest, store: SeedStore, spec: Spec) -> Self {
        let durable = store.good().clone();
        let (wanted, present_len) = (Bitfield::new(durable.len()), len_of(&manifest, &durable));
        Self { manifest, store: Arc::new(store), durable, wanted, present_len, spec, remarks: Vec::new() }
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

impl From<SelectionError> for Refusal {
    fn from(error: SelectionError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

impl From<SealError> for Refusal {
    fn from(error: SealError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

impl From<ContentKeyError> for Refusal {
    fn from(error: ContentKeyError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

impl From<CopyError> for Refusal {
    fn from(error: CopyError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

impl From<SavedError> for Refusal {
    fn from(error: SavedError) -> Self {
        Self { category: error.category(), message: error.to_string() }
    }
}

/// Logs what was left out and what not all systems can store; returns the first of it for an answer.
fn remarks_on(made: &Index) -> Vec<String> {
    for skipped in &made.skipped {
        tracing::warn!(path = %Shown(&skipped.path), why = %skipped.why, "left out");
    }
    let line = |skipped: &Skipped| format!("skipped `{}`: {}", Shown(&skipped.path), skipped.why);
    let mut remarks: Vec<String> = made.skipped.iter().take(REMARKS_MAX).map(line).collect();
    if made.skipped.len() > REMARKS_MAX {
        remarks.push(format!("skipped {} more: see the node's log", made.skipped.len() - REMARKS_MAX));
    }
    if !made.windows_names.is_empty() {
        tracing::warn!(names = %made.windows_names, "not all systems can store this content");
        remarks.push(format!("warning: {}", made.windows_names));
    }
    remarks
}

fn read_manifest(path: &Path) -> Result<Manifest, Refusal> {
    let refused = |category, message| Refusal { category, message };
    let bytes = read(path, MANIFEST_FILE_LEN_MAX as u64).map_err(|error| {
        refused(Category::of_io(error.kind()), format!("cannot read `{}`: {error}", Shown(&path)))
    })?;
    let file = ManifestFile::decode(&bytes.into())
        .map_err(|error| refused(Category::Usage, format!("{}: {error}", Shown(&path))))?;
    Ok(file.manifest)
}

/// Opens the folder of a fetch: as it stands if it was complete once and still is, otherwise to be filled.
fn open_fetch(
    saved: &Saved,
    fetch: &FetchSpec,
    manifest: Manifest,
    cache: &IndexCache,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Opened, Refusal> {
    let chosen = Selection::new(&fetch.include)?.choose(&manifest)?;
    let spec = Spec::Fetch(fetch.clone());
    if fetch.is_complete
        && let Ok(store) = scanned(&manifest, &fetch.out, Some(cache), progress)
        && !chosen.chunks(&manifest).has_beyond(store.good())
    {
        return Ok(Opened::seed(manifest, store, spec));
    }
    saved.keep_manifest(&manifest)?;
    let unmatched = |pattern: &String| format!("`{}` matches nothing", Shown(pattern));
    let remarks = chosen.unmatched.iter().map(unmatched).collect();
    let folder = FolderPlan { out: fetch.out.clone(), overwrite: false, verify_at_end: false };
    let opened = open_folder(&folder, &manifest, chosen, None, progress)?;
    let OpenedTarget { store, durable, mut wanted, is_whole, left_out, .. } = opened;
    if is_whole {
        // There is nothing to fetch: it is served as it is.
        wanted = Bitfield::new(wanted.len());
    }
    for left_out in &left_out {
        tracing::warn!(out = %Shown(&fetch.out), "left out: {left_out}");
    }
    let present_len = len_of(&manifest, &durable);
    Ok(Opened { manifest, store, durable, wanted, present_len, spec, remarks })
}

/// Lines of one answer on the control socket about what was left out.
const REMARKS_MAX: usize = 20;
