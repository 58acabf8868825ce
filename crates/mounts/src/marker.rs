//! The marker of a sync target: `.swarm/mount`, with the GUID of its library. A target without one may be an empty mount point, so it is
//! not used. Opening an overlay only reads the marker; whoever decides that a folder becomes a target writes it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use swarm_core::base::Shown;
use swarm_sync::{ReplicaError, STATE_FOLDER_NAME};

use crate::OverlayError;
use crate::limits::MARKER_LEN_MAX;

/// Makes a folder, if it is missing, and marks it as the sync target of a library. Does nothing if it is that already.
///
/// # Errors
/// [`OverlayError::OtherLibrary`] if it is the target of another library.
pub fn mark_target(dir: &Path, guid: &str) -> Result<(), OverlayError> {
    match read(dir)? {
        Some(found) if found == guid => return Ok(()),
        Some(found) => return Err(OverlayError::OtherLibrary { dir: dir.to_owned(), guid: found }),
        None => {}
    }
    let path = path(dir);
    write(&path, guid).map_err(|source| OverlayError::Marker { path, op: "write", source })
}

/// Checks that a folder is the sync target of this library.
pub(crate) fn check(dir: &Path, guid: &str) -> Result<(), OverlayError> {
    match read(dir)? {
        Some(found) if found == guid => Ok(()),
        Some(found) => Err(OverlayError::OtherLibrary { dir: dir.to_owned(), guid: found }),
        None => Err(OverlayError::Mount { dir: dir.to_owned(), error: lost(dir) }),
    }
}

/// The same while the target is in use.
pub(crate) fn check_again(dir: &Path, guid: &str) -> Result<(), ReplicaError> {
    match check(dir, guid) {
        Ok(()) => Ok(()),
        Err(OverlayError::Mount { error, .. }) => Err(error),
        Err(error) => Err(ReplicaError::Gone(error.to_string())),
    }
}

fn lost(dir: &Path) -> ReplicaError {
    let (dir, marker) = (Shown(dir), Shown(Path::new(STATE_FOLDER_NAME).join(MARKER)).to_string());
    ReplicaError::Gone(format!(
        "`{dir}` has no `{marker}`: mount its disk; if it is lost, choose another folder"
    ))
}

/// The GUID in the marker; `None` if there is none.
fn read(dir: &Path) -> Result<Option<String>, OverlayError> {
    let path = path(dir);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(source) => return Err(OverlayError::Marker { path, op: "read", source }),
    };
    let mut text = String::new();
    match file.take(MARKER_LEN_MAX).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text.trim().to_owned())),
        Err(source) => Err(OverlayError::Marker { path, op: "read", source }),
    }
}

/// Whole or not at all, and durable.
fn write(path: &Path, guid: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(format!("{guid}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

fn path(dir: &Path) -> PathBuf {
    dir.join(STATE_FOLDER_NAME).join(MARKER)
}

const MARKER: &str = "mount";
