//! Brings what is known of a side up to date with what stands there. A file is read only if the disk tells something else of it than
//! when it was last read. Invariant: a place that cannot be seen is never taken for one at which nothing stands.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::{Blind, Entry, Found, FoundKind, Kind, ReplicaError, Seen, TreePath, UnnamedWhy};

/// What was found out about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The path.
    pub path: TreePath,
    /// What stands there; `None` if nothing does.
    pub entry: Option<Entry>,
}

/// The sum of an observation of a side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entries found.
    pub found: u64,
    /// Files read.
    pub hashed: u64,
    /// Bytes of the files read.
    pub hashed_len: u64,
    /// Paths at which something else stands than was known.
    pub changed: u64,
    /// Places that could not be seen.
    pub blind: Vec<Blind>,
    /// Entries whose paths are none in a tree, escaped, and why.
    pub unnamed: Vec<(String, UnnamedWhy)>,
}

/// What an observation does to the world outside.
pub trait Observer {
    /// An error of the index.
    type Error: From<ReplicaError>;

    /// Reads and hashes files.
    fn hash(&mut self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>>;

    /// Whether the side keeps executable bits. Where it does not, a file has the bit that is known of it.
    fn keeps_executable(&self) -> bool;

    /// Whether a path is left out of sync. What is known of such a path stays known: that a walk does not find it says nothing.
    fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool;

    /// Whether what is known of a place that this walk does not look at is forgotten: one that is blind or ignored. So without a base: what
    /// both sides have the same is agreed on then, and what was known before may be gone, by a power cut.
    fn forgets_unseen(&self) -> bool;

    /// Remembers what was found out, all of it or nothing.
    fn remember(&mut self, batch: Vec<Observation>) -> Result<(), Self::Error>;

    /// Is told how far it is, every so often.
    fn progress(&mut self, tally: &Tally);
}

/// Compares a walk with what is known of the same place, both in path order. `thorough` reads every file, whatever the disk tells of it.
pub fn observe<O: Observer>(
    walk: impl Iterator<Item = Result<Seen, ReplicaError>>,
    known: impl Iterator<Item = Result<(TreePath, Entry), O::Error>>,
    thorough: bool,
    observer: &mut O,
) -> Result<Tally, O::Error> {
    let mut known = known.peekable();
    let mut work = Work {
        observer,
        tally: Tally::default(),
        files: Vec::new(),
        bits: Vec::new(),
        files_len: 0,
        batch: Vec::new(),
    };
    for seen in walk {
        match seen? {
            Seen::Unnamed { shown, why } => work.tally.unnamed.push((shown, why)),
            Seen::Blind(blind) => {
                work.forget_before(&mut known, &blind.path)?;
                while next_is(&mut known, |path| path.is_at_or_below(&blind.path))? {
                    if let Some(unseen) = known.next() {
                        work.note_unseen(unseen?.0)?;
                    }
                }
                work.tally.blind.push(blind);
            }
            Seen::Entry(found) => {
                work.forget_before(&mut known, &found.path)?;
                let known =
                    if next_is(&mut known, |path| *path == found.path)? { known.next() } else { None };
                let known = known.transpose()?.map(|(_, entry)| entry);
                work.take(found, known, thorough)?;
            }
        }
    }
    for vanished in known {
        work.note_vanished(vanished?)?;
    }
    work.finish()
}

/// Whether the next known path is so. An error of the index is returned here, and not lost.
fn next_is<E>(
    known: &mut Peekable<impl Iterator<Item = Result<(TreePath, Entry), E>>>,
    is_so: impl Fn(&TreePath) -> bool,
) -> Result<bool, E> {
    match known.peek() {
        Some(Ok((path, _))) => Ok(is_so(path)),
        None => Ok(false),
        Some(Err(_)) => match known.next() {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(false),
        },
    }
}

struct Work<'a, O> {
    observer: &'a mut O,
    tally: Tally,
    /// Files to read.
    files: Vec<Found>,
    /// Of each, the bit that it has whatever the disk says.
    bits: Vec<Option<bool>>,
    files_len: u64,
    batch: Vec<Observation>,
}

