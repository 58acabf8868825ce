//! Proposals that wait for votes, and authors whose changes are taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_daemon::{Answer as LibraryAnswer, AuthorView, ProposalView, Reply, Request, TakenBackView};
use utoipa::{IntoParams, ToSchema};

use super::libraries::allowed;
use super::{From, ask_library, checked, ip};
use crate::app::App;
use crate::auth::{Caller, LibraryName, Permission};
use crate::code::Code;
use crate::extract::{Asked, At, Given};
use crate::limits::ID_DIGITS_MIN;
use crate::problem::{Answer, Problem, without_disks};

/// Which proposals.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApprovalsQuery {
    /// Those that ended, too.
    all: Option<bool>,
    /// Of this library alone, by name or GUID.
    guid: Option<String>,
}

/// Proposals.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proposals {
    proposals: Vec<ProposalJson>,
}

/// A proposal, and the library that it is about.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProposalJson {
    /// What this node calls the library.
    library: String,
    guid: String,
    #[serde(flatten)]
    proposal: ProposalView,
}

/// List proposals
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(ApprovalsQuery), responses((status = 200, description = "Proposals", body = Proposals), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(query): Asked<ApprovalsQuery>,
) -> Answer<Json<Proposals>> {
    let library = match query.guid {
        Some(which) => Some(allowed(&app, &caller, &which, Permission::LibraryRead).await?),
        None => None,
    };
    let request = Request::Approvals { library, all: query.all.unwrap_or(false) };
    let answers = match app.asker.ask(request).await {
        Reply::Libraries { answers } => answers,
        Reply::Library { name, answer } => [(name, answer)].into(),
        Reply::Done => BTreeMap::default(),
        reply => return Err(reply.into()),
    };
    let status = app.status().await?;
    let mut proposals = Vec::new();
    for (name, answer) in answers {
        let guid =
            status.libraries.iter().find(|library| library.name == name).map(|library| library.guid.clone());
        let guid = guid.unwrap_or_default();
        let is_seen = caller.roles.may_in(Permission::LibraryRead, &LibraryName { name: &name, guid: &guid });
        if let (true, LibraryAnswer::Proposals(of_library)) = (is_seen, answer) {
            let shown = of_library.into_iter();
            proposals.extend(shown.map(|proposal| ProposalJson {
                library: name.clone(),
                guid: guid.clone(),
                proposal,
            }));
        }
    }
    Ok(Json(Proposals { proposals }))
}

/// A vote.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Vote {
    /// `yes`, `no` or `withdraw`.
    verdict: String,
    /// For the others.
    #[serde(default)]
    why: String,
}

/// Vote about a proposal
///
/// The node signs the vote, and the others take it as this node's.
#[utoipa::path(post, path = "/api/v1/approvals/{id}", tag = "approvals", params(("id" = String, Path, description = "The proposal's id")), request_body = Vote, responses((status = 204, description = "Voted"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn vote(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(id): At<String>,
    Given(vote): Given<Vote>,
) -> Answer<StatusCode> {
    let (library, id) = proposal_of(&app, &id).await?;
    let hidden = |problem: Problem| {
        if problem.status() == StatusCode::NOT_FOUND { no_such_proposal() } else { problem }
    };
    allowed(&app, &caller, &library, Permission::ApprovalsVote).await.map_err(hidden)?;
    let act = app.audit.begin(&caller.user, ip(&from), &format!("vote {}", vote.verdict), &id);
    act.over(async {
        let reply = app.asker.ask(Request::Vote { id, verdict: vote.verdict, why: vote.why }).await;
        let answers: Vec<LibraryAnswer> = match reply {
            Reply::Libraries { answers } => answers.into_values().collect(),
            Reply::Library { answer, .. } => vec![answer],
            Reply::Done => return Ok(StatusCode::NO_CONTENT),
            reply => return Err(reply.into()),
        };
        // One library has the proposal; the others say that they do not.
        let mut refusal = no_such_proposal();
        for answer in answers {
            match checked(answer) {
                Ok(_) => return Ok(StatusCode::NO_CONTENT),
                Err(problem) => refusal = problem,
            }
        }
        Err(refusal)
    })
    .await
}

/// The library that a proposal is about, and its whole id: the first digits of one may be those of another in a library where the caller has no vote.
async fn proposal_of(app: &App, id: &str) -> Answer<(String, String)> {
    let request = Request::Approvals { library: None, all: true };
    let answers = match app.asker.ask(request).await {
        Reply::Libraries { answers } if id.len() >= ID_DIGITS_MIN => answers,
        Reply::Libraries { .. } | Reply::Done => return Err(no_such_proposal()),
        reply => return Err(reply.into()),
    };
    let mut found = answers.into_iter().flat_map(|(library, answer)| {
        let proposals = if let LibraryAnswer::Proposals(proposals) = answer { proposals } else { Vec::new() };
        let meant = proposals.into_iter().filter(|proposal| proposal.id.starts_with(id));
        meant.map(move |proposal| (library.clone(), proposal.id))
    });
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Problem::bad("several proposals have an id that begins so: name it whole")),
        (None, _) => Err(no_such_proposal()),
    }
}

