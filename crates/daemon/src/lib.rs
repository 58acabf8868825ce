//! A node that keeps libraries: `swarm daemon`. Its folder has the files that people edit; each library has a worker, a thread that owns its
//! folders and its memory; `exchange` is what nodes say to each other, `proof` the gate of passwords, `audit` the log of what users did,
//! `contents` which contents the engine moves, `origins` the peers that speak HTTP(S) alone, `daemon` the loop that ties
//! them together. `control` and `protocol` are how commands ask, `status` is what they are told and `standing` puts it together, `metrics` and `page`
//! tell the same to Prometheus.
//!
//! Invariants: what is decided about trees, versions, trust and votes is decided in pure crates; what a peer says changes this disk only by a
//! library's worker. Absent here: printing, the bytes of files (the engine), HTTP (`swarm-pages`).

mod audit;
mod clock;
pub mod limits;
mod test_controls;

mod library;

mod contents;
mod exchange;
mod origins;
mod proof;

mod settings;

mod asking;
mod control;
mod protocol;
mod status;
mod transfers;

mod metrics;
mod page;

mod answering;
mod standing;

mod daemon;
mod error;
mod policy_words;
mod rejected;
mod sentence;

pub use asking::Asker;
pub use audit::{AuditLine, AuditLog, Outcome};
pub use contents::Supply;
pub use control::{AskError, ask};
pub use daemon::{Daemon, Ending, host_name, index_path, new_guid};
pub use error::DaemonError;
pub use exchange::{hash_password, verify_password};
pub use library::{
    Answer, AuthorView, CommitView, DeedsView, DisputeView, EntriesPage, EntryView, KeptView, LibraryError,
    LibraryFiles, OpenFile, OpenFiles, OwnHeld, Past, PastFile, PathView, ProposalView, ReadError,
    TakenBackPath, TakenBackView, TextsView, VerifyView, VersionLine,
};
pub use proof::{Busy, Client, Gate, Passwords, of_one_client};
pub use protocol::{Lan, LanNode, ProposedUser, Reply, Request};
pub use sentence::Told;
pub use status::{
    ISSUES, LibraryStatus, LockStatus, MountStatus, PeerLibraryStatus, PeerStatus, PolicyStatus, STATES,
    Status, StatusError, TRUSTS,
};
pub use swarm_index::ProposalEnd;
pub use swarm_link::own_addresses;
pub use transfers::{
    Action, FetchOrder, FetchRefusal, FetchView, GivenFile, Priority, SlowReason, TransferDetail,
    TransferKind, TransferList, TransferPeer, TransferState, TransferView,
};
