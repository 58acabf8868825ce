//! Puts a content under its name. What stood there and what stands there now change places in one step, so that the name always shows the
//! one or the other; where a file system cannot do that, the old one is renamed away first, and recovery returns it after a crash.

use std::path::Path;

use rustix::io::Errno;
use swarm_sync::{Done, Entry, Kind, ReplicaError, Staged, TreePath};

use super::again::{changed, look_again, relative};
use super::apply::{Batch, mode};
use super::fault::fault;
use super::incoming::place;
use super::look::Look;
use super::versions;

/// Puts a file or link in place of what is expected.
pub(super) fn put(
    batch: &Batch<'_>,
    path: &TreePath,
    content: &Kind,
    expected: Option<&Entry>,
    number: Option<u64>,
) -> Result<Done, ReplicaError> {
    let number = number.ok_or_else(|| ReplicaError::Integrity { path: path.clone() })?;
    let done = Put { batch, path, content, number }.perform(expected);
    match &done {
        Ok(_) => batch.incoming.forget(number),
        // What was displaced and could not be put back stays for recovery.
        Err(_) if batch.incoming.is_held(number) => {}
        Err(_) => batch.incoming.discard(batch.root, number),
    }
    done
}

struct Put<'a> {
    batch: &'a Batch<'a>,
    path: &'a TreePath,
    content: &'a Kind,
    number: u64,
}

impl Put<'_> {
    fn perform(&self, expected: Option<&Entry>) -> Result<Done, ReplicaError> {
        // Where nothing is to stand, the rename itself refuses to replace anything.
        let standing = match expected {
            Some(_) => look_again(self.batch.root, self.path, expected)?,
            None => None,
        };
        let new = self.beside()?;
        match standing {
            None => self.place(&new),
            Some(_) if expected.is_some_and(Entry::is_folder) => Err(changed(self.path)),
            Some(old) => self.replace(&old, &new),
        }
    }

    /// What stands beside the tree, ready to take its place.
    fn beside(&self) -> Result<Look, ReplicaError> {
        let (root, place) = (self.batch.root, place(self.number));
        match self.content {
            Kind::Symlink { target } => {
                self.batch.incoming.make_folder(root, self.path, self.number)?;
                root.dir.make_link(target, &place).map_err(|errno| self.fault("make", errno))?;
                let look = root.dir.look(&place).map_err(|errno| self.fault("look at", errno))?;
                look.ok_or_else(|| changed(self.path))
            }
            Kind::File(content) => {
                let copied = self.batch.incoming.get(Staged(self.number));
                let copied = copied.filter(|copied| copied.content == *content);
                copied
                    .map(|copied| copied.look)
                    .ok_or_else(|| ReplicaError::Integrity { path: self.path.clone() })
            }
            Kind::Folder => Err(changed(self.path)),
        }
    }

    /// Where nothing stands.
    fn place(&self, new: &Look) -> Result<Done, ReplicaError> {
        let placed = self.batch.root.dir.rename_and_look(&place(self.number), relative(self.path));
        let now = placed.map_err(|errno| match errno {
            Errno::NOENT if self.batch.root.dir.look(&place(self.number)).is_ok_and(|new| new.is_some()) => {
                self.batch.missing(self.path)
            }
            errno => self.fault("put", errno),
        })?;
        self.batch.done(self.path, self.content, new, Some(now))
    }

    /// In place of what stands there.
    fn replace(&self, old: &Look, new: &Look) -> Result<Done, ReplicaError> {
        let (dir, beside) = (&self.batch.root.dir, place(self.number));
        let kept = versions::slot(&self.batch.root.dir, self.batch.run, self.path)?;
        let version = versions::place(&kept);
        self.resemble(old, new);
        match dir.exchange(&beside, relative(self.path)) {
            Ok(()) => {
                if !self.batch.is_as_before(&beside, old) {
                    return Err(self.take_back(&version, new));
                }
                if let Err(errno) = dir.rename_to_free(&beside, &version) {
                    self.take_back(&version, new);
                    return Err(self.fault("keep the old version of", errno));
                }
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.replace_in_two_steps(&version, old)?,
            Err(errno) => return Err(self.fault("replace", errno)),
        }
        let done = self.batch.done(self.path, self.content, new, self.batch.look(self.path)?)?;
        Ok(Done { kept: Some(kept), ..done })
    }

    fn replace_in_two_steps(&self, version: &Path, old: &Look) -> Result<(), ReplicaError> {
        let (dir, path) = (&self.batch.root.dir, relative(self.path));
        dir.rename_to_free(path, version).map_err(|errno| self.fault("keep the old version of", errno))?;
        let is_as_before = self.batch.is_as_before(version, old);
        let placed =
            if is_as_before { dir.rename_to_free(&place(self.number), path) } else { Err(Errno::EXIST) };
        placed.map_err(|errno| {
            // If the name is taken by now, it stays a version.
            let _ = dir.rename_to_free(version, path);
            self.fault("replace", errno)
        })
    }

    /// Undoes an exchange: another entry came out than was looked at. Whatever cannot go back becomes a version.
    fn take_back(&self, version: &Path, new: &Look) -> ReplicaError {
        let (dir, beside, path) = (&self.batch.root.dir, place(self.number), relative(self.path));
        let is_back = match dir.exchange(&beside, path) {
            // Only the copy may be discarded: somebody may have written to it in the moment that it had the name.
            Ok(()) => self.batch.is_as_before(&beside, new),
            Err(_) => dir.rename_to_free(&beside, path).is_ok(),
        };
        if !is_back && dir.rename_to_free(&beside, version).is_err() {
            self.batch.incoming.hold(self.number);
        }
        changed(self.path)
    }

    /// Gives a new file the permissions and the owner of the old one, as far as the system lets it.
    fn resemble(&self, old: &Look, new: &Look) {
        let Kind::File(content) = self.content else { return };
        let mode = mode(old.mode, content.executable);
        if !old.is_file() || (mode, old.owner, old.group) == (new.mode, new.owner, new.group) {
            return;
        }
        let Ok((file, _)) = self.batch.root.dir.open_to_read(&place(self.number)) else { return };
        if (old.owner, old.group) != (new.owner, new.group) {
            let (owner, group) = (rustix::fs::Uid::from_raw(old.owner), rustix::fs::Gid::from_raw(old.group));
            // Only root may give files away; one's own groups are tried for everybody.
            if rustix::fs::fchown(&file, Some(owner), Some(group)).is_err() {
                let _ = rustix::fs::fchown(&file, None, Some(group));
            }
        }
        let _ = file.set_mode(mode);
    }

    fn fault(&self, op: &'static str, errno: Errno) -> ReplicaError {
        fault(self.path, op, errno)
    }
}
