//! Who may do what: every operation of the OpenAPI document, asked by everybody.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Ask, Told};
use super::{GUID, Site};

/// What an operation answers to a mirror, a viewer, an editor, an admin, a user of another library, and to nobody who is known. In this order: what
/// changes something for later lines comes last. `GUID` and `USER` stand for the library, and for a name that is another one for each asker.
const TABLE: &str = r#"
GET    /api/v1/setup                                     -                                       200 200 200 200 200 200
GET    /api/v1/me                                        -                                       200 200 200 200 200 401
POST   /api/v1/me/password                               {"old":"x","new":"short"}               400 400 400 400 400 401
GET    /status                                           -                                       200 200 200 200 200 401
GET    /libraries                                        -                                       200 200 200 200 200 401
GET    /files?guid=GUID                                  -                                       200 200 200 200 404 401
GET    /file/GUID/a.txt                                  -                                       200 200 200 200 404 401
GET    /peers                                            -                                       403 200 200 200 403 401
POST   /peers/merge                                      {"peers":[],"preview":true}             403 403 403 200 403 401
POST   /subscribe                                        {"guid":"USER","localSyncDir":"USER"}   403 403 403 200 403 401
POST   /sync/start                                       {"method":"p2p","remote_url":"GUID"}    403 403 200 200 403 401
GET    /sync/status/GUID                                 -                                       403 200 200 200 404 401
POST   /sync/resolve                                     {"sync_id":"GUID","file_path":"a.txt","resolution":"keep_local"} 403 403 400 400 404 401
GET    /sync/changes?sync_id=GUID                        -                                       404 200 200 200 404 401
GET    /api/v1/node                                      -                                       403 200 200 200 403 401
GET    /api/v1/qr?text=https://a                         -                                       200 200 200 200 200 401
GET    /api/v1/status                                    -                                       200 200 200 200 200 401
GET    /api/v1/libraries                                 -                                       200 200 200 200 200 401
GET    /api/v1/libraries/GUID                            -                                       403 200 200 200 404 401
PATCH  /api/v1/libraries/GUID                            {"priority":1}                          403 403 403 204 404 401
POST   /api/v1/libraries                                 {"name":"USER"}                         403 403 403 201 403 401
POST   /api/v1/subscriptions                             {"library":"nobodyhasit","dir":"x"}     403 403 403 201 403 401
POST   /api/v1/libraries/GUID/sync                       -                                       403 403 202 202 404 401
POST   /api/v1/libraries/GUID/verify                     -                                       403 403 403 200 404 401
GET    /api/v1/libraries/GUID/tree                       -                                       200 200 200 200 404 401
GET    /api/v1/libraries/GUID/zip                        -                                       200 200 200 200 404 401
PUT    /api/v1/libraries/GUID/files/USER.txt             -                                       403 403 201 201 404 401
GET    /api/v1/uploads/GUID                              -                                       403 403 200 200 404 401
POST   /api/v1/uploads/GUID?path=USER.bin                -                                       403 403 400 400 404 401
GET    /api/v1/uploads/GUID/none                         -                                       403 403 404 404 404 401
PATCH  /api/v1/uploads/GUID/none                         -                                       403 403 415 415 404 401
DELETE /api/v1/uploads/GUID/none                         -                                       403 403 404 404 404 401
GET    /api/v1/libraries/GUID/explain?path=a.txt         -                                       403 200 200 200 404 401
GET    /api/v1/libraries/GUID/log                        -                                       403 200 200 200 404 401
GET    /api/v1/libraries/GUID/versions?path=a.txt        -                                       403 200 200 200 404 401
POST   /api/v1/libraries/GUID/restore                    {"path":"a.txt","run":"1"}              403 403 400 400 404 401
POST   /api/v1/libraries/GUID/undo                       {"run":"1"}                             403 403 400 400 404 401
POST   /api/v1/libraries/GUID/locks                      {"path":"a.txt","seconds":0}            403 403 204 204 404 401
GET    /api/v1/libraries/GUID/links                      -                                       403 403 200 200 404 401
POST   /api/v1/libraries/GUID/links                      {"path":"a.txt","seconds":60}           403 403 201 201 404 401
DELETE /api/v1/libraries/GUID/links/none                 -                                       403 403 404 404 404 401
GET    /robots.txt                                       -                                       200 200 200 200 200 200
GET    /public/GUID/                                     -                                       404 404 404 404 404 404
GET    /public/GUID/file/a.txt                           -                                       404 404 404 404 404 404
GET    /link/guessed/a.txt                               -                                       404 404 404 404 404 404
GET    /api/v1/libraries/GUID/conflicts                  -                                       403 200 200 200 404 401
GET    /api/v1/libraries/GUID/texts?path=a.txt           -                                       403 200 200 200 404 401
POST   /api/v1/libraries/GUID/resolve                    {"path":"a.txt","choice":"keep-local"}  403 403 400 400 404 401
GET    /api/v1/transfers                                 -                                       403 200 200 200 200 401
GET    /api/v1/transfers/GUID.f00                        -                                       403 404 404 404 404 401
POST   /api/v1/transfers/GUID.f00                        {"action":"pause"}                      403 403 403 404 404 401
POST   /api/v1/transfers/GUID.t00                        {"action":"pause"}                      403 403 404 404 404 401
POST   /api/v1/fetches?library=GUID                      {"no":"ticket"}                         403 403 400 400 404 401
GET    /api/v1/approvals                                 -                                       200 200 200 200 200 401
POST   /api/v1/approvals/0123456789                      {"verdict":"yes"}                       404 404 404 404 404 401
POST   /api/v1/libraries/GUID/approve-here               -                                       403 403 204 204 404 401
GET    /api/v1/libraries/GUID/authors                    -                                       403 200 200 200 404 401
POST   /api/v1/authors/NODE/undo                         {"guid":"GUID","since_ms":0,"rehearsal":true} 403 403 200 200 404 401
GET    /api/v1/peers                                     -                                       403 200 200 200 403 401
GET    /api/v1/lan                                       -                                       403 403 403 200 403 401
POST   /api/v1/peers                                     {"address":"127.0.0.1:9"}               403 403 403 201 403 401
PATCH  /api/v1/peers/127.0.0.1:9                         {"trusted":true}                        403 403 403 204 403 401
DELETE /api/v1/peers/127.0.0.1:9                         -                                       403 403 403 204 403 401
GET    /api/v1/users                                     -                                       403 403 403 200 403 401
POST   /api/v1/users                                     {"user":"USER","password":"long-enough"} 403 403 403 201 403 401
PATCH  /api/v1/users/new-adam                            {"role":"viewer"}                       403 403 403 204 403 401
DELETE /api/v1/users/new-adam                            -                                       403 403 403 204 403 401
GET    /api/v1/users/proposed                            -                                       403 403 403 200 403 401
POST   /api/v1/users/proposed/eve                        {"accept":false}                        403 403 403 404 403 401
GET    /api/v1/settings                                  -                                       403 403 403 200 403 401
PATCH  /api/v1/settings                                  {"minFree":"1MB"}                       403 403 403 204 403 401
DELETE /api/v1/libraries/GUID                            -                                       403 403 403 204 404 401
"#;

