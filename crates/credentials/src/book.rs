//! An authority in a folder: its key and certificate, the certificates it issued, and those it revoked. Invariant: a certificate
//! is recorded before it is handed out, so that it can be revoked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ED25519, RevocationReason, RevokedCertParams,
    SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::CredentialsError;
use super::authority::ROLE_URI;
use super::files::read;
use swarm_core::base::NodeId;
use swarm_core::trust::Role;

/// An authority in a folder, used by one process at a time.
pub struct AuthorityBook {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    issued: Vec<Entry>,
    _lock: File,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The node that it is for.
    pub node: NodeId,
    /// The role that it grants.
    pub role: Role,
    /// When it expires, seconds since 1970.
    pub until_unix_secs: u64,
    /// Whether the authority revoked it.
    pub is_revoked: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    serial: u64,
    node: String,
    role: String,
    until: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<u64>,
}

impl AuthorityBook {
    /// Creates an authority in a folder, valid for `days` from now on.
    ///
    /// # Errors
    /// If the folder already holds one, or cannot be written.
    pub fn create(dir: &Path, name: &str, days: u32, now_unix_secs: u64) -> Result<Self, CredentialsError> {
        fs::create_dir_all(dir).map_err(CredentialsError::io("make", dir))?;
        let lock = lock(dir)?;
        let key_path = dir.join(KEY);
        if key_path.exists() || dir.join(CERTIFICATE).exists() {
            return Err(CredentialsError::Exists(dir.to_owned()));
        }
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(|error| unusable(dir, error))?;
        let mut params = named(name, now_unix_secs, days).map_err(|error| unusable(dir, error))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|error| unusable(dir, error))?;
        replace(&key_path, key.serialize_pem().as_bytes(), SECRET)?;
        replace(&dir.join(CERTIFICATE), certificate.pem().as_bytes(), PUBLIC)?;
        let mut book =
            Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), issued: Vec::new(), _lock: lock };
        book.store()?;
        book.write_revocations(now_unix_secs)?;
        Ok(book)
    }

    /// Opens the authority in a folder.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or another process uses it.
    pub fn open(dir: &Path) -> Result<Self, CredentialsError> {
        let (key_path, certificate_path) = (dir.join(KEY), dir.join(CERTIFICATE));
        let texts = [&key_path, &certificate_path].map(|path| read(path));
        let [key, certificate] = texts;
        let lock = lock(dir)?;
        let (key, certificate) = (text(key?, &key_path)?, text(certificate?, &certificate_path)?);
        refuse_if_others_read(&key_path)?;
        let key = KeyPair::from_pem(&key).map_err(|error| unusable(&key_path, error))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key);
        let issuer = issuer.map_err(|error| unusable(&certificate_path, error))?;
        let book_path = dir.join(BOOK);
        let issued = serde_json::from_slice(&read(&book_path)?);
        let issued = issued.map_err(|error| unusable(&book_path, error))?;
        Ok(Self { dir: dir.to_owned(), issuer, issued, _lock: lock })
    }

    /// Issues a certificate for a node, PEM, valid for `days` from now on.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub fn issue(
        &mut self,
        node: NodeId,
        role: Role,
        days: u32,
        now_unix_secs: u64,
    ) -> Result<String, CredentialsError> {
        let failed = |error| unusable(&self.dir, error);
        let key = SubjectPublicKeyInfo::from_der(&spki(node)).map_err(failed)?;
        let mut params = named(&node.to_string(), now_unix_secs, days).map_err(failed)?;
        let role_uri = format!("{ROLE_URI}{}", role.name());
        params.subject_alt_names = vec![SanType::URI(role_uri.try_into().map_err(failed)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let serial = self.issued.iter().map(|entry| entry.serial).max().unwrap_or(0) + 1;
        params.serial_number = Some(serial_number(serial));
        let until = params.not_after.unix_timestamp().unsigned_abs();
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let (node, role) = (node.to_string(), role.name().to_owned());
        self.issued.push(Entry { serial, node, role, until, revoked: None });
        self.store()?;
        Ok(certificate.pem())
    }

    /// Revokes every certificate of a node; returns how many of them were valid. The file of [`AuthorityBook::revocations`] lists
    /// them from now on.
    ///
    /// # Errors
    /// If the node has no certificate, or the list cannot be written.
    pub fn revoke(&mut self, node: NodeId, now_unix_secs: u64) -> Result<usize, CredentialsError> {
        let id = node.to_string();
        let of_node = || self.issued.iter().filter(|entry| entry.node == id);
        if of_node().next().is_none() {
            return Err(CredentialsError::NotIssued { path: self.dir.clone(), node });
        }
        let count = of_node().filter(|entry| entry.revoked.is_none()).count();
        for entry in self.issued.iter_mut().filter(|entry| entry.node == id) {
            entry.revoked.get_or_insert(now_unix_secs);
        }
        self.store()?;
        self.write_revocations(now_unix_secs)?;
        Ok(count)
    }

    /// All issued certificates, oldest first.
    pub fn issued(&self) -> impl Iterator<Item = Issued> {
        self.issued.iter().filter_map(|entry| {
            Some(Issued {
                node: entry.node.parse().ok()?,
                role: Role::from_name(&entry.role)?,
                until_unix_secs: entry.until,
                is_revoked: entry.revoked.is_some(),
            })
        })
    }

    /// The file with its certificate, for --ca.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join(CERTIFICATE)
    }

    /// The file with its revocation list, for --revoked.
    pub fn revocations(&self) -> PathBuf {
        self.dir.join(REVOKED)
    }

    fn store(&self) -> Result<(), CredentialsError> {
        let path = self.dir.join(BOOK);
        let text = serde_json::to_vec_pretty(&self.issued).map_err(|error| unusable(&path, error))?;
        replace(&path, &text, SECRET)
    }

    fn write_revocations(&mut self, now_unix_secs: u64) -> Result<(), CredentialsError> {
        let path = self.revocations();
        let revoked_certs = self.issued.iter().filter_map(|entry| {
            Some(RevokedCertParams {
                serial_number: serial_number(entry.serial),
                revocation_time: date(entry.revoked?),
                reason_code: Some(RevocationReason::Unspecified),
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: date(now_unix_secs),
            next_update: date(now_unix_secs + LIST_LIFE_SECS),
            crl_number: serial_number(now_unix_secs),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list.signed_by(&self.issuer).and_then(|list| list.pem());
        replace(&path, pem.map_err(|error| unusable(&path, error))?.as_bytes(), PUBLIC)
    }
}

fn named(name: &str, now_unix_secs: u64, days: u32) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // Clocks of other machines may be a little behind.
    params.not_before = date(now_unix_secs.saturating_sub(CLOCK_SKEW_SECS));
    params.not_after = date(now_unix_secs + u64::from(days) * 24 * 3600);
    Ok(params)
}

/// Capped at the end of the year 9999, the last that a certificate can name.
fn date(unix_secs: u64) -> OffsetDateTime {
    let secs = i64::try_from(unix_secs).unwrap_or(i64::MAX).min(LAST_UNIX_SECS);
    OffsetDateTime::from_unix_timestamp(secs).expect("before the year 10000")
}

fn serial_number(number: u64) -> SerialNumber {
    // A leading zero keeps the number positive, as RFC 5280 demands.
    SerialNumber::from_slice(&[&[0], number.to_be_bytes().as_slice()].concat())
}

/// An Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4).
fn spki(node: NodeId) -> Vec<u8> {
    [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], node.as_bytes().as_slice()]
        .concat()
}

fn unusable(path: &Path, error: impl ToString) -> CredentialsError {
    CredentialsError::Unusable { path: path.to_owned(), why: error.to_string() }
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, CredentialsError> {
    String::from_utf8(bytes).map_err(|error| unusable(path, error))
}

fn lock(dir: &Path) -> Result<File, CredentialsError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(SECRET).open(&path);
    let file = file.map_err(CredentialsError::io("open", &path))?;
    let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    locked
        .map_err(|errno| CredentialsError::io("lock (another process works with it)", &path)(errno.into()))?;
    Ok(file)
}

/// Refuses a secret that other users can read: it may be known to them.
fn refuse_if_others_read(path: &Path) -> Result<(), CredentialsError> {
    let mode = fs::metadata(path).map_err(CredentialsError::io("stat", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CredentialsError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Replaces a file in one step and syncs it: a crash leaves the old file or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CredentialsError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(CredentialsError::io("write", path))
}

const KEY: &str = "ca.key";
const CERTIFICATE: &str = "ca.pem";
const BOOK: &str = "issued.json";
const REVOKED: &str = "revoked.pem";
const LOCK: &str = "lock";
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
/// Certificates start this much earlier, because clocks of other machines may be behind.
const CLOCK_SKEW_SECS: u64 = 3600;
/// The format demands an end; readers ignore it, because a list stays valid until it is replaced.
const LIST_LIFE_SECS: u64 = 10 * 365 * 24 * 3600;
/// 9999-12-31T23:59:59Z.
const LAST_UNIX_SECS: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, certificate_of};
    use swarm_core::trust::{AdmissionRules as _, Applicant, Denial};

    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 24 * 3600;

    fn node(byte: u8) -> NodeId {
        let key = ed25519_dalek::SigningKey::from_bytes(&[byte; 32]);
        NodeId::from_bytes(key.verifying_key().to_bytes())
    }

    fn authority(book: &AuthorityBook) -> Authority {
        let (ca, revoked) = (book.certificate(), book.revocations());
        let authority = Authority::new(&fs::read(&ca).expect("a file"), &ca, false).expect("an authority");
        authority.revoking(&fs::read(&revoked).expect("a file"), &revoked).expect("its list")
    }

    fn admit(authority: &Authority, pem: &str, unix_secs: u64) -> Result<Role, Denial> {
        let certificate = certificate_of(pem.as_bytes(), Path::new("cert")).expect("a certificate");
        authority.admit(&Applicant { node: node(1), certificate: &certificate, unix_secs })
    }

    #[test]
    fn what_an_authority_issued_is_good_until_it_ends_or_is_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut book = AuthorityBook::create(folder.path(), "lab", 3650, NOW).expect("made");
        let full = book.issue(node(1), Role::Full, 30, NOW).expect("issued");
        let mirror = book.issue(node(2), Role::Mirror, 30, NOW).expect("issued");
        drop(book);
        let mut book = AuthorityBook::open(folder.path()).expect("there");
        let before = authority(&book);
        assert_eq!(admit(&before, &full, NOW), Ok(Role::Full));
        assert_eq!(admit(&before, &mirror, NOW + 29 * DAY), Ok(Role::Mirror));
        assert_eq!(admit(&before, &full, NOW + 31 * DAY), Err(Denial::Expired));
        assert_eq!(admit(&before, &full, NOW - DAY), Err(Denial::NotYetValid));
        assert_eq!(admit(&before, &full, NOW + 3651 * DAY), Err(Denial::AuthorityExpired));
        let node_only = Authority::new(full.as_bytes(), Path::new("reader.pem"), false);
        assert!(matches!(node_only, Err(CredentialsError::NotAnAuthority(_))));
        assert_eq!(book.revoke(node(1), NOW).expect("known"), 1);
        let after = authority(&book);
        assert_eq!(admit(&after, &full, NOW + 1), Err(Denial::Revoked));
        assert_eq!(admit(&after, &mirror, NOW + 1), Ok(Role::Mirror));
        let again = book.issue(node(1), Role::Full, 30, NOW).expect("issued");
        assert_eq!(admit(&authority(&book), &again, NOW), Ok(Role::Full));
        assert!(matches!(book.revoke(node(9), NOW), Err(CredentialsError::NotIssued { .. })));
        assert_eq!(book.issued().filter(|issued| issued.is_revoked).count(), 1);
    }

    #[test]
    fn an_authority_of_the_same_name_admits_no_node() {
        let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        let [mut ours, theirs] =
            folders.each_ref().map(|dir| AuthorityBook::create(dir.path(), "lab", 10, NOW).expect("made"));
        let pem = ours.issue(node(1), Role::Full, 1, NOW).expect("issued");
        assert_eq!(admit(&authority(&theirs), &pem, NOW), Err(Denial::UnknownAuthority));
        let other = AuthorityBook::create(&folders[0].path().join("x"), "other", 10, NOW).expect("made");
        let path = ours.certificate();
        let here = Authority::new(&fs::read(&path).expect("a file"), &path, false).expect("an authority");
        let list = fs::read(other.revocations()).expect("a file");
        assert!(matches!(here.revoking(&list, Path::new("x")), Err(CredentialsError::ForeignList(_))));
    }

    #[test]
    fn a_revocation_list_without_the_authoritys_signature_denies_every_node() {
        let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        let [mut ours, theirs] =
            folders.each_ref().map(|dir| AuthorityBook::create(dir.path(), "lab", 10, NOW).expect("made"));
        let pem = ours.issue(node(1), Role::Full, 1, NOW).expect("issued");
        let path = ours.certificate();
        let here = Authority::new(&fs::read(&path).expect("a file"), &path, false).expect("an authority");
        let forged = fs::read(theirs.revocations()).expect("a file");
        let here = here.revoking(&forged, Path::new("x")).expect("the name is the same");
        assert!(matches!(admit(&here, &pem, NOW), Err(Denial::BadCertificate(_))));
    }

    #[test]
    fn a_self_signed_certificate_counts_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let book = AuthorityBook::create(folder.path(), "lab", 10, NOW).expect("made");
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = DistinguishedName::new();
        let pem = params.self_signed(&key).expect("signed").pem();
        assert_eq!(admit(&authority(&book), &pem, NOW), Err(Denial::NoCertificate));
    }

    #[test]
    fn the_development_authority_is_accepted_only_on_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let book = AuthorityBook::create(folder.path(), super::super::authority::DEVELOPMENT, 10, NOW)
            .expect("made");
        let path = book.certificate();
        let pem = fs::read(&path).expect("a file");
        assert!(matches!(Authority::new(&pem, &path, false), Err(CredentialsError::Development(_))));
        assert!(Authority::new(&pem, &path, true).is_ok());
    }

    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(AuthorityBook::create(folder.path(), "lab", 10, NOW).expect("made"));
        let key = folder.path().join(KEY);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let opened = AuthorityBook::open(folder.path());
        assert!(matches!(opened.err(), Some(CredentialsError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn a_folder_takes_one_authority_and_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let book = AuthorityBook::create(folder.path(), "lab", 10, NOW).expect("made");
        assert!(AuthorityBook::open(folder.path()).is_err());
        drop(book);
        let again = AuthorityBook::create(folder.path(), "lab", 10, NOW);
        assert!(matches!(again.err(), Some(CredentialsError::Exists(_))));
    }
}
