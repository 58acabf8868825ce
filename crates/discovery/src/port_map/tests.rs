//! Gateways on their own loopback addresses that record the requests they get.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::*;
use crate::Participation;
use swarm_link::{Identity, LinkOptions};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// The requests that a gateway got.
type Asked = mpsc::Receiver<String>;

struct World {
    endpoint: Endpoint,
    asked: Asked,
    presences: watch::Sender<Participation>,
    tasks: JoinSet<()>,
}

/// A node that listens on all addresses, and a gateway for it.
fn world(gateways: Gateways, asked: Asked, mut tasks: JoinSet<()>) -> World {
    let identity = Identity::from_seed([1; 32]);
    let listen = Some("0.0.0.0:0".parse().expect("an address"));
    let endpoint = Endpoint::bind(listen, &identity, LinkOptions::default()).expect("bound");
    let (presences, reader) = watch::channel(Participation::default());
    let (found, _) = mpsc::channel(1);
    let surroundings = Surroundings {
        endpoint: endpoint.clone(),
        participation: reader,
        lan_seen: None,
        found,
        advertise: Arc::from([]),
        troubles: mpsc::channel(1).0,
        clock: swarm_link::Clock::start(),
    };
    tasks.spawn(run(gateways, surroundings));
    World { endpoint, asked, presences, tasks }
}

impl World {
    async fn asked(&mut self) -> String {
        self.asked.recv().await.expect("the gateway is there")
    }

    /// Waits until the node knows, or no longer knows, an outside address.
    async fn until_reached(&self, is_reached: bool) {
        while self.endpoint.local_addresses().iter().any(|address| address.ip() == OUTSIDE) != is_reached {
            tokio::task::yield_now().await;
        }
    }
}

/// A gateway that answers PCP and NAT-PMP, or NAT-PMP alone, on their common port.
async fn pmp_gateway(at: Ipv4Addr, has_pcp: bool) -> (JoinSet<()>, Asked) {
    let socket = UdpSocket::bind((at, crab_nat::GATEWAY_PORT)).await.expect("a free address");
    let (sender, asked) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0; 1100];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let (answer, done) = answer(&buffer[..len], has_pcp);
            socket.send_to(&answer, from).await.expect("sent");
            if let Some(done) = done
                && sender.send(done).await.is_err()
            {
                return;
            }
        }
    });
    (tasks, asked)
}

/// RFC 6886 and RFC 6887, as far as mappings go. The outer port is the requested one plus 1.
fn answer(request: &[u8], has_pcp: bool) -> (Vec<u8>, Option<String>) {
    let epoch = [0, 0, 0, 9];
    match (request[0], request[1]) {
        (2, _) if !has_pcp => ([&[0, 0x80, 0, 1], &epoch[..]].concat(), None),
        (2, 1) => {
            let (lifetime, ports) = (&request[4..8], &request[40..44]);
            let is_given_back = lifetime == [0; 4];
            let outer = (u16::from_be_bytes([ports[2], ports[3]]) + 1).to_be_bytes();
            let head = [&[2, 0x81, 0, 0], lifetime, &epoch, &[0; 12]].concat();
            let ip = OUTSIDE.to_ipv6_mapped().octets();
            let body = [&request[24..42], &outer, &ip[..]].concat();
            let done = if is_given_back { "pcp back" } else { "pcp map" };
            ([head, body].concat(), Some(done.to_owned()))
        }
        (0, 0) => ([&[0, 0x80, 0, 0], &epoch[..], &OUTSIDE.octets()].concat(), None),
        (0, 1) => {
            let (inner, outer, lifetime) = (&request[4..6], &request[6..8], &request[8..12]);
            let is_given_back = lifetime == [0; 4];
            let outer = if is_given_back { 0 } else { u16::from_be_bytes([outer[0], outer[1]]) + 1 };
            let answer = [&[0, 0x81, 0, 0], &epoch[..], inner, &outer.to_be_bytes(), lifetime].concat();
            (answer, Some(if is_given_back { "pmp back" } else { "pmp map" }.to_owned()))
        }
        other => panic!("no such request: {other:?}"),
    }
}

/// A gateway that answers a search, and HTTP on its own port.
async fn upnp_gateway() -> (SocketAddr, JoinSet<()>, Asked) {
    let search = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let http = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let (at, http_at) = (search.local_addr().expect("bound"), http.local_addr().expect("bound"));
    let (sender, asked) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((_, from)) = search.recv_from(&mut buffer).await {
            let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{http_at}/device.xml\r\n\r\n");
            let _ = search.send_to(answer.as_bytes(), from).await;
        }
    });
    tasks.spawn(async move {
        while let Ok((stream, _)) = http.accept().await {
            serve(stream, &sender).await;
        }
    });
    (at, tasks, asked)
}

