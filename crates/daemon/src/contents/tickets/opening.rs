//! The blocking work before bytes of a ticket's content are asked for: which of its files are wanted, whether they may go where they are to, and a store
//! that takes them. Invariant: the store is below `.swarm` of the sync target, so that what is complete is renamed to its place.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm_core::base::{Bitfield, ContentId, Shown};
use swarm_core::manifest::{EntryPath, Manifest};
use swarm_files::{Opening, Store, StoreError, Target, TargetOptions};
use swarm_sync::TreePath;

use super::given::{Given, GivenFault};
use super::landing::{LandingFault, path_in};
use crate::contents::opening::{check_free, check_is_inside};
use crate::library::{ReadError, WrittenPart};

/// What is wanted of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Files, and folders without entries (false), by path.
    pub(super) entries: Vec<(EntryPath, bool)>,
    pub(super) chunks: Bitfield,
    /// Bytes of the files.
    pub(crate) len: u64,
    unwanted_empty: BTreeSet<EntryPath>,
}

/// A store that is open.
pub(in crate::contents) struct TicketOpened {
    pub(super) store: Arc<dyn Store>,
    pub(super) durable: Bitfield,
    pub(super) wanted: Bitfield,
    pub(super) chosen: Chosen,
    /// Where its first file is to go.
    pub(super) path: Option<TreePath>,
    /// Bytes that lack.
    pub(super) lacking_len: u64,
}

/// Why it cannot be fetched to its place; for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpeningFault {
    #[error(transparent)]
    Given(#[from] GivenFault),
    #[error("the content has no file `{}`: choose of those that it has", Shown(.0))]
    NoFile(String),
    #[error("the content has no files")]
    Nothing,
    #[error("{0}")]
    Path(String),
    #[error(transparent)]
    Place(#[from] ReadError),
    #[error("the disk cannot hold `{0}`: choose other files of the content")]
    LeftOut(EntryPath),
    #[error("{0}")]
    Room(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpeningFault {
    /// Whether it stays so until somebody does something about it.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Given(_) | Self::NoFile(_) | Self::Nothing | Self::Path(_) | Self::LeftOut(_) => true,
            Self::Place(_) | Self::Room(_) | Self::Store(_) => false,
        }
    }
}

impl From<LandingFault> for OpeningFault {
    fn from(fault: LandingFault) -> Self {
        match fault {
            LandingFault::Place(error) => Self::Place(error),
            fault => Self::Path(fault.to_string()),
        }
    }
}

impl Chosen {
    /// Of all files, or of those that are named, or stand below a folder that is.
    ///
    /// # Errors
    /// A name is of no file.
    pub(crate) fn of(manifest: &Manifest, names: &[String]) -> Result<Self, OpeningFault> {
        let named = |name: &str, path: &EntryPath| {
            let rest = path.as_str().strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let names: Vec<&str> = names.iter().map(|name| name.trim_end_matches('/')).collect();
        let all = || manifest.files().iter().map(|file| &file.path).chain(manifest.empty_directories());
        if let Some(unknown) = names.iter().find(|name| !all().any(|path| named(name, path))) {
            return Err(OpeningFault::NoFile((*unknown).to_owned()));
        }
        let is_wanted = |path: &EntryPath| names.is_empty() || names.iter().any(|name| named(name, path));
        let geometry = manifest.geometry();
        let mut chunks = Bitfield::new(geometry.chunk_count());
        let (mut entries, mut len) = (Vec::new(), 0_u64);
        let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
        for index in files.filter(|index| is_wanted(&manifest.file(*index).path)) {
            let file = manifest.file(index);
            entries.push((file.path.clone(), true));
            len = len.saturating_add(file.len);
            for chunk in geometry.file_chunk_range(index) {
                chunks.insert(chunk);
            }
        }
        let folders = manifest.empty_directories().iter();
        entries.extend(folders.filter(|path| is_wanted(path)).map(|path| (path.clone(), false)));
        if entries.is_empty() {
            return Err(OpeningFault::Nothing);
        }
        let empty = manifest.files().iter().filter(|file| file.len == 0).map(|file| &file.path);
        let empty = empty.chain(manifest.empty_directories());
        let unwanted_empty = empty.filter(|path| !is_wanted(path)).cloned().collect();
        Ok(Self { entries, chunks, len, unwanted_empty })
    }

    /// Checks that everything may go below a folder of a library. The path of the first entry there.
    ///
    /// # Errors
    /// Something has no place there.
    pub(crate) fn check_places(
        &self,
        written: &WrittenPart,
        folder: Option<&TreePath>,
    ) -> Result<Option<TreePath>, OpeningFault> {
        let mut first = None;
        for (entry, _) in &self.entries {
            let path = path_in(folder, entry)?;
            let (_, relative) = written.place_for(&path)?;
            if swarm_files::is_ours(&relative) {
                return Err(OpeningFault::Path(format!(
                    "`{entry}` would stand in `.swarm`, which holds what is kept of the library: choose a folder for it"
                )));
            }
            first = first.or(Some(path));
        }
        Ok(first)
    }

    /// How many files it is.
    pub(crate) fn files(&self) -> u64 {
        self.entries.iter().filter(|(_, is_file)| *is_file).count() as u64
    }

    /// Its first files, with their lengths.
    pub(crate) fn first<'a>(&self, manifest: &'a Manifest, count: usize) -> Vec<(&'a str, u64)> {
        let is_chosen = |path: &EntryPath| self.entries.binary_search(&(path.clone(), true)).is_ok();
        let files = manifest.files().iter().filter(|file| is_chosen(&file.path));
        files.take(count).map(|file| (file.path.as_str(), file.len)).collect()
    }

    /// Runs of its chunks.
    pub(super) fn runs(&self) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for chunk in self.chunks.iter() {
            match runs.last_mut().filter(|run| run.end == chunk) {
                Some(run) => run.end += 1,
                None => runs.push(chunk..chunk + 1),
            }
        }
        runs
    }
}

