//! Who takes part in a content on one link. Invariants: a manifest once known is not forgotten, so what a side has said only grows
//! until it declines; a peer that declined is not waited for, whatever it said before. Knows no chunks and sends nothing.

use std::collections::BTreeMap;

use crate::limits::HANDLES_PER_LINK_MAX;
use swarm_core::base::ContentId;
use swarm_core::wire::Handle;

use super::violation::Violation;

/// What one side has said of a content. The greater includes the less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    #[default]
    Nothing,
    /// Open, without the manifest.
    Open,
    /// Open, with the manifest: chunks may be named.
    OpenWithManifest,
}

impl Said {
    pub(super) fn open(knows_manifest: bool) -> Self {
        if knows_manifest { Self::OpenWithManifest } else { Self::Open }
    }
}

/// How far two nodes are with one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Participation {
    /// Neither has declined.
    Open { here: Said, there: Said },
    /// The peer takes no part. What this node said stands: it is taken back when this node leaves.
    Declined { here: Said },
}

impl Default for Participation {
    fn default() -> Self {
        Self::Open { here: Said::Nothing, there: Said::Nothing }
    }
}

impl Participation {
    /// As a link begins with a content that the peer may have opened before this node took part.
    pub(super) fn after(there: Said) -> Self {
        Self::Open { here: Said::Nothing, there }
    }

    /// This node has something to say. False if it said the same before.
    pub(super) fn say(&mut self, said: Said) -> bool {
        let (Self::Open { here, .. } | Self::Declined { here }) = self;
        std::mem::replace(here, said) != said
    }

    /// The peer says Open. One that had declined and is back starts anew, and so does this node. True if it told before that it
    /// knows the manifest.
    pub(super) fn on_open(&mut self, said: Said) -> bool {
        let (here, before) = match *self {
            Self::Open { here, there } => (here, there),
            Self::Declined { .. } => (Said::Nothing, Said::Nothing),
        };
        *self = Self::Open { here, there: before.max(said) };
        before == Said::OpenWithManifest
    }

    /// The peer declines. False if this node opened nothing that could be declined, or it did so before.
    pub(super) fn on_decline(&mut self) -> bool {
        match *self {
            Self::Open { here: Said::Nothing, .. } | Self::Declined { .. } => false,
            Self::Open { here, .. } => {
                *self = Self::Declined { here };
                true
            }
        }
    }

    pub(super) fn has_declined(self) -> bool {
        matches!(self, Self::Declined { .. })
    }

    /// This node said Open on this link and has not taken it back.
    pub(super) fn is_opened_here(self) -> bool {
        let (Self::Open { here, .. } | Self::Declined { here }) = self;
        here != Said::Nothing
    }

    /// The peer takes part.
    pub(super) fn is_opened_there(self) -> bool {
        matches!(self, Self::Open { there: Said::Open | Said::OpenWithManifest, .. })
    }

    /// The peer takes part and knows the manifest.
    pub(super) fn is_known_there(self) -> bool {
        matches!(self, Self::Open { there: Said::OpenWithManifest, .. })
    }

    /// Both take part and know the manifest: chunks may be named.
    pub(super) fn is_introduced(self) -> bool {
        let both = Said::OpenWithManifest;
        self == Self::Open { here: both, there: both }
    }
}

/// What a peer opened on one link, whether or not this node takes part. Invariant: a handle stands for one content as long as the
/// link does, and there are at most [`HANDLES_PER_LINK_MAX`].
#[derive(Debug, Default)]
pub(super) struct PeerOpens {
    handles: BTreeMap<Handle, ContentId>,
    contents: BTreeMap<ContentId, PeerOpen>,
    /// How often the product was told of an offer here.
    told_count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct PeerOpen {
    said: Said,
    /// It asks this node to take and keep the content.
    is_offer: bool,
}

impl PeerOpens {
    /// The peer opens a content. Returns what it had said of it before.
    pub(super) fn on_open(
        &mut self,
        handle: Handle,
        content: ContentId,
        said: Said,
        is_offer: bool,
    ) -> Result<Said, Violation> {
        let is_new = !self.handles.contains_key(&handle);
        if (is_new && self.handles.len() >= HANDLES_PER_LINK_MAX)
            || self.handles.insert(handle, content).is_some_and(|old| old != content)
        {
            return Err(Violation::Handle);
        }
        let open = self.contents.entry(content).or_default();
        let before = open.said;
        open.said = before.max(said);
        open.is_offer |= is_offer;
        Ok(before)
    }

