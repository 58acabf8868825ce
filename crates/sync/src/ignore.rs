//! Which paths are left out of sync: `.swarmignore` in any folder, with git's syntax and meaning, and what the command line excludes or
//! includes. Invariant: what stands in an ignored folder is ignored, and no rule brings it back. Absent here: reading the files.

use std::collections::BTreeMap;

use crate::limits::IGNORE_LINES_MAX;
use crate::{Pattern, PatternFault, TreePath};

/// The name of a file of ignore rules. It is synced itself, unless a rule says otherwise.
pub const IGNORE_FILE_NAME: &str = ".swarmignore";
/// The folder of sync's own state at the root. It is never synced, and no rule changes that.
pub const STATE_FOLDER_NAME: &str = ".swarm";

/// What is left out. Rules of the command line come before files, files of inner folders before those of outer ones, later lines before
/// earlier ones. What no rule ignores is synced, unless there are `--include` patterns and none matches.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules {
    /// By the folder that a file stands in; the root is empty.
    files: BTreeMap<Box<str>, Vec<Rule>>,
    excludes: Vec<Rule>,
    includes: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    /// With `!`: what matches is not ignored.
    ignores: bool,
    /// From 1.
    line: usize,
    /// The whole line.
    text: Box<str>,
}

/// A line of rules that says nothing. The others hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It is no pattern.
    #[error("line {line}: {text:?} matches nothing: {fault}")]
    Pattern {
        /// From 1.
        line: usize,
        /// As it was written.
        text: String,
        /// Why.
        fault: PatternFault,
    },
    /// It and all lines after it are too many.
    #[error("line {line} and what follows is left out: only {IGNORE_LINES_MAX} patterns are read")]
    TooMany {
        /// From 1.
        line: usize,
    },
}

/// A pattern of the command line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no pattern: {fault}")]
pub struct BadPattern {
    /// As it was written.
    pub text: String,
    /// Why.
    pub fault: PatternFault,
}

/// The rule that decided about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRef {
    /// Where the rule stands.
    pub source: RuleSource,
    /// As it was written; empty for [`RuleSource::StateFolder`] and [`RuleSource::NoInclude`].
    pub text: String,
    /// Whether it ignores what it matches.
    pub ignores: bool,
    /// What it matched: the path, or a folder above it.
    pub matched: TreePath,
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// Nowhere: sync's own state is never synced.
    StateFolder,
    /// In a file of rules.
    File {
        /// The `.swarmignore`.
        file: TreePath,
        /// From 1.
        line: usize,
    },
    /// In an `--exclude`.
    Exclude,
    /// There are `--include` patterns, and none matches.
    NoInclude,
}

impl IgnoreRules {
    /// Rules that leave out nothing but sync's own state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the text of the `.swarmignore` in a folder (`None`: the root), in place of what was known of it. Returns the lines that say
    /// nothing.
    pub fn set_file(&mut self, folder: Option<&TreePath>, text: &str) -> Vec<BadLine> {
        let (rules, bad_lines) = parse_file(text);
        let key = folder.map_or("", TreePath::as_str);
        if rules.is_empty() {
            self.files.remove(key);
        } else {
            self.files.insert(key.into(), rules);
        }
        bad_lines
    }

    /// Whether a file with rules is known of a folder.
    pub fn has_file(&self, folder: &str) -> bool {
        self.files.contains_key(folder)
    }

