//! Uploads that go on after a cut, after "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload): begun by POST, told by HEAD, continued by
//! PATCH, cancelled by DELETE. Invariant: what `Upload-Offset` says is on the disk; the file is put as by one request, whole or not at all; the user may
//! put it there at each request, and at every moment of one. Absent: informational answers (104), and files of a length that nobody knows.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use swarm_daemon::LibraryFiles;
use swarm_files::{NewFile, PartialFile};
use swarm_sync::TreePath;
use utoipa::{IntoParams, ToSchema};

use super::upload::{Room, answer_of_put, length_of, no_room, own_folder, replaces};
use crate::app::App;
use crate::auth::{Caller, Lasting, Permission, Right};
use crate::clock;
use crate::code::Code;
use crate::digest::Expected;
use crate::extract::{Asked, At};
use crate::limits::{
    UPLOAD_AGE, UPLOAD_CHECKED_LEN, UPLOAD_IDLE, UPLOAD_SYNCED_LEN, UPLOADS_LEN_OF_USER_MAX,
};
use crate::problem::{Answer, Problem};
use crate::routes::{From, blocking, ip, path_of};
use crate::uploads::{Held, Known, Note, Upload, failed, no_such_upload};

/// What is to be uploaded.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BeginQuery {
    /// Where it goes to in the library.
    path: String,
    /// When the client's file was modified, in milliseconds since 1970: the list of uploads tells it again, so that a client knows its file.
    modified_ms: Option<i64>,
}

/// An upload that has begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct UploadView {
    /// Its name, which nobody guesses.
    upload: String,
    /// Where it is continued.
    location: String,
    /// Where it goes to in the library.
    path: String,
    /// Bytes of the whole file.
    length: u64,
    /// Bytes that are here.
    offset: u64,
    /// Whether the file is at its place.
    complete: bool,
    /// As it was given at the beginning.
    modified_ms: Option<i64>,
    began_ms: u64,
}

/// Begin an upload that can be continued
///
/// `Upload-Length` has the bytes of the whole file, `If-Match` the ETag of the version that it replaces, `Repr-Digest` what the bytes come to (`sha-256` or
/// `sha-512`, RFC 9530). The body may have the first bytes; with `Upload-Complete: ?1` all of them. `Location` is where it goes on.
#[utoipa::path(
    post, path = "/api/v1/uploads/{guid}", tag = "files", operation_id = "begin_upload",
    params(("guid" = String, Path, description = "GUID or name of the library"), BeginQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "It has begun, or with `Upload-Complete: ?1` the file is there and is new"),
        (status = 204, description = "The file is there, and replaced the version that was named"),
        (status = "default", description = "A problem", body = Problem)
    )
)]
pub(crate) async fn begin_upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Asked(query): Asked<BeginQuery>,
    (headers, body): (HeaderMap, Body),
) -> Answer<Response> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let path = path_of(&query.path)?;
    let (folder, relative) = files.place_for(&path).map_err(super::refusal)?;
    NewFile::check_name(&relative).map_err(|_| own_folder())?;
    let len = number(&headers, &LENGTH)?
        .ok_or_else(|| Problem::bad("Upload-Length has to say how long the file is"))?;
    let note = Note {
        user: caller.user.clone(),
        path: path.to_string(),
        len,
        modified_ms: query.modified_ms,
        replaces: text(&headers, &header::IF_MATCH),
        digest: text(&headers, &DIGEST),
        began_ms: clock::now_ms(),
        done: None,
    };
    check(&note)?;
    let (_, has_room) = Room::of(&files, folder.clone()).has(len).await?;
    if !has_room {
        return Err(no_room());
    }
    let act = app.audit.begin(&caller.user, ip(&from), "upload", path.as_str());
    let begun = app.uploads.begin(&app, folder, note).await;
    let name = act.end(begun)?;
    let upload = app.uploads.held(&caller.user, &files, &name).await?;
    let location = location(&files, &name);
    let mut response = go_on((&app, &caller, &files), upload, from, &headers, body).await?;
    if response.headers().get(&COMPLETE).is_some_and(|complete| complete == "?0") {
        *response.status_mut() = StatusCode::CREATED;
    }
    let location = HeaderValue::from_str(&location).map_err(|_| Problem::odd())?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// My uploads that are not done
