//! The canonical body: what a ContentId hashes. Equal data gives equal bytes on any machine, so decoding refuses every
//! encoding but the canonical one.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::geometry::{ChunkIndex, FileIndex, Geometry, chunk_count_for};
use super::names::check_names;
use super::path::{EntryPath, PathError};
use super::seal::Opening;
use super::subtree::{Hash, combine_chunk_values};
use crate::base::ContentId;
use crate::base::limits::{CHUNK_LEN_LOG2_MAX, CHUNK_LEN_LOG2_MIN, FILES_MAX, MANIFEST_BODY_LEN_MAX};
use crate::proto;

/// One content, validated whole. Cheap to clone.
#[derive(Clone)]
pub struct Manifest(Arc<Inner>);

struct Inner {
    id: ContentId,
    body: Bytes,
    files: Vec<File>,
    empty_directories: Vec<EntryPath>,
    geometry: Geometry,
    /// The part of a sealed content that only its readers can decrypt.
    seal: Option<Bytes>,
    /// The keys to the chunks, once the content was opened.
    opening: Option<Arc<Opening>>,
}

/// One file of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the target folder.
    pub path: EntryPath,
    /// In bytes.
    pub len: u64,
    /// The executable bit.
    pub executable: bool,
    /// BLAKE3, as b3sum prints it.
    pub blake3: Hash,
    /// SHA-256, if the manifest was made with it.
    pub sha256: Option<Hash>,
    /// Chunk length as a power of two; without meaning (0) if the file has at most one chunk.
    pub chunk_len_log2: u8,
    /// 32 bytes a chunk; empty if the file has at most one chunk.
    pub chunk_hashes: Bytes,
}

/// Why bytes or files are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than a body may be.
    #[error("the manifest is longer than {MANIFEST_BODY_LEN_MAX} bytes")]
    TooLong,
    /// Not the schema, or not the canonical bytes of it.
    #[error("the manifest is malformed: {0}")]
    Malformed(&'static str),
    /// More files than allowed.
    #[error("the manifest holds more than {FILES_MAX} files")]
    TooManyFiles,
    /// More chunks or bytes than allowed.
    #[error("the content is too long for its chunk length: take a longer chunk length")]
    TooManyChunks,
    /// A path that no content may hold.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Two entries with one path, or a path that is both a file and a folder.
    #[error("path `{0}` is in the manifest twice, or is both a file and a folder")]
    PathTaken(EntryPath),
    /// Two names that many systems take for one, each escaped so that a reader sees the difference.
    #[error(
        "`{0}` and `{1}` are one name on systems where case or Unicode form does not count, and could not be stored there: \
         rename one of them before it is seeded"
    )]
    SameName(String, String),
    /// Chunk hashes that do not prove the file's hash.
    #[error("the chunk hashes of `{0}` do not add up to its BLAKE3")]
    Hashes(EntryPath),
    /// A chunk length outside the limits.
    #[error("the chunk length of `{0}` is not a power of two from 16 KiB to 16 MiB")]
    ChunkLen(EntryPath),
}

impl Manifest {
    /// Makes a manifest of these files and empty folders, in any order.
    pub fn new(mut files: Vec<File>, mut empty_directories: Vec<EntryPath>) -> Result<Self, ManifestError> {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        empty_directories.sort_unstable();
        let body = encode(&files, &empty_directories, None);
        Self::validated(body, files, empty_directories, None)
    }

    /// Makes the manifest of a sealed content; the files are in order.
    pub(super) fn new_sealed(files: Vec<File>, seal: Bytes) -> Result<Self, ManifestError> {
        let body = encode(&files, &[], Some(&seal));
        Self::validated(body, files, Vec::new(), Some(seal))
    }

    /// The same content under the names that its readers see: id, body and chunks are unchanged.
    pub(super) fn renamed(
        &self,
        files: Vec<File>,
        empty_directories: Vec<EntryPath>,
        opening: Arc<Opening>,
    ) -> Result<Self, ManifestError> {
        if empty_directories.len() > FILES_MAX {
            return Err(ManifestError::TooManyFiles);
        }
        check_places(&files, &empty_directories)?;
        check_names(files.iter().map(|file| &file.path).chain(&empty_directories))?;
        Ok(Self(Arc::new(Inner {
            id: self.id(),
            body: self.body().clone(),
            files,
            empty_directories,
            geometry: self.geometry().clone(),
            seal: self.0.seal.clone(),
            opening: Some(opening),
        })))
    }

    /// Decodes a canonical body. Memory is bounded by a small multiple of `body`'s length.
    pub fn decode(body: Bytes) -> Result<Self, ManifestError> {
        if body.len() > MANIFEST_BODY_LEN_MAX {
            return Err(ManifestError::TooLong);
        }
        let (files, empty_directories, seal) = decode_entries(body.clone())?;
        if encode(&files, &empty_directories, seal.as_ref()) != body {
            return Err(ManifestError::Malformed("it is not in canonical form"));
        }
        Self::validated(body, files, empty_directories, seal)
    }

