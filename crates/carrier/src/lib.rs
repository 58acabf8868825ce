//! Carries a link over one ordered, reliable channel of messages: a WebSocket, one stream of a WebTransport session, a data channel.
//!
//! QUIC gives a native link its streams, flow control, encryption and proof of keys. A channel of messages has less, so this crate adds
//! what is missing: `noise` encrypts (where the channel does not), `proof` binds both nodes' keys to the channel, and [`Carrier`] puts a
//! control stream and chunk streams into [`Record`]s, with credits that bound what is under way. It is the same code in a native node
//! and in a page. Absent here: sockets, tasks, clocks and random numbers (arguments), the meaning of frames (wire).

pub mod limits;

mod noise;
mod proof;

mod carrier;
mod incoming;
mod outgoing;
mod record;

#[cfg(test)]
mod tests;

pub use carrier::{Carrier, Happened, Violation};
pub use incoming::{Read, StreamFault};
pub use noise::{NoiseDialer, NoiseError, TunnelKeys, accept_noise};
pub use outgoing::WriteError;
pub use proof::{Acceptor, Binding, Dialer, ProofError, Unproven};
pub use record::{Record, RecordError, StreamId};
