//! `files-local.json`: what this node has, for people and tools. Written in one pass with a line for each file: memory does not
//! depend on their number. Never read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use schemars::JsonSchema;

use crate::disk::Replacement;
use crate::json::quoted;

/// A file that this node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile<'a> {
    /// In the library, as in `/video/a.mov`.
    pub path: Cow<'a, str>,
    /// Bytes.
    pub length: u64,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    /// `None` if it is not known yet.
    pub sha256: Option<[u8; 32]>,
    /// Of the whole file.
    pub blake3: [u8; 32],
}

/// What this node has, by name of library. Written by the daemon, never read.
#[derive(JsonSchema)]
#[schemars(title = "files-local.json", transparent)]
#[expect(dead_code, reason = "read by schemars alone")]
pub(crate) struct FileFilesLocal(BTreeMap<String, Vec<FileLocalFile>>);

#[derive(JsonSchema)]
#[schemars(rename = "file")]
#[expect(dead_code, reason = "read by schemars alone")]
struct FileLocalFile {
    /// In the library, as in "/video/a.mov".
    path: String,
    /// Bytes.
    length: u64,
    /// When it was modified, in UTC, as in "2026-01-31T12:00:00.5Z".
    mtime: String,
    /// SHA-256 in hex; null if it is not known yet.
    sha256: Option<String>,
    /// BLAKE3 in hex.
    blake3: String,
}

/// Writes the file. Of an error in the entries or on the disk the old file stays.
pub(crate) fn write<'a, F>(
    path: &Path,
    libraries: impl IntoIterator<Item = (impl AsRef<str>, F)>,
) -> io::Result<()>
where
    F: IntoIterator<Item = io::Result<LocalFile<'a>>>,
{
    let mut replacement = Replacement::begin(path, false)?;
    let mut out = BufWriter::new(replacement.file());
    out.write_all(b"{")?;
    for (nth, (name, files)) in libraries.into_iter().enumerate() {
        let comma = if nth == 0 { "" } else { "," };
        write!(out, "{comma}\n  {}: [", quoted(name.as_ref()))?;
        let mut is_empty = true;
        for file in files {
            out.write_all(if is_empty { b"\n" } else { b",\n" })?;
            is_empty = false;
            write_file(&mut out, &file?)?;
        }
        out.write_all(if is_empty { b"]" } else { b"\n  ]" })?;
    }
    out.write_all(b"\n}\n")?;
    out.flush()?;
    drop(out);
    replacement.finish()
}

fn write_file(out: &mut impl io::Write, file: &LocalFile<'_>) -> io::Result<()> {
    let LocalFile { path, length, mtime_ns, sha256, blake3 } = file;
    // 64 bits of nanoseconds are the years 1677 to 2262.
    let mtime = jiff::Timestamp::from_nanosecond(i128::from(*mtime_ns)).unwrap_or_default();
    let sha256 = sha256.map_or("null".to_owned(), |digest| quoted(&HEXLOWER.encode(&digest)));
    let (path, blake3) = (quoted(path), HEXLOWER.encode(blake3));
    write!(
        out,
        "    {{\"path\": {path}, \"length\": {length}, \"mtime\": \"{mtime}\", \"sha256\": {sha256}, \"blake3\": \"{blake3}\"}}"
    )
}
