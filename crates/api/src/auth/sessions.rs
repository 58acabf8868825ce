//! Sessions of browsers. Invariant: an id is random, is made anew at each login, and is kept as a hash alone; a session ends by itself when it is
//! idle or old, at logout, and when its user is gone or has another password that it was not changed by.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::chance::{hash_of, secret};
use crate::limits::{SESSION_AGE_MAX, SESSION_IDLE, SESSIONS_MAX, SESSIONS_OF_USER_MAX};

/// The sessions there are.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: BTreeMap<[u8; 32], Session>,
}

#[derive(Clone, Debug)]
struct Session {
    user: String,
    /// What proved the user at the login.
    proof: String,
    csrf: String,
    made_at: Instant,
    used_at: Instant,
}

/// What a browser gets at a login.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    /// For the cookie.
    pub(crate) id: String,
    /// For the header of requests that change something.
    pub(crate) csrf: String,
}

/// A session that holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) user: String,
    pub(crate) proof: String,
    pub(crate) csrf: String,
}

impl Sessions {
    /// Begins a session. `None` if the system gives no random bytes.
    pub(crate) fn begin(&mut self, user: &str, proof: &str, now: Instant) -> Option<NewSession> {
        let new = NewSession { id: secret()?, csrf: secret()? };
        self.known.retain(|_, session| session.holds(now));
        if self.known.values().filter(|session| session.user == user).count() >= SESSIONS_OF_USER_MAX {
            self.end_idlest(|session| session.user == user);
        } else if self.known.len() >= SESSIONS_MAX {
            self.end_idlest(|_| true);
        }
        let session = Session {
            user: user.to_owned(),
            proof: proof.to_owned(),
            csrf: new.csrf.clone(),
            made_at: now,
            used_at: now,
        };
        self.known.insert(hash_of(&new.id), session);
        Some(new)
    }

    /// The session of an id, which is used by this.
    pub(crate) fn touch(&mut self, id: &str, now: Instant) -> Option<Held> {
        let session = self.known.get_mut(&hash_of(id)).filter(|session| session.holds(now))?;
        session.used_at = now;
        let Session { user, proof, csrf, .. } = session.clone();
        Some(Held { user, proof, csrf })
    }

    /// The user of the session of an id, by its hash, and what proved that user. That is no use of it.
    pub(crate) fn owner(&self, hash: &[u8; 32], now: Instant) -> Option<(&str, &str)> {
        let session = self.known.get(hash).filter(|session| session.holds(now))?;
        Some((&session.user, &session.proof))
    }

    fn end_idlest(&mut self, is_meant: impl Fn(&Session) -> bool) {
        let meant = self.known.iter().filter(|(_, session)| is_meant(session));
        let idlest = meant.min_by_key(|(_, session)| session.used_at).map(|(id, _)| *id);
        idlest.map(|id| self.known.remove(&id));
    }

    /// Ends a session. Whose it was.
    pub(crate) fn end(&mut self, id: &str) -> Option<String> {
        self.known.remove(&hash_of(id)).map(|session| session.user)
    }

    /// Ends the sessions of a user.
    pub(crate) fn end_all_of(&mut self, user: &str) {
        self.known.retain(|_, session| session.user != user);
    }

    /// A user has another password: this session of it, by the hash of its id, goes on by that one, and the others end.
    pub(crate) fn end_others_of(&mut self, user: &str, kept: Option<&[u8; 32]>, proof: &str) {
        self.known.retain(|hash, session| session.user != user || Some(hash) == kept);
        let kept = kept.and_then(|hash| self.known.get_mut(hash)).filter(|session| session.user == user);
        if let Some(session) = kept {
            proof.clone_into(&mut session.proof);
        }
    }
}

impl Session {
    fn holds(&self, now: Instant) -> bool {
        now.duration_since(self.used_at) < SESSION_IDLE && now.duration_since(self.made_at) < SESSION_AGE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_session_ends_when_it_is_idle_old_or_ended() {
        let (mut sessions, now) = (Sessions::default(), clock::moment());
        let begin = |sessions: &mut Sessions| sessions.begin("anna", "proof", now).expect("chance").id;
        let (idle, old, ended) = (begin(&mut sessions), begin(&mut sessions), begin(&mut sessions));
        assert!(idle != old && idle.len() >= 32);
        sessions.end(&ended);
        assert!(sessions.touch(&ended, now).is_none());
        assert!(sessions.touch(&idle, now + SESSION_IDLE).is_none());
        let mut at = now;
        while at < now + SESSION_AGE_MAX {
            assert_eq!(sessions.touch(&old, at).expect("it is used").user, "anna");
            at += SESSION_IDLE / 2;
        }
        assert!(sessions.touch(&old, at).is_none());
        assert!(sessions.touch("guessed", now).is_none());
    }

    #[test]
    fn too_many_sessions_end_the_one_that_is_idle_longest() {
        let (mut sessions, now) = (Sessions::default(), clock::moment());
        let first = sessions.begin("anna", "", now).expect("chance");
        for number in 0..SESSIONS_MAX {
            let later = now + std::time::Duration::from_secs(1);
            sessions.begin(&format!("user {number}"), "", later).expect("chance");
        }
        assert_eq!(sessions.known.len(), SESSIONS_MAX);
        assert!(sessions.touch(&first.id, now).is_none());
    }

    #[test]
    fn many_logins_of_one_user_end_sessions_of_that_user_alone() {
        let (mut sessions, now) = (Sessions::default(), clock::moment());
        let of_anna = sessions.begin("anna", "", now).expect("chance");
        let first = sessions.begin("ben", "", now).expect("chance");
        for _ in 0..SESSIONS_OF_USER_MAX {
            sessions.begin("ben", "", now + std::time::Duration::from_secs(1)).expect("chance");
        }
        assert!(sessions.touch(&first.id, now).is_none());
        assert!(sessions.touch(&of_anna.id, now).is_some());
        assert_eq!(sessions.known.len(), SESSIONS_OF_USER_MAX + 1);
    }
}
