//! What is in a library, and how it came to be so.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_daemon::{
    Answer as LibraryAnswer, CommitView, DeedsView, EntryView, KeptView, PathView, ReadError, Request,
};
use swarm_sync::TreePath;
use utoipa::{IntoParams, ToSchema};

use super::libraries::allowed;
use super::{From, ask_library, blocking, ip, path_of, place_of};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::extract::{Asked, At, Given};
use crate::file::Kind;
use crate::limits::ENTRIES_MAX;
use crate::problem::{Answer, Problem, without_disks};

/// Which entries are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TreeQuery {
    /// A folder; without it the top.
    place: Option<String>,
    /// Go on after this path: `next` of the page before.
    start: Option<String>,
    /// At most so many.
    limit: Option<usize>,
    /// Names that contain this, also in folders below.
    search: Option<String>,
    /// Only files of this kind: `image`, `text`, `audio`, `video`, `other`.
    kind: Option<String>,
}

/// A page of a listing.
#[derive(Serialize, ToSchema)]
pub(crate) struct TreePage {
    entries: Vec<TreeEntry>,
    /// For `start` of the next page; nothing if there is none.
    next: Option<String>,
    /// How many stand in the folder, on its first page and where counting is cheap.
    total: Option<u64>,
}

/// An entry of a listing.
#[derive(Serialize, ToSchema)]
pub(crate) struct TreeEntry {
    /// The last part of its path.
    name: String,
    #[serde(flatten)]
    entry: EntryView,
}

/// List files
///
/// The children of a folder, or what a search finds below it.
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/tree", tag = "files", params(("guid" = String, Path, description = "GUID or name"), TreeQuery), responses((status = 200, description = "A page", body = TreePage), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn tree(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
    Asked(query): Asked<TreeQuery>,
) -> Answer<Json<TreePage>> {
    let files = app.library(&caller, &which, Permission::FilesRead).await?;
    let place = place_of(query.place.as_deref())?;
    let start = place_of(query.start.as_deref())?;
    let limit = query.limit.unwrap_or(1000).clamp(1, ENTRIES_MAX);
    let kind = query.kind.as_deref().filter(|kind| !kind.is_empty()).map(kind_of).transpose()?;
    let search = query.search.filter(|text| !text.is_empty()).map(|text| text.to_lowercase());
    let page = blocking(move || {
        if kind.is_none() && search.is_none() {
            let page = files.children(place.as_ref(), start.as_ref(), limit)?;
            let total = match (start, &page.next) {
                (None, None) => Some(page.entries.len() as u64),
                (None, Some(_)) => files.count_children(place.as_ref())?,
                (Some(_), _) => None,
            };
            return Ok((page, total));
        }
        let is_meant = |path: &TreePath, is_file: bool| {
            let name = name_of(path.as_str());
            let has_kind = kind.is_none_or(|kind| is_file && Kind::of(name) == kind);
            has_kind && search.as_ref().is_none_or(|text| name.to_lowercase().contains(text))
        };
        files.search(place.as_ref(), start.as_ref(), limit, &is_meant).map(|page| (page, None))
    });
    let refused = |error: ReadError| Problem::of(error.category(), error.to_string());
    let (page, total) = page.await?.map_err(refused)?;
    let named = |entry: EntryView| TreeEntry { name: name_of(&entry.path).to_owned(), entry };
    let entries = page.entries.into_iter().map(named).collect();
    Ok(Json(TreePage { entries, next: page.next.map(|path| path.as_str().to_owned()), total }))
}

fn kind_of(text: &str) -> Answer<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| Problem::bad("a kind is `image`, `text`, `audio`, `video` or `other`"))
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path in a library.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PathQuery {
    /// In the library, as in `video/a.mov`.
    pub(super) path: String,
}

/// Why a path is as it is
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/explain", tag = "files", params(("guid" = String, Path, description = "GUID or name"), PathQuery), responses((status = 200, description = "What is known of it", body = PathView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
    Asked(query): Asked<PathQuery>,
) -> Answer<Json<PathView>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryRead).await?;
    let may_manage = allowed(&app, &caller, &which, Permission::LibraryManage).await.is_ok();
    match ask_library(&app, Request::Explain { library, path: query.path }).await? {
        LibraryAnswer::Explain(view) if may_manage => Ok(Json(*view)),
        // Where a file stands on this machine is the admin's affair.
        LibraryAnswer::Explain(view) => Ok(Json(PathView { place: None, ..*view })),
        _ => Err(Problem::odd()),
    }
}

