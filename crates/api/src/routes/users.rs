//! Users of this node.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_daemon::{ProposedUser, Reply, Request};
use swarm_daemon_files::{EditError, Role};
use utoipa::ToSchema;

use super::peers::Password;
use super::sessions::hashed;
use super::{From, ip};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::code::Code;
use crate::extract::{At, Given};
use crate::problem::{Answer, Problem};

/// Users.
#[derive(Serialize, ToSchema)]
pub(crate) struct Users {
    users: Vec<UserJson>,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserJson {
    user: String,
    /// `admin`, `editor`, `viewer` or `mirror`, on this node and in all its libraries.
    #[schema(value_type = Option<String>)]
    role: Option<&'static str>,
    /// In single libraries instead, by name or GUID.
    #[schema(value_type = BTreeMap<String, String>)]
    libraries: BTreeMap<String, &'static str>,
}

/// List users
#[utoipa::path(get, path = "/api/v1/users", tag = "users", responses((status = 200, description = "Users", body = Users), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Users>> {
    caller.needs(Permission::UsersManage)?;
    let known = app.known();
    let users = known.users.iter().map(|(name, user)| UserJson {
        user: name.clone(),
        role: user.roles.node.map(Role::as_str),
        libraries: user.roles.libraries.iter().map(|(name, role)| (name.clone(), role.as_str())).collect(),
    });
    Ok(Json(Users { users: users.collect() }))
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserAdd {
    user: String,
    /// At least 8 characters.
    #[schema(value_type = String)]
    password: Password,
    /// `admin`, `editor`, `viewer` or `mirror`; without it, only what `libraries` says.
    role: Option<String>,
    /// Roles in single libraries instead, by name or GUID.
    #[serde(default)]
    libraries: BTreeMap<String, String>,
}

/// Add a user
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = UserAdd, responses((status = 201, description = "Added"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(new): Given<UserAdd>,
) -> Answer<StatusCode> {
    caller.needs(Permission::UsersManage)?;
    let UserAdd { user, password, role, libraries } = new;
    let role = role.as_deref().map(role_of).transpose()?;
    let libraries = roles_of(libraries)?;
    let hash = hashed(&app, &user, password.0).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "user add", &user);
    act.over(async {
        app.edit_files(&caller, move |folder| {
            // What restricts it comes first: if the rest fails, the user may do less and not more.
            let mut last = folder.add_user(&user, &hash, None)?;
            for (library, role) in libraries {
                last = folder.set_user_role_in(&user, &library, Some(role))?;
            }
            if role.is_some() {
                last = folder.set_user_role(&user, role)?;
            }
            Ok::<_, EditError>(last)
        })
        .await?;
        Ok(StatusCode::CREATED)
    })
    .await
}

/// What is to change of a user; what is left out stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserChange {
    /// A role, or an empty text for none on the node.
    role: Option<String>,
    /// Roles in single libraries, by name or GUID; `null` takes one back.
    #[serde(default)]
    libraries: BTreeMap<String, Option<String>>,
}

