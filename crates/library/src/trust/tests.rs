use std::collections::BTreeSet;
use std::fmt::Write as _;

use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;
use swarm_sync::{ContentHash, TreePath};

use super::*;
use crate::wire::{
    CommitPiece, Flag, Hello, ListedPeer, ListedUser, Part, Progress, RecipeDetail, RecipePiece,
    RecipeRequest, Refusal,
};
use crate::wire::{Compressed, RefusalCode, Standing};
use crate::{
    CommitId, Completion, EpochKey, Frontier, GrantDraft, Guid, LibraryKey, Lock, Policy, SignedGrant,
    SignedLock, SignedVote, Subject, Verdict,
};

const TRUSTS: [Trust; 3] = [Trust::Trusted, Trust::Untrusted, Trust::Mirror];

/// Columns are trust of the author and below it of the relay; `x` counts.
const COUNTS: &str = "
author                  Trusted  Untrusted  Mirror
relay                   T U M    T U M      T U M
admin  ReadFiles        x . .    . x .      . . x
admin  Relay            x . .    . x .      . . x
admin  ReadPeers        x . .    . x .      . . .
admin  ReadVotes        x . .    . x .      . . .
admin  ReadUsers        x . .    . . .      . . .
admin  Write            x x x    . . .      . . .
admin  Delete           x x x    . . .      . . .
admin  Vote             x x x    . . .      . . .
admin  Lock             x x x    . . .      . . .
admin  ListPeers        x . .    . . .      . . .
admin  ProposeUsers     x . .    . . .      . . .
admin  Administer       x . .    . . .      . . .
editor ReadFiles        x . .    . x .      . . x
editor Relay            x . .    . x .      . . x
editor ReadPeers        x . .    . x .      . . .
editor ReadVotes        x . .    . x .      . . .
editor ReadUsers        x . .    . . .      . . .
editor Write            x x x    . . .      . . .
editor Delete           x x x    . . .      . . .
editor Vote             x x x    . . .      . . .
editor Lock             x x x    . . .      . . .
editor ListPeers        x . .    . . .      . . .
editor ProposeUsers     x . .    . . .      . . .
editor Administer       . . .    . . .      . . .
viewer ReadFiles        x . .    . x .      . . x
viewer Relay            x . .    . x .      . . x
viewer ReadPeers        x . .    . x .      . . .
viewer ReadVotes        x . .    . x .      . . .
viewer ReadUsers        . . .    . . .      . . .
viewer Write            . . .    . . .      . . .
viewer Delete           . . .    . . .      . . .
viewer Vote             . . .    . . .      . . .
viewer Lock             . . .    . . .      . . .
viewer ListPeers        . . .    . . .      . . .
viewer ProposeUsers     . . .    . . .      . . .
viewer Administer       . . .    . . .      . . .
mirror ReadFiles        x . .    . x .      . . x
mirror Relay            x . .    . x .      . . x
mirror ReadPeers        . . .    . . .      . . .
mirror ReadVotes        . . .    . . .      . . .
mirror ReadUsers        . . .    . . .      . . .
mirror Write            . . .    . . .      . . .
mirror Delete           . . .    . . .      . . .
mirror Vote             . . .    . . .      . . .
mirror Lock             . . .    . . .      . . .
mirror ListPeers        . . .    . . .      . . .
mirror ProposeUsers     . . .    . . .      . . .
mirror Administer       . . .    . . .      . . .
";

#[test]
fn what_counts_is_this_table() {
    let mut table = COUNTS.lines().take(3).collect::<Vec<_>>().join("\n") + "\n";
    for role in Role::ALL {
        for permission in Permission::ALL {
            let row = TRUSTS.map(|author| {
                let cell = |relay| if counts(author, relay, role, permission) { "x" } else { "." };
                TRUSTS.map(cell).join(" ")
            });
            let name = format!("{permission:?}");
            let [trusted, untrusted, mirror] = row;
            writeln!(table, "{:6} {name:16} {trusted}    {untrusted}      {mirror}", role.as_str())
                .expect("a string");
        }
    }
    assert_eq!(table, COUNTS, "\n{table}");
}

#[test]
fn an_untrusted_author_changes_nothing_and_the_relay_of_a_trusted_one_makes_no_difference() {
    let changes = [Permission::Write, Permission::Delete, Permission::Vote, Permission::Lock];
    for relay in TRUSTS {
        for role in Role::ALL {
            for permission in changes {
                let expected = matches!(role, Role::Admin | Role::Editor);
                assert_eq!(counts(Trust::Trusted, relay, role, permission), expected);
                assert!(!counts(Trust::Untrusted, relay, role, permission));
                assert!(!counts(Trust::Mirror, relay, role, permission));
            }
        }
    }
}

#[test]
fn a_role_has_one_name() {
    for role in Role::ALL {
        assert_eq!(Role::from_name(role.as_str()), Some(role));
    }
    assert_eq!(Role::from_name("Admin"), None);
}

fn library() -> LibraryKey {
    Guid::new("a").expect("a GUID").key()
}

