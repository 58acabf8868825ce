//! Puts files of a trusted origin into the sync target, from where they go on as changes of this node. Invariant: a file is put whole, and only with
//! the hash that is listed; what stands in its place is replaced only if it is what the library had when it was compared; one that fails is left
//! alone for a while, and holds up no other. Blocking.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use swarm_files::{NewFile, PutError, Replaces};
use swarm_library::LibraryKey;
use swarm_mounts::{MountKind, MountSpec};
use swarm_origins::{ListedFile, Modified, OriginError};
use swarm_sync::{ContentHash, RunId, Timestamp, TreePath};
use tokio::runtime::Handle;

use super::Followed;
use super::deciding::Digests;
use super::shared::{OriginFault, Shared};
use super::taken::TakenBook;
use super::taking::{Take, book_of};
use super::whole::{Whole, WholeError};
use crate::clock;
use crate::contents::check_free;
use crate::library::{Input as LibraryInput, LibraryFiles, ReadError};
use crate::sentence::Sentence;

/// Where files come from, and go.
pub(super) struct Putting {
    pub(super) shared: Arc<Shared>,
    pub(super) library: LibraryKey,
    pub(super) followed: Followed,
    pub(super) runtime: Handle,
}

/// What taking over came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The list of the origin is to be read again soon: files changed there meanwhile, or there are more.
    pub(super) is_soon: bool,
    /// The origin does not answer, or refuses this node.
    pub(super) trouble: Option<OriginError>,
}

/// What was put, and the library was not told of.
struct Unsaved {
    book: TakenBook,
    paths: Vec<TreePath>,
    due_at: Instant,
}

