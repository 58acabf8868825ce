//! Random steps on a file and on an index in memory: both give the same answers.

use fastrand::Rng;
use swarm_sync::{
    Choice, Conflict, ConflictId, ConflictKind, ContentHash, Deed, DeedEnd, Entry, FileContent, FileId,
    Index, IndexStep, Kind, MemoryIndex, Observation, Op, OpKind, PerSide, Rebase, RunId, Side, Stamp,
    TreePath,
};

use super::{path, place, quick};
use crate::SqliteIndex;

#[test]
fn random_steps_give_what_an_index_in_memory_gives() {
    for seed in 0..30 {
        let rng = &mut Rng::with_seed(seed);
        let (_folder, at) = place();
        let mut index = quick(&at).expect("opened");
        let mut twin = MemoryIndex::default();
        for turn in 0..60 {
            let steps = if rng.u8(0..15) == 0 { vanish(rng, &twin) } else { some_steps(rng) };
            index.apply(steps.clone()).expect("applied");
            twin.apply(steps.clone()).expect("applied");
            if rng.u8(0..3) == 0 {
                let (found, expected) =
                    (index.differences().expect("found"), twin.differences().expect("found"));
                assert_eq!(found, expected, "seed {seed}, turn {turn}, after {steps:?}");
            }
            if rng.u8(0..8) == 0 {
                drop(index);
                index = quick(&at).expect("opened again");
            }
            check(&index, &twin, rng, &format!("seed {seed}, turn {turn}, after {steps:?}"));
        }
        index.verify().expect("whole");
    }
}

/// Every answer is the same.
fn check(index: &SqliteIndex, twin: &MemoryIndex, rng: &mut Rng, context: &str) {
    let place = (rng.u8(0..3) == 0).then(|| some_path(rng));
    for side in Side::BOTH {
        let known: Vec<_> =
            index.known(side, place.as_ref()).expect("known").map(|row| row.expect("a row")).collect();
        let expected: Vec<_> = twin
            .known(side, place.as_ref())
            .expect("known")
            .map(|row| row.unwrap_or_else(|never| match never {}))
            .collect();
        assert_eq!(known, expected, "{context}");
        let one = some_path(rng);
        assert_eq!(index.entry(side, &one).expect("read").as_ref(), twin.side(side).get(&one), "{context}");
    }
    let counts = index.counts().expect("counted");
    assert_eq!(counts.base, twin.base().len() as u64, "{context}");
    assert_eq!(Ok(counts.sides), twin.totals(), "{context}");
    for (path, base) in twin.base() {
        assert_eq!(index.base(path).expect("read").as_ref(), Some(base), "{path}, {context}");
    }
    assert_eq!(Ok(index.choices().expect("read")), twin.choices(), "{context}");
    let mut conflicts: Vec<_> = twin.conflicts().to_vec();
    conflicts.sort_by(|one, other| (&one.path, one.id).cmp(&(&other.path, other.id)));
    let found: Vec<_> = index.conflicts().expect("read").into_iter().map(|(conflict, _)| conflict).collect();
    assert_eq!(found, conflicts, "{context}");
    let text = some_text(rng);
    let hash = ContentHash::of(&text);
    assert_eq!(Ok(index.text(&hash).expect("read")), twin.text(&hash), "{context}");
    let run = some_run(rng);
    assert_eq!(Ok(index.deeds(run).expect("read")), twin.deeds(run), "{context}");
}

fn some_steps(rng: &mut Rng) -> Vec<IndexStep> {
    (0..rng.usize(1..12)).map(|_| step(rng)).collect()
}

/// All of a side goes away: what comes next is taken for a first load.
fn vanish(rng: &mut Rng, twin: &MemoryIndex) -> Vec<IndexStep> {
    let side = some_side(rng);
    let gone = |path: &TreePath| IndexStep::Observe(side, Observation { path: path.clone(), entry: None });
    twin.side(side).keys().map(gone).collect()
}

