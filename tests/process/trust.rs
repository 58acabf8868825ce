//! The right to link, the right to a content, and the origin of a manifest: lists, certificates, signatures.

use std::fs;
use std::path::PathBuf;

use crate::support::{MIB, Outcome, World, args, assert_same_file};

const LEN: u64 = 4 * MIB + 321;
const NOT_AUTHORISED: i32 = 7;

/// Creates the key file in the world, and returns its id.
fn id(world: &World, key: &str) -> String {
    world.run(&args!["id", "--key", key]).expect_code(0).out[0].clone()
}

fn write(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path(name);
    fs::write(&path, text).expect("the world's folder is there");
    path
}

/// A fetch by the node of a key.
fn fetch(world: &World, key: &str, more: Vec<std::ffi::OsString>) -> Outcome {
    world.fetch([args!["--key", key, "-o", format!("out-{key}")], more].concat()).end()
}

/// An authority in `ca`, and certificates for the nodes of these keys.
fn authority(world: &World, keys: &[&str]) {
    world.run(&args!["cert", "ca", "ca", "--name", "lab"]).expect_code(0);
    for key in keys {
        let node = id(world, key);
        world.run(&args!["cert", "node", node, "--ca", "ca", "-o", format!("{key}.pem")]).expect_code(0);
    }
}

#[test]
fn a_list_admits_its_nodes_alone() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    write(&world, "allow", &format!("{} # the reader\n", id(&world, "reader")));
    let seed = world.seed(args!["--allow", "allow", film]);
    let outcome = fetch(&world, "stranger", args![seed.ticket()]).expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("not on the list"), "{outcome:#?}");
    fetch(&world, "reader", args![seed.ticket()]).expect_code(0);
    assert_same_file(&film, &world.path("out-reader/film.bin"));
}

#[test]
fn a_changed_list_applies_to_existing_links() {
    let world = World::new();
    let film = world.file("film.bin", 24 * MIB);
    let allow = write(&world, "allow", &id(&world, "reader"));
    let seed = world.seed(args!["--allow", "allow", "--limit-up", "1MB/s", film]);
    let mut reader = world.fetch(args!["--key", "reader", "-o", "out", seed.ticket()]);
    reader.wait_json(|line| {
        (line["event"] == "progress" && line["verified_bytes"].as_u64()? > 0).then_some(())
    });
    fs::write(&allow, "# nobody\n").expect("the file is ours");
    let outcome = reader.end().expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("not on the list"), "{outcome:#?}");
}

#[test]
fn a_malformed_list_changes_nothing_and_is_reported() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let allow = write(&world, "allow", &id(&world, "reader"));
    let mut seed = world.seed(args!["--allow", "allow", film]);
    fs::write(&allow, "nonsense\n").expect("the file is ours");
    let message = seed
        .process
        .wait_json(|line| (line["event"] == "trust").then(|| line["message"].as_str().map(str::to_owned)))
        .expect("a message");
    assert!(message.contains("line 1: `nonsense` is no node"), "{message}");
    fetch(&world, "reader", args![seed.ticket()]).expect_code(0);
    fetch(&world, "stranger", args![seed.ticket()]).expect_code(NOT_AUTHORISED);
}

#[test]
fn certificates_of_the_authority_admit_their_nodes() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    authority(&world, &["seeder", "reader"]);
    let ca = args!["--ca", "ca/ca.pem", "--revoked", "ca/revoked.pem"];
    let seed = world.seed([ca.clone(), args!["--key", "seeder", "--cert", "seeder.pem", film]].concat());
    let cert = args!["--cert", "reader.pem", seed.ticket()];
    fetch(&world, "reader", [ca.clone(), cert].concat()).expect_code(0);
    assert_same_file(&film, &world.path("out-reader/film.bin"));
    let outcome = fetch(&world, "stranger", args![seed.ticket()]).expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("no certificate"), "{outcome:#?}");
    // A certificate is useless with another key.
    let outcome = fetch(&world, "stranger", args!["--cert", "reader.pem", seed.ticket()]).expect_code(2);
    assert!(outcome.error_message().contains("name the right --cert or --key"), "{outcome:#?}");
}

#[test]
fn a_fetch_refuses_a_seed_without_a_certificate_of_the_authority() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    authority(&world, &["reader"]);
    let seed = world.seed(args![film]);
    let certified = args!["--ca", "ca/ca.pem", "--cert", "reader.pem", seed.ticket()];
    let outcome = fetch(&world, "reader", certified).expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("may not link to this node"), "{outcome:#?}");
    assert!(!world.path("out-reader/film.bin.part").exists());
}

#[test]
fn a_revoked_certificate_ends_its_link_and_gets_no_new_one() {
    let world = World::new();
    let film = world.file("film.bin", 24 * MIB);
    authority(&world, &["seeder", "reader"]);
    let ca = args!["--ca", "ca/ca.pem", "--revoked", "ca/revoked.pem", "--limit-up", "1MB/s"];
    let seed = world.seed([ca, args!["--key", "seeder", "--cert", "seeder.pem", film]].concat());
    let certified = args!["--key", "reader", "--cert", "reader.pem", "-o", "out", seed.ticket()];
    let mut reader = world.fetch(certified.clone());
    reader.wait_json(|line| {
        (line["event"] == "progress" && line["verified_bytes"].as_u64()? > 0).then_some(())
    });
    world.run(&args!["cert", "revoke", id_of(&world, "reader"), "--ca", "ca"]).expect_code(0);
    let outcome = reader.end().expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("was revoked"), "{outcome:#?}");
    let outcome = world.fetch(certified).end().expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("was revoked"), "{outcome:#?}");
    let listed = world.run(&args!["cert", "ls", "--ca", "ca", "--json"]).expect_code(0).json();
    let states: Vec<_> = listed.iter().map(|issued| issued["state"].as_str().expect("a word")).collect();
    assert_eq!(states, ["good", "revoked"]);
}

