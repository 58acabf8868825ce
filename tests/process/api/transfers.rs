//! Files that are on their way, as the API tells and steers them: with a peer that sends slowly.

use std::cell::RefCell;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Ask;
use super::{GUID, Site};

const LEN: u64 = 40 << 20;

/// Two daemons; the first has these films, and sends 2 MiB a second. The second is asked.
fn slow(films: &[&str]) -> Site {
    let site = Site::stopped("ab");
    site.team.keep('a', &json!({"limits": {"up": "2MiB/s"}}));
    std::fs::create_dir_all(site.team.path("a/lib")).expect("a place");
    films.iter().for_each(|film| drop(site.team.file(&format!("a/lib/{film}"), LEN)));
    site.team.set('b', "users.json", &super::users());
    site.at.set('b');
    "ab".chars().for_each(|letter| site.start(letter));
    site
}

fn transfers(site: &Site) -> Vec<Value> {
    site.get("/api/v1/transfers")["transfers"].as_array().cloned().expect("a list")
}

fn transfer(site: &Site, path: &str) -> Option<Value> {
    transfers(site).into_iter().find(|transfer| transfer["path"] == path)
}

fn until(site: &Site, path: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let what = format!("{path} {what}");
    site.team.until_shown(&what, || transfer(site, path), |found| found.as_ref().is_some_and(&holds));
    transfer(site, path).unwrap_or_default()
}

fn steer(site: &Site, id: &Value, wanted: &Value) {
    let path = format!("/api/v1/transfers/{}", id.as_str().expect("an id"));
    site.ask_as("adam", Ask::post(&path, wanted)).expect(204);
}

#[test]
fn a_file_on_its_way_is_shown_paused_over_a_restart_resumed_and_done() {
    let site = slow(&["film.mov"]);
    let is_flowing = |found: &Value| {
        found["state"] == "fetching"
            && found["bytes_here"] != 0
            && found["rate"] != 0
            && !found["eta_seconds"].is_null()
    };
    let found = until(&site, "film.mov", "comes", is_flowing);
    assert_eq!((&found["library"], &found["files"], &found["bytes"]), (&json!(GUID), &json!(1), &json!(LEN)));
    assert_eq!((&found["priority"], &found["peers"]), (&json!("normal"), &json!(1)));
    let id = found["id"].clone();
    let one = format!("/api/v1/transfers/{}", id.as_str().expect("an id"));

    let map = site.get(&one);
    let cells = map["here"].as_array().expect("cells").len();
    assert_eq!(json!(cells), map["chunks"], "a cell for each of a few chunks");
    let source = &map["sources"][0];
    assert_eq!(source["node"], site.team.node('a'));
    assert_eq!(source["has"], json!(vec![100; cells]), "it has all");
    assert!(source["asked"].as_array().is_some_and(|asked| asked.iter().any(|cell| cell != 0)), "{source}");

    // Who may see and steer it.
    site.ask_as("vera", Ask::get(&one)).expect(200);
    site.ask_as("edith", Ask::post(&one, &json!({"action": "pause"}))).expect(403);
    assert_eq!(
        site.ask_as("greta", Ask::get("/api/v1/transfers")).expect(200).json()["transfers"],
        json!([])
    );
    site.ask_as("greta", Ask::get(&one)).expect(404);
    site.ask_as("adam", Ask::post(&one, &json!({}))).expect(400);

    steer(&site, &id, &json!({"action": "pause", "priority": "high"}));
    let paused = until(&site, "film.mov", "is paused", |found| found["state"] == "paused");
    assert_eq!((&paused["why"], &paused["rate"]), (&json!({"reason": "paused"}), &json!(0)));
    // What had come whole by then may still be checked; another file shows that passes go on.
    site.team.write("a/lib/one.txt", "one");
    site.team.until_text("ab", "one.txt", "one");
    let before = transfer(&site, "film.mov").expect("it is listed");
    site.team.write("a/lib/two.txt", "two");
    site.team.until_text("ab", "two.txt", "two");
    let after = transfer(&site, "film.mov").expect("it is listed");
    assert_eq!((&before["bytes_here"], &before["state"]), (&after["bytes_here"], &json!("paused")));
    assert!(!site.team.is_there("b/lib/film.mov"));

    site.team.stop('b');
    site.start('b');
    let again = until(&site, "film.mov", "is known after a restart", |found| found["chunks"] != 0);
    assert_eq!((&again["state"], &again["priority"], &again["id"]), (&json!("paused"), &json!("high"), &id));
    assert_eq!(again["bytes_here"], after["bytes_here"], "what came is kept");

    steer(&site, &id, &json!({"action": "resume"}));
    until(&site, "film.mov", "goes on", is_flowing);
    site.team.within(Duration::from_secs(120), "it is here", || site.team.is_there("b/lib/film.mov"));
    site.team.until_same("ab");
    site.team.until("nothing is listed any more", || transfers(&site).is_empty());
}

