//! The journal of a fetch, and the cache of an index.

use swarm_core::manifest::Manifest;
use swarm_files::fuzzing::{self, Recovery};
use swarm_files::limits::JOURNAL_RECORD_RUNS_MAX;

use super::pieces::manifest_of;
use super::{SLACK_LEN, Samples, bounded};

/// The first byte selects the rest: a whole journal, the part after a valid header, or records whose checksums are corrected.
pub(super) fn journal(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let manifest = manifest();
    match mode % 3 {
        0 => check_journal(&manifest, rest),
        1 => check_journal(&manifest, &[fuzzing::journal(&manifest, &[]), rest.to_vec()].concat()),
        _ => check_records(&manifest, rest),
    }
}

fn manifest() -> Manifest {
    manifest_of(&[("a", 100_000), ("b", 40_000)])
}

/// Either the journal is in doubt and nothing is believed, or the believed records encode to these bytes up to the torn end.
fn check_journal(manifest: &Manifest, bytes: &[u8]) {
    let recovery = bounded(bytes.len(), (JOURNAL_TIMES, SLACK_LEN), || fuzzing::recover(manifest, bytes));
    let Recovery { existed, doubt, records, end } = &recovery;
    assert_eq!(*existed, !bytes.is_empty());
    assert!(*end <= bytes.len() && (!*doubt || records.is_empty()));
    if let Some(body) = fuzzing::journal_body(bytes) {
        assert_eq!(blake3::hash(body).as_bytes(), &bytes[12..44]);
    }
    records.iter().for_each(|(is_of_files, runs)| {
        assert!(runs.len() <= JOURNAL_RECORD_RUNS_MAX);
        let len =
            if *is_of_files { manifest.files().len() as u32 } else { manifest.geometry().chunk_count() };
        let claimed = bounded(len as usize, (8, SLACK_LEN), || fuzzing::claimed(runs, len));
        assert!(
            claimed
                .is_none_or(|numbers| numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|n| *n < len))
        );
    });
    // A record without runs is valid, but no journal writes one.
    if !doubt && *existed && records.iter().all(|(_, runs)| !runs.is_empty()) {
        assert_eq!(fuzzing::journal(manifest, records), bytes[..*end]);
    }
}

/// Every record is recovered; after a cut, every record before it.
fn check_records(manifest: &Manifest, bytes: &[u8]) {
    let [cut, bytes @ ..] = bytes else { return };
    let mut records = Vec::new();
    for record in bytes.split(|byte| *byte == END) {
        let [kind, runs @ ..] = record else { continue };
        let runs: Vec<(u32, u32)> = runs
            .chunks_exact(3)
            .map(|run| (u32::from(run[0]) << (run[2] & 31), u32::from(run[1]) << (run[2] >> 5)))
            .collect();
        if !runs.is_empty() {
            records.push((kind % 2 == 1, runs));
        }
    }
    let written = fuzzing::journal(manifest, &records);
    check_journal(manifest, &written);
    let whole = fuzzing::recover(manifest, &written);
    assert_eq!((whole.doubt, whole.end), (false, written.len()));
    assert_eq!(whole.records, records);
    let header_len = fuzzing::journal(manifest, &[]).len();
    let cut = header_len + (written.len() - header_len) * usize::from(*cut) / 256;
    let torn = fuzzing::recover(manifest, &written[..cut]);
    assert!(!torn.doubt && torn.end <= cut && records.starts_with(&torn.records));
}

pub(super) fn journal_samples() -> Samples {
    let records = [(true, vec![(0, 2)]), (false, vec![(0, 3), (5, 1)]), (false, vec![(3, 2)])];
    let whole = fuzzing::journal(&manifest(), &records);
    let header_len = fuzzing::journal(&manifest(), &[]).len();
    let of = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    vec![
        ("whole", of(0, &whole)),
        ("torn", of(0, &whole[..whole.len() - 5])),
        ("empty", of(0, b"")),
        ("records", of(1, &whole[header_len..])),
        ("zeros", of(1, &[0; 64])),
        ("too_long", of(1, &[0xff; 64])),
        ("made", of(2, &[200, 1, 0, 2, 0, END, 0, 0, 3, 0, 5, 1, 0])),
        ("overlapping", of(2, &[&[128, 0][..], &[0, 9, 0].repeat(60)].concat())),
        ("past_the_end", of(2, &[255, 0, 200, 200, 0xf8])),
    ]
}

/// The first byte selects whether the checksum is corrected. A decoded cache file survives being written.
pub(super) fn cache(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let sealed;
    let file = if mode % 2 == 0 {
        rest
    } else {
        sealed = [blake3::hash(rest).as_bytes().as_slice(), rest].concat();
        &sealed
    };
    let written = bounded(file.len(), (CACHE_TIMES, SLACK_LEN), || fuzzing::index_cache(file));
    if let Some(written) = written {
        assert_eq!(fuzzing::index_cache(&written).as_ref(), Some(&written));
    }
}

pub(super) fn cache_samples() -> Samples {
    let hash = "ab".repeat(32);
    let line = |entry: &str, log2: u8, hashes: &str| {
        format!(
            r#"{{"entry":"{entry}","len":5,"mtime":[1,2],"ctime":[-1,-999999999],"inode":7,"device":8,"blake3":"{hash}","sha256":"","chunk_len_log2":{log2},"chunk_hashes":"{hashes}"}}"#
        )
    };
    let of = |mode: u8, text: String| [&[mode], text.as_bytes()].concat();
    let body = format!("[{},{}]", line("a", 0, ""), line("b/c", 20, &hash.repeat(2)));
    let whole = [blake3::hash(body.as_bytes()).as_bytes().as_slice(), body.as_bytes()].concat();
    vec![
        ("whole", [&[0][..], &whole].concat()),
        ("lines", of(1, body)),
        ("nothing", of(1, "[]".to_owned())),
        ("odd_hash", of(1, format!("[{}]", line("a", 255, "abc")))),
        (
            "far_time",
            of(
                1,
                format!(
                    "[{}]",
                    line("a", 0, "").replace("[1,2]", "[9223372036854775807,9223372036854775807]")
                ),
            ),
        ),
        ("cut", of(1, "[{\"entry\":\"".to_owned())),
    ]
}

/// Parts records in what is made of bytes.
const END: u8 = 0xee;
/// A record of nothing has 21 bytes and stands for a struct of 32, in a list that doubles; twice, as its shape is changed.
const JOURNAL_TIMES: u64 = 12;
/// Everything is read, turned into bytes, and written again.
const CACHE_TIMES: u64 = 16;
