//! The world of a hostile case: a scripted peer on bare QUIC that may say anything, a victim (a real process), honest peers beside it,
//! and what the victim spent.

mod film;
mod floods;
mod gate;
mod half;
mod key;
mod peer;
mod report;
mod talk;
mod victim;

pub use film::Film;
pub use floods::flood;
pub use half::HalfHandshakes;
pub use peer::{Hostile, Role};
pub use report::Spent;
pub use talk::{Asked, HANDLE, Talk, answer_well, begin, framed, opened, raw_message, stream, varint};
pub use victim::{FetchVictim, SeedVictim, Settled, start_logging};

pub use crate::{MIB, Process, World, args, assert_same_file};
