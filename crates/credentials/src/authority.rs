//! Whether a certificate is one of an authority's, in date and not taken back (RFC 5280, as far as rustls-webpki goes). One
//! authority, which signs nodes' certificates itself.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use super::CredentialsError;
use swarm_core::trust::{AccessTable, Applicant, Authoriser, Denial, Role};

/// Admits nodes that show a certificate of this authority.
#[derive(Debug)]
pub struct Authority {
    anchor: TrustAnchor<'static>,
    /// When it ends, seconds since 1970.
    ends_at: u64,
    /// What it took back; a certificate of which it says nothing is good.
    revoked: Option<CertRevocationList<'static>>,
}

impl Authority {
    /// The authority of a certificate, PEM. `path` is for errors. The one for development, whose key is public, is taken only
    /// if `is_dev`.
    ///
    /// # Errors
    /// If it is no certificate, or none that may sign others.
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

    /// The same, with its revocation list, PEM. `path` is for errors.
    ///
    /// # Errors
    /// If it is no such list, or another authority's.
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
                // A list that is not this authority's work says nothing: then nobody is let in.
                .with_status_policy(UnknownStatusPolicy::Deny)
                // The file is there to be replaced at any time, not at set times.
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

impl Authoriser for Authority {
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
            // What nodes make themselves names nobody.
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

/// Until when a certificate may sign others, which an anchor does not say.
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

/// The certificate in a PEM file, for a node to show.
///
/// # Errors
/// If there is none in it.
pub fn certificate_of(pem: &[u8], path: &Path) -> Result<Vec<u8>, CredentialsError> {
    let certificate = CertificateDer::from_pem_slice(pem);
    let not_pem = |_| CredentialsError::NotPem { path: path.to_owned(), what: "certificate" };
    Ok(certificate.map_err(not_pem)?.to_vec())
}

/// In front of a role's name, as a URI among the names of a certificate.
pub(super) const ROLE_URI: &str = "swarm:role:";
/// The name of the authority in `certs-dev/`.
pub(super) const DEVELOPMENT: &str = "swarm development authority, do not trust";
