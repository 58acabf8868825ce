//! Checks rules that the compiler does not: the intended table of crates, the dependencies and imports of pure crates, and
//! the arrows between rooms of `core`. Arrows between crates need no check: their `Cargo.toml` files hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A crate, and the crates of this workspace that it may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("engine", &["core"]),
    ("sim", &["core", "engine", "library", "sync"]),
    ("sync", &["core"]),
    ("library", &["core", "sync"]),
    ("index", &["core", "library", "sync"]),
    ("pair", &["core", "files", "index", "sync"]),
    ("carrier", &["core"]),
    ("link", &["carrier", "core"]),
    ("files", &["core", "sync"]),
    ("mounts", &["core", "files", "sync"]),
    ("credentials", &["core"]),
    ("pages", &[]),
    ("origins", &["core"]),
    ("discovery", &["core", "link"]),
    ("coordinator", &["core", "link"]),
    ("node", &["core", "engine", "link", "discovery", "files"]),
    (
        "host",
        &[
            "core",
            "engine",
            "link",
            "discovery",
            "files",
            "node",
            "pages",
            "credentials",
            "coordinator",
            "web-server",
        ],
    ),
    (
        "daemon",
        &[
            "core",
            "daemon-files",
            "discovery",
            "engine",
            "files",
            "index",
            "library",
            "link",
            "mounts",
            "node",
            "origins",
            "pages",
            "sync",
        ],
    ),
    ("api", &["core", "daemon", "daemon-files", "files", "pair", "sync", "web-server"]),
    ("testkit", &["core", "engine", "link", "discovery", "files", "node"]),
    ("daemon-files", &["core", "sync"]),
    (
        "bodies",
        &["carrier", "core", "engine", "sync", "library", "sim", "link", "discovery", "files", "host"],
    ),
    ("web", &["carrier", "core", "engine"]),
    ("web-server", &["link"]),
];

/// Tools of this repository, beside `crates`. They know no crate of the product, so that they start without building it.
const TOOLS: &[&str] = &["xtask"];

/// Crates for tests and benchmarks alone; these may depend on any other crate.
const TESTS_ALONE: &[&str] = &["swarm-testkit", "swarm-bodies"];

/// The feature of `swarm-daemon` with what process tests set.
const TEST_CONTROLS: &str = "test-controls";

/// External crates that a pure crate may depend on: values and arithmetic, no runtime, no socket, no file.
const PURE_DEPENDENCIES: &[&str] = &[
    "blake3",
    "bytes",
    "caseless",
    "chacha20",
    "chacha20poly1305",
    "data-encoding",
    "ed25519-dalek",
    "fastrand",
    "hpke",
    "imara-diff",
    "prost",
    "serde",
    "snow",
    "thiserror",
    "unicode-normalization",
];

/// A room of `core`, and the rooms that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("base", &[]),
    ("manifest", &["base", "proto"]),
    ("wire", &["base", "manifest", "proto"]),
    ("trust", &["base"]),
    ("presence", &["base", "manifest"]),
    ("registry", &["base", "manifest"]),
];

/// Crates without async, clock, sockets, files, threads and hash maps.
const PURE: &[&str] = &["core", "engine", "carrier", "sync", "library", "sim"];

/// Names that pure crates must not use. `std::net::SocketAddr` is a value, not a socket.
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

/// Forbidden names in one file of a pure crate.
fn impurities(source: &str) -> Vec<String> {
    let words = words_of(&flattened(&code_of(source)));
    let named = |path: &String| -> Vec<String> {
        let impure = IMPURE.iter().filter(|impure| names(path, impure));
        impure.map(|impure| format!("{impure}: {path}")).collect()
    };
    words.iter().flat_map(named).collect()
}

