//! Who may ask at all: other hosts, other sites, scripts of other pages.

use serde_json::{Value, json};

use super::client::{Ask, Told};
use super::{GUID, Site};

/// A request of somebody's browser that would look at the folders of the library now.
fn look() -> Ask {
    Ask::post(&format!("/api/v1/libraries/{GUID}/sync"), &Value::Null)
}

#[test]
fn a_cookie_changes_something_only_with_the_token_of_its_session() {
    let site = Site::new();
    let (browser, other) = (site.login("edith"), site.login("edith"));
    let check = |ask: Ask, status: u16| -> Told { site.ask(&ask).expect(status) };
    check(browser.asks(look()), 202);
    let refused = check(look().cookie(&browser.session), 403);
    assert!(refused.json()["detail"].as_str().is_some_and(|text| text.contains("x-csrf-token")));
    check(look().cookie(&browser.session).with("x-csrf-token", ""), 403);
    check(look().cookie(&browser.session).with("x-csrf-token", &other.csrf), 403);
    check(look().cookie(&browser.session).with("x-csrf-token", &browser.session), 403);
    // What changes nothing needs none, and tells the page its token.
    let me = check(Ask::get("/api/v1/me").cookie(&browser.session), 200);
    assert_eq!(me.json()["csrf"], browser.csrf);
    // A program that sends a password with each request has no cookie that another site could use.
    site.ask_as("edith", look()).expect(202);
}

#[test]
fn a_form_of_another_site_cannot_be_sent_as_json() {
    let site = Site::new();
    let login = json!({"username": "adam", "password": "guess"}).to_string().into_bytes();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let ask = Ask { body: login.clone(), ..Ask::new("POST", "/login") };
        site.ask(&ask.with("content-type", kind)).expect(415);
    }
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let site = Site::new();
    let browser = site.login("edith");
    let own = format!("http://{}", site.address());
    let check = |headers: &[(&str, &str)], status: u16| {
        let ask = headers.iter().fold(browser.asks(look()), |ask, (name, value)| ask.with(name, value));
        site.ask(&ask).expect(status);
    };
    check(&[("origin", &own), ("sec-fetch-site", "same-origin")], 202);
    check(&[("sec-fetch-site", "none")], 202);
    check(&[("origin", "https://evil.example")], 403);
    check(&[("origin", "null")], 403);
    check(&[("origin", "http://127.0.0.1:1")], 403);
    check(&[("sec-fetch-site", "cross-site")], 403);
    check(&[("sec-fetch-site", "same-site")], 403);
    // What came without TLS, anybody on the way may have written.
    check(&[("origin", &own.replacen("http:", "https:", 1))], 403);
    // Another program of this machine has the same cookies: it ends no session either.
    let logout = browser.asks(Ask::get("/logout").with("sec-fetch-site", "same-site"));
    site.ask(&logout).expect(403);
    site.ask(&browser.asks(Ask::get("/api/v1/me"))).expect(200);
    let login = Ask::post("/login", &super::credentials("adam")).with("origin", "https://evil.example");
    site.ask(&login).expect(403);
}

#[test]
fn a_name_that_is_not_of_this_machine_is_not_answered() {
    let site = Site::new();
    let port = site.address().port();
    let check = |host: &str, status: u16| {
        site.ask(&Ask::get("/api/v1/setup").with("host", host)).expect(status);
    };
    check(&format!("localhost:{port}"), 200);
    check(&format!("127.0.0.1:{port}"), 200);
    check(&format!("[::1]:{port}"), 200);
    check("10.1.2.3", 200);
    check("evil.example", 421);
    check(&format!("evil.example:{port}"), 421);
    check(&format!("127.0.0.1.evil.example:{port}"), 421);
    check("localhost.evil.example", 421);
    check("user@localhost", 421);
    // Before anything else: with credentials, too, and for the page.
    site.ask_as("adam", Ask::get("/status").with("host", "evil.example")).expect(421);
    site.ask(&Ask::get("/").with("host", "evil.example")).expect(421);
    let mut config = site.team.settings('a', "config.json");
    config["hosts"] = json!(["swarm.example.org"]);
    site.team.set('a', "config.json", &config);
    let named = Ask::get("/api/v1/setup").with("host", "swarm.example.org");
    site.team.until("the name is allowed", || site.ask(&named).status == 200);
    check("evil.example", 421);
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let site = Site::new();
    let asks = [Ask::get("/"), Ask::get("/status"), Ask::get("/api/openapi.json"), Ask::get("/nothing")];
    for ask in asks {
        let told = site.ask(&ask);
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(told.header(name), value, "{name} of {}", ask.path);
        }
        let policy = told.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(told.header("access-control-allow-origin"), "", "no other origin reads anything");
    }
}

#[test]
fn a_script_is_not_answered_with_a_question_of_the_browser() {
    let site = Site::new();
    let plain = site.ask(&Ask::get("/status")).expect(401);
    assert!(plain.header("www-authenticate").starts_with("Basic"), "{plain:?}");
    let script = site.ask(&Ask::get("/status").with("sec-fetch-mode", "cors")).expect(401);
    assert_eq!(script.header("www-authenticate"), "");
}
