//! Files that are copied for one answer: kept versions, and sides of conflicts. Invariant: a copy goes with its answer, also if nobody waits for it any
//! more; few are made at once, and none for which the disk has no room.

use std::io::ErrorKind;
use std::sync::Arc;

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use swarm_core::base::Category;
use swarm_daemon::{Answer as LibraryAnswer, Request};
use tokio::sync::OwnedMutexGuard;

use super::{Kind, body, disposition, empty};
use crate::app::App;
use crate::limits::SIDE_LEN_MAX;
use crate::problem::{Answer, Problem};
use crate::routes::{ask_library, blocking};
use crate::scratch::Scratch;

/// How a copy is given.
pub(super) struct How {
    pub(super) method: Method,
    pub(super) name: String,
    pub(super) is_download: bool,
}

/// A kept version, whole.
pub(super) async fn version(
    app: Arc<App>,
    library: String,
    path: String,
    run: String,
    how: How,
) -> Answer<Response> {
    let (turn, out) = begin(&app).await?;
    by_itself(&Arc::clone(&app), async move {
        let len_max = room(&app).await?;
        let request = Request::CopyVersion { library, path, run, out: out.path(), len_max };
        ask_library(&app, request).await?;
        drop(turn);
        copied(&app, &how, out, None).await
    })
    .await
}

/// One side of a conflict, whole.
pub(super) async fn conflict_side(
    app: Arc<App>,
    library: String,
    path: String,
    side: &str,
    how: How,
) -> Answer<Response> {
    let is_local = match side {
        "local" => true,
        "remote" => false,
        _ => return Err(Problem::bad("a side of a conflict is `local` or `remote`")),
    };
    let (turn, out) = begin(&app).await?;
    by_itself(&Arc::clone(&app), async move {
        if room(&app).await? < SIDE_LEN_MAX {
            let message = "the disk of this machine has no room for a copy of that side";
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, message));
        }
        let request = Request::ConflictSide { library, path, is_local, out: out.path() };
        let answer = ask_library(&app, request).await?;
        drop(turn);
        match answer {
            LibraryAnswer::Copied { hash: Some(hash) } => copied(&app, &how, out, Some(&hash)).await,
            LibraryAnswer::Copied { hash: None } => {
                let message = "the bytes of that side are on their way: ask again in a moment";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(2))
            }
            _ => Err(Problem::odd()),
        }
    })
    .await
}

/// Goes on to its end without the client: the library writes until it answers, and the place is held until then.
async fn by_itself(
    app: &App,
    work: impl Future<Output = Answer<Response>> + Send + 'static,
) -> Answer<Response> {
    app.tasks.spawn(work).await.map_err(|_| Problem::broken())?
}

/// The right to make a copy, and a place for it. A client that leaves while it waits costs nothing.
async fn begin(app: &Arc<App>) -> Answer<(OwnedMutexGuard<()>, Scratch)> {
    let (turn, known) = (Arc::clone(&app.copying).lock_owned().await, Arc::clone(app));
    let begun = blocking(move || known.scratches.begin()).await?;
    let begun = begun.map_err(|error| Problem::of(Category::Disk, error.to_string()))?;
    let begun = begun.ok_or_else(|| {
        let message = "others are getting copies of versions already: try again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(10)
    })?;
    Ok((turn, begun))
}

/// How many bytes a copy may have.
async fn room(app: &Arc<App>) -> Answer<u64> {
    let known = Arc::clone(app);
    let free = blocking(move || swarm_files::free_len(known.scratches.folder())).await?;
    Ok(free.unwrap_or(u64::MAX).saturating_sub(app.known().min_free))
}

async fn copied(app: &App, how: &How, out: Scratch, hash: Option<&str>) -> Answer<Response> {
    let opened = blocking(move || {
        let (file, place) = out.open()?;
        let len = file.metadata()?.len();
        Ok::<_, std::io::Error>((file, len, place))
    });
    let (file, len, place) = opened.await?.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidInput => Problem::not_found("that version is no file"),
        _ => Problem::of(Category::Disk, format!("a copy of that version cannot be read: {error}")),
    })?;
    let mut answer = Response::builder()
        .header(header::CONTENT_TYPE, Kind::content_type(&how.name))
        .header(header::CONTENT_LENGTH, len)
        .header(
            header::CONTENT_DISPOSITION,
            disposition(&how.name, how.is_download || !Kind::is_shown(&how.name)),
        );
    if let Some(hash) = hash {
        let tag = HeaderValue::from_str(&format!("\"{hash}\"")).map_err(|_| Problem::odd())?;
        answer = answer.header(header::ETAG, tag);
    }
    let is_head = how.method == Method::HEAD;
    let body = if is_head { empty() } else { body::of_file(&app.tasks, file, len, place) };
    answer.body(body).map_err(|_| Problem::odd())
}
