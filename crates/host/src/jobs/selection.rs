//! Which files of a content are wanted. A pattern is first taken for the name of a file or folder, as it stands, and only then for a
//! glob: names with brackets are common.

use std::collections::BTreeSet;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use swarm_core::base::{Bitfield, Category};
use swarm_core::manifest::{EntryPath, FileIndex, Manifest};

/// Patterns, as they were given; without any, every file is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Vec<String>);

/// Why patterns choose nothing. Names and patterns in it are not escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A pattern has no name in it.
    #[error("a pattern names nothing: give a name or a pattern, or none for all files")]
    Empty,
    /// No file has this name, and it is no pattern.
    #[error("no file is named `{pattern}`, and it is no pattern: {why}")]
    NotAPattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// No pattern matches a file.
    #[error("{} matches no file of this content", .patterns.join(" and "))]
    NoMatch {
        /// As they were given.
        patterns: Vec<String>,
        /// The first files of the content.
        files: Vec<String>,
        /// How many more it has.
        more: usize,
    },
}

impl SelectionError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Empty | Self::NotAPattern { .. } | Self::NoMatch { .. } => Category::Usage,
        }
    }
}

/// What they choose of a content.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Files, in the order of the manifest.
    pub(super) files: Vec<FileIndex>,
    /// Empty files and folders that are not wanted.
    pub(super) unwanted_empty: BTreeSet<EntryPath>,
    /// Patterns that match nothing, as they were given.
    pub(crate) unmatched: Vec<String>,
}

/// What a pattern means for one content.
enum Rule {
    /// A file, or all below a folder, from the top.
    FromTop(Name),
    /// The same, wherever it stands.
    Anywhere(Name),
    Glob(GlobMatcher),
}

/// A name as it was given, without the slash at its end.
struct Name {
    text: String,
    /// The slash was there.
    is_folder: bool,
}

impl Selection {
    /// Takes the patterns; none at all choose everything.
    ///
    /// # Errors
    /// If a pattern names nothing.
    pub fn new(patterns: &[String]) -> Result<Self, SelectionError> {
        if patterns.iter().any(|pattern| pattern.trim_matches('/').is_empty()) {
            return Err(SelectionError::Empty);
        }
        Ok(Self(patterns.to_vec()))
    }

    /// What is wanted of a content.
    pub(crate) fn choose(&self, manifest: &Manifest) -> Result<Chosen, SelectionError> {
        let geometry = manifest.geometry();
        let all = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
        if self.0.is_empty() {
            return Ok(Chosen {
                files: all.collect(),
                unwanted_empty: BTreeSet::new(),
                unmatched: Vec::new(),
            });
        }
        let paths: Vec<&str> = entries(manifest).map(EntryPath::as_str).collect();
        let mut rules = Vec::new();
        let mut unmatched = Vec::new();
        for pattern in &self.0 {
            let rule = Rule::of(pattern, &paths)?;
            if !paths.iter().any(|path| rule.matches(path)) {
                unmatched.push(pattern.clone());
            }
            rules.push(rule);
        }
        let is_wanted = |path: &EntryPath| rules.iter().any(|rule| rule.matches(path.as_str()));
        let files: Vec<FileIndex> = all.filter(|file| is_wanted(&manifest.file(*file).path)).collect();
        if files.is_empty() {
            return Err(nothing_matches(unmatched, manifest));
        }
        let empty_files = manifest.files().iter().filter(|file| file.len == 0).map(|file| &file.path);
        let empty = empty_files.chain(manifest.empty_directories());
        let unwanted_empty = empty.filter(|path| !is_wanted(path)).cloned().collect();
        Ok(Chosen { files, unwanted_empty, unmatched })
    }
}

impl Chosen {
    /// The chunks of the chosen files.
    pub(crate) fn chunks(&self, manifest: &Manifest) -> Bitfield {
        let geometry = manifest.geometry();
        let mut chunks = Bitfield::new(geometry.chunk_count());
        for chunk in self.files.iter().flat_map(|file| geometry.file_chunk_range(*file)) {
            chunks.insert(chunk);
        }
        chunks
    }
}

