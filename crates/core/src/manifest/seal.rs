//! Sealed contents: a node without the content's key can hold, check and serve the chunks, but not read them; a reader with
//! the key checks and reads each chunk by itself. The format is in `docs/sealed.md`. Invariants: no key stream is used for two
//! different texts, because a file's key is derived from its data and its chunk length; and a content opens with one key alone,
//! because it holds a value derived from that key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use data_encoding::BASE32_NOPAD;
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::body::{File, Manifest, ManifestError};
use super::geometry::{ChunkIndex, Geometry};
use super::path::EntryPath;
use super::subtree::{ChunkHasher, Hash, combine_chunk_values};
use crate::base::Category;
use crate::base::limits::FILES_MAX;
use crate::proto;

/// The secret of a sealed content. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentKey([u8; 32]);

/// Why a sealed content is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The content is not encrypted.
    #[error("the content is not sealed: leave out the key")]
    NotSealed,
    /// The key belongs to another content, or the manifest was changed before it was published.
    #[error("the key does not open this content: ask for the right one")]
    WrongKey,
    /// The key is right, but the decrypted part is not well-formed.
    #[error("what is sealed in the manifest is malformed: ask its publisher for another")]
    Malformed,
}

impl SealError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::NotSealed | Self::Malformed => Category::Usage,
            Self::WrongKey => Category::Denied,
        }
    }
}

/// A text that is not a content key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a content key: it starts with `{PREFIX}`, and has 52 letters and digits after that")]
pub struct ParseKeyError;

/// The keys and tags that decrypt the chunks of one content.
pub struct Opening {
    /// One key for each file, in the order of the manifest.
    keys: Vec<FileKey>,
    /// One tag for each chunk.
    tags: Vec<Tag>,
}

/// Poly1305 over a sealed chunk.
pub type Tag = [u8; 16];

pub(super) type FileKey = [u8; 32];

/// Makes a sealed content from a plain one: [`Sealer::seal`] every chunk, then [`Sealer::finish`].
pub struct Sealer {
    plain: Manifest,
    key: ContentKey,
    keys: Vec<FileKey>,
}

impl ContentKey {
    /// A key of 32 bytes, which must come from a secure random source.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key: with them, anyone can read the content.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of one file, derived from its data, its chunk length and its path: no two texts share a key stream.
    pub(super) fn file_key(&self, path: &EntryPath, blake3: &Hash, chunk_len_log2: u8) -> FileKey {
        let mut hasher = blake3::Hasher::new_keyed(&self.derived(FILE_CONTEXT));
        hasher.update(blake3).update(&[chunk_len_log2]).update(path.as_str().as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn derived(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }

    fn entries_cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derived(ENTRIES_CONTEXT).into())
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl FromStr for ContentKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(ParseKeyError)?.to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(digits.as_bytes()).map_err(|_| ParseKeyError)?;
        bytes.try_into().map(Self).map_err(|_| ParseKeyError)
    }
}

impl Sealer {
    /// Starts to seal a plain content. Equal contents under equal keys give equal sealed contents.
    pub fn new(plain: &Manifest, key: &ContentKey) -> Self {
        let key_of = |file: &File| key.file_key(&file.path, &file.blake3, file.chunk_len_log2);
        let keys = plain.files().iter().map(key_of).collect();
        Self { plain: plain.clone(), key: key.clone(), keys }
    }

    /// Seals a chunk in place. Returns the value that proves the sealed chunk, and its tag.
    ///
    /// # Panics
    /// If `data` is not as long as the chunk.
    pub fn seal(&self, chunk: ChunkIndex, data: &mut [u8]) -> (Hash, Tag) {
        let geometry = self.plain.geometry();
        let key = &self.keys[geometry.span(chunk).file.get()];
        seal_chunk(key, geometry, chunk, data)
    }

