//! What read-only mounts have where the library shows something else: of each file that the sync target shadows or a whiteout hides, what it was
//! when that began. Where it is another one now, its owner changed it, and the library is to show that. Invariant: nothing is uncovered that is
//! as it was, and nothing that a user wrote stays hidden without being told of.

use swarm_sync::{
    Blind, BlindWhy, ContentHash, Done, Entry, FileContent, Found, FoundKind, KeptId, Kind, Op, OpKind,
    Replica as _, ReplicaError, RunId, TreePath,
};

use crate::Overlay;
use crate::applying::changed;
use crate::layer::{Inward, Layer};
use crate::standing::{Lower, Upper};

/// A file of a read-only mount that is hidden, and is not what it was when that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where it stands in the library.
    pub path: TreePath,
    /// What it was; nothing if it was not there.
    pub was: Option<Entry>,
}

/// What became of hidden files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenEdits {
    /// Their owner changed or made them since they were hidden.
    pub changed: Vec<Changed>,
    /// They are not what they were, and cannot be read: what they are now is not known.
    pub blind: Vec<Blind>,
}

impl Overlay {
    /// Looks at hidden files at `place` and below, or everywhere, for what their owner changed or made since they were hidden.
    pub fn changed_hidden(&self, place: Option<&TreePath>) -> Result<HiddenEdits, ReplicaError> {
        let mut edits = HiddenEdits::default();
        if self.read_only.is_empty() {
            return Ok(edits);
        }
        let (mut as_before, mut shown) = (Vec::new(), Vec::new());
        for (path, was) in self.veil.hidden(place)? {
            // One that its owner removed may come back as it was.
            let Some(lower) = self.lower_file(&path)? else { continue };
            if is_as_known(&lower.found, &was) {
                continue;
            }
            if !self.is_hidden(&path)? {
                shown.push(path);
                continue;
            }
            match lower.read()? {
                Err(Blind { why, .. }) => edits.blind.push(Blind { path, why }),
                Ok(now) if lower.is_same(&now, &was) => {
                    let kind = if is_unread(&was) { now.kind.clone() } else { was.kind };
                    as_before.push((path, Entry { kind, ..now }));
                }
                Ok(_) => edits.changed.push(Changed { path, was: Some(was) }),
            }
        }
        self.veil.remember(&as_before)?;
        if !shown.is_empty() {
            self.veil.forget(&shown)?;
        }
        self.each_unknown(place, &mut |path, _| {
            edits.changed.push(Changed { path, was: None });
            Ok(())
        })?;
        Ok(edits)
    }

    /// Whether anything hides what a read-only mount has at a path.
    fn is_hidden(&self, path: &TreePath) -> Result<bool, ReplicaError> {
        Ok(self.veil.covers(path) || !matches!(self.upper(path)?, Upper::Free { .. } | Upper::Outside))
    }

    /// Remembers everything that is hidden now as it stands: its owner did not change it, as far as anybody knows.
    pub fn remember_hidden(&self) -> Result<(), ReplicaError> {
        let mut hidden = Vec::new();
        self.each_unknown(None, &mut |path, lower| {
            hidden.push((path, lower.read_as_far_as_possible()?));
            Ok(())
        })?;
        self.veil.remember(&hidden)?;
        self.remember_shadowed()
    }

    /// Remembers what the last walks found below files of the sync target, and nothing was known of. Where they found more than they could
    /// note, it walks again.
    pub fn remember_shadowed(&self) -> Result<(), ReplicaError> {
        loop {
            let (paths, is_all) = self.shadowed.take();
            let mut found = Vec::new();
            for path in paths {
                if let Some(lower) = self.lower_file(&path)? {
                    found.push((path, lower.read_as_far_as_possible()?));
                }
            }
            self.veil.remember(&found)?;
            // Without anything new, another walk would find the same.
            if is_all || found.is_empty() {
                return Ok(());
            }
            self.walk_all(None)?.try_for_each(|seen| seen.map(drop))?;
        }
    }

