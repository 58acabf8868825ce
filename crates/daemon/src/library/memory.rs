//! What this node must never forget of its own commits, beside the index: an index that is lost can be made anew from disks and peers, but a
//! number that is used twice is a second history, and peers would take nothing more from this node.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_core::base::NodeId;
use swarm_library::CommitId;

/// The last commit that this node signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastCommit {
    pub(crate) seq: u64,
    pub(crate) id: CommitId,
}

#[derive(Serialize, Deserialize)]
struct Text {
    author: String,
    seq: u64,
    id: String,
}

/// A small file.
#[derive(Clone, Debug)]
pub(crate) struct AuthorMemory {
    path: PathBuf,
    author: NodeId,
}

impl AuthorMemory {
    /// In the folder of a library's state.
    pub(crate) fn new(folder: &Path, author: NodeId) -> Self {
        Self { path: folder.join("author.json"), author }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was written last. That of another key says nothing.
    pub(crate) fn read(&self) -> io::Result<Option<LastCommit>> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text: Text = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
        if text.author != self.author.to_string() {
            return Ok(None);
        }
        let id: NodeId = text.id.parse().map_err(|_| damaged(&"its id is none"))?;
        Ok(Some(LastCommit { seq: text.seq, id: CommitId(*id.as_bytes()) }))
    }

    /// Writes it; durable when this returns.
    pub(crate) fn write(&self, last: LastCommit) -> io::Result<()> {
        let text = Text { author: self.author.to_string(), seq: last.seq, id: last.id.to_string() };
        write_durably(&self.path, &serde_json::to_vec(&text)?)
    }
}

/// The index knows the last commit, too: one of both is enough.
fn damaged(error: &dyn std::fmt::Display) -> io::Error {
    let way_out = "unless library.db beside it was lost, too, remove this file: it is made anew";
    io::Error::new(io::ErrorKind::InvalidData, format!("{error}: {way_out}"))
}

/// Writes a small file of the state whole, or not at all; durable when this returns.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("json.new");
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
