//! Daemons that know each other by their keys alone, and find each other by others.

use mainline::Testnet;
use serde_json::{Value, json};

use super::Team;
use crate::support::{Process, args};

/// Two daemons with one library and these settings; neither knows where the other is.
fn meet_by(settings: &Value) -> Team {
    let team = Team::new("ab");
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({}));
    for letter in ['a', 'b'] {
        let mut config = json!({"port": 0, "listen": "127.0.0.1", "lan": false});
        super::merge(&mut config, settings);
        team.set(letter, "config.json", &config);
        team.set(letter, "peers.json", &json!([]));
        team.start(letter);
    }
    let keys = ['a', 'b'].map(|letter| team.node_of(letter));
    team.write("a/lib/file", "found");
    team.set('a', "peers.json", &json!([{"node": keys[1], "trusted": true}]));
    team.set('b', "peers.json", &json!([{"node": keys[0], "trusted": true}]));
    team.until_text("b", "file", "found");
    team
}

#[test]
fn a_coordinator_tells_daemons_of_each_other() {
    let team = Team::new("c");
    let state = team.path("known");
    let mut command =
        team.world.command(&args!["coordinator", "--json", "--listen", "127.0.0.1:0", "--state", state]);
    let mut coordinator = Process::start(&mut command, b"");
    let place = coordinator.wait_json(|line| Some(line["places"].get(0)?.as_str()?.to_owned()));
    let team = meet_by(&json!({"coordinators": [place]}));
    // Where it is now: another port.
    team.kill('a');
    team.write("a/lib/later", "later");
    team.start('a');
    team.until_text("b", "later", "later");
}

#[test]
fn a_dht_tells_daemons_of_each_other() {
    let table = Testnet::builder(4).build().expect("sockets on loopback");
    let team = meet_by(&json!({"dht": true, "dhtBootstrap": table.bootstrap}));
    team.write("b/lib/back", "back");
    team.until_text("a", "back", "back");
}
