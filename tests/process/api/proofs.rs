//! Ways to prove a user: the first admin, passwords, sessions, tokens. And what ends them.

use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

use super::client::{Ask, Told};
use super::{Site, credentials, password_of, users};

fn login(user: &str, password: &str) -> Ask {
    Ask::post("/login", &json!({"username": user, "password": password}))
}

fn me() -> Ask {
    Ask::get("/api/v1/me")
}

fn setup(token: &str, user: &str, password: &str) -> Ask {
    Ask::post("/api/v1/setup", &json!({"token": token, "username": user, "password": password}))
}

/// The token in the link that the daemon prints.
fn printed_token(site: &Site) -> String {
    let token = |line: &str| Some(line.split_once("/#setup=")?.1.split_whitespace().next()?.to_owned());
    site.team.wait_log('a', token)
}

#[test]
fn the_printed_link_makes_the_first_admin_once() {
    let site = Site::stopped("a");
    site.start('a');
    let token = printed_token(&site);
    assert!(token.len() >= 32, "{token}");
    let needed = || site.ask(&Ask::get("/api/v1/setup")).expect(200).json()["needed"].clone();
    assert_eq!(needed(), true);
    // Nobody has a password by default.
    for (user, password) in [("admin", "admin"), ("admin", ""), ("swarm", "swarm")] {
        site.ask(&login(user, password)).expect(401);
    }
    site.is_secret("a long enough secret");
    site.ask(&setup("guessed", "adam", "a long enough secret")).expect(403);
    site.ask(&setup("", "adam", "a long enough secret")).expect(403);
    site.ask(&setup(&token, "adam", "short")).expect(400);
    site.ask(&setup(&token, "", "a long enough secret")).expect(400);
    site.ask(&setup(&token, "adam\u{7}", "a long enough secret")).expect(400);
    let made = site.ask(&setup(&token, "adam", "a long enough secret")).expect(200);
    assert_eq!(made.json()["user"], "adam");
    site.is_secret(made.session().split_once('=').expect("a pair").1);
    let me = site.ask(&me().cookie(&made.session())).expect(200).json();
    assert_eq!((&me["role"], needed()), (&json!("admin"), json!(false)));
    site.ask(&setup(&token, "eve", "a long enough secret")).expect(403);
    site.ask(&login("adam", "a long enough secret")).expect(200);
    // Another start prints none.
    let outcome = site.team.stop('a');
    assert!(outcome.out.iter().chain(&outcome.err).any(|line| line.contains("ready")), "{outcome:?}");
    site.start('a');
    let outcome = site.team.stop('a');
    let lines = outcome.out.iter().chain(&outcome.err);
    assert!(!lines.into_iter().any(|line| line.contains("#setup=")), "{outcome:?}");
}

#[test]
fn the_printed_link_does_not_come_back_when_an_admin_goes() {
    let site = Site::stopped("a");
    site.start('a');
    let token = printed_token(&site);
    let needed = || site.ask(&Ask::get("/api/v1/setup")).expect(200).json()["needed"].clone();
    // Made beside this link, as by `swarm user add`.
    site.set_users(&json!([{"user": "adam", "pass": "a long enough secret", "role": "admin"}]));
    site.team.until("there is an admin", || needed() == false);
    site.team.until("an admin proves it", || site.ask(&login("adam", "a long enough secret")).status == 200);
    site.set_users(&json!([]));
    site.team.until("there is none", || needed() == true);
    site.ask(&setup(&token, "eve", "a long enough secret")).expect(403);
}

#[test]
fn a_link_that_is_used_by_many_at_once_makes_one_admin() {
    let site = Site::stopped("a");
    site.start('a');
    let (token, address) = (printed_token(&site), site.address());
    let asks = (0..6).map(|number| {
        let ask = setup(&token, &format!("admin{number}"), "a long enough secret");
        std::thread::spawn(move || ask.over_http(address).status)
    });
    let asks: Vec<_> = asks.collect();
    let statuses: Vec<u16> = asks.into_iter().map(|ask| ask.join().expect("it is answered")).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(site.team.settings('a', "users.json").as_array().map(Vec::len), Some(1));
}

