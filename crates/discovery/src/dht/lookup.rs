//! The hash that stands for a content in the DHT, and the addresses that a lookup returns.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddrV4;
use std::pin::Pin;

use futures_core::Stream as _;
use mainline::Id;
use mainline::async_dht::GetStream;

use swarm_core::base::ContentId;

/// The hash is derived from the content's id, not cut from it: an observer of the DHT learns which hashes are asked for, and could
/// fetch the contents if these were ids. A node that knows the content finds the hash; the content cannot be derived from the hash.
pub(super) fn info_hash(content: ContentId) -> Id {
    let derived = blake3::derive_key("swarm dht content v1", content.as_bytes());
    Id::from_bytes(&derived[..20]).expect("an id has 20 bytes")
}

/// The addresses of a lookup, one by one as they arrive.
pub(super) struct Peers {
    stream: GetStream<Vec<SocketAddrV4>>,
    /// Addresses of the last answer that were not returned yet.
    waiting: VecDeque<SocketAddrV4>,
}

impl Peers {
    pub(super) fn new(stream: GetStream<Vec<SocketAddrV4>>) -> Self {
        Self { stream, waiting: VecDeque::new() }
    }

    /// The next address; `None` when the lookup has ended.
    pub(super) async fn next(&mut self) -> Option<SocketAddrV4> {
        while self.waiting.is_empty() {
            self.waiting = poll_fn(|context| Pin::new(&mut self.stream).poll_next(context)).await?.into();
        }
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_stays_what_it_is_and_is_no_piece_of_the_content_id() {
        let hash = info_hash(ContentId::from_bytes([7; 32]));
        assert_eq!(hash.to_string(), "5a55b7c22112f2466685c2cdc205e21b6e9d1340");
    }
}
