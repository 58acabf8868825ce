//! Signed batches of records. Invariant: a [`Commit`] carries a valid signature of its author over a header that names its records; what is
//! read of it was checked against the limits.

use bytes::Bytes;
use prost::Message as _;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{SigningKey, verify};

use crate::limits::{AHEAD_MAX_S, COMMIT_LEN_MAX, COMMIT_RECORDS_MAX, SEQ_MAX};
use crate::{LibraryKey, Record, proto, record_codec};

/// BLAKE3 of a commit's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub [u8; 32]);

/// What an author says of a batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of which library.
    pub library: LibraryKey,
    /// Who signs.
    pub author: NodeId,
    /// From 1 on, without gaps.
    pub seq: u64,
    /// The author's commit before this one.
    pub previous: Option<CommitId>,
    /// The content that carries the bytes of the records' files.
    pub content: Option<ContentId>,
    /// BLAKE3 of the records as they are sent.
    pub records_hash: [u8; 32],
    /// Milliseconds since 1970 by the author's clock: for people. No counter of its records is further ahead of it than [`AHEAD_MAX_S`].
    pub made_at_ms: u64,
    /// The number of the library key that the records are sealed with; zero if they are not.
    pub key_epoch: u32,
    /// A snapshot has all that holds of the author's commits up to this number; zero otherwise.
    pub covers: u64,
    /// How many records it has.
    pub record_count: u32,
}

/// A signed batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    header: Header,
    id: CommitId,
    signed: Bytes,
    signature: [u8; 64],
    records: Bytes,
}

/// Why bytes are no commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Too long.
    #[error("a commit is longer than {COMMIT_LEN_MAX} bytes")]
    TooLong,
    /// Not the schema.
    #[error("a commit does not follow the schema")]
    Schema,
    /// A field that no author writes.
    #[error("a commit has a field out of range: {0}")]
    Field(&'static str),
    /// Somebody else signed it, or nobody.
    #[error("the signature of a commit is not its author's")]
    Signature,
    /// Its records are others than those that were signed.
    #[error("the records of a commit are not those that its author signed")]
    Records,
    /// Its records are sealed with a key that this node does not have.
    #[error("the records of a commit are sealed")]
    Sealed,
    /// Its records are sealed with another key, or their author sealed something else.
    #[error("the sealed records of a commit do not open with their key")]
    NotOpened,
}

/// What an author says of a new commit.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Of which library.
    pub library: LibraryKey,
    /// Its number, and the commit before it.
    pub after: Option<(u64, CommitId)>,
    /// The content that carries the files.
    pub content: Option<ContentId>,
    /// Milliseconds since 1970.
    pub made_at_ms: u64,
    /// Not zero for a snapshot.
    pub covers: u64,
    /// What it is about.
    pub records: &'a [Record],
}

