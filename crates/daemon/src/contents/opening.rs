//! The blocking work for contents of libraries: which content carries a file, its manifest, its store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use swarm_core::base::{Bitfield, ByteLen, ContentId, Shown};
use swarm_core::manifest::{Manifest, library_manifest};
use swarm_files::{GatheredStore, Places};
use swarm_index::{Digest, IndexError, LibraryBook};
use swarm_library::Commit;
use swarm_sync::ContentHash;

use crate::library::{FetchedFolder, LibraryHandle, content_files};

/// Which files are to come with which content.
pub(super) type Assigned = BTreeMap<ContentId, BTreeMap<ContentHash, u64>>;

/// What is needed to serve a content.
pub(super) struct Served {
    pub(super) manifest: Manifest,
}

/// A store, and what it has.
pub(super) struct Opened {
    pub(super) store: GatheredStore,
    pub(super) durable: Bitfield,
    pub(super) wanted: Bitfield,
}

/// Chooses a content for each file: one that is fetched already, otherwise that of the latest commit.
pub(super) fn assign(
    index: &Path,
    wanted: &BTreeMap<ContentHash, u64>,
    fetched: &BTreeSet<ContentId>,
) -> Assigned {
    let mut assigned = Assigned::new();
    let found = LibraryBook::open(index).and_then(|book| {
        for (hash, len) in wanted {
            let carriers = book.carriers_of(hash)?;
            let chosen =
                carriers.iter().find(|content| fetched.contains(content) || assigned.contains_key(content));
            if let Some(content) = chosen.or(carriers.first()).copied() {
                assigned.entry(content).or_default().insert(*hash, *len);
            }
        }
        Ok(())
    });
    if let Err(error) = found {
        tracing::warn!(%error, "cannot look up which commits carry what is wanted");
    }
    assigned
}

/// The manifest of a commit's content; `None` if this node cannot make it.
pub(super) fn manifest_of(index: &Path, content: ContentId) -> Option<Served> {
    let made = || -> Result<Option<Manifest>, IndexError> {
        let book = LibraryBook::open(index)?;
        if let Some(body) = book.manifest(&content)? {
            return Ok(Manifest::decode(body).ok().filter(|manifest| manifest.id() == content));
        }
        made_manifest(&book, content)
    };
    match made() {
        Ok(manifest) => manifest.map(|manifest| Served { manifest }),
        Err(error) => {
            tracing::warn!(%error, "cannot read the commit of a content");
            None
        }
    }
}

/// The manifest of a content, from the records of its commit and the chunks that are known here.
fn made_manifest(book: &LibraryBook, content: ContentId) -> Result<Option<Manifest>, IndexError> {
    let Some(bytes) = book.commit_of_content(&content)? else { return Ok(None) };
    let records = Commit::decode(bytes).ok().and_then(|commit| commit.records().ok());
    let carried = content_files(book, &records.unwrap_or_default())?;
    Ok(library_manifest(carried.files).ok().filter(|manifest| manifest.id() == content))
}

/// Opens the store of a content; what is `wanted` and not here is fetched.
///
/// # Errors
/// Why not, for people: the disk has no room, or another store of the content is still open.
pub(super) fn open(
    handle: &LibraryHandle,
    manifest: Manifest,
    wanted: BTreeSet<ContentHash>,
) -> Result<Opened, String> {
    let fetched = handle.fetched.borrow().clone();
    let places: Arc<dyn Places> = Arc::clone(&handle.places) as Arc<dyn Places>;
    // Without a sync target nothing is wanted, and nothing is written.
    let takes_all = *handle.is_mirror.borrow();
    let is_wanted = |hash: &ContentHash| fetched.is_some() && (takes_all || wanted.contains(hash));
    let manifest = if manifest.is_sealed() {
        handle.keys.opened(manifest).ok_or("a sealed content is none of a library")?
    } else {
        manifest
    };
    let FetchedFolder { dir, min_free } = fetched.clone().unwrap_or_default();
    check_is_inside(&dir)?;
    let geometry = manifest.geometry().clone();
    let opened = GatheredStore::open(manifest, &is_wanted, places, &dir, wall_clock);
    let (store, gathered) = opened.map_err(|error| error.to_string())?;
    let is_lacking = |chunk: u32| gathered.wanted.contains(chunk) && !gathered.durable.contains(chunk);
    let lacking = geometry.chunks().filter(|chunk| is_lacking(chunk.get()));
    let len: u64 = lacking.map(|chunk| u64::from(geometry.chunk_len(chunk))).sum();
    if len > 0 {
        check_free(&dir, len, min_free)?;
    }
    Ok(Opened { store, durable: gathered.durable, wanted: gathered.wanted })
}

/// Contents whose folders may be written to. A content is in it before its store is opened, and a folder is put aside while this is held: so no
/// folder goes that a fetch has just begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<Mutex<BTreeSet<ContentId>>>);

impl Used {
    /// A content is taken up.
    pub(super) fn begin(&self, content: ContentId) {
        self.lock().insert(content);
    }

    /// A content is given up.
    pub(super) fn end(&self, content: &ContentId) {
        self.lock().remove(content);
    }

    /// These alone are used now, and what is taken up from now on.
    pub(super) fn set(&self, contents: BTreeSet<ContentId>) {
        *self.lock() = contents;
    }

