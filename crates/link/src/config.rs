//! QUIC settings, and the measurements behind them. Two sets: for peers across a network, and for peers on this machine, which
//! accept longer datagrams.

use std::sync::Arc;

use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use quinn_proto::crypto::{CryptoError, HmacKey};

use super::congestion::ForgivingCubic;
use super::identity::Identity;
use crate::limits::{
    CHUNK_STREAMS_PER_LINK_MAX, DATAGRAM_LEN_MAX, DATAGRAM_LEN_MAX_LOCAL, EARLY_RECEIVE_WINDOW_LEN,
    LINK_KEEP_ALIVE, LOCAL_SEND_WINDOW_LEN, WEB_DATAGRAMS_LEN_MAX,
};
use swarm_core::base::limits::LINK_IDLE_TIMEOUT;

/// Bytes that one link may hold in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    /// Bytes received and not yet read, over all streams. It bounds the rate to this much per round trip.
    pub receive_window_len: u32,
    /// Bytes received and not yet read on one stream.
    pub stream_receive_window_len: u32,
    /// Bytes written and not yet acknowledged, over all streams.
    pub send_window_len: u32,
    /// Longest UDP payload that path MTU discovery tries, bytes, [`DATAGRAM_LEN_MIN`] to [`DATAGRAM_LEN_MAX_LOCAL`]; `None` is
    /// [`DATAGRAM_LEN_MAX`], and [`DATAGRAM_LEN_MAX_LOCAL`] within one machine.
    ///
    /// [`DATAGRAM_LEN_MIN`]: crate::limits::DATAGRAM_LEN_MIN
    /// [`DATAGRAM_LEN_MAX`]: crate::limits::DATAGRAM_LEN_MAX
    /// [`DATAGRAM_LEN_MAX_LOCAL`]: crate::limits::DATAGRAM_LEN_MAX_LOCAL
    pub datagram_len_max: Option<u16>,
}

impl LinkOptions {
    /// The QUIC settings of a link within one machine, which has a short send window. Also used to measure the speed of QUIC alone.
    pub fn local_transport(self) -> TransportConfig {
        let send_window_len = self.send_window_len.min(LOCAL_SEND_WINDOW_LEN);
        transport(Self { send_window_len, ..self }, DATAGRAM_LEN_MAX_LOCAL)
    }
}

impl Default for LinkOptions {
    /// 8 MiB, 4 MiB, 8 MiB: one link holds 16 MiB at most. On a path of 500 Mbit/s and 50 ms that loses one datagram in a thousand,
    /// content took 81 % of the line with a send window of 4 MiB, and 89 % with 8 (`tests/long_path.rs`).
    fn default() -> Self {
        Self {
            receive_window_len: 8 << 20,
            stream_receive_window_len: 4 << 20,
            send_window_len: 8 << 20,
            datagram_len_max: None,
        }
    }
}

/// Threads for all work but hashing and disks: half of the processor's cores, because hashing and disks need the rest. On two
/// cores, packets, their encryption and the copies out of them stay on one: with two threads, contention for a counter that both
/// touch for every packet, and wake-ups, cost about a tenth of the time (`docs/performance.md`).
pub fn network_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Settings for peers across a network and on this machine.
#[derive(Clone)]
pub(super) struct Transports {
    pub(super) network: Arc<TransportConfig>,
    pub(super) local: Arc<TransportConfig>,
}

impl Transports {
    pub(super) fn new(options: LinkOptions) -> Self {
        let mut network = transport(options, DATAGRAM_LEN_MAX);
        let mut local = options.local_transport();
        network.congestion_controller_factory(Arc::new(ForgivingCubic));
        for config in [&mut network, &mut local] {
            // QUIC credit cannot be taken back, so a link gets a wide window only once it has something to receive.
            config.receive_window(VarInt::from_u32(options.receive_window_len.min(EARLY_RECEIVE_WINDOW_LEN)));
        }
        Self { network: Arc::new(network), local: Arc::new(local) }
    }

    /// Settings of an endpoint that serves pages, too: HTTP/3 promises them datagrams (RFC 9297, section 2.1.1), although none are
    /// read.
    pub(super) fn serving_pages(options: LinkOptions) -> Self {
        let Self { mut network, mut local } = Self::new(options);
        for config in [&mut network, &mut local] {
            let config = Arc::get_mut(config).expect("it was just made");
            config.datagram_receive_buffer_size(Some(WEB_DATAGRAMS_LEN_MAX));
        }
        Self { network, local }
    }
}

/// Settings of the endpoint of one identity. Its reset key outlives the process: when a node was killed and started again, a peer
/// that still holds a link to it gets a stateless reset at once (RFC 9000, section 10.3) and need not wait for
/// [`LINK_IDLE_TIMEOUT`].
pub(super) fn endpoint_config_of(identity: &Identity) -> EndpointConfig {
    let reset_key = ResetKey(identity.derive("swarm 2026 QUIC stateless reset"));
    let [a, b, c, d, e, f, g, h, ..] = identity.derive("swarm 2026 QUIC connection ids");
    let ids_key = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.max_udp_payload_size(DATAGRAM_LEN_MAX_LOCAL).expect("more than the 1200 that QUIC demands");
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids_key)));
    config
}

struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // `blake3::Hash` compares in constant time, so that the time tells nothing of the signature.
        if blake3::keyed_hash(&self.0, data) == *signature { Ok(()) } else { Err(CryptoError) }
    }
}

/// Settings of the socket: it accepts the longest datagram that any peer may send.
pub fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(DATAGRAM_LEN_MAX_LOCAL).expect("more than the 1200 that QUIC demands");
    config
}

fn transport(options: LinkOptions, usual_datagram_len_max: u16) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(options.datagram_len_max.unwrap_or(usual_datagram_len_max));
    let idle = IdleTimeout::try_from(LINK_IDLE_TIMEOUT).expect("seconds fit");
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(CHUNK_STREAMS_PER_LINK_MAX))
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(LINK_KEEP_ALIVE))
        .receive_window(VarInt::from_u32(options.receive_window_len))
        .stream_receive_window(VarInt::from_u32(options.stream_receive_window_len))
        .send_window(u64::from(options.send_window_len))
        // Streams one after another, oldest first: a run is verified and served on sooner, and fewer are incomplete. Measured
        // on loopback with 4 and 16 streams: 2.1 GB/s against 1.9 in turns. Fewer ACKs (ack_frequency_config) halved it.
        .send_fairness(false)
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(mtu));
    config
}
