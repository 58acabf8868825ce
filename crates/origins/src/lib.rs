//! A client of origins: servers that list the files of a library (`GET /files?guid=`) and give their bytes (`GET /file/GUID/PATH` with `Range`)
//! over HTTP(S). `client` asks, `rest` keeps pauses, `listing` reads what is listed, `certificate` checks who answers.
//!
//! Invariants: an answer is bounded in length and in time; ranges of two versions of a file are never taken for one, as far as the server tells
//! its versions apart; a server is the one whose certificate was seen first; no redirect is followed. Absent here: whether bytes are those of a
//! hash, what is fetched and where it goes (the daemon).

pub mod limits;

mod certificate;
mod client;
mod clock;
mod error;
mod listing;
mod rest;
mod version;

pub use certificate::{Check, Seen};
pub use client::{Body, Options, Origin};
pub use error::OriginError;
pub use listing::{ListedFile, Listing, Modified};
pub use version::Version;
