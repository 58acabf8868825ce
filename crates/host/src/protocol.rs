//! What is said on a control socket: one JSON object a line each way, a request and then its answers, of which the last is not
//! `progress`. Fields may be added within a version; a reader passes over those it does not know.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use swarm_core::base::Category;

/// The version of this protocol. A node answers no other.
pub const VERSION: u32 = 1;

/// One line to the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`].
    pub version: u32,
    /// What is wanted.
    pub request: Request,
}

/// What a node is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Serve these as one content. Answered by `added`.
    AddPaths {
        /// Absolute.
        paths: Vec<PathBuf>,
        /// Leave out what has a name that no content can hold.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        skip_unportable: bool,
    },
    /// Serve what a folder holds of a manifest. Answered by `added`.
    AddCopy {
        /// Absolute path of the manifest.
        manifest: PathBuf,
        /// Absolute path of the folder, or of the only file.
        path: PathBuf,
    },
    /// Fetch a content and go on serving it. Answered by `added` as soon as the fetch has begun.
    AddFetch {
        /// The content, and its sources.
        ticket: String,
        /// Absolute path of the folder.
        out: PathBuf,
        /// Names and patterns of the wanted files; without any, all are wanted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        include: Vec<String>,
        /// Absolute path of the file with the key that opens the content. Without it a sealed content stays sealed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_key: Option<PathBuf>,
    },
    /// Serve it no longer. Answered by `removed`.
    Remove {
        /// Hex digits that its id begins with.
        content: String,
    },
    /// Answered by `contents`.
    List,
    /// Answered by `status`.
    Status,
}

/// What a node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It is at work; more follows.
    Progress {
        /// Bytes hashed.
        hashed_bytes: u64,
        /// Bytes to hash in all.
        total_bytes: u64,
    },
    /// A content is served or being fetched.
    Added {
        /// The content as it was added.
        content: Box<ContentStatus>,
        /// It was before, too.
        was_there: bool,
        /// For people: what was left out, and what not all systems can store.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<String>,
    },
    /// A content is served no more.
    Removed {
        /// Its id.
        content: String,
        /// Its name.
        name: String,
    },
    /// All contents.
    Contents {
        /// In the order in which they came.
        contents: Vec<ContentStatus>,
    },
    /// How things stand.
    Status(Box<Status>),
    /// It was not done.
    Error {
        /// What kind of reason, in the words that every build knows.
        kind: ErrorKind,
        /// The name of its [`Category`], which says more than `kind`; a node of before has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<String>,
        /// For people: one line.
        message: String,
    },
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request makes no sense, or names nothing.
    Usage,
    /// Something stands where data should go.
    TargetDiffers,
    /// Data is not what it should be.
    Integrity,
    /// A disk cannot be read or written.
    Disk,
    /// Something else, as a node that is stopping.
    Other,
}

/// How a node stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Its key.
    pub node: String,
    /// Its program and version.
    pub agent: String,
    /// The UDP address it listens on.
    pub listen: String,
    /// The TCP address of its metrics page, if there is one.
    pub metrics_listen: Option<String>,
    /// Addresses in its tickets.
    pub addresses: Vec<String>,
    /// Since it started.
    pub uptime_seconds: u64,
    /// Everything is served that should be.
    pub is_healthy: bool,
    /// What is wrong, in words.
    pub troubles: Vec<String>,
    /// The limit on payload sent now, bytes per second.
    pub limit_up: Option<u64>,
    /// The limit on payload received now, bytes per second.
    pub limit_down: Option<u64>,
    /// Payload sent now.
    pub sent_bytes_per_sec: u64,
    /// Payload received now.
    pub received_bytes_per_sec: u64,
    /// UDP payload sent since it started.
    pub wire_sent_bytes: u64,
    /// UDP payload received since it started.
    pub wire_received_bytes: u64,
    /// The folder that it collects contents in, if it does.
    #[serde(default)]
    pub store: Option<StoreStatus>,
    /// What it knows as a coordinator, if it is one.
    #[serde(default)]
    pub coordinator: Option<CoordinatorStatus>,
    /// All contents.
    pub contents: Vec<ContentStatus>,
    /// Peers that are linked.
    pub peers: Vec<PeerStatus>,
    /// Banned peers.
    #[serde(default)]
    pub banned: Vec<BannedStatus>,
}

/// A folder of contents that others offered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of all contents that were let in, also of what is yet to come.
    pub used_bytes: u64,
    /// Bytes that it may hold.
    pub quota_bytes: Option<u64>,
}

/// What a coordinator knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoordinatorStatus {
    /// Contents that some node takes part in.
    pub contents: usize,
    /// Announcements: nodes, counted once for each content.
    pub announcements: usize,
    /// Of those, such that others are told of.
    pub listed: usize,
    /// Nodes that are linked.
    pub nodes: usize,
}

