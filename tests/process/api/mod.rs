//! The API of a daemon, as programs and browsers ask it: over plain HTTP on loopback, and over HTTPS. Every answer is compared with the OpenAPI
//! document, and at the end of a test no password, token or session that it used stands in a log, an audit log or the body of an error.

mod client;
mod conformity;
mod details;
mod ending;
mod endpoints;
mod events;
mod fetches;
mod files;
mod https;
mod keeping;
mod links;
mod names;
mod proofs;
mod public;
mod putting;
mod roles;
mod sites;
mod syncing;
mod transfers;
mod uploading;

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::library::{GUID, Team};
use client::{Ask, Told};
use conformity::Document;

/// Daemons of a team, asked over HTTP.
struct Site {
    team: Team,
    document: Document,
    /// The daemon that is asked.
    at: Cell<char>,
    /// What no log may have.
    secrets: RefCell<Vec<String>>,
    /// What errors and logs said.
    said: RefCell<String>,
}

/// A browser that has logged in.
struct Browser {
    session: String,
    csrf: String,
}

impl Site {
    /// A daemon that keeps a library, with users of each role. It runs.
    fn new() -> Self {
        Self::of("a")
    }

    /// Daemons that share a library; the first has users. All run.
    fn of(letters: &str) -> Self {
        let site = Self::stopped(letters);
        site.set_users(&users());
        letters.chars().for_each(|letter| site.start(letter));
        site.until_users(5);
        site
    }

    /// The same before they run, and without users.
    fn stopped(letters: &str) -> Self {
        let team = Team::new(letters);
        for (number, letter) in letters.chars().enumerate() {
            if number == 0 { team.keep(letter, &json!({})) } else { team.subscribe(letter, &json!({})) }
        }
        let (document, at) = (Document::of_code(), Cell::new('a'));
        Self { team, document, at, secrets: RefCell::default(), said: RefCell::default() }
    }

    /// Starts a daemon that tells more than usual.
    fn start(&self, letter: char) {
        self.team.start_logging(letter, "swarm=trace,hyper=debug,h2=debug,rustls=debug");
    }

    /// Writes users.json of the first daemon.
    fn set_users(&self, users: &Value) {
        let passwords = users.as_array().expect("a list").iter().filter_map(|user| user["pass"].as_str());
        passwords.for_each(|password| self.is_secret(password));
        self.team.set('a', "users.json", users);
    }

    /// Waits until passwords are replaced by their hashes.
    fn until_users(&self, count: usize) {
        self.team.until("passwords are hashed", || {
            let text = self.team.read("a/users.json");
            text.matches("$argon2id$").count() == count && !text.contains("\"pass\"")
        });
    }

    /// From now on it may stand in no log.
    fn is_secret(&self, secret: &str) {
        self.secrets.borrow_mut().push(secret.to_owned());
    }

    fn address(&self) -> SocketAddr {
        self.team.address(self.at.get())
    }

    /// Asks over plain HTTP, and compares the answer with the document.
    #[track_caller]
    fn ask(&self, ask: &Ask) -> Told {
        let told = ask.over_http(self.address());
        self.checked(ask, told)
    }

    #[track_caller]
    fn checked(&self, ask: &Ask, told: Told) -> Told {
        if let Some(fault) = self.document.fault(ask, &told) {
            panic!("not as the document says: {fault}");
        }
        if told.status >= 400 {
            self.said.borrow_mut().push_str(&told.text());
        }
        assert_eq!(told.header("x-content-type-options"), "nosniff");
        told
    }

    /// Asks as a user of [`users`].
    #[track_caller]
    fn ask_as(&self, user: &str, ask: Ask) -> Told {
        self.ask(&ask.basic(user, &password_of(user)))
    }

    /// What the admin gets, in JSON.
    #[track_caller]
    fn get(&self, path: &str) -> Value {
        self.ask_as("adam", Ask::get(path)).expect(200).json()
    }

    /// Logs a user in.
    #[track_caller]
    fn login(&self, user: &str) -> Browser {
        let told = self.ask(&Ask::post("/login", &credentials(user))).expect(200);
        let browser = Browser {
            session: told.session(),
            csrf: told.json()["csrf"].as_str().expect("a token").to_owned(),
        };
        self.is_secret(browser.session.split_once('=').expect("a pair").1);
        self.is_secret(&browser.csrf);
        browser
    }

    /// Puts a file into the library of the first daemon, and waits until the API has it.
    fn put(&self, name: &str, text: &str) {
        self.team.write(&format!("a/lib/{name}"), text);
        self.until_listed(name, text.len());
    }

    fn until_listed(&self, name: &str, len: usize) {
        self.team.until(&format!("{name} is listed"), || {
            let files = self.get(&format!("/files?guid={GUID}"));
            let is_it = |file: &Value| file["path"] == format!("/{name}") && file["length"] == len;
            files.as_array().expect("a list").iter().any(is_it)
        });
    }

    /// Everything that was said anywhere.
    fn logs(&self) -> String {
        let mut said = self.said.borrow().clone();
        for letter in self.team.runs() {
            let outcome = self.team.stop(letter);
            said.push_str(&outcome.out.join("\n"));
            said.push_str(&outcome.err.join("\n"));
        }
        for log in ["audit.log", "audit.log.1"] {
            said.push_str(
                &fs::read_to_string(self.team.path(&format!("a/.swarm/{log}"))).unwrap_or_default(),
            );
        }
        said
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let logs = self.logs();
        for secret in self.secrets.borrow().iter() {
            assert!(!logs.contains(secret), "`{secret}` was told: {logs}");
        }
    }
}

impl Browser {
    /// A request of its page: with the cookie, and the token if it changes something.
    fn asks(&self, ask: Ask) -> Ask {
        ask.cookie(&self.session).with("x-csrf-token", &self.csrf)
    }
}

/// A user of each role, and one who may see another library alone.
fn users() -> Value {
    let user = |name: &str, role: &str| json!({"user": name, "pass": password_of(name), "role": role});
    let guest = json!({"user": "greta", "pass": password_of("greta"), "libraries": {"Elsewhere": "editor"}});
    json!([
        user("mia", "mirror"),
        user("vera", "viewer"),
        user("edith", "editor"),
        user("adam", "admin"),
        guest
    ])
}

fn password_of(user: &str) -> String {
    format!("the secret of {user}")
}

fn credentials(user: &str) -> Value {
    json!({"username": user, "password": password_of(user)})
}
