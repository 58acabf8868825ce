//! Mounts that come and go, limits, and what an overlay tells of itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use swarm_files::Hint;
use swarm_mounts::{
    MemoryWhiteouts, MountKind, MountSpec, Overlay, OverlayError, OverlayOptions, Whiteouts, mark_target,
};
use swarm_sync::{Entry, Kind, OpKind, Replica as _, ReplicaError, StageJob, TreePath};

use crate::layers::{GUID, TestOp, Text, World, make, open, parse, parse_nodes, path, read, show};

fn refusal(specs: &[MountSpec]) -> String {
    match open(specs, &Arc::new(MemoryWhiteouts::default())) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The error of mounts, with the folders by their numbers.
fn check_refused(change: impl FnOnce(&World) -> Vec<MountSpec>, layers: &str, expected: &str) {
    let world = World::new(layers);
    let specs = change(&world);
    let shown = refusal(&specs).replace(&format!("{}/", world.root.path().to_str().unwrap()), "");
    assert_eq!(shown, expected);
}

fn same(world: &World) -> Vec<MountSpec> {
    world.specs.clone()
}

#[test]
fn mounts_that_do_not_go_together_are_named() {
    let spec = |world: &World, name: &str, libpath: Option<&str>, kind| MountSpec {
        dir: world.root.path().join(name),
        libpath: libpath.map(path),
        kind,
        min_free: 0,
    };
    check_refused(
        |world| ["x", "y"].map(|name| spec(world, name, None, MountKind::SyncTarget)).into(),
        "target:",
        "`x` and `y` are both sync targets: a library has at most one",
    );
    check_refused(
        |world| ["x", "y"].map(|name| spec(world, name, Some("v"), MountKind::ReadOnly)).into(),
        "target:",
        "`x` and `y` are both mounted at `/v`: give one of them another libpath",
    );
    check_refused(
        |world| vec![spec(world, "x", Some(".swarm/x"), MountKind::ReadOnly)],
        "target:",
        "nothing can be mounted at `/.swarm/x`: what is in `.swarm` is never shown; choose another libpath",
    );
    check_refused(same, "ro /v: a=1 | target: b=2", "opened");
}

#[test]
fn a_mount_that_is_away_is_never_an_empty_one() {
    check_refused(
        |world| {
            std::fs::rename(&world.specs[0].dir, world.root.path().join("away")).unwrap();
            same(world)
        },
        "ro /v: a=1",
        "cannot use the mount `0-ro`: `0-ro` is not there: mount its disk, or put the folder back; if it is lost, choose another folder",
    );
    check_refused(
        |world| {
            std::fs::remove_file(world.specs[0].dir.join(".swarm/mount")).unwrap();
            same(world)
        },
        "target: a=1",
        "cannot use the mount `0-target`: `0-target` has no `.swarm/mount`: mount its disk; if it is lost, choose another folder",
    );
    check_refused(
        |world| {
            std::fs::write(world.specs[0].dir.join(".swarm/mount"), "other\n").unwrap();
            same(world)
        },
        "target: a=1",
        "`0-target` is the sync target of the library other: choose another folder, or remove `.swarm/mount` in it",
    );
}

/// What goes wrong while the overlay is in use ends the run, and no operation is performed.
fn check_gone(layers: &str, go: impl FnOnce(&World)) {
    let world = World::new(layers);
    let put = world.op("put new=1");
    let remove = world.op("rm v/a");
    go(&world);
    assert!(matches!(world.overlay.walk(None).map(drop), Err(ReplicaError::Gone(_))));
    assert!(matches!(world.overlay.check(&[]), Err(ReplicaError::Gone(_))));
    let results = world.overlay.perform(swarm_sync::RunId::at_ms(1), vec![(remove.op, None)]);
    assert!(matches!(results[..], [Err(ReplicaError::Gone(_))]), "{results:?}");
    assert!(world.whiteouts.within(None).unwrap().is_empty());
    let OpKind::Put { content: Kind::File(content), .. } = put.op.kind else { panic!("a file") };
    let job = StageJob {
        path: put.op.path,
        standing: None,
        content,
        modified_ns: 0,
        source: Box::new(Text(b"1".to_vec())),
    };
    let staged = world.overlay.stage(vec![job], &|_| {});
    assert!(matches!(staged[..], [Err(ReplicaError::Gone(_))]), "{staged:?}");
}

#[test]
fn a_mount_that_goes_away_ends_the_run() {
    let move_away = |dir: &Path| std::fs::rename(dir, dir.with_extension("away")).unwrap();
    check_gone("ro /v: a=1 | target: b=2", |world| move_away(&world.specs[0].dir));
    check_gone("ro /v: a=1 | target: b=2", |world| move_away(&world.specs[1].dir));
    check_gone("ro /v: a=1 | target: b=2", |world| {
        move_away(&world.specs[0].dir);
        make(&world.specs[0].dir, &parse_nodes(""));
    });
    check_gone("ro /v: a=1 | target: b=2", |world| {
        std::fs::remove_file(world.specs[1].dir.join(".swarm/mount")).unwrap();
    });
}

#[test]
fn a_folder_that_took_the_place_of_a_known_one_is_refused() {
    let world = World::new("ro /v: a=1 | target: b=2");
    let known = world.overlay.identities();
    assert_eq!(world.overlay.check(&known), Ok(()));
    let dir = world.specs[0].dir.clone();
    std::fs::rename(&dir, dir.with_extension("away")).unwrap();
    make(&dir, &parse_nodes("a=1"));
    let options = OverlayOptions { known, ..OverlayOptions::new(GUID) };
    let opened = Overlay::open(world.specs.clone(), Arc::clone(&world.whiteouts) as _, options);
    let error = opened.err().expect("it is another folder").to_string();
    assert!(error.contains("is another folder than last time"), "{error}");
    assert!(open(&world.specs, &world.whiteouts).is_ok(), "nothing is known of it");
}

#[test]
fn a_target_is_marked_once_and_for_one_library() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("new/target");
    mark_target(&dir, "one").unwrap();
    mark_target(&dir, "one").unwrap();
    assert!(
        matches!(mark_target(&dir, "two"), Err(OverlayError::OtherLibrary { guid, .. }) if guid == "one")
    );
    assert_eq!(std::fs::read_to_string(dir.join(".swarm/mount")).unwrap(), "one\n");
}

