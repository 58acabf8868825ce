//! Advisory locks: a signed, expiring "I am editing this". Invariant: a [`SignedLock`] carries a valid signature of its holder, and ends within
//! a day of when it was made. A lock stops nobody: others are shown it before they change the path.

use bytes::Bytes;
use prost::Message as _;
use swarm_core::base::NodeId;
use swarm_core::manifest::{SigningKey, verify};
use swarm_sync::TreePath;

use crate::fields::{bytes32, cut, text, to_bytes};
use crate::limits::{LOCK_LEN_MAX, LOCK_TIME_MAX_MS, WHY_LEN_MAX};
use crate::{LibraryKey, proto};

/// A lock, without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Of which library.
    pub library: LibraryKey,
    /// Who edits.
    pub holder: NodeId,
    /// What is edited: a file, or a folder and all in it.
    pub path: TreePath,
    /// Milliseconds after `made_at_ms` for which it holds; zero ends the holder's lock of this path.
    pub holds_ms: u64,
    /// Milliseconds since 1970 by the holder's clock. Of two locks of one holder and path the later one counts.
    pub made_at_ms: u64,
    /// For people.
    pub why: String,
}

/// A lock with the signature of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedLock {
    lock: Lock,
    signed: Bytes,
    signature: [u8; 64],
}

/// Why bytes are no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Too long.
    #[error("a lock is longer than {LOCK_LEN_MAX} bytes")]
    TooLong,
    /// Not the schema.
    #[error("a lock does not follow the schema")]
    Schema,
    /// A field that no holder writes.
    #[error("a lock has a field out of range: {0}")]
    Field(&'static str),
    /// Somebody else signed it, or nobody.
    #[error("the signature of a lock is not its holder's")]
    Signature,
}

impl SignedLock {
    /// Signs a lock. A longer time than a lock may hold, and a longer reason, are cut; the holder is who signs.
    pub fn sign(key: &SigningKey, lock: Lock) -> Self {
        let holds_ms = lock.holds_ms.min(LOCK_TIME_MAX_MS);
        // A later time cannot be written down with the end of the lock.
        let made_at_ms = lock.made_at_ms.min(u64::MAX - LOCK_TIME_MAX_MS);
        let why = cut(&lock.why, WHY_LEN_MAX);
        let lock = Lock { holder: key.public(), holds_ms, made_at_ms, why, ..lock };
        let signed: Bytes = lock.to_proto().encode_to_vec().into();
        let signature = key.sign_bytes(CONTEXT, &signed);
        Self { lock, signed, signature }
    }

    /// The bytes that are stored; a message carries the same.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode_to_vec().into()
    }

    /// Reads a lock and checks its signature.
    pub fn decode(bytes: Bytes) -> Result<Self, LockError> {
        if bytes.len() > LOCK_LEN_MAX {
            return Err(LockError::TooLong);
        }
        Self::from_proto(&proto::Lock::decode(bytes).map_err(|_| LockError::Schema)?)
    }

    /// What it says.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    pub(crate) fn to_proto(&self) -> proto::Lock {
        proto::Lock {
            library: to_bytes(self.lock.library.as_bytes()),
            body: self.signed.clone(),
            signature: to_bytes(&self.signature),
        }
    }

    pub(crate) fn from_proto(signed: &proto::Lock) -> Result<Self, LockError> {
        if signed.body.len() + SIGNATURE_ROOM > LOCK_LEN_MAX {
            return Err(LockError::TooLong);
        }
        let signature = signed.signature.as_ref().try_into().map_err(|_| LockError::Field("signature"))?;
        let body = proto::LockBody::decode(signed.body.clone()).map_err(|_| LockError::Schema)?;
        // The message names the library, so that it is routed like others; the signature covers the name inside.
        if body.library != signed.library {
            return Err(LockError::Field("library"));
        }
        let lock = Lock::from_proto(body)?;
        if !verify(lock.holder, CONTEXT, &signed.body, &signature) {
            return Err(LockError::Signature);
        }
        Ok(Self { lock, signed: signed.body.clone(), signature })
    }
}

impl Lock {
    fn to_proto(&self) -> proto::LockBody {
        proto::LockBody {
            library: to_bytes(self.library.as_bytes()),
            holder: to_bytes(self.holder.as_bytes()),
            path: self.path.as_str().to_owned(),
            until_ms: if self.holds_ms == 0 { 0 } else { self.made_at_ms + self.holds_ms },
            made_at_ms: self.made_at_ms,
            why: self.why.clone(),
        }
    }

    fn from_proto(body: proto::LockBody) -> Result<Self, LockError> {
        let holds_ms = match body.until_ms {
            0 => Some(0),
            until_ms => {
                until_ms.checked_sub(body.made_at_ms).filter(|ms| (1..=LOCK_TIME_MAX_MS).contains(ms))
            }
        };
        Ok(Self {
            library: LibraryKey::from_slice(&body.library).ok_or(LockError::Field("library"))?,
            holder: bytes32(&body.holder).map(NodeId::from_bytes).ok_or(LockError::Field("holder"))?,
            path: TreePath::new(body.path).map_err(|_| LockError::Field("path"))?,
            holds_ms: holds_ms.ok_or(LockError::Field("until_ms"))?,
            made_at_ms: body.made_at_ms,
            why: text(body.why, WHY_LEN_MAX).ok_or(LockError::Field("why"))?,
        })
    }
}

/// A signature, a library, and the keys and lengths of three fields.
const SIGNATURE_ROOM: usize = 108;
/// Bound into the signature.
const CONTEXT: &[u8] = b"swarm library lock v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Guid;

    fn lock(seed: u8, made_at_ms: u64, holds_ms: u64) -> SignedLock {
        let library = Guid::new("a").expect("a GUID").key();
        let path = TreePath::new("films/cut.mov").expect("a path");
        let key = SigningKey::from_seed(&[seed; 32]);
        let why = "the last scene".to_owned();
        SignedLock::sign(&key, Lock { library, holder: key.public(), path, holds_ms, made_at_ms, why })
    }

    #[test]
    fn a_lock_survives_the_wire_and_holds_a_day_at_most() {
        let check = |made_at_ms, asked_ms, holds_ms| {
            let signed = lock(1, made_at_ms, asked_ms);
            assert_eq!(signed.lock().holds_ms, holds_ms);
            assert_eq!(SignedLock::decode(signed.encode()).as_ref(), Ok(&signed));
        };
        check(5, 1000, 1000);
        check(0, 0, 0);
        check(5, u64::MAX, LOCK_TIME_MAX_MS);
        check(u64::MAX, 1, 1);
    }

    #[test]
    fn no_byte_of_a_lock_can_be_changed() {
        let encoded = lock(1, 5, 1000).encode();
        for at in 0..encoded.len() {
            let mut bytes = encoded.to_vec();
            bytes[at] ^= 1;
            assert!(SignedLock::decode(bytes.into()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn nobody_locks_for_another_nor_longer_than_a_day() {
        let one = lock(1, 5, 1000);
        let forged = SignedLock { signature: lock(2, 5, 1000).signature, ..one.clone() };
        assert_eq!(SignedLock::decode(forged.encode()), Err(LockError::Signature));
        let mut body = one.lock.to_proto();
        body.until_ms = 5 + LOCK_TIME_MAX_MS + 1;
        let signed: Bytes = body.encode_to_vec().into();
        let long = SignedLock { signed, ..one };
        assert_eq!(SignedLock::decode(long.encode()), Err(LockError::Field("until_ms")));
    }
}
