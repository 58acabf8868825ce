//! Changes that wait until enough agree.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::Team;

/// Deletions need two: the author, and another one. Only `a` has it in a file: the others take it over.
fn careful(letters: &str, more: &serde_json::Value) -> Team {
    let mut settings = json!({"approvals": {"delete": 2}});
    settings["approvals"]
        .as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    let team = Team::new(letters);
    for (number, letter) in letters.chars().enumerate() {
        if number == 0 {
            team.keep(letter, &settings)
        } else {
            team.subscribe(letter, &json!({}))
        }
        team.start(letter);
    }
    team
}

fn fill(team: &Team, letters: &str, count: u64) {
    for number in 0..count {
        team.write(&format!("a/lib/d/{number}.txt"), &format!("text {number}"));
    }
    team.write("a/lib/other.txt", "before");
    team.until_text(letters, "other.txt", "before");
    team.until("all files are known", || {
        letters.chars().all(|letter| team.library(letter)["files"] == count + 1)
    });
    team.until_same(letters);
}

/// Waits until all records of a deletion of `count` entries wait at these daemons, and then until a later change went through all the same.
fn until_held(team: &Team, letters: &str, count: u64) {
    // Beside what waits, what tells why if it does not.
    let looked = |letter| {
        let (library, proposals) = (team.library(letter), team.proposals(letter, false));
        let changes: Vec<u64> =
            proposals.iter().map(|proposal| proposal["changes"].as_u64().expect("a number")).collect();
        (changes, library["state"].clone(), library["held_here"].clone(), library["commits"].clone())
    };
    team.until_shown(
        "the deletion waits everywhere",
        || letters.chars().map(looked).collect::<Vec<_>>(),
        |all| all.iter().all(|(changes, ..)| changes.iter().sum::<u64>() == count),
    );
    team.write("a/lib/other.txt", "after");
    team.until_text(letters, "other.txt", "after");
}

fn files_in(team: &Team, letter: char) -> usize {
    fs::read_dir(team.path(&format!("{letter}/lib/d"))).map_or(0, Iterator::count)
}

#[test]
fn a_deletion_waits_for_the_second_yes_and_can_be_undone() {
    let team = careful("abc", &json!({}));
    fill(&team, "abc", 500);
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    until_held(&team, "abc", 501);
    assert_eq!((files_in(&team, 'a'), files_in(&team, 'b'), files_in(&team, 'c')), (500, 0, 500));
    team.vote('c', "yes");
    let gone = || "abc".chars().all(|letter| !team.is_there(&format!("{letter}/lib/d")));
    team.within(Duration::from_secs(5), "it is gone everywhere", gone);
    team.until("no proposal waits", || "abc".chars().all(|letter| team.proposals(letter, false).is_empty()));
    for letter in ['a', 'c'] {
        for number in [0, 250, 499] {
            assert!(
                team.keeps(&format!("{letter}/lib"), &format!("text {number}")),
                "{letter} keeps {number}"
            );
        }
    }
    // The same votes and commits come again, at restarts and to one that knows nothing: they delete nothing more.
    team.write("c/lib/d/7.txt", "new");
    team.until_text("abc", "d/7.txt", "new");
    for letter in ['a', 'b'] {
        team.stop(letter);
        team.lose_index(letter);
        team.start(letter);
    }
    team.write("a/lib/other.txt", "at the end");
    team.until_text("abc", "other.txt", "at the end");
    team.until_text("abc", "d/7.txt", "new");
}

/// The folder is looked at while it is emptied: there are several commits of it.
#[test]
fn a_deletion_that_takes_its_time_waits_as_a_whole() {
    let team = careful("abc", &json!({}));
    fill(&team, "abc", 200);
    for number in 0..200 {
        fs::remove_file(team.path(&format!("b/lib/d/{number}.txt"))).expect("it is there");
        if number % 10 == 0 {
            // Longer than a watcher waits for rest.
            std::thread::sleep(Duration::from_millis(80));
        }
    }
    fs::remove_dir(team.path("b/lib/d")).expect("it is empty");
    until_held(&team, "abc", 201);
    team.vote('c', "yes");
    team.until_gone("abc", "d");
}

