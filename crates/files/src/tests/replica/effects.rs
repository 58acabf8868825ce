//! Each operation: what it does, what it refuses, and what an edit in its midst comes to.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use expect_test::{Expect, expect};
use rustix::io::Errno;
use swarm_sync::{Done, Kind, OpKind, Replica as _, ReplicaError, Source, StageJob};

use super::super::disk::Disk;
use super::super::watch::{Act, Done as Noted, Plan, Tap, Watch};
use super::{RUN, Side, Text, beside, changed, content, op, path, picture, put};
use crate::dir::Dir;
use crate::tap::Op;

fn link(name: &str, target: &str, expected: Option<swarm_sync::Entry>) -> swarm_sync::Op {
    let content = Kind::Symlink { target: target.into() };
    let source = Source::Other { path: path(name) };
    op(name, OpKind::Put { content, modified_ns: 0, source }, expected)
}

/// What the replica says stands at a path has to be what a scan finds: otherwise the next run would take it for a change.
fn check_now(side: &mut Side, name: &str, done: &Done) {
    let now = done.now.as_ref().unwrap();
    let found = side.found(name);
    assert_eq!(now.kind, side.entry(name).kind, "{name}");
    assert_eq!((now.modified_ns, now.stamp), (found.modified_ns, found.stamp), "{name}");
}

#[test]
fn a_folder_is_made_or_was_there() {
    let mut side = Side::of(&[("file", "")]);
    let done = side.perform(op("d", OpKind::MakeFolder, None), None).unwrap();
    check_now(&mut side, "d", &done);
    let again = side.perform(op("d", OpKind::MakeFolder, None), None).unwrap();
    assert_eq!(done, again);
    let mut refused = |name: &str| side.perform(op(name, OpKind::MakeFolder, None), None).unwrap_err();
    assert_eq!(refused("file"), changed("file"));
    assert_eq!(refused("missing/d"), changed("missing/d"));
    let long = "n".repeat(255);
    let mut side = Side::new();
    side.tapped(Plan::Refuse {
        kind: |op| matches!(op, Op::MakeDirectory { .. }),
        errno: Errno::NAMETOOLONG,
    });
    let refused = side.perform(op(&long, OpKind::MakeFolder, None), None);
    assert_eq!(refused, Err(ReplicaError::Name { path: path(&long) }));
}

#[test]
fn a_new_file_comes_under_its_name() {
    let mut side = Side::of(&[("d/", "")]);
    let done = side.put("d/a", "new", None).unwrap();
    check_now(&mut side, "d/a", &done);
    assert_eq!((side.read("d/a"), done.kept), ("new".into(), None));
    assert_eq!(side.put("d/a", "newer", None), Err(changed("d/a")), "something stands there");
    assert_eq!(side.put("e/a", "new", None), Err(changed("e/a")), "its folder is missing");
    assert_eq!(side.read("d/a"), "new");
    side.replica.settle().unwrap();
    assert_eq!(side.beside(), [""; 0]);
}

