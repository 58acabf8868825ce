//! A link over a simulated path: both ends are quinn's state machines with this project's settings, and time is a number, so
//! that the figures of congestion control do not depend on the load of the machine.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Dir, ServerConfig, VarInt};
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Endpoint, Event, StreamEvent, StreamId, WriteError,
};

use super::super::config::Transports;
use super::super::{Identity, LinkOptions, Protocol, config, tls};

/// The properties of the path.
#[derive(Clone, Copy)]
struct Path {
    /// Rate of Ethernet frames, bits a second, each way.
    bits_per_sec: u64,
    /// In one direction.
    delay: Duration,
    /// Datagrams lost towards the receiver, of a thousand.
    lost_per_mille: u32,
}

const FAT: Path = Path { bits_per_sec: 500_000_000, delay: Duration::from_millis(25), lost_per_mille: 1 };

/// Length of the queue: that of a good router, and of the relay of the network tests.
const QUEUE_TIME: Duration = Duration::from_millis(50);
/// Ethernet, IPv4 and UDP.
const FRAME_HEADERS_LEN: usize = 42;
const CHUNK_LEN: usize = 1 << 20;

/// One end: the receiver is the first, the others are senders.
struct End {
    endpoint: Endpoint,
    connections: BTreeMap<ConnectionHandle, Connection>,
}

/// A datagram under way, and its receiver.
struct Datagram {
    from: usize,
    to: usize,
    data: BytesMut,
}

/// One receiver, its senders, and the line towards it that they share.
struct Net {
    path: Path,
    now: Instant,
    ends: Vec<End>,
    under_way: BTreeMap<(Instant, u64), Datagram>,
    sequence: u64,
    /// When the line is free again, towards the receiver and away from it.
    free_at: [Instant; 2],
    chance: fastrand::Rng,
    /// Open streams, by sender.
    writing: BTreeMap<usize, Option<(StreamId, usize)>>,
    received_len: usize,
    /// Bytes of all frames that arrived at the receiver, with their headers.
    arrived_len: usize,
}

fn address(end: usize) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, end as u8 + 1), 1).into()
}

fn end_at(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(v4) => usize::from(v4.ip().octets()[3]) - 1,
        SocketAddr::V6(_) => unreachable!("there are none here"),
    }
}

