//! The log of what users did: a JSON line each, in `.swarm/audit.log`. Invariant: it holds no password and no token; its length is bounded by putting
//! the full one aside, as `audit.log.1`. A line is short, whatever a client sends, so that nobody drives the lines of others out at little cost.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::clock;
use crate::limits::AUDIT_LEN_MAX;

/// The log.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

#[derive(Serialize)]
struct Line<'a> {
    at_ms: u64,
    user: &'a str,
    from: IpAddr,
    did: &'a str,
    what: &'a str,
}

impl Audit {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::default() }
    }

    /// Notes what somebody did. A log that cannot be written is told, and holds nobody up.
    pub(crate) fn note(&self, user: &str, from: IpAddr, did: &str, what: &str) {
        let (user, what) = (beginning(user), beginning(what));
        let line = Line { at_ms: clock::now_ms(), user, from, did, what };
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        if let Err(error) = self.append(&line) {
            tracing::warn!(%error, "cannot write the log of what users do");
        }
    }

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
    &text[..text.floor_char_boundary(TEXT_LEN_MAX)]
}

/// Bytes of a name in a line.
const TEXT_LEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

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
}
