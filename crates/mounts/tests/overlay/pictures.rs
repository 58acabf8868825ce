//! Pictures: layers, what the library shows of them, operations, and the layers afterwards.

use crate::layers::{World, disk_state, show};
use swarm_mounts::MountKind;

/// What the library shows of layers.
fn check(layers: &str, shown: &str) {
    let world = World::new(layers);
    assert_eq!(show(&world.nodes(None)), shown, "{layers}");
}

/// Operations, each after the one before; then the layers. Read-only mounts are written as `..` in the result: they never change.
fn check_ops(layers: &str, ops: &str, shown: &str, after: &str) {
    for is_reopened in [false, true] {
        let mut world = World::new(layers);
        let read_only = world.specs.iter().filter(|spec| spec.kind == MountKind::ReadOnly);
        let read_only: Vec<_> = read_only.map(|spec| spec.dir.clone()).collect();
        let before = disk_state(&read_only);
        let mut refused = Vec::new();
        for text in ops.split(';') {
            let op = world.op(text);
            if let Err(error) = world.perform(vec![op]).remove(0) {
                refused.push(format!("{}: {error}", text.trim()));
            }
        }
        if is_reopened {
            world.reopen();
        }
        let mut told = show(&world.nodes(None));
        refused.iter().for_each(|refused| told += &format!("; {refused}"));
        assert_eq!(told, shown, "{layers}, {ops}");
        let now = world.layers();
        let writable: Vec<_> = now.split(" | ").filter(|layer| !layer.starts_with("ro")).collect();
        assert_eq!(writable.join(" | "), after, "{layers}, {ops}");
        assert_eq!(disk_state(&read_only), before, "{layers}, {ops}");
    }
}

#[test]
fn folders_merge_and_the_sync_target_shadows() {
    check("ro /video: a=1 d/b=2 | target: x=9", "video/ video/a=1 video/d/ video/d/b=2 x=9");
    check("ro /: a=1 d/b=2 | target: a=9 d/c=3", "a=9 d/ d/b=2 d/c=3");
    check("ro /video: a=1 | target: video/a=9", "video/ video/a=9");
    check("ro /: d/b=2 d/e/f=3 | target: d=9", "d=9");
    check("ro /: d=2 | target: d/x=9", "d/ d/x=9");
}

#[test]
fn an_inner_mount_hides_what_the_outer_one_has() {
    check("ro /: a/b=1 a/c/d=2 e=3 | ro /a: z=9", "a/ a/z=9 e=3");
    check("ro /: a/b=1 a/c/d=2 | ro /a/c: z=9", "a/ a/b=1 a/c/ a/c/z=9");
    check("ro /: a=1 | ro /a/c: z=9", "a/ a/c/ a/c/z=9");
    check("ro /x/y/z: f=1", "x/ x/y/ x/y/z/ x/y/z/f=1");
    check("ro /: f=1 | target /work/now: g=2", "f=1 work/ work/now/ work/now/g=2");
}

#[test]
fn nothing_is_shown_at_or_below_a_whiteout() {
    check("ro /: a=1 d/b=2 d/e/f=3 | target: | white: d/e", "a=1 d/ d/b=2");
    check("ro /v: a=1 | ro /: b=2 | target: | white: v", "b=2");
    check("ro /v/w: a=1 | target: | white: v", "");
    check("ro /: d/b=2 | target: d/x=9 | white: d", "d/ d/x=9");
}

#[test]
fn what_is_ours_is_shown_of_no_mount() {
    check("ro /v: .swarm/versions/x=1 a=1 | target: b=2", "b=2 v/ v/a=1");
    check("ro /: .swarm/mount=other a=1", "a=1");
}

#[test]
fn a_put_goes_to_the_sync_target() {
    check_ops("ro /: d/b=2 | target:", "put d/b=9", "d/ d/b=9", "target: d/b=9");
    check_ops("ro /v: d/b=2 | target:", "put v/d/c=9", "v/ v/d/ v/d/b=2 v/d/c=9", "target: v/d/c=9");
    check_ops("ro /: b=2 | target: b=5", "put b=9*", "b=9*", "target: b=9*");
    check_ops("ro /: b=2 | target:", "put x/y=9", "b=2; put x/y=9: `x/y` changed meanwhile", "target:");
    check_ops("ro /: d/b=2 | target:", "put d=9", "d/ d/b=2; put d=9: `d` changed meanwhile", "target:");
    check_ops("ro /: l->x | target:", "link l->y", "l->y", "target: l->y");
    check_ops("ro /: b=2 | target: | white: b", "put b=9", "b=9", "target: b=9 | white: b");
}

