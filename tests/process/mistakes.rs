//! Bad input: each ends with one line that names the fault, and the documented exit code.

use std::ffi::OsString;
use std::fs;
use std::net::UdpSocket;

use crate::support::{HttpFile, MIB, World, args};

/// The files and addresses that all cases use.
struct Stage {
    world: World,
    manifest: Vec<u8>,
    ticket: String,
    node: String,
    port: String,
    _seed: crate::support::Seed,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        let film = world.file("film.bin", 2 * MIB);
        for name in ["tree/one", "tree/two"] {
            world.file(name, 1000);
        }
        let seed = world.seed(args![film, "--manifest-out", "film.swarm"]);
        world.manifest(&world.path("tree"), "tree.swarm");
        let (ticket, node) = (seed.ticket().to_owned(), seed.node().to_owned());
        let shown = world.run(&args!["manifest", "show", "film.swarm"]).expect_code(0).out.join("\n");
        let port = shown.split("127.0.0.1:").nth(1).expect("the seed's address");
        let port = port.split_whitespace().next().expect("digits").to_owned();
        let manifest = fs::read(world.path("film.swarm")).expect("the seed wrote it");
        Self { world, manifest, ticket, node, port, _seed: seed }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> OsString {
        fs::write(self.world.path(name), bytes).expect("a place");
        name.into()
    }

    /// Checks the exit code, and one line that starts with `swarm: `, contains `part` and repeats nothing.
    fn check(&self, args: &[OsString], code: i32, part: &str) {
        let shown = format!("{args:?}");
        let outcome = self.world.run(args);
        assert_eq!(outcome.code, Some(code), "{shown}: {outcome:#?}");
        let line = outcome.failure_line();
        assert!(line.contains(part), "{shown}: no `{part}` in `{line}`");
        for said in line.split(": ").filter(|said| said.len() > 12) {
            assert_eq!(line.matches(said).count(), 1, "{shown}: it says `{said}` twice: {line}");
        }
    }

    fn check_fetch(&self, args: &[OsString], code: i32, part: &str) {
        let mut all = args!["fetch", "-o", "out", "--timeout", "3"];
        all.extend_from_slice(args);
        self.check(&all, code, part);
    }
}

#[test]
fn an_invalid_manifest_or_ticket_is_wrong_usage() {
    let stage = Stage::new();
    let cut = stage.write("cut.swarm", &stage.manifest[..stage.manifest.len() - 5]);
    let mut flipped = stage.manifest.clone();
    flipped[stage.manifest.len() / 2] ^= 1;
    let flipped = stage.write("flipped.swarm", &flipped);
    let noise = stage.write("noise.swarm", b"a text about swarms");
    let empty = stage.write("empty.swarm", b"");
    let last = stage.ticket.len() - 1;
    let other = if stage.ticket.ends_with('a') { "b" } else { "a" };
    let typo = format!("{}{other}", &stage.ticket[..last]);
    stage.check_fetch(&args![cut], 2, "damaged or cut short");
    stage.check_fetch(&args![flipped], 2, "damaged or cut short");
    stage.check_fetch(&args![noise], 2, "not a swarm manifest");
    stage.check_fetch(&args![empty], 2, "not a swarm manifest");
    stage.check_fetch(&args![typo], 2, "typo");
    stage.check_fetch(&args![stage.ticket[..last - 20]], 2, "typo or a part is missing");
    stage.check_fetch(&args!["nothing.swarm"], 2, "there is no file `nothing.swarm`");
    stage.check_fetch(&args!["tree"], 2, "tree");
    stage.check_fetch(&args![HttpFile::serve("200 OK", b"<html>".to_vec()).url()], 2, "not a swarm manifest");
    stage.check_fetch(&args![HttpFile::serve("404 Not Found", Vec::new()).url()], 3, "404");
    stage.check(&args!["manifest", "show", "cut.swarm"], 2, "damaged or cut short");
    stage.check(&args!["manifest", "verify", "noise.swarm", "tree"], 2, "not a swarm manifest");
    stage.check(&args!["seed", "--manifest", "cut.swarm", "tree"], 2, "damaged or cut short");
    stage.check(&args!["manifest", "verify", "tree.swarm", "nowhere"], 2, "nothing at `nowhere`");
    stage.check(&args!["seed", "--manifest", "tree.swarm", "nowhere"], 2, "nothing at `nowhere`");
    assert!(!stage.world.path("out").exists(), "nothing is made for what cannot be read");
}

