//! Keys of a sealed library on their way to members: a member wraps a key for others, and signs that it did. Grants are relayed by anybody, since
//! each wrapped key opens for one node alone. Invariant: a [`SignedGrant`] carries a valid signature of its granter and is within the limits.
//! Absent here: whose grants count (`keyring`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{ContentKey, SigningKey, WrappedKey, verify};

use crate::fields::{bytes32, to_bytes};
use crate::limits::{GRANT_LEN_MAX, GRANT_NODES_MAX};
use crate::{EpochKey, KeyId, LibraryKey, proto};

/// A key of a library for some of its members, without a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of which library.
    pub library: LibraryKey,
    /// Who gives it.
    pub granter: NodeId,
    /// The number of the key's epoch: from 1 on.
    pub epoch: u32,
    /// Which key.
    pub key: KeyId,
    /// Nodes because of which the epoch began: they are given no key of it, nor of later ones, until a member lets them in again.
    pub removed: BTreeSet<NodeId>,
    /// The key, wrapped for each of these.
    pub wrapped: BTreeMap<NodeId, WrappedKey>,
    /// Milliseconds since 1970 by the granter's clock: for people.
    pub made_at_ms: u64,
}

/// A grant with the signature of its granter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGrant {
    grant: Grant,
    id: GrantId,
    signed: Bytes,
    signature: [u8; 64],
}

/// BLAKE3 of a grant as it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub [u8; 32]);

/// What a granter says.
#[derive(Clone, Debug)]
pub struct GrantDraft<'a> {
    /// Of which library.
    pub library: LibraryKey,
    /// The number of the key's epoch.
    pub epoch: u32,
    /// The key.
    pub key: &'a EpochKey,
    /// Because of whom the epoch began.
    pub removed: &'a BTreeSet<NodeId>,
    /// For whom the key is wrapped, each with 32 secret random bytes that are used only here.
    pub nodes: &'a [(NodeId, [u8; 32])],
    /// Milliseconds since 1970.
    pub made_at_ms: u64,
}

/// Why bytes are no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Too long.
    #[error("a grant of a key is longer than {GRANT_LEN_MAX} bytes")]
    TooLong,
    /// Not the schema.
    #[error("a grant of a key does not follow the schema")]
    Schema,
    /// A field that no granter writes.
    #[error("a grant of a key has a field out of range: {0}")]
    Field(&'static str),
    /// Somebody else signed it, or nobody.
    #[error("the signature of a grant is not its granter's")]
    Signature,
}

impl SignedGrant {
    /// Wraps a key for some nodes, and signs it. A node whose id is no public key is left out.
    ///
    /// # Errors
    /// If there are more nodes than one grant names.
    pub fn sign(signing: &SigningKey, draft: &GrantDraft<'_>) -> Result<Self, GrantError> {
        if draft.nodes.len() > GRANT_NODES_MAX || draft.removed.len() > GRANT_NODES_MAX {
            return Err(GrantError::Field("nodes"));
        }
        let key = draft.key.id();
        let (secret, bound) =
            (ContentKey::from_bytes(*draft.key.as_bytes()), bound(&draft.library, draft.epoch, &key));
        let wrap =
            |(node, chance): &(NodeId, _)| Some((*node, WrappedKey::new(&secret, bound, *node, *chance)?));
        let grant = Grant {
            library: draft.library,
            granter: signing.public(),
            epoch: draft.epoch,
            key,
            removed: draft.removed.clone(),
            wrapped: draft.nodes.iter().filter_map(wrap).collect(),
            made_at_ms: draft.made_at_ms,
        };
        let signed: Bytes = grant.to_proto().encode_to_vec().into();
        let signature = signing.sign_bytes(CONTEXT, &signed);
        Ok(Self { grant, id: GrantId(blake3::hash(&signed).into()), signed, signature })
    }

