//! A long fat path for UDP: a host that forwards datagrams with a fixed delay, at a limited rate, and drops some of them.
//! It receives and sends many in one call, so that half a gigabit a second leaves processor time for both ends; the relay of
//! whole frames ends at some 300 Mbit/s.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use super::host::Host;

/// The properties of the path, each way.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Frames of Ethernet, as lines count them.
    pub mbit: u32,
    pub delay: Duration,
    /// Datagrams lost towards the dialing side, of a thousand.
    pub lost_per_mille: u32,
}

/// Forwards datagrams of one port of a host, and the answers. Dropping it ends it.
pub struct UdpRelay {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// When a line is free again. Clones share the line.
#[derive(Clone)]
pub struct Bottleneck(Arc<Mutex<Instant>>);

impl Bottleneck {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(now())))
    }

    /// When a datagram that arrives now has left the line; `None` if the queue is full.
    fn pass(&self, at: Instant, len: usize, mbit: u32) -> Option<Instant> {
        let mut free_at = self.0.lock().expect("no panic");
        let begin = at.max(*free_at);
        if begin - at > QUEUE_TIME {
            return None;
        }
        let bits = (len + FRAME_HEADERS_LEN) as u64 * 8;
        *free_at = begin + Duration::from_nanos(bits * 1000 / u64::from(mbit));
        Some(*free_at)
    }
}

impl UdpRelay {
    /// Forwards between `port` of a host and `to`; the way back shares the line `back` with other relays.
    pub fn start(host: &Host, port: u16, to: SocketAddr, path: Path, back: &Bottleneck) -> Self {
        let [near, far] = [port, 0].map(|port| Arc::new(host.udp_socket(port)));
        far.connect(to).expect("there is a way");
        let is_over = Arc::new(AtomicBool::new(false));
        let dialer = Arc::new(Mutex::new(None));
        let there = Way {
            from: Arc::clone(&near),
            line: Bottleneck::new(),
            path: Path { lost_per_mille: 0, ..path },
            learned: Some(Arc::clone(&dialer)),
            is_over: Arc::clone(&is_over),
        };
        let again = Way {
            from: Arc::clone(&far),
            line: back.clone(),
            path,
            learned: None,
            is_over: Arc::clone(&is_over),
        };
        let mut threads = Vec::new();
        let (sender, due) = sync_channel(DATAGRAMS_UNDER_WAY_MAX);
        threads.push(std::thread::spawn(move || there.take(&sender)));
        threads.push(std::thread::spawn(move || give(&far, &due, || Some(to))));
        let (sender, due) = sync_channel(DATAGRAMS_UNDER_WAY_MAX);
        threads.push(std::thread::spawn(move || again.take(&sender)));
        threads.push(std::thread::spawn(move || give(&near, &due, || *dialer.lock().expect("no panic"))));
        Self { is_over, threads }
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Due = (Instant, Vec<u8>);

/// One direction of the relay.
struct Way {
    from: Arc<UdpSocket>,
    line: Bottleneck,
    path: Path,
    /// The address that sent last: answers go there.
    learned: Option<Arc<Mutex<Option<SocketAddr>>>>,
    is_over: Arc<AtomicBool>,
}

impl Way {
    fn take(&self, sender: &SyncSender<Due>) {
        let state = blocking(&self.from);
        let mut buffer = vec![0; 1 << 16];
        let mut chance = fastrand::Rng::with_seed(7);
        while !self.is_over.load(Ordering::Relaxed) {
            let mut meta = [RecvMeta::default()];
            let received = state.recv((&*self.from).into(), &mut [IoSliceMut::new(&mut buffer)], &mut meta);
            let at = now();
            let [RecvMeta { addr, len, stride, .. }] = meta;
            // A timeout, or the other end does not listen yet.
            let Ok(1) = received else { continue };
            if let Some(learned) = &self.learned {
                *learned.lock().expect("no panic") = Some(addr);
            }
            for datagram in buffer[..len].chunks(stride.max(1)) {
                if chance.u32(0..1000) < self.path.lost_per_mille {
                    continue;
                }
                let Some(left_at) = self.line.pass(at, datagram.len(), self.path.mbit) else { continue };
                if sender.send((left_at + self.path.delay, datagram.to_vec())).is_err() {
                    return;
                }
            }
        }
    }
}

/// Sends datagrams of one length that are due together in one call.
fn give(to: &UdpSocket, due: &Receiver<Due>, destination: impl Fn() -> Option<SocketAddr>) {
    let state = blocking(to);
    let mut next = None;
    loop {
        let Some((at, mut contents)) = next.take().or_else(|| due.recv().ok()) else { return };
        std::thread::sleep(at.saturating_duration_since(now()));
        let (limit, len) = (now() + SLACK, contents.len());
        let mut count = 1;
        while count < BATCH {
            match due.try_recv() {
                Ok((at, datagram)) if at <= limit && datagram.len() == len => contents.extend(datagram),
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
            count += 1;
        }
        let Some(destination) = destination() else { continue };
        let transmit =
            Transmit { destination, ecn: None, contents: &contents, segment_size: Some(len), src_ip: None };
        let _: io::Result<()> = state.send(to.into(), &transmit);
    }
}

fn blocking(socket: &UdpSocket) -> UdpSocketState {
    let state = UdpSocketState::new(socket.into()).expect("it is a UDP socket");
    for enlarge in [UdpSocketState::set_send_buffer_size, UdpSocketState::set_recv_buffer_size] {
        let _ = enlarge(&state, socket.into(), 4 << 20);
    }
    socket.set_nonblocking(false).expect("it is a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("it is a socket");
    state
}

#[expect(clippy::disallowed_methods, reason = "a wire needs the time")]
fn now() -> Instant {
    Instant::now()
}

/// As long a queue as a good router has.
const QUEUE_TIME: Duration = Duration::from_millis(50);
/// Ethernet, IPv4 and UDP.
const FRAME_HEADERS_LEN: usize = 42;
const DATAGRAMS_UNDER_WAY_MAX: usize = 16_384;
/// So many of 1452 bytes are below the 64 KiB of one call.
const BATCH: usize = 40;
/// A datagram may be early by this much.
const SLACK: Duration = Duration::from_micros(300);
