//! The code that `proto/` compiles to. Only `manifest` and `wire` use it, and validate every value that they pass on.
#![allow(missing_docs, unreachable_pub, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/swarm.v1.rs"));
