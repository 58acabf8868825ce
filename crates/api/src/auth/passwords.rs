//! Passwords, compared with what users.json has. Invariant: few are compared at once and few wait; a name that is not there takes as long as one that
//! is; after wrong ones a name and an address wait; what was proven a moment ago is known by a keyed hash, never as it is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::backoff::Backoff;
use crate::chance::secret;
use crate::clock;
use crate::limits::{
    COMPARED_AT_ONCE, COMPARISONS_WAITING_MAX, NAME_LEN_MAX, PASSWORD_LEN_MAX, PROVEN_AGE, PROVEN_MAX,
};

/// Compares passwords.
pub(crate) struct Passwords {
    turns: Semaphore,
    waiting: Semaphore,
    backoff: Mutex<Backoff>,
    proven: Mutex<BTreeMap<[u8; 32], Instant>>,
    /// Keys the hashes of what is proven; of this process alone.
    key: [u8; 32],
}

/// What came of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is the right one.
    Open,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many wrong ones, or too many at once: it was not compared.
    Wait(Duration),
}

impl Passwords {
    /// `None` if the system gives no random bytes.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            turns: Semaphore::new(COMPARED_AT_ONCE),
            waiting: Semaphore::new(COMPARISONS_WAITING_MAX),
            backoff: Mutex::default(),
            proven: Mutex::default(),
            key: crate::chance::hash_of(&secret()?),
        })
    }

    /// Whether the password is the one of this hash; without a hash there is no such user.
    pub(crate) async fn compare(&self, name: &str, password: &str, hash: Option<&str>, from: IpAddr) -> Gate {
        // What no user can have is compared as if it were empty: it costs a wait, too.
        let is_possible = name.len() <= NAME_LEN_MAX && password.len() <= PASSWORD_LEN_MAX;
        let (name, password, hash) = if is_possible { (name, password, hash) } else { ("", "", None) };
        let now = clock::moment();
        let mark = self.mark(name, password, hash.unwrap_or_default());
        if hash.is_some() && self.is_proven(&mark, now) {
            return Gate::Open;
        }
        let (of_name, of_address) = (format!("user {name}"), format!("address {from}"));
        let waits = {
            let backoff = lock(&self.backoff);
            backoff.wait(&of_name, now).max(backoff.wait(&of_address, now))
        };
        if let Some(wait) = waits {
            return Gate::Wait(wait);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Gate::Wait(BUSY_WAIT) };
        let Ok(_turn) = self.turns.acquire().await else { return Gate::Wait(BUSY_WAIT) };
        let (given, known) = (password.to_owned(), hash.map(str::to_owned));
        let compared = tokio::task::spawn_blocking(move || {
            let is_same = swarm_daemon::verify_password(known.as_deref().unwrap_or(nobodys_hash()), &given);
            is_same && known.is_some()
        });
        let is_right = compared.await.unwrap_or(false);
        let mut backoff = lock(&self.backoff);
        if is_right {
            backoff.succeeded(&of_name);
            backoff.succeeded(&of_address);
            drop(backoff);
            self.remember(mark, now);
            return Gate::Open;
        }
        backoff.failed(&of_name, clock::moment());
        backoff.failed(&of_address, clock::moment());
        Gate::Wrong
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
        if proven.len() < PROVEN_MAX {
            proven.insert(mark, now);
        }
    }
}

/// The hash of a password that nobody knows, as costly to compare as any.
fn nobodys_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        secret().and_then(|password| swarm_daemon::hash_password(&password)).unwrap_or_default()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What somebody waits when too many passwords are compared already.
const BUSY_WAIT: Duration = Duration::from_secs(1);