/// Imports of one file in a room of `core` that the table does not allow.
fn arrows(room: &str, source: &str) -> Vec<String> {
    let row = ROOMS.iter().find(|(name, _)| *name == room);
    let allowed = row.unwrap_or_else(|| panic!("room `{room}` is not in the table: add it")).1;
    let words = words_of(&flattened(&code_of(source)));
    let known = words.iter().filter_map(|path| path.strip_prefix("crate::")?.split("::").next());
    let foreign = known.filter(|other| *other != room && is_module(other) && !allowed.contains(other));
    foreign.map(|other| format!("{room} knows {other}")).collect()
}

/// Whether a name is a module: `crate::Thing` is not.
fn is_module(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// Whether a path contains these components in a row.
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

/// Every source file of a crate without its tests, with its name from the `src` of that crate.
fn sources(of: &str) -> Vec<(String, String)> {
    let sources = all_sources(of);
    assert!(sources.len() > 5, "only {} files of {of} were read", sources.len());
    sources
}

/// The same of a crate that may have few.
fn all_sources(of: &str) -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(of).join("src");
    let mut sources = Vec::new();
    for found in walkdir::WalkDir::new(&src).sort_by_file_name() {
        let found = found.expect("the source can be read");
        let path = found.path().strip_prefix(&src).expect("it is below").to_string_lossy().into_owned();
        let is_test = path.ends_with("tests.rs") || path.contains("tests/");
        // The command of the simulator reads its arguments, writes plots, and runs worlds on all cores.
        let is_command = path == "main.rs" || path == "worlds.rs";
        if found.path().extension().is_some_and(|end| end == "rs") && !is_test && !is_command {
            sources.push((path, fs::read_to_string(found.path()).expect("UTF-8")));
        }
    }
    sources
}

/// The packages of this workspace: their normal dependencies by name, those for wasm too.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    dependencies_where(|dependency| dependency["kind"].is_null() && dependency["target"].is_null())
}

/// The packages of this workspace: those of their dependencies that are so.
fn dependencies_where(is_so: impl Fn(&Value) -> bool) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let told = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let row = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        let named = all.filter(|dependency| is_so(dependency)).map(|dependency| text(&dependency["name"]));
        (text(&package["name"]), named.collect())
    };
    packages.map(row).collect()
}

