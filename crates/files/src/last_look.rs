//! The final check of a fetch: reads every wanted chunk from the disk again before any file gets its final name. It finds chunks
//! that differ from the written ones: bad memory or disks, and programs that wrote into a file meanwhile.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::StoreError;
use super::hashing::{HashProgress, Meter, hash_as_sent};
use super::target_files::TargetFiles;
use swarm_core::manifest::{ChunkIndex, Manifest};

/// Requests a final check, receives its progress, and stops it.
#[derive(Clone)]
pub struct LastLook {
    progress: Arc<dyn Fn(HashProgress) + Send + Sync>,
    is_stopped: Arc<AtomicBool>,
}

impl LastLook {
    /// `progress` is called from hashing threads.
    pub fn new(progress: impl Fn(HashProgress) + Send + Sync + 'static) -> Self {
        Self { progress: Arc::new(progress), is_stopped: Arc::default() }
    }

    /// Ends the check early, with an error.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// The chunks that differ from the manifest.
    pub(super) fn wrong_of(
        &self,
        manifest: &Manifest,
        files: &TargetFiles,
        chunks: &[ChunkIndex],
    ) -> Result<Vec<ChunkIndex>, StoreError> {
        let lengths = chunks.iter().map(|&chunk| u64::from(manifest.geometry().chunk_len(chunk)));
        let meter = Meter::new(lengths.sum(), self.progress.as_ref());
        let is_wrong = |&chunk: &ChunkIndex| {
            if self.is_stopped.load(Ordering::Relaxed) {
                return Err(StoreError::Stopped { path: files.dir.path().to_owned() });
            }
            let span = manifest.geometry().span(chunk);
            let Some((open, _)) = files.existing(span.file)? else { return Ok(Some(chunk)) };
            open.forget_cached(span.file_offset, span.len.into());
            let is_right = match hash_as_sent(manifest, chunk, &open, None) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
                hash => {
                    let hash = hash.map_err(StoreError::disk(&files.path(span.file), "read"))?;
                    hash == manifest.chunk_hash(chunk)
                }
            };
            meter.add(span.len.into());
            Ok((!is_right).then_some(chunk))
        };
        let verdicts: Vec<Option<ChunkIndex>> =
            chunks.par_iter().with_max_len(1).map(is_wrong).collect::<Result<_, StoreError>>()?;
        Ok(verdicts.into_iter().flatten().collect())
    }
}

impl fmt::Debug for LastLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastLook").field("is_stopped", &self.is_stopped).finish_non_exhaustive()
    }
}
