//! What nodes that keep libraries sign, and say to each other.

use std::sync::LazyLock;

use bytes::Bytes;
use swarm_core::base::ContentId;
use swarm_core::base::limits::FRAME_LEN_MAX;
use swarm_library::limits::{
    AUTHORS_MAX, COMMIT_LEN_MAX, COMMIT_RECORDS_MAX, GRANTS_PER_FRAME_MAX, LISTED_PEERS_MAX,
    LISTED_USERS_MAX, LOCK_LEN_MAX, LOCK_TIME_MAX_MS, PACK_FILES_MAX, PACK_LEN_MAX, PIECE_LEN,
    RECIPE_LEN_MAX, RECIPE_RANGES_MAX, SEEK_CONTENTS_MAX, SEQ_MAX, TEXT_LEN_MAX, VECTOR_AUTHORS_MAX,
    VOTE_LEN_MAX, VOTES_PER_FRAME_MAX, WHY_LEN_MAX,
};
use swarm_library::wire::{
    CommitPiece, Compressed, Flag, Hello, ListedPeer, ListedUser, Part, Progress, RecipeDetail, RecipePiece,
    RecipeRequest, Refusal, RefusalCode, Standing,
};
use swarm_library::{
    After, Commit, CommitAssembly, CommitId, Completion, Draft, Frontier, Guid, LibraryKey, Live, Lock,
    Message, Policy, Position, Record, Role, SignedLock, SignedVote, State, Subject, Vector, Verdict,
    pieces_of, record_codec,
};
use swarm_sync::{ContentHash, FileContent, Kind, TreePath};

use super::library_sealed::{check_grant, sample_grant};
use super::pieces::{address, content, field, key, node};
use super::{SLACK_LEN, Samples, assert_told, bounded};

/// The first byte selects the rest: a commit, fields of a header that is signed here, or records that are.
pub(super) fn commit(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let encoded: Bytes = match mode % 3 {
        0 => rest.to_vec(),
        1 => signed_commit(rest, &record_codec::encode(&sample_records())),
        _ => signed_commit(&[], rest),
    }
    .into();
    match bounded(encoded.len(), (COMMIT_TIMES, SLACK_LEN), || Commit::decode(encoded.clone())) {
        Err(error) => assert_told(&error),
        Ok(commit) => {
            check_header(&commit);
            let written = commit.encode();
            assert!(written.len() <= encoded.len());
            assert_eq!(Commit::decode(written), Ok(commit));
        }
    }
}

fn check_header(commit: &Commit) {
    let header = commit.header();
    assert!((1..=SEQ_MAX).contains(&header.seq) && header.covers < header.seq);
    assert_eq!(header.previous.is_none(), header.seq == 1);
    assert!((1..=COMMIT_RECORDS_MAX).contains(&(header.record_count as usize)));
    match commit.records() {
        Ok(records) => assert_eq!(records.len(), header.record_count as usize),
        Err(error) => assert_told(&error),
    }
}

/// A SignedCommit of `proto/` by the key of samples; a later field takes the place of an earlier one.
fn signed_commit(fields: &[u8], records: &[u8]) -> Vec<u8> {
    let hash = blake3::hash(records);
    let header = [
        field(1, library().as_bytes()),
        field(2, key().public().as_bytes()),
        vec![0x18, 1],
        field(6, hash.as_bytes()),
        vec![0x50, 2],
        fields.to_vec(),
    ]
    .concat();
    let signature = key().sign_bytes(b"swarm library commit v1", &header);
    [field(1, &header), field(2, &signature), field(3, records)].concat()
}

/// If the first byte is odd, what follows is repeated: a list may be long. Memory is bounded by the limit of records.
pub(super) fn records(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let times = if mode % 2 == 1 { REPEATED_LEN / (rest.len() + 1) } else { 1 };
    let encoded: Bytes = rest.repeat(times).into();
    let slack_len = SLACK_LEN + (RECORD_TIMES * encoded.len() as u64).min(RECORDS_LEN);
    match bounded(encoded.len(), (RECORDS_TIMES, slack_len), || record_codec::decode(encoded.clone())) {
        Err(error) => assert_told(&error),
        Ok(records) => {
            assert!(records.len() <= COMMIT_RECORDS_MAX);
            records.iter().for_each(check_record);
            let written = record_codec::encode(&records);
            let most: usize = records.iter().map(record_codec::encoded_len_max).sum();
            assert!(written.len() <= most);
            assert_eq!(record_codec::decode(written.into()), Ok(records));
        }
    }
}

