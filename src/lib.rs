//! `swarm` moves big files from many peers at once over QUIC: verified, resumable, encrypted.
//!
//! The rooms, and who may know whom, are in `ARCHITECTURE.md`. Rooms above the line are pure: no clock, no I/O, no async.

pub mod base;
pub mod engine;
pub mod manifest;
mod proto;
pub mod registry;
pub mod sim;
pub mod trust;
pub mod wire;

#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(not(target_family = "wasm"))]
pub mod coordinator;
#[cfg(not(target_family = "wasm"))]
pub mod credentials;
#[cfg(not(target_family = "wasm"))]
pub mod discovery;
#[cfg(not(target_family = "wasm"))]
pub mod node;
#[cfg(not(target_family = "wasm"))]
pub mod service;
#[cfg(not(target_family = "wasm"))]
pub mod storage;
#[cfg(not(target_family = "wasm"))]
pub mod transport;