    /// Puts the folder of a content aside, unless that is used.
    fn put_aside(&self, folder: &Path, content: &ContentId) -> Option<PathBuf> {
        let used = self.lock();
        let aside = folder.with_file_name(format!("{content}{ASIDE}"));
        (!used.contains(content) && std::fs::rename(folder, &aside).is_ok()).then_some(aside)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ContentId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the folders of contents that are not used. What cannot be removed now is removed another time.
pub(super) fn remove_leftovers(fetched: &Path, used: &Used) {
    let Ok(folders) = std::fs::read_dir(fetched) else { return };
    remove_unused(folders.filter_map(|folder| Some(folder.ok()?.path())), used);
}

fn remove_unused(folders: impl Iterator<Item = PathBuf>, used: &Used) {
    for folder in folders {
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        let content = |name: &str| name.parse::<ContentId>().ok();
        // One that an earlier process put aside is there still.
        let is_aside = name.strip_suffix(ASIDE).is_some_and(|name| content(name).is_some());
        let aside = if is_aside {
            Some(folder)
        } else {
            content(name).and_then(|content| used.put_aside(&folder, &content))
        };
        if let Some(aside) = aside {
            let _ = std::fs::remove_dir_all(aside);
        }
    }
}

/// How the name of a folder ends that is being removed.
const ASIDE: &str = ".left";

/// Removes what came of one content that nobody wants here, unless it is taken up again.
pub(super) fn remove_leftover(fetched: &Path, content: ContentId, used: &Used) {
    let folder = fetched.join(content.to_string());
    if check_is_inside(&folder).is_ok() {
        remove_unused(std::iter::once(folder), used);
    }
}

/// A link in the place of the folder would lead out of the library.
pub(crate) fn check_is_inside(dir: &Path) -> Result<(), String> {
    let is_link = |path: &&Path| path.symlink_metadata().is_ok_and(|found| found.is_symlink());
    match std::iter::once(dir).chain(dir.parent()).find(is_link) {
        Some(link) => Err(format!("`{}` is a symbolic link: remove it", Shown(link))),
        None => Ok(()),
    }
}

/// Whether so much may be written to the disk of a folder.
pub(crate) fn check_free(dir: &Path, len: u64, min_free: u64) -> Result<(), String> {
    // A disk that does not tell is as good as one with room: writing tells.
    let Ok(stat) = rustix::fs::statvfs(dir) else { return Ok(()) };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= len.saturating_add(min_free) {
        return Ok(());
    }
    let (dir, len, free) = (Shown(dir), ByteLen(len), ByteLen(free));
    Err(match min_free {
        0 => format!("no space is left in `{dir}` for {len} that are to come, {free} are free: make space"),
        _ => {
            let min_free = ByteLen(min_free);
            format!(
                "`{dir}` has {free} free, {len} are to come, and {min_free} stay free: make space, or lower minFree"
            )
        }
    })
}

/// Remembers of a manifest that peers sent what this node needs to serve the content later: chunk values of long files, or all of one that
/// cannot be made from records, as that of a sealed content, or of one whose author did not know all chunks.
pub(super) fn remember_chunks(index: &Path, manifest: &Manifest) {
    let remembered = || -> Result<(), IndexError> {
        let mut book = LibraryBook::open(index)?;
        if !manifest.is_sealed() {
            book.learn_chunks(&chunks_of(manifest))?;
            if made_manifest(&book, manifest.id())?.is_some() {
                return Ok(());
            }
        }
        book.put_manifest(&manifest.id(), manifest.body())
    };
    if let Err(error) = remembered() {
        tracing::warn!(%error, "cannot remember what a content is served by");
    }
}

fn chunks_of(manifest: &Manifest) -> Vec<(ContentHash, Digest)> {
    let long = manifest.files().iter().filter(|file| !file.chunk_hashes.is_empty());
    long.map(|file| {
        let digest = Digest { sha256: None, chunk_hashes: file.chunk_hashes.to_vec() };
        (ContentHash(file.blake3), digest)
    })
    .collect()
}

fn wall_clock() -> SystemTime {
    swarm_node::clock::wall_clock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_a_fetch_makes_while_leftovers_are_looked_for_stays() {
        let fetched = tempfile::tempdir().expect("a folder");
        let content = |number: u8| ContentId::from_bytes([number; 32]);
        let place = |number: u8| fetched.path().join(content(number).to_string());
        (1..=3).for_each(|number| std::fs::create_dir_all(place(number).join("part")).expect("a place"));
        std::fs::create_dir(fetched.path().join("of somebody")).expect("a place");
        std::fs::create_dir_all(fetched.path().join(format!("{}{ASIDE}", content(4)))).expect("a place");
        let used = Used::default();
        used.set(BTreeSet::from([content(1)]));
        let folders = std::fs::read_dir(fetched.path()).expect("it is there");
        let listed: Vec<PathBuf> = folders.map(|folder| folder.expect("it is there").path()).collect();
        // The fetch of a second content begins when its folder was listed already.
        let listing = listed.into_iter().inspect(|_| used.begin(content(2)));
        remove_unused(listing, &used);
        assert!(place(1).join("part").is_dir() && place(2).join("part").is_dir() && !place(3).exists());
        let left = std::fs::read_dir(fetched.path()).expect("it is there").count();
        assert_eq!(left, 3, "two that are used, and what is no content");
    }
}
