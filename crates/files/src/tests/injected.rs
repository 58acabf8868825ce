//! Lets each operation fail in turn: the fetch ends with an error that names the cause, no promised chunk is lost, and the same
//! fetch completes on a healthy disk.

use std::sync::Mutex;

use rustix::io::Errno;

use super::super::dir::Dir;
use super::super::tap::Op;
use super::bytes;
use super::disk::Disk;
use super::fetch::{Content, Heard, alone, each, folder};
use super::watch::{Plan, Tap, Watch, is_sync};
use crate::{Store as _, StoreError, TargetOptions, TargetStore, locked};
use swarm_core::base::Bitfield;

/// Results of fetches with a fault.
#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    ended_well: usize,
    failed: usize,
}

#[test]
fn each_operation_may_fail_once() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::MFILE] {
        let what = format!("{errno:?} once");
        let tally = check_faults(&what, &|at| Plan::Fail { at, errno }, &|error| {
            assert!(error.to_string().contains(&std::io::Error::from(errno).to_string()), "{error}");
            assert_eq!(error.is_full(), errno == Errno::NOSPC, "{error}");
        });
        assert!(tally.failed > 0 && tally.ended_well > 0, "{tally:?}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_now_does_not_count_as_bad() {
    let content = content();
    let [_, (_, half), _] = starts(&content);
    let numbers: Vec<usize> = (0..OPENING_OPS_MAX).collect();
    each(&numbers, |&at| {
        let folder = folder();
        half.restore(folder.path());
        let watch = Watch::new(Plan::NoDescriptors { at }, &Disk::of(folder.path()));
        let mut heard = Heard::default();
        let ended = content.fetch(folder.path(), &watch, &mut heard);
        match heard.opened {
            Some(opened) => assert!([0, 2, 5].iter().all(|chunk| opened.contains(chunk)), "{at}: {opened:?}"),
            None => assert!(ended.is_err()),
        }
    });
}

#[test]
fn a_disk_may_be_full_from_any_operation_on() {
    let full = |at| Plan::Full { at };
    let tally = check_faults("no space from here on", &full, &|error| assert!(error.is_full(), "{error}"));
    assert!(tally.failed > 0, "{tally:?}");
}

#[test]
fn every_sync_may_fail_from_any_operation_on() {
    let no_sync = |at| Plan::NoSync { at };
    let tally = check_faults("no sync from here on", &no_sync, &|error| {
        assert!(error.to_string().contains("cannot sync"), "{error}");
    });
    assert!(tally.failed > 0, "{tally:?}");
}

#[test]
fn interrupted_and_short_operations_are_continued() {
    let interrupted = |at| Plan::Fail { at, errno: Errno::INTR };
    let tally = check_faults("interrupted", &interrupted, &|error| panic!("{error}"));
    assert_eq!(tally.failed, 0);
    let short = |at| Plan::Short { at };
    let tally = check_faults("short", &short, &|error| panic!("{error}"));
    assert_eq!(tally.failed, 0);
}

#[test]
fn a_slow_sync_blocks_no_reader_or_writer() {
    check_slow("sync", is_sync);
}

#[test]
fn a_slow_write_blocks_no_reader() {
    let content = content();
    let (watch, arrivals, let_go) = Watch::holding(|op| matches!(op, Op::Write { offset: 16_384, .. }));
    let (folder, store) = opened(&content, &watch);
    content.write(&store, 0).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| content.write(&store, 1).unwrap());
        arrivals.recv().unwrap();
        content.check_read(&store, 0);
        drop(let_go);
    });
    finish(&content, &store);
    content.check_complete(folder.path());
}

