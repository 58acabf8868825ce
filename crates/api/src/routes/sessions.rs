//! Proving a user: sessions of browsers, tokens of programs, and the first admin.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use swarm_daemon::Busy;
use swarm_daemon_files::Role;
use utoipa::ToSchema;

use super::peers::Password;
use super::{From, ip};
use crate::app::App;
use crate::auth::{Caller, Pair, Permission, Via, cookie_of, session_user};
use crate::clock;
use crate::code::Code;
use crate::extract::Given;
use crate::known;
use crate::limits::{NAME_LEN_MAX, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, SESSION_AGE_MAX};
use crate::problem::{Answer, Problem};
use crate::server::IsTls;

/// A name and a password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Login {
    username: String,
    password: String,
}

/// A session that began.
#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    /// The user.
    user: String,
    /// For the header `x-csrf-token` of requests that change something.
    csrf: String,
}

/// Log in
///
/// The answer sets the cookie of a new session. After some wrong passwords the name and the address wait: 429 with `Retry-After`.
#[utoipa::path(post, path = "/login", tag = "session", request_body = Login, responses((status = 200, description = "The session", body = Begun), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    from: From,
    Extension(is_tls): Extension<IsTls>,
    headers: HeaderMap,
    Given(login): Given<Login>,
) -> Answer<Response> {
    let user = app.proven(&login.username, &login.password, ip(&from)).await?;
    // Whoever had a session before has another one now.
    if let Some(id) = cookie_of(&headers, app.cookie(is_tls)) {
        app.sessions().end(id);
    }
    let act = app.audit.begin(&login.username, ip(&from), "login", "");
    act.end(begin(&app, login.username, &user.proof, is_tls))
}

fn begin(app: &App, user: String, proof: &str, is_tls: IsTls) -> Answer<Response> {
    let begun = app.sessions().begin(&user, proof, clock::moment());
    let begun = begun.ok_or_else(no_chance)?;
    let cookie = cookie(app, is_tls, &begun.id, SESSION_AGE_MAX.as_secs())?;
    let mut response = Json(Begun { user, csrf: begun.csrf }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The header that sets the cookie of a session for so many seconds.
fn cookie(app: &App, is_tls: IsTls, id: &str, age: u64) -> Answer<HeaderValue> {
    let secure = if is_tls.0 { "; Secure" } else { "" };
    let name = app.cookie(is_tls);
    let cookie = format!("{name}={id}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).map_err(|_| Problem::odd())
}

/// Log out
///
/// Ends the session of the cookie, and takes the cookie back. Does nothing without one.
#[utoipa::path(get, path = "/logout", tag = "session", responses((status = 204, description = "There is no session any more"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    from: From,
    Extension(is_tls): Extension<IsTls>,
    headers: HeaderMap,
) -> Answer<Response> {
    let ended = cookie_of(&headers, app.cookie(is_tls)).and_then(|id| app.sessions().end(id));
    if let Some(user) = ended {
        app.audit.note(&user, ip(&from), "logout", "");
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie(&app, is_tls, "", 0)?);
    Ok(response)
}

/// The caller, and what it may do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    user: String,
    /// On this node and in all its libraries.
    #[schema(value_type = Option<String>)]
    role: Option<&'static str>,
    /// In single libraries instead, by name or GUID.
    #[schema(value_type = BTreeMap<String, String>)]
    libraries: BTreeMap<String, &'static str>,
    /// The token of the session; empty without one.
    csrf: String,
    /// What the role on this node allows.
    #[schema(value_type = Vec<String>)]
    can: Vec<&'static str>,
}

/// Who I am
#[utoipa::path(get, path = "/api/v1/me", tag = "session", responses((status = 200, description = "The caller", body = Me), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn me(caller: Caller) -> Json<Me> {
    let can = Permission::ALL.into_iter().filter(|permission| caller.roles.may(*permission));
    let can = can.map(Permission::name).collect();
    let csrf = match caller.via {
        Via::Session { csrf, .. } => csrf,
        Via::Basic | Via::Bearer(_) => String::new(),
    };
    let libraries = caller.roles.libraries.iter().map(|(name, role)| (name.clone(), role.as_str())).collect();
    Json(Me { user: caller.user, role: caller.roles.node.map(Role::as_str), libraries, csrf, can })
}

