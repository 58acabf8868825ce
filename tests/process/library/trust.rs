//! Whose records count, whoever brings them.

use serde_json::json;

use super::Team;

/// All link to all; each letter of `trusts` after `x:` is whom `x` trusts.
fn team(letters: &str, trusts: &[(char, &str)]) -> Team {
    let team = Team::new(letters);
    trusts.iter().for_each(|(letter, trusted)| trust(&team, letters, *letter, trusted));
    for (number, letter) in letters.chars().enumerate() {
        if number == 0 {
            team.keep(letter, &json!({}))
        } else {
            team.subscribe(letter, &json!({}))
        }
        team.start(letter);
    }
    team
}

fn trust(team: &Team, letters: &str, letter: char, trusted: &str) {
    let others = letters.chars().filter(|other| *other != letter);
    let peers: Vec<_> = others.map(|other| team.peer(other, trusted.contains(other))).collect();
    team.set(letter, "peers.json", &json!(peers));
}

#[test]
fn records_of_an_untrusted_peer_are_ignored_until_it_is_trusted() {
    // `b` is fed by `a`, and may not feed it.
    let team = team("ab", &[('a', ""), ('b', "a")]);
    // A user lets `b` in, without trust.
    team.set('a', "users.json", &json!([{"user": "bob", "pass": "secret", "role": "viewer"}]));
    let mut peers = json!([team.peer('a', true)]);
    peers[0]["username"] = json!("bob");
    peers[0]["password"] = json!("secret");
    team.set('b', "peers.json", &peers);
    team.stop('b');
    team.start('b');
    team.write("a/lib/of a.txt", "a");
    team.until_text("b", "of a.txt", "a");
    team.write("b/lib/of b.txt", "b");
    team.until("its commit is carried", || team.library('a')["commits"] == 2);
    team.write("a/lib/later.txt", "later");
    team.until_text("ab", "later.txt", "later");
    assert!(!team.is_there("a/lib/of b.txt"));
    team.until("the view has what counts", || team.library('a')["files"] == 2);
    trust(&team, "ab", 'a', "b");
    team.until_text("a", "of b.txt", "b");
    // Revoked: what came stays, and nothing more comes.
    trust(&team, "ab", 'a', "");
    team.until("the trust is gone", || team.peer_status('a', 'b')["trust"] == "untrusted");
    team.write("b/lib/of b 2.txt", "b");
    let commits = team.library('b')["commits"].clone();
    team.until("its commit is carried", || {
        team.library('b')["commits"] != commits
            && team.library('a')["commits"] == team.library('b')["commits"]
    });
    team.write("a/lib/at last.txt", "a");
    team.until_text("ab", "at last.txt", "a");
    assert_eq!(team.read("a/lib/of b.txt"), "b");
    assert!(!team.is_there("a/lib/of b 2.txt"));
}

/// `b` is let in by `a` as a viewer, and does not count there.
fn carried_at_a() -> Team {
    let team = Team::new("ab");
    trust(&team, "ab", 'a', "");
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({}));
    team.set('a', "users.json", &json!([{"user": "bob", "pass": "secret", "role": "viewer"}]));
    let mut peers = json!([team.peer('a', true)]);
    peers[0]["username"] = json!("bob");
    peers[0]["password"] = json!("secret");
    team.set('b', "peers.json", &peers);
    team
}

#[test]
fn of_an_author_that_does_not_count_no_more_is_kept_than_fits() {
    let team = carried_at_a();
    // Some commits of a file each.
    team.start_with('a', "SWARM_TEST_CARRIED_LEN", "1500");
    team.start('b');
    team.write("a/lib/of a.txt", "a");
    team.until_text("b", "of a.txt", "a");
    for number in 0..10 {
        team.write(&format!("b/lib/{number}"), "b");
        team.until("it is signed", || team.library('b')["commits"].as_u64() >= Some(number + 2));
    }
    team.until("it is told", || team.status('a')["errors"].to_string().contains("carried"));
    let kept = || team.library('a')["commits"].as_u64().expect("a number");
    assert!((2..9).contains(&kept()), "{} commits", kept());
    // What counts goes on, and a node that has less of a stranger is no reason to wait.
    team.write("a/lib/later.txt", "later");
    team.until_text("b", "later.txt", "later");
    team.run('a', crate::support::args!["library", "sync", "Lib 1", "--wait"]).expect_code(0);
    assert!(kept() < 10);
    trust(&team, "ab", 'a', "b");
    team.until_same("ab");
    team.until("nothing is missing", || kept() == team.library('b')["commits"]);
    assert_eq!(team.status('a')["errors"], json!([]));
}

