//! What the files of the folder come to: settings of each library, who may have what, whom to dial.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use swarm_core::base::NodeId;
use swarm_daemon_files::{
    Approvals, DaemonFolder, Library, Peer, Proof, Retention as FileRetention, Role as FileRole, Subscription,
};
use swarm_library::{Guid, LibraryKey, Policy, Role, Trust};
use swarm_mounts::{MountKind, MountSpec};
use swarm_sync::Retention;

use crate::exchange::{Access, LibraryRule, PeerRule, Target, UserRule};
use crate::library::LibrarySettings;
use crate::origins::OriginSettings;

/// All that the files say, as the rest of the daemon goes by it.
pub(crate) struct Settings {
    pub(crate) libraries: BTreeMap<LibraryKey, LibrarySettings>,
    pub(crate) access: Access,
    pub(crate) targets: BTreeSet<Target>,
    /// Nodes whose records and votes count.
    pub(crate) authors: BTreeSet<NodeId>,
}

impl Settings {
    /// From the files. `told` are peers that trusted peers told of.
    pub(crate) fn of(folder: &DaemonFolder, me: NodeId) -> Self {
        let config = folder.config();
        let mut libraries = BTreeMap::new();
        for library in folder.libraries() {
            if let Some(settings) = of_library(library, &config.default_sync_root, config.min_free) {
                libraries.insert(settings.guid.key(), settings);
            }
        }
        for subscription in folder.subscriptions() {
            if let Some(settings) = of_subscription(subscription, folder.peers(), config.min_free) {
                libraries.entry(settings.guid.key()).or_insert(settings);
            }
        }
        let names = folder.library_names();
        for settings in libraries.values_mut() {
            if let Some(name) = names.get(settings.guid.as_str()) {
                settings.name.clone_from(name);
            }
        }
        let peers: BTreeMap<NodeId, PeerRule> = folder.peers().iter().filter_map(peer_rule).collect();
        let trusted = peers.iter().filter(|(_, peer)| peer.trust == Trust::Trusted).map(|(node, _)| *node);
        let authors = trusted.chain([me]).collect();
        let users = folder.users().iter().filter_map(|user| {
            let Proof::Hash(hash) = &user.proof else { return None };
            let of_library = |(guid, role): (String, FileRole)| {
                let settings = libraries.values().find(|settings| settings.guid.as_str() == guid)?;
                Some((settings.guid.key(), role_of(role)))
            };
            let of_libraries = folder.roles_in_libraries(user).into_iter().filter_map(of_library).collect();
            let rule = UserRule { hash: hash.clone(), role: user.role.map(role_of), libraries: of_libraries };
            Some((user.user.clone(), rule))
        });
        let users = users.collect();
        let rules = libraries.iter().map(|(key, settings)| {
            let rule = LibraryRule {
                name: settings.name.clone(),
                guid: settings.guid.to_string(),
                from: settings.from.clone(),
            };
            (*key, rule)
        });
        let access = Access { peers, users, libraries: rules.collect() };
        let target = |peer: &Peer| {
            Some(Target { address: peer.address.as_ref()?.to_string(), node: peer.node, others: Vec::new() })
        };
        let targets = folder.peers().iter().filter_map(target).collect();
        Self { libraries, access, targets, authors }
    }
}

/// Peers that speak HTTP(S) alone. A user is shown to one only if its own entry names it: what `config.json` says is for nodes.
pub(crate) fn origins_of(folder: &DaemonFolder) -> Vec<OriginSettings> {
    let origin = |peer: &Peer| {
        let user = (!peer.username.is_empty()).then(|| (peer.username.clone(), peer.password.clone()));
        let (url, fingerprint, trusted) = (peer.origin.clone()?, peer.fingerprint, peer.trusted);
        Some(OriginSettings { url, user, fingerprint, trusted })
    };
    folder.peers().iter().filter_map(origin).collect()
}

fn of_library(library: &Library, default_root: &std::path::Path, min_free: u64) -> Option<LibrarySettings> {
    let mounts = library.mounts.iter().map(|mount| MountSpec {
        dir: mount.dir.clone(),
        libpath: LibrarySettings::libpath(&mount.libpath),
        kind: if mount.is_sync { MountKind::SyncTarget } else { MountKind::ReadOnly },
        min_free: mount.min_free.unwrap_or(min_free),
    });
    let guid = Guid::new(library.guid.as_str()).ok()?;
    Some(LibrarySettings {
        name: library.name.clone(),
        mirror_folder: default_root.join(MIRRORS).join(guid.as_str()),
        mirror_min_free: min_free,
        guid,
        mounts: mounts.collect(),
        default_target: default_root.join(&library.name),
        policy: Some(policy_of(library.approvals)),
        strategy: library.conflicts.unwrap_or_default(),
        includes: Vec::new(),
        excludes: Vec::new(),
        version_of: None,
        from: None,
        from_origins: None,
        is_mirror: library.role == Some(FileRole::Mirror),
        is_sealed: library.is_sealed,
        is_followed: false,
        is_paused: library.is_paused,
        priority: library.priority,
        limits: library.limits,
        scrub_days: library.scrub_days,
        retention: retention_of(library.retention),
    })
}

