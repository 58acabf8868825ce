//! The sync paths: start, status, resolve, changes, with the shapes of their errors and the version in both directions.

use serde_json::{Value, json};

use super::client::{Ask, Told};
use super::{GUID, Site};

const VERSION: &str = "x-sync-protocol-version";

fn start(remote: &str) -> Ask {
    Ask::post("/sync/start", &json!({"method": "p2p", "remote_url": remote}))
}

/// An error of these paths, and its version.
#[track_caller]
fn check_error(told: &Told, status: u16) {
    assert_eq!((told.status, told.header(VERSION)), (status, "1.0.0"), "{told:?}");
    assert_eq!(told.header("content-type"), "application/json");
    let body = told.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    assert_eq!(body["error"]["code"], status.to_string());
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(body["error"]["details"].is_object(), "{body}");
}

#[test]
fn a_sync_starts_and_says_how_it_goes() {
    let site = Site::of("ab");
    site.put("a.txt", "a");
    site.team.until_same("ab");
    let started = site.ask_as("edith", start(GUID)).expect(200);
    assert_eq!(started.json(), json!({"status": "sync_in_progress", "sync_id": GUID}));
    assert_eq!(started.header(VERSION), "1.0.0");
    let status = || site.ask_as("edith", Ask::get(&format!("/sync/status/{GUID}"))).expect(200).json();
    site.team.until_shown("it completes", status, |status| status["status"] == "completed");
    let status = status();
    assert_eq!((&status["sync_id"], &status["progress"]), (&json!(GUID), &json!(100.0)));
    assert_eq!((&status["conflicts"], status["message"].is_string()), (&json!(0), true));
    let changes = site.ask_as("edith", Ask::get(&format!("/sync/changes?sync_id={GUID}"))).expect(200).json();
    let change = &changes["changes"][0];
    assert_eq!((&change["file_path"], &change["change_type"]), (&json!("a.txt"), &json!("create")));
    let later = change["timestamp"].as_u64().expect("a time") + 1_000_000;
    let none = site.ask_as("edith", Ask::get(&format!("/sync/changes?since={later}"))).expect(200).json();
    assert_eq!(none, json!({"changes": []}));
}

#[test]
fn a_sync_with_another_node_adds_it_and_subscribes() {
    let site = Site::stopped("ab");
    // The one that is asked knows nobody.
    site.team.set('b', "peers.json", &json!([]));
    site.team.set('b', "subscriptions.json", &json!([]));
    site.team.set('b', "users.json", &super::users());
    site.team.set('a', "users.json", &json!([{"user": "guest", "pass": "of the guest", "role": "editor"}]));
    site.team.set('a', "peers.json", &json!([]));
    site.is_secret("of the guest");
    site.team.write("a/lib/a.txt", "from a");
    site.at.set('b');
    ['a', 'b'].into_iter().for_each(|letter| site.start(letter));
    site.team.until("it is prepared", || site.ask_as("adam", Ask::get("/status")).status == 200);
    let address = site.team.status('a')["address"].as_str().expect("an address").to_owned();
    let ask = json!({
        "method": "p2p",
        "remote_url": format!("swarm://{address}/Lib 1"),
        "credentials": {"username": "guest", "password": "of the guest"},
    });
    site.ask_as("edith", Ask::post("/sync/start", &ask)).expect(403);
    let started = site.ask_as("adam", Ask::post("/sync/start", &ask)).expect(200).json();
    assert_eq!(started, json!({"status": "sync_in_progress", "sync_id": GUID}));
    // The next request finds it.
    let status = format!("/sync/status/{GUID}");
    assert_eq!(site.get(&status)["sync_id"], GUID);
    // Whether its changes count here an admin says.
    let peer = site.get("/api/v1/peers")["peers"][0].clone();
    assert_eq!(peer["trust"], "untrusted");
    let waits = |told: &Value| told["message"].as_str().is_some_and(|message| message.contains("is trusted"));
    site.team.until_shown(
        "it waits for trust, and is not completed",
        || site.get(&status),
        |told| told["status"] == "sync_in_progress" && waits(told),
    );
    let node = peer["node"].as_str().expect("a key");
    let trust = Ask::new("PATCH", &format!("/api/v1/peers/{node}")).json(&json!({"trusted": true}));
    site.ask_as("adam", trust).expect(204);
    site.team.until("the file came", || {
        let files = site.ask_as("adam", Ask::get(&format!("/file/{GUID}/a.txt")));
        files.status == 200 && files.text() == "from a"
    });
    site.team.until("it completes", || site.get(&status)["status"] == "completed");
}