    /// The sealed content, already opened. `chunks` has the result of [`Sealer::seal`] for each chunk, in order.
    ///
    /// # Errors
    /// If it is longer than a manifest may be.
    pub fn finish(self, chunks: &[(Hash, Tag)]) -> Result<Manifest, ManifestError> {
        let geometry = self.plain.geometry();
        let chunks_of = |index| {
            let range = geometry.file_chunk_range(index);
            (self.plain.file(index), &chunks[range.start as usize..range.end as usize])
        };
        let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index)).map(chunks_of);
        sealed_manifest(files, self.plain.empty_directories(), &self.key)
    }
}

/// Seals a chunk in place under the key of its file.
pub(super) fn seal_chunk(
    key: &FileKey,
    geometry: &Geometry,
    chunk: ChunkIndex,
    data: &mut [u8],
) -> (Hash, Tag) {
    let span = geometry.span(chunk);
    assert_eq!(data.len(), span.len as usize, "a chunk is sealed whole");
    let cipher = ChaCha20Poly1305::new(&(*key).into());
    let tag = cipher.encrypt_inout_detached(&nonce(geometry, chunk).into(), &[], data.into());
    let tag = tag.expect("a chunk is far shorter than 256 GiB");
    (ChunkHasher::hash(&span, data), tag.into())
}

/// The sealed content, already opened, of files in the order of their paths, each with what its chunks were sealed to.
pub(super) fn sealed_manifest<'a>(
    files: impl Iterator<Item = (&'a File, &'a [(Hash, Tag)])>,
    empty_directories: &[EntryPath],
    key: &ContentKey,
) -> Result<Manifest, ManifestError> {
    let (mut sealed, mut entries) = (Vec::new(), Vec::new());
    for (number, (file, chunks)) in files.enumerate() {
        let values: Vec<Hash> = chunks.iter().map(|(hash, _)| *hash).collect();
        sealed.push(sealed_file(number, file, &values)?);
        entries.push(proto::SealedEntry {
            path: file.path.as_str().to_owned(),
            executable: file.executable,
            blake3: file.blake3.to_vec().into(),
            sha256: file.sha256.map(|hash| hash.to_vec().into()).unwrap_or_default(),
            tags: chunks.iter().flat_map(|(_, tag)| *tag).collect::<Vec<u8>>().into(),
        });
    }
    let empty = empty_directories.iter().map(|path| path.as_str().to_owned());
    let entries = proto::SealedEntries { files: entries, empty_directories: empty.collect() };
    let seal = key.sealed_entries(&entries.encode_to_vec());
    let sealed = Manifest::new_sealed(sealed, seal)?;
    sealed.opened(key).map_err(|_| ManifestError::Malformed("it does not open"))
}

impl ContentKey {
    /// The nonce is derived from the text: equal contents under one key are equal when sealed, and no nonce serves two texts.
    fn sealed_entries(&self, entries: &[u8]) -> Bytes {
        let digest = blake3::keyed_hash(&self.derived(NONCE_CONTEXT), entries);
        let nonce: [u8; NONCE_LEN] = *digest.as_bytes().first_chunk().expect("a hash is longer");
        let (mut text, head) = (entries.to_vec(), self.head());
        self.entries_cipher()
            .encrypt_in_place(&nonce.into(), &head, &mut text)
            .expect("a manifest is far shorter than 256 GiB");
        [head.as_slice(), &nonce, &text].concat().into()
    }

    /// A seal begins with its version and a commitment to the key. The ciphers alone do not commit: a text can be made that
    /// decrypts under two keys (<https://eprint.iacr.org/2019/016>).
    fn head(&self) -> [u8; HEAD_LEN] {
        let mut head = [VERSION; HEAD_LEN];
        head[1..].copy_from_slice(&self.derived(COMMITMENT_CONTEXT));
        head
    }

