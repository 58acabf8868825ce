//! The key of a sealed library in one epoch, and what it seals: the records of commits. The keys of contents follow from it. The format is in
//! `docs/design/sealed-libraries.md`. Invariants: a sealed text opens with one key alone, because it begins with the key's id, which commits to the
//! key; no nonce serves two texts, because it follows from the text. Absent here: who has which key.

use std::fmt;

use bytes::Bytes;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{ContentKey, SigningKey};

use crate::commit::{Commit, CommitError, Draft};
use crate::limits::COMMIT_RECORDS_MAX;
use crate::{LibraryKey, Record, record_codec};

/// The secret of a sealed library in one epoch. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochKey([u8; 32]);

/// Which key it is: it commits to the key, and says nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

/// What the sealed records of a commit are bound to: moved into another commit, they do not open.
struct Bound<'a> {
    library: &'a LibraryKey,
    author: &'a NodeId,
    seq: u64,
    epoch: u32,
}

impl EpochKey {
    /// A key of 32 bytes, which must come from a secure random source.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key: with them, anyone can read the library.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId(self.derived(ID_CONTEXT))
    }

    /// The key of the contents of commits that are sealed with it.
    pub fn content_key(&self) -> ContentKey {
        ContentKey::from_bytes(self.derived(CONTENT_CONTEXT))
    }

    fn derived(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derived(RECORDS_CONTEXT).into())
    }

    fn seal(&self, bound: &Bound<'_>, encoded: &[u8]) -> Option<Bytes> {
        let head = self.head();
        let associated = bound.associated(&head);
        let nonce = self.nonce(&associated, encoded);
        let mut text = encoded.to_vec();
        self.cipher().encrypt_in_place(&nonce.into(), &associated, &mut text).ok()?;
        Some([head.as_slice(), &nonce, &text].concat().into())
    }

    fn open(&self, bound: &Bound<'_>, sealed: &[u8]) -> Option<Bytes> {
        let (head, rest) = sealed.split_first_chunk::<HEAD_LEN>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *head != self.head() {
            return None;
        }
        let mut text = text.to_vec();
        let associated = bound.associated(head);
        self.cipher().decrypt_in_place(&(*nonce).into(), &associated, &mut text).ok()?;
        Some(text.into())
    }

    fn head(&self) -> [u8; HEAD_LEN] {
        let mut head = [VERSION; HEAD_LEN];
        head[1..].copy_from_slice(&self.id().0);
        head
    }

    fn nonce(&self, associated: &[u8], text: &[u8]) -> [u8; NONCE_LEN] {
        let mut hasher = blake3::Hasher::new_keyed(&self.derived(NONCE_CONTEXT));
        hasher.update(&(associated.len() as u64).to_le_bytes()).update(associated).update(text);
        let mut nonce = [0; NONCE_LEN];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }
}

impl Bound<'_> {
    fn associated(&self, head: &[u8]) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(self.library.as_bytes());
        bytes.extend_from_slice(self.author.as_bytes());
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes
    }
}

impl Commit {
    /// Signs a batch of records that are sealed with the key of an epoch.
    ///
    /// # Errors
    /// As [`Commit::sign`].
    pub fn sign_sealed(
        signing: &SigningKey,
        draft: &Draft<'_>,
        (epoch, key): (u32, &EpochKey),
    ) -> Result<Self, CommitError> {
        if draft.records.len() > COMMIT_RECORDS_MAX {
            return Err(CommitError::Field("record_count"));
        }
        let author = signing.public();
        let seq = draft.after.map_or(1, |(seq, _)| seq + 1);
        let bound = Bound { library: &draft.library, author: &author, seq, epoch };
        let encoded = record_codec::encode(draft.records);
        let sealed = key.seal(&bound, &encoded).ok_or(CommitError::TooLong)?;
        Self::sign_encoded(signing, draft, sealed, epoch)
    }

    /// The id of the key that opens its records; `None` if they are not sealed.
    pub fn sealed_with(&self) -> Option<KeyId> {
        let head = self.encoded_records().first_chunk::<HEAD_LEN>()?;
        let is_sealed = self.header().key_epoch != 0 && head[0] == VERSION;
        let id = head[1..].try_into().ok()?;
        is_sealed.then_some(KeyId(id))
    }

