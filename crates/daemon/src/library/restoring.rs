//! Kept versions brought back: one of a path, or all that was kept of a folder. It is done on this disk, as a person could do it by hand: the next
//! pass tells the others.
//!
//! Invariant: of a folder without a named run, what stands there now stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use swarm_files::KeptVersion;
use swarm_sync::{
    ChangeCause, ContentHash, ContentSource, FileContent, FoundKind, Kind, Op, OpKind, Replica as _,
    ReplicaError, RunId, Side, Source, TreePath,
};

use super::ask::Answer;
use super::asked::{DeedsView, Ended};
use super::error::LibraryError;
use super::session::Session;

impl Session {
    /// Brings kept versions of a path back, the newest ones if no run is named, or copies them to a place outside.
    pub(crate) fn restore(
        &mut self,
        path: &TreePath,
        run: Option<RunId>,
        out: Option<&Path>,
    ) -> Result<Answer, LibraryError> {
        let mut kept = self.overlay.kept(Some(path)).map_err(LibraryError::Mounts)?;
        kept.retain(|version| run.is_none_or(|run| version.id.run == run));
        let newest = newest_of(kept);
        let Some(last) = newest.values().max_by_key(|version| (version.id.run, version.id.path == *path))
        else {
            return Ok(Answer::refused(format!(
                "no such version of `{path}` is kept: `swarm versions` lists those that are"
            )));
        };
        let is_folder = last.id.path != *path || last.kind == FoundKind::Folder;
        match (is_folder, out) {
            (false, Some(out)) => self.copy_out(last, out).map(|()| Answer::Done),
            (false, None) => {
                let mut ops = self.folders_to(path)?;
                ops.push(self.putting(last)?);
                let deeds = self.perform_asked(ops, &RESTORE)?;
                Ok(Answer::Deeds(Box::new(DeedsView { run: last.id.run.to_string(), ..deeds })))
            }
            (true, Some(out)) => self.copy_folder_out(path, &newest, out).map(|()| Answer::Done),
            (true, None) => self.restore_folder(path, run, &newest),
        }
    }

    fn restore_folder(
        &mut self,
        path: &TreePath,
        run: Option<RunId>,
        newest: &BTreeMap<TreePath, KeptVersion>,
    ) -> Result<Answer, LibraryError> {
        let (mut ops, mut made, mut restored) = (Vec::new(), BTreeSet::new(), 0);
        for version in newest.values() {
            let stands = self.index.entry(Side::Local, &version.id.path)?;
            if stands.as_ref().is_some_and(|entry| run.is_none() || entry.kind == Kind::Folder) {
                continue;
            }
            if ops.len() >= OPS_MAX {
                let message = format!(
                    "more than {OPS_MAX} versions of `{path}` and below it are kept: restore its folders one by one"
                );
                return Ok(Answer::refused(message));
            }
            let folders = self.folders_to(&version.id.path)?;
            ops.extend(folders.into_iter().filter(|op| made.insert(op.path.clone())));
            let is_made = made.contains(&version.id.path);
            if version.kind == FoundKind::Folder {
                made.insert(version.id.path.clone());
            } else {
                restored += 1;
            }
            if !is_made {
                ops.push(self.putting(version)?);
            }
        }
        if ops.is_empty() {
            return Ok(Answer::refused(format!(
                "all that is kept of `{path}` stands there in a later version: name the version, as `swarm versions` lists them"
            )));
        }
        let deeds = self.perform_asked(ops, &RESTORE)?;
        let run = run.map(|run| run.to_string()).unwrap_or_default();
        Ok(Answer::Deeds(Box::new(DeedsView { run, restored: Some(restored), ..deeds })))
    }

    /// Makes the folders above a path that are not there, from the top.
    fn folders_to(&self, path: &TreePath) -> Result<Vec<Op>, LibraryError> {
        let mut ops = Vec::new();
        for folder in path.ancestors() {
            if self.index.entry(Side::Local, &folder)?.is_none() {
                ops.push(Op { path: folder, kind: OpKind::MakeFolder, expected: None });
            }
        }
        ops.reverse();
        Ok(ops)
    }