    /// Makes the library show a hidden file again. `shown` is what it shows there now: it becomes a kept version, whose name is returned.
    ///
    /// # Errors
    /// [`ReplicaError::Changed`] if the sync target has something else there, or a file above.
    pub fn uncover(
        &self,
        run: RunId,
        path: &TreePath,
        shown: Option<&Entry>,
    ) -> Result<Option<KeptId>, ReplicaError> {
        let upper = self.upper(path)?;
        if matches!(upper, Upper::Shadowed | Upper::Fixed) {
            return Err(changed(path));
        }
        self.lift(path)?;
        let mut kept = None;
        if let (Upper::Stands { inside, .. }, Some(target)) = (upper, &self.target) {
            let expected = Some(Box::new(shown.cloned().ok_or_else(|| changed(path))?));
            let op = Op { path: inside, kind: OpKind::Remove, expected };
            let layer = &target.layer;
            let done =
                layer.replica.perform(run, vec![(op, None)]).pop().unwrap_or(Err(ReplicaError::Stopped));
            let Done { kept: displaced, .. } = done.map_err(|error| layer.outward_error(error))?;
            kept = displaced.map(|kept| layer.outward_kept(kept));
        }
        self.veil.forget(std::slice::from_ref(path))?;
        Ok(kept)
    }

    /// Lifts whiteouts from a path. What else they hid gets whiteouts of its own, first.
    fn lift(&self, path: &TreePath) -> Result<(), ReplicaError> {
        let mut chain: Vec<TreePath> = std::iter::once(path.clone()).chain(path.ancestors()).collect();
        chain.reverse();
        let Some(top) = chain.iter().position(|at| self.veil.is_at(at)) else { return Ok(()) };
        let chain = &chain[top..];
        let mut beside = Vec::new();
        for folder in &chain[..chain.len() - 1] {
            let is_beside = |child: &TreePath| !chain.contains(child) && !self.veil.is_at(child);
            beside.extend(self.children_of_lower(folder)?.into_iter().filter(is_beside));
        }
        self.veil.store(&beside)?;
        let lifted: Vec<TreePath> = chain.iter().filter(|at| self.veil.is_at(at)).cloned().collect();
        self.veil.take_back(&lifted)
    }

    /// Remembers what read-only mounts have below a folder that is hidden as a whole.
    pub(crate) fn remember_below(&self, folder: &TreePath) -> Result<(), ReplicaError> {
        let mut found = Vec::new();
        self.each_unknown_below(folder, &mut |path, lower| {
            found.push((path, lower.read_as_far_as_possible()?));
            Ok(())
        })?;
        self.veil.remember(&found)
    }

    /// Remembers what a read-only mount has at a path where the sync target has a file: unless that is known.
    pub(crate) fn remember_lower(&self, path: &TreePath) -> Result<(), ReplicaError> {
        if self.veil.is_remembered(path)? {
            return Ok(());
        }
        let Some(lower) = self.lower_file(path)? else { return Ok(()) };
        if let Err(Blind { why: BlindWhy::Changing, .. }) = lower.read()? {
            return Err(changed(path));
        }
        self.veil.remember(&[(path.clone(), lower.read_as_far_as_possible()?)])
    }