async fn serve(mut stream: TcpStream, asked: &mpsc::Sender<String>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).expect("text");
    let action = ["GetExternalIPAddress", "AddPortMapping", "DeletePortMapping"]
        .into_iter()
        .find(|action| request.contains(&format!("#{action}")));
    let body = match action {
        None if request.starts_with("GET /device.xml") => DEVICE.to_owned(),
        None => ACTIONS.to_owned(),
        Some(action) => {
            let lease = request.split("<NewLeaseDuration>").nth(1).and_then(|rest| rest.split('<').next());
            let _ = asked.send(format!("{action} {}", lease.unwrap_or_default()).trim().to_owned()).await;
            if lease.is_some_and(|lease| lease != "0") {
                FAULT_ONLY_PERMANENT.to_owned()
            } else {
                let inside = format!("<NewExternalIPAddress>{OUTSIDE}</NewExternalIPAddress>");
                format!("<Envelope><Body><{action}Response>{inside}</{action}Response></Body></Envelope>")
            }
        }
    };
    let status = if body == FAULT_ONLY_PERMANENT { "500 Internal Server Error" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let len = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
    len.is_none_or(|len| body.len() >= len.trim().parse().expect("a number"))
}

const DEVICE: &str = "<root><device><deviceList><device><deviceList><device><serviceList><service>\
    <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
    <SCPDURL>/actions.xml</SCPDURL><controlURL>/control</controlURL>\
    </service></serviceList></device></deviceList></device></deviceList></device></root>";
const ACTIONS: &str = "<scpd><actionList><action><name>AddPortMapping</name><argumentList>\
    <argument><name>NewExternalPort</name><direction>in</direction></argument>\
    <argument><name>NewInternalPort</name><direction>in</direction></argument>\
    <argument><name>NewInternalClient</name><direction>in</direction></argument>\
    <argument><name>NewProtocol</name><direction>in</direction></argument>\
    <argument><name>NewLeaseDuration</name><direction>in</direction></argument>\
    </argumentList></action><action><name>DeletePortMapping</name><argumentList>\
    <argument><name>NewExternalPort</name><direction>in</direction></argument>\
    <argument><name>NewProtocol</name><direction>in</direction></argument>\
    </argumentList></action></actionList></scpd>";
const FAULT_ONLY_PERMANENT: &str = "<Envelope><Body><Fault><detail><UPnPError><errorCode>725</errorCode>\
    <errorDescription>OnlyPermanentLeasesSupported</errorDescription></UPnPError></detail></Fault></Body></Envelope>";

/// An address without a listener.
fn no_listener() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// A mapping from the request to the release, at a gateway that speaks one of the two protocols.
async fn check_pmp(at: Ipv4Addr, has_pcp: bool, name: &str) {
    let (tasks, asked) = pmp_gateway(at, has_pcp).await;
    let mut world = world(Gateways::fake(at, no_listener()), asked, tasks);
    assert_eq!(world.asked().await, format!("{name} map"));
    world.until_reached(true).await;
    let outer = SocketAddr::from((OUTSIDE, world.endpoint.port() + 1));
    assert_eq!(world.endpoint.local_addresses()[0], outer);
    assert_eq!(world.endpoint.outer_port(), outer.port());
    assert_eq!(world.endpoint.source(&[]).addresses[0], outer.into());

    // At half of the lease it is renewed; this gateway then grants another port, one higher.
    tokio::time::pause();
    tokio::time::advance(PORT_LEASE_TIME_MAX / 2).await;
    tokio::time::resume();
    assert_eq!(world.asked().await, format!("{name} map"));

    drop(world.presences);
    assert_eq!(world.asked.recv().await, Some(format!("{name} back")));
    while world.endpoint.local_addresses().iter().any(|address| address.ip() == OUTSIDE) {
        tokio::task::yield_now().await;
    }
    world.tasks.shutdown().await;
}

#[tokio::test]
async fn a_port_is_mapped_by_pcp_renewed_and_given_back() {
    check_pmp(Ipv4Addr::new(127, 53, 51, 1), true, "pcp").await;
}

#[tokio::test]
async fn a_port_is_mapped_by_nat_pmp_renewed_and_given_back() {
    check_pmp(Ipv4Addr::new(127, 53, 51, 2), false, "pmp").await;
}

#[tokio::test]
async fn a_port_is_mapped_by_upnp_at_a_gateway_that_knows_no_leases() {
    let (at, tasks, asked) = upnp_gateway().await;
    let mut world = world(Gateways::fake(Ipv4Addr::new(127, 53, 51, 3), at), asked, tasks);
    assert_eq!(world.asked().await, "GetExternalIPAddress");
    assert_eq!(world.asked().await, "AddPortMapping 7200");
    assert_eq!(world.asked().await, "AddPortMapping 0");
    world.until_reached(true).await;
    assert_eq!(world.endpoint.local_addresses()[0], SocketAddr::from((OUTSIDE, world.endpoint.port())));
    drop(world.presences);
    assert_eq!(world.asked.recv().await.as_deref(), Some("DeletePortMapping"));
    world.tasks.shutdown().await;
}

#[test]
fn an_impossible_outside_address_is_not_believed() {
    let check =
        |ip: &str, expected: bool| assert_eq!(is_outside(ip.parse().expect("an address")), expected, "{ip}");
    check("198.51.100.7", true);
    check("10.1.2.3", true);
    for nowhere in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::"] {
        check(nowhere, false);
    }
}