fn no_such_proposal() -> Problem {
    Problem::not_found("no library has a proposal of that id: GET /api/v1/approvals lists them")
        .code(Code::NoSuchProposal)
}

/// Say that deletions on this disk are meant
///
/// Those that were held because there are many: the others are told of them.
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/approve-here", tag = "approvals", params(("guid" = String, Path, description = "GUID or name")), responses((status = 204, description = "The others are told"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn approve_here(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
) -> Answer<StatusCode> {
    let library = allowed(&app, &caller, &which, Permission::ApprovalsVote).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "approve deletions here", &library);
    act.over(async {
        ask_library(&app, Request::ApproveHere { library }).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Authors of a library.
#[derive(Serialize, ToSchema)]
pub(crate) struct Authors {
    authors: Vec<AuthorView>,
}

/// List who changed a library
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/authors", tag = "approvals", params(("guid" = String, Path, description = "GUID or name")), responses((status = 200, description = "Authors", body = Authors), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn authors(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
) -> Answer<Json<Authors>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryRead).await?;
    match ask_library(&app, Request::Authors { library }).await? {
        LibraryAnswer::Authors(authors) => Ok(Json(Authors { authors })),
        _ => Err(Problem::odd()),
    }
}

/// Whose changes are taken back.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AuthorUndo {
    /// In this library alone, by name or GUID.
    guid: Option<String>,
    /// Since when, by this node's clock: milliseconds since 1970.
    since_ms: u64,
    /// Only say what that would be.
    rehearsal: bool,
}

/// What was taken back, by library.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorUndone {
    libraries: Vec<AuthorUndoneIn>,
}

/// What was taken back in one library.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorUndoneIn {
    library: String,
    #[serde(flatten)]
    view: TakenBackView,
}

/// Take back what an author did
///
/// What was before comes back; what the author added goes, and is kept as versions.
#[utoipa::path(post, path = "/api/v1/authors/{node}/undo", tag = "approvals", params(("node" = String, Path, description = "The author's id, or its first digits")), request_body = AuthorUndo, responses((status = 200, description = "What was, or would be, taken back", body = AuthorUndone), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn undo_author(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(author): At<String>,
    Given(wanted): Given<AuthorUndo>,
) -> Answer<Json<AuthorUndone>> {
    let library = match &wanted.guid {
        Some(which) => Some(allowed(&app, &caller, which, Permission::Undo).await?),
        None => {
            needs_in_all(&app, &caller, Permission::Undo).await?;
            None
        }
    };
    if wanted.rehearsal {
        return take_back(&app, &caller, library, author, &wanted).await;
    }
    let act = app.audit.begin(&caller.user, ip(&from), "undo author", &author);
    act.over(take_back(&app, &caller, library, author, &wanted)).await
}

async fn take_back(
    app: &App,
    caller: &Caller,
    library: Option<String>,
    author: String,
    wanted: &AuthorUndo,
) -> Answer<Json<AuthorUndone>> {
    let request =
        Request::TakeBack { library, author, since_ms: wanted.since_ms, is_rehearsal: wanted.rehearsal };
    let answers = match app.asker.ask(request).await {
        Reply::Libraries { answers } => answers,
        Reply::Library { name, answer } => [(name, answer)].into(),
        Reply::Done => BTreeMap::default(),
        reply => return Err(reply.into()),
    };
    let mut libraries = Vec::new();
    for (name, answer) in answers {
        if let LibraryAnswer::TakenBack(mut view) = checked(answer)? {
            if !caller.roles.may(Permission::SettingsManage) {
                without_disks(&mut view.refused);
            }
            libraries.push(AuthorUndoneIn { library: name, view: *view });
        }
    }
    Ok(Json(AuthorUndone { libraries }))
}

/// Goes on only if the user may do this with the node, and no role in a single library says otherwise.
async fn needs_in_all(app: &App, caller: &Caller, permission: Permission) -> Answer<()> {
    caller.needs(permission)?;
    let status = app.status().await?;
    let may = |library: &swarm_daemon::LibraryStatus| {
        caller.roles.may_in(permission, &LibraryName { name: &library.name, guid: &library.guid })
    };
    if status.libraries.iter().all(may) {
        return Ok(());
    }
    let message = "you may not do this in all libraries: name one as `guid`";
    Err(Problem::new(StatusCode::FORBIDDEN, message))
}
