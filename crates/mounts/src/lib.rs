//! The local side of a library: several folders shown as one tree, and used as one replica.
//!
//! Two kinds of layers. Read-only mounts stand side by side: of those at or above a path, the one with the longest libpath owns it. Above
//! all of them is the sync target, of which there is at most one: what stands there shadows the same path of a read-only mount, and
//! folders merge. A deletion below the sync target is recorded as a *whiteout*: a path at which, and below which, no read-only mount shows
//! anything.
//!
//! Invariants: nothing is written to a read-only mount, not even a time of access where the system allows that; a folder that is missing,
//! or is another one than before, is an error and never an empty tree; the bytes that a whiteout hides are durable elsewhere by then, or
//! were deleted. Blocking. Absent here: what to do (`swarm-sync` plans it), where whiteouts and identities are stored, and libraries.

mod error;
mod spec;

mod layer;
mod marker;
mod shape;
mod whiteouts;

mod merging;
mod standing;
mod walking;

mod carrying;
mod hidden;
mod shadows;

mod applying;
mod batch;
mod copying;

mod opening;
mod overlay;
mod watching;

mod nesting;

pub mod limits;

pub use error::OverlayError;
pub use marker::mark_target;
pub use nesting::{LibraryMounts, nesting};
pub use overlay::Overlay;
pub use shadows::{Changed, HiddenEdits};
pub use spec::{MountIdentity, MountKind, MountSpec, OverlayOptions};
pub use watching::MountRoot;
pub use whiteouts::{MemoryWhiteouts, Whiteouts};
