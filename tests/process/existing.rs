//! Entries that already exist in the target folder.

use std::fs;

use crate::support::{MIB, World, args, assert_same_file, random};

const LEN: u64 = 6 * MIB;

#[test]
fn a_complete_file_is_left_alone_and_no_peer_is_needed() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let manifest = world.manifest(&film, "film.swarm");
    fs::create_dir(world.path("out")).expect("a place");
    let copy = world.path("out/film.bin");
    fs::copy(&film, &copy).expect("the disk has room");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&copy).and_then(|file| file.set_modified(old)).expect("ours");
    let done = world.fetch(args!["-o", "out", manifest]).end().done();
    assert_eq!((done.present_bytes, done.fetched_bytes), (LEN, 0));
    assert_eq!(copy.metadata().and_then(|metadata| metadata.modified()).expect("it is there"), old);
    assert_eq!(fs::read_dir(world.path("out")).expect("a folder").count(), 1);
}

#[test]
fn another_file_is_not_touched_unless_that_is_asked_for() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    fs::create_dir(world.path("out")).expect("a place");
    let mine = random("mine", LEN as usize);
    for content in [&mine[..], b"short", b""] {
        fs::write(world.path("out/film.bin"), content).expect("a place");
        let outcome = world.fetch(args!["-o", "out", seed.ticket()]).end().expect_code(4);
        assert!(outcome.error_message().contains("--overwrite"), "{outcome:#?}");
        assert!(fs::read(world.path("out/film.bin")).expect("it is there") == content);
        assert_eq!(fs::read_dir(world.path("out")).expect("a folder").count(), 1, "nothing is left behind");
    }
    world.fetch(args!["-o", "out", "--overwrite", seed.ticket()]).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_folder_or_link_in_the_way_is_not_touched() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    fs::create_dir_all(world.path("folder/film.bin/inside")).expect("a place");
    fs::create_dir(world.path("link")).expect("a place");
    let victim = world.file("victim", 100);
    std::os::unix::fs::symlink(&victim, world.path("link/film.bin")).expect("a place");
    for out in ["folder", "link"] {
        for overwrite in [None, Some("--overwrite")] {
            let mut args = args!["-o", out, "--timeout", "5", seed.ticket()];
            args.extend(overwrite.map(Into::into));
            let outcome = world.fetch(args).end();
            if out == "folder" || overwrite.is_none() {
                assert_eq!(outcome.code, Some(4), "{out} {overwrite:?}: {outcome:#?}");
                assert!(
                    !outcome.error_message().contains("--overwrite"),
                    "it replaces no {out}: {outcome:#?}"
                );
            }
        }
    }
    assert!(world.path("folder/film.bin/inside").is_dir());
    assert!(fs::read(victim).expect("it is there") == random("victim", 100), "written through a link");
}

#[test]
fn a_target_that_is_no_folder_is_named_by_fetch_and_add_alike() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    std::fs::write(world.path("node.toml"), "listen = \"127.0.0.1:0\"\n").expect("a place");
    let node = world.start(&args!["node", "--config", "node.toml"]);
    node.wait_stderr(" ready ");
    std::os::unix::fs::symlink(world.path("nowhere"), world.path("link")).expect("a place");
    for (out, part) in [("film.bin", "is a file"), ("film.bin/below", "is a file"), ("link", "leads nowhere")]
    {
        let by_fetch = world.fetch(args!["-o", out, seed.ticket()]).end().expect_code(4);
        assert!(by_fetch.error_message().contains(part), "{by_fetch:#?}");
        let by_add = world.run(&args!["add", "--fetch", seed.ticket(), "--out", out]).expect_code(4);
        assert!(by_add.failure_line().contains(part), "{by_add:#?}");
    }
    assert!(!world.path("nowhere").exists());
}

#[test]
fn a_file_where_a_folder_has_to_be_is_named_itself() {
    let world = World::new();
    world.file("tree/sub/film.bin", LEN);
    let seed = world.seed(args![world.path("tree")]);
    fs::create_dir(world.path("out")).expect("a place");
    fs::write(world.path("out/tree"), b"mine").expect("a place");
    for overwrite in [None, Some("--overwrite")] {
        let mut args = args!["-o", "out", seed.ticket()];
        args.extend(overwrite.map(Into::into));
        let message = world.fetch(args).end().expect_code(4).error_message();
        assert!(message.contains("`out/tree` is a file") && !message.contains("--overwrite"), "{message}");
    }
    assert_eq!(fs::read(world.path("out/tree")).expect("it is there"), b"mine");
}

#[test]
fn a_linked_folder_inside_the_target_is_not_written_through() {
    let world = World::new();
    world.file("tree/sub/film.bin", LEN);
    let seed = world.seed(args![world.path("tree")]);
    fs::create_dir_all(world.path("out/tree")).expect("a place");
    fs::create_dir(world.path("elsewhere")).expect("a place");
    std::os::unix::fs::symlink(world.path("elsewhere"), world.path("out/tree/sub")).expect("a place");
    let outcome = world.fetch(args!["-o", "out", "--timeout", "5", seed.ticket()]).end().expect_code(4);
    assert!(outcome.error_message().contains("symbolic link"), "{outcome:#?}");
    assert_eq!(fs::read_dir(world.path("elsewhere")).expect("a folder").count(), 0);
}

#[test]
fn the_part_file_of_a_stranger_is_not_destroyed() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    fs::create_dir(world.path("out")).expect("a place");
    fs::write(world.path("out/film.bin.part"), b"somebody else's").expect("a place");
    let outcome = world.fetch(args!["-o", "out", "--timeout", "5", seed.ticket()]).end();
    assert_eq!(
        fs::read(world.path("out/film.bin.part")).ok().as_deref(),
        Some(&b"somebody else's"[..]),
        "{outcome:#?}"
    );
    match outcome.code {
        Some(0) => assert_same_file(&film, &world.path("out/film.bin")),
        Some(4) => assert!(outcome.error_message().contains("film.bin.part"), "{outcome:#?}"),
        _ => panic!("{outcome:#?}"),
    }
}

#[test]
fn two_fetches_of_one_content_into_one_folder_do_not_meet() {
    let world = World::new();
    let film = world.file("film.bin", 24 * MIB);
    let seed = world.seed(args![film]);
    let mut first = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seed.ticket()]);
    first.wait_json(|line| (line["event"] == "ready").then_some(()));
    let second = world.fetch(args!["-o", "out", seed.ticket()]).end().expect_code(1);
    assert!(second.error_message().contains("in use by another swarm"), "{second:#?}");
    first.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}
