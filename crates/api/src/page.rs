//! The files of the page, which are in the binary. Invariant: the page loads nothing from elsewhere and runs nothing that is not one of these files.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::app::App;
use crate::problem::Problem;

/// A file of the page: its path, its type, its bytes.
type PageFile = (&'static str, &'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The paths of the page.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(index)).route("/web/{*path}", get(file))
}

async fn index(headers: HeaderMap) -> Response {
    answer("index.html", &headers)
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer(&path, &headers)
}

fn answer(path: &str, headers: &HeaderMap) -> Response {
    let Some((_, kind, bytes)) = FILES.iter().find(|(known, ..)| *known == path) else {
        return Problem::not_found("the page has no such file").into_response();
    };
    let tag = format!("\"{}\"", &blake3::hash(bytes).to_hex()[..16]);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let common = [
        (header::ETAG, tag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, *kind)], *bytes).into_response()
}

/// What the page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
