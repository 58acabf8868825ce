use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::chunks::ChunkState;
use crate::download::Checked;
use crate::input::ChunkVerdict;
use crate::input::Order;
use crate::pipeline::OpenRequest;
use crate::shares::ShareId;
use crate::tests::manifest_of;
use swarm_core::base::Bitfield;

const CHUNK_LEN: u32 = 16 << 10;

/// One content of short chunks and peers that have all of it, linked and unchoked.
struct Scene {
    transfer: Transfer,
    turn: Turn,
    content: ContentId,
    count: u32,
}

impl Scene {
    fn new(count: u32, peers: u64) -> Self {
        let manifest = manifest_of(&[("a", (count * CHUNK_LEN) as usize)]);
        let content = manifest.id();
        let (none, all) = (Bitfield::new(count), Bitfield::full(count));
        let mut scene = Self { transfer: Transfer::default(), turn: Turn::new(1), content, count };
        scene.transfer.join(content, Handle(1));
        scene.transfer.open(content, Chunks::new(manifest, &none, &all, Order::RarestFirst, 1));
        (1..=peers).for_each(|link| scene.link(LinkId(link)));
        scene
    }

    fn link(&mut self, link: LinkId) {
        self.transfer.on_link_up(self.turn.now, link, NodeId::from_bytes([link.0 as u8; 32]));
        self.transfer.downloads.introduce(link, self.content);
        self.transfer.downloads.on_have(link, self.content, 0..self.count);
        self.transfer.on_choke(&mut self.turn, link, false);
    }

    fn pass(&mut self, time: Duration) {
        self.turn.now = self.turn.now + time;
    }

    fn open(&self, link: u64) -> Vec<(RequestId, u32)> {
        let pipeline = self.transfer.pipeline(LinkId(link)).expect("it is linked");
        let open = pipeline.requests.iter().filter(|(_, open)| !open.is_abandoned);
        open.map(|(request, open)| (*request, open.run.first().get())).collect()
    }

    /// The whole of a request comes and proves right.
    fn deliver(&mut self, link: u64, (request, chunk): (RequestId, u32)) {
        let link = LinkId(link);
        let chunk = self
            .transfer
            .downloads
            .chunks(self.content)
            .and_then(|c| c.geometry().chunk(chunk))
            .expect("a chunk");
        self.transfer.on_received(&mut self.turn, link, request, CHUNK_LEN);
        self.transfer.on_chunk_arrived(&mut self.turn, link, request, chunk);
        let from = self.transfer.pipeline(link).map(|pipeline| pipeline.node);
        let checked = self.transfer.downloads.on_checked(self.content, chunk, from, ChunkVerdict::Verified);
        assert_eq!(checked, Checked::Fresh { len: u64::from(CHUNK_LEN), is_late: false });
        self.transfer.on_verified(&mut self.turn, self.content, chunk, from);
        self.end(link.0, request);
    }

    fn end(&mut self, link: u64, request: RequestId) {
        if let Some(end) = self.transfer.on_stream_ended(LinkId(link), request) {
            if let Some(successor) = end.successor {
                self.transfer.fill_successor(&mut self.turn, successor);
            }
            self.transfer.fill_all(&mut self.turn);
        }
    }

