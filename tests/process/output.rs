//! Output may be lost, the work may not: stderr and stdout on a full disk, on a closed pipe, on a non-blocking one.
//! And no output acts on a terminal, whatever names it contains.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use swarm_core::base::is_hidden;

use crate::support::{MIB, Outcome, Process, Signal, World, args, assert_same_file};

/// Destinations that accept no output.
const BROKEN: [fn() -> Stdio; 2] = [full, closed];

/// A full disk.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("Linux has it").into()
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

/// Runs it to its end; returns its code.
fn code_of(command: &mut Command) -> Option<i32> {
    command.stdin(Stdio::null()).status().expect("it starts").code()
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_fetch_completes_without_a_reader_of_its_output() {
    let world = World::new();
    let film = world.file("film.bin", 2 * MIB);
    let seed = world.seed(args![film]);
    for (number, end) in BROKEN.into_iter().enumerate() {
        for (json, args) in [("text", args!["-vv", "fetch"]), ("json", args!["-vv", "fetch", "--json"])] {
            let out = world.path(&format!("out-{number}-{json}"));
            let args = [args, args!["-o", out, seed.ticket()]].concat();
            assert_eq!(code_of(world.command(&args).stdout(end()).stderr(end())), Some(0), "{args:?}");
            assert_same_file(&film, &out.join("film.bin"));
        }
    }
}

#[test]
fn a_seed_serves_without_a_reader_of_its_output() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    for (number, end) in BROKEN.into_iter().enumerate() {
        // Its log is lost.
        let args = args!["-vv", "seed", "--json", "--once", "--listen", "127.0.0.1:0", film];
        let mut command = world.command(&args);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(end()).spawn().expect("it starts");
        let mut seed = Running(child);
        let mut lines = BufReader::new(seed.0.stdout.take().expect("stdout is piped")).lines();
        let ready: Value =
            serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("a JSON object");
        let out = world.path(&format!("log-{number}"));
        world.fetch(args!["-o", out, ready["ticket"].as_str().expect("a ticket")]).end().done();
        assert!(lines.all(|line| line.is_ok()));
        assert_eq!(seed.0.wait().expect("it is ours").code(), Some(0));
        // Its ticket and its JSON lines are lost.
        for json in [args![], args!["--json"]] {
            let manifest = world.path(&format!("{number}-{}.swarm", json.len()));
            let args =
                args!["-vvv", "seed", "--once", "--listen", "127.0.0.1:0", "--manifest-out", manifest, film];
            let mut command = world.command(&[args, json.clone()].concat());
            let child = command.stdin(Stdio::null()).stdout(end()).stderr(Stdio::piped()).spawn();
            let mut seed = Running(child.expect("it starts"));
            // Read to the end: a log that is not read holds its writer up.
            let mut log = BufReader::new(seed.0.stderr.take().expect("stderr is piped")).lines();
            let log = std::thread::spawn(move || log.all(|line| line.is_ok()));
            // The manifest is written before the first peer can link.
            while !manifest.exists() {
                assert!(seed.0.try_wait().expect("it is ours").is_none(), "it ended before");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            let out = world.path(&format!("out-{number}-{}", json.len()));
            world.fetch(args!["-o", out, manifest]).end().done();
            // Read to the end, because a full pipe would block its writer.
            assert!(log.join().expect("no panic"));
            assert_eq!(seed.0.wait().expect("it is ours").code(), Some(0));
        }
    }
}

#[test]
fn a_node_runs_without_a_reader_of_its_log() {
    for end in BROKEN {
        for format in ["text", "json"] {
            let world = World::new();
            let song = world.file("song.bin", MIB);
            let config = format!("listen = \"127.0.0.1:0\"\nlog = \"{format}\"\n");
            fs::write(world.path("node.toml"), config).expect("a place");
            let mut command = world.command(&args!["-vv", "node", "--config", "node.toml"]);
            let node = command.stdin(Stdio::null()).stdout(end()).stderr(end()).spawn();
            let mut node = Running(node.expect("it starts"));
            // Code 8 is that of a node that is not up yet.
            while world.run(&args!["ls"]).code == Some(8) {
                assert!(node.0.try_wait().expect("it is ours").is_none(), "the node ended");
            }
            let added = world.run(&args!["add", song]).expect_code(0);
            world.fetch(args!["-o", "out", added.out[0]]).end().done();
            let pid = rustix::process::Pid::from_child(&node.0);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
            assert_eq!(node.0.wait().expect("it is ours").code(), Some(0));
        }
    }
}

#[test]
fn a_failure_keeps_its_code_when_it_cannot_be_told() {
    let world = World::new();
    for end in BROKEN {
        for (code, args) in [
            (2, args!["seed", "missing"]),
            (2, args!["seed", "--json", "missing"]),
            (2, args!["fly"]),
            (2, args!["fetch", "missing", "--json"]),
            (2, args!["node", "--config", "missing"]),
            (8, args!["status", "--json"]),
        ] {
            assert_eq!(code_of(world.command(&args).stdout(end()).stderr(end())), Some(code), "{args:?}");
        }
    }
}

#[test]
fn what_was_asked_for_and_cannot_be_printed_is_an_error() {
    let world = World::new();
    let film = world.file("film.bin", 3 * MIB);
    let manifest = world.manifest(&film, "film.swarm");
    let seed = world.seed(args![film]);
    for args in [
        args!["--help"],
        args!["--version"],
        args!["completions", "zsh"],
        args!["node", "--print-schema"],
        args!["manifest", "show", manifest],
        args!["manifest", "show", "--json", manifest],
        args!["manifest", "verify", manifest, film],
        args!["id", "--key", world.path("key")],
        args!["fetch", "-o", "-", seed.ticket()],
    ] {
        // As `swarm ... | head` ends.
        let mut command = world.command(&args);
        let output = command.stdin(Stdio::null()).stdout(closed()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(141), "{args:?}: {said}");
        assert!(!said.contains("swarm: ") && !said.contains("panicked"), "{args:?}: {said}");
        let output = world.command(&args).stdin(Stdio::null()).stdout(full()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{args:?}: {said}");
        assert!(said.contains("No space left on device"), "{args:?}: {said}");
    }
}

#[test]
fn a_pipe_that_does_not_block_loses_no_result_and_ends_nothing() {
    let world = World::new();
    let whole = world.command(&args!["completions", "zsh"]).output().expect("it starts").stdout;
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).expect("it is ours");
    let mut filled_len = 0;
    while let Ok(len) = writer.write(&[b'x'; 4096]) {
        filled_len += len;
    }
    let failing = code_of(
        world
            .command(&args!["seed", "missing"])
            .stdout(Stdio::null())
            .stderr(writer.try_clone().expect("a descriptor")),
    );
    assert_eq!(failing, Some(2));
    let mut command = world.command(&args!["completions", "zsh"]);
    let mut child = command.stdout(writer).spawn().expect("it starts");
    drop(command);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).expect("a pipe");
    assert_eq!(child.wait().expect("it is ours").code(), Some(0));
    assert!(read[filled_len..] == whole[..], "{} bytes instead of {}", read.len() - filled_len, whole.len());
}

