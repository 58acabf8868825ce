//! Trees with unusual names and entries.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use crate::support::{MIB, Process, Tree, World, args, random};

#[test]
fn odd_names_empty_things_and_executable_bits_arrive_as_they_are() {
    let world = World::new();
    let root = world.path("tree");
    let long = "x".repeat(255);
    let long_unicode = "é".repeat(127);
    let deep = format!("deep/{}", vec!["d"; 60].join("/"));
    let names = [
        "plain",
        "with space",
        " leading and trailing ",
        "-rf",
        "--help",
        "ünïcødé-日本語-🎬",
        "quote\"'`$(x);&|<>*?[]{}!#~\\back",
        "per%20cent+plus=equals,comma@at:colon",
        ".hidden",
        "...",
        "film.bin.partial",
        long.as_str(),
        long_unicode.as_str(),
        "-dash folder/-file",
        "emptyfile.d/empty",
    ];
    fs::create_dir_all(root.join(&deep)).expect("a place");
    fs::write(root.join(&deep).join("file"), b"deep").expect("a place");
    for (number, name) in names.iter().enumerate() {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a place");
        fs::write(&path, random(name, number * 1000)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    fs::write(root.join("emptyfile.d/empty"), b"").expect("a place");
    for name in ["empty folder", "nested/empty/folders", "-"] {
        fs::create_dir_all(root.join(name)).expect("a place");
    }
    for name in ["plain", "emptyfile.d/empty"] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let seed = world.seed(args![root]);
    world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_eq!(Tree::of(&world.path("out/tree")), Tree::of(&root));
    assert_eq!(Tree::of(&world.path("out")).0.len(), Tree::of(&root).0.len() + 1, "nothing else is left");
}

#[test]
fn links_and_pipes_are_skipped_with_a_line() {
    let world = World::new();
    world.file("tree/film.bin", 1000);
    let root = world.path("tree");
    symlink("/etc/passwd", root.join("link")).expect("a place");
    symlink("..", root.join("folder link")).expect("a place");
    let _socket = UnixListener::bind(root.join("socket")).expect("a place");
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status();
    assert!(made.expect("every Unix has it").success());
    let made = world.run(&args!["manifest", "create", "-o", "tree.swarm", root]).expect_code(0);
    for (name, why) in [
        ("link", "a symbolic link"),
        ("folder link", "a symbolic link"),
        ("socket", "not a file or folder"),
        ("pipe", "not a file or folder"),
    ] {
        let line = format!("skipped `{}`: {why}", root.join(name).to_string_lossy());
        assert!(made.err.contains(&line), "no `{line}` in {made:#?}");
    }
    let seed = world.seed(args![root]);
    world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_eq!(Tree::of(&world.path("out")).0.keys().collect::<Vec<_>>(), ["tree", "tree/film.bin"]);
}

#[test]
fn three_thousand_small_files_arrive() {
    let world = World::new();
    let root = world.path("tree");
    for folder in 0..30 {
        fs::create_dir_all(root.join(folder.to_string())).expect("a place");
        for file in 0..100 {
            let name = format!("{folder}/{file}");
            fs::write(root.join(&name), random(&name, folder * 97 + file)).expect("a place");
        }
    }
    let seed = world.seed(args![root]);
    world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_eq!(Tree::of(&world.path("out/tree")), Tree::of(&root));
}

#[test]
fn a_content_without_a_byte_arrives() {
    let world = World::new();
    fs::create_dir_all(world.path("tree/empty")).expect("a place");
    fs::write(world.path("tree/nothing"), b"").expect("a place");
    let seed = world.seed(args![world.path("tree")]);
    let done = world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert_eq!(done.bytes, 0);
    assert_eq!(Tree::of(&world.path("out/tree")), Tree::of(&world.path("tree")));
}

#[test]
fn a_manifest_that_is_written_into_its_folder_is_no_part_of_it() {
    let world = World::new();
    let film = world.file("tree/film.bin", 1000);
    let tree = film.parent().expect("the folder").to_owned();
    let mut contents = Vec::new();
    for _ in 0..2 {
        let mut command = world.command(&args!["seed", "--json", ".", "--manifest-out", "film.swarm"]);
        let mut seed = Process::start(command.current_dir(&tree), b"");
        contents.push(seed.wait_json(|line| line["content"].as_str().map(str::to_owned)));
        seed.kill();
    }
    // For another command it is an ordinary file.
    fs::remove_file(tree.join("film.swarm")).expect("it was written");
    for _ in 0..2 {
        let mut command = world.command(&args!["manifest", "create", "--json", "."]);
        let mut create = Process::start(command.current_dir(&tree), b"");
        contents.push(create.wait_json(|line| line["content"].as_str().map(str::to_owned)));
        create.end().expect_code(0);
    }
    assert!(tree.join("tree.swarm").exists());
    assert!(contents.iter().all(|content| *content == contents[0]), "{contents:?}");
}

#[test]
fn what_a_fetch_has_not_finished_is_not_served_as_a_part_of_its_folder() {
    let world = World::new();
    world.file("tree/film.bin", 8 * MIB);
    world.file("tree/sub/b.bin", 8 * MIB);
    let seed = world.seed(args![world.path("tree")]);
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "1MiB/s", seed.ticket()]);
    fetch.wait_json(|line| (line["durable_bytes"].as_u64()? > 0).then_some(()));
    fetch.kill();
    // A file of the user, in spite of its name.
    world.file("out/mine.part", 10);
    for path in ["out", "out/tree"] {
        let outcome =
            world.run(&args!["manifest", "create", "--json", "-o", "out.swarm", path]).expect_code(0);
        let files: Vec<String> = outcome.json()[0]["files"]
            .as_array()
            .expect("files")
            .iter()
            .filter_map(|file| file["path"].as_str().map(str::to_owned))
            .collect();
        let expected: &[&str] = if path == "out" { &["out/mine.part"] } else { &[] };
        assert_eq!(files, expected, "{outcome:#?}");
        assert!(outcome.err.iter().any(|line| line.contains("a fetch that is not finished")), "{outcome:#?}");
    }
}
