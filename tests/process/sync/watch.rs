//! `swarm sync --watch`: changes are carried over as they are made.

use std::time::Duration;

use super::Folders;
use crate::support::{Process, Signal, args};

/// A watch that has caught up.
fn watching(folders: &Folders) -> Process {
    let mut watch = folders.start(args!["--watch", "--json"]);
    watch.wait_json(|line| (line["event"] == "idle").then_some(()));
    watch
}

/// Waits until it is so; a change takes a moment.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} took longer than 20 s");
}

#[test]
fn changes_of_both_sides_are_carried_at_once() {
    let folders = Folders::agreed(&["page", "docs/one"]);
    let mut watch = watching(&folders);
    folders.write("a/page", "edited in a");
    folders.write("b/new/deep/file", "new in b");
    folders.rename("a/docs", "a/texts");
    wait_until("carrying", || {
        folders.tree("a") == folders.tree("b") && folders.path("a/new/deep/file").exists()
    });
    assert_eq!(folders.read("b/page"), "edited in a");
    assert!(folders.path("b/texts/one").exists() && !folders.path("b/docs").exists());
    folders.remove("b/page");
    wait_until("deleting", || !folders.path("a/page").exists());
    watch.signal(Signal::Interrupt);
    watch.end().expect_code(130);
    folders.assert_same();
}

#[test]
fn a_conflict_is_told_and_the_rest_goes_on() {
    let folders = Folders::agreed(&["page", "other"]);
    folders.write("a/page", "from a");
    folders.write("b/page", "from b");
    let mut watch = folders.start(args!["--watch", "--json"]);
    watch.wait_json(|line| (line["event"] == "conflict").then_some(()));
    folders.write("a/other", "edited");
    wait_until("carrying", || folders.read("b/other") == "edited");
    watch.signal(Signal::Terminate);
    watch.end().expect_code(130);
}

#[test]
fn a_file_that_grows_is_told_of_once() {
    use std::io::Write as _;
    let folders = Folders::agreed(&["page"]);
    let mut watch = folders.start(args!["--watch", "--json", "--limit-up", "16MiB/s"]);
    watch.wait_json(|line| (line["event"] == "idle").then_some(()));
    folders.world.file("a/log", 16 * crate::support::MIB);
    for number in 0..700 {
        let mut log = std::fs::File::options().append(true).open(folders.path("a/log")).expect("it is there");
        writeln!(log, "line {number}").expect("the disk has room");
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_until("carrying", || folders.tree("a") == folders.tree("b"));
    watch.signal(Signal::Interrupt);
    let ended = watch.end().expect_code(130);
    let told = ended.events("refused").len() + ended.events("left_out").len();
    assert!(told <= 1, "{ended:#?}");
}

#[test]
fn rules_that_come_into_a_folder_hold_at_once() {
    let folders = Folders::agreed(&["docs/page", "other"]);
    let mut watch = watching(&folders);
    folders.write("a/docs/.swarmignore", "*.tmp\nbuild/\n");
    wait_until("carrying the rules", || folders.path("b/docs/.swarmignore").exists());
    folders.write("a/docs/x.tmp", "x");
    folders.write("a/docs/build/old", "old");
    folders.write("moved/.swarmignore", "*.o\n");
    folders.write("moved/x.o", "x");
    folders.write("moved/y", "y");
    folders.rename("moved", "a/docs/moved");
    folders.write("a/docs/later", "later");
    wait_until("carrying", || {
        folders.path("b/docs/later").exists() && folders.path("b/docs/moved/y").exists()
    });
    assert!(!folders.path("b/docs/x.tmp").exists() && !folders.path("b/docs/build").exists());
    assert!(!folders.path("b/docs/moved/x.o").exists());
    folders.remove("a/docs/.swarmignore");
    wait_until("carrying what is left out no more", || {
        folders.path("b/docs/x.tmp").exists() && folders.path("b/docs/build/old").exists()
    });
    folders.write("a/docs/build/new", "new");
    wait_until("carrying from a folder that was left out", || folders.path("b/docs/build/new").exists());
    watch.signal(Signal::Interrupt);
    watch.end().expect_code(130);
}
