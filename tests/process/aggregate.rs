//! Aggregation at a data centre: `swarm aggregate`, `swarm join`, and the same through a node's configuration.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{
    MIB, Outcome, Process, Signal, Tmpfs, World, args, assert_same_file, copy_some_chunks, heavy, kill_count,
};

/// A node that collects into `store`.
struct Aggregator<'a> {
    world: &'a World,
    process: Process,
    /// `NODEID@host:port`.
    place: String,
}

impl<'a> Aggregator<'a> {
    fn start(world: &'a World, more: Vec<OsString>) -> Self {
        Self::start_at(world, "127.0.0.1:0", more)
    }

    fn start_at(world: &'a World, listen: &str, more: Vec<OsString>) -> Self {
        let fixed = args!["aggregate", "--json", "--store", "store", "--listen", listen];
        let mut process = world.start(&[fixed, more].concat());
        let place = process.wait_json(|line| {
            assert_eq!(line["event"], "coordinating", "{line}");
            Some(line["places"][0].as_str()?.to_owned())
        });
        Self { world, process, place }
    }

    /// Kills it and starts it where it was.
    fn killed_and_started(self, more: Vec<OsString>) -> Self {
        let (world, place) = (self.world, self.place.clone());
        self.process.kill();
        let again = Self::start_at(world, place.split_once('@').expect("a place").1, more);
        assert_eq!(again.place, place);
        again
    }

    fn wait<T>(&self, pick: impl Fn(&Value) -> Option<T>) -> T {
        self.world.start(&args!["status", "--json", "--watch"]).wait_json(pick)
    }

    fn wait_serving(&self, content: &str) {
        let is_it = |known: &Value| known["content"] == content && known["state"] == "serving";
        self.wait(|status| status["contents"].as_array()?.iter().any(is_it).then_some(()));
    }

    fn contents(&self) -> Vec<String> {
        let listed = self.world.run(&args!["ls", "--json"]).expect_code(0).json();
        listed.iter().map(|content| content["content"].as_str().expect("an id").to_owned()).collect()
    }

    /// Starts a node that offers data and waits until it is ready; returns the id of the content, too.
    fn join(&self, more: Vec<OsString>) -> (Process, String) {
        let fixed = args!["join", "--json", "--listen", "127.0.0.1:0", self.place];
        let mut process = self.world.start(&[fixed, more].concat());
        let content = process.wait_json(|line| (line["event"] == "ready").then(|| line["content"].clone()));
        (process, content.as_str().expect("an id").to_owned())
    }

    /// Offers data until the aggregator has stored it.
    fn replicate(&self, what: &PathBuf) -> String {
        let (process, content) = self.join(args!["--until-replicated", what]);
        let outcome = process.end().expect_code(0);
        assert!(outcome.events("peer").iter().any(|line| line["state"] == "durable"), "{outcome:#?}");
        content
    }

    /// Offers data that the aggregator declines.
    fn refused(&self, what: &PathBuf) -> Outcome {
        self.world.run(&args!["join", "--listen", "127.0.0.1:0", self.place, what, "--until-replicated"])
    }

    fn fetch(&self, manifest: &PathBuf, out: &str) -> Outcome {
        self.world.fetch(args!["-o", out, manifest, "--coordinator", self.place]).end()
    }

    fn folder(&self, content: &str) -> PathBuf {
        self.world.path("store").join(content)
    }

    fn node(&self) -> &str {
        self.place.split_once('@').expect("a place").0
    }
}

fn any() -> Vec<OsString> {
    args!["--accept", "any"]
}

#[test]
fn three_thirds_make_a_whole_that_is_served_after_its_sources_are_gone() {
    let world = World::new();
    let film = world.file("film.bin", 48 * MIB + 5);
    let manifest = world.manifest(&film, "film.swarm");
    let aggregator = Aggregator::start(&world, any());
    let mut joined = Vec::new();
    for number in 0..3 {
        let folder = world.path(&format!("part-{number}"));
        copy_some_chunks(&film, &folder.join("film.bin"), |chunk| chunk % 3 == number);
        joined.push(aggregator.join(args!["--manifest", manifest, folder]));
    }
    let content = joined[0].1.clone();
    aggregator.wait_serving(&content);
    assert_same_file(&film, &aggregator.folder(&content).join("film.bin"));
    for (mut process, _) in joined {
        process.signal(Signal::Interrupt);
        process.end().expect_code(130);
    }
    let done = aggregator.fetch(&manifest, "out").done();
    assert_same_file(&film, &world.path("out/film.bin"));
    let givers: Vec<&str> =
        done.peers.iter().filter(|peer| peer.bytes > 0).map(|peer| peer.node.as_str()).collect();
    assert_eq!(givers, [aggregator.node()]);
}