/// Where a content is fetched into, below `.swarm` of the sync target.
pub(super) fn place_of(content: &ContentId) -> PathBuf {
    Path::new(FOLDER).join(content.to_string())
}

/// The same, as a whole path.
pub(super) fn folder_of(written: &WrittenPart, content: &ContentId) -> Result<PathBuf, ReadError> {
    Ok(written.dir()?.join(swarm_sync::STATE_FOLDER_NAME).join(place_of(content)))
}

/// Opens a store for what is wanted; `reserved` bytes are to come by other fetches.
pub(super) fn open(
    written: &WrittenPart,
    given: &Given,
    manifest: Manifest,
    names: &[String],
    (folder, reserved): (Option<&TreePath>, u64),
) -> Result<TicketOpened, OpeningFault> {
    let manifest = given.readable(manifest)?;
    let chosen = Chosen::of(&manifest, names)?;
    let path = chosen.check_places(written, folder)?;
    let dir = folder_of(written, &given.content)?;
    // None of `.swarm`, `tickets` and the folder itself is a link.
    check_is_inside(&dir)
        .and_then(|()| check_is_inside(dir.parent().unwrap_or(&dir)))
        .map_err(OpeningFault::Path)?;
    let options = TargetOptions { overwrite: false, unwanted_empty: chosen.unwanted_empty.clone() };
    let opening = Opening { progress: &|_| {}, clock: swarm_node::clock::wall_clock };
    let opened = Target::open(&dir, &manifest, &chosen.chunks, &options, opening)?;
    let (store, durable, wanted): (Arc<dyn Store>, _, _) = match opened {
        Target::Filled(_, opened) if !opened.left_out.is_empty() => {
            let first = opened.left_out.into_iter().next();
            return Err(first.map_or(OpeningFault::Nothing, |entry| OpeningFault::LeftOut(entry.path)));
        }
        Target::Filled(store, opened) => (Arc::new(*store), opened.durable, opened.wanted),
        Target::Complete(store) => {
            let durable = store.good().clone();
            (Arc::new(*store), durable, chosen.chunks.clone())
        }
    };
    let geometry = manifest.geometry();
    let lacks = |chunk: &u32| !durable.contains(*chunk);
    let lens = wanted.iter().filter(lacks).filter_map(|chunk| geometry.chunk(chunk));
    let lacking_len: u64 = lens.map(|chunk| u64::from(geometry.chunk_len(chunk))).sum();
    if lacking_len > 0 {
        let len = lacking_len.saturating_add(reserved);
        check_free(&dir, len, written.min_free()).map_err(OpeningFault::Room)?;
    }
    Ok(TicketOpened { store, durable, wanted, chosen, path, lacking_len })
}

/// Removes what came of a content, by a name that no fetch uses.
pub(super) fn remove(written: &WrittenPart, content: &ContentId) {
    let Ok(dir) = folder_of(written, content) else { return };
    let aside = dir.with_extension(ASIDE);
    if dir.parent().is_some_and(|parent| check_is_inside(parent).is_ok())
        && std::fs::rename(&dir, &aside).is_ok()
    {
        // What cannot be removed now is removed at another start.
        let _ = std::fs::remove_dir_all(&aside);
    }
}

