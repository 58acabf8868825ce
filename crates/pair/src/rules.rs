//! What is left out of sync, shared by the walks, watchers and plans of a session: what the options say, and the files `.swarmignore` in
//! folders of both roots. A file is read when something in its folder is asked about first; those of both sides count as one text.
//!
//! Invariant: no answer is given about an entry before the files of all folders above it were looked for. What is read stays until it
//! is forgotten, so both sides of a scan go by the same rules.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use swarm_sync::{IGNORE_FILE_NAME, IgnoreRules, PerSide, RuleRef, TreePath};

use crate::{Options, PairError, bounded};

/// Rules that are read, and forgotten, while they are used.
#[derive(Debug)]
pub(crate) struct SharedRules {
    roots: PerSide<PathBuf>,
    rules: RwLock<IgnoreRules>,
    /// Hashes of folders without a file: the other side need not look again.
    without: Mutex<HashSet<u64>>,
    hasher: std::hash::RandomState,
    /// Goes up when something is forgotten.
    generation: AtomicU64,
    /// Why a file was not read: nothing may be planned then.
    trouble: Mutex<Option<PairError>>,
    /// Lines that say nothing.
    warnings: Mutex<Vec<String>>,
}

/// Asks about paths. One that asks in path order looks into each folder once.
#[derive(Debug)]
pub(crate) struct RulesReader {
    shared: Arc<SharedRules>,
    last: Mutex<Last>,
}

/// The folder that was asked about last. Its file, and those above it, are read.
#[derive(Debug, Default)]
struct Last {
    folder: String,
    generation: u64,
}

impl SharedRules {
    /// The rules of a pair.
    pub(crate) fn of(roots: PerSide<PathBuf>, options: &Options) -> Result<Arc<Self>, PairError> {
        let (rules, warnings) = top_rules(&roots, options)?;
        let (rules, warnings) = (RwLock::new(rules), Mutex::new(warnings));
        let (without, hasher, generation, trouble) = Default::default();
        Ok(Arc::new(Self { roots, rules, without, hasher, generation, trouble, warnings }))
    }

    /// Forgets all files, and reads those at the top anew.
    pub(crate) fn reload(&self, options: &Options) -> Result<(), PairError> {
        let (rules, warnings) = top_rules(&self.roots, options)?;
        *lock(&self.warnings) = warnings;
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.forget_absent();
        Ok(())
    }

    /// Forgets the files at a place and below it, where something changed.
    pub(crate) fn forget(&self, place: &TreePath) {
        self.rules.write().unwrap_or_else(PoisonError::into_inner).forget_files(place);
        self.forget_absent();
    }

    fn forget_absent(&self) {
        lock(&self.without).clear();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Somebody who asks.
    pub(crate) fn reader(self: &Arc<Self>) -> RulesReader {
        RulesReader { shared: Arc::clone(self), last: Mutex::default() }
    }

    /// An error if a file of rules could not be read since this was asked last.
    pub(crate) fn check(&self) -> Result<(), PairError> {
        lock(&self.trouble).take().map_or(Ok(()), Err)
    }

    /// What was wrong in files of rules since this was asked last, a line each.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.warnings))
    }

    fn rules(&self) -> RwLockReadGuard<'_, IgnoreRules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file of a folder whose folders above are read.
    fn look_into(&self, folder: &str) {
        let hash = self.hasher.hash_one(folder);
        if lock(&self.without).contains(&hash) {
            return;
        }
        if self.rules().has_file(folder) {
            return;
        }
        match text_in(&self.roots, folder) {
            Ok(None) => {
                let mut without = lock(&self.without);
                if without.len() < WITHOUT_MAX {
                    without.insert(hash);
                }
            }
            Ok(Some(text)) => self.take(folder, &text),
            Err(error) => drop(lock(&self.trouble).get_or_insert(error)),
        }
    }

