//! The schemas name and describe every key.

use expect_test::expect;
use serde_json::Value;

use crate::{FileName, schema};

/// Every key of a schema with its description, by the name of what it belongs to.
fn keys(of: &Value, name: &str, out: &mut Vec<String>) {
    for (key, described) in of["properties"].as_object().into_iter().flatten() {
        let text = described["description"].as_str().unwrap_or_default();
        assert!(text.len() > 4, "{name}.{key} is not described");
        out.push(format!("{name}.{key}"));
    }
    for (inner, of) in of["$defs"].as_object().into_iter().flatten() {
        keys(of, inner, out);
    }
}

#[test]
fn the_schemas_describe_every_key() {
    let mut all = Vec::new();
    for file in FileName::ALL {
        let schema = schema(file);
        assert_eq!(schema["title"], file.as_str());
        assert!(schema["description"].as_str().is_some_and(|text| text.len() > 10), "{file}: {schema}");
        keys(&schema, file.as_str(), &mut all);
    }
    expect![[r#"
        config.json.allowPlainHttp
        config.json.coordinators
        config.json.defaultSyncRoot
        config.json.dht
        config.json.dhtBootstrap
        config.json.hosts
        config.json.lan
        config.json.limits
        config.json.listen
        config.json.metrics
        config.json.minFree
        config.json.password
        config.json.port
        config.json.tls
        config.json.username
        config.json.zone
        nodeLimits.down
        nodeLimits.schedule
        nodeLimits.up
        schedule.days
        schedule.down
        schedule.from
        schedule.to
        schedule.up
        tls.cert
        tls.key
        peer.address
        peer.fingerprint
        peer.name
        peer.node
        peer.password
        peer.role
        peer.trusted
        peer.username
        user.hash
        user.libraries
        user.pass
        user.role
        user.user
        approvals.bulk
        approvals.bulkApprovals
        approvals.delete
        approvals.expiryDays
        approvals.move
        approvals.refuseByOne
        library.approvals
        library.conflicts
        library.guid
        library.limits
        library.mounts
        library.paused
        library.priority
        library.public
        library.retention
        library.role
        library.scrub
        library.sealed
        limits.down
        limits.up
        mount.dir
        mount.libpath
        mount.minFree
        mount.readonly
        mount.sync
        retention.bytes
        retention.count
        retention.days
        scrub.days
        approvals.bulk
        approvals.bulkApprovals
        approvals.delete
        approvals.expiryDays
        approvals.move
        approvals.refuseByOne
        limits.down
        limits.up
        retention.bytes
        retention.count
        retention.days
        scrub.days
        subscription.approvals
        subscription.conflicts
        subscription.exclude
        subscription.from
        subscription.guid
        subscription.include
        subscription.limits
        subscription.localSyncDir
        subscription.paused
        subscription.priority
        subscription.public
        subscription.retention
        subscription.scrub
        subscription.versionOf
        file.blake3
        file.length
        file.mtime
        file.path
        file.sha256"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn files_are_named_with_or_without_their_ending() {
    assert_eq!("peers".parse(), Ok(FileName::Peers));
    assert_eq!("files-local.json".parse(), Ok(FileName::FilesLocal));
    assert_eq!("peer".parse::<FileName>(), Err(crate::FileNameError));
}

#[test]
fn a_schema_is_plain() {
    let peers = serde_json::to_string_pretty(&schema(FileName::Peers)).expect("JSON");
    expect![[r##"
        {
          "$defs": {
            "Secret": {
              "description": "A password, which no log shows.",
              "type": "string"
            },
            "peer": {
              "properties": {
                "address": {
                  "description": "Where the peer is reached: \"host:port\", or \"NODEID@host:port\". Without it, and with \"node\", the peer is looked for on the local\nnetwork, at coordinators and in the DHT, as far as config.json has them on. \"https://host:port\" is an origin: a server that\nlists files and gives their bytes, or a node whose UDP does not get through.",
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "fingerprint": {
                  "description": "Of an origin alone: the SHA-256 of its certificate, or \"authority\" for one that an authority vouches for. The daemon writes it at\nfirst contact, and from then on accepts no other.",
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "name": {
                  "description": "What you call this peer, for lists and messages.",
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "node": {
                  "description": "The peer's NodeId. The daemon writes it at first contact, and from then on accepts no other.",
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "password": {
                  "$ref": "#/$defs/Secret",
                  "description": "The password that goes with it."
                },
                "role": {
                  "description": "\"mirror\": carries contents onward, and sees neither users, peers nor votes. Only if it is not trusted.",
                  "enum": [
                    "mirror",
                    null
                  ],
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "trusted": {
                  "default": false,
                  "description": "Whether the peer's versions, votes and list of peers count here. Without it: false.",
                  "type": "boolean"
                },
                "username": {
                  "default": "",
                  "description": "The user name that this node shows to this peer. Without it: the one of config.json.",
                  "type": "string"
                }
              },
              "type": "object"
            }
          },
          "$schema": "https://json-schema.org/draft/2020-12/schema",
          "description": "The peers of this node.",
          "items": {
            "$ref": "#/$defs/peer"
          },
          "title": "peers.json",
          "type": "array"
        }"##]].assert_eq(&peers);
}