impl Net {
    #[expect(
        clippy::disallowed_methods,
        reason = "an instant can be had in no other way; which one does not matter"
    )]
    fn new(path: Path, sender_count: usize, options: LinkOptions) -> Self {
        let now = Instant::now();
        let identities: Vec<Identity> =
            (0..=sender_count).map(|end| Identity::from_seed([end as u8 + 1; 32])).collect();
        let transport = Transports::new(options).network;
        let mut ends: Vec<End> = identities
            .iter()
            .map(|identity| {
                let tls = QuicServerConfig::try_from(tls::accepting(identity, None))
                    .expect("AES-128 is among the suites");
                let mut server = ServerConfig::with_crypto(Arc::new(tls));
                server.transport_config(Arc::clone(&transport));
                let endpoint = Endpoint::new(
                    Arc::new(config::endpoint_config()),
                    Some(Arc::new(server)),
                    true,
                    Some([3; 32]),
                );
                End { endpoint, connections: BTreeMap::new() }
            })
            .collect();
        for (sender, identity) in identities.iter().enumerate().skip(1) {
            let tls =
                tls::dialing(&identities[0], identity.node_id(), Protocol::Peer, &tls::FoundKey::default());
            let tls = QuicClientConfig::try_from(tls).expect("AES-128 is among the suites");
            let mut client = ClientConfig::new(Arc::new(tls));
            client.transport_config(Arc::clone(&transport));
            let (handle, mut connection) =
                ends[0].endpoint.connect(now, client, address(sender), tls::SERVER_NAME).expect("begun");
            // As a node does once it requests something over the link.
            connection.set_receive_window(VarInt::from_u32(options.receive_window_len));
            ends[0].connections.insert(handle, connection);
        }
        Self {
            path,
            now,
            ends,
            under_way: BTreeMap::new(),
            sequence: 0,
            free_at: [now; 2],
            chance: fastrand::Rng::with_seed(7),
            writing: BTreeMap::new(),
            received_len: 0,
            arrived_len: 0,
        }
    }

    fn send(&mut self, from: usize, to: usize, data: &[u8]) {
        if to == 0 && self.chance.u32(0..1000) < self.path.lost_per_mille {
            return;
        }
        let free_at = &mut self.free_at[usize::from(to != 0)];
        let begin = self.now.max(*free_at);
        if begin - self.now > QUEUE_TIME {
            return;
        }
        let bits = (data.len() + FRAME_HEADERS_LEN) as u64 * 8;
        *free_at = begin + Duration::from_nanos(bits * 1_000_000_000 / self.path.bits_per_sec);
        self.sequence += 1;
        let due = (*free_at + self.path.delay, self.sequence);
        self.under_way.insert(due, Datagram { from, to, data: data.into() });
    }

    /// Sends all pending datagrams and events of an end.
    fn drive(&mut self, index: usize) {
        let mut buffer = Vec::new();
        let mut sent = Vec::new();
        let end = &mut self.ends[index];
        for (handle, connection) in &mut end.connections {
            loop {
                let mut is_quiet = true;
                while let Some(event) = connection.poll_endpoint_events() {
                    is_quiet = false;
                    if let Some(event) = end.endpoint.handle_event(*handle, event) {
                        connection.handle_event(event);
                    }
                }
                while let Some(event) = connection.poll() {
                    is_quiet = false;
                    if let Event::ConnectionLost { reason } = event {
                        panic!("a link was lost: {reason}");
                    }
                    match event {
                        Event::Stream(StreamEvent::Opened { dir }) => {
                            while let Some(stream) = connection.streams().accept(dir) {
                                self.received_len += read(connection, stream);
                            }
                        }
                        Event::Stream(StreamEvent::Readable { id }) => {
                            self.received_len += read(connection, id);
                        }
                        _ => {}
                    }
                }
                if index > 0 && !connection.is_handshaking() {
                    write(connection, self.writing.entry(index).or_default());
                }
                while let Some(transmit) = connection.poll_transmit(self.now, 10, &mut buffer) {
                    is_quiet = false;
                    let to = end_at(transmit.destination);
                    let segment_len = transmit.segment_size.unwrap_or(transmit.size);
                    sent.extend(buffer.chunks(segment_len).map(|data| (to, BytesMut::from(data))));
                    buffer.clear();
                }
                if is_quiet {
                    break;
                }
            }
        }
        for (to, data) in sent {
            self.send(index, to, &data);
        }
    }

    fn deliver(&mut self, Datagram { from, to, data }: Datagram) {
        if to == 0 {
            self.arrived_len += data.len() + FRAME_HEADERS_LEN;
        }
        let mut buffer = Vec::new();
        let (now, end) = (self.now, &mut self.ends[to]);
        match end.endpoint.handle(now, address(from), None, None, data, &mut buffer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(connection) = end.connections.get_mut(&handle) {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                let (handle, connection) =
                    end.endpoint.accept(incoming, now, &mut buffer, None).expect("a good handshake");
                end.connections.insert(handle, connection);
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
        self.drive(to);
    }

    /// The next datagram or timeout.
    fn step(&mut self) {
        let timeouts = self.ends.iter_mut().enumerate().flat_map(|(index, end)| {
            end.connections
                .values_mut()
                .filter_map(move |connection| Some((connection.poll_timeout()?, index)))
        });
        let timeout = timeouts.min();
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        match (arrival, timeout) {
            (Some(at), timeout) if timeout.is_none_or(|(timeout, _)| at <= timeout) => {
                self.now = at;
                let (_, datagram) = self.under_way.pop_first().expect("it was just seen");
                self.deliver(datagram);
            }
            (_, Some((at, index))) => {
                self.now = self.now.max(at);
                for connection in self.ends[index].connections.values_mut() {
                    connection.handle_timeout(self.now);
                }
                self.drive(index);
            }
            (_, None) => unreachable!("a link has a timeout always"),
        }
    }

    /// The share of the line that arrived frames used, from the start of the handshake until `len` bytes of content arrived.
    fn share_of_line(mut self, len: usize) -> f64 {
        let begin = self.now;
        self.drive(0);
        while self.received_len < len {
            self.step();
        }
        let line_len = (self.now - begin).as_secs_f64() * self.path.bits_per_sec as f64 / 8.0;
        self.arrived_len as f64 / line_len
    }
}

/// Writes chunk after chunk, each on its own stream, as far as QUIC accepts bytes.
fn write(connection: &mut Connection, writing: &mut Option<(StreamId, usize)>) {
    let block = Bytes::from_static(&[0; 64 << 10]);
    loop {
        let (stream, left) = match *writing {
            Some(begun) => begun,
            None => match connection.streams().open(Dir::Uni) {
                Some(stream) => (stream, CHUNK_LEN),
                None => return,
            },
        };
        let written =
            connection.send_stream(stream).write_chunks(&mut [block.slice(..block.len().min(left))]);
        let left = match written {
            Ok(written) => left - written.bytes,
            Err(WriteError::Blocked) => left,
            Err(error) => panic!("a stream was lost: {error}"),
        };
        *writing = (left > 0).then_some((stream, left));
        if left == 0 {
            connection.send_stream(stream).finish().expect("it is open");
        } else if written.is_err() {
            return;
        }
    }
}

/// Reads all available bytes of a stream.
fn read(connection: &mut Connection, stream: StreamId) -> usize {
    let mut stream = connection.recv_stream(stream);
    let Ok(mut chunks) = stream.read(true) else { return 0 };
    let mut len = 0;
    while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
        len += chunk.bytes.len();
    }
    let _ = chunks.finalize();
    len
}

/// 512 MiB, with slow start. With a send window of 4 MiB one link's content took 81 % of the line; with 8 it takes 89.
#[test]
fn one_link_fills_a_long_fat_path_that_loses_datagrams_and_so_do_four() {
    for (senders, least) in [(1, 0.92), (4, 0.93)] {
        let share = Net::new(FAT, senders, LinkOptions::default()).share_of_line(512 << 20);
        assert!(share >= least, "{senders}: {share}");
        println!("{senders}: {:.1} % of the line", share * 100.0);
    }
}
