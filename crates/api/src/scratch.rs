//! Files that are made for one answer, seen by nobody else. Invariant: few at once, and fewer of one who asks, each until its last byte was sent; each stands in a folder of its
//! own, which goes as soon as the file is open or nobody waits for it, so that what is still written then is written to nowhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::limits::{SCRATCHES_MAX, SCRATCHES_OF_ONE_MAX};
use crate::places::{Places, Seat};

/// Where such files stand.
pub(crate) struct Scratches {
    folder: PathBuf,
    places: Places,
}

/// The place of such a file.
pub(crate) struct Scratch {
    folder: PathBuf,
    place: Option<Seat>,
}

impl Scratches {
    /// In this folder, which no other process uses: what an earlier one left there goes.
    pub(crate) fn new(folder: PathBuf) -> Self {
        if let Err(error) = std::fs::remove_dir_all(&folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove what an earlier process left in .swarm/scratch");
        }
        Self { folder, places: Places::of(SCRATCHES_MAX, SCRATCHES_OF_ONE_MAX) }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Files that are made or sent now.
    pub(crate) fn taken(&self) -> usize {
        self.places.taken()
    }

    /// A place for a file, if one is free for this one who asks. Blocks.
    pub(crate) fn begin(&self, whose: &str) -> io::Result<Option<Scratch>> {
        let Some(place) = self.places.take(whose) else { return Ok(None) };
        let name = crate::chance::secret().ok_or(io::ErrorKind::Other)?;
        let folder = self.folder.join(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Some(Scratch { folder, place: Some(place) }))
    }
}

impl Scratch {
    /// Of a file that is not there yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("file")
    }

    /// The file, which has no name from now on, and the place, to be held for as long as it is read. Blocks.
    pub(crate) fn open(mut self) -> io::Result<(File, Seat)> {
        let file = File::open(self.path())?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.place.take().map(|place| (file, place)).ok_or_else(|| io::ErrorKind::Other.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let folder = std::mem::take(&mut self.folder);
        let remove = move || {
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::warn!(%error, "cannot remove a file that was made for an answer");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[test]
    fn a_file_goes_with_its_answer_and_what_is_written_too_late_is_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("scratch");
        std::fs::create_dir_all(at.join("left/by")).expect("a place");
        let scratches = Scratches::new(at.clone());
        assert_eq!(names(&at), 0);
        let (sent, late) = (scratches.begin("a").expect("a disk"), scratches.begin("b").expect("a disk"));
        let (sent, late) = (sent.expect("a place"), late.expect("a place"));
        std::fs::write(sent.path(), "text").expect("a place");
        let too_late = late.path();
        drop(late);
        assert!(File::create_new(too_late).is_err());
        let (file, place) = sent.open().expect("it is there");
        assert_eq!((names(&at), file.metadata().expect("it is open").len()), (0, 4));
        let more =
            |whose: &str| std::iter::from_fn(|| scratches.begin(whose).expect("a disk")).collect::<Vec<_>>();
        let all: Vec<_> = ["a", "b", "c", "d", "e"].map(more).into_iter().flatten().collect();
        assert_eq!(all.len(), SCRATCHES_MAX - 1);
        drop(place);
        assert!(scratches.begin("e").expect("a disk").is_some());
    }
}
