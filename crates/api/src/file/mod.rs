//! The bytes of files. `range` reads what a client asks for, `kind` names what a file is, `copies` gives versions, `zipping` packs a folder. Invariant: a byte is sent only once it
//! was verified; a range is of the version that the ETag names, or the whole file is sent.

mod body;
mod copies;
mod kind;
mod linked;
mod public;
mod range;
mod resumable;
mod upload;
mod zipping;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use swarm_daemon::{LibraryFiles, OpenFile, ReadError};
use swarm_sync::TreePath;
use utoipa::IntoParams;

use crate::app::App;
use crate::auth::{Caller, Permission, Right};
use crate::code::Code;
use crate::extract::{Asked, At};
use crate::problem::{Answer, Problem};
use crate::routes::{blocking, path_of};

pub(crate) use kind::Kind;
pub(crate) use linked::{__path_linked, linked};
pub(crate) use public::{__path_listing, __path_public_file, __path_robots, listing, public_file, robots};
use range::{Range, Ranges};
pub(crate) use resumable::{
    __path_append_to_upload, __path_begin_upload, __path_cancel_upload, __path_upload_state, __path_uploads,
    append_to_upload, begin_upload, cancel_upload, upload_state, uploads,
};
pub(crate) use upload::{__path_put, no_room, put};
pub(crate) use zipping::{__path_zip, zip};

/// How a file is given.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileQuery {
    /// To be stored, and not shown.
    download: Option<String>,
    /// A kept version: the run that replaced or deleted it.
    version: Option<String>,
    /// A side of the conflict at the path: `local` or `remote`.
    side: Option<String>,
}

/// Get a file
///
/// With `Range` (several ranges come as `multipart/byteranges`), `If-Range`, `If-Match`, `If-None-Match`; the ETag is the BLAKE3 of the file.
#[utoipa::path(
    get, path = "/file/{guid}/{path}", tag = "files",
    params(("guid" = String, Path, description = "GUID or name of the library"), ("path" = String, Path, description = "In the library, as in `video/a.mov`"), FileQuery),
    responses(
        (status = 200, description = "All of it", content_type = "*/*", body = Vec<u8>),
        (status = 206, description = "Ranges of it", content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 416, description = "No range lies in it", body = Problem),
        (status = "default", description = "A problem", body = Problem)
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    method: Method,
    At((which, path)): At<(String, String)>,
    Asked(query): Asked<FileQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    // What was replaced or deleted is history, and not what the library has.
    let is_history = query.version.is_some() || query.side.is_some();
    let needed = if is_history { Permission::LibraryRead } else { Permission::FilesRead };
    let files = app.library(&caller, &which, needed).await?;
    let path = path_of(&path)?;
    let name = path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let right = Right::of_user(&caller, needed, &files);
    let how = How { right, method, name, is_download: query.download.is_some() };
    if is_history {
        return match (query.version, query.side) {
            (Some(run), _) => copies::version(&app, files.guid(), &path, &run, how).await,
            (None, side) => {
                let side = side.unwrap_or_default();
                copies::conflict_side(&app, files.guid(), &path, &side, how).await
            }
        };
    }
    let file = opened(&app, files, &path).await?;
    respond(&app, how, &headers, file)
}

/// How a file is given, and by what right.
struct How {
    right: Right,
    method: Method,
    name: String,
    is_download: bool,
}

/// The file at a path.
async fn opened(app: &App, files: LibraryFiles, path: &TreePath) -> Answer<OpenFile> {
    let (open, path) = (Arc::clone(&app.open_files), path.clone());
    blocking(move || files.open(&path, &open)).await?.map_err(refusal)
}

fn refusal(error: ReadError) -> Problem {
    let detail = error.to_string();
    match error {
        ReadError::Missing(path) => Problem::not_found(detail).code(Code::NoSuchFile).with("path", path),
        ReadError::NotHere(path) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5);
            problem.code(Code::NotHere).with("path", path)
        }
        ReadError::NoTarget => Problem::of(error.category(), detail).code(Code::NoTarget),
        ReadError::ReadOnly(ref path) => {
            let path = path.clone();
            Problem::of(error.category(), detail).code(Code::ReadOnly).with("path", path)
        }
        error => Problem::of(error.category(), detail),
    }
}