/// How a content stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContentStatus {
    /// Its id, as soon as it is known.
    pub content: Option<String>,
    /// Its name, or the paths while there is none.
    pub name: String,
    /// Whether it comes from the configuration, or was added at run time.
    pub is_configured: bool,
    /// How far it is.
    pub state: ContentState,
    /// What is wrong or awaited, in words.
    pub detail: Option<String>,
    /// The name of the [`Category`] of what went wrong, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Bytes of all of it, as far as known.
    pub bytes: u64,
    /// Bytes that are here and verified; while it is hashed, bytes that were hashed.
    pub present_bytes: u64,
    /// Payload sent since the node started.
    pub sent_bytes: u64,
    /// Payload fetched and verified since the node started.
    pub fetched_bytes: u64,
    /// Payload received and found corrupt since the node started.
    pub corrupt_bytes: u64,
    /// Payload sent now.
    pub sent_bytes_per_sec: u64,
    /// Payload fetched now.
    pub fetched_bytes_per_sec: u64,
    /// Chunks withdrawn because the data under them changed.
    pub lost_chunks: u64,
    /// By which others fetch it.
    pub ticket: Option<String>,
}

/// How far a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentState {
    /// It waits for its turn to be hashed.
    Waiting,
    /// What is there is being hashed.
    Hashing,
    /// It is served.
    Serving,
    /// It is being fetched, and served as far as it is there.
    Fetching,
    /// It cannot be served; the detail says why. It is tried again.
    Failed,
}

/// How a peer stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its key.
    pub node: String,
    /// What it says of itself.
    pub agent: String,
    /// Payload sent to it.
    pub sent_bytes: u64,
    /// Payload received from it.
    pub received_bytes: u64,
    /// Payload sent to it now.
    pub sent_bytes_per_sec: u64,
    /// Payload received from it now.
    pub received_bytes_per_sec: u64,
    /// Smoothed round-trip time.
    pub rtt_ms: f64,
    /// What it was worth.
    #[serde(default)]
    pub reputation: ReputationStatus,
}

/// A banned peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BannedStatus {
    /// Its key.
    pub node: String,
    /// What it did.
    pub why: String,
    /// What it was worth.
    pub reputation: ReputationStatus,
}

/// What a peer was worth, at this run and before; earlier deeds count half after a week.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReputationStatus {
    /// Bytes of its chunks that were verified.
    pub good_bytes: u64,
    /// Chunks of it that failed verification.
    pub bad_chunks: f64,
    /// How often it took requests and fell silent.
    pub stalls: f64,
    /// Chunks that it said it had, and had not.
    pub lies: f64,
    /// Peers that say it gave them more than one wrong chunk.
    #[serde(default)]
    pub accusers: usize,
    /// It promises more than it gives: others are dialed first.
    pub is_doubtful: bool,
}

impl Answer {
    /// Something was not done.
    pub fn error(category: Category, message: impl std::fmt::Display) -> Self {
        let name = category.name().to_owned();
        Self::Error { kind: category.into(), category: Some(name), message: message.to_string() }
    }
}

impl ErrorKind {
    /// The category of an answer: the one that is named, if this build knows the name.
    pub fn category(self, name: Option<&str>) -> Category {
        let known = name.and_then(Category::from_name);
        known.unwrap_or(match self {
            Self::Usage => Category::Usage,
            Self::TargetDiffers => Category::TargetDiffers,
            Self::Integrity => Category::Integrity,
            Self::Disk => Category::Disk,
            Self::Other => Category::Other,
        })
    }
}

impl From<Category> for ErrorKind {
    fn from(category: Category) -> Self {
        match category {
            Category::Usage => Self::Usage,
            Category::TargetDiffers => Self::TargetDiffers,
            Category::Integrity => Self::Integrity,
            Category::Disk => Self::Disk,
            Category::NoSource
            | Category::Denied
            | Category::NoNode
            | Category::Held
            | Category::Interrupted
            | Category::Partial
            | Category::Undecided
            | Category::Other => Self::Other,
        }
    }
}

impl ContentState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Hashing => "hashing",
            Self::Serving => "serving",
            Self::Fetching => "fetching",
            Self::Failed => "failed",
        }
    }

    /// Every state there is.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Hashing, Self::Serving, Self::Fetching, Self::Failed];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_comes_through_and_a_node_of_before_is_understood() {
        for category in Category::ALL {
            let line = serde_json::to_string(&Answer::error(category, "why")).expect("it is JSON");
            let Ok(Answer::Error { kind, category: name, .. }) = serde_json::from_str(&line) else {
                panic!("no error: {line}")
            };
            assert_eq!(kind.category(name.as_deref()), category);
        }
        let before = r#"{"answer":"error","kind":"disk","message":"why"}"#;
        let Ok(Answer::Error { kind, category, .. }) = serde_json::from_str(before) else { panic!() };
        assert_eq!(kind.category(category.as_deref()), Category::Disk);
        assert_eq!(ErrorKind::Other.category(Some("of a later build")), Category::Other);
    }
}
