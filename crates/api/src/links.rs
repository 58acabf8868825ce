//! Links to single files and folders, for people without a name here. Invariant: a token is kept by its hash alone; a link ends with its time, with its
//! maker's right to write in the library, with its maker (an entry of the same name with another password is another one), and, if it is for once, with the first whole download. What is kept is bounded, and each user has a share of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::chance::{hash_of, secret};
use crate::limits::{
    LINK_IDLE, LINK_PARTS_MAX, LINKS_LEN_MAX, LINKS_MAX, LINKS_OF_USER_LEN_MAX, LINKS_OF_USER_MAX,
};
use crate::private_file;
use crate::problem::Problem;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The hash of its token, as hex.
    hash: String,
    /// The library.
    pub(crate) guid: String,
    /// What it leads to, in the library.
    pub(crate) path: String,
    /// Who made it.
    pub(crate) user: String,
    /// What stood for the password of its maker: an entry of that name with another one is of somebody else. Nothing in a list that an earlier version
    /// wrote, until the links are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    pub(crate) made_at_ms: u64,
    pub(crate) expires_at_ms: u64,
    /// Whether the first whole download ends it.
    pub(crate) once: bool,
}

/// Why a link is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoLink {
    /// There are too many, of one user or of all.
    #[error("there are as many links as this node keeps, of yours or of all: revoke some")]
    Full,
    /// No random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
    /// The file of links cannot be written.
    #[error("the list of links cannot be written: see the log of the daemon")]
    Disk,
}

/// The links of this node.
#[derive(Debug)]
pub(crate) struct Links {
    path: PathBuf,
    /// Held for no write to the disk: whoever sends bytes of a link looks here at each block.
    known: Mutex<Known>,
    /// The number of the list that the file has.
    saved: Mutex<u64>,
}

#[derive(Debug, Default)]
struct Known {
    /// By id.
    links: BTreeMap<String, Link>,
    /// What was sent of links that are for once, and those that are being sent.
    sent: BTreeMap<String, Sent>,
    last_ticket: u64,
    /// Counts the lists that there were.
    version: u64,
    /// The last list that the file has.
    saved: u64,
}

#[derive(Debug, Default)]
struct Sent {
    /// The download that has the place, and when it last took something.
    going: Option<(u64, Instant)>,
    parts: Vec<Range<u64>>,
}

impl Links {
    /// Those in this file. A file that cannot be read holds none, and is told.
    pub(crate) fn open(path: PathBuf) -> Self {
        let read = private_file::read(&path).map(|bytes| bytes.map(|bytes| serde_json::from_slice(&bytes)));
        let links = match read {
            Ok(None) => BTreeMap::new(),
            Ok(Some(Ok(links))) => links,
            Ok(Some(Err(error))) => {
                tracing::warn!(%error, "the list of links is not valid: no link holds");
                BTreeMap::new()
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the list of links: no link holds");
                BTreeMap::new()
            }
        };
        Self { path, known: Mutex::new(Known { links, ..Known::default() }), saved: Mutex::default() }
    }

    /// A new link, and its id and token: the token is told now or never.
    pub(crate) fn add(&self, new: NewLink, now_ms: u64) -> Result<(String, String, Link), NoLink> {
        let (token, id) = (secret().ok_or(NoLink::NoChance)?, secret().ok_or(NoLink::NoChance)?);
        let id = id[..ID_LEN].to_owned();
        let NewLink { guid, path, user, mark, age, once } = new;
        let link = Link {
            hash: HEXLOWER.encode(&hash_of(&token)),
            guid,
            path,
            user,
            mark: Some(mark),
            made_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            once,
        };
        let mut known = self.lock();
        known.forget_ended(now_ms);
        if known.links.len() >= LINKS_MAX || !known.has_room_for(&link) {
            return Err(NoLink::Full);
        }
        known.links.insert(id.clone(), link.clone());
        if let Err(fault) = self.save(known) {
            self.lock().links.remove(&id);
            return Err(fault);
        }
        Ok((id, token, link))
    }