impl Rule {
    fn of(pattern: &str, paths: &[&str]) -> Result<Self, SelectionError> {
        let text = pattern.strip_prefix("./").unwrap_or(pattern);
        let (text, is_folder) = (text.trim_end_matches('/'), text.ends_with('/'));
        let name = || Name { text: text.trim_start_matches('/').to_owned(), is_folder };
        let named = [Self::FromTop(name()), Self::Anywhere(name())].into_iter();
        // A name without a slash is looked for everywhere.
        let mut named = named.skip(usize::from(!text.contains('/')));
        if let Some(rule) = named.find(|rule| paths.iter().any(|path| rule.matches(path))) {
            return Ok(rule);
        }
        let anchored = if text.contains('/') { text.to_owned() } else { format!("**/{text}") };
        let anchored = if is_folder { anchored + "/**" } else { anchored };
        let glob = GlobBuilder::new(&anchored).literal_separator(true).build();
        let glob = glob.map_err(|error| SelectionError::NotAPattern {
            pattern: pattern.to_owned(),
            why: error.kind().to_string(),
        })?;
        Ok(Self::Glob(glob.compile_matcher()))
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::FromTop(name) => path.strip_prefix(&name.text).is_some_and(|rest| name.ends_before(rest)),
            Self::Anywhere(name) => path.match_indices(&name.text).any(|(at, found)| {
                let is_start = at == 0 || path.as_bytes()[at - 1] == b'/';
                is_start && name.ends_before(&path[at + found.len()..])
            }),
            Self::Glob(glob) => glob.is_match(Path::new(path)),
        }
    }
}

impl Name {
    /// Whether the name may end where this is what follows in a path.
    fn ends_before(&self, rest: &str) -> bool {
        rest.starts_with('/') || (rest.is_empty() && !self.is_folder)
    }
}

fn entries(manifest: &Manifest) -> impl Iterator<Item = &EntryPath> {
    manifest.files().iter().map(|file| &file.path).chain(manifest.empty_directories())
}

fn nothing_matches(patterns: Vec<String>, manifest: &Manifest) -> SelectionError {
    let files: Vec<String> =
        manifest.files().iter().take(SHOWN_MAX).map(|file| file.path.as_str().to_owned()).collect();
    let more = manifest.files().len() - files.len();
    SelectionError::NoMatch { patterns, files, more }
}

/// Names in a message; more would hide what it says.
const SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths that a pattern chooses, each marked by an `x`.
    fn check(pattern: &str, paths: &[&str], chosen: &str) {
        let rule = Rule::of(pattern, paths).expect("a name or a pattern");
        let marks: String = paths.iter().map(|path| if rule.matches(path) { 'x' } else { '.' }).collect();
        assert_eq!(marks, chosen, "{pattern} of {paths:?}");
    }

    #[test]
    fn names_are_taken_as_they_stand_before_they_are_patterns() {
        check("[Group] x.mkv", &["top/[Group] x.mkv", "top/G x.mkv"], "x.");
        check("[Group] x.mkv", &["top/G x.mkv", "top/Q x.mkv"], "x.");
        check("top/[a]/b", &["top/[a]/b", "top/a/b"], "x.");
        check("b.mkv", &["b.mkv", "top/b.mkv", "top/ab.mkv", "top/b.mkv.txt"], "xx..");
        check("*.mkv", &["b.mkv", "top/b.mkv", "top/b.txt"], "xx.");
        check("top/*.mkv", &["top/b.mkv", "top/sub/b.mkv"], "x.");
    }

    #[test]
    fn a_folder_stands_for_all_below_it() {
        let paths = ["top/one/a", "top/one/sub/b", "top/two/a", "top/alone", "one"];
        check("one/", &paths, "xx...");
        check("one", &paths, "xx..x");
        check("top/one", &paths, "xx...");
        check("./top/one/", &paths, "xx...");
        check("one/sub", &paths, ".x...");
        check("t*/", &paths, "xxxx.");
        check("top/t*/", &paths, "..x..");
        check("alone/", &paths, ".....");
    }

    #[test]
    fn a_pattern_of_nothing_is_refused() {
        for pattern in ["", "/"] {
            assert!(Selection::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
        assert!(Rule::of("[", &["film"]).is_err());
    }
}