#[utoipa::path(
    get, path = "/api/v1/uploads/{guid}", tag = "files",
    params(("guid" = String, Path, description = "GUID or name of the library")),
    responses((status = 200, description = "Those of the caller into this library", body = [UploadView]), (status = "default", description = "A problem", body = Problem))
)]
pub(crate) async fn uploads(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
) -> Answer<Json<Vec<UploadView>>> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let Some(folder) = files.target() else { return Ok(Json(Vec::new())) };
    let known = app.uploads.of_user(folder.to_owned(), &caller.user).await?;
    let open = known.into_iter().filter(|known| known.note.done.is_none());
    let view = |Known { name, note, offset, .. }| view(location(&files, &name), name, note, offset);
    Ok(Json(open.map(view).collect()))
}

/// How far an upload is
///
/// HEAD gives the headers alone: `Upload-Offset`, `Upload-Length` and `Upload-Complete`. A request that still sends bytes of it ends.
#[utoipa::path(
    get, path = "/api/v1/uploads/{guid}/{upload}", tag = "files", operation_id = "upload_state",
    params(("guid" = String, Path, description = "GUID or name of the library"), ("upload" = String, Path, description = "Name of the upload")),
    responses((status = 200, description = "How far it is", body = UploadView), (status = "default", description = "A problem", body = Problem))
)]
pub(crate) async fn upload_state(
    State(app): State<Arc<App>>,
    caller: Caller,
    At((which, name)): At<(String, String)>,
) -> Answer<Response> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let upload = app.uploads.held(&caller.user, &files, &name).await?;
    if upload.note.done.is_none() {
        let (folder, name) = (upload.folder.clone(), upload.name.clone());
        // What is told has to be on the disk.
        let synced = blocking(move || PartialFile::open(&folder, &name)?.map_or(Ok(()), |part| part.sync()));
        synced.await?.map_err(failed)?;
    }
    let (note, offset) = (upload.note.clone(), upload.offset);
    let mut response = StatusCode::OK.into_response();
    say(&mut response, &note, offset, note.done.is_some());
    let view = Json(view(location(&files, &name), name, note, offset)).into_response();
    let (parts, body) = view.into_parts();
    *response.body_mut() = body;
    response.headers_mut().extend(parts.headers);
    Ok(response)
}

/// Continue an upload
///
/// The body has the bytes from `Upload-Offset` on, which has to be how many are here: otherwise 409, with the right one in the same header. With
/// `Upload-Complete: ?1` the file is put to its place when they came. `If-Match` and `Repr-Digest` replace what the beginning said.
#[utoipa::path(
    patch, path = "/api/v1/uploads/{guid}/{upload}", tag = "files", operation_id = "append_to_upload",
    params(("guid" = String, Path, description = "GUID or name of the library"), ("upload" = String, Path, description = "Name of the upload")),
    request_body(content = Vec<u8>, content_type = "application/partial-upload"),
    responses(
        (status = 201, description = "The file is there and is new"),
        (status = 204, description = "The bytes are here; with `Upload-Complete: ?1` the file replaced the version that was named"),
        (status = "default", description = "A problem", body = Problem)
    )
)]
pub(crate) async fn append_to_upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At((which, name)): At<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let is_part = text(&headers, &header::CONTENT_TYPE).is_some_and(|kind| kind == PARTIAL_UPLOAD);
    if !is_part {
        let message = "bytes of an upload have the Content-Type application/partial-upload";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let from_offset = number(&headers, &OFFSET)?
        .ok_or_else(|| Problem::bad("Upload-Offset has to say from which byte on these are"))?;
    let mut upload = app.uploads.held(&caller.user, &files, &name).await?;
    if from_offset != upload.offset {
        let message = format!("the upload goes on at byte {}, and not at {from_offset}", upload.offset);
        let problem = Problem::new(StatusCode::CONFLICT, message);
        let mut response = problem.code(Code::UploadOffset).with("offset", upload.offset).into_response();
        say(&mut response, &upload.note, upload.offset, upload.note.done.is_some());
        return Ok(response);
    }
    if let Some(status) = upload.note.done {
        // Its client did not hear the answer.
        let mut response = StatusCode::from_u16(status).unwrap_or(StatusCode::NO_CONTENT).into_response();
        say(&mut response, &upload.note, upload.offset, true);
        return Ok(response);
    }
    upload.note.replaces = text(&headers, &header::IF_MATCH).or(upload.note.replaces);
    upload.note.digest = text(&headers, &DIGEST).or(upload.note.digest);
    check(&upload.note)?;
    go_on((&app, &caller, &files), upload, from, &headers, body).await
}

