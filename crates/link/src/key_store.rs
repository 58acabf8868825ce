//! Chooses the key of a process. Keys are slots in one folder: `node.key`, `node-2.key` and so on. A seed claims its slot for its
//! content (`node-2.claim`), so that it is the same node after a restart and old tickets stay valid.
//! Invariant: no two processes hold one slot. A fetch leaves no claim.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use super::identity::{Hold, Identity};
use super::key_file::{self, IdentityError, io_error};
use crate::limits::KEY_SLOTS_MAX;
use swarm_core::base::ContentId;

/// The keys of one user, in `keys/` below a state folder.
#[derive(Clone, Debug)]
pub struct IdentityStore {
    folder: PathBuf,
}

/// A slot that this process holds.
pub(super) struct Slot {
    /// Held for its lock.
    _key: File,
    claim_path: PathBuf,
    claim: Mutex<Option<Claim>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    content: ContentId,
    port: Option<u16>,
}

struct Candidate {
    number: u32,
    claim: Option<Claim>,
    /// When the claim was last written; the oldest claim is given up first.
    claimed_at: Option<SystemTime>,
}

impl IdentityStore {
    /// The store in this state folder. Missing folders are created, for the owner alone.
    ///
    /// # Errors
    /// If a folder cannot be created, or other users can look into the folder of the keys.
    pub fn open(state_folder: &Path) -> Result<Self, IdentityError> {
        let folder = state_folder.join("keys");
        key_file::private_folder(&folder)?;
        Ok(Self { folder })
    }

