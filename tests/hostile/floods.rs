//! Floods of allowed messages, at a seed that serves an honest leech meanwhile.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Source;
use swarm_core::wire::{Handle, Message, RequestId};

use crate::support::{
    FetchVictim, Film, HANDLE, Hostile, SeedVictim, Settled, Spent, Talk, flood, framed, opened,
};

/// One message, repeated as often as makes a large write.
fn many(message: &Message) -> Vec<u8> {
    let one = framed(&message.encode());
    one.repeat((32 << 10) / one.len() + 1)
}

/// A seed whose hostile leech takes part and then repeats this message. Ends when it was sent `times` times and an honest leech
/// has the whole film.
fn seed_flooded_with(
    case: &'static str,
    times: usize,
    bytes: impl Fn(&Film) -> Vec<u8>,
) -> (Settled, NodeId) {
    let mut victim = SeedVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let (mut talk, bytes) = (dial(&hostile, &victim), bytes(&film));
    let (enough, wait) = sync_channel(1);
    hostile.spawn(async move {
        talk.take_part(&film).await;
        flood(&mut talk, &bytes, times).await;
        let _ = enough.send(());
        flood(&mut talk, &bytes, usize::MAX).await;
    });
    victim.serves_well();
    wait_for(&wait);
    (victim.settle(case), hostile.node())
}

fn dial(hostile: &Hostile, victim: &SeedVictim) -> Talk {
    hostile.run(hostile.dialer().dial(victim.address())).expect("a link")
}

fn wait_for(enough: &Receiver<()>) {
    enough.recv_timeout(Duration::from_mins(2)).expect("the victim takes it, or closes the link");
}

#[test]
fn a_flood_of_haves_does_not_starve_an_honest_leech() {
    let (settled, _) = seed_flooded_with("flood of Have", 100, |film| {
        many(&Message::Have { handle: HANDLE, chunks: film.all_chunks() })
    });
    settled.passed("leech served");
}

#[test]
fn haves_and_losts_in_turn_do_not_starve_an_honest_leech() {
    let (settled, _) = seed_flooded_with("flood of Have and Lost in turn", 100, |film| {
        let (handle, chunks) = (HANDLE, film.all_chunks());
        let pair = [Message::Have { handle, chunks: chunks.clone() }, Message::Lost { handle, chunks }];
        pair.map(|message| framed(&message.encode())).concat().repeat(2000)
    });
    settled.passed("leech served");
}

#[test]
fn a_flood_of_cancels_does_not_starve_an_honest_leech() {
    let (settled, _) =
        seed_flooded_with("flood of Cancel", 100, |_| many(&Message::Cancel { request: RequestId(5) }));
    settled.passed("leech served");
}

#[test]
fn a_flood_of_requests_is_rejected_and_does_not_starve_an_honest_leech() {
    let (settled, _) = seed_flooded_with("flood of Request", 20, |film| {
        (0..2000)
            .flat_map(|number| {
                let (request, chunk) = (RequestId(number), number as u32 % film.chunk_count());
                framed(&Message::Request { request, handle: HANDLE, chunk, offset: 0, len: 1 << 20 }.encode())
            })
            .collect()
    });
    settled.passed("leech served");
}

#[test]
fn a_peer_that_requests_the_manifest_again_and_again_is_banned() {
    let (settled, node) = seed_flooded_with("flood of ManifestRequest", 1, |_| {
        many(&Message::ManifestRequest { handle: HANDLE, page: 0 })
    });
    settled.banned(node, "the manifest was asked for too often");
}

#[test]
fn a_flood_of_unknown_contents_is_declined() {
    let (settled, _) = seed_flooded_with("flood of Open", 20, |_| {
        let open = |number: u32| {
            let content = ContentId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
            Message::Open { handle: Handle(100 + number), content, knows_manifest: true, is_offer: true }
        };
        (0..900).flat_map(|number| framed(&open(number).encode())).collect()
    });
    settled.passed("declined");
}

#[test]
fn a_flood_of_empty_frames_does_not_starve_an_honest_leech() {
    let (settled, _) = seed_flooded_with("flood of empty frames", 100, |_| vec![0; 32 << 10]);
    settled.passed("leech served");
}

