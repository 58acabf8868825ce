//! A network within one process: no socket, no encryption; a link is a pair of bounded queues each way. Its peers are who they say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_core::trust::{Applicant, Denial, Open, Role};
use swarm_link::{
    Admission, ChunkReceive, ChunkSend, CloseReason, DialError, FrameError, FrameRead, FrameWrite, Link,
    LinkOptions, LinkStats, Network, ReceiveError, SendError,
};

/// All places of one network. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct World(Arc<Mutex<BTreeMap<NodeId, mpsc::Sender<MemoryLink>>>>);

/// A node's place in it.
#[derive(Clone)]
pub(super) struct Place {
    node: NodeId,
    world: World,
    incoming: Arc<tokio::sync::Mutex<mpsc::Receiver<MemoryLink>>>,
    admission: Arc<watch::Sender<Admission>>,
    links: Arc<Mutex<Vec<MemoryLink>>>,
}

/// One end of a link.
#[derive(Clone)]
pub(super) struct MemoryLink {
    peer: NodeId,
    is_dialer: bool,
    end: Arc<End>,
    /// Set once, by the end that closes it.
    closed: Arc<watch::Sender<Option<Close>>>,
    sent_len: Arc<AtomicU64>,
    received_len: Arc<AtomicU64>,
}

/// What one end takes from and puts into.
struct End {
    control: Mutex<Option<(mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>)>>,
    opened: mpsc::Sender<Receiver>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Receiver>>,
}

#[derive(Clone)]
struct Close {
    by_dialer: bool,
    code: u32,
    reason: String,
}

/// A control stream, out.
pub(super) struct Writer {
    frames: mpsc::Sender<Bytes>,
    link: MemoryLink,
}

/// A control stream, in.
pub(super) struct Reader {
    frames: mpsc::Receiver<Bytes>,
    link: MemoryLink,
}

/// A chunk stream, out.
pub(super) struct Sender {
    pieces: Option<mpsc::Sender<Bytes>>,
    state: Arc<watch::Sender<State>>,
    link: MemoryLink,
}

/// A chunk stream, in.
pub(super) struct Receiver {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
    state: Arc<watch::Sender<State>>,
    link: MemoryLink,
}

/// How far a chunk stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    Finished,
    Read,
    Reset(u64),
    Stopped(u64),
}

impl World {
    /// A place for this node.
    pub(super) fn place(&self, node: NodeId) -> Place {
        let (sender, incoming) = mpsc::channel(QUEUE_MAX);
        locked(&self.0).insert(node, sender);
        let admission = Admission { rules: Arc::new(Open), clock: || SystemTime::UNIX_EPOCH };
        Place {
            node,
            world: self.clone(),
            incoming: Arc::new(tokio::sync::Mutex::new(incoming)),
            admission: Arc::new(watch::Sender::new(admission)),
            links: Arc::default(),
        }
    }
}

impl Network for Place {
    type Link = MemoryLink;

    fn node_id(&self) -> NodeId {
        self.node
    }

    fn link_options(&self) -> LinkOptions {
        LinkOptions::default()
    }

    async fn dial_peer(&self, _: Duration, node: NodeId, _: &[Address]) -> Result<MemoryLink, DialError> {
        let accepting = locked(&self.world.0).get(&node).cloned().ok_or(DialError::NoAddress(node))?;
        let (ours, theirs) = MemoryLink::pair(self.node, node);
        accepting.send(theirs).await.map_err(|_| DialError::Closed)?;
        locked(&self.links).push(ours.clone());
        Ok(ours)
    }

    async fn accept(&self) -> Option<MemoryLink> {
        let link = self.incoming.lock().await.recv().await?;
        locked(&self.links).push(link.clone());
        Some(link)
    }

    fn admission(&self) -> watch::Receiver<Admission> {
        self.admission.subscribe()
    }

    fn admits(&self, link: &MemoryLink) -> Result<Role, Denial> {
        let rules = self.admission.borrow().rules.clone();
        rules.admit(&Applicant { node: link.peer, certificate: &[], unix_secs: 0 })
    }

    async fn close(&self, code: u32, reason: &str) {
        locked(&self.world.0).remove(&self.node);
        locked(&self.links).drain(..).for_each(|link| link.close(code, reason));
    }
}

