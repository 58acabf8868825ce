//! One seed, one fetch: every way to name a content, and every way to take it.

use std::io::Read as _;

use crate::support::{HttpFile, MIB, Process, Tree, World, args, assert_same_file, random};

const LEN: u64 = 24 * MIB + 12_345;

#[test]
fn a_ticket_is_all_it_takes() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let done = world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
    assert_eq!((done.bytes, done.fetched_bytes, done.corrupt_bytes), (LEN, LEN, 0));
    assert_eq!(done.content, seed.ready["content"]);
    assert_eq!(done.peers[0].node, seed.node());
    assert_eq!(Tree::of(&world.path("out")).0.len(), 1, "nothing but the file is left");
}

#[test]
fn people_see_a_ticket_on_stdout_and_everything_else_on_stderr() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let mut seed = world.start(&args!["seed", "--listen", "127.0.0.1:0", "--once", film]);
    let ticket = seed.wait_line(|line| Some(line.to_owned()));
    let fetch = world.run(&args!["fetch", "-o", "out", ticket]).expect_code(0);
    assert!(fetch.out.is_empty(), "{fetch:#?}");
    assert!(fetch.err.iter().any(|line| line.contains("film.bin is complete and verified")), "{fetch:#?}");
    let seed = seed.end().expect_code(0);
    assert_eq!(seed.out, [ticket]);
    assert!(seed.err.iter().any(|line| line.contains("has everything now")), "{seed:#?}");
}

#[test]
fn a_manifest_file_names_its_sources() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let _seed = world.seed(args![film, "--manifest-out", "film.swarm"]);
    world.fetch(args!["-o", "out", "film.swarm"]).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn stdin_takes_a_ticket_or_a_manifest() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film, "--manifest-out", "film.swarm"]);
    let ticket = format!("{}\n", seed.ticket()).into_bytes();
    let manifest = std::fs::read(world.path("film.swarm")).expect("the seed wrote it");
    for (out, stdin) in [("by-ticket", ticket), ("by-manifest", manifest)] {
        let mut command = world.command(&args!["fetch", "--json", "-o", out, "-"]);
        Process::start(&mut command, &stdin).end().done();
        assert_same_file(&film, &world.path(out).join("film.bin"));
    }
}

#[test]
fn a_url_names_a_manifest() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let _seed = world.seed(args![film, "--manifest-out", "film.swarm"]);
    let manifest = std::fs::read(world.path("film.swarm")).expect("the seed wrote it");
    let server = HttpFile::serve("200 OK", manifest);
    world.fetch(args!["-o", "out", server.url()]).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn stdout_gets_the_bytes_of_the_only_file_in_order() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let mut fetch = Process::start_piped(&mut world.command(&args!["fetch", "-o", "-", seed.ticket()]), b"");
    let mut bytes = Vec::new();
    fetch.take_stdout().read_to_end(&mut bytes).expect("a pipe");
    fetch.end().expect_code(0);
    assert!(bytes == random("film.bin", LEN as usize), "other bytes than the seed has");
}

#[test]
fn stdout_gets_one_file_of_many_when_it_is_included() {
    let world = World::new();
    for name in ["tree/one.txt", "tree/two.bin"] {
        world.file(name, 3 * MIB);
    }
    let seed = world.seed(args![world.path("tree")]);
    let args = args!["fetch", "-o", "-", "--include", "*.txt", seed.ticket()];
    let mut fetch = Process::start_piped(&mut world.command(&args), b"");
    let mut bytes = Vec::new();
    fetch.take_stdout().read_to_end(&mut bytes).expect("a pipe");
    fetch.end().expect_code(0);
    assert!(bytes == random("tree/one.txt", 3 << 20), "other bytes than the seed has");
}

#[test]
fn stdout_gets_a_file_that_lies_far_behind_others() {
    let world = World::new();
    world.file("tree/a.bin", 12 * MIB);
    world.file("tree/b.bin", MIB);
    let seed = world.seed(args![world.path("tree")]);
    let args =
        args!["fetch", "-o", "-", "--memory", "16MiB", "--include", "b.bin", "--timeout", "5", seed.ticket()];
    let mut fetch = Process::start_piped(&mut world.command(&args), b"");
    let mut bytes = Vec::new();
    fetch.take_stdout().read_to_end(&mut bytes).expect("a pipe");
    fetch.end().expect_code(0);
    assert!(bytes == random("tree/b.bin", 1 << 20), "other bytes than the seed has");
}

#[test]
fn only_included_files_are_fetched_and_the_rest_can_follow() {
    let world = World::new();
    for name in ["tree/one.mkv", "tree/sub/two.mkv", "tree/three.txt", "tree/sub/four.txt"] {
        world.file(name, 2 * MIB + 7);
    }
    std::fs::write(world.path("tree/empty.txt"), b"").expect("a place");
    let seed = world.seed(args![world.path("tree")]);
    let done = world.fetch(args!["-o", "out", "--include", "*.mkv", seed.ticket()]).end().done();
    assert_eq!(done.bytes, 2 * (2 * MIB + 7));
    let tree = Tree::of(&world.path("out"));
    let names: Vec<&str> = tree.0.keys().map(String::as_str).filter(|name| name.contains('.')).collect();
    assert_eq!(names, ["tree/one.mkv", "tree/sub/two.mkv"]);
    let done = world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_eq!(done.present_bytes, 2 * (2 * MIB + 7));
    assert_eq!(Tree::of(&world.path("out/tree")), Tree::of(&world.path("tree")));
}

#[test]
fn a_sequential_fetch_is_complete_too() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    world.fetch(args!["-o", "out", "--sequential", seed.ticket()]).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_fetch_that_keeps_seeding_serves_on_when_the_seed_is_dead() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let args = args!["-o", "out", "--keep-seeding", "--listen", "127.0.0.1:0", seed.ticket()];
    let mut first = world.fetch(args);
    let ticket = first.wait_json(|line| Some(line["ticket"].as_str()?.to_owned()));
    first.wait_json(|line| (line["durable_bytes"] == LEN).then_some(()));
    seed.process.kill();
    world.fetch(args!["-o", "again", ticket]).end().done();
    assert_same_file(&film, &world.path("again/film.bin"));
}
