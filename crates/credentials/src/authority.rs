//! Whether an authority issued a certificate, and it is in date and not revoked (RFC 5280, as far as rustls-webpki goes). There
//! is one authority, which signs nodes' certificates itself.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use super::CredentialsError;
use swarm_core::trust::{AccessTable, AdmissionRules, Applicant, Denial, Role};

/// Admits nodes that show a certificate of this authority.
#[derive(Debug)]
pub struct Authority {
    anchor: TrustAnchor<'static>,
    /// When its own certificate expires, seconds since 1970.
    ends_at: u64,
    /// Its revocation list. A certificate that is not on it is valid.
    revoked: Option<CertRevocationList<'static>>,
}

impl Authority {
    /// Reads the certificate of an authority, PEM. `path` is for error messages. The development authority, whose key is public, is
    /// accepted only if `is_dev`.
    ///
    /// # Errors
    /// If it is not a certificate, or may not sign others.
    pub fn new(pem: &[u8], path: &Path, is_dev: bool) -> Result<Self, CredentialsError> {
        let not_pem = |_| CredentialsError::NotPem { path: path.to_owned(), what: "certificate" };
        let certificate = CertificateDer::from_pem_slice(pem).map_err(not_pem)?;
        let ends_at = may_sign_until(&certificate, path)?;
        let anchor = anchor_from_trusted_cert(&certificate)
            .map_err(|error| CredentialsError::Unusable { path: path.to_owned(), why: error.to_string() })?
            .to_owned();
        let is_development =
            anchor.subject.windows(DEVELOPMENT.len()).any(|bytes| bytes == DEVELOPMENT.as_bytes());
        if is_development && !is_dev {
            return Err(CredentialsError::Development(path.to_owned()));
        }
        Ok(Self { anchor, ends_at, revoked: None })
    }

    /// The same authority with its revocation list, PEM. `path` is for error messages.
    ///
    /// # Errors
    /// If it is not a revocation list, or another authority's.
    pub fn revoking(self, pem: &[u8], path: &Path) -> Result<Self, CredentialsError> {
        let not_pem = |_| CredentialsError::NotPem { path: path.to_owned(), what: "revocation list" };
        let der = CertificateRevocationListDer::from_pem_slice(pem).map_err(not_pem)?;
        let unusable =
            |error: Error| CredentialsError::Unusable { path: path.to_owned(), why: error.to_string() };
        let list =
            BorrowedCertRevocationList::from_der(&der).and_then(|list| list.to_owned()).map_err(unusable)?;
        let list = CertRevocationList::Owned(list);
        if list.issuer() != &*self.anchor.subject {
            return Err(CredentialsError::ForeignList(path.to_owned()));
        }
        Ok(Self { revoked: Some(list), ..self })
    }

    fn check(&self, certificate: &EndEntityCert<'_>, unix_secs: u64) -> Result<(), Error> {
        let lists: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::EndEntity)
                // A list that this authority did not sign proves nothing, so every node is denied.
                .with_status_policy(UnknownStatusPolicy::Deny)
                // Operators replace the file whenever they revoke, not at fixed times, so its own expiry means nothing.
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        let time = UnixTime::since_unix_epoch(Duration::from_secs(unix_secs));
        let anchors = std::slice::from_ref(&self.anchor);
        let usage = KeyUsage::client_auth();
        certificate
            .verify_for_usage(&[webpki::ring::ED25519], anchors, &[], time, usage, revocation, None)
            .map(|_| ())
    }
}

impl AdmissionRules for Authority {
    fn admit(&self, applicant: &Applicant<'_>) -> Result<Role, Denial> {
        if applicant.unix_secs > self.ends_at {
            return Err(Denial::AuthorityExpired);
        }
        let der = CertificateDer::from(applicant.certificate);
        let unreadable = |error: Error| Denial::BadCertificate(error.to_string());
        let certificate = EndEntityCert::try_from(&der).map_err(unreadable)?;
        self.check(&certificate, applicant.unix_secs).map_err(|error| match error {
            Error::CertExpired { .. } => Denial::Expired,
            Error::CertNotValidYet { .. } => Denial::NotYetValid,
            Error::CertRevoked => Denial::Revoked,
            // A self-signed certificate has an empty subject: the node has none of an authority.
            Error::UnknownIssuer if certificate.subject().is_empty() => Denial::NoCertificate,
            Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => Denial::UnknownAuthority,
            other => Denial::BadCertificate(other.to_string()),
        })?;
        let mut names = certificate.valid_uri_names();
        names.find_map(|name| name.strip_prefix(ROLE_URI)).map_or(Ok(Role::Full), |name| {
            Role::from_name(name).ok_or_else(|| Denial::BadCertificate(format!("its role is `{name}`")))
        })
    }

    fn access(&self) -> AccessTable {
        AccessTable::open()
    }
}

/// When a certificate may no longer sign others; a trust anchor does not hold that date.
fn may_sign_until(certificate: &CertificateDer<'_>, path: &Path) -> Result<u64, CredentialsError> {
    let unusable = |why: &str| CredentialsError::Unusable { path: path.to_owned(), why: why.to_owned() };
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| unusable("it is no certificate"))?;
    let may_sign = |usage: &x509_parser::extensions::KeyUsage| usage.key_cert_sign();
    let usage = parsed.key_usage().map_err(|_| unusable("it is malformed"))?;
    if !parsed.is_ca() || !usage.is_none_or(|usage| may_sign(usage.value)) {
        return Err(CredentialsError::NotAnAuthority(path.to_owned()));
    }
    Ok(parsed.validity().not_after.timestamp().unsigned_abs())
}

/// The certificate in a PEM file that a node shows.
///
/// # Errors
/// If the file holds none.
pub fn certificate_of(pem: &[u8], path: &Path) -> Result<Vec<u8>, CredentialsError> {
    let certificate = CertificateDer::from_pem_slice(pem);
    let not_pem = |_| CredentialsError::NotPem { path: path.to_owned(), what: "certificate" };
    Ok(certificate.map_err(not_pem)?.to_vec())
}

/// Prefix of a role's name: a certificate holds the role as a URI among its names.
pub(super) const ROLE_URI: &str = "swarm:role:";
/// The name of the authority in `certs-dev/`.
pub(super) const DEVELOPMENT: &str = "swarm development authority, do not trust";