#[test]
fn errors_have_their_shape_and_name_the_version() {
    let site = Site::new();
    let check = |user: &str, ask: Ask, status: u16| {
        check_error(&site.ask_as(user, ask), status);
    };
    check_error(&site.ask(&start(GUID)), 401);
    check("vera", start(GUID), 403);
    check("adam", start("no such library"), 404);
    check("adam", start("swarm://nonsense"), 400);
    check("adam", Ask::post("/sync/start", &json!({"method": "ftp", "remote_url": GUID})), 400);
    check("adam", Ask::post("/sync/start", &json!({"method": "p2p"})), 422);
    check("adam", Ask::new("POST", "/sync/start").with("content-type", "application/json"), 400);
    check("adam", Ask::get("/sync/status/nosuch"), 404);
    check("adam", Ask::get("/sync/status/%ff"), 400);
    check("adam", Ask::get("/sync/changes?since=yesterday"), 400);
    check("adam", Ask::get("/sync/changes?sync_id=nosuch"), 404);
    let resolve = |path: &str, resolution: &str| {
        Ask::post("/sync/resolve", &json!({"sync_id": GUID, "file_path": path, "resolution": resolution}))
    };
    check("adam", resolve("a.txt", "keep_none"), 400);
    check("adam", resolve("a.txt", "keep_local"), 400);
    check("adam", Ask::new("DELETE", "/sync/start"), 405);
}

#[test]
fn another_major_version_is_refused_clearly() {
    let site = Site::new();
    let check = |version: &str, status: u16| {
        let told = site.ask_as("adam", start(GUID).with(VERSION, version)).expect(status);
        assert_eq!(told.header(VERSION), "1.0.0");
        if status == 426 {
            check_error(&told, 426);
            assert!(told.text().contains("1.0.0"), "{told:?}");
        }
    };
    check("1.0.0", 200);
    check("1.7.2", 200);
    check("1", 200);
    check("2.0.0", 426);
    check("0.9.0", 426);
    check("one", 426);
    check("", 426);
}

#[test]
fn a_conflict_is_shown_and_decided() {
    let site = Site::stopped("ab");
    let manual = json!({"conflicts": "manual"});
    site.team.keep('a', &manual);
    site.team.subscribe('b', &manual);
    for letter in ['a', 'b'] {
        site.team.set(letter, "users.json", &super::users());
        site.start(letter);
    }
    site.until_users(5);
    site.put("x.txt", "before");
    site.team.until_same("ab");
    site.team.stop('b');
    site.put("x.txt", "by a, and so on");
    site.team.until("it is told", || site.team.library('a')["state"] == "up to date");
    site.team.write("b/lib/x.txt", "by b");
    site.start('b');
    let conflicts = |letter| site.team.library(letter)["conflicts"].as_u64().unwrap_or(0);
    site.team.until("somebody is asked", || conflicts('a') + conflicts('b') > 0);
    let asked = if conflicts('b') > 0 { 'b' } else { 'a' };
    site.at.set(asked);
    // The answer may be as old as the last look.
    let status = || site.get(&format!("/sync/status/{GUID}"));
    site.team.until_shown("the sync says so", status, |status| {
        (&status["status"], &status["conflicts"]) == (&json!("conflicts"), &json!(1))
    });
    let listed = site.get(&format!("/api/v1/libraries/{GUID}/conflicts"));
    let conflict = &listed["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["kind"]), (&json!("x.txt"), &json!("simultaneous_edit")));
    assert!(conflict["local"]["hash"].is_string() && conflict["remote"]["hash"].is_string(), "{conflict}");
    let texts = || site.get(&format!("/api/v1/libraries/{GUID}/texts?path=x.txt"));
    let sides = |texts: &Value| [texts["local"].clone(), texts["remote"].clone()];
    site.team.until_shown("both texts are there", texts, |texts| {
        sides(texts).iter().all(Value::is_string) && sides(texts).contains(&json!("by b"))
    });
    let local = if asked == 'b' { "by b" } else { "by a, and so on" };
    let decision = json!({"sync_id": GUID, "file_path": "x.txt", "resolution": "keep_local"});
    site.ask_as("vera", Ask::post("/sync/resolve", &decision)).expect(403);
    let resolved = site.ask_as("edith", Ask::post("/sync/resolve", &decision)).expect(200).json();
    assert_eq!(resolved, json!({"status": "resolved", "file_path": "x.txt"}));
    site.team.until_text("ab", "x.txt", local);
    site.team.until("none is left", || conflicts('a') + conflicts('b') == 0);
}
