//! What an old binary has left, as it is committed: a manifest, half a fetch, and the state folder of a node. `REGENERATE=1` with an
//! old binary makes it anew.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use swarm_testkit::{Process, World, args, assert_same_file, old_build, random};

use crate::node::{Node, lasting};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old").join(name)
}

/// What was hashed then.
fn film(world: &World) -> PathBuf {
    write(world, "film.bin", &random("film.bin", FILM_LEN))
}

fn song(world: &World) -> PathBuf {
    write(world, "song.bin", &random("song.bin", SONG_LEN))
}

fn write(world: &World, name: &str, bytes: &[u8]) -> PathBuf {
    fs::write(world.path(name), bytes).expect("a place");
    world.path(name)
}

/// Copies a folder for its owner alone, as nodes keep theirs. `change` is what becomes of the bytes of a file.
fn copy_folder(from: &Path, to: &Path, change: impl Fn(&str) -> String + Copy) {
    fs::create_dir_all(to).expect("a place");
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).expect("it is ours");
    for entry in fs::read_dir(from).expect("the fixture") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target, change);
            continue;
        }
        // A node that was killed leaves its socket.
        if !entry.path().is_file() {
            continue;
        }
        let bytes = fs::read(entry.path()).expect("the fixture");
        let bytes =
            String::from_utf8(bytes).map_or_else(|other| other.into_bytes(), |text| change(&text).into());
        fs::write(&target, bytes).expect("a place");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
}

#[test]
fn an_old_manifest_is_read_and_made_the_same_way() {
    let world = World::new();
    let film = film(&world);
    world.run(&args!["manifest", "create", "--chunk-len", CHUNK_LEN, "-o", "new.swarm", film]).expect_code(0);
    assert_same_file(&fixture("film.swarm"), &world.path("new.swarm"));
    let seed = world.seed(args!["--manifest", fixture("film.swarm"), film]);
    world.fetch(args!["-o", "out", fixture("film.swarm"), "--peer", seed.ticket()]).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn an_old_half_of_a_fetch_goes_on() {
    let world = World::new();
    let film = film(&world);
    copy_folder(&fixture("half"), &world.path("out"), str::to_owned);
    let seed = world.seed(args!["--manifest", fixture("film.swarm"), film]);
    let done = world.fetch(args!["-o", "out", fixture("film.swarm"), "--peer", seed.ticket()]).end().done();
    assert_eq!((done.present_bytes, done.fetched_bytes), (HELD_LEN, FILM_LEN as u64 - HELD_LEN));
    assert_same_file(&film, &world.path("out/film.bin"));
    let left: Vec<_> = fs::read_dir(world.path("out")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_old_nodes_folder_is_read_as_it_was() {
    let world = World::new();
    let (film, song) = (film(&world), song(&world));
    let folder = world.path("").to_string_lossy().trim_end_matches('/').to_owned();
    copy_folder(&fixture("state"), &world.path("state"), |text| text.replace(PLACE, &folder));
    let node = Node::start(&world);
    let tickets = fs::read_to_string(fixture("tickets")).expect("the fixture");
    let served = ["song.bin", "film.bin"].map(|name| node.wait_serving(name));
    let lasting = |tickets: Vec<&str>| -> Vec<_> { tickets.into_iter().map(lasting).collect() };
    assert_eq!(lasting(served.iter().map(String::as_str).collect()), lasting(tickets.lines().collect()));
    for (ticket, data, name) in [(&served[0], song, "song.bin"), (&served[1], film, "film.bin")] {
        world.fetch(args!["-o", "out", ticket]).end().done();
        assert_same_file(&data, &world.path("out").join(name));
    }
    node.kill();
}

/// Writes the fixtures, with an old binary.
#[test]
fn fixtures_are_made_by_an_old_binary() {
    if std::env::var_os("REGENERATE").is_none() {
        return;
    }
    let new = World::new();
    let old = new.with_build(&old_build().expect("REGENERATE=1 here needs SWARM_OLD_BINARY"));
    let film = film(&old);
    let _ = fs::remove_dir_all(fixture(""));
    fs::create_dir_all(fixture("half")).expect("a place");
    let manifest = fixture("film.swarm");
    old.run(&args!["manifest", "create", "--chunk-len", CHUNK_LEN, "-o", manifest, film]).expect_code(0);
    half_a_fetch(&old, &manifest);
    let moved = ["film.bin.part", &journal_name(&old)].map(str::to_owned);
    for name in moved {
        fs::copy(old.path("half").join(&name), fixture("half").join(&name)).expect("a place");
    }
    let song = song(&old);
    // A folder of its own: the seed above has kept its key in that of the world.
    fs::remove_dir_all(old.path("state")).expect("it is there");
    let node = Node::start(&old);
    let tickets = [node.add(args![song]), node.add(args!["--manifest", manifest, film])];
    node.kill();
    // What was hashed is remembered by inode: of no use elsewhere.
    fs::remove_dir_all(old.path("state/index")).expect("it is there");
    fs::write(fixture("tickets"), tickets.map(|ticket| ticket + "\n").concat()).expect("a place");
    let folder = old.path("").to_string_lossy().trim_end_matches('/').to_owned();
    copy_folder(&old.path("state"), &fixture("state"), |text| text.replace(&folder, PLACE));
}

/// The first chunks of the film, from a seed that has no more.
fn half_a_fetch(old: &World, manifest: &Path) {
    let mut some = random("film.bin", FILM_LEN);
    some[HELD_LEN as usize..].fill(0);
    fs::create_dir_all(old.path("some")).expect("a place");
    let some = write(old, "some/film.bin", &some);
    let seed = old.seed(args!["--manifest", manifest, some]);
    let mut fetch: Process = old.fetch(args!["-o", "half", manifest, "--peer", seed.ticket()]);
    fetch.wait_json(|line| (line["durable_bytes"].as_u64()? == HELD_LEN).then_some(()));
    fetch.kill();
}

fn journal_name(old: &World) -> String {
    let mut names = fs::read_dir(old.path("half")).expect("a folder").map(|entry| entry.expect("an entry"));
    let journal = names.find(|entry| entry.path().extension().is_some_and(|end| end == "journal"));
    journal.expect("a journal").file_name().into_string().expect("UTF-8")
}

const CHUNK_LEN: &str = "16KiB";
const FILM_LEN: usize = 75_000;
/// Three chunks.
const HELD_LEN: u64 = 3 << 14;
const SONG_LEN: usize = 20_000;
/// Stands in the fixtures for the folder of the world.
const PLACE: &str = "/WORLD";
