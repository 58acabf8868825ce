//! Lists the entries below the paths to index: names, lengths and stamps; no hashing. Links and special files inside a
//! tree are left out and reported; a path given by the user that is one of them is an error.

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

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The path of the entry.
    pub path: PathBuf,
    /// The reason.
    pub why: SkippedWhy,
}

/// Why an entry was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkippedWhy {
    /// A symbolic link.
    #[error("a symbolic link")]
    Symlink,
    /// A device, socket or pipe.
    #[error("not a file or folder")]
    Special,
    /// A file with data and a length of zero, as in /proc: the amount to serve is unknown.
    #[error("it says that it is empty, and holds data: copy it to a file and seed that")]
    NoLength,
    /// A file of an unfinished fetch.
    #[error("a fetch that is not finished keeps it, and can serve what is there")]
    Unfinished,
    /// A file that the caller excluded.
    #[error("the manifest is written there, and is no part of its content")]
    LeftOut,
    /// The name is not UTF-8.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// The path breaks a rule of manifests.
    #[error("{0}")]
    Name(&'static str),
    /// The name equals that of another entry where case or Unicode form does not count.
    #[error("where case or Unicode form does not count, it is one name with `{}`", Shown(.0))]
    SameName(String),
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entry: EntryPath,
    pub(super) path: PathBuf,
    /// Index of the user's path that it lies below.
    pub(super) root: usize,
    pub(super) stamp: Stamp,
    pub(super) executable: bool,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Found>,
    pub(super) empty_directories: Vec<EntryPath>,
    pub(super) skipped: Vec<Skipped>,
    /// Entries that no content can hold because of their names, with their children.
    pub(super) unusable: Vec<Skipped>,
    /// The user's paths, made absolute.
    pub(super) roots: Vec<PathBuf>,
    /// The name of each of the user's paths, and the folder that holds it.
    pub(super) tops: BTreeMap<String, PathBuf>,
    /// Files that are skipped where a folder holds them.
    left_out: Vec<PathBuf>,
    unfinished: Unfinished,
}

/// Walks all paths. Files in `left_out` are skipped where a folder holds them.
pub(super) fn walk(paths: &[PathBuf], left_out: &[PathBuf]) -> Result<Walked, IndexError> {
    // A path that does not exist is in no folder either.
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
        // A fetch writes its journal at the top of its target, which may be above the user's path.
        root.ancestors().skip(1).for_each(|folder| self.unfinished.look_into(folder));
        // The folders above the current one, each with whether it has entries.
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

    /// The path of an entry in the content; an entry that can have none is noted as unusable.
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

/// Whether a file of length zero has data, or may have. Only reading shows it.
fn hides_data(path: &Path, metadata: &Metadata) -> Result<bool, IndexError> {
    if metadata.len() > 0 {
        return Ok(false);
    }
    // NONBLOCK: reading some of these files waits for data that may never come. NOFOLLOW: the entry was a file when it was listed.
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

/// Notes that the innermost open folder is not empty.
fn mark_holding(open: &mut [(EntryPath, bool)]) {
    if let Some((_, holds)) = open.last_mut() {
        *holds = true;
    }
}

/// The absolute path: links above the last component are resolved, the last one is left for the caller to check.
fn absolute(path: &Path) -> Result<PathBuf, IndexError> {
    let find = |path: &Path| path.canonicalize().map_err(IndexError::disk(path, "find"));
    let Some(name) = path.file_name() else { return find(path) };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(find(parent)?.join(name))
}

/// The path below the content's top; `None` if it is not UTF-8.
fn text_below(root: &Path, name: &str, path: &Path) -> Option<String> {
    let below = path.strip_prefix(root).unwrap_or(path).to_str()?;
    Some(if below.is_empty() { name.to_owned() } else { format!("{name}/{below}") })
}
