//! What is noted of an upload beside its bytes. Invariant: a note that cannot be read is none; it holds no password and no token.

use serde::{Deserialize, Serialize};

use crate::problem::{Answer, Problem};

/// What an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Who began it.
    pub(crate) user: String,
    /// Where it goes to in the library.
    pub(crate) path: String,
    /// Bytes of the whole file.
    pub(crate) len: u64,
    /// When the client's file was modified, in milliseconds since 1970: it knows its file again by that.
    pub(crate) modified_ms: Option<i64>,
    /// `If-Match`: what the client saw there.
    pub(crate) replaces: Option<String>,
    /// `Repr-Digest`: what the bytes have to come to.
    pub(crate) digest: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// The status of the last answer, once the file is at its place.
    pub(crate) done: Option<u16>,
}

impl Note {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn bytes(&self) -> Answer<Vec<u8>> {
        serde_json::to_vec(self).map_err(|_| Problem::odd())
    }
}