/// `c` hears of `a`, which it trusts, only through `m`, which it does not trust; `m` has a mirror's role at both.
#[test]
fn signed_commits_of_a_trusted_author_come_through_a_mirror() {
    let letters = "amc";
    let team = Team::new(letters);
    let mirror = |letter| {
        let mut peer = team.peer(letter, false);
        peer["role"] = json!("mirror");
        peer
    };
    // `a` and `c` know each other's key, and no address that answers.
    team.keep('a', &json!({}));
    team.subscribe('m', &json!({}));
    team.subscribe('c', &json!({}));
    team.set('a', "peers.json", &json!([mirror('m')]));
    team.set('m', "peers.json", &json!([team.peer('a', true), team.peer('c', true)]));
    team.set('c', "peers.json", &json!([mirror('m')]));
    "amc".chars().for_each(|letter| team.start(letter));
    "ac".chars().for_each(|letter| {
        team.until("the mirror is known", || team.peer_status(letter, 'm')["connected"] == true)
    });
    let unreachable = |letter| json!({"address": "127.0.0.1:9", "node": team.node(letter), "trusted": true});
    team.set('c', "peers.json", &json!([mirror('m'), unreachable('a')]));
    team.set('a', "peers.json", &json!([mirror('m'), unreachable('c')]));
    team.write("a/lib/of a.txt", "a");
    team.write("m/lib/of m.txt", "m");
    team.until_text("mc", "of a.txt", "a");
    team.write("c/lib/of c.txt", "c");
    team.until_text("am", "of c.txt", "c");
    assert!(!team.is_there("a/lib/of m.txt") && !team.is_there("c/lib/of m.txt"));
    let linked = |letter| {
        team.status(letter)["peers"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|peer| peer["connected"] == true)
            .count()
    };
    assert_eq!((linked('a'), linked('c')), (1, 1));
}

/// `c` trusts `a` alone. What `b` does is not taken, and is told of.
#[test]
fn what_untrusted_authors_do_is_told_and_that_a_version_is_replaced() {
    let team = Team::new("abc");
    team.set('c', "peers.json", &json!([team.peer('a', true)]));
    team.set('b', "peers.json", &json!([team.peer('a', true)]));
    team.keep('a', &json!({}));
    "bc".chars().for_each(|letter| team.subscribe(letter, &json!({})));
    "ab".chars().for_each(|letter| team.start(letter));
    team.write("a/lib/x.txt", "of a");
    team.file("a/lib/long.bin", 6_000_000);
    team.until_same("ab");
    // Before `c` hears of it, all have the version of `b` alone.
    team.write("b/lib/long.bin", "of b");
    team.until_text("ab", "long.bin", "of b");
    team.write("b/lib/y.txt", "of b, too");
    team.until_text("ab", "y.txt", "of b, too");
    team.until_same("ab");
    team.stop('a');
    std::fs::remove_dir_all(team.path("a/lib/.swarm/versions")).expect("one was kept");
    team.start('a');
    team.start('c');
    team.until_text("c", "x.txt", "of a");
    let b = team.node('b');
    team.until("it is told", || {
        team.library('c')["untrusted_commits"][&b].as_u64().is_some_and(|count| count >= 2)
    });
    assert!(team.library('a')["untrusted_commits"].as_object().is_some_and(serde_json::Map::is_empty));
    team.until("what is waited for is told to be replaced", || {
        let status = team.status('c');
        let mut errors = status["errors"].as_array().expect("a list").iter();
        errors.any(|error| error["issue"] == "replaced" && error["file"] == "long.bin")
    });
    let explained = team.ask('c', &json!({"request": "explain", "library": super::GUID, "path": "long.bin"}));
    assert_eq!(explained["answer"]["explain"]["replaced_by"], json!(b));
    assert!(!team.is_there("c/lib/y.txt") && !team.is_there("c/lib/long.bin"), "{:?}", team.tree("c/lib"));
    // The way out.
    team.set('c', "peers.json", &json!([team.peer('a', true), team.peer('b', true)]));
    team.until_text("c", "long.bin", "of b");
    team.until_same("abc");
    assert_eq!(team.library('c')["untrusted_commits"], json!({}));
}
