//! Conflicts, and what somebody decides about them. A decision is noted without the pair's lock: a process that watches the pair takes it
//! over, and otherwise the next run does.

use swarm_index::SqliteIndex;
use swarm_sync::{
    Choice, Conflict, ConflictId, ContentHash, Index as _, IndexStep, Kind, Merged, PerSide, Side, TreePath,
    limits, merge,
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

/// Why two versions are not merged into one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMerge {
    /// Without it, nobody can tell which side changed a line.
    #[error("what both folders had last was not kept")]
    NoBase,
    /// They never agreed on a text there.
    #[error("both folders never had the same text there")]
    NeverAgreed,
    /// One of them is deleted, no file, or another one by now.
    #[error("one folder has no text there that can be read")]
    NoText,
    /// The changes are not apart from each other.
    #[error("both changed the same lines")]
    Overlap,
    /// At least one is no text, or one of too many bytes or lines.
    #[error("not both are texts, or one is too long")]
    NotMergeable,
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

impl Pair {
    /// The conflicts that were open at the end of the last run, in path order.
    pub fn conflicts(&self) -> Result<Vec<ConflictView>, PairError> {
        let index = SqliteIndex::open(&self.index_path())?;
        let choices = index.choices()?;
        let chosen =
            |id: ConflictId| choices.iter().find(|(chosen, _)| *chosen == id).map(|(_, choice)| *choice);
        let views = index.conflicts()?.into_iter().map(|(conflict, first_seen_ms)| {
            let choice = chosen(conflict.id);
            ConflictView { conflict, first_seen_ms, choice }
        });
        Ok(views.collect())
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
                settled(conflict, merged, &mut steps)
            }
            Decision::Bytes(bytes) => settled(conflict, bytes.clone(), &mut steps),
        };
        steps.push(IndexStep::Choose(conflict.id, Some(choice)));
        Ok(index.apply(steps)?)
    }

    /// One text with the changes of both versions, or why there is none.
    pub fn merged(&self, conflict: &Conflict) -> Result<Result<Vec<u8>, NoMerge>, PairError> {
        let Some(base) = conflict.base.as_ref().and_then(Kind::file) else {
            return Ok(Err(NoMerge::NeverAgreed));
        };
        let texts = self.texts(conflict)?;
        let (Some(local), Some(remote)) = (&texts.local, &texts.remote) else {
            return Ok(Err(NoMerge::NoText));
        };
        let Some(base) = SqliteIndex::open(&self.index_path())?.text(&base.hash)? else {
            return Ok(Err(NoMerge::NoBase));
        };
        Ok(match merge(&base, local, remote) {
            Merged::Clean(text) => Ok(text),
            Merged::Overlap => Err(NoMerge::Overlap),
            Merged::NotText | Merged::TooLong => Err(NoMerge::NotMergeable),
        })
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

fn settled(conflict: &Conflict, bytes: Vec<u8>, steps: &mut Vec<IndexStep>) -> Choice {
    let hash = ContentHash::of(&bytes);
    let len = bytes.len() as u64;
    let kinds = Side::BOTH.into_iter().filter_map(|side| conflict.versions.of(side).as_ref()?.kind.file());
    let executable = kinds.into_iter().any(|content| content.executable);
    steps.push(IndexStep::KeepText(hash, bytes));
    Choice::Settled { len, hash, executable }
}
