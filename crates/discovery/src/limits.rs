//! Limits of the finders: local network, DHT, mapped ports.

use std::time::Duration;

use swarm_core::base::limits::SOURCE_ADDRESSES_MAX;

/// Contents in one announcement: their short ids, the node's key and its addresses stay within one datagram.
/// A node with more contents announces first the wanted ones and those that other nodes here ask for, and the rest in turns.
pub const LAN_CONTENTS_MAX: usize = 64;
/// Short ids in one string of a TXT record, which holds 255 bytes.
pub const LAN_IDS_PER_STRING: usize = 16;
/// Addresses kept of one announcement.
pub const LAN_ADDRESSES_MAX: usize = 16;
/// Announcing nodes that are kept; others are ignored until one of these disappears.
pub const LAN_NODES_MAX: usize = 512;
/// Time between two rotations of the contents that do not fit.
pub const LAN_TURN: Duration = Duration::from_secs(60);
/// Announcing nodes that are listed for people.
pub const LAN_LISTED_MAX: usize = 64;
/// Records in the responder's cache above which it is restarted with an empty one: the cache has no limit of its own. An honest
/// node causes about eight, on a machine with four addresses.
pub const LAN_RECORDS_MAX: i64 = 16 << 10;
/// Longest wait until the announcement was taken back.
pub const LAN_GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
/// Lookups and announcements at once, each some fifty datagrams.
pub const DHT_QUERIES_MAX: usize = 4;
/// Longest lookup or announcement: usually it takes ten seconds.
pub const DHT_QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Addresses kept of one lookup.
pub const DHT_ADDRESSES_PER_LOOKUP_MAX: usize = 64;
/// Addresses that are asked for their node at once.
pub const DHT_PROBES_MAX: usize = 8;
/// Asked addresses that are remembered; the oldest are dropped first.
pub const DHT_ADDRESSES_MAX: usize = 4096;
/// Time before an address is asked again: the DHT may name the address of a victim, to have it flooded.
pub const DHT_ADDRESS_LIFE: Duration = Duration::from_secs(600);
/// Time between two announcements of a content; nodes of the DHT forget one after half an hour or more.
pub const DHT_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(900);
/// First backoff before a content without peers is looked up again, or a failed query repeated; it doubles each time.
pub const DHT_RETRY_MIN: Duration = Duration::from_secs(10);
/// Longest time between two lookups of a wanted content.
pub const DHT_LOOKUP_INTERVAL: Duration = Duration::from_secs(600);
/// Lease requested for a port, as RFC 6886 recommends. It is renewed at half time.
pub const PORT_LEASE_TIME_MAX: Duration = Duration::from_secs(7200);
/// Shortest lease that is believed, so that a gateway is not asked more often.
pub const PORT_LEASE_TIME_MIN: Duration = Duration::from_secs(120);
/// Wait before a failed renewal is repeated.
pub const PORT_RENEW_RETRY: Duration = Duration::from_secs(15);
/// Wait before gateways are asked again after none gave a port.
pub const PORT_MAP_RETRY: Duration = Duration::from_secs(600);
/// Longest search for a UPnP gateway.
pub const PORT_SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a port before a ticket is made without it: four datagrams to the gateway, and a search.
pub const PORT_MAP_PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait until a gateway has released a port.
pub const PORT_RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(LAN_IDS_PER_STRING * 8 * 4 / 3 + 8 <= 255);
const _: () = assert!(LAN_CONTENTS_MAX.is_multiple_of(LAN_IDS_PER_STRING));
const _: () = assert!(LAN_LISTED_MAX <= LAN_NODES_MAX);
const _: () = assert!(LAN_ADDRESSES_MAX <= SOURCE_ADDRESSES_MAX);
const _: () = assert!(LAN_NODES_MAX * 8 <= LAN_RECORDS_MAX as usize);
const _: () = assert!(DHT_RETRY_MIN.as_secs() < DHT_LOOKUP_INTERVAL.as_secs());
const _: () = assert!(DHT_ADDRESSES_PER_LOOKUP_MAX * DHT_QUERIES_MAX < DHT_ADDRESSES_MAX);
const _: () = assert!(PORT_LEASE_TIME_MIN.as_secs() / 2 > PORT_RENEW_RETRY.as_secs());
const _: () = assert!(PORT_LEASE_TIME_MIN.as_secs() <= PORT_LEASE_TIME_MAX.as_secs());
