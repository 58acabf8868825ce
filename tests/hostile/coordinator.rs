//! Hostile nodes at a coordinator, and a hostile coordinator. Honest nodes still find each other.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use swarm_core::base::{ContentId, NodeId, Rate};
use swarm_core::wire::{AnnounceBody, Coordination, Hello, SignedAnnounce};

use crate::support::{
    Film, Hostile, MIB, Process, Role, Settled, Talk, World, args, assert_same_file, flood, framed, varint,
};

/// A coordinator, an honest seed that it knows, and their film.
struct Victim {
    world: World,
    film: Film,
    coordinator: Process,
    place: String,
    seed_node: NodeId,
    _seed: Process,
}

impl Victim {
    fn new() -> Self {
        let world = World::new();
        let film = Film::new(&world, 4 * MIB);
        let state = world.path("known");
        let args = args!["coordinator", "--json", "--listen", "127.0.0.1:0", "--state", state];
        let mut coordinator = crate::support::start_logging(&world, &args);
        let place = coordinator.wait_json(|line| Some(line["places"].get(0)?.as_str()?.to_owned()));
        let mut seed = world.seed(args![film.path(), "--coordinator", place]);
        coordinator.wait_json(|line| (line["listed"] == 1).then_some(()));
        let seed_node = seed.node().parse().expect("a key");
        seed.process.wait_json(|line| (line["event"] == "progress").then_some(()));
        Self { world, film, coordinator, place, seed_node, _seed: seed.process }
    }

    fn address(&self) -> SocketAddr {
        self.place.split_once('@').expect("a key and an address").1.parse().expect("loopback")
    }

    /// An honest fetch that learns of the seed only from the coordinator; then the coordinator ends.
    fn settle(self, case: &'static str) -> Settled {
        std::fs::write(
            self.world.path("film.swarm"),
            swarm_core::manifest::ManifestFile::new(self.film.manifest().clone()).encode(),
        )
        .expect("room");
        let fetch = self.world.fetch(args!["-o", "out", "--coordinator", self.place, "film.swarm"]);
        fetch.end().done();
        assert_same_file(self.film.path(), &self.world.path("out/film.bin"));
        Settled::ended(case, self.coordinator, honest)
    }
}

fn honest() -> crate::support::Spent {
    static SPENT: OnceLock<crate::support::Spent> = OnceLock::new();
    *SPENT.get_or_init(|| Victim::new().settle("an honest coordinator").spent())
}

fn said(message: &Coordination) -> Vec<u8> {
    framed(&message.encode())
}

fn announcement(hostile: &Hostile, content: ContentId, address: &str) -> SignedAnnounce {
    let body = AnnounceBody {
        content,
        node: hostile.node(),
        addresses: vec![address.parse().expect("an address")],
        have_count: 0,
        chunk_count: 4,
        up: Rate(1 << 40),
        zone: None,
    };
    SignedAnnounce::sign(&hostile.signing(), body)
}

/// Greets, asks for neighbours of the film, and returns the seed's announcement.
async fn hear_of_the_seed(talk: &mut Talk, hostile: &Hostile, victim: &Victim) -> SignedAnnounce {
    talk.say_bytes(&said(&Coordination::Hello(Hello::ours()))).await;
    let announce = announcement(hostile, victim.film.content(), "127.0.0.1:9");
    talk.say_bytes(&said(&Coordination::Announce { announce, wanted: 10, links: Vec::new() })).await;
    loop {
        let frame: Bytes = talk.hear_frame().await.expect("it answers");
        if let Ok(Some(Coordination::Neighbours { neighbours, .. })) = Coordination::decode(frame) {
            let of_seed = neighbours.into_iter().find(|known| known.announce.body().node == victim.seed_node);
            return of_seed.expect("the seed is listed").announce;
        }
    }
}

#[test]
fn a_replayed_announcement_of_another_node_is_refused() {
    let victim = Victim::new();
    let hostile = Hostile::in_role(1, Role::Coordinator);
    let end = hostile.run(async {
        let mut talk = hostile.dialer().dial(victim.address()).await.expect("a link");
        let announce = hear_of_the_seed(&mut talk, &hostile, &victim).await;
        talk.say_bytes(&said(&Coordination::Announce { announce, wanted: 0, links: Vec::new() })).await;
        talk.idle().await;
        talk.connection.closed().await.to_string()
    });
    assert!(end.contains("another node than itself"), "{end}");
    victim
        .settle("replay of another's announcement")
        .logged(Some(hostile.node()), "another node than itself");
}

