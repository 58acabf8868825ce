//! The paths that teams' own programs ask for, in their exact shapes; and what the commands can, asked over the API.

use serde_json::{Value, json};

use super::client::Ask;
use super::conformity::Document;
use super::{GUID, Site};

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn files_are_listed_as_files_local_json_has_them() {
    let site = Site::new();
    site.put("films/a.mov", "a film");
    site.put("b.txt", "b");
    let files = site.ask_as("mia", Ask::get(&format!("/files?guid={GUID}"))).expect(200).json();
    let files = files.as_array().expect("a list");
    let paths: Vec<&str> = files.iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, ["/b.txt", "/films/a.mov"]);
    assert_eq!(keys(&files[0]), ["blake3", "length", "mtime", "path", "sha256"]);
    assert_eq!(files[1]["length"], 6);
    assert_eq!(files[1]["blake3"], blake3::hash(b"a film").to_hex().as_str());
    let sha256 = ring::digest::digest(&ring::digest::SHA256, b"a film");
    assert_eq!(files[1]["sha256"], data_encoding::HEXLOWER.encode(sha256.as_ref()));
    assert!(files[1]["mtime"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')));
    let by_name = site.get("/files?guid=Lib%201&limit=1");
    assert_eq!(by_name.as_array().map(Vec::len), Some(1));
    let rest = site.get(&format!("/files?guid={GUID}&start=/b.txt"));
    assert_eq!((rest[0]["path"].as_str(), rest.as_array().map(Vec::len)), (Some("/films/a.mov"), Some(1)));
    site.ask_as("adam", Ask::get("/files?guid=nosuch")).expect(404);
    site.ask_as("adam", Ask::get("/files")).expect(400);
}

#[test]
fn the_status_says_how_far_peers_are_and_what_is_wrong() {
    let site = Site::of("ab");
    site.put("a.txt", "a");
    site.team.until_same("ab");
    let peer = site.team.address('b').to_string();
    site.team.until_shown(
        "the peer has all",
        || site.get("/status"),
        |status| status["peerSync"] == json!({peer.as_str(): {"Lib 1": "100.0%"}}),
    );
    let status = site.get("/status");
    assert_eq!(keys(&status), ["errors", "peerSync", "uptime"]);
    assert_eq!(status["errors"], json!([]));
    let uptime = status["uptime"].as_str().expect("a text");
    assert!(
        uptime.ends_with(['s', 'm']) && uptime.starts_with(|first: char| first.is_ascii_digit()),
        "{uptime}"
    );
    site.team.stop('b');
    std::fs::remove_dir_all(site.team.path("a/lib")).expect("it was there");
    site.team.until_shown(
        "the lost folder is told",
        || site.get("/status")["errors"].clone(),
        |errors| errors[0]["guid"] == GUID && keys(&errors[0]) == ["file", "guid", "issue"],
    );
    // Where it stood on this machine is for admins.
    let folder = site.team.path("a/lib");
    let folder = folder.to_str().expect("text");
    let said = |user: &str, path: &str| site.ask_as(user, Ask::get(path)).text();
    assert!(said("adam", "/api/v1/status").contains(folder));
    for path in ["/api/v1/status", "/api/v1/libraries", &format!("/sync/status/{GUID}")] {
        let said = said("vera", path);
        assert!(!said.contains(folder), "{path}: {said}");
    }
}

#[test]
fn libraries_are_listed_as_libraries_json_has_them() {
    let site = Site::new();
    let mounts = json!([{"dir": site.team.path("a/lib"), "libpath": "/", "sync": true}]);
    assert_eq!(site.get("/libraries"), json!({"Lib 1": {"guid": GUID, "mounts": mounts}}));
}

#[test]
fn a_library_that_a_peer_offers_is_subscribed_to() {
    let site = Site::stopped("ab");
    site.team.set('b', "subscriptions.json", &json!([]));
    site.team.write("a/lib/a.txt", "from a");
    site.set_users(&super::users());
    // Asked is the one that has no library yet.
    site.team.set('b', "users.json", &super::users());
    site.at.set('b');
    ['a', 'b'].into_iter().for_each(|letter| site.start(letter));
    site.team.until("it is offered", || {
        let peers = site.get("/api/v1/peers")["peers"].clone();
        peers.to_string().contains(GUID)
    });
    site.ask_as("edith", Ask::post("/subscribe", &json!({"guid": GUID, "localSyncDir": "lib"}))).expect(403);
    let asked = Ask::post("/subscribe", &json!({"guid": GUID, "localSyncDir": "lib"}));
    let told = site.ask_as("adam", asked.clone()).expect(200).json();
    assert_eq!(told, json!({"guid": GUID, "status": "subscribed"}));
    site.team.until_text("ab", "a.txt", "from a");
    site.ask_as("adam", asked).expect(409);
    let kept = site.get(&format!("/api/v1/libraries/{GUID}"));
    assert_eq!((&kept["subscribed"], &kept["paused"]), (&json!(true), &json!(false)));
    let paths = format!("/api/v1/libraries/{GUID}");
    site.ask_as("adam", Ask::new("PATCH", &paths).json(&json!({"paused": true}))).expect(204);
    site.team.until("it is paused", || site.get("/api/v1/libraries")["libraries"][0]["state"] == "paused");
    site.ask_as("adam", Ask::new("DELETE", &paths)).expect(204);
    site.team.until("it is left", || site.get("/libraries") == json!({}));
    assert!(site.team.is_there("b/lib/a.txt"), "its files stay");
}

#[test]
fn peers_are_listed_without_passwords_and_taken_over_without_trust() {
    let site = Site::stopped("ab");
    let mut peer = site.team.peer('b', true);
    peer["username"] = json!("anna");
    peer["password"] = json!("for b alone");
    site.is_secret("for b alone");
    site.team.set('a', "peers.json", &json!([peer]));
    site.set_users(&super::users());
    site.start('a');
    site.until_users(5);
    let address = site.team.address('b').to_string();
    let told = site.ask_as("vera", Ask::get("/peers")).expect(200);
    assert!(!told.text().contains("for b alone") && !told.text().contains("anna"), "{told:?}");
    assert_eq!(told.json()[0]["address"], address);
    let (new, node) = ("127.0.0.1:9", "0f".repeat(32));
    let listed = json!([
        {"address": address, "trusted": true},
        {"address": new, "trusted": true, "node": node, "name": "carla"},
        {"address": "", "trusted": true, "node": site.team.node('a')},
    ]);
    let merge = |preview: bool| {
        let ask = Ask::post("/peers/merge", &json!({"peers": listed, "preview": preview}));
        site.ask_as("adam", ask).expect(200).json()
    };
    let expected = json!([{"address": new, "trusted": false, "node": node, "name": "carla"}]);
    let preview = merge(true);
    assert_eq!((keys(&preview), &preview["added"]), (vec!["added", "conflicts", "known"], &expected));
    assert_eq!(site.get("/peers").as_array().map(Vec::len), Some(1));
    assert_eq!(merge(false)["added"], expected);
    assert_eq!(merge(false)["added"], json!([]));
    let peers = site.get("/peers");
    assert_eq!((peers.as_array().map(Vec::len), &peers[1]["trusted"]), (Some(2), &json!(false)));
    for (bad, status) in [
        (json!({"peers": [{"address": "not an address"}]}), 400),
        (json!({"peers": [{"address": "127.0.0.1:10", "node": "xy"}]}), 400),
        // Its address is known, with another key.
        (json!({"peers": [{"address": new, "node": "xy"}]}), 200),
    ] {
        site.ask_as("adam", Ask::post("/peers/merge", &bad)).expect(status);
        assert_eq!(site.get("/peers").as_array().map(Vec::len), Some(2), "{bad}");
    }
}

#[test]
fn a_library_that_is_refused_leaves_no_folder() {
    let site = Site::new();
    std::fs::create_dir(site.team.path("a/there")).expect("a place");
    for dir in ["there", "there/new", "films/new"] {
        // The name is taken.
        let made = json!({"name": "Lib 1", "dir": dir});
        site.ask_as("adam", Ask::post("/api/v1/libraries", &made)).expect(409);
    }
    assert!(site.team.is_there("a/there") && !site.team.is_there("a/there/new"));
    assert!(!site.team.is_there("a/films"));
}

#[test]
fn a_node_that_does_not_look_around_on_the_network_says_so() {
    let site = Site::new();
    assert_eq!(site.get("/api/v1/lan"), json!({"is_looking": false, "nodes": []}));
    site.ask_as("edith", Ask::get("/api/v1/lan")).expect(403);
}

#[test]
fn a_library_is_made_browsed_and_forgotten() {
    let site = Site::new();
    let made = site.ask_as("adam", Ask::post("/api/v1/libraries", &json!({"name": "Films", "dir": "films"})));
    let guid = made.expect(201).json()["guid"].as_str().expect("a text").to_owned();
    let path = |rest: &str| format!("/api/v1/libraries/{guid}{rest}");
    // The next request finds it.
    assert_eq!(site.get(&path("/tree"))["entries"], json!([]));
    for number in 0..5 {
        site.team.write(&format!("a/films/sub/{number}.txt"), "text");
    }
    site.team.write("a/films/picture.png", "png");
    site.ask_as("adam", Ask::post(&path("/sync"), &Value::Null)).expect(202);
    let names = |query: &str| -> (Vec<String>, Value) {
        let page = site.get(&path(&format!("/tree?{query}")));
        let entries = page["entries"].as_array().expect("a list");
        let names = entries.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned());
        (names.collect(), page["next"].clone())
    };
    site.team.until("all are listed", || names("search=.txt").0.len() == 5 && names("").0.len() == 2);
    assert_eq!(names("").0, ["picture.png", "sub"]);
    let (page, next) = names("place=sub&limit=2");
    assert_eq!(page, ["0.txt", "1.txt"]);
    let (page, _) = names(&format!("place=sub&limit=9&start={}", next.as_str().expect("more")));
    assert_eq!(page, ["2.txt", "3.txt", "4.txt"]);
    assert_eq!(names("kind=image").0, ["picture.png"]);
    site.ask_as("adam", Ask::get(&path("/tree?kind=odd"))).expect(400);
    site.ask_as("adam", Ask::get(&path("/tree?limit=x"))).expect(400);
    site.ask_as("adam", Ask::get(&path("/tree?place=../.."))).expect(400);
    let log = site.get(&path("/log?limit=3"));
    assert!(log["commits"][0]["records"].as_u64() > Some(0), "{log}");
    let explained = site.get(&path("/explain?path=picture.png"));
    assert_eq!(explained["path"], "picture.png");
    let verified = site.ask_as("adam", Ask::post(&path("/verify"), &Value::Null)).expect(200).json();
    assert!(verified.is_object(), "{verified}");
    let authors = site.get(&path("/authors"));
    assert_eq!(authors["authors"].as_array().map(Vec::len), Some(1), "{authors}");
    let policy = json!({"policy": {"delete": 2}, "priority": 7});
    site.ask_as("adam", Ask::new("PATCH", &path("")).json(&policy)).expect(204);
    let kept = site.get(&path(""));
    assert_eq!((&kept["policy"]["delete"], &kept["priority"]), (&json!(2), &json!(7)));
    site.ask_as("adam", Ask::new("PATCH", &path("")).json(&json!({"priority": 101}))).expect(400);
    let lock = json!({"path": "sub/0.txt", "seconds": 60, "why": "editing"});
    site.ask_as("adam", Ask::post(&path("/locks"), &lock)).expect(204);
    site.team.until("the lock is shown", || site.get("/api/v1/status").to_string().contains("editing"));
    site.ask_as("adam", Ask::new("DELETE", &path(""))).expect(204);
    site.team.until("it is forgotten", || site.get("/libraries").get("Films").is_none());
    assert!(site.team.is_there("a/films/picture.png"), "its files stay");
}

