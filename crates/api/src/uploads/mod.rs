//! Uploads that go on after a cut: what is known of those that users began, in `.swarm/uploads` of the libraries' folders. Invariant: an upload is its
//! user's alone; one request at a time has it, and the newest one gets it; a user has a bounded number and bounded bytes of them; one that nobody
//! continued for [`UPLOAD_AGE`] is gone. Whether somebody may write into a library is asked by the routes, at each request.

mod note;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use swarm_daemon::LibraryFiles;
use swarm_files::{PartFound, PartialFile, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::code::Code;
use crate::limits::{UPLOAD_AGE, UPLOADS_DONE_OF_USER_MAX, UPLOADS_LEN_OF_USER_MAX, UPLOADS_OF_USER_MAX};
use crate::problem::{Answer, Problem};
use crate::routes::blocking;

pub(crate) use note::Note;

/// Uploads that have begun.
#[derive(Default)]
pub(crate) struct Uploads {
    /// Held while uploads are counted, begun and removed.
    counting: Arc<tokio::sync::Mutex<()>>,
    /// Those that a request has now, by name.
    turns: Mutex<BTreeMap<String, Arc<Turn>>>,
}

/// Whose turn it is with an upload.
#[derive(Default)]
struct Turn {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Ends what the newest request does with it.
    newest: Mutex<CancellationToken>,
}

/// The turn of a request with an upload.
pub(crate) struct Held {
    /// When another request wants the upload: a client that lost its connection comes back before this end notices the loss.
    pub(crate) over: CancellationToken,
    _turn: Arc<Turn>,
    _lock: OwnedMutexGuard<()>,
}

/// An upload of the caller, held.
pub(crate) struct Upload {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) note: Note,
    pub(crate) held: Held,
    /// Bytes that are here.
    pub(crate) offset: u64,
}

/// An upload as it stands in a folder.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) note: Note,
    pub(crate) offset: u64,
    touched_ms: u64,
}

impl Uploads {
    /// Begins an upload in a folder, as far as its user may have one more; gives its name.
    pub(crate) async fn begin(&self, app: &App, folder: PathBuf, note: Note) -> Answer<String> {
        let name = crate::chance::secret().ok_or_else(Problem::odd)?;
        let mut folders = folders(app).await?;
        folders.insert(folder.clone());
        let counting = Arc::clone(&self.counting).lock_owned().await;
        let begun = name.clone();
        blocking(move || {
            // Also while the client that asked is gone.
            let _counting = counting;
            let mut own = Vec::new();
            for other in folders {
                let known = match known_in(&other, clock::now_ms()) {
                    Ok(known) => known,
                    Err(error) if other == folder => return Err(failed(error)),
                    Err(error) => {
                        // The disk of another library that is away is no reason to take nothing here.
                        tracing::warn!(%error, "the uploads of a library cannot be counted");
                        continue;
                    }
                };
                let of_user = known.into_iter().filter(|known| known.note.user == note.user);
                own.extend(of_user.map(|known| (other.clone(), known)));
            }
            make_room(own, note.len)?;
            PartialFile::begin(&folder, &begun, &note.bytes()?).map(drop).map_err(failed)
        })
        .await??;
        Ok(name)
    }

    /// The uploads of a user into a library.
    pub(crate) async fn of_user(&self, folder: PathBuf, user: &str) -> Answer<Vec<Known>> {
        let counting = Arc::clone(&self.counting).lock_owned().await;
        let known = blocking(move || {
            let _counting = counting;
            known_in(&folder, clock::now_ms())
        });
        let known = known.await?.map_err(failed)?;
        Ok(known.into_iter().filter(|known| known.note.user == user).collect())
    }

    /// An upload of a user, for this request alone: an older one that has it ends.
    pub(crate) async fn held(&self, user: &str, files: &LibraryFiles, name: &str) -> Answer<Upload> {
        let folder = files.target().ok_or_else(no_such_upload)?.to_owned();
        if !is_name(name) {
            return Err(no_such_upload());
        }
        // Whoever may not have it does not disturb the one that has it.
        known(&folder, user, name).await?;
        let held = self.take(name).await;
        let Known { note, offset, .. } = known(&folder, user, name).await?;
        Ok(Upload { folder, name: name.to_owned(), note, held, offset })
    }

