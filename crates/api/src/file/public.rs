//! Libraries that their admin made public: listings and files for everybody, read-only. Invariant: only what the settings name as public is shown, and
//! never a sealed library; nothing of the team is told: no authors, peers, users, votes, or other libraries. One address asks so often and no more.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use swarm_daemon::{EntriesPage, EntryView, LibraryFiles};
use swarm_daemon_files::Public;
use utoipa::IntoParams;

use super::{How, encoded, has_tag, opened, respond};
use crate::app::App;
use crate::auth::Right;
use crate::extract::{Asked, At};
use crate::html::{self, escaped};
use crate::limits::PUBLIC_ROWS;
use crate::problem::{Answer, Problem};
use crate::routes::{blocking, path_of, place_of};

/// Which part of the listing.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PublicQuery {
    /// A folder; without it the top.
    place: Option<String>,
    /// Go on after this path.
    start: Option<String>,
}

/// What robots may read
///
/// Nothing, but public libraries whose settings say `"indexed"`.
#[utoipa::path(get, path = "/robots.txt", tag = "public", responses((status = 200, description = "The rules", content_type = "text/plain", body = String), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn robots(State(app): State<Arc<App>>) -> Response {
    let known = app.known();
    let indexed = known.public.iter().filter(|(_, public)| **public == Public::Indexed);
    let mut text = "User-agent: *\n".to_owned();
    for (guid, _) in indexed {
        text.extend(["Allow: /public/", guid, "/\n"]);
    }
    text.push_str("Disallow: /\n");
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, CACHED)];
    (headers, text).into_response()
}

/// Look at a public library
///
/// A page for people, without scripts. Only libraries that the settings name as public are there.
#[utoipa::path(get, path = "/public/{guid}/", tag = "public", params(("guid" = String, Path, description = "GUID"), PublicQuery), responses((status = 200, description = "A listing", content_type = "text/html", body = String), (status = 304, description = "The client has it"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn listing(
    State(app): State<Arc<App>>,
    from: ConnectInfo<std::net::SocketAddr>,
    At(guid): At<String>,
    Asked(query): Asked<PublicQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (files, public) = public(&app, &from, &guid).await?;
    let name = files.name().to_owned();
    let place = place_of(query.place.as_deref())?;
    let start = place_of(query.start.as_deref())?;
    let at = place.clone();
    let page = blocking(move || {
        let is_folder = match &at {
            Some(at) => files.entry(at)?.is_some_and(|entry| entry.kind == "folder"),
            None => true,
        };
        let page =
            if is_folder { Some(files.children(at.as_ref(), start.as_ref(), PUBLIC_ROWS)?) } else { None };
        Ok::<_, swarm_daemon::ReadError>(page)
    });
    let page = page.await?.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    let page = page.ok_or_else(|| Problem::not_found("the library has no such folder"))?;
    let place = place.as_ref().map_or("", |place| place.as_str());
    let body = body(&guid, &name, place, &page);
    let tag = format!("\"{}\"", &blake3::hash(body.as_bytes()).to_hex()[..32]);
    let mut response = if has_tag(&headers, header::IF_NONE_MATCH, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let robots = if public == Public::Indexed { "index, follow" } else { "noindex, nofollow" };
        html::page(&escaped(&name), &body, robots).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(for_everybody(response, public))
}

/// Get a file of a public library
///
/// With `Range`, as `/file`.
#[utoipa::path(
    get, path = "/public/{guid}/file/{path}", tag = "public",
    params(("guid" = String, Path, description = "GUID"), ("path" = String, Path, description = "In the library, as in `video/a.mov`")),
    responses(
        (status = 200, description = "All of it", content_type = "*/*", body = Vec<u8>),
        (status = 206, description = "Ranges of it", content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 416, description = "No range lies in it", body = Problem),
        (status = "default", description = "A problem", body = Problem)
    )
)]
pub(crate) async fn public_file(
    State(app): State<Arc<App>>,
    from: ConnectInfo<std::net::SocketAddr>,
    method: Method,
    At((guid, path)): At<(String, String)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (files, public) = public(&app, &from, &guid).await?;
    let path = path_of(&path)?;
    let name = path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let file = opened(&app, files, &path).await?;
    let how = How { right: Right::Public { guid }, method, name, is_download: false };
    let response = respond(&app, how, &headers, file)?;
    Ok(for_everybody(response, public))
}