#[test]
fn a_session_is_a_cookie_that_scripts_cannot_read_and_that_ends_at_logout() {
    let site = Site::new();
    let told = site.ask(&login("vera", &password_of("vera"))).expect(200);
    let cookie = told.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain") && told.session().len() >= 40, "{cookie}");
    assert_eq!(told.header("cache-control"), "no-store");
    let session = told.session();
    let (name, id) = session.split_once('=').expect("a pair");
    site.is_secret(id);
    // Daemons on one machine share the cookies of a browser.
    assert_eq!(name.len(), "swarm_session_".len() + 8);
    assert_eq!(site.ask(&me().cookie(&session)).expect(200).json()["user"], "vera");
    let out = site.ask(&Ask::get("/logout").cookie(&session)).expect(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    site.ask(&me().cookie(&session)).expect(401);
    site.ask(&Ask::get("/logout")).expect(204);
}

#[test]
fn a_login_gives_another_session_than_the_one_that_came_with_it() {
    let site = Site::new();
    // One that an attacker chose, and one that holds.
    let held = site.ask(&login("vera", &password_of("vera"))).session();
    let name = held.split_once('=').expect("a pair").0;
    let planted = format!("{name}={}", "A".repeat(43));
    let fixed = site.ask(&login("vera", &password_of("vera")).cookie(&planted)).expect(200);
    assert_ne!(fixed.session(), planted);
    site.ask(&me().cookie(&planted)).expect(401);
    let first = site.login("vera");
    let second = site.ask(&login("edith", &password_of("edith")).cookie(&first.session)).expect(200);
    assert_ne!(second.session(), first.session);
    site.ask(&me().cookie(&first.session)).expect(401);
    assert_eq!(site.ask(&me().cookie(&second.session())).expect(200).json()["user"], "edith");
}

#[test]
fn wrong_passwords_cost_a_wait_and_do_not_tell_who_is_a_user() {
    let site = Site::new();
    let known = site.ask(&login("vera", "wrong")).expect(401).json();
    let unknown = site.ask(&login("nobody", "wrong")).expect(401).json();
    assert_eq!(known, unknown);
    let refused = (0..20).map(|_| site.ask(&login("vera", "wrong"))).find(|told| told.status == 429);
    let refused = refused.expect("a wait");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=900).contains(&wait) && refused.json()["retry_after"] == wait, "{refused:?}");
    // The right one waits, too: it is not compared.
    site.ask(&login("vera", &password_of("vera"))).expect(429);
    site.ask_as("vera", me()).expect(429);
    // Nobody from this address is heard for a while, under no name.
    site.ask(&login("nobody", "wrong")).expect(429);
    std::thread::sleep(Duration::from_secs(wait));
    site.team.until("the wait is over", || site.ask(&login("vera", &password_of("vera"))).status == 200);
}

#[test]
fn a_flood_of_wrong_logins_leaves_the_audit_log_readable() {
    let site = Site::new();
    site.ask_as("edith", Ask::post(&format!("/api/v1/libraries/{}/locks", super::GUID), &lock())).expect(204);
    let name = "x".repeat(10_000);
    (0..60).for_each(|_| drop(site.ask(&login(&name, "wrong"))));
    let log = site.team.read("a/.swarm/audit.log");
    assert!(log.len() < 20_000, "{} bytes", log.len());
    let line: Value = log.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("JSON");
    assert_eq!((&line["did"], &line["from"]), (&json!("login refused"), &json!("127.0.0.1")));
    assert_eq!((&line["outcome"], &line["status"]), (&json!("refused"), &json!(401)));
    let first: Value = log.lines().next().and_then(|line| serde_json::from_str(line).ok()).expect("JSON");
    let found = ["did", "user", "what", "outcome"].map(|key| first[key].as_str().unwrap_or_default());
    assert_eq!(found, ["unlock", "edith", "a.txt", "done"]);
}

fn lock() -> Value {
    json!({"path": "a.txt", "seconds": 0, "why": ""})
}

