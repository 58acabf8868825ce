use proptest::prelude::*;
use swarm_core::manifest::SigningKey;

use super::*;
use crate::limits::GRANT_NODES_MAX;
use crate::{EpochKey, GrantDraft, Guid, Lock, Subject, Verdict};

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn lib(name: &str) -> LibraryKey {
    Guid::new(name).expect("a GUID").key()
}

fn sample_vote(library: LibraryKey, why: &str) -> SignedVote {
    let subject = Subject { library, commit: CommitId([1; 32]), records_hash: [2; 32] };
    SignedVote::sign(&key(), subject, Verdict::Yes, why, u64::MAX)
}

fn numbered(number: u16) -> NodeId {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&number.to_le_bytes());
    NodeId::from_bytes(bytes)
}

fn longest_address() -> Address {
    let label = "a".repeat(62);
    let host = [label.as_str(); 4].join(".");
    format!("{host}:65535").parse().expect("an address")
}

fn longest_grant(library: LibraryKey) -> SignedGrant {
    let nodes: Vec<_> =
        (0..GRANT_NODES_MAX as u8).map(|at| (SigningKey::from_seed(&[at; 32]).public(), [at; 32])).collect();
    let removed = nodes.iter().map(|(node, _)| *node).collect();
    let key = EpochKey::from_bytes([1; 32]);
    let (removed, nodes) = (&removed, nodes.as_slice());
    let draft = GrantDraft { library, epoch: u32::MAX, key: &key, removed, nodes, made_at_ms: u64::MAX };
    SignedGrant::sign(&self::key(), &draft).expect("signed")
}

/// The longest of each message that has a list.
fn longest() -> Vec<Message> {
    let library = lib("a");
    let position = |number| Position { author: numbered(number), seq: SEQ_MAX, id: CommitId([1; 32]) };
    let all = 0..AUTHORS_MAX as u16;
    let policy = Policy {
        delete_votes: u32::MAX,
        move_votes: u32::MAX,
        bulk_changes: u32::MAX,
        bulk_votes: u32::MAX,
        expiry_days: u32::MAX,
        refused_by_one: true,
    };
    let name = "n".repeat(LISTED_NAME_LEN_MAX);
    let peer = ListedPeer { node: numbered(1), address: Some(longest_address()), name: name.clone() };
    let lock = Lock {
        library,
        holder: key().public(),
        path: TreePath::new(vec!["p".repeat(255); 16].join("/")).expect("a path"),
        holds_ms: u64::MAX,
        made_at_ms: u64::MAX,
        why: "w".repeat(WHY_LEN_MAX),
    };
    vec![
        Message::Frontier(Standing {
            library,
            frontier: Frontier::from_positions(all.clone().map(position)).expect("valid"),
            votes_digest: Some([1; 32]),
            policy: Some(policy),
            is_policy_taken_over: true,
            name: "Lib 1".to_owned(),
            guid: "jdfhdhdbe484746".to_owned(),
            grants_digest: Some([1; 32]),
        }),
        Message::KeyGrants { library, grants: vec![longest_grant(library); GRANTS_PER_FRAME_MAX] },
        Message::CommitsRequest {
            library,
            after: all.map(|number| After { author: numbered(number), seq: SEQ_MAX }).collect(),
            without_files: true,
        },
        Message::Votes {
            library,
            votes: vec![sample_vote(library, &"w".repeat(WHY_LEN_MAX)); VOTES_PER_FRAME_MAX],
        },
        Message::Seek { library, contents: vec![ContentId::from_bytes([1; 32]); SEEK_CONTENTS_MAX] },
        Message::PeerList {
            peers: vec![peer; LISTED_PEERS_MAX],
            users: vec![ListedUser { name, role: Role::Viewer }; LISTED_USERS_MAX],
        },
        Message::Lock(SignedLock::sign(&key(), lock)),
        Message::CommitPiece(CommitPiece {
            library,
            author: numbered(1),
            seq: SEQ_MAX,
            part: Part { len: COMMIT_LEN_MAX as u32, offset: 0, data: vec![1; PIECE_LEN].into() },
        }),
    ]
}

#[test]
fn the_longest_messages_fit_in_a_frame() {
    for message in longest() {
        let frame = message.encode();
        assert!(frame.len() <= FRAME_LEN_MAX, "{} bytes", frame.len());
        assert_eq!(Message::decode(frame), Ok(Some(message)));
    }
}

fn check_refused(message: Message, expected: WireError) {
    assert_eq!(Message::decode(message.encode()), Err(expected));
}

