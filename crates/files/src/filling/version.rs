//! One version of a file, open for reading: pieces and slices of it are told to others, and its bytes are taken over into a new version.

use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use swarm_core::manifest::Hash;
use swarm_sync::delta::{GapSlices, Recipe, RecipeBuilder};

use crate::file::File;
use crate::{StandsAt, StoreError};

/// A version of a file.
#[derive(Debug)]
pub struct VersionFile {
    file: File,
    path: PathBuf,
    len: u64,
    chunk_hashes: Vec<u8>,
}

impl VersionFile {
    /// Opens a file where it stands. `chunk_hashes` are the values of its chunks, as far as they are known: 32 bytes each.
    ///
    /// # Errors
    /// If it is not there, or cannot be read.
    pub fn open(place: &StandsAt, chunk_hashes: Vec<u8>) -> Result<Self, StoreError> {
        let path = place.folder.full(&place.relative);
        let file = place.folder.open(&place.relative)?;
        let len = file.metadata().map_err(StoreError::disk(&path, "stat"))?.len();
        Ok(Self { file, path, len, chunk_hashes })
    }

    /// In bytes, when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The recipe of each of these ranges, cut as if it was a file of its own.
    ///
    /// # Errors
    /// If it cannot be read, or is shorter.
    pub fn recipes(&self, ranges: &[Range<u64>]) -> Result<Vec<Recipe>, StoreError> {
        ranges.iter().map(|range| self.recipe_of(range.clone(), &|| false)).collect()
    }

    /// The slices of each of these ranges, which are read into memory one by one.
    ///
    /// # Errors
    /// If it cannot be read, or is shorter.
    pub fn slices(&self, ranges: &[Range<u64>], from_both: bool) -> Result<Vec<GapSlices>, StoreError> {
        let slices = |range: &Range<u64>| {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            self.read_exact(range.start, &mut bytes)?;
            Ok(GapSlices::new(&bytes, if from_both { &bytes } else { &[] }))
        };
        ranges.iter().map(slices).collect()
    }

    /// The recipe of all of it; `None` if it cannot be read, or is not needed any more.
    pub(super) fn recipe(&self, is_over: &dyn Fn() -> bool) -> Option<Recipe> {
        let recipe = self.recipe_of(0..self.len, is_over);
        recipe.inspect_err(|error| tracing::debug!(%error, "an older version cannot be read")).ok()
    }

    /// Reads bytes; false if they cannot be read.
    pub(super) fn read(&self, at: u64, bytes: &mut [u8]) -> bool {
        let read = self.read_exact(at, bytes);
        read.inspect_err(|error| tracing::debug!(%error, "an older version cannot be read")).is_ok()
    }

    /// The value of one of its chunks, if it is known.
    pub(super) fn chunk_value(&self, number: u32) -> Option<&Hash> {
        let (values, _) = self.chunk_hashes.as_chunks();
        values.get(number as usize)
    }

    fn recipe_of(&self, range: Range<u64>, is_over: &dyn Fn() -> bool) -> Result<Recipe, StoreError> {
        let mut builder = RecipeBuilder::new();
        let mut part = vec![0; PART_LEN.min((range.end - range.start) as usize)];
        let mut at = range.start;
        while at < range.end && !is_over() {
            let len = (part.len() as u64).min(range.end - at);
            self.read_exact(at, &mut part[..len as usize])?;
            builder.push(&part[..len as usize]);
            at += len;
        }
        Ok(builder.finish())
    }

    fn read_exact(&self, at: u64, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.file.read_exact_at(bytes, at).map_err(StoreError::disk(&self.path, "read"))
    }
}

/// Read at once, in bytes.
const PART_LEN: usize = 1 << 20;