#[test]
fn a_replaced_file_is_kept_and_gives_its_permissions() {
    let mut side = Side::of(&[("a", "old")]);
    fs::set_permissions(side.path().join("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let old = side.entry("a");
    let done = side.put("a", "new", Some(old)).unwrap();
    check_now(&mut side, "a", &done);
    assert_eq!(side.read("a"), "new");
    assert_eq!(fs::metadata(side.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(side.kept(), "a#0 old\n");
    assert_eq!(side.replica.kept(None).unwrap()[0].id, done.kept.unwrap());
    // The same run may displace a second version.
    let done = side.put("a", "newer", done.now).unwrap();
    assert_eq!(side.kept(), "a#0 old\na#1 new\n");
    side.replica.settle().unwrap();
    assert_eq!(side.beside(), [""; 0]);
    side.replica.remove_kept(&[done.kept.unwrap()]).unwrap();
    assert_eq!(side.kept(), "a#0 old\n");
    assert_eq!(fs::read_dir(side.path().join(".swarm/versions")).unwrap().count(), 1, "empty folders go");
}

#[test]
fn a_file_is_replaced_where_entries_cannot_be_exchanged() {
    let mut side = Side::of(&[("a", "old")]);
    let old = side.entry("a");
    side.tapped(Plan::Refuse { kind: |op| matches!(op, Op::Exchange { .. }), errno: Errno::INVAL });
    let done = side.put("a", "new", Some(old)).unwrap();
    check_now(&mut side, "a", &done);
    assert_eq!((side.read("a"), side.kept()), ("new".into(), "a#0 old\n".into()));
}

#[test]
fn links_are_put_moved_and_removed_as_what_they_say() {
    let mut side = Side::of(&[("a", "old")]);
    let done = side.perform(link("l", "../x", None), None).unwrap();
    check_now(&mut side, "l", &done);
    let replaced = side.perform(link("l", "y", done.now), None).unwrap();
    check_now(&mut side, "l", &replaced);
    let old = side.entry("a");
    side.perform(link("a", "z", Some(old)), None).unwrap();
    assert_eq!(picture(&side.walk(None)), "l a -> z\nl l -> y\n");
    let now = side.entry("l");
    side.perform(op("l", OpKind::Remove, Some(now)), None).unwrap();
    assert_eq!(picture(&side.walk(None)), "l a -> z\n");
    let kept: Vec<_> =
        side.replica.kept(Some(&path("l"))).unwrap().into_iter().map(|kept| kept.kind).collect();
    let link = |target: &str| swarm_sync::FoundKind::Symlink { target: target.into() };
    assert_eq!(kept, [link("../x"), link("y")]);
}

#[test]
fn a_removed_file_is_kept_and_a_folder_goes_only_empty() {
    let mut side = Side::of(&[("d/a", "text"), ("e/b", "")]);
    let (folder, file) = (side.entry("d"), side.entry("d/a"));
    assert_eq!(
        side.perform(op("d", OpKind::Remove, Some(folder.clone())), None),
        Err(ReplicaError::NotEmpty { path: path("d") })
    );
    let done = side.perform(op("d/a", OpKind::Remove, Some(file.clone())), None).unwrap();
    assert_eq!(done.now, None);
    assert_eq!(side.perform(op("d", OpKind::Remove, Some(folder)), None), Ok(Done { now: None, kept: None }));
    assert_eq!(side.perform(op("d/a", OpKind::Remove, Some(file)), None), Err(changed("d/a")));
    assert_eq!((picture(&side.walk(None)), side.kept()), ("d e\nf e/b 0\n".into(), "d/a#0 text\n".into()));
}

#[test]
fn files_and_folders_are_moved_to_free_names() {
    let mut side = Side::of(&[("a", "1"), ("b", "2"), ("d/e/f", "3")]);
    let file = side.entry("a");
    let to = |name: &str, from: &str| op(name, OpKind::Move { from: path(from) }, None);
    let done = side
        .perform(swarm_sync::Op { expected: Some(Box::new(file.clone())), ..to("d/c", "a") }, None)
        .unwrap();
    check_now(&mut side, "d/c", &done);
    let folder = side.entry("d");
    let done =
        side.perform(swarm_sync::Op { expected: Some(Box::new(folder)), ..to("g", "d") }, None).unwrap();
    check_now(&mut side, "g", &done);
    let file = side.entry("b");
    assert_eq!(
        side.perform(swarm_sync::Op { expected: Some(Box::new(file.clone())), ..to("g/c", "b") }, None),
        Err(changed("g/c"))
    );
    assert_eq!(
        side.perform(swarm_sync::Op { expected: Some(Box::new(file)), ..to("x", "g/c") }, None),
        Err(changed("g/c")),
        "another file stands there"
    );
    assert_eq!(picture(&side.walk(None)), "f b 1\nd g\nf g/c 1\nd g/e\nf g/e/f 1\n");
}

#[test]
fn the_executable_bit_is_set_and_cleared() {
    let mut side = Side::of(&[("run", "x")]);
    let mut set = |executable: bool| {
        let before = side.entry("run");
        let done = side.perform(op("run", OpKind::SetExecutable { executable }, Some(before)), None).unwrap();
        check_now(&mut side, "run", &done);
        fs::metadata(side.path().join("run")).unwrap().permissions().mode() & 0o777
    };
    let plain = set(false);
    assert_eq!(set(true), plain | (plain & 0o444) >> 2);
    assert_eq!(set(false), plain);
}

#[test]
fn what_stands_there_is_read_if_only_its_stamp_differs() {
    let mut side = Side::of(&[("a", "text")]);
    let mut old = side.entry("a");
    old.stamp.id = None;
    side.put("a", "new", Some(old.clone())).unwrap();
    // The same length and another text.
    assert_eq!(side.put("a", "newer", Some(old.clone())), Err(changed("a")));
    let mut now = side.entry("a");
    now.kind = old.kind;
    now.stamp.changed_ns = i64::MIN;
    assert_eq!(side.put("a", "newer", Some(now)), Err(changed("a")));
    assert_eq!(side.read("a"), "new");
}

#[test]
fn nothing_is_done_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a"), "theirs").unwrap();
    let mut side = Side::of(&[("d/a", "ours")]);
    let entry = side.entry("d/a");
    fs::rename(side.path().join("d"), side.path().join("moved")).unwrap();
    symlink(outside.path(), side.path().join("d")).unwrap();
    assert_eq!(side.put("d/a", "new", Some(entry.clone())), Err(changed("d/a")));
    assert_eq!(side.put("d/b", "new", None), Err(changed("d/b")));
    assert_eq!(side.perform(op("d/a", OpKind::Remove, Some(entry)), None), Err(changed("d/a")));
    assert_eq!(side.perform(op("d/c", OpKind::MakeFolder, None), None), Err(changed("d/c")));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("a")).unwrap(), "theirs");
}

#[test]
fn nothing_is_done_once_the_root_is_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("root");
    fs::create_dir(&root).unwrap();
    let replica = crate::FolderReplica::open(&root, crate::FolderOptions::default()).unwrap();
    fs::rename(&root, parent.path().join("away")).unwrap();
    let ops = vec![(op("d", OpKind::MakeFolder, None), None), (op("e", OpKind::MakeFolder, None), None)];
    let done = replica.perform(RUN, ops);
    assert!(done.iter().all(|done| matches!(done, Err(ReplicaError::Gone(_)))), "{done:?}");
    assert_eq!(fs::read_dir(parent.path().join("away")).unwrap().count(), 0);
}

