//! What the hash of a file stands for.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use rustix::io::Errno;
use swarm_sync::{Blind, BlindWhy, ContentHash, Replica as _};

use super::super::watch::{Plan, Watch};
use super::{Side, path};
use crate::dir::Dir;
use crate::tap::Op;
use crate::tests::watch::Tap;
use crate::{FolderOptions, FolderReplica};

#[test]
fn each_file_is_hashed_whole() {
    let long = "x".repeat(3 << 20);
    let exact = "y".repeat(1 << 20);
    let mut side = Side::of(&[("empty", ""), ("long", &long), ("exact", &exact), ("short", "abc")]);
    for (name, text) in [("empty", ""), ("long", &long), ("exact", &exact), ("short", "abc")] {
        let found = side.found(name);
        let [hashed] = &side.replica.hash(vec![found.clone()])[..] else { panic!("one result") };
        let (hashed_path, entry) = hashed.as_ref().unwrap();
        let content = entry.file().unwrap();
        assert_eq!((hashed_path, entry.modified_ns), (&path(name), found.modified_ns));
        assert_eq!(
            (content.len, content.hash),
            (text.len() as u64, ContentHash::of(text.as_bytes())),
            "{name}"
        );
    }
}

#[test]
fn results_stand_at_the_index_of_their_files() {
    let mut side = Side::of(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let files = ["c", "a", "b"].map(|name| side.found(name));
    fs::remove_file(side.path().join("a")).unwrap();
    let hashed = side.replica.hash(files.into());
    assert_eq!(hashed[0].as_ref().unwrap().0, path("c"));
    assert_eq!(hashed[1], Err(Blind { path: path("a"), why: BlindWhy::Changing }));
    assert_eq!(hashed[2].as_ref().unwrap().0, path("b"));
}

#[test]
fn a_file_that_changed_just_now_gets_a_stamp_that_no_look_equals() {
    let mut side = Side::of(&[("new", "1")]);
    let found = side.found("new");
    // The time of metadata cannot be set, so the past is waited for: the last of a few tries is old enough.
    let stamp = |side: &mut Side| side.replica.hash(vec![found.clone()])[0].as_ref().unwrap().1.stamp;
    fs::write(side.path().join("new"), "2").unwrap();
    assert_eq!(stamp(&mut side).changed_ns, i64::MIN);
    let mut is_old = |_: u32| stamp(&mut side).changed_ns != i64::MIN;
    assert!((0..1_000_000).any(&mut is_old), "it never gets old");
    let later = side.found("new");
    assert_eq!(stamp(&mut side), later.stamp);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_changing() {
    let mut side = Side::of(&[("log", &"line\n".repeat(1000))]);
    let found = side.found("log");
    let (watch, arrivals, let_go) = Watch::holding(|op| matches!(op, Op::Read));
    let dir = Dir::open(side.path()).unwrap().tapped(Tap::of(&watch));
    let replica = FolderReplica::over(dir, FolderOptions::default()).unwrap();
    let hashed = std::thread::scope(|scope| {
        let hashing = scope.spawn(|| replica.hash(vec![found]));
        while !hashing.is_finished() {
            if arrivals.recv_timeout(Duration::from_millis(1)).is_ok() {
                let mut log = fs::OpenOptions::new().append(true).open(side.path().join("log")).unwrap();
                log.write_all(b"more\n").unwrap();
                let_go.send(()).unwrap();
            }
        }
        hashing.join().unwrap()
    });
    assert_eq!(hashed, [Err(Blind { path: path("log"), why: BlindWhy::Changing })]);
}

#[test]
fn a_file_that_cannot_be_read_is_blind_with_the_reason() {
    let mut side = Side::of(&[("a", "1")]);
    let found = side.found("a");
    let mut check = |kind: fn(&Op<'_>) -> bool, errno| {
        side.tapped(Plan::FailKind { kind, errno });
        match &side.replica.hash(vec![found.clone()])[..] {
            [Err(blind)] => blind.why.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let opens = |op: &Op<'_>| matches!(op, Op::Open { .. });
    assert_eq!(check(opens, Errno::ACCESS), "it cannot be read: Permission denied (os error 13)");
    let reads = |op: &Op<'_>| matches!(op, Op::Read);
    assert_eq!(check(reads, Errno::IO), "it cannot be read: Input/output error (os error 5)");
}
