//! A port of the gateway that leads to this node, so that peers outside a home network can reach it: requested by PCP or
//! NAT-PMP, else by UPnP; renewed while the node runs, and released at its end.
//!
//! Invariant: the endpoint has the outer address exactly while the mapping is believed to hold. Only an incoming dial proves that a
//! gateway told the truth. Absent here: IPv6, which has no ports to map.

pub(super) mod gateway;
mod mapping;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{sleep, timeout};

pub(super) use self::gateway::Gateways;
use self::mapping::Mapping;
use super::Surroundings;
use crate::limits::{
    PORT_LEASE_TIME_MAX, PORT_LEASE_TIME_MIN, PORT_MAP_RETRY, PORT_RELEASE_TIMEOUT, PORT_RENEW_RETRY,
};
use swarm_link::Endpoint;

/// Keeps a port mapped until the sender of the participation is dropped.
pub(super) async fn run(gateways: Gateways, mut surroundings: Surroundings) {
    let endpoint = surroundings.endpoint.clone();
    let bound = endpoint.bound_address().ip();
    if bound.is_loopback() && gateways.is_real() {
        tracing::info!("no port is mapped: this node listens where only this machine reaches it");
        endpoint.settle_addresses();
        return;
    }
    let mut held = None;
    tokio::select! {
        () = keep_mapped(&gateways, &endpoint, &mut held) => {}
        () = ended(&mut surroundings) => {}
    }
    if let Some(Held { mapping, outer }) = held {
        endpoint.forget_address(outer);
        if timeout(PORT_RELEASE_TIMEOUT, mapping.release()).await.is_err() {
            tracing::debug!(%outer, "the gateway does not answer: it keeps the port until its lease is over");
        }
    }
}

/// A mapping, and the address that the endpoint has learned.
struct Held {
    mapping: Mapping,
    outer: SocketAddr,
}

/// Never returns; the caller that drops it releases the mapping in `held`.
async fn keep_mapped(gateways: &Gateways, endpoint: &Endpoint, held: &mut Option<Held>) {
    let mut is_first = true;
    loop {
        match mapping::ask(gateways, endpoint).await {
            Ok(mapping) => {
                let outer = mapping.outer();
                tracing::info!(address = %outer, way = mapping.way(), "this node is reached from outside");
                let slot = held.insert(Held { mapping, outer });
                endpoint.learn_address(outer);
                let why = renew_while_it_holds(slot, endpoint).await;
                tracing::info!(address = %outer, why, "the gateway no longer maps a port to this node");
                endpoint.forget_address(held.take().map_or(outer, |held| held.outer));
                sleep(PORT_RENEW_RETRY).await;
            }
            Err(error) => {
                if is_first {
                    tracing::info!(%error, "no port is mapped: peers outside may not reach this node");
                } else {
                    tracing::debug!(%error, "no port is mapped");
                }
                endpoint.settle_addresses();
                sleep(PORT_MAP_RETRY).await;
            }
        }
        is_first = false;
    }
}

/// Renews the mapping at half of each lease; returns the reason when a lease ends all the same.
async fn renew_while_it_holds(held: &mut Held, endpoint: &Endpoint) -> String {
    loop {
        let lease = lease(held.mapping.lease());
        sleep(lease / 2).await;
        let mut left = lease / 2;
        while let Err(error) = held.mapping.renew().await {
            if left <= PORT_RENEW_RETRY {
                return error.to_string();
            }
            tracing::debug!(%error, "the mapped port was not renewed");
            sleep(PORT_RENEW_RETRY).await;
            left = left.saturating_sub(PORT_RENEW_RETRY);
        }
        let outer = held.mapping.outer();
        if outer != held.outer {
            tracing::info!(from = %held.outer, to = %outer, "this node is reached from outside at another address");
            endpoint.forget_address(held.outer);
            endpoint.learn_address(outer);
            held.outer = outer;
        }
    }
}

/// Limits the granted lease: a gateway that grants no time, or unlimited time, is asked again all the same.
fn lease(granted: Duration) -> Duration {
    granted.clamp(PORT_LEASE_TIME_MIN, PORT_LEASE_TIME_MAX)
}

/// Resolves when the sender of the participation is dropped.
async fn ended(surroundings: &mut Surroundings) {
    while surroundings.participation.changed().await.is_ok() {}
}

/// Whether an address can be an outside address; others are not believed.
fn is_outside(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.is_link_local());
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_broadcast)
}

#[cfg(test)]
mod tests;