#[derive(Debug, thiserror::Error)]
enum PuttingError {
    #[error(transparent)]
    Whole(#[from] WholeError),
    #[error(transparent)]
    Put(#[from] PutError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Room(String),
}

/// Puts files, one after the other.
pub(super) fn put_all(putting: &Putting, takes: Vec<Take>) -> Outcome {
    let mut outcome = Outcome::default();
    let began_at = clock::moment();
    // It could be read a moment ago: the next comparison tells.
    let Ok(book) = book_of(&putting.shared, &putting.followed) else { return outcome };
    let mut unsaved = Unsaved { book, paths: Vec::new(), due_at: began_at + SAVE_INTERVAL };
    let mut failed_in_a_row = 0;
    for take in takes {
        if putting.followed.handle.stop.load(Ordering::Relaxed) {
            break;
        }
        // Other libraries have their turn.
        if began_at.elapsed() >= PUT_FOR_MAX {
            outcome.is_soon = true;
            break;
        }
        match putting.put(&take) {
            Ok(digests) => {
                failed_in_a_row = 0;
                putting.shared.note_came(putting.library, &take.file);
                unsaved.book.put(take.path.as_str(), &digests);
                unsaved.paths.push(take.path);
                unsaved.save_if_due(putting);
            }
            Err(PuttingError::Whole(WholeError::Over)) => break,
            Err(PuttingError::Whole(WholeError::Wrong(_))) => {
                putting.shared.note_wrong(putting.library, &take.file);
                // It may have changed while it came: then the origin lists another one by now.
                outcome.is_soon = true;
            }
            Err(PuttingError::Whole(WholeError::Origin(error))) => {
                putting.note_no_answer(&take, &error);
                outcome.is_soon |= matches!(error, OriginError::Changed | OriginError::Missing(_));
                failed_in_a_row += 1;
                if error.is_of_server() {
                    outcome.trouble = Some(error);
                    break;
                }
                if failed_in_a_row == FAILED_IN_A_ROW_MAX {
                    break;
                }
            }
            Err(
                error @ (PuttingError::Whole(WholeError::Store(_))
                | PuttingError::Put(_)
                | PuttingError::Read(_)
                | PuttingError::Room(_)),
            ) => {
                let url = &putting.shared.settings.url;
                let text = format!("it cannot be taken over from {url}: {error}");
                let detail = Sentence::new("file-take-over", [("url", url), ("why", &error)], text);
                putting.note_failed(&take, Some(OriginFault { issue: "refused", detail }));
            }
        }
    }
    unsaved.save(putting);
    outcome
}

impl Unsaved {
    fn save_if_due(&mut self, putting: &Putting) {
        if self.paths.len() == UNSAVED_MAX || clock::moment() >= self.due_at {
            self.save(putting);
        }
    }

    /// Saves the book, and has the library look. The book is written whole: it is written the more rarely the longer that takes.
    fn save(&mut self, putting: &Putting) {
        if self.paths.is_empty() {
            return;
        }
        let began_at = clock::moment();
        // Before the library looks: a change that comes after is one of this node's people. If it looks earlier by itself, it finds what is listed.
        if let Err(error) = self.book.save() {
            tracing::warn!(%error, "cannot remember what was taken over from an origin");
        }
        self.due_at = clock::moment() + (began_at.elapsed() * SAVED_PART).max(SAVE_INTERVAL);
        let paths = std::mem::take(&mut self.paths);
        // A worker that has ended needs nothing more.
        let _ = putting.followed.handle.inputs.blocking_send(LibraryInput::Look(Some(paths)));
    }
}

impl Putting {
    fn put(&self, take: &Take) -> Result<Digests, PuttingError> {
        let Followed { handle, settings, .. } = &self.followed;
        let files = LibraryFiles::new(settings, handle);
        let (target, relative) = files.place_for(&take.path)?;
        let is_target = |mount: &&MountSpec| mount.kind == MountKind::SyncTarget;
        let min_free = settings.mounts.iter().find(is_target).map_or(0, |mount| mount.min_free);
        check_free(&target, take.file.length, min_free).map_err(PuttingError::Room)?;
        // An origin that goes may still write while it begins again with other settings.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{} {} {number}", self.shared.settings.url, take.path);
        let name = ContentHash::of(name.as_bytes()).to_string();
        let mut new = NewFile::begin(&target, &name).map_err(PutError::Store)?;
        let (shared, guid, runtime) = (&*self.shared, settings.guid.as_str(), &self.runtime);
        let whole = Whole { shared, guid, file: &take.file, down: &self.followed.down, runtime };
        let found = whole.fetch(&mut |bytes| new.write(bytes))?;
        if let Some(modified_ns) = modified_ns(&take.file) {
            new.set_modified(modified_ns).map_err(PutError::Store)?;
        }
        let run = RunId::at_ms(clock::now_ms());
        let replaces = take.replaces.map_or(Replaces::Nothing, |hash| Replaces::File(hash, run));
        new.put(&relative, replaces)?;
        Ok(found)
    }

    /// A file did not come.
    fn note_no_answer(&self, take: &Take, error: &OriginError) {
        let url = &self.shared.settings.url;
        let text = format!("it does not come from {url}: {error}");
        let detail = Sentence::new("file-from-origin", [("url", url)], text).because(error.into());
        // What changed is listed otherwise in a moment; what is so of all of the origin is told of the origin.
        let is_told = !error.is_of_server() && *error != OriginError::Changed;
        self.note_failed(take, is_told.then_some(OriginFault { issue: "fetch", detail }));
    }

    fn note_failed(&self, take: &Take, fault: Option<OriginFault>) {
        self.shared.note_failed(self.library, &take.file, take.replaces, fault);
    }
}

/// Nanoseconds since 1970; nothing for a time that is none.
fn modified_ns(file: &ListedFile) -> Option<i64> {
    match file.mtime.as_ref()? {
        Modified::Text(text) => text.parse::<Timestamp>().ok().map(|time| time.0),
        Modified::Seconds(seconds) => {
            let nanos = seconds * 1e9;
            (nanos.abs() < 9e18).then_some(nanos as i64)
        }
    }
}

/// Tells files of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// How often what was taken over is written, at most.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// A book that takes a second to be written is written every ten.
const SAVED_PART: u32 = 10;
/// Files after which it is written in any case.
const UNSAVED_MAX: usize = 1000;
/// How long files of one library are put before others have their turn.
const PUT_FOR_MAX: Duration = Duration::from_secs(300);
/// After so many files in a row that did not come, the others are tried another time.
const FAILED_IN_A_ROW_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::test_world::{TOO_LONG, World, file};
    use super::*;

    fn path(number: usize) -> TreePath {
        TreePath::new(format!("{number}.txt")).expect("a path")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_put_is_told_in_batches_and_the_rest_at_the_end() {
        let world = World::start().await;
        let (inputs, mut told) = mpsc::channel(8);
        let mut followed = world.followed.clone();
        followed.handle.inputs = inputs;
        let (shared, library) = (Arc::clone(&world.shared), world.standing.library);
        let putting = Putting { shared, library, followed, runtime: Handle::current() };
        let work = tokio::task::spawn_blocking(move || {
            let book = book_of(&putting.shared, &putting.followed).expect("it is empty");
            let due_at = clock::moment() + Duration::from_secs(3600);
            let mut unsaved = Unsaved { book, paths: Vec::new(), due_at };
            for number in 0..UNSAVED_MAX + 2 {
                unsaved.paths.push(path(number));
                unsaved.save_if_due(&putting);
            }
            assert!(unsaved.due_at < due_at && unsaved.paths.len() == 2);
            unsaved.due_at = clock::moment();
            unsaved.save_if_due(&putting);
            assert!(unsaved.paths.is_empty(), "its time has come");
            unsaved.save(&putting);
        });
        work.await.expect("it ends");
        let mut lens = Vec::new();
        while let Some(LibraryInput::Look(Some(paths))) = told.recv().await {
            lens.push(paths.len());
        }
        assert_eq!(lens, [UNSAVED_MAX, 2], "and nothing where nothing was put");
        world.end().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_that_the_disk_has_no_room_for_is_not_begun_and_holds_up_no_other() {
        let world = World::start().await;
        let (shared, library) = (Arc::clone(&world.shared), world.standing.library);
        let followed = world.followed.clone();
        let putting = Putting { shared, library, followed, runtime: Handle::current() };
        let take = |number: usize| {
            let hash = ContentHash::of(&number.to_le_bytes());
            Take { path: path(number), file: file(path(number).as_str(), TOO_LONG, hash), replaces: None }
        };
        let files: Vec<ListedFile> = (0..5).map(|number| take(number).file).collect();
        let work = tokio::task::spawn_blocking(move || {
            let outcome = put_all(&putting, (0..5).map(take).collect());
            (putting, outcome)
        });
        let (putting, outcome) = work.await.expect("it ends");
        assert!(!outcome.is_soon && outcome.trouble.is_none(), "{outcome:?}");
        assert!(files.iter().all(|file| putting.shared.rests(library, file, None)), "each was looked at");
        assert_eq!(world.standing.uploads(), 0);
        drop(putting);
        world.end().await;
    }
}
