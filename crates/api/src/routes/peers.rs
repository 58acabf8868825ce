//! Peers of this node.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_daemon::{Lan, PeerStatus, Reply, Request};
use swarm_daemon_files::{NewPeer, Secret};
use utoipa::ToSchema;

use super::{From, ip, seen_by};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::code::Code;
use crate::extract::{At, Given};
use crate::problem::{Answer, Problem};

/// Peers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Peers {
    peers: Vec<PeerStatus>,
}

/// List peers
///
/// With those that trusted peers told of.
#[utoipa::path(get, path = "/api/v1/peers", tag = "peers", responses((status = 200, description = "Peers", body = Peers), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Peers>> {
    caller.needs(Permission::NodeRead)?;
    let status = app.status().await?;
    Ok(Json(Peers { peers: seen_by(&status, &caller).into_owned().peers }))
}

/// List nodes on the local network
///
/// Nodes that announce themselves there, peers or not: none is trusted for that, and each proves its key when it is dialed.
#[utoipa::path(get, path = "/api/v1/lan", tag = "peers", responses((status = 200, description = "Nodes", body = Lan), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn lan(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Lan>> {
    caller.needs(Permission::PeersManage)?;
    match app.asker.ask(Request::Lan).await {
        Reply::Lan(lan) => Ok(Json(lan)),
        reply => Err(reply.into()),
    }
}

/// A peer to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PeerAdd {
    /// `host:port`, `NODEID@host:port`, a NODEID for a peer that is to be found, or `https://host:port` for one that speaks HTTP(S) alone.
    address: String,
    /// Whether its changes and votes count here.
    #[serde(default)]
    trusted: bool,
    /// Whether it only carries contents onward.
    #[serde(default)]
    mirror: bool,
    /// What this node shows to it, in place of what config.json says.
    #[serde(default)]
    username: String,
    #[serde(default)]
    #[schema(value_type = String)]
    password: Password,
    /// What people call it.
    name: Option<String>,
}

/// A password in a request, which no log shows.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Password(pub(super) String);

/// Add a peer
///
/// Without its NODEID the key is pinned at first contact.
#[utoipa::path(post, path = "/api/v1/peers", tag = "peers", request_body = PeerAdd, responses((status = 201, description = "Added"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(new): Given<PeerAdd>,
) -> Answer<StatusCode> {
    caller.needs(Permission::PeersManage)?;
    let address = new.address.trim().to_owned();
    if address.is_empty() {
        return Err(Problem::bad(
            "a peer needs an address: host:port, NODEID@host:port, a NODEID, or https://host:port",
        )
        .code(Code::NoPeerAddress));
    }
    let act = app.audit.begin(&caller.user, ip(&from), "peer add", &address);
    act.over(async {
        let peer = NewPeer {
            address,
            trusted: new.trusted,
            username: new.username,
            password: Secret::from(new.password.0),
            is_mirror: new.mirror,
            name: new.name.filter(|name| !name.is_empty()),
        };
        app.edit_files(&caller, move |folder| folder.add_peer(&peer)).await?;
        Ok(StatusCode::CREATED)
    })
    .await
}

/// What is to change of a peer.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PeerChange {
    /// Whether its changes and votes count here.
    trusted: bool,
}

/// Trust a peer, or no longer
///
/// What came before stays; `POST /api/v1/authors/{node}/undo` takes it back.
#[utoipa::path(patch, path = "/api/v1/peers/{which}", tag = "peers", params(("which" = String, Path, description = "Address, NODEID or name")), request_body = PeerChange, responses((status = 204, description = "Changed"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(change): Given<PeerChange>,
) -> Answer<StatusCode> {
    caller.needs(Permission::PeersManage)?;
    let did = if change.trusted { "peer trust" } else { "peer untrust" };
    let act = app.audit.begin(&caller.user, ip(&from), did, &which);
    act.over(async {
        app.edit_files(&caller, move |folder| folder.set_peer_trusted(&which, change.trusted)).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Forget a peer
#[utoipa::path(delete, path = "/api/v1/peers/{which}", tag = "peers", params(("which" = String, Path, description = "Address, NODEID or name")), responses((status = 204, description = "Forgotten"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
) -> Answer<StatusCode> {
    caller.needs(Permission::PeersManage)?;
    let act = app.audit.begin(&caller.user, ip(&from), "peer remove", &which);
    act.over(async {
        app.edit_files(&caller, move |folder| folder.remove_peer(&which)).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
