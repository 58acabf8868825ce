//! What nodes that keep libraries say to each other. Invariant: a message that was read is within every limit, and its votes and locks carry
//! valid signatures. What is believed of it is decided elsewhere.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use swarm_core::base::limits::FRAME_LEN_MAX;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_sync::{ContentHash, TreePath};

use crate::{
    After, Completion, Frontier, GrantError, LibraryKey, LockError, Policy, Role, SignedGrant, SignedLock,
    SignedVote, VoteError,
};

/// Nodes with different major versions cannot link.
pub const PROTOCOL_MAJOR: u32 = 1;
/// A build understands all lower minor versions of its major version.
pub const PROTOCOL_MINOR: u32 = 0;

/// One message on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message of each side.
    Hello(Hello),
    /// What the sender has of a library. It is sent when the link begins and whenever it changes.
    Frontier(Standing),
    /// Asks for commits.
    CommitsRequest {
        /// Of which library.
        library: LibraryKey,
        /// Those after these.
        after: Vec<After>,
        /// No packs are to come along.
        without_files: bool,
    },
    /// A part of a commit.
    CommitPiece(CommitPiece),
    /// Votes of anybody.
    Votes {
        /// Of which library.
        library: LibraryKey,
        /// All of that library.
        votes: Vec<SignedVote>,
    },
    /// Asks the receiver to serve contents over `swarm/1`.
    Seek {
        /// Of which library.
        library: LibraryKey,
        /// Contents of its commits.
        contents: Vec<ContentId>,
    },
    /// Answers a Seek: what is not named is not here.
    Serving {
        /// Of which library.
        library: LibraryKey,
        /// Contents that are served now.
        contents: Vec<ContentId>,
    },
    /// How far the sender is with a library.
    Progress(Progress),
    /// Peers that the sender trusts, and users that it proposes.
    PeerList {
        /// In no order.
        peers: Vec<ListedPeer>,
        /// In no order.
        users: Vec<ListedUser>,
    },
    /// A file failed verification twice.
    Flag(Flag),
    /// Somebody edits a file.
    Lock(SignedLock),
    /// The sender does not do what was asked.
    Refusal(Refusal),
    /// Asks how ranges of a file are made up.
    RecipeRequest(RecipeRequest),
    /// Small files of commits that follow. Whoever takes one finds out by its hash what it is.
    Pack {
        /// Of which library.
        library: LibraryKey,
        /// The bytes of each.
        files: Vec<Bytes>,
    },
    /// A part of a recipe.
    RecipePiece(RecipePiece),
    /// Another message, compressed. Whoever takes it checks what is in it.
    Compressed(Compressed),
    /// Keys of a sealed library for its members.
    KeyGrants {
        /// Of which library.
        library: LibraryKey,
        /// Of anybody.
        grants: Vec<SignedGrant>,
    },
}

/// Who the sender is. Its `Debug` form has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// Another major version is not understood.
    pub major: u32,
    /// The sender understands all lower minor versions.
    pub minor: u32,
    /// The user that it wants to be let in as; empty without one.
    pub user: String,
    /// The password of that user.
    pub password: String,
    /// For people.
    pub name: String,
    /// Where its HTTP API answers.
    pub api: Option<Address>,
    /// It reads [`Compressed`].
    pub reads_compressed: bool,
    /// Program and version, for people; empty if it is not told.
    pub agent: String,
}

/// A compressed frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// Bytes of the frame in it: within the limit of a frame.
    pub len: u32,
    /// A zstd frame.
    pub data: Bytes,
}

/// What a node has of one library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of which library.
    pub library: LibraryKey,
    /// Its commits.
    pub frontier: Frontier,
    /// [`votes_digest`](crate::votes_digest) of its votes; `None` if the receiver is not told.
    pub votes_digest: Option<[u8; 32]>,
    /// Its policy; `None` if the receiver is not told.
    pub policy: Option<Policy>,
    /// Whether the sender took the policy over from its peers: whoever hears of it from its owner goes by the owner.
    pub is_policy_taken_over: bool,
    /// What the sender calls the library; empty if the receiver is not told.
    pub name: String,
    /// The GUID of the library, for a member that does not have it yet; empty if the receiver is not told.
    pub guid: String,
    /// [`grants_digest`](crate::grants_digest) of its grants of keys; `None` if it has none: the library is not sealed, as far as it knows.
    pub grants_digest: Option<[u8; 32]>,
}

/// A part of an encoded commit. The parts of a commit come in order, one commit after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPiece {
    /// Of which library.
    pub library: LibraryKey,
    /// Who signed the commit.
    pub author: NodeId,
    /// The number of the commit.
    pub seq: u64,
    /// Where the part stands.
    pub part: Part,
}

