//! Limits of the finders: local network, DHT, mapped ports.

use std::time::Duration;

use swarm_core::base::limits::SOURCE_ADDRESSES_MAX;

/// Contents that a node announces at once: their short ids, the node's key and its addresses stay within one datagram.
/// A node that takes part in more announces first what it looks for and what others here ask for, and the rest by turns.
pub const LAN_CONTENTS_MAX: usize = 64;
/// Short ids in one string of a TXT record, which may be 255 bytes long.
pub const LAN_IDS_PER_STRING: usize = 16;
/// Addresses that are taken from one announcement.
pub const LAN_ADDRESSES_MAX: usize = 16;
/// Announcing nodes that are remembered; further ones are not heard until one of these goes.
pub const LAN_NODES_MAX: usize = 512;
/// Time after which contents that do not fit change places.
pub const LAN_TURN: Duration = Duration::from_secs(60);
/// Records that the responder may remember before it is started anew, without them: it has no limit of its own. An honest
/// node makes about eight, on a machine with four addresses.
pub const LAN_RECORDS_MAX: i64 = 16 << 10;
/// Longest wait for the words that take an announcement back.
pub const LAN_GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
/// Lookups and announcements that go on at once, each some fifty datagrams.
pub const DHT_QUERIES_MAX: usize = 4;
/// Longest lookup or announcement: an honest one is done in ten seconds.
pub const DHT_QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Addresses that are taken from one lookup.
pub const DHT_ADDRESSES_PER_LOOKUP_MAX: usize = 64;
/// Addresses that are asked at once who is there.
pub const DHT_PROBES_MAX: usize = 8;
/// Addresses that were asked and are remembered; the oldest go first.
pub const DHT_ADDRESSES_MAX: usize = 4096;
/// Time for which an address is not asked again: what the DHT says may be meant to have somebody else flooded.
pub const DHT_ADDRESS_LIFE: Duration = Duration::from_secs(600);
/// Time after which a content is announced again; nodes of the DHT forget after half an hour or more.
pub const DHT_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(900);
/// Time to the second lookup of a content without peers, or to another try of what failed; it doubles from there.
pub const DHT_RETRY_MIN: Duration = Duration::from_secs(10);
/// Longest time between two lookups of what is still wanted.
pub const DHT_LOOKUP_INTERVAL: Duration = Duration::from_secs(600);
/// Time for which a port is asked for; what RFC 6886 recommends. It is renewed when half of it is over.
pub const PORT_LEASE_TIME_MAX: Duration = Duration::from_secs(7200);
/// Shortest time between a gateway's grant and what is taken for its end: it is not asked more often.
pub const PORT_LEASE_TIME_MIN: Duration = Duration::from_secs(120);
/// Wait before a port that was not renewed is asked for again.
pub const PORT_RENEW_RETRY: Duration = Duration::from_secs(15);
/// Wait before gateways are asked again where none gave a port.
pub const PORT_MAP_RETRY: Duration = Duration::from_secs(600);
/// Longest search for a UPnP gateway.
pub const PORT_SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a port before a ticket is made without it: four datagrams to the gateway, and a search.
pub const PORT_MAP_PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a gateway to take a port back.
pub const PORT_RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(LAN_IDS_PER_STRING * 8 * 4 / 3 + 8 <= 255);
const _: () = assert!(LAN_CONTENTS_MAX.is_multiple_of(LAN_IDS_PER_STRING));
const _: () = assert!(LAN_ADDRESSES_MAX <= SOURCE_ADDRESSES_MAX);
const _: () = assert!(LAN_NODES_MAX * 8 <= LAN_RECORDS_MAX as usize);
const _: () = assert!(DHT_RETRY_MIN.as_secs() < DHT_LOOKUP_INTERVAL.as_secs());
const _: () = assert!(DHT_ADDRESSES_PER_LOOKUP_MAX * DHT_QUERIES_MAX < DHT_ADDRESSES_MAX);
const _: () = assert!(PORT_LEASE_TIME_MIN.as_secs() / 2 > PORT_RENEW_RETRY.as_secs());
const _: () = assert!(PORT_LEASE_TIME_MIN.as_secs() <= PORT_LEASE_TIME_MAX.as_secs());