    /// BLAKE3 of the body.
    pub fn id(&self) -> ContentId {
        self.0.id
    }

    /// The canonical body.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Its files, by path.
    pub fn files(&self) -> &[File] {
        &self.0.files
    }

    /// The file at an index.
    pub fn file(&self, index: FileIndex) -> &File {
        &self.0.files[index.get()]
    }

    /// Folders without entries, by path.
    pub fn empty_directories(&self) -> &[EntryPath] {
        &self.0.empty_directories
    }

    /// The encrypted part of a sealed content.
    pub(super) fn seal(&self) -> Option<&Bytes> {
        self.0.seal.as_ref()
    }

    /// Whether its chunks are sealed: they are useless without a key.
    pub fn is_sealed(&self) -> bool {
        self.0.seal.is_some()
    }

    /// The keys to the chunks, if the content was opened.
    pub fn opening(&self) -> Option<&Opening> {
        self.0.opening.as_deref()
    }

    /// Where its chunks lie.
    pub fn geometry(&self) -> &Geometry {
        &self.0.geometry
    }

    /// The value that proves a chunk: see [`super::ChunkHasher`].
    pub fn chunk_hash(&self, chunk: ChunkIndex) -> Hash {
        let span = self.geometry().span(chunk);
        let file = self.file(span.file);
        if span.is_whole_file {
            return file.blake3;
        }
        let at = (span.file_offset >> file.chunk_len_log2) as usize * 32;
        file.chunk_hashes[at..at + 32].try_into().expect("validated: 32 bytes a chunk")
    }

    /// A name for people: the one file, or the folder that holds all, or the id.
    pub fn name(&self) -> String {
        let top =
            |file: Option<&File>| file.and_then(|file| file.path.components().next()).map(str::to_owned);
        // Files are sorted by path: what begins the first and the last begins all.
        match top(self.files().first()) {
            Some(only) if top(self.files().last()).as_ref() == Some(&only) => only,
            _ => self.id().short(),
        }
    }

    fn validated(
        body: Bytes,
        files: Vec<File>,
        empty_directories: Vec<EntryPath>,
        seal: Option<Bytes>,
    ) -> Result<Self, ManifestError> {
        if body.len() > MANIFEST_BODY_LEN_MAX {
            return Err(ManifestError::TooLong);
        }
        if files.len() > FILES_MAX || empty_directories.len() > FILES_MAX {
            return Err(ManifestError::TooManyFiles);
        }
        check_places(&files, &empty_directories)?;
        check_names(files.iter().map(|file| &file.path).chain(&empty_directories))?;
        files.iter().try_for_each(check_hashes)?;
        let lengths = files
            .iter()
            .map(|f| (f.len, if f.chunk_len_log2 == 0 { ONE_CHUNK_LOG2 } else { f.chunk_len_log2 }));
        let geometry = Geometry::new(lengths).ok_or(ManifestError::TooManyChunks)?;
        let id = ContentId::from_bytes(*blake3::hash(&body).as_bytes());
        let opening = None;
        Ok(Self(Arc::new(Inner { id, body, files, empty_directories, geometry, seal, opening })))
    }
}

impl std::fmt::Debug for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Manifest({}, {} files)", self.id().short(), self.files().len())
    }
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Manifest {}

fn encode(files: &[File], empty_directories: &[EntryPath], seal: Option<&Bytes>) -> Bytes {
    let body = proto::ManifestBody {
        files: files.iter().map(file_to_proto).collect(),
        empty_directories: empty_directories.iter().map(|path| path.as_str().to_owned()).collect(),
        seal: seal.cloned().unwrap_or_default(),
    };
    body.encode_to_vec().into()
}

fn file_to_proto(file: &File) -> proto::File {
    proto::File {
        path: file.path.as_str().to_owned(),
        len: file.len,
        executable: file.executable,
        blake3: file.blake3.to_vec().into(),
        sha256: file.sha256.map(|hash| hash.to_vec().into()).unwrap_or_default(),
        chunk_len_log2: file.chunk_len_log2.into(),
        chunk_hashes: file.chunk_hashes.clone(),
    }
}

type Entries = (Vec<File>, Vec<EntryPath>, Option<Bytes>);