/// One of each message, with all that it may hold.
fn messages() -> Vec<(&'static str, Message)> {
    let (library, node) = (library(), NodeId::from_bytes([1; 32]));
    let key = SigningKey::from_seed(&[1; 32]);
    let (file, path) = (ContentHash([1; 32]), TreePath::new("a").expect("a path"));
    let text = || "text".to_owned();
    let part = Part { len: 1, offset: 0, data: vec![1].into() };
    let subject = Subject { library, commit: CommitId([1; 32]), records_hash: [2; 32] };
    let votes = vec![SignedVote::sign(&key, subject, Verdict::Yes, "", 1)];
    let lock = Lock { library, holder: node, path: path.clone(), holds_ms: 1, made_at_ms: 1, why: text() };
    let (frontier, policy) = (Frontier::default(), Some(Policy::default()));
    let standing = Standing {
        library,
        frontier,
        votes_digest: Some([1; 32]),
        policy,
        is_policy_taken_over: false,
        name: "films".to_owned(),
        guid: "g".to_owned(),
        grants_digest: Some([1; 32]),
    };
    let grant = GrantDraft {
        library,
        epoch: 1,
        key: &EpochKey::from_bytes([1; 32]),
        removed: &BTreeSet::new(),
        nodes: &[],
        made_at_ms: 1,
    };
    let grants = vec![SignedGrant::sign(&key, &grant).expect("signed")];
    let progress = Progress { library, completion: Completion::default(), activity: text() };
    let api = None;
    vec![
        (
            "Hello",
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
        ("Frontier", Message::Frontier(standing)),
        ("CommitsRequest", Message::CommitsRequest { library, after: vec![], without_files: false }),
        (
            "CommitPiece",
            Message::CommitPiece(CommitPiece { library, author: node, seq: 1, part: part.clone() }),
        ),
        ("Votes", Message::Votes { library, votes }),
        ("Seek", Message::Seek { library, contents: vec![] }),
        ("Serving", Message::Serving { library, contents: vec![] }),
        ("Progress", Message::Progress(progress)),
        (
            "PeerList",
            Message::PeerList {
                peers: vec![ListedPeer { node, address: None, name: text() }],
                users: vec![ListedUser { name: text(), role: Role::Editor }],
            },
        ),
        ("Flag", Message::Flag(Flag { library, path, file, source: None })),
        ("Lock", Message::Lock(SignedLock::sign(&key, lock))),
        ("Refusal", Message::Refusal(Refusal { library: None, code: RefusalCode::NotHere, why: text() })),
        (
            "RecipeRequest",
            Message::RecipeRequest(RecipeRequest {
                library,
                file,
                len: 1,
                detail: RecipeDetail::Pieces,
                ranges: std::iter::once(0..1).collect(),
            }),
        ),
        ("RecipePiece", Message::RecipePiece(RecipePiece { library, file, part })),
        ("Compressed", Message::Compressed(Compressed { len: 1, data: vec![1].into() })),
        ("KeyGrants", Message::KeyGrants { library, grants }),
    ]
}

/// What a peer of each role is told (`all`, `some` of it, or `.`), and whether it is heard.
const TOLD: &str = "
                admin    editor   viewer   mirror
Hello           all x    all x    all x    all x
Frontier        all x    all x    all x    some x
CommitsRequest  all x    all x    all x    all x
CommitPiece     all x    all x    all x    all x
Votes           all x    all x    all x    . .
Seek            all x    all x    all x    all x
Serving         all x    all x    all x    all x
Progress        all x    all x    all x    some x
PeerList        all x    all x    some .   . .
Flag            all x    all x    all x    . x
Lock            all x    all x    all x    . .
Refusal         all x    all x    all x    all x
RecipeRequest   all x    all x    all x    all x
RecipePiece     all x    all x    all x    all x
Compressed      all x    all x    all x    all x
KeyGrants       all x    all x    all x    all x
";

#[test]
fn a_mirror_learns_neither_users_nor_peers_nor_votes_nor_policies() {
    let mut table = TOLD.lines().take(2).collect::<Vec<_>>().join("\n") + "\n";
    for (name, message) in messages() {
        let cell = |role| {
            let told = match message.clone().for_role(role) {
                None => ".",
                Some(told) if told == message => "all",
                Some(_) => "some",
            };
            let heard = if message.is_heard_from(role) { "x" } else { "." };
            format!("{:9}", format!("{told} {heard}"))
        };
        let row = Role::ALL.map(cell).concat();
        writeln!(table, "{}", format!("{name:16}{row}").trim_end()).expect("a string");
    }
    assert_eq!(table, TOLD, "\n{table}");
}

#[test]
fn what_a_message_loses_on_its_way_is_what_its_receiver_may_not_know() {
    for (_, message) in messages() {
        match message.for_role(Role::Mirror) {
            Some(Message::Frontier(standing)) => {
                assert_eq!((standing.votes_digest, standing.policy), (None, None));
            }
            Some(Message::Progress(progress)) => assert_eq!(progress.activity, ""),
            Some(_) | None => {}
        }
    }
    let (_, list) = messages().swap_remove(8);
    let Some(Message::PeerList { peers, users }) = list.for_role(Role::Viewer) else { panic!("a list") };
    assert_eq!((peers.len(), users.len()), (1, 0));
}
