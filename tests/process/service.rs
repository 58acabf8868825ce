//! A node as a service: its configuration, its control socket, its metrics page, its signals.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use swarm_core::manifest::Ticket;

use crate::support::{Liar, MIB, Outcome, Process, Signal, World, args, assert_same_file, flip_byte};

/// A node on loopback, with its configuration in `node.toml`.
struct Service<'a> {
    world: &'a World,
    process: Process,
}

impl<'a> Service<'a> {
    /// Starts it with these lines beside the address, and waits until it is ready.
    fn start(world: &'a World, config: &str) -> Self {
        configure(world, config);
        let process = world.start(&args!["node", "--config", "node.toml"]);
        process.wait_stderr(" ready ");
        Self { world, process }
    }

    /// The status as soon as it is as wanted.
    fn wait<T>(&self, pick: impl Fn(&Value) -> Option<T>) -> T {
        self.world.start(&args!["status", "--json", "--watch"]).wait_json(pick)
    }

    /// The content of this name as soon as it is served.
    fn wait_serving(&self, name: &str) -> Value {
        self.wait(|status| content(status, name).filter(|content| content["state"] == "serving").cloned())
    }

    fn run(&self, args: &[std::ffi::OsString]) -> Outcome {
        self.world.run(args)
    }

    /// Adds a content; returns its ticket.
    fn add(&self, args: Vec<std::ffi::OsString>) -> String {
        let all = [args!["add"], args].concat();
        let outcome = self.run(&all).expect_code(0);
        let [ticket] = outcome.out.as_slice() else { panic!("not one line: {outcome:#?}") };
        ticket.clone()
    }

    fn contents(&self) -> Vec<Value> {
        self.run(&args!["ls", "--json"]).expect_code(0).json()
    }

    fn fetch(&self, ticket: &str, out: &str) -> Outcome {
        self.world.fetch(args!["-o", out, "--timeout", "5", ticket]).end()
    }

    /// Requests a page; returns head and body.
    fn get(&self, path: &str) -> (String, String) {
        let address = self.wait(|status| Some(status["metrics_listen"].as_str()?.to_owned()));
        let mut stream = TcpStream::connect(address).expect("the page is there");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers and closes");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    fn stop(mut self) -> Outcome {
        self.process.signal(Signal::Terminate);
        self.process.end().expect_code(0)
    }
}

fn configure(world: &World, config: &str) {
    fs::write(world.path("node.toml"), format!("listen = \"127.0.0.1:0\"\n{config}")).expect("a place");
}

fn content<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["contents"].as_array()?.iter().find(|content| content["name"] == name)
}

fn id(content: &Value) -> &str {
    content["content"].as_str().expect("an id")
}

const FILMS: &str = "[[content]]\npaths = [\"films\"]\n";

#[test]
fn a_node_serves_what_it_is_configured_to_and_what_is_added() {
    let world = World::new();
    let (film, song) = (world.file("films/film.bin", 3 * MIB), world.file("song.bin", 2 * MIB));
    let node = Service::start(&world, FILMS);
    let configured = node.wait_serving("films");
    assert_eq!((&configured["is_configured"], &configured["bytes"]), (&true.into(), &(3 * MIB).into()));
    let ticket = node.add(args!["song.bin"]);
    node.fetch(&ticket, "out").done();
    node.fetch(configured["ticket"].as_str().expect("a ticket"), "out").done();
    assert_same_file(&song, &world.path("out/song.bin"));
    assert_same_file(&film, &world.path("out/films/film.bin"));
    let sent = node.wait(|status| content(status, "song.bin")?["sent_bytes"].as_u64());
    assert_eq!(sent, 2 * MIB);
    let again = node.run(&args!["add", "song.bin"]).expect_code(0);
    assert_eq!(again.out, [ticket]);
    assert!(again.err.iter().any(|line| line.contains("was there already")), "{again:#?}");
    assert_eq!(node.contents().len(), 2);
    let table = node.run(&args!["ls"]).expect_code(0).out;
    assert!(table[0].starts_with("CONTENT") && table[2].contains("song.bin"), "{table:#?}");
    let status = node.run(&args!["status"]).expect_code(0).out.join("\n");
    assert!(status.contains("at 127.0.0.1:") && status.contains("serving"), "{status}");
    node.stop();
}

