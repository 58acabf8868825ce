//! Serves files in place, read-only. Invariant: a chunk is hashed in this process before a byte of it is given out, and again
//! when its file's stamp has changed; see [`super::stamps`]. A read error says nothing about the bytes: only a chunk that was
//! seen to differ, or a file that is gone from a mounted disk, counts as changed.

use std::sync::Arc;
use std::time::SystemTime;

use super::hashing::{Copied, nanos_of};
use super::open_files::OpenFiles;
use super::roots::{OpenRoots, Roots};
use super::stamps::{Guarded, Stamped, Stamps};
use super::{Store, StoreError, Verdict, check_range};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, FileIndex, Manifest};

/// A store over files of the user.
#[derive(Debug)]
pub struct SeedStore {
    manifest: Manifest,
    roots: OpenRoots,
    good: Bitfield,
    files: OpenFiles,
    stamps: Stamps,
    clock: fn() -> SystemTime,
}

impl SeedStore {
    /// Serves the chunks in `good` (all after indexing; those a scan found of a partial copy). `clock` reads the time of day: a
    /// file that changed within the last two seconds is hashed at every read, since a further change might not show.
    pub fn new(manifest: Manifest, roots: Roots, good: Bitfield, clock: fn() -> SystemTime) -> Self {
        let stamps = Stamps::new(manifest.geometry().chunk_count());
        let roots = OpenRoots::of(roots, &manifest);
        Self { manifest, roots, good, files: OpenFiles::default(), stamps, clock }
    }

    /// The chunks that it was given to serve.
    pub fn good(&self) -> &Bitfield {
        &self.good
    }

    fn open(&self, file: FileIndex) -> Result<Arc<super::file::File>, StoreError> {
        self.files.get(file, || self.roots.open(&self.manifest.file(file).path))
    }

    /// The error of a chunk that could not be read. In any case files and folders are opened anew next time: a disk that comes back
    /// is a different one for the system.
    fn unreadable(&self, chunk: ChunkIndex, error: StoreError) -> StoreError {
        let file = self.manifest.geometry().span(chunk).file;
        self.files.forget(file);
        let entry = &self.manifest.file(file).path;
        let error = if error.is_missing() && self.roots.is_away(entry) {
            StoreError::Away { path: self.roots.roots().path(entry) }
        } else {
            error
        };
        if error.trouble().is_some() {
            self.roots.forget();
            return error;
        }
        tracing::debug!(%error, "a seeded file is not what it was");
        self.changed(chunk)
    }

    fn changed(&self, chunk: ChunkIndex) -> StoreError {
        let file = self.manifest.geometry().span(chunk).file;
        // The file may have been replaced: the next read opens it anew.
        self.files.forget(file);
        StoreError::Changed {
            path: self.roots.roots().path(&self.manifest.file(file).path),
            chunk: self.manifest.geometry().number_in_file(chunk),
        }
    }
}

impl Store for SeedStore {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        check_range(&self.manifest, chunk, offset, buf.len())?;
        let index = self.manifest.geometry().span(chunk).file;
        if !self.good.contains(chunk.get()) {
            let path = self.roots.roots().path(&self.manifest.file(index).path);
            return Err(StoreError::NotVerified {
                path,
                chunk: self.manifest.geometry().number_in_file(chunk),
            });
        }
        let file = self.open(index).map_err(|error| self.unreadable(chunk, error))?;
        let stamped = Stamped::AsOf(nanos_of((self.clock)()));
        match self.stamps.read(&self.manifest, chunk, &file, stamped, Copied { offset, buf }) {
            Ok(Guarded::Good) => Ok(()),
            Ok(Guarded::Changed) => Err(self.changed(chunk)),
            Err(error) => {
                let path = self.roots.roots().path(&self.manifest.file(index).path);
                Err(self.unreadable(chunk, StoreError::disk(&path, "read")(error)))
            }
        }
    }

    fn write_chunk(&self, _chunk: ChunkIndex, _data: &[u8]) -> Result<Verdict, StoreError> {
        Err(StoreError::ReadOnlyStore)
    }

    fn keep_slice(&self, _chunk: ChunkIndex, _offset: u32, _data: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnlyStore)
    }

    fn verify_kept(&self, _chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        Err(StoreError::ReadOnlyStore)
    }

    /// Nothing is written, so no chunk becomes durable.
    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
