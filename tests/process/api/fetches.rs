//! Tickets and manifests that are given to a daemon: fetched from seeds that know nothing of libraries, into a library.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Ask, Told};
use super::{GUID, Site};
use crate::support::{Seed, World, args, assert_same_file};

const LEN: u64 = 24 << 20;

/// Asks as a user to fetch what is given, with more of a query.
fn fetch(site: &Site, user: &str, given: &[u8], more: &str) -> Told {
    let mut ask = Ask::new("POST", &format!("/api/v1/fetches?library={GUID}{more}"));
    ask.body = given.to_vec();
    site.ask_as(user, ask.with("content-type", "application/octet-stream"))
}

fn transfers(site: &Site) -> Vec<Value> {
    site.get("/api/v1/transfers")["transfers"].as_array().cloned().expect("a list")
}

fn until(site: &Site, id: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let found = || transfers(site).into_iter().find(|transfer| transfer["id"] == *id);
    site.team.until_shown(what, found, |found| found.as_ref().is_some_and(&holds));
    found().unwrap_or_default()
}

fn steer(site: &Site, user: &str, id: &Value, action: &str) -> Told {
    let path = format!("/api/v1/transfers/{}", id.as_str().expect("an id"));
    site.ask_as(user, Ask::post(&path, &json!({"action": action})))
}

/// A daemon whose library works, and a seed of a film.
fn with_film(more: Vec<std::ffi::OsString>) -> (Site, World, Seed) {
    let (site, world) = (Site::new(), World::new());
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film].into_iter().chain(more).collect());
    site.is_secret(seed.ticket());
    site.put("ready.txt", "ready");
    (site, world, seed)
}

#[test]
fn a_ticket_brings_a_file_into_the_library_beside_the_one_that_has_its_name() {
    let (site, world, seed) = with_film(args!["--manifest-out", "film.swarm"]);
    site.put("films/film.bin", "an older film");
    let given = format!("take this: {}\n", seed.ticket());
    fetch(&site, "vera", given.as_bytes(), "").expect(403);
    fetch(&site, "greta", given.as_bytes(), "").expect(404);
    let told = fetch(&site, "edith", given.as_bytes(), "&folder=/films").expect(201).json();
    assert_eq!((&told["content"], &told["name"]), (&seed.ready["content"], &Value::Null));
    let done = until(&site, &told["id"], "it is done", |found| found["state"] == "done");
    assert_eq!((&done["kind"], &done["path"]), (&json!("ticket"), &json!("films/film (2).bin")));
    assert_eq!((&done["renamed"], &done["bytes_here"]), (&json!(1), &json!(LEN)));
    assert_same_file(&world.path("film.bin"), &site.team.path("a/lib/films/film (2).bin"));
    assert_eq!(site.team.read("a/lib/films/film.bin"), "an older film");
    site.until_listed("films/film (2).bin", LEN as usize);
    let left = fs::read_dir(site.team.path("a/lib/.swarm/tickets")).expect("it was made").count();
    assert_eq!(left, 0, "nothing is left beside the library");

    // By its manifest, once more: it says what will come before it is fetched.
    let manifest = fs::read(world.path("film.swarm")).expect("the seed wrote it");
    let would = fetch(&site, "edith", &manifest, "&rehearsal=true").expect(200).json();
    assert_eq!(
        (&would["name"], &would["bytes"], &would["id"]),
        (&json!("film.bin"), &json!(LEN), &Value::Null)
    );
    assert_eq!(would["listed"], json!([{"path": "film.bin", "bytes": LEN}]));
    let again = fetch(&site, "edith", &manifest, "").expect(201).json();
    assert_eq!(again["id"], told["id"], "it is of the same content");
    until(&site, &again["id"], "it is done again", |found| {
        found["path"] == "film.bin" && found["state"] == "done"
    });
    steer(&site, "vera", &again["id"], "cancel").expect(403);
    steer(&site, "edith", &again["id"], "cancel").expect(204);
    site.team.until("it is off the list", || transfers(&site).is_empty());
    assert!(site.team.is_there("a/lib/film.bin"), "what is in the library stays");
}

