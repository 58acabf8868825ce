//! The hostile peer: a QUIC endpoint with a proven key that follows none of the product's rules. Each test scripts its messages.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, Endpoint, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;
use tokio::runtime::Runtime;

use super::key::Key;
use super::talk::Talk;

/// A hostile node. Dropping it ends its links and scripts.
pub struct Hostile {
    /// Shut down in the background on drop, because a runtime would wait for scripts that never end.
    runtime: Option<Runtime>,
    endpoint: Endpoint,
    key: Key,
    role: Role,
}

/// The protocol that it speaks.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Peer,
    Coordinator,
    Library,
}

impl Role {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Peer => b"swarm/1",
            Self::Coordinator => b"swarm-coordinator/1",
            Self::Library => b"swarm-library/1",
        }
    }
}

impl Hostile {
    /// A peer with its own key, on loopback.
    pub fn new(key: u32) -> Self {
        Self::in_role(key, Role::Peer)
    }

    /// A peer that speaks another protocol.
    pub fn in_role(key: u32, role: Role) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        let key = Key::of(key);
        let endpoint = runtime.block_on(async {
            let mut config = ServerConfig::with_crypto(key.accepting(role.alpn()));
            config.transport_config(transport());
            Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port")
        });
        Self { runtime: Some(runtime), endpoint, key, role }
    }

    pub fn node(&self) -> NodeId {
        self.key.node()
    }

    pub fn signing(&self) -> SigningKey {
        self.key.signing()
    }

    /// For `--peer`.
    pub fn peer(&self) -> String {
        format!("{}@{}", self.node(), self.endpoint.local_addr().expect("it is bound"))
    }

    /// Runs this script on every incoming link.
    pub fn serve<F>(&self, script: impl Fn(Talk) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let endpoint = self.endpoint.clone();
        let handle = self.runtime().handle().clone();
        self.runtime().spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let Ok(connection) = incoming.await else { continue };
                let Some(talk) = Talk::accept(connection).await else { continue };
                handle.spawn(script(talk));
            }
        });
    }

    /// Runs this script on every incoming connection, before a message is sent on it.
    pub fn serve_bare<F>(&self, script: impl Fn(Connection) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let endpoint = self.endpoint.clone();
        let handle = self.runtime().handle().clone();
        self.runtime().spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                if let Ok(connection) = incoming.await {
                    handle.spawn(script(connection));
                }
            }
        });
    }

    /// Accepts no handshake: receives the first packet and never answers.
    pub fn hold_handshakes(&self) {
        let endpoint = self.endpoint.clone();
        self.runtime().spawn(async move {
            let mut held = Vec::new();
            while let Some(incoming) = endpoint.accept().await {
                held.push(incoming);
            }
        });
    }

    /// Runs a script beside the test.
    pub fn spawn(&self, script: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(script);
    }

    /// Runs a script and waits for it.
    pub fn run<T>(&self, script: impl Future<Output = T>) -> T {
        self.runtime().block_on(script)
    }

    /// Dials a victim.
    pub fn dialer(&self) -> Dialer {
        Dialer { endpoint: self.endpoint.clone(), key: self.key.clone(), role: self.role, is_narrow: false }
    }

    /// A dialer with another key that receives almost nothing before it reads.
    pub fn narrow_dialer(&self, number: u32) -> Dialer {
        Dialer { is_narrow: true, ..self.dialer().with_key(number) }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it has not ended")
    }
}

/// Dials under one key or several.
#[derive(Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    key: Key,
    role: Role,
    is_narrow: bool,
}

impl Dialer {
    pub fn node(&self) -> NodeId {
        self.key.node()
    }

    /// A dialer on the same socket with another key.
    pub fn with_key(&self, number: u32) -> Self {
        Self { key: Key::of(number), ..self.clone() }
    }

    pub async fn connect(&self, victim: SocketAddr) -> Option<Connection> {
        let mut config = quinn::ClientConfig::new(self.key.dialing(self.role.alpn()));
        config.transport_config(if self.is_narrow { narrow_transport() } else { transport() });
        self.endpoint.connect_with(config, victim, "swarm.invalid").ok()?.await.ok()
    }

    /// A link with its control stream, on which nothing was sent.
    pub async fn dial(&self, victim: SocketAddr) -> Option<Talk> {
        Talk::open(self.connect(victim).await?).await
    }
}

/// Wide limits where the product's are narrow.
fn transport() -> Arc<TransportConfig> {
    Arc::new(generous())
}

fn narrow_transport() -> Arc<TransportConfig> {
    let mut config = generous();
    config.stream_receive_window(VarInt::from_u32(8 << 10));
    Arc::new(config)
}

fn generous() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1024))
        .max_concurrent_uni_streams(VarInt::from_u32(1024))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(60_000))));
    config
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
