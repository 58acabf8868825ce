//! Bad input and bad days: each has one clear line and its code, and nothing is lost.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;

use super::Folders;
use crate::support::{MIB, Signal, Tmpfs, args};

/// Checks the code, and one line that starts with `swarm: ` and contains each of these.
fn check(folders: &Folders, args: Vec<OsString>, code: i32, parts: &[&str]) {
    let shown = format!("{args:?}");
    let outcome = folders.run(args);
    assert_eq!(outcome.code, Some(code), "{shown}: {outcome:#?}");
    let line = outcome.failure_line();
    parts.iter().for_each(|part| assert!(line.contains(part), "{shown}: no `{part}` in `{line}`"));
}

#[test]
fn folders_that_make_no_pair_are_refused() {
    let folders = Folders::agreed(&["one", "in/two"]);
    folders.write("file", "a file");
    symlink("a", folders.path("link")).expect("a place");
    check(&folders, args!["sync", "a", "a"], 2, &["is both sides"]);
    check(&folders, args!["sync", "a", "./in/../a"], 2, &[]);
    check(&folders, args!["sync", "a", "link"], 2, &[]);
    check(&folders, args!["sync", "a", "a/in"], 2, &["lies in"]);
    check(&folders, args!["sync", "a/in", "a"], 2, &["lies in"]);
    check(&folders, args!["sync", "a", "a/new"], 2, &["a/new"]);
    check(&folders, args!["sync", "b", "a"], 2, &["the other way round"]);
    check(&folders, args!["sync", "missing", "b"], 2, &["`missing` does not exist"]);
    check(&folders, args!["sync", "missing", "new"], 2, &["`missing` does not exist"]);
    check(&folders, args!["sync", "a", "new", "--dry-run"], 2, &["`new` does not exist"]);
    check(&folders, args!["sync", "a", "missing/below"], 2, &["missing"]);
    check(&folders, args!["sync", "file", "b"], 2, &["file"]);
    check(&folders, args!["sync", "a", "file"], 2, &["file"]);
    assert!(!folders.path("missing").exists() && !folders.path("new").exists());
    folders.assert_same();
}

#[test]
fn a_folder_that_went_away_or_was_emptied_is_never_a_mass_deletion() {
    let folders = Folders::agreed(&["one", "two", "three"]);
    let before = folders.tree("a");
    folders.rename("b", "elsewhere");
    check(&folders, args!["sync", "a", "b"], 2, &["`b` does not exist"]);
    fs::create_dir(folders.path("b")).expect("a place");
    check(&folders, args!["sync", "a", "b"], 2, &["--accept-root"]);
    fs::remove_dir_all(folders.path("b")).expect("ours");
    folders.rename("elsewhere", "b");
    folders.sync(args![]).expect_code(0);
    ["one", "two", "three"].iter().for_each(|name| folders.remove(&format!("b/{name}")));
    check(&folders, args!["sync", "a", "b"], 2, &["b` is empty", "3 entries", "--accept-empty"]);
    assert_eq!(folders.tree("a"), before);
    folders.sync(args!["--accept-empty"]).expect_code(0);
    assert!(folders.tree("a").is_empty());
    folders.run(args!["undo", "--pair", "a"]).expect_code(0);
    assert_eq!(folders.tree("a"), before);
}

