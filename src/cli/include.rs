//! `--include`: which files of a content are wanted.

use std::collections::BTreeSet;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::failure::{Exit, Failure};
use swarm_core::manifest::{EntryPath, FileIndex, Manifest};

/// Which files are wanted.
#[derive(Clone)]
pub(super) struct Include(Option<GlobSet>);

impl Include {
    /// Reads the patterns; none at all match everything.
    pub(super) fn new(patterns: &[String]) -> Result<Self, Failure> {
        if patterns.is_empty() {
            return Ok(Self(None));
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            // A pattern without a slash is for names, wherever they stand.
            let anchored = if pattern.contains('/') { pattern.clone() } else { format!("**/{pattern}") };
            let glob = GlobBuilder::new(&anchored).literal_separator(true).build();
            set.add(glob.map_err(|error| Failure::new(Exit::Usage, format_args!("--include: {error}")))?);
        }
        let set =
            set.build().map_err(|error| Failure::new(Exit::Usage, format_args!("--include: {error}")))?;
        Ok(Self(Some(set)))
    }

    fn matches(&self, path: &EntryPath) -> bool {
        self.0.as_ref().is_none_or(|set| set.is_match(Path::new(path.as_str())))
    }

    /// The files that match, in the order of the manifest.
    pub(super) fn files(&self, manifest: &Manifest) -> Result<Vec<FileIndex>, Failure> {
        let geometry = manifest.geometry();
        let all = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
        let files: Vec<FileIndex> = all.filter(|file| self.matches(&manifest.file(*file).path)).collect();
        if files.is_empty() && self.0.is_some() {
            let message = "--include matches none of the files: see them with `swarm manifest show`";
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(files)
    }

    /// Empty files and folders that do not match.
    pub(super) fn unwanted_empty(&self, manifest: &Manifest) -> BTreeSet<EntryPath> {
        let empty_files = manifest.files().iter().filter(|file| file.len == 0).map(|file| &file.path);
        let entries = empty_files.chain(manifest.empty_directories());
        entries.filter(|path| !self.matches(path)).cloned().collect()
    }
}