    /// The bytes that are stored; a message carries the same.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode_to_vec().into()
    }

    /// Reads a grant and checks its signature.
    pub fn decode(bytes: Bytes) -> Result<Self, GrantError> {
        if bytes.len() > GRANT_LEN_MAX {
            return Err(GrantError::TooLong);
        }
        Self::from_proto(proto::SignedGrant::decode(bytes).map_err(|_| GrantError::Schema)?)
    }

    /// What it says.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Its id.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The key, if it was wrapped for this node. A granter that wrapped another key than it names gives none.
    pub fn unwrap(&self, node: &SigningKey) -> Option<EpochKey> {
        let Grant { library, epoch, key, wrapped, .. } = &self.grant;
        let secret = wrapped.get(&node.public())?.unwrap(bound(library, *epoch, key), node)?;
        let unwrapped = EpochKey::from_bytes(*secret.as_bytes());
        (unwrapped.id() == *key).then_some(unwrapped)
    }

    pub(crate) fn to_proto(&self) -> proto::SignedGrant {
        proto::SignedGrant { body: self.signed.clone(), signature: to_bytes(&self.signature) }
    }

    pub(crate) fn from_proto(signed: proto::SignedGrant) -> Result<Self, GrantError> {
        if signed.body.len() > GRANT_LEN_MAX {
            return Err(GrantError::TooLong);
        }
        let signature = signed.signature.as_ref().try_into().map_err(|_| GrantError::Field("signature"))?;
        let body = proto::GrantBody::decode(signed.body.clone()).map_err(|_| GrantError::Schema)?;
        let grant = Grant::from_proto(&body)?;
        if !verify(grant.granter, CONTEXT, &signed.body, &signature) {
            return Err(GrantError::Signature);
        }
        let id = GrantId(blake3::hash(&signed.body).into());
        Ok(Self { grant, id, signed: signed.body, signature })
    }
}

impl Grant {
    fn to_proto(&self) -> proto::GrantBody {
        let wrapped = self.wrapped.iter().map(|(node, wrapped)| proto::WrappedEpochKey {
            node: to_bytes(node.as_bytes()),
            wrapped: to_bytes(wrapped.as_bytes()),
        });
        proto::GrantBody {
            library: to_bytes(self.library.as_bytes()),
            granter: to_bytes(self.granter.as_bytes()),
            epoch: self.epoch,
            key: to_bytes(&self.key.0),
            removed: self.removed.iter().map(|node| to_bytes(node.as_bytes())).collect(),
            wrapped: wrapped.collect(),
            made_at_ms: self.made_at_ms,
        }
    }

    fn from_proto(body: &proto::GrantBody) -> Result<Self, GrantError> {
        if body.wrapped.len() > GRANT_NODES_MAX || body.removed.len() > GRANT_NODES_MAX {
            return Err(GrantError::Field("nodes"));
        }
        if body.epoch == 0 {
            return Err(GrantError::Field("epoch"));
        }
        let node = |bytes: &Bytes| NodeId::from_slice(bytes).ok_or(GrantError::Field("node"));
        let wrapped = |of: &proto::WrappedEpochKey| {
            let wrapped = WrappedKey::from_slice(&of.wrapped).ok_or(GrantError::Field("wrapped"))?;
            Ok((node(&of.node)?, wrapped))
        };
        Ok(Self {
            library: LibraryKey::from_slice(&body.library).ok_or(GrantError::Field("library"))?,
            granter: node(&body.granter)?,
            epoch: body.epoch,
            key: bytes32(&body.key).map(KeyId).ok_or(GrantError::Field("key"))?,
            removed: body.removed.iter().map(node).collect::<Result<_, _>>()?,
            wrapped: body.wrapped.iter().map(wrapped).collect::<Result<_, GrantError>>()?,
            made_at_ms: body.made_at_ms,
        })
    }
}

/// One hash for a set of grants, in whatever order they come: peers with the same grants need not send them.
pub fn grants_digest(ids: impl IntoIterator<Item = GrantId>) -> [u8; 32] {
    let mut ids: Vec<[u8; 32]> = ids.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    blake3::hash(ids.as_flattened()).into()
}

/// What a wrapped key is bound to, in the place of a content's id.
fn bound(library: &LibraryKey, epoch: u32, key: &KeyId) -> ContentId {
    let mut hasher = blake3::Hasher::new_derive_key("swarm library key v1 grant");
    hasher.update(library.as_bytes()).update(&epoch.to_le_bytes()).update(&key.0);
    ContentId::from_bytes(*hasher.finalize().as_bytes())
}

