//! Every decoder of bytes from outside, and the engine, under mutated bytes: the bodies of the fuzz targets
//! (`crates/bodies`), replayed on a stable toolchain. First all of the committed corpora, then mutations of them for
//! `SWARM_FUZZ_SECS` a target (3, or 60 with `SWARM_LONG_TESTS`), four targets at a time or as many as there are cores.
//!
//! Each input follows from one number: a failure names target and number, and `SWARM_FUZZ_SEED` with that number repeats it as the
//! first input; `SWARM_FUZZ_TARGET` selects one target. `REGENERATE=1` writes the samples into the corpora.

use std::collections::VecDeque;
use std::io::Write as _;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use swarm_core::base::Rng;

use swarm_bodies::{self as bodies, TARGETS, Target};

fn corpus_folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name)
}

/// The committed inputs, sorted by name, so that a number means the same input everywhere.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = corpus_folder(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.to_string_lossy()));
    let mut corpus: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.to_string_lossy().into_owned(), fs::read(&path).expect("a file")))
        .collect();
    corpus.sort();
    corpus
}

/// The selected targets.
fn targets() -> Vec<&'static Target> {
    let only = env::var("SWARM_FUZZ_TARGET").ok();
    let targets: Vec<_> =
        TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)).collect();
    assert!(!targets.is_empty(), "there is no target {only:?}");
    targets
}

/// Prints past the test harness, which hides the output of passed tests.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is open");
}

#[test]
fn every_committed_input_and_every_sample_passes() {
    let is_regenerating = env::var_os("REGENERATE").is_some();
    for target in targets() {
        for (name, input) in (target.samples)() {
            if is_regenerating {
                let folder = corpus_folder(target);
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(folder.join(name), &input).expect("written");
            }
            assert!(passes(target, &input), "{}: sample {name}", target.name);
        }
        let corpus = corpus(target);
        assert!(corpus.len() > 1, "{}: the corpus is gone", target.name);
        for (name, input) in corpus {
            assert!(passes(target, &input), "{name}");
        }
    }
}

#[test]
fn a_target_has_a_file_for_the_fuzzer_and_a_line_in_the_table() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let table = fs::read_to_string(fuzz.join("README.md")).expect("a table");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
    let mut files = 0;
    for target in TARGETS {
        let source = fs::read_to_string(fuzz.join("fuzz_targets").join(format!("{}.rs", target.name)));
        assert!(source.expect("its file").contains(&format!("run(\"{}\", bytes)", target.name)));
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
        assert!(table.contains(&format!("`{}`", target.name)), "{} is not in the table", target.name);
        files += 1;
    }
    assert_eq!(fs::read_dir(fuzz.join("fuzz_targets")).expect("a folder").count(), files);
}

#[test]
fn mutated_inputs_break_nothing() {
    let usual = if env::var_os("SWARM_LONG_TESTS").is_some() { SECS_LONG } else { SECS_SHORT };
    let secs =
        env::var("SWARM_FUZZ_SECS").map_or(usual, |secs| secs.parse().expect("SWARM_FUZZ_SECS is a number"));
    let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) >> 16;
    let seed = env::var("SWARM_FUZZ_SEED").map_or_else(|_| fresh(), |seed| seed.parse().expect("a number"));
    say(&format!("fuzz: SWARM_FUZZ_SEED={seed}, {secs} s a target"));
    let queue: Mutex<VecDeque<_>> = Mutex::new(targets().into());
    let failed = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(AT_ONCE_MIN, |cores| cores.get().max(AT_ONCE_MIN));
    let next = || queue.lock().expect("no worker panics with it").pop_front();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let done = fuzz(target, seed, Duration::from_secs(secs));
                    failed.lock().expect("no worker panics with it").extend(done);
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no worker panics with it");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Tries mutations until the time is up; returns how to repeat the first failure.
fn fuzz(target: &Target, seed: u64, time: Duration) -> Option<String> {
    let corpus: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
    let start = now();
    for number in 0.. {
        let number = seed + number;
        let input = mutated(&corpus, target.len_max, &mut Rng::seeded(number));
        if !passes(target, &input) {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", target.name));
            let kept = fs::write(&path, &input)
                .map_or_else(|error| error.to_string(), |()| path.to_string_lossy().into_owned());
            return Some(format!("SWARM_FUZZ_TARGET={} SWARM_FUZZ_SEED={number} ({kept})", target.name));
        }
        if now() - start >= time {
            let count = number - seed + 1;
            let held = bodies::most_held();
            say(&format!("fuzz: {}: {count} inputs, at most {held:.1} bytes held for one", target.name));
            return None;
        }
    }
    None
}

/// Whether the target passes; the message of a panic goes to stderr.
fn passes(target: &Target, input: &[u8]) -> bool {
    catch_unwind(|| bodies::run(target.name, input)).is_ok()
}

/// One to eight random changes of one input of the corpus.
fn mutated(corpus: &[Vec<u8>], len_max: usize, rng: &mut Rng) -> Vec<u8> {
    let mut input = pick(corpus, rng).clone();
    for _ in 0..=rng.below(8) {
        let at = rng.below(input.len() as u64 + 1) as usize;
        let end = at + rng.below((input.len() - at) as u64 + 1) as usize;
        let random = rng.next_u64();
        match rng.below(9) {
            0 if at < input.len() => input[at] ^= 1 << (random % 8),
            1 if at < input.len() => input[at] = random as u8,
            2 => input.insert(at, INTERESTING[(random % INTERESTING.len() as u64) as usize]),
            3 => drop(input.drain(at..end)),
            4 => drop(input.splice(at..at, input[at..end].to_vec())),
            5 => drop(input.splice(at..end, random.to_le_bytes())),
            6 => {
                let other = pick(corpus, rng);
                let from = rng.below(other.len() as u64 + 1) as usize;
                input.splice(at..end, other[from..].iter().copied());
            }
            7 => input.truncate(end),
            _ => input.extend(random.to_le_bytes()),
        }
    }
    input.truncate(len_max);
    input
}

fn pick<'a>(corpus: &'a [Vec<u8>], rng: &mut Rng) -> &'a Vec<u8> {
    &corpus[rng.below(corpus.len() as u64) as usize]
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "how long to go on; no result depends on it")]
    Instant::now()
}

/// Twenty-six targets, four at a time: with four cores a third of a minute, or seven minutes.
const SECS_SHORT: u64 = 3;
const SECS_LONG: u64 = 60;
/// On few cores several targets share one, so that the whole test still takes minutes.
const AT_ONCE_MIN: usize = 4;
const INTERESTING: [u8; 10] = [0, 1, 0x0a, 0x22, 0x2e, 0x2f, 0x7f, 0x80, 0xfe, 0xff];