    /// Removes uploads that nobody continued.
    pub(crate) async fn tidy(&self, app: &App) {
        // A daemon that ends tells no libraries.
        let Ok(folders) = folders(app).await else { return };
        let counting = Arc::clone(&self.counting).lock_owned().await;
        let tidied = blocking(move || {
            let _counting = counting;
            for folder in folders {
                if let Err(error) = known_in(&folder, clock::now_ms()) {
                    tracing::warn!(%error, "uploads that nobody continued cannot be removed");
                }
            }
        });
        // A panic there leaves them.
        let _ = tidied.await;
    }

    async fn take(&self, name: &str) -> Held {
        let (turn, over) = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|known, turn| known == name || Arc::strong_count(turn) > 1);
            let turn = Arc::clone(turns.entry(name.to_owned()).or_default());
            let over = CancellationToken::new();
            let older = std::mem::replace(
                &mut *turn.newest.lock().unwrap_or_else(PoisonError::into_inner),
                over.clone(),
            );
            older.cancel();
            (turn, over)
        };
        let lock = Arc::clone(&turn.lock).lock_owned().await;
        Held { over, _turn: turn, _lock: lock }
    }
}

/// The folders of all libraries that are written.
async fn folders(app: &App) -> Answer<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for library in &app.status().await?.libraries {
        // One that does not work has no folder now.
        if let Ok(files) = app.asker.files(&library.guid).await {
            folders.extend(files.target().map(Path::to_owned));
        }
    }
    Ok(folders)
}

async fn known(folder: &Path, user: &str, name: &str) -> Answer<Known> {
    let (folder, name) = (folder.to_owned(), name.to_owned());
    let found = blocking(move || PartialFile::found(&folder, &name)).await?.map_err(failed)?;
    let known = found.and_then(|found| Known::of(found, clock::now_ms()));
    known.filter(|known| known.note.user == user).ok_or_else(no_such_upload)
}

/// The uploads in a folder. Those that nobody continued are removed. To be called while they are counted. Blocks.
fn known_in(folder: &Path, now_ms: u64) -> Result<Vec<Known>, StoreError> {
    let mut all = Vec::new();
    for found in PartialFile::all(folder)? {
        let name = found.name.clone();
        match Known::of(found, now_ms) {
            Some(known) => all.push(known),
            None => PartialFile::remove(folder, &name)?,
        }
    }
    Ok(all)
}

/// Goes on if a user with these uploads may begin one more of that length; the oldest of those that are done give way. Blocks.
fn make_room(own: Vec<(PathBuf, Known)>, len: u64) -> Answer<()> {
    let (mut done, open): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|(_, known)| known.note.done.is_some());
    if open.len() >= UPLOADS_OF_USER_MAX {
        let message = format!(
            "you have {UPLOADS_OF_USER_MAX} uploads that are not done: bring one to its end, or cancel one"
        );
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, message);
        return Err(problem.code(Code::TooManyUploads).with("n", UPLOADS_OF_USER_MAX));
    }
    let sum = open.iter().fold(len, |sum, (_, known)| sum.saturating_add(known.note.len));
    if sum > UPLOADS_LEN_OF_USER_MAX {
        let message = format!(
            "your uploads that are not done would have more than {UPLOADS_LEN_OF_USER_MAX} bytes: bring one to its end, or cancel one"
        );
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message);
        return Err(problem.code(Code::UploadsTooLong).with("bytes", UPLOADS_LEN_OF_USER_MAX));
    }
    done.sort_by_key(|(_, known)| known.touched_ms);
    let surplus = (done.len() + 1).saturating_sub(UPLOADS_DONE_OF_USER_MAX);
    for (folder, known) in done.iter().take(surplus) {
        PartialFile::remove(folder, &known.name).map_err(failed)?;
    }
    Ok(())
}

impl Known {
    /// What was found, if somebody may still go on with it.
    fn of(found: PartFound, now_ms: u64) -> Option<Self> {
        let note = Note::of(&found.note?)?;
        let is_old = now_ms.saturating_sub(found.touched_ms) >= UPLOAD_AGE.as_millis() as u64;
        // One whose bytes are not here is being put to its place, or was when a process ended: all of them had come.
        let offset = found.len.filter(|_| note.done.is_none()).unwrap_or(note.len);
        (!is_old).then_some(Self { name: found.name, note, offset, touched_ms: found.touched_ms })
    }
}

