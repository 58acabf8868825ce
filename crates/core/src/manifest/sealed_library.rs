//! The sealed form of [`library_manifest`](super::library_manifest): the same files, each sealed under a key that follows from its bytes and the
//! content key alone. So a file is sealed once for all contents that carry it, and two contents under one key share the sealed file. Who has the
//! key sees files named by the digits of their BLAKE3; who has it not sees numbers, and hashes of sealed bytes. Absent here: which key it is.

use std::collections::BTreeMap;

use super::body::{File, Manifest, ManifestError};
use super::geometry::{ChunkIndex, Geometry, auto_chunk_len_log2};
use super::library::{content_chunk_len_log2, content_name};
use super::path::EntryPath;
use super::seal::{ContentKey, FileKey, Tag, seal_chunk, sealed_manifest};
use super::subtree::Hash;

/// What the chunks of a file were sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFile {
    /// BLAKE3 of the plain bytes.
    pub hash: Hash,
    /// In bytes.
    pub len: u64,
    /// The results of [`FileSealer::seal`] for each chunk, in order.
    pub chunks: Vec<(Hash, Tag)>,
}

/// Seals the chunks of one file.
pub struct FileSealer {
    key: FileKey,
    geometry: Geometry,
}

impl FileSealer {
    /// For a file with this BLAKE3 and length. `None` if no content carries a file of that length.
    pub fn new(key: &ContentKey, hash: &Hash, len: u64) -> Option<Self> {
        let path = EntryPath::new(content_name(hash)).ok()?;
        let geometry = Geometry::new([(len, auto_chunk_len_log2(len))])?;
        Some(Self { key: key.file_key(&path, hash, content_chunk_len_log2(len)), geometry })
    }

    /// Where the chunks of the file lie.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Seals a chunk in place. Returns the value that proves the sealed chunk, and its tag.
    ///
    /// # Panics
    /// If `data` is not as long as the chunk.
    pub fn seal(&self, chunk: ChunkIndex, data: &mut [u8]) -> (Hash, Tag) {
        seal_chunk(&self.key, &self.geometry, chunk, data)
    }
}

/// The sealed content, already opened, that carries these files. One that comes twice is carried once; one without bytes is left out.
///
/// # Errors
/// If the chunks are not those of a file of that length, or the manifest would be longer than one may be.
pub fn sealed_library_manifest(
    files: impl IntoIterator<Item = SealedFile>,
    key: &ContentKey,
) -> Result<Manifest, ManifestError> {
    let files = files.into_iter().filter(|file| file.len > 0);
    let files: BTreeMap<String, SealedFile> = files.map(|file| (content_name(&file.hash), file)).collect();
    let mut entries = Vec::new();
    for (name, file) in files {
        let geometry = Geometry::new([(file.len, auto_chunk_len_log2(file.len))]);
        if geometry.is_none_or(|geometry| geometry.chunk_count() as usize != file.chunks.len()) {
            return Err(ManifestError::Malformed("a sealed file with other chunks"));
        }
        entries.push((entry(name, &file)?, file.chunks));
    }
    sealed_manifest(entries.iter().map(|(entry, chunks)| (entry, chunks.as_slice())), &[], key)
}

/// Whether an opened manifest, which may come from outside, is one that [`sealed_library_manifest`] makes.
pub fn is_sealed_library_manifest(opened: &Manifest) -> bool {
    let is_good = |file: &File| {
        plain_hash_of(file).is_some()
            && !file.executable
            && file.sha256.is_none()
            && file.len > 0
            && file.chunk_len_log2 == content_chunk_len_log2(file.len)
    };
    opened.opening().is_some() && opened.empty_directories().is_empty() && opened.files().iter().all(is_good)
}

/// The BLAKE3 of the plain bytes of a file of such a manifest.
pub fn plain_hash_of(file: &File) -> Option<Hash> {
    let name = file.path.as_str();
    let hash = *blake3::Hash::from_hex(name).ok()?.as_bytes();
    (content_name(&hash) == name).then_some(hash)
}

