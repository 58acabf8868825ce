//! Why a path is as it is, for people: its versions, what stands on this disk, and what it waits for. Invariant: explaining changes nothing.
//! Absent here: whether peers have the bytes that it waits for (`contents`).

use swarm_core::base::NodeId;
use swarm_index::KnownProposal;
use swarm_library::{Head, Heads, State};
use swarm_sync::{Conflict, Kind, Side, TreePath};

use super::Session;
use crate::library::ask::{EntryView, OwnHeld, PathView, VersionLine, hex, shape_of};
use crate::library::error::LibraryError;

impl Session {
    /// Whether the entry of the view at a path stands on this disk.
    pub(crate) fn has(&self, path: &TreePath, kind: &Kind) -> Result<bool, LibraryError> {
        Ok(self.index.entry(Side::Local, path)?.is_some_and(|entry| entry.kind == *kind))
    }

    /// Why a path is as it is.
    pub(crate) fn explain(&self, path: &TreePath) -> Result<PathView, LibraryError> {
        let heads = self.book.heads(path)?;
        let versions = version_lines(&heads);
        let entry = self.index.entry(Side::Local, path)?;
        // What stands here is a version that the library knows, or is not published yet.
        let is_here =
            |head: &&Head| entry.as_ref().is_some_and(|entry| head.state.kind() == Some(&entry.kind));
        let known = heads.all().iter().find(is_here);
        let sha256 = known.and_then(|head| match &head.state {
            State::Live(live) => live.sha256.map(|hash| hex(&hash)),
            State::Deleted => None,
        });
        let author = known.map(|head| head.record.author.to_string()).unwrap_or_default();
        let here = entry.as_ref().map(|entry| EntryView {
            path: path.to_string(),
            modified_ns: entry.modified_ns,
            is_here: true,
            author,
            sha256,
            ..shape_of(&entry.kind)
        });
        let hash = heads.winner().and_then(|head| head.state.kind()?.file()).map(|file| file.hash);
        let is_waiting = match hash {
            Some(hash) => self.book.parked_at(&hash, PARKED_LOOKED_AT)?.contains(path),
            None => false,
        };
        Ok(PathView {
            path: path.to_string(),
            here,
            versions,
            held_by: self.book.holders_at(path)?.iter().map(NodeId::to_string).collect(),
            own_held: self.own_held_at(path)?,
            place: self.overlay.file_path(path).map(|place| place.to_string_lossy().into_owned()),
            is_left_out: self.ignore.is_ignored(path, entry.is_some_and(|entry| entry.is_folder())),
            is_waiting,
            replaced_by: None,
            conflict: self.conflict_at(path, heads.is_disputed())?,
            supply: None,
        })
    }

    /// Where a conflict at a path can be decided.
    fn conflict_at(&self, path: &TreePath, is_disputed: bool) -> Result<Option<String>, LibraryError> {
        let is_about = |conflict: &Conflict| {
            let versions = [&conflict.versions.local, &conflict.versions.remote];
            conflict.path == *path || versions.into_iter().flatten().any(|version| version.path == *path)
        };
        let is_here = self.index.conflicts()?.iter().any(|(conflict, _)| is_about(conflict));
        let place = if is_here { Some("here") } else { is_disputed.then_some("elsewhere") };
        Ok(place.map(str::to_owned))
    }

    /// The change of this node at a path that waits for others.
    fn own_held_at(&self, path: &TreePath) -> Result<Option<OwnHeld>, LibraryError> {
        let me = self.signer.key.public();
        let Some((seq, _)) = self.book.held_at(&me, path)? else { return Ok(None) };
        let of_it = |known: &KnownProposal| known.author == me && known.seq == seq;
        let found = self.book.proposals(false)?.into_iter().find(of_it);
        Ok(found.map(|known| OwnHeld { id: known.id.to_string(), needed: known.votes }))
    }
}

/// The versions of a path for people, first the one that wins.
pub(in crate::library) fn version_lines(heads: &Heads) -> Vec<VersionLine> {
    let winner = heads.winner().map(|head| head.record);
    let mut versions: Vec<VersionLine> =
        heads.all().iter().map(|head| version_line(head, Some(head.record) == winner)).collect();
    versions.sort_by_key(|line| !line.wins);
    versions
}

fn version_line(head: &Head, wins: bool) -> VersionLine {
    let shape = head.state.kind().map(shape_of);
    VersionLine {
        author: head.record.author.to_string(),
        seq: head.record.seq,
        kind: shape.as_ref().map_or_else(|| "deleted".to_owned(), |shape| shape.kind.clone()),
        len: shape.as_ref().map_or(0, |shape| shape.len),
        blake3: shape.and_then(|shape| shape.blake3),
        wins,
    }
}

/// Paths with one content that are looked through.
const PARKED_LOOKED_AT: usize = 10_000;
