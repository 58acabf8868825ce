//! Conflicts, and what somebody decides about them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use swarm_daemon::{Answer as LibraryAnswer, DisputeView, Request, TextsView};
use swarm_pair::ConflictView;
use swarm_sync::{Choice, ConflictKind, Kind};
use utoipa::ToSchema;

use super::browsing::PathQuery;
use super::libraries::allowed;
use super::{From, ask_library, blocking, ip};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::extract::{Asked, At, Given};
use crate::problem::{Answer, Problem};

/// Open conflicts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Conflicts {
    conflicts: Vec<ConflictJson>,
    /// Conflicts that the disk of this node takes no part in: it has what the library has for now. A decision `keep-local` or `keep-remote` lets that stand.
    elsewhere: Vec<DisputeView>,
}

/// Versions that exclude each other.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConflictJson {
    id: String,
    path: String,
    /// `simultaneous_edit`, `deletion`, `structure` or `name`.
    #[schema(value_type = String)]
    kind: &'static str,
    /// The cause in words, where the kind alone does not tell.
    detail: Option<String>,
    /// On this node; nothing if it was deleted.
    local: Option<VersionJson>,
    /// In the library.
    remote: Option<VersionJson>,
    /// Milliseconds since 1970.
    first_seen_ms: u64,
    /// What was decided already: `keep-local`, `keep-remote`, `keep-both` or `settled`.
    #[schema(value_type = Option<String>)]
    decided: Option<&'static str>,
}

/// What one side has.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionJson {
    path: String,
    /// `file`, `folder` or `symlink`.
    #[schema(value_type = String)]
    kind: &'static str,
    /// BLAKE3 of a file.
    hash: Option<String>,
    /// In bytes.
    len: u64,
    /// Nanoseconds since 1970.
    modified_ns: i64,
}

impl ConflictJson {
    fn of(view: &ConflictView) -> Self {
        let conflict = &view.conflict;
        let version = |version: &swarm_sync::SideVersion| VersionJson {
            path: version.path.as_str().to_owned(),
            kind: match version.kind {
                Kind::File(_) => "file",
                Kind::Folder => "folder",
                Kind::Symlink { .. } => "symlink",
            },
            hash: version.kind.file().map(|file| file.hash.to_string()),
            len: version.kind.file().map_or(0, |file| file.len),
            modified_ns: version.modified_ns,
        };
        Self {
            id: conflict.id.to_string(),
            path: conflict.path.as_str().to_owned(),
            kind: match conflict.kind {
                ConflictKind::SimultaneousEdit => "simultaneous_edit",
                ConflictKind::Deletion => "deletion",
                ConflictKind::Structure => "structure",
                ConflictKind::Name => "name",
            },
            detail: Some(conflict.detail.clone()).filter(|detail| !detail.is_empty()),
            local: conflict.versions.local.as_ref().map(version),
            remote: conflict.versions.remote.as_ref().map(version),
            first_seen_ms: view.first_seen_ms,
            decided: view.choice.map(|choice| match choice {
                Choice::KeepLocal => "keep-local",
                Choice::KeepRemote => "keep-remote",
                Choice::KeepBoth => "keep-both",
                Choice::Settled { .. } => "settled",
            }),
        }
    }
}

/// List conflicts
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/conflicts", tag = "conflicts", params(("guid" = String, Path, description = "GUID or name")), responses((status = 200, description = "Open conflicts", body = Conflicts), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
) -> Answer<Json<Conflicts>> {
    let files = app.library(&caller, &which, Permission::LibraryRead).await?;
    let library = files.guid().to_owned();
    let open = blocking(move || swarm_pair::conflicts_in(files.index())).await?;
    let open = open.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    let LibraryAnswer::Disputes(elsewhere) = ask_library(&app, Request::Disputes { library }).await? else {
        return Err(Problem::odd());
    };
    Ok(Json(Conflicts { conflicts: open.iter().map(ConflictJson::of).collect(), elsewhere }))
}

/// The texts of a conflict
///
/// Where they are short and on this machine; those that peers have are fetched, and come with a later request.
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/texts", tag = "conflicts", params(("guid" = String, Path, description = "GUID or name"), PathQuery), responses((status = 200, description = "Texts", body = TextsView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn texts(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
    Asked(query): Asked<PathQuery>,
) -> Answer<Json<TextsView>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryRead).await?;
    match ask_library(&app, Request::Texts { library, path: query.path }).await? {
        LibraryAnswer::Texts(view) => Ok(Json(*view)),
        _ => Err(Problem::odd()),
    }
}

/// A decision.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Decision {
    /// The path of the conflict, or of a folder with conflicts; without it the whole library.
    path: Option<String>,
    /// `keep-local`, `keep-remote`, `keep-both` or `merge`.
    choice: String,
    /// All conflicts at the path and below it.
    #[serde(default)]
    all: bool,
}

/// How many conflicts were decided.
#[derive(Serialize, ToSchema)]
pub(crate) struct Decided {
    performed: u64,
}

/// Decide conflicts
///
/// What loses becomes a kept version.
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/resolve", tag = "conflicts", params(("guid" = String, Path, description = "GUID or name")), request_body = Decision, responses((status = 200, description = "Decided", body = Decided), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn resolve(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(decision): Given<Decision>,
) -> Answer<Json<Decided>> {
    let library = allowed(&app, &caller, &which, Permission::ConflictsResolve).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "resolve", decision.path.as_deref().unwrap_or("/"));
    act.over(async {
        let performed = decide(&app, library, decision.path, &decision.choice, decision.all).await?;
        Ok(Json(Decided { performed }))
    })
    .await
}

/// Asks a library to act on a choice.
pub(super) async fn decide(
    app: &App,
    library: String,
    path: Option<String>,
    choice: &str,
    all: bool,
) -> Answer<u64> {
    if !["keep-local", "keep-remote", "keep-both", "merge"].contains(&choice) {
        return Err(Problem::bad("a choice is keep-local, keep-remote, keep-both or merge"));
    }
    let request = Request::Decide { library, path, choice: choice.to_owned(), file: None, all };
    match ask_library(app, request).await? {
        LibraryAnswer::Deeds(view) => Ok(view.performed),
        _ => Err(Problem::odd()),
    }
}