fn of_subscription(subscription: &Subscription, peers: &[Peer], min_free: u64) -> Option<LibrarySettings> {
    let guid = Guid::new(subscription.guid.as_str()).ok()?;
    let target: PathBuf = subscription.local_sync_dir.clone();
    let mount = MountSpec { dir: target.clone(), libpath: None, kind: MountKind::SyncTarget, min_free };
    let node_of = |which: &String| {
        let is_it = |peer: &&Peer| {
            peer.name.as_ref() == Some(which)
                || peer.address.as_ref().is_some_and(|address| address.to_string() == *which)
                || peer.node.is_some_and(|node| node.to_string() == *which)
        };
        peers.iter().find(is_it)?.node
    };
    let version_of = subscription.version_of.as_ref().map(|which| node_of(which).unwrap_or(NOBODY));
    let from =
        (!subscription.from.is_empty()).then(|| subscription.from.iter().filter_map(node_of).collect());
    let origin_of = |which: &String| {
        let is_it = |peer: &&Peer| peer.name.as_ref() == Some(which) || peer.place() == Some(which.as_str());
        peers.iter().find(is_it)?.origin.clone()
    };
    let from_origins =
        (!subscription.from.is_empty()).then(|| subscription.from.iter().filter_map(origin_of).collect());
    let name =
        target.file_name().map_or_else(|| guid.to_string(), |name| name.to_string_lossy().into_owned());
    Some(LibrarySettings {
        name,
        guid,
        mounts: vec![mount],
        default_target: target,
        policy: subscription.approvals.map(policy_of),
        strategy: subscription.conflicts.unwrap_or_default(),
        includes: subscription.include.clone(),
        excludes: subscription.exclude.clone(),
        version_of,
        from,
        from_origins,
        is_mirror: false,
        mirror_folder: PathBuf::new(),
        mirror_min_free: min_free,
        is_sealed: false,
        is_followed: true,
        is_paused: subscription.is_paused,
        priority: subscription.priority,
        limits: subscription.limits,
        scrub_days: subscription.scrub_days,
        retention: retention_of(subscription.retention),
    })
}

/// Below the default folder: a folder for each library that is mirrored.
const MIRRORS: &str = "mirrors";

fn policy_of(approvals: Approvals) -> Policy {
    Policy {
        delete_votes: approvals.delete,
        move_votes: approvals.moves,
        bulk_changes: approvals.bulk.unwrap_or(0),
        bulk_votes: approvals.bulk_approvals,
        expiry_days: approvals.expiry_days,
        refused_by_one: approvals.refuse_by_one,
    }
}

/// What a file does not say is as in any sync: thirty days, the fewer the older they are.
fn retention_of(retention: FileRetention) -> Retention {
    let FileRetention { days, count, bytes } = retention;
    let usual = Retention::default();
    Retention {
        max_age_secs: days.map(|days| u64::from(days) * 24 * 3600).or(usual.max_age_secs),
        max_count: count.map(|count| count as usize),
        max_bytes: bytes,
        staggered: usual.staggered,
    }
}

fn peer_rule(peer: &Peer) -> Option<(NodeId, PeerRule)> {
    let trust = match (peer.is_mirror, peer.trusted) {
        (true, _) => Trust::Mirror,
        (false, true) => Trust::Trusted,
        (false, false) => Trust::Untrusted,
    };
    let shown =
        (!peer.username.is_empty()).then(|| (peer.username.clone(), peer.password.expose().to_owned()));
    Some((peer.node?, PeerRule { trust, shown }))
}

fn role_of(role: FileRole) -> Role {
    match role {
        FileRole::Admin => Role::Admin,
        FileRole::Editor => Role::Editor,
        FileRole::Viewer => Role::Viewer,
        FileRole::Mirror => Role::Mirror,
    }
}

/// A peer that is named and not known: nobody has this key.
const NOBODY: NodeId = NodeId::from_bytes([0; 32]);
