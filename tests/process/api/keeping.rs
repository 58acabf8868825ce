//! How a library is kept: read and changed by an admin, as one edit of the file that says it.

use serde_json::{Value, json};

use super::Site;
use super::client::Ask;
use crate::library::GUID;

#[test]
fn a_change_of_several_keys_is_one_edit_or_none() {
    let site = Site::new();
    let path = format!("/api/v1/libraries/{GUID}");
    let kept = site.get(&path);
    assert_eq!(kept["retention"], json!({"days": null, "count": null, "bytes": null}));
    assert_eq!([&kept["public"], &kept["sealed"]], [&json!("no"), &json!(false)]);
    assert_eq!(kept["file"], site.team.path("a/libraries.json").to_str().expect("text"));
    // Where files stand is the admin's affair.
    assert_eq!(site.ask_as("vera", Ask::get(&path)).expect(200).json()["file"], "");
    let change = |body: &Value, status: u16| {
        site.ask_as("adam", Ask::new("PATCH", &path).json(body)).expect(status);
    };
    let before = site.team.read("a/libraries.json");
    // The last one of these is wrong: the first ones are not taken, either.
    change(&json!({"paused": true, "priority": 7, "policy": {"delete": 2}, "retention": {"days": 0}}), 400);
    assert_eq!(site.team.read("a/libraries.json"), before);
    change(&json!({"public": "perhaps"}), 422);
    let all = json!({
        "priority": 7, "policy": {"delete": 2}, "retention": {"days": 90, "bytes": 100_000_000_000_u64}, "public": "yes",
    });
    change(&all, 204);
    let own = || site.team.settings('a', "libraries.json")["Lib 1"].clone();
    assert_eq!(
        [&own()["priority"], &own()["approvals"], &own()["retention"], &own()["public"]],
        [&json!(7), &json!({"delete": 2}), &json!({"days": 90, "bytes": "100GB"}), &json!(true)]
    );
    let kept = site.get(&path);
    assert_eq!(kept["retention"], json!({"days": 90, "count": null, "bytes": 100_000_000_000_u64}));
    assert_eq!(kept["public"], "yes");
    // What is not named stays, and null takes away.
    change(&json!({"retention": {"bytes": null}, "public": "indexed"}), 204);
    assert_eq!([&own()["retention"], &own()["public"]], [&json!({"days": 90}), &json!("indexed")]);
    change(&json!({"retention": {"days": null}, "public": "no"}), 204);
    assert_eq!((own().get("retention"), own().get("public"), &own()["priority"]), (None, None, &json!(7)));
}

#[test]
fn a_switch_shows_a_library_to_everybody_and_ends_that_at_once() {
    let site = Site::new();
    site.put("plan.txt", "the plan");
    let page = || site.ask(&Ask::get(&format!("/public/{GUID}/"))).status;
    assert_eq!(page(), 404);
    let switch = |user: &str, public: &str, status: u16| {
        let ask = Ask::new("PATCH", &format!("/api/v1/libraries/{GUID}")).json(&json!({"public": public}));
        site.ask_as(user, ask).expect(status);
    };
    switch("edith", "yes", 403);
    assert_eq!(page(), 404);
    switch("adam", "yes", 204);
    site.team.until("everybody sees it", || page() == 200);
    switch("adam", "no", 204);
    assert_eq!(page(), 404);
}
