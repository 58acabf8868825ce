//! Bodies of answers with bytes of files: a thread reads and verifies the next block while the last one is sent. Invariant: when bytes turn out not to
//! be those of the file, or the client may not have them any more, the answer breaks off.

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use swarm_daemon::{OpenFile, PastFile};

use super::range::{Range, Ranges};
use super::{How, Kind, content_range, empty, multipart_type};
use crate::app::App;
use crate::auth::Right;
use crate::limits::BLOCK_LEN;
use crate::problem::{Answer, Problem};
use crate::sending::streamed;

/// The answer with what a client asks for.
pub(super) fn response(app: &App, how: How, ranges: Ranges, file: OpenFile) -> Answer<Response> {
    let (len, kind) = (file.len(), Kind::content_type(&how.name));
    let is_head = how.method == Method::HEAD;
    let builder = Response::builder();
    let built = match ranges {
        Ranges::None => {
            let mut refusal = axum::response::IntoResponse::into_response(Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("the file has {len} bytes"),
            ));
            let whole = HeaderValue::from_str(&format!("bytes */{len}")).map_err(|_| Problem::odd())?;
            refusal.headers_mut().insert(header::CONTENT_RANGE, whole);
            return Ok(refusal);
        }
        Ranges::All => {
            let parts = if len == 0 { Vec::new() } else { vec![Part::of(Range { first: 0, last: len - 1 })] };
            let body = if is_head { empty() } else { of_parts(app, how.right, file, parts) };
            builder.header(header::CONTENT_TYPE, kind).header(header::CONTENT_LENGTH, len).body(body)
        }
        Ranges::Some(ranges) if ranges.len() == 1 => {
            let range = ranges[0];
            let body = if is_head { empty() } else { of_parts(app, how.right, file, vec![Part::of(range)]) };
            builder
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_TYPE, kind)
                .header(header::CONTENT_LENGTH, range.len())
                .header(header::CONTENT_RANGE, content_range(range, len))
                .body(body)
        }
        Ranges::Some(ranges) => {
            let boundary = crate::chance::secret().ok_or_else(Problem::odd)?;
            let parts = parts(&ranges, kind, len, &boundary);
            let sum: u64 = parts.iter().map(Part::len).sum();
            let body = if is_head { empty() } else { of_parts(app, how.right, file, parts) };
            builder
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_TYPE, multipart_type(&boundary))
                .header(header::CONTENT_LENGTH, sum)
                .body(body)
        }
    };
    built.map_err(|_| Problem::odd())
}

/// Something to send: a text, then a range of the file.
struct Part {
    head: String,
    range: Option<Range>,
}

impl Part {
    fn of(range: Range) -> Self {
        Self { head: String::new(), range: Some(range) }
    }

    fn len(&self) -> u64 {
        self.head.len() as u64 + self.range.map_or(0, Range::len)
    }
}

/// The parts of `multipart/byteranges` (RFC 9110, section 14.6).
fn parts(ranges: &[Range], kind: &str, len: u64, boundary: &str) -> Vec<Part> {
    let part = |(number, range): (usize, &Range)| {
        let line = if number == 0 { "" } else { "\r\n" };
        let head = format!(
            "{line}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {}\r\n\r\n",
            content_range(*range, len)
        );
        Part { head, range: Some(*range) }
    };
    let last = Part { head: format!("\r\n--{boundary}--\r\n"), range: None };
    ranges.iter().enumerate().map(part).chain([last]).collect()
}

fn of_parts(app: &App, right: Right, file: OpenFile, parts: Vec<Part>) -> Body {
    let (file, blocks) = (Arc::new(file), Blocks::default());
    let (sending, body) = streamed(app, right);
    app.tasks.spawn(async move {
        for part in parts {
            if !part.head.is_empty() {
                sending.send(Bytes::from(part.head)).await.ok()?;
            }
            let Some(range) = part.range else { continue };
            let (mut at, end) = (range.first, range.last + 1);
            while at < end {
                let len = usize::try_from(end - at).unwrap_or(BLOCK_LEN).min(BLOCK_LEN);
                let block =
                    next_block(&file, &blocks, at, len).await.ok().filter(|block| !block.is_empty())?;
                at += block.len() as u64;
                sending.send(block).await.ok()?;
            }
        }
        sending.finish();
        Some(())
    });
    body
}

/// Reads and verifies a block on a thread.
async fn next_block(file: &Arc<OpenFile>, blocks: &Blocks, at: u64, len: usize) -> io::Result<Bytes> {
    let (file, mut block) = (Arc::clone(file), blocks.take());
    let read = tokio::task::spawn_blocking(move || {
        file.read(at, &mut block.bytes[..len]).map(|read| Bytes::from_owner(block).slice(..read))
    });
    let read = read.await.map_err(io::Error::other)?;
    read.map_err(|error| {
        tracing::warn!(%error, "a file cannot be sent to the end");
        io::Error::other(error)
    })
}

/// All of a file of so many bytes that a path had.
pub(super) fn of_past(app: &App, right: Right, file: PastFile, len: u64) -> Body {
    let (sending, body) = streamed(app, right);
    app.tasks.spawn(async move {
        let (mut file, mut at) = (file, 0);
        while at < len {
            let read = tokio::task::spawn_blocking(move || {
                let mut block = vec![0; BLOCK_LEN.min(usize::try_from(len - at).unwrap_or(BLOCK_LEN))];
                let read = file.read(at, &mut block);
                (file, read.map(|read| Bytes::from(block).slice(..read)))
            });
            let (same, read) = read.await.ok()?;
            let read =
                read.inspect_err(|error| tracing::warn!(%error, "a version cannot be sent to the end"));
            let block = read.ok().filter(|block| !block.is_empty())?;
            at += block.len() as u64;
            sending.send(block).await.ok()?;
            file = same;
        }
        sending.finish();
        Some(())
    });
    body
}

/// All of a file that is open. `place` is let go of when that is over.
pub(super) fn of_file(
    app: &App,
    right: Right,
    (file, len): (std::fs::File, u64),
    place: impl Send + 'static,
) -> Body {
    let (sending, body) = streamed(app, right);
    let file = Arc::new(file);
    app.tasks.spawn(async move {
        let _place = place;
        let mut left = len;
        while left > 0 {
            let file = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || {
                let mut block = vec![0; BLOCK_LEN];
                (&*file).read(&mut block).map(|read| {
                    block.truncate(read);
                    Bytes::from(block)
                })
            });
            let block = read.await.ok()?.ok().filter(|block| !block.is_empty())?;
            left = left.saturating_sub(block.len() as u64);
            sending.send(block).await.ok()?;
        }
        sending.finish();
        Some(())
    });
    body
}

/// Blocks of one answer: what was sent is used again.
#[derive(Clone, Default)]
struct Blocks(Arc<Mutex<Vec<Vec<u8>>>>);

/// A block, which goes back when nobody holds it any more.
struct Block {
    bytes: Vec<u8>,
    blocks: Blocks,
}

impl Blocks {
    fn take(&self) -> Block {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Block { bytes: free.unwrap_or_else(|| vec![0; BLOCK_LEN]), blocks: self.clone() }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.blocks.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}