    /// Its records, opened.
    ///
    /// # Errors
    /// If the key is another one, or its author sealed something that is no list of records.
    pub fn opened(&self, key: &EpochKey) -> Result<Vec<Record>, CommitError> {
        let header = self.header();
        let (library, author) = (&header.library, &header.author);
        let bound = Bound { library, author, seq: header.seq, epoch: header.key_epoch };
        let encoded = key.open(&bound, self.encoded_records()).ok_or(CommitError::NotOpened)?;
        self.records_of(encoded)
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ContentId::from_bytes(self.0).short())
    }
}

const VERSION: u8 = 1;
const HEAD_LEN: usize = 1 + 32;
const NONCE_LEN: usize = 24;
const ID_CONTEXT: &str = "swarm library key v1 id";
const CONTENT_CONTEXT: &str = "swarm library key v1 contents";
const RECORDS_CONTEXT: &str = "swarm library key v1 records";
const NONCE_CONTEXT: &str = "swarm library key v1 records nonce";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swarm_sync::TreePath;

    use super::*;
    use crate::{Guid, State, Vector};

    fn author(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn key(byte: u8) -> EpochKey {
        EpochKey::from_bytes([byte; 32])
    }

    fn records(name: &str) -> Vec<Record> {
        let path = TreePath::new(name).expect("a path");
        let vector = Vector::of(author(1).public(), 7);
        vec![Record { path, state: State::Deleted, vector, parent: None, moved_from: None }]
    }

    fn draft(records: &[Record]) -> Draft<'_> {
        let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
        Draft { library, after: None, content: None, made_at_ms: 5, covers: 0, records }
    }

    fn sealed(name: &str, by: u8, epoch: u32) -> Commit {
        Commit::sign_sealed(&author(by), &draft(&records(name)), (epoch, &key(3))).expect("signed")
    }

    #[test]
    fn who_has_the_key_reads_the_records_and_nobody_else() {
        let commit = Commit::decode(sealed("secret-name", 1, 2).encode()).expect("valid");
        assert_eq!(commit.records(), Err(CommitError::Sealed));
        assert_eq!(commit.sealed_with(), Some(key(3).id()));
        assert_eq!(commit.opened(&key(3)), Ok(records("secret-name")));
        assert_eq!(commit.opened(&key(4)), Err(CommitError::NotOpened));
        let encoded = commit.encode();
        assert!(!encoded.windows(11).any(|bytes| bytes == b"secret-name"));
        assert!(!encoded.windows(32).any(|bytes| bytes == key(3).as_bytes()));
    }

    #[test]
    fn sealed_records_open_in_their_own_commit_alone() {
        let commit = sealed("a", 1, 2);
        let list = records("a");
        let moved = |by: u8, after, epoch| {
            let draft = Draft { after, ..draft(&list) };
            let records = commit.encoded_records().clone();
            Commit::sign_encoded(&author(by), &draft, records, epoch).expect("signed")
        };
        assert_eq!(moved(1, None, 2).opened(&key(3)), Ok(list.clone()));
        for other in [moved(2, None, 2), moved(1, None, 3), moved(1, Some((1, commit.id())), 2)] {
            assert_eq!(other.opened(&key(3)), Err(CommitError::NotOpened));
        }
    }

    #[test]
    fn no_nonce_serves_two_texts() {
        let nonce = |commit: &Commit| commit.encoded_records()[HEAD_LEN..HEAD_LEN + NONCE_LEN].to_vec();
        let all = [sealed("a", 1, 2), sealed("b", 1, 2), sealed("a", 2, 2), sealed("a", 1, 3)];
        let distinct: std::collections::BTreeSet<Vec<u8>> = all.iter().map(nonce).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(nonce(&all[0]), nonce(&sealed("a", 1, 2)));
    }

    #[test]
    fn no_form_of_a_key_for_people_shows_it() {
        assert_eq!(format!("{:?}", key(7)), "EpochKey(..)");
        assert_ne!(key(7).content_key().as_bytes(), key(7).as_bytes());
        assert_ne!(&key(7).id().0, key(7).as_bytes());
    }

    proptest! {
        #[test]
        fn a_changed_byte_does_not_open(at in 0usize..200, flip in 1u8..=255) {
            let commit = sealed("a/long/name/of/a/film", 1, 2);
            let list = records("a/long/name/of/a/film");
            let mut bytes = commit.encoded_records().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let changed = Commit::sign_encoded(&author(1), &draft(&list), bytes.into(), 2).expect("signed");
            prop_assert_eq!(changed.opened(&key(3)), Err(CommitError::NotOpened));
        }
    }
}