fn is_name(name: &str) -> bool {
    let is_of_it = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
    name.len() == NAME_LEN && name.bytes().all(is_of_it)
}

pub(crate) fn failed(error: StoreError) -> Problem {
    Problem::of(error.category(), error.to_string())
}

pub(crate) fn no_such_upload() -> Problem {
    Problem::not_found(
        "there is no such upload of yours: it was cancelled, or nobody went on with it for a day; begin anew",
    )
    .code(Code::NoSuchUpload)
}

/// Of 32 bytes in Base64.
const NAME_LEN: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn note(user: &str, len: u64, done: Option<u16>) -> Note {
        let path = "a.mov".to_owned();
        Note {
            user: user.to_owned(),
            path,
            len,
            modified_ms: None,
            replaces: None,
            digest: None,
            began_ms: 0,
            done,
        }
    }

    fn begun(folder: &Path, name: &str, note: &Note) {
        drop(PartialFile::begin(folder, name, &note.bytes().expect("JSON")).expect("a place"));
    }

    fn own(folder: &Path, count: usize, note: &Note) -> Vec<(PathBuf, Known)> {
        let one = |number| {
            let name = format!("{number}");
            begun(folder, &name, note);
            (folder.to_owned(), Known { name, note: note.clone(), offset: 0, touched_ms: number as u64 })
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn an_upload_that_nobody_continued_for_a_day_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        begun(folder.path(), "one", &note("anna", 5, None));
        let names = |now_ms| -> Vec<String> {
            let known = known_in(folder.path(), now_ms).expect("a disk");
            known.into_iter().map(|known| known.name).collect()
        };
        let now_ms = clock::now_ms();
        assert_eq!(names(now_ms + DAY_MS / 2), ["one"]);
        assert!(names(now_ms + DAY_MS + 60_000).is_empty());
        assert!(names(now_ms).is_empty(), "it is gone from the disk");
    }

    #[test]
    fn a_user_has_so_many_uploads_and_bytes_and_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let status = |count, of: &Note, len| {
            let made = make_room(own(folder.path(), count, of), len);
            for found in PartialFile::all(folder.path()).expect("a disk") {
                PartialFile::remove(folder.path(), &found.name).expect("a disk");
            }
            made.map_err(|problem| problem.status().as_u16())
        };
        let small = note("anna", 1, None);
        assert_eq!(status(UPLOADS_OF_USER_MAX - 1, &small, 1), Ok(()));
        assert_eq!(status(UPLOADS_OF_USER_MAX, &small, 1), Err(429));
        let long = note("anna", UPLOADS_LEN_OF_USER_MAX / 2, None);
        assert_eq!(status(1, &long, UPLOADS_LEN_OF_USER_MAX / 2), Ok(()));
        assert_eq!(status(1, &long, UPLOADS_LEN_OF_USER_MAX / 2 + 1), Err(413));
        assert_eq!(status(UPLOADS_OF_USER_MAX, &note("anna", 1, Some(201)), 1), Ok(()), "these are done");
    }

    #[test]
    fn of_uploads_that_are_done_the_oldest_give_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let done = own(folder.path(), UPLOADS_DONE_OF_USER_MAX, &note("anna", 1, Some(201)));
        make_room(done, 1).expect("room");
        let names: BTreeSet<String> =
            PartialFile::all(folder.path()).expect("a disk").into_iter().map(|found| found.name).collect();
        assert!(names.len() == UPLOADS_DONE_OF_USER_MAX - 1 && !names.contains("0"), "{names:?}");
    }

    #[tokio::test]
    async fn the_newest_request_gets_an_upload_and_the_older_one_ends() {
        let uploads = Uploads::default();
        let first = uploads.take("one").await;
        let other = uploads.take("two").await;
        assert!(!first.over.is_cancelled());
        let second = uploads.take("one");
        tokio::pin!(second);
        assert!(futures_are_pending(second.as_mut()).await && first.over.is_cancelled());
        drop(first);
        let second = second.await;
        assert!(!second.over.is_cancelled() && !other.over.is_cancelled());
        drop((second, other));
        drop(uploads.take("three").await);
        assert_eq!(uploads.turns.lock().expect("a lock").len(), 1, "what nobody has is forgotten");
    }

    async fn futures_are_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }
}
