//! Micro benchmarks of single parts: `cargo bench --bench micro`. Figures are per element or byte, as criterion prints them.

mod journal;
mod picker;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkHasher, EntryPath, File, Geometry, Manifest, combine_chunk_values};
use swarm_core::wire::{ChunkRuns, Handle, Message, RequestId};

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

criterion_group!(benches, bitfield, codec, hashing, manifest, picker::picker, journal::journal);
criterion_main!(benches);