    fn take(&self, folder: &str, text: &str) {
        let Ok(place) = TreePath::new(folder) else { return };
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        // The walk of the other side may have been here meanwhile.
        if !rules.has_file(folder) {
            let mut warnings = lock(&self.warnings);
            for warning in warnings_of(folder, rules.set_file(Some(&place), text)) {
                // A file of bad lines alone is read again for the other side.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
    }
}

impl RulesReader {
    /// Whether a path is left out, by itself or with a folder above it.
    pub(crate) fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool {
        self.enter(path);
        self.shared.rules().is_ignored(path, is_folder)
    }

    /// The same for a path in a folder that is not left out.
    pub(crate) fn is_ignored_in_folder(&self, path: &TreePath, is_folder: bool) -> bool {
        self.enter(path);
        self.shared.rules().is_ignored_in_folder(path, is_folder)
    }

    /// The rule that decides about a path.
    pub(crate) fn decided_by(&self, path: &TreePath, is_folder: bool) -> Option<RuleRef> {
        self.enter(path);
        self.shared.rules().decided_by(path, is_folder)
    }

    /// Looks into the folders above a path that were not looked into just now.
    fn enter(&self, path: &TreePath) {
        let folder = path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        let generation = self.shared.generation.load(Ordering::Acquire);
        let mut last = lock(&self.last);
        if last.generation != generation {
            *last = Last { folder: String::new(), generation };
        }
        if last.folder == folder {
            return;
        }
        let common_len = common_folder(&last.folder, folder).len();
        let ends = folder.match_indices('/').map(|(end, _)| end).chain([folder.len()]);
        ends.filter(|end| *end > common_len).for_each(|end| self.shared.look_into(&folder[..end]));
        folder.clone_into(&mut last.folder);
    }
}

/// The innermost folder that is both of these or above them.
fn common_folder<'a>(one: &'a str, other: &str) -> &'a str {
    let is_common = |end: &usize| {
        other.strip_prefix(&one[..*end]).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let ends = one.match_indices('/').map(|(end, _)| end).chain([one.len()]);
    &one[..ends.take_while(is_common).last().unwrap_or(0)]
}

/// What the options and the files at the top of both roots say.
fn top_rules(roots: &PerSide<PathBuf>, options: &Options) -> Result<(IgnoreRules, Vec<String>), PairError> {
    let usage = |error: swarm_sync::BadPattern| PairError::Usage(error.to_string());
    let rules = IgnoreRules::new().with_excludes(&options.excludes).map_err(usage)?;
    let mut rules = rules.with_includes(&options.includes).map_err(usage)?;
    let texts = [&roots.local, &roots.remote].map(|root| text_of(&root.join(IGNORE_FILE_NAME)));
    let bad_lines = rules.set_file(None, &joined(texts)?.unwrap_or_default());
    let warnings = warnings_of("", bad_lines).collect();
    Ok((rules, warnings))
}

/// The text of the files in a folder of both roots; `None` if there are none. Links are not followed.
fn text_in(roots: &PerSide<PathBuf>, folder: &str) -> Result<Option<String>, PairError> {
    joined([&roots.local, &roots.remote].map(|root| {
        let path = root.join(folder).join(IGNORE_FILE_NAME);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() && is_below_folders(root, folder) => text_of(&path),
            Ok(_) => Ok(None),
            // What cannot even be looked for stands in a place that nothing is planned in.
            Err(error) if is_absence(error.kind()) || error.kind() == ErrorKind::PermissionDenied => Ok(None),
            Err(_) if !is_below_folders(root, folder) => Ok(None),
            Err(error) => Err(PairError::state(&path, "read")(error)),
        }
    }))
}

/// Whether no part of the path is a link: what a link leads to is no part of the tree.
fn is_below_folders(root: &Path, folder: &str) -> bool {
    let mut place = root.to_owned();
    folder.split('/').filter(|name| !name.is_empty()).all(|name| {
        place.push(name);
        place.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
    })
}

