//! Digests of a content that was not hashed with them before: one pass over its bytes, which proves them too.

use blake3::hazmat::HasherExt as _;
use sha2::{Digest as _, Sha256};
use swarm_core::manifest::content_chunk_len_log2;
use swarm_index::Digest;
use swarm_sync::{ContentHash, ContentSource, FileContent, ReplicaError, TreePath};

/// Reads a content whole.
///
/// # Errors
/// [`ReplicaError::Changed`] if it has other bytes.
pub(crate) fn digest_of(
    source: &mut dyn ContentSource,
    path: &TreePath,
    content: &FileContent,
) -> Result<Digest, ReplicaError> {
    let log2 = content_chunk_len_log2(content.len);
    let chunk_len = if log2 == 0 { content.len } else { 1 << log2 };
    let (mut whole, mut sha256) = (blake3::Hasher::new(), Sha256::new());
    let (mut chunk_hashes, mut buf) = (Vec::new(), vec![0; BUF_LEN]);
    let (mut offset, mut chunk) = (0, blake3::Hasher::new());
    while offset < content.len {
        let chunk_rest = chunk_len - offset % chunk_len;
        let left = usize::try_from(chunk_rest.min(content.len - offset)).unwrap_or(BUF_LEN).min(BUF_LEN);
        let len = source.read_at(offset, &mut buf[..left])?;
        if len == 0 {
            return Err(ReplicaError::Changed { path: path.clone() });
        }
        whole.update(&buf[..len]);
        sha256.update(&buf[..len]);
        chunk.update(&buf[..len]);
        offset += len as u64;
        if log2 > 0 && (offset % chunk_len == 0 || offset == content.len) {
            chunk_hashes.extend_from_slice(&chunk.finalize_non_root());
            chunk = blake3::Hasher::new();
            // The end of the file is no start of a chunk, and need not be a multiple of anything.
            if offset < content.len {
                chunk.set_input_offset(offset);
            }
        }
    }
    if ContentHash(whole.finalize().into()) != content.hash {
        return Err(ReplicaError::Changed { path: path.clone() });
    }
    Ok(Digest { sha256: Some(sha256.finalize().into()), chunk_hashes })
}

const BUF_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::any::Any;

    use swarm_core::manifest::{ContentFile, library_manifest};

    use super::*;

    struct Held(Vec<u8>);

    impl ContentSource for Held {
        fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
            let rest = &self.0[offset as usize..];
            let len = rest.len().min(buf.len()).min(100_000);
            buf[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        }

        fn as_any(&mut self) -> &mut dyn Any {
            self
        }
    }

    #[test]
    fn the_values_of_the_chunks_prove_a_file_of_any_length() {
        let path = TreePath::new("x").expect("a path");
        for len in [1, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) + 77] {
            let bytes: Vec<u8> = (0..len).map(|at: usize| (at % 251) as u8).collect();
            let hash = ContentHash::of(&bytes);
            let content = FileContent { len: len as u64, hash, executable: false };
            let digest = digest_of(&mut Held(bytes), &path, &content).expect("the same bytes");
            let file =
                ContentFile { hash: hash.0, len: len as u64, chunk_hashes: digest.chunk_hashes.into() };
            library_manifest([file]).expect("they prove it");
            let other = FileContent { hash: ContentHash([0; 32]), ..content };
            assert!(digest_of(&mut Held(vec![7; len]), &path, &other).is_err());
        }
    }
}
