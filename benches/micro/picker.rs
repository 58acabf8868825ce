//! The engine alone: the cost of scheduling, messages and bookkeeping included, without a network, disk or hash.

use std::collections::VecDeque;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use swarm_core::base::{Bitfield, ContentId, Instant, NodeId};
use swarm_core::manifest::{ChunkIndex, EntryPath, File, Geometry, Manifest, Run, combine_chunk_values};
use swarm_core::trust::Role;
use swarm_core::wire::{ChunkRuns, Handle, Hello, Message, RequestId};
use swarm_engine::{ChunkVerdict, Engine, Event, Input, Join, LinkId, Order, Output, RunRequest};

/// A fetch by the engine alone from 200 peers that all have everything: requests are answered in the order in which they were
/// made, one every 100 microseconds. The figure is for all 10 000 chunks with every message, so a ten-thousandth of it is a chunk's.
pub(crate) fn picker(c: &mut Criterion) {
    let manifest = one_file(10_000);
    let mut group = c.benchmark_group("engine");
    group.sample_size(10);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("fetch 10000 chunks from 200 peers", |b| {
        b.iter_batched(
            || Fetch::begun(&manifest, 200),
            |mut fetch| {
                fetch.run();
                fetch
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// A file of this many chunks of 1 MiB, without any data.
pub(crate) fn one_file(chunk_count: u32) -> Manifest {
    let values: Vec<[u8; 32]> =
        (0..chunk_count).map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect();
    let len = u64::from(chunk_count) << 20;
    let file = File {
        path: EntryPath::new("film").expect("a good path"),
        len,
        executable: false,
        blake3: combine_chunk_values(len, 20, &values).expect("as many values as chunks"),
        sha256: None,
        chunk_len_log2: 20,
        chunk_hashes: values.concat().into(),
    };
    Manifest::new(vec![file], Vec::new()).expect("a good manifest")
}

/// One engine, with its peers and its disk simulated.
struct Fetch {
    engine: Engine,
    content: ContentId,
    now: Instant,
    due: VecDeque<(LinkId, RequestId, Run)>,
    verified: Vec<ChunkIndex>,
    geometry: Geometry,
    is_complete: bool,
}

impl Fetch {
    /// Linked to `peer_count` peers, with no chunk fetched.
    fn begun(manifest: &Manifest, peer_count: u64) -> Self {
        let (content, count) = (manifest.id(), manifest.geometry().chunk_count());
        let mut fetch = Self {
            engine: Engine::new(NodeId::from_bytes([255; 32]), 7),
            content,
            now: Instant::ZERO,
            due: VecDeque::new(),
            verified: Vec::new(),
            geometry: manifest.geometry().clone(),
            is_complete: false,
        };
        let join =
            Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
        fetch.handle(Input::Join(Box::new(join)));
        let (durable, wanted) = (Bitfield::new(count), Bitfield::full(count));
        fetch.handle(Input::StoreOpened { content, durable, wanted, kept: swarm_engine::Kept::new() });
        for peer in 0..peer_count {
            let (link, handle) = (LinkId(peer), Handle(0));
            let (node, role) = (node_of(link), Role::Full);
            fetch.handle(Input::LinkUp { link, node, role, dialed: true, address: None });
            let runs = ChunkRuns::of(&Bitfield::full(count));
            let open = Message::Open { handle, content, knows_manifest: true, is_offer: false };
            let hello = [Message::Hello(Hello::ours()), open, Message::Choke { choked: false }];
            let haves = runs.into_iter().map(|chunks| Message::Have { handle, chunks });
            for message in hello.into_iter().chain(haves) {
                fetch.handle(Input::Message { link, message });
            }
        }
        fetch
    }

    fn run(&mut self) {
        while !self.is_complete {
            self.now = self.now + Duration::from_micros(100);
            match self.due.pop_front() {
                Some((link, request, run)) => self.answer(link, request, run),
                None => {
                    let at = self.engine.next_wakeup().expect("it waits for something").0;
                    self.now = self.now.max(at);
                    self.handle(Input::Wakeup);
                }
            }
        }
    }

    fn answer(&mut self, link: LinkId, request: RequestId, run: Run) {
        let pieces: Vec<_> = self.geometry.pieces(run).collect();
        for piece in pieces {
            let (content, chunk) = (self.content, piece.chunk);
            self.handle(Input::Received { link, request, len: self.geometry.chunk_len(chunk) });
            self.handle(Input::ChunkArrived { link, request, chunk });
            self.verified.push(chunk);
            let (from, verdict) = (Some(node_of(link)), ChunkVerdict::Verified);
            self.handle(Input::ChunkChecked { content, chunk, from, verdict });
        }
        self.handle(Input::StreamEnded { link, request });
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Receive(RunRequest { link, request, run, .. }) => {
                    self.due.push_back((link, request, run))
                }
                Output::Flush { content } => {
                    let chunks = std::mem::take(&mut self.verified);
                    self.handle(Input::Flushed { content, chunks });
                }
                Output::Finish { content } => self.handle(Input::Finished { content }),
                Output::Event(Event::Completed { .. }) => self.is_complete = true,
                Output::Abandon { link, request } => {
                    self.due.retain(|(l, r, _)| (*l, *r) != (link, request));
                    self.handle(Input::StreamEnded { link, request });
                }
                Output::Dial { .. }
                | Output::Close { .. }
                | Output::Send { .. }
                | Output::Upload { .. }
                | Output::StopUpload { .. }
                | Output::VerifyKept { .. }
                | Output::Reread { .. }
                | Output::Event(_) => {}
            }
        }
    }
}

fn node_of(link: LinkId) -> NodeId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&link.0.to_le_bytes());
    NodeId::from_bytes(key)
}
