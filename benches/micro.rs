//! Micro benchmarks: `cargo bench`. Figures are per element or byte, as criterion prints them.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use swarm::base::{Bitfield, ContentId, Instant, NodeId};
use swarm::engine::{ChunkVerdict, Engine, Input, Join, LinkId, Order, Output};
use swarm::manifest::{ChunkHasher, EntryPath, File, Geometry, Manifest, combine_chunk_values};
use swarm::storage::{Store, TargetOptions, TargetStore, Verdict};
use swarm::wire::{ChunkRuns, Handle, Hello, Message, RequestId};

fn bitfield(c: &mut Criterion) {
    let scattered: Bitfield = (0..10_000u32).map(|i| i % 3 != 0).collect();
    c.bench_function("bitfield/runs of 10000, two thirds set", |b| {
        b.iter(|| black_box(&scattered).runs().count())
    });
    c.bench_function("bitfield/insert 10000", |b| {
        b.iter_batched(
            || Bitfield::new(10_000),
            |mut set| {
                (0..10_000).for_each(|index| {
                    set.insert(index);
                });
                set
            },
            BatchSize::SmallInput,
        );
    });
}

fn codec(c: &mut Criterion) {
    let request =
        Message::Request { request: RequestId(7), handle: Handle(1), chunk: 1234, offset: 0, len: 1 << 20 };
    c.bench_function("codec/request there and back", |b| {
        b.iter(|| Message::decode(black_box(&request).encode()))
    });
    let scattered: Bitfield = (0..10_000u32).map(|i| i % 3 != 0).collect();
    c.bench_function("codec/have of 10000 scattered chunks there and back", |b| {
        b.iter(|| {
            let runs = ChunkRuns::of(black_box(&scattered));
            let have = |chunks| Message::Have { handle: Handle(1), chunks }.encode();
            runs.into_iter().map(|chunks| Message::decode(have(chunks))).collect::<Vec<_>>()
        });
    });
}

fn hashing(c: &mut Criterion) {
    let data = vec![7u8; 1 << 20];
    let geometry = Geometry::new([(8 << 20, 20)]).expect("one small file");
    let span = geometry.span(geometry.chunk(3).expect("eight chunks"));
    let mut group = c.benchmark_group("hashing");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("one chunk of 1 MiB", |b| b.iter(|| ChunkHasher::hash(&span, black_box(&data))));
    group.finish();
    let values = vec![[7; 32]; 10_000];
    c.bench_function("hashing/combine 10000 chunk values", |b| {
        b.iter(|| combine_chunk_values(10_000 << 20, 20, black_box(&values)));
    });
}

fn manifest(c: &mut Criterion) {
    let empty = *blake3::hash(&[]).as_bytes();
    let file = |i: u32| File {
        path: EntryPath::new(format!("folder/{i:06}")).expect("a good path"),
        len: 0,
        executable: false,
        blake3: empty,
        sha256: None,
        chunk_len_log2: 0,
        chunk_hashes: bytes::Bytes::new(),
    };
    let made = Manifest::new((0..10_000).map(file).collect(), Vec::new()).expect("a good manifest");
    c.bench_function("manifest/decode 10000 files", |b| {
        b.iter(|| Manifest::decode(black_box(made.body()).clone()))
    });
}

