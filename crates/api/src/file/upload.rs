//! A file from a client, into the sync target of a library: from there it goes on as if its user had put it there. Invariant: a file is there whole or
//! not at all; what stands there is replaced only if the client names the version that it saw; what is to stay free on the disk stays free, whether or
//! not a client says how long the file is; the user may put it there at every moment until it is there.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use data_encoding::HEXLOWER;
use http_body_util::BodyExt as _;
use swarm_daemon::LibraryFiles;
use swarm_files::{NewFile, PutError, Replaces, StoreError, free_len};
use swarm_sync::{RunId, TreePath};

use crate::app::App;
use crate::auth::{Caller, Lasting, Permission, Right};
use crate::clock;
use crate::code::Code;
use crate::extract::At;
use crate::limits::{UPLOAD_CHECKED_LEN, UPLOAD_IDLE};
use crate::problem::{Answer, Problem};
use crate::routes::{From, blocking, ip, path_of};

/// Put a file
///
/// The body is the file. Without conditions nothing may stand there; `If-Match` with the ETag of `GET /file/{guid}/{path}` replaces that version, which is kept.
#[utoipa::path(
    put, path = "/api/v1/libraries/{guid}/files/{path}", tag = "files",
    params(("guid" = String, Path, description = "GUID or name of the library"), ("path" = String, Path, description = "In the library, as in `video/a.mov`")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "It is new"), (status = 204, description = "It replaced the version that was named"), (status = "default", description = "A problem", body = Problem))
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At((which, path)): At<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let path = path_of(&path)?;
    let replaces = replaces(headers.get(header::IF_MATCH).map(|tag| tag.to_str().unwrap_or_default()))?;
    let (target, relative) = files.place_for(&path).map_err(super::refusal)?;
    let room = Room::of(&files, target.clone());
    let (room, has_room) = room.has(length_of(&headers).unwrap_or(0)).await?;
    if !has_room {
        return Err(no_room());
    }
    let act = app.audit.begin(&caller.user, ip(&from), "put", path.as_str());
    let right =
        Lasting::new(Right::of_user(&caller, Permission::LibraryWrite, &files), Arc::clone(&app.files));
    let put = written((room, right), target, body, relative, replaces).await;
    act.end(put)
}

/// Takes the bytes as they come, and puts the file to its place.
async fn written(
    (room, right): (Room, Lasting),
    target: PathBuf,
    mut body: Body,
    relative: TreePath,
    replaces: Replaces,
) -> Answer<StatusCode> {
    let name = crate::chance::secret().ok_or_else(Problem::odd)?;
    let failed = |error: StoreError| Problem::of(error.category(), error.to_string());
    let begun = blocking(move || NewFile::begin(&target, &name)).await?;
    let mut coming = Coming(Some(begun.map_err(failed)?));
    let (mut room, mut unchecked) = (room, 0);
    loop {
        let next = right.while_it_holds(tokio::time::timeout(UPLOAD_IDLE, body.frame())).await?;
        let next = next.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "no more of the file came").code(Code::CutOff)
        })?;
        let Some(frame) = next else { break };
        let frame = frame.map_err(|_| Problem::bad("the file did not come to its end").code(Code::CutOff))?;
        let Ok(bytes) = frame.into_data() else { continue };
        unchecked += bytes.len();
        if unchecked >= UPLOAD_CHECKED_LEN {
            // A length that was told may be exceeded by what others write meanwhile.
            let (same, has_room) = room.has(bytes.len() as u64).await?;
            if !has_room {
                return Err(no_room());
            }
            (room, unchecked) = (same, 0);
        }
        let mut new = coming.0.take().ok_or_else(Problem::odd)?;
        let written = blocking(move || new.write(&bytes).map(|()| new)).await?;
        coming.0 = Some(written.map_err(failed)?);
    }
    right.check_now()?;
    let new = coming.0.take().ok_or_else(Problem::odd)?;
    let put = blocking(move || new.put(&relative, replaces)).await?;
    answer_of_put(put, replaces)
}

/// What a client is told of a file that was to be put.
pub(super) fn answer_of_put(put: Result<(), PutError>, replaces: Replaces) -> Answer<StatusCode> {
    match put {
        Ok(()) if replaces == Replaces::Nothing => Ok(StatusCode::CREATED),
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(PutError::Stands(_)) => {
            let message =
                "what stands there is not the version that If-Match names: look again, or take another name";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, message).code(Code::OtherVersion))
        }
        Err(PutError::Ours) => Err(own_folder()),
        Err(PutError::Store(error)) => Err(Problem::of(error.category(), error.to_string())),
        Err(PutError::Kept(error)) => Err(Problem::of(error.category(), error.to_string())),
    }
}

/// A file that comes. What came of one that does not come to its end is removed, which takes its time if it is long.
struct Coming(Option<NewFile>);

impl Drop for Coming {
    fn drop(&mut self) {
        let Some(new) = self.0.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(new))),
            Err(_) => drop(new),
        }
    }
}

/// The disk that a file goes to.
pub(super) struct Room {
    target: PathBuf,
    min_free: u64,
}

impl Room {
    /// That of the folder into which files of a library are put.
    pub(super) fn of(files: &LibraryFiles, target: PathBuf) -> Self {
        Self { target, min_free: files.min_free() }
    }

    /// Whether there is room for more bytes. What the disk does not tell is no refusal.
    pub(super) async fn has(self, len: u64) -> Answer<(Self, bool)> {
        blocking(move || {
            let free = free_len(&self.target);
            let has_room = free.is_none_or(|free| free >= len.saturating_add(self.min_free));
            (self, has_room)
        })
        .await
    }
}

pub(crate) fn no_room() -> Problem {
    let message = "the disk of this machine has no room for it, beside what is to stay free: remove files, or lower minFree";
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, message).code(Code::NoRoom)
}

/// What nothing is put into.
pub(super) fn own_folder() -> Problem {
    Problem::bad(PutError::Ours.to_string()).code(Code::OwnFolder)
}

/// What the client saw there, by `If-Match`.
pub(super) fn replaces(condition: Option<&str>) -> Answer<Replaces> {
    let Some(condition) = condition else { return Ok(Replaces::Nothing) };
    let tag = condition.trim().strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let hash = tag.and_then(|tag| HEXLOWER.decode(tag.as_bytes()).ok()?.try_into().ok());
    let run = RunId::at_ms(clock::now_ms());
    hash.map(|hash| Replaces::File(hash, run)).ok_or_else(|| {
        let message = "If-Match is the ETag of one version, as GET /file/{guid}/{path} gives it";
        Problem::new(StatusCode::PRECONDITION_FAILED, message)
    })
}

pub(super) fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
