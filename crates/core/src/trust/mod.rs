//! Who may link to this node, and who may have which content. An [`Authoriser`] is asked by the transport before a link is
//! handed out; the [`AccessTable`] that it gives is what the engine looks at before a content is opened. Reads no file and no
//! clock; knows no protocol.

mod access;
mod members;
mod table;

use std::fmt;
use std::sync::Arc;

use crate::base::NodeId;

pub use access::AccessList;
pub use members::{Members, MembersError};
pub use table::AccessTable;

/// Decides. What it says may not change: whoever thinks again is a new one.
pub trait Authoriser: fmt::Debug + Send + Sync {
    /// Whether a node that has proved its key may have a link, and as what.
    ///
    /// # Errors
    /// Why it may not.
    fn admit(&self, applicant: &Applicant<'_>) -> Result<Role, Denial>;

    /// What nodes that have a link may have, as data.
    fn access(&self) -> AccessTable;

    /// Whether anybody may link: then nobody has to be looked at again.
    fn is_open(&self) -> bool {
        false
    }
}

/// A node that wants a link, or has one.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// It has proved this key.
    pub node: NodeId,
    /// The certificate that it showed with the key, DER: made by itself, or by an authority.
    pub certificate: &'a [u8],
    /// Seconds since 1970.
    pub unix_secs: u64,
}

/// What an admitted node may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Fetch, serve on, and offer contents that are new here.
    #[default]
    Full,
    /// Fetch and serve on; what it offers that is new here is not taken up.
    Mirror,
}

/// Why a node may not link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Nobody listed it.
    #[error("it is not on the list of nodes that may link: ask whoever keeps the list")]
    NotListed,
    /// Certificates are asked for, and it has none.
    #[error("it shows no certificate of the authority: get one from whoever runs the authority")]
    NoCertificate,
    /// The certificate is somebody else's work.
    #[error("its certificate is of another authority: get one of the right authority")]
    UnknownAuthority,
    /// The certificate is out of date.
    #[error("its certificate has expired: get a new one")]
    Expired,
    /// The time of the authority itself is over.
    #[error("the authority that is asked for has expired: whoever runs it makes a new one")]
    AuthorityExpired,
    /// The certificate is not valid yet, or a clock is wrong.
    #[error("its certificate is not valid yet: check the clocks of both machines")]
    NotYetValid,
    /// The authority took the certificate back.
    #[error("its certificate was revoked: ask whoever runs the authority")]
    Revoked,
    /// The certificate is none.
    #[error("its certificate cannot be used ({0}): get a new one")]
    BadCertificate(String),
}

/// Lets everybody link who can, and have what it can name: a ticket is the capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Authoriser for Open {
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

/// Asks several, each of which must agree. The narrowest role counts. Of none, it is [`Open`].
#[derive(Clone, Debug, Default)]
pub struct All(pub Vec<Arc<dyn Authoriser>>);

impl Authoriser for All {
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
    /// The word for it in files and certificates.
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

    fn members(text: &str) -> Arc<dyn Authoriser> {
        Arc::new(text.parse::<Members>().expect("a list"))
    }

    #[test]
    fn whoever_one_of_several_denies_is_denied_and_the_narrowest_role_counts() {
        let node = NodeId::from_bytes([1; 32]);
        let both = All(vec![members(&format!("{node} mirror")), members(&node.to_string())]);
        assert_eq!(both.admit(&applicant(1)), Ok(Role::Mirror));
        let none = All(vec![members(&node.to_string()), members("")]);
        assert_eq!(none.admit(&applicant(1)), Err(Denial::NotListed));
    }

    #[test]
    fn of_none_everybody_is_admitted() {
        assert!(All::default().is_open() && All::default().admit(&applicant(1)).is_ok());
        assert!(!All(vec![members("")]).is_open());
    }
}