    /// The links of a library that hold.
    pub(crate) fn of(&self, guid: &str, now_ms: u64) -> Vec<(String, Link)> {
        let mut known = self.lock();
        known.forget_ended(now_ms);
        let links = known.links.iter().filter(|(_, link)| link.guid == guid);
        links.map(|(id, link)| (id.clone(), link.clone())).collect()
    }

    /// The link of a token.
    pub(crate) fn find(&self, token: &str, now_ms: u64) -> Option<(String, Link)> {
        let hash = HEXLOWER.encode(&hash_of(token));
        let known = self.lock();
        let mut holding = known.links.iter().filter(|(_, link)| link.expires_at_ms > now_ms);
        holding.find(|(_, link)| link.hash == hash).map(|(id, link)| (id.clone(), link.clone()))
    }

    /// Ends a link of a library. Whether it was there. One that cannot be taken out of the file has ended all the same, and is taken out later.
    pub(crate) fn revoke(&self, guid: &str, id: &str) -> Result<bool, NoLink> {
        let mut known = self.lock();
        if known.links.get(id).is_none_or(|link| link.guid != guid) {
            return Ok(false);
        }
        known.end(id);
        self.save(known).map(|()| true)
    }

    /// Whether a link was not revoked; one that has expired may be forgotten.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.lock().links.contains_key(id)
    }

    /// Ends the links of all but these users, each with what stands for the password; nothing while that is not known.
    pub(crate) fn end_of_others(&self, users: &BTreeMap<String, Option<String>>) {
        let mut known = self.lock();
        let is_over = |link: &Link| match (users.get(&link.user), &link.mark) {
            (Some(Some(now)), Some(mark)) => now != mark,
            (Some(_), _) => false,
            (None, _) => true,
        };
        let is_unmarked =
            |link: &Link| link.mark.is_none() && users.get(&link.user).is_some_and(Option::is_some);
        if known.links.values().any(|link| is_over(link) || is_unmarked(link)) {
            known.links.retain(|_, link| !is_over(link));
            for link in known.links.values_mut().filter(|link| is_unmarked(link)) {
                link.mark = users.get(&link.user).cloned().flatten();
            }
            known.forget_parts();
            // What cannot be written is told by `save`, and tried again.
            let _ = self.save(known);
        }
    }

    /// The maker of links changed the own password: they hold by the new one.
    pub(crate) fn hand_on(&self, user: &str, mark: &str, new: &str) {
        let mut known = self.lock();
        let is_of = |link: &Link| link.user == user && link.mark.as_deref().is_none_or(|known| known == mark);
        if known.links.values().any(is_of) {
            for link in known.links.values_mut().filter(|link| is_of(link)) {
                link.mark = Some(new.to_owned());
            }
            // What cannot be written is told by `save`, and tried again.
            let _ = self.save(known);
        }
    }

    /// Writes again what could not be written.
    pub(crate) fn save_again(&self) {
        let known = self.lock();
        if known.saved < known.version {
            let _ = self.save(known);
        }
    }

    /// Takes the one place of a link that is for once; `None` while another download has it and goes on.
    pub(crate) fn begin(&self, id: &str, now: Instant) -> Option<u64> {
        let mut known = self.lock();
        if !known.links.contains_key(id) {
            return None;
        }
        known.last_ticket += 1;
        let ticket = known.last_ticket;
        let sent = known.sent.entry(id.to_owned()).or_default();
        if sent.going.is_some_and(|(_, at)| now.duration_since(at) < LINK_IDLE) {
            return None;
        }
        sent.going = Some((ticket, now));
        Some(ticket)
    }

    /// More of a download was taken. Whether it has the place still: a client that stands still loses it to another.
    pub(crate) fn goes_on(&self, id: &str, ticket: u64, now: Instant) -> bool {
        let mut known = self.lock();
        let going = known.sent.get_mut(id).and_then(|sent| sent.going.as_mut());
        match going.filter(|(known, _)| *known == ticket) {
            Some((_, at)) => {
                *at = now;
                true
            }
            None => false,
        }
    }

    /// A download of a link that is for once is over: `part` was sent of `len` bytes. With the last of them the link ends.
    pub(crate) fn over(&self, id: &str, ticket: u64, part: Range<u64>, len: u64) {
        let mut known = self.lock();
        let Some(sent) = known.sent.get_mut(id) else { return };
        if sent.going.take_if(|(known, _)| *known == ticket).is_none() {
            return;
        }
        sent.take(part);
        if sent.parts.first().is_some_and(|part| part.start == 0 && part.end >= len) {
            known.end(id);
            // What cannot be written is told by `save`, and tried again.
            let _ = self.save(known);
        }
    }

    /// Writes the list that there is now; a later one that was written meanwhile does as well.
    fn save(&self, mut known: MutexGuard<'_, Known>) -> Result<(), NoLink> {
        let bytes = serde_json::to_vec(&known.links).map_err(|_| NoLink::Disk)?;
        if bytes.len() > LINKS_LEN_MAX {
            return Err(NoLink::Full);
        }
        let was_saved = known.saved == known.version;
        known.version += 1;
        let version = known.version;
        drop(known);
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved < version {
            private_file::write(&self.path, &bytes).map_err(|error| {
                if was_saved {
                    tracing::warn!(%error, "cannot write the list of links");
                }
                NoLink::Disk
            })?;
            *saved = version;
        }
        let mut known = self.lock();
        known.saved = known.saved.max(version);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link to make.
#[derive(Clone, Debug)]
pub(crate) struct NewLink {
    pub(crate) guid: String,
    pub(crate) path: String,
    pub(crate) user: String,
    /// What stands for the password of the user.
    pub(crate) mark: String,
    /// For how long it holds.
    pub(crate) age: Duration,
    pub(crate) once: bool,
}

/// What whoever has a link is told where it does not hold, and where there never was one.
pub(crate) fn no_link() -> Problem {
    Problem::not_found(
        "this link does not hold: it has expired, was used up or was revoked. Ask for another one",
    )
}

impl Known {
    /// Whether its maker's share has room for another link.
    fn has_room_for(&self, new: &Link) -> bool {
        let own = self.links.values().filter(|link| link.user == new.user).chain([new]);
        let (mut count, mut len) = (0, 0);
        for link in own {
            count += 1;
            len += serde_json::to_vec(link).map_or(0, |bytes| bytes.len());
        }
        count <= LINKS_OF_USER_MAX && len <= LINKS_OF_USER_LEN_MAX
    }

    fn end(&mut self, id: &str) {
        self.links.remove(id);
        self.sent.remove(id);
    }

    fn forget_ended(&mut self, now_ms: u64) {
        self.links.retain(|_, link| link.expires_at_ms > now_ms);
        self.forget_parts();
    }

    fn forget_parts(&mut self) {
        let links = &self.links;
        self.sent.retain(|id, _| links.contains_key(id));
    }
}

impl Sent {
    /// Takes a part in. Too many single ones are forgotten: they are to be sent again.
    fn take(&mut self, part: Range<u64>) {
        self.parts.push(part);
        self.parts.sort_unstable_by_key(|part| part.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for part in self.parts.drain(..) {
            match joined.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => joined.push(part),
            }
        }
        joined.truncate(LINK_PARTS_MAX);
        self.parts = joined;
    }
}

/// Letters of an id.
const ID_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn links() -> (Links, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        (Links::open(folder.path().join("links.json")), folder)
    }

    fn new(path: &str, once: bool) -> NewLink {
        let age = Duration::from_millis(1000);
        let (guid, user, mark) = ("g".to_owned(), "anna".to_owned(), "m".to_owned());
        NewLink { guid, path: path.to_owned(), user, mark, age, once }
    }

    #[test]
    fn a_link_holds_for_its_time_and_after_a_restart_and_its_token_is_not_kept() {
        let (links, folder) = links();
        let (id, token, link) = links.add(new("a", false), 5000).expect("there is room");
        let file = folder.path().join("links.json");
        assert!(!std::fs::read_to_string(&file).expect("it is there").contains(&token));
        let again = Links::open(file);
        assert_eq!(again.find(&token, 5999), Some((id.clone(), link)));
        assert_eq!(again.find(&token, 6000), None);
        assert_eq!(again.find("guessed", 5000), None);
        assert_eq!(again.revoke("other", &id), Ok(false));
        assert_eq!(again.revoke("g", &id), Ok(true));
        assert_eq!((again.find(&token, 5000), again.of("g", 5000).len()), (None, 0));
    }

    #[test]
    fn a_link_that_cannot_be_taken_out_of_the_file_has_ended_and_is_taken_out_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let (below, away) = (folder.path().join("below"), folder.path().join("away"));
        std::fs::create_dir(&below).expect("a place");
        let links = Links::open(below.join("links.json"));
        let (id, token, _) = links.add(new("a", false), 0).expect("there is room");
        std::fs::rename(&below, &away).expect("it is there");
        assert_eq!(links.add(new("b", false), 0).map(|_| ()), Err(NoLink::Disk));
        assert_eq!((links.of("g", 0).len(), links.revoke("g", &id)), (1, Err(NoLink::Disk)));
        assert!(links.find(&token, 0).is_none());
        std::fs::rename(&away, &below).expect("it is there");
        let again = || Links::open(below.join("links.json")).find(&token, 0).is_some();
        assert!(again());
        links.save_again();
        assert!(!again());
    }

    #[test]
    fn a_link_for_once_ends_when_all_of_it_was_sent_and_not_before() {
        let now = clock::moment();
        let check = |parts: &[(u64, u64)], expected: bool| {
            let (links, _folder) = links();
            let (id, token, _) = links.add(new("a", true), 0).expect("there is room");
            for (from, to) in parts {
                let ticket = links.begin(&id, now).expect("the place is free");
                assert!(links.begin(&id, now).is_none(), "one at a time");
                links.over(&id, ticket, *from..*to, 10);
            }
            assert_eq!(links.find(&token, 0).is_none(), expected, "{parts:?}");
        };
        check(&[(0, 10)], true);
        check(&[(0, 9)], false);
        check(&[(0, 6), (0, 6)], false);
        check(&[(4, 10), (0, 4)], true);
        check(&[(0, 2), (8, 10), (4, 8), (1, 5)], true);
        check(&[(1, 10)], false);
    }

    #[test]
    fn a_download_that_stands_still_loses_its_place() {
        let ((links, _folder), now) = (links(), clock::moment());
        let (id, token, _) = links.add(new("a", true), 0).expect("there is room");
        let first = links.begin(&id, now).expect("the place is free");
        assert!(links.goes_on(&id, first, now + LINK_IDLE / 2));
        assert_eq!(links.begin(&id, now + LINK_IDLE), None);
        let second = links.begin(&id, now + 2 * LINK_IDLE).expect("the first one stands still");
        assert!(!links.goes_on(&id, first, now + 2 * LINK_IDLE));
        links.over(&id, first, 0..10, 10);
        assert!(links.find(&token, 0).is_some());
        links.over(&id, second, 0..10, 10);
        assert!(links.find(&token, 0).is_none());
    }

    #[test]
    fn one_user_leaves_places_for_links_to_others() {
        let (links, _folder) = links();
        let of = |user: &str, path: &str| NewLink { user: user.to_owned(), ..new(path, false) };
        let mut made = 0;
        while links.add(of("edith", "a"), 0).is_ok() {
            made += 1;
        }
        assert_eq!(made, LINKS_OF_USER_MAX);
        // Not with long names, either.
        let long = "x".repeat(LINKS_OF_USER_LEN_MAX / 8);
        while links.add(of("emil", &long), 0).is_ok() {}
        assert!(links.add(of("adam", &long), 0).is_ok());
    }

    #[test]
    fn links_are_bounded_and_those_that_ended_make_room() {
        let (links, _folder) = links();
        for _ in 0..LINKS_MAX {
            links.lock().links.insert(
                secret().expect("chance"),
                Link {
                    hash: String::new(),
                    guid: "g".to_owned(),
                    path: String::new(),
                    user: String::new(),
                    mark: None,
                    made_at_ms: 0,
                    expires_at_ms: 1000,
                    once: false,
                },
            );
        }
        assert_eq!(links.add(new("a", false), 999).map(|_| ()), Err(NoLink::Full));
        assert!(links.add(new("a", false), 1000).is_ok());
        assert_eq!(links.add(new(&"a".repeat(LINKS_LEN_MAX), false), 0).map(|_| ()), Err(NoLink::Full));
        assert_eq!(links.of("g", 1000).len(), 1);
    }
}
