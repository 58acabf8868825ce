//! Bare quinn, memory to memory: the QUIC settings of swarm (windows as of one link) and no other part of it, not even the client's
//! certificate. Its time is about the least that a transfer over quinn can take here. `serve LEN DATAGRAM_MAX` prints its address; `get DATAGRAM_MAX ADDRESS..` fetches all of it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, VarInt};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use swarm_link::LinkOptions;
use tokio::task::JoinSet;

pub(crate) fn run(args: &[String]) {
    let threads = swarm_link::network_threads();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().worker_threads(threads).build().expect("threads");
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse::<u64>().ok()).expect("a number");
    let options = |len: u64| {
        let datagram_len_max = u16::try_from(len).ok().filter(|&len| len > 0);
        // The windows of `swarm fetch` with its default --memory.
        let (receive_window_len, stream_receive_window_len) = (4 << 20, 2 << 20);
        let windows = LinkOptions { receive_window_len, stream_receive_window_len, ..LinkOptions::default() };
        LinkOptions { datagram_len_max, ..windows }
    };
    match args.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve(number(1), options(number(2)))),
        Some("get") => {
            let server = |arg: &String| {
                let (address, len) = arg.split_once('/').expect("an address and a length");
                (address.parse().expect("an address"), len.parse().expect("a length"))
            };
            let servers = args[2..].iter().map(server).collect();
            runtime.block_on(get(servers, options(number(1))));
        }
        Some(_) | None => panic!("serve or get"),
    }
}

/// Sends `len` zeros to each client on streams of 8 MiB, several at a time, as a fetch would request them.
async fn serve(len: u64, options: LinkOptions) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name is valid");
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("it has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], secret)
        .expect("key and certificate belong together");
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicServerConfig::try_from(tls).expect("AES-128 is among the suites");
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(options.local_transport()));
    let socket = swarm_link::bind_socket(Some(([127, 0, 0, 1], 0).into())).expect("a port");
    let endpoint =
        Endpoint::new(swarm_endpoint(), Some(config), socket, Arc::new(TokioRuntime)).expect("a socket");
    println!("{}/{len}", endpoint.local_addr().expect("it is bound"));
    let block = Bytes::from(vec![0; BLOCK_LEN]);
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        let mut streams = JoinSet::new();
        let mut left = len;
        while left > 0 {
            if streams.len() == STREAMS_AT_ONCE {
                let _ = streams.join_next().await;
            }
            let Ok(mut stream) = connection.open_uni().await else { break };
            let (run_len, block) = (left.min(RUN_LEN), block.clone());
            left -= run_len;
            streams.spawn(async move {
                let mut left = run_len as usize;
                while left > 0 {
                    let piece = block.slice(..left.min(BLOCK_LEN));
                    left -= piece.len();
                    if stream.write_chunk(piece).await.is_err() {
                        return;
                    }
                }
                let _ = stream.finish();
            });
        }
        streams.join_all().await;
        connection.closed().await;
    }
}

async fn get(servers: Vec<(SocketAddr, u64)>, options: LinkOptions) {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("it has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anyone::Anyone(provider())))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("AES-128 is among the suites");
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(options.local_transport()));
    let socket = swarm_link::bind_socket(Some(([127, 0, 0, 1], 0).into())).expect("a port");
    let endpoint = Endpoint::new(swarm_endpoint(), None, socket, Arc::new(TokioRuntime)).expect("a socket");
    let mut downloads = JoinSet::new();
    for (server, len) in servers {
        let connecting =
            endpoint.connect_with(config.clone(), server, "localhost").expect("a loopback address");
        downloads.spawn(async move {
            let connection = connecting.await.expect("the server answers");
            take(&connection, len).await;
            connection.close(VarInt::from_u32(0), b"");
        });
    }
    downloads.join_all().await;
    endpoint.wait_idle().await;
}

/// Reads streams until so many bytes have come.
async fn take(connection: &quinn::Connection, len: u64) {
    let (mut streams, mut received_len) = (JoinSet::new(), 0);
    while received_len < len {
        tokio::select! {
            stream = connection.accept_uni() => {
                let mut stream = stream.expect("the server goes on");
                streams.spawn(async move {
                    let mut stream_len = 0;
                    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await.expect("the server goes on") {
                        stream_len += chunk.bytes.len() as u64;
                    }
                    stream_len
                });
            }
            Some(stream_len) = streams.join_next() => received_len += stream_len.expect("no panic"),
        }
    }
}

fn swarm_endpoint() -> EndpointConfig {
    swarm_link::endpoint_config()
}

/// AES-128-GCM first, as in swarm.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

pub(crate) mod anyone {
    //! Accepts any certificate: the transfer stays on loopback and has no secrets.

    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(crate) struct Anyone(pub(crate) Arc<CryptoProvider>);

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

const ALPN: &[u8] = b"baseline";
/// Length of one read of an upload in swarm.
const BLOCK_LEN: usize = 512 << 10;
const RUN_LEN: u64 = 8 << 20;
const STREAMS_AT_ONCE: usize = 4;
