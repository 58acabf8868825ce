//! Which files of a tree belong to fetches that are not finished: journals, and the `.part` files of the contents that these
//! name. Files alike that no journal knows are the user's own. Reads names and journals only; changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::journal;
use super::target_files::part_path;
use crate::manifest::FileIndex;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Unfinished {
    /// Looks for journals in a folder, once; what lies below it may belong to them.
    pub(super) fn look_into(&mut self, folder: &Path) {
        if !self.folders.insert(folder.to_owned()) {
            return;
        }
        // A folder that cannot be read is an error where its files are wanted, not here.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten().filter(|entry| journal::is_file_name(&entry.file_name())) {
            let path = entry.path();
            if let Some(manifest) = journal::manifest_in(&path) {
                let files = (0..manifest.files().len()).filter_map(|index| manifest.geometry().file(index));
                let part = |file: FileIndex| folder.join(part_path(&manifest, file));
                self.files.extend(files.map(part));
            }
            self.files.insert(path);
        }
    }

    /// Whether a file belongs to a fetch of a folder that was looked into.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.contains(path)
    }
}
