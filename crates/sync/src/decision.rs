//! What somebody decides about a conflict: one text of two, and the bytes that settle it. Absent here: where texts come from.

use crate::{Choice, Conflict, ContentHash, IndexStep, Kind, Merged, PerSide, Side, merge};

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

/// The content that both sides of a conflict had last, if it was a file.
pub fn base_of(conflict: &Conflict) -> Option<ContentHash> {
    conflict.base.as_ref().and_then(Kind::file).map(|content| content.hash)
}

/// One text with the changes of both versions. `base` is the text of [`base_of`], if that was kept.
pub fn merged(
    conflict: &Conflict,
    base: Option<&[u8]>,
    texts: &PerSide<Option<Vec<u8>>>,
) -> Result<Vec<u8>, NoMerge> {
    if base_of(conflict).is_none() {
        return Err(NoMerge::NeverAgreed);
    }
    let (Some(local), Some(remote)) = (&texts.local, &texts.remote) else { return Err(NoMerge::NoText) };
    match merge(base.ok_or(NoMerge::NoBase)?, local, remote) {
        Merged::Clean(text) => Ok(text),
        Merged::Overlap => Err(NoMerge::Overlap),
        Merged::NotText | Merged::TooLong => Err(NoMerge::NotMergeable),
    }
}

/// The choice of these bytes, and the step that keeps them until a run acts on it.
pub fn settled(conflict: &Conflict, bytes: Vec<u8>) -> (Choice, IndexStep) {
    let hash = ContentHash::of(&bytes);
    let len = bytes.len() as u64;
    let kinds = Side::BOTH.into_iter().filter_map(|side| conflict.versions.of(side).as_ref()?.kind.file());
    let executable = kinds.into_iter().any(|content| content.executable);
    (Choice::Settled { len, hash, executable }, IndexStep::KeepText(hash, bytes))
}
