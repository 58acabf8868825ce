//! The ground that every crate of swarm stands on: ids and units ([`base`]), the description of a content ([`manifest`]),
//! the messages of peers ([`wire`]), the right to link ([`trust`]), the contents of one node ([`presence`]) and the nodes of
//! each content ([`registry`]).
//!
//! Invariant: a value of these types is valid; bytes and text from outside are checked where they are decoded. Absent here:
//! clocks, sockets, files, threads, async, and every decision about a transfer.

pub mod base;
pub mod manifest;
pub mod presence;
mod proto;
pub mod registry;
pub mod trust;
pub mod wire;
