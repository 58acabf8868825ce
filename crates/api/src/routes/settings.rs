//! Settings of this node: `config.json` as it stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use swarm_core::base::Shown;
use swarm_daemon_files::{FileName, Json as FileJson};
use utoipa::ToSchema;

use super::{From, ip};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::extract::Given;
use crate::problem::{Answer, Problem};

/// The settings.
#[derive(Serialize, ToSchema)]
pub(crate) struct Settings {
    /// The keys of `config.json`, without the password.
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// Where that file is.
    file: String,
    /// Keys that act at the next start of the daemon.
    #[schema(value_type = Vec<String>)]
    needs_restart: Vec<&'static str>,
}

/// Show the settings
#[utoipa::path(get, path = "/api/v1/settings", tag = "settings", responses((status = 200, description = "The settings", body = Settings), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Settings>> {
    caller.needs(Permission::SettingsManage)?;
    let path = app.read_files(|folder| folder.path(FileName::Config)).await?;
    let file = Shown(&path).to_string();
    let text = super::blocking(move || std::fs::read(path)).await?;
    let text = text.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read `{file}`: {error}"))
    })?;
    let mut config: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| Problem::new(StatusCode::CONFLICT, format!("`{file}` is not valid now: {error}")))?;
    config.remove(PASSWORD);
    Ok(Json(Settings { config, file, needs_restart: NEEDS_RESTART.to_vec() }))
}

/// Change settings
///
/// The body is a JSON Merge Patch (RFC 7396) of `config.json`: what is not named stays, also within an object such as `limits`, and `null` takes a key out.
#[utoipa::path(patch, path = "/api/v1/settings", tag = "settings", request_body(content = Object), responses((status = 204, description = "Changed"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(change): Given<Map<String, Value>>,
) -> Answer<StatusCode> {
    caller.needs(Permission::SettingsManage)?;
    let keys = change.keys().cloned().collect::<Vec<_>>().join(" ");
    let change = file_json(&Value::Object(change))?;
    let act = app.audit.begin(&caller.user, ip(&from), "settings", &keys);
    act.over(app.edit_files(&caller, move |folder| folder.edit_config(|config| config.merge(&change))))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn file_json(value: &Value) -> Answer<FileJson> {
    let text = serde_json::to_string(value).map_err(|_| Problem::odd())?;
    text.parse().map_err(|error: swarm_daemon_files::SyntaxError| Problem::bad(error.to_string()))
}

const PASSWORD: &str = "password";
/// What is taken when the daemon starts: sockets and certificates.
const NEEDS_RESTART: [&str; 9] =
    ["port", "listen", "username", "password", "lan", "dht", "coordinators", "zone", "tls"];