#[test]
fn a_seed_that_cannot_start_says_so_in_json_too() {
    let stage = Stage::new();
    let outcome = stage.world.run(&args!["seed", "--json", "nowhere"]).expect_code(2);
    assert_eq!(outcome.events("error").len(), 1);
}

#[test]
fn a_manifest_never_replaces_anything_but_a_manifest() {
    let stage = Stage::new();
    stage.write("notes.txt", b"not to be lost");
    stage.check(&args!["manifest", "create", "tree", "-o", "notes.txt"], 4, "is not a manifest");
    stage.check(&args!["seed", "tree", "--manifest-out", "notes.txt"], 4, "is not a manifest");
    stage.check(&args!["manifest", "create", "tree", "-o", "tree"], 4, "is not a manifest");
    assert_eq!(std::fs::read(stage.world.path("notes.txt")).expect("it is still there"), b"not to be lost");
}

#[test]
fn a_ticket_that_was_wrapped_over_lines_is_taken() {
    let stage = Stage::new();
    let wrapped = format!(" {}\n{} ", &stage.ticket[..40], &stage.ticket[40..]);
    stage.world.run(&args!["fetch", wrapped, "-o", "unwrapped"]).expect_code(0);
}

#[test]
fn a_manifest_that_leads_out_of_the_folder_is_refused() {
    let stage = Stage::new();
    for path in ["../evil", "/etc/evil", "a/../../evil", "a//evil", "", ".", "a/", "nul\0", "a/./evil"] {
        let name = stage.write("forged.swarm", &forged(path));
        let peer = format!("{}@127.0.0.1:{}", stage.node, stage.port);
        stage.check_fetch(&args![name, "--peer", peer], 2, "forged.swarm");
    }
    assert!(!stage.world.path("out").exists() && !stage.world.path("evil").exists());
    // Everything else in the forged manifest is valid.
    let name = stage.write("forged.swarm", &forged("evil"));
    stage.world.run(&args!["manifest", "show", name]).expect_code(0);
}

/// A manifest of one file of 5 bytes, put together by hand.
fn forged(path: &str) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        let len = u8::try_from(bytes.len()).ok().filter(|len| *len < 128).expect("one byte of length");
        [&[tag, len], bytes].concat()
    };
    let file = [field(0x0a, path.as_bytes()), vec![0x10, 5], field(0x22, blake3::hash(b"hello").as_bytes())];
    let body = field(0x0a, &file.concat());
    let mut bytes = [b"swarm manifest\n\x01".to_vec(), field(0x0a, &body)].concat();
    bytes.extend(blake3::hash(&bytes).as_bytes());
    bytes
}

