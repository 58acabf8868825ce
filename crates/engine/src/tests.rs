//! Two or more engines talk to each other through a test's own hands: no network, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use swarm_core::base::{Bitfield, ContentId, Rate};
use swarm_core::manifest::{ChunkHasher, ChunkIndex, EntryPath, File, Geometry, Manifest, Run};
use swarm_core::trust::Role;
use swarm_core::wire::{ChunkRuns, Handle, Message, RequestId};

mod fetching;
mod links;
mod living;
mod reputation;
mod serving;
mod single;
mod swarm;

/// A manifest of files of zeros, in chunks of 16 KiB.
pub(super) fn manifest_of(files: &[(&str, usize)]) -> Manifest {
    let file = |&(path, len): &(&str, usize)| {
        let data = vec![0; len];
        let geometry = Geometry::new([(len as u64, 14)]).expect("a small file");
        let hash = |chunk| {
            let span = geometry.span(chunk);
            ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
        };
        let hashes: Vec<u8> = geometry.chunks().flat_map(hash).collect();
        let is_one = geometry.chunk_count() < 2;
        File {
            path: EntryPath::new(path).expect("a good path"),
            len: len as u64,
            executable: false,
            blake3: *blake3::hash(&data).as_bytes(),
            sha256: None,
            chunk_len_log2: if is_one { 0 } else { 14 },
            chunk_hashes: if is_one { Bytes::new() } else { hashes.into() },
        }
    };
    Manifest::new(files.iter().map(file).collect(), Vec::new()).expect("a good manifest")
}

/// Engines in one process under a virtual clock: every link has a delay, every node an upload rate, every store is a set.
struct World {
    now: Instant,
    events: BTreeMap<(Instant, u64), (usize, What)>,
    sequence: u64,
    nodes: Vec<Node>,
    manifest: Manifest,
    next_link: u64,
    log: Vec<(usize, Event)>,
}

enum What {
    Input(Input),
    /// A node's uplink is free again; the piece is at the other end after the link's delay.
    Sent,
    /// A whole piece of a run has come.
    Piece(LinkId, RequestId, ChunkIndex),
}

struct Node {
    engine: Engine,
    id: NodeId,
    up_per_sec: u64,
    is_sending: bool,
    sending: VecDeque<(LinkId, RequestId, VecDeque<ChunkIndex>)>,
    /// Peer's index and the peer's number for the same link.
    links: BTreeMap<LinkId, (usize, LinkId)>,
    expected: BTreeMap<(LinkId, RequestId), Run>,
    verified: Bitfield,
    unflushed: Vec<ChunkIndex>,
    lies: bool,
    is_dead: bool,
}

impl World {
    fn new(manifest: Manifest) -> Self {
        let (events, nodes, log) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { now: Instant::ZERO, events, sequence: 0, nodes, manifest, next_link: 0, log }
    }

    /// A node that has these chunks and wants all.
    fn node(&mut self, up_per_sec: u64, has: impl Fn(u32) -> bool) -> usize {
        let count = self.manifest.geometry().chunk_count();
        let verified: Bitfield = (0..count).map(has).collect();
        let index = self.nodes.len();
        let id = NodeId::from_bytes([index as u8 + 1; 32]);
        self.nodes.push(Node {
            engine: Engine::new(id, index as u64),
            id,
            up_per_sec,
            is_sending: false,
            sending: VecDeque::new(),
            links: BTreeMap::new(),
            expected: BTreeMap::new(),
            verified: verified.clone(),
            unflushed: Vec::new(),
            lies: false,
            is_dead: false,
        });
        let content = self.manifest.id();
        let patience = Some(Patience { idle: Duration::from_secs(30), search: Duration::ZERO });
        let manifest = (!verified.is_empty()).then(|| self.manifest.clone());
        let is_known = manifest.is_some();
        self.input(
            index,
            Input::Join(Box::new(Join { content, manifest, order: Order::RarestFirst, patience })),
        );
        if is_known {
            self.input(
                index,
                Input::StoreOpened {
                    content,
                    durable: verified,
                    wanted: Bitfield::full(count),
                    kept: Kept::new(),
                },
            );
        }
        index
    }

