//! Smaller things that the page asks for: who is logged in, counts, expiry, sides of a conflict, and values that are taken back by `null`.

use serde_json::{Value, json};

use super::client::Ask;
use super::{GUID, Site};

#[test]
fn the_setup_says_whom_the_cookie_proves() {
    let site = Site::new();
    let user = |ask: Ask| site.ask(&ask).expect(200).json()["user"].clone();
    let browser = site.login("vera");
    assert_eq!(user(Ask::get("/api/v1/setup")), Value::Null);
    assert_eq!(user(browser.asks(Ask::get("/api/v1/setup"))), "vera");
    assert_eq!(user(Ask::get("/api/v1/setup").cookie("guessed")), Value::Null);
    site.ask(&browser.asks(Ask::get("/logout"))).expect(204);
    assert_eq!(user(browser.asks(Ask::get("/api/v1/setup"))), Value::Null);
}

#[test]
fn a_listing_says_how_many_stand_in_the_folder() {
    let site = Site::new();
    for name in ["a.txt", "b.txt", "sub/c.txt", "sub/d.txt", "sub/deep/e.txt"] {
        site.team.write(&format!("a/lib/{name}"), name);
    }
    site.until_listed("sub/deep/e.txt", 14);
    let total = |query: &str| site.get(&format!("/api/v1/libraries/{GUID}/tree?{query}"))["total"].clone();
    assert_eq!(total("limit=1"), 3);
    assert_eq!(total("limit=9"), 3);
    assert_eq!(total("place=sub&limit=1"), 3);
    assert_eq!(total("place=sub/deep&limit=1"), 1);
    assert_eq!(total("limit=1&start=a.txt"), Value::Null);
    assert_eq!(total("search=txt"), Value::Null);
}

#[test]
fn what_stands_here_is_told_with_its_author_and_hashes() {
    let site = Site::new();
    site.put("a.txt", "a text");
    let path = format!("/api/v1/libraries/{GUID}/explain?path=a.txt");
    let here = || site.get(&path)["here"].clone();
    let sha256 = ring::digest::digest(&ring::digest::SHA256, b"a text");
    let sha256 = data_encoding::HEXLOWER.encode(sha256.as_ref());
    site.team.until_shown("its hash is known", here, |here| here["sha256"] == sha256.as_str());
    assert_eq!(here()["author"], site.team.node('a').as_str());
}

#[test]
fn a_proposal_says_when_it_expires() {
    let site = Site::stopped("ab");
    let policy = json!({"approvals": {"delete": 2, "expiryDays": 3}});
    site.team.keep('a', &policy);
    site.team.subscribe('b', &policy);
    site.set_users(&super::users());
    ['a', 'b'].into_iter().for_each(|letter| site.start(letter));
    site.until_users(5);
    site.put("a.txt", "a");
    site.team.until_same("ab");
    std::fs::remove_file(site.team.path("b/lib/a.txt")).expect("it was there");
    let proposal = || site.get("/api/v1/approvals")["proposals"][0].clone();
    site.team.until("it is proposed", || proposal()["id"].is_string());
    let [seen, expires] = ["seen_at_ms", "expires_at_ms"].map(|key| proposal()[key].as_u64());
    assert_eq!(expires, seen.map(|seen| seen + 3 * 24 * 3600 * 1000));
}

#[test]
fn both_sides_of_a_conflict_are_looked_at() {
    let site = Site::stopped("ab");
    for letter in ['a', 'b'] {
        let settings = json!({"conflicts": "manual"});
        if letter == 'a' { site.team.keep('a', &settings) } else { site.team.subscribe('b', &settings) }
    }
    site.set_users(&super::users());
    site.team.set('b', "users.json", &super::users());
    ['a', 'b'].into_iter().for_each(|letter| site.start(letter));
    site.until_users(5);
    site.put("x.png", "before");
    site.team.until_text("ab", "x.png", "before");
    site.team.until_same("ab");
    site.team.stop('b');
    site.put("x.png", "of a here");
    site.team.write("b/lib/x.png", "of b there");
    site.start('b');
    // One of the two is asked to decide.
    let is_asked = |letter: char| {
        site.at.set(letter);
        let told = site.get(&format!("/api/v1/libraries/{GUID}/conflicts"));
        told["conflicts"][0]["path"] == "x.png"
    };
    site.team.until("somebody is asked", || ['a', 'b'].into_iter().any(is_asked));
    let (mine, theirs) =
        if site.at.get() == 'a' { ("of a here", "of b there") } else { ("of b there", "of a here") };
    let side = |side: &str| site.ask_as("vera", Ask::get(&format!("/file/{GUID}/x.png?side={side}")));
    let local = side("local").expect(200);
    let tag = format!("\"{}\"", blake3::hash(mine.as_bytes()).to_hex());
    assert_eq!(
        (local.text().as_str(), local.header("content-type"), local.header("etag")),
        (mine, "image/png", tag.as_str())
    );
    site.team.until_shown("the other side came", || side("remote").status, |status| *status == 200);
    assert_eq!(side("remote").text(), theirs);
    side("other").expect(400);
    site.ask_as("mia", Ask::get(&format!("/file/{GUID}/x.png?side=local"))).expect(403);
    site.ask_as("vera", Ask::get(&format!("/file/{GUID}/none.png?side=local"))).expect(400);
}

#[test]
fn null_takes_a_role_and_a_number_back() {
    let site = Site::new();
    let change = |path: &str, body: Value| {
        site.ask_as("adam", Ask::new("PATCH", path).json(&body)).expect(204);
    };
    let roles = || {
        let users = site.get("/api/v1/users")["users"].clone();
        let vera = users.as_array().and_then(|users| users.iter().find(|user| user["user"] == "vera"));
        vera.expect("she is a user")["libraries"].clone()
    };
    change("/api/v1/users/vera", json!({"libraries": {GUID: "editor"}}));
    assert_eq!(roles(), json!({GUID: "editor"}));
    change("/api/v1/users/vera", json!({"libraries": {GUID: null}}));
    assert_eq!(roles(), json!({}));
    let library = format!("/api/v1/libraries/{GUID}");
    let bulk = || site.get(&library)["policy"]["bulk"].clone();
    change(&library, json!({"policy": {"bulk": 50, "delete": 2}}));
    change(&library, json!({"policy": {"delete": 3}}));
    assert_eq!(bulk(), 50);
    change(&library, json!({"policy": {"bulk": null}}));
    assert_eq!((bulk(), site.get(&library)["policy"]["delete"].clone()), (Value::Null, json!(3)));
}
