//! What runs carry from one folder to the other.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use super::{Folders, number};
use crate::support::{MIB, args};

#[test]
fn all_kinds_of_entries_are_carried_to_a_folder_that_is_made() {
    let folders = Folders::new();
    folders.write("a/docs/page.md", "page");
    folders.write("a/empty.txt", "");
    folders.write("a/tool.sh", "#!/bin/sh");
    fs::set_permissions(folders.path("a/tool.sh"), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::create_dir_all(folders.path("a/nothing/in it")).expect("a place");
    symlink("docs/page.md", folders.path("a/link")).expect("a place");
    symlink("nowhere", folders.path("a/dangling")).expect("a place");
    folders.world.file("a/film.bin", 3 * MIB + 7);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options()
        .write(true)
        .open(folders.path("a/docs/page.md"))
        .expect("ours")
        .set_modified(old)
        .expect("ours");

    let first = folders.sync(args![]).expect_code(0);
    assert!(first.out.is_empty() && first.err.is_empty(), "a run without warnings is silent: {first:#?}");
    folders.assert_same();
    let copied = fs::metadata(folders.path("b/docs/page.md")).expect("it is there");
    assert_eq!(copied.modified().expect("a time"), old);
    let again = folders.sync(args!["--json"]).expect_code(0);
    let done = again.events("done").pop().expect("a line");
    assert_eq!((number(&done, "bytes"), number(&done, "remote.created")), (0, 0), "{done}");
}

#[test]
fn the_first_run_merges_and_deletes_nothing() {
    let folders = Folders::new();
    folders.write("a/left", "left");
    folders.write("a/both", "same");
    folders.write("b/both", "same");
    folders.write("b/right/right", "right");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.tree("a").len(), 4);
}

#[test]
fn changes_of_both_sides_are_carried_over() {
    let folders = Folders::agreed(&["kept", "edited", "deleted", "docs/one", "docs/two"]);
    folders.write("a/edited", "edited in a");
    folders.write("a/new", "new");
    folders.remove("b/deleted");
    folders.write("b/docs/two", "edited in b");
    folders.write("b/docs/three", "new in b");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.read("b/edited"), "edited in a");
    assert_eq!(folders.read("a/docs/two"), "edited in b");
    assert!(!folders.path("a/deleted").exists() && folders.path("b/new").exists());
}

#[test]
fn a_renamed_folder_is_renamed_and_not_copied() {
    let folders = Folders::new();
    for number in 0..20 {
        folders.world.file(&format!("a/album/{number}.bin"), MIB / 4);
    }
    folders.sync(args![]).expect_code(0);
    folders.rename("b/album", "b/holidays");
    let done = folders.sync(args!["--json"]).expect_code(0).events("done").pop().expect("a line");
    assert_eq!((number(&done, "bytes"), number(&done, "local.moved")), (0, 1), "{done}");
    folders.assert_same();
    assert!(folders.path("a/holidays/7.bin").exists());
}

#[test]
fn both_changes_of_a_moved_and_edited_file_arrive() {
    let folders = Folders::agreed(&["page", "other"]);
    folders.rename("a/page", "a/moved");
    folders.write("b/page", "edited");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.read("a/moved"), "edited");
    assert!(!folders.path("a/page").exists());
}

#[test]
fn what_is_ignored_or_excluded_stays_where_it_is() {
    let folders = Folders::agreed(&["kept"]);
    folders.write("a/.swarmignore", "*.tmp\n");
    folders.write("a/draft.tmp", "draft");
    folders.write("a/cache/x", "x");
    folders.sync(args!["--exclude", "cache/"]).expect_code(0);
    assert!(folders.path("b/.swarmignore").exists());
    assert!(!folders.path("b/draft.tmp").exists() && !folders.path("b/cache").exists());
    // It holds on the other side, too, and what is left out later is not deleted.
    folders.write("b/other.tmp", "other");
    folders.write("b/.swarmignore", "*.tmp\nkept\n");
    folders.remove("b/kept");
    folders.sync(args!["--exclude", "cache/"]).expect_code(0);
    assert!(!folders.path("a/other.tmp").exists() && folders.path("a/kept").exists());
}

#[test]
fn only_what_is_included_is_carried() {
    let folders = Folders::new();
    folders.write("a/song.mp3", "song");
    folders.write("a/deep/song.mp3", "deep");
    folders.write("a/notes.txt", "notes");
    folders.sync(args!["--include", "*.mp3"]).expect_code(0);
    let carried: Vec<String> = folders.tree("b").into_keys().filter(|path| path.contains('.')).collect();
    assert_eq!(carried, ["deep/song.mp3", "song.mp3"]);
}

#[test]
fn one_way_makes_b_what_a_is_and_keeps_what_b_had() {
    let folders = Folders::agreed(&["page", "other", "third"]);
    let before = {
        folders.write("a/page", "new page");
        folders.remove("a/other");
        folders.tree("a")
    };
    folders.write("b/page", "edited in b");
    folders.write("b/extra", "extra");
    folders.sync(args!["--one-way", "--max-delete", "10"]).expect_code(0);
    assert_eq!(folders.tree("a"), before, "a is not changed");
    folders.assert_same();
    folders.run(args!["restore", "b/page", "-o", "old"]).expect_code(0);
    assert_eq!(folders.read("old"), "edited in b");
}

