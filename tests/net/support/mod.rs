//! A laboratory: hosts, the lines between them, and `swarm` on the hosts. What starts processes, reads their lines and makes files
//! is the process tests'.

mod host;
mod lab;
mod line;
mod nat;
mod relay;
mod report;
mod shell;
mod udp_relay;
mod world;

#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/data.rs"]
mod data;
#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/outcome.rs"]
mod outcome;
#[allow(dead_code, reason = "the process tests use more of it")]
#[path = "../../process/support/process.rs"]
mod process;

pub(crate) use data::{assert_same_file, copy_some_chunks};
pub(crate) use host::Host;
pub(crate) use lab::Lab;
pub(crate) use line::Line;
pub(crate) use process::{Process, Signal};
pub(crate) use report::{Figures, Stopwatch, report};
pub(crate) use udp_relay::{Bottleneck, Path, UdpRelay};
pub(crate) use world::{Node, World};

/// 1 MiB: also the length of a chunk in files below 2 GiB.
pub(crate) const MIB: u64 = 1 << 20;
