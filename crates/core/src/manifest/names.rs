//! Names that one folder cannot hold side by side on systems where case or Unicode form does not count (macOS and Windows by
//! default). Such systems could never store a content with two of them, so no content has them. Knows no files.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

use super::body::ManifestError;
use super::path::EntryPath;
use crate::base::Shown;

/// Two different names in one folder that are equal where case or Unicode form does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameName {
    /// The path whose bytes sort first, cut after the component that differs.
    pub first: String,
    /// The path that collides with it.
    pub other: String,
}

/// Refuses two different names of files or folders in one folder that are equal by case folding or canonical equivalence
/// (Unicode, D145). `paths` may come in any order; sorted ones are fastest.
///
/// # Errors
/// Names the two paths, each cut after the component that differs.
pub fn check_names<'a>(paths: impl Iterator<Item = &'a EntryPath>) -> Result<(), ManifestError> {
    match pairs(&folded_names(paths)).next() {
        Some((first, other)) => Err(ManifestError::SameName(shown(first, other), shown(other, first))),
        None => Ok(()),
    }
}

/// All pairs that [`check_names`] would refuse. A content without each `other` and its children is accepted.
pub fn same_names<'a>(paths: impl Iterator<Item = &'a EntryPath>) -> Vec<SameName> {
    let names = folded_names(paths);
    // Two folders that collide are reported once, not once for each of their children: one of the folders has to go.
    let is_own = |(first, other): &(&str, &str)| parent(first) == parent(other);
    let same = |(first, other): (&str, &str)| SameName { first: first.to_owned(), other: other.to_owned() };
    pairs(&names).filter(is_own).map(same).collect()
}

/// Pairs each name of a group of equal names with the first one of the group.
fn pairs<'a>(names: &[(String, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let groups = names.chunk_by(|a, b| a.0 == b.0);
    groups.flat_map(|group| group[1..].iter().map(|(_, other)| (group[0].1, *other)))
}

/// All names and all folders above them, each once, sorted so that names which some systems take for one are neighbours.
fn folded_names<'a>(paths: impl Iterator<Item = &'a EntryPath>) -> Vec<(String, &'a str)> {
    let mut names: Vec<(String, &str)> = Vec::new();
    let mut before = "";
    for path in paths {
        let path = path.as_str();
        names.push((folded(path), path));
        let is_noted = |folder: &str| before.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let above = std::iter::successors(parent(path), |folder| parent(folder));
        names.extend(above.take_while(|folder| !is_noted(folder)).map(|folder| (folded(folder), folder)));
        before = path;
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// A key that is equal for names which some file system takes for one.
fn folded(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    path.nfd().default_case_fold().nfd().collect()
}

/// A name with its differences from the other one made visible: two Unicode forms of one text look alike.
fn shown(name: &str, other: &str) -> String {
    if name.nfc().eq(other.nfc()) { name.escape_default().to_string() } else { Shown(name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str]) -> Result<(), String> {
        let paths: Vec<EntryPath> =
            paths.iter().map(|path| EntryPath::new(*path).expect("a good path")).collect();
        check_names(paths.iter()).map_err(|error| error.to_string())
    }

    #[test]
    fn different_names_are_taken() {
        for paths in [
            &["a", "b", "a/c", "a-c"][..],
            &["film/a", "film/b", "other/a"],
            &["x/a", "y/A"],
            &["film 1.mkv", "film 2.mkv", "film１.mkv"],
            &["и", "й", "е", "ё"],
        ] {
            assert_eq!(check(paths), Ok(()), "{paths:?}");
        }
    }

    #[test]
    fn names_that_differ_in_case_or_form_alone_are_refused_with_both() {
        for (paths, [one, other]) in [
            (&["Film.mkv", "film.mkv"][..], ["Film.mkv", "film.mkv"]),
            (&["a/b/x", "a/B/y"], ["a/B", "a/b"]),
            (&["a", "A/x"], ["A", "a"]),
            (&["z", "Straße", "STRASSE"], ["STRASSE", "Straße"]),
            (&["ΣΊΣΥΦΟΣ", "σίσυφος"], ["ΣΊΣΥΦΟΣ", "σίσυφος"]),
            (&["caf\u{e9}", "cafe\u{301}"], ["cafe\\u{301}", "caf\\u{e9}"]),
            (&["\u{212b}ngstrom", "\u{e5}ngstrom"], ["\u{e5}ngstrom", "\u{212b}ngstrom"]),
        ] {
            let message = check(paths).expect_err("they collide");
            assert!(
                message.contains(&format!("`{one}`")) && message.contains(&format!("`{other}`")),
                "{message}"
            );
        }
    }

    #[test]
    fn the_message_has_a_way_out() {
        assert_eq!(
            check(&["Film.mkv", "film.mkv"]),
            Err("`Film.mkv` and `film.mkv` are one name on systems where case or Unicode form does not count, and \
                 could not be stored there: rename one of them before it is seeded"
                .to_owned())
        );
    }

    #[test]
    fn all_that_collide_are_found_each_once() {
        let paths = ["a/B/x", "a/b/x", "a/b/y", "film", "Film", "FILM", "z"];
        let paths: Vec<EntryPath> =
            paths.iter().map(|path| EntryPath::new(*path).expect("a good path")).collect();
        let found = same_names(paths.iter());
        let found: Vec<_> = found.iter().map(|same| (same.first.as_str(), same.other.as_str())).collect();
        assert_eq!(found, [("a/B", "a/b"), ("FILM", "Film"), ("FILM", "film")]);
    }
}