/// Decodes entry by entry, because a few bytes of protobuf can stand for a large struct: an entry too short to be a file is
/// refused before a struct is made of it.
fn decode_entries(mut body: Bytes) -> Result<Entries, ManifestError> {
    let malformed = |_| ManifestError::Malformed("it is cut short or not a manifest");
    let (mut files, mut empty_directories, mut seal) = (Vec::new(), Vec::new(), None);
    while body.has_remaining() {
        let (field, wire_type) = decode_key(&mut body).map_err(malformed)?;
        if wire_type != WireType::LengthDelimited {
            return Err(ManifestError::Malformed("an unknown field"));
        }
        let len = decode_varint(&mut body).map_err(malformed)?;
        let len = usize::try_from(len).ok().filter(|&len| len <= body.len());
        let entry = body.split_to(len.ok_or(ManifestError::Malformed("an entry is cut short"))?);
        match field {
            1 if entry.len() < FILE_ENTRY_LEN_MIN => {
                return Err(ManifestError::Malformed("a file entry is too short"));
            }
            1 => files.push(file_from_proto(proto::File::decode(entry).map_err(malformed)?)?),
            2 => empty_directories.push(directory_from_bytes(&entry)?),
            3 if entry.is_empty() || seal.is_some() => return Err(ManifestError::Malformed("a seal")),
            3 => seal = Some(entry),
            _ => return Err(ManifestError::Malformed("an unknown field")),
        }
        if files.len() > FILES_MAX || empty_directories.len() > FILES_MAX {
            return Err(ManifestError::TooManyFiles);
        }
    }
    Ok((files, empty_directories, seal))
}

fn directory_from_bytes(entry: &[u8]) -> Result<EntryPath, ManifestError> {
    let text = std::str::from_utf8(entry).map_err(|_| ManifestError::Malformed("a path is not UTF-8"))?;
    Ok(EntryPath::new(text)?)
}

fn file_from_proto(file: proto::File) -> Result<File, ManifestError> {
    let hash = |bytes: &Bytes| {
        Hash::try_from(bytes.as_ref()).map_err(|_| ManifestError::Malformed("a hash is not 32 bytes"))
    };
    Ok(File {
        path: EntryPath::new(file.path)?,
        len: file.len,
        executable: file.executable,
        blake3: hash(&file.blake3)?,
        sha256: if file.sha256.is_empty() { None } else { Some(hash(&file.sha256)?) },
        chunk_len_log2: u8::try_from(file.chunk_len_log2)
            .map_err(|_| ManifestError::Malformed("a chunk length"))?,
        chunk_hashes: file.chunk_hashes,
    })
}

fn check_places(files: &[File], empty_directories: &[EntryPath]) -> Result<(), ManifestError> {
    for pair in files.windows(2) {
        if pair[0].path >= pair[1].path {
            return Err(ManifestError::PathTaken(pair[1].path.clone()));
        }
    }
    for pair in empty_directories.windows(2) {
        if pair[0] >= pair[1] {
            return Err(ManifestError::PathTaken(pair[1].clone()));
        }
    }
    let taken: BTreeSet<&str> = files
        .iter()
        .map(|f| f.path.as_str())
        .chain(empty_directories.iter().map(EntryPath::as_str))
        .collect();
    if taken.len() != files.len() + empty_directories.len() {
        let twice = empty_directories.iter().find(|dir| files.binary_search_by(|f| f.path.cmp(dir)).is_ok());
        return twice.map_or(Ok(()), |path| Err(ManifestError::PathTaken(path.clone())));
    }
    let all = files.iter().map(|f| &f.path).chain(empty_directories);
    for path in all {
        if path.ancestors().any(|folder| taken.contains(folder)) {
            return Err(ManifestError::PathTaken(path.clone()));
        }
    }
    Ok(())
}

fn check_hashes(file: &File) -> Result<(), ManifestError> {
    if file.chunk_len_log2 == 0 {
        // A file of one chunk or none: its own hash proves it, so it must fit in a chunk.
        if file.len > 1 << ONE_CHUNK_LOG2 {
            return Err(ManifestError::ChunkLen(file.path.clone()));
        }
        let empty_is_right = file.len > 0 || file.blake3 == *blake3::hash(&[]).as_bytes();
        let has_hashes = !file.chunk_hashes.is_empty();
        return if has_hashes || !empty_is_right {
            Err(ManifestError::Hashes(file.path.clone()))
        } else {
            Ok(())
        };
    }
    if !(CHUNK_LEN_LOG2_MIN..=CHUNK_LEN_LOG2_MAX).contains(&file.chunk_len_log2) {
        return Err(ManifestError::ChunkLen(file.path.clone()));
    }
    let expected = chunk_count_for(file.len, file.chunk_len_log2);
    if file.chunk_hashes.len() as u64 != expected.saturating_mul(32) {
        return Err(ManifestError::Hashes(file.path.clone()));
    }
    let values: Vec<Hash> = file.chunk_hashes.as_chunks::<32>().0.to_vec();
    match combine_chunk_values(file.len, file.chunk_len_log2, &values) {
        Some(root) if root == file.blake3 => Ok(()),
        _ => Err(ManifestError::Hashes(file.path.clone())),
    }
}

