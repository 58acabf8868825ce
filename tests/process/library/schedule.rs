//! Limits that change with the time of the week: a pause holds up files and nothing else, and ends by the clock, or by an edit, without a restart.

use std::time::Duration;

use serde_json::{Value, json};

use super::Team;

/// Two daemons with one library; the second one has this in `limits.schedule` of its config.json.
fn scheduled(windows: &Value) -> Team {
    let team = Team::new("ab");
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({}));
    schedule(&team, 'b', windows);
    team
}

fn schedule(team: &Team, letter: char, windows: &Value) {
    let mut config = team.settings(letter, "config.json");
    config["limits"] = json!({"schedule": windows});
    team.set(letter, "config.json", &config);
}

/// The whole week.
fn always(rates: &Value) -> Value {
    let mut window = json!({"from": "00:00", "to": "00:00"});
    super::merge(&mut window, rates);
    json!([window])
}

#[test]
fn a_pause_of_downloads_holds_files_up_and_an_edit_ends_it() {
    let team = scheduled(&always(&json!({"down": "0"})));
    // One that would come along with its commit, and one that would not.
    team.write("a/lib/small", "small");
    drop(team.file("a/lib/large", 4 << 20));
    team.start('a');
    team.start('b');
    assert_eq!(team.status('b')["limit_down"], 0);
    let paused = "the schedule in config.json pauses downloads now";
    team.until("it knows both, and says why they do not come", || {
        let library = team.library('b');
        library["files"] == 2 && library["activity"] == paused
    });
    // What this node has goes out meanwhile.
    team.write("b/lib/own", "of b");
    team.until_text("a", "own", "of b");
    team.until("its own is all that it has", || team.library('b')["files_here"] == 1);
    assert!(!team.is_there("b/lib/small") && !team.is_there("b/lib/large"));
    schedule(&team, 'b', &json!([]));
    team.until_same("ab");
    assert_eq!(team.status('b')["limit_down"], Value::Null);
}

#[test]
fn a_pause_of_uploads_holds_files_up_and_an_edit_ends_it() {
    let team = scheduled(&json!([]));
    schedule(&team, 'a', &always(&json!({"up": "0"})));
    team.write("a/lib/small", "small");
    drop(team.file("a/lib/large", 4 << 20));
    team.start('a');
    team.start('b');
    team.until("it knows both", || team.library('b')["files"] == 2);
    team.write("b/lib/own", "of b");
    team.until_text("a", "own", "of b");
    team.until("its own is all that it has", || team.library('b')["files_here"] == 1);
    assert!(!team.is_there("b/lib/small") && !team.is_there("b/lib/large"));
    schedule(&team, 'a', &always(&json!({"up": "80MB/s"})));
    team.until_same("ab");
    assert_eq!(team.status('a')["limit_up"], 80_000_000);
}

#[test]
fn a_pause_begins_and_ends_by_the_clock() {
    let now = jiff::Zoned::now();
    // Five hours around the time twelve hours from now, whatever the zone, and the day on which these begin.
    let begins = now.checked_add(Duration::from_secs(9 * 3600 + 1800)).expect("a time");
    let ends = now.checked_add(Duration::from_secs(14 * 3600 + 1800)).expect("a time");
    let time = |at: &jiff::Zoned| format!("{:02}:{:02}", at.hour(), at.minute());
    let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        [usize::from(begins.weekday().to_monday_zero_offset().unsigned_abs())];
    let windows =
        json!([{"days": [day], "from": time(&begins), "to": time(&ends), "down": "0", "up": "1MB/s"}]);
    let team = scheduled(&windows);
    team.write("a/lib/file", "at night");
    team.start('a');
    team.start_ahead('b', Duration::from_secs(12 * 3600));
    let limits = || {
        let status = team.status('b');
        [status["limit_up"].clone(), status["limit_down"].clone()]
    };
    assert_eq!(limits(), [json!(1_000_000), json!(0)]);
    team.until("it is known", || team.library('b')["files"] == 1);
    assert!(!team.is_there("b/lib/file"));
    team.stop('b');
    team.start('b');
    assert_eq!(limits(), [Value::Null, Value::Null]);
    team.until_text("b", "file", "at night");
}