fn step(rng: &mut Rng) -> IndexStep {
    let side = some_side(rng);
    match rng.u8(0..24) {
        0 => IndexStep::Moved { side, from: some_path(rng), to: some_path(rng) },
        1..=5 => IndexStep::Agree(some_path(rng)),
        6 => {
            let to = rng.bool().then(|| some_path(rng));
            IndexStep::Rebase(vec![Rebase { from: some_path(rng), to }])
        }
        7 => {
            let text = some_text(rng);
            IndexStep::KeepText(ContentHash::of(&text), text)
        }
        8 => IndexStep::Deed(some_run(rng), Box::new(deed(rng))),
        9 => {
            let ids = (0..4).filter(|_| rng.bool()).collect::<Vec<_>>();
            IndexStep::Conflicts(ids.into_iter().map(|id| conflict(rng, id)).collect())
        }
        10 => {
            let choice = rng.bool().then(|| some_choice(rng));
            IndexStep::Choose(ConflictId([rng.u8(0..4); 8]), choice)
        }
        _ => {
            let entry = (rng.u8(0..4) > 0).then(|| entry(rng));
            IndexStep::Observe(side, Observation { path: some_path(rng), entry })
        }
    }
}

fn some_side(rng: &mut Rng) -> Side {
    if rng.bool() { Side::Local } else { Side::Remote }
}

/// Few paths, near each other in order: their ranges begin and end at each other.
fn some_path(rng: &mut Rng) -> TreePath {
    let names = ["a", "a!", "a\u{1}", "ab", "é"];
    let depth = [1, 1, 1, 2, 3][rng.usize(..5)];
    let components: Vec<_> = (0..depth).map(|_| names[rng.usize(..names.len())]).collect();
    path(&components.join("/"))
}

fn entry(rng: &mut Rng) -> Entry {
    let kind = match rng.u8(0..6) {
        0 => Kind::Folder,
        1 => Kind::Symlink { target: ["", "../x"][rng.usize(..2)].into() },
        _ => {
            let hash = ContentHash([rng.u8(0..2); 32]);
            Kind::File(FileContent { len: u64::MAX, hash, executable: rng.u8(0..4) == 0 })
        }
    };
    let id = rng.bool().then(|| FileId { device: u64::MAX - rng.u64(0..2), inode: rng.u64(0..3) });
    Entry { kind, modified_ns: rng.i64(-2..2), stamp: Stamp { id, changed_ns: rng.i64(-1..1) } }
}

fn some_text(rng: &mut Rng) -> Vec<u8> {
    vec![b'x'; rng.usize(0..4)]
}

fn some_run(rng: &mut Rng) -> RunId {
    RunId::at_ms(1_795_947_300_000 + rng.u64(0..3))
}

fn some_choice(rng: &mut Rng) -> Choice {
    let settled = Choice::Settled { len: 3, hash: ContentHash::of(&some_text(rng)), executable: true };
    [Choice::KeepLocal, Choice::KeepRemote, Choice::KeepBoth, settled][rng.usize(..4)]
}

pub(super) fn deed(rng: &mut Rng) -> Deed {
    let expected = rng.bool().then(|| Box::new(entry(rng)));
    let kind = if rng.bool() { OpKind::Remove } else { OpKind::Move { from: some_path(rng) } };
    let op = Op { path: some_path(rng), kind, expected };
    let end = if rng.bool() { DeedEnd::Intended } else { DeedEnd::Done { now: None, kept: None } };
    Deed { number: rng.u64(0..5), side: some_side(rng), op, end }
}

pub(super) fn conflict(rng: &mut Rng, id: u8) -> Conflict {
    Conflict {
        id: ConflictId([id; 8]),
        path: some_path(rng),
        kind: ConflictKind::SimultaneousEdit,
        versions: PerSide::default(),
        base: None,
        detail: "é\n\"".into(),
        holds: Vec::new(),
    }
}
