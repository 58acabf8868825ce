//! Rulings: how a dispute ends, by what a user chose or by the strategy of its path.

use super::disputes::Dispute;
use super::merge::Merge;
use super::nodes::NodeId;
use crate::limits::MERGE_LEN_MAX;
use crate::{
    Choice, Conflict, ConflictKind, FileContent, Kind, MergeTask, PerSide, Side, SideVersion, Strategy,
};

/// How a dispute ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ruling {
    Hold,
    /// This side has its way.
    Side(Side),
    Both,
    Settled(FileContent),
    /// Somebody merges the text; the dispute is held until then.
    Merge,
}

impl Merge<'_> {
    pub(super) fn ruling(&self, conflict: &Conflict, dispute: &Dispute) -> Ruling {
        match self.policy.choices.get(&conflict.id) {
            Some(Choice::KeepLocal) => return Ruling::Side(Side::Local),
            Some(Choice::KeepRemote) => return Ruling::Side(Side::Remote),
            Some(Choice::KeepBoth) => return Ruling::Both,
            Some(Choice::Settled { len, hash, executable }) => {
                return Ruling::Settled(FileContent { len: *len, hash: *hash, executable: *executable });
            }
            None => {}
        }
        let chosen =
            [dispute.nodes.local, dispute.nodes.remote].into_iter().find_map(|node| self.chosen[node]);
        if let Some(chosen) = chosen.filter(|_| conflict.kind != ConflictKind::Name) {
            return chosen;
        }
        let strategy = self.strategy(conflict, dispute);
        match (conflict.kind, strategy) {
            // A strategy must not delete what a side merely cannot hold.
            (ConflictKind::Name, Strategy::KeepBoth) => Ruling::Both,
            (ConflictKind::Name, _) | (_, Strategy::Manual) => Ruling::Hold,
            (_, Strategy::KeepLocal) => Ruling::Side(Side::Local),
            (_, Strategy::KeepRemote) => Ruling::Side(Side::Remote),
            (_, Strategy::KeepBoth) => Ruling::Both,
            (_, Strategy::Newer) => newer(conflict, dispute),
            (_, Strategy::AutoMerge) => merge_task(conflict).map_or(Ruling::Hold, |_| Ruling::Merge),
        }
    }

    /// What a user chose about an entry holds for all that is in doubt at and below it. Gives what is below it.
    pub(super) fn pass_down(
        &mut self,
        conflict: &Conflict,
        dispute: &Dispute,
        ruling: Ruling,
    ) -> Vec<NodeId> {
        let is_chosen = self.policy.choices.contains_key(&conflict.id);
        if !is_chosen || !matches!(ruling, Ruling::Side(_) | Ruling::Both) {
            return Vec::new();
        }
        let nodes = dispute.all_nodes();
        let mut subtrees: Vec<NodeId> = nodes.iter().flat_map(|node| self.forest.subtree(*node)).collect();
        // What they come upon where they go now is decided with them.
        subtrees.iter().for_each(|node| self.chosen[*node] = Some(ruling));
        subtrees.retain(|below| !nodes.contains(below));
        subtrees
    }

    /// Patterns are matched to the paths of a run: those that stand now, before anything is moved.
    fn strategy(&self, conflict: &Conflict, dispute: &Dispute) -> Strategy {
        let now = Side::BOTH.into_iter().filter_map(|side| self.forest.now(*dispute.nodes.of(side), side));
        let mut paths = std::iter::once(&conflict.path).chain(now.map(|standing| &standing.path));
        let strategy = paths.find_map(|path| self.policy.strategies.get(path));
        strategy.copied().unwrap_or(self.policy.strategy)
    }

    /// Rulings of different paths may contradict each other, so that the same entries are disputed again and again. Then the local side
    /// has its way: its entries have no two places. If that does not help, somebody decides.
    /// What a user chose is not overruled by what strategies did before.
    pub(super) fn limited(&mut self, conflict: &Conflict, dispute: &Dispute, ruling: Ruling) -> Ruling {
        let nodes = dispute.all_nodes();
        let count = nodes.iter().map(|node| self.rulings[*node]).max().unwrap_or(0);
        if matches!(dispute.kind, ConflictKind::Structure | ConflictKind::Name) {
            nodes.into_iter().for_each(|node| self.rulings[node] = self.rulings[node].saturating_add(1));
        }
        match (ruling, dispute.kind) {
            (Ruling::Hold | Ruling::Merge, _) => ruling,
            _ if count < RULINGS_MAX => ruling,
            _ if self.policy.choices.contains_key(&conflict.id) && count < LOCAL_RULINGS_MAX => ruling,
            (_, ConflictKind::Structure) if count < LOCAL_RULINGS_MAX => Ruling::Side(Side::Local),
            _ => Ruling::Hold,
        }
    }
}

/// So many decisions about one entry are carried out as they are.
const RULINGS_MAX: u8 = 2;
/// So many more go to the local side. Two entries at their local places never meet, so a few are enough.
const LOCAL_RULINGS_MAX: u8 = 16;

/// The side whose version was modified later.
fn newer(conflict: &Conflict, dispute: &Dispute) -> Ruling {
    match (&conflict.versions.local, &conflict.versions.remote) {
        (Some(_), None) => Ruling::Side(Side::Local),
        (None, Some(_)) => Ruling::Side(Side::Remote),
        (Some(local), Some(remote)) if local.modified_ns != remote.modified_ns => {
            Ruling::Side(if local.modified_ns > remote.modified_ns { Side::Local } else { Side::Remote })
        }
        // One entry at two places: no version would lose.
        (Some(_), Some(_)) if conflict.kind == ConflictKind::Structure && is_order(dispute) => {
            Ruling::Side(Side::Local)
        }
        (Some(_), Some(_)) | (None, None) => Ruling::Hold,
    }
}

/// Whether a dispute is about places alone.
fn is_order(dispute: &Dispute) -> bool {
    dispute.is_about_one() || !dispute.others.is_empty()
}

/// What has to be merged to settle a conflict.
pub(super) fn merge_task(conflict: &Conflict) -> Option<MergeTask> {
    let file = |kind: &Kind| kind.file().filter(|content| content.len <= MERGE_LEN_MAX).copied();
    let version = |version: &Option<SideVersion>| version.as_ref().and_then(|version| file(&version.kind));
    (conflict.kind == ConflictKind::SimultaneousEdit).then_some(())?;
    Some(MergeTask {
        conflict: conflict.id,
        path: conflict.path.clone(),
        versions: PerSide {
            local: version(&conflict.versions.local)?,
            remote: version(&conflict.versions.remote)?,
        },
        base: file(conflict.base.as_ref()?)?,
    })
}
