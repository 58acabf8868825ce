//! The key of a sealed content, wrapped for one node: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20Poly1305. A node's X25519 key is the one that its Ed25519 key maps to (RFC 7748, section 4.1).

use std::convert::Infallible;

use ed25519_dalek::VerifyingKey;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};

use super::seal::ContentKey;
use super::sign::SigningKey;
use crate::base::{ContentId, NodeId};

/// A content key that one node can unwrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey([u8; WRAPPED_LEN]);

impl WrappedKey {
    /// Encrypts the key of a content for a node. `chance` must be secret random bytes that are used only here. `None` if the
    /// node's id is not a valid public key.
    pub fn new(key: &ContentKey, content: ContentId, node: NodeId, chance: [u8; 32]) -> Option<Self> {
        let public = VerifyingKey::from_bytes(node.as_bytes()).ok()?.to_montgomery();
        let public = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(public.as_bytes()).ok()?;
        let (encapsulated, sealed) =
            hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                INFO,
                key.as_bytes(),
                content.as_bytes(),
                &mut Chance(blake3::Hasher::new_keyed(&chance).finalize_xof()),
            )
            .ok()?;
        let bytes = [encapsulated.to_bytes().as_slice(), &sealed].concat();
        bytes.try_into().ok().map(Self)
    }

    /// The encrypted key: an HPKE encapsulated key, and the content key with its tag.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Accepts bytes of the right length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The content key, if it was encrypted for this node and content.
    pub fn unwrap(&self, content: ContentId, node: &SigningKey) -> Option<ContentKey> {
        let (encapsulated, sealed) = self.0.split_at(ENCAPSULATED_LEN);
        let secret = <X25519HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(&node.x25519()).ok()?;
        let encapsulated = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let key = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &encapsulated,
            INFO,
            sealed,
            content.as_bytes(),
        );
        key.ok()?.try_into().ok().map(ContentKey::from_bytes)
    }
}

/// Expands the given random bytes into a generator for HPKE, which asks for one.
struct Chance(blake3::OutputReader);

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Chance {}

const ENCAPSULATED_LEN: usize = 32;
/// Encapsulated key, content key, tag.
const WRAPPED_LEN: usize = ENCAPSULATED_LEN + 32 + 16;
const INFO: &[u8] = b"swarm content key v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_is_for_one_node_and_one_content() {
        let key = ContentKey::from_bytes([5; 32]);
        let [reader, other] = [1, 2].map(|byte| SigningKey::from_seed(&[byte; 32]));
        let [content, another] = [3, 4].map(|byte| ContentId::from_bytes([byte; 32]));
        let wrapped = WrappedKey::new(&key, content, reader.public(), [9; 32]).expect("a key");
        assert_eq!(wrapped.unwrap(content, &reader), Some(key));
        assert_eq!(wrapped.unwrap(content, &other), None);
        assert_eq!(wrapped.unwrap(another, &reader), None);
        assert_eq!(WrappedKey::from_slice(wrapped.as_bytes()), Some(wrapped));
    }
}
