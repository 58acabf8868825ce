//! Files and readers that show whether memory and accounts stay in bounds.

use std::io::Read as _;
use std::process::ChildStdout;

use crate::support::{MIB, Process, Seed, World, args, assert_same_file, heavy};

#[test]
fn two_gibibytes_arrive_and_the_accounts_add_up() {
    let _turn = heavy();
    let world = World::new();
    let len = 2048 * MIB + 1;
    let film = world.file("film.bin", len);
    let seeds = [world.seed(args![film]), world.seed(args![film])];
    let fetch = world.fetch(args!["-o", "out", seeds[0].ticket(), "--peer", seeds[1].ticket()]);
    let outcome = fetch.end();
    let done = outcome.done();
    assert_eq!((done.bytes, done.fetched_bytes, done.corrupt_bytes), (len, len, 0));
    assert!(done.duplicate_bytes * 100 < done.bytes, "{done:#?}");
    assert!(!outcome.events("progress").is_empty());
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_slow_reader_holds_the_sender_back_and_memory_stays_bounded() {
    let _turn = heavy();
    let world = World::new();
    let film = world.file("film.bin", STREAMED_LEN);
    let mut seed = world.seed(args![film]);
    let args = args!["fetch", "-o", "-", "--memory", "64MiB", seed.ticket()];
    let mut fetch = Process::start_piped(&mut world.command(&args), b"");
    let mut reader = Reader::new(fetch.take_stdout());
    for _ in 0..3 {
        reader.read(96 * MIB);
        let sent_len = still(&mut seed);
        let ahead_len = sent_len - reader.read_len;
        assert!(ahead_len <= AHEAD_LEN_MAX, "{ahead_len} bytes were sent ahead of the reader");
    }
    reader.read(STREAMED_LEN - reader.read_len);
    assert_memory_is_bounded(&fetch, &seed);
    reader.end();
    fetch.end().expect_code(0);
}

/// The bytes that a seed has sent when it stalls: three reports in a row are equal.
fn still(seed: &mut Seed) -> u64 {
    let (mut last, mut times) = (0, 0);
    while times < 3 {
        let sent_len = seed.process.wait_json(|line| line["sent_bytes"].as_u64());
        times = if sent_len == last { times + 1 } else { 0 };
        last = sent_len;
    }
    last
}

/// Reads and compares.
struct Reader {
    stream: ChildStdout,
    expected: blake3::OutputReader,
    read_len: u64,
}

impl Reader {
    fn new(stream: ChildStdout) -> Self {
        let expected = blake3::Hasher::new().update(b"film.bin").finalize_xof();
        Self { stream, expected, read_len: 0 }
    }

    fn read(&mut self, mut len: u64) {
        let (mut block, mut expected) = (vec![0; MIB as usize], vec![0; MIB as usize]);
        while len > 0 {
            let part = len.min(MIB) as usize;
            let at = self.read_len;
            self.stream
                .read_exact(&mut block[..part])
                .unwrap_or_else(|error| panic!("{error} after {at} bytes"));
            self.expected.fill(&mut expected[..part]);
            assert!(block[..part] == expected[..part], "other bytes than the seed has");
            self.read_len += part as u64;
            len -= part as u64;
        }
    }

    fn end(mut self) {
        assert_eq!(self.stream.read(&mut [0]).expect("a pipe"), 0, "more bytes than the file has");
    }
}

#[test]
fn memory_stays_bounded_when_a_file_is_fetched_to_disk() {
    let _turn = heavy();
    let world = World::new();
    let film = world.file("film.bin", 512 * MIB);
    let mut seed = world.seed(args![film]);
    let mut fetch = world.fetch(args!["-o", "out", "--keep-seeding", seed.ticket()]);
    fetch.wait_json(|line| (line["durable_bytes"] == 512 * MIB).then_some(()));
    seed.process.wait_json(|line| (line["state"] == "completed").then_some(()));
    assert_memory_is_bounded(&fetch, &seed);
}

fn assert_memory_is_bounded(fetch: &Process, seed: &Seed) {
    let peaks = [fetch.peak_memory_len(), seed.process.peak_memory_len()];
    assert!(!cfg!(target_os = "linux") || peaks.iter().all(Option::is_some), "Linux tells");
    assert!(peaks.iter().flatten().all(|peak| *peak < MEMORY_LEN_MAX), "fetch and seed used {peaks:?} bytes");
}

/// Far below the files, and well above what a fetch with 64 MiB of buffers needs.
const MEMORY_LEN_MAX: u64 = 200 * MIB;
const STREAMED_LEN: u64 = 1024 * MIB;
/// Twice the memory that the fetch may use, for the buffers of QUIC and of the pipe.
const AHEAD_LEN_MAX: u64 = 128 * MIB;
