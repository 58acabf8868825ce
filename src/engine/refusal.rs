//! Why a node is of no use for good: a closed cause, which decides, and words, which only people read. Knows no way out: what
//! may be done about a cause is for the product that shows it.

use std::fmt;

use crate::base::Category;

/// Why no link to a node, or no content from it, is to be had by trying again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What decides.
    pub cause: RefusalCause,
    /// The fact, for people: it names the node.
    pub words: String,
}

/// What kind of refusal. Where sources refuse for different reasons, the greatest is told: a right that is missing can be
/// granted, a content that is missing cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalCause {
    /// The peer takes no part in the content.
    NotHere,
    /// The node is this one.
    Myself,
    /// No address is known for the node.
    NoAddress,
    /// Another node answers at its addresses.
    WrongKey,
    /// This node lets that one have no link.
    DeniedHere,
    /// That node lets this one have no link.
    TurnedAway,
    /// That node does not let this one have the content.
    NotAuthorised,
}

impl Refusal {
    /// A cause and its words.
    pub fn new(cause: RefusalCause, words: impl Into<String>) -> Self {
        Self { cause, words: words.into() }
    }
}

impl RefusalCause {
    /// Every cause there is.
    pub const ALL: [Self; 7] = [
        Self::NotHere,
        Self::Myself,
        Self::NoAddress,
        Self::WrongKey,
        Self::DeniedHere,
        Self::TurnedAway,
        Self::NotAuthorised,
    ];

    /// Its category.
    pub fn category(self) -> Category {
        match self {
            Self::NotHere => Category::NoSource,
            Self::Myself
            | Self::NoAddress
            | Self::WrongKey
            | Self::DeniedHere
            | Self::TurnedAway
            | Self::NotAuthorised => Category::Denied,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