fn respond(app: &App, how: How, headers: &HeaderMap, file: OpenFile) -> Answer<Response> {
    let etag = format!("\"{}\"", file.hash());
    let modified = u64::try_from(file.modified_ns() / 1_000_000_000).ok();
    let modified = modified.map(|secs| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs)));
    let disposition = disposition(&how.name, how.is_download || !Kind::is_shown(&how.name));
    // In the order of RFC 9110, section 13.2.2.
    let mut response = if headers.contains_key(header::IF_MATCH) && !is_matched(headers, &etag) {
        let message = "the file is not the version that If-Match names: ask without it for the present one";
        Problem::new(StatusCode::PRECONDITION_FAILED, message).into_response()
    } else if has_tag(headers, header::IF_NONE_MATCH, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // Ranges are of GET alone (section 14.2).
        let ranges =
            if how.method == Method::GET { asked_ranges(headers, &etag, file.len()) } else { Ranges::All };
        body::response(app, how, ranges, file)?
    };
    let answer = response.headers_mut();
    let set = |answer: &mut HeaderMap, name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.insert(name, value);
        }
    };
    set(answer, header::ETAG, &etag);
    set(answer, header::ACCEPT_RANGES, "bytes");
    // A file may change at any time: a cache asks, and is told 304.
    set(answer, header::CACHE_CONTROL, "private, no-cache");
    if let Some(modified) = modified {
        set(answer, header::LAST_MODIFIED, &modified);
    }
    set(answer, header::CONTENT_DISPOSITION, &disposition);
    Ok(response)
}

/// What the client wants of the file. A condition that does not hold, or that is no strong tag, makes it the whole file (RFC 9110, section 13.1.5).
fn asked_ranges(headers: &HeaderMap, etag: &str, len: u64) -> Ranges {
    let holds = match headers.get(header::IF_RANGE) {
        Some(condition) => condition.as_bytes() == etag.as_bytes(),
        None => true,
    };
    match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if holds => Ranges::parse(range, len),
        _ => Ranges::All,
    }
}

fn has_tag(headers: &HeaderMap, name: header::HeaderName, etag: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether the condition If-Match holds: a weak tag names no version (RFC 9110, section 13.1.1).
fn is_matched(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag == etag)
}

/// Whether it is shown or stored, and under which name (RFC 6266).
fn disposition(name: &str, is_download: bool) -> String {
    let kind = if is_download { "attachment" } else { "inline" };
    let plain = |letter: char| {
        if letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%') || letter == ' ' {
            letter
        } else {
            '_'
        }
    };
    let ascii: String = name.chars().map(plain).collect();
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}", encoded(name))
}

/// A name as it stands in an address (RFC 3986, section 2.1).
pub(crate) fn encoded(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn multipart_type(boundary: &str) -> String {
    format!("multipart/byteranges; boundary={boundary}")
}

fn content_range(range: Range, len: u64) -> String {
    format!("bytes {}-{}/{len}", range.first, range.last)
}

fn empty() -> Body {
    Body::empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_header_or_lose_its_letters() {
        let check = |name: &str, expected: &str| assert_eq!(disposition(name, true), expected);
        check("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        check("ä\"\r\n.txt", "attachment; filename=\"____.txt\"; filename*=UTF-8''%C3%A4%22%0D%0A.txt");
    }

    #[test]
    fn a_range_is_only_of_the_version_that_the_client_knows() {
        let check = |if_range: Option<&str>, expected: Ranges| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static("bytes=1-2"));
            if let Some(condition) = if_range {
                headers.insert(header::IF_RANGE, HeaderValue::from_str(condition).expect("valid"));
            }
            assert_eq!(asked_ranges(&headers, "\"tag\"", 9), expected, "{if_range:?}");
        };
        let some = || Ranges::Some(vec![Range { first: 1, last: 2 }]);
        check(None, some());
        check(Some("\"tag\""), some());
        check(Some("\"other\""), Ranges::All);
        check(Some("W/\"tag\""), Ranges::All);
        check(Some("Wed, 21 Oct 2026 07:28:00 GMT"), Ranges::All);
    }
}