#[test]
fn odd_proofs_are_refused() {
    let site = Site::new();
    for proof in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic dmVyYQ==",
        "Basic /w==",
        "Bearer",
        "Bearer ",
        "Digest x",
        "Negotiate",
    ] {
        site.ask(&me().with("authorization", proof)).expect(401);
    }
    site.ask(&me()).expect(401);
    site.ask(&me().cookie("")).expect(401);
    site.ask(
        &me().cookie(&format!("{}=guessed", site.login("vera").session.split_once('=').expect("a pair").0)),
    )
    .expect(401);
    // A proof that is wrong is not made right by another one.
    let browser = site.login("vera");
    site.ask(&me().cookie(&browser.session).bearer("wrong")).expect(401);
    site.ask(&login("vera", &"x".repeat(2000))).expect(401);
    for body in [json!({}), json!({"username": "vera"}), json!({"username": 1, "password": 2}), json!([])] {
        site.ask(&Ask::post("/login", &body)).expect(422);
    }
}

#[test]
fn what_proves_nobody_yet_is_short() {
    let site = Site::new();
    let long = "x".repeat(17 << 10);
    let (name, token) = (json!({"username": long, "password": "x"}), json!({"token": long}));
    let refresh = json!({"refresh_token": long});
    let setup = json!({"token": long, "username": "x", "password": "x"});
    for (path, body) in [
        ("/login", &name),
        ("/auth/token", &name),
        ("/auth/refresh", &refresh),
        ("/auth/revoke", &token),
        ("/api/v1/setup", &setup),
    ] {
        site.ask(&Ask::post(path, body)).expect(413);
    }
    // A proven user may send lists, and nobody else.
    let peers: Vec<Value> =
        (0..500).map(|port| json!({"address": format!("127.0.0.1:{}", port + 1)})).collect();
    let merge = Ask::post("/peers/merge", &json!({"peers": peers, "preview": true, "odd": long}));
    site.ask(&merge).expect(401);
    site.ask_as("adam", merge).expect(200);
}

#[test]
fn an_edit_of_users_json_ends_the_sessions_and_tokens_of_whom_it_is_about() {
    let site = Site::new();
    let (vera, edith) = (site.login("vera"), site.login("edith"));
    let token = tokens(&site, "vera");
    let mut changed = site.team.settings('a', "users.json");
    let is_vera = |user: &&mut Value| user["user"] == "vera";
    let entry = changed.as_array_mut().expect("a list").iter_mut().find(is_vera).expect("vera");
    *entry = json!({"user": "vera", "pass": "another secret", "role": "editor"});
    site.set_users(&changed);
    let ask = me().cookie(&vera.session);
    site.team.until("the session ends", || site.ask(&ask).status == 401);
    site.ask(&me().bearer(&token.access)).expect(401);
    site.ask(&refresh(&token.refresh)).expect(401);
    site.ask(&login("vera", &password_of("vera"))).expect(401);
    site.team.until("the new one holds", || site.ask(&login("vera", "another secret")).status == 200);
    // Nobody else notices; a role that is changed holds at once, in sessions that go on.
    assert_eq!(site.ask(&me().cookie(&edith.session)).expect(200).json()["role"], "editor");
    let mut changed = site.team.settings('a', "users.json");
    let is_edith = |user: &&mut Value| user["user"] == "edith";
    changed.as_array_mut().expect("a list").iter_mut().find(is_edith).expect("edith")["role"] =
        json!("viewer");
    site.set_users(&changed);
    site.team.until("the role is another", || {
        site.ask(&me().cookie(&edith.session)).expect(200).json()["role"] == "viewer"
    });
    // One that is taken out by an admin of this API is out at once.
    site.ask_as("adam", Ask::new("DELETE", "/api/v1/users/edith")).expect(204);
    site.ask(&me().cookie(&edith.session)).expect(401);
    site.ask(&login("edith", &password_of("edith"))).expect(401);
}