/// Checks that chunks are written and read while an operation of a flush is delayed.
fn check_slow(what: &str, kind: fn(&Op<'_>) -> bool) {
    let content = content();
    let (watch, arrivals, let_go) = Watch::holding(kind);
    // Opening the store syncs the journal, which must not be delayed.
    let (folder, store) = std::thread::scope(|scope| {
        let opening = scope.spawn(|| opened(&content, &watch));
        while !opening.is_finished() {
            if arrivals.recv_timeout(std::time::Duration::from_millis(1)).is_ok() {
                let_go.send(()).unwrap();
            }
        }
        opening.join().unwrap()
    });
    content.write(&store, 0).unwrap();
    std::thread::scope(|scope| {
        let flushing = scope.spawn(|| store.flush().unwrap().len());
        arrivals.recv().unwrap_or_else(|_| panic!("no {what} came"));
        content.write(&store, 1).unwrap();
        content.check_read(&store, 0);
        content.check_read(&store, 1);
        drop(let_go);
        assert_eq!(flushing.join().unwrap(), 1, "what came during a flush is of the next");
    });
    assert_eq!(store.flush().unwrap().len(), 1);
    finish(&content, &store);
    content.check_complete(folder.path());
}

fn opened(content: &Content, watch: &std::sync::Arc<Watch>) -> (tempfile::TempDir, TargetStore) {
    let folder = folder();
    let dir = Dir::open(folder.path()).unwrap().tapped(Tap::of(watch));
    let (manifest, wanted) = (content.manifest.clone(), Bitfield::full(content.chunk_count()));
    let (store, _) = TargetStore::open_in(dir, manifest, wanted, TargetOptions::default(), &|_| {}).unwrap();
    (folder, store)
}

fn finish(content: &Content, store: &TargetStore) {
    (0..content.chunk_count()).for_each(|chunk| content.write(store, chunk).unwrap());
    store.finish().unwrap();
}

/// With zeros, whose place is made a hole.
fn content() -> Content {
    let mut film = bytes(1, 9 * 16_384 + 5);
    film[16_384 * 3..16_384 * 4].fill(0);
    Content::of(&[("d/film", film), ("song", bytes(2, 20_000)), ("e/empty", vec![])])
}

/// Lets each operation fail in turn, in a new fetch, in one that continues, and in one whose journal is in doubt.
fn check_faults(
    what: &str,
    plan: &(dyn Fn(usize) -> Plan + Sync),
    check: &(dyn Fn(&StoreError) + Sync),
) -> Tally {
    let content = content();
    let mut total = Tally::default();
    for (start, before) in starts(&content) {
        let count = alone(|| {
            let folder = folder();
            before.restore(folder.path());
            let watch = Watch::new(Plan::Nothing, &Disk::of(folder.path()));
            content.fetch(folder.path(), &watch, &mut Heard::default()).unwrap();
            watch.count()
        });
        let tally = Mutex::new(Tally::default());
        let numbers: Vec<usize> = (0..count).collect();
        each(&numbers, |&at| {
            let failed = check_fault(&content, &before, plan(at), check);
            locked(&tally).add(failed);
        });
        let tally = tally.into_inner().unwrap();
        println!("{what}, {start}: {tally:?}");
        total.failed += tally.failed;
        total.ended_well += tally.ended_well;
        total.runs += tally.runs;
    }
    total
}

fn check_fault(content: &Content, before: &Disk, plan: Plan, check: &(dyn Fn(&StoreError) + Sync)) -> bool {
    let folder = folder();
    before.restore(folder.path());
    let shown = format!("{plan:?}");
    let watch = Watch::new(plan, &Disk::of(folder.path()));
    let mut heard = Heard::default();
    let mut go = || {
        let ended = content.fetch(folder.path(), &watch, &mut heard);
        if let Err(error) = &ended {
            assert!(!error.to_string().contains('\n'), "{error}");
            check(error);
            content.check_resume(folder.path(), &heard.durable);
        }
        content.check_complete(folder.path());
        ended.is_err()
    };
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut go));
    checked.unwrap_or_else(|_| panic!("{shown}, the last: {:?}", watch.log().last()))
}

fn starts(content: &Content) -> [(&'static str, Disk); 3] {
    let folder = folder();
    let watch = Watch::new(Plan::Nothing, &Disk::default());
    let dir = Dir::open(folder.path()).unwrap().tapped(Tap::of(&watch));
    let wanted = Bitfield::full(content.chunk_count());
    let options = TargetOptions::default();
    let opened = TargetStore::open_in(dir, content.manifest.clone(), wanted, options, &|_| {});
    let (store, _) = opened.unwrap();
    for chunk in [0, 2, 5] {
        content.write(&store, chunk).unwrap();
    }
    store.flush().unwrap();
    drop(store);
    let half = Disk::of(folder.path());
    let mut damaged = half.clone();
    let journal = damaged.files.iter().position(|bytes| bytes.starts_with(b"swarmjnl")).unwrap();
    damaged.files[journal][70] ^= 1;
    [("from nothing", Disk::default()), ("going on", half), ("in doubt", damaged)]
}

/// More operations than opening a store takes, if it reads or writes no chunk.
const OPENING_OPS_MAX: usize = 40;

impl Tally {
    fn add(&mut self, failed: bool) {
        self.runs += 1;
        self.failed += usize::from(failed);
        self.ended_well += usize::from(!failed);
    }
}
