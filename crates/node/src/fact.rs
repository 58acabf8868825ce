//! What tasks of a node report to its loop, and what the product orders: values that every room can name. Absent here: any room that
//! reports, so that none of them has to know another through this one.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::NodeSnapshot;
use swarm_core::base::{Bitfield, ContentId, NodeId, Rate};
use swarm_core::manifest::Source;
use swarm_core::wire::{DeclineReason, RequestId};
use swarm_discovery::{Found, Trouble};
use swarm_engine::{ChunkMap, Input, Join, Kept, LinkId, MapQuery, Purpose, Ranks, ShareId};
use swarm_files::{Store, StoreError, StoreWarning};
use swarm_link::CloseReason;

/// Where tasks report to. It is bounded: a task waits when the loop is behind, and so does the stream or file that it serves.
pub(super) type Report = mpsc::Sender<Fact>;

/// What a task reports.
pub(super) enum Fact {
    Input(Input),
    /// The control stream of a link stands.
    ControlReady {
        link: LinkId,
    },
    /// Who may link, or have what, is to be looked at again.
    Recheck {
        is_changed: bool,
    },
    /// A link's tasks have ended.
    Ended {
        link: LinkId,
        end: End,
    },
    /// Nothing can be taken back of it any more.
    UploadSettled {
        link: LinkId,
        request: RequestId,
    },
    StoreFailed {
        content: ContentId,
        error: StoreError,
    },
    StoreWarned {
        content: ContentId,
        warning: StoreWarning,
    },
    Command(Command),
    Found(Found),
    Trouble(Trouble),
    /// Finders want to know what this node takes part in.
    LookAround,
    Wakeup,
}

/// What the product orders.
pub(super) enum Command {
    Join(Box<Join>),
    OpenStore { content: ContentId, store: Arc<dyn Store>, durable: Bitfield, wanted: Bitfield, kept: Kept },
    AddSource { content: ContentId, source: Source, purpose: Purpose },
    AddCoordinators { content: ContentId, coordinators: Vec<Source> },
    Leave { content: ContentId, reason: DeclineReason },
    Refuse { node: NodeId, content: ContentId, reason: DeclineReason },
    SetLimits { up: Option<Rate>, down: Option<Rate> },
    Share { content: ContentId, share: ShareId },
    LimitShare { share: ShareId, up: Option<Rate>, down: Option<Rate> },
    Rank { content: ContentId, ranks: Ranks },
    Snapshot(oneshot::Sender<NodeSnapshot>),
    Maps(Vec<MapQuery>, oneshot::Sender<Vec<Option<ChunkMap>>>),
    Stop,
}

/// How a link ended.
pub(super) struct End {
    /// For people.
    pub(super) words: String,
    /// What the peer said if it lets this node have no link.
    pub(super) denial: Option<String>,
}

impl From<CloseReason> for End {
    fn from(reason: CloseReason) -> Self {
        Self { words: reason.to_string(), denial: reason.denial().map(str::to_owned) }
    }
}

impl From<&str> for End {
    fn from(words: &str) -> Self {
        Self { words: words.to_owned(), denial: None }
    }
}
