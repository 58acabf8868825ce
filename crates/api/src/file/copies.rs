//! What a path had, for one answer: kept versions, sent from where they stand, and sides of conflicts, copied first. Invariant: of a side nothing is sent
//! unless all of it is what the conflict names; a copy goes with its answer, few are made at once, and none for which the disk has no room. A
//! client that asks for the head alone has nothing copied or read.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use swarm_core::base::Category;
use swarm_daemon::{Past, PastFile};
use swarm_sync::{ContentHash, RunId, TreePath};

use super::{How, Kind, body, disposition, empty};
use crate::app::App;
use crate::code::Code;
use crate::limits::{BLOCK_LEN, SIDE_LEN_MAX};
use crate::problem::{Answer, Problem};
use crate::routes::blocking;
use crate::scratch::Scratch;

/// A kept version, whole.
pub(super) async fn version(
    app: &App,
    library: &str,
    path: &TreePath,
    run: &str,
    how: How,
) -> Answer<Response> {
    let run = RunId::parse(run).map_err(|error| Problem::bad(error.to_string()))?;
    let file = app.asker.past(library, path, Past::Version(run)).await?.ok_or_else(Problem::odd)?;
    let (len, head) = (file.len(), head(&how, file.len(), None)?);
    let body = if how.method == Method::HEAD { empty() } else { body::of_past(app, how.right, file, len) };
    head.body(body).map_err(|_| Problem::odd())
}

/// One side of a conflict, whole.
pub(super) async fn conflict_side(
    app: &Arc<App>,
    library: &str,
    path: &TreePath,
    side: &str,
    how: How,
) -> Answer<Response> {
    let is_local = match side {
        "local" => true,
        "remote" => false,
        _ => return Err(Problem::bad("a side of a conflict is `local` or `remote`")),
    };
    let on_their_way = || {
        let message = "the bytes of that side are on their way: ask again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(2).code(Code::SideComes)
    };
    let file = app.asker.past(library, path, Past::Side { is_local }).await?.ok_or_else(on_their_way)?;
    let hash = file.hash().ok_or_else(Problem::odd)?;
    let (len, head) = (file.len(), head(&how, file.len(), Some(&hash))?);
    if how.method == Method::HEAD {
        return head.body(empty()).map_err(|_| Problem::odd());
    }
    if len > SIDE_LEN_MAX {
        return Err(Problem::bad("that side is too long to be looked at: decide, and open the file")
            .code(Code::SideTooLong));
    }
    let (known, whose) = (Arc::clone(app), how.right.holder());
    let (file, place) = blocking(move || copied(&known, &whose, file, hash)).await??;
    head.body(body::of_file(app, how.right, (file, len), place)).map_err(|_| Problem::odd())
}

fn head(how: &How, len: u64, hash: Option<&ContentHash>) -> Answer<axum::http::response::Builder> {
    let is_download = how.is_download || !Kind::is_shown(&how.name);
    let mut head = Response::builder()
        .header(header::CONTENT_TYPE, Kind::content_type(&how.name))
        .header(header::CONTENT_LENGTH, len)
        .header(header::CONTENT_DISPOSITION, disposition(&how.name, is_download));
    if let Some(hash) = hash {
        let tag = HeaderValue::from_str(&format!("\"{hash}\"")).map_err(|_| Problem::odd())?;
        head = head.header(header::ETAG, tag);
    }
    Ok(head)
}

/// A copy that nobody else sees, proven, and its place, to be held for as long as it is read. Blocks.
fn copied(
    app: &App,
    whose: &str,
    mut file: PastFile,
    hash: ContentHash,
) -> Answer<(File, impl Send + use<>)> {
    let full = || {
        let message =
            "as many copies of versions are sent already as may be, to you or to all: try again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(10).code(Code::Busy)
    };
    let disk = |error: std::io::Error| Problem::of(Category::Disk, error.to_string());
    let out: Scratch = app.scratches.begin(whose).map_err(disk)?.ok_or_else(full)?;
    // Each copy that is made or sent may become as long as one can be.
    let free = swarm_files::free_len(app.scratches.folder()).unwrap_or(u64::MAX);
    let needed = SIDE_LEN_MAX * app.scratches.taken() as u64 + app.known().min_free;
    if free < needed {
        let message = "the disk of this machine has no room for a copy of that side";
        return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, message).code(Code::NoRoom));
    }
    let mut copy = File::create_new(out.path()).map_err(disk)?;
    let (mut hasher, mut at, mut block) = (blake3::Hasher::new(), 0, vec![0; BLOCK_LEN]);
    let changed = || {
        let message = "that side has just changed, or cannot be read: look again";
        Problem::new(StatusCode::CONFLICT, message)
    };
    while at < file.len() {
        let read = file.read(at, &mut block).ok().filter(|read| *read > 0).ok_or_else(changed)?;
        hasher.update(&block[..read]);
        copy.write_all(&block[..read]).map_err(disk)?;
        at += read as u64;
    }
    if at != file.len() || *hasher.finalize().as_bytes() != hash.0 {
        return Err(changed());
    }
    out.open().map_err(disk)
}
