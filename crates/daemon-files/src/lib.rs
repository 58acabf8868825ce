//! The JSON files of a daemon's folder, which people and the daemon both edit: `config.json`, `peers.json`, `users.json`,
//! `libraries.json`, `subscriptions.json`, and `files-local.json`, which is only written.
//!
//! [`DaemonFolder`] is the way in. `json` is text that remembers how it was written, `read` takes shapes from it, one module for
//! each file says what a file may hold, `folders` compares folders across files, `state` decides what is taken, `watched` and
//! `disk` are one file on disk. Invariant: what [`DaemonFolder`] gives is valid; a file that is wrong changes nothing, and is told
//! with its line and key. Absent here: networks, threads, clocks, printing, hashing of passwords, a lock against a second daemon.

pub mod limits;

mod error;
mod file_name;

mod key_path;

mod json;
mod read;
mod schedule;
mod values;

mod config;
mod origin;
mod peers;
mod users;

mod libraries;
mod subscriptions;

mod folders;
mod loaded;
mod state;

mod disk;
mod watched;

mod edits;
mod folder;
mod library_change;
mod names;

mod files_local;
mod schema;

#[cfg(test)]
mod tests;

pub use config::{Config, Tls};
pub use edits::{ApprovalsChange, Followed, LimitsChange, NewMount, NewPeer, NewSubscription, RateChange};
pub use error::{EditError, FileError, OpenError, Place, Warning};
pub use file_name::{FileName, FileNameError};
pub use files_local::LocalFile;
pub use folder::{DaemonFolder, Reloaded};
pub use json::{Json, SyntaxError, Value};
pub use libraries::{Approvals, Library, Mount, Retention};
pub use library_change::{LibraryChange, RetentionChange};
pub use origin::{Fingerprint, OriginUrl};
pub use peers::{Peer, is_peer_address};
pub use schedule::{LocalMinute, Window};
pub use schema::schema;
pub use subscriptions::Subscription;
pub use users::{Proof, User};
pub use values::{Guid, GuidError, Limits, Public, Role, Secret};
