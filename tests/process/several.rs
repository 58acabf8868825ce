//! Several seeds: with a part each, dying, corrupt.

use std::ffi::OsString;

use serde_json::Value;

use crate::support::{Liar, MIB, World, args, assert_same_file, copy_some_chunks};

#[test]
fn four_seeds_that_each_have_a_part_make_a_whole() {
    let world = World::new();
    let film = world.file("film.bin", 96 * MIB + 5);
    let manifest = world.manifest(&film, "film.swarm");
    let mut args = args!["-o", "out", manifest];
    let mut seeds = Vec::new();
    for number in 0..4 {
        let folder = world.path(&format!("seed-{number}"));
        copy_some_chunks(&film, &folder.join("film.bin"), |chunk| chunk % 4 == number);
        let seed = world.seed(args!["--manifest", manifest, folder]);
        assert!(seed.ready["present_bytes"].as_u64() < seed.ready["bytes"].as_u64());
        args.extend(args!["--peer", seed.ticket()]);
        seeds.push(seed);
    }
    let done = world.fetch(args).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
    assert_eq!(done.peers.iter().filter(|peer| peer.bytes > 0).count(), 4, "{done:#?}");
}

#[test]
fn the_death_of_one_of_two_seeds_costs_nothing_but_time() {
    let world = World::new();
    let film = world.file("film.bin", 64 * MIB);
    let (doomed, other) = (world.seed(args![film]), world.seed(args![film]));
    let mut fetch =
        world.fetch(args!["-o", "out", "--limit-down", "16MiB/s", doomed.ticket(), "--peer", other.ticket()]);
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= 16 * MIB).then_some(()));
    doomed.process.kill();
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_corrupt_seed_among_honest_ones_is_named_and_costs_little() {
    let world = World::new();
    let film = world.file("film.bin", 64 * MIB);
    // The corrupt seed is the fastest, so that it is asked.
    let honest = [(); 2].map(|()| world.seed(args![film, "--limit-up", "8MiB/s"]));
    let liar = Liar::start(&film, 7);
    let args = args!["-o", "out", honest[0].ticket(), "--peer", honest[1].ticket(), "--peer", liar.peer()];
    let outcome = world.fetch(args).end();
    let done = outcome.done();
    assert_same_file(&film, &world.path("out/film.bin"));
    let banned: Vec<Value> =
        outcome.events("peer").into_iter().filter(|line| line["state"] == "banned").collect();
    assert!(!banned.is_empty(), "the liar was not caught: {outcome:#?}");
    assert!(banned.iter().all(|line| line["node"] == liar.node()), "{banned:#?}");
    assert!(done.corrupt_bytes > 0 && done.corrupt_bytes <= 16 * MIB, "{done:#?}");
    for peer in done.peers.iter().filter(|peer| peer.node == liar.node()) {
        assert!(peer.corrupt_chunks > 0, "{done:#?}");
        assert!(peer.note.as_deref().is_some_and(|note| note.contains("banned")), "{done:#?}");
    }
}

#[test]
fn corrupt_seeds_alone_put_no_file_on_the_disk() {
    let world = World::new();
    let film = world.file("film.bin", 8 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let liars = [Liar::start(&film, 8), Liar::start(&film, 9)];
    let peers = liars.iter().flat_map(|liar| args!["--peer", liar.peer()]);
    let args: Vec<OsString> =
        args!["-o", "out", "--timeout", "5", manifest].into_iter().chain(peers).collect();
    let outcome = world.fetch(args).end();
    assert!(matches!(outcome.code, Some(3 | 5)), "{outcome:#?}");
    assert!(!outcome.error_message().is_empty());
    assert!(!world.path("out/film.bin").exists(), "a name shows complete verified bytes, or nothing");
    // The bytes kept for a resume are not claimed by the journal: an honest seed still corrects them.
    let honest = world.seed(args![film]);
    let again = world.fetch(args!["-o", "out", honest.ticket()]).end();
    again.done();
    assert_eq!(again.present_bytes(), 0);
    assert_same_file(&film, &world.path("out/film.bin"));
}
