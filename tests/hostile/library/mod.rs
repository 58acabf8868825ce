//! Hostile nodes that speak about libraries: to a daemon that trusts them, or that never heard of them. An author that the
//! daemon trusts and that does nothing wrong comes last, and its change must get through.

mod authors;
mod floods;
mod strangers;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use swarm_core::manifest::SigningKey;
use swarm_library::wire::{Hello, PROTOCOL_MAJOR, PROTOCOL_MINOR, Standing};
use swarm_library::{
    Commit, Draft, Frontier, Guid, LibraryKey, Live, Message, Policy, Position, Record, State, Vector,
    pieces_of,
};
use swarm_sync::{Kind, TreePath};

use crate::support::{Hostile, Process, Role, Settled, Spent, Talk, World, args, framed, start_logging};

/// A daemon with a library, and the honest author that it trusts.
struct Victim {
    world: World,
    daemon: Process,
    address: SocketAddr,
    honest: Hostile,
}

/// Signs commits of one library, each about folders.
struct Author {
    key: SigningKey,
    commits: Vec<Commit>,
}

impl Victim {
    /// A daemon that trusts these.
    fn new(trusted: &[&Hostile]) -> Self {
        Self::with(trusted, &json!({}))
    }

    /// The same with an approval policy.
    fn with(trusted: &[&Hostile], approvals: &Value) -> Self {
        let (world, honest) = (World::new(), Hostile::in_role(7000, Role::Library));
        let dir = world.path("daemon");
        fs::create_dir(&dir).expect("a place");
        let mounts = json!([{"dir": "lib", "libpath": "/", "sync": true}]);
        let peer = |node: &&Hostile| json!({"node": node.node().to_string(), "trusted": true});
        let peers: Vec<Value> = trusted.iter().chain([&&honest]).map(peer).collect();
        for (name, value) in [
            ("config.json", json!({"port": 0, "listen": "127.0.0.1", "lan": false})),
            ("libraries.json", json!({"Lib 1": {"guid": GUID, "mounts": mounts, "approvals": approvals}})),
            ("peers.json", json!(peers)),
            ("users.json", json!([{"user": "anna", "pass": "secret", "role": "viewer"}])),
        ] {
            fs::write(dir.join(name), value.to_string()).expect("a place");
        }
        let daemon = start_logging(&world, &args!["daemon", "--dir", dir]);
        let mut victim = Self { world, daemon, address: ([127, 0, 0, 1], 0).into(), honest };
        victim.until("it answers", |victim| victim.try_status().is_some());
        let address = victim.status()["address"].as_str().expect("a text").to_owned();
        victim.address = address.split_once('@').expect("a key").1.parse().expect("an address");
        victim
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path("daemon/lib").join(name)
    }

