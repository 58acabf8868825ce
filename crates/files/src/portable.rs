//! Names on disk that no content can have, and names that some systems cannot store. All of them are found before hashing starts,
//! and reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::index::IndexError;
use super::walk::{Skipped, SkippedWhy, Walked};
use swarm_core::base::Shown;
use swarm_core::manifest::{EntryPath, same_names};

/// Names that no content can have. Shown as one line: the first of them, and their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableNames {
    listed: Vec<Skipped>,
    count: usize,
}

/// Names in a manifest that Windows cannot store. Empty for most contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowsNames {
    names: BTreeSet<String>,
    has_device: bool,
}

/// Leaves out the names that no content can have, or refuses all of them at once.
pub(super) fn settle(walked: &mut Walked, skip_unportable: bool) -> Result<(), IndexError> {
    let mut unusable = std::mem::take(&mut walked.unusable);
    unusable.extend(collisions(walked));
    let nothing_left = walked.files.is_empty() && walked.empty_directories.is_empty();
    if !unusable.is_empty() && (!skip_unportable || nothing_left) {
        return Err(IndexError::Unusable(UnusableNames::new(unusable)));
    }
    walked.skipped.extend(unusable);
    Ok(())
}

/// Removes, with their children, all but one of the names that are equal on many systems.
fn collisions(walked: &mut Walked) -> Vec<Skipped> {
    let entries = walked.files.iter().map(|found| &found.entry).chain(&walked.empty_directories);
    let same: BTreeMap<String, String> =
        same_names(entries).into_iter().map(|same| (same.other, same.first)).collect();
    if same.is_empty() {
        return Vec::new();
    }
    let is_out = |entry: &EntryPath| {
        same.contains_key(entry.as_str()) || entry.ancestors().any(|folder| same.contains_key(folder))
    };
    walked.files.retain(|found| !is_out(&found.entry));
    walked.empty_directories.retain(|entry| !is_out(entry));
    let skipped = same.into_iter().map(|(other, first)| {
        let (top, below) = other.split_once('/').unwrap_or((&other, ""));
        let root = walked.tops.get(top).map(|parent| parent.join(top)).unwrap_or_default();
        Skipped {
            path: if below.is_empty() { root } else { root.join(below) },
            why: SkippedWhy::SameName(first),
        }
    });
    skipped.collect()
}

impl UnusableNames {
    fn new(mut all: Vec<Skipped>) -> Self {
        let count = all.len();
        all.truncate(LISTED_MAX);
        Self { listed: all, count }
    }

    /// Number of names.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for UnusableNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.count == 1 { "name" } else { "names" };
        write!(f, "{} {names} cannot be in a manifest: ", self.count)?;
        for (number, Skipped { path, why }) in self.listed.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}`{}` ({why})", Shown(path))?;
        }
        write_more(f, self.count - self.listed.len())?;
        write!(f, "; rename them, or leave them out")
    }
}

impl WindowsNames {
    pub(super) fn of<'a>(entries: impl Iterator<Item = &'a EntryPath>) -> Self {
        let mut names = Self::default();
        for entry in entries {
            if let Some(unfit) = entry.unfit_for_windows() {
                names.names.insert(unfit.to_owned());
                names.has_device |= entry.device().is_some();
            }
        }
        names
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl fmt::Display for WindowsNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.names.len() == 1 { "name" } else { "names" };
        write!(
            f,
            "{} {names} cannot be stored on Windows, other systems take all of them: ",
            self.names.len()
        )?;
        for (number, name) in self.names.iter().take(LISTED_MAX).enumerate() {
            write!(f, "{}`{}`", if number == 0 { "" } else { ", " }, Shown(name))?;
        }
        write_more(f, self.names.len().saturating_sub(LISTED_MAX))?;
        if self.has_device {
            write!(
                f,
                "; builds of swarm that are older than this one refuse the whole content: rename them or update those"
            )?;
        }
        Ok(())
    }
}

fn write_more(f: &mut fmt::Formatter<'_>, more: usize) -> fmt::Result {
    if more == 0 { Ok(()) } else { write!(f, " and {more} more") }
}

/// Names in one message: enough to see their kind, on a screen or two.
const LISTED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn long_lists_end_with_how_many_more_there_are() {
        let unusable = |number: usize| Skipped {
            path: format!("tree/Icon\r{number}").into(),
            why: SkippedWhy::Name("it has a control character"),
        };
        let one = UnusableNames::new(vec![unusable(0)]).to_string();
        expect!["1 name cannot be in a manifest: `tree/Icon\\r0` (it has a control character); rename them, or leave them out"]
            .assert_eq(&one);
        let many = UnusableNames::new((0..1000).map(unusable).collect());
        assert!(many.to_string().starts_with("1000 names cannot"), "{many}");
        assert!(
            many.to_string().contains("r19` (it has a control character) and 980 more; rename"),
            "{many}"
        );
    }

    #[test]
    fn names_for_others_than_windows_are_one_line() {
        let of = |paths: &[&str]| {
            let paths: Vec<_> =
                paths.iter().map(|path| EntryPath::new(*path).expect("a good path")).collect();
            WindowsNames::of(paths.iter())
        };
        assert!(of(&["a", "b/c.mkv"]).is_empty());
        expect!["2 names cannot be stored on Windows, other systems take all of them: `a/aux`, `b?`; builds of swarm that are older than this one refuse the whole content: rename them or update those"]
            .assert_eq(&of(&["a/aux/x", "a/aux/y", "b?"]).to_string());
        expect!["1 name cannot be stored on Windows, other systems take all of them: `end.`"]
            .assert_eq(&of(&["end."]).to_string());
    }
}
