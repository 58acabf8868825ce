//! Connections, and which of them give way when all places are taken. Invariant: there are never more than the limit; those who have most give way
//! first: of strangers the address with the most connections, of users the one with the most. A user has a share, and more only while as many places as that
//! are free and nobody else needs them, so that no account drives another out; those that proved none keep a few places, in which they may prove one, and
//! beyond these they give way before a user who has no more than the share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_daemon::of_one_client;
use tokio_util::sync::CancellationToken;

use crate::limits::{CONNECTIONS_MAX, SHARE_OF_CONNECTIONS, SHARE_OF_DESCRIPTORS};

/// The connections there are.
#[derive(Debug)]
pub(crate) struct Guests {
    all: Mutex<All>,
    most: usize,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    strangers: Group<IpAddr>,
    known: Group<String>,
}

/// Connections by whose they are, and by number: the oldest one first.
#[derive(Debug)]
struct Group<K> {
    of: BTreeMap<K, BTreeMap<u64, CancellationToken>>,
    len: usize,
}

/// A place that a connection has until the last clone of this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Place>);

#[derive(Debug)]
struct Place {
    number: u64,
    token: CancellationToken,
    from: IpAddr,
    /// Whom it proved last.
    user: Mutex<Option<String>>,
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
    pub(crate) fn came(self: &Arc<Self>, from: IpAddr) -> Connection {
        let (token, from) = (CancellationToken::new(), of_one_client(from));
        let mut all = self.lock();
        while all.strangers.len + all.known.len >= self.most {
            // What a user has beyond the share goes before anybody without one.
            let has_more = all.known.of.values().any(|own| own.len() > self.share());
            let gone = if all.known.len == 0 || (all.strangers.len > self.share() && !has_more) {
                all.strangers.take_of_most()
            } else {
                all.known.take_of_most()
            };
            let Some(gone) = gone else { break };
            gone.cancel();
        }
        all.next += 1;
        let number = all.next;
        all.strangers.add(from, number, token.clone());
        Connection(Arc::new(Place { number, token, from, user: Mutex::default(), guests: Arc::clone(self) }))
    }

    /// Places of one user, and those that strangers keep.
    fn share(&self) -> usize {
        self.most.div_ceil(SHARE_OF_CONNECTIONS)
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Cancelled when it has to give way.
    pub(crate) fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// It proved a user. If that one has more than the share now, and few places are free, its oldest one gives way.
    pub(crate) fn is_known(&self, user: &str) {
        let place = &self.0;
        let mut known_as = place.user.lock().unwrap_or_else(PoisonError::into_inner);
        if known_as.as_deref() == Some(user) {
            return;
        }
        let mut all = place.guests.lock();
        let token = match &*known_as {
            Some(before) => all.known.remove(before, place.number),
            None => all.strangers.remove(&place.from, place.number),
        };
        // It gave way meanwhile.
        let Some(token) = token else { return };
        *known_as = Some(user.to_owned());
        all.known.add(user.to_owned(), place.number, token);
        let share = place.guests.share();
        let is_tight = all.strangers.len + all.known.len + share > place.guests.most;
        if is_tight
            && all.known.of.get(user).is_some_and(|own| own.len() > share)
            && let Some(gone) = all.known.take_oldest(&user.to_owned())
        {
            gone.cancel();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let user = self.user.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let mut all = self.guests.lock();
        match user {
            Some(user) => all.known.remove(&user, self.number),
            None => all.strangers.remove(&self.from, self.number),
        };
    }
}

impl<K> Default for Group<K> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), len: 0 }
    }
}

impl<K: Ord + Clone> Group<K> {
    fn add(&mut self, whose: K, number: u64, token: CancellationToken) {
        if self.of.entry(whose).or_default().insert(number, token).is_none() {
            self.len += 1;
        }
    }

    fn remove(&mut self, whose: &K, number: u64) -> Option<CancellationToken> {
        let own = self.of.get_mut(whose)?;
        let gone = own.remove(&number)?;
        if own.is_empty() {
            self.of.remove(whose);
        }
        self.len -= 1;
        Some(gone)
    }

    fn take_oldest(&mut self, whose: &K) -> Option<CancellationToken> {
        let oldest = *self.of.get(whose)?.first_key_value()?.0;
        self.remove(whose, oldest)
    }

