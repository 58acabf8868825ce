//! Passwords, compared with what users.json has, and hashed for it. Invariant: few are worked on at once, and few wait; a place is held until the work
//! is done, whether or not its client is still there, and one whose client is gone before its turn costs nothing; a name that is not there takes as
//! long as one that is; after wrong ones a name and a place wait (`backoff`), and each leaves a line in the audit log; what was proven a moment ago is
//! known by a keyed hash, never as it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::backoff::Waits;
use super::client::Client;
use crate::audit::{AuditLine, AuditLog, Outcome};
use crate::clock;
use crate::exchange::{hash_password, verify_password};
use crate::limits::{
    BUSY_WAIT, COMPARED_AT_ONCE, COMPARISONS_WAITING_MAX, NAME_LEN_MAX, PASSWORD_LEN_MAX, PROVEN_AGE,
    PROVEN_MAX,
};

/// Compares passwords, of users of the API and of peers.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    waits: Mutex<Waits>,
    proven: Mutex<BTreeMap<[u8; 32], Instant>>,
    /// Keys the hashes of what is proven; of this process alone.
    key: [u8; 32],
    audit: AuditLog,
}

/// A turn to work on a password.
struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// What came of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is the right one.
    Open,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many wrong ones, or too many at once: it was not compared.
    Wait(Duration),
}

impl Passwords {
    /// `None` if the system gives no random bytes.
    pub(crate) fn new(audit: AuditLog) -> Option<Self> {
        Some(Self(Arc::new(Inner {
            turns: Arc::new(Semaphore::new(COMPARED_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(COMPARISONS_WAITING_MAX)),
            waits: Mutex::default(),
            proven: Mutex::default(),
            key: chance()?,
            audit,
        })))
    }

    /// The log in which wrong ones leave a line.
    pub fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    /// Whether the password is the one of this hash; without a hash there is no such user. One whose future is dropped before its turn is not compared.
    pub async fn compare(&self, name: &str, password: &str, hash: Option<&str>, client: Client) -> Gate {
        // What no user can have is compared as if it were empty: it costs a wait, too.
        let is_possible = name.len() <= NAME_LEN_MAX && password.len() <= PASSWORD_LEN_MAX;
        let (known_name, password, hash) = if is_possible { (name, password, hash) } else { ("", "", None) };
        let mark = self.0.mark(known_name, password, hash.unwrap_or_default());
        if hash.is_some() && self.0.is_proven(&mark, clock::moment()) {
            return Gate::Open;
        }
        let place = client.place();
        if let Some(wait) = self.0.wait(known_name, &place) {
            return Gate::Wait(wait);
        }
        let Some(turn) = self.turn().await else { return Gate::Wait(BUSY_WAIT) };
        // Others of this name or place may have been right or wrong while this one waited.
        if hash.is_some() && self.0.is_proven(&mark, clock::moment()) {
            return Gate::Open;
        }
        if let Some(wait) = self.0.wait(known_name, &place) {
            return Gate::Wait(wait);
        }
        let (given, known, inner) = (password.to_owned(), hash.map(str::to_owned), Arc::clone(&self.0));
        let (known_name, shown_name) = (known_name.to_owned(), beginning(name).to_owned());
        let compared = worked(turn, move || {
            let is_same = verify_password(known.as_deref().unwrap_or(nobodys_hash()), &given);
            let is_right = is_same && known.is_some();
            // Here, so that it counts and is told without its client, too.
            inner.count(&known_name, &place, is_right);
            if is_right {
                inner.remember(mark, clock::moment());
            } else {
                inner.tell_wrong(&shown_name, client);
            }
            is_right
        });
        if compared.await.unwrap_or(false) { Gate::Open } else { Gate::Wrong }
    }

    /// The hash of a new password; `None` if the system gives no random bytes.
    ///
    /// # Errors
    /// If too many are worked on already.
    pub async fn hash(&self, password: String) -> Result<Option<String>, Busy> {
        let turn = self.turn().await.ok_or(Busy)?;
        Ok(worked(turn, move || hash_password(&password)).await.flatten())
    }

    /// Waits among few.
    async fn turn(&self) -> Option<Turn> {
        let place = Arc::clone(&self.0.waiting).try_acquire_owned().ok()?;
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.ok()?;
        Some(Turn { _turn: turn, _place: place })
    }
}

/// Works on a thread, with the turn until the end: a client that goes leaves the work behind, and not its turn.
async fn worked<T: Send + 'static>(turn: Turn, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    worked.await.ok()
}

/// Too many passwords are worked on already.
#[derive(Clone, Copy, Debug)]
pub struct Busy;

impl Inner {
    fn wait(&self, name: &str, place: &str) -> Option<Duration> {
        lock(&self.waits).wait(name, place, clock::moment())
    }

    fn count(&self, name: &str, place: &str, is_right: bool) {
        let (mut waits, now) = (lock(&self.waits), clock::moment());
        if is_right { waits.succeeded(name, place, now) } else { waits.failed(name, place, now) }
    }

