//! The log of what users did: a JSON line each, in `.swarm/audit.log`. Invariant: it holds no password and no token; its length is bounded by putting
//! the full one aside, as `audit.log.1`. A line is short, whatever a client sends. Absent here: when an act is over, and what came of it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::clock;
use crate::limits::{AUDIT_LEN_MAX, AUDIT_TEXT_LEN_MAX};

/// The log.
#[derive(Clone, Debug)]
pub struct AuditLog(Arc<Log>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

/// Something that was done, or was not.
#[derive(Clone, Copy, Debug)]
pub struct AuditLine<'a> {
    /// Who did it; of a refused login, who the client said it was.
    pub user: &'a str,
    /// The address of the client.
    pub from: IpAddr,
    /// What was done.
    pub did: &'a str,
    /// To what.
    pub what: &'a str,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its client went before it was over: it may have been done.
    Unknown,
    /// It was done.
    Done,
    /// With the status of the answer.
    Refused(u16),
}

#[derive(Serialize)]
struct Written<'a> {
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

impl AuditLog {
    /// In this file.
    pub fn new(path: PathBuf) -> Self {
        Self(Arc::new(Log { path, file: Mutex::default() }))
    }

    /// Writes a line. A log that cannot be written is told, and holds nobody up.
    pub fn write(&self, line: AuditLine<'_>) {
        let (outcome, status) = match line.outcome {
            Outcome::Unknown => ("unknown", None),
            Outcome::Done => ("done", None),
            Outcome::Refused(status) => ("refused", Some(status)),
        };
        let (user, did, what) = (beginning(line.user), beginning(line.did), beginning(line.what));
        let written = Written { at_ms: clock::now_ms(), user, from: line.from, did, what, outcome, status };
        let Ok(mut bytes) = serde_json::to_vec(&written) else { return };
        bytes.push(b'\n');
        if let Err(error) = self.0.append(&bytes) {
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

    #[test]
    fn a_line_is_short_and_a_full_log_is_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let done = |log: &AuditLog, user: &str| {
            let from = std::net::Ipv4Addr::LOCALHOST.into();
            log.write(AuditLine { user, from, did: "login", what: "two\nlines", outcome: Outcome::Done });
        };
        let log = AuditLog::new(path.clone());
        done(&log, &"\u{e4}".repeat(100_000));
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.len() < 1000 && text.lines().count() == 1, "{text}");
        std::fs::write(&path, vec![b'x'; usize::try_from(AUDIT_LEN_MAX).expect("it fits")]).expect("a place");
        let log = AuditLog::new(path.clone());
        done(&log, "anna");
        done(&log, "ben");
        let len = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").len();
        assert!(len(&path) < 1000 && len(&folder.path().join("audit.log.1")) >= AUDIT_LEN_MAX);
    }
}
