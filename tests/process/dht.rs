//! Peers that are found by a distributed hash table, here one of a few nodes in the test's own process.

use std::ffi::OsString;

use mainline::Testnet;

use crate::support::{MIB, World, args, assert_same_file};

#[test]
fn a_fetch_finds_a_seed_by_the_dht() {
    let table = Testnet::builder(4).build().expect("sockets on loopback");
    let by_table = || -> Vec<OsString> {
        let bootstrap = table.bootstrap.iter().flat_map(|node| args!["--dht-bootstrap", node]);
        args!["--dht"].into_iter().chain(bootstrap).collect()
    };
    let world = World::new();
    let film = world.file("film.bin", 3 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let seed = world.seed(args![film].into_iter().chain(by_table()).collect());
    let mut fetch = world.fetch(args!["-o", "out", manifest].into_iter().chain(by_table()).collect());
    fetch.wait_json(|line| {
        let is_found = line["event"] == "peer" && line["state"] == "found" && line["detail"] == "dht";
        (is_found && line["node"] == seed.node()).then_some(())
    });
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_dht_of_ones_own_is_entered_only_where_the_dht_is_on() {
    let world = World::new();
    let outcome = world.run(&args!["fetch", "--dht-bootstrap", "127.0.0.1:1", "film.swarm"]).expect_code(2);
    assert!(outcome.err.iter().any(|line| line.contains("--dht")), "{outcome:#?}");
}
