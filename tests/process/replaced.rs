//! A target folder that another program replaces during the fetch.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{MIB, Process, World, args, assert_same_file};

#[test]
fn a_target_that_is_replaced_by_a_link_is_noticed_and_nothing_is_written_there() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let elsewhere = world.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seed.ticket()]);
    wait_for_a_quarter(&mut fetch);
    fs::rename(world.path("out"), world.path("moved")).expect("it is there");
    symlink(&elsewhere, world.path("out")).expect("a place");
    let outcome = fetch.end().expect_code(4);
    assert!(outcome.error_message().contains("was replaced"), "{outcome:#?}");
    assert_eq!(count(&elsewhere), 0);
    // Once the folder is back at its place, the fetch continues with all of its chunks.
    fs::remove_file(world.path("out")).expect("it is there");
    fs::rename(world.path("moved"), world.path("out")).expect("it is there");
    let done = world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert!(done.present_bytes > 0, "{done:#?}");
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_folder_in_the_target_that_is_replaced_by_a_link_is_refused() {
    let world = World::new();
    let files = ["tree/a/film.bin", "tree/b/song.bin"].map(|name| world.file(name, LEN / 2));
    let seed = world.seed(args![world.path("tree")]);
    let elsewhere = world.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    let args = args!["-o", "out", "--sequential", "--limit-down", "8MiB/s", seed.ticket()];
    let mut fetch = world.fetch(args);
    wait_for_a_quarter(&mut fetch);
    // The chunks in the moved folder are not lost.
    let (inner, moved) = (world.path("out/tree/b"), world.path("out/tree/moved"));
    fs::create_dir_all(&inner).expect("a place");
    fs::rename(&inner, &moved).expect("it is there");
    symlink(&elsewhere, &inner).expect("nothing stands there any more");
    let outcome = fetch.end().expect_code(4);
    assert!(outcome.error_message().contains("symbolic link"), "{outcome:#?}");
    assert_eq!(count(&elsewhere), 0);
    fs::remove_file(&inner).expect("it is there");
    fs::rename(&moved, &inner).expect("it is there");
    world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    for (file, name) in files.iter().zip(["out/tree/a/film.bin", "out/tree/b/song.bin"]) {
        assert_same_file(file, &world.path(name));
    }
}

#[test]
fn a_target_that_is_only_moved_is_filled_where_it_is() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seed.ticket()]);
    wait_for_a_quarter(&mut fetch);
    fs::rename(world.path("out"), world.path("moved")).expect("it is there");
    fetch.end().done();
    assert_same_file(&film, &world.path("moved/film.bin"));
    assert!(!world.path("out").exists());
}

fn wait_for_a_quarter(fetch: &mut Process) {
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= LEN / 4).then_some(()));
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).expect("it is there").count()
}

const LEN: u64 = 32 * MIB;