#[test]
fn what_was_added_is_there_after_a_restart_under_the_same_ticket() {
    let world = World::new();
    let (song, film) = (world.file("song.bin", 2 * MIB), world.file("copy/film.bin", 2 * MIB));
    let manifest = world.manifest(&film, "film.swarm");
    let node = Service::start(&world, "");
    let tickets = [node.add(args!["song.bin"]), node.add(args!["--manifest", "film.swarm", "copy"])];
    node.process.kill();
    // The node has stored its own copy.
    fs::remove_file(manifest).expect("it is there");
    let node = Service::start(&world, "");
    node.wait_serving("song.bin");
    node.wait_serving("film.bin");
    let now: Vec<Value> = node.contents().iter().map(|content| content["ticket"].clone()).collect();
    assert_eq!(now, tickets);
    for (ticket, out) in tickets.iter().zip(["one", "two"]) {
        node.fetch(ticket, out).done();
    }
    assert_same_file(&song, &world.path("one/song.bin"));
    assert_same_file(&film, &world.path("two/film.bin"));
    node.stop();
}

#[test]
fn a_removed_content_is_served_no_more_and_does_not_come_back() {
    let world = World::new();
    world.file("song.bin", 2 * MIB);
    world.file("films/film.bin", MIB);
    let node = Service::start(&world, FILMS);
    let ticket = node.add(args!["song.bin"]);
    let (films, contents) = (node.wait_serving("films"), node.contents());
    let song = contents.iter().find(|content| content["name"] == "song.bin").expect("it was added");
    let refused = node.run(&args!["remove", id(&films)]).expect_code(2);
    assert!(refused.failure_line().contains("node.toml"), "{refused:#?}");
    node.run(&args!["remove", &id(song)[..10]]).expect_code(0);
    assert!(world.path("song.bin").exists());
    let outcome = node.fetch(&ticket, "out").expect_code(3);
    assert!(outcome.error_message().contains("does not have this content"), "{outcome:#?}");
    let outcome = node.run(&args!["remove", id(song)]).expect_code(2);
    assert!(outcome.failure_line().contains("swarm ls"), "{outcome:#?}");
    node.stop();
    let node = Service::start(&world, FILMS);
    assert_eq!(node.contents().len(), 1);
    node.stop();
}

#[test]
fn what_a_node_cannot_do_has_the_category_that_decides_the_exit_code_of_a_fetch() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let other = world.file("other/film.bin", MIB + 1);
    let seed = world.seed(args![film, "--manifest-out", "film.swarm"]);
    let node = Service::start(&world, "");
    fs::create_dir_all(world.path("store/film.bin")).expect("a place");
    world.fetch(args!["-o", "store", seed.ticket()]).end().expect_code(4);
    node.run(&args!["add", "--fetch", seed.ticket(), "--out", "store"]).expect_code(0);
    let failed = node.wait(|status| {
        let failed = status["contents"].as_array()?.iter().find(|content| content["state"] == "failed");
        failed.cloned()
    });
    assert_eq!(failed["category"], "target_differs", "{failed}");
    // Causes that are known before the node answers.
    std::os::unix::fs::symlink(&film, world.path("link")).expect("a place");
    fs::write(world.path("noise.swarm"), b"no manifest").expect("a place");
    let folder = other.parent().expect("it has one");
    for (manifest, path, code) in
        [("film.swarm", folder, 5), ("noise.swarm", folder, 2), ("film.swarm", &*world.path("gone"), 2)]
    {
        world.run(&args!["seed", "--manifest", manifest, path]).expect_code(code);
        node.run(&args!["add", "--manifest", manifest, path]).expect_code(code);
    }
    world.run(&args!["seed", "link"]).expect_code(2);
    node.run(&args!["add", "link"]).expect_code(2);
    node.stop();
}

