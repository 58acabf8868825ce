//! Contents without names, as libraries move them: which manifest carries a set of contents. It is a function of the set: each file is named
//! by the 64 digits of its BLAKE3, is not executable, and has the chunk length that its length alone decides. Absent here: which contents a
//! commit names, and the names and executable bits of the files that have them.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::body::{File, Manifest, ManifestError};
use super::geometry::{auto_chunk_len_log2, chunk_count_for};
use super::path::{EntryPath, PathError};
use super::subtree::Hash;

/// The bytes of a file, and what proves each chunk of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentFile {
    /// BLAKE3, as b3sum prints it.
    pub hash: Hash,
    /// In bytes.
    pub len: u64,
    /// 32 bytes a chunk of [`content_chunk_len_log2`]; empty if the file has at most one chunk.
    pub chunk_hashes: Bytes,
}

/// The chunk length of a content of this length, as a power of two: the one that indexing a file of that length chooses. Zero if it has at
/// most one chunk.
pub fn content_chunk_len_log2(len: u64) -> u8 {
    let log2 = auto_chunk_len_log2(len);
    if chunk_count_for(len, log2) > 1 { log2 } else { 0 }
}

/// The manifest that carries these contents. One that comes twice is carried once; one without bytes is left out, since everybody has it.
///
/// # Errors
/// As [`Manifest::new`]: two lengths for one hash, or chunk hashes that do not prove a file.
pub fn library_manifest(files: impl IntoIterator<Item = ContentFile>) -> Result<Manifest, ManifestError> {
    let files: BTreeSet<ContentFile> = files.into_iter().filter(|file| file.len > 0).collect();
    let files = files.into_iter().map(file_of).collect::<Result<Vec<_>, PathError>>()?;
    Manifest::new(files, Vec::new())
}

/// Whether a manifest, which may come from outside, is one that [`library_manifest`] makes.
pub fn is_library_manifest(manifest: &Manifest) -> bool {
    let contents = manifest.files().iter().map(|file| ContentFile {
        hash: file.blake3,
        len: file.len,
        chunk_hashes: file.chunk_hashes.clone(),
    });
    library_manifest(contents).is_ok_and(|made| made.id() == manifest.id())
}

/// The content of a file of such a manifest.
pub fn content_hash_of(file: &File) -> Hash {
    file.blake3
}

/// The name of a content's file in such a manifest.
pub fn content_name(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

fn file_of(content: ContentFile) -> Result<File, PathError> {
    Ok(File {
        path: EntryPath::new(content_name(&content.hash))?,
        len: content.len,
        executable: false,
        blake3: content.hash,
        sha256: None,
        chunk_len_log2: content_chunk_len_log2(content.len),
        chunk_hashes: content.chunk_hashes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ChunkHasher, Geometry};

    fn content(data: &[u8]) -> ContentFile {
        let log2 = content_chunk_len_log2(data.len() as u64);
        let geometry = Geometry::new([(data.len() as u64, log2)]).expect("one small file");
        let value = |chunk| {
            let span = geometry.span(chunk);
            ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
        };
        let chunk_hashes: Vec<u8> =
            if log2 == 0 { Vec::new() } else { geometry.chunks().flat_map(value).collect() };
        ContentFile {
            hash: *blake3::hash(data).as_bytes(),
            len: data.len() as u64,
            chunk_hashes: chunk_hashes.into(),
        }
    }

    #[test]
    fn the_manifest_is_a_function_of_the_set_of_contents() {
        let long = vec![7; (1 << 20) + 1];
        let [a, b, empty] = [content(&long), content(b"hello"), content(b"")];
        let made = library_manifest([a.clone(), b.clone(), empty, a.clone()]).expect("good contents");
        let again = library_manifest([b, a]).expect("good contents");
        assert_eq!(made.id(), again.id());
        assert!(is_library_manifest(&made));
        let shown: Vec<_> = made
            .files()
            .iter()
            .map(|file| (file.len, file.chunk_len_log2, file.chunk_hashes.len()))
            .collect();
        assert!(shown.contains(&(5, 0, 0)) && shown.contains(&((1 << 20) + 1, 20, 64)), "{shown:?}");
        for file in made.files() {
            assert_eq!(file.path.as_str(), content_name(&content_hash_of(file)));
        }
    }

    #[test]
    fn the_chunk_length_follows_from_the_length_alone() {
        for (len, log2) in [(0, 0), (1, 0), (1 << 20, 0), ((1 << 20) + 1, 20), (1 << 33, 22), (1 << 40, 23)] {
            assert_eq!(content_chunk_len_log2(len), log2, "{len}");
        }
    }

    #[test]
    fn a_content_has_one_length_and_proves_its_chunks() {
        let (good, mut other) = (content(b"hello"), content(b"hello"));
        other.len = 6;
        assert!(matches!(library_manifest([good, other]), Err(ManifestError::PathTaken(_))));
        let mut unproven = content(&vec![7; 3 << 20]);
        unproven.hash[0] ^= 1;
        assert!(matches!(library_manifest([unproven]), Err(ManifestError::Hashes(_))));
    }

    #[test]
    fn a_manifest_with_names_of_a_user_is_none_of_a_library() {
        let mut file = file_of(content(b"hello")).expect("a good name");
        file.path = EntryPath::new("film.mov").expect("a good path");
        let named = Manifest::new(vec![file.clone()], Vec::new()).expect("a good manifest");
        assert!(!is_library_manifest(&named));
        file.path = EntryPath::new(content_name(&file.blake3)).expect("a good path");
        file.executable = true;
        assert!(!is_library_manifest(&Manifest::new(vec![file], Vec::new()).expect("a good manifest")));
    }
}
