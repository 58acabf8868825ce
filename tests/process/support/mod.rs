//! The world of a test: a temporary folder, processes that die with the test, data that is made and compared.

mod data;
mod disk;
mod http;
mod liar;
mod outcome;
mod process;
mod world;

pub(crate) use data::{Tree, assert_same_file, copy_some_chunks, flip_byte, random};
pub(crate) use disk::{OddDisk, Tmpfs};
pub(crate) use http::{HttpFile, HttpScript};
pub(crate) use liar::Liar;
pub(crate) use outcome::Outcome;
pub(crate) use process::{Process, Signal};
pub(crate) use world::{Seed, World, heavy, kill_count};

/// Arguments of different kinds as one list.
macro_rules! args {
    ($($arg:expr),* $(,)?) => { Vec::<std::ffi::OsString>::from([$(std::ffi::OsString::from(&$arg)),*]) };
}
pub(crate) use args;

/// 1 MiB: also the length of a chunk in files below 2 GiB.
pub(crate) const MIB: u64 = 1 << 20;
