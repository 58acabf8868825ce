//! Protobuf to messages and back. Every limit of a message is checked here.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use prost::Message as _;
use swarm_core::base::limits::FRAME_LEN_MAX;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_sync::{ContentHash, TreePath};

use crate::fields::{bytes32, cut, optional32, text, to_bytes};
use crate::limits::{
    AUTHORS_MAX, COMMIT_LEN_MAX, GRANTS_PER_FRAME_MAX, LISTED_NAME_LEN_MAX, LISTED_PEERS_MAX,
    LISTED_USERS_MAX, PACK_FILES_MAX, PACK_LEN_MAX, PIECE_LEN, RECIPE_LEN_MAX, RECIPE_RANGES_MAX,
    RECIPE_SPAN_MAX, SEEK_CONTENTS_MAX, SEQ_MAX, SLICED_LEN_MAX, TEXT_LEN_MAX, VOTES_PER_FRAME_MAX,
    WHY_LEN_MAX,
};
use crate::proto::library_frame::Message as Proto;
use crate::wire::{
    CommitPiece, Compressed, Flag, Hello, ListedPeer, ListedUser, Message, Part, Progress, RecipeDetail,
    RecipePiece, RecipeRequest, Refusal, RefusalCode, Standing, WireError,
};
use crate::{
    After, CommitId, Completion, Frontier, GUID_LEN_MAX, LibraryKey, Policy, Position, Role, SignedGrant,
    SignedLock, SignedVote, proto,
};

impl Message {
    /// The frame, without its length. Texts for people are cut to what the receiver accepts.
    pub fn encode(&self) -> Bytes {
        proto::LibraryFrame { message: Some(to_proto(self)) }.encode_to_vec().into()
    }

    /// Reads a frame. `Ok(None)` is a message of a later minor version: to be passed over.
    pub fn decode(frame: Bytes) -> Result<Option<Self>, WireError> {
        if frame.len() > FRAME_LEN_MAX {
            return Err(WireError::FrameTooLong(frame.len()));
        }
        let frame = proto::LibraryFrame::decode(frame).map_err(|_| WireError::Schema)?;
        frame.message.map(from_proto).transpose()
    }
}

fn to_proto(message: &Message) -> Proto {
    match message {
        Message::Hello(hello) => Proto::Hello(hello.to_proto()),
        Message::Frontier(standing) => Proto::Frontier(standing.to_proto()),
        Message::CommitsRequest { library, after, without_files } => {
            Proto::CommitsRequest(proto::CommitsRequest {
                library: of_library(library),
                after: after.iter().copied().map(After::to_proto).collect(),
                without_files: *without_files,
            })
        }
        Message::CommitPiece(piece) => Proto::CommitPiece(piece.to_proto()),
        Message::Votes { library, votes } => Proto::Votes(proto::Votes {
            library: of_library(library),
            votes: votes.iter().map(SignedVote::to_proto).collect(),
        }),
        Message::Seek { library, contents } => {
            Proto::Seek(proto::Seek { library: of_library(library), contents: of_contents(contents) })
        }
        Message::Serving { library, contents } => {
            Proto::Serving(proto::Serving { library: of_library(library), contents: of_contents(contents) })
        }
        Message::Progress(progress) => Proto::Progress(progress.to_proto()),
        Message::PeerList { peers, users } => Proto::PeerList(proto::PeerList {
            peers: peers.iter().map(ListedPeer::to_proto).collect(),
            users: users.iter().map(ListedUser::to_proto).collect(),
        }),
        Message::Flag(flag) => Proto::Flag(flag.to_proto()),
        Message::Lock(lock) => Proto::Lock(lock.to_proto()),
        Message::Refusal(refusal) => Proto::Refusal(refusal.to_proto()),
        Message::Pack { library, files } => {
            Proto::Pack(proto::Pack { library: of_library(library), files: files.clone() })
        }
        Message::RecipeRequest(request) => Proto::RecipeRequest(request.to_proto()),
        Message::RecipePiece(piece) => Proto::RecipePiece(piece.to_proto()),
        Message::Compressed(Compressed { len, data }) => {
            Proto::Compressed(proto::Compressed { len: *len, data: data.clone() })
        }
        Message::KeyGrants { library, grants } => Proto::KeyGrants(proto::KeyGrants {
            library: of_library(library),
            grants: grants.iter().map(SignedGrant::to_proto).collect(),
        }),
    }
}