impl Commit {
    /// Signs a batch of records.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub fn sign(key: &SigningKey, draft: &Draft<'_>) -> Result<Self, CommitError> {
        let records: Bytes = record_codec::encode(draft.records).into();
        Self::sign_encoded(key, draft, records, 0)
    }

    /// The same with records that were encoded, and sealed with the key of an epoch.
    pub fn sign_encoded(
        key: &SigningKey,
        draft: &Draft<'_>,
        records: Bytes,
        key_epoch: u32,
    ) -> Result<Self, CommitError> {
        if draft.records.is_empty() || draft.records.len() > COMMIT_RECORDS_MAX {
            return Err(CommitError::Field("record_count"));
        }
        let header = Header {
            library: draft.library,
            author: key.public(),
            seq: draft.after.map_or(1, |(seq, _)| seq + 1),
            previous: draft.after.map(|(_, id)| id),
            content: draft.content,
            records_hash: blake3::hash(&records).into(),
            made_at_ms: draft.made_at_ms.max(least_made_at_ms(draft.records)),
            key_epoch,
            covers: draft.covers,
            record_count: draft.records.len() as u32,
        };
        let signed: Bytes = header.to_proto().encode_to_vec().into();
        if signed.len() + records.len() + SIGNATURE_ROOM > COMMIT_LEN_MAX {
            return Err(CommitError::TooLong);
        }
        let signature = key.sign_bytes(CONTEXT, &signed);
        Ok(Self { header, id: CommitId(blake3::hash(&signed).into()), signed, signature, records })
    }

    /// The bytes that are stored and sent.
    pub fn encode(&self) -> Bytes {
        let signed = proto::SignedCommit {
            header: self.signed.clone(),
            signature: Bytes::copy_from_slice(&self.signature),
            records: self.records.clone(),
        };
        signed.encode_to_vec().into()
    }

    /// Bytes of its encoded form, within a few.
    pub fn encoded_len(&self) -> usize {
        self.signed.len() + self.records.len() + SIGNATURE_ROOM
    }

    /// Reads a commit and checks its signature. Memory is bounded by `bytes`, of which it keeps slices.
    pub fn decode(bytes: Bytes) -> Result<Self, CommitError> {
        if bytes.len() > COMMIT_LEN_MAX {
            return Err(CommitError::TooLong);
        }
        let signed = proto::SignedCommit::decode(bytes).map_err(|_| CommitError::Schema)?;
        let signature: [u8; 64] =
            signed.signature.as_ref().try_into().map_err(|_| CommitError::Field("signature"))?;
        let header = proto::CommitHeader::decode(signed.header.clone()).map_err(|_| CommitError::Schema)?;
        let header = Header::from_proto(&header)?;
        if header.records_hash != *blake3::hash(&signed.records).as_bytes() {
            return Err(CommitError::Records);
        }
        if !verify(header.author, CONTEXT, &signed.header, &signature) {
            return Err(CommitError::Signature);
        }
        let id = CommitId(blake3::hash(&signed.header).into());
        Ok(Self { header, id, signed: signed.header, signature, records: signed.records })
    }

    /// What its author says of it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its id.
    pub fn id(&self) -> CommitId {
        self.id
    }

    /// Its records as they are sent.
    pub fn encoded_records(&self) -> &Bytes {
        &self.records
    }

    /// Its records.
    ///
    /// # Errors
    /// If they are sealed, or break the limits: the author is at fault then, because it signed them.
    pub fn records(&self) -> Result<Vec<Record>, CommitError> {
        if self.header.key_epoch != 0 {
            return Err(CommitError::Sealed);
        }
        self.records_of(self.records.clone())
    }

    /// Its records, of which these are the opened bytes.
    pub fn records_of(&self, encoded: Bytes) -> Result<Vec<Record>, CommitError> {
        let records = record_codec::decode(encoded)?;
        if records.len() != self.header.record_count as usize {
            return Err(CommitError::Field("record_count"));
        }
        let counts_itself = |record: &Record| record.vector.counter(&self.header.author) > 0;
        if least_made_at_ms(&records) > self.header.made_at_ms || !records.iter().all(counts_itself) {
            return Err(CommitError::Field("vector"));
        }
        Ok(records)
    }

    /// Whether its author's clock is too far ahead of `now_ms` for it to be taken yet. One that counts into the future, so that others could
    /// not count further, has to say so here, and waits.
    pub fn is_of_the_future(&self, now_ms: u64) -> bool {
        self.header.made_at_ms > now_ms.saturating_add(AHEAD_MAX_S * 1000)
    }
}

/// The earliest time at which a commit with these records can have been made. An author that makes a version from one that counts as far as it
/// may counts one further, and so says a later time: whoever takes the one takes the other a moment later.
fn least_made_at_ms(records: &[Record]) -> u64 {
    let most = records.iter().map(|record| record.vector.greatest()).max().unwrap_or(0);
    most.saturating_sub(AHEAD_MAX_S).saturating_mul(1000)
}

