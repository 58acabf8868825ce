//! Pictures of whole folders: a file's text in, what is told out.

mod edits;
mod errors;
mod random;
mod schemas;
mod values;
mod watching;

use std::fs;
use std::path::Path;

use crate::{DaemonFolder, FileName, Reloaded};

/// A daemon's folder of its own inside a temporary one.
struct World {
    folder: DaemonFolder,
    outside: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let outside = tempfile::tempdir().expect("a folder");
        let folder = DaemonFolder::open(&outside.path().join("daemon")).expect("a new folder");
        Self { folder, outside }
    }

    fn write(&self, file: FileName, text: &str) {
        fs::write(self.folder.path(file), text).expect("a file");
    }

    fn text(&self, file: FileName) -> String {
        fs::read_to_string(self.folder.path(file)).expect("a file")
    }

    /// Reads the files; what is told.
    fn reload(&mut self) -> String {
        let reloaded = self.folder.reload();
        self.shown(&reloaded)
    }

    /// What is told, with the temporary folder as `TMP`.
    fn shown(&self, reloaded: &Reloaded) -> String {
        let errors = reloaded.errors.iter().map(ToString::to_string);
        let warnings = reloaded.warnings.iter().map(|warning| format!("warning: {warning}"));
        let changed = reloaded.changed.iter().map(|file| format!("changed: {file}"));
        let lines: Vec<String> = errors.chain(warnings).chain(changed).collect();
        self.without_tmp(&lines.join("\n"))
    }

    fn without_tmp(&self, text: &str) -> String {
        let tmp = self.outside.path();
        let real = tmp.canonicalize().expect("it exists");
        let [tmp, real]: [&Path; 2] = [tmp, &real];
        text.replace(&*real.to_string_lossy(), "TMP").replace(&*tmp.to_string_lossy(), "TMP")
    }
}
