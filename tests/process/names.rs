//! Files that are replaced or claimed by others during a fetch.

use std::fs;

use crate::support::{MIB, Process, World, args, assert_same_file};

/// Two contents with a file of one name, each with a seed.
fn two_films(world: &World) -> [(std::path::PathBuf, crate::support::Seed); 2] {
    ["a/film", "b/film"].map(|name| {
        let film = world.file(name, LEN);
        let seed = world.seed(args![film]);
        (film, seed)
    })
}

#[test]
fn a_second_content_of_the_same_name_does_not_take_the_first_ones_file() {
    let world = World::new();
    let [(film, one), (other, two)] = two_films(&world);
    let mut first = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", one.ticket()]);
    wait_for_a_quarter(&mut first);
    for overwrite in [true, false] {
        let mut args = args!["-o", "out", "--limit-down", "4MiB/s", two.ticket()];
        if overwrite {
            args.push("--overwrite".into());
        }
        let second = world.fetch(args).end().expect_code(1);
        let message = second.error_message();
        let pid = format!("in use by another swarm (process {})", first.pid());
        assert!(message.contains(&pid), "{message}");
    }
    first.end().done();
    assert_same_file(&film, &world.path("out/film"));
    // Once the fetch has ended, its file may be replaced.
    world.fetch(args!["-o", "out", two.ticket()]).end().expect_code(4);
    world.fetch(args!["-o", "out", "--overwrite", two.ticket()]).end().done();
    assert_same_file(&other, &world.path("out/film"));
}

#[test]
fn a_killed_fetch_holds_no_names() {
    let world = World::new();
    let [(_, one), (other, two)] = two_films(&world);
    let mut first = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", one.ticket()]);
    wait_for_a_quarter(&mut first);
    first.kill();
    world.fetch(args!["-o", "out", "--overwrite", two.ticket()]).end().done();
    assert_same_file(&other, &world.path("out/film"));
}

#[test]
fn a_part_that_is_replaced_by_a_copy_of_itself_is_not_called_complete() {
    check_replaced(|world, part| {
        fs::copy(part, world.path("copy")).expect("the disk has room");
        fs::rename(world.path("copy"), part).expect("a place");
    });
}

#[test]
fn a_part_that_is_replaced_by_another_file_of_its_length_is_not_called_complete() {
    check_replaced(|world, part| {
        fs::rename(world.file("other", LEN), part).expect("a place");
    });
}

fn check_replaced(replace: impl Fn(&World, &std::path::Path)) {
    let world = World::new();
    let film = world.file("film", LEN);
    let seed = world.seed(args![film]);
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seed.ticket()]);
    wait_for_a_quarter(&mut fetch);
    replace(&world, &world.path("out/film.part"));
    let outcome = fetch.end().expect_code(4);
    assert!(outcome.error_message().contains("film.part` was replaced"), "{outcome:#?}");
    assert!(!world.path("out/film").exists());
    // An existing file is replaced only on request, and never believed.
    world.fetch(args!["-o", "out", "--overwrite", seed.ticket()]).end().done();
    assert_same_file(&film, &world.path("out/film"));
}

#[test]
fn the_last_look_ends_with_the_integrity_code_and_the_next_run_mends_it() {
    let world = World::new();
    let film = world.file("film", LEN);
    let seed = world.seed(args![film]);
    let args =
        || args!["-o", "out", "--verify-at-end", "--sequential", "--limit-down", "8MiB/s", seed.ticket()];
    let mut fetch = world.fetch(args());
    wait_for_a_quarter(&mut fetch);
    // Even in order, chunks arrive side by side: a later one may be on the disk before chunk 1, which is written once.
    while bytes_at(&world.path("out/film.part"), MIB) != bytes_at(&film, MIB) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    crate::support::flip_byte(&world.path("out/film.part"), MIB + 5);
    let outcome = fetch.end().expect_code(5);
    assert!(outcome.error_message().contains("chunk 1 of "), "{outcome:#?}");
    assert!(!world.path("out/film").exists());
    let again = world.fetch(args()).end();
    assert_eq!(again.done().fetched_bytes, MIB);
    let read = again.events("verifying").pop().expect("it tells how far the last look is");
    assert_eq!((&read["read_bytes"], &read["bytes"]), (&LEN.into(), &LEN.into()));
    assert_same_file(&film, &world.path("out/film"));
}

/// A chunk's worth of bytes.
fn bytes_at(path: &std::path::Path, at: u64) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; MIB as usize];
    std::fs::File::open(path).and_then(|file| file.read_exact_at(&mut bytes, at)).expect("it is long enough");
    bytes
}

fn wait_for_a_quarter(fetch: &mut Process) {
    fetch.wait_json(|line| (line["durable_bytes"].as_u64()? >= LEN / 4).then_some(()));
}

const LEN: u64 = 32 * MIB;