#[test]
fn a_refused_deletion_comes_back_at_its_author() {
    let team = careful("abc", &json!({"refuseByOne": true}));
    fill(&team, "abc", 20);
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    until_held(&team, "abc", 21);
    team.vote('a', "no");
    team.until("it is back", || files_in(&team, 'b') == 20);
    assert_eq!((files_in(&team, 'a'), files_in(&team, 'c')), (20, 20));
    let ended = team.proposals('c', true);
    assert!(ended.iter().all(|proposal| proposal["ended"] == "refused"), "{ended:?}");
    // A yes after the end changes nothing.
    team.until_same("abc");
}

#[test]
fn a_withdrawn_deletion_comes_back_at_its_author() {
    let team = careful("ab", &json!({}));
    fill(&team, "ab", 20);
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    until_held(&team, "ab", 21);
    team.vote('b', "withdraw");
    team.until("it is back", || files_in(&team, 'b') == 20);
    team.until("it ended", || {
        team.proposals('a', true).iter().all(|proposal| proposal["ended"] == "withdrawn")
    });
    assert_eq!(files_in(&team, 'a'), 20);
}

#[test]
fn an_expired_deletion_comes_back_at_its_author() {
    let team = careful("ab", &json!({"expiryDays": 3}));
    fill(&team, "ab", 20);
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    until_held(&team, "ab", 21);
    for days in [1, 4] {
        for letter in ['a', 'b'] {
            team.stop(letter);
            team.start_ahead(letter, Duration::from_secs(days * 24 * 3600));
        }
        let looked = |letter| ["up to date", "waiting"].map(|state| team.library(letter)["state"] == state);
        team.until("both look", || "ab".chars().all(|letter| looked(letter).contains(&true)));
        if days == 1 {
            assert_eq!((files_in(&team, 'a'), files_in(&team, 'b')), (20, 0), "it waits");
        }
    }
    team.until("it is back", || files_in(&team, 'b') == 20);
    let is_expired =
        |letter| team.proposals(letter, true).iter().all(|proposal| proposal["ended"] == "expired");
    team.until("it ended", || is_expired('a') && is_expired('b'));
    assert_eq!(files_in(&team, 'a'), 20);
}

/// `d` trusts the others, and of them `c` trusts `d`, too.
#[test]
fn a_yes_of_an_untrusted_peer_counts_for_those_alone_who_trust_it() {
    let team = Team::new("abcd");
    for letter in ['a', 'b'] {
        let others = "abcd".chars().filter(|other| *other != letter);
        let peers: Vec<_> = others.map(|other| team.peer(other, other != 'd')).collect();
        team.set(letter, "peers.json", &json!(peers));
    }
    let settings = json!({"approvals": {"delete": 2}});
    team.keep('a', &settings);
    "bcd".chars().for_each(|letter| team.subscribe(letter, &settings));
    "abcd".chars().for_each(|letter| team.start(letter));
    fill(&team, "abcd", 20);
    fs::remove_dir_all(team.path("a/lib/d")).expect("it is there");
    until_held(&team, "abcd", 21);
    team.vote('d', "yes");
    team.until("it is gone where the vote counts", || files_in(&team, 'c') == 0 && files_in(&team, 'd') == 0);
    team.write("c/lib/other.txt", "later");
    team.until_text("abcd", "other.txt", "later");
    assert_eq!(files_in(&team, 'b'), 20);
    team.vote('b', "yes");
    team.until_gone("abcd", "d");
}

