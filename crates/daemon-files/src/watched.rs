//! Whether a file has changed since it was read. Invariant: an edit is told once it has come to rest, that is when two polls in
//! a row find the same new contents; a file that is merely touched is not told. Knows no clock: polls are its time.

use std::path::Path;

use crate::disk::{self, Content, Stamp};
use crate::limits::{DOUBTFUL_POLLS, RESTLESS_POLLS};

/// One file, as it was read last.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    read: Look,
    /// Polls for which equal times prove nothing yet: an edit within their granularity would not show.
    doubtful: u8,
    /// What the last poll found, if that was not what was read.
    moving: Option<Look>,
    /// Polls since the file began to change.
    restless: u8,
}

/// A state of a file; without a stamp and digest if there is none that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    stamp: Option<Stamp>,
    digest: Option<blake3::Hash>,
}

impl Watched {
    /// The file has just been read.
    pub(crate) fn since(content: Option<&Content>) -> Self {
        let read = content.map(Look::of).unwrap_or_default();
        Self { read, doubtful: DOUBTFUL_POLLS, moving: None, restless: 0 }
    }

    /// Whether it should be read again.
    pub(crate) fn poll(&mut self, path: &Path) -> bool {
        if Stamp::of(path) == self.read.stamp {
            if self.doubtful == 0 {
                self.moving = None;
                return false;
            }
            self.doubtful -= 1;
        }
        let look = disk::read(path).as_ref().map(Look::of).unwrap_or_default();
        if look.digest == self.read.digest {
            self.touched(look);
            return false;
        }
        let is_at_rest = self.moving.as_ref() == Some(&look);
        self.moving = Some(look);
        self.restless = self.restless.saturating_add(1);
        is_at_rest || self.restless > RESTLESS_POLLS
    }

    /// The contents are the same.
    fn touched(&mut self, look: Look) {
        if look.stamp != self.read.stamp {
            self.doubtful = DOUBTFUL_POLLS;
        }
        self.read = look;
        self.moving = None;
        self.restless = 0;
    }
}

impl Look {
    fn of(content: &Content) -> Self {
        Self { stamp: Some(content.stamp), digest: Some(blake3::hash(&content.bytes)) }
    }
}
