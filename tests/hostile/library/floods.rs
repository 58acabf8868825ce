//! More of everything than a daemon is to be told.

use std::time::Duration;

use bytes::Bytes;
use swarm_core::base::{ContentId, NodeId};
use swarm_library::wire::{
    CommitPiece, Flag, ListedPeer, ListedUser, Part, Progress, RecipeDetail, RecipePiece, RecipeRequest,
    Refusal, RefusalCode,
};
use swarm_library::{
    After, CommitId, Completion, Guid, Lock, Message, Position, Role as UserRole, SignedLock, SignedVote,
    Subject, Verdict,
};
use swarm_sync::{ContentHash, TreePath};

use super::{Author, Victim, library, say, say_commit, standing};
use crate::support::{Hostile, Role, Spent, flood, framed};

fn hash(number: u32) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

fn node(number: u32) -> NodeId {
    NodeId::from_bytes(hash(number))
}

fn positions(first: u32) -> impl Iterator<Item = Position> {
    (first..first + 1024).map(|number| Position {
        author: node(number),
        seq: 1 << 40,
        id: CommitId(hash(number)),
    })
}

/// One of every kind, as large as it may be, and different for each number.
fn messages(hostile: &Hostile, author: &Author, number: u32) -> Vec<Message> {
    let (of, file) = (library(), ContentHash(hash(number)));
    let path = || TreePath::new(format!("path {number}")).expect("a path");
    let commit = &author.commits[0];
    let vote = SignedVote::sign(&hostile.signing(), Subject::of(commit), Verdict::No, "", u64::from(number));
    let lock = Lock {
        library: of,
        holder: hostile.node(),
        path: path(),
        holds_ms: 1 << 20,
        made_at_ms: 1 << 40,
        why: "w".repeat(400),
    };
    let contents = || (0..256).map(|at| ContentId::from_bytes(hash(number * 256 + at))).collect();
    let part = || Part { len: 8 << 20, offset: 0, data: Bytes::from(vec![7; 60_000]) };
    let listed = |at| ListedPeer {
        node: node(number * 9 + at),
        address: "127.0.0.1:9".parse().ok(),
        name: "n".repeat(90),
    };
    let after = (0..1024)
        .map(|at| After { author: node(at), seq: 0 })
        .chain([After { author: author.key.public(), seq: 0 }])
        .skip(1)
        .collect();
    vec![
        standing(of, positions(number % 3)),
        Message::CommitsRequest { library: of, after, without_files: false },
        Message::Votes { library: of, votes: vec![vote; 100] },
        Message::Seek { library: of, contents: contents() },
        Message::Serving { library: of, contents: contents() },
        Message::Progress(Progress {
            library: of,
            completion: Completion::default(),
            activity: "a".repeat(1000),
        }),
        Message::PeerList {
            peers: (0..200).map(listed).collect(),
            users: vec![ListedUser { name: "root".to_owned(), role: UserRole::Admin }; 100],
        },
        Message::Flag(Flag { library: of, path: path(), file, source: None }),
        Message::Lock(SignedLock::sign(&hostile.signing(), lock)),
        Message::Refusal(Refusal { library: Some(of), code: RefusalCode::Other, why: "why".repeat(100) }),
        Message::RecipeRequest(RecipeRequest {
            library: of,
            file,
            len: 1 << 40,
            detail: RecipeDetail::SlicesFromBothEnds,
            ranges: vec![0..1 << 20, 1 << 30..(1 << 30) + 1],
        }),
        Message::Pack { library: of, files: vec![Bytes::from(vec![number as u8; 900]); 100] },
        Message::RecipePiece(RecipePiece { library: of, file, part: part() }),
        Message::KeyGrants { library: of, grants: Vec::new() },
        Message::CommitPiece(CommitPiece { library: of, author: node(number), seq: 1, part: part() }),
    ]
}

#[test]
fn floods_of_every_message_leave_a_daemon_as_it_is() {
    let hostile = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&hostile]);
    let mut author = Author::of(&hostile);
    author.add("of the flood");
    let kinds = messages(&hostile, &author, 0).len();
    for kind in 0..kinds {
        let frames: Vec<u8> =
            (0..20).flat_map(|number| framed(&messages(&hostile, &author, number)[kind].encode())).collect();
        let mut talk = victim.dial(&hostile);
        hostile.run(async {
            if kind == 0 {
                say_commit(&mut talk, &author.commits[0]).await;
            }
            flood(&mut talk, &frames, ROUNDS).await;
        });
        assert!(victim.try_status().is_some(), "it answers amid a flood of kind {kind}");
    }
    victim.until("its own commit is taken", |victim| victim.path("of the flood").is_dir());
    let more = Spent { peak_len: QUEUES_LEN, cpu: Duration::from_secs(30) };
    victim.settle("floods of every message").passed_beside(more, "the honest author's change came through");
}

#[test]
fn huge_frontiers_are_remembered_in_part() {
    let known = Hostile::in_role(1, Role::Library);
    let stranger = Hostile::in_role(2, Role::Library);
    let victim = Victim::new(&[&known]);
    for hostile in [&known, &stranger] {
        let mut talk = hostile.run(hostile.dialer().dial(victim.address)).expect("a link");
        hostile.run(async {
            say(&mut talk, &super::hello()).await;
            for number in 0..1024u32 {
                let guid = Guid::new(&format!("library{number}")).expect("a GUID");
                say(&mut talk, &standing(guid.key(), positions(number * 1024))).await;
            }
            say(&mut talk, &standing(library(), positions(0))).await;
        });
        victim.until("it was heard", |victim| victim.try_status().is_some());
    }
    victim.settle("frontiers of 1024 authors in 1024 libraries, twice").passed("4096 positions a peer");
}

#[test]
fn a_peer_that_asks_again_and_again_and_never_reads_costs_little() {
    let hostile = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&hostile]);
    let mut author = Author::of(&hostile);
    (0..200).for_each(|number| drop(author.add(&format!("folder {number}"))));
    let mut talk = victim.dial(&hostile);
    hostile.run(async {
        for commit in &author.commits {
            say_commit(&mut talk, commit).await;
        }
    });
    victim.until("all are taken", |victim| victim.commits() == 200);
    let after = vec![After { author: hostile.node(), seq: 0 }];
    let request =
        framed(&Message::CommitsRequest { library: library(), after, without_files: false }.encode())
            .repeat(5000);
    let narrow = hostile.narrow_dialer(1);
    drop(talk);
    let mut talk = hostile.run(narrow.dial(victim.address)).expect("a link");
    hostile.run(async {
        say(&mut talk, &super::hello()).await;
        talk.say_bytes(&request).await;
    });
    let settled = victim.settle("asks 5000 times, and never reads");
    settled.passed("one answer at a time is made");
    drop(talk);
}

/// What the queues of a daemon hold of the longest messages: 256 for the exchange, 64 for a library.
const QUEUES_LEN: u64 = 24 << 20;
/// Twenty messages each.
const ROUNDS: usize = 50;
