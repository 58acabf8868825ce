//! Conflicts, and what somebody decides about them. A decision is noted without the pair's lock: a process that watches the pair takes it
//! over, and otherwise the next run does.

use std::path::Path;

use swarm_index::SqliteIndex;
use swarm_sync::{
    Choice, Conflict, ConflictId, ContentHash, Index as _, IndexStep, NoMerge, PerSide, Side, TreePath,
    base_of, limits, merged, settled,
};

use crate::PairError;
use crate::store::Pair;

/// A conflict, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictView {
    /// The conflict.
    pub conflict: Conflict,
    /// When a run first saw it, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// What was decided about it already; the next run acts on it.
    pub choice: Option<Choice>,
}

/// What somebody decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The local version stands.
    KeepLocal,
    /// The remote version stands.
    KeepRemote,
    /// Both stand.
    KeepBoth,
    /// The texts are merged.
    Merge,
    /// These bytes stand.
    Bytes(Vec<u8>),
}

/// The conflicts that are open in an index, in path order.
pub fn conflicts_in(index: &Path) -> Result<Vec<ConflictView>, PairError> {
    let index = SqliteIndex::open(index)?;
    let choices = index.choices()?;
    let chosen = |id: ConflictId| choices.iter().find(|(chosen, _)| *chosen == id).map(|(_, choice)| *choice);
    let views = index.conflicts()?.into_iter().map(|(conflict, first_seen_ms)| {
        let choice = chosen(conflict.id);
        ConflictView { conflict, first_seen_ms, choice }
    });
    Ok(views.collect())
}

impl Pair {
    /// The conflicts that were open at the end of the last run, in path order.
    pub fn conflicts(&self) -> Result<Vec<ConflictView>, PairError> {
        conflicts_in(&self.index_path())
    }

    /// The conflicts that a name means: an id, a path, or a folder with conflicts below it. No name means all.
    pub fn conflicts_named(
        &self,
        id: Option<ConflictId>,
        path: Option<&TreePath>,
    ) -> Result<Vec<ConflictView>, PairError> {
        let mut views = self.conflicts()?;
        views.retain(|view| {
            id.is_none_or(|id| view.conflict.id == id)
                && path.is_none_or(|path| view.conflict.path.is_at_or_below(path))
        });
        Ok(views)
    }

    /// Notes a decision. The bytes of a merge or of a given file are kept until the next run acts on it.
    pub fn decide(&self, conflict: &Conflict, decision: &Decision) -> Result<(), PairError> {
        let mut index = SqliteIndex::open(&self.index_path())?;
        let mut steps = Vec::new();
        let choice = match decision {
            Decision::KeepLocal => Choice::KeepLocal,
            Decision::KeepRemote => Choice::KeepRemote,
            Decision::KeepBoth => Choice::KeepBoth,
            Decision::Merge => {
                let merged = self.merged(conflict)?.map_err(|why| {
                    let (id, path) = (conflict.id, &conflict.path);
                    let way = format!(
                        "put the text that is to stand into a file, and run `swarm resolve {id} FILE`"
                    );
                    PairError::Usage(format!("`{path}` cannot be merged: {why}; {way}"))
                })?;
                settle(conflict, merged, &mut steps)
            }
            Decision::Bytes(bytes) => settle(conflict, bytes.clone(), &mut steps),
        };
        steps.push(IndexStep::Choose(conflict.id, Some(choice)));
        Ok(index.apply(steps)?)
    }

    /// One text with the changes of both versions, or why there is none.
    pub fn merged(&self, conflict: &Conflict) -> Result<Result<Vec<u8>, NoMerge>, PairError> {
        let index = SqliteIndex::open(&self.index_path())?;
        let base = base_of(conflict).map(|hash| index.text(&hash)).transpose()?.flatten();
        Ok(merged(conflict, base.as_deref(), &self.texts(conflict)?))
    }

    /// The bytes of both versions, where they are short files that still stand there.
    pub fn texts(&self, conflict: &Conflict) -> Result<PerSide<Option<Vec<u8>>>, PairError> {
        let read = |side: Side| {
            let version = conflict.versions.of(side).as_ref()?;
            let content = version.kind.file().filter(|content| content.len <= limits::MERGE_LEN_MAX)?;
            let path = self.root(side).join(version.path.as_str());
            let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
            let bytes = is_file.then(|| std::fs::read(&path).ok()).flatten()?;
            (ContentHash::of(&bytes) == content.hash).then_some(bytes)
        };
        Ok(PerSide::each(read))
    }
}

fn settle(conflict: &Conflict, bytes: Vec<u8>, steps: &mut Vec<IndexStep>) -> Choice {
    let (choice, step) = settled(conflict, bytes);
    steps.push(step);
    choice
}
