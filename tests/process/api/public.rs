//! Libraries that everybody may look at.

use serde_json::{Value, json};

use super::client::{Ask, Told};
use super::{GUID, Site};

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// A daemon whose library has these settings; its files are there.
fn site(settings: &Value) -> Site {
    let site = Site::stopped("a");
    site.team.keep('a', settings);
    site.set_users(&super::users());
    for name in ["films/old/a b.txt", "<img src=x onerror=alert(1)>.txt"] {
        site.team.write(&format!("a/lib/{name}"), TEXT);
    }
    site.start('a');
    site.until_users(5);
    site.until_listed("films/old/a b.txt", TEXT.len());
    site
}

fn get(site: &Site, rest: &str) -> Told {
    site.ask(&Ask::get(&format!("/public/{GUID}/{rest}")))
}

#[test]
fn everybody_browses_a_public_library_and_gets_its_files() {
    let site = site(&json!({"public": true}));
    let top = get(&site, "").expect(200);
    for (name, expected) in [("cache-control", "public, max-age=60"), ("x-robots-tag", "noindex, nofollow")] {
        assert_eq!(top.header(name), expected, "{name}");
    }
    let policy = top.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox") && !policy.contains("unsafe")
    );
    let text = top.text();
    assert!(text.contains("Lib 1") && text.contains("?place=films\">films/</a>"), "{text}");
    assert!(!text.contains("<img") && text.contains("&lt;img src=x"), "{text}");
    let again = site.ask(&Ask::get(&format!("/public/{GUID}/")).with("if-none-match", top.header("etag")));
    again.expect(304);
    let folder = get(&site, "?place=films/old").expect(200).text();
    assert!(folder.contains(&format!("<a href=\"/public/{GUID}/?place=films\">films</a>")), "{folder}");
    let address = format!("/public/{GUID}/file/films/old/a%20b.txt");
    assert!(
        folder.contains(&format!("<a href=\"{address}\">a b.txt</a>")) && folder.contains("36 B"),
        "{folder}"
    );
    let file = site.ask(&Ask::get(&address)).expect(200);
    assert_eq!((file.text().as_str(), file.header("cache-control")), (TEXT, "public, max-age=60"));
    let part = site.ask(&Ask::get(&address).with("range", "bytes=10-12")).expect(206);
    assert_eq!(part.text(), "abc");
    get(&site, "?place=none").expect(404);
    get(&site, "file/none").expect(404);
    get(&site, "file/..%2f..%2fusers.json").expect(400);
    let robots = site.ask(&Ask::get("/robots.txt")).expect(200);
    assert_eq!(robots.text(), "User-agent: *\nDisallow: /\n");
    // Nothing of the team is told.
    for told in [text, folder, format!("{:?}", file.headers)] {
        for secret in
            [site.team.node('a').as_str(), "edith", "adam", site.team.path("a").to_str().expect("text")]
        {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
    // What is for people with a name stays so.
    site.ask(&Ask::get(&format!("/file/{GUID}/films/old/a%20b.txt"))).expect(401);
}

#[test]
fn only_what_is_named_as_public_is_and_no_sealed_library() {
    let check = |settings: Value, status: u16, robots: &str| {
        let site = site(&settings);
        get(&site, "").expect(status);
        get(&site, "file/films/old/a%20b.txt").expect(status);
        assert_eq!(site.ask(&Ask::get("/robots.txt")).expect(200).text(), robots, "{settings}");
        site.ask(&Ask::get("/public/Lib%201/")).expect(404);
    };
    let closed = "User-agent: *\nDisallow: /\n";
    check(json!({}), 404, closed);
    check(json!({"public": false}), 404, closed);
    check(json!({"public": true, "sealed": true}), 404, closed);
    check(
        json!({"public": "indexed"}),
        200,
        &format!("User-agent: *\nAllow: /public/{GUID}/\nDisallow: /\n"),
    );
}

#[test]
fn a_library_that_is_followed_is_public_by_its_own_setting() {
    let site = Site::stopped("ab");
    site.team.subscribe('b', &json!({"public": true}));
    site.team.write("a/lib/a.txt", "of a");
    ['a', 'b'].into_iter().for_each(|letter| site.start(letter));
    site.team.until_text("ab", "a.txt", "of a");
    site.at.set('b');
    site.team.until("it is listed", || get(&site, "file/a.txt").status == 200);
    assert_eq!(get(&site, "file/a.txt").text(), "of a");
    site.at.set('a');
    get(&site, "file/a.txt").expect(404);
}

#[test]
fn an_address_asks_so_often_and_no_more() {
    let site = site(&json!({"public": true}));
    let mut tries = 0..2000;
    let told =
        tries.find_map(|_| Some(get(&site, "file/films/old/a%20b.txt")).filter(|told| told.status != 200));
    let told = told.expect("it is told to wait").expect(429);
    assert_eq!(told.header("retry-after"), "1");
    site.team.until("it may ask again", || get(&site, "").status == 200);
}
