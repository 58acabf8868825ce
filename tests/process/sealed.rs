//! Sealed contents: nodes with the key read them, nodes without it can still store and serve them.

use std::fs;
use std::path::Path;

use crate::support::{MIB, Process, World, args, assert_same_file};

const SECRET: &str = "the butler did it";
const NOT_AUTHORISED: i32 = 7;

/// A folder with a film and a note, both with recognisable text.
fn secrets(world: &World) -> std::path::PathBuf {
    world.file("secrets/film.bin", 9 * MIB + 77);
    fs::write(world.path("secrets/note.txt"), SECRET).expect("the folder was made");
    world.path("secrets")
}

fn id(world: &World, key: &str) -> String {
    world.run(&args!["id", "--key", key]).expect_code(0).out[0].clone()
}

/// Whether a name or the bytes of a file below a folder reveal the plain content.
fn tells(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    entries.into_iter().any(|path| {
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let has_secret = || {
            let bytes = fs::read(&path).expect("a file");
            bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
        };
        ["film", "note", "secrets"].iter().any(|word| name.contains(word))
            || if path.is_dir() { tells(&path) } else { has_secret() }
    })
}

/// The ticket of a fetch that keeps seeding, when it is complete.
fn wait_complete(fetch: &mut Process) -> String {
    let ticket = fetch.wait_json(|line| Some(line["ticket"].as_str()?.to_owned()));
    fetch.wait_json(|line| (line["phase"] == "complete").then_some(()));
    ticket
}

fn assert_read(world: &World, out: &str) {
    for name in ["film.bin", "note.txt"] {
        let out = world.path(out).join("secrets").join(name);
        assert_same_file(&world.path("secrets").join(name), &out);
    }
}

#[test]
fn a_mirror_keeps_and_serves_what_it_cannot_read() {
    let world = World::new();
    let secrets = secrets(&world);
    let seed = world.seed(args!["--seal", "content.key", secrets, "--manifest-out", "sealed.swarm"]);
    // The manifest holds no key, the ticket does.
    let mut mirror = world.fetch(args![
        "-o",
        "mirror",
        "--keep-seeding",
        "--listen",
        "127.0.0.1:0",
        "--key",
        "m",
        "sealed.swarm"
    ]);
    let ticket = wait_complete(&mut mirror);
    assert!(!tells(&world.path("mirror")));
    let with_key = seed.ticket().to_owned();
    seed.process.kill();
    world.fetch(args!["-o", "read", "--peer", ticket, with_key]).end().expect_code(0);
    assert_read(&world, "read");
    let by_file = args!["-o", "by-file", "--content-key", "content.key", ticket];
    world.fetch(by_file).end().expect_code(0);
    assert_read(&world, "by-file");
}

#[test]
fn a_key_for_some_is_of_no_use_to_others() {
    let world = World::new();
    let secrets = secrets(&world);
    let reader = id(&world, "reader");
    let seed = world.seed(args!["--seal", "content.key", "--seal-for", reader, secrets]);
    world.fetch(args!["--key", "reader", "-o", "read", seed.ticket()]).end().expect_code(0);
    assert_read(&world, "read");
    world.fetch(args!["--key", "other", "-o", "unread", seed.ticket()]).end().expect_code(0);
    assert!(!tells(&world.path("unread")));
}

#[test]
fn a_wrong_key_is_told_before_anything_is_fetched() {
    let world = World::new();
    let secrets = secrets(&world);
    let seed = world.seed(args!["--seal", "content.key", secrets, "--manifest-out", "sealed.swarm"]);
    drop(seed);
    world.run(&args!["manifest", "create", "--seal", "other.key", "-o", "o.swarm", secrets]).expect_code(0);
    let outcome = world.fetch(args!["-o", "out", "--content-key", "other.key", "sealed.swarm"]).end();
    let outcome = outcome.expect_code(NOT_AUTHORISED);
    assert!(outcome.error_message().contains("does not open this content"), "{outcome:#?}");
    assert!(!world.path("out").exists());
}

#[test]
fn a_reader_seeds_on_and_the_same_key_makes_the_same_content() {
    let world = World::new();
    let secrets = secrets(&world);
    let seed = world.seed(args!["--seal", "content.key", secrets]);
    let (content, ticket) = (seed.ready["content"].clone(), seed.ticket().to_owned());
    let mut reader =
        world.fetch(args!["-o", "read", "--keep-seeding", "--listen", "127.0.0.1:0", "--key", "r", ticket]);
    let own = wait_complete(&mut reader);
    assert_read(&world, "read");
    seed.process.kill();
    world.fetch(args!["-o", "again", own]).end().expect_code(0);
    assert_read(&world, "again");
    let again = world.seed(args!["--seal", "content.key", secrets]);
    assert_eq!(again.ready["content"], content);
}

#[test]
fn a_sealed_film_is_streamed_opened() {
    let world = World::new();
    let film = world.file("film.bin", 5 * MIB);
    let seed = world.seed(args!["--seal", "content.key", film]);
    let mut command = world.command(&args!["fetch", "-o", "-", seed.ticket()]);
    let out = command.stderr(std::process::Stdio::null()).output().expect("it runs");
    assert!(out.status.success());
    assert!(out.stdout == fs::read(&film).expect("a file"), "the stream is not the film");
}