#[test]
fn commands_about_a_pair_say_where_there_is_none() {
    let folders = Folders::agreed(&["one", "two"]);
    fs::create_dir(folders.path("other")).expect("a place");
    for args in [
        args!["conflicts", "other"],
        args!["versions", "other/x"],
        args!["restore", "other/x"],
        args!["undo", "--pair", "other"],
        args!["changes", "--pair", "other"],
        args!["explain", "other/x"],
        args!["resolve", "other/x", "keep-local"],
    ] {
        check(&folders, args, 2, &["other", "swarm sync"]);
    }
    check(&folders, args!["resolve", "a/one", "keep-local"], 2, &["a/one", "swarm conflicts"]);
    check(
        &folders,
        args!["resolve", "0123456789abcdef", "keep-local", "--pair", "a"],
        2,
        &["0123456789abcdef"],
    );
    check(&folders, args!["resolve", "a/one", "keep-mine"], 2, &["keep-mine", "keep-local"]);
    check(&folders, args!["restore", "a/one"], 2, &["a/one"]);
    check(
        &folders,
        args!["restore", "a/one@20200101T000000.000Z"],
        2,
        &["20200101T000000.000Z", "swarm versions"],
    );
    check(&folders, args!["versions", "a"], 2, &["name a path in it"]);
}

#[test]
fn arguments_that_the_parser_refuses_have_its_code() {
    let folders = Folders::agreed(&["one"]);
    for args in [
        args!["sync"],
        args!["sync", "a"],
        args!["sync", "a", "b", "c"],
        args!["sync", "a", "b", "--resolve", "newest"],
        args!["sync", "a", "b", "--resolve", "[x=newer"],
        args!["sync", "a", "b", "--max-delete", "101%"],
        args!["sync", "a", "b", "--watch", "--dry-run"],
        args!["sync", "a", "b", "--plan", "x", "--one-way"],
        args!["undo", "yesterday"],
        args!["changes", "--since", "yesterday"],
    ] {
        let outcome = folders.run(args).expect_code(2);
        assert!(outcome.out.is_empty() && !outcome.err.is_empty(), "{outcome:#?}");
    }
    check(&folders, args!["sync", "a", "b", "--exclude", "[x"], 2, &["[x"]);
}

#[test]
fn two_runs_of_one_pair_never_work_at_once() {
    let folders = Folders::new();
    (0..8).for_each(|number| drop(folders.world.file(&format!("a/{number}.bin"), MIB)));
    let mut first = folders.start(args!["--json", "--limit-up", "2MiB/s"]);
    first.wait_json(|line| (line["event"] == "progress").then_some(()));
    let pid = format!("process {}", first.pid());
    let (second, mut third) = (folders.start(args![]), folders.start(args![]));
    [&second, &third].iter().for_each(|waiting| waiting.wait_stderr(&pid));
    // One that waits can be interrupted as one that works.
    third.signal(Signal::Interrupt);
    third.end().expect_code(130);
    first.signal(Signal::Interrupt);
    first.end().expect_code(130);
    second.end().expect_code(0);
    folders.assert_same();
}

#[test]
fn special_files_are_named_and_left_alone() {
    let folders = Folders::agreed(&["one"]);
    folders.write("a/two", "two");
    let _socket = std::os::unix::net::UnixListener::bind(folders.path("a/socket")).expect("a place");
    symlink(".", folders.path("a/loop")).expect("a place");
    let done = folders.sync(args![]).expect_code(0);
    assert!(done.err.iter().any(|line| line.contains("`socket` in a")), "{done:#?}");
    assert_eq!(folders.tree("b").len(), 3, "{:?}", folders.tree("b"));
    assert_eq!(folders.tree("b")["loop"], "link to .");
}

