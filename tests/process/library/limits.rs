//! Rates of one library: it keeps to its own, and leaves the others theirs. The bounds are what may come in the time that went by, so that a slow
//! machine passes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{GUID, Team};
use crate::support::args;

/// The other library of both daemons.
const FAST: &str = "fast484746";
const FILES: u64 = 48;
const FILE_LEN: u64 = 1 << 20;
/// Bytes a second.
const RATE: u64 = 1 << 20;

fn mount(guid: &str, dir: &str, limits: &Value) -> Value {
    json!({"guid": guid, "mounts": [{"dir": dir, "libpath": "/", "sync": true}], "limits": limits})
}

/// Two daemons with two libraries; the first is limited like this at either of them. It has more than comes within half a minute.
fn limited(at_author: &Value, at_subscriber: &Value) -> Team {
    let team = Team::new("ab");
    std::fs::create_dir_all(team.path("a/slow")).expect("a place");
    std::fs::create_dir_all(team.path("a/fast")).expect("a place");
    (0..FILES).for_each(|number| drop(team.file(&format!("a/slow/{number}"), FILE_LEN)));
    (0..FILES).for_each(|number| drop(team.file(&format!("a/fast/{number}"), FILE_LEN)));
    let kept = json!({"slow": mount(GUID, "slow", at_author), "fast": mount(FAST, "fast", &json!({}))});
    team.set('a', "libraries.json", &kept);
    let followed = |guid, dir, limits: &Value| json!({"guid": guid, "localSyncDir": dir, "limits": limits});
    let subscriptions = [followed(GUID, "slow", at_subscriber), followed(FAST, "fast", &json!({}))];
    team.set('b', "subscriptions.json", &json!(subscriptions));
    team
}

fn bytes_here(team: &Team, guid: &str) -> u64 {
    let status = team.status('b');
    let libraries = status["libraries"].as_array().expect("a list");
    let library = libraries.iter().find(|library| library["guid"] == guid);
    library.and_then(|library| library["bytes_here"].as_u64()).unwrap_or(0)
}

/// The limit holds by what came over the wire; the other library is not held up, and a limit that is lifted is over at once.
fn check(team: &Team, lift: impl Fn()) {
    team.start('a');
    team.until("all is known there", || team.status('a')["libraries"][1]["files"] == FILES);
    let began = now();
    team.start('b');
    let all = FILES * FILE_LEN;
    team.until("the other library is there", || bytes_here(team, FAST) == all);
    let received = team.peer_status('b', 'a')["received"].as_u64().expect("a number");
    let of_slow = received.saturating_sub(all);
    // Headers, acknowledgements and commits, and a second of the rate that may be ahead.
    let bound = RATE * (now().duration_since(began).as_secs() + 2) + all / 10;
    assert!(of_slow < bound, "{of_slow} bytes, {bound} at most");
    assert!(bytes_here(team, GUID) < all, "it came as fast as the other one");
    lift();
    let limit = Duration::from_secs(all / RATE / 2);
    team.within(limit, "it goes on without a limit", || bytes_here(team, GUID) == all);
    assert_eq!(team.tree("a/slow"), team.tree("b/slow"));
}

#[test]
fn a_library_is_sent_at_its_rate_and_another_is_not_held_up() {
    let team = limited(&json!({"up": "1MiB/s"}), &json!({}));
    check(&team, || drop(team.printed('a', args!["library", "limit", "slow", "--up", "none"])));
}

#[test]
fn a_library_is_fetched_at_its_rate_and_another_is_not_held_up() {
    let team = limited(&json!({}), &json!({"down": "1MiB/s"}));
    check(&team, || drop(team.printed('b', args!["library", "limit", GUID, "--down", "none"])));
}

#[test]
fn small_files_keep_to_the_rate_too() {
    let team = Team::sharing_with("ab", &json!({"limits": {"down": "64KiB/s"}}));
    team.write("a/lib/first", "x");
    team.until_text("ab", "first", "x");
    let began = now();
    // Each is small enough to come along with its commit.
    for number in 0..8 {
        drop(team.file(&format!("a/lib/{number}"), 64 << 10));
        team.until("it is told", || team.library('a')["files"] == number + 2);
    }
    team.until_same("ab");
    assert!(now().duration_since(began) >= Duration::from_secs(6), "eight seconds at the rate");
}

#[test]
fn limits_are_set_and_shown_by_commands() {
    let team = Team::sharing("a");
    let limit = |rates: &[&str]| {
        let mut command = args!["library", "limit", "Lib 1"];
        command.extend(rates.iter().map(Into::into));
        team.printed('a', command)
    };
    assert_eq!(limit(&[]).trim(), "up no limit, down no limit");
    assert_eq!(limit(&["--up", "2MB/s", "--down", "8mbit"]).trim(), "up 2.0 MB/s, down 1.0 MB/s");
    assert_eq!(limit(&["--up", "none"]).trim(), "up no limit, down 1.0 MB/s");
    let library = &team.settings('a', "libraries.json")["Lib 1"];
    assert_eq!(library["limits"], json!({"down": "8mbit"}));
    team.until("the daemon goes by it", || team.library('a')["limit_down"] == 1_000_000);
    let shown = team.printed('a', args!["library", "show", "Lib 1"]);
    assert!(
        shown.contains("limits  up no limit, down 1.0 MB/s") && shown.contains("every 30 days"),
        "{shown}"
    );
    team.keep('a', &json!({"scrub": false}));
    team.until("nothing is read again", || team.library('a')["scrub_days"] == 0);
    assert!(team.printed('a', args!["library", "show", "Lib 1"]).contains("scrub   off"));
    team.keep('a', &json!({"scrub": {"days": 7}}));
    team.until("each week", || team.library('a')["scrub_days"] == 7);
}

#[expect(clippy::disallowed_methods, reason = "a test waits for processes")]
fn now() -> Instant {
    Instant::now()
}