/// How many.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LimitQuery {
    /// At most so many.
    limit: Option<usize>,
}

/// Commits of a library.
#[derive(Serialize, ToSchema)]
pub(crate) struct Commits {
    /// The newest first.
    commits: Vec<CommitView>,
}

/// List what authors changed
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/log", tag = "files", params(("guid" = String, Path, description = "GUID or name"), LimitQuery), responses((status = 200, description = "Commits", body = Commits), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn log(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
    Asked(query): Asked<LimitQuery>,
) -> Answer<Json<Commits>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryRead).await?;
    let limit = query.limit.unwrap_or(100).clamp(1, ENTRIES_MAX);
    match ask_library(&app, Request::Log { library, limit }).await? {
        LibraryAnswer::Log(mut commits) => {
            commits.sort_by_key(|commit| std::cmp::Reverse(commit.seen_at_ms));
            Ok(Json(Commits { commits }))
        }
        _ => Err(Problem::odd()),
    }
}

/// Kept versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Versions {
    versions: Vec<KeptView>,
}

/// List kept versions of a path
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/versions", tag = "files", params(("guid" = String, Path, description = "GUID or name"), PathQuery), responses((status = 200, description = "Versions", body = Versions), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn versions(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
    Asked(query): Asked<PathQuery>,
) -> Answer<Json<Versions>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryRead).await?;
    path_of(&query.path)?;
    match ask_library(&app, Request::Versions { library, path: query.path }).await? {
        LibraryAnswer::Versions(versions) => Ok(Json(Versions { versions })),
        _ => Err(Problem::odd()),
    }
}

/// A version to bring back.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Restore {
    path: String,
    /// The run that replaced or deleted it; without it, the newest.
    run: Option<String>,
}

/// Bring a kept version back
///
/// What stands there now becomes a kept version itself.
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/restore", tag = "files", params(("guid" = String, Path, description = "GUID or name")), request_body = Restore, responses((status = 200, description = "What was done", body = DeedsView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(wanted): Given<Restore>,
) -> Answer<Json<DeedsView>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryWrite).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "restore", &wanted.path);
    act.over(async {
        let request = Request::Restore { library, path: wanted.path, run: wanted.run, out: None };
        deeds(&caller, ask_library(&app, request).await?)
    })
    .await
}

/// A run to take back.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Undo {
    /// Without it, the last one.
    run: Option<String>,
}

/// Take back what a run did on this disk
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/undo", tag = "files", params(("guid" = String, Path, description = "GUID or name")), request_body = Undo, responses((status = 200, description = "What was done", body = DeedsView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn undo(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(wanted): Given<Undo>,
) -> Answer<Json<DeedsView>> {
    let library = allowed(&app, &caller, &which, Permission::Undo).await?;
    let act =
        app.audit.begin(&caller.user, ip(&from), "undo", wanted.run.as_deref().unwrap_or("the last run"));
    let request = Request::Undo { library, run: wanted.run };
    act.over(async { deeds(&caller, ask_library(&app, request).await?) }).await
}

fn deeds(caller: &Caller, answer: LibraryAnswer) -> Answer<Json<DeedsView>> {
    match answer {
        LibraryAnswer::Deeds(mut view) => {
            if !caller.roles.may(Permission::SettingsManage) {
                without_disks(&mut view.refused);
            }
            Ok(Json(*view))
        }
        LibraryAnswer::Done => Ok(Json(DeedsView::default())),
        _ => Err(Problem::odd()),
    }
}

/// An advisory lock.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewLock {
    path: String,
    /// For how long; 0 ends it.
    seconds: u64,
    /// For the others.
    #[serde(default)]
    why: String,
}

/// Tell others that a path is being edited
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/locks", tag = "files", params(("guid" = String, Path, description = "GUID or name")), request_body = NewLock, responses((status = 204, description = "They are told"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn lock(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(new): Given<NewLock>,
) -> Answer<StatusCode> {
    let library = allowed(&app, &caller, &which, Permission::LibraryWrite).await?;
    let NewLock { path, seconds, why } = new;
    let act = app.audit.begin(&caller.user, ip(&from), if seconds == 0 { "unlock" } else { "lock" }, &path);
    act.end(match app.asker.ask(Request::Lock { library, path, seconds, why }).await {
        swarm_daemon::Reply::Done => Ok(StatusCode::NO_CONTENT),
        reply => Err(reply.into()),
    })
}
