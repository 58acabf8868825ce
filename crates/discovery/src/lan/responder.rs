//! The multicast DNS responder, which runs on its own thread: starts and stops it, and converts its events. Invariant: the thread
//! ends with this value.

use std::collections::BTreeSet;
use std::net::IpAddr;

use mdns_sd::{IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::time::timeout;

use super::Network;
use super::book::Seen;
use super::record::Announcement;
use crate::limits::{LAN_ADDRESSES_MAX, LAN_GOODBYE_TIMEOUT, LAN_RECORDS_MAX};
use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_link::Endpoint;

pub(super) struct Responder {
    network: Network,
    is_ipv4_only: bool,
    /// `None` after an end, while it cannot be started again.
    running: Option<Running>,
    /// Name of the announced service.
    announced: Option<String>,
}

struct Running {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
}

/// An event on the network.
pub(super) enum Heard {
    /// A service appeared or changed.
    Node(String, Seen),
    /// A service disappeared.
    Gone(String),
    /// The responder ended, or dropped events because it was too slow.
    Stopped,
}

impl Responder {
    pub(super) fn start(network: Network, endpoint: &Endpoint) -> Result<Self, mdns_sd::Error> {
        let is_ipv4_only = endpoint.bound_address().is_ipv4();
        let has_network = endpoint.local_addresses().iter().any(|address| !address.ip().is_loopback());
        if !has_network && !network.with_loopback {
            tracing::debug!("no network yet: peers on it are found when there is one");
        }
        let running = Running::start(network, is_ipv4_only)?;
        Ok(Self { network, is_ipv4_only, running: Some(running), announced: None })
    }

    /// The next event. Dropping the future cancels it without loss.
    pub(super) async fn next(&mut self) -> Heard {
        let Some(running) = &self.running else { return std::future::pending().await };
        let with_loopback = self.network.with_loopback;
        loop {
            match running.events.recv_async().await {
                Ok(ServiceEvent::ServiceResolved(service)) => {
                    if let Some(seen) = seen(&service, with_loopback) {
                        return Heard::Node(service.fullname, seen);
                    }
                    tracing::trace!(name = service.fullname, "an announcement that says nothing");
                }
                Ok(ServiceEvent::ServiceRemoved(_, name)) => return Heard::Gone(name),
                Ok(_) => {}
                Err(_) => return Heard::Stopped,
            }
        }
    }

    /// Announces this, in place of the last announcement.
    pub(super) fn announce(
        &mut self,
        announcement: &Announcement,
        endpoint: &Endpoint,
    ) -> Result<(), mdns_sd::Error> {
        let Some(running) = &self.running else { return Ok(()) };
        let service = service(announcement, endpoint)?;
        self.announced = Some(service.get_fullname().to_owned());
        running.daemon.register(service)
    }

    /// Takes the announcement back: this node has no content any more.
    pub(super) fn withdraw(&mut self) -> Result<(), mdns_sd::Error> {
        if let (Some(running), Some(name)) = (&self.running, self.announced.take()) {
            running.daemon.unregister(&name)?;
        }
        Ok(())
    }

    /// Whether its cache holds more records than honest nodes could cause.
    pub(super) async fn is_flooded(&self) -> bool {
        let Some(running) = &self.running else { return false };
        let Ok(answer) = running.daemon.get_metrics() else { return false };
        let Ok(Ok(metrics)) = timeout(LAN_GOODBYE_TIMEOUT, answer.recv_async()).await else { return false };
        let count = |name: &str| metrics.get(name).copied().unwrap_or_default();
        CACHED.iter().map(|name| count(name)).sum::<i64>() > LAN_RECORDS_MAX
    }

    /// Restarts the responder with an empty cache. The announcement has to be made again.
    pub(super) fn restart(&mut self) {
        self.running = None;
        self.announced = None;
        match Running::start(self.network, self.is_ipv4_only) {
            Ok(running) => self.running = Some(running),
            Err(error) => tracing::debug!(%error, "no longer looking for peers on the local network"),
        }
    }

    /// Takes the announcement back and ends the thread.
    pub(super) async fn stop(mut self) {
        let Some(running) = &self.running else { return };
        let goodbye = async {
            if let Some(name) = self.announced.take()
                && let Ok(said) = running.daemon.unregister(&name)
            {
                let _ = said.recv_async().await;
            }
            if let Ok(ended) = running.daemon.shutdown() {
                let _ = ended.recv_async().await;
            }
        };
        if timeout(LAN_GOODBYE_TIMEOUT, goodbye).await.is_err() {
            tracing::debug!("the local network was not told that this node goes");
        }
    }
}

impl Running {
    fn start(network: Network, is_ipv4_only: bool) -> Result<Self, mdns_sd::Error> {
        let daemon = ServiceDaemon::new_with_port(network.port)?;
        if !network.with_loopback {
            daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        }
        if is_ipv4_only {
            daemon.disable_interface(IfKind::IPv6)?;
        }
        let events = daemon.browse(SERVICE)?;
        Ok(Self { daemon, events })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a request: it fails if the thread has already ended, which is as good.
        let _ = self.daemon.shutdown();
    }
}

/// The service's name is made of the key, so no honest node has the same one, and probing for conflicts is needless.
fn service(announcement: &Announcement, endpoint: &Endpoint) -> Result<ServiceInfo, mdns_sd::Error> {
    let name = instance(announcement.node);
    let host = format!("{name}.local.");
    let bound = endpoint.bound_address();
    let txt = announcement.to_txt();
    let mut service = if bound.ip().is_unspecified() {
        ServiceInfo::new(SERVICE, &name, &host, "", bound.port(), txt)?.enable_addr_auto()
    } else {
        ServiceInfo::new(SERVICE, &name, &host, bound.ip(), bound.port(), txt)?
    };
    service.set_requires_probe(false);
    Ok(service)
}

/// Half of the key: a DNS label has 63 bytes at most.
fn instance(node: NodeId) -> String {
    let mut name = node.to_string();
    name.truncate(32);
    name
}

/// `None` if no address of the service can be dialed.
fn seen(service: &ResolvedService, with_loopback: bool) -> Option<Seen> {
    let announcement = Announcement::from_txt(&service.txt_properties)?;
    let ips: BTreeSet<IpAddr> = service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
    let addresses: Vec<Address> = ips
        .into_iter()
        .filter(|ip| is_dialable(*ip, with_loopback))
        .take(LAN_ADDRESSES_MAX)
        .filter_map(|ip| std::net::SocketAddr::new(ip, service.port).to_string().parse().ok())
        .collect();
    (!addresses.is_empty()).then_some(Seen { announcement, addresses })
}

/// Link-local IPv6 addresses mean nothing without their interface, which an [`Address`] cannot hold.
fn is_dialable(ip: IpAddr, with_loopback: bool) -> bool {
    let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let is_no_place = ip.is_unspecified() || ip.is_multicast() || is_link_local || is_broadcast;
    !is_no_place && (with_loopback || !ip.is_loopback())
}

/// The service type of all nodes.
const SERVICE: &str = "_swarm._udp.local.";
/// The counters whose sum is the size of the responder's cache.
const CACHED: [&str; 6] =
    ["cached-ptr", "cached-srv", "cached-addr", "cached-txt", "cached-nsec", "cached-subtype"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_nowhere_are_not_dialed() {
        let check = |ip: &str, expected: bool| {
            assert_eq!(is_dialable(ip.parse().expect("an address"), false), expected, "{ip}");
        };
        check("192.168.1.2", true);
        check("169.254.3.4", true);
        check("fd00::1", true);
        for nowhere in
            ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "fe80::1", "ff02::fb"]
        {
            check(nowhere, false);
        }
    }
}
