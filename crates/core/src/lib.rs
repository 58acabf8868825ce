//! The ground that every crate of swarm stands on: ids and units ([`base`]), what a content is ([`manifest`]), what peers
//! say ([`wire`]), who may link ([`trust`]), what a node takes part in ([`presence`]) and who takes part in what ([`registry`]).
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