    fn check(&self) {
        let chunks = self.transfer.downloads.chunks(self.content).expect("they are open");
        for chunk in chunks.geometry().chunks() {
            let askers = chunks.askers(chunk);
            match chunks.state(chunk) {
                ChunkState::Active => {
                    assert!(!askers.is_empty(), "{chunk:?} is active and requested of no peer")
                }
                ChunkState::Queued => {
                    assert!(askers.is_empty(), "{chunk:?} is queued and {askers:?} are asked")
                }
                ChunkState::Unwanted | ChunkState::Checking | ChunkState::Verified | ChunkState::Durable => {}
            }
            for (link, request) in askers {
                let pipeline = self.transfer.pipeline(link).expect("a link that is gone asks for nothing");
                assert!(pipeline.requests.contains_key(&request), "{request:?} is over and still asks");
            }
        }
        for pipeline in self.transfer.pipelines.values() {
            let open = pipeline.requests.values().filter(|open| !open.is_abandoned);
            assert_eq!(pipeline.outstanding_len, open.map(OpenRequest::missing_len).sum::<u64>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_chunk_is_active_exactly_while_a_request_may_bring_it(
        ops in prop::collection::vec((0u8..9, 1u64..4, 0usize..4), 0..60)
    ) {
        let mut scene = Scene::new(8, 2);
        for (op, link, at) in ops {
            scene.pass(Duration::from_millis(300));
            let open = scene.transfer.pipeline(LinkId(link)).map(|_| scene.open(link)).unwrap_or_default();
            let asked = open.get(at).copied();
            match (op, asked) {
                (0 | 1, Some((request, chunk))) => scene.deliver(link, (request, chunk)),
                (2, Some((request, _))) => scene.end(link, request),
                (3, Some((request, _))) => {
                    scene.transfer.on_reject(&mut scene.turn, LinkId(link), request, RejectReason::NotHeld);
                }
                (4, Some((request, _))) => {
                    scene.transfer.on_received(&mut scene.turn, LinkId(link), request, CHUNK_LEN / 3);
                }
                (5, _) => { scene.transfer.on_stall_timer(&mut scene.turn, LinkId(link)); }
                (6, _) => { scene.transfer.on_link_down(LinkId(link)); }
                (7, _) => if scene.transfer.pipeline(LinkId(link)).is_none() { scene.link(LinkId(link)) },
                _ => scene.transfer.reassign_all(&mut scene.turn),
            }
            scene.check();
        }
    }
}

#[test]
fn a_peer_is_asked_for_one_run_until_a_chunk_of_it_is_verified() {
    let mut scene = Scene::new(200, 1);
    let first = scene.open(1);
    assert_eq!(first.len(), 1);
    scene.pass(Duration::from_millis(10));
    scene.deliver(1, first[0]);
    assert!(scene.open(1).len() > 1);
}

#[test]
fn what_a_lost_link_was_asked_for_is_asked_of_another() {
    let mut scene = Scene::new(2, 2);
    let lost = scene.open(1)[0].1;
    let other = scene.open(2)[0];
    scene.transfer.on_link_down(LinkId(1));
    scene.pass(Duration::from_millis(10));
    scene.deliver(2, other);
    assert_eq!(scene.open(2).iter().map(|(_, chunk)| *chunk).collect::<Vec<_>>(), [lost]);
}

/// Two chunks, one at each of two peers; the second peer has delivered its own and the first has sent nothing for two seconds.
fn slow_and_idle() -> Scene {
    let mut scene = Scene::new(2, 2);
    let fast = scene.open(2)[0];
    scene.pass(Duration::from_millis(10));
    scene.deliver(2, fast);
    scene.pass(Duration::from_secs(2));
    scene
}

#[test]
fn an_idle_peer_is_reassigned_the_request_of_a_slow_one_and_asked_once_that_has_ended() {
    let mut scene = slow_and_idle();
    let (request, chunk) = scene.open(1)[0];
    scene.transfer.reassign_all(&mut scene.turn);
    assert!(scene.open(1).is_empty() && scene.open(2).is_empty(), "the stream has not ended");
    scene.end(1, request);
    assert_eq!(scene.open(2).iter().map(|(_, chunk)| *chunk).collect::<Vec<_>>(), [chunk]);
}

#[test]
fn a_peer_that_stalled_is_reassigned_nothing() {
    let mut scene = slow_and_idle();
    scene.transfer.pipelines.get_mut(&LinkId(2)).expect("it is linked").stalls = 1;
    scene.transfer.reassign_all(&mut scene.turn);
    assert_eq!(scene.open(1).len(), 1);
}

#[test]
fn a_peer_that_rejects_what_it_claims_lies_once_for_each_chunk() {
    let mut scene = Scene::new(2, 1);
    let (request, chunk) = scene.open(1)[0];
    let lie = scene.transfer.on_reject(&mut scene.turn, LinkId(1), request, RejectReason::NotHeld);
    assert_eq!(lie, Rejection::Lie(scene.content));
    let has = scene.transfer.downloads.has(LinkId(1), scene.content).expect("it was introduced");
    assert!(!has.contains(chunk));
    let again = scene.transfer.on_reject(&mut scene.turn, LinkId(1), request, RejectReason::NotHeld);
    assert_eq!(again, Rejection::Noted, "it claims that chunk no longer");
}

#[test]
fn a_share_that_comes_slowly_leaves_room_for_the_others() {
    let mut scene = Scene::new(200, 1);
    let slow = scene.content;
    let first = scene.open(1)[0];
    scene.pass(Duration::from_millis(10));
    scene.deliver(1, first);
    let full = scene.open(1).len();
    scene.transfer.fill_all(&mut scene.turn);
    assert_eq!(scene.open(1).len(), full, "the pipeline is full");
    let manifest = manifest_of(&[("b", (200 * CHUNK_LEN) as usize)]);
    let fast = manifest.id();
    let join = |scene: &mut Scene, share| {
        scene.transfer.downloads.shares.put(fast, share);
        scene.transfer.join(fast, Handle(2));
        let (none, all) = (Bitfield::new(200), Bitfield::full(200));
        scene.transfer.open(fast, Chunks::new(manifest.clone(), &none, &all, Order::RarestFirst, 1));
        scene.transfer.downloads.introduce(LinkId(1), fast);
        scene.transfer.downloads.on_have(LinkId(1), fast, 0..200);
        scene.transfer.fill_all(&mut scene.turn);
        let pipeline = scene.transfer.pipeline(LinkId(1)).expect("it is linked");
        [slow, fast].map(|content| pipeline.waited_for(content).len())
    };
    assert_eq!(join(&mut scene, ShareId(0)), [full, 0], "both are in one share");
    scene.transfer.forget(fast);
    let [of_slow, of_fast] = join(&mut scene, ShareId(1));
    assert!(of_slow == full && of_fast > 0, "{of_slow} {of_fast}");
}