#[test]
fn a_deletion_is_approved_by_its_votes() {
    let site = Site::stopped("ab");
    let policy = json!({"approvals": {"delete": 2}});
    site.team.keep('a', &policy);
    site.team.subscribe('b', &policy);
    site.set_users(&super::users());
    ['a', 'b'].into_iter().for_each(|letter| site.start(letter));
    site.until_users(5);
    site.put("a.txt", "a");
    site.team.until_same("ab");
    std::fs::remove_file(site.team.path("b/lib/a.txt")).expect("it was there");
    let proposals = || site.get(&format!("/api/v1/approvals?guid={GUID}"))["proposals"].clone();
    site.team.until("it is proposed", || proposals()[0]["id"].is_string());
    let proposal = proposals()[0].clone();
    assert_eq!((&proposal["guid"], &proposal["deletions"]), (&json!(GUID), &json!(1)));
    let path = format!("/api/v1/approvals/{}", proposal["id"].as_str().expect("a text"));
    site.ask_as("vera", Ask::post(&path, &json!({"verdict": "yes"}))).expect(403);
    let hidden = site.ask_as("greta", Ask::post(&path, &json!({"verdict": "yes"}))).expect(404);
    let absent = Ask::post("/api/v1/approvals/0123456789abcdef", &json!({"verdict": "yes"}));
    assert_eq!(hidden.text(), site.ask_as("greta", absent).expect(404).text());
    site.ask_as("edith", Ask::post(&path, &json!({"verdict": "perhaps"}))).expect(400);
    // Four digits name it for people; one digit would name many.
    site.ask_as("edith", Ask::post(&path[..path.len().min(20)], &json!({"verdict": "yes"}))).expect(404);
    assert!(site.team.is_there("a/lib/a.txt"));
    site.ask_as("edith", Ask::post(&path, &json!({"verdict": "yes", "why": "old"}))).expect(204);
    site.team.until_gone("ab", "a.txt");
    let ended = site.get("/api/v1/approvals?all=true")["proposals"][0]["ended"].clone();
    assert_eq!(ended, "approved");
}

