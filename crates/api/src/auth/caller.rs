//! Who sent a request. Invariant: a handler that takes a [`Caller`] runs only for a proven user; a cookie proves a request that changes something only
//! together with the token of its session, which another site cannot read.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use data_encoding::BASE64;
use swarm_daemon::Gate;
use swarm_daemon_files::Role;

use super::roles::{LibraryName, Permission, Roles};
use super::tokens::Claims;
use crate::app::App;
use crate::chance::hash_of;
use crate::clock;
use crate::code::Code;
use crate::known::{Files, mark_of};
use crate::problem::{Answer, Asker, Problem};
use crate::server::{Connection, IsTls};

/// A proven user.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) roles: Roles,
    pub(crate) via: Via,
    /// The hash of the password with which the user was proven.
    proof: String,
}

/// What proved it.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    /// A cookie, whose session has this token. Its id is known by its hash.
    Session { csrf: String, id_hash: [u8; 32] },
    /// A password in each request.
    Basic,
    /// An access token.
    Bearer(Box<Claims>),
}

impl Caller {
    /// Goes on only if the user may do this with the node.
    pub(crate) fn needs(&self, permission: Permission) -> Answer<()> {
        if self.roles.may(permission) { Ok(()) } else { Err(self.refusal(permission, "on this node")) }
    }

    /// Goes on only if the user may do this in a library.
    pub(crate) fn needs_in(&self, permission: Permission, library: &LibraryName<'_>) -> Answer<()> {
        if self.roles.may_in(permission, library) {
            return Ok(());
        }
        if !self.roles.may_in(Permission::FilesRead, library) {
            // As if it were not there.
            return Err(no_such_library());
        }
        Err(self.refusal(permission, "in this library"))
    }

    /// The same user now, for an answer that goes on: `None` once the session, the token or the user has ended.
    pub(crate) fn again(&self, files: &Files) -> Option<Self> {
        let user = match &self.via {
            Via::Session { id_hash, .. } => files.user_of_session(id_hash, clock::moment()),
            Via::Basic => files.user(&self.user).filter(|user| user.proof == self.proof),
            Via::Bearer(claims) => {
                let user = files.user(&self.user).filter(|user| user.proof == self.proof);
                user.filter(|_| files.tokens().hold(claims, clock::since_epoch()))
            }
        };
        user.map(|user| Self { roles: user.roles, ..self.clone() })
    }

    /// Goes on only while the user may do what it might when the request came: what a body brings later is as good as its first byte.
    pub(crate) fn check_as_before(&self, files: &Files) -> Answer<()> {
        let now = self.again(files).ok_or_else(ended)?;
        if now.roles == self.roles {
            return Ok(());
        }
        let message = "what you may do here was changed while the request came: send it again";
        Err(Problem::new(StatusCode::FORBIDDEN, message))
    }

    /// Stands for the password of the user.
    pub(crate) fn mark(&self) -> String {
        mark_of(&self.proof)
    }

    /// A user that a password proved.
    #[cfg(test)]
    pub(crate) fn by_basic(user: &str, roles: Roles, proof: &str) -> Self {
        Self { user: user.to_owned(), roles, via: Via::Basic, proof: proof.to_owned() }
    }

    /// Goes on only if the user may see how the node, or a library of it, stands.
    pub(crate) fn needs_something_to_see(&self) -> Answer<()> {
        let may_see = |role: &Role| Permission::LibraryRead.is_granted_to(*role);
        if self.roles.libraries.values().any(may_see) { Ok(()) } else { self.needs(Permission::NodeRead) }
    }

    fn refusal(&self, permission: Permission, place: &str) -> Problem {
        let role = self.roles.node.map_or("no role", Role::as_str);
        let message = format!(
            "you have {role} on this node, which does not allow {} {place}: ask an admin",
            permission.name()
        );
        Problem::new(StatusCode::FORBIDDEN, message)
            .code(Code::NotAllowed)
            .with("role", self.roles.node.map_or("", Role::as_str))
            .with("permission", permission.name())
    }
}

