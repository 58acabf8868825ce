//! A folder as one ZIP file, made while it is sent. Invariant: few at once; nothing is compressed, so that a film costs no more than its bytes; names are
//! those of the library, below the folder; files whose bytes are elsewhere are named in a list at the end.

use std::io::{self, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use swarm_daemon::{LibraryFiles, OpenFiles};
use swarm_sync::TreePath;
use utoipa::IntoParams;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::disposition;
use crate::app::App;
use crate::auth::{Caller, Permission, Right};
use crate::code::Code;
use crate::extract::{Asked, At};
use crate::limits::{ABSENT_MAX, BLOCK_LEN, ENTRIES_MAX};
use crate::problem::{Answer, Problem};
use crate::routes::place_of;
use crate::sending::{Gone, Sending, streamed};

/// Which folder.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ZipQuery {
    /// A folder in the library; without it, all of it.
    path: Option<String>,
}

/// Get a folder as a ZIP file
#[utoipa::path(get, path = "/api/v1/libraries/{guid}/zip", tag = "files", params(("guid" = String, Path, description = "GUID or name"), ZipQuery), responses((status = 200, description = "The ZIP file", content_type = "application/zip", body = Vec<u8>), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn zip(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
    Asked(query): Asked<ZipQuery>,
) -> Answer<Response> {
    let files = app.library(&caller, &which, Permission::FilesRead).await?;
    let place = place_of(query.path.as_deref())?;
    zipped(&app, Right::of_user(&caller, Permission::FilesRead, &files), files, place, false)
}

/// A folder, or all of a library.
pub(super) fn zipped(
    app: &App,
    right: Right,
    files: LibraryFiles,
    place: Option<TreePath>,
    is_head: bool,
) -> Answer<Response> {
    let full = || {
        let message = "as many folders are sent already as may be, of yours or of all: try again in a moment";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(10).code(Code::Busy)
    };
    let slot = app.zips.take(&right.holder()).ok_or_else(full)?;
    let name =
        place.as_ref().map_or(files.name(), |place| place.as_str().rsplit('/').next().unwrap_or_default());
    let name = format!("{name}.zip");
    let answer = Response::builder()
        .header(header::CONTENT_TYPE, "application/zip")
        .header(header::CONTENT_DISPOSITION, disposition(&name, true));
    if is_head {
        return answer.body(super::empty()).map_err(|_| Problem::odd());
    }
    let (sending, body) = streamed(app, right);
    app.tasks.spawn_blocking(move || {
        let _slot = slot;
        // What fails, or panics, breaks the answer off: it has no length by which a client would see that.
        match write(&files, place.as_ref(), &sending) {
            Ok(()) => sending.finish(),
            Err(error) => tracing::debug!(%error, "a folder was not sent to the end"),
        }
    });
    answer.body(body).map_err(|_| Problem::odd())
}

fn write(files: &LibraryFiles, place: Option<&TreePath>, sending: &Sending) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(Sent { sending, block: Vec::with_capacity(BLOCK_LEN) });
    let (mut start, mut absent) = (None, Vec::new());
    loop {
        let is_file = |_: &TreePath, is_file: bool| is_file;
        let page = files.search(place, start.as_ref(), ENTRIES_MAX, &is_file).map_err(io::Error::other)?;
        for entry in &page.entries {
            let below = place.map_or(0, |place| place.as_str().len() + 1);
            let name = entry.path.get(below..).unwrap_or(&entry.path);
            if !add(&mut zip, files, &entry.path, name)? && absent.len() < ABSENT_MAX {
                absent.push(entry.path.clone());
            }
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    if !absent.is_empty() {
        zip.start_file("NOT HERE.txt", options())?;
        zip.write_all(b"The bytes of these files are on other machines:\n")?;
        zip.write_all(absent.join("\n").as_bytes())?;
    }
    zip.finish()?.into_inner().flush()
}

/// Whether the file is here.
fn add<W: Write>(
    zip: &mut ZipWriter<zip::write::StreamWriter<W>>,
    files: &LibraryFiles,
    path: &str,
    name: &str,
) -> io::Result<bool> {
    let Ok(path) = TreePath::new(path) else { return Ok(false) };
    let Ok(file) = files.open(&path, &OpenFiles::default()) else { return Ok(false) };
    zip.start_file(plain_name(name), options().large_file(file.len() >= u64::from(u32::MAX)))?;
    let (mut at, mut block) = (0, vec![0; BLOCK_LEN]);
    while at < file.len() {
        let read = file.read(at, &mut block).map_err(io::Error::other)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        zip.write_all(&block[..read])?;
        at += read as u64;
    }
    Ok(true)
}

/// A name in a ZIP that every system takes for what it is: one that has another meaning on some of them (`..\\a` leads out of the folder on Windows)
/// stands with `_` there.
fn plain_name(name: &str) -> String {
    let plain =
        |letter: char| if letter.is_control() || "\\:*?\"<>|".contains(letter) { '_' } else { letter };
    name.chars().map(plain).collect()
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// Sends what is written, a block at a time.
struct Sent<'a> {
    sending: &'a Sending,
    block: Vec<u8>,
}

impl Write for Sent<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_LEN {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_LEN));
        self.sending.send_blocking(Bytes::from(block)).map_err(|Gone| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_same_on_every_system() {
        let check = |name: &str, expected: &str| assert_eq!(plain_name(name), expected);
        check("films/a ü.mkv", "films/a ü.mkv");
        check("..\\..\\evil.bat", ".._.._evil.bat");
        check("c:a\n\u{85}b", "c_a__b");
    }
}
