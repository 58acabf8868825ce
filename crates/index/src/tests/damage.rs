//! A file that is not what was written: an error or a good answer, never a panic, never a wait without end.

use std::fs;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;
use rusqlite::Connection;
use swarm_sync::{Index, IndexStep, RunId, Side};

use super::twin::{conflict, deed};
use super::{agreed, file, path, place, quick, seen};
use crate::{IndexError, SqliteIndex};

/// An index with something in each table.
fn fill(at: &Path) {
    let mut index = quick(at).expect("opened");
    let names: Vec<_> = (0..600).map(|number| format!("folder {}/file {number}", number % 7)).collect();
    agreed(&mut index, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let rng = &mut Rng::with_seed(1);
    let run = RunId::at_ms(5);
    index.begin_run(run, 5).expect("begun");
    let text = vec![7; 20_000];
    let mut steps = vec![IndexStep::KeepText(swarm_sync::ContentHash::of(&text), text)];
    steps.extend((0..200).map(|number| seen(Side::Local, &names[number], Some(file("new", 9)))));
    steps.extend((0..100).map(|_| IndexStep::Deed(run, Box::new(deed(rng)))));
    steps.push(IndexStep::Conflicts((0..20).map(|id| conflict(rng, id)).collect()));
    index.apply(steps).expect("applied");
}

/// Asks for everything, and changes something in each table.
fn use_all(at: &Path) -> Result<(), IndexError> {
    let mut index = quick(at)?;
    let mut worst = index.verify();
    let mut note = |result: Result<(), IndexError>| {
        if result.is_err() {
            worst = result;
        }
    };
    for side in Side::BOTH {
        note(index.known(side, None)?.try_for_each(|row| row.map(drop)));
        note(index.entry(side, &path("folder 1/file 8")).map(drop));
    }
    note(index.differences().map(drop));
    note(index.counts().map(drop));
    note(index.conflicts().map(drop));
    note(index.choices().map(drop));
    note(index.deeds(RunId::at_ms(5)).map(drop));
    note(index.deeds_of_path(&path("a")).map(drop));
    note(index.runs(9).map(drop));
    note(index.text(&swarm_sync::ContentHash::of(&[7; 20_000])).map(drop));
    note(index.apply(vec![
        IndexStep::Moved { side: Side::Remote, from: path("folder 1"), to: path("folder 8") },
        seen(Side::Local, "new", Some(file("new", 1))),
        IndexStep::Agree(path("folder 2/file 2")),
        IndexStep::Conflicts(Vec::new()),
    ]));
    note(index.prune_runs(0).map(drop));
    note(index.differences().map(drop));
    worst
}

#[test]
fn random_damage_gives_an_error_or_a_good_answer() {
    let (_folder, at) = place();
    fill(&at);
    let whole = fs::read(&at).expect("read");
    use_all(&at).expect("whole");
    let mut errors = 0;
    for seed in 0..200 {
        let rng = &mut Rng::with_seed(seed);
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..20) {
            let (start, len) = (rng.usize(..bytes.len()), rng.usize(1..64));
            let end = (start + len).min(bytes.len());
            bytes[start..end].fill_with(|| rng.u8(..));
        }
        if rng.u8(0..10) == 0 {
            bytes.truncate(rng.usize(..bytes.len()));
        }
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", at.to_str().expect("UTF-8")));
        }
        fs::write(&at, bytes).expect("written");
        match use_all(&at) {
            Ok(()) => {}
            Err(IndexError::Damaged { .. } | IndexError::Newer { .. } | IndexError::Foreign { .. }) => {
                errors += 1
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(errors > 100, "only {errors} of 200 were noticed");
}

/// A page may be whole and its keys not: a cursor that went on after such a key could go round for ever.
#[test]
fn paths_out_of_order_are_damage() {
    let (_folder, at) = place();
    let names: Vec<_> = (100..200).map(|number| format!("middle {number}")).collect();
    let mut index = SqliteIndex::open(&at).expect("opened");
    agreed(&mut index, &names.iter().map(String::as_str).collect::<Vec<_>>());
    index.apply(vec![seen(Side::Local, "middle 150", None)]).expect("applied");
    drop(index);
    let mut bytes = fs::read(&at).expect("read");
    let (good, bad) = (b"middle 150", b"before 150");
    let places: Vec<_> = (0..bytes.len() - good.len()).filter(|at| bytes[*at..].starts_with(good)).collect();
    assert!(places.len() >= 3, "a side, the base, and what is open");
    for place in places {
        bytes[place..place + bad.len()].copy_from_slice(bad);
    }
    fs::write(&at, bytes).expect("written");
    let index = SqliteIndex::open(&at).expect("opened");
    let known: Result<Vec<_>, _> = index.known(Side::Remote, None).expect("known").collect();
    assert!(
        matches!(&known, Err(IndexError::Damaged { what, .. }) if what == "paths are out of order"),
        "{known:?}"
    );
}

#[test]
fn what_is_no_index_is_refused_and_left_as_it_is() {
    let check = |make: &dyn Fn(&Path), expected: &str| {
        let (_folder, at) = place();
        make(&at);
        let before = fs::read(&at).expect("read");
        let error = SqliteIndex::open(&at).expect_err("refused").to_string();
        let error = error.replace(at.to_str().expect("UTF-8"), "pair.index");
        assert_eq!(error, expected);
        assert_eq!(fs::read(&at).expect("read"), before);
    };
    let sql = |at: &Path, sql: &str| Connection::open(at).expect("opened").execute_batch(sql).expect("done");
    check(
        &|at| {
            SqliteIndex::open(at).map(drop).expect("made");
            sql(at, "PRAGMA user_version = 7");
        },
        "`pair.index` was written by a newer swarm (its format is 7, this one knows 2): update swarm, or move the file away: then both sides are merged and nothing is deleted",
    );
    check(
        &|at| sql(at, "CREATE TABLE t (x)"),
        "`pair.index` is the database of another program: move the file away: then both sides are merged and nothing is deleted",
    );
    check(
        &|at| fs::write(at, vec![b'x'; 5000]).expect("written"),
        "`pair.index` is damaged (file is not a database): move the file away: then both sides are merged and nothing is deleted",
    );
}

#[test]
fn a_damaged_file_is_set_aside_with_its_log() {
    let (folder, at) = place();
    let log = folder.path().join("pair.index-wal");
    fs::write(&at, "no index").expect("written");
    fs::write(&log, "its log").expect("written");
    let aside = SqliteIndex::set_aside(&at, "20261129T101500.123Z").expect("renamed");
    assert_eq!(aside, folder.path().join("pair.index.damaged-20261129T101500.123Z"));
    assert_eq!(fs::read_to_string(&aside).expect("read"), "no index");
    assert!(!at.exists() && !log.exists());
    fs::write(&log, vec![1; 9000]).expect("a log whose file was renamed and that stayed behind");
    SqliteIndex::open(&at).and_then(|index| index.verify()).expect("a new one");
    assert!(SqliteIndex::set_aside(&at, "20261129T101500.123Z").is_err(), "nothing is overwritten");
}

/// Every prefix of the log is what a power cut may leave: it holds a whole number of transactions.
#[test]
fn a_torn_log_gives_back_a_whole_number_of_steps() {
    let (folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    for number in 0..20 {
        let both = Side::BOTH.map(|side| seen(side, &format!("{number:02}"), Some(file("x", 1))));
        index.apply(both.into()).expect("applied");
    }
    let (main, log) =
        (fs::read(&at).expect("read"), fs::read(folder.path().join("pair.index-wal")).expect("a log"));
    let mut before = 0;
    for len in (0..=log.len()).step_by(1999).chain([log.len()]) {
        let torn = folder.path().join("torn");
        fs::write(&torn, &main).expect("written");
        fs::write(folder.path().join("torn-wal"), &log[..len]).expect("written");
        let index = SqliteIndex::open(&torn).expect("opened");
        index.verify().expect("whole");
        let totals = index.totals().expect("counted");
        assert_eq!(totals.local, totals.remote);
        assert!(totals.local >= before);
        before = totals.local;
    }
    assert_eq!(before, 20);
}

/// Runs itself as another process, which is killed in the middle of a transaction.
#[test]
fn what_was_applied_is_there_after_the_writer_is_killed() {
    const PLACE: &str = "SWARM_INDEX_TEST_PLACE";
    if let Some(at) = std::env::var_os(PLACE) {
        let mut index = SqliteIndex::open(Path::new(&at)).expect("opened");
        agreed(&mut index, &["a", "b"]);
        let _never: Result<(), _> = index.write(|db| {
            db.execute("DELETE FROM base", [])?;
            std::process::abort();
        });
    }
    let (_folder, at) = place();
    let name = "tests::damage::what_was_applied_is_there_after_the_writer_is_killed";
    let told = Command::new(std::env::current_exe().expect("a name"))
        .args([name, "--exact"])
        .env(PLACE, &at)
        .output()
        .expect("it runs");
    assert!(!told.status.success(), "it was to be killed");
    let index = SqliteIndex::open(&at).expect("opened");
    assert_eq!(index.counts().expect("counted").base, 2);
    index.verify().expect("whole");
}