    /// Takes a free key for a seed of content `claim` or, without one, for a fetch.
    ///
    /// A seed gets the key of its last run if that is free. Blocks while another process chooses.
    ///
    /// # Errors
    /// If a key file is open to other users, malformed or unreadable, or if all keys are in use.
    pub fn acquire(&self, claim: Option<ContentId>) -> Result<Identity, IdentityError> {
        let _turn = self.wait_for_turn()?;
        let mut candidates = self.candidates();
        candidates.sort_by_cached_key(|candidate| candidate.key(claim));
        for candidate in candidates {
            match key_file::open_or_create(&self.key_path(candidate.number)) {
                Ok(key) => {
                    let slot = self.slot(&candidate, key.file, claim)?;
                    return Ok(Identity::new(key.seed, Hold::Slot(slot.into())));
                }
                Err(IdentityError::InUse(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(IdentityError::AllInUse(self.folder.clone()))
    }

    /// Processes choose one after another: otherwise two that start at once would both create the next key.
    fn wait_for_turn(&self) -> Result<File, IdentityError> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        file.lock().map_err(io_error("lock", &path))?;
        Ok(file)
    }

    /// The slots that have a key, and the lowest one that has none.
    fn candidates(&self) -> Vec<Candidate> {
        let (taken, free): (Vec<u32>, Vec<u32>) =
            (1..=KEY_SLOTS_MAX).partition(|&number| self.key_path(number).exists());
        let fresh = free.first().map(|&number| Candidate { number, claim: None, claimed_at: None });
        taken.into_iter().map(|number| self.candidate(number)).chain(fresh).collect()
    }

    fn candidate(&self, number: u32) -> Candidate {
        let path = self.claim_path(number);
        let claim = fs::read_to_string(&path).ok().as_deref().and_then(Claim::parse);
        let claimed_at = fs::metadata(&path).and_then(|meta| meta.modified()).ok();
        Candidate { number, claim, claimed_at }
    }

    fn slot(&self, from: &Candidate, key: File, claim: Option<ContentId>) -> Result<Slot, IdentityError> {
        let claim_path = self.claim_path(from.number);
        let claim = claim.map(|content| match from.claim {
            Some(old) if old.content == content => old,
            _ => Claim { content, port: None },
        });
        if let Some(claim) = claim {
            key_file::replace(&claim_path, &claim.to_text())?;
        }
        Ok(Slot { _key: key, claim_path, claim: Mutex::new(claim) })
    }

    fn key_path(&self, number: u32) -> PathBuf {
        self.path(number, "key")
    }

    fn claim_path(&self, number: u32) -> PathBuf {
        self.path(number, "claim")
    }

    fn path(&self, number: u32, extension: &str) -> PathBuf {
        self.folder.join(match number {
            1 => format!("node.{extension}"),
            _ => format!("node-{number}.{extension}"),
        })
    }
}

impl Candidate {
    /// The smallest wins: the slot of this content, then the lowest slot without a claim. The slot of another content is taken
    /// only when no slot can be added; then the one that was not used for longest.
    fn key(&self, wanted: Option<ContentId>) -> impl Ord + use<> {
        let (rank, claimed_at) = match self.claim {
            Some(claim) if Some(claim.content) == wanted => (0, None),
            None => (1, None),
            Some(_) => (2, self.claimed_at),
        };
        (rank, claimed_at, self.number)
    }
}

impl Slot {
    pub(super) fn last_port(&self) -> Option<u16> {
        self.claim.lock().expect("no holder panics").and_then(|claim| claim.port)
    }

    pub(super) fn remember_port(&self, port: u16) -> Result<(), IdentityError> {
        let mut claim = self.claim.lock().expect("no holder panics");
        let Some(claim) = claim.as_mut().filter(|claim| claim.port != Some(port)) else { return Ok(()) };
        claim.port = Some(port);
        key_file::replace(&self.claim_path, &claim.to_text())
    }
}

impl Claim {
    pub(super) fn to_text(self) -> String {
        let port = self.port.map(|port| format!("port {port}\n"));
        format!("content {}\n{}", self.content, port.unwrap_or_default())
    }

    /// An unreadable claim counts as none: at worst the seed gets another NodeId.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            content: field("content")?.parse().ok()?,
            port: field("port").and_then(|port| port.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const FILM: Option<ContentId> = Some(ContentId::from_bytes([1; 32]));
    const SONG: Option<ContentId> = Some(ContentId::from_bytes([2; 32]));

    /// Runs a script of `NAME=claim` (acquire) and `-NAME` (drop), and compares the slot that each name got.
    fn check_slots(script: &str, expected: &str) {
        let state = tempfile::tempdir().expect("a folder");
        let store = IdentityStore::open(state.path()).expect("opened");
        let mut held: Vec<(String, Identity)> = Vec::new();
        let mut log = Vec::new();
        for step in script.split_whitespace() {
            if let Some(name) = step.strip_prefix('-') {
                held.retain(|(holder, _)| holder != name);
                continue;
            }
            let (name, claim) = step.split_once('=').expect("NAME=claim");
            let claim = match claim {
                "film" => FILM,
                "song" => SONG,
                _ => None,
            };
            let identity = store.acquire(claim).expect("acquired");
            log.push(format!("{name}:{}", slot_of(&store, &identity)));
            held.push((name.to_owned(), identity));
        }
        assert_eq!(log.join(" "), expected, "{script}");
    }

    fn slot_of(store: &IdentityStore, identity: &Identity) -> u32 {
        let has = |number: &u32| {
            fs::read_to_string(store.key_path(*number)).is_ok_and(|text| {
                let mut seed = [0; 32];
                data_encoding::HEXLOWER.decode_mut(text.trim().as_bytes(), &mut seed).expect("hex");
                Identity::from_seed(seed).node_id() == identity.node_id()
            })
        };
        (1..=KEY_SLOTS_MAX).find(has).expect("a slot")
    }

    #[test]
    fn processes_that_run_at_once_get_different_keys() {
        check_slots("a=none b=none c=none -b d=none", "a:1 b:2 c:3 d:2");
    }

    #[test]
    fn a_seed_gets_its_key_back_after_a_restart_in_any_order() {
        check_slots("a=film b=song -a -b c=song d=film", "a:1 b:2 c:2 d:1");
    }

    #[test]
    fn a_fetch_leaves_the_keys_of_seeds_alone() {
        check_slots("a=film -a b=none c=film", "a:1 b:2 c:1");
    }

    #[test]
    fn a_fetch_leaves_no_claim() {
        check_slots("a=none -a b=film", "a:1 b:1");
    }

    #[test]
    fn two_seeds_of_one_content_each_keep_a_key() {
        check_slots("a=film b=film -a -b c=film d=film e=song", "a:1 b:2 c:1 d:2 e:3");
    }

    #[test]
    fn the_port_of_a_seed_is_remembered() {
        let state = tempfile::tempdir().expect("a folder");
        let store = IdentityStore::open(state.path()).expect("opened");
        let seed = store.acquire(FILM).expect("acquired");
        assert_eq!(seed.last_port(), None);
        seed.remember_port(4433).expect("noted");
        drop(seed);
        assert_eq!(store.acquire(FILM).expect("acquired").last_port(), Some(4433));
        let fetch = store.acquire(None).expect("acquired");
        fetch.remember_port(4434).expect("nothing to note");
        assert_eq!(fetch.last_port(), None);
    }

    #[test]
    fn a_claim_that_cannot_be_read_is_none() {
        for text in ["", "content", "content 12", "port 5", "\0"] {
            assert_eq!(Claim::parse(text), None, "{text:?}");
        }
        let claim = Claim { content: ContentId::from_bytes([3; 32]), port: Some(9) };
        assert_eq!(Claim::parse(&claim.to_text()), Some(claim));
    }

    #[test]
    fn when_all_keys_are_claimed_the_one_not_used_for_longest_is_taken() {
        let at = |nanos| Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos));
        let claim = SONG.map(|content| Claim { content, port: None });
        let old = Candidate { number: 9, claim, claimed_at: at(1) };
        let new = Candidate { number: 1, claim, claimed_at: at(2) };
        assert!(old.key(FILM) < new.key(FILM));
        assert!(new.key(SONG) < old.key(SONG), "of its own slots the lowest");
    }

    #[test]
    fn the_folder_and_its_files_are_the_owners_alone() {
        let state = tempfile::tempdir().expect("a folder");
        let store = IdentityStore::open(state.path()).expect("opened");
        drop(store.acquire(FILM).expect("acquired"));
        for entry in fs::read_dir(&store.folder).expect("listed") {
            let entry = entry.expect("an entry");
            let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
        fs::set_permissions(&store.folder, fs::Permissions::from_mode(0o755)).expect("set");
        let error = IdentityStore::open(state.path()).expect_err("refused").to_string();
        assert!(error.contains("run chmod 700"), "{error}");
    }
}
