//! The key of a sealed content in a file. Reads no more than a key needs, and no file that others may read.

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use swarm_core::base::text::{TextError, text_of};
use swarm_core::base::{Category, Shown};
use swarm_core::manifest::{ContentKey, ParseKeyError};

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum ContentKeyError {
    /// It cannot be read.
    #[error("cannot read `{}`: {error}", Shown(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is a folder or a device, or a pipe where the file is read more than once.
    #[error("`{}` is not a file: name the file with the key", Shown(.0))]
    NotAFile(PathBuf),
    /// Other users may open it.
    #[error("{} is open to other users (mode {mode:04o}): run chmod 600 {}", Shown(path), Shown(path))]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no text.
    #[error("`{}`: {error}", Shown(.path))]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TextError,
    },
    /// Its text is not a key.
    #[error("`{}`: {error}", Shown(.path))]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ParseKeyError,
    },
}

impl ContentKeyError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Read { error, .. } => Category::of_io(error.kind()),
            Self::NotAFile(_) | Self::Exposed { .. } | Self::Text { .. } | Self::Key { .. } => {
                Category::Usage
            }
        }
    }
}

/// Reads the key in a file.
///
/// # Errors
/// If the file cannot be read, is open to other users, or holds no key.
pub fn content_key_in(path: &Path) -> Result<ContentKey, ContentKeyError> {
    let failed = |error| ContentKeyError::Read { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let kind = metadata.file_type();
    // A pipe may bring a key, from a password manager for instance.
    if kind.is_dir() || kind.is_char_device() || kind.is_block_device() {
        return Err(ContentKeyError::NotAFile(path.to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ContentKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_LEN_MAX as usize));
    file.take(KEY_FILE_LEN_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let text = text_of(&bytes).map_err(|error| ContentKeyError::Text { path: path.to_owned(), error })?;
    text.parse().map_err(|error| ContentKeyError::Key { path: path.to_owned(), error })
}

/// Reads the key in a file that a node reads anew at each start: no pipe, which gives it once.
///
/// # Errors
/// As [`content_key_in`], and if it is not a regular file.
pub fn lasting_content_key_in(path: &Path) -> Result<ContentKey, ContentKeyError> {
    // Looked at first: opening a pipe waits for its writer.
    let metadata =
        std::fs::metadata(path).map_err(|error| ContentKeyError::Read { path: path.to_owned(), error })?;
    if !metadata.is_file() {
        return Err(ContentKeyError::NotAFile(path.to_owned()));
    }
    content_key_in(path)
}

/// A key has 60 characters; comments and blank lines may stand around it.
const KEY_FILE_LEN_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_open_to_other_users_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        std::fs::write(&path, "swarmkey1").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
        let error = content_key_in(&path).expect_err("it is open to a group").to_string();
        let expected = "K is open to other users (mode 0640): run chmod 600 K";
        assert_eq!(error.replace(&*path.to_string_lossy(), "K"), expected);
    }
}
