//! A laboratory: hosts, the lines between them, and `swarm` on the hosts.

mod host;
mod lab;
mod line;
mod nat;
mod relay;
mod report;
mod shell;
mod udp_relay;
mod world;

pub use host::Host;
pub use lab::Lab;
pub use line::Line;
pub use report::{Figures, Stopwatch, report};
pub use udp_relay::{Bottleneck, Path, UdpRelay};
pub use world::{Node, World};

pub use crate::{MIB, Outcome, Process, Signal, assert_same_file, copy_some_chunks};