#[test]
fn crates_know_those_of_the_table() {
    let dependencies = dependencies();
    for (name, known) in CRATES {
        let of_crate = &dependencies[&format!("swarm-{name}")];
        let found: BTreeSet<&str> =
            of_crate.iter().filter_map(|other| other.strip_prefix("swarm-")).collect();
        assert_eq!(found, known.iter().copied().collect(), "swarm-{name}");
    }
    let missing: Vec<_> = dependencies
        .keys()
        .filter_map(|name| name.strip_prefix("swarm-"))
        .filter(|name| !CRATES.iter().any(|(known, _)| known == name))
        .collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

#[test]
fn packages_are_the_product_or_tools_that_know_none_of_it() {
    let dependencies = dependencies_where(|_| true);
    let is_product = |name: &str| name == "swarm" || name.starts_with("swarm-");
    let tools: Vec<_> = dependencies.keys().filter(|name| !is_product(name)).collect();
    assert_eq!(tools, TOOLS);
    for name in TOOLS {
        let product: Vec<_> = dependencies[*name].iter().filter(|other| is_product(other)).collect();
        assert!(product.is_empty(), "{name} knows {product:?}");
    }
}

#[test]
fn crates_for_tests_are_known_to_tests_alone() {
    // For whatever system, and of build scripts, too.
    let dependencies = dependencies_where(|dependency| dependency["kind"] != "dev");
    for name in TESTS_ALONE {
        assert!(dependencies.contains_key(*name), "{name} has another name now");
        let product: Vec<_> = dependencies.iter().filter(|(_, known)| known.contains(*name)).collect();
        assert!(product.is_empty(), "{name} is a dependency of {product:?}: make it a dev-dependency");
    }
}

/// A test may set the clock of a daemon ahead, for one: what is built for use must not read that.
#[test]
fn what_tests_set_is_read_by_no_product() {
    let reads: Vec<String> = CRATES
        .iter()
        .filter(|(name, _)| !TESTS_ALONE.contains(&&*format!("swarm-{name}")))
        .flat_map(|(name, _)| all_sources(name).into_iter().map(move |(path, source)| (name, path, source)))
        .filter(|(_, _, source)| source.contains("SWARM_TEST_"))
        .map(|(name, path, _)| format!("{name}/{path}"))
        .collect();
    assert_eq!(reads, ["daemon/test_controls.rs"]);
    let has_it = |dependency: &Value| {
        let features = dependency["features"].as_array().expect("features").iter();
        dependency["kind"] != "dev" && features.clone().any(|feature| feature == TEST_CONTROLS)
    };
    let product: Vec<_> =
        dependencies_where(has_it).into_iter().filter(|(_, known)| !known.is_empty()).collect();
    assert!(product.is_empty(), "{product:?}: make it a dev-dependency");
    let source =
        sources("daemon").into_iter().find(|(path, _)| path == "test_controls.rs").expect("it is there").1;
    let gates = source.matches(&format!("#[cfg(feature = \"{TEST_CONTROLS}\")]")).count();
    assert_eq!(gates, source.matches("SWARM_TEST_").count() + 1, "one for each, and one for what they use");
}

#[test]
fn pure_crates_depend_on_values_alone() {
    let dependencies = dependencies();
    for name in PURE {
        let others = dependencies[&format!("swarm-{name}")].iter();
        let foreign: Vec<_> = others
            .filter(|other| !other.starts_with("swarm-") && !PURE_DEPENDENCIES.contains(&other.as_str()))
            .collect();
        assert!(foreign.is_empty(), "swarm-{name} is pure and takes {foreign:?}: see PURE_DEPENDENCIES");
    }
}

#[test]
fn pure_crates_name_no_clock_socket_file_thread_or_hash_map() {
    let found: Vec<String> = PURE
        .iter()
        .flat_map(|name| sources(name).into_iter().map(move |(path, source)| (name, path, source)))
        .flat_map(|(name, path, source)| {
            impurities(&source).into_iter().map(move |impure| format!("crates/{name}/src/{path}: {impure}"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn rooms_of_core_know_those_of_the_table() {
    let found: Vec<String> = sources("core")
        .into_iter()
        .filter(|(path, _)| path != "lib.rs")
        .flat_map(|(path, source)| {
            let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
            arrows(&room, &source)
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let check = |source: &str, expected: &[&str]| assert_eq!(impurities(source), expected, "{source}");
    check("async fn f() {}", &["async: async"]);
    check("fn f(x: X) { x.go().await }", &["await: await"]);
    check("use std::collections::{BTreeMap, HashMap};", &["HashMap: std::collections::HashMap"]);
    check("use std::{fs, io};", &["std::fs: std::fs"]);
    check("let now = std::time::Instant::now();", &["std::time::Instant: std::time::Instant::now"]);
    check("use std::net::UdpSocket;", &["std::net::UdpSocket: std::net::UdpSocket"]);
    check("tokio::spawn(x);", &["tokio: tokio::spawn"]);
    assert_eq!(arrows("base", "use crate::{wire::Message, base::ByteLen};"), ["base knows wire"]);
    assert_eq!(arrows("trust", "let x = crate::manifest::Source::new();"), ["trust knows manifest"]);
}

#[test]
fn what_is_allowed_is_not_reported() {
    let check = |source: &str| assert_eq!(impurities(source), [""; 0], "{source}");
    check("use std::net::{IpAddr, SocketAddr};");
    check("// not std::fs, and no HashMap\nlet x = \"tokio // HashMap\"; /// async\n");
    check("use super::limits::X; use std::time::Duration;");
    check("fn f() {}\n#[cfg(test)]\nmod tests {\n use std::collections::HashMap;\n}");
    check("let quote = '\"'; let s = \"\\\"tokio\";");
    assert_eq!(arrows("wire", "use crate::proto; use swarm_core::base::limits::FILES_MAX;"), [""; 0]);
}
