//! A server's life beside its node: begun before the node serves, ended after it.

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::server::WebServer;
use swarm_link::{Endpoint, Origins, WebCertificateError};

/// A server that runs. It ends by [`Serving::end`], or when this is dropped.
pub struct Serving {
    address: SocketAddr,
    ending: CancellationToken,
    tasks: TaskTracker,
}

/// Why a node cannot serve pages.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The TCP port that has the number of the node's UDP port is taken or forbidden.
    #[error("cannot serve pages on TCP at {address}: {source}; free it, or name another with --listen")]
    Port {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No certificate for WebTransport can be made.
    #[error(transparent)]
    Certificate(#[from] WebCertificateError),
}

impl Serving {
    /// Serves pages and their links for the node of this endpoint, on the TCP port that has the number of its UDP port: addresses in
    /// tickets then lead to both. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the port cannot be had.
    pub fn start(
        endpoint: &Endpoint,
        origins: Origins,
        clock: fn() -> SystemTime,
    ) -> Result<Self, ServeError> {
        let address = endpoint.bound_address();
        let failed = |source| ServeError::Port { address, source };
        let listener = listen(address).map_err(failed)?;
        let (ending, tasks) = (CancellationToken::new(), TaskTracker::new());
        let server = WebServer::new(endpoint.clone(), origins, clock, (ending.clone(), tasks.clone()))?;
        tasks.spawn(server.serve(listener));
        Ok(Self { address, ending, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all links and connections. To be called when the node has ended: it says farewell by these.
    pub async fn end(self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
