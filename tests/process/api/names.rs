//! Names that others chose, as a browser gets them.

use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};

use super::client::Ask;
use super::{GUID, Site};

/// Names that would be something else in a page, a header or a terminal.
const ODD: [&str; 8] = [
    "<img src=x onerror=alert(1)>.txt",
    "</script><script>alert(1)</script>.txt",
    "\"'`${alert(1)}.txt",
    "a\u{202e}txt.exe",
    "javascript:alert(1)",
    "semi;colon,comma.txt",
    "100%25&a=b?c#d.txt",
    "\u{1f600} \u{e4}.txt",
];

/// Each byte that a path of an address may not have as it is.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[test]
fn odd_names_are_data_and_nothing_else() {
    let site = Site::new();
    // A name that ends in a slash or has one is a folder: none of these is refused here.
    let odd: Vec<String> = ODD.iter().map(|name| name.replace('/', "\u{2215}")).collect();
    for name in &odd {
        site.team.write(&format!("a/lib/odd/{name}"), "odd");
    }
    for name in &odd {
        site.until_listed(&format!("odd/{name}"), 3);
    }
    let tree = site.ask_as("adam", Ask::get(&format!("/api/v1/libraries/{GUID}/tree?place=odd"))).expect(200);
    assert_eq!(tree.header("content-type"), "application/json");
    let entries = tree.json()["entries"].as_array().expect("a list").clone();
    let mut names: Vec<String> =
        entries.iter().filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    let mut expected = odd.clone();
    expected.sort();
    assert_eq!(names, expected);
    for name in &odd {
        let file = Ask::get(&format!("/file/{GUID}/odd/{}", encoded(name)));
        let told = site.ask_as("mia", file).expect(200);
        assert_eq!(told.text(), "odd", "{name}");
        let shown = told.header("content-disposition");
        // Within quotes, and nothing ends them.
        assert!(shown.is_ascii() && !shown.contains(|letter: char| letter.is_ascii_control()), "{shown}");
        assert_eq!((shown.matches('"').count(), shown.contains('\\')), (2, false), "{shown}");
        assert!(shown.ends_with(&format!("filename*=UTF-8''{}", encoded(name))), "{shown}");
        assert_eq!(told.header("x-content-type-options"), "nosniff");
        assert!(told.header("content-security-policy").contains("sandbox"), "{told:?}");
        let searched = format!("/api/v1/libraries/{GUID}/tree?search={}", encoded(name));
        let found = site.ask_as("adam", Ask::get(&searched)).expect(200).json();
        assert_eq!(found["entries"][0]["name"], name.as_str());
    }
    let missing = site.ask_as("mia", Ask::get(&format!("/file/{GUID}/{}", encoded(ODD[0])))).expect(404);
    assert_eq!(missing.header("content-type"), "application/problem+json");
}

#[test]
fn names_that_no_library_takes_are_not_served() {
    let site = Site::new();
    let folder = site.team.path("a/lib");
    std::fs::create_dir_all(&folder).expect("a folder");
    let odd = std::ffi::OsStr::from_bytes(b"not-\xff-utf8.txt");
    std::fs::write(folder.join(odd), "hidden").expect("a place");
    site.put("last.txt", "last");
    let files = site.get(&format!("/files?guid={GUID}"));
    assert_eq!(files.as_array().map(Vec::len), Some(1), "{files}");
    let told = site.ask_as("adam", Ask::get(&format!("/file/{GUID}/not-%FF-utf8.txt")));
    assert_eq!(told.status, 400, "{told:?}");
}

#[test]
fn odd_names_of_users_libraries_and_peers_come_as_they_are_or_are_refused() {
    let site = Site::new();
    let add = |path: &str, body: &Value| site.ask_as("adam", Ask::post(path, body)).status;
    let user = |name: &str| json!({"user": name, "password": "long-enough", "role": "viewer"});
    assert_eq!(add("/api/v1/users", &user(ODD[0])), 201);
    for refused in ["", " a", "a\nb", "a\u{0}b", "a\u{202e}b", &"x".repeat(300)] {
        assert_eq!(add("/api/v1/users", &user(refused)), 400, "{refused:?}");
    }
    assert_eq!(add("/api/v1/libraries", &json!({"name": ODD[1].replace('/', "|")})), 201);
    assert_eq!(add("/api/v1/libraries", &json!({"name": "a\nb"})), 400);
    assert_eq!(add("/api/v1/peers", &json!({"address": "127.0.0.1:9", "name": ODD[2]})), 201);
    for refused in ["", "javascript:alert(1)", "a b:1", "127.0.0.1:99999"] {
        assert_eq!(add("/api/v1/peers", &json!({"address": refused})), 400, "{refused:?}");
    }
    let users = site.get("/api/v1/users");
    assert!(users["users"].as_array().is_some_and(|users| users.iter().any(|user| user["user"] == ODD[0])));
    let removed = Ask::new("DELETE", &format!("/api/v1/users/{}", encoded(ODD[0])));
    site.ask_as("adam", removed).expect(204);
}
