//! Nodes that learn of each other only from a coordinator.

use std::ffi::OsString;

use serde_json::Value;

use crate::support::{Liar, MIB, Process, Signal, World, args, assert_same_file};

/// A coordinator that runs.
struct Coordinator {
    process: Process,
    place: String,
}

impl Coordinator {
    fn start(world: &World, listen: &str) -> Self {
        Self::with_state(world, listen, "known")
    }

    fn with_state(world: &World, listen: &str, folder: &str) -> Self {
        let folder = world.path(folder);
        let mut process = world.start(&args!["coordinator", "--json", "--listen", listen, "--state", folder]);
        let place = process.wait_json(|line| {
            (line["event"] == "coordinating").then(|| line["places"][0].as_str().expect("a place").to_owned())
        });
        Self { process, place }
    }

    /// The address that it listens on.
    fn address(&self) -> String {
        self.place.split_once('@').expect("a key and an address").1.to_owned()
    }

    /// Waits until it lists this many nodes.
    fn wait_listed(&mut self, count: u64) -> Value {
        self.process.wait_json(|line| (line["listed"].as_u64() == Some(count)).then(|| line.clone()))
    }
}

fn found(outcome: &crate::support::Outcome, node: &str) -> bool {
    let is_found =
        |line: &Value| line["node"] == node && line["state"] == "found" && line["detail"] == "coordinator";
    outcome.events("peer").iter().any(is_found)
}

