//! What lies below the paths that are to be indexed: names, lengths and stamps; no hashing. Links and special files inside a
//! tree are left out and named; a path given by the user that is one is an error.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use walkdir::WalkDir;

use super::hashing::Stamp;
use super::index::IndexError;
use super::unfinished::Unfinished;
use swarm_core::base::Shown;
use swarm_core::base::limits::FILES_MAX;
use swarm_core::manifest::{EntryPath, ManifestError};

/// Something in a tree that no content can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub why: SkippedWhy,
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkippedWhy {
    /// A symbolic link.
    #[error("a symbolic link")]
    Symlink,
    /// A device, socket or pipe.
    #[error("not a file or folder")]
    Special,
    /// A file that holds data and says that it is empty, as those of /proc do: how much to serve is not known.
    #[error("it says that it is empty, and holds data: copy it to a file and seed that")]
    NoLength,
    /// It belongs to a fetch that is not finished.
    #[error("a fetch that is not finished keeps it; fetch with --keep-seeding to serve what is there")]
    Unfinished,
    /// The caller asked for that.
    #[error("the manifest is written there, and is no part of its content")]
    LeftOut,
    /// Its name is not text.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// Its path breaks a rule of manifests.
    #[error("{0}")]
    Name(&'static str),
    /// Another entry has this name already, where case or Unicode form does not count.
    #[error("where case or Unicode form does not count, it is one name with `{}`", Shown(.0))]
    SameName(String),
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entry: EntryPath,
    pub(super) path: PathBuf,
    /// Index of the path given by the user that it lies below.
    pub(super) root: usize,
    pub(super) stamp: Stamp,
    pub(super) executable: bool,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Found>,
    pub(super) empty_directories: Vec<EntryPath>,
    pub(super) skipped: Vec<Skipped>,
    /// What no content can hold because of its name, with all that is below it.
    pub(super) unusable: Vec<Skipped>,
    /// The paths given, absolute.
    pub(super) roots: Vec<PathBuf>,
    /// The name of each, and the folder that holds it.
    pub(super) tops: BTreeMap<String, PathBuf>,
    /// Files in folders that are to be passed over.
    left_out: Vec<PathBuf>,
    unfinished: Unfinished,
}

/// Walks all paths. `left_out` are files that are passed over where a folder holds them.
pub(super) fn walk(paths: &[PathBuf], left_out: &[PathBuf]) -> Result<Walked, IndexError> {
    // Whatever is not there is in no folder either.
    let left_out = left_out.iter().filter_map(|path| absolute(path).ok()).collect();
    let mut walked = Walked { left_out, ..Walked::default() };
    for path in paths {
        let root = absolute(path)?;
        let (Some(name), Some(parent)) = (root.file_name(), root.parent()) else {
            return Err(IndexError::NoName { path: path.clone() });
        };
        let Some(name) = walked.usable(name.to_str(), &root) else { continue };
        let text = name.as_str().to_owned();
        if walked.tops.insert(text.clone(), parent.to_owned()).is_some() {
            return Err(IndexError::SameName { path: path.clone(), name: Shown(text).to_string() });
        }
        walked.roots.push(root.clone());
        let metadata = std::fs::symlink_metadata(&root).map_err(IndexError::disk(path, "stat"))?;
        if metadata.is_dir() {
            walked.walk_tree(&root, name.as_str())?;
        } else if metadata.is_file() && hides_data(&root, &metadata)? {
            return Err(IndexError::NoLength { path: path.clone() });
        } else if metadata.is_file() {
            walked.take_file(name, root, &metadata)?;
        } else if metadata.is_symlink() {
            return Err(IndexError::Symlink { path: path.clone() });
        } else {
            return Err(IndexError::Special { path: path.clone() });
        }
    }
    Ok(walked)
}

impl Walked {
    fn walk_tree(&mut self, root: &Path, name: &str) -> Result<(), IndexError> {
        // A fetch writes its journal at the top of what it fetches into.
        root.ancestors().skip(1).for_each(|folder| self.unfinished.look_into(folder));
        // Folders above the one being walked, each with whether it holds anything.
        let mut open: Vec<(EntryPath, bool)> = Vec::new();
        let mut walk = WalkDir::new(root).follow_links(false).sort_by_file_name().into_iter();
        while let Some(item) = walk.next() {
            let item = item.map_err(|error| IndexError::from_walk(root, error))?;
            while open.len() > item.depth() {
                self.close(open.pop());
            }
            let (path, kind) = (item.path(), item.file_type());
            if let Some(why) = self.why_passed_over(path).filter(|_| kind.is_file()) {
                self.skipped.push(Skipped { path: path.to_owned(), why });
                continue;
            }
            if !kind.is_dir() && !kind.is_file() {
                let why = if kind.is_symlink() { SkippedWhy::Symlink } else { SkippedWhy::Special };
                self.skipped.push(Skipped { path: path.to_owned(), why });
                continue;
            }
            let Some(entry) = self.usable(text_below(root, name, path).as_deref(), path) else {
                if kind.is_dir() {
                    walk.skip_current_dir();
                }
                continue;
            };
            if kind.is_dir() {
                self.unfinished.look_into(path);
                mark_holding(&mut open);
                open.push((entry, false));
                continue;
            }
            let metadata = item.metadata().map_err(|error| IndexError::from_walk(root, error))?;
            if hides_data(path, &metadata)? {
                self.skipped.push(Skipped { path: path.to_owned(), why: SkippedWhy::NoLength });
                continue;
            }
            mark_holding(&mut open);
            self.take_file(entry, path.to_owned(), &metadata)?;
        }
        while let Some(folder) = open.pop() {
            self.close(Some(folder));
        }
        Ok(())
    }

    fn why_passed_over(&self, path: &Path) -> Option<SkippedWhy> {
        if self.left_out.iter().any(|left_out| left_out == path) {
            return Some(SkippedWhy::LeftOut);
        }
        self.unfinished.has(path).then_some(SkippedWhy::Unfinished)
    }

    /// The path that an entry has in the content; noted as unusable if it can have none.
    fn usable(&mut self, text: Option<&str>, path: &Path) -> Option<EntryPath> {
        let entry = text.ok_or(SkippedWhy::NotUtf8);
        let entry =
            entry.and_then(|text| EntryPath::new(text).map_err(|error| SkippedWhy::Name(error.why())));
        entry.map_err(|why| self.unusable.push(Skipped { path: path.to_owned(), why })).ok()
    }

    fn close(&mut self, folder: Option<(EntryPath, bool)>) {
        if let Some((entry, false)) = folder {
            self.empty_directories.push(entry);
        }
    }

    fn take_file(&mut self, entry: EntryPath, path: PathBuf, metadata: &Metadata) -> Result<(), IndexError> {
        if self.files.len() >= FILES_MAX {
            return Err(ManifestError::TooManyFiles.into());
        }
        let executable = metadata.permissions().mode() & 0o100 != 0;
        let root = self.roots.len() - 1;
        self.files.push(Found { entry, path, root, stamp: Stamp::of_metadata(metadata), executable });
        Ok(())
    }
}

/// Whether a file that says it is empty is not, or does not tell. Only reading shows it.
fn hides_data(path: &Path, metadata: &Metadata) -> Result<bool, IndexError> {
    if metadata.len() > 0 {
        return Ok(false);
    }
    // NONBLOCK: some of these wait for data that may never come. NOFOLLOW: it was a file a moment ago.
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let opened = std::fs::File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = opened.map_err(IndexError::disk(path, "open"))?;
    loop {
        match file.read(&mut [0]) {
            Ok(read_len) => return Ok(read_len > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(true),
        }
    }
}

/// The innermost open folder is not empty.
fn mark_holding(open: &mut [(EntryPath, bool)]) {
    if let Some((_, holds)) = open.last_mut() {
        *holds = true;
    }
}

/// The absolute path: links above it are resolved, the last component is left to be judged.
fn absolute(path: &Path) -> Result<PathBuf, IndexError> {
    let find = |path: &Path| path.canonicalize().map_err(IndexError::disk(path, "find"));
    let Some(name) = path.file_name() else { return find(path) };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(find(parent)?.join(name))
}

/// The path below the content's top; `None` if it is not text.
fn text_below(root: &Path, name: &str, path: &Path) -> Option<String> {
    let below = path.strip_prefix(root).unwrap_or(path).to_str()?;
    Some(if below.is_empty() { name.to_owned() } else { format!("{name}/{below}") })
}
