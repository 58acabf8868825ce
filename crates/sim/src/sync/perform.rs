//! One operation on a simulated disk: a last look, then one change that a power cut takes or leaves as a whole. What was there and what
//! was expected are compared once more by a checker that trusts no stamps.

use swarm_sync::{Done, Entry, KeptId, Kind, Op, OpKind, ReplicaError, RunId, Staged, TreePath};

use super::bug::Bug;
use super::disk::{Body, Bytes, Disk, Node, Slot};
use super::hub::{Hub, Need};

/// Performs one operation.
pub(super) fn perform(
    hub: &mut Hub,
    at: usize,
    run: RunId,
    op: &Op,
    staged: Option<Staged>,
) -> Result<Done, ReplicaError> {
    let (need, word) = match &op.kind {
        OpKind::MakeFolder => (Need::Space, "make"),
        OpKind::Move { .. } => (Need::Names, "move"),
        OpKind::Put { .. } => (Need::Space, "write"),
        OpKind::SetExecutable { .. } => (Need::Names, "change the mode of"),
        OpKind::Remove => (Need::Names, "remove"),
    };
    hub.effect(at, need, word, Some(&op.path))?;
    let acts_at = match &op.kind {
        OpKind::Move { from } => from,
        OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } | OpKind::Remove => &op.path,
    };
    if [acts_at, &op.path].iter().any(|path| is_locked(&hub.disks[at], path)) {
        return Err(ReplicaError::Denied { path: op.path.clone(), op: word });
    }
    let before = hub.disks[at].live().get(acts_at).cloned();
    let done = match &op.kind {
        OpKind::MakeFolder => make_folder(hub, at, op),
        OpKind::Move { from } => go(hub, at, op, from),
        OpKind::Put { content, modified_ns, .. } => put(hub, at, run, op, (content, *modified_ns, staged)),
        OpKind::SetExecutable { executable } => set_executable(hub, at, op, *executable),
        OpKind::Remove => remove(hub, at, run, op),
    };
    match &done {
        Ok(done) => {
            hub.tell(format_args!("  replica {at} did {op:?}"));
            hub.check_looked(at, op, before.as_ref());
            hub.check_done(at, op, done);
        }
        Err(error) => {
            hub.count("operation refused");
            hub.tell(format_args!("  replica {at} refused {op:?}: {error}"));
        }
    }
    let done = done?;
    hub.effect(at, Need::Read, word, None)?;
    Ok(done)
}

/// Whether an entry is the expected one, as a replica finds out: it trusts the disk where that tells what it told before, and compares
/// the bytes otherwise.
pub(super) fn stands_as(hub: &Hub, node: &Node, expected: &Entry) -> bool {
    let Some(kind) = node.kind() else { return false };
    if hub.has(Bug::LookComparesLengths)
        && let (Some(is), Some(was)) = (kind.file(), expected.file())
    {
        return is.len == was.len;
    }
    if hub.has(Bug::LookComparesTimes) && kind.file().is_some() {
        return node.modified_ns == expected.modified_ns;
    }
    if hub.has(Bug::ExecutableUnseen)
        && let (Some(is), Some(was)) = (kind.file(), expected.file())
    {
        return is.hash == was.hash;
    }
    let tells_the_same = hub.stamp_of(node) == expected.stamp && node.modified_ns == expected.modified_ns;
    match (&kind, &expected.kind) {
        (Kind::File(is), Kind::File(was)) if tells_the_same => {
            is.len == was.len && is.executable == was.executable
        }
        (is, was) => is == was,
    }
}

fn changed(op: &Op) -> ReplicaError {
    ReplicaError::Changed { path: op.path.clone() }
}

fn is_locked(disk: &Disk, path: &TreePath) -> bool {
    let at = std::iter::once(path.clone()).chain(path.ancestors());
    at.into_iter().any(|path| disk.find(&path).is_some_and(|(_, node)| node.locked))
}

/// The last look: what is expected stands at the path under this very name.
fn look(hub: &Hub, at: usize, op: &Op, path: &TreePath, skips: Bug) -> Result<Option<Node>, ReplicaError> {
    let found = hub.disks[at].find(path);
    if hub.has(skips) {
        return Ok(found.map(|(_, node)| node.clone()));
    }
    match (found, &op.expected) {
        (None, None) => Ok(None),
        (Some((name, node)), Some(expected)) if name == path && stands_as(hub, node, expected) => {
            Ok(Some(node.clone()))
        }
        (Some((_, node)), None) if hub.has(Bug::PutTakesOtherCase) && node.kind().is_some() => {
            Ok(Some(node.clone()))
        }
        (Some(_) | None, Some(_)) | (Some(_), None) => Err(changed(op)),
    }
}