/// Another password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PasswordChange {
    /// The present one.
    #[schema(value_type = String)]
    old: Password,
    /// At least 8 characters.
    #[schema(value_type = String)]
    new: Password,
}

/// Change my password
///
/// The session in which it is asked for goes on, and the user's links hold; all other sessions of the user, and all tokens, end.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "session", request_body = PasswordChange, responses((status = 204, description = "The new one holds"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(change): Given<PasswordChange>,
) -> Answer<StatusCode> {
    let PasswordChange { old, new } = change;
    check_new(&caller.user, &new.0)?;
    let proven = app.proven(&caller.user, &old.0, ip(&from)).await;
    // 401 would say that the session has ended.
    let wrong = |problem: Problem| match problem.status() {
        StatusCode::UNAUTHORIZED => {
            Problem::new(StatusCode::FORBIDDEN, "the present password is another one")
                .code(Code::OtherPassword)
        }
        _ => problem,
    };
    proven.map_err(wrong)?;
    let act = app.audit.begin(&caller.user, ip(&from), "password change", "");
    act.over(async {
        let proof = hashed(&app, &caller.user, new.0).await?;
        let session = match &caller.via {
            Via::Session { id_hash, .. } => Some(*id_hash),
            Via::Basic | Via::Bearer(_) => None,
        };
        let change = known::PasswordChange { user: caller.user.clone(), proof, session };
        app.change_password(caller.clone(), change).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Whether the first admin is missing.
#[derive(Serialize, ToSchema)]
pub(crate) struct SetupState {
    /// Whether the link that the daemon printed makes one.
    needed: bool,
    /// Whom the cookie of the request proves; nobody without one that holds.
    user: Option<String>,
}

/// Whether this node has an admin, and who is logged in
#[utoipa::path(get, path = "/api/v1/setup", tag = "session", responses((status = 200, description = "Whether the first admin is missing", body = SetupState), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn setup_state(
    State(app): State<Arc<App>>,
    Extension(is_tls): Extension<IsTls>,
    headers: HeaderMap,
) -> Json<SetupState> {
    Json(SetupState { needed: app.lacks_admin(), user: session_user(&app, &headers, is_tls) })
}

/// The first admin.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Setup {
    /// From the link that the daemon printed at its start.
    token: String,
    username: String,
    /// At least 8 characters.
    password: String,
}

/// Make the first admin
///
/// Works once, with the token of the link that the daemon prints at its start while it has no admin, for an hour.
#[utoipa::path(post, path = "/api/v1/setup", tag = "session", request_body = Setup, responses((status = 200, description = "The session of the new admin", body = Begun), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn setup(
    State(app): State<Arc<App>>,
    from: From,
    Extension(is_tls): Extension<IsTls>,
    Given(setup): Given<Setup>,
) -> Answer<Response> {
    let Setup { token, username, password } = setup;
    let used = || {
        let message = "the link was used, is older than an hour, or is of an earlier start: start the daemon anew, and its log has another one";
        Problem::new(StatusCode::FORBIDDEN, message).code(Code::SetupUsed)
    };
    let taken = app.first.take(&token, clock::moment()).filter(|_| app.lacks_admin()).ok_or_else(used)?;
    let act = app.audit.begin(&username, ip(&from), "made the first admin", "");
    let made = async {
        let hash = hashed(&app, &username, password).await?;
        let (name, proof) = (username.clone(), hash.clone());
        app.add_first_admin(name, proof).await?;
        Ok(hash)
    };
    let hash = act.over(made).await?;
    taken.was_used();
    begin(&app, username, &hash, is_tls)
}

/// The hash of a password for a new user.
pub(super) async fn hashed(app: &App, username: &str, password: String) -> Answer<String> {
    check_new(username, &password)?;
    let busy = |Busy| {
        let message = "too many passwords are compared at this moment: try again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(1).code(Code::Busy)
    };
    app.passwords.hash(password).await.map_err(busy)?.ok_or_else(no_chance)
}

