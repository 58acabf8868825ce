//! Patterns of paths, with the syntax and meaning of a line of `.gitignore`. Invariant: a match takes time in proportion to pattern times
//! path, whatever they say, for other machines write patterns. Bytes are compared, so `?` is one byte, as in git. Absent here: `!`, `#` and
//! line ends, which belong to a file of patterns.

use std::fmt;

use crate::TreePath;
use crate::limits::PATTERN_LEN_MAX;

mod class;
mod name;

use name::NamePattern;

/// A pattern. Without a slash, or with one only at its end, it matches names at any depth; otherwise paths from its root.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// `None` for a pattern that matches names at any depth.
    parts: Option<Box<[Part]>>,
    name: NamePattern,
    folders_only: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Nothing that a name could match.
    #[error("it is empty")]
    Empty,
    /// Longer than [`PATTERN_LEN_MAX`] bytes.
    #[error("it is longer than {PATTERN_LEN_MAX} bytes")]
    TooLong,
    /// `[` without `]`.
    #[error("it has a [ that no ] closes")]
    OpenClass,
    /// `[[:letters:]]`.
    #[error("it names a class of characters that does not exist")]
    UnknownClass,
    /// A backslash with nothing behind it.
    #[error("it ends with a backslash")]
    LastBackslash,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `**`: any number of folders. A name follows it always.
    Folders,
    /// One name.
    Name(NamePattern),
}

impl Pattern {
    /// Reads a pattern. A slash at its end restricts it to folders.
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        if text.len() > PATTERN_LEN_MAX {
            return Err(PatternFault::TooLong);
        }
        let body = text.strip_suffix('/').unwrap_or(text);
        if body.is_empty() {
            return Err(PatternFault::Empty);
        }
        let mut names = name::parse_names(body.strip_prefix('/').unwrap_or(body))?;
        let is_at_any_depth = !body.contains('/');
        let last = names.pop().ok_or(PatternFault::Empty)?;
        let parts = (!is_at_any_depth).then(|| path_parts(names, &last));
        Ok(Self { text: text.into(), parts, name: last, folders_only: body.len() < text.len() })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the entry at this path itself.
    pub fn matches(&self, path: &TreePath, is_folder: bool) -> bool {
        self.matches_text(path.as_str(), is_folder)
    }

    /// Whether it matches the entry, or a folder that the entry stands in.
    pub fn matches_at_or_above(&self, path: &TreePath, is_folder: bool) -> bool {
        self.matches_text_at_or_above(path.as_str(), is_folder)
    }

    /// Whether an entry below this folder could match.
    pub fn may_match_below(&self, folder: &TreePath) -> bool {
        self.may_match_text_below(folder.as_str())
    }

    pub(crate) fn may_match_text_below(&self, folder: &str) -> bool {
        let Some(parts) = &self.parts else { return true };
        let mut parts = parts.iter();
        for name in folder.split('/') {
            match parts.next() {
                Some(Part::Folders) => return true,
                Some(Part::Name(pattern)) if pattern.matches(name.as_bytes()) => {}
                Some(Part::Name(_)) | None => return false,
            }
        }
        parts.next().is_some()
    }

    pub(crate) fn matches_text_at_or_above(&self, path: &str, is_folder: bool) -> bool {
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        folders.any(|folder| self.matches_text(folder, true)) || self.matches_text(path, is_folder)
    }

    /// As [`Self::matches`], for the part of a path below the pattern's root.
    pub(crate) fn matches_text(&self, path: &str, is_folder: bool) -> bool {
        if self.folders_only && !is_folder {
            return false;
        }
        match &self.parts {
            None => self.name.matches(path.rsplit('/').next().unwrap_or(path).as_bytes()),
            Some(parts) => matches_parts(parts, path),
        }
    }
}

fn path_parts(folders: Vec<NamePattern>, last: &NamePattern) -> Box<[Part]> {
    let part = |name: NamePattern| if name.is_folders() { Part::Folders } else { Part::Name(name) };
    let mut parts: Vec<Part> = folders.into_iter().map(part).collect();
    // `a/**` is all that stands below `a`: any number of folders, and a name.
    if last.is_folders() {
        parts.push(Part::Folders);
    }
    parts.push(Part::Name(last.clone()));
    parts.into()
}