/// A place for a new entry: its folder is there.
fn place(hub: &Hub, at: usize, op: &Op) -> Result<TreePath, ReplicaError> {
    hub.disks[at].place(&op.path).ok_or_else(|| changed(op))
}

fn make_folder(hub: &mut Hub, at: usize, op: &Op) -> Result<Done, ReplicaError> {
    let replaces = hub.has(Bug::FolderReplacesFile);
    if hub.disks[at].find(&op.path).is_some_and(|(_, node)| node.is_folder() || !replaces) {
        return Err(changed(op));
    }
    let (place, now_ns) = (place(hub, at, op)?, hub.now_ns(at));
    hub.change(at, |disk| {
        disk.unlink(&place);
        let inode = disk.inode();
        disk.set(Slot::Live(place.clone()), Some(new(inode, Body::Folder, now_ns, now_ns)));
    });
    Ok(Done { now: entry(hub, at, &place), kept: None })
}

fn new(inode: u64, body: Body, modified_ns: i64, changed_ns: i64) -> Node {
    Node { inode, body, modified_ns, changed_ns, locked: false, unsettled: None }
}

/// The entry at a path, with a stamp that may be trusted.
fn entry(hub: &Hub, at: usize, path: &TreePath) -> Option<Entry> {
    let node = hub.disks[at].live().get(path)?;
    let mut entry = node.entry()?;
    entry.stamp = hub.trusted_stamp(at, node);
    if hub.has(Bug::ExecutableUnseen)
        && let Kind::File(content) = &mut entry.kind
    {
        content.executable = false;
    }
    Some(entry)
}

fn go(hub: &mut Hub, at: usize, op: &Op, from: &TreePath) -> Result<Done, ReplicaError> {
    look(hub, at, op, from, Bug::MoveLooksAtNothing)?.ok_or_else(|| changed(op))?;
    let target = hub.disks[at].find(&op.path).map(|(name, _)| name.clone());
    // A name that differs in case alone is the entry itself.
    if target.is_some_and(|target| target != *from) && !hub.has(Bug::MoveReplaces) {
        return Err(changed(op));
    }
    let place = place(hub, at, op)?;
    if place.is_below(from) {
        return Err(changed(op));
    }
    let now_ns = hub.now_ns(at);
    let leaves = hub.has(Bug::MoveLeavesChildren);
    hub.change(at, |disk| {
        disk.rename(from, &place, now_ns);
        if leaves {
            let below: Vec<TreePath> =
                disk.live().keys().filter(|path| path.is_below(&place)).cloned().collect();
            below.iter().for_each(|path| disk.unlink(path));
        }
    });
    Ok(Done { now: entry(hub, at, &place), kept: None })
}

