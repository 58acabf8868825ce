//! The bytes of one side of a conflict, copied to where somebody looks at them. Invariant: a copy is whole and of the version that the conflict
//! names, or it is not there; the library waits for no copy that is long.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use swarm_sync::{
    Conflict, ContentHash, ContentSource, Entry, FileContent, Replica as _, Side, SideVersion, Stamp,
    TreePath,
};

use super::ask::Answer;
use super::error::LibraryError;
use super::restoring::each_block;
use super::session::Session;
use super::view_side::ViewSide;

impl Session {
    /// Copies a side of the conflict at a path; also the content that peers have and that this machine lacks.
    pub(crate) fn conflict_side(
        &mut self,
        path: &TreePath,
        is_local: bool,
        out: &Path,
    ) -> Result<(Answer, Option<(ContentHash, u64)>), LibraryError> {
        let conflicts = self.index.conflicts()?;
        let side = if is_local { Side::Local } else { Side::Remote };
        let version = conflicts.into_iter().find(|(conflict, _)| conflict.path == *path);
        let version = version.and_then(|(Conflict { versions, .. }, _)| versions.of(side).clone());
        let Some((version, content)) = version.and_then(|version| {
            let content = *version.kind.file()?;
            Some((version, content))
        }) else {
            return Ok((
                Answer::refused(format!("`{path}` is no conflict whose side there is a file")),
                None,
            ));
        };
        if content.len > SIDE_LEN_MAX {
            let message =
                format!("that side of `{path}` is too long to be looked at: decide, and open the file");
            return Ok((Answer::refused(message), None));
        }
        let copied = copied(&mut *self.side_source(side, &version), &content, out);
        match copied.map_err(LibraryError::state(out, "write"))? {
            true => Ok((Answer::Copied { hash: Some(content.hash.to_string()) }, None)),
            false if is_local => {
                Ok((Answer::refused(format!("`{path}` has just changed: look again")), None))
            }
            false => Ok((Answer::Copied { hash: None }, Some((content.hash, content.len)))),
        }
    }

    fn side_source(&mut self, side: Side, version: &SideVersion) -> Box<dyn ContentSource> {
        let stamp = Stamp::default();
        let entry = Entry { kind: version.kind.clone(), modified_ns: version.modified_ns, stamp };
        match side {
            Side::Local => {
                let known = self.index.entry(Side::Local, &version.path).ok().flatten();
                self.overlay.source(&version.path, &known.unwrap_or(entry))
            }
            Side::Remote => {
                let view = ViewSide::new(
                    &self.overlay,
                    (&self.arrivals, &self.digests),
                    &self.signer,
                    &mut self.book,
                );
                view.source(&version.path, &entry)
            }
        }
    }
}

/// Whether all of the content was there.
fn copied(source: &mut dyn ContentSource, content: &FileContent, out: &Path) -> io::Result<bool> {
    let mut file = fs::File::create_new(out)?;
    let mut hasher = blake3::Hasher::new();
    let mut fault = None;
    let read = each_block(source, |block| {
        hasher.update(block);
        file.write_all(block).inspect_err(|error| fault = Some(error.kind()))
    });
    match (read, fault) {
        (_, Some(kind)) => Err(kind.into()),
        (Ok(len), None) => Ok(len == content.len && *hasher.finalize().as_bytes() == content.hash.0),
        (Err(_), None) => Ok(false),
    }
}

/// Longest content that is copied while the library waits.
const SIDE_LEN_MAX: u64 = 256 << 20;
