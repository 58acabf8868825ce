//! Real networks, with the real binary: hosts are network namespaces joined by a switch, and their lines have rates, delay, loss,
//! cuts and NATs. This needs root, `ip`, `tc` and `nft`; where one is missing every test says so on stderr and passes, or fails if
//! `SWARM_NET_TESTS=required` is set. Scenarios that take long run only with that or with `SWARM_LONG_TESTS=1`. Figures are printed,
//! one line a scenario that starts with `net:`. Assertions on them are loose, because machines are noisy: they catch faults, not
//! small slowdowns. `docs/network.md` has the figures.
#![cfg(target_os = "linux")]

use swarm_testkit::net as support;

mod aggregate;
mod blocked;
mod crowd;
mod cuts;
mod fat;
mod gather;
mod laboratory;
mod lan;
mod library;
mod moves;
mod nats;
mod pair;