    /// Forgets the files at a place and in folders below it.
    pub fn forget_files(&mut self, place: &TreePath) {
        self.files.retain(|folder, _| {
            folder.strip_prefix(place.as_str()).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
    }

    /// Adds `--exclude` patterns: lines as in a file at the root.
    pub fn with_excludes(mut self, patterns: &[String]) -> Result<Self, BadPattern> {
        for text in patterns {
            let bad = |fault| BadPattern { text: text.clone(), fault };
            let rule = Rule::parse(text, 0).map_err(bad)?.ok_or(PatternFault::Empty).map_err(bad)?;
            self.excludes.push(rule);
        }
        Ok(self)
    }

    /// Adds `--include` patterns: only files that one of them matches, or a folder above them, are synced.
    pub fn with_includes(mut self, patterns: &[String]) -> Result<Self, BadPattern> {
        for text in patterns {
            let pattern = Pattern::parse(text).map_err(|fault| BadPattern { text: text.clone(), fault })?;
            self.includes.push(pattern);
        }
        Ok(self)
    }

    /// Whether a path is left out.
    pub fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool {
        self.decided_by(path, is_folder).is_some_and(|rule| rule.ignores)
    }

    /// As [`Self::is_ignored`], for a path in a folder that is not ignored: a walk from the root has asked about that one before.
    pub fn is_ignored_in_folder(&self, path: &TreePath, is_folder: bool) -> bool {
        self.find(path.as_str(), is_folder).is_some_and(Found::ignores)
    }

    /// The rule that decides about a path; `None` if no rule says anything, and it is synced.
    pub fn decided_by(&self, path: &TreePath, is_folder: bool) -> Option<RuleRef> {
        let text = path.as_str();
        let above = text.match_indices('/').map(|(end, _)| &text[..end]);
        for folder in above {
            if let Some(found) = self.find(folder, true).filter(|found| found.ignores()) {
                return found.rule_ref(folder);
            }
        }
        self.find(text, is_folder)?.rule_ref(text)
    }

    /// The rule that matches an entry itself.
    fn find(&self, path: &str, is_folder: bool) -> Option<Found<'_>> {
        if path == STATE_FOLDER_NAME {
            return Some(Found::StateFolder);
        }
        if let Some(rule) = last_match(&self.excludes, path, is_folder) {
            return Some(Found::Exclude(rule));
        }
        match self.find_in_files(path, is_folder) {
            Some((folder, rule)) if rule.ignores => Some(Found::File(folder, rule)),
            _ if self.is_without_include(path, is_folder) => Some(Found::NoInclude),
            found => found.map(|(folder, rule)| Found::File(folder, rule)),
        }
    }

    /// Looks in the file that stands beside the entry, then in those above.
    fn find_in_files(&self, path: &str, is_folder: bool) -> Option<(&str, &Rule)> {
        if self.files.is_empty() {
            return None;
        }
        let mut folder = path;
        while !folder.is_empty() {
            folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
            let Some((folder, rules)) = self.files.get_key_value(folder) else { continue };
            let below = path[folder.len()..].trim_start_matches('/');
            if let Some(rule) = last_match(rules, below, is_folder) {
                return Some((folder, rule));
            }
        }
        None
    }

    fn is_without_include(&self, path: &str, is_folder: bool) -> bool {
        let is_wanted = |pattern: &Pattern| {
            pattern.matches_text_at_or_above(path, is_folder)
                || is_folder && pattern.may_match_text_below(path)
        };
        !self.includes.is_empty() && !self.includes.iter().any(is_wanted)
    }
}

/// What decides about an entry.
#[derive(Clone, Copy)]
enum Found<'a> {
    StateFolder,
    Exclude(&'a Rule),
    /// The folder of the file, and the rule.
    File(&'a str, &'a Rule),
    NoInclude,
}

impl Found<'_> {
    fn ignores(self) -> bool {
        match self {
            Self::StateFolder | Self::NoInclude => true,
            Self::Exclude(rule) | Self::File(_, rule) => rule.ignores,
        }
    }

    /// `None` never: paths that are asked about are paths.
    fn rule_ref(self, matched: &str) -> Option<RuleRef> {
        let (source, text) = match self {
            Self::StateFolder => (RuleSource::StateFolder, ""),
            Self::NoInclude => (RuleSource::NoInclude, ""),
            Self::Exclude(rule) => (RuleSource::Exclude, &*rule.text),
            Self::File(folder, rule) => {
                let folder = (!folder.is_empty()).then(|| TreePath::new(folder)).transpose().ok()?;
                let file = TreePath::below(folder.as_ref(), IGNORE_FILE_NAME).ok()?;
                (RuleSource::File { file, line: rule.line }, &*rule.text)
            }
        };
        let matched = TreePath::new(matched).ok()?;
        Some(RuleRef { source, text: text.into(), ignores: self.ignores(), matched })
    }
}