/// Checks that no output acts on a terminal.
fn assert_harmless(outcome: &Outcome) {
    for line in outcome.out.iter().chain(&outcome.err) {
        assert!(!line.contains(is_hidden), "{line:?}");
    }
}

const TITLE: &str = "\x1b]0;evil\x07";
const SHOWN_TITLE: &str = "\\u{1b}]0;evil\\u{7}";
/// A valid name in a manifest, which some terminals show as `film.exe.mkv`.
const REVERSED: &str = "film\u{202e}vkm.exe";

#[test]
fn hostile_names_of_files_are_escaped_wherever_they_are_shown() {
    let world = World::new();
    world.file(&format!("tree/{REVERSED}"), MIB);
    symlink("nowhere", world.path("tree").join(format!("link{TITLE}"))).expect("a place");
    world.file(&format!("tree/{TITLE}"), 5);
    let refused = world.run(&args!["manifest", "create", "-o", "x.swarm", "tree"]).expect_code(2);
    assert!(refused.failure_line().contains(SHOWN_TITLE), "{refused:#?}");
    assert_harmless(&refused);
    let made = world.run(&args!["-vvv", "manifest", "create", "--skip-unportable", "-o", "x.swarm", "tree"]);
    for name in [SHOWN_TITLE.to_owned(), format!("link{SHOWN_TITLE}")] {
        let is_told = |line: &String| line.starts_with("skipped `") && line.contains(&format!("/{name}`"));
        assert!(made.err.iter().any(is_told), "{name}: {made:#?}");
    }
    assert_harmless(&made.expect_code(0));
    for path in [format!("missing{TITLE}"), format!("-{TITLE}"), format!("http://{TITLE}")] {
        assert_harmless(&world.run(&args!["fetch", path]).expect_code(if path.starts_with("http") {
            3
        } else {
            2
        }));
        assert_harmless(&world.run(&args!["seed", path]).expect_code(2));
    }
    let shown = world.run(&args!["manifest", "show", "x.swarm"]).expect_code(0);
    assert!(shown.out.iter().any(|line| line.contains("film\\u{202e}vkm.exe")), "{shown:#?}");
    assert_harmless(&shown);
    let shown = world.run(&args!["manifest", "show", "--json", "x.swarm"]).expect_code(0);
    assert_harmless(&shown);
    assert_eq!(shown.json()[0]["files"][0]["path"], format!("tree/{REVERSED}"), "data stays data");
    fs::remove_file(world.path("tree").join(TITLE)).expect("ours");
    let mut seed = world.start(&args!["-vvv", "seed", "--listen", "127.0.0.1:0", "tree"]);
    let ticket = seed.wait_line(|line| Some(line.to_owned()));
    let fetched = world.run(&args!["-vvv", "fetch", "-o", "out", ticket]).expect_code(0);
    assert_harmless(&fetched);
    assert!(world.path("out/tree").join(REVERSED).exists());
    assert!(tells_of(&fetched.err, "sending", "Request {"), "{fetched:#?}");
    seed.signal(Signal::Interrupt);
    let seed = seed.end();
    assert_harmless(&seed);
    assert!(tells_of(&seed.err, "received", "Request {"), "{seed:#?}");
}

