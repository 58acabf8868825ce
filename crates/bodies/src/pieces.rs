//! Small parts of bodies and samples.

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Address, ChunkHasher, EntryPath, File, Geometry, Manifest, SigningKey, Source};

/// A field of a protobuf message that has a length: bytes, a string or a message.
pub(super) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut rest = bytes.len();
    while rest >= 0x80 {
        field.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    field.push(rest as u8);
    field.extend(bytes);
    field
}

/// A manifest of files of these lengths, in chunks of 16 KiB, and an empty folder.
pub(super) fn manifest_of(files: &[(&str, usize)]) -> Manifest {
    let files = files.iter().map(|(path, len)| file_of(path, &vec![*len as u8; *len])).collect();
    Manifest::new(files, vec![path("z/empty")]).expect("good paths")
}

/// A file as an indexer makes it.
pub(super) fn file_of(name: &str, data: &[u8]) -> File {
    let len = data.len() as u64;
    let geometry = Geometry::new([(len, LOG2)]).expect("a small file");
    let is_one = geometry.chunk_count() < 2;
    let hash = |chunk| {
        let span = geometry.span(chunk);
        ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
    };
    let hashes: Vec<u8> = if is_one { Vec::new() } else { geometry.chunks().flat_map(hash).collect() };
    File {
        path: path(name),
        len,
        executable: len % 2 == 1,
        blake3: *blake3::hash(data).as_bytes(),
        sha256: (len % 3 == 1).then_some([7; 32]),
        chunk_len_log2: if is_one { 0 } else { LOG2 },
        chunk_hashes: hashes.into(),
    }
}

pub(super) fn path(text: &str) -> EntryPath {
    EntryPath::new(text).expect("a good path")
}

pub(super) fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

pub(super) fn content(number: u8) -> ContentId {
    ContentId::from_bytes([number; 32])
}

pub(super) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

pub(super) fn source(number: u8) -> Source {
    let addresses =
        vec![address("192.0.2.1:4433"), address("[2001:db8::1]:1"), address("seed.example:65535")];
    Source { node: node(number), addresses }
}

/// The key that signs samples.
pub(super) fn key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

const LOG2: u8 = 14;
