//! Performs operations. Each looks again first, changes the tree by renames alone, and looks at what it displaced: an edit that came between
//! look and rename is put back, or kept as a version.

use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;
use swarm_sync::{Done, Entry, Kind, Op, OpKind, ReplicaError, RunId, Staged, TreePath};

use super::again::{changed, entry_at, look_again, relative, stamp_of_known};
use super::fault::fault;
use super::incoming::Incoming;
use super::look::Look;
use super::put::put;
use super::record::Record;
use super::root::Root;
use super::versions;

/// What all operations of a batch share.
pub(super) struct Batch<'a> {
    pub(super) root: &'a Root,
    pub(super) incoming: &'a Incoming,
    pub(super) run: RunId,
}

/// Performs all in their order. One that is refused does not keep the others from being tried.
pub(super) fn perform_all(
    root: &Root,
    incoming: &Incoming,
    run: RunId,
    ops: Vec<(Op, Option<Staged>)>,
) -> Vec<Result<Done, ReplicaError>> {
    let numbered: Vec<_> = ops.into_iter().map(|(op, staged)| number(incoming, op, staged)).collect();
    let begun = root.check().and_then(|()| Record::of(run, &numbered).write(root, incoming, &numbered));
    let mut ended = begun.err();
    let batch = Batch { root, incoming, run };
    let mut perform = |(at, (op, number)): (usize, (Op, Option<u64>))| match &ended {
        Some(error) => Err(error.clone()),
        None => {
            // The root is held open, so what follows acts in it at worst after it was moved away.
            let checked = if at % CHECKED_EACH == 0 { root.check() } else { root.check_stop() };
            let done = checked.and_then(|()| batch.perform(&op, number));
            if let Err(error) = &done {
                ended = error.ends_run().then(|| error.clone());
            }
            done
        }
    };
    numbered.into_iter().enumerate().map(&mut perform).collect()
}

/// Links have no staged content: what is put for them is made beside the tree as well.
fn number(incoming: &Incoming, op: Op, staged: Option<Staged>) -> (Op, Option<u64>) {
    let number = match &op.kind {
        OpKind::Put { content: Kind::Symlink { .. }, .. } => Some(incoming.number()),
        OpKind::Put { .. } => staged.map(|staged| staged.0),
        OpKind::MakeFolder | OpKind::Move { .. } | OpKind::SetExecutable { .. } | OpKind::Remove => None,
    };
    (op, number)
}