#[test]
fn a_deletion_leaves_a_whiteout() {
    check_ops("ro /: a=1 d/b=2 | target:", "rm d/b", "a=1 d/", "target: | white: d/b");
    check_ops("ro /: d/b=2 | target:", "rm d/b; rm d", "", "target: | white: d d/b");
    check_ops("ro /: a=1 | target: a=9 b=2", "rm a; rm b", "", "target: | white: a");
    check_ops("ro /: d/b=2 | target: d/x=9", "rm d/x; rm d/b; rm d", "", "target: | white: d d/b");
    let stays = "d/ d/b=2; rm d: `d` stays: what it holds is left out of sync, or new";
    check_ops("ro /: d/b=2 | target:", "rm d", stays, "target:");
    check_ops("ro /: d/b=2 | target: d/", "rm d", stays, "target: d/");
    check_ops("ro /v: b=2 | target:", "rm v/b; rm v", "", "target: | white: v v/b");
    check_ops("ro /v: b=2", "rm v/b", "v/", "white: v/b");
}

#[test]
fn what_was_deleted_does_not_come_back_with_its_folder() {
    check_ops("ro /: d/b=2 | target:", "rm d/b; rm d; mkdir d", "d/", "target: d/ | white: d d/b");
    check_ops(
        "ro /: d/b=2 | target: | white: d",
        "mkdir d; put d/c=1",
        "d/ d/c=1",
        "target: d/c=1 | white: d",
    );
    check_ops("ro /: d/b=2 | target: | white: d", "put d=1; rm d; mkdir d", "d/", "target: d/ | white: d");
}

#[test]
fn a_moved_file_is_copied_and_its_old_place_hidden() {
    check_ops("ro /: d/b=2* | target:", "mv d/b c", "c=2* d/", "target: c=2* | white: d/b");
    check_ops("ro /: b=2 | target: b=9", "mv b c", "c=9", "target: c=9 | white: b");
    check_ops("ro /: a=1 b=2 | target:", "mv a b", "a=1 b=2; mv a b: `b` changed meanwhile", "target:");
    check_ops("ro /: l->x | target:", "mv l m", "m->x", "target: m->x | white: l");
    check_ops("ro /v: a=1 | target /w:", "mv v/a w/a", "v/ w/ w/a=1", "target /w: a=1 | white: v/a");
    check_ops("target: a=1 d/", "mv a d/b", "d/ d/b=1", "target: d/b=1");
}

#[test]
fn a_moved_folder_takes_all_of_its_layers_along() {
    let tree = "ro /: d/b=2 d/e/f=3 d/l->b";
    let moved = "n/ n/b=2 n/e/ n/e/f=3 n/l->b";
    check_ops(&format!("{tree} | target:"), "mv d n", moved, "target: n/b=2 n/e/f=3 n/l->b | white: d");
    check_ops(
        &format!("{tree} | target: d/b=9 d/x=1"),
        "mv d n",
        "n/ n/b=9 n/e/ n/e/f=3 n/l->b n/x=1",
        "target: n/b=9 n/e/f=3 n/l->b n/x=1 | white: d",
    );
    check_ops(
        &format!("{tree} | target: | white: d/e"),
        "mv d n",
        "n/ n/b=2 n/l->b",
        "target: n/b=2 n/l->b | white: d d/e",
    );
    check_ops("ro /v: a=1 | target:", "mv v w", "w/ w/a=1", "target: w/a=1 | white: v");
    check_ops("ro /v/w: a=1 | target:", "mv v x", "x/ x/w/ x/w/a=1", "target: x/w/a=1 | white: v");
}

#[test]
fn an_executable_bit_is_set_on_a_copy() {
    check_ops("ro /: d/b=2 | target:", "exec d/b", "d/ d/b=2*", "target: d/b=2*");
    check_ops("ro /: b=2* | target:", "noexec b", "b=2", "target: b=2");
    check_ops("ro /: b=2 | target: b=9", "exec b", "b=9*", "target: b=9*");
}

#[test]
fn the_place_of_the_sync_target_stays() {
    let stays = "w/ w/x/; rm w/x: `w/x` stays: what it holds is left out of sync, or new";
    check_ops("target /w/x:", "rm w/x", stays, "target /w/x:");
    let why = "the sync target is mounted there: change the mounts of the library";
    check_ops(
        "target /w: a=1",
        "mv w w/y",
        &format!("w/ w/a=1; mv w w/y: cannot move `w`: {why}"),
        "target /w: a=1",
    );
}

#[test]
fn without_a_place_in_a_sync_target_nothing_is_written() {
    let refused = |op: &str, path: &str| {
        format!("{op}: no folder of this side may be written for `{path}`: name a sync target")
    };
    for op in ["put a=9", "mkdir n", "put n=1", "mv a n", "exec a"] {
        let path = op.split(' ').next_back().unwrap().split('=').next().unwrap();
        check_ops("ro /: a=1", op, &format!("a=1; {}", refused(op, path)), "");
    }
    check_ops(
        "ro /: a=1 | target /w:",
        "put a=9",
        &format!("a=1 w/; {}", refused("put a=9", "a")),
        "target /w:",
    );
}

#[test]
fn that_a_sync_target_is_needed_is_told() {
    let mut world = World::new("ro /: a=1");
    assert!(!world.overlay.needs_target());
    let op = world.op("rm a");
    world.perform(vec![op]).remove(0).unwrap();
    assert!(!world.overlay.needs_target());
    let op = world.op("put b=1");
    world.perform(vec![op]).remove(0).unwrap_err();
    assert!(world.overlay.needs_target());
}
