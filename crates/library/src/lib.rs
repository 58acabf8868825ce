//! What a team keeps together: versions of paths as their authors signed them, and what a node accepts of them. Pure: time and chance are
//! arguments, storage and network are elsewhere.
//!
//! `record` is one version of one path, `commit` a signed batch of them; `vector` says which versions a version was made from, `heads`
//! which versions of a path hold. `policy` says which changes are held, `proposal` whether the votes about one suffice, `trust` what counts of
//! whom. `taking` is what a record does to its path, `drafts` what operations of this node come to. `wire` has the messages, `assembly` puts commits together from them, `frontier` says what to ask for. `key` is a library's name on the wire. `epoch` is what a
//! sealed library is sealed with, `grant` how members hand its keys on, `keyring` who has them. Invariant: nothing here depends on the order in which commits come.
//! Absent here: bytes of files (the engine moves them), what is done about a difference (sync).

pub mod limits;

mod fields;
mod proto;

mod key;
mod vector;

mod record;

pub mod record_codec;

mod commit;
mod epoch;
mod heads;

mod grant;
mod keyring;

mod drafts;
mod taking;

mod frontier;

mod policy;
mod vote;

mod proposal;

mod lock;

mod locks;
mod view;

mod trust;

mod assembly;
pub mod wire;
mod wire_codec;

pub use assembly::{AssemblyError, CommitAssembly, pieces_of};
pub use commit::{Commit, CommitError, CommitId, Draft, Header};
pub use drafts::{Drafted, Drafter, Drafts, ViewReader};
pub use epoch::{EpochKey, KeyId};
pub use frontier::{After, Equivocation, Frontier, Position};
pub use grant::{Grant, GrantDraft, GrantError, GrantId, SignedGrant, grants_digest};
pub use heads::{Head, Heads, Taken};
pub use key::{BadGuid, GUID_LEN_MAX, Guid, LibraryKey};
pub use keyring::{EpochDue, Keyring, Owed, RingKey};
pub use lock::{Lock, LockError, SignedLock};
pub use locks::{LockTaken, Locks};
pub use policy::{Cause, Need, Policy, held};
pub use proposal::{Ballots, Outcome, Proposal, VoteSet, VoteTaken};
pub use record::{Live, Record, RecordRef, State};
pub use taking::{BaseChange, Step, take};
pub use trust::{Permission, Role, Trust, counts, may};
pub use vector::Vector;
pub use view::Completion;
pub use vote::{SignedVote, Subject, Verdict, Vote, VoteError, VoteId, votes_digest};
pub use wire::Message;