fn from_proto(message: Proto) -> Result<Message, WireError> {
    Ok(match message {
        Proto::Hello(hello) => Message::Hello(Hello::from_proto(hello)?),
        Proto::Frontier(frontier) => Message::Frontier(Standing::from_proto(&frontier)?),
        Proto::CommitsRequest(request) => {
            let (library, after) = (library(&request.library)?, afters(&request.after)?);
            Message::CommitsRequest { library, after, without_files: request.without_files }
        }
        Proto::CommitPiece(piece) => Message::CommitPiece(CommitPiece::from_proto(piece)?),
        Proto::Votes(votes) => votes_from_proto(votes)?,
        Proto::Seek(seek) => {
            Message::Seek { library: library(&seek.library)?, contents: contents(&seek.contents)? }
        }
        Proto::Serving(serving) => {
            Message::Serving { library: library(&serving.library)?, contents: contents(&serving.contents)? }
        }
        Proto::Progress(progress) => Message::Progress(Progress::from_proto(progress)?),
        Proto::PeerList(lists) => Message::PeerList {
            peers: list(&lists.peers, LISTED_PEERS_MAX, "peers", ListedPeer::from_proto)?,
            users: list(&lists.users, LISTED_USERS_MAX, "users", ListedUser::from_proto)?,
        },
        Proto::Flag(flag) => Message::Flag(Flag::from_proto(flag)?),
        Proto::Lock(lock) => Message::Lock(SignedLock::from_proto(&lock)?),
        Proto::Refusal(refusal) => Message::Refusal(Refusal::from_proto(refusal)?),
        Proto::RecipeRequest(request) => Message::RecipeRequest(RecipeRequest::from_proto(&request)?),
        Proto::Pack(pack) => pack_from_proto(pack)?,
        Proto::Compressed(proto::Compressed { len, data }) => {
            if len == 0 || len as usize > FRAME_LEN_MAX || data.is_empty() {
                return Err(WireError::Field("len"));
            }
            Message::Compressed(Compressed { len, data })
        }
        Proto::RecipePiece(piece) => Message::RecipePiece(RecipePiece::from_proto(piece)?),
        Proto::KeyGrants(grants) => grants_from_proto(grants)?,
    })
}

/// An author that is named twice would be sent twice.
fn afters(positions: &[proto::Position]) -> Result<Vec<After>, WireError> {
    let afters = list(positions, AUTHORS_MAX, "after", After::from_proto)?;
    let authors: BTreeSet<NodeId> = afters.iter().map(|after| after.author).collect();
    if authors.len() == afters.len() { Ok(afters) } else { Err(WireError::Field("after")) }
}

fn pack_from_proto(pack: proto::Pack) -> Result<Message, WireError> {
    let len: usize = pack.files.iter().map(Bytes::len).sum();
    if pack.files.len() > PACK_FILES_MAX || len > PACK_LEN_MAX || pack.files.iter().any(Bytes::is_empty) {
        return Err(WireError::Field("files"));
    }
    Ok(Message::Pack { library: library(&pack.library)?, files: pack.files })
}

/// A vote about another library would pass for one that its receiver may see.
fn votes_from_proto(message: proto::Votes) -> Result<Message, WireError> {
    let library = library(&message.library)?;
    if message.votes.len() > VOTES_PER_FRAME_MAX {
        return Err(WireError::Field("votes"));
    }
    let votes: Vec<SignedVote> =
        message.votes.into_iter().map(SignedVote::from_proto).collect::<Result<_, _>>()?;
    if votes.iter().any(|vote| vote.vote().subject.library != library) {
        return Err(WireError::Field("library of a vote"));
    }
    Ok(Message::Votes { library, votes })
}