/// The library, if everybody may see it and this address did not ask too often.
async fn public(
    app: &App,
    from: &ConnectInfo<std::net::SocketAddr>,
    guid: &str,
) -> Answer<(LibraryFiles, Public)> {
    if let Err(wait) = app.rates.take(from.0.ip()) {
        let message = format!("your address asks too often: try again in {wait} s");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(wait));
    }
    let nothing = || Problem::not_found("there is nothing here for everybody");
    let public = app.known().public.get(guid).copied().ok_or_else(nothing)?;
    let files = app.asker.files(guid).await.map_err(|_| nothing())?;
    if files.is_sealed() || files.guid() != guid {
        return Err(nothing());
    }
    Ok((files, public))
}

fn for_everybody(mut response: Response, public: Public) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    if public != Public::Indexed {
        headers.insert(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    }
    response
}

fn body(guid: &str, name: &str, place: &str, page: &EntriesPage) -> String {
    let rows: String = page.entries.iter().map(|entry| row(guid, entry)).collect();
    let next = page.next.as_ref().map(|next| {
        let query = format!("?place={}&amp;start={}", encoded(place), encoded(next.as_str()));
        format!("<p><a href=\"/public/{guid}/{query}\">More</a></p>")
    });
    let empty = if rows.is_empty() { "<p class=\"note\">Nothing is here.</p>" } else { "" };
    format!(
        "<main><h1>{}</h1>{}<table><thead><tr><th>Name</th><th class=\"n\">Size</th><th class=\"n d\">Changed</th></tr></thead><tbody>{rows}</tbody></table>{empty}{}</main>",
        escaped(name),
        trail(guid, name, place),
        next.unwrap_or_default()
    )
}

/// The way from the top to the folder, as links.
fn trail(guid: &str, name: &str, place: &str) -> String {
    if place.is_empty() {
        return String::new();
    }
    let mut out = format!("<nav aria-label=\"Folders\"><a href=\"/public/{guid}/\">{}</a>", escaped(name));
    let parts: Vec<&str> = place.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        let (whole, part) = (parts[..=index].join("/"), escaped(part));
        let link = format!(" / <a href=\"/public/{guid}/?place={}\">{part}</a>", encoded(&whole));
        out.push_str(&if index + 1 == parts.len() {
            format!(" / <span aria-current=\"page\">{part}</span>")
        } else {
            link
        });
    }
    out + "</nav>"
}

/// A row, with the way to what it names.
fn row(guid: &str, entry: &EntryView) -> String {
    let name = escaped(entry.path.rsplit('/').next().unwrap_or(&entry.path));
    let path: Vec<String> = entry.path.split('/').map(encoded).collect();
    let (shown, size) = match entry.kind.as_str() {
        "folder" => {
            (format!("<a href=\"/public/{guid}/?place={}\">{name}/</a>", encoded(&entry.path)), String::new())
        }
        "file" if entry.is_here => {
            (format!("<a href=\"/public/{guid}/file/{}\">{name}</a>", path.join("/")), html::size(entry.len))
        }
        "file" => (format!("{name} <span class=\"note\">(not here yet)</span>"), html::size(entry.len)),
        _ => (name, String::new()),
    };
    format!(
        "<tr><td>{shown}</td><td class=\"n\">{size}</td><td class=\"n d\">{}</td></tr>",
        date(entry.modified_ns)
    )
}

/// A day, as in `06 Nov 1994`; nothing where no time is known.
fn date(modified_ns: i64) -> String {
    let Some(secs) = u64::try_from(modified_ns / 1_000_000_000).ok().filter(|secs| *secs > 0) else {
        return String::new();
    };
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs));
    text.get(5..16).unwrap_or_default().to_owned()
}

const CACHED: &str = "public, max-age=60";
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