    fn link(&mut self, a: usize, b: usize) {
        let (here, there) = (LinkId(self.next_link), LinkId(self.next_link + 1));
        self.next_link += 2;
        self.nodes[a].links.insert(here, (b, there));
        self.nodes[b].links.insert(there, (a, here));
        let (a_id, b_id) = (self.nodes[a].id, self.nodes[b].id);
        self.input(
            a,
            Input::LinkUp { link: here, node: b_id, role: Role::Full, dialed: true, address: None },
        );
        self.input(
            b,
            Input::LinkUp { link: there, node: a_id, role: Role::Full, dialed: false, address: None },
        );
    }

    fn kill(&mut self, index: usize) {
        self.nodes[index].is_dead = true;
        for (link, (other, there)) in std::mem::take(&mut self.nodes[index].links) {
            let _ = link;
            self.nodes[other].links.remove(&there);
            self.later(
                other,
                Duration::from_millis(5),
                Input::LinkDown { link: there, reason: "gone".to_owned() },
            );
        }
    }

    fn later(&mut self, node: usize, wait: Duration, input: Input) {
        self.schedule(node, wait, What::Input(input));
    }

    fn schedule(&mut self, node: usize, wait: Duration, what: What) {
        self.sequence += 1;
        self.events.insert((self.now + wait, self.sequence), (node, what));
    }

    fn input(&mut self, index: usize, input: Input) {
        if self.nodes[index].is_dead {
            return;
        }
        self.nodes[index].engine.handle(self.now, input);
        while let Some(output) = self.nodes[index].engine.poll() {
            self.perform(index, output);
        }
    }

    fn perform(&mut self, index: usize, output: Output) {
        let content = self.manifest.id();
        match output {
            Output::Dial { node, .. } => {
                let failure = DialFailure::Unreachable("the test links by hand".to_owned());
                self.later(index, DELAY, Input::DialFailed { node, failure });
            }
            Output::Close { link, .. } => {
                if let Some((other, there)) = self.nodes[index].links.remove(&link) {
                    self.nodes[other].links.remove(&there);
                    self.later(other, DELAY, Input::LinkDown { link: there, reason: "closed".to_owned() });
                }
            }
            Output::Send { link, message } => {
                let message = Message::decode(message.encode()).expect("our own").expect("known");
                if let Some(&(other, there)) = self.nodes[index].links.get(&link) {
                    self.later(other, DELAY, Input::Message { link: there, message });
                }
            }
            Output::Receive(RunRequest { link, request, run, .. }) => {
                self.nodes[index].expected.insert((link, request), run);
            }
            Output::Abandon { link, request } => {
                self.nodes[index].expected.remove(&(link, request));
                self.later(index, Duration::ZERO, Input::StreamEnded { link, request });
            }
            Output::Upload(RunRequest { link, request, run, .. }) => self.upload(index, link, request, run),
            Output::StopUpload { link, request } => {
                let sending = &mut self.nodes[index].sending;
                if let Some(at) = sending.iter().position(|upload| (upload.0, upload.1) == (link, request)) {
                    sending.remove(at);
                    let end = UploadEnd::Stopped;
                    self.later(index, Duration::ZERO, Input::UploadEnded { link, request, sent_len: 0, end });
                }
            }
            Output::VerifyKept { .. } => unreachable!("this world breaks no stream off midway"),
            Output::Reread { .. } => unreachable!("no disk has trouble here"),
            Output::Flush { content } => {
                let chunks = std::mem::take(&mut self.nodes[index].unflushed);
                self.later(index, Duration::from_millis(1), Input::Flushed { content, chunks });
            }
            Output::Finish { content } => self.later(index, Duration::ZERO, Input::Finished { content }),
            Output::Event(event) => {
                if let Event::ManifestComplete { manifest } = &event {
                    assert_eq!(manifest.id(), content);
                    let count = manifest.geometry().chunk_count();
                    let (durable, wanted) = (Bitfield::new(count), Bitfield::full(count));
                    self.later(
                        index,
                        Duration::ZERO,
                        Input::StoreOpened { content, durable, wanted, kept: Kept::new() },
                    );
                }
                self.log.push((index, event));
            }
        }
    }