#[test]
fn a_wrong_argument_is_escaped_where_a_terminal_shows_it() {
    let world = World::new();
    for args in [
        args!["fetch", "--peer", TITLE, "ticket"],
        args!["fetch", format!("--{TITLE}"), "ticket"],
        args!["seed", "--limit-up", TITLE, "film"],
        args![TITLE],
    ] {
        // As on a terminal: what is written to a pipe loses its escape sequences by default.
        let mut command = world.command(&args);
        let output = command.env("CLICOLOR_FORCE", "1").stdin(Stdio::null()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(!said.contains(|char| char != '\n' && is_hidden(char)), "{args:?}: {said:?}");
        assert!(said.contains(SHOWN_TITLE) && said.contains("\nFor more information"), "{args:?}: {said}");
    }
}

/// Whether one line of the log is of such a message, and says of which peer.
fn tells_of(log: &[String], way: &str, message: &str) -> bool {
    log.iter().any(|line| ["TRACE", "peer=", way, message].iter().all(|part| line.contains(part)))
}

#[test]
fn a_node_escapes_names_in_its_log_and_its_answers() {
    for format in ["text", "json"] {
        let world = World::new();
        world.file(&format!("{REVERSED}/song.bin"), 6);
        world.file("tree/song.bin", 5);
        world.file(&format!("tree/{TITLE}"), 5);
        let config = format!(
            "listen = \"127.0.0.1:0\"\nlog = \"{format}\"\n[[content]]\npaths = [\"tree\"]\nskip_unportable = true\n"
        );
        fs::write(world.path("node.toml"), config).expect("a place");
        let mut node: Process = world.start(&args!["-vv", "node", "--config", "node.toml"]);
        node.wait_stderr("evil");
        assert_harmless(&world.run(&args!["add", REVERSED]).expect_code(0));
        let again = world.run(&args!["add", "--skip-unportable", "tree"]).expect_code(0);
        assert!(again.err.iter().any(|line| line.contains(SHOWN_TITLE)), "{again:#?}");
        assert_harmless(&again);
        let refused = world.run(&args!["add", world.path("tree")]);
        assert_harmless(&refused);
        for args in [args!["ls"], args!["ls", "--json"], args!["status"], args!["status", "--json"]] {
            let answer = world.run(&args).expect_code(0);
            assert!(answer.out.join("").contains("202e"), "{answer:#?}");
            assert_harmless(&answer);
        }
        node.signal(Signal::Terminate);
        assert_harmless(&node.end().expect_code(0));
    }
}

#[test]
fn names_that_only_windows_dislikes_travel_and_others_are_listed_at_once() {
    let world = World::new();
    for (number, name) in ["drivers/i2c/aux.c", "con.mp3", "end. ", "what?.txt"].into_iter().enumerate() {
        world.file(&format!("tree/{name}"), number as u64 * 1000);
    }
    let seed = world.seed(args!["tree"]);
    world.fetch(args!["-o", "plain", seed.ticket()]).end().done();
    for name in ["drivers/i2c/aux.c", "con.mp3", "end. ", "what?.txt"] {
        assert_same_file(&world.path(&format!("tree/{name}")), &world.path(&format!("plain/tree/{name}")));
    }
    for name in ["Icon\r", "deep/Icon\r", "Makefile", "makefile", "bad\x01/in it"] {
        world.file(&format!("tree/{name}"), 10);
    }
    for command in [args!["manifest", "create", "-o", "x.swarm", "tree"], args!["seed", "tree"]] {
        let refused = world.run(&command).expect_code(2);
        let line = refused.failure_line();
        for part in ["4 names", "Icon\\r`", "deep/Icon\\r`", "makefile` ", "bad\\u{1}` ", "--skip-unportable"]
        {
            assert!(line.contains(part), "no `{part}` in {line}");
        }
    }
    let made =
        world.run(&args!["manifest", "create", "--skip-unportable", "-o", "x.swarm", "tree"]).expect_code(0);
    assert_eq!(made.err.iter().filter(|line| line.starts_with("skipped `")).count(), 4, "{made:#?}");
    let warnings: Vec<_> = made.err.iter().filter(|line| line.starts_with("warning: ")).collect();
    assert!(matches!(warnings[..], [line] if line.contains("aux.c") && line.contains("older")), "{made:#?}");
    let seed = world.seed(args!["--skip-unportable", "tree"]);
    world.fetch(args!["-o", "out", seed.ticket()]).end().done();
    assert!(world.path("out/tree/drivers/i2c/aux.c").exists() && world.path("out/tree/con.mp3").exists());
    assert!(world.path("out/tree/Makefile").exists() && !world.path("out/tree/Icon\r").exists());
}
