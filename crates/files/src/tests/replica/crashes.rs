//! Every crash of a small batch: after each of its operations, with every loss of bytes that the missing syncs allow. File systems keep
//! the order of their names, so that of names a crash loses the last ones; bytes are lost in any combination.

use std::collections::BTreeSet;
use std::path::Path;

use swarm_core::base::Rng;
use swarm_sync::{Op, OpKind, Replica as _};

use super::super::disk::{Disk, Fate, volatile};
use super::super::watch::{Done, Plan, Tap, Watch};
use super::{RUN, Side, op, path, put};
use crate::dir::Dir;
use crate::tap;
use crate::{FolderOptions, FolderReplica};

/// The texts that may stand under each name after a crash; an empty one stands for nothing.
type Allowed = &'static [(&'static str, &'static [&'static str])];

const BEFORE: &[(&str, &str)] = &[
    ("d/a", "the old text of a"),
    ("gone", "what is removed"),
    ("b", "what is moved"),
    ("x", "first"),
    ("y", "second"),
];

const ALLOWED: Allowed = &[
    ("d/a", &["the old text of a", "the new text of a"]),
    ("new", &["", "the text of a new file"]),
    ("gone", &["what is removed", ""]),
    ("b", &["what is moved", ""]),
    ("e/b", &["what is moved", ""]),
    ("x", &["first", "second", ""]),
    ("y", &["second", "first", ""]),
];

/// Stages, performs and settles a batch with one of each operation.
fn run(side: &mut Side) {
    let entries = ["d/a", "gone", "b", "x", "y"].map(|name| side.entry(name));
    let [a, gone, b, x, y] = entries;
    let staged = [side.stage("d/a", "the new text of a"), side.stage("new", "the text of a new file")];
    let to = |to: &str, from: &str, expected: &swarm_sync::Entry| {
        op(to, OpKind::Move { from: path(from) }, Some(expected.clone()))
    };
    let ops: Vec<(Op, _)> = vec![
        (op("e", OpKind::MakeFolder, None), None),
        (put("d/a", "the new text of a", Some(a)), Some(staged[0])),
        (put("new", "the text of a new file", None), Some(staged[1])),
        (to("e/b", "b", &b), None),
        (to(".swarm-move-1", "x", &x), None),
        (to("x", "y", &y), None),
        (to("y", ".swarm-move-1", &x), None),
        (op("gone", OpKind::Remove, Some(gone)), None),
    ];
    for done in side.replica.perform(RUN, ops) {
        done.unwrap();
    }
    side.replica.settle().unwrap();
}

#[test]
fn every_crash_leaves_the_old_or_the_new_and_loses_nothing() {
    check_crashes(Plan::Nothing);
}

#[test]
fn so_does_every_crash_where_entries_cannot_be_exchanged() {
    let kind = |op: &tap::Op<'_>| matches!(op, tap::Op::Exchange { .. });
    check_crashes(Plan::Refuse { kind, errno: rustix::io::Errno::INVAL });
}

fn check_crashes(plan: Plan) {
    let mut side = Side::of(BEFORE);
    let before = Disk::of(side.path());
    let watch = Watch::new(plan, &before);
    let dir = Dir::open(side.path()).unwrap().tapped(Tap::of(&watch));
    side.replica = FolderReplica::over(dir, FolderOptions::default()).unwrap();
    run(&mut side);
    let log = watch.log();
    let (mut known, mut states, mut returned) = (BTreeSet::new(), 0, 0);
    for end in 0..=log.len() {
        for (what, fates) in fates(&log[..end], end as u64) {
            let disk = before.after(&log[..end], &fates);
            if end == log.len() {
                check_settled(&disk, &what);
            }
            if known.insert(*disk.sum().as_bytes()) {
                let last = end.checked_sub(1).map(|last| &log[last]);
                returned +=
                    usize::from(check_state(&disk, &format!("after operation {end}, {last:?}: {what}")));
                states += 1;
            }
        }
    }
    println!("{} operations, {states} states, {returned} with an entry beside the tree", log.len());
    assert!(states > 30 && returned > 0, "{states} states");
}

/// What a crash at the end of this log may lose: so many of the last names, and any bytes.
pub(super) fn fates(log: &[Done], seed: u64) -> Vec<(String, Vec<Fate>)> {
    let volatile = volatile(log);
    let (bytes, names): (Vec<_>, Vec<_>) = volatile
        .into_iter()
        .partition(|&index| matches!(log[index], Done::Write { .. } | Done::SetLen { .. }));
    let mut all = Vec::new();
    for kept in 0..=names.len() {
        let mut fates = vec![Fate::Kept; log.len()];
        names[kept..].iter().for_each(|&index| fates[index] = Fate::Lost);
        for fate in [Fate::Kept, Fate::Lost, Fate::Zeros, Fate::Garbage, Fate::Torn(seed)] {
            let mut fates = fates.clone();
            bytes.iter().for_each(|&index| fates[index] = fate);
            all.push((format!("{kept} names kept, bytes {fate:?}"), fates));
        }
        let mut rng = Rng::seeded(seed << 8 | kept as u64);
        bytes.iter().for_each(|&index| {
            fates[index] = if rng.below(2) == 0 { Fate::Lost } else { Fate::Kept };
        });
        all.push((format!("{kept} names kept, some bytes"), fates));
    }
    all
}

/// After the batch was settled a crash undoes nothing of it.
fn check_settled(disk: &Disk, what: &str) {
    let text =
        |name: &str| String::from_utf8_lossy(disk.read(Path::new(name)).unwrap_or_default()).into_owned();
    let settled = ["d/a", "new", "e/b", "x", "y", "gone", "b"].map(text);
    let expected =
        ["the new text of a", "the text of a new file", "what is moved", "second", "first", "", ""];
    assert_eq!(settled, expected, "settled: {what}");
}

/// Recovers a state of the disk, and checks it. Says whether an entry stood beside the tree.
fn check_state(disk: &Disk, what: &str) -> bool {
    let side = Side::new();
    disk.restore(side.path());
    let has_left = !side.beside().is_empty();
    side.replica.recover().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(side.beside(), [""; 0], "{what}");
    let kept = side.kept();
    let standing = |name: &str| {
        let at = side.path().join(name);
        if at.exists() { side.read(name) } else { String::new() }
    };
    for (name, texts) in ALLOWED {
        let text = standing(name);
        assert!(texts.contains(&text.as_str()), "{what}: {name} has {text:?}");
    }
    // Whatever stood there before stands somewhere.
    let everywhere: Vec<String> =
        ALLOWED.iter().map(|(name, _)| standing(name)).chain([standing(".swarm-move-1")]).collect();
    for (name, text) in BEFORE {
        let is_kept = kept.lines().any(|line| line.ends_with(text));
        assert!(is_kept || everywhere.iter().any(|there| there == text), "{what}: {name} is lost\n{kept}");
    }
    // A version is what stood there, whole.
    for line in kept.lines() {
        let is_whole = BEFORE.iter().any(|(_, text)| line.ends_with(text));
        assert!(is_whole, "{what}: kept {line}");
    }
    // What stood under a temporary name returned or went on.
    assert!(!side.path().join(".swarm-move-1").exists(), "{what}");
    // A second recovery finds nothing to do.
    let after = Disk::of(side.path());
    side.replica.recover().unwrap();
    assert_eq!(Disk::of(side.path()), after, "{what}");
    has_left
}
