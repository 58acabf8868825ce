//! Leaving a content: the peers that took part with this node are told, and nothing of it is kept. Files stay as they are.

use swarm_core::base::{Bitfield, ContentId};
use swarm_core::wire::{ChunkRuns, DeclineReason};

use super::Engine;
use super::io::{Event, Output};
use super::timers::Timer;

impl Engine {
    /// Ends this node's part in a content: peers are told that nothing of it is here any more, waiting requests rejected, uploads
    /// stopped, own requests taken back. Unknown contents are left already.
    pub(super) fn on_leave(&mut self, content: ContentId, reason: DeclineReason) {
        if self.contents.by_id.contains_key(&content) {
            // First, or a peer that is rejected would take this node for a liar.
            if let Some(handle) = self.transfer.downloads.handle(content) {
                let chunks = self.transfer.downloads.chunks(content);
                let everything = chunks.map(|chunks| Bitfield::full(chunks.geometry().chunk_count()));
                let lost = everything.map(|all| ChunkRuns::of(&all)).unwrap_or_default();
                self.sessions.say_farewell(&mut self.turn, (content, handle), &lost, reason);
            }
            self.serving.stop(&mut self.turn, content);
            self.transfer.cancel_all(&mut self.turn, content);
            // What came during a flush that is still running would find no content here to begin another for, and be lost to a
            // later fetch into the same folder.
            if self.contents.by_id.get(&content).is_some_and(|state| state.flush.has_pending()) {
                self.turn.order(Output::Flush { content });
            }
            self.forget_content(content);
        }
        self.turn.emit(Event::Left { content });
    }

