//! Open files of a content; the least recently used one is closed first. Invariant: at most the set number is kept open, and fewer
//! where the system has no descriptors left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::file::File;
use super::{StoreError, locked};
use crate::limits::OPEN_FILES_MAX;
use swarm_core::manifest::FileIndex;

/// A bounded set of open files.
#[derive(Debug)]
pub(super) struct OpenFiles(Mutex<Held>);

#[derive(Debug)]
struct Held {
    files: BTreeMap<usize, (u64, Arc<File>)>,
    files_max: usize,
    uses: u64,
}

impl Default for OpenFiles {
    fn default() -> Self {
        Self::at_most(files_max())
    }
}

impl OpenFiles {
    /// A set of at most this many files.
    pub(super) fn at_most(files_max: usize) -> Self {
        Self(Mutex::new(Held { files: BTreeMap::new(), files_max, uses: 0 }))
    }

    /// The file; `open` opens it unless it is in the set.
    pub(super) fn get(
        &self,
        index: FileIndex,
        open: impl FnMut() -> Result<File, StoreError>,
    ) -> Result<Arc<File>, StoreError> {
        if let Some(file) = self.held(index) {
            return Ok(file);
        }
        // Opened without the lock, so that a slow disk holds up one file only. If two threads open the same file, one handle is kept.
        let file = Arc::new(self.opened(open)?);
        Ok(locked(&self.0).keep(index.get(), file))
    }

    /// The file, if it is in the set.
    pub(super) fn held(&self, index: FileIndex) -> Option<Arc<File>> {
        locked(&self.0).used(index.get())
    }

    /// A file that `open` opens. Where no descriptors are left, files of the set are closed for it.
    pub(super) fn opened(
        &self,
        mut open: impl FnMut() -> Result<File, StoreError>,
    ) -> Result<File, StoreError> {
        loop {
            match open() {
                Err(error) if error.is_out_of_descriptors() && locked(&self.0).shed() => {}
                opened => return opened,
            }
        }
    }

    /// Number of files in the set.
    #[cfg(test)]
    fn count(&self) -> usize {
        locked(&self.0).files.len()
    }

    /// Adds a file that was just created or opened.
    pub(super) fn put(&self, index: FileIndex, file: Arc<File>) -> Arc<File> {
        locked(&self.0).keep(index.get(), file)
    }

    /// Closes a file once its last user is done.
    pub(super) fn forget(&self, index: FileIndex) {
        locked(&self.0).files.remove(&index.get());
    }
}

impl Held {
    fn used(&mut self, index: usize) -> Option<Arc<File>> {
        self.uses += 1;
        let (last_use, file) = self.files.get_mut(&index)?;
        *last_use = self.uses;
        Some(Arc::clone(file))
    }

    fn keep(&mut self, index: usize, file: Arc<File>) -> Arc<File> {
        if let Some(held) = self.used(index) {
            return held;
        }
        if self.files.len() >= self.files_max {
            self.close_oldest();
        }
        self.files.insert(index, (self.uses, Arc::clone(&file)));
        file
    }

    /// Closes half of the files, and lowers the limit to the rest; false if there was none to close.
    fn shed(&mut self) -> bool {
        let left = self.files.len() / 2;
        let is_shed = left < self.files.len();
        while self.files.len() > left {
            self.close_oldest();
        }
        self.files_max = left.max(1);
        is_shed
    }

    fn close_oldest(&mut self) {
        let oldest = self.files.iter().min_by_key(|(_, (last_use, _))| *last_use).map(|(&index, _)| index);
        oldest.map(|index| self.files.remove(&index));
    }
}

/// A quarter of the process's descriptors: sockets, folders and other contents need some as well.
fn files_max() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    descriptors.map_or(OPEN_FILES_MAX, |count| ((count / 4) as usize).clamp(1, OPEN_FILES_MAX))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use swarm_core::manifest::Geometry;

    #[test]
    fn the_least_recently_used_file_is_closed_first() {
        let geometry = Geometry::new((0..=OPEN_FILES_MAX as u64).map(|_| (1, 14))).unwrap();
        let file = |index: usize| geometry.file(index).unwrap();
        let files = OpenFiles::at_most(OPEN_FILES_MAX);
        let open = || Ok(File::untapped(tempfile::tempfile().unwrap()));
        for index in 0..OPEN_FILES_MAX {
            files.get(file(index), open).unwrap();
        }
        files.get(file(0), || panic!("it is held")).unwrap();
        files.get(file(OPEN_FILES_MAX), open).unwrap();
        files.get(file(0), || panic!("it is held")).unwrap();
        let mut reopened = false;
        let reopen = || {
            reopened = true;
            open()
        };
        files.get(file(1), reopen).unwrap();
        assert!(reopened);
    }

    #[test]
    fn files_are_closed_when_the_system_has_no_descriptors_left() {
        let geometry = Geometry::new((0..8).map(|_| (1, 14))).unwrap();
        let file = |index: usize| geometry.file(index).unwrap();
        let files = OpenFiles::default();
        let open = || Ok(File::untapped(tempfile::tempfile().unwrap()));
        let refused = || StoreError::disk(Path::new("film"), "open")(rustix::io::Errno::MFILE.into());
        // Four files may be open at once.
        for index in 0..8 {
            let descriptors = || files.count() < 4;
            files.get(file(index), || if descriptors() { open() } else { Err(refused()) }).unwrap();
        }
        assert!(files.count() <= 4);
        files.get(file(7), || panic!("it is held")).unwrap();
        let never = files.get(file(0), || Err(refused())).unwrap_err();
        assert!(never.to_string().contains("Too many open files"), "{never}");
    }
}
