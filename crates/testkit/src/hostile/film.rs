//! The content of all cases: one file of random bytes, and its manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm_core::base::ContentId;
use swarm_core::manifest::Manifest;
use swarm_core::wire::ChunkRuns;
use swarm_files::{IndexOptions, index};

use super::talk::{Asked, all_chunks};
use crate::World;

/// A file that both victims and hostile peers have.
#[derive(Clone)]
pub struct Film {
    path: PathBuf,
    manifest: Manifest,
    bytes: Arc<Vec<u8>>,
}

impl Film {
    /// A film of this length, with chunks of 1 MiB.
    pub fn new(world: &World, len: u64) -> Self {
        let path = world.file("film.bin", len);
        let made =
            index(std::slice::from_ref(&path), &IndexOptions::default(), None, &|_| {}).expect("a good file");
        let bytes = Arc::new(std::fs::read(&path).expect("it was just written"));
        Self { path, manifest: made.manifest, bytes }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn content(&self) -> ContentId {
        self.manifest.id()
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn chunk_count(&self) -> u32 {
        self.manifest.geometry().chunk_count()
    }

    pub fn all_chunks(&self) -> ChunkRuns {
        all_chunks(self.chunk_count())
    }

    /// The right bytes for a request.
    pub fn run(&self, asked: Asked) -> &[u8] {
        self.bytes_at(asked.chunk, asked.offset, asked.len)
    }

    pub fn bytes_at(&self, chunk: u32, offset: u32, len: u32) -> &[u8] {
        let at = ((chunk as usize) << 20) + offset as usize;
        &self.bytes[at..self.bytes.len().min(at + len as usize)]
    }
}
