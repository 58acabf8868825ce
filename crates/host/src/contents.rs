//! What a node is to serve, and how far each is. Invariant: no two entries have one content. Does nothing; knows no sockets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::opening::Refusal;
use super::protocol::{Answer, ContentState};
use swarm_core::base::{Category, ContentId, Instant, Shown};
use swarm_core::manifest::Manifest;
use swarm_files::HashProgress;

/// Where a content comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Spec {
    /// Whatever these files and folders hold is the content.
    Paths {
        /// Absolute.
        paths: Vec<PathBuf>,
        /// What has a name that no content can hold is left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        skip_unportable: bool,
    },
    /// A folder holds (a part of) what a manifest names.
    Copy {
        /// Absolute path of the manifest.
        manifest: PathBuf,
        /// Absolute path of the folder, or of the only file.
        path: PathBuf,
    },
    /// It is to be fetched into a folder and then served.
    Fetch(FetchSpec),
}

/// A content that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchSpec {
    /// The content, and its sources.
    pub ticket: String,
    /// Absolute path of the folder.
    pub out: PathBuf,
    /// It was complete once.
    pub is_complete: bool,
    /// Names and patterns of the wanted files; without any, all are wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Absolute path of the file with the key that opens the content. Without it a sealed content stays sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_key: Option<PathBuf>,
}

impl FetchSpec {
    /// All of a content, as it comes.
    pub(super) fn whole(ticket: String, out: PathBuf) -> Self {
        Self { ticket, out, is_complete: false, include: Vec::new(), content_key: None }
    }
}

/// What is remembered of a content because others offered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collected {
    /// Bytes of all of it, since it was let in.
    pub(super) len: Option<u64>,
    /// When a peer last wanted it, milliseconds since 1970.
    pub(super) wanted_at_ms: u64,
}

/// Numbers entries; never used twice in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64);

/// One content, or what is to become one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) spec: Spec,
    /// From the configuration; otherwise added at run time and remembered.
    pub(super) is_configured: bool,
    /// It was offered by others.
    pub(super) collected: Option<Collected>,
    pub(super) content: Option<ContentId>,
    /// Its name, or the paths while there is none.
    pub(super) name: String,
    pub(super) state: State,
    pub(super) content_len: u64,
    pub(super) present_len: u64,
    /// Bytes that are here when its fetch is complete: less than the content where files were chosen or left out.
    pub(super) complete_len: u64,
    pub(super) lost_chunks: u64,
    /// What it is, once it was opened.
    pub(super) manifest: Option<Manifest>,
    /// Chunks that cannot be read just now, and what the system says of them.
    pub(super) unreadable: BTreeMap<u32, String>,
    /// Why it could not be served; stands until it is.
    pub(super) refusal: Option<Refusal>,
    /// For people: what was left out when it was opened last.
    pub(super) remarks: Vec<String>,
    pub(super) progress: watch::Sender<HashProgress>,
    /// Clients that wait for it to be served.
    pub(super) waiter: Option<oneshot::Sender<Answer>>,
}

/// How far an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Hashing,
    Serving,
    Fetching,
    Failed { retry_at: Instant },
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Contents {
    entries: BTreeMap<EntryId, Entry>,
    last: u64,
}

/// Why no single content has this prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PrefixError {
    #[error("`{0}` is not a part of an id: take the first hex digits from `swarm ls`")]
    NotHex(String),
    #[error("no content here begins with `{0}`: see `swarm ls`")]
    Nothing(String),
    #[error("{count} contents begin with `{prefix}`: give more digits")]
    Many { prefix: String, count: usize },
}

impl Entry {
    /// One that no client watches.
    pub(super) fn of(spec: Spec, is_configured: bool) -> Self {
        let nothing = HashProgress { hashed_len: 0, total_len: 0 };
        Self::new(spec, is_configured, watch::Sender::new(nothing))
    }

    pub(super) fn new(spec: Spec, is_configured: bool, progress: watch::Sender<HashProgress>) -> Self {
        Self {
            name: spec.to_string(),
            spec,
            is_configured,
            collected: None,
            content: None,
            state: State::Waiting,
            content_len: 0,
            present_len: 0,
            complete_len: 0,
            lost_chunks: 0,
            manifest: None,
            unreadable: BTreeMap::new(),
            refusal: None,
            remarks: Vec::new(),
            progress,
            waiter: None,
        }
    }

    /// What is wrong with it, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        match &self.state {
            State::Waiting | State::Hashing | State::Failed { .. } => {
                self.refusal.as_ref().map(|refusal| refusal.message.clone())
            }
            State::Serving | State::Fetching if let Some(reason) = self.unreadable.values().next() => {
                Some(format!("not served for now: {reason}; it is read again until that is over"))
            }
            State::Serving | State::Fetching if self.lost_chunks > 0 => {
                let (name, lost) = (&self.name, self.lost_chunks);
                Some(format!(
                    "withdrawn chunks of {name}: {lost}; the data changed: send SIGHUP to the node to serve what is there now"
                ))
            }
            State::Serving | State::Fetching => None,
        }
    }

    /// The category of what keeps it from being served.
    pub(super) fn trouble_category(&self) -> Option<Category> {
        match &self.state {
            State::Waiting | State::Hashing | State::Failed { .. } => {
                self.refusal.as_ref().map(|refusal| refusal.category)
            }
            State::Serving | State::Fetching => None,
        }
    }

    /// Tells the clients that still wait for it.
    pub(super) fn answer(&mut self, answer: Answer) {
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.send(answer);
        }
    }
}

