//! Sync as a program asks for it: start, status, resolve, changes. Errors have the shape `{"error":{"code","message","details"}}`, and both sides name the
//! version of this protocol in a header; another major version is refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use swarm_daemon::{LibraryStatus, Request, Status};
use swarm_sync::{Op, OpKind};
use utoipa::{IntoParams, ToSchema};

use super::following::{FollowedParts, follow};
use super::remote::{Credentials, reach};
use super::{From, ask_library, blocking, ip};
use crate::app::App;
use crate::auth::{Caller, LibraryName, Permission};
use crate::extract::{Asked, At, Given};
use crate::limits::CHANGES_MAX;
use crate::problem::{Problem, without_disk};

/// A problem, in the shape of these paths.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncProblem {
    error: SyncError,
    #[serde(skip)]
    problem: Problem,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncError {
    /// The HTTP status, as text.
    code: String,
    /// For people.
    message: String,
    details: Details,
}

/// More about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Details {
    /// The category of the cause, as the exit codes of the commands have it.
    #[schema(value_type = String)]
    category: &'static str,
}

impl std::convert::From<Problem> for SyncProblem {
    fn from(problem: Problem) -> Self {
        let error = SyncError {
            code: problem.status().as_u16().to_string(),
            message: problem.detail().to_owned(),
            details: Details { category: problem.category() },
        };
        Self { error, problem }
    }
}

impl IntoResponse for SyncProblem {
    fn into_response(self) -> Response {
        // With its headers: how a user is proven, how long to wait.
        let mut plain = self.problem.clone().into_response();
        let mut headers = plain.headers().clone();
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        let mut response = (self.problem.status(), Json(self)).into_response();
        response.headers_mut().extend(headers);
        // Whether all of it is for everybody is decided where it is known who asks.
        if let Some(problem) = plain.extensions_mut().remove::<Problem>() {
            response.extensions_mut().insert(problem);
        }
        response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
        response
    }
}

/// A problem that came up before any handler, in the shape that its path has.
pub(super) fn shown_at(path: &str, problem: Problem) -> Response {
    if path.starts_with("/sync/") {
        SyncProblem::from(problem).into_response()
    } else {
        problem.into_response()
    }
}

/// An answer with the version of this protocol.
pub(crate) struct Versioned<T>(T);

impl<T: IntoResponse> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
        response
    }
}

type SyncAnswer<T> = Result<Versioned<Json<T>>, SyncProblem>;

/// A proven user who speaks this major version.
pub(crate) struct SyncCaller(Caller);

impl FromRequestParts<Arc<App>> for SyncCaller {
    type Rejection = SyncProblem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, SyncProblem> {
        if let Some(version) = parts.headers.get(VERSION_HEADER) {
            let major =
                version.to_str().ok().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
            if major != Some(MAJOR) {
                let message =
                    format!("this node speaks version {VERSION} of the sync protocol: use version {MAJOR}.x");
                return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, message).into());
            }
        }
        Ok(Self(Caller::from_request_parts(parts, app).await?))
    }
}

/// A sync to start.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Start {
    /// `p2p`: with a library of other nodes.
    method: String,
    /// `swarm://NODEID@HOST:PORT/NAME`, or the GUID or name of a library.
    remote_url: String,
    /// What the other node asks for.
    credentials: Option<Credentials>,
    /// Whether changes and votes of that node count here, if it is new. Without it, they do not: an admin trusts it later.
    #[serde(default)]
    trusted: bool,
}

/// A sync that goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Started {
    /// `sync_in_progress`.
    status: &'static str,
    sync_id: String,
}

/// Start a sync
///
/// Subscribes to the library if this node has it not yet, and looks at its folders now.
#[utoipa::path(post, path = "/sync/start", tag = "sync", request_body = Start, responses((status = 200, description = "It goes on", body = Started), (status = "default", description = "A problem", body = SyncProblem)))]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    SyncCaller(caller): SyncCaller,
    from: From,
    given: Result<Given<Start>, Problem>,
) -> SyncAnswer<Started> {
    let Given(Start { method, remote_url, credentials, trusted }) = given?;
    if method != "p2p" {
        let message = format!(
            "this node has no sync method `{}`: `p2p` syncs with a library of other nodes",
            swarm_core::base::Shown(&method)
        );
        return Err(Problem::bad(message).into());
    }
    let which = match remote_url.strip_prefix("swarm://") {
        Some(address) => reach(&app, &caller, address, credentials, trusted, ip(&from)).await?,
        None => remote_url,
    };
    let guid = match library(&app, &caller, &which, Permission::LibraryWrite).await {
        Ok(known) => known.guid,
        Err(_) => {
            caller.needs(Permission::LibrariesManage)?;
            let act = app.audit.begin(&caller.user, ip(&from), "subscribe", &which);
            act.over(follow(&app, &caller, FollowedParts::new(which, None))).await?.to_string()
        }
    };
    // One that was subscribed a moment ago looks by itself.
    let _ = ask_library(&app, Request::Sync { library: guid.clone() }).await;
    Ok(Versioned(Json(Started { status: IN_PROGRESS, sync_id: guid })))
}

