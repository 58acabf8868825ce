//! What a person at a shell sees, with the real binary: every test starts `swarm` processes on loopback, in a folder and with a
//! state folder of its own, and takes both away at the end. Nothing waits for a time to pass: tests wait for lines and for ends
//! of processes, with one generous deadline. Absent here: what needs a bad network (that is the simulator's).

use swarm_testkit as support;

mod aggregate;
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
mod trees;
mod trust;
