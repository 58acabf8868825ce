//! What is fetched now: listed, looked at, and steered. Invariant: of a library that the caller may not read nothing is told, not even that something
//! of it is fetched.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use swarm_daemon::{
    Action, Priority, Reply, Request, SlowReason, TransferDetail, TransferList, TransferView,
};
use utoipa::ToSchema;

use super::libraries::allowed;
use super::{From, ip};
use crate::app::App;
use crate::auth::{Caller, Permission, no_such_library};
use crate::extract::{At, Given};
use crate::problem::{Answer, Problem, without_disk};

/// List transfers
///
/// What this node fetches now, waits to fetch, or holds: each long file, and the short files of each commit together.
#[utoipa::path(get, path = "/api/v1/transfers", tag = "transfers", responses((status = 200, description = "Transfers of the libraries that the caller may read", body = TransferList), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<TransferList>> {
    caller.needs_something_to_see()?;
    let Reply::Transfers { transfers, further } = asked(&app, Request::Transfers).await? else {
        return Err(Problem::odd());
    };
    let mut list = TransferList::default();
    for mut transfer in transfers {
        if may(&app, &caller, &transfer.library, Permission::LibraryRead).await {
            hide_disk(&app, &caller, &mut transfer).await;
            list.transfers.push(transfer);
        }
    }
    for (library, count) in further {
        if may(&app, &caller, &library, Permission::LibraryRead).await {
            list.further += count;
        }
    }
    Ok(Json(list))
}

/// Show a transfer
///
/// With the chunks that are here, and those that each peer has and is asked for.
#[utoipa::path(get, path = "/api/v1/transfers/{id}", tag = "transfers", params(("id" = String, Path, description = "As the list has it")), responses((status = 200, description = "The transfer", body = TransferDetail), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(id): At<String>,
) -> Answer<Json<TransferDetail>> {
    allowed_of(&app, &caller, &id, Permission::LibraryRead).await?;
    match asked(&app, Request::Transfer { id }).await? {
        Reply::Transfer(mut detail) => {
            hide_disk(&app, &caller, &mut detail.transfer).await;
            Ok(Json(*detail))
        }
        _ => Err(Problem::odd()),
    }
}

/// What is done with a transfer.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Steering {
    /// Pause it, resume it, or cancel it.
    action: Option<Action>,
    /// Its turn among the transfers of the library.
    priority: Option<Priority>,
}

/// Steer a transfer
///
/// A pause holds until the transfer is resumed, also over a restart. A transfer that is cancelled is not fetched to this disk until it is resumed; the
/// library keeps the file, and so do the peers. A fetch of a ticket that is cancelled is forgotten, with what came; an editor may steer it.
#[utoipa::path(post, path = "/api/v1/transfers/{id}", tag = "transfers", params(("id" = String, Path, description = "As the list has it")), request_body = Steering, responses((status = 204, description = "It is so"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn steer(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(id): At<String>,
    Given(wanted): Given<Steering>,
) -> Answer<StatusCode> {
    // Who may add a ticket may take it away.
    let is_ticket = id.split_once('.').is_some_and(|(_, part)| part.starts_with('t'));
    let needed = if is_ticket { Permission::LibraryWrite } else { Permission::LibraryManage };
    allowed_of(&app, &caller, &id, needed).await?;
    let Steering { action, priority } = wanted;
    let did = match (action, priority) {
        (Some(Action::Pause), _) => "pause transfer",
        (Some(Action::Resume), _) => "resume transfer",
        (Some(Action::Cancel), _) => "cancel transfer",
        (None, Some(_)) => "set priority of transfer",
        (None, None) => return Err(Problem::bad("name an action, a priority, or both")),
    };
    let act = app.audit.begin(&caller.user, ip(&from), did, &id);
    act.over(async {
        match asked(&app, Request::Steer { id: id.clone(), action, priority }).await? {
            Reply::Done => Ok(StatusCode::NO_CONTENT),
            _ => Err(Problem::odd()),
        }
    })
    .await
}

async fn asked(app: &App, request: Request) -> Answer<Reply> {
    match app.asker.ask(request).await {
        reply @ Reply::Failed { .. } => Err(reply.into()),
        reply => Ok(reply),
    }
}

/// Goes on only if the caller may do this in the library that an id names.
async fn allowed_of(app: &App, caller: &Caller, id: &str, permission: Permission) -> Answer<()> {
    let (guid, _) = id.split_once('.').ok_or_else(no_such_library)?;
    allowed(app, caller, guid, permission).await.map(drop)
}

async fn may(app: &App, caller: &Caller, library: &str, permission: Permission) -> bool {
    allowed(app, caller, library, permission).await.is_ok()
}

/// Where folders stand on this machine is the admin's affair.
async fn hide_disk(app: &App, caller: &Caller, transfer: &mut TransferView) {
    if let Some(SlowReason::Failing { detail }) = &mut transfer.why
        && !may(app, caller, &transfer.library, Permission::LibraryManage).await
    {
        without_disk(detail);
    }
}
