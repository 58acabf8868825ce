//! Nodes that the daemon never heard of.

use std::time::Duration;

use swarm_library::Message;
use swarm_library::wire::{Hello, PROTOCOL_MAJOR, PROTOCOL_MINOR, RefusalCode};

use super::{Author, Victim, end_of, hello, library, say, say_commit, standing};
use crate::support::{Hostile, Role, Spent};

#[test]
fn nothing_is_taken_from_a_stranger() {
    let stranger = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[]);
    let mut author = Author::of(&victim.honest);
    // Signed by one that counts: but who brings it is not known here.
    let commit = author.add("by a stranger");
    let progress = swarm_library::wire::Progress {
        library: library(),
        completion: swarm_library::Completion::default(),
        activity: String::new(),
    };
    let mut before = stranger.run(stranger.dialer().dial(victim.address)).expect("a link");
    stranger.run(async {
        say_commit(&mut before, &commit).await;
        say(&mut before, &Message::Progress(progress)).await;
    });
    assert!(end_of(&stranger, &mut before).contains("before Hello"));
    let mut talk = stranger.run(stranger.dialer().dial(victim.address)).expect("a link");
    let request = Message::CommitsRequest { library: library(), after: Vec::new(), without_files: false };
    stranger.run(async {
        say(&mut talk, &hello()).await;
        say(&mut talk, &standing(library(), super::last_of(&author.commits))).await;
        say_commit(&mut talk, &commit).await;
        say(&mut talk, &request).await;
        let refused = async {
            while let Some(frame) = talk.hear_frame().await {
                if let Ok(Some(Message::Refusal(_))) = Message::decode(frame) {
                    return;
                }
            }
        };
        // All that was said before was heard then.
        tokio::time::timeout(super::PATIENCE, refused).await.expect("it is refused");
    });
    assert_eq!(victim.commits(), 0);
    assert!(!victim.path("by a stranger").exists());
    victim.settle("commits that a stranger brings").logged(Some(stranger.node()), "something before Hello");
}

#[test]
fn a_link_that_never_says_hello_ends() {
    let stranger = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[]);
    let mut talk = stranger.run(stranger.dialer().dial(victim.address)).expect("a link");
    // A message of a later version: the control stream stands.
    stranger.run(async { talk.say_bytes(&crate::support::raw_message(99, b"x")).await });
    let end = end_of(&stranger, &mut talk);
    assert!(end.contains("does not greet"), "{end}");
    victim.settle("a link that never says Hello").logged(Some(stranger.node()), "does not greet");
}

#[test]
fn a_crowd_of_strangers_takes_no_place_of_a_peer() {
    let crowd = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[]);
    let (dialer, address) = (crowd.dialer(), victim.address);
    let links = crowd.run(async {
        let mut links = Vec::new();
        for number in 0..CROWD {
            let Some(mut talk) = dialer.with_key(10_000 + number).dial(address).await else { continue };
            say(&mut talk, &hello()).await;
            links.push(talk);
        }
        links
    });
    let status = victim.status();
    let shown = status["peers"].as_array().expect("a list").len();
    assert!(shown <= 65, "{shown} peers are shown");
    let count = links.len();
    let more = Spent { peak_len: u64::from(CROWD) * LINK_LEN, cpu: LINK_TIME * CROWD };
    let settled = victim.settle("2000 links of strangers");
    settled.passed_beside(more, &format!("{count} handshakes, {shown} kept, and the honest author came in"));
    drop(links);
}

#[test]
fn guesses_of_a_password_are_compared_a_few_at_a_time() {
    let crowd = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[]);
    let (dialer, address) = (crowd.dialer(), victim.address);
    let links = crowd.run(async {
        let mut links = Vec::new();
        for number in 0..60 {
            let mut talk = dialer.with_key(20_000 + number).dial(address).await.expect("a link");
            say(&mut talk, &as_user("anna", &format!("guess {number}"))).await;
            links.push(talk);
        }
        links
    });
    // A debug build takes longer for each comparison.
    let more = Spent { peak_len: 2 * PASSWORD_LEN, cpu: Duration::from_secs(60) };
    let settled = victim.settle("60 guesses of a password");
    settled.passed_beside(more, "nobody came in");
    drop(links);
}

#[test]
fn who_guesses_passwords_waits_leaves_a_line_and_hears_the_same_of_every_name() {
    let crowd = Hostile::in_role(1, Role::Library);
    let victim = Victim::new(&[]);
    let (dialer, address) = (crowd.dialer(), victim.address);
    let told = |number: u32, user: &str, password: &str| {
        let dialer = dialer.with_key(30_000 + number);
        crowd.run(async {
            let mut talk = dialer.dial(address).await.expect("a link");
            say(&mut talk, &as_user(user, password)).await;
            let refused = async {
                while let Some(frame) = talk.hear_frame().await {
                    if let Ok(Some(Message::Refusal(refusal))) = Message::decode(frame) {
                        return (refusal.code, refusal.why);
                    }
                }
                panic!("the link ended");
            };
            tokio::time::timeout(super::PATIENCE, refused).await.expect("it is refused")
        })
    };
    let known = told(0, "anna", "guess");
    assert_eq!((known.0, told(1, "nobody", "guess")), (RefusalCode::BadCredentials, known));
    let waits = (2..20).find(|number| told(*number, "anna", "guess").0 == RefusalCode::TooMuch);
    assert!(waits.is_some_and(|number| number < 10), "{waits:?}");
    // Nobody from this address is heard for a while: not with the right one, and under no name.
    assert_eq!(told(20, "anna", "secret").0, RefusalCode::TooMuch);
    let log = std::fs::read_to_string(victim.world.path("daemon/.swarm/audit.log")).expect("it is there");
    let lines = log.lines().filter(|line| line.contains("login refused") && line.contains("\"peer "));
    let refused: Vec<&str> = lines.collect();
    assert!((5..10).contains(&refused.len()), "{log}");
    assert!(refused[0].contains("anna") && refused[1].contains("nobody"), "{log}");
    assert!(!log.contains("guess"), "{log}");
    victim
        .settle("guesses one after another")
        .passed_beside(Spent { peak_len: 2 * PASSWORD_LEN, cpu: Duration::from_secs(60) }, "nobody came in");
}

fn as_user(user: &str, password: &str) -> Message {
    Message::Hello(Hello {
        major: PROTOCOL_MAJOR,
        minor: PROTOCOL_MINOR,
        user: user.to_owned(),
        password: password.to_owned(),
        name: String::new(),
        api: None,
        reads_compressed: false,
        agent: String::new(),
    })
}

const CROWD: u32 = 2000;
/// Memory and work that each link of the crowd may cost.
const LINK_LEN: u64 = 16 << 10;
const LINK_TIME: Duration = Duration::from_millis(10);
/// What comparing one password takes.
const PASSWORD_LEN: u64 = 19 << 20;