#[test]
fn what_a_peer_did_is_undone_by_its_author_and_by_its_run() {
    let site = Site::of("ab");
    site.put("a.txt", "right");
    site.team.until_same("ab");
    site.team.write("b/lib/a.txt", "wrong");
    site.team.until_text("ab", "a.txt", "wrong");
    site.team.until_same("ab");
    let path = format!("/api/v1/authors/{}/undo", site.team.node('b'));
    let undo = |rehearsal: bool| json!({"guid": GUID, "since_ms": 0, "rehearsal": rehearsal});
    let would = site.ask_as("edith", Ask::post(&path, &undo(true))).expect(200).json();
    assert!(would["libraries"][0].to_string().contains("a.txt"), "{would}");
    assert_eq!(site.team.read("a/lib/a.txt"), "wrong");
    site.ask_as("edith", Ask::post(&path, &undo(false))).expect(200);
    site.team.until_text("ab", "a.txt", "right");
    let log = site.team.read("a/.swarm/audit.log");
    assert!(log.contains("\"did\":\"undo author\"") && log.contains("\"user\":\"edith\""), "{log}");
}

#[test]
fn settings_are_shown_and_changed_without_the_password() {
    let site = Site::stopped("a");
    let mut config = site.team.settings('a', "config.json");
    config["username"] = json!("desk");
    config["password"] = json!("shown to peers");
    site.is_secret("shown to peers");
    site.team.set('a', "config.json", &config);
    site.set_users(&super::users());
    site.start('a');
    site.until_users(5);
    let settings = site.get("/api/v1/settings");
    assert_eq!((&settings["config"]["username"], settings["config"].get("password")), (&json!("desk"), None));
    assert_eq!(settings["file"], site.team.path("a/config.json").to_str().expect("text"));
    let change = |body: Value, status: u16| {
        site.ask_as("adam", Ask::new("PATCH", "/api/v1/settings").json(&body)).expect(status);
    };
    change(json!({"limits": {"up": "20MB/s"}, "password": "another one"}), 204);
    site.is_secret("another one");
    assert_eq!(site.get("/api/v1/settings")["config"]["limits"]["up"], "20MB/s");
    assert_eq!(site.team.settings('a', "config.json")["password"], "another one");
    // What stands beside a key that is changed stays, at every depth.
    change(json!({"limits": {"down": "50MB/s"}}), 204);
    assert_eq!(site.get("/api/v1/settings")["config"]["limits"], json!({"up": "20MB/s", "down": "50MB/s"}));
    change(json!({"limits": {"up": null}}), 204);
    assert_eq!(site.get("/api/v1/settings")["config"]["limits"], json!({"down": "50MB/s"}));
    change(json!({"tls": {"cert": "a.pem", "key": "a.key"}}), 204);
    change(json!({"tls": {"key": "b.key"}}), 204);
    assert_eq!(site.get("/api/v1/settings")["config"]["tls"], json!({"cert": "a.pem", "key": "b.key"}));
    // Half of a certificate is refused, and none is none.
    change(json!({"tls": {"key": null}}), 400);
    change(json!({"tls": null}), 204);
    assert!(site.get("/api/v1/settings")["config"].get("tls").is_none());
    change(json!({"limits": null}), 204);
    assert!(site.get("/api/v1/settings")["config"].get("limits").is_none());
    change(json!({"limits": {"schedule": [{"from": "22:00", "to": "06:00", "down": "0"}]}}), 204);
    assert_eq!(site.team.settings('a', "config.json")["limits"]["schedule"][0]["down"], "0");
    let before = site.team.read("a/config.json");
    change(json!({"limits": {"schedule": [{"from": "22:00", "to": "6:00"}]}}), 400);
    change(json!({"port": "many"}), 400);
    change(json!({"limits": {"up": "fast"}}), 400);
    assert_eq!(site.team.read("a/config.json"), before);
}