#[test]
fn votes_count_after_the_policy_changed_and_as_many_are_needed_as_it_says_now() {
    let team = careful("abc", &json!({}));
    fill(&team, "abc", 20);
    team.stop('c');
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    until_held(&team, "ab", 21);
    // Three from now on: the yes of `a` is the second one.
    team.keep('a', &json!({"approvals": {"delete": 3}}));
    let needed = |letter| team.proposals(letter, false).iter().all(|proposal| proposal["needed"] == 3);
    team.until("three are needed, at the subscriber too", || needed('a') && needed('b'));
    team.vote('a', "yes");
    team.until("the vote came", || {
        team.proposals('b', false)[0]["yes"].as_array().is_some_and(|yes| yes.len() == 2)
    });
    team.write("b/lib/other.txt", "before c");
    team.until_text("ab", "other.txt", "before c");
    assert_eq!(files_in(&team, 'a'), 20);
    // One that was away learns of it all.
    team.start('c');
    team.until_text("abc", "other.txt", "before c");
    team.until("it waits there, too", || !team.proposals('c', false).is_empty() && needed('c'));
    assert_eq!(files_in(&team, 'c'), 20);
    team.keep('a', &json!({"approvals": {"delete": 2}}));
    team.until_gone("abc", "d");
    team.until_same("abc");
}

#[test]
fn a_policy_that_was_taken_over_is_remembered_without_its_owner() {
    let team = careful("abc", &json!({}));
    fill(&team, "abc", 20);
    ['a', 'b', 'c'].iter().for_each(|letter| drop(team.stop(*letter)));
    team.start('b');
    team.start('c');
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    team.until("it waits", || !team.proposals('c', false).is_empty());
    team.write("b/lib/other.txt", "later");
    team.until_text("bc", "other.txt", "later");
    assert_eq!(files_in(&team, 'c'), 20);
}

#[test]
fn a_change_that_waits_for_others_is_told_at_its_author() {
    let team = careful("ab", &json!({}));
    fill(&team, "ab", 20);
    // At once: in parts, it may be two proposals.
    fs::rename(team.path("b/lib/d"), team.path("b/away")).expect("it is there");
    until_held(&team, "ab", 21);
    team.until("it is told", || {
        team.library('b')["state"] == "waiting" && team.library('b')["waiting"] == 21
    });
    team.until("it is told there alone", || {
        team.library('a')["state"] == "up to date" && team.library('a')["waiting"] == 0
    });
    let explained = team.ask('b', &json!({"request": "explain", "library": super::GUID, "path": "d/7.txt"}));
    let held = &explained["answer"]["explain"]["own_held"];
    assert_eq!((&held["id"], &held["needed"]), (&team.proposals('b', false)[0]["id"], &json!(2)));
    team.vote('b', "withdraw");
    team.until("it is back", || files_in(&team, 'b') == 20);
    team.until_same("ab");
    assert_eq!(team.library('b')["waiting"], 0);
}

#[test]
fn a_long_proposal_counts_all_of_its_deletions_and_names_the_first_ones() {
    let team = careful("ab", &json!({}));
    fill(&team, "ab", 120);
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    until_held(&team, "ab", 121);
    // A busy disk may be looked at while the folder goes: then there are two proposals.
    for proposal in team.proposals('a', false) {
        assert_eq!(proposal["deletions"], proposal["changes"]);
        assert_eq!(proposal["deleted"], proposal["paths"], "each of them is a deletion");
        let named = proposal["paths"].as_array().map(|paths| paths.len() as u64);
        assert_eq!(named, proposal["changes"].as_u64().map(|changes| changes.min(100)));
    }
}

