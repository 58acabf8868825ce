//! Too few file descriptors: a process reports it, or works with fewer; it loses no data.

use crate::support::{MIB, Tree, World, args};

/// Files in the tree: more than are kept open at once.
const FILES: u32 = 200;

fn world() -> World {
    let world = World::new();
    for number in 0..FILES {
        world.file(&format!("tree/{}/{number}.bin", number % 7), 40_000);
    }
    world.file("tree/film.bin", 8 * MIB);
    world
}

#[test]
fn a_fetch_with_few_descriptors_goes_on_or_says_so_and_loses_nothing() {
    let world = world();
    let seed = world.seed(args![world.path("tree")]);
    let mut ends = Vec::new();
    for descriptors in [8, 12, 16, 20, 24, 28, 32, 40, 64, 100] {
        let out = format!("out-{descriptors}");
        let args = args!["fetch", "--json", "-o", out, "--timeout", "10", seed.ticket()];
        let first = world.start_with_descriptors(descriptors, &args).end();
        let code = first.code.unwrap_or_else(|| panic!("killed: {first:#?}"));
        if code != 0 {
            let said = format!("{:?} {:?}", first.out.last(), first.err);
            assert!(said.contains("Too many open files"), "{descriptors}: {first:#?}");
        }
        let again = world.start(&args).end();
        again.done();
        assert_eq!(Tree::of(&world.path(&out).join("tree")), Tree::of(&world.path("tree")), "{descriptors}");
        ends.push((descriptors, code));
    }
    println!("descriptors and exit codes: {ends:?}");
    assert!(ends.iter().any(|(_, code)| *code == 0), "{ends:?}");
    assert!(ends.iter().any(|(_, code)| *code != 0), "{ends:?}");
}

#[test]
fn a_resume_with_few_descriptors_does_not_take_what_is_there_for_bad() {
    let world = world();
    let seed = world.seed(args![world.path("tree")]);
    let args = args!["fetch", "--json", "-o", "out", "--timeout", "10", seed.ticket()];
    let whole = world.start(&args).end().done();
    for descriptors in [12, 16, 20, 24, 32, 64] {
        let again = world.start_with_descriptors(descriptors, &args).end();
        if again.code == Some(0) {
            assert_eq!(again.done().present_bytes, whole.bytes, "{descriptors}");
        }
        assert_eq!(Tree::of(&world.path("out/tree")), Tree::of(&world.path("tree")), "{descriptors}");
    }
}

#[test]
fn a_seed_with_few_descriptors_withdraws_nothing() {
    let world = world();
    let args = args!["seed", "--json", "--listen", "127.0.0.1:0", world.path("tree")];
    let mut seed = world.start_with_descriptors(40, &args);
    let ticket = seed.wait_json(|line| line["ticket"].as_str().map(str::to_owned));
    world.fetch(args!["-o", "out", "--timeout", "10", ticket]).end().done();
    assert_eq!(Tree::of(&world.path("out/tree")), Tree::of(&world.path("tree")));
    assert!(seed.kill().events("chunk_lost").is_empty());
}
