//! Holds the room table of the design: which room may know which, and what pure rooms never touch. Reads the source as text:
//! comments and strings are blanked, nothing is expanded.

use std::fs;
use std::path::Path;

/// A room, and the rooms it may know.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("manifest", &["base", "proto"]),
    ("wire", &["base", "manifest", "proto"]),
    ("trust", &["base"]),
    ("engine", &["base", "manifest", "wire", "trust"]),
    ("sync", &["base", "manifest", "wire", "engine"]),
    ("registry", &["base", "manifest"]),
    ("sim", &["base", "manifest", "wire", "trust", "engine", "registry"]),
    ("transport", &["base", "manifest", "wire", "trust"]),
    ("credentials", &["base", "trust"]),
    ("storage", &["base", "manifest"]),
    ("discovery", &["base", "manifest", "wire", "transport"]),
    ("coordinator", &["base", "manifest", "wire", "registry", "trust", "transport"]),
    ("node", &["base", "manifest", "wire", "trust", "engine", "transport", "storage", "discovery"]),
    (
        "service",
        &[
            "base",
            "manifest",
            "wire",
            "trust",
            "engine",
            "transport",
            "credentials",
            "storage",
            "discovery",
            "coordinator",
            "node",
        ],
    ),
    (
        "cli",
        &[
            "base",
            "manifest",
            "wire",
            "trust",
            "engine",
            "transport",
            "credentials",
            "storage",
            "discovery",
            "coordinator",
            "node",
            "service",
        ],
    ),
    ("proto", &[]),
];

/// Rooms without async, clock, sockets, files, threads and hash maps.
const PURE: &[&str] = &["base", "manifest", "wire", "trust", "engine", "sync", "registry", "sim"];

/// What pure rooms do not name. `std::net::SocketAddr` is a value, not a socket.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "quinn",
    "rustls",
    "rayon",
    "HashMap",
    "HashSet",
    "DashMap",
    "SystemTime",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
];

/// Everything in one file that goes against the table.
fn violations(room: &str, source: &str) -> Vec<String> {
    let source = flattened(&code_of(source));
    let words = words_of(&source);
    let mut found = Vec::new();
    for path in &words {
        if let Some(other) = path.strip_prefix("crate::").and_then(|rest| rest.split("::").next())
            && other != room
            && !allowed(room).contains(&other)
            && is_module(other)
        {
            found.push(format!("{room} knows {other}: {path}"));
        }
        for impure in IMPURE.iter().filter(|_| PURE.contains(&room)) {
            if names(path, impure) {
                found.push(format!("{room} is pure and yet names {impure}: {path}"));
            }
        }
    }
    found
}

fn allowed(room: &str) -> &'static [&'static str] {
    let row = ARROWS.iter().find(|(name, _)| *name == room);
    row.unwrap_or_else(|| panic!("room `{room}` is not in the table: add it here and to the design")).1
}

/// `crate::Thing` is no room.
fn is_module(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// Whether a path holds these components, one after the other.
fn names(path: &str, impure: &str) -> bool {
    format!("::{path}::").contains(&format!("::{impure}::"))
}

/// The code alone: comments, strings and tests at the end of a file are left out.
fn code_of(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut code = String::new();
    for line in source.lines() {
        let (mut is_string, mut letters) = (false, line.chars().peekable());
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if is_string => {
                    letters.next();
                }
                '\'' if !is_string && letters.peek() == Some(&'"') => {
                    letters.next();
                }
                '"' => is_string = !is_string,
                '/' if !is_string && letters.peek() == Some(&'/') => break,
                _ if is_string => {}
                letter => code.push(letter),
            }
        }
        code.push('\n');
    }
    code
}

/// `a::{b, c::{d}}` as `a::b , a::c::d`: every path in full.
fn flattened(code: &str) -> String {
    let mut flat = String::new();
    let mut prefixes: Vec<Option<String>> = Vec::new();
    let mut path = String::new();
    for letter in code.chars() {
        match letter {
            '{' => {
                prefixes.push(path.ends_with("::").then(|| path.clone()));
                if prefixes.last().is_some_and(Option::is_none) {
                    flat.push_str(&path);
                    flat.push(' ');
                    path.clear();
                }
            }
            '}' | ',' | ';' => {
                flat.push_str(&path);
                flat.push(' ');
                if letter == '}' {
                    prefixes.pop();
                }
                path = prefixes.last().cloned().flatten().unwrap_or_default();
            }
            letter if letter.is_alphanumeric() || letter == '_' || letter == ':' => path.push(letter),
            _ if path.ends_with("::") => {}
            _ => {
                flat.push_str(&path);
                flat.push(' ');
                path = prefixes.last().cloned().flatten().unwrap_or_default();
            }
        }
    }
    flat + &path
}