#[test]
fn what_is_over_a_limit_is_refused() {
    let library = lib("a");
    let content = ContentId::from_bytes([1; 32]);
    let contents = vec![content; SEEK_CONTENTS_MAX + 1];
    check_refused(Message::Seek { library, contents: contents.clone() }, WireError::Field("contents"));
    check_refused(Message::Serving { library, contents }, WireError::Field("contents"));
    let peer = ListedPeer { node: numbered(1), address: None, name: String::new() };
    let peers = vec![peer; LISTED_PEERS_MAX + 1];
    check_refused(Message::PeerList { peers, users: vec![] }, WireError::Field("peers"));
    let user = ListedUser { name: String::new(), role: Role::Viewer };
    let users = vec![user; LISTED_USERS_MAX + 1];
    check_refused(Message::PeerList { peers: vec![], users }, WireError::Field("users"));
    let votes = vec![sample_vote(library, ""); VOTES_PER_FRAME_MAX + 1];
    check_refused(Message::Votes { library, votes }, WireError::Field("votes"));
    let after = |number| After { author: numbered(number), seq: 0 };
    let all = (0..=AUTHORS_MAX as u16).map(after).collect();
    let request = |after| Message::CommitsRequest { library, after, without_files: false };
    check_refused(request(all), WireError::Field("after"));
    let twice = vec![after(1), after(1)];
    check_refused(request(twice), WireError::Field("after"));
    let file = ContentHash([1; 32]);
    let recipe = |len, ranges: &[(u64, u64)]| {
        let ranges = ranges.iter().map(|&(start, end)| start..end).collect();
        let detail = RecipeDetail::Pieces;
        Message::RecipeRequest(RecipeRequest { library, file, len, detail, ranges })
    };
    check_refused(recipe(u64::MAX, &[(0, 1)]), WireError::Field("len"));
    let many: Vec<(u64, u64)> = (0..=RECIPE_RANGES_MAX as u64).map(|at| (2 * at, 2 * at + 1)).collect();
    let wide = [(0, RECIPE_SPAN_MAX), (RECIPE_SPAN_MAX + 1, RECIPE_SPAN_MAX + 2)];
    for ranges in [&[][..], &[(3, 3)], &[(5, 9)], &[(1, 2), (2, 3)], &many, &wide] {
        let len = if ranges.len() == 1 { 8 } else { RECIPE_SPAN_MAX * 2 };
        check_refused(recipe(len, ranges), WireError::Field("ranges"));
    }
    let (detail, ranges) = (RecipeDetail::SlicesFromStart, std::iter::once(0..SLICED_LEN_MAX + 1).collect());
    let sliced = RecipeRequest { library, file, len: SLICED_LEN_MAX * 2, detail, ranges };
    check_refused(Message::RecipeRequest(sliced), WireError::Field("ranges"));
    let long = Bytes::from(vec![0; FRAME_LEN_MAX + 1]);
    assert_eq!(Message::decode(long), Err(WireError::FrameTooLong(FRAME_LEN_MAX + 1)));
}

#[test]
fn a_part_is_within_its_whole() {
    let check = |len, offset, data_len, expected: Result<(), &'static str>| {
        let data = vec![1; data_len].into();
        let part = Part { len, offset, data };
        let piece = CommitPiece { library: lib("a"), author: numbered(1), seq: 1, part };
        let decoded = Message::decode(Message::CommitPiece(piece.clone()).encode());
        let expected = expected.map(|()| Some(Message::CommitPiece(piece))).map_err(WireError::Field);
        assert_eq!(decoded, expected, "{len} {offset} {data_len}");
    };
    check(10, 0, 10, Ok(()));
    check(10, 4, 6, Ok(()));
    check(10, 4, 7, Err("offset"));
    check(10, u32::MAX, 1, Err("offset"));
    check(10, 0, 0, Err("data"));
    check(COMMIT_LEN_MAX as u32, 0, PIECE_LEN, Ok(()));
    check(COMMIT_LEN_MAX as u32, 0, PIECE_LEN + 1, Err("data"));
    check(COMMIT_LEN_MAX as u32 + 1, 0, 1, Err("len"));
}

#[test]
fn a_vote_for_another_library_is_not_let_in() {
    let votes = vec![sample_vote(lib("b"), "")];
    check_refused(Message::Votes { library: lib("a"), votes }, WireError::Field("library of a vote"));
}

#[test]
fn texts_are_cut_by_the_sender_and_refused_by_the_receiver() {
    let refusal = |why: &str| Refusal { library: None, code: RefusalCode::TooMuch, why: why.to_owned() };
    let sent = Message::Refusal(refusal(&"w\n".repeat(WHY_LEN_MAX)));
    let read = Message::decode(sent.encode());
    assert_eq!(read, Ok(Some(Message::Refusal(refusal(&"w ".repeat(WHY_LEN_MAX / 2))))));
    let raw = |why: String| {
        let refusal = proto::Refusal { library: Bytes::new(), code: 4, why };
        proto::LibraryFrame { message: Some(Proto::Refusal(refusal)) }.encode_to_vec()
    };
    for why in ["w".repeat(WHY_LEN_MAX + 1), "\u{1b}[2J".to_owned()] {
        assert_eq!(Message::decode(raw(why).into()), Err(WireError::Field("why")));
    }
}