pub(crate) fn no_such_library() -> Problem {
    Problem::not_found("there is no such library here: GET /libraries lists those that you may read")
        .code(Code::NoSuchLibrary)
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let from = from.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
        let caller = match parts.headers.get(header::AUTHORIZATION) {
            Some(proof) => {
                let proof = proof.to_str().map_err(|_| unproven())?;
                match proof.split_once(' ') {
                    Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                        by_token(app, token.trim())?
                    }
                    Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
                        by_password(app, pair.trim(), from).await?
                    }
                    _ => return Err(unproven()),
                }
            }
            None => by_session(app, parts)?,
        };
        if let Some(connection) = parts.extensions.get::<Connection>() {
            connection.is_known(&caller.user);
        }
        if let Some(asker) = parts.extensions.get::<Asker>()
            && caller.roles.may(Permission::SettingsManage)
        {
            asker.is_admin();
        }
        // Whatever reads the body asks it again.
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// Whom the cookie of a request proves. It proves no right to anything.
pub(crate) fn session_user(app: &App, headers: &HeaderMap, is_tls: IsTls) -> Option<String> {
    let (held, _) = app.files.session(cookie_of(headers, app.cookie(is_tls))?, clock::moment())?;
    Some(held.user)
}

fn by_session(app: &App, parts: &Parts) -> Answer<Caller> {
    let is_tls = parts.extensions.get::<IsTls>().copied().unwrap_or(IsTls(false));
    let id = cookie_of(&parts.headers, app.cookie(is_tls)).ok_or_else(unproven)?;
    let (held, user) = app.files.session(id, clock::moment()).ok_or_else(ended)?;
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let given = parts.headers.get(CSRF_HEADER).map(axum::http::HeaderValue::as_bytes);
    let is_meant = given.is_some_and(|given| blake3::hash(given) == blake3::hash(held.csrf.as_bytes()));
    if !is_safe && !is_meant {
        let message =
            "a request that changes something needs the header x-csrf-token, as /api/v1/me tells it";
        return Err(Problem::new(StatusCode::FORBIDDEN, message).code(Code::Foreign));
    }
    let via = Via::Session { csrf: held.csrf, id_hash: hash_of(id) };
    Ok(Caller { user: held.user, roles: user.roles, via, proof: user.proof })
}

fn by_token(app: &App, token: &str) -> Answer<Caller> {
    let claims = app.tokens().claims(token, clock::since_epoch()).ok_or_else(ended)?;
    let user = app.user(&claims.sub).filter(|user| user.proof_mark() == claims.prf).ok_or_else(ended)?;
    let via = Via::Bearer(Box::new(claims.clone()));
    Ok(Caller { user: claims.sub, roles: user.roles, via, proof: user.proof })
}

async fn by_password(app: &App, pair: &str, from: std::net::IpAddr) -> Answer<Caller> {
    let decoded = BASE64.decode(pair.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(unproven)?;
    let (name, password) = decoded.split_once(':').ok_or_else(unproven)?;
    let user = app.proven(name, password, from).await?;
    Ok(Caller { user: name.to_owned(), roles: user.roles, via: Via::Basic, proof: user.proof })
}

/// What a login with a wrong password, or none, is told: not which part was wrong.
pub(crate) fn refused(gate: Gate) -> Problem {
    match gate {
        Gate::Wait(wait) => {
            let seconds = wait.as_secs().max(1);
            let message = format!("too many wrong passwords: try again in {seconds} s");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(seconds);
            problem.code(Code::TooManyPasswords).with("seconds", seconds)
        }
        Gate::Open | Gate::Wrong => {
            Problem::new(StatusCode::UNAUTHORIZED, "no user of this node has that name and password")
                .code(Code::WrongPassword)
        }
    }
}

fn unproven() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "log in, or send a password (Basic) or an access token (Bearer)")
        .code(Code::Unproven)
}

pub(super) fn ended() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "the session or token has ended: log in again").code(Code::Ended)
}

/// The id of the session in the cookies of a request. Browsers keep one set of cookies for all ports of a machine: each node has a name of its own.
pub(crate) fn cookie_of<'a>(headers: &'a HeaderMap, cookie: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie).map(|(_, id)| id)
}

/// How the name of a session's cookie begins; eight digits of the node follow.
pub(crate) const COOKIE: &str = "swarm_session_";
/// What stands before it over TLS: a browser takes such a cookie from this host alone, and sends it over TLS alone (RFC 6265bis, section 4.1.3.2).
pub(crate) const SECURE_COOKIE: &str = "__Host-";
/// The header with the token of a session.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";
