//! `GET /file`: what browsers, players and tools for downloads ask for.

use serde_json::Value;

use super::client::{Ask, Told};
use super::{GUID, Site};

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn file(name: &str) -> Ask {
    Ask::get(&format!("/file/{GUID}/{name}"))
}

fn etag(text: &str) -> String {
    format!("\"{}\"", blake3::hash(text.as_bytes()).to_hex())
}

/// A daemon with one file, and what it answers about it.
fn site() -> Site {
    let site = Site::new();
    site.put("films/a.txt", TEXT);
    site
}

#[test]
fn a_file_comes_whole_and_its_etag_is_its_hash() {
    let site = site();
    let told = site.ask_as("mia", file("films/a.txt")).expect(200);
    assert_eq!(told.text(), TEXT);
    for (name, expected) in [
        ("etag", etag(TEXT).as_str()),
        ("content-length", "36"),
        ("content-type", "text/plain; charset=utf-8"),
        ("accept-ranges", "bytes"),
        ("content-disposition", "inline; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ("cache-control", "private, no-cache"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ] {
        assert_eq!(told.header(name), expected, "{name}");
    }
    assert!(told.header("last-modified").ends_with(" GMT"), "{told:?}");
    let head = site.ask_as("mia", Ask { method: "HEAD".to_owned(), ..file("films/a.txt") }).expect(200);
    assert_eq!((head.header("content-length"), head.header("etag")), ("36", etag(TEXT).as_str()));
    assert!(head.body.is_empty());
    let by_name = site.ask_as("mia", Ask::get("/file/Lib%201/films/a.txt")).expect(200);
    assert_eq!(by_name.text(), TEXT);
    let stored = site.ask_as("mia", file("films/a.txt?download")).expect(200);
    assert!(stored.header("content-disposition").starts_with("attachment;"), "{stored:?}");
}

#[test]
fn ranges_are_those_of_the_rfc() {
    let site = site();
    let check = |range: &str, status: u16, content_range: &str, body: &str| {
        let told = site.ask_as("mia", file("films/a.txt").with("range", range)).expect(status);
        assert_eq!((told.header("content-range"), told.text().as_str()), (content_range, body), "{range}");
        assert_eq!(told.header("etag"), etag(TEXT));
    };
    check("bytes=0-0", 206, "bytes 0-0/36", "0");
    check("bytes=10-12", 206, "bytes 10-12/36", "abc");
    check("bytes=33-", 206, "bytes 33-35/36", "xyz");
    check("bytes=33-999", 206, "bytes 33-35/36", "xyz");
    check("bytes=-2", 206, "bytes 34-35/36", "yz");
    check("bytes=-99", 206, "bytes 0-35/36", TEXT);
    check("bytes=5-4", 200, "", TEXT);
    check("lines=1-2", 200, "", TEXT);
    let beyond = site.ask_as("mia", file("films/a.txt").with("range", "bytes=36-")).expect(416);
    assert_eq!(beyond.header("content-range"), "bytes */36");
    let head = Ask { method: "HEAD".to_owned(), ..file("films/a.txt").with("range", "bytes=1-2") };
    // A range is of GET alone.
    let head = site.ask_as("mia", head).expect(200);
    assert_eq!((head.body.len(), head.header("content-length"), head.header("content-range")), (0, "36", ""));
}

#[test]
fn several_ranges_come_as_parts() {
    let site = site();
    let told = site.ask_as("mia", file("films/a.txt").with("range", "bytes=0-1, 10-11,-1")).expect(206);
    let boundary =
        told.header("content-type").strip_prefix("multipart/byteranges; boundary=").expect("parts");
    let part = |range: &str, body: &str| {
        let kind = "Content-Type: text/plain; charset=utf-8";
        format!("--{boundary}\r\n{kind}\r\nContent-Range: bytes {range}/36\r\n\r\n{body}\r\n")
    };
    let parts = part("0-1", "01") + &part("10-11", "ab") + &part("35-35", "z");
    assert_eq!(told.text(), format!("{parts}--{boundary}--\r\n"));
}

#[test]
fn a_condition_is_about_the_version_that_the_client_has() {
    let site = site();
    let other = etag("something else");
    let check = |conditions: &[(&str, &str)], status: u16| -> Told {
        let ask = conditions.iter().fold(file("films/a.txt"), |ask, (name, value)| ask.with(name, value));
        site.ask_as("mia", ask).expect(status)
    };
    let part = ("range", "bytes=1-2");
    check(&[part, ("if-range", &etag(TEXT))], 206);
    check(&[part, ("if-range", &other)], 200);
    check(&[part, ("if-range", "Wed, 21 Oct 2015 07:28:00 GMT")], 200);
    let known = check(&[("if-none-match", &etag(TEXT))], 304);
    assert!(known.body.is_empty() && known.header("etag") == etag(TEXT), "{known:?}");
    check(&[("if-none-match", "*")], 304);
    check(&[("if-none-match", &format!("{other}, W/{}", etag(TEXT)))], 304);
    check(&[("if-none-match", &other)], 200);
    check(&[("if-match", &etag(TEXT)), part], 206);
    check(&[("if-match", "*")], 200);
    check(&[("if-match", &format!("{other}, {}", etag(TEXT)))], 200);
    check(&[("if-match", &format!("W/{}", etag(TEXT)))], 412);
    check(&[("if-match", &other), ("if-none-match", &etag(TEXT))], 412);
    let changed = TEXT.to_uppercase() + "!";
    site.put("films/a.txt", &changed);
    let told = check(&[part, ("if-range", &etag(TEXT))], 200);
    assert_eq!((told.text(), told.header("etag")), (changed.clone(), etag(&changed).as_str()));
}

#[test]
fn a_name_says_what_a_browser_may_show() {
    let site = Site::new();
    let names = [
        ("a.png", "image/png", "inline"),
        ("a.mkv", "video/x-matroska", "inline"),
        ("a.html", "text/plain; charset=utf-8", "inline"),
        ("a.svg", "image/svg+xml", "attachment"),
        ("a.bin", "application/octet-stream", "attachment"),
    ];
    for (name, ..) in names {
        site.team.write(&format!("a/lib/{name}"), "x");
    }
    site.until_listed("a.svg", 1);
    for (name, kind, shown) in names {
        site.until_listed(name, 1);
        let told = site.ask_as("mia", file(name)).expect(200);
        assert_eq!(told.header("content-type"), kind);
        assert!(told.header("content-disposition").starts_with(shown), "{told:?}");
    }
}

#[test]
fn what_is_no_file_is_not_found() {
    let site = site();
    for (path, status) in [
        ("films", 404),
        ("nothing.txt", 404),
        ("films/a.txt/b", 404),
        (".swarm/key", 404),
        ("..%2f..%2fusers.json", 400),
        ("%00", 400),
    ] {
        let told = site.ask_as("adam", file(path)).expect(status);
        assert_eq!(told.header("content-type"), "application/problem+json", "{path}");
    }
    site.ask_as("adam", Ask::get("/file/nolibrary/a.txt")).expect(404);
    site.ask(&file("films/a.txt")).expect(401);
}

#[test]
fn an_empty_file_and_one_of_many_blocks_come_whole() {
    let site = Site::new();
    let path = site.team.file("a/lib/film.bin", 3_000_001);
    site.put("empty.txt", "");
    site.until_listed("film.bin", 3_000_001);
    let empty = site.ask_as("mia", file("empty.txt")).expect(200);
    assert_eq!((empty.header("content-length"), empty.header("etag")), ("0", etag("").as_str()));
    site.ask_as("mia", file("empty.txt").with("range", "bytes=0-")).expect(416);
    let bytes = std::fs::read(path).expect("it is there");
    let told = site.ask_as("mia", file("film.bin")).expect(200);
    assert!(told.body == bytes);
    let part = site.ask_as("mia", file("film.bin").with("range", "bytes=262143-2000000")).expect(206);
    assert!(part.body == bytes[262_143..=2_000_000]);
}

#[test]
fn a_kept_version_is_got_by_its_run() {
    let site = Site::of("ab");
    site.put("plan.txt", "the old plan");
    site.team.until_text("ab", "plan.txt", "the old plan");
    site.team.until_same("ab");
    site.team.write("b/lib/plan.txt", "the new plan");
    site.team.until_text("ab", "plan.txt", "the new plan");
    let versions = site.get(&format!("/api/v1/libraries/{GUID}/versions?path=plan.txt"));
    let run = versions["versions"][0]["run"].as_str().unwrap_or_else(|| panic!("{versions}")).to_owned();
    let version = || file(&format!("plan.txt?version={run}"));
    let told = site.ask_as("vera", version()).expect(200);
    assert_eq!((told.text().as_str(), told.header("content-length")), ("the old plan", "12"));
    // What was replaced is a part of the history, which a mirror does not see.
    site.ask_as("mia", version()).expect(403);
    site.ask_as("vera", file("plan.txt?version=1999")).expect(400);
    let head = site.ask_as("vera", Ask { method: "HEAD".to_owned(), ..version() }).expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("12", 0));
    let restored =
        site.ask_as("edith", Ask::post(&format!("/api/v1/libraries/{GUID}/restore"), &path_and_run(&run)));
    assert_eq!(restored.expect(200).json()["performed"], 1);
    site.team.until_text("ab", "plan.txt", "the old plan");
}

