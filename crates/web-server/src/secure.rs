//! HTTPS with a certificate that this process makes for itself: browsers give pages their storage, keys and WebTransport over HTTPS alone,
//! except on the machine itself. A visitor is warned of such a certificate once. It protects the page on its way from listeners; peers are
//! proven by their keys.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

/// Takes TLS handshakes with a new certificate for these names and addresses; `None` if none can be made.
pub(crate) fn acceptor(names: Vec<String>) -> Option<TlsAcceptor> {
    let mut params = CertificateParams::new(names).ok()?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "swarm");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    // Ed25519 is what no browser takes.
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).ok()?;
    let certificate = params.self_signed(&key).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key.into());
    let mut config = config.ok()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
pub(crate) const TLS_HANDSHAKE: u8 = 22;