/// A grant of another library would be carried where nobody asked for it.
fn grants_from_proto(message: proto::KeyGrants) -> Result<Message, WireError> {
    let library = library(&message.library)?;
    if message.grants.len() > GRANTS_PER_FRAME_MAX {
        return Err(WireError::Field("grants"));
    }
    let grants: Vec<SignedGrant> =
        message.grants.into_iter().map(SignedGrant::from_proto).collect::<Result<_, _>>()?;
    if grants.iter().any(|signed| signed.grant().library != library) {
        return Err(WireError::Field("library of a grant"));
    }
    Ok(Message::KeyGrants { library, grants })
}

impl Hello {
    fn to_proto(&self) -> proto::LibraryHello {
        proto::LibraryHello {
            major: self.major,
            minor: self.minor,
            user: cut(&self.user, TEXT_LEN_MAX),
            password: cut(&self.password, TEXT_LEN_MAX),
            name: cut(&self.name, TEXT_LEN_MAX),
            api: of_address(self.api.as_ref()),
            features: if self.reads_compressed { READS_COMPRESSED } else { 0 },
            agent: cut(&self.agent, TEXT_LEN_MAX),
        }
    }

    fn from_proto(hello: proto::LibraryHello) -> Result<Self, WireError> {
        Ok(Self {
            major: hello.major,
            minor: hello.minor,
            user: told(hello.user, TEXT_LEN_MAX, "user")?,
            password: told(hello.password, TEXT_LEN_MAX, "password")?,
            name: told(hello.name, TEXT_LEN_MAX, "name")?,
            api: address(&hello.api, "api")?,
            reads_compressed: hello.features & READS_COMPRESSED != 0,
            agent: told(hello.agent, TEXT_LEN_MAX, "agent")?,
        })
    }
}

impl Standing {
    fn to_proto(&self) -> proto::Frontier {
        proto::Frontier {
            library: of_library(&self.library),
            positions: self.frontier.positions().map(Position::to_proto).collect(),
            votes_digest: self.votes_digest.map(|hash| to_bytes(&hash)).unwrap_or_default(),
            policy: self.policy.map(Policy::to_proto),
            is_policy_taken_over: self.is_policy_taken_over,
            name: cut(&self.name, TEXT_LEN_MAX),
            guid: cut(&self.guid, GUID_LEN_MAX),
            grants_digest: self.grants_digest.map(|hash| to_bytes(&hash)).unwrap_or_default(),
        }
    }

    fn from_proto(frontier: &proto::Frontier) -> Result<Self, WireError> {
        let positions = list(&frontier.positions, AUTHORS_MAX, "positions", Position::from_proto)?;
        Ok(Self {
            library: library(&frontier.library)?,
            frontier: Frontier::from_positions(positions).ok_or(WireError::Field("positions"))?,
            votes_digest: optional32(&frontier.votes_digest, WireError::Field("votes_digest"))?,
            policy: frontier.policy.as_ref().map(Policy::from_proto),
            is_policy_taken_over: frontier.is_policy_taken_over,
            name: told(frontier.name.clone(), TEXT_LEN_MAX, "name")?,
            guid: told(frontier.guid.clone(), GUID_LEN_MAX, "guid")?,
            grants_digest: optional32(&frontier.grants_digest, WireError::Field("grants_digest"))?,
        })
    }
}

impl Position {
    fn to_proto(self) -> proto::Position {
        let author = to_bytes(self.author.as_bytes());
        proto::Position { author, seq: self.seq, id: to_bytes(&self.id.0) }
    }