impl<O: Observer> Work<'_, O> {
    /// What was known before this path, and was not found, has vanished.
    fn forget_before(
        &mut self,
        known: &mut Peekable<impl Iterator<Item = Result<(TreePath, Entry), O::Error>>>,
        path: &TreePath,
    ) -> Result<(), O::Error> {
        while next_is(known, |next| next.cmp(path) == Ordering::Less)? {
            if let Some(vanished) = known.next() {
                self.note_vanished(vanished?)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, mut found: Found, known: Option<Entry>, thorough: bool) -> Result<(), O::Error> {
        self.tally.found += 1;
        if self.tally.found.is_multiple_of(PROGRESS_INTERVAL) {
            self.observer.progress(&self.tally);
        }
        let mut bit = None;
        if let FoundKind::File { executable, .. } = &mut found.kind
            && !self.observer.keeps_executable()
        {
            *executable = known.as_ref().and_then(Entry::file).is_some_and(|content| content.executable);
            bit = Some(*executable);
        }
        let kind = match &found.kind {
            FoundKind::Folder => Kind::Folder,
            FoundKind::Symlink { target } => Kind::Symlink { target: target.clone() },
            FoundKind::File { len, .. } => {
                if let Some(known) = known.filter(|known| !thorough && is_as_known(&found, known)) {
                    // What rotted on a disk under another number is no edit: the file is not read for that.
                    let entry = Entry { stamp: found.stamp, ..known };
                    return if known.stamp == found.stamp {
                        Ok(())
                    } else {
                        self.note(found.path, Some(entry))
                    };
                }
                self.files_len += len;
                self.files.push(found);
                self.bits.push(bit);
                return if self.files.len() >= FILES_MAX || self.files_len >= FILES_LEN_MAX {
                    self.read()
                } else {
                    Ok(())
                };
            }
        };
        let entry = Entry { kind, modified_ns: found.modified_ns, stamp: found.stamp };
        // The times of a folder change with what stands in it; only its number counts.
        if known.is_some_and(|known| known.kind == entry.kind && known.stamp.id == entry.stamp.id) {
            return Ok(());
        }
        self.note(found.path, Some(entry))
    }

    fn read(&mut self) -> Result<(), O::Error> {
        self.files_len = 0;
        let bits = std::mem::take(&mut self.bits);
        let results = self.observer.hash(std::mem::take(&mut self.files));
        for (result, bit) in results.into_iter().zip(bits) {
            match result {
                Ok((path, entry)) => {
                    let entry = entry.with_executable(bit);
                    self.tally.hashed += 1;
                    self.tally.hashed_len += entry.file().map_or(0, |content| content.len);
                    self.note(path, Some(entry))?;
                }
                Err(blind) => {
                    self.note_unseen(blind.path.clone())?;
                    self.tally.blind.push(blind);
                }
            }
        }
        self.observer.progress(&self.tally);
        Ok(())
    }

    fn note_vanished(&mut self, (path, entry): (TreePath, Entry)) -> Result<(), O::Error> {
        let is_ignored = self.observer.is_ignored(&path, entry.is_folder());
        if is_ignored { self.note_unseen(path) } else { self.note(path, None) }
    }

    fn note_unseen(&mut self, path: TreePath) -> Result<(), O::Error> {
        if self.observer.forgets_unseen() { self.note(path, None) } else { Ok(()) }
    }

    fn note(&mut self, path: TreePath, entry: Option<Entry>) -> Result<(), O::Error> {
        self.tally.changed += 1;
        self.batch.push(Observation { path, entry });
        if self.batch.len() >= BATCH_MAX { self.remember() } else { Ok(()) }
    }

    fn remember(&mut self) -> Result<(), O::Error> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() { Ok(()) } else { self.observer.remember(batch) }
    }

    fn finish(mut self) -> Result<Tally, O::Error> {
        self.read()?;
        self.remember()?;
        Ok(self.tally)
    }
}

/// Whether the disk tells of a file what it told when the file was read.
fn is_as_known(found: &Found, known: &Entry) -> bool {
    let (FoundKind::File { len, executable }, Some(content)) = (&found.kind, known.file()) else {
        return false;
    };
    content.len == *len
        && content.executable == *executable
        && known.modified_ns == found.modified_ns
        && known.stamp.tells_same_bytes(&found.stamp)
}