/// These are for everybody, or are asked elsewhere: the ways to prove a user, and events, which do not end.
const OTHERS: [(&str, &str); 7] = [
    ("POST", "/login"),
    ("GET", "/logout"),
    ("POST", "/api/v1/setup"),
    ("POST", "/auth/token"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/revoke"),
    ("GET", "/api/v1/events"),
];

const ASKERS: [&str; 6] = ["mia", "vera", "edith", "adam", "greta", ""];

struct Line {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    expected: Vec<u16>,
}

fn lines() -> Vec<Line> {
    let line = |text: &'static str| {
        let mut words = text.split_whitespace();
        let mut word = || words.next().expect("a word");
        let (method, path, body) = (word(), word(), word());
        Line { method, path, body, expected: words.map(|word| word.parse().expect("a status")).collect() }
    };
    let text: &'static str = TABLE;
    text.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

fn ask(line: &Line, asker: &str, node: &str) -> Ask {
    let filled = |text: &str| {
        text.replace("GUID", GUID).replace("USER", &format!("new-{asker}")).replace("NODE", node)
    };
    let body =
        if line.body == "-" { Value::Null } else { serde_json::from_str(&filled(line.body)).expect("JSON") };
    Ask::new(line.method, &filled(line.path)).json(&body)
}

fn told(site: &Site, line: &Line, asker: &str, node: &str) -> Told {
    let ask = ask(line, asker, node);
    if asker.is_empty() { site.ask(&ask) } else { site.ask_as(asker, ask) }
}

#[test]
fn every_operation_is_allowed_to_whom_the_table_says_and_to_nobody_else() {
    let site = Site::new();
    site.put("a.txt", "a");
    site.team.until("it is done", || site.team.library('a')["state"] == "up to date");
    let node = site.team.node('a');
    let mut faults = Vec::new();
    for line in lines() {
        let found = ASKERS.map(|asker| told(&site, &line, asker, &node));
        let statuses = found.each_ref().map(|told| told.status);
        if statuses.as_slice() != line.expected {
            let last = found[3].text();
            faults.push(format!(
                "{} {}: {statuses:?}, not {:?}: {last}",
                line.method, line.path, line.expected
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_has_every_operation_of_the_document() {
    let site = Site::stopped("a");
    let described: BTreeSet<(String, String)> = site.document.operations().into_iter().collect();
    let lines = lines();
    let is_asked = |(method, template): &(String, String)| {
        let parts: Vec<&str> = template.split('/').collect();
        lines.iter().any(|line| {
            let path = line.path.split('?').next().unwrap_or_default();
            let found: Vec<&str> = path.split('/').collect();
            let is_same = parts.len() == found.len()
                && parts.iter().zip(&found).all(|(part, found)| part == found || part.starts_with('{'));
            line.method == method && is_same
        })
    };
    let is_other = |(method, path): &(String, String)| OTHERS.contains(&(method.as_str(), path.as_str()));
    let missing: Vec<_> = described.iter().filter(|it| !is_asked(it) && !is_other(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(described.len() > 50, "{}", described.len());
}

#[test]
fn a_library_that_a_user_may_not_see_is_as_one_that_is_not_there() {
    let site = Site::new();
    site.put("a.txt", "a");
    let node = site.team.node('a');
    let unlike = |told: &Told, guid: &str| told.text().replace(guid, "GUID");
    for line in lines().iter().filter(|line| line.path.contains("GUID") || line.body.contains("GUID")) {
        let hidden = told(&site, line, "greta", &node);
        let mut absent = ask(line, "greta", &node);
        absent.path = absent.path.replace(GUID, "nosuchlibrary");
        absent.body = String::from_utf8_lossy(&absent.body).replace(GUID, "nosuchlibrary").into_bytes();
        let absent = site.ask_as("greta", absent);
        assert_eq!(
            (hidden.status, unlike(&hidden, GUID)),
            (absent.status, unlike(&absent, "nosuchlibrary")),
            "{} {}",
            line.method,
            line.path
        );
    }
    // No list has it either.
    for path in
        ["/status", "/libraries", "/api/v1/status", "/api/v1/libraries", "/api/v1/approvals", "/sync/changes"]
    {
        let text = site.ask_as("greta", Ask::get(path)).expect(200).text();
        assert!(!text.contains(GUID) && !text.contains("Lib 1"), "{path}: {text}");
    }
}

#[test]
fn a_role_in_one_library_holds_there_and_nowhere_else() {
    let site = Site::stopped("a");
    let mount = |dir: &str| json!([{"dir": dir, "libpath": "/", "sync": true}]);
    let libraries = json!({
        "Lib 1": {"guid": GUID, "mounts": mount("lib")},
        "Lib 2": {"guid": "secondlibrary00", "mounts": mount("other")},
    });
    site.team.set('a', "libraries.json", &libraries);
    let mut users = super::users();
    users[4]["libraries"] = json!({"Lib 2": "editor"});
    // An admin who may only look at one library.
    users[3]["libraries"] = json!({GUID: "viewer"});
    site.set_users(&users);
    site.start('a');
    site.until_users(5);
    site.team.until("both are there", || {
        let status = site.team.status('a');
        status["libraries"].as_array().is_some_and(|libraries| libraries.len() == 2)
    });
    let sync = |guid: &str| Ask::post(&format!("/api/v1/libraries/{guid}/sync"), &Value::Null);
    let check = |user: &str, ask: Ask, status: u16| drop(site.ask_as(user, ask).expect(status));
    check("greta", sync("secondlibrary00"), 202);
    check("greta", sync(GUID), 404);
    check("greta", Ask::get("/api/v1/users"), 403);
    check("greta", Ask::new("PATCH", "/api/v1/libraries/secondlibrary00").json(&json!({"priority": 1})), 403);
    check("adam", sync(GUID), 403);
    check("adam", sync("secondlibrary00"), 202);
    check("adam", Ask::get(&format!("/files?guid={GUID}")), 200);
    let node = site.team.node('a');
    let undo = |guid: Value| {
        let wanted = json!({"guid": guid, "since_ms": 0, "rehearsal": true});
        Ask::post(&format!("/api/v1/authors/{node}/undo"), &wanted)
    };
    check("adam", undo(json!("secondlibrary00")), 200);
    check("adam", undo(json!(GUID)), 403);
    // All libraries at once: not beyond what may be done in each.
    check("adam", undo(Value::Null), 403);
    let seen = site.ask_as("greta", Ask::get("/libraries")).expect(200).json();
    assert_eq!(seen, json!({"Lib 2": {"guid": "secondlibrary00", "mounts": []}}));
}

#[test]
fn whoever_sees_no_node_learns_nothing_of_peers_and_disks() {
    let site = Site::of("ab");
    site.put("a.txt", "a");
    site.team.until_same("ab");
    let peer = site.team.address('b').to_string();
    site.team.until("the peer is shown", || site.get("/status")["peerSync"][&peer]["Lib 1"] == "100.0%");
    let folder = site.team.path("a");
    let folder = folder.to_str().expect("text");
    for (user, path, knows_peers) in [
        ("adam", "/api/v1/status", true),
        ("vera", "/api/v1/status", true),
        ("mia", "/api/v1/status", false),
        ("mia", "/status", false),
        ("greta", "/api/v1/status", false),
        ("greta", "/status", false),
    ] {
        let text = site.ask_as(user, Ask::get(path)).expect(200).text();
        assert_eq!(text.contains(&peer), knows_peers, "{user} {path}: {text}");
        assert_eq!(text.contains(folder), user == "adam", "{user} {path}: {text}");
    }
    let explained = |user: &str| {
        site.ask_as(user, Ask::get(&format!("/api/v1/libraries/{GUID}/explain?path=a.txt")))
            .expect(200)
            .text()
    };
    assert!(
        explained("adam").contains(folder) && !explained("vera").contains(folder),
        "{}",
        explained("vera")
    );
}

#[test]
fn libraries_of_one_name_are_told_apart_and_a_role_is_in_one_of_them() {
    let site = Site::stopped("a");
    let other = "anotherlibrary0";
    site.team.set('a', "subscriptions.json", &json!([{"guid": other, "localSyncDir": "./followed/Lib 1"}]));
    let mut users = super::users();
    users[4]["libraries"] = json!({"Lib 1": "editor"});
    site.set_users(&users);
    site.start('a');
    site.until_users(5);
    site.team
        .until("both are there", || site.get("/libraries").as_object().is_some_and(|all| all.len() == 2));
    let all = site.get("/libraries");
    assert_eq!((&all["Lib 1"]["guid"], &all["Lib 1 (anotherl)"]["guid"]), (&json!(GUID), &json!(other)));
    let seen = site.ask_as("greta", Ask::get("/libraries")).expect(200).json();
    assert_eq!(seen.as_object().map(|all| all.keys().cloned().collect()), Some(vec!["Lib 1".to_owned()]));
    site.ask_as("greta", Ask::get(&format!("/files?guid={GUID}"))).expect(200);
    site.ask_as("greta", Ask::get(&format!("/files?guid={other}"))).expect(404);
    site.ask_as("greta", Ask::get(&format!("/api/v1/libraries/{other}"))).expect(404);
    let by_name = site.get("/api/v1/libraries/Lib%201%20(anotherl)");
    assert_eq!((&by_name["guid"], &by_name["subscribed"]), (&json!(other), &json!(true)));
}