/// A part of some bytes: at least one byte, and within the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the whole.
    pub len: u32,
    /// Bytes before this part.
    pub offset: u32,
    /// The bytes.
    pub data: Bytes,
}

/// How far a node is with a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Of which library.
    pub library: LibraryKey,
    /// What is there and what is not.
    pub completion: Completion,
    /// What the node does, for people.
    pub activity: String,
}

/// A peer that the sender trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPeer {
    /// Its key.
    pub node: NodeId,
    /// Where it is reached, if that is known.
    pub address: Option<Address>,
    /// For people.
    pub name: String,
}

/// A user that the sender proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUser {
    /// Its name.
    pub name: String,
    /// What it may do. The role of a later version is read as the viewer's.
    pub role: Role,
}

/// A file that failed verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Of which library.
    pub library: LibraryKey,
    /// Where it stands.
    pub path: TreePath,
    /// What it should be.
    pub file: ContentHash,
    /// The node whose bytes were wrong, if that is known.
    pub source: Option<NodeId>,
}

/// What is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of which library; `None` if the link is refused.
    pub library: Option<LibraryKey>,
    /// The cause.
    pub code: RefusalCode,
    /// For people.
    pub why: String,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalCode {
    /// A cause that this version does not know.
    Other,
    /// The sender's user may not have the library.
    NotAuthorised,
    /// No user with that password.
    BadCredentials,
    /// Not here, as far as the receiver may know.
    NotHere,
    /// Too much was asked for at once.
    TooMuch,
    /// An author signed two histories: neither goes on.
    Equivocation,
}

/// Asks how ranges of a file are made up, so that the sender finds in old files what it has of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeRequest {
    /// Of which library.
    pub library: LibraryKey,
    /// The file.
    pub file: ContentHash,
    /// Bytes of the file.
    pub len: u64,
    /// What is to be told of each range.
    pub detail: RecipeDetail,
    /// In bytes of the file: rising, at least one, none empty, none touching another, those whose slices are asked for not too long.
    pub ranges: Vec<Range<u64>>,
}

/// What a recipe tells of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipeDetail {
    /// Its pieces.
    Pieces,
    /// Its slices, counted from its start.
    SlicesFromStart,
    /// Its slices, counted from its start and from its end.
    SlicesFromBothEnds,
}

/// A part of an encoded recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipePiece {
    /// Of which library.
    pub library: LibraryKey,
    /// The file that the recipe is of.
    pub file: ContentHash,
    /// Where the part stands.
    pub part: Part,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than a frame may be.
    #[error("a frame of {0} bytes is over the limit of {FRAME_LEN_MAX}")]
    FrameTooLong(usize),
    /// Not the schema.
    #[error("a frame does not follow the schema of libraries")]
    Schema,
    /// A field outside its cap.
    #[error("a message has a field out of range: {0}")]
    Field(&'static str),
    /// A vote that is none.
    #[error("a message has a vote that is none: {0}")]
    Vote(#[from] VoteError),
    /// A lock that is none.
    #[error("a message has a lock that is none: {0}")]
    Lock(#[from] LockError),
    /// A grant that is none.
    #[error("a message has a grant that is none: {0}")]
    Grant(#[from] GrantError),
}

impl Hello {
    /// Whether this build understands the sender.
    pub fn is_understood(&self) -> bool {
        self.major == PROTOCOL_MAJOR
    }
}

impl Message {
    /// Of which library it is; `None` if of none.
    pub fn library(&self) -> Option<LibraryKey> {
        match self {
            Self::Hello(_) | Self::PeerList { .. } | Self::Compressed(_) => None,
            Self::Refusal(refusal) => refusal.library,
            Self::Frontier(standing) => Some(standing.library),
            Self::CommitPiece(piece) => Some(piece.library),
            Self::Progress(progress) => Some(progress.library),
            Self::Flag(flag) => Some(flag.library),
            Self::Lock(lock) => Some(lock.lock().library),
            Self::RecipeRequest(request) => Some(request.library),
            Self::RecipePiece(piece) => Some(piece.library),
            Self::CommitsRequest { library, .. }
            | Self::Votes { library, .. }
            | Self::Seek { library, .. }
            | Self::Serving { library, .. }
            | Self::Pack { library, .. }
            | Self::KeyGrants { library, .. } => Some(*library),
        }
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = format_args!("{}.{}", self.major, self.minor);
        f.debug_struct("Hello")
            .field("version", &version)
            .field("user", &self.user)
            .field("name", &self.name)
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}