    /// The peer declines a content: it offers it no longer either.
    pub(super) fn on_decline(&mut self, content: ContentId) {
        self.contents.remove(&content);
    }

    pub(super) fn content(&self, handle: Handle) -> Result<ContentId, Violation> {
        self.handles.get(&handle).copied().ok_or(Violation::Handle)
    }

    pub(super) fn said(&self, content: ContentId) -> Said {
        self.contents.get(&content).map(|open| open.said).unwrap_or_default()
    }

    pub(super) fn contains(&self, content: ContentId) -> bool {
        self.contents.contains_key(&content)
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = &ContentId> {
        self.contents.keys()
    }

    pub(super) fn is_offered(&self, content: ContentId) -> bool {
        self.contents.get(&content).is_some_and(|open| open.is_offer)
    }

    /// Whether the peer knows the manifest of anything that it opened.
    pub(super) fn knows_any_manifest(&self) -> bool {
        self.contents.values().any(|open| open.said == Said::OpenWithManifest)
    }

    /// Counts an offer that the product is told of. False if it was told of as many as the peer may open.
    pub(super) fn count_told(&mut self) -> bool {
        let is_told = self.told_count < HANDLES_PER_LINK_MAX;
        self.told_count += usize::from(is_told);
        is_told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: ContentId = ContentId::from_bytes([1; 32]);
    const OTHER: ContentId = ContentId::from_bytes([2; 32]);

    #[test]
    fn chunks_may_be_named_once_both_sides_know_the_manifest() {
        let mut participation = Participation::default();
        assert!(participation.say(Said::Open) && !participation.say(Said::Open));
        assert!(!participation.on_open(Said::OpenWithManifest));
        assert!(participation.is_known_there() && !participation.is_introduced());
        assert!(participation.say(Said::OpenWithManifest) && participation.is_introduced());
        assert!(participation.on_open(Said::Open), "a manifest once known is not forgotten");
        assert!(participation.is_introduced());
    }

    #[test]
    fn only_what_was_opened_here_can_be_declined_and_once() {
        let mut participation = Participation::after(Said::OpenWithManifest);
        assert!(!participation.on_decline() && participation.is_opened_there());
        participation.say(Said::OpenWithManifest);
        assert!(participation.on_decline() && !participation.on_decline());
        assert!(participation.has_declined() && !participation.is_opened_there());
        assert!(participation.is_opened_here(), "this node must still take it back when it leaves");
    }

    #[test]
    fn a_peer_that_declined_and_is_back_is_told_everything_again() {
        let mut participation = Participation::default();
        participation.say(Said::OpenWithManifest);
        participation.on_open(Said::OpenWithManifest);
        participation.on_decline();
        assert!(!participation.on_open(Said::OpenWithManifest), "what it said before it left does not count");
        assert!(!participation.is_introduced() && participation.say(Said::OpenWithManifest));
        assert!(participation.is_introduced());
    }

    #[test]
    fn a_handle_stands_for_one_content_and_there_are_so_many() {
        let mut opens = PeerOpens::default();
        assert_eq!(opens.on_open(Handle(0), CONTENT, Said::Open, false), Ok(Said::Nothing));
        assert_eq!(opens.on_open(Handle(0), CONTENT, Said::OpenWithManifest, true), Ok(Said::Open));
        assert_eq!(opens.on_open(Handle(1), CONTENT, Said::Open, false), Ok(Said::OpenWithManifest));
        assert_eq!(opens.said(CONTENT), Said::OpenWithManifest);
        assert!(opens.is_offered(CONTENT));
        assert_eq!(opens.on_open(Handle(0), OTHER, Said::Open, false), Err(Violation::Handle));
        for handle in 2..HANDLES_PER_LINK_MAX as u32 {
            assert!(opens.on_open(Handle(handle), OTHER, Said::Open, false).is_ok());
        }
        assert_eq!(opens.on_open(Handle(u32::MAX), OTHER, Said::Open, false), Err(Violation::Handle));
        opens.on_decline(CONTENT);
        assert!(!opens.is_offered(CONTENT) && opens.content(Handle(1)) == Ok(CONTENT));
    }
}
