//! What a node in a page wants done: data, in the order in which it is to be done.

use bytes::Bytes;

use swarm_core::base::{Category, ContentId, NodeId};
use swarm_core::manifest::Address;

/// A channel of messages to one peer, as this node numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Channel(pub u32);

/// A read that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadId(pub u32);

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a channel to a node, at one of these addresses. Answer with [`opened`](super::Driver::on_opened) or
    /// [`closed`](super::Driver::on_closed).
    Dial {
        /// The number of the channel.
        channel: Channel,
        /// Who is to be there.
        node: NodeId,
        /// `host:port` each.
        addresses: Vec<Address>,
    },
    /// Send a message. Answer with [`sent`](super::Driver::on_sent) when it has left.
    Send {
        /// Where to.
        channel: Channel,
        /// Not encrypted yet, if [`Effect::Encrypt`] came before.
        message: Bytes,
    },
    /// From the next message on each way: AES-256-GCM with these keys and the numbers of messages as nonces, as
    /// `swarm_carrier::TunnelKeys` describes.
    Encrypt {
        /// Which channel.
        channel: Channel,
        /// For what is sent.
        sending: [u8; 32],
        /// For what is received.
        receiving: [u8; 32],
    },
    /// Close a channel after what was sent.
    Close {
        /// Which channel.
        channel: Channel,
        /// For people.
        reason: String,
    },
    /// A content is known: open its storage. Answer with [`stored`](super::Driver::on_stored).
    Store {
        /// The content.
        content: ContentId,
        /// Its name for people.
        name: String,
        /// Its files.
        files: Vec<FileToStore>,
    },
    /// Write bytes of a file. They may wait in memory until [`Effect::Flush`]; a later [`Effect::Read`] sees them.
    Write {
        /// The content.
        content: ContentId,
        /// Number of the file.
        file: u32,
        /// Where in the file.
        offset: u64,
        /// What to write.
        bytes: Bytes,
    },
    /// Read bytes of a file. Answer with [`read`](super::Driver::on_read).
    Read {
        /// The number of the answer.
        id: ReadId,
        /// The content.
        content: ContentId,
        /// Number of the file.
        file: u32,
        /// Where in the file.
        offset: u64,
        /// How many bytes.
        len: u32,
    },
    /// Make all that was written durable, and after that this record. Answer with [`flushed`](super::Driver::on_flushed).
    Flush {
        /// The content.
        content: ContentId,
        /// What is to be given to [`stored`](super::Driver::on_stored) at the next start.
        record: Bytes,
    },
    /// Every wanted byte is durable: give the files their names. Answer with [`finished`](super::Driver::on_finished).
    Finish {
        /// The content.
        content: ContentId,
    },
    /// The storage of a content is not needed any more.
    Forget {
        /// The content.
        content: ContentId,
    },
    /// Something to show or act on.
    Notice(Notice),
}

/// A file of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileToStore {
    /// Relative, with slashes; safe to join to a folder.
    pub path: String,
    /// In bytes.
    pub len: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A peer takes part.
    PeerJoined {
        /// Who.
        node: NodeId,
        /// What it says of itself.
        agent: String,
    },
    /// A peer is gone, or was never reached.
    PeerLost {
        /// Who.
        node: NodeId,
        /// For people.
        reason: String,
    },
    /// A peer misbehaved: nothing is exchanged with it any more.
    PeerBanned {
        /// Who.
        node: NodeId,
        /// What it did.
        reason: String,
    },
    /// Everything is there, verified and durable.
    Completed {
        /// The content.
        content: ContentId,
    },
    /// A fetch ended without success; what is verified is kept.
    Failed {
        /// The content.
        content: ContentId,
        /// What kind of failure.
        category: Category,
        /// For people.
        reason: String,
    },
    /// This node takes no part in a content any more.
    Left {
        /// The content.
        content: ContentId,
    },
    /// All links are closed, and all that was verified is durable.
    Stopped,
}