#[test]
fn sources_that_do_not_serve_are_told_apart() {
    let stage = Stage::new();
    let (node, port) = (&stage.node, &stage.port);
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let silent_port = silent.local_addr().expect("it is bound").port();
    let other_key = swarm_link::Identity::from_seed([3; 32]).node_id();
    stage.check_fetch(&args!["tree.swarm"], 3, "--peer");
    stage.check_fetch(
        &args!["tree.swarm", "--peer", format!("{node}@127.0.0.1:{silent_port}")],
        3,
        "does not answer; check that it runs and that UDP gets through",
    );
    stage.check_fetch(
        &args!["tree.swarm", "--peer", format!("{node}@127.0.0.77:9")],
        3,
        "no process listens on that port",
    );
    stage.check_fetch(
        &args!["tree.swarm", "--peer", format!("{node}@no-such-host.invalid:1")],
        3,
        "is a name that does not resolve",
    );
    stage.check_fetch(
        &args!["tree.swarm", "--peer", format!("{node}@127.0.0.1:{port}")],
        3,
        "does not have this content",
    );
    stage.check_fetch(&args!["tree.swarm", "--peer", format!("{other_key}@127.0.0.1:{port}")], 7, "key");
    stage.check_fetch(&args!["tree.swarm", "--peer", stage.ticket], 2, "is for content");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let stage = Stage::new();
    stage.check(&args!["seed", "missing"], 2, "`missing`");
    stage.check(&args!["manifest", "create", "missing"], 2, "`missing`");
    stage.check(&args!["manifest", "create", "--chunk-len", "5", "film.bin"], 2, "power of two");
    stage.check(&args!["seed", "--listen", format!("127.0.0.1:{}", stage.port), "tree"], 1, "is taken");
    stage.check(&args!["fetch", "-o", "-", stage.ticket, "--json"], 2, "stdout");
    stage.check_fetch(&args!["--include", "nothing-like-this", stage.ticket], 2, "--include");
    stage.check_fetch(&args!["--include", "[", stage.ticket], 2, "--include");
    let tree = stage.world.seed(args![stage.world.path("tree")]);
    stage.check(&args!["fetch", "-o", "-", tree.ticket()], 2, "this content has 2");
    stage.check(&args!["seed", "--manifest", "film.swarm", "tree"], 5, "holds no chunk");
    stage.check(&args!["demo", "--file", "missing"], 2, "`missing`");
    stage.check(&args!["fetch", "-o", "film.bin", stage.ticket], 4, "`film.bin` is a file");
}

#[test]
fn usage_that_the_parser_refuses_has_its_exit_code() {
    let world = World::new();
    for args in [
        args![],
        args!["fly"],
        args!["fetch"],
        args!["seed"],
        args!["fetch", "x", "--peer", "nobody"],
        args!["fetch", "x", "--limit-down", "fast"],
        args!["seed", "x", "--once", "--count", "2"],
    ] {
        let outcome = world.run(&args).expect_code(2);
        assert!(outcome.out.is_empty() && !outcome.err.is_empty(), "{outcome:#?}");
    }
}

#[test]
fn each_command_with_json_reports_its_failure_as_an_event() {
    let world = World::new();
    world.run(&args!["id", "--key", "key"]).expect_code(0);
    fs::write(world.path("noise"), "no manifest").expect("a place");
    for (code, args) in [
        (2, args!["seed", "missing"]),
        (2, args!["join", format!("{}@127.0.0.1:1", "1".repeat(64)), "missing"]),
        (2, args!["fetch", "missing"]),
        (2, args!["aggregate", "--store", "store"]),
        (6, args!["coordinator", "--key", "missing/key"]),
        (8, args!["add", "key"]),
        (8, args!["remove", "00"]),
        (8, args!["ls"]),
        (8, args!["status"]),
        (2, args!["manifest", "create", "missing"]),
        (2, args!["manifest", "show", "missing"]),
        (2, args!["manifest", "sign", "noise"]),
        (2, args!["manifest", "verify", "noise", "."]),
        (2, args!["cert", "ls", "--ca", "missing"]),
        (2, args!["id"]),
        (6, args!["id", "--key", "missing/key"]),
    ] {
        let args = [args, args!["--json"]].concat();
        let outcome = world.run(&args).expect_code(code);
        let message = outcome.error_message();
        assert!(!message.is_empty() && outcome.out.len() == 1, "{args:?}: {outcome:#?}");
        assert!(!outcome.err.iter().any(|line| line.starts_with("swarm: ")), "{args:?}: {outcome:#?}");
    }
}
