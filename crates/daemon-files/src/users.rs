//! `users.json`: who may use this node. Invariant: names are distinct, and each has a password or its hash.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::key_path::KeyPath;
use crate::limits::USERS_MAX;
use crate::peers::distinct;
use crate::read::Wrong;
use crate::values::{Role, Secret, name_fault};

/// Somebody who may use this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name to log in with.
    pub user: String,
    /// What proves it.
    pub proof: Proof,
    /// What the user may do with all of the node; `None` if the file does not say.
    pub role: Option<Role>,
    /// By name or GUID of a library, what the user may do there instead.
    pub libraries: BTreeMap<String, Role>,
}

/// What proves that somebody is a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A password that somebody wrote into the file; the daemon replaces it by its hash.
    Pass(Secret),
    /// An argon2 hash in PHC form.
    Hash(String),
}

/// The users of this node.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "users.json", transparent)]
#[serde(transparent)]
pub(crate) struct FileUsers(Vec<FileUser>);

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "user")]
struct FileUser {
    /// The name to log in with.
    user: String,
    /// A password. The daemon replaces it by its hash; to change a password, write a new one here.
    pass: Option<Secret>,
    /// The hash of the password (argon2), written by the daemon.
    hash: Option<String>,
    /// What the user may do.
    role: Option<Role>,
    /// What the user may do in single libraries, by name or GUID.
    #[serde(default)]
    libraries: BTreeMap<String, Role>,
}

impl FileUsers {
    pub(crate) fn checked(self) -> Result<Vec<User>, Wrong> {
        if self.0.len() > USERS_MAX {
            let message = format!("expected at most {USERS_MAX} users, found {}", self.0.len());
            return Err(Wrong::new(KeyPath::default(), message));
        }
        let at = |index| KeyPath::default().index(index);
        let users = self.0.into_iter().enumerate().map(|(index, user)| user.checked(&at(index)));
        let users = users.collect::<Result<Vec<_>, _>>()?;
        distinct(users.iter().map(|user| Some(user.user.as_str())), "user")?;
        Ok(users)
    }
}

impl FileUser {
    fn checked(self, at: &KeyPath) -> Result<User, Wrong> {
        if let Some(fault) = name_fault(&self.user) {
            return Err(Wrong::new(at.key("user"), fault));
        }
        // A password counts before a hash: a person writes it to change the password, the daemon never does.
        let proof = match (self.pass, self.hash) {
            (Some(pass), _) if pass.is_empty() => {
                return Err(Wrong::new(at.key("pass"), "expected a password, found an empty string"));
            }
            (Some(pass), _) => Proof::Pass(pass),
            (None, Some(hash)) if hash.starts_with("$argon2") => Proof::Hash(hash),
            (None, Some(_)) => {
                let message =
                    "expected an argon2 hash, which begins with $argon2: write a password as \"pass\"";
                return Err(Wrong::new(at.key("hash"), message));
            }
            (None, None) => return Err(Wrong::new(at.clone(), "key \"pass\" is missing")),
        };
        Ok(User { user: self.user, proof, role: self.role, libraries: self.libraries })
    }
}
