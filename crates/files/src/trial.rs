//! Finds by trial which names and lengths a target cannot hold, before any chunk is fetched: names that some file systems refuse,
//! and files longer than they accept. Invariant: an entry is left out only after the target refused it. Names that every file
//! system accepts are not tried, so that most fetches try none.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use rustix::io::Errno;

use super::dir::Dir;
use super::{StoreError, TargetOptions};
use swarm_core::base::{Bitfield, ByteLen};
use swarm_core::manifest::{EntryPath, FileIndex, Manifest};

/// An entry of a content that the target cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path in the content.
    pub path: EntryPath,
    /// The refused part of the entry.
    pub why: LeftOutWhy,
}

/// The part of an entry that a target refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOutWhy {
    /// The name of the entry, or of a folder above it.
    Name {
        /// The refused name.
        name: String,
        /// The error of the system.
        reason: Errno,
    },
    /// The length of the file, bytes.
    Length(u64),
}

/// Names that a target refused, with its errors.
pub(super) type RefusedNames = BTreeMap<OsString, Errno>;

/// Tries every name of the wanted entries that some file system might refuse, and the temporary names of long ones; those of the
/// files that an earlier fetch began, too, because where their bytes stand depends on it. The trial uses its own folder, because a
/// final name must show nothing before its file is complete.
pub(super) fn try_names(
    dir: &Dir,
    manifest: &Manifest,
    wanted: &Bitfield,
    options: &TargetOptions,
    begun: &Bitfield,
) -> Result<RefusedNames, StoreError> {
    let begun = begun.iter().filter_map(|file| manifest.geometry().file(file as usize));
    let files = wanted_files(manifest, wanted, options).into_iter().chain(begun);
    let names = doubtful_names(manifest, files, options);
    let mut refused = RefusedNames::new();
    if names.is_empty() {
        return Ok(refused);
    }
    let folder = trial_folder(manifest);
    dir.make_directory(&folder)?;
    let tried = names.into_iter().try_for_each(|name| {
        if let Some(reason) = dir.try_name(&folder, name.as_ref())? {
            refused.insert(name.into(), reason);
        }
        Ok(())
    });
    dir.remove_tree(&folder)?;
    tried.map(|()| refused)
}

/// Finds the wanted entries with a refused name in their path; they are no longer wanted.
pub(super) fn leave_out_names(
    refused: &RefusedNames,
    manifest: &Manifest,
    wanted: &mut Bitfield,
    options: &mut TargetOptions,
) -> Vec<LeftOut> {
    let mut left_out = Vec::new();
    if refused.is_empty() {
        return left_out;
    }
    let mut leave_out = |path: &EntryPath| {
        let found = path.components().find_map(|name| Some((name, *refused.get(&OsString::from(name))?)));
        let Some((name, reason)) = found else { return false };
        let why = LeftOutWhy::Name { name: name.to_owned(), reason };
        left_out.push(LeftOut { path: path.clone(), why });
        true
    };
    for file in wanted_files(manifest, wanted, options) {
        if leave_out(&manifest.file(file).path) {
            forget(manifest, file, wanted, options);
        }
    }
    for folder in manifest.empty_directories() {
        if !options.unwanted_empty.contains(folder) && leave_out(folder) {
            options.unwanted_empty.insert(folder.clone());
        }
    }
    left_out
}

/// Files of a length that some file system might refuse.
pub(super) fn doubtful_lengths(manifest: &Manifest, wanted: &Bitfield) -> Vec<FileIndex> {
    let geometry = manifest.geometry();
    let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
    files
        .filter(|file| manifest.file(*file).len > SURE_LEN_MAX)
        .filter(|file| geometry.file_chunk_range(*file).any(|chunk| wanted.contains(chunk)))
        .collect()
}

