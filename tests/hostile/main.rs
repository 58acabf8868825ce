//! What hostile peers may try, against the real binary: a scripted peer on bare QUIC says anything, to a fetch and to a seed. In every
//! case the victim stays up, ends with the right bytes (or goes on serving them), spends no more than twice the memory of an honest
//! run, and names the culprit: by a ban, or, for what costs a link alone, in its log. Nothing waits for a time to pass.
//!
//! `cargo test --test hostile -- --nocapture` prints a line a case. Absent here: who may link at all, and bad networks.
#![cfg(target_os = "linux")]

use swarm_testkit::hostile as support;

mod chunks;
mod coordinator;
mod floods;
mod frames;
mod manifests;
mod silence;
