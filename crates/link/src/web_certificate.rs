//! The short-lived certificates that pages in browsers pin by hash (`serverCertificateHashes` of WebTransport), and their rotation.
//!
//! Browsers accept them only with a P-256 key and a span of at most 14 days. Time is cut into weeks since 1970; each week has a
//! certificate of its own, which is served in that week alone. It spans 13 days: the week, and 3 days on either side for pages
//! whose clock is wrong. Invariant: there are always the certificates of this week and of the next one, so whoever has just read
//! their hashes can connect for at least a week.
//!
//! They live in memory: a restart makes new ones, and hashes that were published before are void. Knows no clock, no TLS
//! handshake, and not who publishes the hashes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::tls::SERVER_NAME;
use crate::limits::{WEB_CERTIFICATE_MARGIN, WEB_CERTIFICATE_ROTATION};

/// The system could not make a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make a certificate for browsers: {0}")]
pub struct WebCertificateError(#[from] rcgen::Error);

/// One certificate and its key.
#[derive(Clone)]
pub(super) struct WebCertificate {
    key: Arc<CertifiedKey>,
    hash: [u8; 32],
}

/// The certificate that is served now, and the one that will be served next.
pub(super) struct WebCertificates {
    /// The week of the current one, counted from 1970.
    week: u64,
    current: WebCertificate,
    next: WebCertificate,
}

impl WebCertificates {
    /// Certificates with new keys for the week of `now` and the next one.
    ///
    /// # Errors
    /// If the system has no random bytes for a key.
    pub(super) fn new(now: SystemTime) -> Result<Self, WebCertificateError> {
        Self::of_week(week_of(now))
    }

    /// Rotates them to the week of `now`.
    ///
    /// # Errors
    /// If the system has no random bytes for a key; then nothing has changed.
    pub(super) fn advance(&mut self, now: SystemTime) -> Result<(), WebCertificateError> {
        let week = week_of(now);
        // A clock that is set back a little must not void hashes that pages already know.
        let is_set_back = week < self.week && now >= start_of(self.week) - WEB_CERTIFICATE_MARGIN;
        if week == self.week || is_set_back {
            return Ok(());
        }
        if week == self.week + 1 {
            let after_next = WebCertificate::of_week(week + 1)?;
            self.current = std::mem::replace(&mut self.next, after_next);
            self.week = week;
        } else {
            *self = Self::of_week(week)?;
        }
        Ok(())
    }

    /// The certificate to serve.
    pub(super) fn current(&self) -> &WebCertificate {
        &self.current
    }

    /// The hashes of both, the current one first.
    pub(super) fn hashes(&self) -> Vec<[u8; 32]> {
        vec![self.current.hash, self.next.hash]
    }

    fn of_week(week: u64) -> Result<Self, WebCertificateError> {
        let (current, next) = (WebCertificate::of_week(week)?, WebCertificate::of_week(week + 1)?);
        Ok(Self { week, current, next })
    }
}

impl WebCertificate {
    /// SHA-256 of the certificate (DER).
    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The certificate with its key, for TLS.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    fn of_week(week: u64) -> Result<Self, WebCertificateError> {
        let start = rcgen::date_time_ymd(1970, 1, 1) + since_1970(week);
        let mut params = CertificateParams::new(vec![DNS_NAME.to_owned()])?;
        params.not_before = start - WEB_CERTIFICATE_MARGIN;
        params.not_after = start + WEB_CERTIFICATE_ROTATION + WEB_CERTIFICATE_MARGIN;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&pair)?.der().clone();
        let digest = ring::digest::digest(&ring::digest::SHA256, &certificate);
        let hash = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let pkcs8 = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let key = any_ecdsa_type(&pkcs8).expect("the key was made for P-256");
        Ok(Self { key: Arc::new(CertifiedKey::new(vec![certificate], key)), hash })
    }
}

impl fmt::Debug for WebCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebCertificate({:02x?})", &self.hash[..4])
    }
}

fn week_of(now: SystemTime) -> u64 {
    let secs = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    (secs / WEB_CERTIFICATE_ROTATION.as_secs()).min(WEEK_MAX)
}

fn start_of(week: u64) -> SystemTime {
    UNIX_EPOCH + since_1970(week)
}

fn since_1970(week: u64) -> Duration {
    Duration::from_secs(week * WEB_CERTIFICATE_ROTATION.as_secs())
}

/// Browsers that pin the hash check no name; RFC 5280 wants an issuer to have one.
const COMMON_NAME: &str = "swarm";

/// Chromium refuses a certificate without extensions, and a name is one.
const DNS_NAME: &str = SERVER_NAME;

/// Certificates hold no year above 9999: a broken clock must not get there.
const WEEK_MAX: u64 = 400_000;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const HOUR: Duration = Duration::from_secs(3600);

    /// The beginning of a week in 2026.
    fn monday() -> SystemTime {
        start_of(2950)
    }

    fn at(now: SystemTime) -> WebCertificates {
        WebCertificates::new(now).expect("random bytes")
    }

    /// The hashes after the time went from `from` to `to`, beside those before.
    fn advanced(from: SystemTime, to: SystemTime) -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
        let mut certificates = at(from);
        let before = certificates.hashes();
        certificates.advance(to).expect("random bytes");
        (before, certificates.hashes())
    }

    /// The first and the last second of a certificate, since 1970.
    fn span(certificate: &WebCertificate) -> (i64, i64) {
        let der = certificate.key.cert.first().expect("one certificate");
        let (_, parsed) = x509_parser::parse_x509_certificate(der).expect("a certificate");
        (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp())
    }

    #[test]
    fn a_certificate_is_valid_three_days_before_and_after_its_week_and_13_days_in_all() {
        let certificates = at(monday() + 2 * DAY);
        let monday = i64::try_from(since_1970(2950).as_secs()).expect("fits");
        let day = i64::try_from(DAY.as_secs()).expect("fits");
        assert_eq!(span(&certificates.current), (monday - 3 * day, monday + 10 * day));
        assert_eq!(span(&certificates.next), (monday + 4 * day, monday + 17 * day));
    }

    #[test]
    fn nothing_changes_within_a_week() {
        let (before, after) = advanced(monday(), monday() + 7 * DAY - Duration::from_secs(1));
        assert_eq!(before, after);
    }

    #[test]
    fn the_next_certificate_is_served_in_the_next_week_under_the_published_hash() {
        let (before, after) = advanced(monday() + 6 * DAY, monday() + 7 * DAY);
        assert_eq!(after[0], before[1]);
        assert!(!before.contains(&after[1]));
    }

    #[test]
    fn a_machine_that_slept_for_weeks_gets_new_certificates() {
        let (before, after) = advanced(monday(), monday() + 14 * DAY);
        assert!(after.iter().all(|hash| !before.contains(hash)));
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_changes_nothing() {
        let (before, after) = advanced(monday(), monday() - HOUR);
        assert_eq!(before, after);
        let (before, after) = advanced(monday(), monday() - 4 * DAY);
        assert_ne!(before, after, "the certificate would not be valid yet");
    }

    #[test]
    fn a_broken_clock_is_survived() {
        for now in [UNIX_EPOCH, UNIX_EPOCH - HOUR, UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            assert_eq!(at(now).hashes().len(), 2);
        }
    }
}
