//! TLS 1.3 in which both sides prove a bare key: the certificate is only an envelope for an Ed25519 key, and the handshake
//! proves its possession. Names, dates and issuers in it mean nothing here. No resumption and no 0-RTT: the round trip that
//! they save is not worth the risk of replayed requests.
//!
//! An endpoint that serves pages shows these another certificate, and lets them through without a key: rustls asks all clients of
//! one configuration alike. Code that makes a link of a handshake must then check that a key was shown.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, ServerConfig,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::identity::Identity;
use super::protocol::{HTTP3_ALPN, Protocol};
use super::web_certificate::WebCertificate;
use swarm_core::base::NodeId;

/// The host name that the TLS library asks for; it is neither sent nor checked.
pub(super) const SERVER_NAME: &str = "swarm.invalid";

/// The keys to accept from the other side.
#[derive(Clone, Debug)]
enum Trust {
    /// Every proved key; the endpoint's admission rules decide about its rights.
    AnyKey,
    /// As [`Trust::AnyKey`], or none: pages in browsers show none.
    AnyKeyOrNone,
    /// This node alone.
    Pinned { node: NodeId, found: FoundKey },
    /// None: the key is noted once it is proved, and then the handshake fails.
    Reveal { found: FoundKey },
}

/// The key that a handshake met: the error names it.
pub(super) type FoundKey = Arc<OnceLock<NodeId>>;

/// Settings of the accepting side; with a certificate for pages, HTTP/3 is offered, too.
pub(super) fn accepting(identity: &Identity, web: Option<&WebCertificate>) -> ServerConfig {
    let provider = provider();
    let trust = if web.is_some() { Trust::AnyKeyOrNone } else { Trust::AnyKey };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("the suites are those of TLS 1.3")
        .with_client_cert_verifier(verifier(&provider, trust))
        .with_single_cert(vec![identity.certificate()], identity.private_key().into())
        .expect("the certificate was made for the key");
    config.alpn_protocols = Protocol::ALL.map(|protocol| protocol.alpn().to_vec()).to_vec();
    if let Some(web) = web {
        config.alpn_protocols.push(HTTP3_ALPN.to_vec());
        config.cert_resolver =
            Arc::new(ByProtocol { node: Arc::clone(&config.cert_resolver), page: web.key() });
    }
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}

/// Settings of one dial to `node`; `found` receives the key of another node that answered.
pub(super) fn dialing(
    identity: &Identity,
    node: NodeId,
    protocol: Protocol,
    found: &FoundKey,
) -> ClientConfig {
    let provider = provider();
    let trust = Trust::Pinned { node, found: Arc::clone(found) };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("the suites are those of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier(&provider, trust))
        .with_client_auth_cert(vec![identity.certificate()], identity.private_key().into())
        .expect("the certificate was made for the key");
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    config
}

/// Settings of a handshake that fails as soon as the other side has proved its key, which `found` receives. This side has not
/// shown its own key by then.
pub(super) fn identifying(found: &FoundKey) -> ClientConfig {
    let provider = provider();
    let trust = Trust::Reveal { found: Arc::clone(found) };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("the suites are those of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier(&provider, trust))
        .with_no_client_auth();
    config.alpn_protocols = vec![Protocol::Peer.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    config
}

/// The node whose key a certificate holds.
///
/// # Errors
/// If it is not a certificate, or holds a key of another kind.
pub(super) fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeId, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let key = parsed.subject_public_key_info();
    let key = key.strip_prefix(SPKI_ED25519_PREFIX).and_then(NodeId::from_slice);
    key.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// AES-128 first, because it is faster: the X25519 exchange bounds the security either way.
fn provider() -> Arc<CryptoProvider> {
    let suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites: suites, ..ring::default_provider() })
}

fn verifier(provider: &CryptoProvider, trust: Trust) -> Arc<PeerVerifier> {
    Arc::new(PeerVerifier { trust, algorithms: provider.signature_verification_algorithms })
}

/// Checks the other side's certificate, as client and as server.
#[derive(Debug)]
struct PeerVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let met = node_of(certificate)?;
        match &self.trust {
            Trust::AnyKey | Trust::AnyKeyOrNone | Trust::Reveal { .. } => Ok(()),
            Trust::Pinned { node, .. } if *node == met => Ok(()),
            Trust::Pinned { found, .. } => {
                found.get_or_init(|| met);
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls13_signature(message, certificate, signature, &self.algorithms)?;
        match &self.trust {
            Trust::AnyKey | Trust::AnyKeyOrNone | Trust::Pinned { .. } => Ok(valid),
            Trust::Reveal { found } => {
                let met = node_of(certificate)?;
                found.get_or_init(|| met);
                Err(Error::General(ENOUGH.to_owned()))
            }
        }
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(NO_TLS12.to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        match self.trust {
            Trust::AnyKey | Trust::Pinned { .. } | Trust::Reveal { .. } => true,
            Trust::AnyKeyOrNone => false,
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(NO_TLS12.to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Shows a page the certificate that it has pinned, and a node the certificate that holds this node's key.
#[derive(Debug)]
struct ByProtocol {
    node: Arc<dyn ResolvesServerCert>,
    page: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByProtocol {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if is_page(hello.alpn().into_iter().flatten()) {
            Some(Arc::clone(&self.page))
        } else {
            self.node.resolve(hello)
        }
    }
}

/// Protocols of links come first where both are offered, as in the choice of the protocol.
fn is_page<'a>(mut offered: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut has_http3 = false;
    let has_link = offered.any(|name| {
        has_http3 |= name == HTTP3_ALPN;
        Protocol::of_alpn(name).is_some()
    });
    has_http3 && !has_link
}

const ENOUGH: &str = "the key is known: no link is wanted";
const NO_TLS12: &str = "TLS 1.2 is not spoken";

/// An Ed25519 SubjectPublicKeyInfo up to the key (RFC 8410, section 4).
const SPKI_ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_with_another_kind_of_key_names_no_node() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        let certificate = params.self_signed(&key).expect("signed");
        assert!(node_of(certificate.der()).is_err());
        assert!(node_of(&CertificateDer::from(vec![0x30, 0x00])).is_err());
        assert!(node_of(&CertificateDer::from(Vec::new())).is_err());
    }

    #[test]
    fn who_offers_a_protocol_of_links_is_no_page() {
        for (offered, expected) in [
            (&[b"h3".as_slice()][..], true),
            (&[b"h3", b"h3-29"], true),
            (&[b"swarm/1"], false),
            (&[b"h3", b"swarm/1"], false),
            (&[b"swarm-library/1", b"h3"], false),
            (&[], false),
        ] {
            assert_eq!(is_page(offered.iter().copied()), expected, "{offered:?}");
        }
    }

    #[test]
    fn a_pinned_key_admits_its_node_alone_and_names_another_one() {
        let (one, other) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        let found = FoundKey::default();
        let trust = Trust::Pinned { node: one.node_id(), found: Arc::clone(&found) };
        let verifier = verifier(&provider(), trust);
        assert_eq!(verifier.check(&one.certificate()), Ok(()));
        assert_eq!(found.get(), None);
        assert!(verifier.check(&other.certificate()).is_err());
        assert_eq!(found.get(), Some(&other.node_id()));
    }
}
