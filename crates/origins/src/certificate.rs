//! Who answers: the certificate of a server. Invariant: once one was seen or pinned, another one is an error, unless authorities vouch for both. One
//! counts as seen only when the server proved to have its key: anybody can show the certificate of another.

use std::collections::VecDeque;
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
    /// At first contact, with proof of the key.
    seen: Mutex<Option<Seen>>,
    /// Certificates that were shown, of handshakes that go on: by SHA-256, the newest at the end.
    shown: Mutex<VecDeque<([u8; 32], Seen)>>,
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

    fn note_shown(&self, hash: [u8; 32], kind: Seen) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|(known, _)| *known != hash);
        if shown.len() == SHOWN_MAX {
            shown.pop_front();
        }
        shown.push_back((hash, kind));
    }

    /// What a certificate that was shown counts as; `None` if that was too long ago.
    fn kind_of(&self, hash: [u8; 32]) -> Option<Seen> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().find(|(known, _)| *known == hash).map(|(_, kind)| *kind)
    }

    /// Whether this is what was seen first; the first one is, once it is proven.
    fn is_first(&self, found: Seen, is_proven: bool) -> Result<(), Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if is_proven {
            seen.get_or_insert(found);
        }
        match *seen {
            Some(first) if first != found => Err(first),
            Some(_) | None => Ok(()),
        }
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
                match self.sight.is_first(kind, false) {
                    Ok(()) => {
                        self.sight.note_shown(found, kind);
                        Ok(ServerCertVerified::assertion())
                    }
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
        let verified =
            verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)?;
        self.on_proof(cert).map(|()| verified)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified =
            verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)?;
        self.on_proof(cert).map(|()| verified)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Verifier {
    /// The server has the key of this certificate: what was shown first is seen.
    fn on_proof(&self, cert: &CertificateDer<'_>) -> Result<(), Error> {
        if self.check != Check::FirstContact {
            return Ok(());
        }
        let found: [u8; 32] = Sha256::digest(cert).into();
        let Some(kind) = self.sight.kind_of(found) else {
            return Err(Error::General("too many handshakes at once".to_owned()));
        };
        match self.sight.is_first(kind, true) {
            Ok(()) => Ok(()),
            Err(Seen::Sha256(first)) => Err(self.sight.note_changed(first, found)),
            Err(Seen::Authority) => Err(Error::General("no authority vouches for it any more".to_owned())),
        }
    }
}

/// Certificates of handshakes that go on at once.
const SHOWN_MAX: usize = 8;

/// As browsers show it.
fn shown(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