#[test]
fn bytes_are_kept_free_in_the_sync_target() {
    let mut world = World::new("ro /: a=1 | target:");
    world.specs[1].min_free = u64::MAX;
    world.reopen();
    for text in ["put b=123", "put a=2", "mv a c", "exec a"] {
        let op = world.op(text);
        let refused = world.perform(vec![op]).remove(0);
        assert!(matches!(refused, Err(ReplicaError::Full { .. })), "{text}: {refused:?}");
    }
    assert_eq!(world.layers(), "ro: a=1 | target:");
    assert_eq!(std::fs::read_dir(world.specs[1].dir.join(".swarm")).unwrap().count(), 1, "only the marker");
}

/// An operation that expects what stood there, after somebody changed it on disk.
fn check_changed(layers: &str, op: &str, change: impl FnOnce(&World), after: &str) {
    let mut world = World::new(layers);
    let op = world.op(op);
    change(&world);
    let refused = world.perform(vec![op]).remove(0);
    assert!(matches!(refused, Err(ReplicaError::Changed { .. })), "{refused:?}");
    assert_eq!(world.layers(), after);
}

#[test]
fn what_changed_meanwhile_is_left_alone() {
    let write = |layer: usize, name: &'static str| {
        move |world: &World| std::fs::write(world.specs[layer].dir.join(name), "edit").unwrap()
    };
    let two = "ro: a=1 | target:";
    for op in ["put a=2", "rm a", "mv a b", "exec a"] {
        check_changed(two, op, write(0, "a"), "ro: a=edit | target:");
        // It is shadowed by now.
        check_changed(two, op, write(1, "a"), "ro: a=1 | target: a=edit");
        check_changed("ro: a=1 | target: a=2", op, write(1, "a"), "ro: a=1 | target: a=edit");
    }
    check_changed(two, "put n=2", write(0, "n"), "ro: a=1 n=edit | target:");
    check_changed(two, "mv a n", write(0, "n"), "ro: a=1 n=edit | target:");
    check_changed(two, "mkdir n", write(0, "n"), "ro: a=1 n=edit | target:");
}

