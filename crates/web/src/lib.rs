//! A node without an operating system: the engine, its links and the check of every chunk, for pages and Node.js.
//!
//! [`Driver`] is what `swarm-node` is on a machine, with all effects as data: facts go in, [`Effect`]s come out, time and chance are
//! arguments. It never waits and holds no handle of the world, so it runs the same in a worker, in Node.js and in tests. `face` gives it
//! to JavaScript. Absent here: sockets, storage, encryption of messages (the browser's, in hardware), the decision what to fetch.

pub mod limits;

mod content;
mod driver;
mod effect;
mod indexer;
mod link;
mod receiving;
mod uploading;

#[cfg(target_arch = "wasm32")]
pub mod face;

#[cfg(test)]
mod tests;

pub use driver::Driver;
pub use effect::{Channel, Effect, FileToStore, Notice, ReadId};
pub use indexer::{IndexError, Indexer};