impl Header {
    fn to_proto(&self) -> proto::CommitHeader {
        proto::CommitHeader {
            library: Bytes::copy_from_slice(self.library.as_bytes()),
            author: Bytes::copy_from_slice(self.author.as_bytes()),
            seq: self.seq,
            previous: self.previous.map(|id| Bytes::copy_from_slice(&id.0)).unwrap_or_default(),
            content: self.content.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default(),
            records_hash: Bytes::copy_from_slice(&self.records_hash),
            made_at_ms: self.made_at_ms,
            key_epoch: self.key_epoch,
            covers: self.covers,
            record_count: self.record_count,
        }
    }

    fn from_proto(header: &proto::CommitHeader) -> Result<Self, CommitError> {
        let optional = |bytes: &Bytes, name| match bytes.len() {
            0 => Ok(None),
            32 => Ok(<[u8; 32]>::try_from(bytes.as_ref()).ok()),
            _ => Err(CommitError::Field(name)),
        };
        let needed = |bytes: &Bytes, name| optional(bytes, name)?.ok_or(CommitError::Field(name));
        let previous = optional(&header.previous, "previous")?.map(CommitId);
        if header.seq == 0 || header.seq > SEQ_MAX || (header.seq == 1) != previous.is_none() {
            return Err(CommitError::Field("seq"));
        }
        if header.covers >= header.seq {
            return Err(CommitError::Field("covers"));
        }
        if header.record_count == 0 || header.record_count as usize > COMMIT_RECORDS_MAX {
            return Err(CommitError::Field("record_count"));
        }
        Ok(Self {
            library: LibraryKey::from_slice(&header.library).ok_or(CommitError::Field("library"))?,
            author: NodeId::from_bytes(needed(&header.author, "author")?),
            seq: header.seq,
            previous,
            content: optional(&header.content, "content")?.map(ContentId::from_bytes),
            records_hash: needed(&header.records_hash, "records_hash")?,
            made_at_ms: header.made_at_ms,
            key_epoch: header.key_epoch,
            covers: header.covers,
            record_count: header.record_count,
        })
    }
}

/// The first digits are enough for a person.
impl std::fmt::Display for CommitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ContentId::from_bytes(self.0).to_string())
    }
}

/// Bound into the signature.
const CONTEXT: &[u8] = b"swarm library commit v1";
/// The signature and the keys of three fields.
const SIGNATURE_ROOM: usize = 128;

#[cfg(test)]
mod tests {
    use swarm_sync::{ContentHash, FileContent, Kind, TreePath};

    use super::*;
    use crate::{Guid, Live, State, Vector};

    fn records() -> Vec<Record> {
        let author = SigningKey::from_seed(&[1; 32]).public();
        let other = SigningKey::from_seed(&[2; 32]).public();
        let path = |text: &str| TreePath::new(text).expect("a path");
        let vector = Vector::of(author, 7).joined(&Vector::of(other, 3));
        let hash = ContentHash::of(b"x");
        let file = Kind::File(FileContent { len: 1, hash, executable: true });
        let link = Kind::Symlink { target: "a/b".into() };
        let live = |kind, sha256| State::Live(Live { kind, modified_ns: -5, sha256 });
        let record = |text, state| Record {
            path: path(text),
            state,
            vector: vector.clone(),
            parent: None,
            moved_from: None,
        };
        vec![
            record("a", live(Kind::Folder, None)),
            Record { moved_from: Some(path("old")), ..record("a/b", live(file, Some([9; 32]))) },
            Record { parent: Some(hash), ..record("old", State::Deleted) },
            record("z", live(link, None)),
        ]
    }

    fn commit(seed: u8, after: Option<(u64, CommitId)>) -> Commit {
        let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
        let records = records();
        let draft = Draft { library, after, content: None, made_at_ms: 5, covers: 0, records: &records };
        Commit::sign(&SigningKey::from_seed(&[seed; 32]), &draft).expect("signed")
    }

    #[test]
    fn a_commit_survives_the_wire() {
        let first = commit(1, None);
        let second = commit(1, Some((1, first.id())));
        assert_eq!(Commit::decode(second.encode()).as_ref(), Ok(&second));
        assert_eq!(second.header().previous, Some(first.id()));
        assert_eq!(second.records(), Ok(records()));
    }

