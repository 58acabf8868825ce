//! The files of the page, which are in the binary. Invariant: the page loads nothing from elsewhere and runs nothing that is not one of these files.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use crate::problem::Problem;

/// A file of the page: its path, its type, its bytes.
type PageFile = (&'static str, &'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// A file of the page, or that there is none: asked for what no route has.
pub(crate) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let found = FILES.iter().find(|(known, ..)| *known == path);
    let Some((_, kind, bytes)) = found.filter(|_| matches!(method, Method::GET | Method::HEAD)) else {
        let message = "there is nothing here: GET /api/openapi.json lists what can be asked";
        return Problem::not_found(message).into_response();
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