    fn open_entries(&self, seal: &[u8]) -> Result<Bytes, SealError> {
        let (head, rest) = seal.split_first_chunk::<HEAD_LEN>().ok_or(SealError::Malformed)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Malformed)?;
        if head[0] != VERSION {
            return Err(SealError::Malformed);
        }
        if *head != self.head() {
            return Err(SealError::WrongKey);
        }
        let mut text = text.to_vec();
        self.entries_cipher()
            .decrypt_in_place(&(*nonce).into(), head, &mut text)
            .map_err(|_| SealError::Malformed)?;
        Ok(text.into())
    }
}

impl Manifest {
    /// The same content as its readers see it: with its names, and with the keys to its chunks. Id, body and chunks stay
    /// unchanged, so that a reader serves the content as it received it.
    ///
    /// # Errors
    /// If it is not sealed, or with another key.
    pub fn opened(&self, key: &ContentKey) -> Result<Self, SealError> {
        let entries = key.open_entries(self.seal().ok_or(SealError::NotSealed)?)?;
        let entries = read_entries(entries, self.files().len()).ok_or(SealError::Malformed)?;
        if entries.files.len() != self.files().len() {
            return Err(SealError::Malformed);
        }
        let geometry = self.geometry();
        let (mut files, mut keys, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        for (index, entry) in (0..geometry.file_count()).filter_map(|at| geometry.file(at)).zip(entries.files)
        {
            let blake3 = Hash::try_from(entry.blake3.as_ref()).map_err(|_| SealError::Malformed)?;
            let sha256 = match entry.sha256.as_ref() {
                [] => None,
                bytes => Some(Hash::try_from(bytes).map_err(|_| SealError::Malformed)?),
            };
            let path = EntryPath::new(entry.path).map_err(|_| SealError::Malformed)?;
            let (of_file, rest) = entry.tags.as_chunks::<16>();
            if !rest.is_empty() || of_file.len() != geometry.file_chunk_range(index).len() {
                return Err(SealError::Malformed);
            }
            tags.extend_from_slice(of_file);
            keys.push(key.file_key(&path, &blake3, self.file(index).chunk_len_log2));
            files.push(File { path, executable: entry.executable, sha256, ..self.file(index).clone() });
        }
        let empty = entries.empty_directories.into_iter().map(EntryPath::new).collect::<Result<Vec<_>, _>>();
        let empty = empty.map_err(|_| SealError::Malformed)?;
        let opening = Opening { keys, tags };
        self.renamed(files, empty, Arc::new(opening)).map_err(|_| SealError::Malformed)
    }
}

impl Opening {
    /// Seals a part of a chunk in place, for a peer that fetches it from this reader.
    ///
    /// # Panics
    /// If `manifest` is not the one that this opens.
    pub fn seal_part(&self, manifest: &Manifest, chunk: ChunkIndex, offset: u32, data: &mut [u8]) {
        let span = manifest.geometry().span(chunk);
        let nonce = nonce(manifest.geometry(), chunk);
        let mut cipher = ChaCha20::new(&self.keys[span.file.get()].into(), &nonce.into());
        // The first block of the key stream is the Poly1305 key (RFC 8439, section 2.6).
        cipher.seek(BLOCK_LEN + u64::from(offset));
        cipher.apply_keystream(data);
    }