#[test]
fn what_a_later_version_says_is_passed_over() {
    // Field 99, 3 bytes.
    assert_eq!(Message::decode(Bytes::from_static(&[0x9a, 0x06, 3, 1, 2, 3])), Ok(None));
    let code =
        |code| Refusal::from_proto(proto::Refusal { code, ..Default::default() }).map(|read| read.code);
    assert_eq!([code(3), code(77)], [Ok(RefusalCode::NotHere), Ok(RefusalCode::Other)]);
    let user = |role: &str| proto::ListedUser { name: String::new(), role: role.to_owned() };
    let role = |text: &str| ListedUser::from_proto(&user(text)).map(|read| read.role);
    assert_eq!([role("admin"), role("curator")], [Ok(Role::Admin), Ok(Role::Viewer)]);
}

#[test]
fn a_password_is_not_shown() {
    let hello = Hello {
        major: 1,
        minor: 0,
        user: "me".to_owned(),
        password: "secret".to_owned(),
        name: String::new(),
        api: None,
        reads_compressed: false,
        agent: String::new(),
    };
    assert!(!format!("{:?}", Message::Hello(hello)).contains("secret"));
}

fn addresses() -> impl Strategy<Value = Option<Address>> {
    prop::option::of(any::<std::net::SocketAddrV4>().prop_filter_map("a port", |address| {
        (address.port() > 0).then(|| std::net::SocketAddr::from(address).into())
    }))
}

fn texts() -> impl Strategy<Value = String> {
    "[a-zäß -]{0,20}"
}

fn libraries() -> impl Strategy<Value = LibraryKey> {
    any::<[u8; 32]>().prop_filter_map("32 bytes", |bytes| LibraryKey::from_slice(&bytes))
}

fn hashes() -> impl Strategy<Value = ContentHash> {
    any::<[u8; 32]>().prop_map(ContentHash)
}

fn nodes() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId::from_bytes)
}

fn standings() -> impl Strategy<Value = Standing> {
    let position = (nodes(), 1..=SEQ_MAX, any::<[u8; 32]>()).prop_map(|(author, seq, id)| Position {
        author,
        seq,
        id: CommitId(id),
    });
    let policy = (any::<[u32; 5]>(), any::<bool>()).prop_map(|(n, refused_by_one)| Policy {
        delete_votes: n[0],
        move_votes: n[1],
        bulk_changes: n[2],
        bulk_votes: n[3],
        expiry_days: n[4],
        refused_by_one,
    });
    let digest = prop::option::of(any::<[u8; 32]>());
    let positions = prop::collection::vec(position, 0..5);
    (libraries(), positions, digest, prop::option::of(policy), any::<bool>()).prop_filter_map(
        "distinct authors",
        |(library, positions, votes_digest, policy, is_policy_taken_over)| {
            let frontier = Frontier::from_positions(positions)?;
            let (name, guid) = ("films".to_owned(), "g".to_owned());
            let grants_digest = votes_digest.map(|digest| [digest[0]; 32]);
            Some(Standing {
                library,
                frontier,
                votes_digest,
                policy,
                is_policy_taken_over,
                name,
                guid,
                grants_digest,
            })
        },
    )
}

fn parts() -> impl Strategy<Value = Part> {
    (prop::collection::vec(any::<u8>(), 1..50), 0..1000u32, 0..1000u32).prop_map(|(data, offset, rest)| {
        Part { len: offset + data.len() as u32 + rest, offset, data: data.into() }
    })
}

fn lists() -> impl Strategy<Value = Message> {
    let peer =
        (nodes(), addresses(), texts()).prop_map(|(node, address, name)| ListedPeer { node, address, name });
    let user = (texts(), prop::sample::select(Role::ALL.to_vec()))
        .prop_map(|(name, role)| ListedUser { name, role });
    (prop::collection::vec(peer, 0..4), prop::collection::vec(user, 0..4))
        .prop_map(|(peers, users)| Message::PeerList { peers, users })
}

