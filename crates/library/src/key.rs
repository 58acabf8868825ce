//! Names of a library: the GUID that its members share, and the key that is told to others. Who does not know the GUID learns nothing
//! from the key.

use std::fmt;

use swarm_core::base::ContentId;

/// What a library is called in files and links of its members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(Box<str>);

/// A text that is no GUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a GUID has 1 to {GUID_LEN_MAX} letters, digits, `-` or `_`")]
pub struct BadGuid;

/// What a library is called on the wire and where nodes look for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibraryKey([u8; 32]);

impl Guid {
    /// Checks a GUID.
    pub fn new(text: &str) -> Result<Self, BadGuid> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_good = (1..=GUID_LEN_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        if is_good { Ok(Self(text.into())) } else { Err(BadGuid) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the library.
    pub fn key(&self) -> LibraryKey {
        LibraryKey(blake3::derive_key("swarm library v1", self.0.as_bytes()))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LibraryKey {
    /// From 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id under which finders announce the library, as if it were a content. It is derived once more: a node that is linked learns
    /// the key, and is not to find others by it.
    pub fn rendezvous(guid: &Guid) -> ContentId {
        ContentId::from_bytes(blake3::derive_key("swarm library rendezvous v1", guid.0.as_bytes()))
    }
}

impl fmt::Debug for LibraryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ContentId::from_bytes(self.0).short())
    }
}

/// Bytes of a GUID.
pub const GUID_LEN_MAX: usize = 64;
