//! Paths in a tree. Invariant: relative, UTF-8, no empty, `.` or `..` component, no NUL. Control characters are allowed: disks hold
//! such names. Order is by components, a folder directly before what stands in it: the order in which a tree is walked.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use swarm_core::base::Shown;

use crate::limits::{NAME_LEN_MAX, PATH_LEN_MAX};

/// The path of an entry below the root of a replica. Cloning it copies no text: a difference, its operations and all that a plan is made with
/// share one.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(Arc<str>);

/// Why a text is no path in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// No characters.
    #[error("it is empty")]
    Empty,
    /// Longer than [`PATH_LEN_MAX`] bytes.
    #[error("it is longer than {PATH_LEN_MAX} bytes")]
    TooLong,
    /// A component is longer than [`NAME_LEN_MAX`] bytes.
    #[error("a name in it is longer than {NAME_LEN_MAX} bytes")]
    NameTooLong,
    /// `.`, `..`, or nothing between two slashes.
    #[error("it could leave its folder")]
    Component,
    /// It has a NUL.
    #[error("it has a NUL")]
    Nul,
}

/// A text in a file that is no path in a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is no path below a folder: {fault}")]
pub struct BadPath {
    /// How it begins, escaped.
    pub path: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

impl TreePath {
    /// Checks a path.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, PathFault> {
        let text: Arc<str> = text.into();
        if text.is_empty() {
            return Err(PathFault::Empty);
        }
        if text.len() > PATH_LEN_MAX {
            return Err(PathFault::TooLong);
        }
        text.split('/').try_for_each(check_name)?;
        Ok(Self(text))
    }

    /// The path of an entry of this name in a folder; the root is `None`.
    pub fn below(folder: Option<&Self>, name: &str) -> Result<Self, PathFault> {
        check_name(name)?;
        match folder {
            None => Ok(Self(name.into())),
            Some(folder) if folder.0.len() + 1 + name.len() > PATH_LEN_MAX => Err(PathFault::TooLong),
            Some(folder) => Ok(Self(format!("{}/{name}", folder.0).into())),
        }
    }

    /// The path as data. Others chose it: escape it before it is shown, as `Display` does.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Its components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder that it stands in; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// Every folder above it, innermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// Whether it stands below `folder`, at any depth. A path is not below itself.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&*folder.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it is `place` or stands below it.
    pub fn is_at_or_below(&self, place: &Self) -> bool {
        self == place || self.is_below(place)
    }

    /// The same path after `from`, which is this path or a folder above it, was moved to `to`; `None` if it is neither.
    pub fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&*from.0)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| Self(format!("{}{rest}", to.0).into()))
    }
}

/// Number of bytes that two texts begin with alike. Paths in deep folders have much in common, so it is compared in blocks.
fn common_len(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.chunks_exact(BLOCK_LEN).zip(other.chunks_exact(BLOCK_LEN));
    let start = blocks.take_while(|(one, other)| one == other).count() * BLOCK_LEN;
    start + one[start..].iter().zip(&other[start..]).take_while(|(one, other)| one == other).count()
}

/// Bytes that are compared at once.
const BLOCK_LEN: usize = 32;

fn check_name(name: &str) -> Result<(), PathFault> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err(PathFault::Component);
    }
    if name.contains('\0') {
        return Err(PathFault::Nul);
    }
    if name.len() > NAME_LEN_MAX { Err(PathFault::NameTooLong) } else { Ok(()) }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash sorts before every character that a name can have.
        let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        let at = common_len(one, other);
        one.get(at).map(key).cmp(&other.get(at).map(key))
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for TreePath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        let start = text.char_indices().nth(SHOWN_MAX).map_or(&*text, |(end, _)| &text[..end]);
        let path = Shown(start).to_string();
        Self::new(text).map_err(|fault| BadPath { path, fault })
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.as_str().to_owned()
    }
}

/// Escaped, for people.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Shown(self.as_str()), f)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Characters of a faulty path that are shown.
const SHOWN_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a good path")
    }

    #[test]
    fn a_folder_stands_directly_before_its_entries() {
        let mut paths: Vec<_> = ["a-b", "a/c", "a", "a!", "a/b/z", "a/b", "b"].map(path).into();
        paths.sort();
        let sorted: Vec<_> = paths.iter().map(TreePath::as_str).collect();
        assert_eq!(sorted, ["a", "a/b", "a/b/z", "a/c", "a!", "a-b", "b"]);
    }

    #[test]
    fn nothing_leaves_its_folder() {
        for text in ["/a", "a/", "a//b", "..", "a/../b", "./a", ""] {
            assert!(TreePath::new(text).is_err(), "{text}");
        }
        assert!(TreePath::below(None, "a/b").is_err());
        assert_eq!(path("Icon\r").to_string(), "Icon\\r");
    }

    #[test]
    fn what_stands_in_a_moved_folder_moves_along() {
        assert_eq!(path("a/b").moved(&path("a"), &path("x/y")), Some(path("x/y/b")));
        assert_eq!(path("a").moved(&path("a"), &path("x")), Some(path("x")));
        assert_eq!(path("ab").moved(&path("a"), &path("x")), None);
    }
}