fn put(
    hub: &mut Hub,
    at: usize,
    run: RunId,
    op: &Op,
    (content, modified_ns, staged): (&Kind, i64, Option<Staged>),
) -> Result<Done, ReplicaError> {
    let displaced = look(hub, at, op, &op.path, Bug::PutLooksAtNothing)?;
    let place = match &displaced {
        Some(_) => hub.disks[at].find(&op.path).map_or_else(|| op.path.clone(), |(name, _)| name.clone()),
        None => place(hub, at, op)?,
    };
    if displaced.as_ref().is_some_and(Node::is_folder) && hub.disks[at].has_below(&place) {
        return Err(changed(op));
    }
    let now_ns = hub.now_ns(at);
    let number = staged.map(|staged| staged.0);
    let node = match (content, number) {
        (Kind::File(_), Some(number)) => {
            let node = hub.disks[at].staged().get(&number).cloned();
            Node { changed_ns: now_ns, ..node.ok_or_else(|| changed(op))? }
        }
        (Kind::Symlink { target }, _) => {
            let target = if hub.has(Bug::LinkIsShort) { target[..1].into() } else { target.clone() };
            let inode = hub.disks[at].inode();
            new(inode, Body::Symlink(target), modified_ns, now_ns)
        }
        (Kind::File(_), None) | (Kind::Folder, _) => return Err(changed(op)),
    };
    if hub.has(Bug::PutIsNotAtomic)
        && let Body::File { bytes, executable } = &node.body
    {
        let half = Bytes::new(bytes.as_slice()[..bytes.as_slice().len() / 2].to_vec());
        let half = Node { body: Body::File { bytes: half, executable: *executable }, ..node.clone() };
        let kept = hub.change(at, |disk| displace(disk, run, &place, displaced.as_ref()));
        hub.change(at, |disk| disk.set(Slot::Live(place.clone()), Some(half)));
        hub.effect(at, Need::Space, "write", None)?;
        hub.change(at, |disk| disk.set(Slot::Live(place.clone()), Some(node)));
        return Ok(Done { now: entry(hub, at, &place), kept });
    }
    let forgets = hub.has(Bug::PutKeepsNothing);
    let kept = keep(hub, at, run, &place, if forgets { None } else { displaced.as_ref() }, |disk| {
        disk.unlink(&place);
        if let Some(number) = number {
            disk.set(Slot::Staged(number), None);
        }
        disk.set(Slot::Live(place.clone()), Some(node));
    });
    let now =
        if hub.has(Bug::DoneTellsWhatWas) { op.expected.as_deref().cloned() } else { entry(hub, at, &place) };
    Ok(Done { now, kept })
}

/// Makes a kept version of what is displaced, and the rest of a change with it.
fn keep(
    hub: &mut Hub,
    at: usize,
    run: RunId,
    path: &TreePath,
    displaced: Option<&Node>,
    rest: impl FnOnce(&mut Disk),
) -> Option<KeptId> {
    let overwrites = hub.has(Bug::KeptByPathAlone);
    let kept = hub.change(at, |disk| {
        let mut kept = displace(disk, run, path, displaced);
        if overwrites && let Some(id) = &mut kept {
            let node = disk.set(Slot::Kept(id.clone()), None);
            id.number = 0;
            id.path = path.clone();
            id.run = RunId::at_ms(0);
            disk.set(Slot::Kept(id.clone()), node);
        }
        rest(disk);
        kept
    });
    if kept.is_some() {
        hub.count("version kept");
    }
    if hub.has(Bug::DoneForgetsKept) { None } else { kept }
}

fn displace(disk: &mut Disk, run: RunId, path: &TreePath, displaced: Option<&Node>) -> Option<KeptId> {
    let node = displaced.filter(|node| !node.is_folder())?;
    let taken = disk.kept().keys().filter(|kept| kept.run == run && kept.path == *path).count();
    let id = KeptId { run, path: path.clone(), number: taken as u32 };
    disk.set(Slot::Kept(id.clone()), Some(node.clone()));
    Some(id)
}

fn set_executable(hub: &mut Hub, at: usize, op: &Op, executable: bool) -> Result<Done, ReplicaError> {
    let node = look(hub, at, op, &op.path, Bug::ModeLooksAtNothing)?.ok_or_else(|| changed(op))?;
    let Body::File { bytes, .. } = node.body else { return Err(changed(op)) };
    let changed_ns = hub.now_ns(at);
    if !hub.has(Bug::ModeIsNotSet) {
        hub.change(at, |disk| {
            let body = Body::File { bytes, executable };
            disk.set(Slot::Live(op.path.clone()), Some(Node { body, changed_ns, ..node }));
        });
    }
    Ok(Done { now: entry(hub, at, &op.path), kept: None })
}

fn remove(hub: &mut Hub, at: usize, run: RunId, op: &Op) -> Result<Done, ReplicaError> {
    let node = look(hub, at, op, &op.path, Bug::RemoveLooksAtNothing)?.ok_or_else(|| changed(op))?;
    let takes_all = hub.has(Bug::RemoveTakesFullFolder);
    if hub.disks[at].has_below(&op.path) && !takes_all {
        return Err(changed(op));
    }
    let forgets = hub.has(Bug::RemoveKeepsNothing);
    let kept = keep(hub, at, run, &op.path, if forgets { None } else { Some(&node) }, |disk| {
        let below: Vec<TreePath> =
            disk.live().keys().filter(|path| path.is_at_or_below(&op.path)).cloned().collect();
        below.iter().rev().for_each(|path| disk.unlink(path));
    });
    Ok(Done { now: None, kept })
}
