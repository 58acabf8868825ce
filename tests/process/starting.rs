//! The start of a command: its inputs may never answer. A timeout ends it, and a signal ends it at once.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::{HttpScript, MIB, Process, Signal, World, args, assert_same_file};

const ALL_SIGNALS: [Signal; 2] = [Signal::Interrupt, Signal::Terminate];

/// Reads until the client closes, so that the connection stays open.
fn hold(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Sends one byte a second, until the client closes.
fn drip(mut stream: TcpStream, bytes: &[u8]) {
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("not zero");
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() || stream.read(&mut [0]).is_ok() {
            return;
        }
    }
}

fn say(mut stream: &TcpStream, text: &str) {
    // The client may have closed the connection.
    let _ = stream.write_all(text.as_bytes());
}

fn redirect(stream: &TcpStream, location: &str) {
    say(
        stream,
        &format!(
            "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ),
    );
}

const BODY_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\nswarm manifest\n\x01";

fn silent() -> HttpScript {
    HttpScript::serve(|_, stream| hold(stream))
}

/// A named pipe for this user alone.
fn pipe(world: &World, name: &str) -> PathBuf {
    let path = world.path(name);
    let status = Command::new("mkfifo").args(["-m", "600"]).arg(&path).status();
    assert!(status.expect("mkfifo is there").success());
    path
}

#[test]
fn a_fetch_gives_up_a_server_that_brings_nothing() {
    let world = World::new();
    let servers = [
        silent(),
        HttpScript::serve(|_, stream| drip(stream, b"HTTP/1.1 200 OK ")),
        HttpScript::serve(|_, stream| {
            say(&stream, BODY_HEAD);
            drip(stream, b"x");
        }),
        HttpScript::serve(|_, stream| {
            say(&stream, BODY_HEAD);
            say(&stream, &"x".repeat(100_000));
            hold(stream);
        }),
    ];
    let fetches: Vec<Process> =
        servers.iter().map(|server| world.start(&args!["fetch", "--timeout", "2", server.url()])).collect();
    for fetch in fetches {
        let outcome = fetch.end().expect_code(3);
        assert!(outcome.failure_line().contains("no progress for 2 s"), "{outcome:#?}");
    }
}

#[test]
fn a_fetch_gives_up_a_pipe_without_an_end() {
    let world = World::new();
    let unopened = pipe(&world, "unopened");
    let of_pipe = world.start(&args!["fetch", "--timeout", "2", unopened]);
    let (of_stdin, open) =
        Process::start_with_stdin(&mut world.command(&args!["fetch", "--timeout", "2", "-"]));
    for (fetch, name) in [(of_pipe, "unopened"), (of_stdin, "stdin")] {
        let outcome = fetch.end().expect_code(3);
        let line = outcome.failure_line();
        assert!(line.contains(name) && line.contains("no progress for 2 s"), "{line}");
    }
    drop(open);
}

#[test]
fn a_signal_ends_a_fetch_that_waits_for_its_manifest() {
    let world = World::new();
    for signal in ALL_SIGNALS {
        let server = silent();
        let mut fetch = world.start(&args!["fetch", "--timeout", "0", server.url()]);
        server.wait_asked();
        fetch.signal(signal);
        let outcome = fetch.end().expect_code(130);
        assert!(outcome.failure_line().contains("interrupted"), "{outcome:#?}");
        let command = &mut world.command(&args!["fetch", "--json", "--timeout", "0", "-"]);
        let (mut fetch, mut stdin) = Process::start_with_stdin(command);
        // More than a pipe holds, so the write returns only once the fetch reads.
        stdin.write_all(&vec![b'x'; 1 << 20]).expect("it reads");
        fetch.signal(signal);
        assert_eq!(fetch.end().expect_code(130).events("error").len(), 1);
    }
}

#[test]
fn a_signal_ends_every_command_that_waits_at_its_start() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let film_seed = world.seed(args![film]);
    let fifo = pipe(&world, "fifo");
    fs::write(world.path("node.toml"), "listen = \"127.0.0.1:0\"\nlan = false\n[trust]\nallow = \"fifo\"\n")
        .expect("a place");
    let ticket = film_seed.ticket();
    let commands: Vec<Vec<OsString>> = vec![
        args!["fetch", "--timeout", "0", "fifo"],
        args!["fetch", "--key", "fifo", ticket],
        args!["fetch", "--cert", "fifo", ticket],
        args!["fetch", "--content-key", "fifo", ticket],
        args!["fetch", "--allow", "fifo", ticket],
        args!["fetch", "--readers", "fifo", ticket],
        args!["seed", "--manifest", "fifo", film],
        args!["seed", "--key", "fifo", film],
        args!["seed", "--allow", "fifo", film],
        args!["seed", "--seal", "fifo", film],
        args!["coordinator", "--key", "fifo"],
        args!["coordinator", "--allow", "fifo"],
        args!["aggregate", "--store", "store", "--accept", "any", "--allow", "fifo"],
        args!["node", "--config", "fifo"],
        args!["node", "--config", "fifo", "--check"],
        args!["node", "--config", "node.toml"],
        args!["manifest", "show", "fifo"],
        args!["manifest", "verify", "fifo", film],
        args!["id", "--key", "fifo"],
    ];
    for (number, args) in commands.iter().enumerate() {
        let mut process = world.start(args);
        // Opening the pipe blocks until the command has opened it as well.
        let held = File::options().write(true).open(&fifo).expect("the command reads it");
        process.signal(ALL_SIGNALS[number % 2]);
        let outcome = process.end();
        assert_eq!(outcome.code, Some(130), "{args:?}: {outcome:#?}");
        drop(held);
    }
}