    fn from_proto(position: &proto::Position) -> Result<Self, WireError> {
        let id = bytes32(&position.id).map(CommitId).ok_or(WireError::Field("id"))?;
        Ok(Self { author: node(&position.author, "author")?, seq: position.seq, id })
    }
}

/// The number says all: the id of a position stays empty.
impl After {
    fn to_proto(self) -> proto::Position {
        proto::Position { author: to_bytes(self.author.as_bytes()), seq: self.seq, id: Bytes::new() }
    }

    fn from_proto(position: &proto::Position) -> Result<Self, WireError> {
        if position.seq > SEQ_MAX {
            return Err(WireError::Field("seq"));
        }
        Ok(Self { author: node(&position.author, "author")?, seq: position.seq })
    }
}

impl Policy {
    fn to_proto(self) -> proto::PolicyBody {
        proto::PolicyBody {
            delete_votes: self.delete_votes,
            move_votes: self.move_votes,
            bulk_changes: self.bulk_changes,
            bulk_votes: self.bulk_votes,
            expiry_days: self.expiry_days,
            refused_by_one: self.refused_by_one,
        }
    }

    fn from_proto(body: &proto::PolicyBody) -> Self {
        Self {
            delete_votes: body.delete_votes,
            move_votes: body.move_votes,
            bulk_changes: body.bulk_changes,
            bulk_votes: body.bulk_votes,
            expiry_days: body.expiry_days,
            refused_by_one: body.refused_by_one,
        }
    }
}

impl CommitPiece {
    fn to_proto(&self) -> proto::CommitPiece {
        proto::CommitPiece {
            library: of_library(&self.library),
            author: to_bytes(self.author.as_bytes()),
            seq: self.seq,
            len: self.part.len,
            offset: self.part.offset,
            data: self.part.data.clone(),
        }
    }

    fn from_proto(piece: proto::CommitPiece) -> Result<Self, WireError> {
        if !(1..=SEQ_MAX).contains(&piece.seq) {
            return Err(WireError::Field("seq"));
        }
        Ok(Self {
            library: library(&piece.library)?,
            author: node(&piece.author, "author")?,
            seq: piece.seq,
            part: Part::checked(piece.len, piece.offset, piece.data, COMMIT_LEN_MAX)?,
        })
    }
}

impl RecipeRequest {
    fn to_proto(&self) -> proto::RecipeRequest {
        let mut next = 0;
        let pairs = self.ranges.iter().flat_map(|range| {
            let pair = [range.start - next, range.end - range.start];
            next = range.end;
            pair
        });
        proto::RecipeRequest {
            library: of_library(&self.library),
            blake3: to_bytes(&self.file.0),
            len: self.len,
            detail: match self.detail {
                RecipeDetail::Pieces => 0,
                RecipeDetail::SlicesFromStart => 1,
                RecipeDetail::SlicesFromBothEnds => 2,
            },
            ranges: pairs.collect(),
        }
    }

    fn from_proto(request: &proto::RecipeRequest) -> Result<Self, WireError> {
        let len = Some(request.len).filter(|len| *len <= FILE_LEN_MAX).ok_or(WireError::Field("len"))?;
        let detail = match request.detail {
            0 => RecipeDetail::Pieces,
            1 => RecipeDetail::SlicesFromStart,
            2 => RecipeDetail::SlicesFromBothEnds,
            _ => return Err(WireError::Field("detail")),
        };
        let ranges = ranges(&request.ranges, len).ok_or(WireError::Field("ranges"))?;
        let is_long = |range: &Range<u64>| range.end - range.start > SLICED_LEN_MAX;
        if detail != RecipeDetail::Pieces && ranges.iter().any(is_long) {
            return Err(WireError::Field("ranges"));
        }
        let (library, file) = (library(&request.library)?, file(&request.blake3)?);
        Ok(Self { library, file, len, detail, ranges })
    }
}

