//! Links: authenticated QUIC connections between nodes, and the keys that prove nodes.
//!
//! Invariant: a [`QuicLink`] exists only after its peer proved the Ed25519 key that [`QuicLink::peer`] names. This crate moves bytes
//! and reports facts. Absent here: the meaning of frames (wire), the right to connect (the endpoint asks its admission rules), and the
//! decision when to dial and when to give up (engine). A page in a browser gets no link but a [`WebTransportChannel`], and has proved
//! nothing when it arrives.

pub mod limits;

mod clock;

mod key_file;
mod key_store;

mod identity;
mod protocol;
mod tls;

mod config;
mod congestion;
mod interfaces;
mod socket;

mod accepting;
mod dial;
mod endpoint;
mod identify;

mod any_link;
mod carried;
mod message;
mod origins;
mod web_certificate;
mod web_channel;
mod web_transport;

mod chunk_stream;
mod control;
mod link;
mod network;
mod path;

#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod tests;

pub use any_link::{AnyChunkReceiver, AnyChunkSender, AnyFrameReader, AnyFrameWriter, AnyLink};
pub use carried::{
    ByteStream, CarriedError, CarriedLink, Carrying, Transport, accept_web_socket, accept_web_transport,
    dial_web_socket,
};
pub use chunk_stream::{ChunkReceiver, ChunkSender, ReceiveError, SendError};
pub use clock::Clock;
pub use config::{LinkOptions, endpoint_config, network_threads};
pub use control::{FrameError, FrameReader, FrameWriter};
pub use dial::{Attempt, AttemptError, DialError};
pub use endpoint::{Admission, Endpoint};
pub use identity::Identity;
pub use interfaces::addresses as own_addresses;
pub use key_file::{IdentityError, random_bytes};
pub use key_store::IdentityStore;
pub use link::{CloseReason, LinkStats, QuicLink};
pub use network::{ChunkReceive, ChunkSend, FrameRead, FrameWrite, Link, Network};
pub use origins::Origins;
pub use protocol::Protocol;
pub use socket::{BindError, bind_socket};
pub use web_certificate::WebCertificateError;
pub use web_channel::{
    ChannelError, MessageReceiver, MessageSender, WebTransportChannel, WebTransportSession,
};
pub use web_transport::{WEB_TRANSPORT_PATH, WebTransportOptions};