    /// Files below whiteouts of which nothing is remembered.
    fn each_unknown(
        &self,
        place: Option<&TreePath>,
        take: &mut dyn FnMut(TreePath, LowerFile<'_>) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        if let Some(place) = place
            && self.veil.covers(place)
        {
            return self.each_unknown_below(place, take);
        }
        for whiteout in self.veil.within(place)? {
            if !whiteout.ancestors().any(|above| self.veil.is_at(&above)) {
                self.each_unknown_below(&whiteout, take)?;
            }
        }
        Ok(())
    }

    fn each_unknown_below(
        &self,
        start: &TreePath,
        take: &mut dyn FnMut(TreePath, LowerFile<'_>) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        let mut waiting = vec![start.clone()];
        while let Some(path) = waiting.pop() {
            let is_folder = match self.bare_lower(&path) {
                Ok(Some(lower)) => lower.is_folder(),
                Ok(None) => self.shape.is_folder(&path),
                // A pipe or device is no part of the tree.
                Err(ReplicaError::Changed { .. }) => continue,
                Err(error) => return Err(error),
            };
            if self.is_left_out(&path, is_folder) {
                continue;
            }
            if is_folder {
                waiting.extend(self.children_of_lower(&path)?);
            } else if !self.veil.is_remembered(&path)?
                && let Some(lower) = self.lower_file(&path)?
            {
                take(path, lower)?;
            }
        }
        Ok(())
    }

    fn is_left_out(&self, path: &TreePath, is_folder: bool) -> bool {
        self.options.ignore.as_ref().is_some_and(|ignore| ignore(path, is_folder))
    }

    /// What read-only mounts have directly in a folder, whether it is shown or not; folders that are there because of mounts, too.
    fn children_of_lower(&self, folder: &TreePath) -> Result<Vec<TreePath>, ReplicaError> {
        let mut children: Vec<TreePath> =
            self.shape.folders_in(folder).filter(|path| !self.shape.is_fixed(path)).cloned().collect();
        let Some(number) = self.shape.owner(folder) else { return Ok(children) };
        let layer = &self.read_only[number];
        let names = match layer.inward(folder) {
            Inward::Below(inside) => layer.replica.names_in(Some(&inside)),
            Inward::Root => layer.replica.names_in(None),
            Inward::Above | Inward::Apart => return Ok(children),
        };
        let names = names.map_err(|error| layer.outward_error(error))?;
        let own = names.iter().filter_map(|name| TreePath::below(Some(folder), name).ok());
        children.extend(own.filter(|path| !self.shape.is_folder(path)));
        Ok(children)
    }

    /// What a read-only mount has at a path, whether or not it is shown. Nothing where a mount is at or below it.
    fn lower_file(&self, path: &TreePath) -> Result<Option<LowerFile<'_>>, ReplicaError> {
        if self.shape.is_folder(path) {
            return Ok(None);
        }
        match self.bare_lower(path) {
            Ok(Some(Lower::Mount { number, inside, found })) => {
                Ok(Some(LowerFile { layer: &self.read_only[number], inside, found }))
            }
            Ok(Some(Lower::Shape) | None) | Err(ReplicaError::Changed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An entry of a read-only mount.
struct LowerFile<'a> {
    layer: &'a Layer,
    /// Below the root of the mount.
    inside: TreePath,
    found: Found,
}

impl LowerFile<'_> {
    /// The entry that a read-only mount has; or why it is not known, as while it is written to.
    fn read(&self) -> Result<Result<Entry, Blind>, ReplicaError> {
        self.layer.replica.check()?;
        let kind = match &self.found.kind {
            FoundKind::Folder => Kind::Folder,
            FoundKind::Symlink { target } => Kind::Symlink { target: target.clone() },
            FoundKind::File { .. } => {
                let found = Found { path: self.inside.clone(), ..self.found.clone() };
                let read = self.layer.replica.hash(vec![found]).pop();
                let gone = Blind { path: self.inside.clone(), why: BlindWhy::Changing };
                return Ok(read.unwrap_or(Err(gone)).map(|(_, entry)| entry));
            }
        };
        Ok(Ok(self.entry(kind)))
    }

    /// The entry; of a file that cannot be read, what is known of it without.
    fn read_as_far_as_possible(&self) -> Result<Entry, ReplicaError> {
        let unread = match &self.found.kind {
            FoundKind::File { len, executable } => {
                Kind::File(FileContent { hash: UNREAD, len: *len, executable: *executable })
            }
            FoundKind::Folder => Kind::Folder,
            FoundKind::Symlink { target } => Kind::Symlink { target: target.clone() },
        };
        Ok(self.read()?.unwrap_or_else(|_| self.entry(unread)))
    }

    fn entry(&self, kind: Kind) -> Entry {
        Entry { kind, modified_ns: self.found.modified_ns, stamp: self.found.stamp }
    }

    /// Whether a user would call both the same. A bit that the mount does not keep says nothing.
    fn is_same(&self, now: &Entry, was: &Entry) -> bool {
        match (now.file(), was.file()) {
            (Some(file), Some(unread)) if unread.hash == UNREAD => {
                file.len == unread.len && now.modified_ns == was.modified_ns
            }
            (Some(now), Some(was)) => {
                let keeps = self.layer.replica.keeps_executable();
                now.hash == was.hash && (now.executable == was.executable || !keeps)
            }
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => now.kind == was.kind,
        }
    }
}

/// Stands for the hash of a file that could not be read when it was hidden.
const UNREAD: ContentHash = ContentHash([0; 32]);

fn is_unread(entry: &Entry) -> bool {
    entry.file().is_some_and(|file| file.hash == UNREAD)
}

/// Whether the disk tells of a file what it told when it was hidden.
fn is_as_known(found: &Found, was: &Entry) -> bool {
    let is_same_kind = match (&found.kind, &was.kind) {
        (FoundKind::File { len, .. }, Kind::File(content)) => *len == content.len,
        (FoundKind::Symlink { target }, Kind::Symlink { target: known }) => target == known,
        (FoundKind::File { .. } | FoundKind::Symlink { .. } | FoundKind::Folder, _) => false,
    };
    is_same_kind && found.modified_ns == was.modified_ns && found.stamp.tells_same_bytes(&was.stamp)
}
