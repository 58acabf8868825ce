//! Links to files and folders for people without a name here: made, listed, revoked.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::libraries::allowed;
use super::{From, blocking, ip, path_of};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::clock;
use crate::code::Code;
use crate::extract::{At, Given};
use crate::file::encoded;
use crate::limits::LINK_AGE_MAX;
use crate::links::{Link, NewLink as Wanted, NoLink};
use crate::problem::{Answer, Problem};
use crate::reach::page_addresses;

/// A link to make.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewLink {
    /// A file or folder of the library.
    path: String,
    /// For how long it holds, up to a year.
    seconds: u64,
    /// Whether the first whole download ends it.
    #[serde(default)]
    once: bool,
}

/// A link that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkMade {
    /// For `DELETE`.
    id: String,
    /// On this node. It is told once: only a hash of it is kept.
    url: String,
    /// The same as other machines open it, the best first; none if the daemon listens on loopback alone.
    urls: Vec<String>,
    /// Milliseconds since 1970.
    expires_at_ms: u64,
}

/// A link, without what opens it.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkView {
    id: String,
    path: String,
    /// Who made it.
    user: String,
    /// Whether the first whole download ends it.
    once: bool,
    /// Milliseconds since 1970.
    made_at_ms: u64,
    /// The same.
    expires_at_ms: u64,
}

/// Links of a library.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkList {
    links: Vec<LinkView>,
}

/// Make a link that expires
///
/// Whoever has it gets the file, or the folder as a ZIP file, without a name here. It holds only while its maker may write in the library.
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/links", tag = "links", params(("guid" = String, Path, description = "GUID or name")), request_body = NewLink, responses((status = 201, description = "It holds", body = LinkMade), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(new): Given<NewLink>,
) -> Answer<(StatusCode, Json<LinkMade>)> {
    let files = app.library(&caller, &which, Permission::LibraryWrite).await?;
    let path = path_of(&new.path)?;
    let age = Duration::from_secs(new.seconds);
    if age.is_zero() || age > LINK_AGE_MAX {
        return Err(Problem::bad(format!("a link holds for 1 to {} seconds", LINK_AGE_MAX.as_secs())));
    }
    let guid = files.guid().to_owned();
    let looked = path.clone();
    let entry = blocking(move || files.entry(&looked)).await?;
    let entry = entry.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    if entry.is_none_or(|entry| entry.kind == "symlink") {
        let problem = Problem::not_found(format!("the library has no file or folder `{path}`"));
        return Err(problem.code(Code::NoSuchFile).with("path", path));
    }
    let (user, mark) = (caller.user.clone(), caller.mark());
    let wanted = Wanted { guid, path: path.as_str().to_owned(), user, mark, age, once: new.once };
    let act = app.audit.begin(&caller.user, ip(&from), "link create", path.as_str());
    let known = Arc::clone(&app);
    let made = blocking(move || known.links().add(wanted, clock::now_ms())).await;
    let (id, token, link) = act.end(made.and_then(|made| made.map_err(refusal)))?;
    let name = link.path.rsplit('/').next().unwrap_or_default();
    let url = format!("/link/{token}/{}", encoded(name));
    let own = blocking(swarm_daemon::own_addresses).await?.unwrap_or_default();
    let pages = page_addresses(app.facts.page, &app.known().hosts, &own);
    let urls = pages.into_iter().map(|page| page + &url).collect();
    Ok((StatusCode::CREATED, Json(LinkMade { id, url, urls, expires_at_ms: link.expires_at_ms })))
}

/// List links that hold
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/links", tag = "links", params(("guid" = String, Path, description = "GUID or name")), responses((status = 200, description = "Links", body = LinkList), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
) -> Answer<Json<LinkList>> {
    let guid = allowed(&app, &caller, &which, Permission::LibraryWrite).await?;
    let view = |(id, link): (String, Link)| {
        let Link { path, user, once, made_at_ms, expires_at_ms, .. } = link;
        LinkView { id, path, user, once, made_at_ms, expires_at_ms }
    };
    let links = app.links().of(&guid, clock::now_ms()).into_iter().map(view).collect();
    Ok(Json(LinkList { links }))
}

/// Revoke a link
#[utoipa::path(delete, path = "/api/v1/libraries/{guid}/links/{id}", tag = "links", params(("guid" = String, Path, description = "GUID or name"), ("id" = String, Path, description = "The link's id")), responses((status = 204, description = "It holds no more"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At((which, id)): At<(String, String)>,
) -> Answer<StatusCode> {
    let guid = allowed(&app, &caller, &which, Permission::LibraryWrite).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "link revoke", &id);
    let known = Arc::clone(&app);
    act.over(async {
        if !blocking(move || known.links().revoke(&guid, &id)).await?.map_err(refusal)? {
            return Err(Problem::not_found("there is no such link: it has ended, or was revoked")
                .code(Code::NoSuchLink));
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn refusal(fault: NoLink) -> Problem {
    let status = match fault {
        NoLink::Full => StatusCode::CONFLICT,
        NoLink::NoChance | NoLink::Disk => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, fault.to_string())
}
