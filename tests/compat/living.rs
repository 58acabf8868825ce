//! Both binaries run, on one state folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use swarm_testkit::{MIB, Tree, World, args, assert_same_file, old_build};

use crate::node::{Node, content};

/// One folder, in which the old binary runs and the one under test.
fn both() -> Option<(World, World)> {
    let build = old_build()?;
    let new = World::new();
    Some((new.with_build(&build), new))
}

#[test]
fn a_fetch_takes_from_an_old_seed() {
    let Some((old, new)) = both() else { return };
    moves(&old, &new);
}

#[test]
fn an_old_fetch_takes_from_a_seed() {
    let Some((old, new)) = both() else { return };
    moves(&new, &old);
}

fn moves(seeds: &World, fetches: &World) {
    seeds.file("tree/film.bin", 5 * MIB + 7);
    seeds.file("tree/deep/song.bin", 70_000);
    let tool = seeds.file("tree/tool", 0);
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let seed = seeds.seed(args![seeds.path("tree")]);
    let done = fetches.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_eq!(done.fetched_bytes, 5 * MIB + 7 + 70_000);
    assert_eq!(Tree::of(&seeds.path("tree")), Tree::of(&seeds.path("out/tree")));
    // By a manifest instead of a ticket, and the seed by its key.
    let manifest = seeds.manifest(&seeds.path("tree"), "tree.swarm");
    let peer = format!("{}@{}", seed.node(), seed.address());
    fetches.fetch(args!["-o", "again", manifest, "--peer", peer]).end().done();
    assert_eq!(Tree::of(&seeds.path("tree")), Tree::of(&seeds.path("again/tree")));
}

#[test]
fn a_sealed_content_is_read_by_either() {
    let Some((old, new)) = both() else { return };
    for (seals, fetches, name) in [(&old, &new, "one"), (&new, &old, "other")] {
        let film = seals.file(&format!("{name}/film.bin"), 3 * MIB);
        let seed = seals.seed(args!["--seal", seals.path(&format!("{name}.key")), film]);
        fetches.fetch(args!["-o", format!("out-{name}"), seed.ticket()]).end().done();
        assert_same_file(&film, &seals.path(&format!("out-{name}/film.bin")));
    }
}

#[test]
fn both_make_the_same_manifest() {
    let Some((old, new)) = both() else { return };
    let film = new.file("film.bin", 9 * MIB + 1);
    let [old, new] =
        [(&old, "old.swarm"), (&new, "new.swarm")].map(|(world, name)| world.manifest(&film, name));
    assert_same_file(&old, &new);
}

#[test]
fn a_fetch_that_an_old_one_began_goes_on() {
    let Some((old, new)) = both() else { return };
    goes_on(&old, &new);
}

#[test]
fn an_old_fetch_goes_on_where_a_new_one_was_killed() {
    let Some((old, new)) = both() else { return };
    goes_on(&new, &old);
}

fn goes_on(begins: &World, ends: &World) {
    let film = begins.file("film.bin", FILM_LEN);
    let seed = begins.seed(args![film]);
    let mut fetch = begins.fetch(args!["-o", "out", "--limit-down", RATE, seed.ticket()]);
    let durable = fetch.wait_json(|line| line["durable_bytes"].as_u64().filter(|len| *len > 0));
    fetch.kill();
    assert!(!begins.path("out/film.bin").exists(), "it was not killed midway");
    let done = ends.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert!(done.present_bytes >= durable, "{durable} bytes were durable: {done:#?}");
    assert!(done.fetched_bytes > 0, "it was not killed midway: {done:#?}");
    assert_same_file(&film, &begins.path("out/film.bin"));
}

#[test]
fn an_old_nodes_folder_is_read() {
    let Some((old, new)) = both() else { return };
    let (song, film) = (new.file("song.bin", 2 * MIB), new.file("copy/film.bin", 2 * MIB));
    let fetched = new.file("fetched.bin", FILM_LEN);
    let manifest = old.manifest(&film, "film.swarm");
    let seed = new.seed(args![fetched, "--limit-up", RATE]);
    let node = Node::start(&old);
    let tickets = [node.add(args!["song.bin"]), node.add(args!["--manifest", "film.swarm", "copy"])];
    node.add(args!["--fetch", seed.ticket(), "--out", "store"]);
    node.wait(|status| {
        content(status, "fetched.bin").filter(|content| content["state"] == "fetching").map(|_| ())
    });
    node.kill();
    assert!(!new.path("store/fetched.bin").exists(), "it was not killed midway");
    // The node has kept its own.
    fs::remove_file(manifest).expect("it is there");
    let node = Node::start(&new);
    assert_eq!(["song.bin", "film.bin"].map(|name| node.wait_serving(name)), tickets);
    node.wait_serving("fetched.bin");
    assert_same_file(&fetched, &new.path("store/fetched.bin"));
    for (ticket, out) in tickets.iter().zip(["one", "two"]) {
        old.fetch(args!["-o", out, ticket]).end().done();
    }
    assert_same_file(&song, &new.path("one/song.bin"));
    assert_same_file(&film, &new.path("two/film.bin"));
    node.kill();
}

const FILM_LEN: u64 = 24 * MIB;
/// Eight seconds for all: a flush begins after two, and a line of progress comes each second.
const RATE: &str = "3MiB/s";