#[test]
fn a_full_disk_is_told_of_and_the_rest_goes_on() {
    let folders = Folders::new();
    let Some(disk) = Tmpfs::mount(&folders.path("b"), "size=8m") else { return };
    folders.world.file("a/film.bin", 64 * MIB);
    folders.write("a/page", "page");
    let ended = folders.sync(args![]).expect_code(6);
    assert!(ended.failure_line().contains("no space is left for `film.bin`"), "{ended:#?}");
    assert_eq!(folders.read("b/page"), "page");
    assert!(!folders.path("b/film.bin").exists(), "nothing half is there");
    disk.remount("size=256m");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_target_that_cannot_be_written_is_told_of() {
    let folders = Folders::new();
    let Some(disk) = Tmpfs::mount(&folders.path("b"), "size=8m") else { return };
    folders.write("a/page", "page");
    folders.sync(args![]).expect_code(0);
    folders.write("a/page", "edited");
    disk.remount("ro");
    let ended = folders.sync(args![]).expect_code(6);
    assert!(ended.failure_line().contains("read-only"), "{ended:#?}");
    disk.remount("rw");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
}

#[test]
fn another_file_system_where_a_folder_was_is_not_taken_for_it() {
    let folders = Folders::agreed(&["one", "two"]);
    let before = folders.tree("a");
    // As when a disk is not mounted, or another one is.
    let Some(disk) = Tmpfs::mount(&folders.path("b"), "size=8m") else { return };
    let ended = folders.sync(args![]);
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(folders.tree("a"), before);
    drop(disk);
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_damaged_memory_of_the_pair_loses_nothing() {
    let folders = Folders::agreed(&["one", "two"]);
    let mut damaged = 0;
    for entry in walkdir::WalkDir::new(folders.path("state")).into_iter().map(|entry| entry.expect("ours")) {
        if entry.file_type().is_file() && entry.metadata().expect("ours").len() > 4096 {
            fs::write(entry.path(), vec![7; 9000]).expect("ours");
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    folders.write("a/three", "three");
    folders.remove("b/one");
    let first = folders.sync(args![]).expect_code(5);
    let line = first.failure_line();
    assert!(line.contains("index.db") && line.contains("move the file away"), "{line}");
    // What it says helps.
    for entry in walkdir::WalkDir::new(folders.path("state")).into_iter().map(|entry| entry.expect("ours")) {
        if entry.file_name() == "index.db" {
            fs::remove_file(entry.path()).expect("ours");
        }
    }
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.tree("b").len(), 3);
}

#[test]
fn a_folder_that_may_not_be_read_is_told_of_with_the_code_of_disks() {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = Folders::agreed(&["one"]);
    let mode = |path: &std::path::Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    // Root may read everything.
    let binary = folders.path("swarm");
    fs::copy(env!("CARGO_BIN_EXE_swarm"), &binary).expect("a copy");
    for entry in walkdir::WalkDir::new(folders.path("")).into_iter().map(|entry| entry.expect("ours")) {
        mode(entry.path(), 0o777);
    }
    let user = format!("setpriv --reuid {0} --regid {0} --clear-groups", 1_000_000 + std::process::id());
    let run = |words: &str| {
        let shell = format!("exec {user} {} {words}", binary.to_string_lossy());
        let mut command = std::process::Command::new("/bin/sh");
        command
            .args(["-c", &shell])
            .current_dir(folders.path(""))
            .env_clear()
            .env("SWARM_STATE_DIR", folders.path("state"));
        crate::support::Process::start(&mut command, b"").end()
    };
    if run("--version").code != Some(0) {
        eprintln!(
            "NOT RUN: no other user can be taken on, so nothing is known about folders that may not be read"
        );
        return;
    }
    for (side, name) in [("a", "a"), ("b", "b")] {
        mode(&folders.path(side), 0o000);
        let refused = run("sync a b").expect_code(6);
        let line = refused.failure_line();
        assert!(line.contains(&format!("/{name}`: permission denied: get the permission")), "{line}");
        mode(&folders.path(side), 0o777);
    }
    run("sync a b").expect_code(0);
}

#[test]
fn a_clock_in_the_past_loses_nothing() {
    let folders = Folders::agreed(&["one", "two"]);
    folders.write("a/one", "edited");
    let old = std::time::SystemTime::UNIX_EPOCH;
    fs::File::options()
        .write(true)
        .open(folders.path("a/one"))
        .expect("ours")
        .set_modified(old)
        .expect("ours");
    folders.sync(args![]).expect_code(0);
    assert_eq!(folders.read("b/one"), "edited");
    folders.assert_same();
}