impl Batch<'_> {
    /// Another thread may sync while this goes on, and covers what was done so far: what is done after that needs a sync of its own.
    fn perform(&self, op: &Op, number: Option<u64>) -> Result<Done, ReplicaError> {
        let done = self.act(op, number);
        self.incoming.mark_unsynced();
        done
    }

    fn act(&self, op: &Op, number: Option<u64>) -> Result<Done, ReplicaError> {
        let (path, expected) = (&op.path, op.expected.as_deref());
        match &op.kind {
            OpKind::MakeFolder => self.make_folder(path),
            OpKind::Move { from } => self.move_from(from, path, expected),
            OpKind::Put { content, .. } => put(self, path, content, expected, number),
            OpKind::SetExecutable { executable } => self.set_executable(path, expected, *executable),
            OpKind::Remove => self.remove(path, expected),
        }
    }

    fn make_folder(&self, path: &TreePath) -> Result<Done, ReplicaError> {
        match self.root.dir.make_one_folder(relative(path)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Err(self.missing(path)),
            Err(errno) => return Err(fault(path, "make", errno)),
        }
        let look = self.look(path)?.filter(|look| look.kind == FileType::Directory);
        let look = look.ok_or_else(|| changed(path))?;
        Ok(Done { now: Some(known(self.root, &Kind::Folder, &look)), kept: None })
    }

    fn move_from(
        &self,
        from: &TreePath,
        to: &TreePath,
        expected: Option<&Entry>,
    ) -> Result<Done, ReplicaError> {
        let (Some(before), Some(expected)) = (look_again(self.root, from, expected)?, expected) else {
            return Err(changed(from));
        };
        let moved = self.root.dir.rename_and_look(relative(from), relative(to));
        let now = moved.map_err(|errno| fault(to, "move to", errno))?;
        self.done(to, &expected.kind, &before, Some(now))
    }

    fn set_executable(
        &self,
        path: &TreePath,
        expected: Option<&Entry>,
        executable: bool,
    ) -> Result<Done, ReplicaError> {
        let (Some(before), Some(Kind::File(content))) =
            (look_again(self.root, path, expected)?, expected.map(|entry| &entry.kind))
        else {
            return Err(changed(path));
        };
        let failed = |errno| fault(path, "set the executable bit of", errno);
        let (file, look) = self.root.dir.open_to_read(relative(path)).map_err(failed)?;
        if !look.has_bytes_of(&before) {
            return Err(changed(path));
        }
        file.set_mode(mode(look.mode, executable)).map_err(failed)?;
        let kind = Kind::File(swarm_sync::FileContent { executable, ..*content });
        self.done(path, &kind, &before, self.look(path)?)
    }

    fn remove(&self, path: &TreePath, expected: Option<&Entry>) -> Result<Done, ReplicaError> {
        let Some(before) = look_again(self.root, path, expected)? else { return Err(changed(path)) };
        if before.kind == FileType::Directory {
            self.root.dir.remove_folder(relative(path)).map_err(|errno| match errno {
                Errno::NOTEMPTY | Errno::EXIST => ReplicaError::NotEmpty { path: path.clone() },
                errno => fault(path, "remove", errno),
            })?;
            return Ok(Done { now: None, kept: None });
        }
        let kept = versions::slot(&self.root.dir, self.run, path)?;
        let place = versions::place(&kept);
        let displaced = self.root.dir.rename_to_free(relative(path), &place);
        displaced.map_err(|errno| fault(path, "remove", errno))?;
        if self.is_as_before(&place, &before) {
            return Ok(Done { now: None, kept: Some(kept) });
        }
        // Somebody wrote to it meanwhile. If its name is taken by now, it stays a version.
        let _ = self.root.dir.rename_to_free(&place, relative(path));
        Err(changed(path))
    }

    /// Whether what was displaced is what was looked at.
    pub(super) fn is_as_before(&self, place: &Path, before: &Look) -> bool {
        matches!(self.root.dir.look(place), Ok(Some(now)) if now.has_bytes_of(before))
    }

    /// What stands at the path after an effect, which was looked at then: the known content, if its bytes are those that were looked at before.
    pub(super) fn done(
        &self,
        path: &TreePath,
        kind: &Kind,
        before: &Look,
        now: Option<Look>,
    ) -> Result<Done, ReplicaError> {
        let now = match now {
            Some(look) if look.has_bytes_of(before) || (look.id == before.id && kind == &Kind::Folder) => {
                Some(known(self.root, kind, &look))
            }
            Some(_) | None => entry_at(self.root, path)?,
        };
        Ok(Done { now, kept: None })
    }

    /// Why nothing could be made under a name: the folder above is gone, or the file system has no such names (some call that missing).
    pub(super) fn missing(&self, path: &TreePath) -> ReplicaError {
        let has_folder = path.parent().is_none_or(|above| {
            self.look(&above).is_ok_and(|look| look.is_some_and(|look| look.kind == FileType::Directory))
        });
        if has_folder { ReplicaError::Name { path: path.clone() } } else { changed(path) }
    }

    pub(super) fn look(&self, path: &TreePath) -> Result<Option<Look>, ReplicaError> {
        self.root.dir.look(relative(path)).map_err(|errno| fault(path, "look at", errno))
    }
}

/// The entry of known content. Its executable bit is as the disk tells it: some file systems have none.
fn known(root: &Root, kind: &Kind, look: &Look) -> Entry {
    let kind = match kind {
        Kind::File(content) => {
            Kind::File(swarm_sync::FileContent { executable: look.is_executable(), ..*content })
        }
        Kind::Folder | Kind::Symlink { .. } => kind.clone(),
    };
    let stamp = if look.is_file() { stamp_of_known(root, look) } else { look.stamp() };
    Entry { kind, modified_ns: look.modified_ns, stamp }
}

/// Permissions with the executable bit set for those who may read, or cleared for all. Never with set-id bits.
pub(super) fn mode(mode: u32, executable: bool) -> u32 {
    if executable { mode & 0o777 | (mode & 0o444) >> 2 } else { mode & 0o666 }
}

/// Operations between two checks that the path of the root still leads to it.
const CHECKED_EACH: usize = 64;