/// Somebody does something immediately before the first operation of a kind, in the midst of a replacement of `old` by `new`.
fn check_meanwhile(kind: fn(&Op<'_>) -> bool, act: impl FnOnce(&Path) + Send + 'static, expected: Expect) {
    let mut side = Side::of(&[("a", "old"), ("other", "x")]);
    let old = side.entry("a");
    let root = side.path().to_owned();
    side.tapped(Plan::Meanwhile { kind, act: Act::of(move || act(&root)) });
    let done = side.put("a", "new", Some(old));
    let ended = match &done {
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string(),
    };
    side.replica = crate::FolderReplica::open(side.path(), crate::FolderOptions::default()).unwrap();
    side.replica.recover().unwrap();
    assert_eq!(side.beside(), [""; 0]);
    let seen = picture(&side.walk(None));
    let text = if side.path().join("a").is_file() { side.read("a") } else { "-".into() };
    expected.assert_eq(&format!("{ended}\n{seen}a = {text}\nkept: {}", side.kept()));
}

fn exchanges(op: &Op<'_>) -> bool {
    matches!(op, Op::Exchange { .. })
}

fn keeps(op: &Op<'_>) -> bool {
    matches!(op, Op::Rename { to, .. } if to.starts_with(".swarm/versions"))
}

#[test]
fn an_edit_between_look_and_rename_is_put_back() {
    check_meanwhile(
        exchanges,
        |root| fs::write(root.join("a"), "edited").unwrap(),
        expect![[r"
            `a` changed meanwhile
            f a 6
            f other 1
            a = edited
            kept: "]],
    );
}

#[test]
fn a_file_that_was_saved_by_rename_meanwhile_is_put_back() {
    check_meanwhile(
        exchanges,
        |root| {
            fs::write(root.join("a~"), "saved").unwrap();
            fs::rename(root.join("a~"), root.join("a")).unwrap();
        },
        expect![[r"
            `a` changed meanwhile
            f a 5
            f other 1
            a = saved
            kept: "]],
    );
}

#[test]
fn a_folder_that_took_the_place_meanwhile_is_put_back() {
    check_meanwhile(
        |op| matches!(op, Op::MakeDirectory { path } if path.starts_with(".swarm/versions")),
        |root| {
            fs::remove_file(root.join("a")).unwrap();
            fs::remove_file(root.join("other")).unwrap();
        },
        expect![[r"
            `a` changed meanwhile
            a = -
            kept: "]],
    );
}

#[test]
fn an_edit_of_what_was_just_displaced_is_kept() {
    check_meanwhile(
        keeps,
        |root| {
            let old = beside(root).into_iter().filter(|at| fs::read(at).unwrap() == b"old");
            old.for_each(|at| fs::write(at, "written through an open file").unwrap());
        },
        expect![[r"
            done
            f a 3
            f other 1
            a = new
            kept: a#0 written through an open file
        "]],
    );
}

#[test]
fn an_edit_of_what_was_just_put_is_told_as_what_it_is() {
    let mut side = Side::of(&[("a", "old")]);
    let old = side.entry("a");
    let root = side.path().to_owned();
    let act = Act::of(move || fs::write(root.join("a"), "edited at once").unwrap());
    side.tapped(Plan::Meanwhile { kind: keeps, act });
    let done = side.put("a", "new", Some(old)).unwrap();
    assert_eq!(done.now.unwrap().kind, side.entry("a").kind);
    assert_eq!((side.read("a"), side.kept()), ("edited at once".into(), "a#0 old\n".into()));
}

#[test]
fn an_edit_between_look_and_removal_is_put_back() {
    let mut side = Side::of(&[("a", "old")]);
    let old = side.entry("a");
    let root = side.path().to_owned();
    let act = Act::of(move || fs::write(root.join("a"), "edited").unwrap());
    side.tapped(Plan::Meanwhile { kind: keeps, act });
    assert_eq!(side.perform(op("a", OpKind::Remove, Some(old)), None), Err(changed("a")));
    assert_eq!((side.read("a"), side.kept()), ("edited".into(), String::new()));
}

#[test]
fn every_failing_operation_leaves_the_old_or_the_new() {
    for errno in [Errno::NOSPC, Errno::IO, Errno::ACCESS, Errno::ROFS] {
        let mut at = 0;
        loop {
            let mut side = Side::of(&[("d/a", "old"), ("d/gone", "g")]);
            let (old, gone) = (side.entry("d/a"), side.entry("d/gone"));
            side.tapped(Plan::Fail { at, errno });
            let staged = side.try_stage("d/a", "new");
            if let Ok(staged) = staged {
                let ops = vec![
                    (put("d/a", "new", Some(old)), Some(staged)),
                    (op("d/gone", OpKind::Remove, Some(gone)), None),
                ];
                let done = side.replica.perform(RUN, ops);
                let settled = side.replica.settle();
                if done.iter().all(Result::is_ok) && settled.is_ok() && at > 60 {
                    break;
                }
            }
            side.replica = crate::FolderReplica::open(side.path(), crate::FolderOptions::default()).unwrap();
            side.replica.recover().unwrap();
            let kept = side.kept();
            match side.read("d/a").as_str() {
                "old" => assert!(!kept.contains("old"), "operation {at}: {kept}"),
                "new" => assert!(kept.contains("d/a#0 old\n"), "operation {at}: {kept}"),
                other => panic!("operation {at}: {other}"),
            }
            assert!(side.read("d/gone") == "g" || kept.contains("d/gone#0 g\n"), "operation {at}: {kept}");
            assert_eq!(side.beside(), [""; 0], "operation {at}");
            at += 1;
        }
        assert!(at > 60, "{at}");
    }
}

/// The next group's copies are synced while this one's take their places: that sync may have begun before the rename.
#[test]
fn what_is_performed_during_a_sync_is_synced_again() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Arc::new(OnceLock::<crate::FolderReplica>::new());
    let beside = Arc::clone(&replica);
    let act = Act::of(move || beside.get().unwrap().settle_staged().unwrap());
    let to_place = |op: &Op<'_>| matches!(op, Op::Rename { to, .. } if *to == Path::new("new"));
    let watch = Watch::new(Plan::Meanwhile { kind: to_place, act }, &Disk::of(folder.path()));
    let dir = Dir::open(folder.path()).unwrap().tapped(Tap::of(&watch));
    let replica =
        replica.get_or_init(|| crate::FolderReplica::over(dir, crate::FolderOptions::default()).unwrap());
    let source = Box::new(Text(b"text".to_vec()));
    let job =
        StageJob { path: path("new"), standing: None, content: content("text"), modified_ns: 0, source };
    let staged = replica.stage(vec![job], &|_| {}).remove(0).unwrap();
    replica.settle_staged().unwrap();
    replica.perform(RUN, vec![(put("new", "text", None), Some(staged))]).remove(0).unwrap();
    replica.settle().unwrap();
    let log = watch.log();
    let place = log.iter().rposition(|done| matches!(done, Noted::Rename { .. })).unwrap();
    assert!(log[place..].contains(&Noted::SyncFileSystem), "{log:?}");
}

/// While a batch takes its places, the copies of later ones are staged: each of them would be a sync for nothing.
#[test]
fn a_batch_whose_copies_are_durable_waits_for_no_sync_of_others() {
    let mut side = Side::new();
    let watch = side.tapped(Plan::Nothing);
    let now = side.stage("now", "text");
    side.replica.settle_staged().unwrap();
    let later = side.stage("later", "text");
    side.perform(put("now", "text", None), Some(now)).unwrap();
    let syncs = || watch.log().iter().filter(|done| **done == Noted::SyncFileSystem).count();
    assert_eq!(syncs(), 1);
    side.perform(put("later", "text", None), Some(later)).unwrap();
    assert_eq!(syncs(), 2, "half a content may stand under its name");
}

#[test]
fn a_name_that_a_file_system_calls_missing_is_refused_as_a_name() {
    let mut side = Side::of(&[("d/", "")]);
    let is_odd = |op: &Op<'_>| match op {
        Op::Rename { to, .. } => to.ends_with("a:b"),
        Op::MakeDirectory { path } => path.ends_with("c:d"),
        _ => false,
    };
    side.tapped(Plan::Refuse { kind: is_odd, errno: Errno::NOENT });
    let refused = |name: &str| Err(ReplicaError::Name { path: path(name) });
    assert_eq!(side.put("d/a:b", "text", None), refused("d/a:b"));
    assert_eq!(side.perform(op("d/c:d", OpKind::MakeFolder, None), None), refused("d/c:d"));
    assert_eq!(side.put("gone/a:b", "text", None), Err(changed("gone/a:b")));
    assert_eq!(side.beside(), [""; 0]);
}