/// Entries between two reports of how far it is.
const PROGRESS_INTERVAL: u64 = 10_000;
/// Files that are read at once: enough for all cores.
const FILES_MAX: usize = 4096;
/// Bytes that are read at once: progress is told after them.
const FILES_LEN_MAX: u64 = 256 << 20;
/// Paths in one transaction of the index.
const BATCH_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{BlindWhy, ContentHash, FileContent, FileId, Stamp};

    /// Answers with bytes of the length that was found, and writes down what it is told.
    struct Notes {
        keeps_executable: bool,
        forgets_unseen: bool,
        read: Vec<String>,
        seen: Vec<String>,
    }

    impl Observer for Notes {
        type Error = ReplicaError;

        fn hash(&mut self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
            self.read.extend(files.iter().map(|found| found.path.to_string()));
            files.into_iter().map(|found| Ok((found.path.clone(), entry_of(&found)))).collect()
        }

        fn keeps_executable(&self) -> bool {
            self.keeps_executable
        }

        fn is_ignored(&self, path: &TreePath, _: bool) -> bool {
            path.name() == "ignored"
        }

        fn forgets_unseen(&self) -> bool {
            self.forgets_unseen
        }

        fn remember(&mut self, batch: Vec<Observation>) -> Result<(), ReplicaError> {
            let shown = |seen: &Observation| match &seen.entry {
                Some(entry) => {
                    let bit = if entry.file().is_some_and(|content| content.executable) { "*" } else { "" };
                    format!("{}{bit}", seen.path)
                }
                None => format!("-{}", seen.path),
            };
            self.seen.extend(batch.iter().map(shown));
            Ok(())
        }

        fn progress(&mut self, _: &Tally) {}
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    /// `d/`, `f=3` (a file of that length), `x=3*` (an executable one), `?d` (blind); `f=3@2` (file 1 of device 2).
    fn seen(text: &str) -> Seen {
        let (text, device) = text.split_once('@').map_or((text, None), |(text, device)| (text, Some(device)));
        let id = device.map(|device| FileId { device: device.parse().expect("a number"), inode: 1 });
        if let Some(place) = text.strip_prefix('?') {
            return Seen::Blind(Blind { path: path(place), why: BlindWhy::Special });
        }
        let (place, kind) = match text.split_once('=') {
            Some((place, len)) => {
                let executable = len.ends_with('*');
                let len = len.trim_end_matches('*').parse().expect("a length");
                (place, FoundKind::File { len, executable })
            }
            None => (text.trim_end_matches('/'), FoundKind::Folder),
        };
        Seen::Entry(Found { path: path(place), kind, modified_ns: 0, stamp: Stamp { id, changed_ns: 0 } })
    }

    fn entry_of(found: &Found) -> Entry {
        let kind = match &found.kind {
            FoundKind::Folder => Kind::Folder,
            FoundKind::Symlink { target } => Kind::Symlink { target: target.clone() },
            FoundKind::File { len, executable } => {
                let hash = ContentHash::of(&len.to_le_bytes());
                Kind::File(FileContent { len: *len, hash, executable: *executable })
            }
        };
        Entry { kind, modified_ns: 0, stamp: found.stamp }
    }

    fn check(known: &str, walk: &str, keeps_executable: bool, expected: Expect) {
        let notes = Notes { keeps_executable, forgets_unseen: false, read: Vec::new(), seen: Vec::new() };
        check_with(notes, known, walk, expected);
    }

    fn check_with(mut notes: Notes, known: &str, walk: &str, expected: Expect) {
        let known = known.split_whitespace().map(|text| match seen(text) {
            Seen::Entry(found) => Ok((found.path.clone(), entry_of(&found))),
            Seen::Blind(_) | Seen::Unnamed { .. } => panic!("nothing blind is known"),
        });
        let walk: Vec<_> = walk.split_whitespace().map(|text| Ok(seen(text))).collect();
        let tally = observe(walk.into_iter(), known, false, &mut notes).expect("nothing fails");
        notes.seen.sort();
        let Notes { read, seen, .. } = notes;
        expected.assert_eq(&format!("read {read:?}, seen {seen:?}, blind {}", tally.blind.len()));
    }

    #[test]
    fn only_what_the_disk_tells_something_new_of_is_read() {
        check(
            "a=1 b=2 d/ d/x=3",
            "a=1 b=9 d/ d/new=1 d/x=3",
            true,
            expect![[r#"read ["b", "d/new"], seen ["b", "d/new"], blind 0"#]],
        );
    }

    #[test]
    fn a_file_on_a_disk_under_another_number_is_noted_anew_and_not_read() {
        check(
            "a=1@1 b=2@1 c=3@1",
            "a=1@2 b=9@2 c=3@1",
            true,
            expect![[r#"read ["b"], seen ["a", "b"], blind 0"#]],
        );
        check("a=1@1", "a=1", true, expect![[r#"read ["a"], seen ["a"], blind 0"#]]);
    }

    #[test]
    fn what_is_not_found_has_vanished_and_what_is_blind_has_not() {
        check("a=1 d/ d/x=3 e/ e/y=1", "?d e/", true, expect![[r#"read [], seen ["-a", "-e/y"], blind 1"#]]);
    }

    #[test]
    fn what_is_ignored_stays_known() {
        check("a=1 d/ d/ignored=3 ignored=2", "d/", true, expect![[r#"read [], seen ["-a"], blind 0"#]]);
    }

    #[test]
    fn without_a_base_what_cannot_be_seen_is_forgotten() {
        let notes =
            Notes { keeps_executable: true, forgets_unseen: true, read: Vec::new(), seen: Vec::new() };
        let known = "a=1 d/ d/ignored=3 d/x=3 e=1";
        check_with(
            notes,
            known,
            "a=1 ?d e=1",
            expect![[r#"read [], seen ["-d", "-d/ignored", "-d/x"], blind 1"#]],
        );
    }

    #[test]
    fn a_side_without_executable_bits_has_those_that_are_known() {
        check("a=1* b=2", "a=1 b=2*", false, expect![[r#"read [], seen [], blind 0"#]]);
        check("a=1*", "a=7 new=1*", false, expect![[r#"read ["a", "new"], seen ["a*", "new"], blind 0"#]]);
        check("a=1*", "a=1", true, expect![[r#"read ["a"], seen ["a"], blind 0"#]]);
    }
}
