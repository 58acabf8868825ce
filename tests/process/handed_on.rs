//! Tickets from chats, mails and files, lists of any editor, and names with brackets, in the form in which people pass them on.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};

use crate::support::{HttpFile, MIB, Outcome, Process, Tree, World, args};

/// Fetches with this argument and stdin into a fresh folder.
fn fetch(world: &World, what: impl Into<OsString>, stdin: &[u8]) -> Outcome {
    // Removed, so that each run has to fetch.
    let _ = fs::remove_dir_all(world.path("out"));
    Process::start(&mut world.command(&args!["fetch", "--timeout", "20", "-o", "out", what.into()]), stdin)
        .end()
}

#[test]
fn a_ticket_is_taken_as_it_arrives() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let ticket = seed.ticket();
    let (front, back) = ticket.split_at(50);
    let printed = format!(
        "seeding film.bin, 1.00 MiB, at 127.0.0.1:1\nothers fetch it with: swarm fetch TICKET\n{ticket}\n"
    );
    for text in [
        format!("\u{201c}{ticket}\u{201d}"),
        format!("<{ticket}>."),
        format!("{front}\u{200b}{back}"),
        format!("{front}\r\n{back}\r\n"),
        format!("swarm fetch {ticket}"),
        printed,
    ] {
        fetch(&world, &text, b"").expect_code(0);
        fetch(&world, "-", text.as_bytes()).expect_code(0);
    }
    fs::write(world.path("ticket.txt"), format!("\u{feff}{ticket}\r\n")).expect("a place");
    fetch(&world, "ticket.txt", b"").expect_code(0);
    fetch(&world, HttpFile::serve("200 OK", format!("{ticket}\n").into()).url(), b"").expect_code(0);
    let wide: Vec<u8> = format!("\u{feff}{ticket}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let outcome = fetch(&world, "-", &wide).expect_code(2);
    assert!(outcome.failure_line().contains("UTF-16"), "{outcome:#?}");
    let outcome = world.run(&args!["manifest", "show", "ticket.txt"]).expect_code(2);
    assert!(outcome.failure_line().contains("it holds a ticket"), "{outcome:#?}");
}

#[test]
fn a_ticket_is_taken_from_a_pipe_that_stays_open() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let args = args!["fetch", "--timeout", "20", "-o", "out", "-"];
    let (fetch, mut stdin) = Process::start_with_stdin(&mut world.command(&args));
    writeln!(stdin, "{}", seed.ticket()).expect("it reads");
    fetch.end().expect_code(0);
    drop(stdin);
}

#[test]
fn a_configuration_may_be_of_any_editor() {
    let world = World::new();
    let text = "\u{feff}listen = \"127.0.0.1:0\"\r\nlan = false\r\n";
    fs::write(world.path("node.toml"), text).expect("a place");
    world.run(&args!["node", "--check", "--config", "node.toml"]).expect_code(0);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(world.path("node.toml"), wide).expect("a place");
    let outcome = world.run(&args!["node", "--check", "--config", "node.toml"]).expect_code(2);
    assert!(outcome.failure_line().contains("UTF-16"), "{outcome:#?}");
}

#[test]
fn names_and_folders_are_included_as_they_are_called() {
    let world = World::new();
    for name in
        ["tree/[Group] x.mkv", "tree/G x.mkv", "tree/folder/one", "tree/folder/sub/two", "tree/other/one"]
    {
        world.file(name, 1000);
    }
    let seed = world.seed(args![world.path("tree")]);
    let fetched = |pattern: &str| {
        let _ = fs::remove_dir_all(world.path("out"));
        world.fetch(args!["-o", "out", "--include", pattern, seed.ticket()]).end().done();
        let tree = Tree::of(&world.path("out"));
        tree.0.keys().filter(|path| world.path("out").join(path).is_file()).cloned().collect::<Vec<_>>()
    };
    assert_eq!(fetched("[Group] x.mkv"), ["tree/[Group] x.mkv"]);
    assert_eq!(fetched("folder/"), ["tree/folder/one", "tree/folder/sub/two"]);
    assert_eq!(fetched("tree/folder"), ["tree/folder/one", "tree/folder/sub/two"]);
    for (pattern, part) in [("", "names nothing"), ("film", "it has `tree/")] {
        let outcome =
            world.run(&args!["fetch", "-o", "out", "--include", pattern, seed.ticket()]).expect_code(2);
        assert!(outcome.failure_line().contains(part), "{outcome:#?}");
    }
}

#[test]
fn an_empty_environment_variable_counts_as_not_set() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let mut command = world.command(&args!["fetch", "-o", "out", seed.ticket()]);
    for name in [
        "VERBOSE",
        "KEY",
        "LIMIT_DOWN",
        "PEER",
        "COORDINATOR",
        "INCLUDE",
        "TIMEOUT",
        "MEMORY",
        "LISTEN",
        "ALLOW",
        "JSON",
    ] {
        command.env(format!("SWARM_{name}"), "");
    }
    Process::start(&mut command, b"").end().expect_code(0);
}

#[test]
fn a_manifest_goes_to_stdout_and_comes_from_stdin() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    world.manifest(&film, "film.swarm");
    let args = args!["manifest", "create", "-o", "-", film];
    let mut create = Process::start_piped(&mut world.command(&args), b"");
    let mut bytes = Vec::new();
    create.take_stdout().read_to_end(&mut bytes).expect("a pipe");
    create.end().expect_code(0);
    assert!(bytes == fs::read(world.path("film.swarm")).expect("it is there"), "another manifest");
    assert!(!world.path("-").exists());
    let show =
        Process::start(&mut world.command(&args!["manifest", "show", "-"]), &bytes).end().expect_code(0);
    assert!(show.out.join("\n").contains("film.bin"), "{show:#?}");
    world.run(&args!["manifest", "create", "--json", "-o", "-", film]).expect_code(2);
    world.run(&args!["seed", "--manifest-out", "-", film]).expect_code(2);
}
