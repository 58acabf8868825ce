//! Data that changes on disk under a running seed.

use crate::support::{MIB, World, args, assert_same_file, flip_byte};

const LEN: u64 = 32 * MIB;

#[test]
fn a_seed_withdraws_what_changed_and_never_sends_it() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let pristine = world.file("other/film.bin", 0);
    std::fs::copy(&film, &pristine).expect("the disk has room");
    let mut seed = world.seed(args![film]);
    flip_byte(&film, 7 * MIB + 1234);
    let alone = world.fetch(args!["-o", "out", "--timeout", "5", seed.ticket()]).end().expect_code(3);
    let message = alone.error_message();
    assert!(message.contains("chunk 7 of film.bin"), "{message}");
    let lost = seed.process.wait_json(|line| (line["event"] == "chunk_lost").then(|| line.clone()));
    assert_eq!((lost["chunk"].as_u64(), lost["path"].as_str()), (Some(7), Some("film.bin")));

    let honest = world.seed(args![pristine]);
    let together = world.fetch(args!["-o", "out", seed.ticket(), "--peer", honest.ticket()]).end();
    let done = together.done();
    assert_eq!((done.corrupt_bytes, done.present_bytes), (0, LEN - MIB), "{done:#?}");
    assert_same_file(&pristine, &world.path("out/film.bin"));
}

#[test]
fn damage_in_the_middle_of_a_transfer_is_noticed() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let mut seed = world.seed(args![film]);
    let args = args!["-o", "out", "--sequential", "--limit-down", "8MiB/s", "--timeout", "5", seed.ticket()];
    let mut fetch = world.fetch(args);
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? > 0).then_some(()));
    flip_byte(&film, LEN - 1);
    let outcome = fetch.end().expect_code(3);
    assert!(outcome.error_message().contains("chunk 31 of film.bin"), "{outcome:#?}");
    assert!(!outcome.events("peer").iter().any(|line| line["state"] == "banned"), "{outcome:#?}");
    seed.process.wait_json(|line| (line["event"] == "chunk_lost" && line["chunk"] == 31).then_some(()));
}

#[test]
fn people_read_which_chunk_a_seed_withdrew() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let mut seed = world.start(&args!["seed", "--listen", "127.0.0.1:0", film]);
    let ticket = seed.wait_line(|line| Some(line.to_owned()));
    flip_byte(&film, 3 * MIB);
    let fetch = world.run(&args!["fetch", "-o", "out", "--timeout", "5", ticket]).expect_code(3);
    assert!(fetch.failure_line().contains("chunk 3 of film.bin"), "{fetch:#?}");
    seed.wait_stderr("withdrew chunk 3 of film.bin");
}

#[test]
fn a_file_that_is_cut_short_or_gone_is_withdrawn() {
    let world = World::new();
    let (cut, gone) = (world.file("tree/cut.bin", 4 * MIB), world.file("tree/gone.bin", 4 * MIB));
    let good = world.file("tree/good.bin", 4 * MIB);
    let seed = world.seed(args![world.path("tree")]);
    std::fs::File::options().write(true).open(cut).and_then(|file| file.set_len(MIB)).expect("ours");
    std::fs::remove_file(gone).expect("ours");
    let args = args!["-o", "out", "--timeout", "5", seed.ticket()];
    world.fetch(args).end().expect_code(3);
    assert_same_file(&good, &world.path("out/tree/good.bin"));
    assert!(!world.path("out/tree/cut.bin").exists() && !world.path("out/tree/gone.bin").exists());
}

#[test]
fn data_that_cannot_be_read_for_a_while_is_served_again_and_nothing_is_withdrawn() {
    let world = World::new();
    let film = world.file("tree/a/film.bin", LEN);
    let mut seed = world.seed(args![world.path("tree")]);
    // As if its disk were unmounted.
    std::fs::rename(world.path("tree"), world.path("away")).expect("it is there");
    let mut fetch = world.fetch(args!["-o", "out", seed.ticket()]);
    let trouble = seed.process.wait_json(|line| (line["event"] == "read_trouble").then(|| line.clone()));
    assert_eq!(trouble["path"], "tree/a/film.bin", "{trouble}");
    fetch.wait_json(|line| (line["event"] == "ready").then_some(()));
    std::fs::rename(world.path("away"), world.path("tree")).expect("a place");
    seed.process.wait_json(|line| {
        assert_ne!(line["event"], "chunk_lost");
        (line["event"] == "read_again").then_some(())
    });
    fetch.end().done();
    assert_same_file(&film, &world.path("out/tree/a/film.bin"));
}

#[test]
fn people_read_why_a_seed_does_not_serve_for_now_and_that_it_serves_again() {
    let world = World::new();
    let film = world.file("tree/film.bin", LEN);
    let mut seed = world.start(&args!["seed", "--listen", "127.0.0.1:0", world.path("tree")]);
    let ticket = seed.wait_line(|line| Some(line.to_owned()));
    std::fs::rename(world.path("tree"), world.path("away")).expect("it is there");
    let fetch = world.fetch(args!["-o", "out", ticket]);
    seed.wait_stderr("not served for now: ");
    std::fs::rename(world.path("away"), world.path("tree")).expect("a place");
    seed.wait_stderr("serving tree/film.bin again");
    fetch.end().done();
    assert_same_file(&film, &world.path("out/tree/film.bin"));
}

#[test]
fn seed_and_fetch_number_a_chunk_alike() {
    let world = World::new();
    world.file("tree/a.bin", 4 * MIB);
    let film = world.file("tree/b.bin", 4 * MIB);
    let mut seed = world.seed(args![world.path("tree")]);
    flip_byte(&film, 2 * MIB);
    let fetch = world.fetch(args!["-o", "out", "--timeout", "5", seed.ticket()]).end().expect_code(3);
    assert!(fetch.error_message().contains("chunk 2 of tree/b.bin"), "{fetch:#?}");
    let lost = seed.process.wait_json(|line| (line["event"] == "chunk_lost").then(|| line.clone()));
    assert_eq!((lost["chunk"].as_u64(), lost["path"].as_str()), (Some(2), Some("tree/b.bin")));
}
