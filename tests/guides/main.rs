//! Checks README and the book in `docs/`: every shell line runs here, every link has a target, and every
//! page of the book is in its table of contents.
//!
//! The conventions of a page:
//! - A block of language `sh` runs, a command at a time, in a folder and with a home of its own for each page.
//! - `COMMAND &` runs until the page ends. `# prints its ticket: TICKET` after a command names its output; where `TICKET` stands
//!   later on the page, the printed line is inserted. A command in the background that prints nothing is ready when its log says so.
//! - `# exit code 4` after a command is its expected exit code; without it that is 0.
//! - A block of language `toml` whose first line is a comment with a file name is that file.
//! - A block of language `sh,norun` does not run; the line above it says why: `<!-- not run: it needs systemd -->`.
//! - Ports 4433 and 9433 become free ones. `files` creates the files that the pages start from: `film.mkv` and others.
//!
//! `SWARM_GUIDE=guides/trust` selects pages by a part of their path.
#![cfg(unix)]

mod links;
mod page;
mod run;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, thread};

use expect_test::expect;

use page::{Page, Step};
use run::Shell;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and the pages of the book, in the order of their paths.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn read(path: &Path) -> Page {
    let name = path.strip_prefix(root()).expect("it is in the repository").to_string_lossy().into_owned();
    Page::parse(&name, &fs::read_to_string(path).expect("a page"))
}

#[test]
fn every_shell_line_runs_and_ends_as_it_says() {
    let asked = env::var("SWARM_GUIDE").unwrap_or_default();
    let pages = pages().iter().map(|path| read(path)).collect::<Vec<_>>();
    let queue = Mutex::new(pages.iter().filter(|page| page.has_commands() && page.name.contains(&asked)));
    let failed = Mutex::new(Vec::new());
    let next = || queue.lock().expect("no worker panics with it").next();
    thread::scope(|scope| {
        for _ in 0..PAGES_AT_ONCE {
            scope.spawn(|| {
                while let Some(page) = next() {
                    let result = Shell::new(page).and_then(|mut shell| shell.run(page));
                    let commands = page.steps.iter().filter(|step| matches!(step, Step::Run(_))).count();
                    match result {
                        Ok(()) => say(&format!("guide: {}: {commands} commands ran", page.name)),
                        Err(why) => failed.lock().expect("no worker panics with it").push(why),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no worker panics with it");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn blocks_that_do_not_run_are_few_and_say_why() {
    let mut skipped = String::new();
    for page in pages().iter().map(|path| read(path)) {
        for (line, why) in &page.skipped {
            let why = why.as_ref().unwrap_or_else(|| {
                panic!("{}:{line}: the line above must be <!-- not run: why -->", page.name)
            });
            skipped += &format!("{}: {why}\n", page.name);
        }
    }
    expect![[r"
        docs/guides/find-peers.md: it announces to the public DHT and asks the router for a port
        docs/guides/library.md: it needs servers of these names
        docs/operations/systemd.md: it needs systemd and root
    "]]
    .assert_eq(&skipped);
}

#[test]
fn readme_is_a_screen() {
    let lines = fs::read_to_string(root().join("README.md")).expect("a page").lines().count();
    assert!(lines <= 80, "README has {lines} lines: move some of them into docs");
}

#[test]
fn every_link_leads_somewhere() {
    let others = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let paths = pages().into_iter().chain(others.map(|name| root().join(name)));
    let dead: Vec<String> = paths.flat_map(|path| links::dead(&path)).collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("a table of contents");
    for page in pages() {
        let Ok(name) = page.strip_prefix(root().join("docs")) else { continue };
        let is_listed = summary.contains(&format!("]({})", name.to_string_lossy()));
        assert!(
            is_listed || name == Path::new("SUMMARY.md"),
            "docs/SUMMARY.md lacks {}",
            name.to_string_lossy()
        );
    }
}

#[test]
fn every_message_of_the_troubleshooting_page_is_in_the_source() {
    let source = source_of(&["src", "crates"].map(|name| root().join(name)));
    let page = fs::read_to_string(root().join("docs/operations/troubleshooting.md")).expect("a page");
    let messages: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### `")).collect();
    assert!(messages.len() > 10, "the headings have another form now");
    for message in messages {
        for part in message.trim_end_matches('`').split("...").map(str::trim).filter(|part| !part.is_empty())
        {
            assert!(
                source.contains(part),
                "swarm says `{part}` no more: mend docs/operations/troubleshooting.md"
            );
        }
    }
}

#[test]
fn every_path_that_contributors_are_sent_to_exists() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("a page");
    let paths = page.split('`').skip(1).step_by(2).filter(|code| {
        let is_path =
            ["src/", "crates/", "proto/", "tests/", "fuzz/", "docs/"].iter().any(|top| code.starts_with(top));
        is_path && !code.contains("NAME")
    });
    let paths: Vec<&str> = paths.map(|code| code.split("::").next().unwrap_or(code)).collect();
    assert!(paths.len() > 10, "{paths:?}");
    // Without the crates, only paths outside of them can be checked.
    let has_crates = root().join("crates").is_dir();
    let is_missing =
        |path: &&&str| !root().join(path).exists() && (has_crates || !path.starts_with("crates/"));
    let missing: Vec<_> = paths.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "CONTRIBUTING.md names {missing:?}");
}

/// All Rust files below these folders, joined.
fn source_of(folders: &[PathBuf]) -> String {
    let mut source = String::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                source += &source_of(&[path]);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source += &fs::read_to_string(&path).expect("a file of the repository");
            }
        }
    }
    source
}

/// Prints past the test harness, which hides the output of passed tests.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is open");
}

const PAGES_AT_ONCE: usize = 3;
