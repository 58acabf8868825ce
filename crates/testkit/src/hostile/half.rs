//! Handshakes that never finish: real first packets, from sockets that answer a Retry and nothing else. The victim sees each as a
//! different dialer with a proven address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::peer::Hostile;

/// Unfinished handshakes; dropping the value ends them.
pub struct HalfHandshakes {
    _relays: JoinSet<()>,
}

impl HalfHandshakes {
    /// Starts `count` handshakes from 127.0.0.2; ready when the victim has answered, or ignored, the first packet of each.
    pub async fn begin(hostile: &Hostile, victim: SocketAddr, count: u32) -> Self {
        let mut relays = JoinSet::new();
        for _ in 0..count {
            let inside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            let outside = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.expect("a free port");
            let address = inside.local_addr().expect("it is bound");
            let dialer = hostile.dialer();
            let (begun, is_begun) = tokio::sync::oneshot::channel();
            relays.spawn(relay(Arc::new(inside), Arc::new(outside), victim, begun));
            relays.spawn(async move { drop(dialer.connect(address).await) });
            let _ = is_begun.await;
        }
        Self { _relays: relays }
    }
}

/// Forwards the first packet, and the second if the victim answers with a Retry.
async fn relay(
    inside: Arc<UdpSocket>,
    outside: Arc<UdpSocket>,
    victim: SocketAddr,
    begun: tokio::sync::oneshot::Sender<()>,
) {
    let mut packet = vec![0; 9000];
    let Ok((len, client)) = inside.recv_from(&mut packet).await else { return };
    let _ = outside.send_to(&packet[..len], victim).await;
    let _ = begun.send(());
    loop {
        let Ok(len) = outside.recv(&mut packet).await else { return };
        let is_retry = packet[0] & 0xf0 == 0xf0;
        if !is_retry {
            continue;
        }
        let _ = inside.send_to(&packet[..len], client).await;
        let Ok(len) = inside.recv(&mut packet).await else { return };
        let _ = outside.send_to(&packet[..len], victim).await;
    }
}