fn check_record(record: &Record) {
    let authors = record.vector.iter().count();
    assert!((1..=VECTOR_AUTHORS_MAX).contains(&authors));
    assert!(record.vector.iter().all(|(_, counter)| counter > 0));
    assert!(i64::try_from(record.content_len()).is_ok());
    check_path(&record.path);
    record.moved_from.iter().for_each(check_path);
}

fn check_path(path: &TreePath) {
    assert!(path.components().all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0')));
}

/// The first byte selects the rest: a vote, or fields of one that is signed here.
pub(super) fn vote(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let encoded: Bytes = if mode % 2 == 0 { rest.to_vec() } else { signed_vote(rest) }.into();
    match bounded(encoded.len(), (VOTE_TIMES, SLACK_LEN), || SignedVote::decode(encoded.clone())) {
        Err(error) => assert_told(&error),
        Ok(vote) => {
            check_vote(&vote);
            assert!(vote.encode().len() <= encoded.len());
            assert_eq!(SignedVote::decode(vote.encode()), Ok(vote));
        }
    }
}

fn check_vote(vote: &SignedVote) {
    check_text(&vote.vote().why, WHY_LEN_MAX);
    assert!(vote.encode().len() <= VOTE_LEN_MAX);
}

/// A SignedVote of `proto/` by the key of samples.
fn signed_vote(fields: &[u8]) -> Vec<u8> {
    let body = [
        field(1, library().as_bytes()),
        field(2, key().public().as_bytes()),
        field(3, &[1; 32]),
        field(4, &[2; 32]),
        vec![0x28, 1],
        fields.to_vec(),
    ]
    .concat();
    let signature = key().sign_bytes(b"swarm library vote v1", &body);
    [field(1, &body), field(2, &signature)].concat()
}

/// The first byte selects the rest: a lock, or fields of one that is signed here.
pub(super) fn lock(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let encoded: Bytes = if mode % 2 == 0 { rest.to_vec() } else { signed_lock(rest) }.into();
    match bounded(encoded.len(), (VOTE_TIMES, SLACK_LEN), || SignedLock::decode(encoded.clone())) {
        Err(error) => assert_told(&error),
        Ok(lock) => {
            check_lock(&lock);
            assert!(lock.encode().len() <= encoded.len());
            assert_eq!(SignedLock::decode(lock.encode()), Ok(lock));
        }
    }
}

fn check_lock(lock: &SignedLock) {
    check_text(&lock.lock().why, WHY_LEN_MAX);
    check_path(&lock.lock().path);
    assert!(lock.lock().holds_ms <= LOCK_TIME_MAX_MS && lock.encode().len() <= LOCK_LEN_MAX);
}

/// A Lock of `proto/` by the key of samples.
fn signed_lock(fields: &[u8]) -> Vec<u8> {
    let body = [
        field(1, library().as_bytes()),
        field(2, key().public().as_bytes()),
        field(3, b"a/b"),
        fields.to_vec(),
    ]
    .concat();
    let signature = key().sign_bytes(b"swarm library lock v1", &body);
    [field(1, library().as_bytes()), field(2, &body), field(3, &signature)].concat()
}

/// The first byte selects the rest: a frame, or fields of a vote or a lock that is signed here and stands in one.
pub(super) fn message(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let frame: Bytes = match mode % 3 {
        0 => rest.to_vec(),
        1 => {
            let vote = field(2, &signed_vote(rest));
            field(5, &[field(1, library().as_bytes()), vote.repeat(2)].concat())
        }
        _ => field(11, &signed_lock(rest)),
    }
    .into();
    match bounded(frame.len(), (MESSAGE_TIMES, SLACK_LEN), || Message::decode(frame.clone())) {
        Err(error) => assert_told(&error),
        Ok(None) => {}
        Ok(Some(message)) => {
            check_message(&message);
            let written = message.encode();
            // The role of a user that is not known is written as another one, which may be longer.
            let is_list = matches!(message, Message::PeerList { .. });
            assert!(written.len() <= FRAME_LEN_MAX && (is_list || written.len() <= frame.len()));
            Role::ALL.iter().for_each(|role| check_told(&message, *role));
            assert_eq!(Message::decode(written), Ok(Some(message)));
        }
    }
}

/// What a role is told of a message is a message, and it is told no more the second time.
fn check_told(message: &Message, role: Role) {
    let Some(told) = message.clone().for_role(role) else { return };
    assert_eq!(Message::decode(told.encode()), Ok(Some(told.clone())));
    assert_eq!(told.clone().for_role(role), Some(told));
}

fn check_message(message: &Message) {
    match message {
        Message::Hello(hello) => {
            for text in [&hello.user, &hello.password, &hello.name] {
                check_text(text, TEXT_LEN_MAX);
            }
        }
        Message::Frontier(standing) => {
            check_text(&standing.name, TEXT_LEN_MAX);
            check_text(&standing.guid, TEXT_LEN_MAX);
            let positions = standing.frontier.positions();
            assert!(positions.len() <= AUTHORS_MAX);
            standing.frontier.positions().for_each(|one| assert!((1..=SEQ_MAX).contains(&one.seq)));
        }
        Message::CommitsRequest { after, .. } => assert!(after.len() <= AUTHORS_MAX),
        Message::CommitPiece(piece) => check_part(&piece.part, COMMIT_LEN_MAX),
        Message::Votes { library, votes } => {
            assert!(votes.len() <= VOTES_PER_FRAME_MAX);
            votes.iter().for_each(check_vote);
            assert!(votes.iter().all(|vote| vote.vote().subject.library == *library));
        }
        Message::Seek { contents, .. } | Message::Serving { contents, .. } => {
            assert!(contents.len() <= SEEK_CONTENTS_MAX);
        }
        Message::Progress(progress) => {
            check_text(&progress.activity, TEXT_LEN_MAX);
            assert!(progress.completion.percent() <= 100);
        }
        Message::PeerList { peers, users } => {
            assert!(peers.len() <= LISTED_PEERS_MAX && users.len() <= LISTED_USERS_MAX);
            peers.iter().for_each(|peer| check_text(&peer.name, TEXT_LEN_MAX));
            users.iter().for_each(|user| check_text(&user.name, TEXT_LEN_MAX));
        }
        Message::Flag(flag) => check_path(&flag.path),
        Message::Lock(lock) => check_lock(lock),
        Message::Refusal(refusal) => check_text(&refusal.why, WHY_LEN_MAX),
        Message::RecipeRequest(request) => {
            assert!(i64::try_from(request.len).is_ok() && request.ranges.len() <= RECIPE_RANGES_MAX);
            assert!(request.ranges.is_sorted_by(|one, next| one.end < next.start));
            assert!(request.ranges.iter().all(|range| range.start < range.end && range.end <= request.len));
        }
        Message::Compressed(frame) => assert!((1..=FRAME_LEN_MAX).contains(&(frame.len as usize))),
        Message::RecipePiece(piece) => check_part(&piece.part, RECIPE_LEN_MAX),
        Message::KeyGrants { library, grants } => {
            assert!(grants.len() <= GRANTS_PER_FRAME_MAX);
            grants.iter().for_each(check_grant);
            assert!(grants.iter().all(|signed| signed.grant().library == *library));
        }
        Message::Pack { files, .. } => {
            assert!(
                files.len() <= PACK_FILES_MAX
                    && files.iter().map(|file| file.len()).sum::<usize>() <= PACK_LEN_MAX
            );
        }
    }
}

fn check_text(text: &str, len_max: usize) {
    assert!(text.len() <= len_max && !text.chars().any(char::is_control));
}

fn check_part(part: &Part, len_max: usize) {
    let end = part.offset as usize + part.data.len();
    assert!((1..=PIECE_LEN).contains(&part.data.len()));
    assert!(end <= part.len as usize && part.len as usize <= len_max);
}

/// Every four bytes are a part of one of two commits: usually the next one, of any length, sometimes one that does not follow. A commit
/// comes of parts that follow each other, and of no others; after an error nothing is held.
pub(super) fn assembly(bytes: &[u8]) {
    let mut assembly = CommitAssembly::default();
    let mut come: Vec<u8> = Vec::new();
    for op in bytes.chunks_exact(4) {
        let piece = piece_of(op, come.len());
        if piece.part.offset == 0 {
            come.clear();
        }
        let part = piece.part.clone();
        let most_held = (ASSEMBLY_TIMES, SLACK_LEN);
        let taken = bounded(come.len() + part.data.len(), most_held, || assembly.take(piece));
        come.extend_from_slice(&part.data);
        match taken {
            Ok(None) => assert_eq!(assembly.held_len(), come.len()),
            Ok(Some(commit)) => {
                assert_eq!(commit.encode(), come);
                assert!(COMMITS.contains(&commit));
                come.clear();
            }
            Err(error) => {
                assert_told(&error);
                come.clear();
            }
        }
        assert!(assembly.held_len() == come.len() && come.len() < COMMIT_LEN_MAX);
    }
}

/// Bits of the first byte: which commit; whether its offset, length, name or bytes are wrong. The others: how many bytes, and by how much it is
/// wrong.
fn piece_of(op: &[u8], come_len: usize) -> CommitPiece {
    let [mode, len, wrong] = [op[0], op[1], op[2]].map(usize::from);
    let commit = &COMMITS[mode & 1];
    let (header, encoded) = (commit.header(), commit.encode());
    let wrong_if = |bit: usize| if mode & bit == 0 { 0 } else { wrong };
    // Most parts are long, so that a few of them are a commit.
    let start = come_len.min(encoded.len() - 1);
    let end = encoded.len().min(start + 1 + len * 8);
    let mut data = encoded[start..end].to_vec();
    data[0] ^= wrong_if(0x80) as u8;
    let offset = (start + wrong_if(0x20)) as u32;
    // Megabytes, which are not to be reserved before they come.
    let len = (encoded.len() + (wrong_if(0x40) << 15)) as u32;
    let seq = header.seq + wrong_if(0x10) as u64;
    let part = Part { len, offset, data: data.into() };
    CommitPiece { library: header.library, author: header.author, seq, part }
}

fn library() -> LibraryKey {
    Guid::new("sample").expect("a GUID").key()
}

fn tree_path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

/// One record of each kind.
pub(super) fn sample_records() -> Vec<Record> {
    let file = FileContent { len: 5, hash: ContentHash([4; 32]), executable: true };
    let live = |kind, sha256| State::Live(Live { kind, modified_ns: -7, sha256 });
    let vector = [node(2), key().public()].into_iter().zip([3, 1]);
    let vector = vector.fold(Vector::of(node(1), 1_700_000_000), |all, (author, counter)| {
        all.joined(&Vector::of(author, counter))
    });
    let record = |path: &str, state| Record {
        path: tree_path(path),
        state,
        vector: vector.clone(),
        parent: None,
        moved_from: None,
    };
    vec![
        record("a", live(Kind::Folder, None)),
        Record { moved_from: Some(tree_path("old")), ..record("a/b", live(Kind::File(file), Some([5; 32]))) },
        Record { parent: Some(ContentHash([4; 32])), ..record("old", State::Deleted) },
        record("z", live(Kind::Symlink { target: "a/b".into() }, None)),
    ]
}

fn signed(seq: u64, records: &[Record]) -> Commit {
    let after = (seq > 1).then_some((seq - 1, CommitId([6; 32])));
    let content = Some(content(1));
    let draft = Draft { library: library(), after, content, made_at_ms: 9, covers: 0, records };
    Commit::sign(&key(), &draft).expect("valid")
}

pub(super) fn commit_samples() -> Samples {
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    let list = record_codec::encode(&sample_records()[..2]);
    assert!(Commit::decode(signed_commit(&[], &list).into()).is_ok());
    vec![
        ("first", raw(0, &signed(1, &sample_records()).encode())),
        ("second", raw(0, &signed(2, &sample_records()[..1]).encode())),
        ("header", raw(1, &[])),
        ("later", raw(1, &[vec![0x18, 5], field(4, &[1; 32]), field(5, &[2; 32]), vec![0x48, 3]].concat())),
        ("sealed", raw(1, &[0x40, 7])),
        ("records", raw(2, &list)),
        ("no_record", raw(2, &[])),
    ]
}

pub(super) fn record_samples() -> Samples {
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    let author = field(1, &[1; 32]);
    let body = [field(1, b"a/b"), vec![0x10, 4], field(9, &[0]), field(10, &[9])].concat();
    vec![
        ("all_kinds", raw(0, &record_codec::encode(&sample_records()))),
        ("none", raw(0, &[])),
        ("author_twice", raw(0, &[author.repeat(2), field(2, &body)].concat())),
        ("no_author", raw(0, &field(2, &body))),
        ("tiny_records", raw(1, &field(2, &[]))),
        ("tiny_authors", raw(1, &field(1, &[]))),
        ("many_counters", raw(1, &field(2, &[field(9, &[0; 90]), field(10, &[1; 90])].concat()))),
        ("of_a_later_version", raw(0, &[author, field(2, &body), field(3, b"more"), vec![0x20, 1]].concat())),
        ("group", raw(0, &[0x1b, 0x1c])),
    ]
}

pub(super) fn vote_samples() -> Samples {
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    assert!(SignedVote::decode(signed_vote(&[]).into()).is_ok());
    vec![
        ("signed", raw(0, &sample_vote().encode())),
        ("body", raw(1, &[])),
        ("no", raw(1, &[vec![0x28, 2], field(6, b"it is needed"), vec![0x38, 5]].concat())),
        ("control", raw(1, &field(6, b"\x1b[2J"))),
        ("of_a_later_version", raw(1, &field(9, &[7; 500]))),
    ]
}

pub(super) fn lock_samples() -> Samples {
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    assert!(SignedLock::decode(signed_lock(&[]).into()).is_ok());
    vec![
        ("signed", raw(0, &sample_lock().encode())),
        ("end", raw(1, &[])),
        ("holds", raw(1, &[0x20, 100, 0x28, 50])),
        ("ends_before_it_begins", raw(1, &[0x20, 50, 0x28, 100])),
        ("leaves_its_folder", raw(1, &field(3, b"../x"))),
        ("of_a_later_version", raw(1, &field(9, &[7; 500]))),
    ]
}

fn sample_vote() -> SignedVote {
    let subject = Subject { library: library(), commit: CommitId([1; 32]), records_hash: [2; 32] };
    SignedVote::sign(&key(), subject, Verdict::No, "it is needed", 9)
}

fn sample_lock() -> SignedLock {
    let (holder, path) = (key().public(), tree_path("a/b"));
    let lock = Lock { library: library(), holder, path, holds_ms: 5, made_at_ms: 9, why: "x".to_owned() };
    SignedLock::sign(&key(), lock)
}

pub(super) fn message_samples() -> Samples {
    let library = library();
    let text = || "text".to_owned();
    let part = Part { len: 99, offset: 7, data: Bytes::from_static(b"part of a commit") };
    let api = Some(address("seed.example:8000"));
    let contents: Vec<ContentId> = vec![content(1), content(2)];
    let (file, path) = (ContentHash([3; 32]), tree_path("a/b"));
    let position = |author, seq| Position { author: node(author), seq, id: CommitId([author; 32]) };
    let frontier = Frontier::from_positions([position(1, 5), position(2, 1)]).expect("valid");
    let policy = Some(Policy { delete_votes: 2, ..Policy::default() });
    let completion = Completion::of((1, 2), (3, 4), 5).expect("valid");
    let peer = |n| ListedPeer { node: node(n), address: Some(address("192.0.2.1:8000")), name: text() };
    let messages = [
        (
            "hello",
            Message::Hello(Hello {
                major: 1,
                minor: 0,
                user: text(),
                password: text(),
                name: text(),
                api,
                reads_compressed: true,
                agent: text(),
            }),
        ),
        (
            "frontier",
            Message::Frontier(Standing {
                library,
                frontier,
                votes_digest: Some([1; 32]),
                policy,
                is_policy_taken_over: false,
                name: text(),
                guid: "g".to_owned(),
                grants_digest: Some([2; 32]),
            }),
        ),
        (
            "commits_request",
            Message::CommitsRequest {
                library,
                after: vec![After { author: node(1), seq: 0 }],
                without_files: false,
            },
        ),
        (
            "commit_piece",
            Message::CommitPiece(CommitPiece { library, author: node(1), seq: 1, part: part.clone() }),
        ),
        ("whole_commit", pieces_of(&signed(1, &sample_records()[..1])).next().expect("a part")),
        ("key_grants", Message::KeyGrants { library, grants: vec![sample_grant()] }),
        ("votes", Message::Votes { library, votes: vec![sample_vote()] }),
        ("seek", Message::Seek { library, contents: contents.clone() }),
        ("serving", Message::Serving { library, contents }),
        ("progress", Message::Progress(Progress { library, completion, activity: text() })),
        (
            "peer_list",
            Message::PeerList {
                peers: vec![peer(1), peer(2)],
                users: vec![ListedUser { name: text(), role: Role::Editor }],
            },
        ),
        ("flag", Message::Flag(Flag { library, path, file, source: Some(node(1)) })),
        ("lock", Message::Lock(sample_lock())),
        ("refusal", Message::Refusal(Refusal { library: None, code: RefusalCode::NotHere, why: text() })),
        (
            "recipe_request",
            Message::RecipeRequest(RecipeRequest {
                library,
                file,
                len: 5,
                detail: RecipeDetail::SlicesFromStart,
                ranges: vec![0..2, 3..5],
            }),
        ),
        ("compressed", Message::Compressed(Compressed { len: 9, data: vec![1; 3].into() })),
        ("recipe_piece", Message::RecipePiece(RecipePiece { library, file, part })),
        ("pack", Message::Pack { library, files: vec![b"x".to_vec().into(), b"yz".to_vec().into()] }),
    ];
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    let mut samples: Samples =
        messages.iter().map(|(name, message)| (*name, raw(0, &message.encode()))).collect();
    samples.extend([
        ("signed_votes", raw(1, &[])),
        ("votes_that_cannot_be_stored", raw(1, &field(9, &[7; 720]))),
        ("signed_lock", raw(2, &[0x20, 100, 0x28, 50])),
        ("tiny_positions", raw(0, &field(2, &field(2, b"").repeat(200)))),
        ("tiny_votes", raw(0, &field(5, &field(2, b"").repeat(200)))),
        ("tiny_peers", raw(0, &field(9, &field(1, b"").repeat(200)))),
        ("tiny_users", raw(0, &field(9, &field(2, b"").repeat(100)))),
    ]);
    samples
}

pub(super) fn assembly_samples() -> Samples {
    vec![
        ("in_parts", [0, 20, 0, 0].repeat(20)),
        ("one_after_the_other", [[0, 255, 0, 0].repeat(4), [1, 255, 0, 0].repeat(4)].concat()),
        ("another_commit_between", [[0, 9, 0, 0], [1, 9, 0, 0], [0, 255, 0, 0]].concat()),
        ("a_gap", [[0, 9, 0, 0], [0x20, 9, 1, 0], [0, 9, 0, 0]].concat()),
        ("another_length", [[0, 9, 0, 0], [0x40, 9, 1, 0]].concat()),
        ("another_number", [[0x10, 255, 1, 0], [0x10, 255, 1, 0]].concat()),
        ("another_byte", [[0x80, 255, 1, 0], [0, 255, 0, 0], [0, 255, 0, 0]].concat()),
    ]
}

/// Commits of one part and of several.
static COMMITS: LazyLock<[Commit; 2]> =
    LazyLock::new(|| [signed(1, &sample_records()), signed(2, &vec![sample_records(); 8].concat())]);

/// Slices of the input, and the bytes that are verified.
const COMMIT_TIMES: u64 = 4;
const VOTE_TIMES: u64 = 8;
/// A list that doubles while the old one is there, and the commit that is decoded of it.
const ASSEMBLY_TIMES: u64 = 6;
/// Lists of small structs, as other messages have them.
const MESSAGE_TIMES: u64 = 192;
/// Texts and counters: a counter of one byte stands for eight, in a list that doubles while the old one is there.
const RECORDS_TIMES: u64 = 40;
/// An empty record of two bytes stands for 300, in a list that doubles while the old one is there.
const RECORD_TIMES: u64 = 450;
/// What the greatest number of records takes, whatever stands in them.
const RECORDS_LEN: u64 = COMMIT_RECORDS_MAX as u64 * 2 * 300;
/// Longest list that is made of a repeated input, bytes.
const REPEATED_LEN: usize = 128 << 10;