/// How a sync goes.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncState {
    sync_id: String,
    /// `sync_in_progress`, `completed`, `conflicts` or `failed`.
    status: &'static str,
    /// In percent.
    progress: f64,
    /// What it does, for people.
    message: String,
    /// Conflicts that wait for a decision.
    conflicts: u64,
}

/// How a sync goes
#[utoipa::path(get, path = "/sync/status/{id}", tag = "sync", params(("id" = String, Path, description = "`sync_id` of its start")), responses((status = 200, description = "How it goes", body = SyncState), (status = "default", description = "A problem", body = SyncProblem)))]
pub(crate) async fn status(
    State(app): State<Arc<App>>,
    SyncCaller(caller): SyncCaller,
    id: Result<At<String>, Problem>,
) -> SyncAnswer<SyncState> {
    let At(id) = id?;
    let library = library(&app, &caller, &id, Permission::LibraryRead).await?;
    let mut message =
        if library.activity.is_empty() { library.state.clone() } else { library.activity.clone() };
    if !caller.roles.may(Permission::SettingsManage) {
        without_disk(&mut message);
    }
    let is_waiting = library.files == 0 && trusts_nobody(&*app.status().await?);
    if is_waiting {
        NOTHING_TAKEN.clone_into(&mut message);
    }
    let status = match library.state.as_str() {
        _ if is_waiting => IN_PROGRESS,
        "up to date" => "completed",
        "stopped" => "failed",
        _ if library.conflicts > 0 => "conflicts",
        _ => IN_PROGRESS,
    };
    Ok(Versioned(Json(SyncState {
        status,
        progress: library.percent.parse().unwrap_or(0.0),
        message,
        conflicts: library.conflicts,
        sync_id: library.guid,
    })))
}

/// Whether this node has peers, and takes changes of none.
fn trusts_nobody(status: &Status) -> bool {
    !status.peers.is_empty() && status.peers.iter().all(|peer| peer.trust != "trusted")
}

const NOTHING_TAKEN: &str =
    "no peer of this node is trusted: nothing of their changes is taken until an admin trusts one";

/// A decision about a conflict.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Resolution {
    /// `sync_id` of the start.
    sync_id: String,
    /// The path of the conflict.
    file_path: String,
    /// `keep_local`, `keep_remote`, `keep_both` or `merge`.
    resolution: String,
}

/// A conflict that is decided.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resolved {
    /// `resolved`.
    status: &'static str,
    file_path: String,
}

/// Decide a conflict
#[utoipa::path(post, path = "/sync/resolve", tag = "sync", request_body = Resolution, responses((status = 200, description = "Decided", body = Resolved), (status = "default", description = "A problem", body = SyncProblem)))]
pub(crate) async fn resolve(
    State(app): State<Arc<App>>,
    SyncCaller(caller): SyncCaller,
    from: From,
    given: Result<Given<Resolution>, Problem>,
) -> SyncAnswer<Resolved> {
    let Given(Resolution { sync_id, file_path, resolution }) = given?;
    let library = library(&app, &caller, &sync_id, Permission::ConflictsResolve).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "resolve", &file_path);
    let choice = resolution.replace('_', "-");
    let decide = super::conflicts::decide(&app, library.guid, Some(file_path.clone()), &choice, false);
    act.over(decide).await?;
    Ok(Versioned(Json(Resolved { status: "resolved", file_path })))
}

/// Which changes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// `sync_id` of a start; without it, all libraries that the caller may see.
    sync_id: Option<String>,
    /// Milliseconds since 1970.
    since: Option<u64>,
    /// At most so many of each library. Where one has more, the answer ends with these: go on with `since` of the last one.
    limit: Option<u32>,
}

/// Changes that runs made.
#[derive(Serialize, ToSchema)]
pub(crate) struct Changes {
    /// The oldest first.
    changes: Vec<ChangeJson>,
}

/// A change.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeJson {
    sync_id: String,
    file_path: String,
    /// `create`, `modify`, `delete`, `move` or `metadata`.
    #[schema(value_type = String)]
    change_type: &'static str,
    /// Milliseconds since 1970: when the run began.
    timestamp: u64,
    /// `local`: done on this node's disk; `remote`: told to the others.
    #[schema(value_type = String)]
    side: &'static str,
}

