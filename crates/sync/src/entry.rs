//! What stands at a path. Two entries agree if a user would call them the same: kind, bytes, executable bit, target of a link. Times and
//! places on disk do not count.

use std::fmt;

use serde::{Deserialize, Serialize};

/// BLAKE3 of all bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// A file, folder or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File(FileContent),
    /// A symbolic link. It is carried as what it says, and never followed.
    Symlink {
        /// What it says.
        target: Box<str>,
    },
}

/// What makes two files equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// In bytes.
    pub len: u64,
    /// Of the bytes.
    pub hash: ContentHash,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// What identifies a file on one file system, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The number of the file on it.
    pub inode: u64,
}

/// What a disk tells of an entry without reading it. If it is the same as before, so are the bytes, unless somebody set the clock back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `None` where files are not numbered.
    pub id: Option<FileId>,
    /// Last change of the entry's data or metadata (ctime), nanoseconds since 1970.
    pub changed_ns: i64,
}

impl Stamp {
    /// Whether both are of the same file and it did not change in between. The number of its device says nothing: a disk has another one after a
    /// restart, or when it is plugged in again.
    pub fn tells_same_bytes(&self, other: &Self) -> bool {
        let inode = |stamp: &Self| stamp.id.map(|id| id.inode);
        self.changed_ns == other.changed_ns && inode(self) == inode(other)
    }
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Last change of the bytes (mtime), nanoseconds since 1970. Shown and copied, never compared for order.
    pub modified_ns: i64,
    /// As the disk told it when the entry was read.
    pub stamp: Stamp,
}

impl Entry {
    /// Whether a user would call both the same.
    pub fn agrees(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    /// The content of a file; `None` for anything else.
    pub fn file(&self) -> Option<&FileContent> {
        self.kind.file()
    }

    /// The same entry with this executable bit, if it is a file and a bit is given.
    pub(crate) fn with_executable(mut self, bit: Option<bool>) -> Self {
        if let (Kind::File(content), Some(executable)) = (&mut self.kind, bit) {
            content.executable = executable;
        }
        self
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.kind, Kind::Folder)
    }
}

impl Kind {
    /// The content of a file; `None` for anything else.
    pub fn file(&self) -> Option<&FileContent> {
        match self {
            Self::File(content) => Some(content),
            Self::Folder | Self::Symlink { .. } => None,
        }
    }
}

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(hash.into()))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", &self.to_string()[..8])
    }
}

/// Hexadecimal digits for people, plain bytes for programs.
impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 32]>::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("a hash has 64 hexadecimal digits"))
    }
}
