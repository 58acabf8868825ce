//! Who answers: the certificate of a server. Invariant: once one was seen or pinned, another one is an error, unless authorities vouch for both.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

use crate::error::OriginError;

/// What a certificate is checked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing was seen yet: one that authorities vouch for, or otherwise any, which is then the only one.
    FirstContact,
    /// It is this one: SHA-256 of it.
    Sha256([u8; 32]),
    /// Authorities of this machine vouch for it.
    Authority,
}

/// What was seen at first contact, to be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A certificate that no authority vouches for.
    Sha256([u8; 32]),
    /// One that an authority vouches for.
    Authority,
}

/// What handshakes saw, for who asks.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// At first contact.
    seen: Mutex<Option<Seen>>,
    /// What was shown in place of what is pinned.
    changed: Mutex<Option<OriginError>>,
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    sight: Arc<Sight>,
}

impl Sight {
    pub(crate) fn seen(&self) -> Option<Seen> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_changed(&self) -> Option<OriginError> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note_changed(&self, expected: [u8; 32], found: [u8; 32]) -> Error {
        let changed = OriginError::CertificateChanged { expected: shown(expected), found: shown(found) };
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(changed);
        Error::General("the certificate is not the one that is pinned".to_owned())
    }

    /// Whether this is what was seen first.
    fn is_first(&self, found: Seen) -> Result<(), Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *seen.get_or_insert(found);
        if first == found { Ok(()) } else { Err(first) }
    }
}

/// What TLS goes by.
///
/// # Errors
/// If TLS cannot be used here.
pub(crate) fn tls_config(check: Check, sight: Arc<Sight>) -> Result<ClientConfig, OriginError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = match check {
        Check::FirstContact | Check::Authority => authorities(&provider),
        Check::Sha256(_) => None,
    };
    let verifier = Verifier { check, authorities, provider: Arc::clone(&provider), sight };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OriginError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// Those of this machine; `None` if it has none.
fn authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return None;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        let vouched = || match &self.authorities {
            Some(authorities) => {
                authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(Error::General("this machine knows no authorities".to_owned())),
        };
        match self.check {
            Check::Sha256(pinned) if pinned == found => Ok(ServerCertVerified::assertion()),
            Check::Sha256(pinned) => Err(self.sight.note_changed(pinned, found)),
            Check::Authority => vouched(),
            Check::FirstContact => {
                let kind = if vouched().is_ok() { Seen::Authority } else { Seen::Sha256(found) };
                match self.sight.is_first(kind) {
                    Ok(()) => Ok(ServerCertVerified::assertion()),
                    Err(Seen::Sha256(first)) => Err(self.sight.note_changed(first, found)),
                    Err(Seen::Authority) => vouched(),
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// As browsers show it.
fn shown(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
