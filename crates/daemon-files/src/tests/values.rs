//! Everything that a file can say, as the values that a daemon gets.

use expect_test::{Expect, expect};

use super::World;
use crate::{DaemonFolder, FileName};

fn check(file: FileName, text: &str, of: impl FnOnce(&DaemonFolder) -> String, expected: Expect) {
    let mut world = World::new();
    world.write(file, text);
    let reloaded = world.folder.reload();
    assert_eq!((reloaded.errors, reloaded.warnings), (Vec::new(), Vec::new()));
    expected.assert_eq(&world.without_tmp(&of(&world.folder)));
}

#[test]
fn a_config_says_all_of_it() {
    let node = "ab".repeat(32);
    let text = format!(
        r#"{{
            "port": 0, "listen": "::1", "username": "me", "password": "secret", "defaultSyncRoot": "/srv/libraries",
            "lan": false, "dht": true, "coordinators": ["{node}@a:1"], "zone": "lab",
            "limits": {{"up": "20MB/s", "down": "100mbit"}}, "minFree": "1GB", "metrics": "127.0.0.1:9433",
            "allowPlainHttp": true, "tls": {{"cert": "cert.pem", "key": "/etc/key.pem"}}
        }}"#
    );
    check(
        FileName::Config,
        &text,
        |folder| format!("{:#?}", folder.config()),
        expect![[r#"
            Config {
                port: 0,
                listen: Some(
                    ::1,
                ),
                username: "me",
                password: Secret(..),
                default_sync_root: "/srv/libraries",
                lan: false,
                dht: true,
                dht_bootstrap: [],
                coordinators: [
                    Source {
                        node: NodeId(abababab),
                        addresses: [
                            Address(
                                "a:1",
                            ),
                        ],
                    },
                ],
                zone: Some(
                    Zone(
                        "lab",
                    ),
                ),
                limits: Limits {
                    up: Some(
                        Rate(
                            20000000,
                        ),
                    ),
                    down: Some(
                        Rate(
                            12500000,
                        ),
                    ),
                },
                schedule: [],
                min_free: 1000000000,
                metrics: Some(
                    127.0.0.1:9433,
                ),
                allow_plain_http: true,
                tls: Some(
                    Tls {
                        cert: "TMP/daemon/cert.pem",
                        key: "/etc/key.pem",
                    },
                ),
                hosts: [],
            }"#]],
    );
    check(
        FileName::Config,
        "{}",
        |folder| format!("{:?}", folder.config()),
        expect![[
            r#"Config { port: 8000, listen: None, username: "", password: Secret(..), default_sync_root: "TMP/daemon/libraries", lan: true, dht: false, dht_bootstrap: [], coordinators: [], zone: None, limits: Limits { up: None, down: None }, schedule: [], min_free: 0, metrics: None, allow_plain_http: false, tls: None, hosts: [] }"#
        ]],
    );
}

#[test]
fn peers_and_users_say_all_of_it() {
    let node = "ab".repeat(32);
    let text = format!(
        r#"[{{"address": "[::1]:1", "trusted": true, "username": "u", "password": "secret", "node": "{node}", "name": "n"}},
            {{"address": "{node}@a.example:2", "role": "mirror"}}]"#
    )
    .replace(&format!("\"node\": \"{node}\""), &format!("\"node\": \"{}\"", "cd".repeat(32)));
    check(
        FileName::Peers,
        &text,
        |folder| format!("{:#?}", folder.peers()),
        expect![[r#"
            [
                Peer {
                    address: Some(
                        Address(
                            "[::1]:1",
                        ),
                    ),
                    origin: None,
                    fingerprint: None,
                    trusted: true,
                    username: "u",
                    password: Secret(..),
                    node: Some(
                        NodeId(cdcdcdcd),
                    ),
                    is_mirror: false,
                    name: Some(
                        "n",
                    ),
                },
                Peer {
                    address: Some(
                        Address(
                            "a.example:2",
                        ),
                    ),
                    origin: None,
                    fingerprint: None,
                    trusted: false,
                    username: "",
                    password: Secret(..),
                    node: Some(
                        NodeId(abababab),
                    ),
                    is_mirror: true,
                    name: None,
                },
            ]"#]],
    );
    check(
        FileName::Users,
        r#"[{"user": "a", "pass": "secret"}, {"user": "b", "hash": "$argon2id$x", "role": "viewer"}]"#,
        |folder| format!("{:#?}", folder.users()),
        expect![[r#"
            [
                User {
                    user: "a",
                    proof: Pass(
                        Secret(..),
                    ),
                    role: None,
                    libraries: {},
                },
                User {
                    user: "b",
                    proof: Hash(
                        "$argon2id$x",
                    ),
                    role: Some(
                        Viewer,
                    ),
                    libraries: {},
                },
            ]"#]],
    );
}

#[test]
fn libraries_and_subscriptions_say_all_of_it() {
    let text = r#"{"Lib 1": {
        "guid": "jdfhdhdbe484746",
        "mounts": [{"dir": "/Volumes/video", "libpath": "/video", "readonly": true},
                   {"dir": "./sync", "libpath": "/", "sync": true, "readonly": false, "minFree": "5GB"}],
        "approvals": {"delete": 2, "move": 3, "bulk": 100, "bulkApprovals": 4, "expiryDays": 7, "refuseByOne": true},
        "retention": {"days": 30, "count": 5, "bytes": "1TB"}, "conflicts": "keep_both", "role": "mirror",
        "limits": {"down": "1MB/s"}, "sealed": true, "paused": true, "priority": -7, "public": true
    }}"#;
    check(
        FileName::Libraries,
        text,
        |folder| format!("{:#?}", folder.libraries()),
        expect![[r#"
            [
                Library {
                    name: "Lib 1",
                    guid: Guid(
                        "jdfhdhdbe484746",
                    ),
                    mounts: [
                        Mount {
                            dir: "/Volumes/video",
                            libpath: "/video",
                            is_sync: false,
                            min_free: None,
                        },
                        Mount {
                            dir: "TMP/daemon/sync",
                            libpath: "/",
                            is_sync: true,
                            min_free: Some(
                                5000000000,
                            ),
                        },
                    ],
                    approvals: Approvals {
                        delete: 2,
                        moves: 3,
                        bulk: Some(
                            100,
                        ),
                        bulk_approvals: 4,
                        expiry_days: 7,
                        refuse_by_one: true,
                    },
                    retention: Retention {
                        days: Some(
                            30,
                        ),
                        count: Some(
                            5,
                        ),
                        bytes: Some(
                            1000000000000,
                        ),
                    },
                    conflicts: Some(
                        KeepBoth,
                    ),
                    role: Some(
                        Mirror,
                    ),
                    limits: Limits {
                        up: None,
                        down: Some(
                            Rate(
                                1000000,
                            ),
                        ),
                    },
                    scrub_days: 30,
                    is_sealed: true,
                    is_paused: true,
                    priority: -7,
                    public: Yes,
                },
            ]"#]],
    );
    check(
        FileName::Libraries,
        r#"{"Lib 1": {"guid": "a"}}"#,
        |folder| format!("{:?}", folder.libraries()),
        expect![[
            r#"[Library { name: "Lib 1", guid: Guid("a"), mounts: [], approvals: Approvals { delete: 1, moves: 1, bulk: None, bulk_approvals: 2, expiry_days: 14, refuse_by_one: false }, retention: Retention { days: None, count: None, bytes: None }, conflicts: None, role: None, limits: Limits { up: None, down: None }, scrub_days: 30, is_sealed: false, is_paused: false, priority: 0, public: No }]"#
        ]],
    );
    let text = r#"[{"guid": "a", "localSyncDir": "../b", "include": ["*.mov"], "exclude": ["tmp/**"], "paused": true,
        "priority": 9, "limits": {"up": "8mbit"}, "public": "indexed"}]"#;
    check(
        FileName::Subscriptions,
        text,
        |folder| format!("{:#?}", folder.subscriptions()),
        expect![[r#"
            [
                Subscription {
                    guid: Guid(
                        "a",
                    ),
                    local_sync_dir: "TMP/daemon/../b",
                    from: [],
                    include: [
                        "*.mov",
                    ],
                    exclude: [
                        "tmp/**",
                    ],
                    version_of: None,
                    approvals: None,
                    retention: Retention {
                        days: None,
                        count: None,
                        bytes: None,
                    },
                    conflicts: None,
                    is_paused: true,
                    priority: 9,
                    limits: Limits {
                        up: Some(
                            Rate(
                                1000000,
                            ),
                        ),
                        down: None,
                    },
                    scrub_days: 30,
                    public: Indexed,
                },
            ]"#]],
    );
}
