//! The assertions about every decoder of bytes from outside, and about the engine: one function for each fuzz target. libFuzzer
//! runs them (`fuzz/fuzz_targets/`), and so does `tests/decoders.rs` on a stable toolchain. `fuzz/README.md` has the table.
//!
//! Invariant: a body is a function of its bytes alone; the same bytes fail again.

mod carried;
mod discovery;
mod engine;
mod hostile;
mod library;
mod library_sealed;
mod manifest;
mod pieces;
mod service;
mod storage;
mod texts;
mod transport;
mod wire;

use std::cell::Cell;

/// One decoder, or the engine, under any bytes.
pub struct Target {
    /// Name of the target, its corpus and its file in `fuzz_targets/`.
    pub name: &'static str,
    /// Longest useful input, bytes.
    pub len_max: usize,
    /// Panics if an assertion does not hold.
    pub body: fn(&[u8]),
    /// Inputs to start from, each with a name: valid ones of every kind, and some that are almost valid.
    pub samples: fn() -> Samples,
}

/// Names and inputs.
pub type Samples = Vec<(&'static str, Vec<u8>)>;

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "wire_frames", len_max: 512, body: transport::frames, samples: transport::frame_samples },
    Target {
        name: "carried_records",
        len_max: 1024,
        body: carried::records,
        samples: carried::record_samples,
    },
    Target {
        name: "carried_handshake",
        len_max: 256,
        body: carried::handshake,
        samples: carried::handshake_samples,
    },
    Target { name: "wire_message", len_max: 1024, body: wire::message, samples: wire::message_samples },
    Target { name: "wire_header", len_max: 64, body: wire::header, samples: wire::header_samples },
    Target {
        name: "wire_coordination",
        len_max: 1024,
        body: wire::coordination,
        samples: wire::coordination_samples,
    },
    Target { name: "manifest_body", len_max: 1024, body: manifest::body, samples: manifest::body_samples },
    Target { name: "manifest_file", len_max: 1024, body: manifest::file, samples: manifest::file_samples },
    Target { name: "ticket", len_max: 512, body: manifest::ticket, samples: manifest::ticket_samples },
    Target { name: "texts", len_max: 256, body: texts::any, samples: texts::samples },
    Target {
        name: "certificate",
        len_max: 512,
        body: transport::certificate,
        samples: transport::certificates,
    },
    Target { name: "journal", len_max: 1024, body: storage::journal, samples: storage::journal_samples },
    Target { name: "index_cache", len_max: 1024, body: storage::cache, samples: storage::cache_samples },
    Target { name: "saved_list", len_max: 1024, body: service::saved, samples: service::saved_samples },
    Target { name: "config", len_max: 1024, body: service::config, samples: service::config_samples },
    Target { name: "control", len_max: 1024, body: service::control, samples: service::control_samples },
    Target { name: "metrics_http", len_max: 512, body: service::http, samples: service::http_samples },
    Target { name: "lan_record", len_max: 512, body: discovery::record, samples: discovery::record_samples },
    Target { name: "lan_packet", len_max: 512, body: discovery::packet, samples: discovery::packet_samples },
    Target { name: "dht_addresses", len_max: 512, body: discovery::dht, samples: discovery::dht_samples },
    Target { name: "library_commit", len_max: 1024, body: library::commit, samples: library::commit_samples },
    Target {
        name: "library_records",
        len_max: 1024,
        body: library::records,
        samples: library::record_samples,
    },
    Target { name: "library_vote", len_max: 1024, body: library::vote, samples: library::vote_samples },
    Target {
        name: "library_grant",
        len_max: 1024,
        body: library_sealed::grant,
        samples: library_sealed::grant_samples,
    },
    Target {
        name: "library_sealed",
        len_max: 1024,
        body: library_sealed::sealed,
        samples: library_sealed::sealed_samples,
    },
    Target { name: "library_lock", len_max: 1024, body: library::lock, samples: library::lock_samples },
    Target {
        name: "library_message",
        len_max: 1024,
        body: library::message,
        samples: library::message_samples,
    },
    Target {
        name: "library_assembly",
        len_max: 256,
        body: library::assembly,
        samples: library::assembly_samples,
    },
    Target { name: "engine_peer", len_max: 2048, body: engine::peer, samples: hostile::samples },
    Target { name: "swarm_ops", len_max: 96, body: engine::ops, samples: engine::ops_samples },
];

/// Runs one target on one input.
///
/// # Panics
/// If there is no such target, or an assertion does not hold.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("the name of a target").body)(bytes);
}

/// The most memory that a decoder has held on this thread, in bytes for each byte of input; inputs of fewer than 64 bytes do not
/// count.
pub fn most_held() -> f64 {
    MOST_HELD.replace(0.0)
}

/// Decodes an input, and asserts that at most `times` its length and `slack_len` was held at any moment.
fn bounded<T>(input_len: usize, (times, slack_len): (u64, u64), decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let held = allocation_counter::measure(|| decoded = Some(decode())).bytes_max;
    let most = times * input_len as u64 + slack_len;
    assert!(
        held <= most,
        "{held} bytes were held for {input_len} of input, more than {times} times that and {slack_len}"
    );
    if input_len >= 64 {
        MOST_HELD.set(MOST_HELD.get().max(held.saturating_sub(slack_len) as f64 / input_len as f64));
    }
    decoded.expect("it ran")
}

/// An error for people: one line without characters that a terminal acts on.
fn assert_told(error: &impl std::fmt::Display) {
    let message = error.to_string();
    assert!(!message.is_empty() && !message.chars().any(char::is_control), "{message:?}");
}

/// Allocations that do not grow with the input: an error's text, the first growth of a list.
const SLACK_LEN: u64 = 4096;

thread_local! {
    static MOST_HELD: Cell<f64> = const { Cell::new(0.0) };
}
