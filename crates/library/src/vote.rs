//! Signed votes about a commit that is held. Invariant: a [`SignedVote`] carries a signature of its voter that was checked once, and names the library, the
//! commit and its records, so that it says nothing about any other.

use bytes::Bytes;
use prost::Message as _;
use swarm_core::base::NodeId;
use swarm_core::manifest::{SigningKey, verify};

use crate::fields::{bytes32, cut, text, to_bytes};
use crate::limits::{VOTE_LEN_MAX, WHY_LEN_MAX};
use crate::{Commit, CommitId, LibraryKey, proto};

/// What a vote is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Of which library.
    pub library: LibraryKey,
    /// The commit that is held.
    pub commit: CommitId,
    /// BLAKE3 of its records.
    pub records_hash: [u8; 32],
}

/// What a voter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The change may be made.
    Yes,
    /// It may not.
    No,
    /// The author of the commit does not want it any more. From anybody else it says nothing.
    Withdrawn,
}

/// A vote, without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// What it is about.
    pub subject: Subject,
    /// Who signs.
    pub voter: NodeId,
    /// What it says.
    pub verdict: Verdict,
    /// For people.
    pub why: String,
    /// Milliseconds since 1970 by the voter's clock. Of two votes of one voter the later one counts, so a voter that changes its mind signs a
    /// time after its last one, whatever its clock says.
    pub made_at_ms: u64,
}

/// BLAKE3 of a vote as it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoteId(pub [u8; 32]);

/// A vote with the signature of its voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedVote {
    vote: Vote,
    id: VoteId,
    signed: Bytes,
    signature: [u8; 64],
}

/// Why bytes are no vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoteError {
    /// Too long.
    #[error("a vote is longer than {VOTE_LEN_MAX} bytes")]
    TooLong,
    /// Not the schema.
    #[error("a vote does not follow the schema")]
    Schema,
    /// A field that no voter writes.
    #[error("a vote has a field out of range: {0}")]
    Field(&'static str),
    /// Somebody else signed it, or nobody.
    #[error("the signature of a vote is not its voter's")]
    Signature,
}

impl Subject {
    /// What votes about a commit name.
    pub fn of(commit: &Commit) -> Self {
        let header = commit.header();
        Self { library: header.library, commit: commit.id(), records_hash: header.records_hash }
    }
}

impl SignedVote {
    /// Votes. A reason that is too long is cut.
    pub fn sign(key: &SigningKey, subject: Subject, verdict: Verdict, why: &str, made_at_ms: u64) -> Self {
        let why = cut(why, WHY_LEN_MAX);
        let vote = Vote { subject, voter: key.public(), verdict, why, made_at_ms };
        let signed: Bytes = vote.to_proto().encode_to_vec().into();
        let signature = key.sign_bytes(CONTEXT, &signed);
        Self { vote, id: VoteId(blake3::hash(&signed).into()), signed, signature }
    }

    /// The bytes that are stored; a message carries the same.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode_to_vec().into()
    }

    /// Reads a vote and checks its signature.
    pub fn decode(bytes: Bytes) -> Result<Self, VoteError> {
        Self::decode_kept(bytes)?.checked()
    }

    /// Reads a vote whose signature was checked before it was kept. It is not checked again: that is most of the work, and all
    /// votes of a library are read whenever it changes.
    pub fn decode_kept(bytes: Bytes) -> Result<Self, VoteError> {
        if bytes.len() > VOTE_LEN_MAX {
            return Err(VoteError::TooLong);
        }
        Self::unchecked(proto::SignedVote::decode(bytes).map_err(|_| VoteError::Schema)?)
    }

    /// What it says.
    pub fn vote(&self) -> &Vote {
        &self.vote
    }

    /// Its id.
    pub fn id(&self) -> VoteId {
        self.id
    }

    pub(crate) fn to_proto(&self) -> proto::SignedVote {
        proto::SignedVote { body: self.signed.clone(), signature: to_bytes(&self.signature) }
    }

    pub(crate) fn from_proto(signed: proto::SignedVote) -> Result<Self, VoteError> {
        Self::unchecked(signed)?.checked()
    }

    fn unchecked(signed: proto::SignedVote) -> Result<Self, VoteError> {
        if signed.body.len() + SIGNATURE_ROOM > VOTE_LEN_MAX {
            return Err(VoteError::TooLong);
        }
        let signature = signed.signature.as_ref().try_into().map_err(|_| VoteError::Field("signature"))?;
        let body = proto::VoteBody::decode(signed.body.clone()).map_err(|_| VoteError::Schema)?;
        let vote = Vote::from_proto(body)?;
        let id = VoteId(blake3::hash(&signed.body).into());
        Ok(Self { vote, id, signed: signed.body, signature })
    }

    fn checked(self) -> Result<Self, VoteError> {
        if self.is_signed() { Ok(self) } else { Err(VoteError::Signature) }
    }

    /// Whether the signature is the voter's: it is of every vote but one whose bytes were damaged while they were kept.
    pub fn is_signed(&self) -> bool {
        verify(self.vote.voter, CONTEXT, &self.signed, &self.signature)
    }
}