#[test]
fn a_peer_that_requests_much_and_reads_nothing_costs_little_and_loses_its_link() {
    let mut victim = SeedVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let culprits: Vec<_> = (10..15).map(|key| hostile.narrow_dialer(key)).collect();
    let nodes: Vec<NodeId> = culprits.iter().map(|dialer| dialer.node()).collect();
    let (address, (enough, wait)) = (victim.address(), sync_channel(1));
    hostile.spawn(async move {
        // One request id: the first request is accepted, the others are rejected.
        let request =
            Message::Request { request: RequestId(1), handle: HANDLE, chunk: 0, offset: 0, len: 1 << 20 };
        let (requests, mut talks) = (many(&request), Vec::new());
        for dialer in &culprits {
            let mut talk = dialer.dial(address).await.expect("a link");
            talk.take_part(&film).await;
            // Until the victim closes the link: the peer reads none of its answers.
            while talk.say_bytes(&requests).await {}
            talks.push(talk);
        }
        let _ = enough.send(());
        std::future::pending::<()>().await;
    });
    wait_for(&wait);
    victim.serves_well();
    let settled = victim.settle("asks without end, reads no answer");
    // Messages received before the link was closed, but not read yet, are not processed any more.
    nodes.into_iter().for_each(|node| settled.has_logged_once(node, "control stream is not read"));
    settled.passed("links closed, named in the log");
}

#[test]
fn uploads_that_are_not_read_block_no_slot() {
    let mut victim = SeedVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let culprits: Vec<_> = (10..40).map(|key| hostile.narrow_dialer(key)).collect();
    let node = culprits[0].node();
    let (address, (asked, all_asked), (over, is_over)) = (victim.address(), sync_channel(1), sync_channel(1));
    hostile.spawn(async move {
        let mut talks = Vec::new();
        for dialer in &culprits {
            let mut talk = dialer.dial(address).await.expect("a link");
            talk.take_part(&film).await;
            for (request, chunk) in (0..12).map(RequestId).zip(0..) {
                talk.say(&Message::Request { request, handle: HANDLE, chunk, offset: 0, len: 1 << 20 }).await;
            }
            talks.push(talk);
        }
        let _ = asked.send(());
        talks[0].connection.closed().await;
        let _ = over.send(());
        std::future::pending::<()>().await;
    });
    wait_for(&all_asked);
    victim.serves_well();
    wait_for(&is_over);
    let settled = victim.settle("30 leeches that read no chunk");
    settled.logged(Some(node), "does not read what it asked for");
}

#[test]
fn a_flood_of_streams_is_held_to_the_advertised_limit() {
    let mut victim = SeedVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let (mut talk, (enough, wait)) = (dial(&hostile, &victim), sync_channel(1));
    hostile.spawn(async move {
        talk.take_part(&film).await;
        let link = talk.connection.clone();
        let one_way = async {
            let mut streams = Vec::new();
            // Without a complete header: half of the streams hold a byte, and none ever ends.
            while let Ok(mut stream) = link.open_uni().await {
                let _ = stream.write_all(&[1]).await;
                streams.push(stream);
                if streams.len() == 64 {
                    let _ = enough.send(());
                }
            }
        };
        let two_way = async {
            let mut streams = Vec::new();
            while let Ok((mut send, recv)) = link.open_bi().await {
                let _ = send.write_all(&[1; 1000]).await;
                streams.push((send, recv));
            }
        };
        tokio::join!(one_way, two_way, talk.idle());
    });
    wait_for(&wait);
    victim.serves_well();
    victim.settle("flood of uni and bi streams").passed("64 and 1 open, leech served");
}

#[test]
fn each_link_of_a_crowd_costs_little() {
    let crowd = count_of("SWARM_HOSTILE_CROWD", CROWD);
    let mut victim = SeedVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let (address, (enough, wait)) = (victim.address(), sync_channel(1));
    let dialer = hostile.dialer();
    hostile.spawn(async move {
        let mut talks = Vec::new();
        for number in 1000..1000 + crowd {
            let Some(mut talk) = dialer.with_key(number).dial(address).await else { continue };
            talk.greet().await;
            talk.say(&opened(&film, HANDLE)).await;
            talks.push(talk);
        }
        let _ = enough.send(());
        std::future::pending::<()>().await;
    });
    wait_for(&wait);
    victim.serves_well();
    let more = Spent { peak_len: u64::from(crowd) * LINK_LEN / 2, cpu: LINK_TIME * crowd };
    victim
        .settle("links that take part and do nothing")
        .passed_beside(more, &format!("{crowd}; leech served"));
}

#[test]
fn leeches_with_the_most_requests_leave_a_share_to_others() {
    let greedy = count_of("SWARM_HOSTILE_GREEDY", GREEDY);
    let mut victim = SeedVictim::with(&["--limit-up", "100MB/s"]);
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let (address, (enough, wait)) = (victim.address(), sync_channel(greedy as usize));
    for number in 1000..1000 + greedy {
        let (dialer, film, enough) = (hostile.dialer().with_key(number), film.clone(), enough.clone());
        hostile.spawn(async move {
            let mut talk = dialer.dial(address).await.expect("a link");
            talk.take_part(&film).await;
            let _ = enough.send(());
            devour(&mut talk, &film).await;
        });
    }
    (0..greedy).for_each(|_| wait_for(&wait));
    victim.serves_well();
    // Many leeches fill the windows and blocks that a seed holds for all of them together.
    let more = Spent { peak_len: SHARED_LEN / 2 + u64::from(greedy) * LINK_LEN / 2, cpu: LINK_TIME * greedy };
    victim
        .settle("leeches that ask for all they may")
        .passed_beside(more, &format!("{greedy}; leech served"));
}

