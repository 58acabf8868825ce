//! One mapping, by any of the protocols: requested, renewed, released.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{
    InternetProtocol, MappingFailure, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig,
};
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddAnyPortError, AddPortError, PortMappingProtocol, SearchOptions};

use super::gateway::{Gateways, address_towards};
use super::is_outside;
use crate::limits::{PORT_LEASE_TIME_MAX, PORT_SEARCH_TIMEOUT};
use swarm_link::Endpoint;

/// A port of the gateway that leads to this node.
pub(super) enum Mapping {
    Pmp { mapping: PortMapping, outer: SocketAddr },
    Upnp(Upnp),
}

/// A mapping by UPnP.
pub(super) struct Upnp {
    gateway: igd_next::aio::Gateway<Tokio>,
    /// This node's address as the gateway sees it.
    inner: SocketAddr,
    outer: SocketAddr,
    lease_secs: u32,
}

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
pub(super) enum MapError {
    #[error("no gateway gives ports: PCP and NAT-PMP: {pmp}; UPnP: {upnp}")]
    NoGateway { pmp: Box<MapError>, upnp: Box<MapError> },
    #[error("this network has no gateway that is known")]
    NoRoute,
    #[error("this machine has no way to the gateway: {0}")]
    NoWay(#[from] std::io::Error),
    #[error("{0}")]
    Pmp(#[from] MappingFailure),
    #[error("{0}")]
    Search(#[from] igd_next::SearchError),
    #[error("{0}")]
    Outside(#[from] igd_next::GetExternalIpError),
    #[error("{0}")]
    AnyPort(#[from] AddAnyPortError),
    #[error("{0}")]
    Port(#[from] AddPortError),
    #[error("the gateway says that its address outside is {0}, which it cannot be")]
    NotOutside(IpAddr),
}

/// Requests a port that leads to this endpoint, by each protocol in turn until a gateway grants one.
pub(super) async fn ask(gateways: &Gateways, endpoint: &Endpoint) -> Result<Mapping, MapError> {
    let pmp = match ask_pmp(gateways, endpoint).await {
        Ok(mapping) => return Ok(mapping),
        Err(error) => Box::new(error),
    };
    match ask_upnp(gateways, endpoint).await {
        Ok(upnp) => Ok(Mapping::Upnp(upnp)),
        Err(upnp) => Err(MapError::NoGateway { pmp, upnp: Box::new(upnp) }),
    }
}

async fn ask_pmp(gateways: &Gateways, endpoint: &Endpoint) -> Result<Mapping, MapError> {
    let gateway = gateways.pmp().ok_or(MapError::NoRoute)?;
    let client = address_towards(gateway.into()).await?;
    let port = NonZeroU16::new(endpoint.port()).ok_or(MapError::NoRoute)?;
    let options = PortMappingOptions {
        external_port: Some(port),
        lifetime_seconds: Some(lease_secs()),
        timeout_config: Some(PATIENCE),
    };
    let mapping = PortMapping::new(gateway.into(), client, InternetProtocol::Udp, port, options).await?;
    let outer = outer_of(&mapping).await?;
    Ok(Mapping::Pmp { mapping, outer })
}

async fn ask_upnp(gateways: &Gateways, endpoint: &Endpoint) -> Result<Upnp, MapError> {
    let mut options = SearchOptions::default();
    options.broadcast_address = gateways.upnp();
    options.allowed_gateway_ips = gateways.also_trusted();
    options.timeout = Some(PORT_SEARCH_TIMEOUT);
    let gateway = search_gateway(options).await?;
    let inner = SocketAddr::new(address_towards(gateway.addr.ip()).await?, endpoint.port());
    let ip = outside(gateway.get_external_ip().await?)?;
    let mut upnp =
        Upnp { gateway, inner, outer: SocketAddr::new(ip, inner.port()), lease_secs: lease_secs() };
    if upnp.add().await.is_err() {
        // The wanted port is taken, usually by a second node behind the same gateway.
        let port = upnp.gateway.add_any_port(UDP, inner, upnp.lease_secs, NAME).await?;
        upnp.outer.set_port(port);
    }
    Ok(upnp)
}

impl Mapping {
    /// The outside address of this node.
    pub(super) fn outer(&self) -> SocketAddr {
        match self {
            Self::Pmp { outer, .. } => *outer,
            Self::Upnp(upnp) => upnp.outer,
        }
    }

    /// How long the gateway keeps the mapping.
    pub(super) fn lease(&self) -> Duration {
        let secs = match self {
            Self::Pmp { mapping, .. } => mapping.lifetime(),
            // Zero means for ever; it is renewed all the same, because gateways forget mappings when they restart.
            Self::Upnp(upnp) if upnp.lease_secs == 0 => lease_secs(),
            Self::Upnp(upnp) => upnp.lease_secs,
        };
        Duration::from_secs(secs.into())
    }

    /// The protocol, for people.
    pub(super) fn way(&self) -> &'static str {
        match self {
            Self::Pmp { mapping, .. } => match mapping.mapping_type() {
                PortMappingType::NatPmp => "NAT-PMP",
                PortMappingType::Pcp { .. } => "PCP",
            },
            Self::Upnp(_) => "UPnP",
        }
    }

    /// Extends the lease. The outer address may change by that.
    pub(super) async fn renew(&mut self) -> Result<(), MapError> {
        match self {
            Self::Pmp { mapping, outer } => {
                mapping.renew().await?;
                *outer = outer_of(mapping).await?;
            }
            Self::Upnp(upnp) => {
                let ip = outside(upnp.gateway.get_external_ip().await?)?;
                upnp.add().await?;
                upnp.outer.set_ip(ip);
            }
        }
        Ok(())
    }

    /// Releases the mapping.
    pub(super) async fn release(self) {
        let error = match self {
            Self::Pmp { mapping, .. } => mapping.try_drop().await.err().map(|(error, _)| error.to_string()),
            Self::Upnp(upnp) => {
                let removed = upnp.gateway.remove_port(UDP, upnp.outer.port()).await;
                removed.err().map(|error| error.to_string())
            }
        };
        if let Some(error) = error {
            tracing::debug!(error, "the mapped port was not given back: it goes when its lease is over");
        }
    }
}

impl Upnp {
    /// Maps the outer port, or extends its lease. Some gateways know no leases: theirs last until they are released.
    async fn add(&mut self) -> Result<(), AddPortError> {
        let port = self.outer.port();
        let added = self.gateway.add_port(UDP, port, self.inner, self.lease_secs, NAME).await;
        match added {
            Err(AddPortError::OnlyPermanentLeasesSupported) => {
                self.lease_secs = 0;
                self.gateway.add_port(UDP, port, self.inner, 0, NAME).await
            }
            other => other,
        }
    }
}

async fn outer_of(mapping: &PortMapping) -> Result<SocketAddr, MapError> {
    let ip = match mapping.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
        PortMappingType::NatPmp => {
            let asked = crab_nat::natpmp::external_address(mapping.gateway(), Some(PATIENCE)).await;
            asked.map(Ipv4Addr::into).map_err(MappingFailure::from)?
        }
    };
    Ok(SocketAddr::new(outside(ip)?, mapping.external_port().get()))
}

fn outside(ip: IpAddr) -> Result<IpAddr, MapError> {
    if is_outside(ip) { Ok(ip) } else { Err(MapError::NotOutside(ip)) }
}

fn lease_secs() -> u32 {
    u32::try_from(PORT_LEASE_TIME_MAX.as_secs()).unwrap_or(u32::MAX)
}

/// The description that gateways show in their lists.
const NAME: &str = "swarm";
const UDP: PortMappingProtocol = PortMappingProtocol::UDP;
/// Four datagrams in 3.75 seconds: a gateway is one hop away.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 3,
    max_retry_timeout: Some(Duration::from_secs(2)),
};