#[test]
fn a_password_is_changed_by_whom_it_is_and_ends_what_the_old_one_proved() {
    let site = Site::new();
    let (browser, other) = (site.login("vera"), site.login("vera"));
    let token = tokens(&site, "vera");
    site.is_secret("the next secret");
    site.is_secret("another secret still");
    let change = |old: &str, new: &str| {
        browser.asks(Ask::post("/api/v1/me/password", &json!({"old": old, "new": new})))
    };
    let old = password_of("vera");
    site.ask(&change("wrong", "the next secret")).expect(403);
    site.ask(&change(&old, "short")).expect(400);
    site.ask(&change(&old, "the next secret")).expect(204);
    // The one in which it was asked for goes on, and the page with it.
    site.ask(&me().cookie(&browser.session)).expect(200);
    site.ask(&change("the next secret", "another secret still")).expect(204);
    site.ask(&me().cookie(&other.session)).expect(401);
    site.ask(&me().bearer(&token.access)).expect(401);
    site.ask(&refresh(&token.refresh)).expect(401);
    site.ask(&login("vera", &old)).expect(401);
    site.ask_as("vera", me()).expect(401);
    let told = site.ask(&login("vera", "another secret still")).expect(200);
    site.is_secret(told.session().split_once('=').expect("a pair").1);
    assert!(site.team.read("a/.swarm/audit.log").contains("password change"));
}

struct Tokens {
    access: String,
    refresh: String,
}

fn tokens(site: &Site, user: &str) -> Tokens {
    taken(site, &site.ask(&Ask::post("/auth/token", &credentials(user))).expect(200))
}

fn taken(site: &Site, told: &Told) -> Tokens {
    let body = told.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    let text = |key: &str| body[key].as_str().expect("a token").to_owned();
    let tokens = Tokens { access: text("access_token"), refresh: text("refresh_token") };
    site.is_secret(&tokens.access);
    site.is_secret(&tokens.refresh);
    tokens
}

fn refresh(token: &str) -> Ask {
    Ask::post("/auth/refresh", &json!({"refresh_token": token}))
}

fn revoke(token: &str) -> Ask {
    Ask::post("/auth/revoke", &json!({"token": token}))
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64")).expect("JSON")
}

#[test]
fn an_access_token_is_signed_short_lived_and_cannot_be_changed() {
    let site = Site::new();
    let token = tokens(&site, "vera").access;
    assert_eq!(site.ask(&me().bearer(&token)).expect(200).json()["user"], "vera");
    let (head, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!((&head["alg"], &claims["sub"]), (&json!("EdDSA"), &json!("vera")));
    let seconds = |key: &str| claims[key].as_u64().expect("a number");
    assert_eq!(seconds("exp") - seconds("iat"), 900);
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 32), "{claims}");
    // What is in it opens nothing by itself.
    assert!(!claims.to_string().contains("argon2"), "{claims}");
    let of = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let parts: Vec<&str> = token.split('.').collect();
    let mut other = claims.clone();
    other["sub"] = json!("adam");
    let mut later = claims.clone();
    later["exp"] = json!(seconds("exp") + 1);
    let none = json!({"alg": "none", "typ": "JWT"});
    let forged = [
        format!("{}.{}.", of(&none), parts[1]),
        format!("{}.{}.", of(&json!({"alg": "None"})), of(&other)),
        format!("{}.{}.{}", of(&json!({"alg": "HS256", "typ": "JWT"})), parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], of(&other), parts[2]),
        format!("{}.{}.{}", parts[0], of(&later), parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], parts[2].replace(|_| true, "A")),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}x"),
    ];
    for forged in forged {
        site.ask(&me().bearer(&forged)).expect(401);
    }
}