fn text_of(path: &Path) -> Result<Option<String>, PairError> {
    match bounded::read(path, IGNORE_LEN_MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_absence(error.kind()) => Ok(None),
        Err(error) => Err(PairError::state(path, "read")(error)),
    }
}

fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Both texts as one. Two that are the same, as after each run, are taken once.
fn joined(texts: [Result<Option<String>, PairError>; 2]) -> Result<Option<String>, PairError> {
    let [local, remote] = texts;
    Ok(match (local?, remote?) {
        (Some(local), Some(remote)) if local != remote => Some(format!("{local}\n{remote}")),
        (local, remote) => local.or(remote),
    })
}

/// A line that says nothing leaves out nothing.
fn warnings_of(folder: &str, bad_lines: Vec<swarm_sync::BadLine>) -> impl Iterator<Item = String> {
    let path = Path::new(folder).join(IGNORE_FILE_NAME);
    bad_lines.into_iter().map(move |bad| format!("{}: {bad}", swarm_core::base::Shown(&path)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Longest file of rules, in bytes.
const IGNORE_LEN_MAX: u64 = 4 << 20;
/// Folders without a file that are remembered, with eight bytes each.
const WITHOUT_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_folder_of_two_ends_at_a_name() {
        let check = |one: &str, other: &str, common: &str| assert_eq!(common_folder(one, other), common);
        check("", "a/b", "");
        check("a/b", "a/b/c", "a/b");
        check("a/b/c", "a/b", "a/b");
        check("a/b", "a/bc", "a");
        check("a", "ab", "");
        check("x/y", "a", "");
    }

    /// A file on one side, read through the rules of both.
    fn rules(files: &[(&str, &str)]) -> (tempfile::TempDir, Arc<SharedRules>) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let roots = PerSide { local: folder.path().join("a"), remote: folder.path().join("b") };
        let rules = SharedRules::of(roots, &Options::default()).expect("rules");
        (folder, rules)
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    #[test]
    fn files_in_folders_of_both_sides_count() {
        let (_folder, rules) = rules(&[
            ("a/.swarmignore", "*.o\n"),
            ("a/x/.swarmignore", "!keep.o\n/only\n"),
            ("b/x/y/.swarmignore", "keep.o\n"),
        ]);
        let reader = rules.reader();
        for (text, is_ignored) in [
            ("z.o", true),
            ("x/z.o", true),
            ("x/keep.o", false),
            ("x/only", true),
            ("x/y/only", false),
            ("x/y/keep.o", true),
            ("only", false),
            ("x/keep.o", false),
        ] {
            assert_eq!(reader.is_ignored(&path(text), false), is_ignored, "{text}");
        }
        rules.check().expect("all could be read");
    }

    #[test]
    fn what_was_read_holds_until_it_is_forgotten() {
        let (folder, rules) = rules(&[("a/x/.swarmignore", "f\n"), ("b/x/f", "")]);
        let (reader, other) = (rules.reader(), rules.reader());
        assert!(reader.is_ignored(&path("x/f"), false));
        std::fs::remove_file(folder.path().join("a/x/.swarmignore")).expect("removed");
        assert!(other.is_ignored(&path("x/f"), false));
        rules.forget(&path("x"));
        assert!(!reader.is_ignored(&path("x/f"), false));
        std::fs::write(folder.path().join("b/x/.swarmignore"), "f\n").expect("written");
        rules.forget(&path("x/.swarmignore"));
        assert!(reader.is_ignored(&path("x/f"), false));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_a_folder_of_that_name_is_none() {
        let (_folder, rules) = rules(&[("a/x/.swarmignore/inside", "f\n")]);
        assert!(!rules.reader().is_ignored(&path("x/f"), false));
        rules.check().expect("it has no rules");
        let long = "x\n".repeat(3 << 20);
        let (_folder, rules) = self::rules(&[("a/x/.swarmignore", &long)]);
        rules.reader().is_ignored(&path("x/f"), false);
        assert!(rules.check().is_err());
    }
}
