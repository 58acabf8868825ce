//! Seeds that are killed again and again during a fetch from them. (Killed fetches: `resume`; killed aggregators: `aggregate`.)

use crate::support::{MIB, World, args, assert_same_file, heavy, kill_count};

#[test]
fn a_seed_that_is_killed_again_and_again_feeds_a_fetch_to_the_end() {
    let _turn = heavy();
    let world = World::new();
    let kills = kill_count();
    // More than can arrive before the last kill, at a line a second.
    let len = (kills + 4) * 6 * MIB;
    let film = world.file("film.bin", len);
    // Each run has the same key and the same port.
    let mut seed = world.seed_anywhere(args![film]);
    let ticket = seed.ticket().to_owned();
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "4MiB/s", "--timeout", "0", ticket]);
    let mut verified_len = 0;
    for _ in 0..kills {
        let more = |len: &u64| *len > verified_len;
        verified_len = fetch.wait_json(|line| line["verified_bytes"].as_u64().filter(more));
        seed.process.kill();
        seed = world.seed_anywhere(args![film]);
        assert_eq!(seed.ticket(), ticket);
    }
    // The rest takes longer than the usual deadline of a process, but lines keep coming.
    fetch.wait_json(|line| (line["event"] == "done").then_some(()));
    let done = fetch.end().done();
    assert_eq!((done.bytes, done.corrupt_bytes), (len, 0));
    assert_same_file(&film, &world.path("out/film.bin"));
}
