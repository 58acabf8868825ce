//! See `TARGETS` in the library beside this.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarm_fuzz::run("saved_list", bytes));
