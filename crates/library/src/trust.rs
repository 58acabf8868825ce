//! What counts of whom, and what may be told to whom. Trust is this node's decision about another node; a role is what that node may do in a
//! library. Invariant: one table of permissions answers everything, and who relays a signed word makes no difference to it.

use crate::wire::Message;

/// What this node thinks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Its records and votes count.
    Trusted,
    /// It may have libraries, and counts for nothing.
    Untrusted,
    /// It carries and serves libraries, counts for nothing, and learns nothing about the team.
    Mirror,
}

/// What a node may do in a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// All, and changes who may do what.
    Admin,
    /// Changes files and votes.
    Editor,
    /// Reads.
    Viewer,
    /// Carries and serves.
    Mirror,
}

/// One thing that a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Is sent commits and the bytes of files.
    ReadFiles,
    /// Passes on what others signed.
    Relay,
    /// Is told which peers there are.
    ReadPeers,
    /// Is told votes, locks and policies.
    ReadVotes,
    /// Is told which users there are.
    ReadUsers,
    /// Its versions of files count.
    Write,
    /// Its deletions count.
    Delete,
    /// Its votes count.
    Vote,
    /// Others are shown its locks.
    Lock,
    /// Its list of peers is merged into the one here.
    ListPeers,
    /// The users that it proposes are queued for review.
    ProposeUsers,
    /// Changes users, peers and policies of this node.
    Administer,
}

impl Role {
    /// All roles, the one that may do most first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Editor, Self::Viewer, Self::Mirror];

    /// As files and messages call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
            Self::Mirror => "mirror",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What a node of this role may do if it is trusted so: a node that counts for nothing reads at most.
    #[must_use]
    pub fn limited(self, trust: Trust) -> Self {
        match trust {
            Trust::Trusted => self,
            Trust::Untrusted => self.max(Self::Viewer),
            Trust::Mirror => Self::Mirror,
        }
    }
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 12] = [
        Self::ReadFiles,
        Self::Relay,
        Self::ReadPeers,
        Self::ReadVotes,
        Self::ReadUsers,
        Self::Write,
        Self::Delete,
        Self::Vote,
        Self::Lock,
        Self::ListPeers,
        Self::ProposeUsers,
        Self::Administer,
    ];

    /// The last role of [`Role::ALL`] that has it: each role may do all that those after it may.
    const fn least(self) -> Role {
        match self {
            Self::ReadFiles | Self::Relay => Role::Mirror,
            Self::ReadPeers | Self::ReadVotes => Role::Viewer,
            Self::ReadUsers
            | Self::Write
            | Self::Delete
            | Self::Vote
            | Self::Lock
            | Self::ListPeers
            | Self::ProposeUsers => Role::Editor,
            Self::Administer => Role::Admin,
        }
    }

    /// Whether its author signs what it is about, so that it is the same from whomever it comes.
    const fn is_signed(self) -> bool {
        matches!(self, Self::Write | Self::Delete | Self::Vote | Self::Lock)
    }
}

/// Whether a role has a permission.
pub fn may(role: Role, permission: Permission) -> bool {
    role <= permission.least()
}

/// Whether something counts that an author of this trust and role said and that came over a peer of that trust. What is signed counts for its
/// author alone; what nobody signs counts only if the author itself said it, who is the peer then.
pub fn counts(author: Trust, relay: Trust, role: Role, permission: Permission) -> bool {
    let is_from_author = permission.is_signed() || relay == author;
    is_from_author && may(role.limited(author), permission)
}

impl Message {
    /// What a peer of this role, as [`Role::limited`] has it, is told of a message; `None` if it is told nothing.
    pub fn for_role(self, role: Role) -> Option<Self> {
        let may = |permission| may(role, permission);
        Some(match self {
            Self::Votes { .. } | Self::Lock(_) | Self::Flag(_) if !may(Permission::ReadVotes) => return None,
            Self::Frontier(mut frontier) if !may(Permission::ReadVotes) => {
                (frontier.votes_digest, frontier.policy) = (None, None);
                frontier.is_policy_taken_over = false;
                (frontier.name, frontier.guid) = (String::new(), String::new());
                Self::Frontier(frontier)
            }
            // It may name a file, and a mirror of a sealed library knows no names.
            Self::Progress(mut progress) if !may(Permission::ReadVotes) => {
                progress.activity.clear();
                Self::Progress(progress)
            }
            Self::PeerList { mut peers, mut users } => {
                peers.retain(|_| may(Permission::ReadPeers));
                users.retain(|_| may(Permission::ReadUsers));
                if peers.is_empty() && users.is_empty() {
                    return None;
                }
                Self::PeerList { peers, users }
            }
            other => other,
        })
    }

    /// Whether this node listens to a message of a peer of this role, as [`Role::limited`] has it. A message that it does not listen to is
    /// passed over: the peer may think otherwise of its role.
    pub fn is_heard_from(&self, role: Role) -> bool {
        let needed = match self {
            Self::Votes { .. } | Self::Lock(_) => Permission::ReadVotes,
            Self::PeerList { .. } => Permission::ListPeers,
            Self::Hello(_)
            | Self::Frontier(_)
            | Self::CommitsRequest { .. }
            | Self::CommitPiece(_)
            | Self::Seek { .. }
            | Self::Serving { .. }
            | Self::Progress(_)
            | Self::Flag(_)
            | Self::Refusal(_)
            | Self::Pack { .. }
            | Self::Compressed(_)
            | Self::RecipeRequest(_)
            | Self::RecipePiece(_)
            | Self::KeyGrants { .. } => Permission::Relay,
        };
        may(role, needed)
    }
}

#[cfg(test)]
mod tests;