#[test]
fn a_node_fetches_and_then_serves_on_its_own() {
    let world = World::new();
    let film = world.file("film.bin", 4 * MIB);
    let seed = world.seed(args![film]);
    let node = Service::start(&world, "");
    let ticket = node.add(args!["--fetch", seed.ticket(), "--out", "store"]);
    node.wait_serving("film.bin");
    seed.process.kill();
    node.fetch(&ticket, "first").done();
    node.stop();
    let node = Service::start(&world, "");
    let content = node.wait_serving("film.bin");
    assert_eq!(content["present_bytes"], 4 * MIB);
    node.fetch(content["ticket"].as_str().expect("a ticket"), "second").done();
    for path in ["store/film.bin", "first/film.bin", "second/film.bin"] {
        assert_same_file(&film, &world.path(path));
    }
    node.stop();
}

#[test]
fn a_fetch_whose_source_is_dead_says_so_and_goes_on_trying() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let (ticket, address) = (seed.ticket().to_owned(), seed.address());
    seed.process.kill();
    let node = Service::start(&world, "");
    node.add(args!["--fetch", ticket, "--out", "store"]);
    let detail = node.wait(|status| {
        let detail = status["contents"][0]["detail"].as_str()?;
        detail.starts_with("no peer is linked (").then(|| detail.to_owned())
    });
    assert!(detail.ends_with("; trying again"), "{detail}");
    let table = node.run(&args!["ls"]).expect_code(0).out;
    let here: Vec<&str> = table[1].split_whitespace().skip(1).take(3).collect();
    assert_eq!(here, ["fetching", "-", "-"], "{table:#?}");
    assert!(table[2].contains(&detail), "{table:#?}");
    let _seed = world.seed_at(&address, args![film]);
    node.wait_serving("film.bin");
    node.stop();
}

#[test]
fn a_node_fetches_chosen_files_of_a_sealed_content_and_opens_them() {
    let world = World::new();
    let film = world.file("box/film.mkv", 3 * MIB);
    world.file("box/song.ogg", MIB);
    let seed = world.seed(args!["--seal", "content.key", "--sign", "--key", "publisher", "box"]);
    let node = Service::start(&world, "");
    let add = args![
        "--fetch",
        seed.ticket(),
        "--out",
        "store",
        "--include",
        "*.mkv",
        "--content-key",
        "content.key"
    ];
    let stranger = world.run(&args!["id", "--key", "stranger"]).expect_code(0).out[0].clone();
    node.run(&[args!["add", "--publisher", stranger], add.clone()].concat()).expect_code(7);
    fs::write(world.path("open.key"), "no key").expect("a place");
    // A pipe gives a key once, and the node reads it at each start.
    let status =
        std::process::Command::new("mkfifo").args(["-m", "600"]).arg(world.path("pipe.key")).status();
    assert!(status.expect("mkfifo is there").success());
    for file in ["open.key", "nothing.key", ".", "pipe.key"] {
        let wrong = args!["add", "--fetch", seed.ticket(), "--out", "store", "--content-key", file];
        node.run(&wrong).expect_code(2);
    }
    let ticket = node.add(add);
    assert_eq!(node.wait_serving("box")["present_bytes"], 3 * MIB);
    assert_same_file(&film, &world.path("store/box/film.mkv"));
    assert!(!world.path("store/box/song.ogg").exists());
    seed.process.kill();
    node.stop();
    let node = Service::start(&world, "");
    node.wait_serving("box");
    // What it opened it serves sealed; the ticket of the node holds no key.
    let fetch =
        args!["fetch", "-o", "first", "--include", "film.mkv", "--content-key", "content.key", ticket];
    world.run(&fetch).expect_code(0);
    assert_same_file(&film, &world.path("first/box/film.mkv"));
    node.stop();
}

