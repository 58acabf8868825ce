//! Contents beside the tree.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::io::Errno;
use swarm_sync::{Entry, FileContent, Replica as _, ReplicaError, StageJob};

use super::super::watch::Plan;
use super::{LONG_AGO_NS, Side, beside, changed, content, path};
use crate::tap::Op;

/// A job that copies what was observed on another side.
fn job(from: &Side, name: &str, entry: &Entry) -> StageJob {
    let source = from.replica.source(&path(name), entry);
    StageJob {
        path: path(name),
        standing: None,
        content: *entry.file().unwrap(),
        modified_ns: LONG_AGO_NS,
        source,
    }
}

#[test]
fn a_copy_has_the_bytes_the_time_and_the_bit_of_its_source() {
    let long = "0123456789abcdef".repeat(200_000);
    let mut from = Side::of(&[("run", "#!/bin/sh\n"), ("long", &long), ("empty", "")]);
    fs::set_permissions(from.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut to = Side::new();
    let names = ["run", "long", "empty"];
    let jobs = names.map(|name| {
        let entry = from.entry(name);
        job(&from, name, &entry)
    });
    let carried = AtomicU64::new(0);
    let staged = to.replica.stage(jobs.into(), &|len| {
        carried.fetch_add(len, Ordering::Relaxed);
    });
    for (name, staged) in names.iter().zip(staged) {
        let number = staged.unwrap().0.to_string();
        let place = beside(to.path()).into_iter().find(|at| at.ends_with(&number)).unwrap();
        let metadata = fs::metadata(&place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), from.read(name).as_bytes(), "{name}");
        assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::from_nanos(LONG_AGO_NS as u64));
        assert_eq!(metadata.permissions().mode() & 0o100 != 0, *name == "run", "{name}");
    }
    assert_eq!(carried.into_inner(), 10 + long.len() as u64);
    assert!(to.walk(None).is_empty(), "what stands beside the tree is no part of it");
}

#[test]
fn a_source_that_changed_since_it_was_observed_is_not_copied() {
    let to = Side::new();
    let check = |edit: fn(&std::path::Path), expected: ReplicaError| {
        let mut from = Side::of(&[("a", "as observed")]);
        let entry = from.entry("a");
        edit(&from.path().join("a"));
        let staged = to.replica.stage(vec![job(&from, "a", &entry)], &|_| {});
        assert_eq!(staged, [Err(expected)]);
    };
    check(|at| fs::write(at, "longer than observed").unwrap(), changed("a"));
    check(|at| fs::write(at, "AS OBSERVED").unwrap(), changed("a"));
    check(|at| fs::remove_file(at).unwrap(), changed("a"));
    check(
        |at| {
            fs::remove_file(at).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", at).unwrap();
        },
        changed("a"),
    );
    assert_eq!(to.beside(), [""; 0], "no copy stays");
}

#[test]
fn bytes_that_are_not_what_was_said_fail_verification() {
    let side = Side::new();
    let source = Box::new(super::Text(b"other".to_vec()));
    let job = StageJob { path: path("a"), standing: None, content: content("bytes"), modified_ns: 0, source };
    let staged = side.replica.stage(vec![job], &|_| {});
    assert_eq!(staged, [Err(ReplicaError::Integrity { path: path("a") })]);
    // Fewer bytes than were said are no content either.
    let source = Box::new(super::Text(b"byt".to_vec()));
    let job = StageJob { path: path("a"), standing: None, content: content("bytes"), modified_ns: 0, source };
    assert_eq!(side.replica.stage(vec![job], &|_| {}), [Err(changed("a"))]);
    assert_eq!(side.beside(), [""; 0]);
}

#[test]
fn a_full_disk_fails_its_file_and_leaves_no_copy() {
    let mut side = Side::new();
    side.tapped(Plan::FailKind {
        kind: |op| matches!(op, Op::Write { data, .. } if data.starts_with(b"much")),
        errno: Errno::NOSPC,
    });
    assert_eq!(side.try_stage("a", "much"), Err(ReplicaError::Full { path: path("a") }));
    let staged = side.stage("b", "little");
    assert_eq!(side.beside(), [staged.0.to_string()]);
}

#[test]
fn a_stopped_run_copies_nothing_more() {
    let mut side = Side::new();
    let options = crate::FolderOptions::default();
    options.stop.store(true, Ordering::Relaxed);
    side.replica = crate::FolderReplica::open(side.path(), options).unwrap();
    assert_eq!(side.try_stage("a", "text"), Err(ReplicaError::Stopped));
}

#[test]
fn a_staged_content_is_put_only_as_what_it_is() {
    let mut side = Side::new();
    let staged = side.stage("a", "text");
    let other = FileContent { executable: true, ..content("text") };
    let refused = side.perform(super::put_content("a", other, None), Some(staged));
    assert_eq!(refused, Err(ReplicaError::Integrity { path: path("a") }));
    let staged = side.stage("a", "text");
    let op = super::put("a", "text", None);
    side.perform(op.clone(), Some(staged)).unwrap();
    assert_eq!(side.read("a"), "text");
    fs::remove_file(side.path().join("a")).unwrap();
    assert!(side.perform(op, Some(staged)).is_err(), "a copy is used once");
}

#[test]
fn copies_of_a_process_that_is_at_work_are_left_alone() {
    let mut from = Side::of(&[("a", "text")]);
    let to = Side::new();
    let entry = from.entry("a");
    let turn = to.replica.take_turn(&|| unreachable!("nobody else is here")).unwrap();
    let staged = to.replica.stage(vec![job(&from, "a", &entry)], &|_| {});
    assert!(staged[0].is_ok());
    let other = crate::FolderReplica::open(to.path(), crate::FolderOptions::default()).unwrap();
    other.recover().unwrap();
    assert_eq!(to.beside(), ["0"]);
    drop(turn);
    let turn = other.take_turn(&|| unreachable!("nobody is at work any more")).unwrap();
    assert_eq!(to.beside(), [""; 0], "what a dead process left is removed");
    drop(turn);
}
