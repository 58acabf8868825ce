//! The log of what users did: a JSON line each, in `.swarm/audit.log`. Invariant: it holds no password and no token; its length is bounded by putting
//! the full one aside, as `audit.log.1`, of which a few are kept. A line is short, whatever a client sends, and each user has a share of bytes that fills
//! slowly: who does more than that has it counted in the own next line, so that nobody drives the lines of others out within days. All who proved no
//! user have one share together. Absent here: when an act is over, and what came of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::clock;
use crate::limits::{
    AUDIT_KEPT, AUDIT_LEN_MAX, AUDIT_LEN_PER_SEC, AUDIT_SHARE_LEN, AUDIT_SHARES_MAX, AUDIT_TEXT_LEN_MAX,
};

/// The log.
#[derive(Clone, Debug)]
pub struct AuditLog(Arc<Log>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    /// With its length.
    file: Option<(File, u64)>,
    /// By user; under no name, of all who proved none.
    shares: BTreeMap<String, Share>,
}

/// What one may still write.
#[derive(Clone, Copy, Debug)]
struct Share {
    left_len: u64,
    at: Instant,
    /// Where the acts came from that have no line, and how many they are.
    unwritten: Option<(IpAddr, u64)>,
}

/// Something that was done, or was not.
#[derive(Clone, Copy, Debug)]
pub struct AuditLine<'a> {
    /// Who did it; of a refused login, who the client said it was.
    pub user: &'a str,
    /// Whether it was proven to be that user.
    pub is_proven: bool,
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
struct Told<'a> {
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
    /// Acts of this user before it that have no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    unwritten: Option<u64>,
}

impl AuditLog {
    /// In this file.
    pub fn new(path: PathBuf) -> Self {
        Self(Arc::new(Log { path, written: Mutex::default() }))
    }

    /// Writes a line. A log that cannot be written is told, and holds nobody up.
    pub fn write(&self, line: AuditLine<'_>) {
        self.0.write(line, clock::moment());
    }

    /// Writes of each user who did more than the share how much that was, as far as the share has room for it now. To be called some times an hour.
    pub fn tell_unwritten(&self) {
        self.0.tell_unwritten(clock::moment());
    }
}

impl Log {
    fn write(&self, line: AuditLine<'_>, now: Instant) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if line.is_proven { beginning(line.user) } else { "" };
        let share = written.share_of(key, now);
        let Some(bytes) = line.bytes(share.unwritten.map(|(_, count)| count)) else { return };
        let Some(left_len) = share.left_len.checked_sub(bytes.len() as u64) else {
            let count = share.unwritten.map_or(0, |(_, count)| count);
            share.unwritten = Some((line.from, count.saturating_add(1)));
            return;
        };
        (share.left_len, share.unwritten) = (left_len, None);
        if let Err(error) = self.append(&mut written.file, &bytes) {
            tracing::warn!(%error, "cannot write the log of what users do");
        }
    }