/// Change what a user may do
#[utoipa::path(patch, path = "/api/v1/users/{user}", tag = "users", params(("user" = String, Path, description = "The name")), request_body = UserChange, responses((status = 204, description = "Changed"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(user): At<String>,
    Given(change): Given<UserChange>,
) -> Answer<StatusCode> {
    caller.needs(Permission::UsersManage)?;
    let role = change
        .role
        .map(|role| if role.is_empty() { Ok(None) } else { role_of(&role).map(Some) })
        .transpose()?;
    let role_in =
        |(library, role): (String, Option<String>)| Ok((library, role.as_deref().map(role_of).transpose()?));
    let mut libraries = change.libraries.into_iter().map(role_in).collect::<Answer<Vec<_>>>()?;
    // An entry by a name that is taken back may be of a library that gets another one by its GUID.
    libraries.sort_by_key(|(_, role)| role.is_some());
    if user == caller.user && role.is_some_and(|role| role != Some(Role::Admin)) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "that would take your own rights: let another admin do it",
        )
        .code(Code::OwnRights));
    }
    let act = app.audit.begin(&caller.user, ip(&from), "user change", &user);
    act.over(async {
        app.edit_files(&caller, move |folder| {
            let mut last = folder.reload();
            for (library, role) in libraries {
                last = folder.set_user_role_in(&user, &library, role)?;
            }
            if let Some(role) = role {
                last = folder.set_user_role(&user, role)?;
            }
            Ok::<_, EditError>(last)
        })
        .await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Take a user out
///
/// All of the user's sessions and tokens end.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "users", params(("user" = String, Path, description = "The name")), responses((status = 204, description = "Taken out"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(user): At<String>,
) -> Answer<StatusCode> {
    caller.needs(Permission::UsersManage)?;
    if user == caller.user {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "you would lock yourself out: let another admin do it",
        )
        .code(Code::OwnRights));
    }
    let act = app.audit.begin(&caller.user, ip(&from), "user remove", &user);
    act.over(async {
        app.edit_files(&caller, move |folder| folder.remove_user(&user)).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Users that trusted peers propose.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proposed {
    users: Vec<ProposedUser>,
}

/// List users that trusted peers propose
#[utoipa::path(get, path = "/api/v1/users/proposed", tag = "users", responses((status = 200, description = "Proposed users", body = Proposed), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn proposed(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Proposed>> {
    caller.needs(Permission::UsersManage)?;
    Ok(Json(Proposed { users: proposed_users(&app).await? }))
}

async fn proposed_users(app: &App) -> Answer<Vec<ProposedUser>> {
    match app.asker.ask(Request::ProposedUsers).await {
        Reply::ProposedUsers { users } => Ok(users),
        reply => Err(reply.into()),
    }
}

/// What becomes of a proposed user.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserDecision {
    /// Whether it becomes a user of this node.
    accept: bool,
    /// What it may do here, if it does: `admin`, `editor`, `viewer` or `mirror`. What its peer proposes may change at any time and is advice.
    role: Option<String>,
    /// Its password here, if it does.
    #[serde(default)]
    #[schema(value_type = String)]
    password: Password,
}

/// Accept or reject a user that a trusted peer proposes
#[utoipa::path(post, path = "/api/v1/users/proposed/{user}", tag = "users", params(("user" = String, Path, description = "The name")), request_body = UserDecision, responses((status = 204, description = "Done"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(user): At<String>,
    Given(decision): Given<UserDecision>,
) -> Answer<StatusCode> {
    caller.needs(Permission::UsersManage)?;
    let proposed = proposed_users(&app).await?;
    if !proposed.iter().any(|proposed| proposed.name == user) {
        return Err(Problem::not_found("no trusted peer proposes that user").code(Code::NotProposed));
    }
    let did = if decision.accept { "user accept" } else { "user reject" };
    let act = app.audit.begin(&caller.user, ip(&from), did, &user);
    act.over(async {
        if !decision.accept {
            return match app.asker.ask(Request::RejectUser { name: user }).await {
                Reply::Done => Ok(StatusCode::NO_CONTENT),
                reply => Err(reply.into()),
            };
        }
        let role = decision.role.ok_or_else(|| Problem::bad("say in `role` what the user may do here"))?;
        let role = role_of(&role)?;
        let hash = hashed(&app, &user, decision.password.0).await?;
        app.edit_files(&caller, move |folder| folder.add_user(&user, &hash, Some(role))).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn role_of(text: &str) -> Answer<Role> {
    let roles = [Role::Admin, Role::Editor, Role::Viewer, Role::Mirror];
    let found = roles.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| Problem::bad("a role is admin, editor, viewer or mirror"))
}

fn roles_of(libraries: BTreeMap<String, String>) -> Answer<Vec<(String, Role)>> {
    libraries.into_iter().map(|(library, role)| Ok((library, role_of(&role)?))).collect()
}
