//! The identity of a node: an Ed25519 secret, and the certificate that proves it in TLS. Invariant: while an identity from a file
//! lives, no other process on this machine runs with its key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::key_file::{self, IdentityError, Seed};
use super::key_store::Slot;
use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;

/// A node's secret key and its certificate. Clones share the lock on the key.
#[derive(Clone)]
pub struct Identity {
    seed: Seed,
    node: NodeId,
    certificate: CertificateDer<'static>,
    hold: Hold,
}

/// Keeps other processes from using the same key.
#[derive(Clone)]
pub(super) enum Hold {
    /// No lock: the key came from no file.
    Free,
    /// The lock on a key file that the user named.
    File(#[expect(dead_code, reason = "held for its lock")] Arc<std::fs::File>),
    /// The lock on a slot of an [`super::IdentityStore`].
    Slot(Arc<Slot>),
}

impl Identity {
    /// The identity with this secret (RFC 8032 seed). It holds no lock: another process may use the secret too.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::new(Zeroizing::new(seed), Hold::Free)
    }

    /// A new identity that lasts as long as the process.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        Ok(Self::new(key_file::random_seed()?, Hold::Free))
    }

    /// The identity in this file. A missing file is created with a new key.
    ///
    /// # Errors
    /// If other users can read the file, it holds no key, or another process runs with the key.
    pub fn from_file(path: &Path) -> Result<Self, IdentityError> {
        let key = key_file::open_or_create(path)?;
        Ok(Self::new(key.seed, Hold::File(Arc::new(key.file))))
    }

    pub(super) fn new(seed: Seed, hold: Hold) -> Self {
        let node = SigningKey::from_seed(&seed).public();
        let certificate = self_signed(&seed);
        Self { seed, node, certificate, hold }
    }

    /// The same identity with this certificate (DER) in place of a self-signed one.
    ///
    /// # Errors
    /// The node that the certificate belongs to, if it is not this one; `None` if it names no node.
    pub fn showing(self, certificate: Vec<u8>) -> Result<Self, Option<NodeId>> {
        let certificate = CertificateDer::from(certificate);
        match super::tls::node_of(&certificate) {
            Ok(node) if node == self.node => Ok(Self { certificate, ..self }),
            Ok(other) => Err(Some(other)),
            Err(_) => Err(None),
        }
    }

    /// The public key.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// The key that signs manifests as this node.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed)
    }

    /// The UDP port that the last seed with this key and content listened on.
    pub fn last_port(&self) -> Option<u16> {
        match &self.hold {
            Hold::Free | Hold::File(_) => None,
            Hold::Slot(slot) => slot.last_port(),
        }
    }

    /// Stores the UDP port for the next start, so that old tickets stay valid. Does nothing for a key without a claim.
    pub fn remember_port(&self, port: u16) -> Result<(), IdentityError> {
        match &self.hold {
            Hold::Free | Hold::File(_) => Ok(()),
            Hold::Slot(slot) => slot.remember_port(port),
        }
    }

    /// A secret for one purpose, the same at every start. It reveals nothing about the key.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.seed.as_slice())
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(super) fn private_key(&self) -> PrivatePkcs8KeyDer<'static> {
        pkcs8(&self.seed)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node.short())
    }
}

/// Only the key in this certificate counts: it has no name, and is valid from 1975 to 4096.
fn self_signed(seed: &Seed) -> CertificateDer<'static> {
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8(seed), &PKCS_ED25519).expect("32 bytes are a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names, so none that is malformed");
    params.distinguished_name = DistinguishedName::new();
    params.self_signed(&key).expect("an Ed25519 key signs anything").der().clone()
}

fn pkcs8(seed: &Seed) -> PrivatePkcs8KeyDer<'static> {
    [PKCS8_ED25519_PREFIX, seed.as_slice()].concat().into()
}

/// PKCS #8 version 1 up to the seed (RFC 8410, section 7).
const PKCS8_ED25519_PREFIX: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::ContentId;

    #[test]
    fn the_node_id_is_the_key_of_certificate_and_signatures() {
        let identity = Identity::from_seed([7; 32]);
        assert_eq!(super::super::tls::node_of(&identity.certificate()), Ok(identity.node_id()));
        let signature = identity.signing_key().sign(ContentId::from_bytes([1; 32]));
        assert_eq!(signature.key(), identity.node_id());
    }

    #[test]
    fn a_key_file_serves_one_process_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let first = Identity::from_file(&path).expect("made");
        assert!(matches!(Identity::from_file(&path), Err(IdentityError::InUse(_))));
        let node = first.node_id();
        drop(first);
        assert_eq!(Identity::from_file(&path).expect("free again").node_id(), node);
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        assert!(!format!("{:?}", Identity::from_seed([0xab; 32])).contains("abab"));
    }
}