/// Ranges within so many bytes; `None` if these are none.
fn ranges(pairs: &[u64], len: u64) -> Option<Vec<Range<u64>>> {
    if pairs.is_empty() || pairs.len() % 2 == 1 || pairs.len() > 2 * RECIPE_RANGES_MAX {
        return None;
    }
    let (mut ranges, mut next, mut span) = (Vec::with_capacity(pairs.len() / 2), 0_u64, 0_u64);
    for pair in pairs.chunks_exact(2) {
        let start = next.checked_add(pair[0])?;
        let end = start.checked_add(pair[1]).filter(|end| (start + 1..=len).contains(end))?;
        if start == next && next > 0 {
            return None;
        }
        span += end - start;
        ranges.push(start..end);
        next = end;
    }
    (span <= RECIPE_SPAN_MAX).then_some(ranges)
}

impl RecipePiece {
    fn to_proto(&self) -> proto::RecipePiece {
        proto::RecipePiece {
            library: of_library(&self.library),
            blake3: to_bytes(&self.file.0),
            len: self.part.len,
            offset: self.part.offset,
            data: self.part.data.clone(),
        }
    }

    fn from_proto(piece: proto::RecipePiece) -> Result<Self, WireError> {
        Ok(Self {
            library: library(&piece.library)?,
            file: file(&piece.blake3)?,
            part: Part::checked(piece.len, piece.offset, piece.data, RECIPE_LEN_MAX)?,
        })
    }
}

impl Part {
    fn checked(len: u32, offset: u32, data: Bytes, len_max: usize) -> Result<Self, WireError> {
        if len as usize > len_max {
            return Err(WireError::Field("len"));
        }
        if data.is_empty() || data.len() > PIECE_LEN {
            return Err(WireError::Field("data"));
        }
        if offset as usize + data.len() > len as usize {
            return Err(WireError::Field("offset"));
        }
        Ok(Self { len, offset, data })
    }
}

impl Progress {
    fn to_proto(&self) -> proto::Progress {
        let all = &self.completion;
        proto::Progress {
            library: of_library(&self.library),
            files: all.files(),
            files_here: all.files_here(),
            bytes: all.bytes(),
            bytes_here: all.bytes_here(),
            deletions_to_do: all.deletions_to_do,
            activity: cut(&self.activity, TEXT_LEN_MAX),
        }
    }

    fn from_proto(progress: proto::Progress) -> Result<Self, WireError> {
        let files = (progress.files_here, progress.files);
        let bytes = (progress.bytes_here, progress.bytes);
        let completion = Completion::of(files, bytes, progress.deletions_to_do);
        Ok(Self {
            library: library(&progress.library)?,
            completion: completion.ok_or(WireError::Field("figures"))?,
            activity: told(progress.activity, TEXT_LEN_MAX, "activity")?,
        })
    }
}

impl ListedPeer {
    fn to_proto(&self) -> proto::ListedPeer {
        proto::ListedPeer {
            node: to_bytes(self.node.as_bytes()),
            address: of_address(self.address.as_ref()),
            name: cut(&self.name, LISTED_NAME_LEN_MAX),
        }
    }

    fn from_proto(peer: &proto::ListedPeer) -> Result<Self, WireError> {
        Ok(Self {
            node: node(&peer.node, "node")?,
            address: address(&peer.address, "address")?,
            name: told(peer.name.clone(), LISTED_NAME_LEN_MAX, "name")?,
        })
    }
}

impl ListedUser {
    fn to_proto(&self) -> proto::ListedUser {
        proto::ListedUser { name: cut(&self.name, LISTED_NAME_LEN_MAX), role: self.role.as_str().to_owned() }
    }

    fn from_proto(user: &proto::ListedUser) -> Result<Self, WireError> {
        let name = told(user.name.clone(), LISTED_NAME_LEN_MAX, "user")?;
        Ok(Self { name, role: Role::from_name(&user.role).unwrap_or(Role::Viewer) })
    }
}