fn wanted_files(manifest: &Manifest, wanted: &Bitfield, options: &TargetOptions) -> Vec<FileIndex> {
    let geometry = manifest.geometry();
    let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
    files
        .filter(|file| match manifest.file(*file) {
            entry if entry.len == 0 => !options.unwanted_empty.contains(&entry.path),
            _ => geometry.file_chunk_range(*file).any(|chunk| wanted.contains(chunk)),
        })
        .collect()
}

fn forget(manifest: &Manifest, file: FileIndex, wanted: &mut Bitfield, options: &mut TargetOptions) {
    for chunk in manifest.geometry().file_chunk_range(file) {
        wanted.remove(chunk);
    }
    if manifest.file(file).len == 0 {
        options.unwanted_empty.insert(manifest.file(file).path.clone());
    }
}

fn doubtful_names(
    manifest: &Manifest,
    files: impl Iterator<Item = FileIndex>,
    options: &TargetOptions,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut doubt = |name: &str| {
        if !is_plain(name) && !names.contains(name) {
            names.insert(name.to_owned());
        }
    };
    for file in files {
        let path = &manifest.file(file).path;
        path.components().for_each(&mut doubt);
        let part = format!("{}.part", path.name());
        // A longer name is never used.
        if part.len() > PLAIN_LEN_MAX && EntryPath::new(part.as_str()).is_ok() {
            doubt(&part);
        }
    }
    let folders = manifest.empty_directories().iter();
    folders
        .filter(|path| !options.unwanted_empty.contains(*path))
        .for_each(|path| path.components().for_each(&mut doubt));
    names
}

/// Whether every file system accepts this name.
fn is_plain(name: &str) -> bool {
    let is_fine = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !b"\"*/:<>?\\|".contains(&byte);
    name.len() <= PLAIN_LEN_MAX
        && name.bytes().all(is_fine)
        && !name.ends_with(['.', ' '])
        && !is_device(name.split('.').next().unwrap_or(name).trim_end())
}

/// Whether the name stands for a device on Windows, and on file systems that follow it.
fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let numbered = ["com", "lpt"].iter().filter_map(|prefix| stem.strip_prefix(prefix));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || numbered.into_iter().any(|n| n.len() == 1 && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a file system refuses names by this error. (exFAT in user space reports "no such file".)
pub(super) fn is_name_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL
            | Errno::ILSEQ
            | Errno::NAMETOOLONG
            | Errno::NOENT
            | Errno::NOTSUP
            | Errno::PERM
            | Errno::ACCESS
    )
}

fn trial_folder(manifest: &Manifest) -> PathBuf {
    PathBuf::from(format!(".swarm-{}.try", HEXLOWER.encode(&manifest.id().as_bytes()[..8])))
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            LeftOutWhy::Name { name, reason } if name == self.path.as_str() => {
                write!(f, "`{name}`: the target refuses this name ({})", std::io::Error::from(*reason))
            }
            LeftOutWhy::Name { name, reason } => {
                let reason = std::io::Error::from(*reason);
                write!(f, "`{}`: the target refuses the name `{name}` ({reason})", self.path)
            }
            LeftOutWhy::Length(len) => {
                write!(f, "`{}`: {} are more than a file may have on the target", self.path, ByteLen(*len))
            }
        }
    }
}

/// The longest name that needs no trial, bytes: eCryptfs accepts 143, and `.part` has to fit behind the name.
const PLAIN_LEN_MAX: usize = 100;
/// The longest file that needs no trial, bytes: old network file systems end here, FAT at twice as much.
const SURE_LEN_MAX: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_some_file_system_refuses_are_tried() {
        for name in ["film.mkv", "a b", "[Group] x (1080p)", "com10", "console.log", "..a"] {
            assert!(is_plain(name), "{name}");
        }
        let long = "x".repeat(PLAIN_LEN_MAX + 1);
        for name in ["a?b", "a:b", "a\\b", "a|b", "dot.", "space ", "aux.c", "CON", "lpt1.x", "ü", &long] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
