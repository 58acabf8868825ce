//! A replica on a disk in memory. It keeps what every replica promises: a last look before each change, kept versions, whole bytes under
//! every name, and durability at a settle. At each of its effects, before and after it, the world may do something. Planted bugs break
//! one promise each.

use std::collections::BTreeSet;
use std::ops::Bound;

use swarm_sync::{
    Blind, BlindWhy, ContentHash, ContentSource, Done, Entry, FileContent, Found, FoundKind, KeptId, Kind,
    NameRules, Op, OpKind, Replica, ReplicaError, RunId, Seen, StageJob, Staged, TreePath, Walk,
};

use super::bug::Bug;
use super::disk::{Author, Body, Bytes, Node, Slot};
use super::hub::{Hub, Need, Shared};
use super::perform::perform;
use super::source::SimSource;

/// One side of a pass.
pub(super) struct SimReplica {
    pub(super) hub: Shared,
    pub(super) at: usize,
}

impl Replica for SimReplica {
    fn names(&self) -> NameRules {
        let hub = self.hub.lock();
        if hub.has(Bug::NamesIgnored) { NameRules::default() } else { hub.disks[self.at].names }
    }

    fn recover(&self) -> Result<(), ReplicaError> {
        let mut hub = self.hub.lock();
        let here = TreePath::new("staging").ok();
        match hub.effect(self.at, Need::Names, "recover", here.as_ref()) {
            Err(ReplicaError::Gone(_)) if hub.has(Bug::AwayLooksEmpty) => return Ok(()),
            result => result?,
        }
        let staged: Vec<u64> = hub.disks[self.at].staged().keys().copied().collect();
        let drops_kept = hub.has(Bug::RecoverDropsKept) && !staged.is_empty();
        let now_ns = hub.now_ns(self.at);
        hub.change(self.at, |disk| {
            disk.end_detours(now_ns);
            for number in staged {
                disk.set(Slot::Staged(number), None);
            }
            if drops_kept && let Some(last) = disk.kept().keys().next_back().cloned() {
                disk.set(Slot::Kept(last), None);
            }
        });
        Ok(())
    }

    fn walk(&self, place: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        let mut hub = self.hub.lock();
        match hub.effect(self.at, Need::Read, "read", None) {
            Err(ReplicaError::Gone(_)) if hub.has(Bug::AwayLooksEmpty) => {
                return Ok(Box::new(std::iter::empty()));
            }
            result => result?,
        }
        let (hub, place) = (self.hub.clone(), place.cloned());
        Ok(Box::new(Steps { hub, at: self.at, place, last: None, skipped: None, has_ended: false }))
    }

    fn hash(&self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        files.into_iter().map(|found| hash(&mut self.hub.lock(), self.at, &found)).collect()
    }

    fn source(&self, path: &TreePath, expected: &Entry) -> Box<dyn ContentSource> {
        Box::new(SimSource::live(self.hub.clone(), self.at, path.clone(), expected.clone()))
    }

    fn kept_source(&self, kept: &KeptId) -> Box<dyn ContentSource> {
        Box::new(SimSource::kept(self.hub.clone(), self.at, kept.clone()))
    }

    fn stage(
        &self,
        jobs: Vec<StageJob>,
        carried: &(dyn Fn(u64) + Sync),
    ) -> Vec<Result<Staged, ReplicaError>> {
        jobs.into_iter().map(|job| stage(&self.hub, self.at, job, carried)).collect()
    }

    fn settle_staged(&self) -> Result<(), ReplicaError> {
        self.settle()
    }

    fn settle(&self) -> Result<(), ReplicaError> {
        let mut hub = self.hub.lock();
        hub.effect(self.at, Need::Settle, "settle", None)?;
        let is_remote = hub.running.as_ref().is_some_and(|running| running.pair.1 == self.at);
        if hub.has(Bug::SettleDoesNothing) || (hub.has(Bug::SettleForgetsRemote) && is_remote) {
            return Ok(());
        }
        if hub.has(Bug::SettleIsLate) && !hub.disks[self.at].is_settle_due() {
            return Ok(());
        }
        let loses_staged = hub.has(Bug::SettleForgetsStaged);
        let staged: BTreeSet<u64> = hub.disks[self.at].staged().keys().copied().collect();
        hub.disks[self.at].settle();
        if loses_staged {
            hub.disks[self.at].unsettle(&staged);
        }
        hub.tell_disk(self.at, "settled");
        hub.effect(self.at, Need::Settle, "settle", None)
    }

