//! The first admin. Invariant: while no user is an admin, one token that this process printed makes one, once, and soon after it was printed; once there
//! is an admin it never holds again; nobody has a default password.

use std::sync::Mutex;
use std::time::Instant;

use crate::chance::{hash_of, secret};
use crate::limits::SETUP_AGE;

/// The token of the first admin, as long as there is none.
#[derive(Debug, Default)]
pub(crate) struct First(Mutex<Option<Printed>>);

#[derive(Clone, Copy, Debug)]
struct Printed {
    hash: [u8; 32],
    at: Instant,
}

/// The token while an admin is made. It holds again if that did not come about.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    first: &'a First,
    printed: Printed,
    was_used: bool,
}

impl Taken<'_> {
    /// There is an admin now.
    pub(crate) fn was_used(mut self) {
        self.was_used = true;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.was_used {
            *self.first.lock() = Some(self.printed);
        }
    }
}

impl First {
    /// A new token, to be printed; what was printed before holds no more.
    pub(crate) fn renew(&self, now: Instant) -> Option<String> {
        let token = secret()?;
        *self.lock() = Some(Printed { hash: hash_of(&token), at: now });
        Some(token)
    }

    /// Uses the token up, if this is it: of several requests at once one makes an admin.
    pub(crate) fn take(&self, token: &str, now: Instant) -> Option<Taken<'_>> {
        let mut known = self.lock();
        let is_it = |known: &mut Printed| {
            known.hash == hash_of(token) && now.saturating_duration_since(known.at) < SETUP_AGE
        };
        let printed = known.take_if(is_it)?;
        Some(Taken { first: self, printed, was_used: false })
    }

    /// There is an admin, however it came: the token does not come back when that one goes.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Printed>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_token_is_taken_by_one_and_holds_again_if_nothing_came_of_it() {
        let (first, now) = (First::default(), clock::moment());
        let token = first.renew(now).expect("chance");
        assert!(first.take("guessed", now).is_none());
        let taken = first.take(&token, now).expect("it is the token");
        assert!(first.take(&token, now).is_none());
        drop(taken);
        first.take(&token, now).expect("it holds again").was_used();
        assert!(first.take(&token, now).is_none());
        let newer = first.renew(now).expect("chance");
        assert!(first.take(&token, now).is_none() && first.take(&newer, now).is_some());
    }

    #[test]
    fn a_token_ends_by_itself_and_with_the_first_admin() {
        let (first, now) = (First::default(), clock::moment());
        let token = first.renew(now).expect("chance");
        assert!(first.take(&token, now + SETUP_AGE / 2).is_some());
        // What was taken and came to nothing is no younger for that.
        assert!(first.take(&token, now + SETUP_AGE).is_none());
        assert!(first.take(&token, now).is_some());
        first.end();
        assert!(first.take(&token, now).is_none());
    }
}