/// Cancel an upload
///
/// What came of it is removed.
#[utoipa::path(
    delete, path = "/api/v1/uploads/{guid}/{upload}", tag = "files", operation_id = "cancel_upload",
    params(("guid" = String, Path, description = "GUID or name of the library"), ("upload" = String, Path, description = "Name of the upload")),
    responses((status = 204, description = "It is gone"), (status = "default", description = "A problem", body = Problem))
)]
pub(crate) async fn cancel_upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At((which, name)): At<(String, String)>,
) -> Answer<StatusCode> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let upload = app.uploads.held(&caller.user, &files, &name).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "upload cancel", &upload.note.path);
    let removed = blocking(move || {
        let removed = PartialFile::remove(&upload.folder, &upload.name);
        drop(upload.held);
        removed
    });
    act.end(removed.await?.map_err(failed)).map(|()| StatusCode::NO_CONTENT)
}

/// What came of an upload, and the turn with it: both go together to the threads that write, so that no other request has it while one still writes.
struct Open {
    part: PartialFile,
    held: Held,
}

/// Takes the bytes of a request, and puts the file to its place if they are the last.
async fn go_on(
    (app, caller, files): (&Arc<App>, &Caller, &LibraryFiles),
    upload: Upload,
    from: From,
    headers: &HeaderMap,
    body: Body,
) -> Answer<Response> {
    let is_last = flag(headers, &COMPLETE)?;
    let Upload { folder, name, note, held, offset } = upload;
    let path = path_of(&note.path)?;
    let (target, relative) = files.place_for(&path).map_err(super::refusal)?;
    let told = length_of(headers).map_or(offset, |told| offset.saturating_add(told));
    if told > note.len {
        return Err(too_long(note.len));
    }
    let opened = {
        let (folder, name) = (folder.clone(), name.clone());
        blocking(move || PartialFile::open(&folder, &name)).await?.map_err(failed)?
    };
    // It was put by a process that ended before it could say so.
    let open = Open { part: opened.ok_or_else(no_such_upload)?, held };
    let room = Room::of(files, target);
    let right = Right::of_user(caller, Permission::LibraryWrite, files);
    let right = Lasting::new(right, Arc::clone(&app.files));
    let open = Coming { right: &right, len: note.len }.take(open, room, body).await?;
    let here = open.part.len();
    if !is_last {
        let mut response = StatusCode::NO_CONTENT.into_response();
        say(&mut response, &note, here, false);
        return Ok(response);
    }
    if here != note.len {
        let message = format!(
            "the file has {} bytes, of which {here} are here: Upload-Complete is ?0 until then",
            note.len
        );
        return Err(Problem::bad(message));
    }
    right.check_now()?;
    let act = app.audit.begin(&caller.user, ip(&from), "put", path.as_str());
    let mut response = act.end(put(open, (folder, name), note.clone(), relative).await)?.into_response();
    say(&mut response, &note, note.len, true);
    Ok(response)
}

/// How bytes are taken.
struct Coming<'a> {
    right: &'a Lasting,
    /// Bytes of the whole file.
    len: u64,
}