impl MemoryLink {
    fn pair(dialer: NodeId, acceptor: NodeId) -> (Self, Self) {
        let (to_acceptor, from_dialer) = mpsc::channel(QUEUE_MAX);
        let (to_dialer, from_acceptor) = mpsc::channel(QUEUE_MAX);
        let (opened_by_dialer, seen_by_acceptor) = mpsc::channel(QUEUE_MAX);
        let (opened_by_acceptor, seen_by_dialer) = mpsc::channel(QUEUE_MAX);
        let end = |control, opened, incoming| {
            let control = Mutex::new(Some(control));
            Arc::new(End { control, opened, incoming: tokio::sync::Mutex::new(incoming) })
        };
        let dialing = end((to_acceptor, from_acceptor), opened_by_dialer, seen_by_dialer);
        let accepting = end((to_dialer, from_dialer), opened_by_acceptor, seen_by_acceptor);
        let closed = Arc::new(watch::Sender::new(None));
        let (up, down) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let ours = Self {
            peer: acceptor,
            is_dialer: true,
            end: dialing,
            closed: Arc::clone(&closed),
            sent_len: Arc::clone(&up),
            received_len: Arc::clone(&down),
        };
        let theirs =
            Self { peer: dialer, is_dialer: false, end: accepting, closed, sent_len: down, received_len: up };
        (ours, theirs)
    }

    fn reason_of(&self, close: &Close) -> CloseReason {
        if close.by_dialer == self.is_dialer {
            CloseReason::ClosedHere
        } else {
            CloseReason::ClosedByPeer { code: close.code, reason: close.reason.clone() }
        }
    }
}

impl Link for MemoryLink {
    type FrameWriter = Writer;
    type FrameReader = Reader;
    type ChunkSender = Sender;
    type ChunkReceiver = Receiver;

    fn peer(&self) -> NodeId {
        self.peer
    }

    fn address(&self) -> Option<Address> {
        None
    }

    fn rtt(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn stats(&self) -> LinkStats {
        LinkStats {
            sent_len: self.sent_len.load(Ordering::Relaxed),
            received_len: self.received_len.load(Ordering::Relaxed),
            sent_packets: 0,
            lost_packets: 0,
            congestion_window_len: u64::MAX,
            datagram_len: u16::MAX,
            rtt: self.rtt(),
        }
    }

    fn set_windows(&self, _: u32, _: u32) {}

    async fn control(&self) -> Result<(Writer, Reader), CloseReason> {
        let (sender, receiver) = locked(&self.end.control).take().expect("it is asked for once");
        let writer = Writer { frames: sender, link: self.clone() };
        Ok((writer, Reader { frames: receiver, link: self.clone() }))
    }

    async fn open_chunk_stream(&self) -> Result<Sender, CloseReason> {
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let state = Arc::new(watch::Sender::new(State::Going));
        let peer = self.clone();
        let receiver = Receiver { pieces, piece: Bytes::new(), state: Arc::clone(&state), link: peer };
        tokio::select! {
            sent = self.end.opened.send(receiver) => sent.map_err(|_| CloseReason::Reset)?,
            reason = self.closed() => return Err(reason),
        }
        Ok(Sender { pieces: Some(sender), state, link: self.clone() })
    }

    async fn accept_chunk_stream(&self) -> Result<Receiver, CloseReason> {
        let mut incoming = self.end.incoming.lock().await;
        tokio::select! {
            Some(mut receiver) = incoming.recv() => {
                receiver.link = self.clone();
                Ok(receiver)
            }
            reason = self.closed() => Err(reason),
        }
    }

    fn close(&self, code: u32, reason: &str) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            if is_first {
                *closed = Some(Close { by_dialer: self.is_dialer, code, reason: reason.to_owned() });
            }
            is_first
        });
    }

    async fn finish(&self, control: Writer, code: u32, reason: &str) {
        // All the room of the queue is free when the peer has taken everything out.
        let emptied = control.frames.reserve_many(QUEUE_MAX);
        let _ = tokio::time::timeout(Duration::from_secs(1), emptied).await;
        self.close(code, reason);
    }

    async fn closed(&self) -> CloseReason {
        let mut closed = self.closed.subscribe();
        let close = closed.wait_for(Option::is_some).await.expect("this link holds the sender");
        self.reason_of(close.as_ref().expect("it was waited for"))
    }

    fn is_closed_here(&self) -> bool {
        self.closed.borrow().as_ref().is_some_and(|close| close.by_dialer == self.is_dialer)
    }
}