fn check_new(username: &str, password: &str) -> Answer<()> {
    if username.is_empty() || username.len() > NAME_LEN_MAX {
        return Err(Problem::bad("a user needs a name").code(Code::NoName));
    }
    if password.chars().count() < PASSWORD_LEN_MIN || password.len() > PASSWORD_LEN_MAX {
        let message = format!(
            "a password has {PASSWORD_LEN_MIN} characters or more, and at most {PASSWORD_LEN_MAX} bytes"
        );
        let problem = Problem::bad(message).code(Code::PasswordLength);
        return Err(problem.with("min", PASSWORD_LEN_MIN).with("max", PASSWORD_LEN_MAX));
    }
    if password == username {
        return Err(Problem::bad("a password is not the name of its user").code(Code::PasswordIsName));
    }
    Ok(())
}

/// Tokens for a program.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenPair {
    /// For the header `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds for which the access token holds.
    expires_in: u64,
    /// For `POST /auth/refresh`, once.
    refresh_token: String,
}

/// Get tokens
#[utoipa::path(post, path = "/auth/token", tag = "session", request_body = Login, responses((status = 200, description = "An access token and a refresh token", body = TokenPair), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn token(
    State(app): State<Arc<App>>,
    from: From,
    Given(login): Given<Login>,
) -> Answer<Json<TokenPair>> {
    let user = app.proven(&login.username, &login.password, ip(&from)).await?;
    let act = app.audit.begin(&login.username, ip(&from), "token", "");
    let pair = app.tokens().begin(&login.username, &user.proof_mark(), clock::since_epoch());
    act.end(pair.map(shown).map(Json).ok_or_else(no_chance))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RefreshToken {
    refresh_token: String,
}

/// Exchange a refresh token
///
/// It holds once; a token that comes a second time ends all tokens of its login.
#[utoipa::path(post, path = "/auth/refresh", tag = "session", request_body = RefreshToken, responses((status = 200, description = "Other tokens", body = TokenPair), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn refresh(
    State(app): State<Arc<App>>,
    Given(given): Given<RefreshToken>,
) -> Answer<Json<TokenPair>> {
    let holds = |user: &str, mark: &str| app.user(user).is_some_and(|user| user.proof_mark() == mark);
    let pair = app.tokens().exchange(&given.refresh_token, holds, clock::since_epoch());
    let ended = || {
        Problem::new(StatusCode::UNAUTHORIZED, "the refresh token holds no more: log in again")
            .code(Code::Ended)
    };
    pair.map(shown).map(Json).ok_or_else(ended)
}

/// A token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AnyToken {
    token: String,
}

/// Revoke a token
///
/// A refresh token with all tokens of its login, or an access token (RFC 7009: an unknown token is no error).
#[utoipa::path(post, path = "/auth/revoke", tag = "session", request_body = AnyToken, responses((status = 204, description = "It holds no more"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    from: From,
    Given(given): Given<AnyToken>,
) -> Answer<StatusCode> {
    app.revoke(given.token, ip(&from)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(pair: Pair) -> TokenPair {
    TokenPair {
        access_token: pair.access,
        token_type: "Bearer",
        expires_in: pair.expires_in.as_secs(),
        refresh_token: pair.refresh,
    }
}

fn no_chance() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random bytes")
}

#[cfg(test)]
mod tests {
    use super::check_new;

    #[test]
    fn a_password_has_8_characters_to_1024_bytes() {
        let check = |password: &str, is_taken: bool| {
            assert_eq!(check_new("vera", password).is_ok(), is_taken, "{} bytes", password.len());
        };
        check("seven77", false);
        // Characters count, not bytes.
        check("\u{e4}\u{e4}\u{e4}\u{e4}", false);
        check("eight888", true);
        check(&"x".repeat(64), true);
        check(&"x".repeat(1024), true);
        check(&"x".repeat(1025), false);
    }
}