#[test]
fn a_fetch_finds_a_seed_by_the_coordinator_alone() {
    let world = World::new();
    let film = world.file("film.bin", 16 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let mut coordinator = Coordinator::start(&world, "127.0.0.1:0");
    let seed = world.seed(args![film, "--coordinator", coordinator.place]);
    coordinator.wait_listed(1);
    let fetch = world.fetch(args!["-o", "out", "--coordinator", coordinator.place, manifest]).end();
    fetch.done();
    assert!(found(&fetch, seed.node()), "{fetch:#?}");
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_ticket_names_the_coordinators_and_leeches_find_each_other() {
    let world = World::new();
    let film = world.file("film.bin", 48 * MIB);
    let mut coordinator = Coordinator::start(&world, "127.0.0.1:0");
    let seed = world.seed(args![film, "--coordinator", coordinator.place, "--limit-up", "6MiB/s"]);
    coordinator.wait_listed(1);
    let leeches = [0, 1].map(|number| world.fetch(args!["-o", format!("out-{number}"), seed.ticket()]));
    let ended = leeches.map(Process::end);
    for (number, outcome) in ended.iter().enumerate() {
        let done = outcome.done();
        assert_same_file(&film, &world.path(&format!("out-{number}/film.bin")));
        let other = done.peers.iter().find(|peer| peer.node != seed.node() && peer.bytes > 0);
        assert!(other.is_some(), "it got nothing from the other leech: {done:#?}");
    }
}

#[test]
fn a_killed_coordinator_keeps_its_records_and_its_nodes_go_on() {
    let world = World::new();
    let film = world.file("film.bin", 64 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let mut coordinator = Coordinator::start(&world, "127.0.0.1:0");
    let seed = world.seed(args![film, "--coordinator", coordinator.place]);
    coordinator.wait_listed(1);
    let args = args!["-o", "out", "--limit-down", "16MiB/s", "--coordinator", coordinator.place, manifest];
    let mut fetch = world.fetch(args);
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= 8 * MIB).then_some(()));
    // The coordinator writes its records about once a second.
    coordinator.wait_listed(2);
    coordinator.process.wait_json(|line| (line["event"] == "coordinator").then_some(()));
    coordinator.process.wait_json(|line| (line["event"] == "coordinator").then_some(()));
    let address = coordinator.address();
    coordinator.process.kill();
    let again = Coordinator::start(&world, &address);
    again.process.wait_stderr("known from before announcements=2");
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
    drop(seed);
}

#[test]
fn a_fetch_goes_on_when_all_coordinators_are_gone() {
    let world = World::new();
    let film = world.file("film.bin", 48 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let mut coordinators = ["a", "b"].map(|name| Coordinator::with_state(&world, "127.0.0.1:0", name));
    let places: Vec<OsString> =
        coordinators.iter().flat_map(|one| args!["--coordinator", one.place]).collect();
    let _seed = world.seed(args![film].into_iter().chain(places.clone()).collect());
    coordinators.iter_mut().for_each(|coordinator| drop(coordinator.wait_listed(1)));
    let args = args!["-o", "out", "--limit-down", "16MiB/s", manifest];
    let mut fetch = world.fetch(args.into_iter().chain(places).collect());
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= 8 * MIB).then_some(()));
    coordinators.into_iter().for_each(|coordinator| drop(coordinator.process.kill()));
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_node_with_corrupt_chunks_is_not_named_to_others() {
    let world = World::new();
    let film = world.file("film.bin", 8 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let mut coordinator = Coordinator::start(&world, "127.0.0.1:0");
    let _liar = Liar::start_announced(&film, 7, &coordinator.place);
    let known = coordinator
        .process
        .wait_json(|line| (line["announcements"].as_u64() == Some(1)).then(|| line.clone()));
    assert_eq!(known["listed"], 0, "{known}");
    coordinator.process.wait_stderr("failed verification");
    let args = args!["-o", "out", "--timeout", "3", "--coordinator", coordinator.place, manifest];
    let outcome = world.fetch(args).end().expect_code(3);
    assert!(outcome.events("peer").is_empty(), "{outcome:#?}");
}

#[test]
fn more_coordinators_than_a_ticket_can_name_are_refused() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let places = (0..9).flat_map(|_| args!["--coordinator", format!("{}@127.0.0.1:9", "ab".repeat(32))]);
    let outcome =
        world.run(&args!["seed", film].into_iter().chain(places).collect::<Vec<_>>()).expect_code(2);
    assert!(outcome.failure_line().contains("more than 8 coordinators"), "{outcome:#?}");
}

#[test]
fn two_coordinators_do_not_share_a_folder() {
    let world = World::new();
    let folder = world.path("known");
    let mut first =
        world.start(&args!["coordinator", "--json", "--listen", "127.0.0.1:0", "--state", folder]);
    first.wait_json(|line| (line["event"] == "coordinating").then_some(()));
    let second =
        world.run(&args!["coordinator", "--listen", "127.0.0.1:0", "--state", folder]).expect_code(1);
    assert!(second.failure_line().ends_with("stop it, or take another folder (--state)"), "{second:#?}");
    first.signal(Signal::Terminate);
    assert_eq!(first.end().code, Some(130));
}

#[test]
fn a_node_that_is_no_coordinator_says_so() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let liar = Liar::start(&film, 9);
    let fetch = world.fetch(args!["-o", "out", "--timeout", "20", "--coordinator", liar.peer(), manifest]);
    let outcome = fetch.end().expect_code(3);
    let [trouble] = &outcome.events("trouble")[..] else { panic!("not one trouble: {outcome:#?}") };
    let message = trouble["message"].as_str().expect("a message");
    assert!(message.contains("this node is no coordinator"), "{message}");
}

#[test]
fn a_ticket_whose_node_is_another_now_does_not_end_a_fetch_that_may_find_others() {
    let world = World::new();
    let film = world.file("film.bin", 4 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let mut coordinator = Coordinator::start(&world, "127.0.0.1:0");
    let other = Liar::start(&film, 9);
    let (_, address) = other.peer().split_once('@').expect("a key and an address");
    let stale = format!("{}@{address}", "ab".repeat(32));
    let ask = args!["--coordinator", coordinator.place];
    let args: Vec<OsString> = args!["-o", "out", "--timeout", "30", "--peer", stale, manifest]
        .into_iter()
        .chain(ask.clone())
        .collect();
    let mut fetch = world.fetch(args);
    fetch.wait_json(|line| (line["state"] == "refused").then_some(()));
    let _seed = world.seed(args![film].into_iter().chain(ask).collect());
    coordinator.wait_listed(1);
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}
