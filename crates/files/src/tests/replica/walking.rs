//! What a walk tells, and that it ends.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use expect_test::{Expect, expect};
use rustix::io::Errno;
use swarm_sync::{Replica as _, ReplicaError, Seen};

use super::super::watch::Plan;
use super::{Side, path, picture};
use crate::tap::Op;
use crate::{FolderOptions, FolderReplica};

fn check(files: &[(&str, &str)], place: Option<&str>, expected: Expect) {
    let mut side = Side::of(files);
    expected.assert_eq(&picture(&side.walk(place)));
}

#[test]
fn a_folder_stands_directly_before_its_entries() {
    check(
        &[("a!", ""), ("a/c", "12"), ("a/b/z", ""), ("b/", ""), ("a-b", "1"), (".swarm/versions/x", "")],
        None,
        expect![[r"
            d a
            d a/b
            f a/b/z 0
            f a/c 2
            f a! 0
            f a-b 1
            d b
        "]],
    );
    check(&[], None, expect![""]);
}

#[test]
fn a_place_is_walked_alone() {
    let files = [("a/b/c", "1"), ("a/b/d/e", ""), ("a/bc", ""), ("z", "")];
    check(
        &files,
        Some("a/b"),
        expect![[r"
        d a/b
        f a/b/c 1
        d a/b/d
        f a/b/d/e 0
    "]],
    );
    check(
        &files,
        Some("a/b/c"),
        expect![[r"
        f a/b/c 1
    "]],
    );
    check(&files, Some("a/x"), expect![""]);
    check(&files, Some("x/y/z"), expect![""]);
    check(&files, Some("z/y"), expect![""]);
    check(&[(".swarm/incoming/1", "")], Some(".swarm/incoming"), expect![""]);
}

#[test]
fn links_are_told_and_never_followed() {
    let mut side = Side::of(&[("d/f", "1")]);
    let make = |target: &OsStr, name: &str| symlink(target, side.path().join(name)).unwrap();
    make(OsStr::new("."), "loop");
    make(OsStr::new("nowhere"), "d/dangling");
    make(OsStr::new("/etc/passwd"), "outside");
    make(OsStr::from_bytes(b"\xff"), "strange");
    expect![[r"
        d d
        l d/dangling -> nowhere
        f d/f 1
        l loop -> .
        l outside -> /etc/passwd
        ! strange: it is a symbolic link whose target is not UTF-8
    "]]
    .assert_eq(&picture(&side.walk(None)));
    assert_eq!(picture(&side.walk(Some("loop/d"))), "", "nothing of the tree stands behind a link");
    assert_eq!(picture(&side.walk(Some("loop"))), "l loop -> .\n");
}

#[test]
fn what_cannot_be_carried_is_told() {
    let mut side = Side::of(&[("run", "x")]);
    fs::set_permissions(side.path().join("run"), fs::Permissions::from_mode(0o744)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        side.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(side.path().join("socket")).unwrap();
    fs::create_dir(side.path().join(OsStr::from_bytes(b"\xffolder"))).unwrap();
    fs::write(side.path().join(OsStr::from_bytes(b"\xffolder/f")), "").unwrap();
    expect![[r"
        ! pipe: it is not a file, folder or symbolic link
        x run 1
        ! socket: it is not a file, folder or symbolic link
        ? \xffolder
    "]]
    .assert_eq(&picture(&side.walk(None)));
}

#[test]
fn a_folder_that_cannot_be_listed_is_blind_and_its_neighbours_are_told() {
    let mut side = Side::of(&[("a/f", ""), ("b/f", ""), ("c", "")]);
    let is_b = |op: &Op<'_>| matches!(op, Op::List { path } if *path == Path::new("b"));
    side.tapped(Plan::FailKind { kind: is_b, errno: Errno::ACCESS });
    expect![[r"
        d a
        f a/f 0
        ! b: it cannot be read: Permission denied (os error 13)
        f c 0
    "]]
    .assert_eq(&picture(&side.walk(None)));
    // A folder that was renamed away meanwhile is not taken for an empty one.
    side.tapped(Plan::FailKind { kind: is_b, errno: Errno::NOENT });
    assert!(picture(&side.walk(None)).contains("! b: it changed while it was read"));
}

#[test]
fn a_root_that_cannot_be_listed_is_an_error_and_not_empty() {
    let mut side = Side::of(&[("a", "")]);
    side.tapped(Plan::FailKind { kind: |op| matches!(op, Op::List { .. }), errno: Errno::IO });
    let first = side.replica.walk(None).unwrap().next().unwrap();
    assert!(matches!(first, Err(ReplicaError::Io { op: "list", .. })), "{first:?}");
}

#[test]
fn another_mount_is_not_crossed() {
    // /proc and /dev are mounts of their own on every Linux; the walk stops at the first of them.
    let replica = FolderReplica::open(Path::new("/"), FolderOptions::default()).unwrap();
    for name in ["proc", "dev"] {
        let seen: Vec<_> = replica.walk(Some(&path(name))).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(picture(&seen), format!("! {name}: another file system is mounted there\n"));
    }
    let seen: Vec<_> = replica.walk(Some(&path("proc/self"))).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(picture(&seen), "! proc/self: another file system is mounted there\n");
}

#[test]
fn a_deep_tree_is_walked_with_few_descriptors() {
    let mut side = Side::new();
    let deep = vec!["d"; 200].join("/");
    fs::create_dir_all(side.path().join(&deep)).unwrap();
    fs::write(side.path().join(&deep).join("f"), "").unwrap();
    let seen = side.walk(None);
    assert_eq!(seen.len(), 201);
    assert_eq!(picture(&seen[200..]), format!("f {deep}/f 0\n"));
}

#[test]
fn a_folder_of_many_entries_is_told_in_order() {
    let mut side = Side::new();
    for number in 0..40_000 {
        fs::write(side.path().join(number.to_string()), "").unwrap();
    }
    fs::create_dir(side.path().join("2-folder")).unwrap();
    fs::write(side.path().join("2-folder/f"), "").unwrap();
    let paths: Vec<_> = side
        .walk(None)
        .into_iter()
        .map(|seen| match seen {
            Seen::Entry(found) => found.path,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths.len(), 40_002);
    assert!(paths.is_sorted());
}

#[test]
fn what_the_user_excluded_is_not_entered() {
    let side = Side::of(&[("a/skip/f", ""), ("a/keep", ""), ("skip", "")]);
    let ignore = |path: &swarm_sync::TreePath, is_folder: bool| is_folder && path.name() == "skip";
    let options = FolderOptions { ignore: Some(Arc::new(ignore)), ..FolderOptions::default() };
    let replica = FolderReplica::open(side.path(), options).unwrap();
    let walk = |place: Option<&str>| {
        let seen: Result<Vec<_>, _> = replica.walk(place.map(path).as_ref()).unwrap().collect();
        picture(&seen.unwrap())
    };
    assert_eq!(walk(None), "d a\nf a/keep 0\nf skip 0\n");
    assert_eq!(walk(Some("a/skip/f")), "");
    assert_eq!(walk(Some("a/skip")), "");
}

#[test]
fn a_root_that_is_away_is_said_so() {
    let opened = FolderReplica::open(Path::new("/nowhere/at/all"), FolderOptions::default());
    expect!["`/nowhere/at/all` is not there: mount its disk, or put the folder back; if it is lost, choose another folder"]
        .assert_eq(&opened.err().unwrap().to_string());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let replica = FolderReplica::open(&root, FolderOptions::default()).unwrap();
    let first = replica.identity();
    fs::rename(&root, folder.path().join("moved")).unwrap();
    assert!(matches!(replica.walk(None), Err(ReplicaError::Gone(_))));
    fs::create_dir(&root).unwrap();
    let shown = replica.walk(None).err().unwrap().to_string();
    assert!(
        shown.contains(
            "was replaced by another folder, or another file system is mounted there: put the former one back"
        ),
        "{shown}"
    );
    let again = FolderReplica::open(&root, FolderOptions::default()).unwrap().identity();
    assert_ne!(first, again);
}

#[test]
fn a_walk_ends_when_its_reader_does_or_the_run_is_stopped() {
    let files: Vec<_> = (0..3000).map(|number| number.to_string()).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), "")).collect();
    let side = Side::of(&files);
    let options = FolderOptions::default();
    let stop = Arc::clone(&options.stop);
    let replica = FolderReplica::open(side.path(), options).unwrap();
    drop(replica.walk(None).unwrap().next());
    let walk = replica.walk(None).unwrap();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(walk.last(), Some(Err(ReplicaError::Stopped)));
    assert_eq!(replica.walk(None).err(), Some(ReplicaError::Stopped));
}
