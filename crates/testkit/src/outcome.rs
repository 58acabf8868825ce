//! The end of a process, and the checks that apply to every test.

use serde::Deserialize;
use serde_json::Value;

/// A process that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub out: Vec<String>,
    pub err: Vec<String>,
}

/// The `done` line of a fetch.
#[derive(Debug, Deserialize)]
pub struct Done {
    pub content: String,
    pub bytes: u64,
    pub present_bytes: u64,
    pub fetched_bytes: u64,
    pub duplicate_bytes: u64,
    pub corrupt_bytes: u64,
    pub peers: Vec<DonePeer>,
}

/// The figures of one peer in it.
#[derive(Debug, Deserialize)]
pub struct DonePeer {
    pub node: String,
    pub bytes: u64,
    pub corrupt_chunks: u64,
    pub note: Option<String>,
}

impl Outcome {
    pub(super) fn new(code: Option<i32>, out: Vec<String>, err: Vec<String>) -> Self {
        let outcome = Self { code, out, err };
        assert!(!outcome.err.iter().any(|line| line.contains("panicked")), "{outcome:#?}");
        outcome
    }

    /// Checks the exit code.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Every line of stdout is JSON.
    pub fn json(&self) -> Vec<Value> {
        let parse = |line: &String| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}: {self:#?}"))
        };
        self.out.iter().map(parse).collect()
    }

    /// The lines with this `event`.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.json().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// Checks that a fetch succeeded: the last line says so, and its figures add up.
    pub fn done(&self) -> Done {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let last = self.json().pop().unwrap_or_else(|| panic!("nothing on stdout: {self:#?}"));
        assert_eq!(last["event"], "done", "{self:#?}");
        let done: Done = serde_json::from_value(last).expect("the documented fields");
        assert_eq!(done.bytes, done.present_bytes + done.fetched_bytes, "{done:#?}");
        let received: u64 = done.peers.iter().map(|peer| peer.bytes).sum();
        assert_eq!(received, done.fetched_bytes + done.duplicate_bytes + done.corrupt_bytes, "{done:#?}");
        done
    }

    /// `present_bytes` of the `ready` line.
    pub fn present_bytes(&self) -> u64 {
        let ready = self.events("ready");
        let ready = ready.first().unwrap_or_else(|| panic!("it was never ready: {self:#?}"));
        ready["present_bytes"].as_u64().expect("a number")
    }

    /// The message of the `error` line, which is the last one.
    pub fn error_message(&self) -> String {
        let last = self.json().pop().unwrap_or_else(|| panic!("nothing on stdout: {self:#?}"));
        assert_eq!(
            (&last["event"], last["code"].as_i64()),
            (&Value::from("error"), self.code.map(i64::from))
        );
        last["message"].as_str().expect("a message").to_owned()
    }

    /// The last line on stderr, which tells the reason of the failure.
    pub fn failure_line(&self) -> &str {
        let lines: Vec<&String> = self.err.iter().filter(|line| line.starts_with("swarm: ")).collect();
        let [line] = lines.as_slice() else { panic!("not exactly one `swarm: ` line: {self:#?}") };
        assert_eq!(self.err.last(), Some(*line), "{self:#?}");
        line
    }
}
