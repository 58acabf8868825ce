//! A disk that is full, and one that may not be written to.

use crate::support::{MIB, Tmpfs, World, args, assert_same_file};

const LEN: u64 = 96 * MIB;

#[test]
fn a_fetch_goes_on_when_space_was_made() {
    let world = World::new();
    let Some(disk) = Tmpfs::mount(&world.path("small"), "size=48m") else { return };
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let out = disk.path("out");
    let full = world.run(&args!["fetch", "-o", out, seed.ticket()]).expect_code(6);
    let line = full.failure_line();
    assert!(line.contains("No space left on device") && line.contains("make space"), "{full:#?}");
    assert!(!out.join("film.bin").exists());
    // A second run, with JSON.
    let full = world.fetch(args!["-o", out, seed.ticket()]).end().expect_code(6);
    assert!(full.error_message().contains("make space"), "{full:#?}");
    disk.remount("size=256m");
    let again = world.fetch(args!["-o", out, seed.ticket()]).end();
    assert!(again.done().present_bytes > 0, "{again:#?}");
    assert_same_file(&film, &out.join("film.bin"));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_an_error_of_the_disk() {
    let world = World::new();
    let Some(disk) = Tmpfs::mount(&world.path("small"), "size=4m") else { return };
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    disk.remount("ro");
    let outcome = world.run(&args!["fetch", "-o", disk.path("out"), seed.ticket()]).expect_code(6);
    let line = outcome.failure_line();
    assert!(line.contains("Read-only file system") && line.contains("choose a folder"), "{outcome:#?}");
}

#[test]
fn a_complete_copy_that_cannot_be_written_to_is_complete() {
    let world = World::new();
    let Some(disk) = Tmpfs::mount(&world.path("small"), "size=8m") else { return };
    let film = world.file("tree/film.bin", MIB);
    world.file("tree/notes.txt", 0);
    std::fs::create_dir(world.path("tree/empty")).expect("a place");
    let seed = world.seed(args![world.path("tree")]);
    let out = disk.path("out");
    world.fetch(args!["-o", out, seed.ticket()]).end().done();
    disk.remount("ro");
    let again = world.fetch(args!["-o", out, seed.ticket()]).end().done();
    assert_eq!((again.present_bytes, again.fetched_bytes), (MIB, 0));
    assert_same_file(&film, &out.join("tree/film.bin"));
    // A wrong or missing file would have to be written, which is impossible here.
    for (broken, whole) in [("tree/film.bin", "tree/film.gone"), ("tree/empty", "tree/gone")] {
        disk.remount("rw");
        std::fs::rename(out.join(broken), out.join(whole)).expect("it may be written to");
        disk.remount("ro");
        let outcome = world.fetch(args!["-o", out, seed.ticket()]).end().expect_code(6);
        assert!(outcome.error_message().contains("Read-only file system"), "{broken}: {outcome:#?}");
        disk.remount("rw");
        std::fs::rename(out.join(whole), out.join(broken)).expect("it may be written to");
    }
}

#[test]
fn a_disk_without_inodes_is_not_said_to_lack_space() {
    let world = World::new();
    // One for its own folder, one for `out`.
    let Some(disk) = Tmpfs::mount(&world.path("small"), "size=8m,nr_inodes=2") else { return };
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let outcome = world.fetch(args!["-o", disk.path("out"), seed.ticket()]).end().expect_code(6);
    let message = outcome.error_message();
    assert!(message.contains("as many files as it can") && !message.contains("make space"), "{message}");
}

#[test]
fn a_file_longer_than_the_limit_is_not_tried_again_as_it_is() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    // Without the trap the system ends the process by a signal of its own.
    let limit = "trap '' XFSZ; ulimit -f 20480";
    let outcome = world.start_limited(limit, &args!["fetch", "--json", "-o", "out", seed.ticket()]).end();
    let message = outcome.expect_code(6).error_message();
    assert!(message.contains("raise the limit (ulimit -f)"), "{message}");
}
