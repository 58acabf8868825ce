//! The description of a content: paths, lengths and chunk hashes, and how they prove each other. Pure: reads no files.
//!
//! Invariant: a [`Manifest`] in memory has been validated whole, so indexes minted by its [`Geometry`] are always in range
//! and its chunk hashes combine into its files' BLAKE3 roots. Absent here: reading data (storage), the wire.

mod names;
mod path;

mod geometry;
mod subtree;

mod body;
mod file;
mod library;
mod reach;
mod sign;
mod source;
mod ticket;

mod seal;
mod sealed_library;
mod wrap;

pub use body::{File, Manifest, ManifestError};
pub use file::{ManifestFile, ManifestFileError};
pub use geometry::{
    ChunkIndex, ChunkSpan, FileIndex, Geometry, Piece, Run, auto_chunk_len_log2, chunk_count_for,
};
pub use library::{
    ContentFile, content_chunk_len_log2, content_hash_of, content_name, is_library_manifest, library_manifest,
};
pub use names::{SameName, check_names, same_names};
pub use path::{EntryPath, PathError};
pub use seal::{ContentKey, Opening, ParseKeyError, SealError, Sealer, Tag};
pub use sealed_library::{
    FileSealer, SealedFile, is_sealed_library_manifest, plain_hash_of, sealed_library_manifest,
};
pub use sign::{Signature, SigningKey, verify};
pub use source::{Address, AddressError, Source, SourceError};
pub use subtree::{ChunkHasher, Hash, combine_chunk_values, regroup_chunk_values};
pub use ticket::{Ticket, TicketError};
pub use wrap::WrappedKey;