impl FrameWrite for Writer {
    async fn write_frames(&mut self, frames: &[Bytes]) -> Result<(), SendError> {
        for frame in frames {
            tokio::select! {
                sent = self.frames.send(frame.clone()) => sent.map_err(|_| CloseReason::Reset)?,
                reason = self.link.closed() => return Err(reason.into()),
            }
        }
        Ok(())
    }
}

impl FrameRead for Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        tokio::select! {
            biased;
            frame = self.frames.recv() => Ok(frame),
            reason = self.link.closed() => Err(reason.into()),
        }
    }
}

impl ChunkSend for Sender {
    async fn write_all(&mut self, bytes: Bytes) -> Result<(), SendError> {
        let Some(pieces) = &self.pieces else { return Err(SendError::Ended) };
        let len = bytes.len() as u64;
        if pieces.send(bytes).await.is_err() {
            return Err(match *self.state.borrow() {
                State::Stopped(code) => SendError::Stopped(code),
                _ => SendError::Ended,
            });
        }
        self.link.sent_len.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    async fn write_some(&mut self, bytes: &mut Bytes) -> Result<(), SendError> {
        let Some(pieces) = &self.pieces else { return Err(SendError::Ended) };
        let Ok(permit) = pieces.reserve().await else {
            return Err(match *self.state.borrow() {
                State::Stopped(code) => SendError::Stopped(code),
                _ => SendError::Ended,
            });
        };
        self.link.sent_len.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        permit.send(std::mem::take(bytes));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SendError> {
        self.end(State::Finished);
        Ok(())
    }

    fn reset(&mut self, code: u32) {
        self.end(State::Reset(code.into()));
    }

    async fn stopped(&self) -> Result<Option<u64>, SendError> {
        let mut state = self.state.subscribe();
        let over = state.wait_for(|state| matches!(state, State::Read | State::Stopped(_)));
        tokio::select! {
            over = over => match *over.expect("this stream holds the sender") {
                State::Stopped(code) => Ok(Some(code)),
                _ => Ok(None),
            },
            reason = self.link.closed() => Err(reason.into()),
        }
    }
}

impl Sender {
    /// The state first: the receiver looks at it when the pieces end.
    fn end(&mut self, end: State) {
        self.state.send_if_modified(|state| {
            let is_open = matches!(state, State::Going | State::Finished);
            if is_open {
                *state = end;
            }
            is_open
        });
        self.pieces = None;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.pieces.is_some() {
            self.reset(0);
        }
    }
}

impl ChunkReceive for Receiver {
    async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if self.piece.is_empty() {
            let piece = tokio::select! {
                biased;
                piece = self.pieces.recv() => piece,
                reason = self.link.closed() => return Err(reason.into()),
            };
            match piece {
                Some(piece) => self.piece = piece,
                None => return self.ended(),
            }
        }
        let piece = self.piece.split_to(buffer.len().min(self.piece.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }

    async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReceiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..]).await? {
                0 => return Err(ReceiveError::EndedEarly(filled)),
                len => filled += len,
            }
        }
        Ok(())
    }

    fn stop(&mut self, code: u32) {
        self.state.send_if_modified(|state| {
            let is_open = matches!(state, State::Going | State::Finished);
            if is_open {
                *state = State::Stopped(code.into());
            }
            is_open
        });
        self.pieces.close();
    }
}

impl Receiver {
    fn ended(&self) -> Result<usize, ReceiveError> {
        let state = *self.state.borrow();
        match state {
            State::Finished | State::Read => {
                self.state.send_replace(State::Read);
                Ok(0)
            }
            State::Reset(code) => Err(ReceiveError::Reset(code)),
            State::Going | State::Stopped(_) => Err(ReceiveError::Ended),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop(0);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Links, frames and streams that wait.
const QUEUE_MAX: usize = 64;
/// Pieces of one chunk stream on their way.
const PIECES_MAX: usize = 2;