    /// The oldest one of whoever has most; of several with as many, the oldest of all.
    fn take_of_most(&mut self) -> Option<CancellationToken> {
        let oldest =
            |own: &BTreeMap<u64, CancellationToken>| own.first_key_value().map(|(number, _)| *number);
        let most = self.of.iter().max_by_key(|(_, own)| (own.len(), std::cmp::Reverse(oldest(own))));
        let most = most.map(|(whose, _)| whose.clone())?;
        self.take_oldest(&most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: u8) -> IpAddr {
        std::net::Ipv4Addr::new(192, 0, 2, number).into()
    }

    fn are_gone<const N: usize>(connections: [&Connection; N]) -> [bool; N] {
        connections.map(|connection| connection.token().is_cancelled())
    }

    #[test]
    fn the_oldest_stranger_gives_way_before_one_that_is_known() {
        let guests = Arc::new(Guests::of(100));
        let connections: Vec<Connection> = (0..100).map(|_| guests.came(from(1))).collect();
        connections[0].is_known("anna");
        let _new = guests.came(from(1));
        assert_eq!(are_gone([&connections[0], &connections[1], &connections[2]]), [false, true, false]);
        drop(connections);
        let all = guests.all.lock().expect("nobody panicked");
        assert_eq!((all.strangers.len, all.known.len), (1, 0));
        assert_eq!((all.strangers.of.len(), all.known.of.len()), (1, 0));
    }

    #[test]
    fn no_account_drives_out_another() {
        let guests = Arc::new(Guests::of(100));
        let of_admin = guests.came(from(1));
        of_admin.is_known("adam");
        let proven = |number: usize| {
            let connection = guests.came(from(2));
            connection.is_known(&format!("mirror {}", number % 20));
            connection
        };
        // One account has all but a share of the places.
        let of_one: Vec<Connection> = (0..300).map(|_| proven(0)).collect();
        let kept = of_one.iter().filter(|connection| !connection.token().is_cancelled()).count();
        assert_eq!((kept, are_gone([&of_admin, &of_one[0], &of_one[299]])), (86, [false, true, false]));
        // Where places are free, nobody gives way.
        let idle = Arc::new(Guests::of(100));
        let few: Vec<Connection> = (0..60).map(|_| idle.came(from(2))).collect();
        few.iter().for_each(|connection| connection.is_known("mirror 0"));
        assert!(few.iter().all(|connection| !connection.token().is_cancelled()));
        // Of many accounts those with the most connections give way.
        let of_many: Vec<Connection> = (0..300).map(proven).collect();
        assert_eq!(are_gone([&of_admin, &of_many[299]]), [false, false]);
        // Who comes amid them has the time to prove itself.
        let late = guests.came(from(3));
        let _more: Vec<Connection> = (0..50).map(proven).collect();
        assert_eq!(are_gone([&late]), [false]);
    }

    #[test]
    fn what_a_user_has_beyond_the_share_gives_way_before_strangers() {
        let guests = Arc::new(Guests::of(100));
        let hog: Vec<Connection> = (0..80).map(|_| guests.came(from(2))).collect();
        hog.iter().for_each(|connection| connection.is_known("mirror"));
        let of_many = |number: u8| guests.came(from(100 + number));
        let visitors: Vec<Connection> = (0..60).map(of_many).collect();
        assert!(visitors.iter().all(|visitor| !visitor.token().is_cancelled()));
        let kept = hog.iter().filter(|connection| !connection.token().is_cancelled()).count();
        assert_eq!(kept, 40);
        let more: Vec<Connection> = (60..120).map(of_many).collect();
        let kept = hog.iter().filter(|connection| !connection.token().is_cancelled()).count();
        assert_eq!((kept, more.len()), (13, 60), "the share stays");
    }

    #[test]
    fn of_strangers_the_address_with_the_most_connections_gives_way() {
        let guests = Arc::new(Guests::of(100));
        let late: Vec<Connection> = (0..3).map(|_| guests.came(from(1))).collect();
        let crowd: Vec<Connection> = (0..300).map(|_| guests.came(from(2))).collect();
        assert_eq!(are_gone([&late[0], &late[2], &crowd[0], &crowd[299]]), [false, false, true, false]);
        // Of IPv6, a network counts as one.
        let of = |number: u16| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).into();
        let network: Vec<Connection> = (0..300).map(|number| guests.came(of(number))).collect();
        assert_eq!(are_gone([&late[0], &network[0], &network[299]]), [false, true, false]);
    }
}
