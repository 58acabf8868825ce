//! The first admin. Invariant: while no user is an admin, one token that this process printed makes one, once; nobody has a default password.

use std::sync::Mutex;

use crate::chance::{hash_of, secret};

/// The token of the first admin, as long as there is none.
#[derive(Debug, Default)]
pub(crate) struct First(Mutex<Option<[u8; 32]>>);

impl First {
    /// A new token, to be printed; what was printed before holds no more.
    pub(crate) fn renew(&self) -> Option<String> {
        let token = secret()?;
        *self.lock() = Some(hash_of(&token));
        Some(token)
    }

    /// Whether this is the token.
    pub(crate) fn is(&self, token: &str) -> bool {
        *self.lock() == Some(hash_of(token))
    }

    /// It was used.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<[u8; 32]>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