    /// A commit by the author of this seed with one record that counts so.
    fn counting(seed: u8, made_at_ms: u64, counters: &[(u8, u64)]) -> Commit {
        let node = |seed: &u8| SigningKey::from_seed(&[*seed; 32]).public();
        let counters = counters.iter().map(|(seed, counter)| (node(seed), *counter));
        let vector = Vector::from_counters(counters).expect("valid");
        let records: Vec<Record> =
            records().into_iter().take(1).map(|record| Record { vector: vector.clone(), ..record }).collect();
        let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
        let draft = Draft { library, after: None, content: None, made_at_ms, covers: 0, records: &records };
        Commit::sign(&SigningKey::from_seed(&[seed; 32]), &draft).expect("signed")
    }

    #[test]
    fn who_counts_into_the_future_has_to_say_so() {
        const NOW_S: u64 = 1_800_000_000;
        let now_ms = NOW_S * 1000;
        let check = |counters: &[(u8, u64)], waits: bool| {
            let commit = counting(1, now_ms, counters);
            assert_eq!(commit.is_of_the_future(now_ms), waits, "{counters:?}");
            assert!(commit.records().is_ok(), "{counters:?}");
            // One that hides it counts for nothing.
            let honest = Header { made_at_ms: now_ms, ..commit.header.clone() };
            let is_hidden = honest.made_at_ms < commit.header.made_at_ms;
            assert_eq!(Commit { header: honest, ..commit }.records().is_err(), is_hidden, "{counters:?}");
        };
        check(&[(1, NOW_S)], false);
        check(&[(1, NOW_S + AHEAD_MAX_S), (2, NOW_S + AHEAD_MAX_S)], false);
        check(&[(1, NOW_S), (2, NOW_S + 2 * AHEAD_MAX_S)], false);
        check(&[(1, NOW_S), (2, NOW_S + 2 * AHEAD_MAX_S + 1)], true);
        check(&[(1, 1), (2, u64::MAX)], true);
    }

    #[test]
    fn nobody_counts_so_far_that_another_cannot_count_further() {
        const NOW_S: u64 = 1_800_000_000;
        // The farthest that the others take of an author that lies about how far they have counted.
        let farthest = counting(1, 0, &[(1, NOW_S), (2, NOW_S + 2 * AHEAD_MAX_S)]);
        assert!(!farthest.is_of_the_future(NOW_S * 1000));
        let vector = farthest.records().expect("valid")[0].vector.clone();
        let next = vector.clone().next(SigningKey::from_seed(&[2; 32]).public(), NOW_S);
        assert!(next.includes(&vector) && !vector.includes(&next));
        let counters: Vec<(u8, u64)> = vec![(1, NOW_S), (2, next.greatest())];
        let answer = counting(2, NOW_S * 1000, &counters);
        assert!(answer.records().is_ok() && !answer.is_of_the_future((NOW_S + 1) * 1000));
    }

    #[test]
    fn a_version_that_does_not_count_its_author_counts_for_nothing() {
        assert_eq!(counting(1, 5, &[(2, 1)]).records(), Err(CommitError::Field("vector")));
    }

    #[test]
    fn no_byte_of_a_commit_can_be_changed() {
        let encoded = commit(1, None).encode();
        let whole = Commit::decode(encoded.clone()).expect("valid");
        for at in 0..encoded.len() {
            let mut bytes = encoded.to_vec();
            bytes[at] ^= 1;
            let changed = Commit::decode(bytes.into());
            assert!(changed.as_ref() != Ok(&whole) || changed.is_err(), "byte {at}");
            assert!(changed.is_err(), "byte {at}");
        }
    }

    #[test]
    fn nobody_signs_for_another() {
        let (one, other) = (commit(1, None), commit(2, None));
        let forged = Commit { signature: other.signature, ..one };
        assert_eq!(Commit::decode(forged.encode()), Err(CommitError::Signature));
    }
}