#[test]
fn checksum_reads_every_file() {
    let folders = Folders::agreed(&["one", "two", "three"]);
    // What changed in the last moment is read again anyway.
    folders.sync(args![]).expect_code(0);
    let read = |flags| {
        let lines = folders.sync(flags).expect_code(0).events("scan");
        lines.iter().map(|line| number(line, "read_files")).max().expect("a line")
    };
    assert_eq!(read(args!["--json", "--checksum"]), 3);
}

#[test]
fn a_rate_limit_holds() {
    let folders = Folders::new();
    folders.world.file("a/film.bin", 8 * MIB);
    let done = folders
        .sync(args!["--json", "--limit-up", "8MiB/s"])
        .expect_code(0)
        .events("done")
        .pop()
        .expect("a line");
    assert!(done["seconds"].as_f64().expect("a number") > 0.5, "{done}");
    folders.assert_same();
}

#[test]
fn a_file_that_grows_while_it_is_read_is_whole_in_the_end() {
    let folders = Folders::new();
    folders.world.file("a/log", 4 * MIB);
    let sync = folders.start(args!["--limit-up", "4MiB/s"]);
    for number in 0..20 {
        use std::io::Write as _;
        let mut log = fs::File::options().append(true).open(folders.path("a/log")).expect("it is there");
        writeln!(log, "line {number}").expect("the disk has room");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whatever this run met: nothing half is under the name.
    sync.end();
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_deleted_memory_of_the_pair_loses_nothing() {
    let folders = Folders::agreed(&["one", "two"]);
    folders.remove("a/one");
    folders.write("b/two", "edited");
    fs::remove_dir_all(folders.path("state")).expect("it is there");
    folders.sync(args!["--resolve", "keep-both"]).expect_code(0);
    folders.assert_same();
    assert!(folders.path("a/one").exists(), "without a base nothing is deleted");
    let texts: Vec<String> = folders.tree("a").into_values().collect();
    assert!(texts.contains(&"\"two\"".to_owned()) && texts.contains(&"\"edited\"".to_owned()), "{texts:?}");
}

#[test]
fn a_deleted_folder_stays_for_what_is_left_out_in_it() {
    let folders = Folders::agreed(&["docs/deep/page", "other", "third"]);
    folders.write("b/.swarmignore", "*.tmp\n");
    folders.write("b/docs/deep/x.tmp", "left out");
    fs::remove_dir_all(folders.path("a/docs")).expect("ours");
    for _ in 0..2 {
        let done = folders.sync(args![]).expect_code(0);
        let [line] = &done.err[..] else { panic!("{done:#?}") };
        for part in
            ["`docs/deep` was deleted in a and stays in b", "`docs/deep/x.tmp`", "left out", "delete or move"]
        {
            assert!(line.contains(part), "no `{part}` in {line}");
        }
    }
    let lines = folders.sync(args!["--json"]).expect_code(0);
    assert_eq!(lines.events("left_out").len(), 1, "{lines:#?}");
    folders.remove("b/docs/deep/x.tmp");
    let done = folders.sync(args![]).expect_code(0);
    assert!(done.err.is_empty() && !folders.path("b/docs").exists(), "{done:#?}");
}

#[test]
fn files_of_rules_in_folders_hold_there_on_both_sides() {
    let folders = Folders::agreed(&["kept"]);
    folders.write("a/.swarmignore", "*.o\n");
    folders.write("a/lib/.swarmignore", "!keep.o\n/build/\n");
    folders.write("b/docs/.swarmignore", "*.pdf\n");
    for name in
        ["a/x.o", "a/lib/x.o", "a/lib/keep.o", "a/lib/build/y", "a/lib/sub/build/z", "a/docs/page.pdf"]
    {
        folders.write(name, name);
    }
    folders.write("b/lib/build/theirs", "theirs");
    folders.sync(args![]).expect_code(0);
    let files: Vec<String> =
        folders.tree("b").into_keys().filter(|path| folders.path(&format!("b/{path}")).is_file()).collect();
    let there = [
        ".swarmignore",
        "docs/.swarmignore",
        "kept",
        "lib/.swarmignore",
        "lib/build/theirs",
        "lib/keep.o",
        "lib/sub/build/z",
    ];
    assert_eq!(files, there);
    assert!(!folders.path("a/lib/build/theirs").exists());
    let explained = folders.run(args!["explain", "a/lib/build/y"]).expect_code(0).out.join("\n");
    assert!(explained.contains("lib/.swarmignore"), "{explained}");
    // What is left out from now on stays where it is; what is no more is carried.
    folders.write("a/lib/.swarmignore", "/sub/\n");
    folders.remove("a/lib/sub/build/z");
    folders.sync(args![]).expect_code(0);
    assert!(folders.path("b/lib/sub/build/z").exists());
    folders.sync(args![]).expect_code(0);
    assert!(folders.path("a/lib/build/theirs").exists() && folders.path("b/lib/build/y").exists());
    assert!(!folders.path("b/lib/x.o").exists());
}