fn entry(name: String, file: &SealedFile) -> Result<File, ManifestError> {
    Ok(File {
        path: EntryPath::new(name)?,
        len: file.len,
        executable: false,
        blake3: file.hash,
        sha256: None,
        chunk_len_log2: content_chunk_len_log2(file.len),
        chunk_hashes: bytes::Bytes::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::SealError;

    fn key(byte: u8) -> ContentKey {
        ContentKey::from_bytes([byte; 32])
    }

    fn bytes_of(len: usize, seed: u8) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
    }

    /// The sealed chunks of a file, one after the other, and what proves them.
    fn sealed(data: &[u8], key: &ContentKey) -> (Vec<u8>, SealedFile) {
        let hash = *blake3::hash(data).as_bytes();
        let sealer = FileSealer::new(key, &hash, data.len() as u64).expect("a file");
        let (mut bytes, mut chunks) = (data.to_vec(), Vec::new());
        for chunk in sealer.geometry().chunks() {
            let span = sealer.geometry().span(chunk);
            chunks.push(sealer.seal(chunk, &mut bytes[span.file_offset as usize..][..span.len as usize]));
        }
        (bytes, SealedFile { hash, len: data.len() as u64, chunks })
    }

    #[test]
    fn the_sealed_manifest_is_a_function_of_the_contents_and_the_key() {
        let [long, short] = [bytes_of((1 << 20) + 1, 1), bytes_of(5, 2)];
        let of = |key: &ContentKey, files: &[&[u8]]| {
            let files = files.iter().map(|data| sealed(data, key).1);
            sealed_library_manifest(files, key).expect("good files")
        };
        let made = of(&key(1), &[&long, &short]);
        assert_eq!(made.id(), of(&key(1), &[&short, &long, &short]).id());
        assert_ne!(made.id(), of(&key(2), &[&long, &short]).id());
        assert!(is_sealed_library_manifest(&made));
        let hashes: Vec<Hash> = made.files().iter().filter_map(plain_hash_of).collect();
        assert!(hashes.contains(blake3::hash(&long).as_bytes()) && hashes.len() == 2);
    }

    #[test]
    fn without_the_key_there_is_no_plain_hash_and_no_plain_byte() {
        let data = bytes_of((1 << 20) + 77, 9);
        let (bytes, file) = sealed(&data, &key(1));
        let made = sealed_library_manifest([file.clone()], &key(1)).expect("a good file");
        let body = made.body();
        let holds = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
        assert!(!holds(&file.hash) && !holds(content_name(&file.hash).as_bytes()));
        assert!(!bytes.windows(32).any(|window| window == &data[..32]));
        let shut = Manifest::decode(body.clone()).expect("our own");
        assert_eq!(shut.files()[0].blake3, *blake3::hash(&bytes).as_bytes());
        assert_eq!(shut.opened(&key(2)).expect_err("another key"), SealError::WrongKey);
        assert!(!is_sealed_library_manifest(&shut));
    }

    #[test]
    fn two_contents_under_one_key_share_the_sealed_file() {
        let [a, b] = [bytes_of(100, 1), bytes_of(200, 2)].map(|data| sealed(&data, &key(1)).1);
        let [one, two] =
            [vec![a.clone()], vec![a, b]].map(|files| sealed_library_manifest(files, &key(1)).expect("good"));
        let shared = one.files()[0].blake3;
        assert!(two.files().iter().any(|file| file.blake3 == shared));
    }

    #[test]
    fn a_file_with_other_chunks_is_refused() {
        let file = sealed(&bytes_of(100, 1), &key(1)).1;
        let chunks = [file.chunks.clone(), file.chunks.clone()].concat();
        assert!(sealed_library_manifest([SealedFile { chunks, ..file }], &key(1)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_chunk_opens_to_what_was_sealed(len in 1usize..3_000_000, seed: u8, byte: u8) {
            let data = bytes_of(len, seed);
            let (mut bytes, file) = sealed(&data, &key(byte));
            let made = sealed_library_manifest([file], &key(byte)).expect("a good file");
            let opened = Manifest::decode(made.body().clone()).expect("ours").opened(&key(byte)).expect("the key");
            let opening = opened.opening().expect("opened");
            for chunk in opened.geometry().chunks() {
                let span = opened.geometry().span(chunk);
                let part = &mut bytes[span.file_offset as usize..][..span.len as usize];
                prop_assert!(opening.open(&opened, chunk, part));
            }
            prop_assert_eq!(bytes, data);
        }
    }
}