/// Removes what is left of contents that are not fetched.
pub(super) fn remove_all_but(written: &WrittenPart, kept: &BTreeSet<ContentId>) {
    let Ok(target) = written.dir() else { return };
    let folder = target.join(swarm_sync::STATE_FOLDER_NAME).join(FOLDER);
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    if check_is_inside(&folder).is_err() {
        return;
    }
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_left = name.strip_suffix(ASIDE).and_then(|name| name.strip_suffix('.'));
        if is_left.is_some_and(|name| name.parse::<ContentId>().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        } else if let Some(content) = name.parse().ok().filter(|content| !kept.contains(content)) {
            remove(written, &content);
        }
    }
}

/// How the name of a folder ends that is being removed.
const ASIDE: &str = "left";
/// Below `.swarm` of a sync target.
const FOLDER: &str = "tickets";

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use swarm_core::manifest::File;
    use swarm_mounts::{MountKind, MountSpec};

    use super::*;

    fn entry(path: &str) -> EntryPath {
        EntryPath::new(path).expect("a path")
    }

    /// A content of short files and an empty folder.
    fn manifest(paths: &[&str]) -> Manifest {
        let file = |path: &&str| {
            let (blake3, chunk_hashes) = (blake3::hash(path.as_bytes()).into(), Bytes::new());
            let len = path.len() as u64;
            File {
                path: entry(path),
                len,
                executable: false,
                blake3,
                sha256: None,
                chunk_len_log2: 0,
                chunk_hashes,
            }
        };
        Manifest::new(paths.iter().map(file).collect(), vec![entry("top/empty")]).expect("a manifest")
    }

    fn chosen(names: &[&str]) -> Result<Chosen, OpeningFault> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Chosen::of(&manifest(&["top/a", "top/b", "top/sub/c", "top/subway"]), &names)
    }

    #[test]
    fn files_and_folders_are_chosen_by_name_and_all_without_one() {
        let check = |names: &[&str], entries: &[&str], runs: &[(u32, u32)]| {
            let chosen = chosen(names).expect("they are there");
            let found: Vec<&str> = chosen.entries.iter().map(|(path, _)| path.as_str()).collect();
            let found_runs: Vec<(u32, u32)> = chosen.runs().iter().map(|run| (run.start, run.end)).collect();
            assert_eq!((found.as_slice(), found_runs.as_slice()), (entries, runs), "{names:?}");
        };
        check(&[], &["top/a", "top/b", "top/sub/c", "top/subway", "top/empty"], &[(0, 4)]);
        check(&["top/sub/"], &["top/sub/c"], &[(2, 3)]);
        check(&["top/a", "top/subway"], &["top/a", "top/subway"], &[(0, 1), (3, 4)]);
        check(&["top/empty"], &["top/empty"], &[]);
        let unknown = chosen(&["top/a", "top/su"]).expect_err("none has that name").to_string();
        assert!(unknown.contains("`top/su`"), "{unknown}");
        assert_eq!(chosen(&["top/a"]).expect("it is there").unwanted_empty.len(), 1);
    }

    #[test]
    fn nothing_goes_where_the_library_is_not_written() {
        let path = |text: &str| TreePath::new(text).expect("a path");
        let mount = |libpath: Option<&str>, kind| MountSpec {
            dir: "/nowhere".into(),
            libpath: libpath.map(path),
            kind,
            min_free: 0,
        };
        let mounts = [mount(None, MountKind::SyncTarget), mount(Some("scans"), MountKind::ReadOnly)];
        let written = WrittenPart::of(&mounts);
        let all = chosen(&[]).expect("all");
        let found = all.check_places(&written, Some(&path("films"))).expect("it is written");
        assert_eq!(found, Some(path("films/top/a")));
        assert!(all.check_places(&written, Some(&path("scans/new"))).is_err(), "of another mount");
        assert!(all.check_places(&WrittenPart::of(&[]), None).is_err(), "there is no sync target");
        let ours = Chosen::of(&manifest(&[".swarm/mount"]), &[".swarm".to_owned()]).expect("it is there");
        let fault = ours.check_places(&written, None).expect_err("it is ours").to_string();
        assert!(fault.contains("choose a folder"), "{fault}");
        assert!(ours.check_places(&written, Some(&path("films"))).is_ok(), "only the one at the top is ours");
    }
}
