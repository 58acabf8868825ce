//! The log of what users did: a JSON line each, in `.swarm/audit.log`. Invariant: a line says what came of the act, and each act has one, also if its
//! client goes meanwhile; it holds no password and no token; its length is bounded by putting the full one aside, as `audit.log.1`. A line is short,
//! whatever a client sends, so that nobody drives the lines of others out at little cost.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::clock;
use crate::limits::{AUDIT_LEN_MAX, AUDIT_TEXT_LEN_MAX};
use crate::problem::Answer;

/// The log.
#[derive(Clone, Debug)]
pub(crate) struct Audit(Arc<Log>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

/// Something that a user does. Its line is written when it is over.
#[derive(Debug)]
pub(crate) struct Act {
    audit: Audit,
    user: String,
    from: IpAddr,
    did: String,
    what: String,
    outcome: Outcome,
}

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its client went before it was over: it may have been done.
    Unknown,
    Done,
    /// With the status of the answer.
    Refused(u16),
}

#[derive(Serialize)]
struct Line<'a> {
    at_ms: u64,
    user: &'a str,
    from: IpAddr,
    did: &'a str,
    what: &'a str,
    /// `done`, `refused` or `unknown`.
    outcome: &'static str,
    /// The HTTP status of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

impl Audit {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Log { path, file: Mutex::default() }))
    }

    /// Notes what somebody did, and that it is done.
    pub(crate) fn note(&self, user: &str, from: IpAddr, did: &str, what: &str) {
        self.begin(user, from, did, what).outcome = Outcome::Done;
    }

    /// Somebody begins to do something.
    pub(crate) fn begin(&self, user: &str, from: IpAddr, did: &str, what: &str) -> Act {
        let owned = |text: &str| beginning(text).to_owned();
        let (user, did, what) = (owned(user), owned(did), owned(what));
        Act { audit: self.clone(), user, from, did, what, outcome: Outcome::Unknown }
    }
}

impl Act {
    /// It is over when this is.
    pub(crate) async fn over<T>(self, work: impl Future<Output = Answer<T>>) -> Answer<T> {
        let act = self;
        let done = work.await;
        act.end(done)
    }

    /// It is over, with this answer.
    pub(crate) fn end<T>(mut self, done: Answer<T>) -> Answer<T> {
        self.outcome = match &done {
            Ok(_) => Outcome::Done,
            Err(problem) => Outcome::Refused(problem.status().as_u16()),
        };
        done
    }
}

impl Drop for Act {
    /// A log that cannot be written is told, and holds nobody up.
    fn drop(&mut self) {
        let (outcome, status) = match self.outcome {
            Outcome::Unknown => ("unknown", None),
            Outcome::Done => ("done", None),
            Outcome::Refused(status) => ("refused", Some(status)),
        };
        let Self { user, from, did, what, .. } = &*self;
        let line = Line { at_ms: clock::now_ms(), user, from: *from, did, what, outcome, status };
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        if let Err(error) = self.audit.0.append(&line) {
            tracing::warn!(%error, "cannot write the log of what users do");
        }
    }
}

impl Log {
    fn append(&self, line: &[u8]) -> std::io::Result<()> {
        let mut kept = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|(_, len)| *len >= AUDIT_LEN_MAX) {
            *kept = None;
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        }
        if kept.is_none() {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            let len = file.metadata()?.len();
            *kept = Some((file, len));
        }
        if let Some((file, len)) = kept.as_mut() {
            file.write_all(line)?;
            *len += line.len() as u64;
        }
        Ok(())
    }
}

/// As much of a text as a line has room for.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(AUDIT_TEXT_LEN_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    #[test]
    fn a_line_is_short_and_a_full_log_is_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let from = std::net::Ipv4Addr::LOCALHOST.into();
        let audit = Audit::new(path.clone());
        audit.note(&"\u{e4}".repeat(100_000), from, "login refused", "two\nlines");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.len() < 1000 && text.lines().count() == 1, "{text}");
        std::fs::write(&path, vec![b'x'; usize::try_from(AUDIT_LEN_MAX).expect("it fits")]).expect("a place");
        let audit = Audit::new(path.clone());
        audit.note("anna", from, "login", "");
        audit.note("ben", from, "login", "");
        let len = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").len();
        assert!(len(&path) < 1000 && len(&folder.path().join("audit.log.1")) >= AUDIT_LEN_MAX);
    }

    #[tokio::test]
    async fn a_line_says_what_came_of_the_act() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let audit = Audit::new(path.clone());
        let act = |did: &str| audit.begin("anna", std::net::Ipv4Addr::LOCALHOST.into(), did, "");
        let refused = async { Err::<(), _>(Problem::not_found("nothing")) };
        assert!(act("one").over(async { Ok(()) }).await.is_ok() && act("two").over(refused).await.is_err());
        tokio::select! {
            biased;
            _ = act("three").over(std::future::pending::<Answer<()>>()) => unreachable!("it goes on for ever"),
            () = tokio::task::yield_now() => {}
        }
        let text = std::fs::read_to_string(&path).expect("it is there");
        let outcomes: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let outcomes = outcomes.iter().map(|line| (line["outcome"].as_str(), line["status"].as_u64()));
        assert_eq!(
            outcomes.collect::<Vec<_>>(),
            [(Some("done"), None), (Some("refused"), Some(404)), (Some("unknown"), None)]
        );
    }
}
