//! Authors and relays that the daemon trusts, and that do what no author does.

use std::fs;

use bytes::Bytes;
use serde_json::json;
use swarm_library::{Commit, Message, SignedVote, State, Subject, Verdict, pieces_of};
use swarm_sync::{ContentHash, FileContent, Kind};

use super::{Author, Victim, end_of, library, live, say, say_commit};
use crate::support::{Hostile, Role};

/// Whether the daemon tells of this.
fn tells(victim: &Victim, issue: &str) -> bool {
    let errors = victim.status()["errors"].clone();
    errors.as_array().expect("a list").iter().any(|error| error["issue"] == issue)
}

#[test]
fn a_commit_whose_signature_is_forged_costs_the_link() {
    let relay = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&relay]);
    let (mut author, mut other) = (Author::of(&victim.honest), Author::of(&relay));
    let (of_author, of_relay) = (author.add("forged"), other.add("other"));
    // The relay's signature below the honest author's header.
    let (encoded, own) = (of_author.encode(), of_relay.encode());
    let at = |bytes: &Bytes, commit: &Commit| bytes.len() - commit.encoded_records().len() - 64 - 8;
    let mut forged = encoded.to_vec();
    let (to, from) = (at(&encoded, &of_author), at(&own, &of_relay));
    forged[to..to + 64].copy_from_slice(&own[from..from + 64]);
    let mut talk = victim.dial(&relay);
    relay.run(async {
        for piece in pieces_of(&of_author) {
            let Message::CommitPiece(mut piece) = piece else { continue };
            piece.part.data = Bytes::from(forged.clone());
            say(&mut talk, &Message::CommitPiece(piece)).await;
        }
    });
    let end = end_of(&relay, &mut talk);
    assert!(end.contains("commit"), "{end}");
    assert_eq!(victim.commits(), 0);
    let settled = victim.settle("a forged signature below a commit");
    settled.logged(Some(relay.node()), "a link about libraries is gone");
}

#[test]
fn an_author_with_two_histories_is_named_and_goes_no_further() {
    let hostile = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&hostile]);
    let (mut one, mut other) = (Author::of(&hostile), Author::of(&hostile));
    one.add("first");
    other.add("second");
    other.add("after the second");
    let mut talk = victim.dial(&hostile);
    hostile.run(async { say_commit(&mut talk, &one.commits[0]).await });
    victim.until("the first history is taken", |victim| victim.path("first").is_dir());
    hostile.run(async {
        for commit in &other.commits {
            say_commit(&mut talk, commit).await;
        }
    });
    victim.until("it is told", |victim| tells(victim, "equivocation"));
    let author = hostile.node();
    assert!(!victim.path("second").exists() && !victim.path("after the second").exists());
    assert!(victim.path("first").is_dir(), "what came first stays");
    victim.settle("an author that signs two histories").logged(Some(author), "signed two histories");
}

#[test]
fn replayed_commits_and_votes_count_once() {
    let hostile = Hostile::in_role(1, Role::Library);
    let victim = Victim::with(&[&hostile], &json!({"delete": 3}));
    let mut author = Author::of(&hostile);
    author.add("kept");
    let deletion = author.sign(&[author.record("kept", State::Deleted)]);
    let mut talk = victim.dial(&hostile);
    hostile.run(async {
        for commit in &author.commits {
            say_commit(&mut talk, commit).await;
        }
    });
    victim.until("the deletion waits", |victim| victim.status()["libraries"][0]["proposals"] == 1);
    hostile.run(async {
        let vote = |at| SignedVote::sign(&hostile.signing(), Subject::of(&deletion), Verdict::Yes, "", at);
        for round in 0..200u64 {
            for commit in &author.commits {
                say_commit(&mut talk, commit).await;
            }
            let votes = (0..100).map(|number| vote(round * 50 + number)).collect();
            say(&mut talk, &Message::Votes { library: library(), votes }).await;
        }
    });
    assert_eq!(victim.commits(), 2);
    victim.goes_on();
    assert!(victim.path("kept").is_dir(), "one node is one voice");
    assert_eq!(victim.status()["libraries"][0]["proposals"], 1);
    victim.settle("commits and votes again and again").passed("one vote, two commits");
}

#[test]
fn commits_with_records_that_no_author_makes_count_for_nothing() {
    let hostile = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&hostile]);
    let mut author = Author::of(&hostile);
    let records = [author.record("x", live(Kind::Folder))];
    let wrong: [&[u8]; 3] = [b"", &[0xff; 300], &[0x0a; 4000]];
    for bytes in wrong {
        let commit =
            Commit::sign_encoded(&author.key, &author.draft(&records), Bytes::copy_from_slice(bytes), 0);
        author.commits.push(commit.expect("it is short"));
    }
    author.add("after them");
    victim.give(&hostile, &author);
    victim.until("what came after is taken", |victim| victim.path("after them").is_dir());
    assert!(!victim.path("x").exists());
    victim.settle("records outside of the limits").logged(Some(hostile.node()), "a commit is not taken");
}

#[test]
fn packs_with_wrong_bytes_become_no_file() {
    let hostile = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&hostile]);
    let mut author = Author::of(&hostile);
    let hash = ContentHash::of(b"what is right");
    let file = Kind::File(FileContent { len: 13, hash, executable: false });
    let commit = author.sign(&[author.record("file", live(file))]);
    let mut talk = victim.dial(&hostile);
    let wrong = || vec![Bytes::from_static(b"what is wrong"); 200];
    hostile.run(async {
        for _ in 0..500 {
            say(&mut talk, &Message::Pack { library: library(), files: wrong() }).await;
        }
        say_commit(&mut talk, &commit).await;
        say(&mut talk, &Message::Pack { library: library(), files: wrong() }).await;
    });
    victim.until("the file is known", |victim| victim.status()["libraries"][0]["files"] == 1);
    assert!(!victim.path("file").exists());
    let right = vec![Bytes::from_static(b"what is right")];
    hostile.run(async { say(&mut talk, &Message::Pack { library: library(), files: right }).await });
    victim.until("the file is there", |victim| victim.path("file").exists());
    assert_eq!(fs::read(victim.path("file")).expect("it is there"), b"what is right");
    victim.settle("packs with wrong bytes").passed("no wrong byte on the disk");
}

#[test]
fn a_relay_that_invents_authors_takes_no_place_of_those_that_count() {
    let relay = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[&relay]);
    let commits: Vec<Commit> = (0..INVENTED).map(|number| Author::numbered(number).add("x")).collect();
    let mut talk = victim.dial(&relay);
    relay.run(async {
        for commit in &commits {
            say_commit(&mut talk, commit).await;
        }
    });
    let mut author = Author::of(&relay);
    author.add("of the relay itself");
    // On the same link: all that came before was taken, or was not.
    relay.run(async { say_commit(&mut talk, &author.commits[0]).await });
    victim.until("the relay counts itself", |victim| victim.path("of the relay itself").is_dir());
    let kept = victim.commits();
    assert!(kept > 1 && kept < u64::from(INVENTED), "{kept} commits are kept of {INVENTED}");
    assert!(!victim.path("x").exists());
    victim.settle("commits of 1100 invented authors").passed(&format!("{kept} kept, none counts"));
}

/// More than a frontier names.
const INVENTED: u32 = 1100;
