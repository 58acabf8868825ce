//! A ticket or a manifest is fetched into a library. Invariant: it takes the right that an upload to the library takes, as what is fetched comes into it in
//! the same way; a ticket, which may hold a key, is in no log and no answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use swarm_daemon::limits::GIVEN_LEN_MAX;
use swarm_daemon::{FetchOrder, FetchRefusal, FetchView};
use utoipa::IntoParams;

use super::{From, ip, place_of};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::extract::Asked;
use crate::file::no_room;
use crate::limits::BODY_TIMEOUT;
use crate::problem::{Answer, Problem};

/// Where the files go.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FetchQuery {
    /// GUID or name of the library.
    library: String,
    /// A folder in it; without it the top.
    folder: Option<String>,
    /// Paths of files and folders of the content that are wanted, a line each; without it all.
    files: Option<String>,
    /// Only say what that would be.
    #[serde(default)]
    rehearsal: bool,
}

/// Fetch a ticket or a manifest
///
/// The body is a text with a ticket, or the bytes of a manifest (a `.swarm` file), 8 MiB at most. When all is here, verified, the files get their places in
/// the library's folder on this machine, and come into the library as files that are uploaded. A file whose name is taken gets another one: `film (2).mov`.
#[utoipa::path(
    post, path = "/api/v1/fetches", tag = "transfers", params(FetchQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "What it would be", body = FetchView), (status = 201, description = "It is one of the transfers now", body = FetchView), (status = "default", description = "A problem", body = Problem))
)]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Asked(query): Asked<FetchQuery>,
    given: GivenBytes,
) -> Answer<(StatusCode, Json<FetchView>)> {
    let files = app.library(&caller, &query.library, Permission::LibraryWrite).await?;
    let folder = place_of(query.folder.as_deref())?;
    let named = query.files.iter().flat_map(|files| files.lines()).filter(|name| !name.is_empty());
    let order = FetchOrder {
        library: files.guid().to_owned(),
        folder,
        given: given.0,
        files: named.map(str::to_owned).collect(),
        is_rehearsal: query.rehearsal,
    };
    if query.rehearsal {
        return Ok((StatusCode::OK, Json(app.asker.fetch(order).await?)));
    }
    let act = app.audit.begin(&caller.user, ip(&from), "fetch ticket", files.name());
    act.over(async { Ok((StatusCode::CREATED, Json(app.asker.fetch(order).await?))) }).await
}

/// What was given, which came in time, and whose sender may do now what it might before.
pub(crate) struct GivenBytes(Bytes);

impl axum::extract::FromRequest<Arc<App>> for GivenBytes {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = request.extensions().get::<Caller>().cloned();
        match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, app)).await {
            Ok(Ok(bytes)) => {
                caller.map_or(Ok(()), |caller| caller.check_as_before(&app.files))?;
                Ok(Self(bytes))
            }
            Ok(Err(rejection)) => Err(refused(&rejection)),
            Err(_) => {
                let message = "the ticket or manifest did not come in time: send it at once";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, message))
            }
        }
    }
}

fn refused(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!(
            "a ticket or manifest has {GIVEN_LEN_MAX} bytes at most here: fetch it with swarm fetch, and copy the files into the library"
        );
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message);
    }
    Problem::new(rejection.status(), rejection.body_text())
}

impl std::convert::From<FetchRefusal> for Problem {
    fn from(refusal: FetchRefusal) -> Self {
        match refusal {
            FetchRefusal::Failed(reply) => reply.into(),
            FetchRefusal::NoRoom => no_room(),
        }
    }
}