    fn tell_unwritten(&self, now: Instant) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Vec::new();
        for (user, share) in &mut written.shares {
            share.fill(now);
            // What does not fit is told later, and is no act itself.
            if let Some((from, _)) = share.unwritten.filter(|_| share.left_len >= SUMMARY_LEN_MAX) {
                told.push((user.clone(), from));
            }
        }
        drop(written);
        for (user, from) in told {
            let is_proven = !user.is_empty();
            let (did, outcome) = ("more than is written", Outcome::Unknown);
            self.write(AuditLine { user: &user, is_proven, from, did, what: "", outcome }, now);
        }
    }

    fn append(&self, kept: &mut Option<(File, u64)>, line: &[u8]) -> std::io::Result<()> {
        if kept.as_ref().is_some_and(|(_, len)| *len >= AUDIT_LEN_MAX) {
            *kept = None;
            self.put_aside()?;
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

    /// The oldest goes.
    fn put_aside(&self) -> std::io::Result<()> {
        let named = |number: usize| match number {
            0 => self.path.clone(),
            number => self.path.with_extension(format!("log.{number}")),
        };
        for number in (0..AUDIT_KEPT).rev() {
            match std::fs::rename(named(number), named(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Written {
    /// The share of a user as it is now; where there are too many, that of all who proved none.
    fn share_of(&mut self, key: &str, now: Instant) -> &mut Share {
        if self.shares.len() >= AUDIT_SHARES_MAX && !self.shares.contains_key(key) {
            self.shares.values_mut().for_each(|share| share.fill(now));
            self.shares.retain(|_, share| share.left_len < AUDIT_SHARE_LEN || share.unwritten.is_some());
        }
        let is_full = self.shares.len() >= AUDIT_SHARES_MAX && !self.shares.contains_key(key);
        let key = if is_full { "" } else { key };
        let whole = Share { left_len: AUDIT_SHARE_LEN, at: now, unwritten: None };
        let share = self.shares.entry(key.to_owned()).or_insert(whole);
        share.fill(now);
        share
    }
}

impl Share {
    fn fill(&mut self, now: Instant) {
        // In whole seconds, so that many looks within one lose nothing.
        let seconds = now.saturating_duration_since(self.at).as_secs();
        self.at += std::time::Duration::from_secs(seconds);
        self.left_len =
            self.left_len.saturating_add(seconds.saturating_mul(AUDIT_LEN_PER_SEC)).min(AUDIT_SHARE_LEN);
    }
}

impl AuditLine<'_> {
    fn bytes(&self, unwritten: Option<u64>) -> Option<Vec<u8>> {
        let (outcome, status) = match self.outcome {
            Outcome::Unknown => ("unknown", None),
            Outcome::Done => ("done", None),
            Outcome::Refused(status) => ("refused", Some(status)),
        };
        let [user, did, what] = [self.user, self.did, self.what].map(beginning);
        let told =
            Told { at_ms: clock::now_ms(), user, from: self.from, did, what, outcome, status, unwritten };
        let mut bytes = serde_json::to_vec(&told).ok()?;
        bytes.push(b'\n');
        Some(bytes)
    }
}

/// A line that only counts is shorter: a name has six bytes for each of its own at worst.
const SUMMARY_LEN_MAX: u64 = 512 + 6 * AUDIT_TEXT_LEN_MAX as u64;

/// As much of a text as a line has room for.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(AUDIT_TEXT_LEN_MAX)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn done(log: &AuditLog, user: &str, at: Instant) {
        let (from, outcome) = (std::net::Ipv4Addr::LOCALHOST.into(), Outcome::Done);
        log.0.write(AuditLine { user, is_proven: true, from, did: "login", what: "two\nlines", outcome }, at);
    }

    #[test]
    fn a_line_is_short_and_a_full_log_is_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let (log, now) = (AuditLog::new(path.clone()), clock::moment());
        done(&log, &"\u{e4}".repeat(100_000), now);
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.len() < 1000 && text.lines().count() == 1, "{text}");
        let full = vec![b'x'; usize::try_from(AUDIT_LEN_MAX).expect("it fits")];
        for _ in 0..AUDIT_KEPT + 2 {
            std::fs::write(&path, &full).expect("a place");
            let log = AuditLog::new(path.clone());
            done(&log, "anna", now);
            done(&log, "ben", now);
        }
        let len = |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |file| file.len());
        assert!(len("audit.log") < 1000 && len(&format!("audit.log.{AUDIT_KEPT}")) >= AUDIT_LEN_MAX);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), AUDIT_KEPT + 1);
    }

    #[test]
    fn nobody_drives_the_lines_of_others_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let (log, now) = (AuditLog::new(path.clone()), clock::moment());
        done(&log, "ben", now);
        // As many as filled the log and the one beside it, and drove all others out.
        for _ in 0..2 * AUDIT_LEN_MAX / 64 {
            done(&log, "anna", now);
        }
        done(&log, "ben", now);
        let lines = || -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(&path).expect("it is there");
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        };
        let first = lines();
        assert!(first.len() as u64 * 64 < 2 * AUDIT_SHARE_LEN, "{} lines", first.len());
        assert_eq!((&first[0]["user"], &first[first.len() - 1]["user"]), (&"ben".into(), &"ben".into()));
        // What has no line is counted: in the next one, or by itself.
        let later = now + Duration::from_secs(SUMMARY_LEN_MAX / AUDIT_LEN_PER_SEC + 1);
        log.0.tell_unwritten(later);
        log.0.tell_unwritten(later);
        let last = lines().pop().expect("a line");
        assert_eq!((&last["user"], &last["did"]), (&"anna".into(), &"more than is written".into()));
        let told = last["unwritten"].as_u64().expect("a number") + first.len() as u64 - 2;
        assert_eq!((told, lines().len()), (2 * AUDIT_LEN_MAX / 64, first.len() + 1));
    }

    #[test]
    fn shares_are_bounded_and_those_who_proved_no_user_have_one_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, now) = (AuditLog::new(folder.path().join("audit.log")), clock::moment());
        for number in 0..AUDIT_SHARES_MAX + 10 {
            done(&log, &format!("user {number}"), now);
        }
        assert_eq!(log.0.written.lock().expect("nobody panicked").shares.len(), AUDIT_SHARES_MAX + 1);
        let all_again = now + Duration::from_secs(AUDIT_SHARE_LEN / AUDIT_LEN_PER_SEC);
        for name in ["one", "other"] {
            let (from, outcome) = (std::net::Ipv4Addr::LOCALHOST.into(), Outcome::Refused(401));
            let line =
                AuditLine { user: name, is_proven: false, from, did: "login refused", what: "", outcome };
            log.0.write(line, all_again);
        }
        done(&log, "anna", all_again);
        let written = log.0.written.lock().expect("nobody panicked");
        assert_eq!(written.shares.keys().collect::<Vec<_>>(), ["", "anna"]);
    }
}
