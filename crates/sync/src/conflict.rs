//! Two changes that one path cannot both have.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ContentHash, Entry, Kind, PerSide, TreePath};

/// The id of a conflict: the same for the same path and versions, another one as soon as a version changes. A decision holds for an id,
/// so it is never applied to a version that nobody saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConflictId(pub [u8; 8]);

/// What makes it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both sides changed or made the file, to different bytes.
    SimultaneousEdit,
    /// One side deleted what the other changed.
    Deletion,
    /// Moved to two places, two entries moved onto one name, two folders moved into each other, or a file where the other side has a folder.
    Structure,
    /// A name that the other side cannot hold, alone or beside another one.
    Name,
}

/// What one side has at the path of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideVersion {
    /// Where it stands on that side.
    pub path: TreePath,
    /// What it is.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
}

/// A conflict, as a plan reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its id.
    pub id: ConflictId,
    /// The path that it is about.
    pub path: TreePath,
    /// What makes it one.
    pub kind: ConflictKind,
    /// What each side has; `None` where it was deleted.
    pub versions: PerSide<Option<SideVersion>>,
    /// What both agreed on last.
    pub base: Option<Kind>,
    /// The cause in words, where the kind alone does not tell: `moved to a and to b`.
    pub detail: String,
    /// Paths that wait for the decision beside those of the versions, with all below them: where the entries stand on the other side.
    #[serde(default)]
    pub holds: Vec<TreePath>,
}

/// What a user decided about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The local version stands on both sides.
    KeepLocal,
    /// The remote version stands on both sides.
    KeepRemote,
    /// Both stand on both sides, the remote one under a name of its own.
    KeepBoth,
    /// A content that neither side had: a clean merge, or a file that the user named.
    Settled {
        /// In bytes.
        len: u64,
        /// Of the bytes.
        hash: ContentHash,
        /// Whether its owner may execute it.
        executable: bool,
    },
}

impl ConflictId {
    /// The id of a conflict between these versions.
    pub fn of(path: &TreePath, versions: &PerSide<Option<SideVersion>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(path.as_str().as_bytes());
        for version in [&versions.local, &versions.remote] {
            let Some(version) = version else {
                field(b"nothing");
                continue;
            };
            field(version.path.as_str().as_bytes());
            match &version.kind {
                Kind::Folder => field(b"folder"),
                Kind::File(content) => {
                    field(if content.executable { b"executable" } else { b"file" });
                    field(&content.hash.0);
                }
                Kind::Symlink { target } => {
                    field(b"link");
                    field(target.as_bytes());
                }
            }
        }
        let mut id = [0; 8];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(id)
    }

    /// From 16 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() == 16 && text.is_ascii()).then_some(())?;
        u64::from_str_radix(text, 16).ok().map(|id| Self(id.to_be_bytes()))
    }
}

impl SideVersion {
    /// The version that stands at a path.
    pub fn of(path: &TreePath, entry: &Entry) -> Self {
        Self { path: path.clone(), kind: entry.kind.clone(), modified_ns: entry.modified_ns }
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ConflictId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConflictId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("a conflict's id has 16 hexadecimal digits"))
    }
}