#[test]
fn what_is_not_there_says_so_in_the_shape_of_every_problem() {
    let site = Site::new();
    let check = |ask: Ask, status: u16, title: &str| {
        let told = site.ask_as("adam", ask).expect(status);
        assert_eq!(told.header("content-type"), "application/problem+json");
        let problem = told.json();
        assert_eq!((&problem["status"], &problem["title"]), (&json!(status), &json!(title)));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    };
    check(Ask::get("/nothing"), 404, "Not Found");
    check(Ask::get("/api/v1/nothing"), 404, "Not Found");
    check(Ask::new("DELETE", "/status"), 405, "Method Not Allowed");
    check(Ask::new("PUT", &format!("/file/{GUID}/a.txt")), 405, "Method Not Allowed");
    check(Ask::new("POST", "/api/v1/peers").with("content-type", "application/json"), 400, "Bad Request");
    check(Ask::post("/api/v1/peers", &json!({"address": 7})), 422, "Unprocessable Entity");
    let huge = Ask { body: vec![b' '; 2 << 20], ..Ask::post("/api/v1/peers", &json!({})) };
    check(huge, 413, "Payload Too Large");
    let allowed = site.ask_as("adam", Ask::new("DELETE", "/status")).expect(405);
    assert!(allowed.header("allow").contains("GET"), "{allowed:?}");
}