    fn try_status(&self) -> Option<Value> {
        let mut stream = UnixStream::connect(self.world.path("daemon/.swarm/control.sock")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        writeln!(stream, "{}", json!({"request": "status"})).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    fn status(&self) -> Value {
        self.try_status().expect("the daemon answers")
    }

    fn commits(&self) -> u64 {
        self.status()["libraries"][0]["commits"].as_u64().expect("a number")
    }

    #[expect(clippy::disallowed_methods, reason = "a test waits for a process")]
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = std::time::Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "not: {what}\n{:#}", self.try_status().unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The honest author adds a folder, and the daemon makes it.
    fn goes_on(&self) {
        let mut author = Author::of(&self.honest);
        author.add("good");
        self.give(&self.honest, &author);
        self.until("the honest author's folder is there", |victim| victim.path("good").is_dir());
    }

    /// Ends a daemon that goes on; what it spent is compared with an honest run. Its folders are gone then.
    fn settle(self, case: &'static str) -> Settled {
        if !self.path("good").is_dir() {
            self.goes_on();
        }
        Settled::ended(case, self.daemon, honest)
    }

    /// A node gives the commits of an author to the daemon, as it asks for them, and goes on in the background.
    fn give(&self, node: &Hostile, author: &Author) {
        let (dialer, address, commits) = (node.dialer(), self.address, author.commits.clone());
        node.spawn(async move {
            // Whatever ends the link: it comes again, as daemons do.
            loop {
                if let Some(mut talk) = dialer.dial(address).await {
                    serve(&mut talk, &commits).await;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// A link of a node that the daemon trusts, on which both greeted: from now on the daemon takes what comes.
    fn dial(&self, node: &Hostile) -> Talk {
        let greeted = async {
            loop {
                // Amid a flood it may take several tries, and a link of before may not have ended.
                let Some(mut talk) = node.dialer().dial(self.address).await else { continue };
                say(&mut talk, &hello()).await;
                while let Some(frame) = talk.hear_frame().await {
                    if let Ok(Some(Message::Frontier(_))) = Message::decode(frame) {
                        return talk;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        node.run(async { tokio::time::timeout(PATIENCE, greeted).await.expect("it answers") })
    }
}

/// The reason for which the daemon ends a link.
fn end_of(node: &Hostile, talk: &mut Talk) -> String {
    node.run(async { tokio::time::timeout(PATIENCE, talk.hear_the_end()).await.expect("it ends the link") })
}

impl Author {
    fn of(node: &Hostile) -> Self {
        Self { key: node.signing(), commits: Vec::new() }
    }

    fn numbered(number: u32) -> Self {
        let mut seed = [0x77; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        Self { key: SigningKey::from_seed(&seed), commits: Vec::new() }
    }

    /// Signs a commit that adds a folder.
    fn add(&mut self, folder: &str) -> Commit {
        self.sign(&[self.record(folder, live(Kind::Folder))])
    }

    fn record(&self, path: &str, state: State) -> Record {
        let count = self.commits.len() as u64 + 1;
        let vector = Vector::of(self.key.public(), count);
        Record { path: TreePath::new(path).expect("a path"), state, vector, parent: None, moved_from: None }
    }

    fn sign(&mut self, records: &[Record]) -> Commit {
        let commit = Commit::sign(&self.key, &self.draft(records)).expect("within the limits");
        self.commits.push(commit.clone());
        commit
    }

    fn draft<'a>(&self, records: &'a [Record]) -> Draft<'a> {
        let after = self.commits.last().map(|last| (last.header().seq, last.id()));
        Draft { library: library(), after, content: None, made_at_ms: 5, covers: 0, records }
    }
}

fn live(kind: Kind) -> State {
    State::Live(Live { kind, modified_ns: 0, sha256: None })
}

fn library() -> LibraryKey {
    Guid::new(GUID).expect("a GUID").key()
}

fn hello() -> Message {
    let (major, minor) = (PROTOCOL_MAJOR, PROTOCOL_MINOR);
    let name = "a peer".to_owned();
    Message::Hello(Hello {
        major,
        minor,
        user: String::new(),
        password: String::new(),
        name,
        api: None,
        reads_compressed: false,
        agent: String::new(),
    })
}

/// That a node has these commits.
fn standing(of: LibraryKey, positions: impl IntoIterator<Item = Position>) -> Message {
    Message::Frontier(Standing {
        library: of,
        frontier: Frontier::from_positions(positions).expect("within the limits"),
        votes_digest: None,
        policy: Some(Policy::default()),
        is_policy_taken_over: false,
        name: "Lib 1".to_owned(),
        guid: GUID.to_owned(),
        grants_digest: None,
    })
}

fn last_of(commits: &[Commit]) -> Vec<Position> {
    let mut last = std::collections::BTreeMap::new();
    for commit in commits {
        let (author, seq, id) = (commit.header().author, commit.header().seq, commit.id());
        last.insert(author, Position { author, seq, id });
    }
    last.into_values().collect()
}

async fn say(talk: &mut Talk, message: &Message) -> bool {
    talk.say_bytes(&framed(&message.encode())).await
}

async fn say_commit(talk: &mut Talk, commit: &Commit) {
    for piece in pieces_of(commit) {
        say(talk, &piece).await;
    }
}

/// Tells of commits and sends those that are asked for, until the link ends.
async fn serve(talk: &mut Talk, commits: &[Commit]) {
    say(talk, &hello()).await;
    say(talk, &standing(library(), last_of(commits))).await;
    while let Some(frame) = talk.hear_frame().await {
        let Ok(Some(Message::CommitsRequest { after, .. })) = Message::decode(frame) else { continue };
        for commit in commits {
            let header = commit.header();
            if after.iter().any(|after| after.author == header.author && header.seq > after.seq) {
                say_commit(talk, commit).await;
            }
        }
    }
}

/// A daemon with two honest peers and as many commits as in the cases.
fn honest() -> Spent {
    static SPENT: OnceLock<Spent> = OnceLock::new();
    *SPENT.get_or_init(|| {
        let other = Hostile::in_role(7001, Role::Library);
        let victim = Victim::new(&[&other]);
        let mut author = Author::of(&other);
        (0..HONEST_COMMITS).for_each(|number| drop(author.add(&format!("folder {number}"))));
        victim.give(&other, &author);
        victim.until("all commits are there", |victim| victim.commits() == u64::from(HONEST_COMMITS));
        victim.settle("an honest author").spent()
    })
}

const GUID: &str = "jdfhdhdbe484746";
const HONEST_COMMITS: u32 = 500;
/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_mins(1);
