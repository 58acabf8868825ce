//! Files of one origin that are left alone. Invariant: a file of which wrong bytes came is not asked for again while it is listed so; one that came
//! or was put in vain is tried later and later; and both are tried at once when another version is listed, or something else is to be replaced.
//! A number of files is remembered, no more. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use swarm_library::LibraryKey;
use swarm_origins::ListedFile;

use super::listed::Listed;
use super::shared::OriginFault;
use crate::limits::ORIGIN_FILES_RESTING_MAX;

/// The files, by library and path.
#[derive(Debug, Default)]
pub(super) struct Resting {
    files: BTreeMap<LibraryKey, BTreeMap<String, Rest>>,
}

/// Why a file is left alone, and for how long.
#[derive(Debug)]
struct Rest {
    /// As it was listed.
    file: ListedFile,
    /// The BLAKE3 of what it was to replace.
    replaces: Option<[u8; 32]>,
    fault: Option<OriginFault>,
    pause: Pause,
}

#[derive(Clone, Copy, Debug)]
enum Pause {
    /// Wrong bytes of it came.
    Refused,
    /// It is tried again, after it waited this long.
    Until { due_at: Instant, wait: Duration },
}

impl Resting {
    /// Whether wrong bytes of this version came.
    pub(super) fn is_refused(&self, library: LibraryKey, file: &ListedFile) -> bool {
        self.rest(library, file).is_some_and(|rest| matches!(rest.pause, Pause::Refused))
    }

    /// Whether a file is not to be tried now.
    pub(super) fn rests(
        &self,
        library: LibraryKey,
        file: &ListedFile,
        replaces: Option<[u8; 32]>,
        now: Instant,
    ) -> bool {
        self.rest(library, file).is_some_and(|rest| match rest.pause {
            Pause::Refused => true,
            Pause::Until { due_at, .. } => rest.replaces == replaces && due_at > now,
        })
    }

    /// Wrong bytes of a file came.
    pub(super) fn refuse(&mut self, library: LibraryKey, file: &ListedFile, fault: OriginFault) {
        let (file, fault) = (file.clone(), Some(fault));
        self.put(library, Rest { file, replaces: None, fault, pause: Pause::Refused });
    }

    /// A file came or was put in vain.
    pub(super) fn failed(
        &mut self,
        library: LibraryKey,
        file: &ListedFile,
        replaces: Option<[u8; 32]>,
        fault: Option<OriginFault>,
        now: Instant,
    ) {
        let before = self.rest(library, file).filter(|rest| rest.replaces == replaces);
        let wait = match before.map(|rest| rest.pause) {
            Some(Pause::Refused) => return,
            Some(Pause::Until { wait, .. }) => (wait * 2).min(WAIT_MAX),
            None => WAIT_MIN,
        };
        let pause = Pause::Until { due_at: now + wait, wait };
        self.put(library, Rest { file: file.clone(), replaces, fault, pause });
    }

    /// A file came.
    pub(super) fn came(&mut self, library: LibraryKey, path: &str) {
        if let Some(of_library) = self.files.get_mut(&library) {
            of_library.remove(path);
        }
    }

    /// Another list of a library came, or none any more: what is not listed as it was is forgotten.
    pub(super) fn follow(&mut self, library: LibraryKey, listed: &Listed) {
        if let Some(of_library) = self.files.get_mut(&library) {
            of_library.retain(|path, rest| listed.at(path) == Some(&rest.file));
        }
        self.files.retain(|_, of_library| !of_library.is_empty());
    }

    /// What is wrong with files of a library.
    pub(super) fn faults(&self, library: LibraryKey) -> impl Iterator<Item = (&String, &OriginFault)> {
        let of_library = self.files.get(&library).into_iter().flatten();
        of_library.filter_map(|(path, rest)| Some((path, rest.fault.as_ref()?)))
    }

    fn rest(&self, library: LibraryKey, file: &ListedFile) -> Option<&Rest> {
        self.files.get(&library)?.get(&file.path).filter(|rest| rest.file == *file)
    }

    fn put(&mut self, library: LibraryKey, rest: Rest) {
        let count: usize = self.files.values().map(BTreeMap::len).sum();
        let is_known = self.files.get(&library).is_some_and(|files| files.contains_key(&rest.file.path));
        if is_known || count < ORIGIN_FILES_RESTING_MAX {
            self.files.entry(library).or_default().insert(rest.file.path.clone(), rest);
        }
    }
}

/// How long a file is left alone, at first and at most.
const WAIT_MIN: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn file(path: &str, byte: u8) -> ListedFile {
        ListedFile { path: path.to_owned(), length: 1, mtime: None, sha256: None, blake3: Some([byte; 32]) }
    }

    fn fault() -> OriginFault {
        OriginFault { issue: "refused", detail: "no".to_owned().into() }
    }

    fn library() -> LibraryKey {
        swarm_library::Guid::new("jdfhdhdbe484746").expect("a GUID").key()
    }

    #[test]
    fn a_file_that_failed_is_tried_later_and_later_and_at_once_when_something_changed() {
        let (mut resting, start) = (Resting::default(), clock::moment());
        let (first, second) = (file("/a", 1), file("/a", 2));
        resting.failed(library(), &first, None, Some(fault()), start);
        assert!(resting.rests(library(), &first, None, start));
        assert!(!resting.rests(library(), &first, None, start + WAIT_MIN));
        assert!(!resting.rests(library(), &second, None, start), "another version");
        assert!(!resting.rests(library(), &first, Some([7; 32]), start), "something else is replaced");
        for _ in 0..9 {
            resting.failed(library(), &first, None, None, start);
        }
        assert!(resting.rests(library(), &first, None, start + WAIT_MAX / 2));
        assert!(!resting.rests(library(), &first, None, start + WAIT_MAX));
        resting.came(library(), "/a");
        assert!(!resting.rests(library(), &first, None, start));
    }

    #[test]
    fn a_file_with_wrong_bytes_is_left_alone_while_it_is_listed_so() {
        let (mut resting, start) = (Resting::default(), clock::moment());
        let first = file("/a", 1);
        resting.refuse(library(), &first, fault());
        resting.failed(library(), &first, None, None, start);
        assert!(resting.is_refused(library(), &first));
        assert!(resting.rests(library(), &first, Some([7; 32]), start + WAIT_MAX));
        resting.follow(library(), &Listed::new(vec![first.clone()], None));
        assert_eq!(resting.faults(library()).count(), 1);
        resting.follow(library(), &Listed::new(vec![file("/a", 2)], None));
        assert_eq!(resting.faults(library()).count(), 0);
        assert!(!resting.is_refused(library(), &first));
    }

    #[test]
    fn a_number_of_files_is_remembered_and_no_more() {
        let (mut resting, start) = (Resting::default(), clock::moment());
        for number in 0..=ORIGIN_FILES_RESTING_MAX {
            resting.failed(library(), &file(&format!("/{number}"), 1), None, Some(fault()), start);
        }
        assert_eq!(resting.faults(library()).count(), ORIGIN_FILES_RESTING_MAX);
    }
}