fn last_match<'a>(rules: &'a [Rule], path: &str, is_folder: bool) -> Option<&'a Rule> {
    rules.iter().rev().find(|rule| rule.pattern.matches_text(path, is_folder))
}

fn parse_file(text: &str) -> (Vec<Rule>, Vec<BadLine>) {
    let (mut rules, mut bad_lines) = (Vec::new(), Vec::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, text) in (1..).zip(text.split('\n')) {
        let text = text.strip_suffix('\r').unwrap_or(text);
        match Rule::parse(text, line) {
            Ok(None) => {}
            Ok(Some(_)) if rules.len() == IGNORE_LINES_MAX => {
                bad_lines.push(BadLine::TooMany { line });
                break;
            }
            Ok(Some(rule)) => rules.push(rule),
            Err(fault) => bad_lines.push(BadLine::Pattern { line, text: text.into(), fault }),
        }
    }
    (rules, bad_lines)
}

impl Rule {
    /// `None` for an empty line or a comment.
    fn parse(text: &str, line: usize) -> Result<Option<Self>, PatternFault> {
        let body = without_last_spaces(text);
        if body.is_empty() || body.starts_with('#') {
            return Ok(None);
        }
        let (pattern, ignores) = body.strip_prefix('!').map_or((body, true), |pattern| (pattern, false));
        let pattern = Pattern::parse(pattern)?;
        Ok(Some(Self { pattern, ignores, line, text: text.into() }))
    }
}

