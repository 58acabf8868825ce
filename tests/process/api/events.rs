//! Server-sent events: how everything stands, whenever it changes.

use std::io::{BufRead as _, BufReader, Read, Write as _};

use serde_json::{Value, json};

use super::client::{self, Ask};
use super::{GUID, Site, password_of};

/// A client that listens.
struct Listener(BufReader<Box<dyn Read>>);

#[derive(Debug)]
struct Event {
    id: Option<u64>,
    kind: String,
    data: Value,
}

impl Listener {
    fn new(site: &Site, ask: &Ask) -> Self {
        let mut stream = client::connect(site.address());
        let mut head = format!("GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n", site.address());
        for (name, value) in &ask.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes()).expect("it takes a request");
        let mut listener = Self(BufReader::new(Box::new(stream)));
        let status = listener.line().expect("an answer");
        assert!(status.contains(" 200 "), "{status}");
        listener
    }

    fn of(site: &Site, user: &str) -> Self {
        Self::new(site, &events().basic(user, &password_of(user)))
    }

    fn after(site: &Site, last: &str) -> Self {
        Self::new(site, &events().basic("adam", &password_of("adam")).with("last-event-id", last))
    }

    /// `None` once it is over.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event. Headers and the lengths of chunks are passed over.
    fn try_next(&mut self) -> Option<Event> {
        let (mut id, mut kind) = (None, String::new());
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", number)) => id = number.parse().ok(),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", text)) => {
                    return Some(Event { id, kind, data: serde_json::from_str(text).expect("JSON") });
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Event {
        self.try_next().expect("it goes on")
    }

    /// The next one of which something holds.
    fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Event {
        loop {
            let event = self.next();
            if event.kind == "status" && holds(&event.data) {
                return event;
            }
        }
    }
}

fn events() -> Ask {
    Ask::get("/api/v1/events")
}

fn files(status: &Value) -> Option<u64> {
    status["libraries"][0]["files"].as_u64()
}

#[test]
fn a_listener_is_told_what_changes() {
    let site = Site::new();
    let mut listener = Listener::of(&site, "adam");
    let first = listener.next();
    assert_eq!(first.kind, "status");
    // As the page has it at its first look.
    assert_eq!(first.data["node"], site.get("/api/v1/status")["node"]);
    site.put("a.txt", "a");
    let later = listener.until(|status| files(status) == Some(1));
    assert!(later.id > first.id && first.id.is_some(), "{first:?} {later:?}");
    site.ask(&events()).expect(401);
    site.ask_as("mia", events()).expect(403);
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let site = Site::new();
    let mut listener = Listener::of(&site, "adam");
    site.put("a.txt", "a");
    let seen =
        listener.until(|status| files(status) == Some(1) && status["libraries"][0]["state"] == "up to date");
    let seen = seen.id.expect("a number");
    drop(listener);
    site.put("b.txt", "b");
    let mut listener = Listener::after(&site, &seen.to_string());
    let newest = listener.until(|status| files(status) == Some(2));
    assert!(newest.id > Some(seen), "{newest:?}");
    // What is no number is as if nothing had been seen.
    assert!(Listener::after(&site, "x").next().id >= newest.id);
}

#[test]
fn a_listener_of_an_earlier_process_is_told_how_things_stand_now() {
    let site = Site::new();
    site.put("a.txt", "a");
    let seen = Listener::of(&site, "adam").next().id.expect("a number");
    site.team.stop('a');
    site.start('a');
    site.put("b.txt", "b");
    site.team.until("it has both", || files(&site.get("/api/v1/status")) == Some(2));
    // Whatever number it saw, it has not seen this.
    for last in seen..seen + 3 {
        let told = Listener::after(&site, &last.to_string()).next();
        assert_eq!((told.kind.as_str(), files(&told.data)), ("status", Some(2)), "{told:?}");
    }
}

#[test]
fn who_may_see_one_library_hears_of_no_other() {
    let site = Site::stopped("a");
    let mount = |dir: &str| json!([{"dir": dir, "libpath": "/", "sync": true}]);
    let libraries = json!({
        "Lib 1": {"guid": GUID, "mounts": mount("lib")},
        "Secret films": {"guid": "secondlibrary00", "mounts": mount("other")},
    });
    site.team.set('a', "libraries.json", &libraries);
    let mut users = super::users();
    users[1]["role"] = json!("viewer");
    users[1]["libraries"] = json!({"Secret films": "mirror"});
    site.set_users(&users);
    site.start('a');
    site.until_users(5);
    let mut listener = Listener::of(&site, "vera");
    site.put("a.txt", "a");
    let heard = listener.until(|status| files(status) == Some(1));
    assert_eq!(heard.data["libraries"].as_array().map(Vec::len), Some(1));
    assert!(!heard.data.to_string().contains("Secret films"), "{heard:?}");
    assert!(!heard.data.to_string().contains("secondlibrary00"), "{heard:?}");
    assert_eq!(site.get("/api/v1/status")["libraries"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_listener_whose_session_or_user_ends_hears_no_more() {
    let site = Site::new();
    let browser = site.login("vera");
    let mut of_session = Listener::new(&site, &events().cookie(&browser.session));
    let mut of_user = Listener::of(&site, "edith");
    assert_eq!((of_session.next().kind, of_user.next().kind), ("status".to_owned(), "status".to_owned()));
    site.ask(&Ask::get("/logout").cookie(&browser.session)).expect(204);
    site.ask_as("adam", Ask::new("DELETE", "/api/v1/users/edith")).expect(204);
    for (number, mut listener) in [of_session, of_user].into_iter().enumerate() {
        site.put(&format!("after-{number}.txt"), "after");
        while let Some(event) = listener.try_next() {
            assert!(!event.data.to_string().contains("after"), "{event:?}");
            assert!(files(&event.data) < Some(number as u64 + 1), "{event:?}");
        }
    }
}