/// The id of a node from its authority's book, while the key is in use.
fn id_of(world: &World, key: &str) -> String {
    let keys = ["seeder", "reader"];
    let at = keys.iter().position(|known| *known == key).expect("one of them");
    let listed = world.run(&args!["cert", "ls", "--ca", "ca", "--json"]).expect_code(0).json();
    listed[at]["node"].as_str().expect("an id").to_owned()
}

#[test]
fn the_development_authority_needs_a_flag() {
    let world = World::new();
    let film = world.file("film.bin", 1000);
    let name = "swarm development authority, do not trust";
    world.run(&args!["cert", "ca", "ca", "--name", name]).expect_code(0);
    let outcome = world.run(&args!["seed", "--ca", "ca/ca.pem", film]).expect_code(2);
    assert!(outcome.failure_line().contains("add --dev"), "{outcome:#?}");
    world.seed(args!["--ca", "ca/ca.pem", "--dev", film]);
}

#[test]
fn a_content_with_readers_is_for_them_and_they_may_change() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let readers = write(&world, "readers", &id(&world, "reader"));
    let seed = world.seed(args!["--readers", "readers", film]);
    let outcome = fetch(&world, "other", args![seed.ticket()]).expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("does not let node"), "{outcome:#?}");
    fetch(&world, "reader", args![seed.ticket()]).expect_code(0);
    let other = id(&world, "other");
    fs::write(&readers, &other).expect("the file is ours");
    // The seed looks at its files every second, and refuses many fetches in that time.
    let is_let_in = || fetch(&world, "other", args![seed.ticket()]).code == Some(0);
    assert!((0..500).any(|_| is_let_in()), "the new list is not taken");
    assert_same_file(&film, &world.path("out-other/film.bin"));
}

#[test]
fn a_mirror_may_fetch_and_serve_on_and_offers_nothing_new() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let (full, mirror) = (id(&world, "full"), id(&world, "mirror"));
    write(&world, "allow", &format!("{full}\n{mirror} mirror\n"));
    let listen =
        args!["aggregate", "--json", "--store", "store", "--listen", "127.0.0.1:0", "--accept", "any"];
    let mut aggregator = world.start(&[listen, args!["--allow", "allow"]].concat());
    let place = aggregator.wait_json(|line| Some(line["places"][0].as_str()?.to_owned()));
    let join = |key: &str| {
        let fixed = args!["join", "--key", key, "--listen", "127.0.0.1:0", place, film, "--until-replicated"];
        world.run(&fixed)
    };
    let outcome = join("mirror").expect_code(NOT_AUTHORISED);
    assert!(outcome.failure_line().contains("full role"), "{outcome:#?}");
    join("full").expect_code(0);
    let listed = world.run(&args!["ls", "--json"]).expect_code(0).json();
    let ticket = listed[0]["ticket"].as_str().expect("a ticket").to_owned();
    fetch(&world, "mirror", args![ticket]).expect_code(0);
    join("mirror").expect_code(0);
}

#[test]
fn a_required_publisher_must_have_signed() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let [publisher, successor] = ["publisher", "successor"].map(|key| id(&world, key));
    let made = args!["manifest", "create", "--sign", "--key", "publisher", "-o", "film.swarm", film];
    world.run(&made).expect_code(0);
    let signed = world.seed(args!["--manifest", "film.swarm", film]);
    fetch(&world, "a", args!["--publisher", publisher, signed.ticket()]).expect_code(0);
    let outcome =
        fetch(&world, "b", args!["--publisher", successor, signed.ticket()]).expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("is signed by"), "{outcome:#?}");
    assert!(!world.path("out-b").exists());
    // A publisher replaces its key by signing with both for a while.
    world.run(&args!["manifest", "sign", "--key", "successor", "film.swarm"]).expect_code(0);
    for asked in [&publisher, &successor] {
        let source = format!("{}@127.0.0.1:1", signed.node());
        let peer = args!["--peer", signed.ticket(), "--peer", source];
        fetch(&world, "c", [args!["--publisher", asked, "film.swarm"], peer].concat()).expect_code(0);
    }
    let unsigned = world.seed(args![world.file("other.bin", 1000)]);
    let outcome =
        fetch(&world, "d", args!["--publisher", publisher, unsigned.ticket()]).expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("signed by nobody"), "{outcome:#?}");
}

#[test]
fn a_coordinator_of_a_closed_group_lists_its_nodes() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let keys = ["hub", "seeder", "reader"];
    let all: Vec<String> = keys.iter().map(|key| id(&world, key)).collect();
    write(&world, "allow", &all.join("\n"));
    let allow = args!["--allow", "allow"];
    let hub = args!["coordinator", "--json", "--listen", "127.0.0.1:0", "--key", "hub"];
    let mut hub = world.start(&[hub, allow.clone()].concat());
    let place = hub.wait_json(|line| Some(line["places"][0].as_str()?.to_owned()));
    let manifest = world.manifest(&film, "film.swarm");
    let seed = args!["--key", "seeder", "--coordinator", place, "--manifest", manifest, film];
    let _seed = world.seed([seed, allow].concat());
    fetch(&world, "reader", args!["--coordinator", place, manifest]).expect_code(0);
    let outcome = fetch(&world, "stranger", args!["--coordinator", place, "--timeout", "5", manifest]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
}