/// Everybody sees that nothing is left to approve.
#[test]
fn a_proposal_ends_by_itself_when_its_files_came_back() {
    let team = careful("ab", &json!({}));
    fill(&team, "ab", 20);
    fs::rename(team.path("b/lib/d"), team.path("b/away")).expect("it is there");
    until_held(&team, "ab", 21);
    fs::copy(team.path("b/away/7.txt"), team.path("b/seven")).expect("a copy");
    fs::create_dir(team.path("b/lib/d")).expect("a place");
    fs::rename(team.path("b/seven"), team.path("b/lib/d/7.txt")).expect("a place");
    team.until("less waits", || "ab".chars().all(|letter| team.proposals(letter, false)[0]["changes"] == 19));
    fs::rename(team.path("b/lib/d"), team.path("b/gone")).expect("it is there");
    fs::rename(team.path("b/away"), team.path("b/lib/d")).expect("a place");
    team.until("nothing waits", || "ab".chars().all(|letter| team.proposals(letter, false).is_empty()));
    let ends =
        |letter| team.proposals(letter, true).iter().map(|one| one["ended"].clone()).collect::<Vec<_>>();
    for letter in ['a', 'b'] {
        assert!(ends(letter).iter().all(|end| end == "superseded"), "{:?}", ends(letter));
    }
    // Whether it is void elsewhere, too, nobody knows: a vote is told, and changes nothing here.
    vote_for_void(&team, 'a', &team.node('b'));
    team.write("a/lib/other.txt", "later");
    team.until_text("ab", "other.txt", "later");
    team.until_same("ab");
    assert_eq!((files_in(&team, 'a'), files_in(&team, 'b')), (20, 20));
}

/// Votes for what an author proposed and a daemon has nothing left to do of.
fn vote_for_void(team: &Team, letter: char, author: &str) {
    for proposal in team.proposals(letter, true) {
        if proposal["author"] == author && proposal["ended"] == "superseded" {
            let vote = json!({"request": "vote", "id": proposal["id"], "verdict": "yes", "why": ""});
            let reply = team.ask(letter, &vote);
            assert!(!reply.to_string().contains("failed"), "{reply}");
        }
    }
}

/// Every node guards its own disk: what is done at one already may wait at another for its yes.
#[test]
fn a_vote_counts_elsewhere_also_where_its_proposal_is_void() {
    let team = Team::new("abcd");
    // Whoever deletes second counts at `c` alone.
    for letter in ['a', 'b'] {
        let others = "abcd".chars().filter(|other| *other != letter);
        let peers: Vec<_> = others.map(|other| team.peer(other, other != 'd')).collect();
        team.set(letter, "peers.json", &json!(peers));
    }
    let settings = json!({"approvals": {"delete": 2}});
    team.keep('a', &settings);
    "bcd".chars().for_each(|letter| team.subscribe(letter, &settings));
    "abcd".chars().for_each(|letter| team.start(letter));
    fill(&team, "abcd", 5);
    let all_wait = |letter, author: &str| {
        let of_author = team.proposals(letter, false).into_iter().filter(|one| one["author"] == author);
        of_author.map(|one| one["changes"].as_u64().expect("a number")).sum::<u64>() == 6
    };
    let (b, d) = (team.node('b'), team.node('d'));
    fs::remove_dir_all(team.path("b/lib/d")).expect("it is there");
    team.until("it waits", || ['a', 'c'].into_iter().all(|letter| all_wait(letter, &b)));
    fs::remove_dir_all(team.path("d/lib/d")).expect("it is there");
    team.until("the second one waits, too", || all_wait('c', &d));
    for proposal in team.proposals('c', false).into_iter().filter(|one| one["author"] == *d) {
        let vote = json!({"request": "vote", "id": proposal["id"], "verdict": "yes", "why": ""});
        assert!(!team.ask('c', &vote).to_string().contains("failed"));
    }
    team.until("it is done at `c`, and nothing waits there", || {
        files_in(&team, 'c') == 0 && team.proposals('c', false).is_empty()
    });
    team.write("c/lib/other.txt", "later");
    team.until_text("abc", "other.txt", "later");
    assert_eq!(files_in(&team, 'a'), 5);
    vote_for_void(&team, 'c', &b);
    team.until_gone("abc", "d");
}
