//! What a daemon tells of its peers: how near they are, what they run, and when they were linked last.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Team;

#[test]
fn a_peer_tells_how_near_it_is_and_when_it_was_linked_last_also_after_a_restart() {
    let team = Team::sharing("ab");
    let of_a = || team.peer_status('b', 'a');
    // Of two links that were dialed at the same time one goes: all is looked at together.
    team.until_shown("it is linked and tells all", of_a, |peer| {
        let is_near = peer["round_trip_us"].as_u64().is_some_and(|micros| (1..10_000_000).contains(&micros));
        let is_told =
            peer["agent"] == concat!("swarm/", env!("CARGO_PKG_VERSION")) && peer["protocol"] == "1.0";
        is_near && is_told && peer["last_seen_ms"].is_null()
    });
    let node = team.node_of('a');
    let is_remembered = || {
        team.is_there("b/.swarm/peers-seen.json")
            && team.settings('b', ".swarm/peers-seen.json")[&node].is_u64()
    };
    team.until("it is remembered", is_remembered);
    team.stop('a');
    team.until("it is away", || of_a()["last_seen_ms"].is_u64());
    let away = of_a();
    let seen = away["last_seen_ms"].as_u64().unwrap_or_else(|| panic!("{away}"));
    assert!(now_ms().abs_diff(seen) < 120_000, "{seen}");
    assert_eq!([&away["round_trip_us"], &away["agent"], &away["protocol"]], [&Value::Null; 3]);
    team.until("it is kept", || team.settings('b', ".swarm/peers-seen.json")[&node] == seen);
    team.kill('b');
    team.start('b');
    assert_eq!(of_a()["last_seen_ms"], seen);
    // Who is no peer any more is forgotten.
    team.set('b', "peers.json", &json!([]));
    team.until("it is forgotten", || team.settings('b', ".swarm/peers-seen.json") == json!({}));
}

#[test]
fn a_daemon_that_ends_remembers_who_was_linked_then() {
    let team = Team::sharing("ab");
    team.until("they are linked", || team.peer_status('b', 'a')["connected"] == true);
    let began = now_ms();
    team.until("a moment passes", || now_ms() > began + 1_000);
    team.stop('b');
    let seen = team.settings('b', ".swarm/peers-seen.json")[team.node_of('a')].as_u64();
    assert!(seen.is_some_and(|seen| seen >= began), "{seen:?}, after {began}");
}

#[expect(clippy::disallowed_methods, reason = "a test compares times of processes")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("not so long")
}