/// A whole fetch by the engine alone, from 200 peers that have everything: every request is picked out of 10 000 chunks.
fn picker(c: &mut Criterion) {
    let manifest = made_up(10_000);
    let mut group = c.benchmark_group("picker");
    group.sample_size(10).throughput(Throughput::Elements(10_000));
    group.bench_function("10000 chunks from 200 peers, an element is a chunk", |b| {
        b.iter_batched(
            || joined(&manifest, 200),
            |engine| fetch_all(engine, &manifest),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A film of so many chunks of 1 MiB; nobody has its bytes.
fn made_up(chunk_count: u32) -> Manifest {
    let values: Vec<[u8; 32]> =
        (0..chunk_count).map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect();
    let len = u64::from(chunk_count) << 20;
    let film = File {
        path: EntryPath::new("film.bin").expect("a good path"),
        len,
        executable: false,
        blake3: combine_chunk_values(len, 20, &values).expect("as many values as chunks"),
        sha256: None,
        chunk_len_log2: 20,
        chunk_hashes: values.concat().into(),
    };
    Manifest::new(vec![film], Vec::new()).expect("a good manifest")
}

fn joined(manifest: &Manifest, peers: u64) -> Engine {
    let (content, chunk_count) = (manifest.id(), manifest.geometry().chunk_count());
    let mut engine = Engine::new(NodeId::from_bytes([0; 32]), 7);
    let mut handle = |input| engine.handle(Instant::ZERO, input);
    let order = Order::RarestFirst;
    handle(Input::Join(Box::new(Join { content, manifest: Some(manifest.clone()), order, patience: None })));
    let (durable, wanted) = (Bitfield::new(chunk_count), Bitfield::full(chunk_count));
    handle(Input::StoreOpened { content, durable, wanted });
    for number in 1..=peers {
        let (link, node) = (LinkId(number), NodeId::from_bytes([number as u8; 32]));
        handle(Input::LinkUp { link, node, dialed: false, address: None });
        let open = Message::Open { handle: Handle(1), content, knows_manifest: true, is_offer: false };
        let haves = ChunkRuns::of(&Bitfield::full(chunk_count));
        let haves = haves.into_iter().map(|chunks| Message::Have { handle: Handle(1), chunks });
        for message in [Message::Hello(Hello::ours()), open].into_iter().chain(haves) {
            handle(Input::Message { link, message });
        }
    }
    engine
}

/// Every request is answered at once. Returns how many chunks were asked for.
fn fetch_all(mut engine: Engine, manifest: &Manifest) -> u32 {
    let (geometry, content) = (manifest.geometry(), manifest.id());
    let (mut now, mut fetched) = (Instant::ZERO, 0);
    while fetched < geometry.chunk_count() {
        let mut asked = Vec::new();
        while let Some(output) = engine.poll() {
            if let Output::Receive { link, request, run, .. } = output {
                asked.push((link, request, run));
            }
        }
        now = now + Duration::from_millis(1);
        engine.handle(now, Input::Wakeup);
        for (link, request, run) in asked {
            fetched += answer(
                &mut engine,
                now,
                (link, request),
                geometry.pieces(run).map(|piece| piece.chunk),
                content,
            );
        }
    }
    fetched
}

fn answer(
    engine: &mut Engine,
    now: Instant,
    (link, request): (LinkId, RequestId),
    chunks: impl Iterator<Item = swarm::manifest::ChunkIndex>,
    content: ContentId,
) -> u32 {
    let (mut count, verdict) = (0, ChunkVerdict::Verified);
    for chunk in chunks {
        engine.handle(now, Input::Received { link, request, len: 1 << 20 });
        engine.handle(now, Input::ChunkArrived { link, request, chunk });
        engine.handle(now, Input::ChunkChecked { content, chunk, from: None, verdict });
        count += 1;
    }
    engine.handle(now, Input::StreamEnded { link, request });
    count
}

/// A thousand short chunks hashed, written, synced and journalled, a hundred to a flush.
fn journal(c: &mut Criterion) {
    let data = vec![7; 16 << 10];
    let geometry = Geometry::new([(1000 << 14, 14)]).expect("a small file");
    let values: Vec<[u8; 32]> =
        geometry.chunks().map(|chunk| ChunkHasher::hash(&geometry.span(chunk), &data)).collect();
    let file = File {
        path: EntryPath::new("film.bin").expect("a good path"),
        len: 1000 << 14,
        executable: false,
        blake3: combine_chunk_values(1000 << 14, 14, &values).expect("as many values as chunks"),
        sha256: None,
        chunk_len_log2: 14,
        chunk_hashes: values.concat().into(),
    };
    let manifest = Manifest::new(vec![file], Vec::new()).expect("a good manifest");
    let open = || {
        // Not in a temporary folder: where that is memory, syncing costs nothing.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (wanted, options) = (Bitfield::full(1000), TargetOptions::default());
        let opened = TargetStore::open(dir.path(), manifest.clone(), wanted, options, &|_| {});
        (opened.expect("an empty folder").0, dir)
    };
    let mut group = c.benchmark_group("journal");
    group.sample_size(10).throughput(Throughput::Elements(10));
    group.bench_function("ten flushes of a hundred chunks, an element is a flush", |b| {
        b.iter_batched(
            open,
            |(store, dir)| {
                for (number, chunk) in manifest.geometry().chunks().enumerate() {
                    assert_eq!(store.write_chunk(chunk, &data).expect("room on the disk"), Verdict::Verified);
                    if number % 100 == 99 {
                        store.flush().expect("room on the disk");
                    }
                }
                (store, dir)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, bitfield, codec, hashing, manifest, picker, journal);
criterion_main!(benches);
