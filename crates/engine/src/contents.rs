//! All contents that this node takes part in, and what concerns each of them at once: manifests that are missing, fetches that end without
//! success. Invariant: a manifest is asked for at one linked peer at a time. Absent: how a content goes on, which is `content`'s.

use std::collections::BTreeMap;

use swarm_core::base::ContentId;
use swarm_core::manifest::ChunkIndex;

use super::chunks::Chunks;
use super::content::{Content, Phase};
use super::dialing::Dialing;
use super::io::{Bottleneck, FetchFailure, LinkId};
use super::manifest_fetch::Deadline;
use super::session::Session;
use super::timers::Timer;
use super::transfer::Transfer;
use super::turn::Turn;

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) by_id: BTreeMap<ContentId, Content>,
}

impl Contents {
    /// A link is gone: manifests that it was asked for are asked for elsewhere.
    pub(super) fn on_link_down(
        &mut self,
        turn: &mut Turn,
        link: LinkId,
        sessions: &BTreeMap<LinkId, Session>,
    ) {
        for fetch in self.by_id.values_mut().filter_map(Content::manifest_fetch) {
            fetch.on_link_down(link);
        }
        self.ask_for_manifests(turn, sessions);
    }

    /// Asks for each manifest that is missing and not on its way.
    pub(super) fn ask_for_manifests(&mut self, turn: &mut Turn, sessions: &BTreeMap<LinkId, Session>) {
        for (content, state) in &mut self.by_id {
            state.ask_for_manifest(turn, *content, sessions);
        }
    }

    /// Returns the link of a peer that does not send the manifest it was asked for.
    pub(super) fn on_manifest_timer(&mut self, turn: &mut Turn, content: ContentId) -> Option<LinkId> {
        let fetch = self.by_id.get_mut(&content).and_then(Content::manifest_fetch)?;
        match fetch.deadline(turn.now) {
            Deadline::At(at) => {
                turn.timers.set(Timer::Manifest(content), at);
                None
            }
            Deadline::Missed(link) => Some(link),
            Deadline::None => None,
        }
    }

    /// A flush is still to end.
    pub(super) fn is_flushing(&self) -> bool {
        self.by_id.values().any(|content| content.flush.is_running())
    }

    /// These chunks are durable. True if a reader's window may have moved: more may be asked for.
    pub(super) fn on_flushed(
        &mut self,
        turn: &mut Turn,
        transfer: &mut Transfer,
        (content, flushed): (ContentId, &[ChunkIndex]),
        is_stopping: bool,
    ) -> bool {
        let Some(state) = self.by_id.get_mut(&content) else { return false };
        state.on_flushed(turn, content, transfer, flushed, is_stopping);
        state.has_window()
    }

    /// Ends a fetch without success, unless it has ended.
    pub(super) fn fail(
        &mut self,
        turn: &mut Turn,
        transfer: &mut Transfer,
        content: ContentId,
        failure: FetchFailure,
    ) {
        if let Some(state) = self.by_id.get_mut(&content) {
            state.fail(turn, content, transfer, failure);
        }
    }

    /// Ends the fetches for which no source is left, and none is to be found any more.
    pub(super) fn give_up_without_hope(
        &mut self,
        turn: &mut Turn,
        transfer: &mut Transfer,
        dialing: &Dialing,
    ) {
        let is_hopeless = |(content, state): &(&ContentId, &Content)| {
            state.patience.is_some()
                && state.wants_peers()
                && turn.now >= state.search_until
                && dialing.peers.is_given_up(**content)
                && !dialing.hearsay.has(**content)
                && !transfer.downloads.chunks(**content).is_some_and(Chunks::has_checking)
                && !matches!(state.phase, Phase::Opening(_))
        };
        let hopeless: Vec<ContentId> =
            self.by_id.iter().filter(is_hopeless).map(|(content, _)| *content).collect();
        for content in hopeless {
            let failure = match dialing.peers.refusal(content) {
                Some(refusal) => FetchFailure::Refused(refusal),
                None => FetchFailure::NoSource(Bottleneck::NoPeer(dialing.peers.last_failure(content))),
            };
            self.fail(turn, transfer, content, failure);
        }
    }
}
