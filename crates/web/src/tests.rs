//! Nodes of pages in a world of messages: channels deliver in order, storage is memory, a clock ticks by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use swarm_carrier::Record;
use swarm_core::base::{Category, ContentId, Instant, NodeId};
use swarm_core::manifest::{Manifest, Source};

/// Everything.
#[derive(Default)]
struct World {
    places: BTreeMap<NodeId, Place>,
    /// Messages on their way, with who gets them on which of its channels.
    under_way: VecDeque<(NodeId, Channel, Carried)>,
    /// The other end of each channel.
    ends: BTreeMap<(NodeId, Channel), (NodeId, Channel)>,
    /// Who is met in place of a node that is dialed.
    led_astray: BTreeMap<NodeId, NodeId>,
    /// A node of whose chunks the last byte of each record is changed.
    liar: Option<NodeId>,
    now: Instant,
}

enum Carried {
    Message(Bytes),
    Closed(String),
}

/// A node and its storage.
struct Place {
    driver: Driver,
    files: BTreeMap<(ContentId, u32), Vec<u8>>,
    records: BTreeMap<ContentId, Bytes>,
    notices: Vec<Notice>,
    is_finished: bool,
    /// Bytes that came as messages.
    received_len: usize,
    /// Whether storage refuses to write.
    is_full: bool,
}

fn node(number: u8) -> NodeId {
    Driver::new(&[number; 32], [0; 32]).node_id()
}

