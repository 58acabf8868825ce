//! Decides which nodes may link to this one, and which may have a content. The endpoint asks [`AdmissionRules`] before it hands
//! out a link; the engine looks at the [`AccessTable`] that it gives before it opens a content. Reads no file and no clock; knows
//! no protocol.

mod access;
mod members;
mod table;

use std::fmt;
use std::sync::Arc;

use crate::base::NodeId;

pub use access::AccessList;
pub use members::{Members, MembersError};
pub use table::AccessTable;

/// What an operator allows. The answers never change: other rules are another value, so that its holders know when to ask again.
pub trait AdmissionRules: fmt::Debug + Send + Sync {
    /// Whether a node that proved its key may link, and with which role.
    ///
    /// # Errors
    /// Why the node may not link.
    fn admit(&self, applicant: &Applicant<'_>) -> Result<Role, Denial>;

    /// The contents that linked nodes may have, as data.
    fn access(&self) -> AccessTable;

    /// Whether every node may link: links then need no repeated check.
    fn is_open(&self) -> bool {
        false
    }
}

/// A node that asks for a link, or has one.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The key that the handshake proved.
    pub node: NodeId,
    /// The certificate that came with the key, DER: self-signed, or issued by an authority.
    pub certificate: &'a [u8],
    /// Seconds since 1970.
    pub unix_secs: u64,
}

/// What an admitted node may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May fetch, serve, and offer contents that are new here.
    #[default]
    Full,
    /// May fetch and serve; its offers of new contents are declined.
    Mirror,
}

/// Why a node may not link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The node is on no list.
    #[error("it is not on the list of nodes that may link: ask the operator of the node that denies it")]
    NotListed,
    /// A certificate is required, and the node shows none.
    #[error("it shows no certificate of the authority: get one from the operator of the authority")]
    NoCertificate,
    /// Another authority issued the certificate.
    #[error("another authority issued its certificate: get one of the right authority")]
    UnknownAuthority,
    /// The certificate expired.
    #[error("its certificate has expired: get a new one")]
    Expired,
    /// The certificate of the authority itself expired.
    #[error("the authority's own certificate has expired: its operator has to make a new authority")]
    AuthorityExpired,
    /// The certificate is not valid yet, or a clock is wrong.
    #[error("its certificate is not valid yet: check the clocks of both machines")]
    NotYetValid,
    /// The authority revoked the certificate.
    #[error("its certificate was revoked: ask the operator of the authority")]
    Revoked,
    /// The certificate does not parse, or is not fit for this use.
    #[error("its certificate cannot be used ({0}): get a new one")]
    BadCertificate(String),
}

/// Admits every node to every content: knowledge of the content id (a ticket) is the right to have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl AdmissionRules for Open {
    fn admit(&self, _applicant: &Applicant<'_>) -> Result<Role, Denial> {
        Ok(Role::Full)
    }

    fn access(&self) -> AccessTable {
        AccessTable::open()
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// Admits a node only if each of several rules does; the narrowest role counts. Without any, it is [`Open`].
#[derive(Clone, Debug, Default)]
pub struct All(pub Vec<Arc<dyn AdmissionRules>>);

impl AdmissionRules for All {
    fn admit(&self, applicant: &Applicant<'_>) -> Result<Role, Denial> {
        self.0.iter().try_fold(Role::Full, |role, one| Ok(role.max(one.admit(applicant)?)))
    }

    fn access(&self) -> AccessTable {
        self.0.iter().map(|one| one.access()).fold(AccessTable::open(), AccessTable::and)
    }

    fn is_open(&self) -> bool {
        self.0.iter().all(|one| one.is_open())
    }
}

impl Role {
    /// The name of the role in files and certificates.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Mirror => "mirror",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::Mirror].into_iter().find(|role| role.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applicant(byte: u8) -> Applicant<'static> {
        Applicant { node: NodeId::from_bytes([byte; 32]), certificate: &[], unix_secs: 0 }
    }

    fn members(text: &str) -> Arc<dyn AdmissionRules> {
        Arc::new(text.parse::<Members>().expect("a list"))
    }

    #[test]
    fn one_denial_is_enough_and_the_narrowest_role_counts() {
        let node = NodeId::from_bytes([1; 32]);
        let both = All(vec![members(&format!("{node} mirror")), members(&node.to_string())]);
        assert_eq!(both.admit(&applicant(1)), Ok(Role::Mirror));
        let none = All(vec![members(&node.to_string()), members("")]);
        assert_eq!(none.admit(&applicant(1)), Err(Denial::NotListed));
    }

    #[test]
    fn without_rules_every_node_is_admitted() {
        assert!(All::default().is_open() && All::default().admit(&applicant(1)).is_ok());
        assert!(!All(vec![members("")]).is_open());
    }
}