    /// Runs share a node's uplink chunk by chunk.
    fn upload(&mut self, index: usize, link: LinkId, request: RequestId, run: Run) {
        let chunks: VecDeque<_> = self.manifest.geometry().pieces(run).map(|piece| piece.chunk).collect();
        let node = &mut self.nodes[index];
        assert!(
            chunks.iter().all(|chunk| node.verified.contains(chunk.get())),
            "served what is not verified"
        );
        node.sending.push_back((link, request, chunks));
        self.send_next(index);
    }

    fn send_next(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.is_sending {
            return;
        }
        let Some((link, request, mut chunks)) = node.sending.pop_front() else { return };
        let Some(&(other, there)) = node.links.get(&link) else { return self.send_next(index) };
        let chunk = chunks.pop_front().expect("it is taken out with its last");
        let time = Duration::from_secs_f64(16384.0 / node.up_per_sec as f64);
        node.is_sending = true;
        let is_last = chunks.is_empty();
        if !is_last {
            node.sending.push_back((link, request, chunks));
        }
        self.schedule(index, time, What::Sent);
        self.schedule(other, time + DELAY, What::Piece(there, request, chunk));
        if is_last {
            let end = UploadEnd::Sent;
            self.later(index, time, Input::UploadEnded { link, request, sent_len: 16384, end });
            self.later(other, time + DELAY, Input::StreamEnded { link: there, request });
        }
    }

    /// A chunk's bytes are all here, unless the stream was stopped on the way.
    fn deliver(&mut self, index: usize, link: LinkId, request: RequestId, chunk: ChunkIndex) {
        let Some(&(sender, _)) = self.nodes[index].links.get(&link) else { return };
        if !self.nodes[index].expected.contains_key(&(link, request)) {
            return;
        }
        let len = self.manifest.geometry().chunk_len(chunk);
        self.input(index, Input::Received { link, request, len });
        self.input(index, Input::ChunkArrived { link, request, chunk });
        let is_good = !self.nodes[sender].lies;
        let verdict = if is_good { ChunkVerdict::Verified } else { ChunkVerdict::Corrupt };
        if is_good && self.nodes[index].verified.insert(chunk.get()) {
            self.nodes[index].unflushed.push(chunk);
        }
        let from = Some(self.nodes[sender].id);
        let checked = Input::ChunkChecked { content: self.manifest.id(), chunk, from, verdict };
        self.later(index, Duration::from_millis(1), checked);
    }

    fn run(&mut self, limit: Duration) {
        let deadline = self.now + limit;
        let mut still = 0u32;
        loop {
            let event_at = self.events.keys().next().map(|(at, _)| *at);
            let wakeups = self.nodes.iter().enumerate().filter(|(_, node)| !node.is_dead);
            let wakeup = wakeups.filter_map(|(i, node)| Some((node.engine.next_wakeup()?.0, i))).min();
            let next = [event_at, wakeup.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= deadline) else { break };
            still = if at > self.now { 0 } else { still + 1 };
            assert!(still < 100_000, "time stands still");
            self.now = self.now.max(at);
            if event_at == Some(at) {
                let (_, (node, what)) = self.events.pop_first().expect("it was just seen");
                match what {
                    What::Sent => {
                        self.nodes[node].is_sending = false;
                        self.send_next(node);
                    }
                    What::Piece(link, request, chunk) => self.deliver(node, link, request, chunk),
                    What::Input(Input::StreamEnded { link, request }) => {
                        self.nodes[node].expected.remove(&(link, request));
                        self.input(node, Input::StreamEnded { link, request });
                    }
                    What::Input(input) => self.input(node, input),
                }
            } else if let Some((_, node)) = wakeup {
                self.input(node, Input::Wakeup);
            }
        }
        self.now = deadline;
    }

    fn has_all(&self, node: usize) -> bool {
        self.nodes[node].engine.survey().snapshot().contents[0].phase == FetchPhase::Complete
    }

    fn completed_at(&mut self, node: usize, limit: Duration) -> Option<Duration> {
        for _ in 0..limit.as_millis() / 10 {
            if self.has_all(node) {
                return Some(self.now - Instant::ZERO);
            }
            self.run(Duration::from_millis(10));
        }
        None
    }
}

const DELAY: Duration = Duration::from_millis(2);
const MINUTE: Duration = Duration::from_secs(60);

fn one_file(chunks: usize) -> Manifest {
    manifest_of(&[("film", chunks * (16 << 10))])
}
