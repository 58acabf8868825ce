//! Where others reach this node, as a start tells it.

use swarm_core::manifest::{Address, Source};
use swarm_link::Endpoint;

/// Whether a node that listens on all addresses has none that another machine could dial.
pub(super) fn is_cut_off(endpoint: &Endpoint, source: &Source) -> bool {
    let is_loopback = |address: &Address| {
        address.as_str().parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
    };
    endpoint.bound_address().ip().is_unspecified() && source.addresses.iter().all(is_loopback)
}

/// What people should know if this start could not have the port of the last one.
pub(super) fn lost_port(endpoint: &Endpoint) -> Option<String> {
    let (lost, port) = (endpoint.lost_port()?, endpoint.port());
    Some(format!(
        "UDP port {lost}, where this node was reached last time, is taken: it listens on port {port} now, and earlier tickets do not lead here; \
         hand out new ones, or free the port and start again with --listen [::]:{lost}"
    ))
}
