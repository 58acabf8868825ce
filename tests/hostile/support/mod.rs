//! The world of a hostile case: a scripted peer on bare QUIC, a victim (a real process), honest peers beside it,
//! and the resources that the victim used. Processes and files come from the support of the process tests.

mod film;
mod floods;
mod gate;
mod half;
mod key;
mod peer;
mod report;
mod talk;
mod victim;

#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/data.rs"]
mod data;
#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/outcome.rs"]
mod outcome;
#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/process.rs"]
mod process;
#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/world.rs"]
mod world;

pub(crate) use data::assert_same_file;
pub(crate) use film::Film;
pub(crate) use floods::flood;
pub(crate) use half::HalfHandshakes;
pub(crate) use peer::{Hostile, Role};
pub(crate) use process::Process;
pub(crate) use report::Spent;
pub(crate) use talk::{Asked, HANDLE, Talk, answer_well, begin, framed, opened, raw_message, stream, varint};
pub(crate) use victim::{FetchVictim, SeedVictim, Settled, start_logging};
pub(crate) use world::World;

/// Arguments of different kinds as one list.
macro_rules! args {
    ($($arg:expr),* $(,)?) => { Vec::<std::ffi::OsString>::from([$(std::ffi::OsString::from(&$arg)),*]) };
}
pub(crate) use args;

/// 1 MiB: also the length of a chunk in files below 2 GiB.
pub(crate) const MIB: u64 = 1 << 20;
