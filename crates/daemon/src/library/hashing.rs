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
            chunk.set_input_offset(offset);
        }
    }
    if ContentHash(whole.finalize().into()) != content.hash {
        return Err(ReplicaError::Changed { path: path.clone() });
    }
    Ok(Digest { sha256: Some(sha256.finalize().into()), chunk_hashes })
}

const BUF_LEN: usize = 1 << 20;
