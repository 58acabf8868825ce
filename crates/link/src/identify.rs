//! Finds which node answers at an address: a handshake that this side ends once the other side has proved its key. The other
//! side gets no link, and does not learn who asked.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::ClientConfig;
use quinn::crypto::rustls::QuicClientConfig;
use tokio::time::timeout;

use super::config::Transports;
use super::dial::{AttemptError, not_begun, not_finished};
use super::tls::{self, FoundKey};
use crate::limits::IDENTIFY_TIMEOUT;
use swarm_core::base::NodeId;

pub(super) async fn identify(
    quinn: &quinn::Endpoint,
    transports: &Transports,
    address: SocketAddr,
) -> Result<NodeId, AttemptError> {
    let found = FoundKey::default();
    let tls = QuicClientConfig::try_from(tls::identifying(&found)).expect("AES-128 is among the suites");
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::clone(&transports.network));
    let connecting =
        quinn.connect_with(config, address, tls::SERVER_NAME).map_err(|error| not_begun(&error))?;
    let ended = timeout(IDENTIFY_TIMEOUT, connecting).await;
    match (found.get(), ended) {
        (Some(node), _) => Ok(*node),
        (None, Ok(Err(error))) => Err(not_finished(error)),
        (None, Ok(Ok(_)) | Err(_)) => Err(AttemptError::NoAnswer),
    }
}
