//! See `TARGETS` of `crates/bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarm_bodies::run("carried_handshake", bytes));