    /// What waits was not compared: that is no news, and there may be any number of it.
    fn tell_wrong(&self, name: &str, client: Client) {
        self.audit.write(AuditLine {
            user: name,
            is_proven: false,
            from: client.address(),
            did: "login refused",
            what: &client.named(),
            outcome: Outcome::Refused(UNAUTHORIZED),
        });
    }

    fn mark(&self, name: &str, password: &str, hash: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [name, password, hash] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().into()
    }

    fn is_proven(&self, mark: &[u8; 32], now: Instant) -> bool {
        lock(&self.proven).get(mark).is_some_and(|at| now.duration_since(*at) < PROVEN_AGE)
    }

    fn remember(&self, mark: [u8; 32], now: Instant) {
        let mut proven = lock(&self.proven);
        proven.retain(|_, at| now.duration_since(*at) < PROVEN_AGE);
        // The oldest gives way: nobody keeps others out by many passwords of one name.
        let oldest = proven.iter().min_by_key(|(_, at)| **at).map(|(mark, _)| *mark);
        if let Some(oldest) = oldest.filter(|_| proven.len() >= PROVEN_MAX) {
            proven.remove(&oldest);
        }
        proven.insert(mark, now);
    }
}

/// The hash of a password that nobody knows, as costly to compare as any.
fn nobodys_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let password = chance().map(|bytes| blake3::Hash::from_bytes(bytes).to_string());
        password.and_then(|password| hash_password(&password)).unwrap_or_default()
    })
}

/// Bytes that nobody guesses: of the key of no node.
fn chance() -> Option<[u8; 32]> {
    let node = swarm_link::Identity::ephemeral().ok()?.node_id();
    Some(*blake3::hash(node.as_bytes()).as_bytes())
}

/// As much of a name as is held while its password is compared.
fn beginning(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_LEN_MAX)]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The HTTP status of a refusal, for clients of whatever kind.
const UNAUTHORIZED: u16 = 401;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use swarm_core::base::NodeId;

    use super::*;
    use crate::limits::FREE_FAILURES;

    fn passwords() -> (Passwords, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = AuditLog::new(folder.path().join("audit.log"));
        (Passwords::new(log).expect("chance"), folder)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_the_work_and_one_that_is_given_up_takes_none() {
        let (passwords, _folder) = passwords();
        let (free, taken) = std::sync::mpsc::sync_channel::<()>(COMPARED_AT_ONCE);
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..COMPARED_AT_ONCE {
            let (turn, taken) = (passwords.turn().await.expect("it is free"), Arc::clone(&taken));
            let work = worked(turn, move || lock(&taken).recv());
            // The client goes once the work has begun.
            tokio::select! {
                biased;
                _ = work => unreachable!("it waits"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(passwords.0.turns.available_permits(), 0);
        let waiting = passwords.turn();
        tokio::select! {
            biased;
            _ = waiting => unreachable!("no turn is free"),
            () = tokio::task::yield_now() => {}
        }
        let places = COMPARISONS_WAITING_MAX - COMPARED_AT_ONCE;
        assert_eq!(passwords.0.waiting.available_permits(), places);
        (0..COMPARED_AT_ONCE).for_each(|_| free.send(()).expect("it waits"));
        assert!(passwords.turn().await.is_some());
    }

    #[tokio::test]
    async fn wrong_passwords_from_one_network_of_ipv6_count_together() {
        let (passwords, _folder) = passwords();
        let of = |number: u32| Client::Web(ip(&format!("2001:db8::{number:x}")));
        for number in 0..FREE_FAILURES {
            passwords.0.count("ben", &of(number).place(), false);
        }
        let gate = passwords.compare("anna", "secret", None, of(99)).await;
        assert!(matches!(gate, Gate::Wait(_)), "{gate:?}");
        let elsewhere = Client::Web(ip("2001:db8:0:1::1"));
        assert_eq!(passwords.compare("anna", "secret", None, elsewhere).await, Gate::Wrong);
    }

    #[tokio::test]
    async fn strange_nodes_wait_with_their_address_and_a_known_one_for_itself() {
        let (passwords, folder) = passwords();
        let (from, hash) = (ip("192.0.2.1"), hash_password("secret").expect("chance"));
        let stranger = |number: u8| Client::Stranger(NodeId::from_bytes([number; 32]), from);
        let known = |number: u8| Client::Peer(NodeId::from_bytes([number; 32]), from);
        for number in 0..2 * FREE_FAILURES {
            let name = format!("user {number}");
            let gate = passwords.compare(&name, "guess", None, stranger(number as u8)).await;
            assert_eq!(gate == Gate::Wrong, number < FREE_FAILURES, "{number}: {gate:?}");
        }
        let gate = passwords.compare("anna", "secret", Some(&hash), Client::Web(from)).await;
        assert!(matches!(gate, Gate::Wait(_)), "{gate:?}");
        assert_eq!(passwords.compare("anna", "secret", Some(&hash), known(200)).await, Gate::Open);
        let log = std::fs::read_to_string(folder.path().join("audit.log")).expect("it is there");
        assert_eq!(log.lines().filter(|line| line.contains("login refused")).count(), FREE_FAILURES as usize);
        assert!(log.contains(&format!("peer {}", NodeId::from_bytes([0; 32]))), "{log}");
    }
}