#[test]
fn an_access_token_expires() {
    let site = Site::new();
    // Signed with the key of this node, so that only its time is wrong.
    let key = site.team.path("a/.swarm/token-key");
    let pair =
        ring::signature::Ed25519KeyPair::from_pkcs8(&std::fs::read(key).expect("a key")).expect("a key");
    let token = tokens(&site, "vera").access;
    let (head, claims) = (part(&token, 0), part(&token, 1));
    let signed = |claims: &Value| {
        let of = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let text = format!("{}.{}", of(&head), of(claims));
        let signature = BASE64URL_NOPAD.encode(pair.sign(text.as_bytes()).as_ref());
        format!("{text}.{signature}")
    };
    let now = claims["iat"].as_u64().expect("a number");
    let with = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        signed(&claims)
    };
    site.ask(&me().bearer(&signed(&claims))).expect(200);
    site.ask(&me().bearer(&with("exp", json!(now - 1)))).expect(401);
    site.ask(&me().bearer(&with("iss", json!("another node")))).expect(401);
    site.ask(&me().bearer(&with("sub", json!("adam")))).expect(401);
    site.ask(&me().bearer(&with("exp", Value::Null))).expect(401);
}

#[test]
fn a_refresh_token_holds_once_and_its_reuse_ends_all_that_came_from_it() {
    let site = Site::new();
    let first = tokens(&site, "vera");
    let second = taken(&site, &site.ask(&refresh(&first.refresh)).expect(200));
    assert!(second.refresh != first.refresh && second.access != first.access);
    site.ask(&me().bearer(&second.access)).expect(200);
    // Somebody has a copy.
    site.ask(&refresh(&first.refresh)).expect(401);
    site.ask(&refresh(&second.refresh)).expect(401);
    site.ask(&refresh("guessed")).expect(401);
    site.ask(&refresh(&second.access)).expect(401);
}

#[test]
fn a_revoked_token_holds_no_more() {
    let site = Site::new();
    let (one, other) = (tokens(&site, "vera"), tokens(&site, "vera"));
    site.ask(&revoke(&one.access)).expect(204);
    site.ask(&me().bearer(&one.access)).expect(401);
    site.ask(&revoke(&one.refresh)).expect(204);
    site.ask(&refresh(&one.refresh)).expect(401);
    site.ask(&revoke("unknown")).expect(204);
    // The other login goes on.
    site.ask(&me().bearer(&other.access)).expect(200);
    site.ask(&refresh(&other.refresh)).expect(200);
    // And with a refresh token the access token of its login ends; in the next process none of this holds again.
    let third = tokens(&site, "vera");
    site.ask(&revoke(&third.refresh)).expect(204);
    site.ask(&me().bearer(&third.access)).expect(401);
    let log = site.team.read("a/.swarm/audit.log");
    assert_eq!(log.matches("\"did\":\"token revoke\"").count(), 3, "{log}");
    site.team.stop('a');
    site.start('a');
    for revoked in [&one.access, &third.access] {
        site.ask(&me().bearer(revoked)).expect(401);
    }
}

#[test]
fn a_session_and_a_token_end_with_the_process_or_hold_as_they_say() {
    let site = Site::new();
    let (browser, token) = (site.login("vera"), tokens(&site, "vera"));
    site.team.stop('a');
    site.start('a');
    site.ask(&me().cookie(&browser.session)).expect(401);
    // Its key is kept.
    site.ask(&me().bearer(&token.access)).expect(200);
}

#[test]
fn what_is_kept_on_disk_opens_nothing() {
    let site = Site::new();
    let (browser, token) = (site.login("adam"), tokens(&site, "adam"));
    for name in ["users.json", ".swarm/token-key", ".swarm/https-key.pem", ".swarm/audit.log"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode =
            std::fs::metadata(site.team.path(&format!("a/{name}"))).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o077, 0, "{name}");
    }
    let id = browser.session.split_once('=').expect("a pair").1.to_owned();
    let (line, turn) = token.refresh.split_once('.').expect("two halves");
    let secrets = [id, browser.csrf, token.access, line.to_owned(), turn.to_owned(), password_of("adam")];
    let files = walkdir::WalkDir::new(site.team.path("a")).into_iter().filter_map(Result::ok);
    for file in files.filter(|entry| entry.file_type().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        for secret in &secrets {
            let hex = HEXLOWER.encode(secret.as_bytes());
            for shape in [secret.as_bytes(), hex.as_bytes()] {
                assert!(!bytes.windows(shape.len()).any(|part| part == shape), "{:?}", file.path());
            }
        }
    }
    assert_eq!(users().as_array().map(Vec::len), Some(5));
}