impl State {
    pub(super) fn word(&self) -> ContentState {
        match self {
            Self::Waiting => ContentState::Waiting,
            Self::Hashing => ContentState::Hashing,
            Self::Serving => ContentState::Serving,
            Self::Fetching => ContentState::Fetching,
            Self::Failed { .. } => ContentState::Failed,
        }
    }
}

impl Contents {
    pub(super) fn insert(&mut self, entry: Entry) -> EntryId {
        self.last += 1;
        let id = EntryId(self.last);
        self.entries.insert(id, entry);
        id
    }

    pub(super) fn get(&self, id: EntryId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: EntryId) -> Option<Entry> {
        self.entries.remove(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// In the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (EntryId, &mut Entry)> {
        self.entries.iter_mut().map(|(id, entry)| (*id, entry))
    }

    pub(super) fn find(&self, content: ContentId) -> Option<EntryId> {
        self.iter().find(|(_, entry)| entry.content == Some(content)).map(|(id, _)| id)
    }

    /// One that is not `id`.
    pub(super) fn find_other(&self, content: ContentId, id: EntryId) -> Option<EntryId> {
        self.iter()
            .find(|(other, entry)| *other != id && entry.content == Some(content))
            .map(|(other, _)| other)
    }

    /// The only entry whose content begins with these hex digits.
    pub(super) fn find_prefix(&self, prefix: &str) -> Result<EntryId, PrefixError> {
        let shown: String = prefix.chars().filter(|c| !c.is_control()).take(64).collect();
        let prefix = prefix.trim().to_ascii_lowercase();
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(PrefixError::NotHex(shown));
        }
        let begins = |entry: &Entry| entry.content.is_some_and(|id| id.to_string().starts_with(&prefix));
        let found: Vec<EntryId> = self.iter().filter(|(_, entry)| begins(entry)).map(|(id, _)| id).collect();
        match found.as_slice() {
            [] => Err(PrefixError::Nothing(shown)),
            [id] => Ok(*id),
            many => Err(PrefixError::Many { prefix: shown, count: many.len() }),
        }
    }

    /// The next that waits for its turn.
    pub(super) fn next_waiting(&self) -> Option<EntryId> {
        self.iter().find(|(_, entry)| entry.state == State::Waiting).map(|(id, _)| id)
    }

    /// Lets everything that has trouble wait for another turn; returns what was served of it so far.
    pub(super) fn renew(&mut self) -> Vec<ContentId> {
        let mut served = Vec::new();
        for entry in self.entries.values_mut() {
            match entry.state {
                State::Failed { .. } => entry.state = State::Waiting,
                State::Serving if entry.lost_chunks > 0 => {
                    served.extend(entry.content);
                    entry.state = State::Waiting;
                }
                State::Waiting | State::Hashing | State::Serving | State::Fetching => {}
            }
        }
        served
    }

    /// Lets those that failed wait for another turn when it is time.
    pub(super) fn retry(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            if matches!(entry.state, State::Failed { retry_at, .. } if retry_at <= now) {
                entry.state = State::Waiting;
            }
        }
    }
}

/// For people, while there is no name.
impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paths { paths, .. } => {
                let shown: Vec<String> = paths.iter().map(|path| Shown(&path).to_string()).collect();
                f.write_str(&shown.join(" "))
            }
            Self::Copy { path, .. } => write!(f, "{}", Shown(&path)),
            Self::Fetch(fetch) => write!(f, "a fetch into {}", Shown(&fetch.out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(firsts: &[[u8; 2]]) -> Contents {
        let mut contents = Contents::default();
        for first in firsts {
            let progress = watch::Sender::new(HashProgress { hashed_len: 0, total_len: 0 });
            let mut entry =
                Entry::new(Spec::Paths { paths: Vec::new(), skip_unportable: false }, false, progress);
            let mut id = [0; 32];
            id[..2].copy_from_slice(first);
            entry.content = Some(ContentId::from_bytes(id));
            contents.insert(entry);
        }
        contents
    }

    #[test]
    fn what_lost_chunks_or_failed_gets_another_turn_and_the_rest_is_left_alone() {
        let mut contents = contents(&[[1, 1], [2, 2], [3, 3]]);
        for entry in contents.entries.values_mut() {
            entry.state = State::Serving;
        }
        let entry = contents.get_mut(EntryId(2)).expect("the second");
        entry.lost_chunks = 1;
        assert!(entry.trouble().is_some_and(|trouble| trouble.contains("SIGHUP")));
        let entry = contents.get_mut(EntryId(3)).expect("the third");
        entry.state = State::Failed { retry_at: Instant::ZERO };
        assert_eq!(contents.renew().len(), 1);
        let states: Vec<_> = contents.iter().map(|(_, entry)| entry.state.word().as_str()).collect();
        assert_eq!(states, ["serving", "waiting", "waiting"]);
    }

    #[test]
    fn a_prefix_names_one_content_or_none() {
        let contents = contents(&[[0xab, 0xcd], [0xab, 0xce]]);
        assert_eq!(contents.find_prefix("ABCE"), Ok(EntryId(2)));
        for (prefix, expected) in [
            ("ab", "2 contents begin with `ab`: give more digits"),
            ("12", "no content here begins with `12`: see `swarm ls`"),
            ("film", "`film` is not a part of an id: take the first hex digits from `swarm ls`"),
            ("", "`` is not a part of an id: take the first hex digits from `swarm ls`"),
        ] {
            assert_eq!(contents.find_prefix(prefix).expect_err(prefix).to_string(), expected);
        }
    }
}
