//! A gate before a seed: packets of a dialer wait there until it is opened.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::peer::Hostile;

/// A gate for one dialer.
pub(crate) struct Gate {
    address: SocketAddr,
    opener: oneshot::Sender<()>,
}

impl Gate {
    /// A closed gate. It runs on the hostile peer's threads.
    pub(crate) fn before(seed: SocketAddr, hostile: &Hostile) -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (inside, outside) = hostile.run(async { (bind().await, bind().await) });
        let (inside, outside) = (inside.expect("a free port"), outside.expect("a free port"));
        let address = inside.local_addr().expect("it is bound");
        let (opener, opened) = oneshot::channel();
        hostile.spawn(async move {
            // Until the gate opens, packets wait in the socket.
            if opened.await.is_ok() {
                pass(&inside, &outside, seed).await;
            }
        });
        Self { address, opener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn open(self) {
        self.opener.send(()).expect("the gate stands");
    }
}

async fn pass(inside: &UdpSocket, outside: &UdpSocket, seed: SocketAddr) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut dialer = None;
    loop {
        tokio::select! {
            Ok((len, from)) = inside.recv_from(&mut up) => {
                dialer = Some(from);
                let _ = outside.send_to(&up[..len], seed).await;
            }
            Ok(len) = outside.recv(&mut down) => {
                if let Some(dialer) = dialer {
                    let _ = inside.send_to(&down[..len], dialer).await;
                }
            }
        }
    }
}
