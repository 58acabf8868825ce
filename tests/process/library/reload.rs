//! Files of settings that are edited while the daemon runs.

use std::time::Duration;

use serde_json::json;

use super::{GUID, Team};

const SOON: Duration = Duration::from_secs(2);

#[test]
fn an_edit_of_each_file_takes_effect_soon() {
    let team = Team::new("ab");
    team.set('a', "peers.json", &json!([]));
    team.set('b', "peers.json", &json!([]));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    assert_eq!(team.status('a')["libraries"], json!([]));
    team.write("a/lib/x.txt", "x");
    team.keep('a', &json!({}));
    team.within(SOON, "the library is there", || team.library('a')["guid"] == GUID);
    team.subscribe('b', &json!({}));
    team.within(SOON, "the subscription is there", || team.library('b')["guid"] == GUID);
    team.set('a', "peers.json", &json!([team.peer('b', true)]));
    team.set('b', "peers.json", &json!([team.peer('a', true)]));
    team.within(SOON, "the peer is there", || team.peer_status('a', 'b')["trust"] == "trusted");
    team.until_text("b", "x.txt", "x");
    team.set('a', "users.json", &json!([{"user": "guest", "pass": "secret"}]));
    team.within(SOON, "the password is replaced by its hash", || {
        let users = team.settings('a', "users.json");
        users[0]["hash"].is_string() && users[0]["pass"].is_null()
    });
    team.keep('a', &json!({"paused": true}));
    team.within(SOON, "it is paused", || team.library('a')["state"] == "paused");
    team.keep('a', &json!({}));
    team.within(SOON, "it goes on", || team.library('a')["state"] == "up to date");
    let mut config = team.settings('a', "config.json");
    config["odd"] = json!(1);
    team.set('a', "config.json", &config);
    team.within(SOON, "the unknown key is told", || {
        team.status('a')["file_warnings"].to_string().contains("odd")
    });
}

#[test]
fn a_wrong_edit_keeps_the_last_good_state_and_is_told() {
    let team = Team::sharing("ab");
    team.write("a/lib/x.txt", "x");
    team.until_text("ab", "x.txt", "x");
    let check = |file: &str, text: &str, expected: &[&str]| {
        let good = team.read(&format!("a/{file}"));
        team.write(&format!("a/{file}"), text);
        let is_told = || {
            let errors = team.status('a')["file_errors"].to_string();
            expected.iter().all(|part| errors.contains(part)) && errors.contains(file)
        };
        team.within(SOON, &format!("{file}: {expected:?}"), is_told);
        // It goes on as before.
        team.write("a/lib/x.txt", file);
        team.until_text("ab", "x.txt", file);
        team.write(&format!("a/{file}"), &good);
        team.within(SOON, "the error is gone", || team.status('a')["file_errors"] == json!([]));
    };
    check("config.json", "{\n\"port\": \"many\"\n}", &["2", "port"]);
    check("peers.json", "[\n{\"address\": 7}\n]", &["2", "address"]);
    check("users.json", "[\n{\"user\": \"u\"", &["2"]);
    check("libraries.json", "{\n\"Lib 1\": {\n\"guid\": \"no guid!\"}}", &["3", "guid"]);
    check("subscriptions.json", "[\n{\"guid\": \"g\"}]", &["2", "localSyncDir"]);
}
