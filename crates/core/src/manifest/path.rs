//! Paths inside a content: relative, `/`-separated, and safe to create below a folder.

use std::fmt;

use crate::base::limits::{PATH_COMPONENT_LEN_MAX, PATH_DEPTH_MAX, PATH_LEN_MAX};

/// A validated path: relative, UTF-8, no empty, `.` or `..` component, no control character, no device name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Box<str>);

/// Why a string is not a path that a content may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing there.
    #[error("a path is empty")]
    Empty,
    /// Longer than a file system takes.
    #[error("path `{0}...` is too long")]
    TooLong(String),
    /// More components than allowed.
    #[error("path `{0}` is nested too deep")]
    TooDeep(String),
    /// Starts at a root.
    #[error("path `{0}` is not relative")]
    Absolute(String),
    /// `.`, `..` or nothing between two slashes.
    #[error("path `{0}` has a component `{1}` that could leave its folder")]
    Component(String, String),
    /// NUL or another control character.
    #[error("path `{0}` has a control character")]
    Control(String),
    /// A name that some systems take for a device.
    #[error("path `{0}` has a component `{1}` that names a device on some systems")]
    Device(String, String),
}

impl EntryPath {
    /// Checks a path.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, PathError> {
        let path: Box<str> = text.into();
        check(&path)?;
        Ok(Self(path))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path of the folder it stands in; `None` at the top.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// Every folder above it, innermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.parent(), |path| path.rsplit_once('/').map(|(parent, _)| parent))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn check(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() > PATH_LEN_MAX {
        return Err(PathError::TooLong(path.chars().take(64).collect()));
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control(path.escape_debug().to_string()));
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute(path.to_owned()));
    }
    if path.split('/').count() > PATH_DEPTH_MAX {
        return Err(PathError::TooDeep(path.chars().take(64).collect()));
    }
    path.split('/').try_for_each(|component| check_component(path, component))
}

fn check_component(path: &str, component: &str) -> Result<(), PathError> {
    if matches!(component, "" | "." | "..") {
        return Err(PathError::Component(path.to_owned(), component.to_owned()));
    }
    if component.len() > PATH_COMPONENT_LEN_MAX {
        return Err(PathError::TooLong(component.chars().take(64).collect()));
    }
    let stem = component.split('.').next().unwrap_or(component).trim_end().to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt");
    if device {
        return Err(PathError::Device(path.to_owned(), component.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_odd_names_are_taken() {
        for path in [
            "a",
            "a/b c/ü.txt",
            "..a",
            "a..",
            "...",
            "-rf",
            "名前/файл",
            "a\\b",
            "console.log",
            "com10",
            "~",
            "*?",
        ] {
            assert!(EntryPath::new(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn nothing_that_could_leave_the_folder_is_taken() {
        let long = "x".repeat(256);
        let deep = ["d"; 129].join("/");
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "./a",
            "a\0b",
            "a\nb",
            "nul",
            "a/CON.txt",
            "com1",
            "Lpt9.log",
            long.as_str(),
            deep.as_str(),
        ] {
            assert!(EntryPath::new(path).is_err(), "{path}");
        }
    }

    #[test]
    fn ancestors_go_from_the_inside_out() {
        let path = EntryPath::new("a/b/c").expect("a good path");
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!((path.name(), path.parent()), ("c", Some("a/b")));
    }
}
