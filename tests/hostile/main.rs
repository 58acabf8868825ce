//! Attacks of hostile peers on the real binary: a scripted peer on bare QUIC sends any bytes to a fetch and to a seed. In every
//! case the victim stays up, ends with the right bytes (or goes on serving them), uses at most twice the memory of an honest
//! run, and names the culprit: by a ban or, for faults that cost only a link, in its log. No test waits for a fixed time.
//!
//! `cargo test --workspace --test hostile -- --nocapture` prints a line a case. Absent here: the right to link, and bad networks.
#![cfg(target_os = "linux")]

use swarm_testkit::hostile as support;

mod chunks;
mod coordinator;
mod floods;
mod frames;
mod http;
mod library;
mod manifests;
mod silence;
