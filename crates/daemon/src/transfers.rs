//! What is fetched now, as data: for the API, the page and scripts. A transfer is one long file of a library, the short files of one commit
//! together, or a content that is fetched by a ticket. Invariant: there is a limit on what one answer has; what is beyond it is counted. Absent here: what the engine does (`contents/jobs`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_core::base::Category;
use swarm_sync::TreePath;
use utoipa::ToSchema;

use crate::protocol::Reply;

/// All transfers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferList {
    /// Those that move first, then those that wait, then those that are held; 256 at most.
    pub transfers: Vec<TransferView>,
    /// Those that are not in the list.
    pub further: u64,
}

/// One transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferView {
    /// Its id, which holds while it is paused and over a restart.
    pub id: String,
    /// The GUID of the library.
    pub library: String,
    /// What this node calls the library.
    pub library_name: String,
    /// What it is a fetch of.
    pub kind: TransferKind,
    /// Where the file goes in the library; of several files, the first one's. Empty if it is not known, as on a mirror.
    pub path: String,
    /// How many files it is; zero until that is known.
    pub files: u64,
    /// Of a ticket that is done: files that took another name, as one stood there.
    pub renamed: u64,
    /// Bytes to fetch and fetched.
    pub bytes: u64,
    /// Of these, verified on this disk.
    pub bytes_here: u64,
    /// Further bytes that came, of chunks that are not whole yet.
    pub bytes_coming: u64,
    /// Chunks to fetch and fetched; zero until that is known.
    pub chunks: u32,
    /// Of these, verified on this disk.
    pub chunks_here: u32,
    /// How it stands.
    pub state: TransferState,
    /// Its turn among the transfers of the library.
    pub priority: Priority,
    /// Bytes a second that come now.
    pub rate: u64,
    /// Seconds until it is here at that rate; nothing if that cannot be said.
    pub eta_seconds: Option<u64>,
    /// Why it is slow, or waits; nothing while it flows.
    pub why: Option<SlowReason>,
    /// Linked peers that have some of it.
    pub peers: u32,
}

/// One transfer, with the chunks that each peer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub transfer: TransferView,
    /// The percentage of each cell that is on this disk. A cell is a chunk, or as many as make 256 cells at most; none until chunks are known.
    pub here: Vec<u8>,
    /// Peers that have some of it, those that send most first; 32 at most.
    pub sources: Vec<TransferPeer>,
    /// Peers that are not in the list.
    pub further_sources: u64,
}

/// A peer that has some of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferPeer {
    /// Its key.
    pub node: String,
    /// Bytes a second that come from it for this transfer.
    pub rate: u64,
    /// Bytes that it is asked for and that have not come.
    pub bytes_asked: u64,
    /// Chunks of it that it has.
    pub chunks: u32,
    /// It lets this node wait: it serves others.
    pub is_choked: bool,
    /// It was asked, and sent nothing for too long.
    pub is_stalled: bool,
    /// The percentage of each cell that it has.
    pub has: Vec<u8>,
    /// The percentage of each cell that it is asked for now.
    pub asked: Vec<u8>,
}

/// What a transfer is a fetch of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// Files that the library has.
    Library,
    /// A content that somebody gave by a ticket or a manifest; it comes into the library when it is whole.
    Ticket,
}

/// How a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// It is fetched.
    Fetching,
    /// It is being looked up what is here of it already.
    Opening,
    /// Others are fetched first.
    Queued,
    /// It failed on this machine, and is tried again.
    Failing,
    /// Somebody paused it, or its library; or nothing comes by the limits now.
    Paused,
    /// Somebody cancelled it: the file is not fetched to this disk until it is resumed.
    Cancelled,
    /// Of a ticket alone: its files stand in the library. Cancelling it takes it off the list.
    Done,
}

/// Its turn among the transfers of a library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After the others.
    Low,
    /// As it comes.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// What may be done with a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Fetch nothing more of it for now; what came stays.
    Pause,
    /// Fetch it again.
    Resume,
    /// Do not fetch the file to this disk. The library keeps it, and so do the peers; resume fetches it after all. Of a ticket: forget it, with what came.
    Cancel,
}

/// Why a transfer is slow, or waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum SlowReason {
    /// Somebody paused it.
    Paused,
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody paused its library.
    LibraryPaused,
    /// The limits, or the schedule in `config.json`, let nothing come now.
    NoRate,
    /// Others are fetched first.
    Queued {
        /// How many.
        ahead: u64,
    },
    /// Peers are asked, and it is not known yet whether one has it.
    Asked {
        /// For how long nothing came.
        seconds: u64,
    },
    /// No linked peer has what is lacking.
    Nobody {
        /// For how long nothing came.
        seconds: u64,
    },
    /// A peer has it and refuses this node.
    Refused {
        /// Its key.
        node: String,
    },
    /// Each peer that has it lets this node wait: they serve others.
    Choked,
    /// Each peer that is asked sent nothing for too long.
    Stalled,
    /// The disk of this machine writes slower than the bytes come.
    Disk,
    /// It comes as fast as a limit of this node allows.
    Limited {
        /// Of the limit, bytes a second.
        bytes_per_sec: u64,
        /// Whether it is the limit of the library, and not that of the node.
        of_library: bool,
    },
    /// One peer alone has what is lacking.
    OnePeer,
    /// Fetching it failed on this machine, as when the disk is full.
    Failing {
        /// For people.
        detail: String,
    },
}

/// A ticket or a manifest, and where its files are to go.
#[derive(Clone, Debug)]
pub struct FetchOrder {
    /// The name or GUID of the library.
    pub library: String,
    /// The folder in it; nothing for the top.
    pub folder: Option<TreePath>,
    /// A text with a ticket, or the bytes of a manifest.
    pub given: Bytes,
    /// Paths of files and folders of the content that are wanted; none for all.
    pub files: Vec<String>,
    /// Only say what that would be.
    pub is_rehearsal: bool,
}

/// Why a ticket is not fetched.
#[derive(Clone, Debug)]
pub enum FetchRefusal {
    /// As other requests are refused.
    Failed(Reply),
    /// The disk has no room for it.
    NoRoom,
}

impl FetchRefusal {
    pub(crate) fn of(category: Category, message: impl Into<String>) -> Self {
        Self::Failed(Reply::failed(category, message))
    }
}

/// What is fetched by a ticket. What only a manifest tells is not known of a ticket: peers send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchView {
    /// The id of the transfer; nothing if it was only asked what that would be.
    pub id: Option<String>,
    /// The id of the content.
    pub content: String,
    /// A name for people.
    pub name: Option<String>,
    /// Bytes of the files that are wanted.
    pub bytes: Option<u64>,
    /// How many these are.
    pub files: Option<u64>,
    /// The first of these; 100 at most.
    pub listed: Vec<GivenFile>,
    /// Keys of publishers that signed the content.
    pub signers: Vec<String>,
    /// Nodes that it names as sources.
    pub sources: u64,
}

/// A file of a content that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GivenFile {
    /// Its path in the content.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
}

/// The id of a transfer: the GUID of its library, and the part of it.
pub(crate) fn id_of(guid: &str, part: &crate::contents::Part) -> String {
    format!("{guid}.{part}")
}

/// The library and the part that an id names.
pub(crate) fn parse_id(id: &str) -> Option<(&str, crate::contents::Part)> {
    let (guid, part) = id.split_once('.')?;
    Some((guid, crate::contents::Part::parse(part)?))
}