/// Requests everything again and again, as much at once as is accepted, and reads the answers.
async fn devour(talk: &mut Talk, film: &Film) {
    let chunk_count = film.chunk_count();
    let mut next = 0;
    loop {
        let connection = talk.connection.clone();
        let more = tokio::select! {
            stream = connection.accept_uni() => {
                let Ok(mut stream) = stream else { return };
                while let Ok(Some(_)) = stream.read_chunk(usize::MAX, true).await {}
                1
            }
            message = talk.hear() => match message {
                Some(Message::Choke { choked: false }) => ASKED_AT_ONCE,
                Some(_) => 0,
                None => return,
            },
        };
        for _ in 0..more {
            let (request, chunk) = (RequestId(next), (next % u64::from(chunk_count)) as u32);
            next += 1;
            talk.say(&Message::Request { request, handle: HANDLE, chunk, offset: 0, len: 1 << 20 }).await;
        }
    }
}

/// The number in an environment variable, or the usual one: for figures of larger runs.
fn count_of(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |count| count.parse().expect("a number"))
}

#[test]
fn few_bytes_are_accepted_before_the_greeting() {
    let mut victim = SeedVictim::new();
    let hostile = Hostile::new(1);
    let (address, (enough, wait)) = (victim.address(), sync_channel(1));
    let dialer = hostile.dialer();
    hostile.spawn(async move {
        let mut links = Vec::new();
        for number in 1000..1040 {
            let Some(link) = dialer.with_key(number).connect(address).await else { continue };
            for _ in 0..8 {
                let mut stream = link.open_uni().await.expect("8 are allowed");
                // As much as the victim's windows allow; it has no control stream to read from.
                let full = tokio::time::timeout(Duration::from_millis(20), stream.write_all(&[0; 4 << 20]));
                let _ = full.await;
                links.push((link.clone(), stream));
            }
        }
        let _ = enough.send(());
        std::future::pending::<()>().await;
    });
    wait_for(&wait);
    victim.serves_well();
    victim.settle("40 links that fill their windows and never greet").passed("leech served");
}

#[test]
fn peers_named_by_a_liar_are_dialed_rarely_and_never_beyond_its_reach() {
    let victim = FetchVictim::new();
    // Sockets on this machine stand for strangers: they notice each dial.
    let strangers: Vec<UdpSocket> =
        (0..64).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")).collect();
    let places: Vec<SocketAddr> =
        strangers.iter().map(|socket| socket.local_addr().expect("bound")).collect();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let (film, places) = (film.clone(), places.clone());
        async move {
            talk.take_part(&film).await;
            let odd =
                ["0.0.0.0:1", "224.0.0.1:9", "255.255.255.255:9", "[::]:9", "[ff02::1]:9", "localhost:9"];
            for round in 0..2000u32 {
                let place = places[round as usize % places.len()].to_string();
                let source = |address: &str, salt: u32| Source {
                    node: NodeId::from_bytes(*blake3::hash(&(round * 16 + salt).to_le_bytes()).as_bytes()),
                    addresses: vec![address.parse().expect("an address")],
                };
                let odd = (1u32..).zip(odd).map(|(salt, address)| source(address, salt));
                let sources = odd.chain([source(&place, 0)]).collect();
                if !talk.say(&Message::Peers { handle: HANDLE, sources }).await {
                    return;
                }
            }
            talk.idle().await;
        }
    });
    let settled = victim.fetch("flood of Peers with odd and strangers' addresses", &[&hostile]);
    let knocked = strangers.iter().filter(|socket| {
        socket.set_nonblocking(true).expect("a socket");
        socket.recv_from(&mut [0; 2000]).is_ok()
    });
    let knocked = knocked.count();
    assert!(knocked <= 16, "{knocked} strangers were dialed");
    settled.banned_no_node();
    settled.passed(&format!("{knocked} of 64 strangers dialed, at most 16 a minute"));
}

/// Number of idle links.
const CROWD: u32 = 1000;
const GREEDY: u32 = 20;
/// Requests of one leech: more than a node accepts at once.
const ASKED_AT_ONCE: u32 = 300;
/// Memory that a seed holds for all links together, besides the memory of each.
const SHARED_LEN: u64 = 64 << 20;
/// Memory and work that each idle link may cost a seed.
const LINK_LEN: u64 = 64 << 10;
const LINK_TIME: Duration = Duration::from_millis(4);