impl Coming<'_> {
    /// Writes what a body has, and makes it durable.
    async fn take(&self, mut open: Open, mut room: Room, mut body: Body) -> Answer<Open> {
        let (mut unchecked, mut synced_len) = (0, open.part.len());
        loop {
            let over = open.held.over.clone();
            let next = over.run_until_cancelled(self.next(&mut body)).await.ok_or_else(taken_over)??;
            let Some(bytes) = next else { break };
            if open.part.len().saturating_add(bytes.len() as u64) > self.len {
                return Err(too_long(self.len));
            }
            unchecked += bytes.len();
            if unchecked >= UPLOAD_CHECKED_LEN {
                let (same, has_room) = room.has(bytes.len() as u64).await?;
                if !has_room {
                    return Err(no_room());
                }
                (room, unchecked) = (same, 0);
            }
            let is_to_sync = open.part.len() - synced_len >= UPLOAD_SYNCED_LEN;
            open = write(open, bytes, is_to_sync).await?;
            if is_to_sync {
                synced_len = open.part.len();
            }
        }
        write(open, Bytes::new(), true).await
    }

    /// The next bytes; nothing at the end.
    async fn next(&self, body: &mut Body) -> Answer<Option<Bytes>> {
        loop {
            let next = self.right.while_it_holds(tokio::time::timeout(UPLOAD_IDLE, body.frame())).await?;
            let next = next.map_err(|_| {
                Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "no more of the file came: go on with it at the offset that HEAD tells",
                )
                .code(Code::CutOff)
            })?;
            let Some(frame) = next else { return Ok(None) };
            let frame =
                frame.map_err(|_| Problem::bad("the bytes did not come to their end").code(Code::CutOff))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

async fn write(mut open: Open, bytes: Bytes, is_to_sync: bool) -> Answer<Open> {
    let written = blocking(move || {
        open.part.write(&bytes)?;
        if is_to_sync {
            open.part.sync()?;
        }
        Ok(open)
    });
    written.await?.map_err(failed)
}

/// Verifies a file of which all is here, and puts it to its place.
async fn put(
    open: Open,
    (folder, name): (PathBuf, String),
    note: Note,
    relative: TreePath,
) -> Answer<StatusCode> {
    let replaces = replaces(note.replaces.as_deref())?;
    let expected = note.digest.as_deref().map(Expected::of).transpose()?;
    blocking(move || {
        let Open { part, held } = open;
        if let Some(expected) = expected {
            let is_it = expected.is_of(|block, at| part.read_at(block, at)).map_err(failed)?;
            if !is_it {
                PartialFile::remove(&folder, &name).map_err(failed)?;
                return Err(Problem::bad("the bytes that came are not those of Repr-Digest: begin anew")
                    .code(Code::WrongDigest));
            }
        }
        let status = answer_of_put(part.put(&relative, replaces), replaces)?;
        let done = Note { done: Some(status.as_u16()), ..note };
        let noted = done.bytes().ok().map(|bytes| PartialFile::note(&folder, &name, &bytes));
        if let Some(Err(error)) = noted {
            // The file is at its place all the same; the rest goes when it is old.
            tracing::warn!(%error, "it cannot be noted that an upload is done");
        }
        drop(held);
        Ok(status)
    })
    .await?
}

/// What is wrong with an upload before its bytes come.
fn check(note: &Note) -> Answer<()> {
    replaces(note.replaces.as_deref())?;
    note.digest.as_deref().map(Expected::of).transpose().map(drop)
}

fn view(location: String, upload: String, note: Note, offset: u64) -> UploadView {
    let Note { path, len, modified_ms, began_ms, done, .. } = note;
    UploadView {
        upload,
        location,
        path,
        length: len,
        offset,
        complete: done.is_some(),
        modified_ms,
        began_ms,
    }
}

fn location(files: &LibraryFiles, name: &str) -> String {
    format!("/api/v1/uploads/{}/{name}", files.guid())
}

/// Says how far an upload is.
fn say(response: &mut Response, note: &Note, offset: u64, is_complete: bool) {
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(offset));
    headers.insert(LENGTH, HeaderValue::from(note.len));
    headers.insert(COMPLETE, HeaderValue::from_static(if is_complete { "?1" } else { "?0" }));
    let limit = format!("max-size={UPLOADS_LEN_OF_USER_MAX}, max-age={}", UPLOAD_AGE.as_secs());
    if let Ok(limit) = HeaderValue::from_str(&limit) {
        headers.insert(LIMIT, limit);
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Answer<Option<u64>> {
    let Some(text) = headers.get(name) else { return Ok(None) };
    let number = text.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| Problem::bad(format!("{name} is a number of bytes")))
}

/// A boolean of RFC 9651; `?0` if it is not there.
fn flag(headers: &HeaderMap, name: &HeaderName) -> Answer<bool> {
    match text(headers, name).as_deref() {
        None if !headers.contains_key(name) => Ok(false),
        Some("?0") => Ok(false),
        Some("?1") => Ok(true),
        _ => Err(Problem::bad(format!("{name} is ?0 or ?1"))),
    }
}

fn too_long(len: u64) -> Problem {
    Problem::bad(format!("these are more bytes than the {len} that Upload-Length said"))
}

fn taken_over() -> Problem {
    Problem::new(StatusCode::CONFLICT, "another request goes on with this upload").code(Code::TakenOver)
}

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const LIMIT: HeaderName = HeaderName::from_static("upload-limit");
const DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const PARTIAL_UPLOAD: &str = "application/partial-upload";