fn words_of(flat: &str) -> Vec<String> {
    flat.split_whitespace()
        .map(|word| word.trim_matches(':').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Every source file of a room, with its name from `src`.
fn sources() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    for found in walkdir::WalkDir::new(&src).sort_by_file_name() {
        let found = found.expect("the source can be read");
        let path = found.path().strip_prefix(&src).expect("it is below").to_string_lossy().into_owned();
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        if found.path().extension().is_none_or(|end| end != "rs") || is_test || path.starts_with("bin/") {
            continue;
        }
        let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        if room != "lib" && room != "main" {
            sources.push((room, path, fs::read_to_string(found.path()).expect("UTF-8")));
        }
    }
    sources
}

#[test]
fn rooms_know_only_those_whom_they_may() {
    let sources = sources();
    assert!(sources.len() > 50, "only {} files were read", sources.len());
    let found: Vec<String> = sources
        .iter()
        .flat_map(|(room, path, source)| {
            violations(room, source).into_iter().map(move |violation| format!("src/{path}: {violation}"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_table_has_no_way_back() {
    for (at, (room, known)) in ARROWS.iter().enumerate() {
        for other in *known {
            let of_other = ARROWS.iter().position(|(name, _)| name == other).expect("it is a room");
            assert!(of_other < at || *other == "proto", "{room} knows {other}, which stands above it");
        }
    }
}

#[test]
fn a_planted_violation_is_found() {
    let check = |room: &str, source: &str, expected: &[&str]| {
        assert_eq!(violations(room, source), expected, "{room}: {source}");
    };
    check("base", "use crate::engine::Engine;", &["base knows engine: crate::engine::Engine"]);
    check(
        "engine",
        "let x = crate::node::clock::wall_clock();",
        &["engine knows node: crate::node::clock::wall_clock"],
    );
    check(
        "storage",
        "use crate::{base::ByteLen, transport::{Link, Endpoint}};",
        &[
            "storage knows transport: crate::transport::Link",
            "storage knows transport: crate::transport::Endpoint",
        ],
    );
    check("wire", "async fn f() {}", &["wire is pure and yet names async: async"]);
    check("wire", "fn f(x: X) { x.go().await }", &["wire is pure and yet names await: await"]);
    check(
        "engine",
        "use std::collections::{BTreeMap, HashMap};",
        &["engine is pure and yet names HashMap: std::collections::HashMap"],
    );
    check("manifest", "use std::{fs, io};", &["manifest is pure and yet names std::fs: std::fs"]);
    check(
        "engine",
        "let now = std::time::Instant::now();",
        &["engine is pure and yet names std::time::Instant: std::time::Instant::now"],
    );
    check(
        "base",
        "use std::net::UdpSocket;",
        &["base is pure and yet names std::net::UdpSocket: std::net::UdpSocket"],
    );
    check("base", "tokio::spawn(x);", &["base is pure and yet names tokio: tokio::spawn"]);
}

#[test]
fn what_is_allowed_is_not_reported() {
    let check = |room: &str, source: &str| assert_eq!(violations(room, source), [""; 0], "{room}: {source}");
    check("engine", "use crate::base::{Instant, limits::FILES_MAX};\nuse crate::wire::Message;");
    check("manifest", "use std::net::{IpAddr, SocketAddr};");
    check("engine", "// not std::fs, and no HashMap\nlet x = \"tokio // HashMap\"; /// async\n");
    check("wire", "use crate::proto;");
    check("base", "use super::limits::X; use crate::base::units; use std::time::Duration;");
    check("engine", "fn f() {}\n#[cfg(test)]\nmod tests {\n use std::collections::HashMap;\n}");
    check("storage", "use std::fs::File; use std::collections::HashMap;");
    check("engine", "let quote = '\"'; let s = \"\\\"tokio\";");
}
