//! Files that only this user reads: keys. Invariant: a file is whole or not there.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::ApiError;
use crate::limits::PRIVATE_FILE_LEN_MAX;

/// What a file has; if it is not there, it is made with what `make` gives.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> Option<Vec<u8>>) -> Result<Vec<u8>, ApiError> {
    if let Some(bytes) = read(path)? {
        return Ok(bytes);
    }
    let bytes = make().ok_or(ApiError::NoChance)?;
    write(path, &bytes)?;
    Ok(bytes)
}

/// What a file has, if it is there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, ApiError> {
    let mut bytes = Vec::new();
    let opened = OpenOptions::new().read(true).open(path);
    match opened.and_then(|file| file.take(PRIVATE_FILE_LEN_MAX as u64).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path, source)),
    }
}

/// Puts a file there, whole.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ApiError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        // Without this a power cut brings the file before it back.
        path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    write().map_err(|source| failed("write", path, source))
}

fn failed(op: &'static str, path: &Path, source: io::Error) -> ApiError {
    ApiError::File { path: path.to_owned(), op, source }
}