#[test]
fn a_file_for_a_folder_that_was_moved_in_the_same_batch_is_refused() {
    let mut world = World::new("ro: r/x=1 | target: d/a=1 e/");
    let ops = ["put d/b=2", "put d/c=3", "put r/y=2", "put r/z=3", "mv d f", "put d/g=4", "put e/h=5"];
    let ops = ops.map(|op| world.op(op)).into_iter().collect();
    let results = world.perform(ops);
    let refused: Vec<usize> =
        (0..).zip(&results).filter(|(_, result)| result.is_err()).map(|(at, _)| at).collect();
    assert_eq!(refused, [5], "{results:?}");
    assert_eq!(world.layers(), "ro: r/x=1 | target: e/h=5 f/a=1 f/b=2 f/c=3 r/y=2 r/z=3");
}

#[test]
fn a_whiteout_goes_back_if_the_deletion_is_refused() {
    let write = |world: &World| std::fs::write(world.specs[1].dir.join("a"), "edit").unwrap();
    check_changed("ro: a=1 | target: a=2", "rm a", write, "ro: a=1 | target: a=edit");
    check_changed("ro: a=1 | target: a=2", "mv a b", write, "ro: a=1 | target: a=edit");
}

#[test]
fn what_is_displaced_in_the_sync_target_is_a_kept_version() {
    let mut world = World::new("ro /w: v/x=0 v/y=1 | target /w: v/x=1");
    let op = world.op("put w/v/x=2");
    let kept = world.perform(vec![op]).remove(0).unwrap().kept.expect("a version");
    assert_eq!(kept.path, path("w/v/x"));
    assert_eq!(read(world.overlay.kept_source(&kept)).unwrap(), "1");
    let names = |place: Option<&TreePath>| -> Vec<String> {
        world.overlay.kept(place).unwrap().iter().map(|kept| kept.id.path.to_string()).collect()
    };
    assert_eq!(names(None), ["w/v/x"]);
    assert_eq!(names(Some(&path("w/v"))), ["w/v/x"]);
    assert_eq!(names(Some(&path("w/z"))), [""; 0]);
    world.overlay.remove_kept(&[kept]).unwrap();
    assert!(world.overlay.kept(None).unwrap().is_empty());
}

/// An operation that hides what a read-only mount has: what it is told to have displaced is read from there.
fn check_hidden(op: &str, bytes: &str) {
    let mut world = World::new("ro /v: a=1 b=2 | target: v/b=9");
    let op = world.op(op);
    let kept = world.perform(vec![op]).remove(0).unwrap().kept.expect("a version");
    assert_eq!(read(world.overlay.kept_source(&kept)).unwrap(), bytes);
    world.overlay.remove_kept(std::slice::from_ref(&kept)).unwrap();
    let is_gone = read(world.overlay.kept_source(&kept)).is_err();
    assert_eq!(is_gone, bytes == "9", "no version is removed from a read-only mount");
}

#[test]
fn what_is_hidden_in_a_read_only_mount_is_a_version_without_a_copy() {
    check_hidden("put v/a=5", "1");
    check_hidden("rm v/a", "1");
    check_hidden("put v/b=5", "9");
    check_hidden("rm v/b", "9");
}

#[test]
fn a_power_cut_before_all_is_durable_leaves_a_moved_file_at_both_places() {
    let mut world = World::new("ro /: a=1 | target:");
    let TestOp { op, .. } = world.op("mv a b");
    let results = world.overlay.perform(swarm_sync::RunId::at_ms(1), vec![(op, None)]);
    assert!(results[0].is_ok(), "{results:?}");
    assert_eq!(show(&world.nodes(None)), "b=1");
    world.reopen();
    assert_eq!(show(&world.nodes(None)), "a=1 b=1");
}

