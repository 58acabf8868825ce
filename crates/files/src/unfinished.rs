//! Finds the files of unfinished fetches in a tree: journals, and the `.part` files of the contents that these
//! name. Similar files without a journal belong to the user. Reads names and journals only; changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::journal;
use super::target_files::part_paths;
use swarm_core::manifest::FileIndex;

/// The files found so far.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Unfinished {
    /// Looks for journals in a folder, once; files below the folder may belong to them.
    pub(super) fn look_into(&mut self, folder: &Path) {
        if !self.folders.insert(folder.to_owned()) {
            return;
        }
        // An unreadable folder is an error where its files are indexed, not here.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten().filter(|entry| journal::is_file_name(&entry.file_name())) {
            let path = entry.path();
            if let Some(manifest) = journal::manifest_in(&path) {
                let files = (0..manifest.files().len()).filter_map(|index| manifest.geometry().file(index));
                let parts = files.flat_map(|file: FileIndex| part_paths(&manifest, file));
                self.files.extend(parts.map(|part| folder.join(part)));
            }
            self.files.insert(path);
        }
    }

    /// Whether a file belongs to a fetch whose journal was found.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.contains(path)
    }
}