#[test]
fn a_signal_ends_an_add_that_waits_for_its_manifest() {
    let world = World::new();
    fs::write(world.path("node.toml"), "listen = \"127.0.0.1:0\"\nlan = false\n").expect("a place");
    let node = world.start(&args!["node", "--config", "node.toml"]);
    node.wait_stderr("ready");
    let server = silent();
    let mut add = world.start(&args!["add", "--fetch", server.url(), "-o", "out"]);
    server.wait_asked();
    add.signal(Signal::Interrupt);
    let outcome = add.end().expect_code(130);
    assert!(outcome.failure_line().contains("interrupted"), "{outcome:#?}");
}

#[test]
fn a_list_that_hangs_later_blocks_no_signal() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let node = swarm_link::Identity::from_seed([3; 32]).node_id();
    fs::write(world.path("allow"), node.to_string()).expect("a place");
    let fifo = pipe(&world, "fifo");
    let mut seed = world.seed(args![film, "--allow", "allow"]);
    fs::rename(&fifo, world.path("allow")).expect("a place");
    let held = File::options().write(true).open(world.path("allow")).expect("the seed looks at it");
    seed.process.signal(Signal::Interrupt);
    seed.process.end().expect_code(130);
    drop(held);
}

#[test]
fn redirects_are_followed_as_far_as_they_may_lead() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film, "--manifest-out", "film.swarm"]);
    let to_file = HttpScript::serve(|_, stream| redirect(&stream, "file:///etc/passwd"));
    let round = HttpScript::serve(|_, stream| redirect(&stream, "/film.swarm"));
    for (server, part) in [(to_file, "not followed"), (round, "redirects")] {
        let outcome = world.run(&args!["fetch", "--timeout", "20", server.url()]).expect_code(3);
        assert!(outcome.failure_line().contains(part), "{outcome:#?}");
    }
    let manifest = fs::read(world.path("film.swarm")).expect("the seed wrote it");
    let moved = HttpScript::serve(move |request, mut stream| {
        if !request.contains("/moved/") {
            return redirect(&stream, "moved/film.swarm");
        }
        say(&stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", manifest.len()));
        let _ = stream.write_all(&manifest);
    });
    world.run(&args!["fetch", "-o", "out", moved.url()]).expect_code(0);
    assert_same_file(&film, &world.path("out/film.bin"));
    drop(seed);
}

#[test]
fn a_coordinator_outlives_its_terminal() {
    let world = World::new();
    let node = swarm_link::Identity::from_seed([3; 32]).node_id();
    fs::write(world.path("allow"), node.to_string()).expect("a place");
    let args = args!["coordinator", "--listen", "127.0.0.1:0", "--state", "known", "--allow", "allow"];
    let mut coordinator = world.start(&args);
    coordinator.wait_line(|line| line.contains('@').then_some(()));
    coordinator.signal(Signal::HangUp);
    coordinator.wait_stderr("looking again at who belongs");
    coordinator.signal(Signal::Terminate);
    coordinator.end().expect_code(130);
}