#[test]
fn a_version_of_a_folder_is_no_file_and_no_copy_is_left() {
    let site = Site::of("ab");
    site.put("plans/one.txt", "one");
    site.team.until_text("ab", "plans/one.txt", "one");
    site.team.until_same("ab");
    std::fs::remove_dir_all(site.team.path("b/lib/plans")).expect("it was there");
    site.team.until_gone("ab", "plans");
    let versions =
        || site.get(&format!("/api/v1/libraries/{GUID}/versions?path=plans/one.txt"))["versions"][0].clone();
    site.team.until("it is kept", || versions()["run"].is_string());
    let run = versions()["run"].as_str().expect("a text").to_owned();
    // What an earlier process left.
    site.team.stop('a');
    site.team.write("a/.swarm/scratch/left", "by a process that was killed");
    site.start('a');
    site.team.until("it works again", || versions()["run"].is_string());
    site.ask_as("vera", file(&format!("plans?version={run}"))).expect(400);
    let told = site.ask_as("vera", file(&format!("plans/one.txt?version={run}"))).expect(200);
    assert_eq!(told.text(), "one");
    site.ask_as("vera", file("plans/one.txt?side=local")).expect(400);
    let left = || std::fs::read_dir(site.team.path("a/.swarm/scratch")).map_or(0, Iterator::count);
    site.team.until("no copy is left", || left() == 0);
}

