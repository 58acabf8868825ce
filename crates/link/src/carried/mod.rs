//! Links over a channel of messages, for peers that have no QUIC of their own: pages and Node.js. [`swarm_carrier`] has the rules; here
//! are the tasks and locks around it.

mod channel;
mod handshake;
mod link;
mod sealing;
mod streams;
mod web_socket;

#[cfg(test)]
mod tests;

pub use handshake::{CarriedError, accept_web_socket, accept_web_transport, dial_web_socket};
pub use link::{CarriedLink, Carrying, Transport};
pub(crate) use streams::{CarriedFrameReader, CarriedFrameWriter, CarriedReceiver, CarriedSender};
pub use web_socket::ByteStream;
