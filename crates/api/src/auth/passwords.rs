//! Passwords, compared with what users.json has, and hashed for it. Invariant: few are worked on at once, and few wait; a place is held until the work
//! is done, whether or not its client is still there, and one whose client is gone before its turn costs nothing; a name that is not there takes as
//! long as one that is; after wrong ones a name and an address wait; what was proven a moment ago is known by a keyed hash, never as it is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::backoff::Backoff;
use crate::chance::secret;
use crate::clock;
use crate::limits::{
    BUSY_WAIT, COMPARED_AT_ONCE, COMPARISONS_WAITING_MAX, NAME_LEN_MAX, PASSWORD_LEN_MAX, PROVEN_AGE,
    PROVEN_MAX,
};
use crate::rates::of_one_client;

/// Compares passwords.
#[derive(Clone)]
pub(crate) struct Passwords(Arc<Inner>);

struct Inner {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    backoff: Mutex<Backoff>,
    proven: Mutex<BTreeMap<[u8; 32], Instant>>,
    /// Keys the hashes of what is proven; of this process alone.
    key: [u8; 32],
}

/// A turn to work on a password.
struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
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
        Some(Self(Arc::new(Inner {
            turns: Arc::new(Semaphore::new(COMPARED_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(COMPARISONS_WAITING_MAX)),
            backoff: Mutex::default(),
            proven: Mutex::default(),
            key: crate::chance::hash_of(&secret()?),
        })))
    }

    /// Whether the password is the one of this hash; without a hash there is no such user.
    pub(crate) async fn compare(&self, name: &str, password: &str, hash: Option<&str>, from: IpAddr) -> Gate {
        // What no user can have is compared as if it were empty: it costs a wait, too.
        let is_possible = name.len() <= NAME_LEN_MAX && password.len() <= PASSWORD_LEN_MAX;
        let (name, password, hash) = if is_possible { (name, password, hash) } else { ("", "", None) };
        let mark = self.0.mark(name, password, hash.unwrap_or_default());
        if hash.is_some() && self.0.is_proven(&mark, clock::moment()) {
            return Gate::Open;
        }
        let who = [format!("user {name}"), format!("address {}", of_one_client(from))];
        if let Some(wait) = self.0.wait(&who) {
            return Gate::Wait(wait);
        }
        let Some(turn) = self.turn().await else { return Gate::Wait(BUSY_WAIT) };
        // Others of this name or address may have been wrong while this one waited.
        if let Some(wait) = self.0.wait(&who) {
            return Gate::Wait(wait);
        }
        let (given, known, inner) = (password.to_owned(), hash.map(str::to_owned), Arc::clone(&self.0));
        let compared = worked(turn, move || {
            let is_same = swarm_daemon::verify_password(known.as_deref().unwrap_or(nobodys_hash()), &given);
            let is_right = is_same && known.is_some();
            // Here, so that it counts without its client, too.
            inner.count(&who, is_right);
            if is_right {
                inner.remember(mark, clock::moment());
            }
            is_right
        });
        if compared.await.unwrap_or(false) { Gate::Open } else { Gate::Wrong }
    }

    /// The hash of a new password; an error if too many are worked on already.
    pub(crate) async fn hash(&self, password: String) -> Result<Option<String>, Busy> {
        let turn = self.turn().await.ok_or(Busy)?;
        Ok(worked(turn, move || swarm_daemon::hash_password(&password)).await.flatten())
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
pub(crate) struct Busy;

impl Inner {
    fn wait(&self, who: &[String]) -> Option<Duration> {
        let (backoff, now) = (lock(&self.backoff), clock::moment());
        who.iter().filter_map(|who| backoff.wait(who, now)).max()
    }

    fn count(&self, who: &[String], is_right: bool) {
        let (mut backoff, now) = (lock(&self.backoff), clock::moment());
        for who in who {
            if is_right { backoff.succeeded(who) } else { backoff.failed(who, now) }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_the_work_and_one_that_is_given_up_takes_none() {
        let passwords = Passwords::new().expect("chance");
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
        let passwords = Passwords::new().expect("chance");
        let of = |number: u32| format!("2001:db8::{number:x}").parse::<IpAddr>().expect("an address");
        for number in 0..=crate::limits::FREE_FAILURES {
            passwords.0.count(&[format!("address {}", of_one_client(of(number)))], false);
        }
        let gate = passwords.compare("anna", "secret", None, of(99)).await;
        assert!(matches!(gate, Gate::Wait(_)), "{gate:?}");
        let elsewhere = "2001:db8:0:1::1".parse().expect("an address");
        assert_eq!(passwords.compare("anna", "secret", None, elsewhere).await, Gate::Wrong);
    }
}