/// List what syncs changed
#[utoipa::path(get, path = "/sync/changes", tag = "sync", params(ChangesQuery), responses((status = 200, description = "Changes", body = Changes), (status = "default", description = "A problem", body = SyncProblem)))]
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    SyncCaller(caller): SyncCaller,
    query: Result<Asked<ChangesQuery>, Problem>,
) -> SyncAnswer<Changes> {
    let Asked(query) = query?;
    let status = app.status().await.map_err(SyncProblem::from)?;
    let is_meant = |library: &&LibraryStatus| {
        let name = LibraryName { name: &library.name, guid: &library.guid };
        let is_named = query.sync_id.as_ref().is_none_or(|id| *id == library.guid || *id == library.name);
        is_named && caller.roles.may_in(Permission::LibraryRead, &name)
    };
    let guids: Vec<String> =
        status.libraries.iter().filter(is_meant).map(|library| library.guid.clone()).collect();
    if query.sync_id.is_some() && guids.is_empty() {
        return Err(crate::auth::no_such_library().into());
    }
    let (since, limit) = (query.since.unwrap_or(0), query.limit.unwrap_or(1000).clamp(1, CHANGES_MAX));
    let mut of_libraries = Vec::new();
    for guid in guids {
        let files = app.library(&caller, &guid, Permission::LibraryRead).await?;
        let found = blocking(move || swarm_pair::changes_in(files.index(), since, limit)).await?;
        let found = found.map_err(|error| Problem::of(error.category(), error.to_string()))?;
        of_libraries.push(found.iter().map(|view| change_json(&guid, view)).collect());
    }
    Ok(Versioned(Json(Changes { changes: joined(of_libraries, limit as usize) })))
}

/// The changes of all libraries, the oldest first. Where one has more of them than its limit, nothing later than what is listed of it is listed of any: who
/// asks on from the last one misses none.
fn joined(of_libraries: Vec<Vec<ChangeJson>>, limit: usize) -> Vec<ChangeJson> {
    let cut = of_libraries.iter().filter(|changes| changes.len() >= limit);
    let until = cut.filter_map(|changes| changes.last().map(|change| change.timestamp)).min();
    let mut changes: Vec<ChangeJson> = of_libraries.into_iter().flatten().collect();
    changes.retain(|change| until.is_none_or(|until| change.timestamp <= until));
    changes.sort_by_key(|change| change.timestamp);
    changes
}

fn change_json(guid: &str, view: &swarm_pair::ChangeView) -> ChangeJson {
    let op = &view.deed.op;
    ChangeJson {
        sync_id: guid.to_owned(),
        file_path: op.path.as_str().to_owned(),
        change_type: change_type(op),
        timestamp: view.run.ms(),
        side: match view.deed.side {
            swarm_sync::Side::Local => "local",
            swarm_sync::Side::Remote => "remote",
        },
    }
}

fn change_type(op: &Op) -> &'static str {
    match op.kind {
        OpKind::Put { .. } if op.expected.is_none() => "create",
        OpKind::MakeFolder => "create",
        OpKind::Move { .. } => "move",
        OpKind::Put { .. } => "modify",
        OpKind::SetExecutable { .. } => "metadata",
        OpKind::Remove => "delete",
    }
}

/// A library of this node, if the caller may do this in it.
async fn library(
    app: &App,
    caller: &Caller,
    which: &str,
    permission: Permission,
) -> Result<LibraryStatus, Problem> {
    let guid = super::libraries::allowed(app, caller, which, permission).await?;
    let status = app.status().await?;
    let found = status.libraries.iter().find(|library| library.guid == guid).cloned();
    found.ok_or_else(crate::auth::no_such_library)
}

const IN_PROGRESS: &str = "sync_in_progress";
/// The version of these paths (semver.org).
const VERSION: &str = "1.0.0";
const MAJOR: u32 = 1;
/// The header that names it, in both directions.
const VERSION_HEADER: &str = "x-sync-protocol-version";

#[cfg(test)]
mod tests {
    use swarm_core::base::Category;

    use super::*;

    #[test]
    fn what_names_a_disk_is_hidden_in_this_shape_too() {
        let problem = Problem::of(Category::Disk, "cannot write `/srv/lib/a`".to_owned());
        let mut response = SyncProblem::from(problem).into_response();
        let told = crate::problem::Asker::default().told(&mut response).expect("it is not for everybody");
        assert!(!told.detail().contains("/srv"), "{}", told.detail());
    }

    #[test]
    fn whoever_asks_on_from_the_last_change_misses_none() {
        let check = |libraries: &[(&str, &[u64])], expected: &[(&str, u64)]| {
            let change = |guid: &str, timestamp: &u64| ChangeJson {
                sync_id: guid.to_owned(),
                file_path: String::new(),
                change_type: "create",
                timestamp: *timestamp,
                side: "local",
            };
            let of_library =
                |(guid, times): &(&str, &[u64])| times.iter().map(|time| change(guid, time)).collect();
            let found = joined(libraries.iter().map(of_library).collect(), 3);
            let found: Vec<(&str, u64)> =
                found.iter().map(|change| (change.sync_id.as_str(), change.timestamp)).collect();
            assert_eq!(found, expected, "{libraries:?}");
        };
        check(&[("a", &[1, 5]), ("b", &[2])], &[("a", 1), ("b", 2), ("a", 5)]);
        check(&[("a", &[1, 2, 3]), ("b", &[2, 9])], &[("a", 1), ("a", 2), ("b", 2), ("a", 3)]);
        check(&[("a", &[1, 2, 3]), ("b", &[1, 1, 2])], &[("a", 1), ("b", 1), ("b", 1), ("a", 2), ("b", 2)]);
    }
}
