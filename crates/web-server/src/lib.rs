//! What a node shows to browsers and Node.js over HTTP, on the TCP port that has the number of its UDP port: `/node` says who it is and
//! which certificates its WebTransport has, `/swarm` becomes a link by WebSocket, `/get` is the page that fetches what a ticket names.
//!
//! Invariant: nothing here gives a byte of a content away: links do, to peers that prove a key and name a content. [`Origins`] says
//! whose pages get links at all. Absent here: the proof of keys (link), what a page does.

pub mod limits;

mod files;
mod secure;
mod server;
mod serving;

pub use files::has_wasm as has_page;
pub use server::WebServer;
pub use serving::{ServeError, Serving};
pub use swarm_link::{Origins, WebCertificateError};
