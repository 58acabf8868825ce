//! Files before and after an edit.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use expect_test::{Expect, expect};

use super::World;
use crate::{
    ApprovalsChange, DaemonFolder, EditError, FileName, Followed, Guid, LibraryChange, LimitsChange,
    LocalFile, NewMount, NewPeer, NewSubscription, Proof, Public, RateChange, Reloaded, RetentionChange,
    Role,
};

/// Makes edits, and shows the file or why it is as it was.
fn check(
    file: FileName,
    text: &str,
    edit: impl FnOnce(&mut World) -> Result<Reloaded, EditError>,
    expected: Expect,
) -> World {
    let mut world = World::new();
    world.write(file, text);
    world.folder.reload();
    let shown = match edit(&mut world) {
        Ok(_) => world.text(file),
        Err(error) => {
            assert_eq!(world.text(file), text);
            world.without_tmp(&format!("{error}\n"))
        }
    };
    expected.assert_eq(&shown);
    let left: Vec<_> = fs::read_dir(world.folder.dir()).expect("a folder").collect();
    assert_eq!(left.len(), FileName::ALL.len(), "nothing is left beside the files");
    world
}

fn guid(text: &str) -> Guid {
    text.parse().expect("a GUID")
}

#[test]
fn unknown_keys_and_their_order_survive() {
    check(
        FileName::Peers,
        "[{\"zeta\": 1.50, \"address\": \"a:1\", \"trusted\": false, \"note\": {\"by\": [\"hand\", null, 1e3]}}]",
        |world| world.folder.set_peer_trusted("a:1", true),
        expect![[r#"
            [
              {"zeta": 1.50, "address": "a:1", "trusted": true, "note": {"by": ["hand", null, 1e3]}}
            ]
        "#]],
    );
    check(
        FileName::Config,
        "{\n    \"x\": \"\\u00e9\\/\",\n    \"port\": 8000,\n    \"tls2\": {\n\"a\": 1}, \"limits\": {}\n}",
        |world| world.folder.edit_config(|json| json.set("port", 9000.into())),
        expect![[r#"
            {
              "x": "é/",
              "port": 9000,
              "tls2": {
                "a": 1
              },
              "limits": {}
            }
        "#]],
    );
}

#[test]
fn peers_are_added_pinned_and_removed() {
    let node = "ab".repeat(32);
    let world = check(
        FileName::Peers,
        "[]",
        |world| {
            let peer = NewPeer { address: "a:1".to_owned(), username: "u".to_owned(), ..NewPeer::default() };
            world.folder.add_peer(&peer)?;
            let mirror = NewPeer {
                address: format!("{node}@b:2"),
                is_mirror: true,
                name: Some("attic".to_owned()),
                ..NewPeer::default()
            };
            world.folder.add_peer(&mirror)?;
            world.folder.pin_peer("a:1", "cd".repeat(32).parse().expect("an id"))
        },
        expect![[r#"
            [
              {
                "address": "a:1",
                "trusted": false,
                "username": "u",
                "password": "",
                "node": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
              },
              {
                "address": "abababababababababababababababababababababababababababababababab@b:2",
                "trusted": false,
                "username": "",
                "password": "",
                "role": "mirror",
                "name": "attic"
              }
            ]
        "#]],
    );
    let [a, b] = world.folder.peers() else { panic!("two peers") };
    assert_eq!((a.node.map(|node| node.to_string()), a.trusted), (Some("cd".repeat(32)), false));
    assert_eq!((b.node.map(|node| node.to_string()), b.is_mirror), (Some(node), true));
    check(
        FileName::Peers,
        "[{\"address\": \"a:1\", \"name\": \"attic\"}, {\"address\": \"b:1\"}]",
        |world| world.folder.remove_peer("attic"),
        expect![[r#"
            [
              {"address": "b:1"}
            ]
        "#]],
    );
}

#[test]
fn a_pinned_node_is_not_replaced() {
    let text = format!("[{{\"address\": \"a:1\", \"node\": \"{}\"}}]", "ab".repeat(32));
    check(
        FileName::Peers,
        &text,
        |world| world.folder.pin_peer("a:1", "cd".repeat(32).parse().expect("an id")),
        expect![[r#"
            peers.json has node abababababababababababababababababababababababababababababababab for peer "a:1" already
        "#]],
    );
}

#[test]
fn entries_that_are_missing_or_there_already_are_told() {
    check(
        FileName::Peers,
        "[]",
        |world| world.folder.remove_peer("a:1"),
        expect![[r#"
        peers.json has no peer "a:1"
    "#]],
    );
    let peer = NewPeer { address: "a:1".to_owned(), ..NewPeer::default() };
    check(
        FileName::Peers,
        "[{\"address\": \"a:1\"}]",
        |world| world.folder.add_peer(&peer),
        expect![[r#"
        peers.json has peer "a:1" already
    "#]],
    );
    check(
        FileName::Users,
        "[{\"user\": \"a\", \"pass\": \"b\"}]",
        |world| world.folder.add_user("a", "$argon2id$x", None),
        expect![[r#"
            users.json has user "a" already
        "#]],
    );
    check(
        FileName::Libraries,
        "{}",
        |world| world.folder.set_paused(Followed::Library("Lib 1"), true),
        expect![[r#"
            libraries.json has no library "Lib 1"
        "#]],
    );
}

#[test]
fn a_password_becomes_its_hash_in_the_same_place() {
    let text = "[{\"user\": \"a\", \"pass\": \"b\", \"role\": \"admin\", \"extra\": 1}]";
    let world = check(
        FileName::Users,
        text,
        |world| {
            let Proof::Pass(pass) = world.folder.users()[0].proof.clone() else { panic!("a password") };
            world.folder.replace_pass("a", &pass, "$argon2id$v=19$x")
        },
        expect![[r#"
            [
              {"user": "a", "hash": "$argon2id$v=19$x", "role": "admin", "extra": 1}
            ]
        "#]],
    );
    assert_eq!(world.folder.users()[0].proof, Proof::Hash("$argon2id$v=19$x".to_owned()));
    // A password that somebody writes while the old one is hashed stays.
    check(
        FileName::Users,
        text,
        |world| {
            let Proof::Pass(pass) = world.folder.users()[0].proof.clone() else { panic!("a password") };
            world.write(FileName::Users, "[{\"user\": \"a\", \"pass\": \"new\"}]");
            world.folder.replace_pass("a", &pass, "$argon2id$v=19$x")
        },
        expect![[r#"[{"user": "a", "pass": "new"}]"#]],
    );
}

#[test]
fn a_password_beside_a_hash_is_a_new_one() {
    check(
        FileName::Users,
        "[{\"user\": \"a\", \"hash\": \"$argon2id$old\", \"pass\": \"new\"}]",
        |world| world.folder.replace_pass("a", &"new".to_owned().into(), "$argon2id$new"),
        expect![[r#"
            [
              {"user": "a", "hash": "$argon2id$new"}
            ]
        "#]],
    );
}

#[test]
fn edits_of_several_processes_follow_each_other() {
    let mut world = World::new();
    let dir = world.folder.dir().to_owned();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let dir = &dir;
            scope.spawn(move || {
                let mut folder = DaemonFolder::open(dir).expect("valid at each moment");
                for nth in 1..9 {
                    let address = format!("writer-{writer}:{nth}");
                    folder.add_peer(&NewPeer { address, ..NewPeer::default() }).expect("a valid peer");
                }
            });
        }
    });
    world.folder.reload();
    assert_eq!(world.folder.peers().len(), 32);
}

#[test]
fn what_a_crash_has_left_is_swept() {
    let world = World::new();
    let left = world.folder.dir().join(".peers.json.12-0.new");
    let other = world.folder.dir().join(".mine.new");
    [&left, &other].iter().for_each(|path| fs::write(path, "[").expect("a file"));
    DaemonFolder::open(world.folder.dir()).expect("valid");
    assert_eq!((left.exists(), other.exists()), (false, true));
}

#[test]
fn roles_of_users_are_set_and_taken_out() {
    check(
        FileName::Users,
        "[{\"user\": \"a\", \"pass\": \"b\", \"role\": \"viewer\"}]",
        |world| {
            world.folder.set_user_role("a", None)?;
            world.folder.add_library("Lib 1", &"guid-one-0".parse().expect("a GUID"), &[])?;
            world.folder.set_user_role_in("a", "Lib 1", Some(Role::Editor))?;
            world.folder.add_user("b", "$argon2id$x", Some(Role::Admin))
        },
        expect![[r#"
            [
              {"user": "a", "pass": "b", "libraries": {"guid-one-0": "editor"}},
              {"user": "b", "hash": "$argon2id$x", "role": "admin"}
            ]
        "#]],
    );
}

#[test]
fn a_role_in_a_library_is_taken_out_by_either_name_and_given_in_one_that_is_there() {
    check(
        FileName::Users,
        "[{\"user\": \"a\", \"pass\": \"b\", \"libraries\": {\"Lib 1\": \"editor\", \"Gone\": \"viewer\"}}]",
        |world| {
            world.folder.add_library("Lib 1", &"guid-one-0".parse().expect("a GUID"), &[])?;
            world.folder.set_user_role_in("a", "guid-one-0", None)?;
            world.folder.set_user_role_in("a", "Gone", None)?;
            let refused = world.folder.set_user_role_in("a", "", Some(Role::Viewer));
            expect!["libraries.json has no library \"\""].assert_eq(&refused.expect_err("none").to_string());
            Ok(Reloaded::default())
        },
        expect![[r#"
            [
              {"user": "a", "pass": "b", "libraries": {}}
            ]
        "#]],
    );
}

#[test]
fn a_role_by_a_name_that_several_libraries_have_takes_rights_and_gives_none() {
    let check = |user: &str, followed: &[&str], expected: &str| {
        let mut world = World::new();
        let user = format!(r#"[{{"user": "a", "pass": "b", {user}}}]"#);
        fs::write(world.folder.dir().join("users.json"), &user).expect("a file");
        let follow = |guid: &&str| format!(r#"{{"guid": "{guid}", "localSyncDir": "{guid}/Films"}}"#);
        let followed: Vec<String> = followed.iter().map(follow).collect();
        let followed = format!("[{}]", followed.join(","));
        fs::write(world.folder.dir().join("subscriptions.json"), followed).expect("a file");
        world.folder.reload();
        let roles = world.folder.roles_in_libraries(&world.folder.users()[0]);
        assert_eq!(format!("{roles:?}"), expected, "{user}");
    };
    let (mirror, editor) = (r#""libraries": {"Films": "mirror"}"#, r#""libraries": {"Films": "editor"}"#);
    let of_node = |role: &str, libraries: &str| format!(r#""role": "{role}", {libraries}"#);
    check(&of_node("editor", mirror), &["one-guid-0"], r#"{"one-guid-0": Mirror}"#);
    let both = ["one-guid-0", "two-guid-0"];
    check(&of_node("editor", mirror), &both, r#"{"one-guid-0": Mirror, "two-guid-0": Mirror}"#);
    check(&of_node("viewer", editor), &both, r#"{"one-guid-0": Viewer, "two-guid-0": Viewer}"#);
    check(editor, &both, "{}");
    let by_guid = r#""libraries": {"Films": "mirror", "two-guid-0": "editor"}"#;
    check(&of_node("editor", by_guid), &both, r#"{"one-guid-0": Mirror, "two-guid-0": Editor}"#);
    check(&of_node("editor", mirror), &[], r#"{"Films": Mirror}"#);
    let own = r#"{"Films": {"guid": "own-guid-0", "mounts": []}}"#;
    let mut world = World::new();
    for (name, text) in [
        ("users.json", format!(r#"[{{"user": "a", "pass": "b", {}}}]"#, of_node("editor", mirror))),
        ("subscriptions.json", r#"[{"guid": "one-guid-0", "localSyncDir": "synced/Films"}]"#.to_owned()),
        ("libraries.json", own.to_owned()),
    ] {
        fs::write(world.folder.dir().join(name), text).expect("a file");
    }
    world.folder.reload();
    let roles = world.folder.roles_in_libraries(&world.folder.users()[0]);
    assert_eq!(format!("{roles:?}"), r#"{"one-guid-0": Mirror, "own-guid-0": Mirror}"#);
}

#[test]
fn libraries_and_mounts_are_added() {
    let world = check(
        FileName::Libraries,
        "{}",
        |world| {
            let video =
                NewMount { dir: "/Volumes/video".to_owned(), libpath: "/video".to_owned(), is_sync: false };
            let target = NewMount { dir: "sync".to_owned(), libpath: "/".to_owned(), is_sync: true };
            world.folder.add_library("Lib 1", &guid("a"), &[video])?;
            world.folder.add_library("Lib 2", &guid("b"), &[])?;
            world.folder.add_mount("Lib 1", &target)?;
            world.folder.set_priority(Followed::Library("Lib 2"), -5)?;
            let to = |rate: &str| RateChange::To(rate.to_owned());
            let both = LimitsChange { up: to("1MB/s"), down: to("2MB/s") };
            world.folder.set_limits(Followed::Library("Lib 2"), &both)?;
            let down = LimitsChange { down: RateChange::NoLimit, ..LimitsChange::default() };
            world.folder.set_limits(Followed::Library("Lib 2"), &down)?;
            world.folder.set_limits(Followed::Library("Lib 1"), &down)?;
            world.folder.set_paused(Followed::Library("Lib 2"), true)
        },
        expect![[r#"
            {
              "Lib 1": {
                "guid": "a",
                "mounts": [{"dir": "/Volumes/video", "libpath": "/video", "readonly": true}, {"dir": "sync", "libpath": "/", "sync": true}]
              },
              "Lib 2": {"guid": "b", "mounts": [], "priority": -5, "limits": {"up": "1MB/s"}, "paused": true}
            }
        "#]],
    );
    let libraries = world.folder.libraries();
    assert_eq!(
        libraries[0].sync_target().map(|mount| mount.dir.clone()),
        Some(world.folder.dir().join("sync"))
    );
    assert_eq!((libraries[1].is_paused, libraries[1].priority), (true, -5));
}

#[test]
fn several_settings_of_a_library_change_in_one_edit_or_not_at_all() {
    let change = |days| LibraryChange {
        paused: Some(true),
        approvals: Some(ApprovalsChange { delete: Some(2), ..ApprovalsChange::default() }),
        retention: RetentionChange {
            days: Some(Some(days)),
            bytes: Some(None),
            ..RetentionChange::default()
        },
        public: Some(Public::Indexed),
        ..LibraryChange::default()
    };
    let before = r#"{"Lib 1": {"guid": "a", "x": 1, "retention": {"bytes": "5GB", "count": 3}}}"#;
    check(
        FileName::Libraries,
        before,
        |world| world.folder.change_library(Followed::Library("Lib 1"), &change(7)),
        expect![[r#"
            {
              "Lib 1": {"guid": "a", "x": 1, "retention": {"count": 3, "days": 7}, "paused": true, "approvals": {"delete": 2}, "public": "indexed"}
            }
        "#]],
    );
    check(
        FileName::Libraries,
        before,
        |world| world.folder.change_library(Followed::Library("Lib 1"), &change(0)),
        expect![[r#"
            not written, because then libraries.json line 2: ["Lib 1"].retention.days: expected a whole number from 1 to 1000000000, found 0
        "#]],
    );
}

#[test]
fn subscriptions_are_added_changed_and_removed() {
    let new = |name: &str| NewSubscription {
        guid: guid(name),
        local_sync_dir: name.to_owned(),
        from: Vec::new(),
        include: vec!["*.mov".to_owned()],
        exclude: Vec::new(),
        version_of: None,
    };
    check(
        FileName::Subscriptions,
        "[]",
        |world| {
            world.folder.add_subscription(&new("a"))?;
            world.folder.add_subscription(&new("b"))?;
            world.folder.set_patterns(&guid("b"), None, Some(&["tmp/**".to_owned()]))?;
            world.folder.set_patterns(&guid("b"), Some(&["*.txt".to_owned()]), None)?;
            world.folder.set_paused(Followed::Subscription(&guid("b")), true)?;
            world.folder.remove_subscription(&guid("a"))
        },
        expect![[r#"
            [
              {"guid": "b", "localSyncDir": "b", "include": ["*.txt"], "exclude": ["tmp/**"], "paused": true}
            ]
        "#]],
    );
    let nested = NewSubscription { local_sync_dir: "a/b".to_owned(), ..new("b") };
    check(
        FileName::Subscriptions,
        "[{\"guid\": \"a\", \"localSyncDir\": \"a\"}]",
        |world| world.folder.add_subscription(&nested),
        expect![[r#"
            not written, because then subscriptions.json line 3: [1].localSyncDir: TMP/daemon/a/b is inside TMP/daemon/a, the folder of subscription a (subscriptions.json line 2): expected a folder apart from it
        "#]],
    );
}

#[test]
fn an_edit_of_a_file_that_is_wrong_on_disk_is_refused() {
    check(
        FileName::Peers,
        "[{\"address\": \"a:1\"},]",
        |world| world.folder.remove_peer("a:1"),
        expect![[r#"
            peers.json line 1: a comma stands before ]: take it out; correct that first, then try again
        "#]],
    );
}

#[test]
fn an_edit_keeps_what_somebody_wrote_meanwhile() {
    let world = check(
        FileName::Peers,
        "[{\"address\": \"a:1\"}]",
        |world| {
            // Neither polled nor reloaded.
            world.write(FileName::Peers, "[{\"address\": \"a:1\"}, {\"address\": \"b:1\"}]");
            world.folder.set_peer_trusted("a:1", true)
        },
        expect![[r#"
            [
              {"address": "a:1", "trusted": true},
              {"address": "b:1"}
            ]
        "#]],
    );
    assert_eq!(world.folder.peers().len(), 2);
    let mut world = World::new();
    let path = world.folder.path(FileName::Peers);
    let mut attempts = 0;
    // Written by somebody else between the reading and the renaming.
    let edited = world.folder.edit_peers(|json| {
        attempts += 1;
        if attempts == 1 {
            fs::write(&path, "[{\"address\": \"b:1\"}]").expect("a file");
        }
        json.items_mut().expect("a list").push(crate::Json::object([("address", "a:1".into())]));
    });
    edited.expect("the second attempt");
    let addresses: Vec<_> = world.folder.peers().iter().map(|peer| peer.names().remove(0)).collect();
    assert_eq!((attempts, addresses), (2, vec!["b:1".to_owned(), "a:1".to_owned()]));
    let mut nth = 0;
    let busy = world.folder.edit_peers(|json| {
        nth += 1;
        fs::write(&path, format!("[{{\"address\": \"b:{nth}\"}}]")).expect("a file");
        json.items_mut().expect("a list").clear();
    });
    expect!["peers.json was changed by another program during each attempt: try again"]
        .assert_eq(&busy.expect_err("never at rest").to_string());
}

#[test]
fn rewriting_keeps_modes_and_links() {
    let mut world = World::new();
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let peer = NewPeer { address: "a:1".to_owned(), ..NewPeer::default() };
    world.folder.add_peer(&peer).expect("a valid peer");
    assert_eq!(mode(&world.folder.path(FileName::Peers)), 0o600);
    let elsewhere = world.outside.path().join("mine.json");
    fs::write(&elsewhere, "{}").expect("a file");
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o640)).expect("ours");
    let link = world.folder.path(FileName::Libraries);
    fs::remove_file(&link).expect("it was there");
    symlink(&elsewhere, &link).expect("a link");
    world.folder.add_library("Lib 1", &guid("a"), &[]).expect("a valid library");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!(mode(&elsewhere), 0o640);
    assert!(fs::read_to_string(&elsewhere).expect("a file").contains("Lib 1"));
}

#[test]
fn what_this_node_has_is_written_with_a_line_for_each_file() {
    let world = World::new();
    let file = |path: &'static str, sha256| LocalFile {
        path: path.into(),
        length: 7,
        mtime_ns: 1_700_000_000_500_000_000,
        sha256,
        blake3: [0xab; 32],
    };
    let write = |last| {
        let files = vec![Ok(file("/a \"b\".mov", Some([1; 32]))), Ok(file("/c", None)), last];
        world.folder.write_files_local([("Lib 1", files), ("Lib 2", Vec::new())])
    };
    write(Ok(file("/d", None))).expect("written");
    let text = world.text(FileName::FilesLocal);
    expect![[r#"
        {
          "Lib 1": [
            {"path": "/a \"b\".mov", "length": 7, "mtime": "2023-11-14T22:13:20.5Z", "sha256": "0101010101010101010101010101010101010101010101010101010101010101", "blake3": "abababababababababababababababababababababababababababababababab"},
            {"path": "/c", "length": 7, "mtime": "2023-11-14T22:13:20.5Z", "sha256": null, "blake3": "abababababababababababababababababababababababababababababababab"},
            {"path": "/d", "length": 7, "mtime": "2023-11-14T22:13:20.5Z", "sha256": null, "blake3": "abababababababababababababababababababababababababababababababab"}
          ],
          "Lib 2": []
        }
    "#]].assert_eq(&text);
    text.parse::<crate::Json>().expect("JSON");
    write(Err(std::io::Error::other("no index"))).expect_err("an entry is an error");
    assert_eq!(world.text(FileName::FilesLocal), text);
    assert_eq!(fs::read_dir(world.folder.dir()).expect("a folder").count(), FileName::ALL.len());
}
