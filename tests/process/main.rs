//! The real binary as a user at a shell sees it: every test starts `swarm` processes on loopback, with its own folder and
//! state folder, and removes both at the end. Tests wait for lines and for ends of processes, with one generous deadline, and for a fixed
//! time only while a process is paused. Absent here: bad networks (the simulator and `tests/net` have those).

use swarm_testkit as support;

mod aggregate;
mod api;
mod command;
mod coordinator;
mod damage;
mod demo;
mod descriptors;
mod dht;
mod existing;
mod full_disk;
mod handed_on;
mod kills;
mod large;
mod library;
mod manifest;
mod mistakes;
mod names;
mod networks;
mod odd_targets;
mod one_seed;
mod output;
mod pauses;
mod replaced;
mod resume;
mod sealed;
mod service;
mod several;
mod starting;
mod sync;
mod trees;
mod trust;