    /// Opens a whole chunk in place. False if it was not sealed with this key; the chunk's hash alone does not show that.
    ///
    /// # Panics
    /// If `manifest` is not the one that this opens.
    pub fn open(&self, manifest: &Manifest, chunk: ChunkIndex, data: &mut [u8]) -> bool {
        let span = manifest.geometry().span(chunk);
        let cipher = ChaCha20Poly1305::new(&self.keys[span.file.get()].into());
        let tag = self.tags[chunk.get() as usize].into();
        let nonce = nonce(manifest.geometry(), chunk);
        cipher.decrypt_inout_detached(&nonce.into(), &[], data.into(), &tag).is_ok()
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({} files)", self.keys.len())
    }
}

/// Decodes entry by entry, because two bytes of protobuf can stand for a large struct: stops after `file_count` entries.
fn read_entries(mut text: Bytes, file_count: usize) -> Option<proto::SealedEntries> {
    let mut entries = proto::SealedEntries::default();
    while text.has_remaining() {
        let (field, wire_type) = decode_key(&mut text).ok()?;
        let len = decode_varint(&mut text).ok().and_then(|len| usize::try_from(len).ok())?;
        if wire_type != WireType::LengthDelimited || len > text.len() {
            return None;
        }
        let entry = text.split_to(len);
        match field {
            1 if entries.files.len() < file_count => {
                entries.files.push(proto::SealedEntry::decode(entry).ok()?);
            }
            2 if entries.empty_directories.len() < FILES_MAX => {
                entries.empty_directories.push(String::from_utf8(entry.into()).ok()?);
            }
            _ => return None,
        }
    }
    Some(entries)
}

/// The chunk's number in its file: unique under the file's key, so that no nonce repeats.
fn nonce(geometry: &Geometry, chunk: ChunkIndex) -> [u8; 12] {
    let file = geometry.span(chunk).file;
    let number = chunk.get() - geometry.file_chunk_range(file).start;
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&number.to_le_bytes());
    nonce
}

/// The public names of sealed files are numbers of equal width, so that they sort as the real paths do.
fn sealed_file(number: usize, file: &File, values: &[Hash]) -> Result<File, ManifestError> {
    let blake3 = match values {
        [] => *blake3::hash(&[]).as_bytes(),
        [one] => *one,
        many => combine_chunk_values(file.len, file.chunk_len_log2, many)
            .ok_or(ManifestError::Malformed("a chunk length"))?,
    };
    Ok(File {
        path: EntryPath::new(format!("{number:08}"))?,
        len: file.len,
        executable: false,
        blake3,
        sha256: None,
        chunk_len_log2: file.chunk_len_log2,
        chunk_hashes: if values.len() < 2 { Bytes::new() } else { values.concat().into() },
    })
}

const PREFIX: &str = "swarmkey1";
const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
const HEAD_LEN: usize = 1 + 32;
const BLOCK_LEN: u64 = 64;
const COMMITMENT_CONTEXT: &str = "swarm sealed content v1 commitment";
const ENTRIES_CONTEXT: &str = "swarm sealed content v1 entries";
const NONCE_CONTEXT: &str = "swarm sealed content v1 entries nonce";
const FILE_CONTEXT: &str = "swarm sealed content v1 file";

#[cfg(test)]
mod tests {
    use super::super::body::tests::file_of;
    use super::*;

    fn key(byte: u8) -> ContentKey {
        ContentKey::from_bytes([byte; 32])
    }

    fn data() -> Vec<u8> {
        (0..50_000u32).map(|i| (i * 7) as u8).collect()
    }

    fn plain(data: &[u8]) -> Manifest {
        let files = vec![file_of("b/film", data, 14), file_of("a", b"hello", 14), file_of("c", b"", 14)];
        Manifest::new(files, vec![EntryPath::new("d/e").expect("a good path")]).expect("a good manifest")
    }

    fn bytes_of(manifest: &Manifest, chunk: ChunkIndex, data: &[u8]) -> Vec<u8> {
        let span = manifest.geometry().span(chunk);
        let all: &[u8] = if manifest.file(span.file).len == 5 { b"hello" } else { data };
        all[span.file_offset as usize..][..span.len as usize].to_vec()
    }

    /// The sealed content, opened, and its sealed chunks.
    fn sealed(data: &[u8], key: &ContentKey) -> (Manifest, Vec<Vec<u8>>) {
        let plain = plain(data);
        let sealer = Sealer::new(&plain, key);
        let mut chunks = Vec::new();
        let proofs: Vec<(Hash, Tag)> = plain
            .geometry()
            .chunks()
            .map(|chunk| {
                let mut bytes = bytes_of(&plain, chunk, data);
                let proof = sealer.seal(chunk, &mut bytes);
                chunks.push(bytes);
                proof
            })
            .collect();
        (sealer.finish(&proofs).expect("a good manifest"), chunks)
    }

