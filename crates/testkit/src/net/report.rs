//! Figures: read from a fetch's last line, measured, printed.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Outcome;

/// The figures in the last line of a fetch.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Figures {
    pub fetched_bytes: u64,
    pub duplicate_bytes: u64,
    /// UDP payload received, bytes.
    pub wire_bytes: u64,
    pub seconds: f64,
}

impl Figures {
    /// The figures of a successful fetch.
    pub fn of(outcome: &Outcome) -> Self {
        outcome.done();
        let last = outcome.json().pop().expect("it has just been looked at");
        serde_json::from_value(last).expect("the documented fields")
    }

    /// Content as a share of what the lines could carry.
    pub fn content_share(&self, mbit: f64) -> f64 {
        share(self.fetched_bytes as f64, self.seconds, mbit)
    }

    /// Frames as a share of what the lines could carry.
    pub fn frame_share(&self, mbit: f64) -> f64 {
        let datagrams = self.wire_bytes as f64 / DATAGRAM_LEN;
        share(self.wire_bytes as f64 + datagrams * FRAME_HEADERS_LEN, self.seconds, mbit)
    }
}

fn share(bytes: f64, seconds: f64, mbit: f64) -> f64 {
    bytes * 8.0 / 1e6 / seconds / mbit
}

/// A clock that a test may look at, for figures.
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "figures are times")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Prints a line of the table. Not by println, because that hides the output of passed tests.
pub fn report(scenario: &str, figures: &str) {
    let _ = writeln!(std::io::stderr(), "net: {scenario}: {figures}");
}

/// The longest datagram that is sent across a network, UDP payload; most are that long.
const DATAGRAM_LEN: f64 = 1452.0;
/// Headers around it in a frame: Ethernet 14 (its checksum is not counted by the kernel), IPv4 20, UDP 8. Inside of it QUIC takes
/// 11 (first byte 1, connection 8, packet number 2), its tag 16, and a stream frame's head some 10: of 1494 bytes 1415 are
/// content, 94.7 %. That is the most that a share of content can be.
const FRAME_HEADERS_LEN: f64 = 42.0;
