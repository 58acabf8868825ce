//! This node.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use swarm_daemon::Status;
use utoipa::ToSchema;

use super::seen_by;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::problem::{Answer, Problem};

/// This node.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeView {
    /// Its key.
    node: String,
    /// The name of its machine.
    name: String,
    /// The version of the program.
    version: &'static str,
    /// For `swarm peer add` at other nodes.
    address: String,
    /// SHA-256 of its certificate, as browsers show it.
    fingerprint: String,
    uptime_seconds: u64,
    /// The folder with its settings.
    folder: String,
}

/// This node
#[utoipa::path(get, path = "/api/v1/node", tag = "node", responses((status = 200, description = "The node", body = NodeView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn node(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<NodeView>> {
    caller.needs(Permission::NodeRead)?;
    let status = app.status().await?;
    let is_admin = caller.roles.may(Permission::SettingsManage);
    Ok(Json(NodeView {
        node: app.facts.node.clone(),
        name: app.facts.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        address: status.address.clone(),
        fingerprint: app.facts.fingerprint.clone(),
        uptime_seconds: app.facts.began_at.elapsed().as_secs(),
        folder: if is_admin { swarm_core::base::Shown(&app.facts.folder).to_string() } else { String::new() },
    }))
}

/// How everything stands
///
/// As far as the caller may see it.
#[utoipa::path(get, path = "/api/v1/status", tag = "node", responses((status = 200, description = "The status", body = Status), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn status(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Status>> {
    let status = app.status().await?;
    Ok(Json(seen_by(&status, &caller).into_owned()))
}
