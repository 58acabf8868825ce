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
    // As JSON the same, once more.
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
