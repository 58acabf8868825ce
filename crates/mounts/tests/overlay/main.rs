//! Overlays on real folders: what they show, what operations leave, and that read-only mounts stay untouched.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its folders has failed")]

mod layers;
mod mounts;
mod pictures;
mod random;
mod shadows;
mod synced;
mod untouched;
