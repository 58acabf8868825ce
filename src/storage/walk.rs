//! What lies below the paths that are to be indexed: names, lengths and stamps; no hashing. Links and special files inside a
//! tree are left out and named; a path given by the user that is one is an error.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::hashing::Stamp;
use super::index::IndexError;
use super::unfinished::Unfinished;
use crate::base::limits::FILES_MAX;
use crate::manifest::{EntryPath, ManifestError};

/// Something in a tree that no content can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub why: SkippedWhy,
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkippedWhy {
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Special,
    /// It belongs to a fetch that is not finished.
    Unfinished,
    /// The caller asked for that.
    LeftOut,
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
        let name = name_of(&root, path)?;
        let parent = root.parent().ok_or_else(|| IndexError::NoName { path: path.clone() })?.to_owned();
        if walked.tops.insert(name.clone(), parent).is_some() {
            return Err(IndexError::SameName { path: path.clone(), name });
        }
        walked.roots.push(root.clone());
        let metadata = std::fs::symlink_metadata(&root).map_err(IndexError::disk(path, "stat"))?;
        if metadata.is_dir() {
            walked.walk_tree(&root, &name)?;
        } else if metadata.is_file() {
            walked.take_file(entry_path(&name, path)?, root, &metadata)?;
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
        for item in WalkDir::new(root).follow_links(false).sort_by_file_name() {
            let item = item.map_err(|error| IndexError::from_walk(root, error))?;
            while open.len() > item.depth() {
                self.close(open.pop());
            }
            let (path, kind) = (item.path(), item.file_type());
            if kind.is_dir() {
                self.unfinished.look_into(path);
                let entry = entry_below(root, name, path)?;
                mark_holding(&mut open);
                open.push((entry, false));
            } else if let Some(why) = self.why_passed_over(path).filter(|_| kind.is_file()) {
                self.skipped.push(Skipped { path: path.to_owned(), why });
            } else if kind.is_file() {
                mark_holding(&mut open);
                let metadata = item.metadata().map_err(|error| IndexError::from_walk(root, error))?;
                self.take_file(entry_below(root, name, path)?, path.to_owned(), &metadata)?;
            } else {
                let why = if kind.is_symlink() { SkippedWhy::Symlink } else { SkippedWhy::Special };
                self.skipped.push(Skipped { path: path.to_owned(), why });
            }
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

fn name_of(root: &Path, path: &Path) -> Result<String, IndexError> {
    let name = root.file_name().ok_or_else(|| IndexError::NoName { path: path.to_owned() })?;
    let name = name.to_str().ok_or_else(|| IndexError::NotUtf8 { path: path.to_owned() })?;
    Ok(name.to_owned())
}

fn entry_below(root: &Path, name: &str, path: &Path) -> Result<EntryPath, IndexError> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let below = below.to_str().ok_or_else(|| IndexError::NotUtf8 { path: path.to_owned() })?;
    if below.is_empty() { entry_path(name, path) } else { entry_path(&format!("{name}/{below}"), path) }
}

fn entry_path(text: &str, path: &Path) -> Result<EntryPath, IndexError> {
    EntryPath::new(text).map_err(|source| IndexError::Name { path: path.to_owned(), source })
}
