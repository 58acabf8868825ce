//! The six files.

use std::fmt;
use std::str::FromStr;

/// A file of a daemon's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// What this node is and how it reaches others.
    Config,
    /// The nodes that this one knows.
    Peers,
    /// Who may use this node.
    Users,
    /// The libraries that this node keeps.
    Libraries,
    /// Libraries of others that this node follows.
    Subscriptions,
    /// What this node has; written for people and tools, never read.
    FilesLocal,
}

/// A string that names no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected config, peers, users, libraries, subscriptions or files-local")]
pub struct FileNameError;

impl FileName {
    /// All files.
    pub const ALL: [Self; 6] =
        [Self::Config, Self::Peers, Self::Users, Self::Libraries, Self::Subscriptions, Self::FilesLocal];

    /// Those that people edit.
    pub(crate) const READ: [Self; 5] =
        [Self::Config, Self::Peers, Self::Users, Self::Libraries, Self::Subscriptions];

    /// The name in the folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config.json",
            Self::Peers => "peers.json",
            Self::Users => "users.json",
            Self::Libraries => "libraries.json",
            Self::Subscriptions => "subscriptions.json",
            Self::FilesLocal => "files-local.json",
        }
    }

    /// Whether nobody but the daemon's user may read it.
    pub fn has_passwords(self) -> bool {
        matches!(self, Self::Config | Self::Peers | Self::Users)
    }

    /// What a new folder has.
    pub(crate) fn default_text(self) -> &'static str {
        match self {
            Self::Config => crate::config::DEFAULT,
            Self::Peers | Self::Users | Self::Subscriptions => "[]\n",
            Self::Libraries | Self::FilesLocal => "{}\n",
        }
    }
}

/// With or without `.json`.
impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let is_it = |file: &Self| file.as_str() == text || file.as_str().strip_suffix(".json") == Some(text);
        Self::ALL.into_iter().find(is_it).ok_or(FileNameError)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
