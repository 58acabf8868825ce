//! The keys of a sealed library on this disk: a small file that its owner alone may read. Invariant: a key is durable here before anybody is given
//! it, or sees what it seals. Absent here: who is owed a key and when an epoch begins (`swarm-library`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use swarm_core::base::NodeId;
use swarm_core::manifest::{ContentKey, Manifest, SealError, is_sealed_library_manifest};
use swarm_library::{Commit, CommitError, EpochKey, Keyring, Record, RingKey};

use super::error::LibraryError;

/// The keys of one library.
pub(crate) struct LibraryKeys {
    path: PathBuf,
    ring: Mutex<Keyring>,
    is_required: AtomicBool,
}

#[derive(Default, Serialize, Deserialize)]
struct Text {
    keys: Vec<KeyText>,
    members: Option<BTreeSet<String>>,
    #[serde(default)]
    dropped: BTreeSet<String>,
    #[serde(default)]
    welcomed: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct KeyText {
    epoch: u32,
    key: String,
    holders: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl LibraryKeys {
    /// Reads the keys in the folder of a library's state.
    pub(crate) fn open(folder: &Path) -> Result<Self, LibraryError> {
        let path = folder.join("keys.json");
        let ring = match fs::read(&path) {
            Ok(text) => ring_of(&text).map_err(LibraryError::state(&path, "read"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Keyring::default(),
            Err(error) => return Err(LibraryError::state(&path, "read")(error)),
        };
        Ok(Self { path, ring: Mutex::new(ring), is_required: AtomicBool::new(false) })
    }

    /// Nothing is signed from now on but what is sealed: the library's file says so, or somebody that counts.
    pub(crate) fn require(&self) {
        self.is_required.store(true, Ordering::Relaxed);
    }

    /// The epoch and the key that this node writes with; `None` if the library is not sealed.
    ///
    /// # Errors
    /// [`LibraryError::NoKey`] if it is, and this node has no key.
    pub(crate) fn sealing(&self) -> Result<Option<(u32, EpochKey)>, LibraryError> {
        match self.current() {
            None if self.is_required.load(Ordering::Relaxed) => Err(LibraryError::NoKey),
            current => Ok(current),
        }
    }

    /// What there is now.
    pub(crate) fn ring(&self) -> Keyring {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps another ring; durable when this returns.
    pub(crate) fn set_ring(&self, ring: Keyring) -> Result<(), LibraryError> {
        if self.ring() == ring {
            return Ok(());
        }
        self.write(&ring).map_err(LibraryError::state(&self.path, "write"))?;
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    /// The epoch and the key that this node writes with.
    fn current(&self) -> Option<(u32, EpochKey)> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.current().map(|current| (current.epoch, current.key.clone()))
    }

    /// The records of a commit, opened if they are sealed.
    pub(crate) fn records_of(&self, commit: &Commit) -> Result<Vec<Record>, CommitError> {
        if commit.header().key_epoch == 0 {
            return commit.records();
        }
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let key = commit.sealed_with().and_then(|id| ring.key(&id).cloned()).ok_or(CommitError::Sealed)?;
        drop(ring);
        commit.opened(&key)
    }

    /// A sealed manifest as who has its key sees it; as it is, if this node has not. `None` if it is none of a library.
    pub(crate) fn opened(&self, manifest: Manifest) -> Option<Manifest> {
        let keys: Vec<ContentKey> = self.ring().keys.values().map(|ring| ring.key.content_key()).collect();
        for key in keys {
            match manifest.opened(&key) {
                Ok(opened) if is_sealed_library_manifest(&opened) => return Some(opened),
                Err(SealError::WrongKey) => {}
                Ok(_) | Err(SealError::Malformed | SealError::NotSealed) => {
                    tracing::warn!(content = manifest.id().short(), "a sealed content is none of a library");
                    return None;
                }
            }
        }
        Some(manifest)
    }

    fn write(&self, ring: &Keyring) -> io::Result<()> {
        let next = self.path.with_extension("json.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&serde_json::to_vec(&text_of(ring))?)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Secret random bytes, from the system.
pub(crate) fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text_of(ring: &Keyring) -> Text {
    let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(NodeId::to_string).collect();
    let key = |ring: &RingKey| KeyText {
        epoch: ring.epoch,
        key: ContentKey::from_bytes(*ring.key.as_bytes()).to_string(),
        holders: names(&ring.holders),
        removed: names(&ring.removed),
    };
    Text {
        keys: ring.keys.values().map(key).collect(),
        members: ring.members.as_ref().map(names),
        dropped: names(&ring.dropped),
        welcomed: names(&ring.welcomed),
    }
}

fn ring_of(text: &[u8]) -> io::Result<Keyring> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let nodes = |names: &BTreeSet<String>| -> io::Result<BTreeSet<NodeId>> {
        names.iter().map(|name| name.parse().map_err(|_| damaged())).collect()
    };
    let text: Text = serde_json::from_slice(text)?;
    let mut keys = BTreeMap::new();
    for of in &text.keys {
        let key: ContentKey = of.key.parse().map_err(|_| damaged())?;
        let key = EpochKey::from_bytes(*key.as_bytes());
        let (holders, removed) = (nodes(&of.holders)?, nodes(&of.removed)?);
        keys.insert(key.id(), RingKey { epoch: of.epoch, key, holders, removed });
    }
    let members = text.members.as_ref().map(nodes).transpose()?;
    Ok(Keyring { keys, members, dropped: nodes(&text.dropped)?, welcomed: nodes(&text.welcomed)? })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_survive_a_restart_and_nobody_else_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = NodeId::from_bytes([5; 32]);
        let key = EpochKey::from_bytes(random_bytes().expect("random bytes"));
        let ring_key =
            RingKey { epoch: 3, key: key.clone(), holders: BTreeSet::from([node]), removed: BTreeSet::new() };
        let ring = Keyring {
            keys: BTreeMap::from([(key.id(), ring_key)]),
            members: Some(BTreeSet::from([node])),
            ..Keyring::default()
        };
        let keys = LibraryKeys::open(folder.path()).expect("opened");
        assert_eq!(keys.current(), None);
        keys.set_ring(ring.clone()).expect("written");
        let again = LibraryKeys::open(folder.path()).expect("opened");
        assert_eq!((again.ring(), again.current()), (ring, Some((3, key))));
        let mode = fs::metadata(folder.path().join("keys.json")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