#[test]
fn a_replicated_content_outlives_its_source_and_a_kill() {
    let world = World::new();
    let film = world.file("film.bin", 24 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let aggregator = Aggregator::start(&world, any());
    let content = aggregator.replicate(&film);
    let aggregator = aggregator.killed_and_started(any());
    aggregator.wait_serving(&content);
    // It already had everything.
    assert_eq!(aggregator.replicate(&film), content);
    std::fs::rename(&film, world.path("gone.bin")).expect("it is there");
    aggregator.fetch(&manifest, "out").done();
    assert_same_file(&world.path("gone.bin"), &world.path("out/film.bin"));
    assert_eq!(aggregator.contents(), [content]);
}

#[test]
fn a_kill_costs_at_most_a_flush_window_and_the_transfer_resumes() {
    let _turn = heavy();
    let world = World::new();
    let film = world.file("film.bin", KILLED_LEN);
    let aggregator = Aggregator::start(&world, any());
    let rate = format!("{KILLED_RATE}B/s");
    let (join, content) = aggregator.join(args!["--until-replicated", "--limit-up", rate, film]);
    let verified_len = aggregator.wait(|status| {
        status["contents"][0]["present_bytes"].as_u64().filter(|len| *len >= KILLED_LEN * 2 / 3)
    });
    let aggregator = aggregator.killed_and_started(any());
    join.end().expect_code(0);
    assert_same_file(&film, &aggregator.folder(&content).join("film.bin"));
    let fetched_len = aggregator.wait(|status| status["contents"][0]["fetched_bytes"].as_u64());
    let again = verified_len.saturating_sub(KILLED_LEN - fetched_len);
    // Two seconds until a flush starts, two more for the disk to finish it, and chunks on their way.
    let window = 4 * KILLED_RATE + 16 * MIB;
    assert!(again <= window, "{again} bytes were fetched for nothing, a window is {window}");
}

#[test]
fn many_kills_cost_an_aggregator_at_most_a_flush_window_each() {
    let _turn = heavy();
    let world = World::new();
    let film = world.file("film.bin", KILLED_LEN);
    let mut aggregator = Aggregator::start(&world, any());
    let rate = format!("{KILLED_RATE}B/s");
    let (join, content) = aggregator.join(args!["--until-replicated", "--limit-up", rate, film]);
    let present = |status: &Value| status["contents"][0]["present_bytes"].as_u64();
    let kills = kill_count();
    for number in 1..=kills {
        let least = KILLED_LEN * 9 / 10 * number / kills;
        let verified_len = aggregator.wait(|status| present(status).filter(|len| *len >= least));
        aggregator = aggregator.killed_and_started(any());
        let is_open = |status: &Value| {
            let state = &status["contents"][0]["state"];
            state == "fetching" || state == "serving"
        };
        let kept_len = aggregator.wait(|status| present(status).filter(|_| is_open(status)));
        let again = verified_len.saturating_sub(kept_len);
        let window = 4 * KILLED_RATE + 16 * MIB;
        assert!(again <= window, "{again} bytes were lost by kill {number}, a window is {window}");
    }
    join.end().expect_code(0);
    assert_same_file(&film, &aggregator.folder(&content).join("film.bin"));
}

#[test]
fn no_node_may_offer_unless_the_operator_allows_it() {
    let world = World::new();
    let (film, song) = (world.file("film.bin", 2 * MIB), world.file("song.bin", MIB));
    let outcome =
        world.run(&args!["aggregate", "--store", "store", "--listen", "127.0.0.1:0"]).expect_code(2);
    assert!(outcome.failure_line().contains("--accept any"), "{outcome:#?}");
    let nobody = "ab".repeat(32);
    let aggregator = Aggregator::start(&world, args!["--accept", nobody]);
    let outcome = aggregator.refused(&film).expect_code(7);
    assert!(outcome.failure_line().contains("--accept"), "{outcome:#?}");
    assert!(aggregator.contents().is_empty());
    drop(aggregator);
    let manifest = world.manifest(&film, "film.swarm");
    let shown = world.run(&args!["manifest", "show", "--json", manifest]).json().remove(0);
    let content = shown["content"].as_str().expect("an id").to_owned();
    let aggregator = Aggregator::start(&world, args!["--accept", "any", "--content", content]);
    assert_eq!(aggregator.replicate(&film), content);
    aggregator.refused(&song).expect_code(7);
    assert_eq!(aggregator.contents(), [content]);
}

#[test]
fn unwanted_contents_are_evicted_and_contents_beyond_the_quota_are_declined() {
    let world = World::new();
    let films =
        ["one", "two", "huge"].map(|name| world.file(name, if name == "huge" { 24 } else { 12 } * MIB));
    let [one, two, huge] = &films;
    let quota = || args!["--accept", "any", "--quota", "20MiB"];
    let aggregator = Aggregator::start(&world, quota());
    let first = aggregator.replicate(one);
    let second = aggregator.replicate(two);
    assert_eq!(aggregator.contents(), std::slice::from_ref(&second));
    let outcome = aggregator.refused(huge).expect_code(3);
    assert!(outcome.failure_line().contains("no room"), "{outcome:#?}");
    let aggregator = aggregator.killed_and_started(quota());
    aggregator.wait_serving(&second);
    assert!(!aggregator.folder(&first).exists());
    assert_same_file(two, &aggregator.folder(&second).join("two"));
    // Contents that the operator names stay.
    let pinned = [quota(), args!["--content", second, "--content", "any"]].concat();
    let aggregator = aggregator.killed_and_started(pinned);
    aggregator.wait_serving(&second);
    aggregator.refused(one).expect_code(3);
    let store = aggregator.wait(|status| status["store"]["used_bytes"].as_u64());
    assert_eq!((aggregator.contents(), store), (vec![second], 12 * MIB));
}

#[test]
fn a_content_that_is_being_fetched_is_not_evicted() {
    let world = World::new();
    let [one, two] = ["one", "two"].map(|name| world.file(name, 12 * MIB));
    let manifest = world.manifest(&one, "one.swarm");
    let aggregator = Aggregator::start(&world, args!["--accept", "any", "--quota", "20MiB"]);
    let first = aggregator.replicate(&one);
    let mut fetch = world.fetch(args![
        "-o",
        "out",
        "--limit-down",
        "1MiB/s",
        manifest,
        "--coordinator",
        aggregator.place
    ]);
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? > 0).then_some(()));
    aggregator.refused(&two).expect_code(3);
    assert_eq!(aggregator.contents(), [first]);
}