#[test]
fn a_node_remembers_the_peer_that_sent_a_wrong_chunk() {
    let world = World::new();
    let song = world.file("song.bin", 8 * MIB);
    let (liar, honest) = (Liar::start(&song, 7), world.seed(args!["song.bin"]));
    let ticket: Ticket = honest.ticket().parse().expect("a ticket");
    let node = Service::start(&world, "");
    let mut sources = ticket.sources.clone();
    sources.push(liar.peer().parse().expect("a place"));
    node.add(args!["--fetch", Ticket { sources, ..ticket }.to_string(), "--out", "out"]);
    let banned = |status: &Value| {
        let banned = status["banned"].as_array()?.iter().find(|peer| peer["node"] == liar.node())?;
        Some((banned["why"].as_str()?.to_owned(), banned["reputation"]["bad_chunks"].as_f64()?))
    };
    let (why, bad_chunks) = node.wait(banned);
    assert!(why.contains("failed verification") && bad_chunks >= 1.0, "{why}, {bad_chunks}");
    node.wait_serving("song.bin");
    assert_same_file(&song, &world.path("out/song.bin"));
    node.stop();
    let node = Service::start(&world, "");
    let (why, bad_chunks) = node.wait(banned);
    assert!(why.contains("at an earlier run") && bad_chunks > 0.9, "{why}, {bad_chunks}");
    let status = node.run(&args!["status"]).expect_code(0).out;
    let line = format!("banned {}", &liar.node()[..8]);
    assert!(status.iter().any(|said| said.starts_with(&line) && said.contains("bad chunks")), "{status:#?}");
    node.stop();
}