impl Vote {
    fn to_proto(&self) -> proto::VoteBody {
        proto::VoteBody {
            library: to_bytes(self.subject.library.as_bytes()),
            voter: to_bytes(self.voter.as_bytes()),
            commit: to_bytes(&self.subject.commit.0),
            records_hash: to_bytes(&self.subject.records_hash),
            verdict: self.verdict.number(),
            why: self.why.clone(),
            made_at_ms: self.made_at_ms,
        }
    }

    fn from_proto(body: proto::VoteBody) -> Result<Self, VoteError> {
        let needed = |bytes: &Bytes, name| bytes32(bytes).ok_or(VoteError::Field(name));
        let subject = Subject {
            library: LibraryKey::from_slice(&body.library).ok_or(VoteError::Field("library"))?,
            commit: CommitId(needed(&body.commit, "commit")?),
            records_hash: needed(&body.records_hash, "records_hash")?,
        };
        Ok(Self {
            subject,
            voter: NodeId::from_bytes(needed(&body.voter, "voter")?),
            verdict: Verdict::from_number(body.verdict).ok_or(VoteError::Field("verdict"))?,
            why: text(body.why, WHY_LEN_MAX).ok_or(VoteError::Field("why"))?,
            made_at_ms: body.made_at_ms,
        })
    }
}

impl Verdict {
    fn number(self) -> u32 {
        match self {
            Self::Yes => 1,
            Self::No => 2,
            Self::Withdrawn => 3,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::Yes, Self::No, Self::Withdrawn].into_iter().find(|verdict| verdict.number() == number)
    }
}

/// One hash for a set of votes, in whatever order they come: peers with the same votes need not send them.
pub fn votes_digest(ids: impl IntoIterator<Item = VoteId>) -> [u8; 32] {
    let mut ids: Vec<[u8; 32]> = ids.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    blake3::hash(ids.as_flattened()).into()
}

/// The first digits are enough for a person.
impl std::fmt::Display for VoteId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&swarm_core::base::ContentId::from_bytes(self.0).to_string())
    }
}

/// A signature, and the keys and lengths of two fields.
const SIGNATURE_ROOM: usize = 72;
/// Bound into the signature.
const CONTEXT: &[u8] = b"swarm library vote v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Guid;

    fn subject() -> Subject {
        let library = Guid::new("a").expect("a GUID").key();
        Subject { library, commit: CommitId([1; 32]), records_hash: [2; 32] }
    }

    fn vote(seed: u8, verdict: Verdict) -> SignedVote {
        SignedVote::sign(&SigningKey::from_seed(&[seed; 32]), subject(), verdict, "a reason", 7)
    }

    #[test]
    fn a_vote_survives_the_wire() {
        for verdict in [Verdict::Yes, Verdict::No, Verdict::Withdrawn] {
            let signed = vote(1, verdict);
            assert_eq!(SignedVote::decode(signed.encode()).as_ref(), Ok(&signed));
            assert_eq!((signed.vote().verdict, signed.vote().subject), (verdict, subject()));
        }
    }

    #[test]
    fn no_byte_of_a_vote_can_be_changed() {
        let encoded = vote(1, Verdict::Yes).encode();
        for at in 0..encoded.len() {
            let mut bytes = encoded.to_vec();
            bytes[at] ^= 1;
            assert!(SignedVote::decode(bytes.into()).is_err(), "byte {at}");
        }
        assert_eq!(SignedVote::decode_kept(encoded), Ok(vote(1, Verdict::Yes)));
    }

    #[test]
    fn nobody_votes_for_another() {
        let (one, other) = (vote(1, Verdict::No), vote(2, Verdict::No));
        let forged = SignedVote { signature: other.signature, ..one };
        assert_eq!(SignedVote::decode(forged.encode()), Err(VoteError::Signature));
    }

    #[test]
    fn the_longest_vote_fits_and_a_longer_reason_is_cut() {
        let key = SigningKey::from_seed(&[1; 32]);
        let signed = SignedVote::sign(&key, subject(), Verdict::No, &"ü".repeat(WHY_LEN_MAX), u64::MAX);
        assert_eq!(signed.vote().why.len(), WHY_LEN_MAX);
        assert_eq!(SignedVote::decode(signed.encode()).as_ref(), Ok(&signed));
    }

    #[test]
    fn a_digest_is_of_the_set() {
        let ids = |numbers: &[u8]| votes_digest(numbers.iter().map(|n| VoteId([*n; 32])));
        assert_eq!(ids(&[1, 2, 3]), ids(&[3, 1, 2, 2]));
        assert_ne!(ids(&[1, 2]), ids(&[1, 2, 3]));
        assert_ne!(ids(&[]), ids(&[1]));
    }
}
