//! A secret key on disk: 64 hex digits in a file that only its owner can read. Invariant: a key file at its path is complete,
//! and a key in use is locked. Does not choose the key of a node (`key_store` does).

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::limits::{KEY_FILE_LEN_MAX, KEY_SLOTS_MAX};
use swarm_core::base::{Category, Shown};

/// An Ed25519 secret (RFC 8032 seed), wiped when dropped.
pub(super) type Seed = Zeroizing<[u8; 32]>;

/// A key read from a file, and the lock on that file.
pub(super) struct LockedKey {
    pub(super) seed: Seed,
    /// While it lives, no other process can take the key.
    pub(super) file: File,
}

/// Why a node got no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", Shown(path))]
    Io {
        /// The operation that failed: `read`, `create`.
        action: &'static str,
        /// Its file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Other users may open a key file or its folder.
    #[error("{} is open to other users (mode {mode:04o}): run chmod {wanted:o} {}", Shown(path), Shown(path))]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it should have.
        wanted: u32,
    },
    /// The file does not hold a key.
    #[error("{} holds no key, which is 64 hex digits: restore it, or remove it and get a new key", Shown(.0))]
    Malformed(PathBuf),
    /// Another process runs with this key.
    #[error("the key {} is in use by another process: stop that one, or take another key file", Shown(.0))]
    InUse(PathBuf),
    /// Every key of the folder is in use.
    #[error("all {KEY_SLOTS_MAX} keys in {} are in use: stop a process that holds one", Shown(.0))]
    AllInUse(PathBuf),
    /// The system has no random bytes for a new key.
    #[error("the operating system gives no random bytes for a key")]
    Randomness,
}

impl IdentityError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Io { .. } => Category::Disk,
            Self::InUse(_) | Self::AllInUse(_) => Category::Held,
            Self::Exposed { .. } | Self::Malformed(_) | Self::Randomness => Category::Other,
        }
    }
}

/// Opens and locks the key at `path`; creates a missing one. The path always shows a complete key or nothing.
pub(super) fn open_or_create(path: &Path) -> Result<LockedKey, IdentityError> {
    match open(path) {
        Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path, &*random_seed()?)?;
            open(path)
        }
        opened => opened,
    }
}

/// Opens and locks the key at `path`.
pub(super) fn open(path: &Path) -> Result<LockedKey, IdentityError> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let mode = file.metadata().map_err(io_error("read", path))?.permissions().mode();
    refuse_exposed(path, mode, 0o600)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(IdentityError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
    }
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_LEN_MAX as usize));
    (&mut file).take(KEY_FILE_LEN_MAX).read_to_string(&mut text).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => IdentityError::Malformed(path.to_owned()),
        _ => io_error("read", path)(source),
    })?;
    let seed = parse(&text).ok_or_else(|| IdentityError::Malformed(path.to_owned()))?;
    Ok(LockedKey { seed, file })
}

/// Creates a folder and its parents, for the owner alone; refuses one that is open to other users.
pub(super) fn private_folder(path: &Path) -> Result<(), IdentityError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))?;
    let mode = fs::metadata(path).map_err(io_error("read", path))?.permissions().mode();
    refuse_exposed(path, mode, 0o700)
}

/// Replaces the file at `path` in one step; only the owner may read it.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), IdentityError> {
    let new = write_beside(path, text.as_bytes())?;
    fs::rename(&new, path).map_err(io_error("create", path))
}

/// Adds the operation and the path to an I/O error.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> IdentityError {
    move |source| IdentityError::Io { action, path: path.to_owned(), source }
}

fn create(path: &Path, seed: &[u8; 32]) -> Result<(), IdentityError> {
    let text = Zeroizing::new(HEXLOWER.encode(seed) + "\n");
    let new = write_beside(path, text.as_bytes())?;
    // A hard link never replaces a key that another process created meanwhile; that key is used then.
    match fs::hard_link(&new, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // Some file systems have no hard links.
        Err(_) => return fs::rename(&new, path).map_err(io_error("create", path)),
    }
    fs::remove_file(&new).map_err(io_error("remove", &new))?;
    File::open(folder_of(path))
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("sync", folder_of(path)))
}

fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, IdentityError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // A killed process with the same number may have left this file.
    let _ = fs::remove_file(&new);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(io_error("create", &new))?;
    Ok(new)
}

/// 32 secret random bytes.
///
/// # Errors
/// If the system has none.
pub fn random_bytes() -> Result<[u8; 32], IdentityError> {
    random_seed().map(|seed| *seed)
}

pub(super) fn random_seed() -> Result<Seed, IdentityError> {
    let mut seed = Zeroizing::new([0; 32]);
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut *seed)
        .map_err(|_| IdentityError::Randomness)?;
    Ok(seed)
}

pub(super) fn parse(text: &str) -> Option<Seed> {
    // Some editors write a byte order mark in front.
    let digits = text.trim_start_matches('\u{feff}').trim();
    let mut seed = Zeroizing::new([0; 32]);
    if digits.len() != 64 {
        return None;
    }
    HEXLOWER.decode_mut(digits.as_bytes(), &mut *seed).ok()?;
    Some(seed)
}

fn refuse_exposed(path: &Path, mode: u32, wanted: u32) -> Result<(), IdentityError> {
    let to_others = mode & 0o077;
    if to_others == 0 {
        return Ok(());
    }
    Err(IdentityError::Exposed { path: path.to_owned(), mode: mode & 0o777, wanted })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(text: &str, mode: u32, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        let error = open_or_create(&path).err().expect("refused").to_string();
        assert_eq!(error.replace(&*path.to_string_lossy(), "K"), expected);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_way_out() {
        let expected = "K is open to other users (mode 0640): run chmod 600 K";
        check_refused(&"0".repeat(64), 0o640, expected);
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let expected = "K holds no key, which is 64 hex digits: restore it, or remove it and get a new key";
        for text in ["", "key", &"g".repeat(64), &"0".repeat(65), &"0".repeat(10_000)] {
            check_refused(text, 0o600, expected);
        }
    }

    #[test]
    fn a_key_is_made_once_and_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        let made = *open_or_create(&path).expect("made").seed;
        assert_eq!(*open_or_create(&path).expect("read").seed, made);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing is left beside the key");
    }

    #[test]
    fn a_key_made_by_another_process_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        create(&path, &[1; 32]).expect("made");
        create(&path, &[2; 32]).expect("left alone");
        assert_eq!(*open(&path).expect("read").seed, [1; 32]);
    }
}
