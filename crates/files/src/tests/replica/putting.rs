//! A file is put in the place of another: every crash of that, and somebody who edits in the midst of it.

use std::path::Path;

use rustix::io::Errno;

use super::super::disk::{Disk, Fate, volatile};
use super::super::watch::{Act, Plan, Tap, Watch};
use super::crashes::fates;
use super::{RUN, Side, path};
use crate::dir::Dir;
use crate::replica::{NewFile, PutError, Replaces};
use crate::tap::Op;

const OLD: &str = "the old text";
const NEW: &str = "the new text";

fn put(folder: &Path, watch: &std::sync::Arc<Watch>) -> Result<(), PutError> {
    let mut new = NewFile::begin_in(Dir::open(folder)?.tapped(Tap::of(watch)), "one")?;
    new.write(NEW.as_bytes())?;
    new.put(&path("d/a"), Replaces::File(blake3::hash(OLD.as_bytes()).into(), RUN))
}

#[test]
fn every_crash_leaves_the_old_file_at_its_place_or_kept() {
    check_crashes(Plan::Nothing);
}

#[test]
fn so_does_every_crash_where_files_cannot_be_exchanged() {
    check_crashes(Plan::Refuse { kind: is_exchange, errno: Errno::INVAL });
}

fn is_exchange(op: &Op<'_>) -> bool {
    matches!(op, Op::Exchange { .. })
}

fn check_crashes(plan: Plan) {
    let side = Side::of(&[("d/a", OLD)]);
    let before = Disk::of(side.path());
    let watch = Watch::new(plan, &before);
    put(side.path(), &watch).unwrap();
    let log = watch.log();
    for end in 0..=log.len() {
        for (what, fates) in fates(&log[..end], end as u64) {
            check_state(&before.after(&log[..end], &fates), &format!("after {end} operations: {what}"));
        }
    }
    let mut lost = vec![Fate::Kept; log.len()];
    volatile(&log).into_iter().for_each(|index| lost[index] = Fate::Lost);
    let settled = before.after(&log, &lost);
    assert_eq!(settled.read(Path::new("d/a")), Some(NEW.as_bytes()), "what was put is durable");
}

/// Starts again on a state of the disk: what the user had is there.
fn check_state(disk: &Disk, what: &str) {
    let side = Side::new();
    disk.restore(side.path());
    NewFile::remove_leftovers(side.path()).unwrap();
    let stands = side.path().join("d/a").exists().then(|| side.read("d/a"));
    let kept = side.kept();
    assert!(stands.is_none_or(|text| [OLD, NEW].contains(&text.as_str())), "{what}");
    let is_there = side.path().join("d/a").exists() && side.read("d/a") == OLD;
    assert!(is_there || kept.lines().any(|line| line.ends_with(OLD)), "{what}: lost\n{kept}");
}

#[test]
fn an_edit_in_the_midst_of_it_stays() {
    for edit in ["another text", ""] {
        let side = Side::of(&[("d/a", OLD)]);
        let at = side.path().join("d/a");
        let act = Act::of(move || std::fs::write(at, edit).unwrap());
        let watch = Watch::new(Plan::Meanwhile { kind: is_exchange, act }, &Disk::of(side.path()));
        let error = put(side.path(), &watch).expect_err("somebody edited it");
        assert!(matches!(error, PutError::Stands(_)), "{error}");
        assert_eq!(side.read("d/a"), edit);
        assert_eq!(side.kept(), "", "nothing of the new file is left");
    }
}

#[test]
fn a_file_that_is_removed_in_the_midst_of_it_stays_removed() {
    let side = Side::of(&[("d/a", OLD)]);
    let at = side.path().join("d/a");
    let act = Act::of(move || std::fs::remove_file(at).unwrap());
    let watch = Watch::new(Plan::Meanwhile { kind: is_exchange, act }, &Disk::of(side.path()));
    put(side.path(), &watch).expect_err("it is gone");
    assert!(!side.path().join("d/a").exists());
    assert_eq!(side.kept(), "");
}
