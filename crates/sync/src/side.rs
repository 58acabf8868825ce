//! The two sides of a pair.

use serde::{Deserialize, Serialize};

/// A side of a pair. The first folder that a user names is the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first.
    Local,
    /// The second.
    Remote,
}

/// One value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerSide<T> {
    /// Of the local side.
    pub local: T,
    /// Of the remote side.
    pub remote: T,
}

impl Side {
    /// Both, the local one first.
    pub const BOTH: [Self; 2] = [Self::Local, Self::Remote];

    /// The side across.
    pub fn other(self) -> Self {
        match self {
            Self::Local => Self::Remote,
            Self::Remote => Self::Local,
        }
    }
}

impl<T> PerSide<T> {
    /// What `make` gives for each side.
    pub fn each(mut make: impl FnMut(Side) -> T) -> Self {
        Self { local: make(Side::Local), remote: make(Side::Remote) }
    }

    /// The value of a side.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::Local => &self.local,
            Side::Remote => &self.remote,
        }
    }

    /// The value of a side, to be changed.
    pub fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Local => &mut self.local,
            Side::Remote => &mut self.remote,
        }
    }
}
