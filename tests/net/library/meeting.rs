//! Daemons that know each other by their keys alone, and find each other on their network.

use serde_json::json;

use super::crew::Crew;
use super::{PATIENCE, until};
use crate::support::{Lab, Line, Stopwatch, World, report};

#[test]
fn daemons_find_each_other_on_their_network() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let crew = Crew::new(&world, &lab.hosts(2, Line::mbit(100, 100)));
    for number in 0..2 {
        crew.set(number, "config.json", &json!({"port": 0, "lan": true}));
        crew.start(number);
    }
    let keys = [0, 1].map(|number| crew.status(number).expect("it runs")["node"].clone());
    std::fs::write(crew.path(0, "lib/file"), "found").expect("a place");
    let clock = Stopwatch::start();
    crew.set(0, "peers.json", &json!([{"node": keys[1], "trusted": true}]));
    crew.set(1, "peers.json", &json!([{"node": keys[0], "trusted": true}]));
    crew.until_has(1, 1, PATIENCE);
    report(
        "daemons that know keys alone",
        &format!("the first file came after {:.1} s", clock.elapsed().as_secs_f64()),
    );
    // Where it is now: another port.
    crew.kill(0);
    until(PATIENCE, "it is noticed", || crew.linked(1) == 0);
    crew.start(0);
    let clock = Stopwatch::start();
    until(PATIENCE, "they meet again", || crew.linked(1) == 1);
    report(
        "one of them comes back at another port",
        &format!("linked after {:.1} s", clock.elapsed().as_secs_f64()),
    );
    crew.stop();
}
