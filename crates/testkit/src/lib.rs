//! Worlds of tests: a folder that goes away, processes of the real binary that die with the test, data that is made fast and
//! compared whole, servers, peers and networks that follow a script. Decides nothing of the product. Invariant: a world leaves
//! nothing behind, neither process nor mount nor namespace nor file. Absent: assertions about one command; they are the tests'.
#![expect(missing_docs, reason = "only authors of tests read it, and many names say all")]
#![expect(clippy::new_without_default, reason = "a world is made, not defaulted to")]
#![cfg(unix)]

mod builds;
mod data;
mod disk;
#[cfg(target_os = "linux")]
pub mod hostile;
mod http;
mod liar;
#[cfg(target_os = "linux")]
pub mod net;
mod outcome;
mod process;
mod world;

pub use builds::{Build, old_build};
pub use data::{Entry, Tree, assert_same_file, copy_some_chunks, flip_byte, random};
pub use disk::{OddDisk, RottingDisk, Tmpfs};
pub use http::{HttpFile, HttpScript};
pub use liar::Liar;
pub use outcome::{Done, DonePeer, Outcome};
pub use process::{Process, Signal};
pub use world::{Seed, World, heavy, kill_count};

/// Arguments of different kinds as one list.
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => { Vec::<std::ffi::OsString>::from([$(std::ffi::OsString::from(&$arg)),*]) };
}

/// 1 MiB: also the length of a chunk in files below 2 GiB.
pub const MIB: u64 = 1 << 20;