    fn putting(&mut self, version: &KeptVersion) -> Result<Op, LibraryError> {
        let path = version.id.path.clone();
        let expected = self.index.entry(Side::Local, &path)?.map(Box::new);
        let kind = match self.kept_kind(version)? {
            Kind::Folder => OpKind::MakeFolder,
            content => OpKind::Put {
                content,
                modified_ns: version.modified_ns,
                source: Source::Kept { kept: Box::new(version.id.clone()), side: Side::Local },
            },
        };
        Ok(Op { path, kind, expected })
    }

    fn kept_kind(&self, version: &KeptVersion) -> Result<Kind, LibraryError> {
        let executable = match &version.kind {
            FoundKind::File { executable, .. } => *executable,
            FoundKind::Symlink { target } => return Ok(Kind::Symlink { target: target.clone() }),
            FoundKind::Folder => return Ok(Kind::Folder),
        };
        let mut hasher = blake3::Hasher::new();
        let mut source = self.overlay.kept_source(&version.id);
        let len = each_block(&mut *source, |block| {
            hasher.update(block);
            Ok(())
        });
        let len = len.map_err(LibraryError::state(Path::new(version.id.path.as_str()), "read"))?;
        Ok(Kind::File(FileContent { len, hash: ContentHash(hasher.finalize().into()), executable }))
    }

    /// Copies to a file that does not exist yet.
    fn copy_out(&self, version: &KeptVersion, out: &Path) -> Result<(), LibraryError> {
        use io::Write as _;
        let copy = || {
            let mut file = fs::File::create_new(out)?;
            each_block(&mut *self.overlay.kept_source(&version.id), |block| file.write_all(block))?;
            file.sync_all()
        };
        copy().map_err(LibraryError::state(out, "write"))
    }

    /// Copies to a folder that does not exist yet. Links come last: nothing is written through one.
    fn copy_folder_out(
        &self,
        path: &TreePath,
        newest: &BTreeMap<TreePath, KeptVersion>,
        out: &Path,
    ) -> Result<(), LibraryError> {
        fs::create_dir(out).map_err(LibraryError::state(out, "make"))?;
        let place = |version: &KeptVersion| {
            let below = version.id.path.as_str().strip_prefix(path.as_str()).unwrap_or_default();
            out.join(below.trim_start_matches('/'))
        };
        let (links, others): (Vec<_>, Vec<_>) =
            newest.values().partition(|version| matches!(version.kind, FoundKind::Symlink { .. }));
        for version in others {
            let place = place(version);
            let folder = if version.kind == FoundKind::Folder { Some(&*place) } else { place.parent() };
            let folder = folder.unwrap_or(out);
            fs::create_dir_all(folder).map_err(LibraryError::state(folder, "make"))?;
            if version.kind != FoundKind::Folder {
                self.copy_out(version, &place)?;
            }
        }
        for version in links {
            let (FoundKind::Symlink { target }, place) = (&version.kind, place(version)) else { continue };
            let folder = place.parent().unwrap_or(out);
            fs::create_dir_all(folder).map_err(LibraryError::state(folder, "make"))?;
            std::os::unix::fs::symlink(&**target, &place).map_err(LibraryError::state(&place, "make"))?;
        }
        Ok(())
    }
}

/// The last version of each path.
pub(super) fn newest_of(kept: Vec<KeptVersion>) -> BTreeMap<TreePath, KeptVersion> {
    let mut newest: BTreeMap<TreePath, KeptVersion> = BTreeMap::new();
    for version in kept {
        let is_older =
            |known: &KeptVersion| (known.id.run, known.id.number) < (version.id.run, version.id.number);
        if newest.get(&version.id.path).is_none_or(is_older) {
            newest.insert(version.id.path.clone(), version);
        }
    }
    newest
}

/// Gives a content block by block; returns its length in bytes.
fn each_block(
    source: &mut dyn ContentSource,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut buf = vec![0; BLOCK_LEN];
    let mut offset = 0;
    loop {
        let read = source.read_at(offset, &mut buf);
        match read.map_err(|error: ReplicaError| io::Error::other(error.to_string()))? {
            0 => return Ok(offset),
            read_len => {
                take(&buf[..read_len])?;
                offset += read_len as u64;
            }
        }
    }
}

const RESTORE: Ended = Ended { cause: ChangeCause::Restore, undone_run: None };
const BLOCK_LEN: usize = 1 << 20;
/// Operations of one restore.
const OPS_MAX: usize = 1 << 17;
