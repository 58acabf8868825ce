//! What an owner changes in a read-only mount where something else is shown.

use std::fs;

use swarm_mounts::HiddenEdits;
use swarm_sync::RunId;

use crate::layers::{World, entry_of, show};

/// Operations on the library, each after the one before; then changes in the read-only mount (`x=1` is written, `-x` removed), or after a `>` in
/// the sync target. Which of these
/// are found, and what the library shows once all that can be shown is.
fn check(layers: &str, ops: &str, changes: &str, found: &str, shown: &str) {
    let mut world = World::new(layers);
    world.overlay.remember_hidden().expect("it reads");
    for text in ops.split(';').filter(|text| !text.trim().is_empty()) {
        let op = world.op(text);
        world.perform(vec![op]).remove(0).expect(text);
    }
    let _ = world.nodes(None);
    world.overlay.remember_shadowed().expect("it reads");
    assert_eq!(
        world.overlay.changed_hidden(None).expect("it reads"),
        HiddenEdits::default(),
        "nothing changed: {layers}, {ops}"
    );
    for change in changes.split_whitespace() {
        // `>` before a change: in the sync target.
        let (folder, change) = match change.strip_prefix('>') {
            Some(change) => (&world.specs[1].dir, change),
            None => (&world.specs[0].dir, change),
        };
        match change.split_once('=') {
            Some((name, text)) => {
                let place = folder.join(name);
                fs::create_dir_all(place.parent().expect("one")).expect("a folder");
                fs::write(place, text).expect("a place");
            }
            None => fs::remove_file(folder.join(&change[1..])).expect("it is there"),
        }
    }
    world.reopen();
    let mut told = Vec::new();
    for changed in world.overlay.changed_hidden(None).expect("it reads").changed {
        let shown = world.nodes(None).get(&changed.path).map(entry_of);
        let was = if changed.was.is_some() { "" } else { "+" };
        match world.overlay.uncover(RunId::at_ms(77), &changed.path, shown.as_ref()) {
            Ok(_) => told.push(format!("{was}{}", changed.path)),
            Err(error) => told.push(format!("{was}{} ({error})", changed.path)),
        }
    }
    told.sort();
    assert_eq!(told.join(" "), found, "{layers}, {ops}, {changes}");
    assert_eq!(show(&world.nodes(None)), shown, "{layers}, {ops}, {changes}");
    if !found.contains('(') {
        assert_eq!(
            world.overlay.changed_hidden(None).expect("it reads"),
            HiddenEdits::default(),
            "it is told once: {layers}, {ops}"
        );
    }
}

#[test]
fn a_shadowed_file_that_its_owner_changed_is_shown_again() {
    check("ro /: a=1 | target:", "put a=99", "a=55", "a", "a=55");
    check("ro /: a=1 | target:", "put a=99; put a=98", "a=55", "a", "a=55");
    check("ro /: a=1 | target:", "exec a", "a=55", "a", "a=55");
    check("ro /: a=1 | target: a=99", "", "a=55", "a", "a=55");
    check("ro /: d/a=1 | target:", "put d/a=99", "d/a=55 d/b=2", "d/a", "d/ d/a=55 d/b=2");
}

#[test]
fn what_its_owner_did_not_change_or_only_removed_stays_shadowed() {
    check("ro /: a=1 | target:", "put a=99", "a=1", "", "a=99");
    check("ro /: a=1 | target:", "put a=99", "-a", "", "a=99");
    check("ro /: a=1 | target:", "put a=99", "-a a=55", "a", "a=55");
    check("ro /: a=1 | target:", "put a=99", "-a a=1", "", "a=99");
}

#[test]
fn a_file_that_nothing_shadows_any_more_is_forgotten() {
    check("ro /: a=1 | target:", "put a=99", ">-a a=55", "", "a=55");
    check("ro /: d/a=1 | target:", "put d/a=99", ">-d/a d/a=55", "", "d/ d/a=55");
}

#[test]
fn a_deleted_file_that_its_owner_changed_is_shown_again() {
    check("ro /: a=1 b=2 | target:", "rm a; rm b", "a=55", "a", "a=55");
    check("ro /: a=1 | target: a=99", "rm a", "a=55", "a", "a=55");
    check("ro /: d/a=1 d/b=2 | target:", "rm d/a; rm d/b; rm d", "d/a=55", "d/a", "d/ d/a=55");
    check("ro /: d/a=1 d/e/b=2 | target: | white: d", "", "d/a=55", "d/a", "d/ d/a=55");
    check("ro /v: a=1 b=2 | target:", "rm v/a; rm v/b; rm v", "a=55", "v/a", "v/ v/a=55");
}

#[test]
fn a_new_file_in_a_folder_that_others_deleted_or_moved_is_shown() {
    check("ro /: d/a=1 d/b=2 | target:", "rm d/a; rm d/b; rm d", "d/c=55", "+d/c", "d/ d/c=55");
    check(
        "ro /: d/a=1 d/e/b=2 | target:",
        "mv d n",
        "d/c=55 d/e/b=56",
        "+d/c d/e/b",
        "d/ d/c=55 d/e/ d/e/b=56 n/ n/a=1 n/e/ n/e/b=2",
    );
    check(
        "ro /: d/a=1 d/b=3 | target: d/a=9 d/x=2",
        "mv d n",
        "d/b=55",
        "d/b",
        "d/ d/b=55 n/ n/a=9 n/b=3 n/x=2",
    );
    check("ro /: b=1 | target:", "mv b c", "b=55", "b", "b=55 c=1");
}

#[test]
fn what_stands_above_a_changed_file_stays_and_that_is_told() {
    check("ro /: d/a=1 | target:", "rm d/a; rm d; put d=9", "d/a=55", "d/a (`d/a` changed meanwhile)", "d=9");
}
