//! Who a client is, and what it may do. `caller` reads it from a request; `roles` is the table; `sessions` and `tokens` are ways to prove it, beside
//! passwords, whose gate is the daemon's (`swarm_daemon::Passwords`); `right` is what a body that goes on rests on; `first` makes the first admin.

mod caller;
mod first;
mod right;
mod roles;
mod sessions;
mod tokens;

pub(crate) use caller::{
    COOKIE, Caller, SECURE_COOKIE, Via, cookie_of, no_such_library, refused, session_user,
};
pub(crate) use first::First;
#[cfg(test)]
pub(crate) use right::tests as right_tests;
pub(crate) use right::{Lasting, Right};
pub use roles::{LibraryName, Permission, Roles};
pub(crate) use sessions::{Held, Sessions};
pub(crate) use tokens::{Pair, Tokens};