#[test]
fn what_cannot_be_fetched_is_told_with_the_way_out() {
    let (site, world, seed) = with_film(Vec::new());
    let check = |given: &[u8], more: &str, status: u16, part: &str| {
        let told = fetch(&site, "edith", given, more).expect(status).json();
        let detail = told["detail"].as_str().expect("a text");
        assert!(detail.contains(part), "{detail}");
    };
    check(b"hello", "", 400, "paste the whole ticket");
    let torn = &seed.ticket()[..seed.ticket().len() - 3];
    check(torn.as_bytes(), "", 400, "copy it again, whole");
    check(seed.ticket().as_bytes(), "&folder=a/../b", 400, "no path in a library");
    check(&vec![b'x'; (8 << 20) + 1], "", 413, "swarm fetch");
    fs::create_dir(world.path("odd")).expect("a place");
    fs::write(world.path("odd/a.txt"), "one").expect("a place");
    let odd = fs::read(world.manifest(&world.path("odd"), "odd.swarm")).expect("it was made");
    check(&odd, "&files=odd/b.txt", 400, "has no file `odd/b.txt`");
    let sealed =
        world.seed(args!["--seal", "content.key", world.path("odd"), "--manifest-out", "sealed.swarm"]);
    site.is_secret(sealed.ticket());
    let manifest = fs::read(world.path("sealed.swarm")).expect("the seed wrote it");
    check(&manifest, "", 400, "sealed, and a manifest holds no key");
    assert!(transfers(&site).is_empty(), "nothing of it is remembered");
    // Its ticket has the key.
    let told = fetch(&site, "edith", sealed.ticket().as_bytes(), "").expect(201).json();
    until(&site, &told["id"], "it is done", |found| found["state"] == "done");
    assert_eq!(site.team.read("a/lib/odd/a.txt"), "one");
}

#[test]
fn a_fetch_goes_on_after_a_restart_and_a_pause_and_what_is_cancelled_leaves_nothing() {
    let (site, world, seed) = with_film(args!["--limit-up", "4MiB/s"]);
    let told = fetch(&site, "edith", seed.ticket().as_bytes(), "").expect(201).json();
    let id = &told["id"];
    let is_half = |found: &Value| found["bytes_here"].as_u64().is_some_and(|here| here > LEN / 4);
    let half = until(&site, id, "a part is here", is_half);
    assert_eq!((&half["state"], &half["files"]), (&json!("fetching"), &json!(1)));
    steer(&site, "edith", id, "pause").expect(204);
    let paused = until(&site, id, "it is paused", |found| found["state"] == "paused");
    assert_eq!(paused["why"], json!({"reason": "paused"}));
    fetch(&site, "edith", seed.ticket().as_bytes(), "").expect(409);
    site.team.kill('a');
    site.start('a');
    until(&site, id, "it is known after a restart", |found| found["state"] == "paused");
    steer(&site, "edith", id, "resume").expect(204);
    site.team.within(Duration::from_secs(60), "it is here", || site.team.is_there("a/lib/film.bin"));
    assert_same_file(&world.path("film.bin"), &site.team.path("a/lib/film.bin"));
    until(&site, id, "it is done", |found| found["state"] == "done");

    let other = world.file("other.bin", LEN);
    let slow = world.seed(args![other, "--limit-up", "1MiB/s"]);
    site.is_secret(slow.ticket());
    let told = fetch(&site, "edith", slow.ticket().as_bytes(), "").expect(201).json();
    until(&site, &told["id"], "some of it is here", |found| found["bytes_here"] != 0);
    steer(&site, "edith", &told["id"], "cancel").expect(204);
    let is_empty = || fs::read_dir(site.team.path("a/lib/.swarm/tickets")).expect("it was made").count() == 0;
    site.team.until("nothing of it is left", is_empty);
    assert!(!site.team.is_there("a/lib/other.bin"));
}

#[test]
fn a_seed_that_refuses_this_node_is_named_and_what_nobody_has_is_said() {
    let (site, world) = (Site::new(), World::new());
    site.put("ready.txt", "ready");
    let film = world.file("film.bin", 1 << 20);
    fs::write(world.path("readers"), format!("{}\n", "a".repeat(64))).expect("a place");
    let seed = world.seed(args!["--readers", "readers", film]);
    site.is_secret(seed.ticket());
    let told = fetch(&site, "edith", seed.ticket().as_bytes(), "").expect(201).json();
    let refused = json!({"reason": "refused", "node": seed.node()});
    until(&site, &told["id"], "it is refused", |found| found["why"] == refused);
}