/// A content of one file, and its bytes.
fn content(len: usize) -> (Manifest, Vec<u8>) {
    let bytes: Vec<u8> =
        (0..len as u32).flat_map(|at| (at / 3).wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect();
    (manifest_of(&bytes), bytes)
}

fn manifest_of(bytes: &[u8]) -> Manifest {
    use swarm_core::manifest::{ChunkHasher, EntryPath, File, Geometry};
    let (len, log2) = (bytes.len() as u64, 18);
    let geometry = Geometry::new([(len, log2)]).expect("one file");
    let hashes: Vec<u8> = geometry
        .chunks()
        .flat_map(|chunk| {
            let span = geometry.span(chunk);
            ChunkHasher::hash(&span, &bytes[span.file_offset as usize..][..span.len as usize])
        })
        .collect();
    let file = File {
        path: EntryPath::new("film.mkv").expect("a name"),
        len,
        executable: false,
        blake3: *blake3::hash(bytes).as_bytes(),
        sha256: None,
        chunk_len_log2: log2,
        chunk_hashes: hashes.into(),
    };
    Manifest::new(vec![file], Vec::new()).expect("it adds up")
}

impl World {
    fn add(&mut self, number: u8) -> NodeId {
        let driver = Driver::new(&[number; 32], [number; 32]);
        let id = driver.node_id();
        let (files, records) =
            self.places.remove(&id).map_or_else(Default::default, |old| (old.files, old.records));
        let (notices, is_finished, received_len, is_full) = (Vec::new(), false, 0, false);
        self.places.insert(id, Place { driver, files, records, notices, is_finished, received_len, is_full });
        self.with(id, |place, now| place.driver.on_time(now));
        id
    }

    fn seed(&mut self, number: u8, manifest: &Manifest, bytes: &[u8]) -> NodeId {
        let id = self.add(number);
        self.with(id, |place, _| {
            place.files.insert((manifest.id(), 0), bytes.to_vec());
            place.driver.seed(manifest.clone());
        });
        id
    }

    fn fetch(&mut self, number: u8, content: ContentId, from: &[NodeId]) -> NodeId {
        let id = self.add(number);
        let sources = from.iter().map(|node| source(*node)).collect();
        self.with(id, |place, _| place.driver.fetch(content, sources, None, Duration::from_secs(20)));
        id
    }

    fn place(&self, id: NodeId) -> &Place {
        &self.places[&id]
    }

    /// Lets a node act, and performs what it wants.
    fn with(&mut self, id: NodeId, act: impl FnOnce(&mut Place, Instant)) {
        let now = self.now;
        act(self.places.get_mut(&id).expect("a place"), now);
        while let Some(effect) = self.places.get_mut(&id).expect("a place").driver.next_effect() {
            self.perform(id, effect);
        }
    }

    fn perform(&mut self, id: NodeId, effect: Effect) {
        match effect {
            Effect::Dial { channel, node, addresses } => {
                assert!(!addresses.is_empty());
                let node = self.led_astray.get(&node).copied().unwrap_or(node);
                if !self.places.contains_key(&node) {
                    self.under_way.push_back((id, channel, Carried::Closed("nobody is there".to_owned())));
                    return;
                }
                let mut theirs = Channel(0);
                self.with(node, |place, _| theirs = place.driver.on_accepted(None));
                self.ends.insert((id, channel), (node, theirs));
                self.ends.insert((node, theirs), (id, channel));
                self.with(id, |place, _| place.driver.on_opened(channel, None));
            }
            Effect::Send { channel, message } => {
                let len = message.len();
                let is_chunk =
                    matches!(Record::decode(message.clone()), Ok(Record::Chunk { .. })) && len > 1000;
                let message =
                    if self.liar == Some(id) && is_chunk { with_last_flipped(&message) } else { message };
                if let Some((to, at)) = self.ends.get(&(id, channel)) {
                    self.under_way.push_back((*to, *at, Carried::Message(message)));
                }
                self.with(id, |place, _| place.driver.on_sent(channel, len));
            }
            // Both ends have the same keys, which tests of carriers see to; here nobody listens in.
            Effect::Encrypt { sending, receiving, .. } => assert_ne!(sending, receiving),
            Effect::Close { channel, reason } => {
                if let Some((to, at)) = self.ends.remove(&(id, channel)) {
                    self.ends.remove(&(to, at));
                    self.under_way.push_back((to, at, Carried::Closed(reason)));
                }
            }
            Effect::Store { content, files, .. } => {
                let place = self.places.get_mut(&id).expect("a place");
                for (number, file) in files.iter().enumerate() {
                    let bytes = place.files.entry((content, number as u32)).or_default();
                    bytes.resize(file.len as usize, 0);
                }
                let record = place.records.get(&content).cloned().unwrap_or_default();
                self.with(id, |place, _| place.driver.on_stored(content, &record));
            }
            Effect::Write { content, file, offset, bytes } => {
                let place = self.places.get_mut(&id).expect("a place");
                if place.is_full {
                    let failed = |place: &mut Place, _| {
                        place.driver.on_store_failed(content, Category::Disk, "the quota is used up");
                    };
                    return self.with(id, failed);
                }
                let into = place.files.get_mut(&(content, file)).expect("it was opened");
                into[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            Effect::Read { id: read, content, file, offset, len } => {
                let bytes = &self.places[&id].files[&(content, file)];
                let bytes = bytes.get(offset as usize..).and_then(|rest| rest.get(..len as usize));
                let bytes = bytes.map(Bytes::copy_from_slice);
                self.with(id, |place, _| place.driver.on_read(read, bytes));
            }
            Effect::Flush { content, record } => {
                self.places.get_mut(&id).expect("a place").records.insert(content, record);
                self.with(id, |place, _| place.driver.on_flushed(content));
            }
            Effect::Finish { content } => {
                self.places.get_mut(&id).expect("a place").is_finished = true;
                self.with(id, |place, _| place.driver.on_finished(content));
            }
            Effect::Forget { .. } => {}
            Effect::Notice(notice) => self.places.get_mut(&id).expect("a place").notices.push(notice),
        }
    }

    /// Delivers one message. False if none is under way.
    fn deliver(&mut self) -> bool {
        let Some((to, channel, carried)) = self.under_way.pop_front() else { return false };
        if self.places.contains_key(&to) {
            self.with(to, |place, _| match carried {
                Carried::Message(message) => {
                    place.received_len += message.len();
                    place.driver.on_message(channel, message);
                }
                Carried::Closed(reason) => place.driver.on_closed(channel, &reason),
            });
        }
        true
    }

    /// Runs until `is_enough`, or until so much time has passed.
    fn run(&mut self, limit: Duration, is_enough: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            for _ in 0..64 {
                if is_enough(self) {
                    return true;
                }
                if !self.deliver() {
                    break;
                }
            }
            self.now = self.now + Duration::from_millis(10);
            let ids: Vec<NodeId> = self.places.keys().copied().collect();
            for id in ids {
                self.with(id, |place, now| place.driver.on_time(now));
            }
        }
        is_enough(self)
    }

    /// A page is closed: its channels end, its storage stays.
    fn kill(&mut self, id: NodeId) -> Place {
        let gone: Vec<_> = self.ends.keys().filter(|(node, _)| *node == id).copied().collect();
        for end in gone {
            if let Some((to, at)) = self.ends.remove(&end) {
                self.ends.remove(&(to, at));
                self.under_way.push_back((to, at, Carried::Closed("the tab was closed".to_owned())));
            }
        }
        self.under_way.retain(|(to, ..)| *to != id);
        self.places.remove(&id).expect("a place")
    }
}

fn source(node: NodeId) -> Source {
    Source { node, addresses: vec!["page.invalid:1".parse().expect("an address")] }
}

fn with_last_flipped(message: &[u8]) -> Bytes {
    let mut message = message.to_vec();
    if let Some(last) = message.last_mut() {
        *last ^= 1;
    }
    message.into()
}

fn is_complete(place: &Place) -> bool {
    place.notices.iter().any(|notice| matches!(notice, Notice::Completed { .. }))
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_page_fetches_from_a_page_and_serves_a_third_that_knows_it_alone() {
    let (manifest, bytes) = content(3_000_000);
    let mut world = World::default();
    let seed = world.seed(1, &manifest, &bytes);
    let second = world.fetch(2, manifest.id(), &[seed]);
    assert!(world.run(MINUTE, |world| is_complete(world.place(second))), "{:?}", world.place(second).notices);
    let third = world.fetch(3, manifest.id(), &[second]);
    assert!(world.run(MINUTE, |world| is_complete(world.place(third))), "{:?}", world.place(third).notices);
    for id in [second, third] {
        let place = world.place(id);
        assert!(place.is_finished && place.files[&(manifest.id(), 0)] == bytes);
        assert!(place.received_len < bytes.len() + bytes.len() / 20, "{}", place.received_len);
    }
}

#[test]
fn a_page_takes_from_several_at_once() {
    let (manifest, bytes) = content(8_000_000);
    let mut world = World::default();
    let seeds = [1, 2, 3].map(|number| world.seed(number, &manifest, &bytes));
    let page = world.fetch(4, manifest.id(), &seeds);
    assert!(world.run(MINUTE, |world| is_complete(world.place(page))));
    let snapshot = world.place(page).driver.snapshot();
    let received = &snapshot.contents[0].received;
    assert!(seeds.iter().all(|seed| received.get(seed).is_some_and(|len| *len > 100_000)), "{received:?}");
}

#[test]
fn a_page_that_was_closed_goes_on_where_its_last_flush_was() {
    let (manifest, bytes) = content(20_000_000);
    let mut world = World::default();
    let seed = world.seed(1, &manifest, &bytes);
    let mut page = world.fetch(2, manifest.id(), &[seed]);
    let mut received_len = 0;
    for round in 1..=3 {
        let durable = |world: &World| {
            world.place(page).driver.snapshot().contents.first().map_or(0, |content| content.durable_len)
        };
        let before = durable(&world);
        let has_more = world.run(MINUTE, |world| durable(world) > before);
        assert!(has_more || is_complete(world.place(page)), "round {round}");
        let Place { files, records, received_len: received, .. } = world.kill(page);
        received_len += received;
        world.run(Duration::from_secs(1), |_| false);
        page = world.add(2);
        world.with(page, |place, _| {
            (place.files, place.records) = (files, records);
            place.driver.fetch(manifest.id(), vec![source(seed)], None, Duration::from_secs(20));
        });
    }
    assert!(world.run(MINUTE, |world| is_complete(world.place(page))), "{:?}", world.place(page).notices);
    assert!(world.place(page).files[&(manifest.id(), 0)] == bytes);
    let all = received_len + world.place(page).received_len;
    assert!(all < bytes.len() * 3 / 2, "{all} bytes came for {}", bytes.len());
}

#[test]
fn a_seed_whose_bytes_have_changed_sends_nothing_of_them() {
    let (manifest, bytes) = content(3_000_000);
    let mut wrong = bytes.clone();
    wrong[1_000_000] ^= 1;
    let mut world = World::default();
    let honest = world.seed(1, &manifest, &bytes);
    let page = world.fetch(3, manifest.id(), &[honest]);
    assert!(world.run(MINUTE, |world| is_complete(world.place(page))));
    // Its own check finds the byte: it withdraws the chunk, and sends nothing of it.
    let liar = world.seed(2, &manifest, &wrong);
    let other = world.fetch(4, manifest.id(), &[liar]);
    assert!(!world.run(Duration::from_secs(15), |world| is_complete(world.place(other))));
    let place = world.place(other);
    let at = 1_000_000 / (1 << 18) * (1 << 18);
    assert!(place.files[&(manifest.id(), 0)][at..][..1 << 18].iter().all(|byte| *byte == 0));
    world.with(other, |place, _| place.driver.add_source(manifest.id(), source(honest)));
    assert!(world.run(MINUTE, |world| is_complete(world.place(other))));
    assert!(world.place(other).files[&(manifest.id(), 0)] == bytes);
}

#[test]
fn a_peer_that_lies_is_banned_and_what_it_sent_is_never_verified() {
    let (manifest, bytes) = content(6_000_000);
    let mut world = World::default();
    let [liar, honest] = [1, 2].map(|number| world.seed(number, &manifest, &bytes));
    world.liar = Some(liar);
    let page = world.fetch(3, manifest.id(), &[liar]);
    let is_banned = |world: &World| {
        let is_of_liar = |notice: &Notice| matches!(notice, Notice::PeerBanned { node, .. } if *node == liar);
        world.place(page).notices.iter().any(is_of_liar)
    };
    assert!(world.run(MINUTE, is_banned), "{:?}", world.place(page).notices);
    assert_eq!(world.place(page).driver.snapshot().contents[0].verified_len, 0);
    // With its only source the fetch has ended; it is begun again with another.
    let again = |place: &mut Place, _| {
        place.driver.fetch(manifest.id(), vec![source(honest)], None, Duration::from_secs(20));
    };
    world.with(page, again);
    assert!(world.run(MINUTE, |world| is_complete(world.place(page))), "{:?}", world.place(page).notices);
    assert!(world.place(page).files[&(manifest.id(), 0)] == bytes);
}

#[test]
fn storage_that_is_full_ends_the_fetch_and_says_so() {
    let (manifest, bytes) = content(3_000_000);
    let mut world = World::default();
    let seed = world.seed(1, &manifest, &bytes);
    let page = world.add(2);
    world.with(page, |place, _| {
        place.is_full = true;
        place.driver.fetch(manifest.id(), vec![source(seed)], None, Duration::from_secs(20));
    });
    let is_failed = |world: &World| {
        let notices = &world.place(page).notices;
        notices.iter().any(|notice| matches!(notice, Notice::Failed { category: Category::Disk, .. }))
    };
    assert!(world.run(MINUTE, is_failed), "{:?}", world.place(page).notices);
}

#[test]
fn a_source_that_is_another_node_or_nobody_is_told() {
    let (manifest, bytes) = content(1_000_000);
    let mut world = World::default();
    let seed = world.seed(1, &manifest, &bytes);
    let nobody = node(9);
    let page = world.fetch(2, manifest.id(), &[nobody]);
    let has_failed = |world: &World| {
        world.place(page).notices.iter().any(|notice| matches!(notice, Notice::Failed { .. }))
    };
    assert!(world.run(2 * MINUTE, has_failed), "{:?}", world.place(page).notices);
    let lost = Notice::PeerLost { node: nobody, reason: "nobody is there".to_owned() };
    assert!(world.place(page).notices.contains(&lost));
    let _ = seed;
}

#[test]
fn a_stopped_node_says_farewell_and_keeps_what_it_has() {
    let (manifest, bytes) = content(3_000_000);
    let mut world = World::default();
    let seed = world.seed(1, &manifest, &bytes);
    let page = world.fetch(2, manifest.id(), &[seed]);
    let has_some = |world: &World| {
        world.place(page).driver.snapshot().contents.first().is_some_and(|content| content.verified_len > 0)
    };
    assert!(world.run(MINUTE, has_some));
    world.with(page, |place, _| place.driver.stop());
    assert!(world.run(MINUTE, |world| world.place(page).notices.contains(&Notice::Stopped)));
    assert!(world.place(page).records.contains_key(&manifest.id()));
    let left = |world: &World| {
        world.place(seed).notices.iter().any(|notice| matches!(notice, Notice::PeerLost { .. }))
    };
    assert!(world.run(MINUTE, left));
}

#[test]
fn another_node_than_the_one_that_was_dialed_is_told_at_once() {
    let (manifest, bytes) = content(1_000_000);
    let mut world = World::default();
    let seed = world.seed(1, &manifest, &bytes);
    // The world leads to node 1 whoever is dialed there.
    let expected = node(7);
    world.led_astray.insert(expected, seed);
    let page = world.fetch(2, manifest.id(), &[expected]);
    let failed = |world: &World| {
        let wrong_key = |notice: &Notice| matches!(notice, Notice::Failed { reason, .. } if reason.contains(&seed.short()));
        world.place(page).notices.iter().any(wrong_key)
    };
    assert!(world.run(Duration::from_secs(5), failed), "{:?}", world.place(page).notices);
}
