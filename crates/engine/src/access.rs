//! Changes of access: a new table, and peers that let this node have no link. Who may link here at all was decided before a link got
//! to the engine; what a linked peer may have is looked up in `sessions`.

use swarm_core::trust::AccessTable;

use super::Engine;
use super::io::{CloseReason, LinkId};
use super::refusal::{Refusal, RefusalCause};

impl Engine {
    /// Another table holds from now on.
    pub(super) fn on_access(&mut self, table: AccessTable) {
        let Some(overdrawn) = self.sessions.set_access(table) else { return };
        for link in overdrawn {
            self.close(link, CloseReason::AccessChanged);
        }
        self.transfer.fill_all(&mut self.turn);
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }

    /// The peer lets this node have no link: trying again is of no use.
    pub(super) fn on_turned_away(&mut self, link: LinkId, reason: &str) {
        let Some(node) = self.sessions.by_link.get(&link).map(|session| session.node) else { return };
        let said = format!("node {} turns this node away: {reason}", node.short());
        self.on_link_down(link, &said);
        let refusal = Refusal::new(RefusalCause::TurnedAway, said);
        self.dialing.peers.on_refused(self.turn.now, node, &refusal, &mut self.turn.rng);
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::manifest_of;
    use crate::{Event, Input, Join, Kept, Order, Output};
    use swarm_core::base::{Bitfield, ContentId, Instant, NodeId};
    use swarm_core::manifest::Manifest;
    use swarm_core::trust::Role;
    use swarm_core::wire::{DeclineReason, Handle, Hello, Message, RejectReason, RequestId};

    const LINK: LinkId = LinkId(1);
    const HANDLE: Handle = Handle(0);

    fn peer() -> NodeId {
        NodeId::from_bytes([2; 32])
    }

    /// A seed of one content with a peer linked to it, that has said Hello.
    fn seed(role: Role) -> (Engine, Manifest) {
        let manifest = manifest_of(&[("a", 3 << 14)]);
        let (content, count) = (manifest.id(), manifest.geometry().chunk_count());
        let mut engine = Engine::new(NodeId::from_bytes([1; 32]), 1);
        engine.take_offers();
        let join =
            Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
        engine.handle(Instant::ZERO, Input::Join(Box::new(join)));
        let (durable, wanted) = (Bitfield::full(count), Bitfield::new(count));
        engine.handle(Instant::ZERO, Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
        let up = Input::LinkUp { link: LINK, node: peer(), role, dialed: false, address: None };
        engine.handle(Instant::ZERO, up);
        say(&mut engine, Message::Hello(Hello::ours()));
        (engine, manifest)
    }

    /// What the engine orders when the peer says something.
    fn say(engine: &mut Engine, message: Message) -> Vec<Output> {
        engine.handle(Instant::ZERO, Input::Message { link: LINK, message });
        std::iter::from_fn(|| engine.poll()).collect()
    }

    fn open(content: ContentId, is_offer: bool) -> Message {
        Message::Open { handle: HANDLE, content, knows_manifest: true, is_offer }
    }

    fn readers(epoch: u64, content: ContentId, nodes: &[NodeId]) -> Input {
        Input::Access(AccessTable::open().restrict(content, nodes.iter().copied()).at_epoch(epoch))
    }

    fn is_declined(outputs: &[Output]) -> bool {
        let decline = |message: &Message| {
            matches!(message, Message::Decline { reason: DeclineReason::NotAuthorised, .. })
        };
        outputs.iter().any(|output| matches!(output, Output::Send { message, .. } if decline(message)))
    }

    #[test]
    fn who_may_not_have_a_content_gets_no_word_and_no_byte_of_it() {
        let (mut engine, manifest) = seed(Role::Full);
        engine.handle(Instant::ZERO, readers(1, manifest.id(), &[]));
        let opened = say(&mut engine, open(manifest.id(), false));
        assert!(is_declined(&opened));
        let asked = [
            Message::ManifestRequest { handle: HANDLE, page: 0 },
            Message::Request { request: RequestId(1), handle: HANDLE, chunk: 0, offset: 0, len: 100 },
        ];
        let outputs =
            [opened, asked.into_iter().flat_map(|message| say(&mut engine, message)).collect()].concat();
        let tells = |output: &Output| match output {
            Output::Upload(_) => true,
            Output::Send { message, .. } => matches!(
                message,
                Message::Open { .. }
                    | Message::Have { .. }
                    | Message::ManifestPage { .. }
                    | Message::Peers { .. }
            ),
            _ => false,
        };
        assert!(!outputs.iter().any(tells), "{outputs:?}");
        let is_rejected = |output: &Output| {
            let Output::Send { message, .. } = output else { return false };
            matches!(message, Message::Reject { reason: RejectReason::NotHeld, .. })
        };
        assert!(outputs.iter().any(is_rejected));
    }

    #[test]
    fn whose_right_is_taken_back_loses_the_link_and_others_keep_theirs() {
        let (mut engine, manifest) = seed(Role::Full);
        say(&mut engine, open(manifest.id(), false));
        engine.handle(Instant::ZERO, readers(1, manifest.id(), &[peer()]));
        assert!(!std::iter::from_fn(|| engine.poll()).any(|output| matches!(output, Output::Close { .. })));
        engine.handle(Instant::ZERO, readers(2, manifest.id(), &[]));
        let closed = std::iter::from_fn(|| engine.poll())
            .any(|output| matches!(output, Output::Close { reason: CloseReason::AccessChanged, .. }));
        assert!(closed);
    }

    #[test]
    fn a_table_that_comes_late_replaces_no_newer_one() {
        let (mut engine, manifest) = seed(Role::Full);
        say(&mut engine, open(manifest.id(), false));
        engine.handle(Instant::ZERO, readers(2, manifest.id(), &[peer()]));
        engine.handle(Instant::ZERO, readers(1, manifest.id(), &[]));
        let asked = Message::Request { request: RequestId(1), handle: HANDLE, chunk: 0, offset: 0, len: 100 };
        let outputs = say(&mut engine, asked);
        assert!(outputs.iter().any(|output| matches!(output, Output::Upload(_))), "{outputs:?}");
    }

    #[test]
    fn what_a_mirror_offers_is_taken_up_only_if_it_is_here_already() {
        let new = ContentId::from_bytes([9; 32]);
        for (role, is_asked) in [(Role::Full, true), (Role::Mirror, false)] {
            let (mut engine, manifest) = seed(role);
            let outputs = say(&mut engine, open(new, true));
            let is_offered = |output: &Output| matches!(output, Output::Event(Event::Offered { .. }));
            assert_eq!(outputs.iter().any(is_offered), is_asked, "{role:?}");
            assert_eq!(is_declined(&outputs), !is_asked, "{role:?}");
            let known = Message::Open {
                handle: Handle(1),
                content: manifest.id(),
                knows_manifest: true,
                is_offer: true,
            };
            assert!(!is_declined(&say(&mut engine, known)), "{role:?}");
        }
    }
}
