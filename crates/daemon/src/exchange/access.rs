//! Who may have what: peers by trust, users by name and password. Invariant: a node that is neither a known peer nor a user gets nothing, and
//! is not told whether a library is here.

use std::collections::{BTreeMap, BTreeSet};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Argon2, PasswordHash};
use swarm_core::base::NodeId;
use swarm_library::wire::Hello;
use swarm_library::{LibraryKey, Role, Trust};

/// A peer of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerRule {
    pub(crate) trust: Trust,
    /// What this node shows to it, if that is something of its own.
    pub(crate) shown: Option<(String, String)>,
}

/// A user of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserRule {
    /// What proves the user: an argon2 hash.
    pub(crate) hash: String,
    pub(crate) role: Option<Role>,
    pub(crate) libraries: BTreeMap<LibraryKey, Role>,
}

/// All that decides who may have what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) peers: BTreeMap<NodeId, PeerRule>,
    pub(crate) users: BTreeMap<String, UserRule>,
    pub(crate) libraries: BTreeMap<LibraryKey, LibraryRule>,
}

/// What members are told of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LibraryRule {
    pub(crate) name: String,
    pub(crate) guid: String,
    /// The peers that it comes from; `None` for all.
    pub(crate) from: Option<BTreeSet<NodeId>>,
}

impl Access {
    /// What a node may do in a library.
    pub(crate) fn role_of(&self, node: &NodeId, user: Option<&str>, library: &LibraryKey) -> Option<Role> {
        let trust = self.peers.get(node).map_or(Trust::Untrusted, |peer| peer.trust);
        let user = user.and_then(|user| self.users.get(user));
        let of_user = user.and_then(|user| user.libraries.get(library).copied().or(user.role));
        let of_peer = match self.peers.get(node).map(|peer| peer.trust) {
            Some(Trust::Trusted) => Some(Role::Editor),
            Some(Trust::Mirror) => Some(Role::Mirror),
            Some(Trust::Untrusted) | None => None,
        };
        of_user.or(of_peer).map(|role| role.limited(trust))
    }

    /// Whether a library may come from a peer.
    pub(crate) fn may_come_from(&self, library: &LibraryKey, node: &NodeId) -> bool {
        let from = self.libraries.get(library).and_then(|rule| rule.from.as_ref());
        from.is_none_or(|from| from.contains(node))
    }

    /// Whether a peer's versions and votes count.
    pub(crate) fn is_trusted(&self, node: &NodeId) -> bool {
        self.peers.get(node).is_some_and(|peer| peer.trust == Trust::Trusted)
    }

    /// Whether what a node signed counts.
    pub(crate) fn counts(&self, node: &NodeId) -> bool {
        self.is_trusted(node)
    }

    /// What proves a user.
    pub(crate) fn check_of(&self, user: &str) -> Option<String> {
        self.users.get(user).map(|user| user.hash.clone())
    }

    /// What this node shows to a peer: a password is shown to known peers alone.
    pub(crate) fn hello_for(&self, node: &NodeId, own: &Hello) -> Hello {
        let mut hello = own.clone();
        match self.peers.get(node) {
            Some(PeerRule { shown: Some((user, password)), .. }) => {
                (hello.user, hello.password) = (user.clone(), password.clone());
            }
            Some(PeerRule { shown: None, .. }) => {}
            None => {
                hello.user.clear();
                hello.password.clear();
            }
        }
        hello
    }
}

/// The argon2id hash of a password, in PHC form. Takes some 60 ms.
pub fn hash_password(password: &str) -> Option<String> {
    // The seed of a new key is as good a salt as any.
    let chance = swarm_link::Identity::ephemeral().ok()?.node_id();
    let salt = SaltString::encode_b64(&chance.as_bytes()[..16]).ok()?;
    Argon2::default().hash_password(password.as_bytes(), &salt).ok().map(|hash| hash.to_string())
}

/// Whether a password is the one of this hash. Takes some 60 ms.
pub fn verify_password(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}