#[test]
fn a_changed_announcement_is_refused() {
    let victim = Victim::new();
    let hostile = Hostile::in_role(1, Role::Coordinator);
    hostile.run(async {
        let mut talk = hostile.dialer().dial(victim.address()).await.expect("a link");
        talk.say_bytes(&said(&Coordination::Hello(Hello::ours()))).await;
        let announce = announcement(&hostile, victim.film.content(), "127.0.0.1:9");
        let mut frame = Coordination::Announce { announce, wanted: 0, links: Vec::new() }.encode().to_vec();
        // Changes a digit of the signed address.
        let at = frame.windows(9).position(|part| part == b"127.0.0.1").expect("it is in there");
        frame[at] = b'8';
        talk.say_bytes(&framed(&frame)).await;
        talk.idle().await;
    });
    victim.settle("an announcement tampered with").logged(Some(hostile.node()), "signature");
}

#[test]
fn messages_that_no_node_sends_end_the_link_to_a_coordinator() {
    let victim = Victim::new();
    let hostile = Hostile::in_role(1, Role::Coordinator);
    let hello = said(&Coordination::Hello(Hello::ours()));
    let withdraw = said(&Coordination::Withdraw { content: victim.film.content() });
    let wrong = [
        (withdraw.clone(), "something before Hello"),
        (said(&Coordination::Hello(Hello { major: 7, ..Hello::ours() })), "version 7 is not spoken here"),
        ([hello.clone(), hello.clone()].concat(), "says what a node does not say"),
        ([hello.clone(), vec![0xff; 9]].concat(), "length that does not end"),
        ([hello.clone(), varint(1 << 30)].concat(), "announced a frame of"),
        ([hello.clone(), framed(&[0x1a, 0x7f, 1])].concat(), "does not follow the schema"),
    ];
    let mut culprits = Vec::new();
    for (key, (bytes, why)) in (10..).zip(wrong) {
        let dialer = hostile.dialer().with_key(key);
        culprits.push((dialer.node(), why));
        hostile.run(async {
            let mut talk = dialer.dial(victim.address()).await.expect("a link");
            talk.say_bytes(&bytes).await;
            talk.idle().await;
        });
    }
    let settled = victim.settle("six kinds of malformed frames, to a coordinator");
    culprits.into_iter().for_each(|(node, why)| settled.has_logged(Some(node), why));
    settled.passed("each named in the log");
}

#[test]
fn a_flood_of_announcements_is_limited_and_directs_no_dials() {
    let victim = Victim::new();
    let hostile = Hostile::in_role(1, Role::Coordinator);
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let place = stranger.local_addr().expect("bound").to_string();
    let frames: Vec<u8> = (0..3000u32)
        .flat_map(|number| {
            let content = ContentId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
            let announce = announcement(&hostile, content, &place);
            said(&Coordination::Announce {
                announce,
                wanted: 10,
                links: vec![NodeId::from_bytes([1; 32]); 8],
            })
        })
        .collect();
    let mut talk = hostile.run(hostile.dialer().dial(victim.address())).expect("a link");
    let (enough, wait) = sync_channel(1);
    hostile.spawn(async move {
        talk.say_bytes(&said(&Coordination::Hello(Hello::ours()))).await;
        flood(&mut talk, &frames, 1).await;
        let _ = enough.send(());
        flood(&mut talk, &frames, usize::MAX).await;
    });
    wait.recv_timeout(Duration::from_mins(2)).expect("it takes the first of them");
    let settled = victim.settle("flood of Announce of 3000 contents");
    stranger.set_nonblocking(true).expect("a socket");
    assert!(stranger.recv_from(&mut [0; 2000]).is_err(), "a stranger was dialed");
    settled.passed("held to its pace, no stranger dialed");
}

#[test]
fn a_coordinator_closes_links_that_never_greet_or_never_read() {
    let victim = Victim::new();
    let hostile = Hostile::in_role(1, Role::Coordinator);
    let silent = hostile.dialer().with_key(2);
    let deaf = hostile.narrow_dialer(3);
    let (silent_node, address) = (silent.node(), victim.address());
    let ask = announcement(&Hostile::in_role(3, Role::Coordinator), victim.film.content(), "127.0.0.1:9");
    let ask = said(&Coordination::Announce { announce: ask, wanted: 10, links: Vec::new() }).repeat(500);
    hostile.run(async {
        let mut talk = deaf.dial(address).await.expect("a link");
        talk.say_bytes(&said(&Coordination::Hello(Hello::ours()))).await;
        talk.say_bytes(&ask).await;
        let link = silent.connect(address).await.expect("a link");
        link.closed().await;
    });
    let settled = victim.settle("never greets; asks and never reads");
    settled.logged(Some(silent_node), "does not greet");
}