/// A file without chunk hashes is one chunk, whatever its length up to that of the longest chunk.
const ONE_CHUNK_LOG2: u8 = CHUNK_LEN_LOG2_MAX;
/// A path of one byte and a hash, with their keys and lengths.
const FILE_ENTRY_LEN_MIN: usize = 3 + 34;

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::ChunkHasher;

    /// A file entry of these bytes, as the indexer would make it.
    pub(crate) fn file_of(path: &str, data: &[u8], log2: u8) -> File {
        let len = data.len() as u64;
        let geometry = Geometry::new([(len, log2)]).expect("a small file");
        let is_one = geometry.chunk_count() < 2;
        let hashes: Vec<u8> = geometry
            .chunks()
            .flat_map(|chunk| {
                let span = geometry.span(chunk);
                ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
            })
            .collect();
        File {
            path: EntryPath::new(path).expect("a good path"),
            len,
            executable: false,
            blake3: *blake3::hash(data).as_bytes(),
            sha256: None,
            chunk_len_log2: if is_one { 0 } else { log2 },
            chunk_hashes: if is_one { Bytes::new() } else { hashes.into() },
        }
    }

    fn manifest() -> Manifest {
        let data: Vec<u8> = (0..100_000u32).map(|i| (i * 7) as u8).collect();
        let files =
            vec![file_of("b/two", &data, 14), file_of("a", b"hello", 14), file_of("b/empty", b"", 14)];
        Manifest::new(files, vec![EntryPath::new("c/d").expect("a good path")]).expect("a good manifest")
    }

    #[test]
    fn a_manifest_survives_being_encoded_and_decoded() {
        let made = manifest();
        let read = Manifest::decode(made.body().clone()).expect("our own encoding");
        assert_eq!(read.id(), made.id());
        assert_eq!(read.files(), made.files());
        assert_eq!(read.geometry().chunk_count(), 8);
        assert_eq!(read.name(), made.id().short());
    }

    #[test]
    fn the_order_of_files_does_not_change_the_content() {
        let (one, two) = (file_of("x", b"1", 14), file_of("y", b"2", 14));
        let there = Manifest::new(vec![one.clone(), two.clone()], vec![]).expect("good");
        let back = Manifest::new(vec![two, one], vec![]).expect("good");
        assert_eq!(there.id(), back.id());
    }

    #[test]
    fn two_entries_never_want_one_place() {
        for (files, folders) in [
            (vec!["a", "a"], vec![]),
            (vec!["a", "a!", "a/b"], vec![]),
            (vec!["a"], vec!["a"]),
            (vec!["a"], vec!["a/b"]),
            (vec!["a/b"], vec!["a"]),
            (vec![], vec!["a", "a/b"]),
        ] {
            let entries = files.iter().map(|path| file_of(path, b"", 14)).collect();
            let empty = folders.iter().map(|path| EntryPath::new(*path).expect("a good path")).collect();
            assert!(
                matches!(Manifest::new(entries, empty), Err(ManifestError::PathTaken(_))),
                "{files:?} {folders:?}"
            );
        }
    }

    #[test]
    fn hashes_that_do_not_add_up_are_refused() {
        let mut file = file_of("a", &[1; 50_000], 14);
        file.blake3[0] ^= 1;
        assert!(matches!(Manifest::new(vec![file], vec![]), Err(ManifestError::Hashes(_))));
        let mut file = file_of("a", &[1; 50_000], 14);
        file.len += 20_000;
        assert!(matches!(Manifest::new(vec![file], vec![]), Err(ManifestError::Hashes(_))));
        let mut file = file_of("a", b"x", 14);
        file.len = u64::MAX;
        assert!(matches!(Manifest::new(vec![file], vec![]), Err(ManifestError::ChunkLen(_))));
    }

    #[test]
    fn another_encoding_of_the_same_entries_is_refused() {
        let mut body = manifest().body().to_vec();
        body.extend([0x12, 1, b'b']);
        assert!(Manifest::decode(body.into()).is_err());
        let tiny_entries = [0x0a, 0x00].repeat(1000);
        assert_eq!(
            Manifest::decode(tiny_entries.into()).map(|m| m.id()),
            Err(ManifestError::Malformed("a file entry is too short"))
        );
    }

    proptest! {
        #[test]
        fn flipped_or_cut_bytes_never_panic(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
            let mut body = manifest().body().to_vec();
            let at = at.index(body.len());
            if cut { body.truncate(at) } else { body[at] ^= 1 << bit }
            if let Ok(read) = Manifest::decode(body.into()) {
                prop_assert_ne!(read.id(), manifest().id());
            }
        }
    }
}
