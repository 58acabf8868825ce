//! The addresses of the gateway, and the address of this machine that it sees.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

/// The gateways to ask for a port.
#[derive(Clone, Debug)]
pub(in super::super) struct Gateways {
    /// The gateway that speaks PCP or NAT-PMP; `None` is the default gateway of this network.
    pmp: Option<Ipv4Addr>,
    /// Where UPnP gateways are searched, usually a multicast group.
    upnp: SocketAddr,
}

impl Default for Gateways {
    fn default() -> Self {
        Self { pmp: None, upnp: SocketAddr::from(([239, 255, 255, 250], 1900)) }
    }
}

impl Gateways {
    /// Gateways of a test.
    #[cfg(test)]
    pub(super) fn fake(pmp: Ipv4Addr, upnp: SocketAddr) -> Self {
        Self { pmp: Some(pmp), upnp }
    }

    /// Whether these are not a test's.
    pub(super) fn is_real(&self) -> bool {
        self.pmp.is_none()
    }

    /// The gateway to ask by PCP or NAT-PMP.
    pub(super) fn pmp(&self) -> Option<Ipv4Addr> {
        self.pmp.or_else(default_gateway)
    }

    /// Addresses that a UPnP gateway may have besides its own: none, but a test's gateway is on this machine.
    pub(super) fn also_trusted(&self) -> Vec<IpAddr> {
        if self.is_real() { Vec::new() } else { vec![self.upnp.ip()] }
    }

    /// Where UPnP gateways are searched.
    pub(super) fn upnp(&self) -> SocketAddr {
        self.upnp
    }
}

/// This machine's address as the gateway sees it.
pub(super) async fn address_towards(gateway: IpAddr) -> std::io::Result<IpAddr> {
    // Connecting sends nothing: the kernel only chooses a route, and thus the source address.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect((gateway, 9)).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(target_os = "linux")]
fn default_gateway() -> Option<Ipv4Addr> {
    in_routes(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// Other systems have no file with the routes; UPnP finds the gateway without it.
#[cfg(not(target_os = "linux"))]
fn default_gateway() -> Option<Ipv4Addr> {
    None
}

/// The gateway of the default route with the smallest metric, in the kernel's table: addresses are hexadecimal, in the byte order
/// of memory.
pub(in super::super) fn in_routes(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_interface, target, gateway, _flags, _refs, _use, metric, mask, ..] = fields.as_slice() else {
            return None;
        };
        let gateway = Ipv4Addr::from(u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes());
        let is_default = *target == "00000000" && *mask == "00000000" && !gateway.is_unspecified();
        is_default.then_some((metric.parse::<u32>().ok()?, gateway))
    });
    routes.min().map(|(_, gateway)| gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_gateway_of_the_best_default_route_is_found() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(in_routes(table), Some(Ipv4Addr::new(192, 168, 1, 254)));
        assert_eq!(in_routes(""), None);
        assert_eq!(in_routes("x\neth0 00000000 zz 0 0 0 0 00000000"), None);
    }
}
