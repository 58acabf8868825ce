//! A node's key as any program can make one: Ed25519 in a self-signed certificate, and TLS that accepts every peer.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;

/// A key and its certificate.
#[derive(Clone)]
pub(crate) struct Key {
    seed: [u8; 32],
    certificate: CertificateDer<'static>,
}

impl Key {
    pub(crate) fn of(number: u32) -> Self {
        let mut seed = [0x5a; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8(&seed), &PKCS_ED25519).expect("a key");
        let params = CertificateParams::new(Vec::new()).expect("no names");
        Self { seed, certificate: params.self_signed(&key).expect("signed").der().clone() }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.signing().public()
    }

    pub(crate) fn signing(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed)
    }

    pub(crate) fn dialing(&self, alpn: &[u8]) -> Arc<QuicClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_client_auth_cert(vec![self.certificate.clone()], pkcs8(&self.seed).into())
            .expect("the key's own certificate");
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(QuicClientConfig::try_from(config).expect("a suite for QUIC"))
    }

    pub(crate) fn accepting(&self, alpn: &[u8]) -> Arc<QuicServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], pkcs8(&self.seed).into())
            .expect("the key's own certificate");
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(QuicServerConfig::try_from(config).expect("a suite for QUIC"))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn pkcs8(seed: &[u8; 32]) -> PrivatePkcs8KeyDer<'static> {
    [PKCS8_ED25519_PREFIX, seed.as_slice()].concat().into()
}

/// PKCS #8 version 1 up to the seed (RFC 8410, section 7).
const PKCS8_ED25519_PREFIX: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
