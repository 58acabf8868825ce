//! Hosts behind NATs: the laboratory's NATs behave as NATs, and nodes behind two of them fetch from each other.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Figures, Lab, Line, MIB, Signal, World, assert_same_file, report};

#[test]
fn a_nat_masquerades_and_drops_unasked_datagrams() {
    let Some(lab) = Lab::new() else { return };
    let nat = lab.nat(Line::fast());
    let (hidden, friend, stranger) = (nat.host(), lab.host(Line::fast()), lab.host(Line::fast()));
    let (inner, outer, other) = (hidden.udp_socket(9000), friend.udp_socket(9000), stranger.udp_socket(9000));
    let mut buf = [0; 64];
    for socket in [&inner, &outer] {
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("it is a socket");
    }
    inner.send_to(b"out", (friend.address(), 9000)).expect("a way");
    let (_, seen) = outer.recv_from(&mut buf).expect("it arrives");
    assert_eq!(seen, SocketAddr::from((nat.address(), 9000)), "not as from the NAT, with its port");
    // To the mapped port, and around it by a route that no real network has.
    other.send_to(b"unasked", seen).expect("a way");
    stranger.route("192.168.1.0/24", nat.address());
    other.send_to(b"unasked", (hidden.address(), 9000)).expect("a way");
    // Frames stay in order here: if one of the unasked datagrams had passed, it would arrive first.
    outer.send_to(b"asked", seen).expect("a way");
    let (len, from) = inner.recv_from(&mut buf).expect("the answer arrives");
    assert_eq!((&buf[..len], from), (&b"asked"[..], SocketAddr::from((friend.address(), 9000))));
}

#[test]
fn hosts_behind_two_nats_do_not_hear_each_other_unless_both_speak() {
    let Some(lab) = Lab::new() else { return };
    let nats = [lab.nat(Line::fast()), lab.nat(Line::fast())];
    let sockets = [&nats[0], &nats[1]].map(|nat| nat.host().udp_socket(9000));
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("it is a socket");
    }
    let mut buf = [0; 64];
    sockets[0].send_to(b"dropped", (nats[1].address(), 9000)).expect("a way");
    sockets[1].send_to(b"heard", (nats[0].address(), 9000)).expect("a way");
    let (len, _) = sockets[0].recv_from(&mut buf).expect("its own datagram opened the way");
    assert_eq!(&buf[..len], b"heard");
    sockets[0].send_to(b"answer", (nats[1].address(), 9000)).expect("a way");
    let (len, _) = sockets[1].recv_from(&mut buf).expect("now both have spoken");
    assert_eq!(&buf[..len], b"answer");
}

#[test]
fn nodes_behind_two_nats_fetch_from_each_other_through_a_coordinators_meeting() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(64 * MIB, MIB);
    let coordinator = world.node(&lab.host(Line::fast()));
    let _coordinator = coordinator.coordinator();
    let nats = [lab.nat(Line::fast()), lab.nat(Line::fast())];
    // Hosts behind different NATs may have equal addresses, but their folders must differ.
    nats[0].host();
    let [seed, fetcher] = [&nats[0], &nats[1]].map(|nat| world.node(&nat.host()));
    let ask = ["--coordinator", coordinator.peer.as_str()];
    let mut seed = seed.seed(&manifest, &film, &ask);
    seed.wait_json(|line: &Value| (line["event"] == "progress").then_some(()));
    let fetch = fetcher.fetch(&manifest, &[], &ask).end();
    let figures = Figures::of(&fetch);
    assert_same_file(&film, &fetcher.path("out/film.bin"));
    let found = fetch.json().iter().any(|line| line["state"] == "found" && line["detail"] == "coordinator");
    assert!(found, "the coordinator named no node");
    report("behind two NATs", &format!("64 MiB in {:.1} s", figures.seconds));
}

#[test]
fn a_seed_behind_a_nat_is_reached_by_the_port_that_it_asked_for() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(16 * MIB, MIB);
    let nat = lab.nat(Line::fast());
    nat.serve_nat_pmp();
    let [seed, fetcher] = [nat.host(), lab.host(Line::fast())].map(|host| world.node(&host));
    let (mut seed, ticket) = seed.seed_and_ticket(&manifest, &film, &["--map-port"]);
    let figures = Figures::of(&fetcher.fetch(std::path::Path::new(&ticket), &[], &[]).end());
    assert_same_file(&film, &fetcher.path("out/film.bin"));
    seed.signal(Signal::Terminate);
    seed.end();
    report("a seed behind a NAT, by a mapped port", &format!("16 MiB in {:.1} s", figures.seconds));
}
