//! Networks that are bad from the start: none at all, one that forbids UDP, many dead sources. Some tests need their own network
//! namespace, which takes root and Linux; elsewhere they print `NOT RUN`.

use std::net::UdpSocket;

use crate::support::{MIB, Process, World, args, assert_same_file};

#[test]
fn a_source_that_lives_is_found_behind_a_hundred_that_do_not() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    world.manifest(&film, "film.swarm");
    let seed = world.seed(args![film]);
    let silent: Vec<UdpSocket> =
        (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
    let mut args = args!["-o", "out", "--timeout", "3", "film.swarm"];
    for index in 0..100u8 {
        let node = swarm_link::Identity::from_seed([index; 32]).node_id();
        let at = match silent.get(usize::from(index)) {
            Some(socket) => socket.local_addr().expect("it is bound").to_string(),
            // No process listens there.
            None => "127.0.0.77:9".to_owned(),
        };
        args.extend(args!["--peer", format!("{node}@{at}")]);
    }
    args.extend(args!["--peer", format!("{}@{}", seed.node(), seed.address())]);
    world.fetch(args).end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_fetch_without_a_way_out_says_so_in_whatever_time_it_has() {
    let world = World::new();
    world.manifest(&world.file("film.bin", 1000), "film.swarm");
    let node = swarm_link::Identity::from_seed([3; 32]).node_id();
    let setup = "ip link set lo up && ip route add prohibit 198.51.100.0/24";
    for (at, part) in [
        ("192.0.2.1:5", "192.0.2.1:5 is out of reach: this machine has no route to it; check the network"),
        (
            "198.51.100.1:5",
            "198.51.100.1:5 is blocked: a firewall or a route of this machine forbids UDP to it",
        ),
    ] {
        for timeout in ["1", "3"] {
            let peer = format!("{node}@{at}");
            let args = args!["fetch", "-o", "out", "--timeout", timeout, "film.swarm", "--peer", peer];
            let Some(fetch) = world.start_in_own_network(setup, &args) else { return };
            let outcome = fetch.end().expect_code(3);
            assert!(outcome.failure_line().contains(part), "{outcome:#?}");
        }
    }
}

#[test]
fn a_seed_that_is_started_before_there_is_a_network_shows_a_new_ticket_when_there_is_one() {
    let world = World::new();
    let film = world.file("film.bin", 1000);
    let args = args!["seed", film, "--manifest-out", "film.swarm"];
    let Some(mut seed) = world.start_in_own_network("ip link set lo up", &args) else { return };
    let first = ticket(&mut seed);
    seed.wait_stderr("this machine has no network yet");
    assert!(!addresses(&first).iter().any(|address| address.starts_with("192.0.2.7:")));
    seed.run_beside("ip addr add 192.0.2.7/32 dev lo");
    let second = ticket(&mut seed);
    assert!(addresses(&second)[0].starts_with("192.0.2.7:"), "{:?}", addresses(&second));
    let shown = world.run(&args!["manifest", "show", "film.swarm"]).expect_code(0).out.join("\n");
    assert!(shown.contains("192.0.2.7:"), "{shown}");
}

#[test]
fn a_seed_whose_port_is_taken_says_that_its_tickets_lead_nowhere() {
    let world = World::new();
    let film = world.file("film.bin", 1000);
    let port_of = |seed: &crate::support::Seed| -> u16 {
        let address = seed.address();
        address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
    };
    let seed = world.seed_anywhere(args![film]);
    let port = port_of(&seed);
    seed.process.kill();
    let _taken = UdpSocket::bind(("0.0.0.0", port)).expect("it is free again");
    let mut process = world.start(&args!["seed", "--json", film]);
    let moved = process.wait_json(|line| (line["event"] == "moved").then(|| line.clone()));
    let message = moved["message"].as_str().expect("a message");
    assert!(message.contains(&format!("UDP port {port}")) && message.contains("--listen"), "{message}");
    process.kill();
    let mut process = world.start(&args!["seed", film]);
    ticket(&mut process);
    process.kill();
}

fn ticket(seed: &mut Process) -> String {
    seed.wait_line(|line| line.starts_with("swarm1").then(|| line.to_owned()))
}

fn addresses(ticket: &str) -> Vec<String> {
    let ticket: swarm_core::manifest::Ticket = ticket.parse().expect("a good ticket");
    ticket.sources[0].addresses.iter().map(ToString::to_string).collect()
}
