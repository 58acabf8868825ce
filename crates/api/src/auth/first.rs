//! The first admin. Invariant: while no user is an admin, one token that this process printed makes one, once; nobody has a default password.

use std::sync::Mutex;

use crate::chance::{hash_of, secret};

/// The token of the first admin, as long as there is none.
#[derive(Debug, Default)]
pub(crate) struct First(Mutex<Option<[u8; 32]>>);

/// The token while an admin is made. It holds again if that did not come about.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    first: &'a First,
    hash: [u8; 32],
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
            *self.first.lock() = Some(self.hash);
        }
    }
}

impl First {
    /// A new token, to be printed; what was printed before holds no more.
    pub(crate) fn renew(&self) -> Option<String> {
        let token = secret()?;
        *self.lock() = Some(hash_of(&token));
        Some(token)
    }

    /// Uses the token up, if this is it: of several requests at once one makes an admin.
    pub(crate) fn take(&self, token: &str) -> Option<Taken<'_>> {
        let mut known = self.lock();
        let hash = known.take_if(|known| *known == hash_of(token))?;
        Some(Taken { first: self, hash, was_used: false })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<[u8; 32]>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_by_one_and_holds_again_if_nothing_came_of_it() {
        let first = First::default();
        let token = first.renew().expect("chance");
        assert!(first.take("guessed").is_none());
        let taken = first.take(&token).expect("it is the token");
        assert!(first.take(&token).is_none());
        drop(taken);
        first.take(&token).expect("it holds again").was_used();
        assert!(first.take(&token).is_none());
        let newer = first.renew().expect("chance");
        assert!(first.take(&token).is_none() && first.take(&newer).is_some());
    }
}
