//! Makes the manifest of files whose bytes are given in order: for a page that seeds what its visitor picked. Holds 32 bytes a chunk.

use blake3::Hasher;

use swarm_core::manifest::{
    ChunkHasher, ChunkIndex, EntryPath, File, Geometry, Manifest, ManifestError, PathError,
    auto_chunk_len_log2,
};

/// Files that are being hashed.
#[derive(Default)]
pub struct Indexer {
    files: Vec<File>,
    current: Option<Current>,
}

/// Why files do not become a content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// A name that no content may have.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The files together cannot be one content.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// More or fewer bytes came than the file was said to have: it changed meanwhile.
    #[error("the file `{0}` changed while it was read: add it again")]
    Changed(String),
    /// Bytes of no file, or a file within another.
    #[error("bytes were given out of order")]
    OutOfOrder,
}

/// A file that is being read.
struct Current {
    path: EntryPath,
    len: u64,
    read_len: u64,
    geometry: Geometry,
    chunk_len_log2: u8,
    whole: Hasher,
    chunk: Option<(ChunkIndex, ChunkHasher, u32)>,
    hashes: Vec<u8>,
}

impl Indexer {
    /// Begins a file of this length.
    ///
    /// # Errors
    /// If no content may have such a path, or the file before has not come whole.
    pub fn begin(&mut self, path: &str, len: u64) -> Result<(), IndexError> {
        self.end()?;
        let path = EntryPath::new(path)?;
        let chunk_len_log2 = auto_chunk_len_log2(len);
        let too_long = || IndexError::Manifest(ManifestError::TooManyChunks);
        let geometry = Geometry::new([(len, chunk_len_log2)]).ok_or_else(too_long)?;
        let (whole, chunk, hashes) = (Hasher::new(), None, Vec::new());
        self.current =
            Some(Current { path, len, read_len: 0, geometry, chunk_len_log2, whole, chunk, hashes });
        Ok(())
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// If there are more than the file was said to have.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.current.as_mut().ok_or(IndexError::OutOfOrder)?.update(bytes)
    }

    /// The manifest of all files.
    ///
    /// # Errors
    /// If the last file has not come whole, or the files cannot be one content.
    pub fn finish(mut self) -> Result<Manifest, IndexError> {
        self.end()?;
        Ok(Manifest::new(self.files, Vec::new())?)
    }

    fn end(&mut self) -> Result<(), IndexError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        self.files.push(current.end()?);
        Ok(())
    }
}

impl Current {
    fn update(&mut self, mut bytes: &[u8]) -> Result<(), IndexError> {
        self.read_len += bytes.len() as u64;
        if self.read_len > self.len {
            return Err(IndexError::Changed(self.path.as_str().to_owned()));
        }
        let is_one_chunk = self.geometry.chunk_count() <= 1;
        if is_one_chunk {
            self.whole.update(bytes);
            return Ok(());
        }
        while !bytes.is_empty() {
            let next = (self.hashes.len() / 32) as u32;
            let (_, hasher, left) = match &mut self.chunk {
                Some(chunk) => chunk,
                none => {
                    let index = self.geometry.chunk(next).ok_or(IndexError::OutOfOrder)?;
                    let span = self.geometry.span(index);
                    none.insert((index, ChunkHasher::new(&span), span.len))
                }
            };
            let (part, rest) = bytes.split_at(bytes.len().min(*left as usize));
            hasher.update(part);
            *left -= part.len() as u32;
            bytes = rest;
            if *left == 0 {
                self.hashes.extend(hasher.finalize());
                self.chunk = None;
            }
        }
        Ok(())
    }

    fn end(self) -> Result<File, IndexError> {
        if self.read_len != self.len {
            return Err(IndexError::Changed(self.path.as_str().to_owned()));
        }
        let values: Vec<[u8; 32]> = self.hashes.as_chunks::<32>().0.to_vec();
        let combined = swarm_core::manifest::combine_chunk_values(self.len, self.chunk_len_log2, &values);
        Ok(File {
            path: self.path,
            len: self.len,
            executable: false,
            blake3: combined.unwrap_or_else(|| *self.whole.finalize().as_bytes()),
            sha256: None,
            chunk_len_log2: if values.is_empty() { 0 } else { self.chunk_len_log2 },
            chunk_hashes: self.hashes.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 / 3) as u8).collect()
    }

    #[test]
    fn the_manifest_is_that_of_the_bytes_however_they_come() {
        for len in [0, 1, 1000, 1 << 20, (1 << 20) + 1, 3_500_000] {
            let bytes = bytes(len);
            let of = |piece_len: usize| {
                let mut indexer = Indexer::default();
                indexer.begin("a/film.mkv", len as u64).expect("a path");
                bytes.chunks(piece_len).for_each(|piece| indexer.update(piece).expect("in order"));
                indexer.finish().expect("whole")
            };
            let manifest = of(64 << 10);
            assert_eq!(manifest.id(), of(70_001).id());
            assert_eq!(manifest.files()[0].blake3, *blake3::hash(&bytes).as_bytes());
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let mut short = Indexer::default();
        short.begin("film", 10).expect("a path");
        short.update(&[0; 9]).expect("in order");
        assert_eq!(short.begin("next", 1), Err(IndexError::Changed("film".to_owned())));
        let mut long = Indexer::default();
        long.begin("film", 10).expect("a path");
        assert_eq!(long.update(&[0; 11]), Err(IndexError::Changed("film".to_owned())));
        assert_eq!(Indexer::default().update(&[1]), Err(IndexError::OutOfOrder));
        assert!(matches!(Indexer::default().begin("../film", 10), Err(IndexError::Path(_))));
    }
}
