//! Connections, and which of them give way when all places are taken. Invariant: there are never more than the limit; one that proved a user stays
//! as long as there is one that did not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::limits::{CONNECTIONS_MAX, SHARE_OF_DESCRIPTORS};

/// The connections there are.
#[derive(Debug)]
pub(crate) struct Guests {
    all: Mutex<All>,
    most: usize,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    strangers: BTreeMap<u64, CancellationToken>,
    known: BTreeMap<u64, CancellationToken>,
}

/// A place that a connection has until the last clone of this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Place>);

#[derive(Debug)]
struct Place {
    number: u64,
    token: CancellationToken,
    guests: Arc<Guests>,
}

impl Default for Guests {
    /// With as many places as the process has descriptors for, beside its files and links.
    fn default() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let share = limit.map_or(CONNECTIONS_MAX as u64, |limit| limit / SHARE_OF_DESCRIPTORS);
        Self::of(usize::try_from(share).unwrap_or(CONNECTIONS_MAX).clamp(1, CONNECTIONS_MAX))
    }
}

impl Guests {
    fn of(most: usize) -> Self {
        Self { all: Mutex::default(), most }
    }

    /// A new connection; it may cost another one its place.
    pub(crate) fn came(self: &Arc<Self>) -> Connection {
        let token = CancellationToken::new();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        while all.strangers.len() + all.known.len() >= self.most {
            let gone = all.strangers.pop_first().or_else(|| all.known.pop_first());
            let Some((_, gone)) = gone else { break };
            gone.cancel();
        }
        all.next += 1;
        let number = all.next;
        all.strangers.insert(number, token.clone());
        Connection(Arc::new(Place { number, token, guests: Arc::clone(self) }))
    }
}

impl Connection {
    /// Cancelled when it has to give way.
    pub(crate) fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// It proved a user.
    pub(crate) fn is_known(&self) {
        let mut all = self.0.guests.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = all.strangers.remove(&self.0.number) {
            all.known.insert(self.0.number, token);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.guests.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.strangers.remove(&self.number);
        all.known.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stranger_gives_way_before_one_that_is_known() {
        let guests = Arc::new(Guests::of(100));
        let connections: Vec<Connection> = (0..100).map(|_| guests.came()).collect();
        connections[0].is_known();
        let _new = guests.came();
        let gone: Vec<bool> = connections[..3].iter().map(|known| known.token().is_cancelled()).collect();
        assert_eq!(gone, [false, true, false]);
        drop(connections);
        let all = guests.all.lock().expect("nobody panicked");
        assert_eq!((all.strangers.len(), all.known.len()), (1, 0));
    }
}