fn messages() -> impl Strategy<Value = Message> {
    let hello = (any::<[u32; 2]>(), texts(), texts(), texts(), texts(), addresses()).prop_map(
        |([major, minor], user, password, name, agent, api)| {
            let reads_compressed = minor % 2 == 1;
            Message::Hello(Hello { major, minor, user, password, name, api, reads_compressed, agent })
        },
    );
    let after = (nodes(), 0..=SEQ_MAX).prop_map(|(author, seq)| After { author, seq });
    let request = (libraries(), prop::collection::vec(after, 0..4), any::<bool>()).prop_map(
        |(library, after, without_files)| Message::CommitsRequest { library, after, without_files },
    );
    let piece = (libraries(), nodes(), 1..=SEQ_MAX, parts()).prop_map(|(library, author, seq, part)| {
        Message::CommitPiece(CommitPiece { library, author, seq, part })
    });
    let votes = (libraries(), prop::collection::vec(texts(), 0..3)).prop_map(|(library, whys)| {
        let votes = whys.iter().map(|why| sample_vote(library, why)).collect();
        Message::Votes { library, votes }
    });
    let contents = prop::collection::vec(any::<[u8; 32]>().prop_map(ContentId::from_bytes), 0..4).boxed();
    let seek =
        (libraries(), contents.clone()).prop_map(|(library, contents)| Message::Seek { library, contents });
    let serving =
        (libraries(), contents).prop_map(|(library, contents)| Message::Serving { library, contents });
    let progress = (libraries(), any::<[u64; 5]>(), texts()).prop_map(|(library, n, activity)| {
        let pair = |one: u64, other: u64| (one.min(other), one.max(other));
        let completion = Completion::of(pair(n[0], n[1]), pair(n[2], n[3]), n[4]).expect("valid");
        Message::Progress(Progress { library, completion, activity })
    });
    let flag = (libraries(), "[a-z]{1,9}(/[a-z]{1,9}){0,3}", hashes(), prop::option::of(nodes())).prop_map(
        |(library, path, file, source)| {
            let path = TreePath::new(path).expect("a path");
            Message::Flag(Flag { library, path, file, source })
        },
    );
    let lock = (libraries(), "[a-z]{1,9}", any::<[u64; 2]>(), texts()).prop_map(
        |(library, path, [holds_ms, made_at_ms], why)| {
            let path = TreePath::new(path).expect("a path");
            let lock = Lock { library, holder: key().public(), path, holds_ms, made_at_ms, why };
            Message::Lock(SignedLock::sign(&key(), lock))
        },
    );
    let refusal = (prop::option::of(libraries()), prop::sample::select(RefusalCode::ALL.to_vec()), texts())
        .prop_map(|(library, code, why)| Message::Refusal(Refusal { library, code, why }));
    let lens = prop::collection::vec(1_u64..1 << 19, 2..20);
    let details = prop::sample::select(vec![
        RecipeDetail::Pieces,
        RecipeDetail::SlicesFromStart,
        RecipeDetail::SlicesFromBothEnds,
    ]);
    let recipe_request = (libraries(), hashes(), lens, details, 0..FILE_LEN_MAX / 2).prop_map(
        |(library, file, lens, detail, more)| {
            let ends = lens
                .iter()
                .scan(0, |end, len| {
                    *end += len;
                    Some(*end)
                })
                .collect::<Vec<u64>>();
            let ranges: Vec<_> = ends.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let len = ranges.last().expect("one at least").end + more;
            Message::RecipeRequest(RecipeRequest { library, file, len, detail, ranges })
        },
    );
    let recipe_piece = (libraries(), hashes(), parts())
        .prop_map(|(library, file, part)| Message::RecipePiece(RecipePiece { library, file, part }));
    let grants = (libraries(), any::<[u8; 3]>(), any::<[u32; 2]>()).prop_map(|(library, bytes, numbers)| {
        let nodes = [(SigningKey::from_seed(&[bytes[0]; 32]).public(), [bytes[1]; 32])];
        let (removed, key) = (BTreeSet::from([nodes[0].0]), EpochKey::from_bytes([bytes[2]; 32]));
        let (epoch, made_at_ms) = (numbers[0].max(1), numbers[1].into());
        let draft = GrantDraft { library, epoch, key: &key, removed: &removed, nodes: &nodes, made_at_ms };
        Message::KeyGrants { library, grants: vec![SignedGrant::sign(&self::key(), &draft).expect("signed")] }
    });
    let file = prop::collection::vec(any::<u8>(), 1..40).prop_map(bytes::Bytes::from);
    let pack = (libraries(), prop::collection::vec(file, 0..4))
        .prop_map(|(library, files)| Message::Pack { library, files });
    prop_oneof![
        hello,
        standings().prop_map(Message::Frontier),
        request,
        piece,
        votes,
        seek,
        serving,
        progress,
        lists(),
        flag,
        lock,
        refusal,
        recipe_request,
        recipe_piece,
        grants,
        pack,
    ]
}

proptest! {
    #[test]
    fn every_message_survives_the_wire(message in messages()) {
        prop_assert_eq!(Message::decode(message.encode()), Ok(Some(message)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::decode(bytes.into());
    }
}