fn path_and_run(run: &str) -> Value {
    serde_json::json!({"path": "plan.txt", "run": run})
}

#[test]
fn a_folder_comes_as_one_zip_file() {
    let site = site();
    site.put("films/b.txt", "second");
    site.put("elsewhere.txt", "not in it");
    let told = site.ask_as("mia", Ask::get(&format!("/api/v1/libraries/{GUID}/zip?path=films"))).expect(200);
    assert_eq!(told.header("content-type"), "application/zip");
    let text = told.text();
    assert!(text.starts_with("PK") && text.contains(TEXT) && text.contains("second"), "{text}");
    assert!(!text.contains("not in it"), "{text}");
}

#[test]
fn a_list_of_more_files_than_a_page_has_all_of_them() {
    let site = Site::new();
    let count = swarm_api::limits::ENTRIES_MAX + 2;
    for number in 0..count {
        site.team.write(&format!("a/lib/many/{number:05}.txt"), "");
    }
    site.put("last.txt", "the last one");
    let listed = || {
        let told = site.ask_as("mia", Ask::get(&format!("/files?guid={GUID}"))).expect(200);
        told.json().as_array().expect("a list").clone()
    };
    site.team.until("all are listed", || listed().len() == count + 1);
    let paths: Vec<String> =
        listed().iter().map(|file| file["path"].as_str().expect("a text").to_owned()).collect();
    assert_eq!(
        (paths[0].as_str(), paths[count].as_str()),
        ("/last.txt", &*format!("/many/{:05}.txt", count - 1))
    );
    assert!(paths.is_sorted());
    let most = site.get(&format!("/files?guid={GUID}&limit={count}"));
    assert_eq!(most.as_array().map(Vec::len), Some(count));
}