    fn perform(&self, run: RunId, ops: Vec<(Op, Option<Staged>)>) -> Vec<Result<Done, ReplicaError>> {
        for (op, _) in &ops {
            if let OpKind::Move { from } = &op.kind
                && op.path.name().starts_with(".swarm-move-")
            {
                self.hub.lock().disks[self.at].note_detour(from.clone(), op.path.clone());
            }
        }
        let mut ended = None;
        let mut each = |(op, staged): (Op, Option<Staged>)| {
            if let Some(error) = &ended {
                return Err(ReplicaError::clone(error));
            }
            let result = perform(&mut self.hub.lock(), self.at, run, &op, staged);
            ended = result.as_ref().err().filter(|error| error.ends_run()).cloned();
            result
        };
        ops.into_iter().map(&mut each).collect()
    }
}

/// A walk, step by step: what happens meanwhile behind the place where it is goes unseen, as on a disk.
struct Steps {
    hub: Shared,
    at: usize,
    place: Option<TreePath>,
    last: Option<TreePath>,
    /// A folder that cannot be read: nothing below it is found.
    skipped: Option<TreePath>,
    has_ended: bool,
}

impl Iterator for Steps {
    type Item = Result<Seen, ReplicaError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let shared = self.hub.clone();
        let mut hub = shared.lock();
        let near = self.last.clone().or_else(|| TreePath::new("a").ok());
        if let Err(error) = hub.effect(self.at, Need::Read, "read", near.as_ref()) {
            self.has_ended = true;
            let is_hidden = hub.has(Bug::WalkHidesItsEnd);
            return (!is_hidden).then_some(Err(error));
        }
        loop {
            let Some((path, node)) = self.found(&hub) else {
                self.has_ended = true;
                return None;
            };
            self.last = Some(path.clone());
            if let Some(seen) = self.seen(&hub, path, &node) {
                return Some(Ok(seen));
            }
        }
    }
}

impl Steps {
    /// What stands next in path order.
    fn found(&self, hub: &Hub) -> Option<(TreePath, Node)> {
        let after = self.last.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = hub.disks[self.at].live().range((after, Bound::Unbounded));
        let is_there = |path: &TreePath| {
            self.place.as_ref().is_none_or(|place| path.is_at_or_below(place))
                && self.skipped.as_ref().is_none_or(|skipped| !path.is_below(skipped))
        };
        rest.find(|(path, _)| is_there(path)).map(|(path, node)| (path.clone(), node.clone()))
    }

    /// What a walk tells of it; nothing where a planted bug leaves it out.
    fn seen(&mut self, hub: &Hub, path: TreePath, node: &Node) -> Option<Seen> {
        let kind = match &node.body {
            Body::Special => return blind(hub, path, BlindWhy::Special),
            Body::Folder if node.locked => {
                self.skipped = Some(path.clone());
                return blind(hub, path, BlindWhy::Unreadable("permission denied".to_owned()));
            }
            Body::Folder => FoundKind::Folder,
            Body::File { bytes, executable } => FoundKind::File {
                len: bytes.as_slice().len() as u64,
                executable: *executable && !hub.has(Bug::ExecutableUnseen),
            },
            Body::Symlink(_) if hub.has(Bug::WalkSkipsLinks) => return None,
            Body::Symlink(target) => FoundKind::Symlink { target: target.clone() },
        };
        if hub.has(Bug::WalkSkipsLockedFiles) && node.locked {
            return None;
        }
        if hub.has(Bug::WalkSkipsSome) && hub.ticks.is_multiple_of(16) {
            return None;
        }
        Some(Seen::Entry(Found { path, kind, modified_ns: node.modified_ns, stamp: hub.stamp_of(node) }))
    }
}