/// If a name does not match, the last `**` takes one folder more. An earlier one never has to: whatever it could give, the last one can.
fn matches_parts(parts: &[Part], path: &str) -> bool {
    let (mut at, mut rest) = (0, Some(path));
    let mut retry: Option<(usize, &str)> = None;
    loop {
        match (parts.get(at), rest) {
            (None, None) => return true,
            (Some(Part::Folders), Some(names)) => {
                at += 1;
                retry = Some((at, names));
                continue;
            }
            (Some(Part::Name(pattern)), Some(names)) => {
                let (name, behind) = first_name(names);
                if pattern.matches(name.as_bytes()) {
                    (at, rest) = (at + 1, behind);
                    continue;
                }
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        let Some((after, names)) = retry else { return false };
        let Some(behind) = first_name(names).1 else { return false };
        retry = Some((after, behind));
        (at, rest) = (after, Some(behind));
    }
}

fn first_name(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(name, behind)| (name, Some(behind)))
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths with a slash at the end are folders.
    fn check(pattern: &str, matched: &[&str], others: &[&str]) {
        let parsed = Pattern::parse(pattern).expect("a pattern");
        let matches = |path: &&str| {
            let entry = TreePath::new(path.trim_end_matches('/')).expect("a path");
            parsed.matches(&entry, path.ends_with('/'))
        };
        assert!(matched.iter().all(matches), "{pattern} matches one of {matched:?} not");
        assert!(!others.iter().any(matches), "{pattern} matches one of {others:?}");
    }

    #[test]
    fn a_pattern_without_a_slash_matches_names_at_any_depth() {
        check("*.o", &["a.o", "a/b.o", ".o", "d.o/"], &["a.oo", "a.o/b"]);
        check("build/", &["build/", "a/build/"], &["build", "rebuild/"]);
    }

    #[test]
    fn a_pattern_with_a_slash_matches_from_its_root() {
        check("/a", &["a"], &["b/a"]);
        check("docs/*.md", &["docs/a.md"], &["docs/a/b.md", "x/docs/a.md"]);
    }

    #[test]
    fn two_stars_are_any_number_of_folders() {
        check("**/a", &["a", "x/a", "x/y/a"], &["ab", "xa"]);
        check("a/**", &["a/b", "a/b/c"], &["a", "b/a"]);
        check("a/**/b", &["a/b", "a/x/b", "a/x/y/b", "a/b/b"], &["a/bb", "ab"]);
        check("a/**/b/**/c", &["a/b/c", "a/b/x/b/c"], &["a/c/b", "a/b/b"]);
        check("**", &["a", "a/b"], &[]);
    }

    #[test]
    fn a_class_is_one_byte_and_never_a_slash() {
        check("[a-c]x", &["ax", "cx"], &["dx", "x"]);
        check("[!a-c]x", &["dx"], &["ax", "x"]);
        check("[]-]", &["]", "-"], &["a"]);
        check("[[:digit:]_].txt", &["1.txt", "_.txt"], &["a.txt"]);
        check("a[!b]c", &["axc"], &["a/c"]);
        check(r"[\]]", &["]"], &["\\"]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let check = |text: &str, fault| assert_eq!(Pattern::parse(text), Err(fault), "{text}");
        check("", PatternFault::Empty);
        check("/", PatternFault::Empty);
        check("a[b", PatternFault::OpenClass);
        check("[[:letters:]]", PatternFault::UnknownClass);
        check("a\\", PatternFault::LastBackslash);
        check(&"x".repeat(PATTERN_LEN_MAX + 1), PatternFault::TooLong);
    }

    #[test]
    fn a_folder_above_a_match_is_told_from_others() {
        let may = |pattern: &str, folder: &str| {
            let folder = TreePath::new(folder).expect("a path");
            Pattern::parse(pattern).expect("a pattern").may_match_below(&folder)
        };
        assert!(may("*.md", "a/b") && may("docs/*.md", "docs") && may("docs/**", "docs/a/b"));
        assert!(!may("docs/*.md", "src") && !may("docs/*.md", "docs/a"));
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_pattern_times_path() {
        let pattern = Pattern::parse(&format!("{}b", "*a".repeat(120))).expect("a pattern");
        let path = TreePath::new("a".repeat(255)).expect("a path");
        assert!(!pattern.matches(&path, false));
        let pattern = Pattern::parse(&format!("{}b", "**/a/".repeat(120))).expect("a pattern");
        let path = TreePath::new(vec!["a"; 2000].join("/")).expect("a path");
        assert!(!pattern.matches(&path, false));
    }
}
