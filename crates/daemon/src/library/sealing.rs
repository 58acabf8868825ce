//! What files are sealed to: one pass over the bytes of a file, which proves that they are the ones that its key follows from. Nothing is written:
//! a chunk is sealed again whenever a peer asks for it. Invariant: what a file was sealed to is told only if all of its bytes were those of its
//! hash, so no key stream covers two texts.

use swarm_core::base::ContentId;
use swarm_core::manifest::{FileSealer, Hash, SealedFile, Tag, sealed_library_manifest};
use swarm_index::LibraryBook;
use swarm_library::{EpochKey, Record};
use swarm_sync::{ContentHash, ContentSource, FileContent, ReplicaError, TreePath};

/// Seals a file in memory, chunk by chunk.
///
/// # Errors
/// [`ReplicaError::Changed`] if it has other bytes.
pub(crate) fn seal_file(
    source: &mut dyn ContentSource,
    path: &TreePath,
    content: &FileContent,
    key: &EpochKey,
) -> Result<Vec<(Hash, Tag)>, ReplicaError> {
    let changed = || ReplicaError::Changed { path: path.clone() };
    let sealer = FileSealer::new(&key.content_key(), &content.hash.0, content.len).ok_or_else(changed)?;
    let (mut whole, mut sealed) = (blake3::Hasher::new(), Vec::new());
    for chunk in sealer.geometry().chunks() {
        let span = sealer.geometry().span(chunk);
        let mut data = vec![0; span.len as usize];
        let mut filled = 0;
        while filled < data.len() {
            let len = source.read_at(span.file_offset + filled as u64, &mut data[filled..])?;
            if len == 0 {
                return Err(changed());
            }
            filled += len;
        }
        whole.update(&data);
        sealed.push(sealer.seal(chunk, &mut data));
    }
    let is_same = ContentHash(whole.finalize().into()) == content.hash;
    if is_same { Ok(sealed) } else { Err(changed()) }
}

/// Makes the sealed content that carries the files of these records, and keeps its manifest. `None` if they have no bytes. `sealed_of` is asked for
/// files that were not sealed with this key yet.
///
/// # Errors
/// If a file cannot be sealed, or the index not be written.
pub(crate) fn sealed_content_of(
    book: &mut LibraryBook,
    records: &[Record],
    key: &EpochKey,
    sealed_of: SealedOf<'_>,
) -> Result<Option<ContentId>, ReplicaError> {
    let lost = |error: &dyn std::fmt::Display| {
        ReplicaError::Gone(format!("cannot record a sealed content of the library: {error}"))
    };
    let mut files = Vec::new();
    for record in records {
        let Some(content) = record.state.kind().and_then(swarm_sync::Kind::file) else { continue };
        if content.len == 0 {
            continue;
        }
        let known = book.sealed(&key.id(), &content.hash).map_err(|error| lost(&error))?;
        let chunks = match known {
            Some(chunks) => chunks,
            None => {
                let chunks = sealed_of(book, record, content)?;
                book.put_sealed(&key.id(), &content.hash, &chunks).map_err(|error| lost(&error))?;
                chunks
            }
        };
        files.push(SealedFile { hash: content.hash.0, len: content.len, chunks });
    }
    if files.is_empty() {
        return Ok(None);
    }
    let manifest = sealed_library_manifest(files, &key.content_key()).map_err(|error| lost(&error))?;
    book.put_manifest(&manifest.id(), manifest.body()).map_err(|error| lost(&error))?;
    Ok(Some(manifest.id()))
}

/// The hash and the tag of each sealed chunk of a file.
type SealedOf<'a> = &'a dyn Fn(&LibraryBook, &Record, &FileContent) -> Result<Vec<(Hash, Tag)>, ReplicaError>;