#[test]
fn the_metrics_page_is_what_prometheus_reads_and_health_follows_the_contents() {
    let world = World::new();
    world.file("song.bin", 2 * MIB);
    let config = "metrics_listen = \"127.0.0.1:0\"\nlog = \"json\"\n[[content]]\npaths = [\"film.bin\"]\n";
    configure(&world, config);
    let process = world.start(&args!["node", "--config", "node.toml"]);
    process.wait_stderr("\"message\":\"ready\"");
    let mut node = Service { world: &world, process };
    let trouble = node.wait(|status| Some(status["troubles"][0].as_str()?.to_owned()));
    assert!(trouble.contains("film.bin"), "{trouble}");
    let (head, body) = node.get("/healthz");
    assert!(head.contains(" 503 ") && body.contains("film.bin"), "{head}\n{body}");
    let ticket = node.add(args!["song.bin"]);
    node.fetch(&ticket, "out").done();
    let (head, body) = node.get("/metrics");
    assert!(head.contains(" 200 ") && head.contains("application/openmetrics-text"), "{head}");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/metrics.md");
    let page = fs::read_to_string(page).expect("the page of metrics");
    for metric in body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(page.contains(&format!("`{metric}")), "docs/operations/metrics.md lacks {metric}");
    }
    let scrape =
        prometheus_parse::Scrape::parse(body.lines().map(|line| Ok(line.to_owned()))).expect("it parses");
    let value = |name: &str, label: (&str, &str)| {
        let is_meant = |sample: &&prometheus_parse::Sample| {
            sample.metric == name && sample.labels.get(label.0) == Some(label.1)
        };
        match scrape.samples.iter().find(is_meant).map(|sample| &sample.value) {
            Some(
                prometheus_parse::Value::Counter(value)
                | prometheus_parse::Value::Gauge(value)
                | prometheus_parse::Value::Untyped(value),
            ) => *value as u64,
            other => panic!("{name}: {other:?} in {body}"),
        }
    };
    assert_eq!(value("swarm_sent_bytes_total", ("name", "song.bin")), 2 * MIB);
    assert_eq!(value("swarm_contents", ("state", "failed")), 1);
    assert!(node.get("/else").0.contains(" 404 "));
    // Removes the faulty entry from the configuration, and makes the node read it.
    configure(&world, "metrics_listen = \"127.0.0.1:0\"\nlog = \"json\"\n");
    node.process.signal(Signal::HangUp);
    node.wait(|status| (status["is_healthy"] == true).then_some(()));
    assert!(node.get("/healthz").0.contains(" 200 "));
    let outcome = node.stop();
    assert!(outcome.err.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{outcome:#?}");
}

#[test]
fn the_configuration_is_read_again_when_the_node_is_told_to() {
    let world = World::new();
    world.file("films/film.bin", MIB);
    let mut node = Service::start(&world, "limit_up = \"1MB/s\"\n");
    configure(&world, &format!("limit_up = \"2MB/s\"\n{FILMS}"));
    node.process.signal(Signal::HangUp);
    node.wait_serving("films");
    node.wait(|status| (status["limit_up"] == 2_000_000).then_some(()));
    configure(&world, "limit_up = \"fast\"\n");
    node.process.signal(Signal::HangUp);
    node.process.wait_stderr("going on with the one before");
    assert_eq!(node.contents().len(), 1);
    node.stop();
}

#[test]
fn a_control_socket_has_one_node_and_that_of_a_dead_node_is_reused() {
    let world = World::new();
    let node = Service::start(&world, "");
    let mode = fs::metadata(world.path("state/control.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = world.run(&args!["node", "--config", "node.toml"]).expect_code(1);
    assert!(second.failure_line().contains("a node runs already"), "{second:#?}");
    assert!(node.contents().is_empty());
    node.process.kill();
    let outcome = world.run(&args!["ls"]).expect_code(8);
    assert!(outcome.failure_line().contains("no node runs"), "{outcome:#?}");
    Service::start(&world, "").stop();
    world.run(&args!["status", "--control", "elsewhere.sock"]).expect_code(8);
}

#[test]
fn a_configuration_that_is_wrong_is_told_by_file_line_and_key() {
    let world = World::new();
    for (config, part) in [
        ("limit_up = \"fast\"", "node.toml:2: limit_up: "),
        ("speed = 1", "node.toml:2: speed: unknown field"),
        ("[[content]]\npaths = []", "node.toml:2: content: "),
    ] {
        configure(&world, config);
        for args in
            [args!["node", "--config", "node.toml"], args!["node", "--check", "--config", "node.toml"]]
        {
            let outcome = world.run(&args).expect_code(2);
            assert!(outcome.failure_line().contains(part), "{outcome:#?}");
        }
    }
    configure(&world, FILMS);
    world.run(&args!["node", "--check", "--config", "node.toml"]).expect_code(0);
    world.run(&args!["node", "--config", "nowhere.toml"]).expect_code(2);
    world.run(&args!["node"]).expect_code(2);
    let schema = world.run(&args!["node", "--print-schema"]).expect_code(0).out.join("\n");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["properties"]["content"]["type"], "array");
}

#[test]
fn what_cannot_be_added_is_refused_and_leaves_nothing() {
    let world = World::new();
    world.file("film.bin", MIB);
    world.file("other/thing.bin", MIB);
    world.manifest(&world.path("film.bin"), "film.swarm");
    let node = Service::start(&world, "");
    for (args, code, part) in [
        (args!["add", "missing"], 2, "nothing at `missing`"),
        (args!["add", "--manifest", "film.swarm", "other"], 5, "holds no chunk"),
        (args!["add", "--manifest", "film.bin", "other"], 2, "not a swarm manifest"),
        (args!["add", "--fetch", "film.swarm", "--out", "out"], 3, "nobody is known"),
        (args!["add", "--fetch", "nothing", "--out", "out"], 2, "`nothing`"),
        (args!["remove", "xyz"], 2, "`xyz`"),
    ] {
        let outcome = node.run(&args).expect_code(code);
        assert!(outcome.failure_line().contains(part), "{outcome:#?}");
    }
    assert!(node.contents().is_empty());
    node.stop();
}

#[test]
fn a_service_manager_is_told_when_the_node_is_ready_and_when_it_stops() {
    let world = World::new();
    configure(&world, "");
    let socket = std::os::unix::net::UnixDatagram::bind(world.path("notify")).expect("a place");
    let mut command = world.command(&args!["node", "--config", "node.toml"]);
    let mut process = Process::start(command.env("NOTIFY_SOCKET", world.path("notify")), b"");
    let next = || {
        let mut said = [0; 256];
        let len = socket.recv(&mut said).expect("it speaks");
        String::from_utf8_lossy(&said[..len]).into_owned()
    };
    assert_eq!(next(), "READY=1\n");
    world.run(&args!["ls"]).expect_code(0);
    process.signal(Signal::Interrupt);
    assert_eq!(next(), "STOPPING=1\n");
    process.end().expect_code(0);
    assert!(!world.path("state/control.sock").exists());
}

#[test]
fn a_node_turns_away_more_peers_than_it_may_have() {
    let world = World::new();
    world.file("films/film.bin", MIB);
    let node = Service::start(&world, &format!("max_peers = 1\n{FILMS}"));
    let ticket = node.wait_serving("films")["ticket"].as_str().expect("a ticket").to_owned();
    let mut first = world.fetch(args!["-o", "first", "--keep-seeding", ticket]);
    first.wait_json(|line| (line["phase"] == "complete").then_some(()));
    let second = world.fetch(args!["-o", "second", "--timeout", "2", ticket]).end().expect_code(3);
    assert!(second.error_message().contains("as many peers as it may"), "{second:#?}");
    first.signal(Signal::Interrupt);
    first.end().expect_code(0);
    node.fetch(&ticket, "second").done();
    node.stop();
}

#[test]
fn data_that_changed_is_trouble_until_the_node_is_told_to_look_again() {
    let world = World::new();
    let film = world.file("films/film.bin", 2 * MIB);
    let mut node = Service::start(&world, FILMS);
    let before = node.wait_serving("films");
    flip_byte(&film, MIB + 5);
    let ticket = before["ticket"].as_str().expect("a ticket");
    node.fetch(ticket, "out").expect_code(3);
    let trouble = node.wait(|status| Some(status["troubles"][0].as_str()?.to_owned()));
    assert!(trouble.contains("withdrawn chunks of films: 1;"), "{trouble}");
    node.process.signal(Signal::HangUp);
    node.wait(|status| (status["is_healthy"] == true).then_some(()));
    let after = node.wait_serving("films");
    assert_ne!(id(&before), id(&after));
    node.fetch(after["ticket"].as_str().expect("a ticket"), "anew").done();
    assert_same_file(&film, &world.path("anew/films/film.bin"));
    node.stop();
}

#[test]
fn a_node_does_not_take_a_file_that_a_fetch_holds() {
    let world = World::new();
    let films = ["a/film", "b/film"].map(|name| world.file(name, 48 * MIB));
    let seeds = [&films[0], &films[1]].map(|film| world.seed(args![film]));
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seeds[0].ticket()]);
    fetch.wait_json(|line| (line["durable_bytes"].as_u64()? > 0).then_some(()));
    let node = Service::start(&world, "");
    node.run(&args!["add", "--fetch", seeds[1].ticket(), "--out", world.path("out")]);
    let held = format!("in use by another swarm (process {})", fetch.pid());
    node.wait(|status| {
        let mut troubles = status["troubles"].as_array()?.iter().filter_map(Value::as_str);
        troubles.any(|trouble| trouble.contains(&held)).then_some(())
    });
    fetch.end().done();
    assert_same_file(&films[0], &world.path("out/film"));
}
