//! Paths inside a content: relative, `/`-separated, and safe to create below a folder.

use std::fmt;

use crate::base::Shown;
use crate::base::limits::{PATH_COMPONENT_LEN_MAX, PATH_DEPTH_MAX, PATH_LEN_MAX};

/// A validated path: relative, UTF-8, no empty, `.` or `..` component, no control character. It may have a name that Windows
/// cannot store: a receiver on Windows refuses it, all others accept it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Box<str>);

/// Why a string is not a path that a content may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A path without characters.
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
}

impl EntryPath {
    /// Checks a path.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, PathError> {
        let path: Box<str> = text.into();
        check(&path)?;
        Ok(Self(path))
    }

    /// The path as data. The author of the content chose it, so it must be escaped before it is shown.
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

    /// The path down to its first component that Windows cannot store, if it has one.
    pub fn unfit_for_windows(&self) -> Option<&str> {
        self.through(is_unfit_for_windows)
    }

    /// The path down to its first component that Windows takes for a device, if it has one. Builds up to 0.1.0 refuse such a
    /// content, so indexing warns of it.
    pub fn device(&self) -> Option<&str> {
        self.through(is_device)
    }

    fn through(&self, is_it: impl Fn(&str) -> bool) -> Option<&str> {
        let mut end = 0;
        for component in self.components() {
            end += component.len();
            if is_it(component) {
                return self.0.get(..end);
            }
            end += 1;
        }
        None
    }

    /// Every folder above it, innermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.parent(), |path| path.rsplit_once('/').map(|(parent, _)| parent))
    }
}

impl PathError {
    /// The fault alone, for a message that names the path itself.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Empty => "it is empty",
            Self::TooLong(_) => "it is too long",
            Self::TooDeep(_) => "it is nested too deep",
            Self::Absolute(_) => "it is not relative",
            Self::Component(..) => "it could leave its folder",
            Self::Control(_) => "it has a control character",
        }
    }
}

/// Shows the path to people, escaped. [`EntryPath::as_str`] gives the data.
impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Shown(self.as_str()), f)
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
        return Err(PathError::TooLong(beginning(path)));
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control(Shown(path).to_string()));
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute(Shown(path).to_string()));
    }
    if path.split('/').count() > PATH_DEPTH_MAX {
        return Err(PathError::TooDeep(beginning(path)));
    }
    path.split('/').try_for_each(|component| check_component(path, component))
}

fn check_component(path: &str, component: &str) -> Result<(), PathError> {
    if matches!(component, "" | "." | "..") {
        return Err(PathError::Component(Shown(path).to_string(), Shown(component).to_string()));
    }
    if component.len() > PATH_COMPONENT_LEN_MAX {
        return Err(PathError::TooLong(beginning(component)));
    }
    Ok(())
}

fn beginning(text: &str) -> String {
    Shown(text.chars().take(64).collect::<String>()).to_string()
}

/// Whether Windows takes a name for a device, cuts its end off or refuses it.
fn is_unfit_for_windows(component: &str) -> bool {
    component.ends_with(['.', ' '])
        || component.contains(['<', '>', ':', '"', '|', '?', '*', '\\'])
        || is_device(component)
}

/// Only the part before the first dot counts: `aux.c` is the device `aux`.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end().to_ascii_lowercase();
    let is_port = |prefix: &str| {
        let number = stem.strip_prefix(prefix).map(|number| number.chars().collect::<Vec<_>>());
        matches!(number.as_deref(), Some(['0'..='9' | '¹' | '²' | '³']))
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$")
        || is_port("com")
        || is_port("lpt")
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
            "nul",
            "a/CON.txt",
            "drivers/i2c/aux.c",
            "Lpt9.log",
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
            "Icon\r",
            "a\u{9b}b",
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

    #[test]
    fn names_that_windows_cannot_store_are_told_from_the_others() {
        for (path, unfit, device) in [
            ("drivers/i2c/aux.c", Some("drivers/i2c/aux.c"), true),
            ("CON/x/y", Some("CON"), true),
            ("a/nul .txt", Some("a/nul .txt"), true),
            ("com¹", Some("com¹"), true),
            ("a/b./c", Some("a/b."), false),
            ("film: two.mkv", Some("film: two.mkv"), false),
            ("end ", Some("end "), false),
            ("console.log", None, false),
            ("com10", None, false),
            ("comb", None, false),
            (".aux", None, false),
        ] {
            let path = EntryPath::new(path).expect("a good path");
            assert_eq!((path.unfit_for_windows(), path.device().is_some()), (unfit, device), "{path:?}");
        }
    }

    #[test]
    fn a_path_is_shown_without_what_a_terminal_acts_on() {
        let path = EntryPath::new("film\u{202e}vkm.exe").expect("a good path");
        assert_eq!(
            (path.to_string(), path.as_str()),
            ("film\\u{202e}vkm.exe".to_owned(), "film\u{202e}vkm.exe")
        );
        let error = EntryPath::new("a\x1b]0;evil\x07").expect_err("control characters");
        assert_eq!(error.to_string(), "path `a\\u{1b}]0;evil\\u{7}` has a control character");
    }
}
