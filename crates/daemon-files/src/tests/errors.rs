//! One file is written by hand; what is told of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::{Expect, expect};

use super::World;
use crate::{DaemonFolder, FileName};

fn check_all(files: &[(FileName, &str)], expected: Expect) {
    let mut world = World::new();
    files.iter().for_each(|(file, text)| world.write(*file, text));
    let reloaded = world.folder.reload();
    expected.assert_eq(&world.shown(&reloaded));
    let again = world.folder.reload();
    assert_eq!((again.errors, again.changed.len(), again.warnings.len()), (reloaded.errors, 0, 0));
}

/// Many texts, a line for each.
fn check_each(file: FileName, texts: &[&str], expected: Expect) {
    let mut lines = String::new();
    for text in texts {
        let mut world = World::new();
        world.write(file, text);
        let reloaded = world.folder.reload();
        assert!(reloaded.changed.is_empty() || reloaded.errors.is_empty(), "{text}");
        lines += &world.shown(&reloaded);
        lines.push('\n');
    }
    expected.assert_eq(&lines);
}

#[test]
fn the_files_of_the_guide_are_taken_as_they_are() {
    check_all(
        &[
            (
                FileName::Config,
                r#"{"port": 8000, "username": "me@gmail.com", "password": "...", "defaultSyncRoot": "./libraries"}"#,
            ),
            (
                FileName::Peers,
                r#"[{"address": "127.0.0.1:8001", "trusted": true, "username": "peeruser", "password": "peerpass"}]"#,
            ),
            (FileName::Users, r#"[{"user": "user", "pass": "pass"}]"#),
            (
                FileName::Libraries,
                r#"{"Lib 1": {"guid": "jdfhdhdbe484746", "mounts": [{"dir": "/Volumes/video", "libpath": "/video", "readonly": true}, {"dir": "libsync-Lib1", "libpath": "/", "sync": true}]}}"#,
            ),
            (FileName::Subscriptions, r#"[{"guid": "jdfhdhdbe484747", "localSyncDir": "./synced/Lib1"}]"#),
        ],
        expect![[r#"
            changed: config.json
            changed: peers.json
            changed: users.json
            changed: libraries.json
            changed: subscriptions.json"#]],
    );
}

#[test]
fn a_config_is_checked() {
    check_each(
        FileName::Config,
        &[
            "",
            "[]",
            "{\n\"port\": 8000,\n\"prot\": 1}",
            "{\"port\": \"8000\"}",
            "{\"port\": 65536}",
            "{\"port\": -1}",
            "{\"port\": 80.5}",
            "{\"port\": 8000,\n \"password\": 12345}",
            "{\"listen\": \"nowhere\"}",
            "{\"metrics\": \"9433\"}",
            "{\"lan\": \"yes\"}",
            "{\"limits\": {\"up\": \"fast\"}}",
            "{\"limits\": {\"upp\": \"1MB/s\"}}",
            "{\"limits\": 5}",
            "{\"limits\": {\"schedule\": [\n{\"from\": \"08:00\"}]}}",
            "{\"limits\": {\"schedule\": [\n{\"from\": \"8:00\", \"to\": \"10:00\"}]}}",
            "{\"limits\": {\"schedule\": [\n{\"from\": \"08:00\", \"to\": \"24:00\"}]}}",
            "{\"limits\": {\"schedule\": [{\"from\": \"08:00\", \"to\": \"10:00\", \"days\": [\"mon\",\n\"Tuesday\"]}]}}",
            "{\"limits\": {\"schedule\": [{\"from\": \"08:00\", \"to\": \"10:00\", \"down\": \"slow\"}]}}",
            "{\"limits\": {\"schedule\": [{\"from\": \"08:00\", \"to\": \"10:00\", \"dwon\": \"0\"}]}}",
            "{\"limits\": {\"up\": \"0\"}}",
            "{\"coordinators\": [\"a\"]}",
            "{\"minFree\": 5}",
            "{\"zone\": \"\"}",
            "{\"tls\": {\"cert\": \"a.pem\"}}",
            "{\"defaultSyncRoot\": \"\"}",
            "{\"defaultSyncRoot\": \"~/libraries\"}",
            "{\"port\": 8000,}",
            "{\"port\": 8000,\n\"port\": 9000}",
            "{\"a\\u001b[2J\": 1}",
            "{\"port\": 8001, \"lan\": null}",
        ],
        expect![[r#"
            config.json line 1: the file is empty
            config.json line 1: expected an object, found a list
            warning: config.json line 3: key "prot" is unknown; did you mean "port"?
            config.json line 1: port: expected a whole number from 0 to 65535, found "8000"
            config.json line 1: port: expected a whole number from 0 to 65535, found 65536
            config.json line 1: port: expected a whole number from 0 to 65535, found -1
            config.json line 1: port: expected a whole number from 0 to 65535, found 80.5
            config.json line 2: password: expected a string, found a number
            config.json line 1: listen: expected an IP address, as in "127.0.0.1" or "::1", found "nowhere"
            config.json line 1: metrics: expected an IP address and a port, as in "127.0.0.1:9433", found "9433"
            config.json line 1: lan: expected true or false, found "yes"
            config.json line 1: limits.up: `fast` is not a rate: write bytes as in 20MB/s or bits as in 100mbit
            warning: config.json line 1: limits: key "upp" is unknown; did you mean "up"?
            config.json line 1: limits: expected an object, found 5
            config.json line 2: limits.schedule[0]: key "to" is missing
            config.json line 2: limits.schedule[0].from: expected a time of day from "00:00" to "23:59", found "8:00"
            config.json line 2: limits.schedule[0].to: expected a time of day from "00:00" to "23:59", found "24:00"
            config.json line 2: limits.schedule[0].days[1]: expected one of "mon", "tue", "wed", "thu", "fri", "sat", "sun", found "Tuesday"
            config.json line 1: limits.schedule[0].down: `slow` is not a rate: write bytes as in 20MB/s or bits as in 100mbit, or "0" for a pause
            warning: config.json line 1: limits.schedule[0]: key "dwon" is unknown; did you mean "down"?
            changed: config.json
            config.json line 1: limits.up: `0` is not a rate: write bytes as in 20MB/s or bits as in 100mbit
            config.json line 1: coordinators[0]: `a` is not a node: write NODEID@HOST:PORT, with the 64 hex digits of its key before the @
            config.json line 1: minFree: expected a string, found 5
            config.json line 1: zone: a zone is a name of 1 to 64 bytes, without control characters
            config.json line 1: tls: key "key" is missing
            config.json line 1: defaultSyncRoot: expected a folder, found ""
            config.json line 1: defaultSyncRoot: ~ is not expanded in files: write the whole path instead of "~/libraries"
            config.json line 1: a comma stands before }: take it out
            config.json line 2: key "port" is written twice, first in line 1
            warning: config.json line 1: key "a\u001b[2J" is unknown and has no effect
            changed: config.json
        "#]],
    );
}

#[test]
fn peers_are_checked() {
    let node = "ab".repeat(32);
    check_each(
        FileName::Peers,
        &[
            "{}",
            "[\n{\"address\": \"a:1\",\n\"trusted\": \"yes\"}]",
            "[{\"trusted\": true}]",
            "[{\"address\": \"a\"}]",
            "[{\"address\": \"a@b:1\"}]",
            "[{\"address\": \"a:1\"},\n{\"address\": \"a:1\"}]",
            "[{\"address\": \"a:1\", \"node\": \"ab\"}]",
            &format!("[{{\"address\": \"{node}@a:1\", \"node\": \"{}\"}}]", "cd".repeat(32)),
            &format!("[{{\"address\": \"{node}@a:1\"}}, {{\"address\": \"b:1\", \"node\": \"{node}\"}}]"),
            "[{\"address\": \"a:1\", \"trusted\": true, \"role\": \"mirror\"}]",
            "[{\"address\": \"a:1\", \"role\": \"admin\"}]",
            "[{\"address\": \"a:1\", \"password\": [\"secret\"]}]",
            "[{\"address\": \"a:1\", \"name\": \" \"}]",
            "[{\"address\": \"a:1\", \"trustd\": true}]",
        ],
        expect![[r#"
            peers.json line 1: expected a list, found an object
            peers.json line 3: [0].trusted: expected true or false, found "yes"
            peers.json line 1: [0]: expected a key "address", or "node" for a peer that is to be found
            peers.json line 1: [0].address: `a` is not an address: write host:port, as in 192.0.2.1:4433 or [2001:db8::1]:4433
            peers.json line 1: [0].address: `a@b:1` is not a node: write NODEID@HOST:PORT, with the 64 hex digits of its key before the @
            peers.json line 2: [1].address: [0] has the same one: take one out
            peers.json line 1: [0].node: `ab` is not an id: it takes 64 hex digits
            peers.json line 1: [0].node: expected abababababababababababababababababababababababababababababababab, the node that the address names, or no key "node"
            peers.json line 1: [1].node: [0] has the same one: take one out
            peers.json line 1: [0].trusted: a mirror is never trusted: expected false, or no key "role"
            peers.json line 1: [0].role: expected "mirror", found "admin"
            peers.json line 1: [0].password: expected a string, found a list
            peers.json line 1: [0].name: expected a name of 1 to 128 bytes without control characters or space around it
            warning: peers.json line 1: [0]: key "trustd" is unknown; did you mean "trusted"?
            changed: peers.json
        "#]],
    );
}

#[test]
fn users_are_checked() {
    check_each(
        FileName::Users,
        &[
            "[{\"pass\": \"a\"}]",
            "[{\"user\": \"a\"}]",
            "[{\"user\": \"a\", \"pass\": \"\"}]",
            "[{\"user\": \"a\", \"hash\": \"secret\"}]",
            "[{\"user\": \"a\", \"pass\": 5}]",
            "[{\"user\": \"a\", \"pass\": \"b\", \"role\": \"owner\"}]",
            "[{\"user\": \"a\", \"pass\": \"b\"},\n {\"user\": \"a\", \"pass\": \"c\"}]",
            "[{\"user\": \"a\", \"pass\": \"b\", \"libraries\": {\"Lib 1\": \"king\"}}]",
            "[{\"user\": \"a\", \"pass\": \"b\", \"libraries\": {\"Lib 1\": \"editor\"}}]",
            "[{\"user\": \"a\", \"pass\": secret}]",
            "[{\"user\": \"a\", \"pass\": \"b\", \"role\": admin}]",
        ],
        expect![[r#"
            users.json line 1: [0]: key "user" is missing
            users.json line 1: [0]: key "pass" is missing
            users.json line 1: [0].pass: expected a password, found an empty string
            users.json line 1: [0].hash: expected an argon2 hash, which begins with $argon2: write a password as "pass"
            users.json line 1: [0].pass: expected a string, found a number
            users.json line 1: [0].role: expected "mirror" or "viewer" or "editor" or "admin", found "owner"
            users.json line 2: [1].user: [0] has the same one: take one out
            users.json line 1: [0].libraries["Lib 1"]: expected "mirror" or "viewer" or "editor" or "admin", found "king"
            warning: users.json line 1: [0].libraries["Lib 1"]: this node has no library with this name or GUID
            changed: users.json
            users.json line 1: expected a value, found something else
            users.json line 1: expected a value, found admin
        "#]],
    );
}

#[test]
fn libraries_are_checked() {
    check_each(
        FileName::Libraries,
        &[
            "[]",
            "{\"Lib 1\": {}}",
            "{\"Lib 1\": {\"guid\": \"a b\"}}",
            "{\"a/b\": {\"guid\": \"a\"}}",
            "{\"..\": {\"guid\": \"a\"}}",
            "{\"Lib 1\": {\"guid\": \"a\"},\n\"Lib 1\": {\"guid\": \"b\"}}",
            "{\"Lib 1\": {\"guid\": \"a\"},\n\"Lib 2\": {\"guid\": \"a\"}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [\n{\"dir\": \"a\", \"libpath\": \"video\"}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [{\"dir\": \"a\", \"libpath\": \"/a/../b/\"}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [{\"dir\": \"\", \"libpath\": \"/\"}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [{\"dir\": \"a\", \"libpath\": \"/\", \"sync\": true, \"readonly\": true}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [{\"dir\": \"a\", \"libpath\": \"/\", \"readonly\": false}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [\n{\"dir\": \"a\", \"libpath\": \"/\", \"sync\": true},\n{\"dir\": \"b\", \"libpath\": \"/b\", \"sync\": true}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [\n{\"dir\": \"a\", \"libpath\": \"/\"},\n{\"dir\": \"b\", \"libpath\": \"/\"}]}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"approvals\": {\"delete\": 0}}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"approvals\": {\"deletes\": 2}}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"retention\": {\"bytes\": \"much\"}}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"conflicts\": \"mine\"}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"priority\": 101}}",
            "{\"Lib 1\": {\"guid\": \"a\", \"comment\": \"by hand\"}}",
        ],
        expect![[r#"
            libraries.json line 1: expected an object, found a list
            libraries.json line 1: ["Lib 1"]: key "guid" is missing
            libraries.json line 1: ["Lib 1"].guid: expected 1 to 64 of the characters A-Z a-z 0-9 _ -, found "a b"
            libraries.json line 1: ["a/b"]: expected a name that a folder can have: no slash, and not . or ..
            libraries.json line 1: [".."]: expected a name that a folder can have: no slash, and not . or ..
            libraries.json line 2: key "Lib 1" is written twice, first in line 1
            libraries.json line 2: ["Lib 2"].guid: library "Lib 1" has the same GUID: give each its own
            libraries.json line 2: ["Lib 1"].mounts[0].libpath: expected a path that begins with /, found "video"
            libraries.json line 1: ["Lib 1"].mounts[0].libpath: expected a path without . or .. or empty names, such as "/b", found "/a/../b/"
            libraries.json line 1: ["Lib 1"].mounts[0].dir: expected a folder, found ""
            libraries.json line 1: ["Lib 1"].mounts[0].sync: a sync target is written to: expected false, or "readonly": false
            warning: libraries.json line 1: ["Lib 1"].mounts[0].readonly: without "sync": true nothing is written to this mount, as if it were read-only
            changed: libraries.json
            libraries.json line 3: ["Lib 1"].mounts[1].sync: library "Lib 1" has two sync targets, TMP/daemon/a (mounts[0]) and TMP/daemon/b: expected one
            libraries.json line 3: ["Lib 1"].mounts[1].libpath: mounts[0] has the same libpath: give each its own
            libraries.json line 1: ["Lib 1"].approvals.delete: expected a whole number from 1 to 1000000000, found 0
            warning: libraries.json line 1: ["Lib 1"].approvals: key "deletes" is unknown; did you mean "delete"?
            changed: libraries.json
            libraries.json line 1: ["Lib 1"].retention.bytes: `much` is not a length: write a number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB, as in 64MiB
            libraries.json line 1: ["Lib 1"].conflicts: expected "manual" or "keep_local" or "keep_remote" or "auto_merge" or "newer" or "keep_both", found "mine"
            libraries.json line 1: ["Lib 1"].priority: expected a whole number from -100 to 100, found 101
            warning: libraries.json line 1: ["Lib 1"]: key "comment" is unknown and has no effect
            changed: libraries.json
        "#]],
    );
}

#[test]
fn subscriptions_are_checked() {
    check_each(
        FileName::Subscriptions,
        &[
            "[{\"guid\": \"a\"}]",
            "[{\"localSyncDir\": \"a\"}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\"},\n{\"guid\": \"a\", \"localSyncDir\": \"b\"}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\", \"include\": [\"\"]}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\", \"include\": \"*.mov\"}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\", \"from\": [\"anna\"], \"versionOf\": \"ben\"}]",
            "[{\"guid\": \"a\", \"localsyncdir\": \"a\"}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\", \"scrub\": 7}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\", \"scrub\": {\"days\": -1}}]",
            "[{\"guid\": \"a\", \"localSyncDir\": \"a\", \"scrub\": {}}]",
        ],
        expect![[r#"
            subscriptions.json line 1: [0]: key "localSyncDir" is missing
            subscriptions.json line 1: [0]: key "guid" is missing
            subscriptions.json line 2: [1].guid: [0] has the same one: take one out
            subscriptions.json line 1: [0].include[0]: expected some text, found an empty string
            subscriptions.json line 1: [0].include: expected a list, found "*.mov"
            warning: subscriptions.json line 1: [0].from[0]: no peer in peers.json has this address, node or name
            warning: subscriptions.json line 1: [0].versionOf: no peer in peers.json has this address, node or name
            changed: subscriptions.json
            subscriptions.json line 1: [0]: key "localSyncDir" is missing, and "localsyncdir" is unknown
            subscriptions.json line 1: [0].scrub: expected false, or {"days": 30}, found 7
            subscriptions.json line 1: [0].scrub.days: expected a whole number from 0 to 36500, found -1
            subscriptions.json line 1: [0].scrub: key "days" is missing
        "#]],
    );
}

#[test]
fn folders_stand_apart_within_a_file() {
    let one = |dir: &str| format!("{{\"dir\": \"{dir}\", \"libpath\": \"/\", \"sync\": true}}");
    let two = |a: &str, b: &str| {
        format!(
            "{{\"Lib 1\": {{\"guid\": \"a\", \"mounts\": [{a}]}},\n\"Lib 2\": {{\"guid\": \"b\", \"mounts\": [{b}]}}}}"
        )
    };
    let read_only = |dir: &str| format!("{{\"dir\": \"{dir}\", \"libpath\": \"/\"}}");
    let subscriptions = |a: &str, b: &str| {
        format!(
            "[{{\"guid\": \"a\", \"localSyncDir\": \"{a}\"}},\n{{\"guid\": \"b\", \"localSyncDir\": \"{b}\"}}]"
        )
    };
    check_each(
        FileName::Libraries,
        &[
            &two(&one("a"), &one("a")),
            &two(&one("a"), &one("./a/")),
            &two(&one("a"), &one("a/b")),
            &two(&one("a/b"), &one("a")),
            &two(&one("a"), &one("x/../a")),
            &two(&one("a"), &read_only("a/b")),
            &two(&read_only("a"), &one("a/b")),
            &two(&one("a"), &one("ab")),
            &two(&read_only("a"), &read_only("a")),
            &two(&read_only("."), &read_only("a")),
            &two(&one(".."), &read_only("a")),
        ],
        expect![[r#"
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/a is the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/a is the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/a/b is inside TMP/daemon/a, the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/a holds TMP/daemon/a/b, the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/x/../a is TMP/daemon/a, the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/a/b is inside TMP/daemon/a, the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            libraries.json line 2: ["Lib 2"].mounts[0].dir: TMP/daemon/a/b is inside TMP/daemon/a, a mount of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            changed: libraries.json
            changed: libraries.json
            libraries.json line 1: ["Lib 1"].mounts[0].dir: TMP/daemon holds the daemon's own folder TMP/daemon, where passwords are: choose another folder
            libraries.json line 1: ["Lib 1"].mounts[0].dir: TMP/daemon/.. holds the daemon's own folder TMP/daemon, where passwords are: choose another folder
        "#]],
    );
    check_each(
        FileName::Subscriptions,
        &[
            &subscriptions("a", "a"),
            &subscriptions("a", "a/b"),
            &subscriptions("a", "b"),
            &subscriptions("/", "b"),
        ],
        expect![[r#"
            subscriptions.json line 2: [1].localSyncDir: TMP/daemon/a is the folder of subscription a (subscriptions.json line 1): expected a folder apart from it
            subscriptions.json line 2: [1].localSyncDir: TMP/daemon/a/b is inside TMP/daemon/a, the folder of subscription a (subscriptions.json line 1): expected a folder apart from it
            changed: subscriptions.json
            subscriptions.json line 1: [0].localSyncDir: / holds the daemon's own folder TMP/daemon, where passwords are: choose another folder
        "#]],
    );
}

#[test]
fn folders_stand_apart_between_files() {
    let libraries =
        "{\"Lib 1\": {\"guid\": \"a\", \"mounts\": [{\"dir\": \"a\", \"libpath\": \"/\", \"sync\": true}]}}";
    check_all(
        &[
            (FileName::Libraries, libraries),
            (FileName::Subscriptions, "[\n{\"guid\": \"b\", \"localSyncDir\": \"a/b\"}]"),
        ],
        expect![[r#"
            subscriptions.json line 2: [0].localSyncDir: TMP/daemon/a/b is inside TMP/daemon/a, the sync target of library "Lib 1" (libraries.json line 1): expected a folder apart from it
            changed: libraries.json"#]],
    );
    check_all(
        &[
            (FileName::Libraries, libraries),
            (FileName::Subscriptions, "[\n{\"guid\": \"a\", \"localSyncDir\": \"b\"}]"),
        ],
        expect![[r#"
            subscriptions.json line 2: [0].guid: library a ("Lib 1") is kept here and subscribed to, too (libraries.json line 1): expected one of the two
            changed: libraries.json"#]],
    );
}

#[test]
fn the_file_that_came_later_is_at_fault() {
    let mut world = World::new();
    world.write(FileName::Subscriptions, "[{\"guid\": \"b\", \"localSyncDir\": \"a\"}]");
    let mut told = world.reload();
    world.write(
        FileName::Libraries,
        "{\"Lib 1\": {\"guid\": \"a\",\n\"mounts\": [{\"dir\": \"a\", \"libpath\": \"/\", \"sync\": true}]}}",
    );
    told += "\n-- a library in the same folder\n";
    told += &world.reload();
    // The library's file has not changed since, and is taken once the other leaves it the folder.
    world.write(FileName::Subscriptions, "[{\"guid\": \"b\", \"localSyncDir\": \"b\"}]");
    told += "\n-- the subscription moves away\n";
    told += &world.reload();
    expect![[r#"
        changed: subscriptions.json
        -- a library in the same folder
        libraries.json line 2: ["Lib 1"].mounts[0].dir: TMP/daemon/a is the folder of subscription b (subscriptions.json line 1): expected a folder apart from it
        -- the subscription moves away
        changed: libraries.json
        changed: subscriptions.json"#]].assert_eq(&told);
    assert_eq!(world.folder.libraries().len(), 1);
}

/// One library and one subscription in these folders, both written between two polls.
fn write_both(world: &mut World, library: &str, subscription: &str, priority: i8) -> String {
    let mount = format!("{{\"dir\": \"{library}\", \"libpath\": \"/\", \"sync\": true}}");
    world.write(FileName::Libraries, &format!("{{\"L\": {{\"guid\": \"l\", \"mounts\": [{mount}]}}}}"));
    let rest = format!("\"localSyncDir\": \"{subscription}\", \"priority\": {priority}");
    world.write(FileName::Subscriptions, &format!("[{{\"guid\": \"s\", {rest}}}]"));
    world.reload()
}

#[test]
fn of_two_files_that_changed_at_once_as_much_is_taken_as_holds_together() {
    let mut told = String::new();
    for (library, subscription, what) in [
        ("p/b", "p/a", "they swap folders: both are taken"),
        (
            "p/b/x",
            "p/b",
            "the library does not fit to the old subscription either: the subscription is taken",
        ),
        ("p/a/x", "p/a", "the subscription does not fit to the old library either: the library is taken"),
        ("p/c", "p/c", "each fits to what was before: the library is taken"),
        ("p/b/x", "p", "neither fits to what was before: none is taken"),
    ] {
        let mut world = World::new();
        assert_eq!(write_both(&mut world, "p/a", "p/b", 0).lines().count(), 2);
        told += &format!("-- {what}\n{}\n", write_both(&mut world, library, subscription, 1));
    }
    expect![[r#"
        -- they swap folders: both are taken
        changed: libraries.json
        changed: subscriptions.json
        -- the library does not fit to the old subscription either: the subscription is taken
        libraries.json line 1: L.mounts[0].dir: TMP/daemon/p/b/x is inside TMP/daemon/p/b, the folder of subscription s (subscriptions.json line 1): expected a folder apart from it
        changed: subscriptions.json
        -- the subscription does not fit to the old library either: the library is taken
        subscriptions.json line 1: [0].localSyncDir: TMP/daemon/p/a holds TMP/daemon/p/a/x, the sync target of library "L" (libraries.json line 1): expected a folder apart from it
        changed: libraries.json
        -- each fits to what was before: the library is taken
        subscriptions.json line 1: [0].localSyncDir: TMP/daemon/p/c is the sync target of library "L" (libraries.json line 1): expected a folder apart from it
        changed: libraries.json
        -- neither fits to what was before: none is taken
        libraries.json line 1: L.mounts[0].dir: TMP/daemon/p/b/x is inside TMP/daemon/p, the folder of subscription s (subscriptions.json line 1): expected a folder apart from it
        subscriptions.json line 1: [0].localSyncDir: TMP/daemon/p holds TMP/daemon/p/b/x, the sync target of library "L" (libraries.json line 1): expected a folder apart from it
    "#]].assert_eq(&told);
}

#[test]
fn a_symbolic_link_does_not_hide_that_folders_nest() {
    let mut world = World::new();
    let real = world.outside.path().join("real");
    fs::create_dir_all(real.join("in")).expect("a folder");
    std::os::unix::fs::symlink(&real, world.folder.dir().join("link")).expect("a link");
    world.write(
        FileName::Subscriptions,
        "[{\"guid\": \"a\", \"localSyncDir\": \"../real\"},\n{\"guid\": \"b\", \"localSyncDir\": \"link/in/new\"},\n{\"guid\": \"c\", \"localSyncDir\": \"link/../fine\"}]",
    );
    let reloaded = world.folder.reload();
    expect!["subscriptions.json line 2: [1].localSyncDir: TMP/daemon/link/in/new is inside TMP/daemon/../real, the folder of subscription a (subscriptions.json line 1): expected a folder apart from it"].assert_eq(&world.shown(&reloaded));
}

#[test]
fn a_file_that_is_no_text_or_is_missing_or_too_long_is_told() {
    let mut world = World::new();
    let path = |file| world.folder.path(file);
    fs::write(path(FileName::Config), b"\xff\xfe{\0}\0").expect("a file");
    fs::write(path(FileName::Peers), b"[\"caf\xe9\"]").expect("a file");
    fs::write(path(FileName::Users), " ".repeat(5 << 20)).expect("a file");
    fs::remove_file(path(FileName::Libraries)).expect("it was there");
    fs::remove_file(path(FileName::Subscriptions)).expect("it was there");
    fs::create_dir(path(FileName::Subscriptions)).expect("a folder");
    let reloaded = world.folder.reload();
    expect![[r#"
        config.json: it is UTF-16 text: save it as UTF-8
        peers.json: it is not UTF-8 text from byte 5 on: save it as UTF-8
        users.json: expected at most 4194304 bytes
        libraries.json: it is missing: write it again, or start the daemon anew for an empty one
        subscriptions.json: it cannot be read: it is not a regular file"#]]
    .assert_eq(&world.shown(&reloaded));
}

#[test]
fn no_daemon_starts_with_files_that_are_wrong_and_all_of_them_are_told() {
    let tmp = tempfile::tempdir().expect("a folder");
    fs::write(tmp.path().join("config.json"), "{\"port\": true}").expect("a file");
    fs::write(tmp.path().join("users.json"), "[\n{}]").expect("a file");
    let error = DaemonFolder::open(tmp.path()).expect_err("two are wrong").to_string();
    expect![[r#"
        config.json line 1: port: expected a whole number from 0 to 65535, found true
        users.json line 2: [0]: key "user" is missing"#]]
    .assert_eq(&error);
}

#[test]
fn a_new_folder_has_all_files_and_passwords_are_private() {
    let mut world = World::new();
    let mode = |world: &World, file| {
        let metadata = fs::metadata(world.folder.path(file)).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    for file in FileName::ALL {
        assert_eq!(mode(&world, file) == 0o600, file.has_passwords(), "{file}");
    }
    assert_eq!((world.folder.config().port, world.folder.config().lan), (8000, true));
    assert_eq!(world.folder.config().default_sync_root, world.folder.dir().join("libraries"));
    fs::set_permissions(world.folder.path(FileName::Users), fs::Permissions::from_mode(0o644)).expect("ours");
    let reloaded = world.folder.reload();
    expect!["warning: users.json: others could read its passwords: its mode is 0600 now"]
        .assert_eq(&world.shown(&reloaded));
    assert_eq!(mode(&world, FileName::Users), 0o600);
}

#[test]
fn what_a_link_leads_to_keeps_its_mode() {
    let mut world = World::new();
    let (tool, users) = (world.folder.path(FileName::Users).with_file_name("tool"), FileName::Users);
    fs::write(&tool, "[]").expect("ours");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("ours");
    fs::remove_file(world.folder.path(users)).expect("ours");
    std::os::unix::fs::symlink(&tool, world.folder.path(users)).expect("ours");
    world.folder.reload();
    assert_eq!(fs::metadata(&tool).expect("ours").permissions().mode() & 0o777, 0o755);
}