#[test]
fn what_the_user_excludes_is_shown_of_no_layer() {
    let mut world = World::new("ro /v: a=1 log/x=1 | ro /log: c=1 | target: log=3 b=2 d/log=4");
    let ignore = Arc::new(|path: &TreePath, _: bool| path.name() == "log");
    let options = OverlayOptions { ignore: Some(ignore), ..OverlayOptions::new(GUID) };
    world.overlay = Overlay::open(world.specs.clone(), Arc::clone(&world.whiteouts) as _, options).unwrap();
    assert_eq!(show(&world.nodes(None)), "b=2 d/ v/ v/a=1");
}

#[test]
fn whiteouts_are_forgotten_when_they_hide_nothing() {
    let mut world = World::new("ro /: a=1 d/b=2 e=3 | target: | white: a d/b gone/x");
    let forget = |world: &World| {
        let count = world.overlay.forget_stale_whiteouts().unwrap();
        let left: Vec<String> =
            world.whiteouts.within(None).unwrap().iter().map(ToString::to_string).collect();
        format!("{count}: {}", left.join(" "))
    };
    assert_eq!(forget(&world), "1: a d/b");
    let op = world.op("rm d");
    world.perform(vec![op]).remove(0).unwrap();
    assert_eq!(forget(&world), "1: a d");
    std::fs::remove_file(world.specs[0].dir.join("a")).unwrap();
    assert_eq!(forget(&world), "1: d");
}

#[test]
fn a_hint_of_a_mount_names_a_place_of_the_library() {
    let world = World::new("ro /v/w: a=1 d/b=2 | target: x=1 | white: v/w/d");
    let roots = world.overlay.mount_roots();
    assert_eq!(roots.iter().map(|root| root.libpath.clone()).collect::<Vec<_>>(), [Some(path("v/w")), None]);
    let place = |text: &str| Hint::Place(path(text));
    assert_eq!(world.overlay.hint_of(0, place("d/b")), place("v/w/d/b"));
    assert_eq!(world.overlay.hint_of(0, Hint::Everything), place("v/w"));
    assert_eq!(world.overlay.hint_of(1, place("x")), place("x"));
    assert_eq!(world.overlay.hint_of(1, Hint::Everything), Hint::Everything);
    let (_watcher, hints) = world.overlay.watch(0).expect("a mount").unwrap();
    std::fs::write(roots[0].dir.join("d/b"), "hidden").unwrap();
    std::fs::write(roots[0].dir.join("a"), "changed").unwrap();
    let hint = hints.next(Duration::from_secs(10)).unwrap().expect("a hint");
    assert_eq!(world.overlay.hint_of(0, hint), place("v/w/a"));
}

#[test]
fn a_file_is_where_its_layer_has_it() {
    let world = World::new("ro /v: a=1 b=2 | target: v/a=9");
    let place = |text: &str| {
        let place = world.overlay.file_path(&path(text))?;
        Some(place.strip_prefix(world.root.path()).unwrap().to_str().unwrap().to_owned())
    };
    assert_eq!(place("v/a").as_deref(), Some("1-target/v/a"));
    assert_eq!(place("v/b").as_deref(), Some("0-ro/b"));
    assert_eq!(place("v/c"), None);
}

#[test]
fn a_source_reads_one_file_whatever_takes_its_place() {
    let world = World::new("ro /v: a=1 | target:");
    let entry = world.observe(&path("v/a")).unwrap();
    assert_eq!(read(world.overlay.source(&path("v/a"), &entry)).unwrap(), "1");
    let gone = read(world.overlay.source(&path("v/x"), &entry));
    assert_eq!(gone, Err(ReplicaError::Changed { path: path("v/x") }));
    std::fs::write(world.specs[0].dir.join("a"), "longer").unwrap();
    let changed = read(world.overlay.source(&path("v/a"), &entry));
    assert_eq!(changed, Err(ReplicaError::Changed { path: path("v/a") }));
}