fn blind(hub: &Hub, path: TreePath, why: BlindWhy) -> Option<Seen> {
    (!hub.has(Bug::BlindPlacesLookEmpty)).then_some(Seen::Blind(Blind { path, why }))
}

/// Reads a file in two steps, between which it may change.
fn hash(hub: &mut Hub, at: usize, found: &Found) -> Result<(TreePath, Entry), Blind> {
    let is_blind = |why| Blind { path: found.path.clone(), why };
    let unreadable = |error: ReplicaError| is_blind(BlindWhy::Unreadable(error.to_string()));
    let changing = || is_blind(BlindWhy::Changing);
    hub.effect(at, Need::Read, "read", Some(&found.path)).map_err(unreadable)?;
    let before = file_at(hub, at, &found.path).ok_or_else(changing)?;
    if before.locked {
        return Err(is_blind(BlindWhy::Unreadable("permission denied".to_owned())));
    }
    hub.effect(at, Need::Read, "read", Some(&found.path)).map_err(unreadable)?;
    let after = file_at(hub, at, &found.path).ok_or_else(changing)?;
    let has_changed = before.stamp() != after.stamp() || before.modified_ns != after.modified_ns;
    if has_changed && !hub.has(Bug::ChangingFileHashed) {
        hub.count("file changed while it was hashed");
        return Err(changing());
    }
    let (Body::File { bytes: first, .. }, Body::File { bytes: then, executable }) =
        (&before.body, &after.body)
    else {
        return Err(changing());
    };
    let half = first.as_slice().len() / 2;
    let bytes = [&first.as_slice()[..half], then.as_slice().get(half..).unwrap_or_default()].concat();
    let content = FileContent {
        len: bytes.len() as u64,
        hash: if hub.has(Bug::HalfIsHashed) {
            ContentHash::of(&bytes[..half])
        } else {
            ContentHash::of(&bytes)
        },
        executable: *executable && !hub.has(Bug::ExecutableUnseen),
    };
    let stamp = if hub.has(Bug::ChangingFileHashed) { after.stamp() } else { hub.trusted_stamp(at, &after) };
    Ok((found.path.clone(), Entry { kind: Kind::File(content), modified_ns: after.modified_ns, stamp }))
}

fn file_at(hub: &Hub, at: usize, path: &TreePath) -> Option<Node> {
    let node = hub.disks[at].live().get(path)?;
    matches!(node.body, Body::File { .. }).then(|| node.clone())
}

fn stage(
    shared: &Shared,
    at: usize,
    mut job: StageJob,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<Staged, ReplicaError> {
    let mut bytes = Vec::new();
    let mut buf = [0; 16];
    loop {
        let len = job.source.read_at(bytes.len() as u64, &mut buf)?;
        shared.lock().effect(at, Need::Space, "write", Some(&job.path))?;
        if len == 0 {
            break;
        }
        bytes.extend_from_slice(&buf[..len]);
        carried(len as u64);
    }
    let mut hub = shared.lock();
    let is_good = ContentHash::of(&bytes) == job.content.hash && bytes.len() as u64 == job.content.len;
    if !is_good && !hub.has(Bug::StageProvesNothing) {
        hub.count("staged bytes failed their proof");
        return Err(ReplicaError::Integrity { path: job.path });
    }
    if hub.has(Bug::StageIsShort) || (hub.has(Bug::FullDiskIsShort) && hub.disks[at].full) {
        bytes.pop();
    }
    let executable = job.content.executable && !hub.has(Bug::StagedIsNotExecutable);
    let modified_ns = if hub.has(Bug::StagedHasNoTime) { 0 } else { job.modified_ns };
    let changed_ns = hub.now_ns(at);
    let number = hub.disks[at].staged().keys().next_back().map_or(1, |last| last + 1);
    hub.change(at, |disk| {
        let inode = disk.inode();
        let body = Body::File { bytes: Bytes::new(bytes), executable };
        let node =
            Node { inode, body, modified_ns, changed_ns, locked: false, unsettled: Some(Author::Sync) };
        disk.set(Slot::Staged(number), Some(node));
    });
    hub.effect(at, Need::Space, "write", Some(&job.path))?;
    Ok(Staged(number))
}