    #[test]
    fn who_has_the_key_gets_names_and_bytes_back() {
        let (made, chunks) = sealed(&data(), &key(1));
        let shut = Manifest::decode(made.body().clone()).expect("our own encoding");
        assert_eq!(shut.id(), made.id());
        let opened = shut.opened(&key(1)).expect("the right key");
        let names: Vec<&str> = opened.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["a", "b/film", "c"]);
        assert_eq!(opened.empty_directories(), plain(&data()).empty_directories());
        let opening = opened.opening().expect("it is open");
        for (chunk, sealed) in opened.geometry().chunks().zip(chunks) {
            let span = opened.geometry().span(chunk);
            assert_eq!(ChunkHasher::hash(&span, &sealed), shut.chunk_hash(chunk));
            let mut bytes = sealed.clone();
            assert!(opening.open(&opened, chunk, &mut bytes));
            assert_eq!(bytes, bytes_of(&opened, chunk, &data()));
            let from = bytes.len() / 3;
            opening.seal_part(&opened, chunk, from as u32, &mut bytes[from..]);
            assert_eq!(bytes[from..], sealed[from..]);
        }
    }

    #[test]
    fn who_lacks_the_key_sees_numbers_and_lengths() {
        let (made, chunks) = sealed(&data(), &key(1));
        let shut = Manifest::decode(made.body().clone()).expect("our own encoding");
        let names: Vec<&str> = shut.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["00000000", "00000001", "00000002"]);
        assert!(shut.empty_directories().is_empty() && shut.opening().is_none());
        assert!(!made.body().windows(4).any(|bytes| bytes == b"film"));
        assert!(
            chunks
                .iter()
                .zip(shut.geometry().chunks())
                .all(|(sealed, chunk)| { *sealed != bytes_of(&shut, chunk, &data()) })
        );
        assert_eq!(shut.opened(&key(2)), Err(SealError::WrongKey));
        assert_eq!(plain(&data()).opened(&key(1)), Err(SealError::NotSealed));
    }

    #[test]
    fn equal_contents_seal_alike_and_changed_ones_share_no_key_stream() {
        let (one, chunks) = sealed(&data(), &key(1));
        assert_eq!(sealed(&data(), &key(1)).0.id(), one.id());
        assert_ne!(sealed(&data(), &key(2)).0.id(), one.id());
        let mut changed = data();
        changed[49_999] ^= 1;
        let (_, others) = sealed(&changed, &key(1));
        // The chunks of the film differ from the first byte on, though only the last byte of the film does.
        assert!(chunks[1..].iter().zip(&others[1..]).all(|(one, other)| one[..16] != other[..16]));
    }

    #[test]
    fn a_file_that_is_cut_otherwise_is_sealed_with_another_key_stream() {
        let [short, long] = [14, 15].map(|log2| {
            let plain = Manifest::new(vec![file_of("film", &[0; 100_000], log2)], vec![]).expect("good");
            let sealer = Sealer::new(&plain, &key(1));
            let mut bytes = vec![0; 1 << log2];
            sealer.seal(plain.geometry().chunk(1).expect("there"), &mut bytes);
            bytes
        });
        // The text is zeros, so what is left is the key stream.
        assert_ne!(short[..64], long[..64]);
    }

    #[test]
    fn a_chunk_that_was_tampered_with_does_not_open() {
        let (made, mut chunks) = sealed(&data(), &key(1));
        let chunk = made.geometry().chunk(1).expect("there");
        chunks[1][5] ^= 1;
        assert!(!made.opening().expect("it is open").open(&made, chunk, &mut chunks[1]));
    }

    #[test]
    fn a_key_survives_being_printed_and_read() {
        let text = key(7).to_string();
        assert_eq!(text.parse(), Ok(key(7)));
        assert_eq!(text[..20].parse::<ContentKey>(), Err(ParseKeyError));
        assert!(!format!("{:?}", key(7)).contains('7'));
    }
}
