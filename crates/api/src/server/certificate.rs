//! The certificate of HTTPS: the one that the settings name, or one that this node makes for itself and keeps, so that whoever pinned it finds it
//! again.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use swarm_daemon_files::Tls;
use tokio_rustls::TlsAcceptor;

use crate::error::ApiError;
use crate::private_file;

/// A certificate that is ready to serve.
pub(crate) struct Certificate {
    pub(crate) acceptor: TlsAcceptor,
    /// SHA-256 of the certificate, as browsers show it.
    pub(crate) fingerprint: String,
}

impl Certificate {
    /// The one that the settings name, or the node's own from `folder`.
    pub(crate) fn open(given: Option<&Tls>, folder: &Path, machine: &str) -> Result<Self, ApiError> {
        match given {
            Some(Tls { cert, key }) => Self::of(&read(cert)?, &read(key)?, cert),
            None => Self::own(folder, machine),
        }
    }

    fn own(folder: &Path, machine: &str) -> Result<Self, ApiError> {
        let (cert, key) = (folder.join("https-cert.pem"), folder.join("https-key.pem"));
        if let (Some(cert_pem), Some(key_pem)) = (private_file::read(&cert)?, private_file::read(&key)?)
            && let Ok(known) = Self::of(&cert_pem, &key_pem, &cert)
        {
            return Ok(known);
        }
        let (cert_pem, key_pem) = make(machine).map_err(|why| bad(&cert, why))?;
        private_file::write(&key, key_pem.as_bytes())?;
        private_file::write(&cert, cert_pem.as_bytes())?;
        Self::of(cert_pem.as_bytes(), key_pem.as_bytes(), &cert)
    }

    fn of(cert_pem: &[u8], key_pem: &[u8], path: &Path) -> Result<Self, ApiError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(cert_pem)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(path, error.to_string()))?;
        let first = chain.first().ok_or_else(|| bad(path, "it holds no certificate".to_owned()))?;
        let hash = digest(&SHA256, first);
        let fingerprint = hash.as_ref().iter().map(|byte| format!("{byte:02X}"));
        let fingerprint = fingerprint.collect::<Vec<_>>().join(":");
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| bad(path, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(path, error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(|error| bad(path, error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint })
    }
}

/// A certificate and its key in PEM, for the names of this machine. Ed25519 is what no browser takes.
fn make(machine: &str) -> Result<(String, String), String> {
    let made = || -> Result<(String, String), rcgen::Error> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(Some(machine.to_owned()).filter(|name| !name.is_empty() && name.is_ascii()));
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "swarm");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2120, 1, 1);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let cert = params.self_signed(&key)?;
        Ok((cert.pem(), key.serialize_pem()))
    };
    made().map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, ApiError> {
    private_file::read(path)?.ok_or_else(|| bad(path, "it is not there".to_owned()))
}

fn bad(path: &Path, why: String) -> ApiError {
    ApiError::Certificate { path: path.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_was_made_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Certificate::open(None, folder.path(), "desk").expect("it is made or read").fingerprint;
        let first = open();
        assert_eq!(first.len(), 32 * 3 - 1);
        assert_eq!(open(), first);
        std::fs::write(folder.path().join("https-cert.pem"), "damaged").expect("written");
        assert!(open() != first);
    }

    #[test]
    fn a_given_certificate_that_is_none_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let given = Tls { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let error = Certificate::open(Some(&given), folder.path(), "desk").err().expect("it is not there");
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }
}