#[test]
fn a_content_larger_than_the_free_disk_space_is_declined() {
    let world = World::new();
    let Some(_disk) = Tmpfs::mount(&world.path("store"), "size=48m") else { return };
    let (film, song) = (world.file("film.bin", 64 * MIB), world.file("song.bin", 4 * MIB));
    let aggregator = Aggregator::start(&world, any());
    let outcome = aggregator.refused(&film).expect_code(3);
    assert!(outcome.failure_line().contains("no room"), "{outcome:#?}");
    let song = aggregator.replicate(&song);
    assert_eq!(aggregator.contents(), [song]);
}

#[test]
fn a_full_disk_is_reported_and_the_transfer_resumes_when_there_is_space() {
    let world = World::new();
    let Some(disk) = Tmpfs::mount(&world.path("store"), "size=64m") else { return };
    let (film, song) = (world.file("film.bin", 24 * MIB), world.file("song.bin", MIB));
    let manifest = world.manifest(&song, "song.swarm");
    let mut aggregator = Aggregator::start(&world, any());
    aggregator.replicate(&song);
    let (join, content) = aggregator.join(args!["--until-replicated", "--limit-up", "4MiB/s", film]);
    let film_of = |status: &Value| {
        let contents = status["contents"].as_array().expect("a list");
        contents.iter().find(|known| known["content"] == content.as_str()).cloned()
    };
    aggregator.wait(|status| film_of(status)?["present_bytes"].as_u64().filter(|len| *len >= 4 * MIB));
    let junk = disk.path("junk");
    let filled = std::fs::write(&junk, vec![1; 64 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let detail = aggregator.wait(|status| {
        let film = film_of(status).filter(|film| film["state"] == "failed")?;
        Some(film["detail"].as_str()?.to_owned())
    });
    assert!(detail.contains("No space left"), "{detail}");
    aggregator.fetch(&manifest, "out").done();
    std::fs::remove_file(junk).expect("it is there");
    aggregator.process.signal(Signal::HangUp);
    join.end().expect_code(0);
    assert_same_file(&film, &aggregator.folder(&content).join("film.bin"));
}

#[test]
fn a_configured_node_collects_and_coordinates_as_well() {
    let world = World::new();
    let film = world.file("film.bin", 3 * MIB);
    let config =
        "listen = \"127.0.0.1:0\"\ncoordinator = true\n[aggregate]\nstore = \"store\"\naccept = [\"any\"]\n";
    std::fs::write(world.path("node.toml"), config).expect("a place");
    let process = world.start(&args!["node", "--config", "node.toml"]);
    process.wait_stderr(" ready ");
    let status = world.run(&args!["status", "--json"]).expect_code(0).json().remove(0);
    let word = |key: &str| status[key].as_str().expect("a string").to_owned();
    let place = format!("{}@{}", word("node"), word("listen"));
    assert_eq!(status["store"]["used_bytes"], 0);
    let aggregator = Aggregator { world: &world, process, place };
    let content = aggregator.replicate(&film);
    assert_eq!(aggregator.contents(), [content]);
}

const KILLED_LEN: u64 = 192 * MIB;
const KILLED_RATE: u64 = 16 * MIB;
