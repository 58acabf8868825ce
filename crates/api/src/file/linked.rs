//! What a link leads to, for whoever has it. Invariant: a link that holds no more, and one that never was, look alike; what is for once shows a page
//! first, so that a preview in a chat costs nothing, and goes to one client at a time.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_core::Stream;
use serde::Deserialize;
use swarm_daemon::LibraryFiles;
use utoipa::IntoParams;

use super::{How, opened, respond, zipping};
use crate::app::App;
use crate::auth::{LibraryName, Permission, Right};
use crate::clock;
use crate::extract::{Asked, At};
use crate::html::{self, escaped};
use crate::links::{Link, no_link};
use crate::problem::{Answer, Problem};
use crate::routes::{blocking, path_of};

/// How a file is given.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinkQuery {
    /// To be stored, and not shown. A link for one download gives its bytes with this alone.
    download: Option<String>,
}

/// Get what a link leads to
///
/// Without a name here: the token proves it. A folder comes as a ZIP file. With `Range`, as `/file`. A link for one download shows a page with a
/// button first, and the bytes with `?download`.
#[utoipa::path(
    get, path = "/link/{token}/{name}", tag = "links",
    params(("token" = String, Path, description = "As the link has it"), ("name" = String, Path, description = "The name of the file, for people"), LinkQuery),
    responses(
        (status = 200, description = "All of it", content_type = "*/*", body = Vec<u8>),
        (status = 206, description = "Ranges of it", content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 416, description = "No range lies in it", body = Problem),
        (status = "default", description = "A problem", body = Problem)
    )
)]
pub(crate) async fn linked(
    State(app): State<Arc<App>>,
    method: Method,
    At(path): At<(String, String)>,
    Asked(query): Asked<LinkQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (id, link) = app.links().find(&path.0, clock::now_ms()).ok_or_else(no_link)?;
    let files = app.asker.files(&link.guid).await.map_err(|_| no_link())?;
    let library = LibraryName { name: files.name(), guid: files.guid() };
    let maker = app.user(&link.user).ok_or_else(no_link)?;
    if !maker.roles.may_in(Permission::LibraryWrite, &library) {
        return Err(no_link());
    }
    let is_download = query.download.is_some();
    let mut response = if link.once && !is_download {
        first_page(&link, files).await?
    } else if link.once {
        once(&app, &id, &link, &method, headers, files).await?
    } else {
        bytes(&app, (&id, &link), &method, &headers, is_download, files).await?
    };
    let answer = response.headers_mut();
    for (name, value) in HEADERS {
        answer.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

async fn bytes(
    app: &App,
    (id, link): (&str, &Link),
    method: &Method,
    headers: &HeaderMap,
    is_download: bool,
    files: LibraryFiles,
) -> Answer<Response> {
    let (path, right) = (path_of(&link.path)?, Right::of_link(id, link, &files));
    let looked = (files.clone(), path.clone());
    let entry = blocking(move || looked.0.entry(&looked.1)).await?;
    let entry = entry.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    if entry.is_some_and(|entry| entry.kind == "folder") {
        return zipping::zipped(app, right, files, Some(path), *method == Method::HEAD);
    }
    let how = How { right, method: method.clone(), name: name_of(&link.path).to_owned(), is_download };
    let file = opened(app, files, &path).await?;
    respond(app, how, headers, file)
}

/// The one download: to one client at a time, and counted when it came to its end.
async fn once(
    app: &Arc<App>,
    id: &str,
    link: &Link,
    method: &Method,
    mut headers: HeaderMap,
    files: LibraryFiles,
) -> Answer<Response> {
    // Of several parts it is not known what came: such a client gets all of it.
    if headers.get(header::RANGE).is_some_and(|range| range.as_bytes().contains(&b',')) {
        headers.remove(header::RANGE);
    }
    if *method == Method::HEAD {
        return bytes(app, (id, link), method, &headers, true, files).await;
    }
    let busy = || {
        let message = "this link is for one download, and somebody is getting it now";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(10)
    };
    let ticket = app.links().begin(id, clock::moment()).ok_or_else(busy)?;
    let mut counted =
        Counted { inner: None, app: Arc::clone(app), id: id.to_owned(), ticket, part: 0..0, len: u64::MAX };
    let response = bytes(app, (id, link), method, &headers, true, files).await?;
    // What is no part of the file is no download, whatever is said in its place.
    if !response.status().is_success() {
        return Ok(response);
    }
    (counted.part.start, counted.len) = place(response.headers());
    counted.part.end = counted.part.start;
    let (head, body) = response.into_parts();
    counted.inner = Some(body.into_data_stream());
    Ok(Response::from_parts(head, Body::from_stream(counted)))
}

/// Where a body begins in the file, and the length of that. A ZIP file is as long as it turns out to be.
fn place(headers: &HeaderMap) -> (u64, u64) {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let range = text(header::CONTENT_RANGE).and_then(|range| {
        let (range, len) = range.strip_prefix("bytes ")?.split_once('/')?;
        Some((range.split_once('-')?.0.parse().ok()?, len.parse().ok()?))
    });
    let whole = || Some((0, text(header::CONTENT_LENGTH)?.parse().ok()?));
    range.or_else(whole).unwrap_or((0, u64::MAX))
}

/// A body that says how much of it was taken.
struct Counted {
    inner: Option<BodyDataStream>,
    app: Arc<App>,
    id: String,
    ticket: u64,
    part: Range<u64>,
    len: u64,
}

impl Stream for Counted {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(bytes))) => {
                let len = bytes.len() as u64;
                if !self.app.links().goes_on(&self.id, self.ticket, clock::moment()) {
                    let lost = std::io::Error::other("this link went to another client, or was revoked");
                    return Poll::Ready(Some(Err(axum::Error::new(lost))));
                }
                self.part.end += len;
            }
            // What has no length known before ends where it ends, unless it broke off.
            Poll::Ready(None) if self.len == u64::MAX => self.len = self.part.end,
            _ => {}
        }
        polled
    }
}

impl Drop for Counted {
    /// With the last bytes the link ends, which is written to the disk.
    fn drop(&mut self) {
        let (app, id) = (Arc::clone(&self.app), std::mem::take(&mut self.id));
        let (ticket, part, len) = (self.ticket, self.part.clone(), self.len);
        let over = move || app.links().over(&id, ticket, part, len);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(self.app.tasks.spawn_blocking_on(over, &runtime)),
            Err(_) => over(),
        }
    }
}

/// What a link for one download shows first.
async fn first_page(link: &Link, files: LibraryFiles) -> Answer<Response> {
    let path = path_of(&link.path)?;
    let entry = blocking(move || files.entry(&path)).await?;
    let entry =
        entry.map_err(|error| Problem::of(error.category(), error.to_string()))?.ok_or_else(no_link)?;
    let name = escaped(name_of(&link.path));
    let size =
        if entry.kind == "folder" { "folder, as a ZIP file".to_owned() } else { html::size(entry.len) };
    let body = format!(
        "<main class=\"one\"><h1>{name}</h1><p>{size}</p><p><a class=\"get\" href=\"?download\">Download</a></p>\
         <p class=\"note\">This link is for one download. Opening this page does not use it up.</p></main>"
    );
    Ok(html::page(&name, &body, "noindex, nofollow").into_response())
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Said with each answer of a link: no search engine keeps it, no cache gives it to others, no page that it leads to learns it.
const HEADERS: [(HeaderName, &str); 3] = [
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow, noarchive"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "private, no-store"),
];
