//! The code that `library.proto` compiles to. Only the codecs use it, and validate every value that they pass on.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/swarm.library.v1.rs"));
