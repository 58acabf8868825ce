//! What `proto/` compiles to. Only `manifest` and `wire` know it; nothing leaves them unvalidated.
#![allow(missing_docs, unreachable_pub, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/swarm.v1.rs"));