impl Flag {
    fn to_proto(&self) -> proto::Flag {
        proto::Flag {
            library: of_library(&self.library),
            path: self.path.as_str().to_owned(),
            blake3: to_bytes(&self.file.0),
            source: self.source.map(|node| to_bytes(node.as_bytes())).unwrap_or_default(),
        }
    }

    fn from_proto(flag: proto::Flag) -> Result<Self, WireError> {
        Ok(Self {
            library: library(&flag.library)?,
            path: TreePath::new(flag.path).map_err(|_| WireError::Field("path"))?,
            file: file(&flag.blake3)?,
            source: optional32(&flag.source, WireError::Field("source"))?.map(NodeId::from_bytes),
        })
    }
}

impl Refusal {
    fn to_proto(&self) -> proto::Refusal {
        proto::Refusal {
            library: self.library.as_ref().map(of_library).unwrap_or_default(),
            code: self.code.number(),
            why: cut(&self.why, WHY_LEN_MAX),
        }
    }

    fn from_proto(refusal: proto::Refusal) -> Result<Self, WireError> {
        let is_named = !refusal.library.is_empty();
        Ok(Self {
            library: is_named.then(|| library(&refusal.library)).transpose()?,
            code: RefusalCode::from_number(refusal.code),
            why: told(refusal.why, WHY_LEN_MAX, "why")?,
        })
    }
}

impl RefusalCode {
    const ALL: [Self; 6] = [
        Self::Other,
        Self::NotAuthorised,
        Self::BadCredentials,
        Self::NotHere,
        Self::TooMuch,
        Self::Equivocation,
    ];

    fn number(self) -> u32 {
        match self {
            Self::Other => 0,
            Self::NotAuthorised => 1,
            Self::BadCredentials => 2,
            Self::NotHere => 3,
            Self::TooMuch => 4,
            Self::Equivocation => 5,
        }
    }

    fn from_number(number: u32) -> Self {
        Self::ALL.into_iter().find(|code| code.number() == number).unwrap_or(Self::Other)
    }
}

fn list<P, T>(
    all: &[P],
    len_max: usize,
    name: &'static str,
    read: impl Fn(&P) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    if all.len() > len_max { Err(WireError::Field(name)) } else { all.iter().map(read).collect() }
}

fn contents(all: &[Bytes]) -> Result<Vec<ContentId>, WireError> {
    let content = |bytes: &Bytes| ContentId::from_slice(bytes).ok_or(WireError::Field("contents"));
    list(all, SEEK_CONTENTS_MAX, "contents", content)
}

fn of_contents(contents: &[ContentId]) -> Vec<Bytes> {
    contents.iter().map(|content| to_bytes(content.as_bytes())).collect()
}

fn library(bytes: &[u8]) -> Result<LibraryKey, WireError> {
    LibraryKey::from_slice(bytes).ok_or(WireError::Field("library"))
}

fn of_library(library: &LibraryKey) -> Bytes {
    to_bytes(library.as_bytes())
}

fn node(bytes: &[u8], name: &'static str) -> Result<NodeId, WireError> {
    NodeId::from_slice(bytes).ok_or(WireError::Field(name))
}

fn file(bytes: &[u8]) -> Result<ContentHash, WireError> {
    bytes32(bytes).map(ContentHash).ok_or(WireError::Field("blake3"))
}

fn address(text: &str, name: &'static str) -> Result<Option<Address>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| WireError::Field(name))
}

fn of_address(address: Option<&Address>) -> String {
    address.map(|address| address.as_str().to_owned()).unwrap_or_default()
}

fn told(given: String, len_max: usize, name: &'static str) -> Result<String, WireError> {
    text(given, len_max).ok_or(WireError::Field(name))
}

/// Longer files exist on no system.
const FILE_LEN_MAX: u64 = i64::MAX as u64;

/// A bit of `LibraryHello.features`.
const READS_COMPRESSED: u32 = 1;

#[cfg(test)]
mod tests;