    fn forget_content(&mut self, content: ContentId) {
        self.contents.by_id.remove(&content);
        self.transfer.forget(content);
        self.serving.forget(content);
        self.pex.forget(content);
        self.dialing.peers.end_pushes(content);
        self.dialing.hearsay.forget_content(content);
        for session in self.sessions.by_link.values_mut() {
            session.remotes.remove(&content);
        }
        for timer in [
            Timer::Haves(content),
            Timer::Flush(content),
            Timer::Manifest(content),
            Timer::Patience(content),
            Timer::Search(content),
            Timer::Reveals(content),
            Timer::Reread(content),
            Timer::Widen(content),
            Timer::Exchange(content),
            Timer::Neighbours(content),
        ] {
            self.turn.timers.cancel(timer);
        }
        self.transfer.fill_all(&mut self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::LinkId;
    use crate::tests::manifest_of;
    use crate::{Input, Join, Kept, Order, UploadEnd};
    use swarm_core::base::{Instant, NodeId};
    use swarm_core::manifest::Manifest;
    use swarm_core::trust::Role;
    use swarm_core::wire::{Handle, Message, RequestId};

    /// An engine that seeds two contents to one peer, which opened both; what it said so far is drained.
    fn seed_of_two() -> (Engine, [Manifest; 2]) {
        let manifests = [manifest_of(&[("a", 3 << 14)]), manifest_of(&[("b", 2 << 14)])];
        let mut engine = Engine::new(NodeId::from_bytes([1; 32]), 1);
        manifests.iter().for_each(|manifest| join_whole(&mut engine, manifest));
        let link = LinkId(1);
        engine.handle(
            Instant::ZERO,
            Input::LinkUp {
                link,
                node: NodeId::from_bytes([2; 32]),
                role: Role::Full,
                dialed: false,
                address: None,
            },
        );
        let hello = Message::Hello(swarm_core::wire::Hello::ours());
        engine.handle(Instant::ZERO, Input::Message { link, message: hello });
        for (handle, manifest) in (1..).zip(&manifests) {
            let open = Message::Open {
                handle: Handle(handle),
                content: manifest.id(),
                knows_manifest: true,
                is_offer: false,
            };
            engine.handle(Instant::ZERO, Input::Message { link, message: open });
        }
        let _ = said(&mut engine);
        (engine, manifests)
    }

    fn join_whole(engine: &mut Engine, manifest: &Manifest) {
        let (content, all) = (manifest.id(), Bitfield::full(manifest.geometry().chunk_count()));
        let join =
            Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
        engine.handle(Instant::ZERO, Input::Join(Box::new(join)));
        engine.handle(
            Instant::ZERO,
            Input::StoreOpened { content, durable: all.clone(), wanted: all, kept: Kept::new() },
        );
        engine.handle(Instant::ZERO, Input::Finished { content });
    }

    /// What the engine said and did, one word each.
    fn said(engine: &mut Engine) -> String {
        let word = |output| match output {
            Output::Send { message: Message::Open { .. }, .. } => "open",
            Output::Send { message: Message::Have { .. }, .. } => "have",
            Output::Send { message: Message::Lost { .. }, .. } => "lost",
            Output::Send { message: Message::Decline { .. }, .. } => "decline",
            Output::Send { message: Message::Reject { .. }, .. } => "reject",
            Output::Upload(_) => "upload",
            Output::StopUpload { .. } => "stop-upload",
            Output::Close { .. } => "close",
            Output::Event(Event::Left { .. }) => "left",
            _ => "-",
        };
        let words: Vec<&str> =
            std::iter::from_fn(|| engine.poll()).map(word).filter(|word| *word != "-").collect();
        words.join(" ")
    }

    fn ask(engine: &mut Engine, handle: u32, request: u64) {
        let (request, handle) = (RequestId(request), Handle(handle));
        let message = Message::Request { request, handle, chunk: 0, offset: 0, len: 1 << 14 };
        engine.handle(Instant::ZERO, Input::Message { link: LinkId(1), message });
    }

    #[test]
    fn a_content_that_is_left_is_served_no_more_and_the_other_goes_on() {
        let (mut engine, [gone, kept]) = seed_of_two();
        (1..=4).for_each(|request| ask(&mut engine, 1, request));
        assert_eq!(said(&mut engine), "upload upload upload");
        engine.handle(Instant::ZERO, Input::Leave { content: gone.id(), reason: DeclineReason::NotHere });
        // One request waited, three were being served.
        let farewell = "lost decline reject reject stop-upload reject stop-upload reject stop-upload left";
        assert_eq!(said(&mut engine), farewell);
        for request in 1..=3 {
            let (link, request) = (LinkId(1), RequestId(request));
            let ended = Input::UploadEnded { link, request, sent_len: 5, end: UploadEnd::Stopped };
            engine.handle(Instant::ZERO, ended);
        }
        // A request that was on its way is no fault of the peer's, and it must not wait for ever.
        ask(&mut engine, 1, 5);
        assert_eq!(said(&mut engine), "reject");
        ask(&mut engine, 2, 6);
        assert_eq!(said(&mut engine), "upload");
        let contents: Vec<_> =
            engine.survey().snapshot().contents.iter().map(|state| state.content).collect();
        assert_eq!(contents, [kept.id()]);
    }

    #[test]
    fn a_content_that_comes_back_is_opened_again_on_links_that_stand() {
        let (mut engine, [gone, _]) = seed_of_two();
        engine.handle(Instant::ZERO, Input::Leave { content: gone.id(), reason: DeclineReason::NotHere });
        assert_eq!(said(&mut engine), "lost decline left");
        join_whole(&mut engine, &gone);
        // The peer opened it before.
        assert_eq!(said(&mut engine), "open have");
        let open =
            Message::Open { handle: Handle(1), content: gone.id(), knows_manifest: true, is_offer: false };
        engine.handle(Instant::ZERO, Input::Message { link: LinkId(1), message: open });
        assert_eq!(said(&mut engine), "");
    }

    #[test]
    fn a_peer_that_left_a_content_and_is_back_is_heard_again() {
        let (mut engine, [content, _]) = seed_of_two();
        let decline = Message::Decline { content: content.id(), reason: DeclineReason::NotHere };
        engine.handle(Instant::ZERO, Input::Message { link: LinkId(1), message: decline });
        let open =
            Message::Open { handle: Handle(9), content: content.id(), knows_manifest: true, is_offer: false };
        engine.handle(Instant::ZERO, Input::Message { link: LinkId(1), message: open });
        assert_eq!(said(&mut engine), "open have");
    }

    #[test]
    fn what_was_verified_during_a_flush_is_flushed_before_a_content_is_left() {
        let manifest = manifest_of(&[("a", 3 << 14)]);
        let (content, chunks) = (manifest.id(), manifest.geometry().chunk_count());
        let mut engine = Engine::new(NodeId::from_bytes([1; 32]), 1);
        let order = Order::RarestFirst;
        let join = Join { content, manifest: Some(manifest.clone()), order, patience: None };
        engine.handle(Instant::ZERO, Input::Join(Box::new(join)));
        let (durable, wanted) = (Bitfield::new(chunks), Bitfield::full(chunks));
        engine.handle(Instant::ZERO, Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
        let flushes = |engine: &mut Engine| {
            let ours =
                |output: &Output| matches!(output, Output::Flush { .. } | Output::Event(Event::Left { .. }));
            let outputs = std::iter::from_fn(|| engine.poll()).filter(ours);
            outputs.map(|output| matches!(output, Output::Flush { .. })).collect::<Vec<bool>>()
        };
        let check = |engine: &mut Engine, chunk: u32, at: Instant| {
            let chunk = manifest.geometry().chunk(chunk).unwrap();
            let verdict = crate::ChunkVerdict::Verified;
            engine.handle(at, Input::ChunkChecked { content, chunk, from: None, verdict });
        };
        check(&mut engine, 0, Instant::ZERO);
        let later = engine.next_wakeup().unwrap().0 + std::time::Duration::from_secs(2);
        engine.handle(later, Input::Wakeup);
        assert_eq!(flushes(&mut engine), [true]);
        check(&mut engine, 1, later);
        assert!(flushes(&mut engine).is_empty());
        engine.handle(later, Input::Leave { content, reason: DeclineReason::NotHere });
        assert_eq!(flushes(&mut engine), [true, false], "the store is let go when the content is left");
    }

    #[test]
    fn leaving_what_was_never_joined_is_answered_too() {
        let mut engine = Engine::new(NodeId::from_bytes([1; 32]), 1);
        let (content, reason) = (ContentId::from_bytes([7; 32]), DeclineReason::NotHere);
        engine.handle(Instant::ZERO, Input::Leave { content, reason });
        assert_eq!(said(&mut engine), "left");
    }
}