/// A space at the end counts only behind a backslash.
fn without_last_spaces(line: &str) -> &str {
    let trimmed = line.trim_end_matches(' ');
    let backslashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    let is_escaped = backslashes % 2 == 1 && trimmed.len() < line.len();
    &line[..trimmed.len() + usize::from(is_escaped)]
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn rules(files: &[(&str, &str)]) -> IgnoreRules {
        let mut rules = IgnoreRules::new();
        for (folder, text) in files {
            let folder = (!folder.is_empty()).then(|| TreePath::new(*folder).expect("a path"));
            assert_eq!(rules.set_file(folder.as_ref(), text), []);
        }
        rules
    }

    /// Each path (folders end with a slash), and why it is ignored or not.
    fn check(rules: &IgnoreRules, paths: &[&str], expected: Expect) {
        let mut shown = String::new();
        for path in paths {
            let entry = TreePath::new(path.trim_end_matches('/')).expect("a path");
            let decided = rules.decided_by(&entry, path.ends_with('/'));
            let ignores = decided.as_ref().is_some_and(|rule| rule.ignores);
            assert_eq!(rules.is_ignored(&entry, path.ends_with('/')), ignores);
            let verdict = if ignores { "ignored" } else { "synced" };
            let why = decided.map_or(String::new(), |rule| match rule.source {
                RuleSource::File { file, line } => {
                    format!(" {file}:{line} {} on {}", rule.text, rule.matched)
                }
                other => format!(" {other:?} {} on {}", rule.text, rule.matched),
            });
            shown.push_str(&format!("{path}: {verdict}{why}\n"));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn the_last_rule_of_the_innermost_file_decides() {
        let rules = rules(&[("", "*.log\n!keep.log\n"), ("a", "# of this folder\n\n!*.log\n")]);
        check(
            &rules,
            &["x.log", "keep.log", "a/x.log", "b/x.log", "a/x.txt"],
            expect![[r"
            x.log: ignored .swarmignore:1 *.log on x.log
            keep.log: synced .swarmignore:2 !keep.log on keep.log
            a/x.log: synced a/.swarmignore:3 !*.log on a/x.log
            b/x.log: ignored .swarmignore:1 *.log on b/x.log
            a/x.txt: synced
        "]],
        );
    }

    #[test]
    fn nothing_comes_back_out_of_an_ignored_folder() {
        let rules = rules(&[("", "build/\n!build/keep\n"), ("build", "!*\n")]);
        check(
            &rules,
            &["build/", "build/keep", "build", "a/build/x"],
            expect![[r"
            build/: ignored .swarmignore:1 build/ on build
            build/keep: ignored .swarmignore:1 build/ on build
            build: synced
            a/build/x: ignored .swarmignore:1 build/ on a/build
        "]],
        );
    }

    #[test]
    fn the_state_of_sync_is_never_synced() {
        let rules = rules(&[("", "!.swarm\n")]).with_excludes(&["!.swarm".into()]).expect("a pattern");
        check(
            &rules,
            &[".swarm/", ".swarm/index", "a/.swarm/", ".swarmignore"],
            expect![[r"
            .swarm/: ignored StateFolder  on .swarm
            .swarm/index: ignored StateFolder  on .swarm
            a/.swarm/: synced Exclude !.swarm on a/.swarm
            .swarmignore: synced
        "]],
        );
    }

    #[test]
    fn an_exclude_comes_before_every_file() {
        let excludes = ["*.iso".into(), "!small.iso".into()];
        let rules = rules(&[("", "small.iso\n")]).with_excludes(&excludes).expect("patterns");
        check(
            &rules,
            &["a/big.iso", "small.iso"],
            expect![[r"
            a/big.iso: ignored Exclude *.iso on a/big.iso
            small.iso: synced Exclude !small.iso on small.iso
        "]],
        );
    }

    #[test]
    fn only_what_is_included_is_synced_and_the_folders_above_it() {
        let includes = ["docs/*.md".into(), "src/".into()];
        let rules = rules(&[("", "draft*\n")]).with_includes(&includes).expect("patterns");
        let paths =
            ["docs/", "docs/a.md", "docs/a.txt", "docs/old/", "src/x/y", "draft/", "src/draft.rs", "a"];
        check(
            &rules,
            &paths,
            expect![[r"
            docs/: synced
            docs/a.md: synced
            docs/a.txt: ignored NoInclude  on docs/a.txt
            docs/old/: synced
            src/x/y: synced
            draft/: ignored .swarmignore:1 draft* on draft
            src/draft.rs: ignored .swarmignore:1 draft* on src/draft.rs
            a: ignored NoInclude  on a
        "]],
        );
    }

    #[test]
    fn a_line_that_matches_nothing_is_named() {
        let mut rules = IgnoreRules::new();
        let bad = rules.set_file(None, "*.o\n[a\r\n/\nb\\\n");
        let shown: Vec<String> = bad.iter().map(ToString::to_string).collect();
        expect![[r#"
            line 2: "[a" matches nothing: it has a [ that no ] closes
            line 3: "/" matches nothing: it is empty
            line 4: "b\\" matches nothing: it ends with a backslash"#]]
        .assert_eq(&shown.join("\n"));
        assert!(rules.is_ignored(&TreePath::new("a.o").expect("a path"), false));
    }

    #[test]
    fn a_file_of_too_many_rules_is_read_up_to_the_limit() {
        let mut rules = IgnoreRules::new();
        let bad = rules.set_file(None, &"x\n".repeat(IGNORE_LINES_MAX + 2));
        assert_eq!(bad, [BadLine::TooMany { line: IGNORE_LINES_MAX + 1 }]);
    }

    #[test]
    fn a_walk_asks_about_each_entry_once() {
        let rules = rules(&[("", "a/\n*.o\n")]);
        let here = |path: &str| rules.is_ignored_in_folder(&TreePath::new(path).expect("a path"), false);
        assert!(here("b/x.o") && !here("b/x") && !here("a/x"));
    }

    #[test]
    fn a_file_that_is_gone_says_nothing() {
        let mut rules = rules(&[("", "a\n")]);
        rules.set_file(None, "");
        assert!(!rules.is_ignored(&TreePath::new("a").expect("a path"), false));
    }
}