#[test]
fn the_api_is_shown_to_people_who_are_nobody_yet() {
    let site = Site::new();
    let told = site.ask(&Ask::get("/api")).expect(200);
    assert_eq!(told.header("content-type"), "text/html; charset=utf-8");
    assert!(told.header("content-security-policy").contains("default-src 'none'"));
    let page = told.text();
    assert!(page.contains("<code>/api/v1/status</code>") && page.contains("href=\"/api/openapi.json\""));
    assert!(!page.contains("<script"));
}

#[test]
fn the_page_about_the_api_has_every_path() {
    let page = include_str!("../../../docs/reference/api.md");
    let document = Document::of_code();
    let named = |(method, path): &(String, String)| {
        page.contains(&format!("| `{method} {path}` |"))
            || page.contains(&format!("| `{method} {path}?guid=` |"))
    };
    let missing: Vec<_> = document.operations().into_iter().filter(|it| !named(it)).collect();
    assert!(missing.is_empty(), "docs/reference/api.md lacks {missing:?}");
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains(" /")).count();
    assert_eq!(rows, document.operations().len(), "each row is an operation");
}

#[test]
fn the_document_is_served_as_the_code_has_it() {
    let site = Site::new();
    let told = site.ask(&Ask::get("/api/openapi.json")).expect(200);
    assert_eq!(&told.json(), site.document.value());
    assert!(site.document.value()["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
}
