//! Links: authenticated QUIC connections between nodes, and the keys that prove nodes.
//!
//! Invariant: a [`QuicLink`] exists only after its peer proved the Ed25519 key that [`QuicLink::peer`] names. This crate moves bytes
//! and reports facts. Absent here: the meaning of frames (wire), the right to connect (the endpoint asks its admission rules), and the
//! decision when to dial and when to give up (engine).

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

mod dial;
mod endpoint;
mod identify;

mod any_link;
mod carried;
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
pub use carried::{CarriedError, CarriedLink, Carrying, Transport, accept_web_socket, dial_web_socket};
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
pub use protocol::Protocol;
pub use socket::{BindError, bind_socket};
