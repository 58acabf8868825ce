//! What commands ask: conflicts, runs, deeds by time and by path, settings, texts within their bounds.

use fastrand::Rng;
use swarm_sync::{Choice, ConflictId, ContentHash, Deed, DeedEnd, Index, IndexStep, Op, OpKind, RunId, Side};

use super::twin::conflict;
use super::{path, place};
use crate::{SqliteIndex, texts};

fn moved(number: u64, from: &str, to: &str) -> Deed {
    let op = Op { path: path(to), kind: OpKind::Move { from: path(from) }, expected: None };
    Deed { number, side: Side::Remote, op, end: DeedEnd::Intended }
}

#[test]
fn deeds_are_found_by_time_and_by_either_path() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    for at_ms in [10, 20, 30] {
        let run = RunId::at_ms(at_ms);
        index.begin_run(run, at_ms).expect("begun");
        let steps = [moved(0, "a", "b"), moved(1, "b", "c")];
        let steps = steps.map(|deed| IndexStep::Deed(run, Box::new(deed)));
        index.apply(steps.into()).expect("applied");
        index.end_run(run, at_ms + 5, "{}").expect("ended");
    }
    let check = |found: Vec<(RunId, Deed)>, expected: &[(u64, u64)]| {
        let found: Vec<_> = found.iter().map(|(run, deed)| (run.ms(), deed.number)).collect();
        assert_eq!(found, expected);
    };
    check(index.deeds_since(20, 3).expect("read"), &[(20, 0), (20, 1), (30, 0)]);
    check(index.deeds_of_path(&path("a")).expect("read"), &[(30, 0), (20, 0), (10, 0)]);
    check(index.deeds_of_path(&path("c")).expect("read"), &[(30, 1), (20, 1), (10, 1)]);
    let runs = index.runs(2).expect("read");
    assert_eq!(runs.iter().map(|run| run.started_ms).collect::<Vec<_>>(), [30, 20]);
    assert_eq!((runs[0].ended_ms, runs[0].summary.as_deref()), (Some(35), Some("{}")));
    assert_eq!(index.prune_runs(5).expect("pruned"), 0);
    assert_eq!(index.prune_runs(1).expect("pruned"), 2);
    check(index.deeds_since(0, 9).expect("read"), &[(30, 0), (30, 1)]);
    assert_eq!(index.prune_runs(0).expect("pruned"), 1);
    check(index.deeds_since(0, 9).expect("read"), &[]);
}

#[test]
fn a_conflict_that_stays_keeps_the_time_when_it_was_seen_first() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    let rng = &mut Rng::with_seed(1);
    for (at_ms, ids) in [(10, vec![1, 2]), (20, vec![2, 3])] {
        index.begin_run(RunId::at_ms(at_ms), at_ms).expect("begun");
        let conflicts = ids.into_iter().map(|id| conflict(rng, id)).collect();
        index.apply(vec![IndexStep::Conflicts(conflicts)]).expect("applied");
    }
    let mut seen: Vec<_> =
        index.conflicts().expect("read").into_iter().map(|(found, at)| (found.id, at)).collect();
    seen.sort();
    assert_eq!(seen, [(ConflictId([2; 8]), 10), (ConflictId([3; 8]), 20)]);
}

#[test]
fn settings_are_there_after_a_restart() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    index.set_meta("roots", "[\"a\"]").expect("set");
    index.set_meta("roots", "[\"b\"]").expect("set");
    drop(index);
    let index = SqliteIndex::open(&at).expect("opened");
    assert_eq!(index.meta("roots").expect("read").as_deref(), Some("[\"b\"]"));
    assert_eq!(index.meta("labels").expect("read"), None);
}

#[test]
fn the_texts_kept_longest_ago_are_dropped_unless_they_are_decisions() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    let text = |number: u8| vec![number; 1000];
    let hash = |number: u8| ContentHash::of(&text(number));
    let keep = |number: u8| IndexStep::KeepText(hash(number), text(number));
    let settled = Choice::Settled { len: 1000, hash: hash(0), executable: false };
    let again = keep(1);
    index.apply((0..6).map(keep).chain([again]).collect()).expect("applied");
    index.apply(vec![IndexStep::Choose(ConflictId([1; 8]), Some(settled))]).expect("applied");
    let left = |index: &SqliteIndex| -> Vec<u8> {
        (0..6).filter(|number| index.text(&hash(*number)).expect("read").is_some()).collect()
    };
    index.write(|db| texts::prune(db, 6000)).expect("pruned");
    assert_eq!(left(&index), [0, 1, 2, 3, 4, 5]);
    index.write(|db| texts::prune(db, 3500)).expect("pruned");
    assert_eq!(left(&index), [0, 1, 5]);
    index.write(|db| texts::prune(db, 0)).expect("pruned");
    assert_eq!(left(&index), [0]);
}