/// Bound into the signature.
const CONTEXT: &[u8] = b"swarm library key grant v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Guid;

    fn node(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn library() -> LibraryKey {
        Guid::new("jdfhdhdbe484746").expect("a GUID").key()
    }

    fn granted(by: u8, key: u8, to: &[u8]) -> SignedGrant {
        let key = EpochKey::from_bytes([key; 32]);
        let nodes: Vec<_> = to.iter().map(|seed| (node(*seed).public(), [*seed; 32])).collect();
        let removed = BTreeSet::from([node(9).public()]);
        let draft = GrantDraft {
            library: library(),
            epoch: 2,
            key: &key,
            removed: &removed,
            nodes: &nodes,
            made_at_ms: 5,
        };
        SignedGrant::sign(&node(by), &draft).expect("signed")
    }

    #[test]
    fn a_grant_survives_the_wire_and_opens_for_those_it_names() {
        let grant = SignedGrant::decode(granted(1, 7, &[2, 3]).encode()).expect("valid");
        assert_eq!(grant, granted(1, 7, &[2, 3]));
        assert_eq!(grant.unwrap(&node(2)), Some(EpochKey::from_bytes([7; 32])));
        assert_eq!(grant.unwrap(&node(3)), Some(EpochKey::from_bytes([7; 32])));
        assert_eq!(grant.unwrap(&node(4)), None);
        assert!(!grant.encode().windows(32).any(|bytes| bytes == [7; 32]));
    }

    #[test]
    fn no_byte_of_a_grant_can_be_changed() {
        let encoded = granted(1, 7, &[2]).encode();
        for at in 0..encoded.len() {
            let mut bytes = encoded.to_vec();
            bytes[at] ^= 1;
            assert!(SignedGrant::decode(bytes.into()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn nobody_signs_for_another() {
        let (one, other) = (granted(1, 7, &[2]), granted(4, 7, &[2]));
        let forged = SignedGrant { signature: other.signature, ..one };
        assert_eq!(SignedGrant::decode(forged.encode()), Err(GrantError::Signature));
    }

    #[test]
    fn a_wrapped_key_that_was_taken_out_of_another_grant_gives_nothing() {
        let (one, other) = (granted(1, 7, &[2]), granted(1, 8, &[2]));
        let grant = Grant { wrapped: other.grant.wrapped, ..one.grant.clone() };
        assert_eq!(SignedGrant { grant, ..one.clone() }.unwrap(&node(2)), None);
        // The granter itself names another key than the one that it wraps.
        let key = EpochKey::from_bytes([8; 32]);
        let wrapped = WrappedKey::new(
            &ContentKey::from_bytes(*key.as_bytes()),
            bound(&library(), 2, &one.grant.key),
            node(2).public(),
            [1; 32],
        );
        let wrapped = BTreeMap::from([(node(2).public(), wrapped.expect("a key"))]);
        assert_eq!(
            SignedGrant { grant: Grant { wrapped, ..one.grant.clone() }, ..one }.unwrap(&node(2)),
            None
        );
    }

    #[test]
    fn the_longest_grant_is_within_the_limit() {
        let nodes: Vec<_> = (0..GRANT_NODES_MAX as u64)
            .map(|at| {
                let mut seed = [0; 32];
                seed[..8].copy_from_slice(&at.to_le_bytes());
                (SigningKey::from_seed(&seed).public(), seed)
            })
            .collect();
        let removed = nodes.iter().map(|(node, _)| *node).collect();
        let key = EpochKey::from_bytes([7; 32]);
        let draft = GrantDraft {
            library: library(),
            epoch: u32::MAX,
            key: &key,
            removed: &removed,
            nodes: &nodes,
            made_at_ms: u64::MAX,
        };
        let grant = SignedGrant::sign(&node(1), &draft).expect("signed");
        assert_eq!(SignedGrant::decode(grant.encode()), Ok(grant));
    }
}
