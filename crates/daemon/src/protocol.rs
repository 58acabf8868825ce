//! Requests on the control socket of a daemon, and its replies: a JSON line each. Words for people are made where a reply is shown.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use swarm_core::base::Category;
use utoipa::ToSchema;

use crate::library::Answer;
use crate::status::Status;
use crate::transfers::{Action, Priority, TransferDetail, TransferView};

/// What a command asks of the daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How everything stands.
    Status,
    /// Look at the folders of a library now.
    Sync {
        /// Its name or GUID.
        library: String,
    },
    /// Proposals of a library, or of all.
    Approvals {
        /// Its name or GUID.
        library: Option<String>,
        /// Those that ended, too.
        all: bool,
    },
    /// A vote about a proposal.
    Vote {
        /// The first digits of its id.
        id: String,
        /// `yes`, `no` or `withdraw`.
        verdict: String,
        /// For people.
        why: String,
    },
    /// The deletions that this node's disk shows are meant.
    ApproveHere {
        /// The library's name or GUID.
        library: String,
    },
    /// Entries of a library.
    Tree {
        /// Its name or GUID.
        library: String,
        /// Below this path.
        place: Option<String>,
        /// After this path.
        start: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Read all files of a library again, and compare them with what is known.
    Verify {
        /// Its name or GUID.
        library: String,
    },
    /// The last commits of a library.
    Log {
        /// Its name or GUID.
        library: String,
        /// At most so many.
        limit: usize,
    },
    /// Why a path is as it is.
    Explain {
        /// The library's name or GUID.
        library: String,
        /// The path in it.
        path: String,
    },
    /// Nodes that announce themselves on the local network.
    Lan,
    /// Users that trusted peers propose.
    ProposedUsers,
    /// Hear no more of a user that is proposed.
    RejectUser {
        /// The user.
        name: String,
    },
    /// The texts of the conflict at a path; those that peers have are fetched.
    Texts {
        /// The library's name or GUID.
        library: String,
        /// The path in it.
        path: String,
    },
    /// Conflicts of a library that this machine takes no part in: others decide them.
    Disputes {
        /// The library's name or GUID.
        library: String,
    },
    /// Decide a conflict.
    Decide {
        /// The library's name or GUID.
        library: String,
        /// The path of the conflict, or of a folder with conflicts; nothing for the whole library.
        path: Option<String>,
        /// `keep-local`, `keep-remote`, `keep-both`, `merge` or `file`.
        choice: String,
        /// The file with the bytes that are to stand, if the choice is `file`: a whole path on the daemon's machine.
        file: Option<PathBuf>,
        /// All conflicts at the path and below it.
        all: bool,
    },
    /// Kept versions of a path.
    Versions {
        /// The library's name or GUID.
        library: String,
        /// The path in it.
        path: String,
    },
    /// Bring a kept version back.
    Restore {
        /// The library's name or GUID.
        library: String,
        /// The path in it.
        path: String,
        /// The version; nothing for the newest.
        run: Option<String>,
        /// A new file that it is copied to instead: a whole path on the daemon's machine.
        out: Option<PathBuf>,
    },
    /// Take back what a run did on this disk.
    Undo {
        /// The library's name or GUID.
        library: String,
        /// The run; nothing for the last one.
        run: Option<String>,
    },
    /// Who changed a library.
    Authors {
        /// The library's name or GUID.
        library: String,
    },
    /// Take back what an author did.
    TakeBack {
        /// The library's name or GUID; nothing for all.
        library: Option<String>,
        /// The first digits of the author's id.
        author: String,
        /// Since when, by this node's clock: milliseconds since 1970.
        since_ms: u64,
        /// Only say what that would be.
        is_rehearsal: bool,
    },
    /// What is fetched now.
    Transfers,
    /// One of these, with the chunks that each peer has.
    Transfer {
        /// Its id.
        id: String,
    },
    /// A transfer goes on otherwise.
    Steer {
        /// Its id.
        id: String,
        /// What is done with it.
        action: Option<Action>,
        /// Its turn among the transfers of its library.
        priority: Option<Priority>,
    },
    /// Puts an advisory lock on a path, or ends it.
    Lock {
        /// The library's name or GUID.
        library: String,
        /// The path in it.
        path: String,
        /// For how long; zero ends it.
        seconds: u64,
        /// For people.
        why: String,
    },
}

/// What the daemon replies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// How everything stands.
    Status(Box<Status>),
    /// The answer of one library.
    Library {
        /// Its name.
        name: String,
        /// What it says.
        answer: Answer,
    },
    /// The answers of several libraries, by name.
    Libraries {
        /// What each says.
        answers: BTreeMap<String, Answer>,
    },
    /// What is fetched now, and how many transfers of each library, by GUID, are not in the list.
    Transfers {
        /// In the order of their turns.
        transfers: Vec<TransferView>,
        /// Those that are not in the list.
        further: BTreeMap<String, u64>,
    },
    /// One transfer.
    Transfer(Box<TransferDetail>),
    /// Nodes that announce themselves on the local network.
    Lan(Lan),
    /// Users that trusted peers propose.
    ProposedUsers {
        /// In no order.
        users: Vec<ProposedUser>,
    },
    /// It is done.
    Done,
    /// It is not done.
    Failed {
        /// The category of the cause.
        category: String,
        /// For people.
        message: String,
    },
}

/// Nodes that announce themselves on the local network: anybody there can, so nothing of them is proven but that somebody said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lan {
    /// Whether this node looks for them: it does not if `lan` in config.json is off, or if it listens for its own machine alone.
    pub is_looking: bool,
    /// At most 64, in the order of their keys.
    pub nodes: Vec<LanNode>,
}

/// A node on the local network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LanNode {
    /// Its key, as 64 hex digits.
    pub node: String,
    /// Where it says that it is: IP addresses with their ports.
    pub addresses: Vec<String>,
    /// Whether it is a peer of this node's own list.
    pub is_peer: bool,
}

/// A user that a trusted peer proposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedUser {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: String,
    /// The node that proposes it.
    pub by: String,
}

impl Reply {
    /// It is not done, because of this.
    pub fn failed(category: Category, message: impl Into<String>) -> Self {
        Self::Failed { category: category.name().to_owned(), message: message.into() }
    }
}
