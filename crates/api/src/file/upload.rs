//! A file from a client, into the sync target of a library: from there it goes on as if its user had put it there. Invariant: a file is there whole or
//! not at all; what stands there is replaced only if the client names the version that it saw.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use data_encoding::HEXLOWER;
use http_body_util::BodyExt as _;
use swarm_files::{NewFile, PutError, Replaces, free_len};
use swarm_sync::RunId;

use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::clock;
use crate::extract::At;
use crate::limits::UPLOAD_IDLE;
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
    let replaces = replaces(&headers)?;
    let (target, relative) = files.place_for(&path).map_err(super::refusal)?;
    if let (Some(len), Some(free)) = (length_of(&headers), free_len(&target))
        && len > free
    {
        return Err(Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "the disk of this machine has no room for it",
        ));
    }
    app.audit.note(&caller.user, ip(&from), "put", path.as_str());
    let name = crate::chance::secret().ok_or_else(Problem::odd)?;
    let begun = blocking(move || NewFile::begin(&target, &name)).await?;
    let mut new = begun.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    let mut body = body;
    loop {
        let next = tokio::time::timeout(UPLOAD_IDLE, body.frame()).await;
        let next = next.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "no more of the file came"))?;
        let Some(frame) = next else { break };
        let frame = frame.map_err(|_| Problem::bad("the file did not come to its end"))?;
        let Ok(bytes) = frame.into_data() else { continue };
        let written = blocking(move || new.write(&bytes).map(|()| new)).await?;
        new = written.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    }
    let put = blocking(move || new.put(&relative, replaces)).await?;
    match put {
        Ok(()) if replaces == Replaces::Nothing => Ok(StatusCode::CREATED),
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(PutError::Stands(_)) => {
            let message =
                "what stands there is not the version that If-Match names: look again, or take another name";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, message))
        }
        Err(error @ PutError::Ours) => Err(Problem::bad(error.to_string())),
        Err(PutError::Store(error)) => Err(Problem::of(error.category(), error.to_string())),
        Err(PutError::Kept(error)) => Err(Problem::of(error.category(), error.to_string())),
    }
}

/// What the client saw there.
fn replaces(headers: &HeaderMap) -> Answer<Replaces> {
    let Some(condition) = headers.get(header::IF_MATCH) else { return Ok(Replaces::Nothing) };
    let tag = condition.to_str().ok().and_then(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"'));
    let hash = tag.and_then(|tag| HEXLOWER.decode(tag.as_bytes()).ok()?.try_into().ok());
    let run = RunId::at_ms(clock::now_ms());
    hash.map(|hash| Replaces::File(hash, run)).ok_or_else(|| {
        let message = "If-Match is the ETag of one version, as GET /file/{guid}/{path} gives it";
        Problem::new(StatusCode::PRECONDITION_FAILED, message)
    })
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