#[test]
fn many_files_of_a_moved_folder_are_copied_in_parts() {
    let entries: Vec<String> = (0..600).map(|number| format!("d/{number}={number}")).collect();
    let text = format!("ro /: {} | target:", entries.join(" "));
    let mut world = World::of(&parse(&text));
    let op = world.op("mv d n");
    world.perform(vec![op]).remove(0).unwrap();
    let moved = show(&world.nodes(None));
    assert_eq!(
        moved,
        show(&parse_nodes(&text["ro /:".len()..text.len() - "| target:".len()].replace("d/", "n/")))
    );
}

#[test]
fn an_operation_in_a_batch_sees_what_those_before_it_did() {
    let mut world = World::new("ro /: d/a=1 d/b=2 | target: d/a=9");
    let entry = |text: &str| Some(Box::new(crate::layers::entry_of(&parse_nodes(text)[&path("x")])));
    let remove = |place: &str, was: &str| TestOp::of(path(place), OpKind::Remove, entry(was));
    let made = TestOp::of(path("d"), OpKind::MakeFolder, None);
    let put = crate::layers::put(path("d/c"), &parse_nodes("x=5")[&path("x")], None);
    let ops = vec![remove("d/a", "x=9"), remove("d/b", "x=2"), remove("d", "x/"), made, put];
    let results = world.perform(ops);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(show(&world.nodes(None)), "d/ d/c=5");
}

/// Whiteouts that cannot be stored, and how often that was tried.
#[derive(Default)]
struct Full(AtomicUsize);

impl Whiteouts for Full {
    fn contains(&self, _: &TreePath) -> bool {
        false
    }

    fn insert(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(ReplicaError::Full { path: paths[0].clone() })
    }

    fn remove(&self, _: &[TreePath]) -> Result<(), ReplicaError> {
        Ok(())
    }

    fn within(&self, _: Option<&TreePath>) -> Result<Vec<TreePath>, ReplicaError> {
        Ok(Vec::new())
    }

    fn remember(&self, _: &[(TreePath, Entry)]) -> Result<(), ReplicaError> {
        Ok(())
    }

    fn forget(&self, _: &[TreePath]) -> Result<(), ReplicaError> {
        Ok(())
    }

    fn hidden(&self, _: Option<&TreePath>) -> Result<Vec<(TreePath, Entry)>, ReplicaError> {
        Ok(Vec::new())
    }

    fn is_remembered(&self, _: &TreePath) -> Result<bool, ReplicaError> {
        Ok(false)
    }
}

#[test]
fn nothing_is_removed_that_would_come_back() {
    let mut world = World::new("ro /: a=1 b=2 c=3 | target: a=9 x=4");
    let full = Arc::new(Full::default());
    world.overlay =
        Overlay::open(world.specs.clone(), Arc::clone(&full) as _, OverlayOptions::new(GUID)).unwrap();
    let ops = ["rm a", "rm b", "rm c"].map(|op| world.op(op));
    let results = world.perform(ops.into());
    assert!(results.iter().all(|result| matches!(result, Err(ReplicaError::Full { .. }))), "{results:?}");
    assert_eq!(full.0.load(Ordering::Relaxed), 1, "those of a batch are stored at once");
    assert_eq!(show(&world.nodes(None)), "a=9 b=2 c=3 x=4");
    let op = world.op("rm x");
    assert!(world.perform(vec![op])[0].is_ok(), "no read-only mount has it");
}

#[test]
fn a_moved_file_is_at_both_places_until_its_whiteout_is_stored() {
    let mut world = World::new("ro /: a=1 | target:");
    let full = Arc::new(Full::default());
    world.overlay = Overlay::open(world.specs.clone(), full, OverlayOptions::new(GUID)).unwrap();
    let TestOp { op, .. } = world.op("mv a b");
    let results = world.overlay.perform(swarm_sync::RunId::at_ms(1), vec![(op, None)]);
    assert!(results[0].is_ok(), "{results:?}");
    assert!(matches!(world.overlay.settle(), Err(ReplicaError::Full { .. })));
    assert_eq!(show(&world.nodes(None)), "b=1", "the whiteout still waits");
}
