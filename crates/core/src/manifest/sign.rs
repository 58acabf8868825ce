//! Signatures of a publisher over a content.

use ed25519_dalek::{Signer as _, VerifyingKey};

use crate::base::{ContentId, NodeId};
use crate::proto;

/// A secret Ed25519 key that signs contents.
pub struct SigningKey(ed25519_dalek::SigningKey);

/// A publisher's key, and its signature over a content that this manifest describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: NodeId,
    signature: [u8; 64],
}

impl SigningKey {
    /// The key with this secret (RFC 8032 seed, 32 bytes).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public key.
    pub fn public(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// The X25519 secret that belongs to this key (RFC 8032, section 5.1.5: the scalar).
    pub(super) fn x25519(&self) -> [u8; 32] {
        self.0.to_scalar_bytes()
    }

    /// Signs a content.
    pub fn sign(&self, content: ContentId) -> Signature {
        Signature { key: self.public(), signature: self.sign_bytes(CONTEXT, content.as_bytes()) }
    }

    /// Signs bytes in a context: the signature is invalid in every other context, so that no use of the key can stand for another.
    pub fn sign_bytes(&self, context: &[u8], bytes: &[u8]) -> [u8; 64] {
        self.0.sign(&[context, bytes].concat()).to_bytes()
    }
}

impl Signature {
    /// The signature, if it is valid for this content.
    pub fn verified(content: ContentId, key: &[u8], signature: &[u8]) -> Option<Self> {
        let key = NodeId::from_slice(key)?;
        let signature: [u8; 64] = signature.try_into().ok()?;
        verify(key, CONTEXT, content.as_bytes(), &signature).then_some(Self { key, signature })
    }

    pub(super) fn to_proto(&self) -> proto::Signature {
        proto::Signature {
            key: self.key.as_bytes().to_vec().into(),
            signature: self.signature.to_vec().into(),
        }
    }

    /// The signature, if it is valid for this content.
    pub(super) fn from_proto(content: ContentId, signed: &proto::Signature) -> Option<Self> {
        Self::verified(content, &signed.key, &signed.signature)
    }

    /// The public key of the publisher.
    pub fn key(&self) -> NodeId {
        self.key
    }

    /// The 64 bytes of the signature.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.signature
    }
}

/// Whether these bytes were signed with this key, in this context.
pub fn verify(key: NodeId, context: &[u8], bytes: &[u8], signature: &[u8; 64]) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    let key = VerifyingKey::from_bytes(key.as_bytes());
    key.is_ok_and(|key| key.verify_strict(&[context, bytes].concat(), &signature).is_ok())
}

/// Bound into the signature: a signature made for another purpose cannot pass for one over a content.
const CONTEXT: &[u8] = b"swarm manifest signature v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_content_alone() {
        let (one, other) = (ContentId::from_bytes([1; 32]), ContentId::from_bytes([2; 32]));
        let signed = SigningKey::from_seed(&[3; 32]).sign(one);
        let verify = |content| Signature::verified(content, signed.key().as_bytes(), signed.as_bytes());
        assert_eq!(verify(one), Some(signed.clone()));
        assert_eq!(verify(other), None);
        assert_eq!(Signature::verified(one, &[0; 32], signed.as_bytes()), None);
    }
}
