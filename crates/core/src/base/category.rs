//! Kinds of errors. Exit codes, answers of a service and rules for trying again come from the category of an
//! error's cause, never from the words of its message.

use std::io;

/// The kind of trouble that a command, a job or a request ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// The request makes no sense, or names what does not exist.
    Usage,
    /// No peer gives the content now.
    NoSource,
    /// Something else stands where data has to go: a person has to decide.
    TargetDiffers,
    /// Data is not what its hash or signature says.
    Integrity,
    /// A disk or file system cannot be read or written.
    Disk,
    /// A right is missing: here, or with a peer.
    Denied,
    /// No node runs that could be asked.
    NoNode,
    /// Another process holds what is needed: it may be tried again when that one is done.
    Held,
    /// A signal ended it.
    Interrupted,
    /// All is done but for what the target cannot hold, which was named.
    Partial,
    /// Nothing is wrong, and somebody has to decide before it can go on.
    Undecided,
    /// Anything else: the network cannot be used, or a bug.
    Other,
}

impl Category {
    /// Every category there is.
    pub const ALL: [Self; 12] = [
        Self::Usage,
        Self::NoSource,
        Self::TargetDiffers,
        Self::Integrity,
        Self::Disk,
        Self::Denied,
        Self::NoNode,
        Self::Held,
        Self::Interrupted,
        Self::Partial,
        Self::Undecided,
        Self::Other,
    ];

    /// The category of an I/O error on a file that a person named: a wrong name is for that person to mend, the rest is the disk's.
    pub fn of_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => Self::Usage,
            _ => Self::Disk,
        }
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NoSource => "no_source",
            Self::TargetDiffers => "target_differs",
            Self::Integrity => "integrity",
            Self::Disk => "disk",
            Self::Denied => "denied",
            Self::NoNode => "no_node",
            Self::Held => "held",
            Self::Interrupted => "interrupted",
            Self::Partial => "partial",
            Self::Undecided => "undecided",
            Self::Other => "other",
        }
    }

    /// The category of that name; a later build may have more.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_category() {
        for category in Category::ALL {
            assert_eq!(Category::from_name(category.name()), Some(category));
        }
        assert_eq!(Category::from_name("of a later build"), None);
    }
}