/// Looking what the older version has of it waits for a peer that serves it, and none is asked to while it is paused.
#[test]
fn a_paused_file_of_which_an_older_version_is_here_is_known_after_a_restart_and_comes() {
    let site = slow(&[]);
    let film = site.team.file("a/lib/film.mov", LEN);
    site.team.until("its folder is made", || site.team.is_there("b/lib"));
    std::fs::copy(&film, site.team.path("b/lib/film.mov")).expect("a place");
    site.team.write("a/lib/one.txt", "one");
    site.team.until_same("ab");
    let half = std::fs::read(site.team.file("half", LEN / 2 + 1)).expect("it is there");
    let file = std::fs::File::options().write(true).open(&film).expect("it is there");
    file.write_all_at(&half[1..], LEN / 2).expect("a place");
    drop(file);
    let found = until(&site, "film.mov", "comes", |found| found["state"] == "fetching");
    steer(&site, &found["id"], &json!({"action": "pause"}));
    until(&site, "film.mov", "is paused", |found| found["state"] == "paused");
    site.team.stop('b');
    site.start('b');
    until(&site, "film.mov", "is known", |found| found["state"] == "paused" && found["chunks"] != 0);
    steer(&site, &found["id"], &json!({"action": "resume"}));
    site.team.until_same("ab");
}

#[test]
fn a_cancelled_file_is_left_out_here_alone_until_it_is_resumed() {
    let site = slow(&["kept.mov", "other.mov"]);
    let kept = until(&site, "kept.mov", "comes", |found| found["state"] == "fetching");
    let other = until(&site, "other.mov", "comes", |found| found["state"] == "fetching");
    steer(&site, &other["id"], &json!({"action": "cancel"}));
    let cancelled = until(&site, "other.mov", "is cancelled", |found| found["state"] == "cancelled");
    assert_eq!(cancelled["why"], json!({"reason": "cancelled"}));
    site.team.within(Duration::from_secs(120), "the one that is wanted is here", || {
        site.team.is_there("b/lib/kept.mov")
    });
    site.team.until(&format!("{kept} is listed no more"), || transfer(&site, "kept.mov").is_none());
    assert_eq!(transfer(&site, "other.mov").expect("it is listed")["state"], "cancelled");
    assert!(!site.team.is_there("b/lib/other.mov") && site.team.is_there("a/lib/other.mov"));
    let why = site.get(&format!("/api/v1/libraries/{GUID}/explain?path=other.mov"));
    assert_eq!((&why["is_waiting"], &why["supply"]), (&json!(true), &json!({"state": "cancelled"})));
    steer(&site, &other["id"], &json!({"action": "resume"}));
    site.team
        .within(Duration::from_secs(120), "it comes after all", || site.team.is_there("b/lib/other.mov"));
    site.team.until_same("ab");
}

#[test]
fn a_library_that_is_paused_fetches_nothing_more_of_what_had_begun() {
    let site = slow(&["film.mov"]);
    until(&site, "film.mov", "comes", |found| found["bytes_here"] != 0);
    let library = format!("/api/v1/libraries/{GUID}");
    let pause = |paused: bool| {
        site.ask_as("adam", Ask::new("PATCH", &library).json(&json!({"paused": paused}))).expect(204)
    };
    pause(true);
    let paused = until(&site, "film.mov", "is paused", |found| found["state"] == "paused");
    assert_eq!(paused["why"], json!({"reason": "library_paused"}));
    // At the rate of the peer some megabytes would come in that time.
    let last = RefCell::new((Value::Null, now()));
    site.team.until("its bytes stand still", || {
        let came = transfer(&site, "film.mov").unwrap_or_default()["bytes_here"].clone();
        let mut last = last.borrow_mut();
        if last.0 != came {
            *last = (came, now());
        }
        last.1.elapsed() > Duration::from_secs(3)
    });
    assert!(!site.team.is_there("b/lib/film.mov"));
    // The settings of the node can hold it up as well.
    let schedule = |windows: Value| {
        let change = json!({"limits": {"schedule": windows}});
        site.ask_as("adam", Ask::new("PATCH", "/api/v1/settings").json(&change)).expect(204);
    };
    schedule(json!([{"from": "00:00", "to": "00:00", "down": "0"}]));
    pause(false);
    until(&site, "film.mov", "waits for the schedule", |found| found["why"] == json!({"reason": "no_rate"}));
    schedule(json!([]));
    site.team.within(Duration::from_secs(120), "it is here", || site.team.is_there("b/lib/film.mov"));
}

#[expect(clippy::disallowed_methods, reason = "a test waits for processes")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
