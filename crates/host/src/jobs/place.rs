//! Where others reach this node, as time goes by: a machine that is started gets its network later, a laptop gets another one.
//! Tickets that were handed out do not learn of it, so a new one has to be shown. Prints nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use swarm_core::base::Instant;
use swarm_core::manifest::{Address, Source};
use swarm_link::Endpoint;
use swarm_node::clock::Clock;

/// Watches the addresses of a node, of which some were told already.
pub(super) struct Place {
    endpoint: Endpoint,
    advertised: Vec<Address>,
    told: BTreeSet<Address>,
    clock: Clock,
    looked_at: Instant,
}

impl Place {
    /// `told` is what the ticket names that was shown.
    pub(super) fn new(endpoint: &Endpoint, advertised: &[Address], told: &Source) -> Self {
        let told = told.addresses.iter().cloned().collect();
        let (endpoint, advertised) = (endpoint.clone(), advertised.to_vec());
        Self { endpoint, advertised, told, clock: Clock::start(), looked_at: Instant::ZERO }
    }

    /// Looks now and then. The node as it is reached now, if that is at an address that was not told before.
    pub(super) fn look(&mut self) -> Option<Source> {
        let now = self.clock.now();
        if now - self.looked_at < LOOK_INTERVAL {
            return None;
        }
        self.looked_at = now;
        let source = self.endpoint.source(&self.advertised);
        self.is_news(&source.addresses).then_some(source)
    }

    fn is_news(&mut self, addresses: &[Address]) -> bool {
        let is_new = addresses.iter().any(|address| !self.told.contains(address));
        if is_new {
            self.told = addresses.iter().cloned().collect();
        }
        is_new
    }
}

/// Listing interfaces costs a fraction of a millisecond; who waits for a network hardly notices three seconds.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_link::{Identity, LinkOptions};

    #[tokio::test]
    async fn an_address_that_was_not_told_is_news_once_and_one_that_goes_is_none() {
        let identity = Identity::from_seed([7; 32]);
        let listen = Some("127.0.0.1:0".parse().expect("an address"));
        let endpoint = Endpoint::bind(listen, &identity, LinkOptions::default()).expect("a free port");
        let at = |places: &[&str]| -> Vec<Address> {
            places.iter().map(|place| place.parse().expect("an address")).collect()
        };
        let told = Source { node: endpoint.node_id(), addresses: at(&["127.0.0.1:5"]) };
        let mut place = Place::new(&endpoint, &[], &told);
        for (now, is_news) in [
            (&["127.0.0.1:5"][..], false),
            (&["192.0.2.7:5", "127.0.0.1:5"], true),
            (&["192.0.2.7:5", "127.0.0.1:5"], false),
            (&["127.0.0.1:5"], false),
            (&["192.0.2.7:5", "127.0.0.1:5"], false),
            (&["192.0.2.8:5"], true),
        ] {
            assert_eq!(place.is_news(&at(now)), is_news, "{now:?}");
        }
    }
}
