//! What users do, for the log of it (`swarm_daemon::AuditLog`). Invariant: a line says what came of the act, and each act is told, also if its client goes
//! meanwhile.

use std::net::IpAddr;

use swarm_daemon::{AuditLine, AuditLog, Outcome};

use crate::problem::Answer;

/// The log.
#[derive(Clone, Debug)]
pub(crate) struct Audit(AuditLog);

/// Something that a user does. Its line is written when it is over.
#[derive(Debug)]
pub(crate) struct Act {
    log: AuditLog,
    user: String,
    from: IpAddr,
    did: String,
    what: String,
    outcome: Outcome,
}

impl Audit {
    pub(crate) fn new(log: AuditLog) -> Self {
        Self(log)
    }

    /// Notes what somebody did, and that it is done.
    pub(crate) fn note(&self, user: &str, from: IpAddr, did: &str, what: &str) {
        self.begin(user, from, did, what).outcome = Outcome::Done;
    }

    /// Somebody begins to do something.
    pub(crate) fn begin(&self, user: &str, from: IpAddr, did: &str, what: &str) -> Act {
        let (user, did, what) = (user.to_owned(), did.to_owned(), what.to_owned());
        Act { log: self.0.clone(), user, from, did, what, outcome: Outcome::Unknown }
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
    fn drop(&mut self) {
        let Self { user, from, did, what, outcome, .. } = &*self;
        self.log.write(AuditLine { user, is_proven: true, from: *from, did, what, outcome: *outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    #[tokio::test]
    async fn a_line_says_what_came_of_the_act() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let audit = Audit::new(AuditLog::new(path.clone()));
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
