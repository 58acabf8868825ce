//! One carried link: what its streams share, and the task that moves its bytes. Decides nothing; does not read frames.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval, timeout};

use super::channel::{ChannelReceive, ChannelSend};
use super::streams::{CarriedFrameReader, CarriedFrameWriter, CarriedReceiver, CarriedSender};
use crate::clock::Clock;
use crate::limits::{EARLY_RECEIVE_WINDOW_LEN, LINK_FINISH_TIMEOUT, LINK_KEEP_ALIVE};
use crate::{CloseReason, LinkStats};
use swarm_carrier::limits::TAG_LEN;
use swarm_carrier::{Carrier, Happened, Record, StreamId, Violation};
use swarm_core::base::NodeId;
use swarm_core::base::limits::LINK_IDLE_TIMEOUT;
use swarm_core::manifest::Address;
use swarm_core::wire::{CloseCode, FramingError};

/// A link to a peer over a channel of messages. Clones are the same link. It closes, with code 0, when all clones and streams are dropped.
#[derive(Clone)]
pub struct CarriedLink {
    pub(super) shared: Arc<Shared>,
    /// What all clones hold, and the task that moves the bytes does not.
    _held: Arc<Held>,
}

/// Closes a link that nobody holds any more: its task would move its pings for ever.
struct Held(Arc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.say_last(CloseCode::Done.code(), "done");
    }
}

/// Moves the bytes of a link; ends when the link is closed.
pub type Carrying = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket, over TCP.
    WebSocket,
    /// A WebTransport session, over QUIC.
    WebTransport,
}

/// Who is at the ends of a link, and what is between them.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// Proved its key.
    pub(super) peer: NodeId,
    /// Whether this node dialed.
    pub(super) is_dialer: bool,
    pub(super) address: Option<Address>,
    pub(super) transport: Transport,
}

pub(super) struct Shared {
    ends: Ends,
    state: Mutex<State>,
    /// There are records to send, or the link was closed here.
    to_send: Notify,
    /// There is room or credit for bytes of streams, or for frames, or a stream is over.
    pub(super) room: Notify,
    /// Frames came.
    pub(super) frames: Notify,
    /// Frames were taken, or orders sent: reading may go on.
    taken: Notify,
    /// Streams came.
    opened: Notify,
    closed: watch::Sender<Option<CloseReason>>,
    is_control_taken: AtomicBool,
    sent_len: AtomicU64,
    received_len: AtomicU64,
    sent_messages: AtomicU64,
    rtt_nanos: AtomicU64,
}

pub(super) struct State {
    pub(super) carrier: Carrier,
    /// Frames that came and were not taken.
    pub(super) frames_in: VecDeque<Bytes>,
    /// How the peer broke the framing after those: nothing more of it is read.
    pub(super) fault: Option<FramingError>,
    /// Streams that came and were not taken.
    opened: VecDeque<StreamId>,
    /// Who waits for bytes of a stream.
    pub(super) readers: BTreeMap<StreamId, Arc<Notify>>,
    /// Streams of this side that are over, with the other side's code if it stopped them.
    pub(super) over: BTreeMap<StreamId, Option<u32>>,
    /// What is to be said last.
    farewell: Vec<Record>,
    /// When the ping with this number was sent.
    pinged: Option<(u32, Instant)>,
}

impl CarriedLink {
    pub(super) fn start(
        ends: Ends,
        sender: impl ChannelSend,
        receiver: impl ChannelReceive,
    ) -> (Self, Carrying) {
        let state = State {
            carrier: Carrier::new(),
            frames_in: VecDeque::new(),
            fault: None,
            opened: VecDeque::new(),
            readers: BTreeMap::new(),
            over: BTreeMap::new(),
            farewell: Vec::new(),
            pinged: None,
        };
        let shared = Arc::new(Shared {
            ends,
            state: Mutex::new(state),
            to_send: Notify::new(),
            room: Notify::new(),
            frames: Notify::new(),
            taken: Notify::new(),
            opened: Notify::new(),
            closed: watch::Sender::new(None),
            is_control_taken: AtomicBool::new(false),
            sent_len: AtomicU64::new(0),
            received_len: AtomicU64::new(0),
            sent_messages: AtomicU64::new(0),
            rtt_nanos: AtomicU64::new(RTT_UNKNOWN.as_nanos() as u64),
        });
        let carrying = Box::pin(carry(Arc::clone(&shared), sender, receiver));
        let held = Arc::new(Held(Arc::clone(&shared)));
        (Self { shared, _held: held }, carrying)
    }

    /// The node at the other end, proved by its key.
    pub fn peer(&self) -> NodeId {
        self.shared.ends.peer
    }

    /// What carries it.
    pub fn transport(&self) -> Transport {
        self.shared.ends.transport
    }

    /// Whether this node dialed the link.
    pub fn is_dialer(&self) -> bool {
        self.shared.ends.is_dialer
    }

    /// Where the peer can be dialed, if it can.
    pub fn address(&self) -> Option<Address> {
        self.shared.ends.address.clone()
    }

    /// Round-trip time, by the last ping.
    pub fn rtt(&self) -> Duration {
        Duration::from_nanos(self.shared.rtt_nanos.load(Ordering::Relaxed))
    }

    /// Bytes of messages so far. Packets are those of another layer: each message counts as one, and none is lost.
    pub fn stats(&self) -> LinkStats {
        LinkStats {
            sent_len: self.shared.sent_len.load(Ordering::Relaxed),
            received_len: self.shared.received_len.load(Ordering::Relaxed),
            sent_packets: self.shared.sent_messages.load(Ordering::Relaxed),
            lost_packets: 0,
            congestion_window_len: swarm_carrier::limits::LINK_WINDOW_LEN.into(),
            datagram_len: 0,
            rtt: self.rtt(),
        }
    }

    /// The control stream, once.
    ///
    /// # Errors
    /// If the link is closed, or the stream was taken.
    pub fn control(&self) -> Result<(CarriedFrameWriter, CarriedFrameReader), CloseReason> {
        if self.shared.is_control_taken.swap(true, Ordering::Relaxed) {
            return Err(CloseReason::ClosedHere);
        }
        self.shared.closed_reason().map_or(Ok(()), Err)?;
        self.shared.taken.notify_one();
        Ok((CarriedFrameWriter::new(self.clone()), CarriedFrameReader::new(self.clone())))
    }

    /// A new chunk stream. Waits while as many are open as may be.
    ///
    /// # Errors
    /// If the link is closed.
    pub async fn open_chunk_stream(&self) -> Result<CarriedSender, CloseReason> {
        let stream = self.shared.when(&self.shared.room, |state| state.carrier.open()).await?;
        self.shared.to_send.notify_one();
        Ok(CarriedSender::new(self.clone(), stream))
    }

    /// The next chunk stream that the peer opened. Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the link is closed.
    pub async fn accept_chunk_stream(&self) -> Result<CarriedReceiver, CloseReason> {
        let stream = self.shared.when(&self.shared.opened, |state| state.opened.pop_front()).await?;
        let arrived = Arc::clone(self.shared.lock().readers.entry(stream).or_default());
        Ok(CarriedReceiver::new(self.clone(), stream, arrived))
    }

    /// Closes at once: chunk bytes that were written may be lost.
    pub fn close(&self, code: u32, reason: &str) {
        self.shared.say_last(code, reason);
    }

    /// Closes after the frames written so far have left, or after a while.
    pub async fn finish(&self, control: CarriedFrameWriter, code: u32, reason: &str) {
        drop(control);
        let left = self
            .shared
            .when(&self.shared.room, |state| (state.carrier.control_waiting_len() == 0).then_some(()));
        let _ = timeout(LINK_FINISH_TIMEOUT, left).await;
        self.close(code, reason);
    }

    /// Waits until the link is closed, at either end.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.shared.closed.subscribe();
        let reason = closed.wait_for(Option::is_some).await.expect("this link holds the sender");
        reason.clone().expect("it was waited for")
    }

    /// True once this node has closed the link.
    pub fn is_closed_here(&self) -> bool {
        *self.shared.closed.borrow() == Some(CloseReason::ClosedHere)
    }

    /// Tells the task of the link that there is something to send.
    pub(super) fn send_soon(&self) {
        self.shared.to_send.notify_one();
    }

    /// Tells the task of the link that frames were taken.
    pub(super) fn read_on(&self) {
        self.shared.taken.notify_one();
    }
}

impl fmt::Debug for CarriedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CarriedLink({:?} to {})", self.transport(), self.peer().short())
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held is a bug that has been printed; the state is whole between two records.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn closed_reason(&self) -> Option<CloseReason> {
        self.closed.borrow().clone()
    }

    /// Waits until `look` finds something, looking again at each `change`; on a link that is closed it does not look.
    pub(super) async fn when<T>(
        &self,
        change: &Notify,
        mut look: impl FnMut(&mut State) -> Option<T> + Send,
    ) -> Result<T, CloseReason> {
        let mut found = |state: &mut State| match self.closed_reason() {
            Some(reason) => Some(Err(reason)),
            None => look(state).map(Ok),
        };
        self.looked_for(change, &mut found).await
    }

    /// The same for what has come: that is there even after the link was closed.
    pub(super) async fn when_came<T>(
        &self,
        change: &Notify,
        mut look: impl FnMut(&mut State) -> Option<T> + Send,
    ) -> Result<T, CloseReason> {
        let mut found = |state: &mut State| {
            let closed = self.closed_reason();
            look(state).map(Ok).or(closed.map(Err))
        };
        self.looked_for(change, &mut found).await
    }

    async fn looked_for<T>(
        &self,
        change: &Notify,
        look: &mut (impl FnMut(&mut State) -> Option<Result<T, CloseReason>> + Send),
    ) -> Result<T, CloseReason> {
        let mut closed = self.closed.subscribe();
        loop {
            // Registered before the look: a change in between is not missed.
            let changed = change.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            tokio::select! {
                () = changed => {}
                _ = closed.wait_for(Option::is_some) => {}
            }
        }
    }

    /// Ends the link for this reason, unless it has ended.
    fn end(&self, reason: CloseReason) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            if is_first {
                *closed = Some(reason);
            }
            is_first
        });
    }

    /// Closes the link here, and tells the peer why.
    fn say_last(&self, code: u32, reason: &str) {
        {
            let mut state = self.lock();
            let last = state.carrier.close(code, reason);
            state.farewell.extend(last);
        }
        self.end(CloseReason::ClosedHere);
        self.to_send.notify_one();
    }

    /// Takes a message of the peer. An error is why the link is to be closed.
    fn receive(&self, message: Bytes) -> Result<(), Violation> {
        self.received_len.fetch_add((message.len() + TAG_LEN) as u64, Ordering::Relaxed);
        let mut state = self.lock();
        match state.carrier.receive(message)? {
            Happened::Control => {
                loop {
                    match state.carrier.next_frame() {
                        Ok(Some(frame)) => state.frames_in.push_back(frame),
                        Ok(None) => break,
                        // For the reader of the control stream to find.
                        Err(fault) => {
                            state.fault = Some(fault);
                            break;
                        }
                    }
                }
                self.frames.notify_waiters();
            }
            Happened::Opened(stream) => {
                state.opened.push_back(stream);
                self.opened.notify_waiters();
            }
            Happened::Arrived(stream) => {
                if let Some(reader) = state.readers.get(&stream) {
                    reader.notify_waiters();
                }
            }
            Happened::Room => self.room.notify_waiters(),
            Happened::Over(stream, code) => {
                state.over.insert(stream, code);
                self.room.notify_waiters();
            }
            Happened::Pong(number) => {
                let answered = state.pinged.take_if(|(pinged, _)| *pinged == number);
                if let Some((_, at)) = answered {
                    let rtt = Clock::system().saturating_duration_since(at);
                    self.rtt_nanos.store(rtt.as_nanos() as u64, Ordering::Relaxed);
                }
            }
            Happened::Closed { code, reason } => {
                self.end(CloseReason::ClosedByPeer { code, reason });
            }
            Happened::Nothing => {}
        }
        if state.carrier.has_records() {
            self.to_send.notify_one();
        }
        Ok(())
    }

    /// The next message for the peer.
    fn next_message(&self) -> Option<Bytes> {
        let mut state = self.lock();
        let record =
            if state.farewell.is_empty() { state.carrier.next_record()? } else { state.farewell.remove(0) };
        let mut message = BytesMut::with_capacity(record.encoded_len() + TAG_LEN);
        record.encode(&mut message);
        self.sent_len.fetch_add((message.len() + TAG_LEN) as u64, Ordering::Relaxed);
        self.sent_messages.fetch_add(1, Ordering::Relaxed);
        Some(message.freeze())
    }

    /// Whether more of the peer may be read: what it said before was taken. Before the node has taken the link, a peer needs only a key to
    /// say something, so that little of it is kept.
    fn may_read(&self, state: &State) -> bool {
        let is_taken = self.is_control_taken.load(Ordering::Relaxed);
        let has_room = if is_taken {
            state.frames_in.len() < FRAMES_WAITING_MAX
        } else {
            state.frames_in.is_empty() && state.carrier.unread_len() < EARLY_RECEIVE_WINDOW_LEN.into()
        };
        has_room && state.fault.is_none() && !state.carrier.is_congested()
    }

    fn ping(&self) {
        let mut state = self.lock();
        let number = state.pinged.map_or(0, |(number, _)| number.wrapping_add(1));
        state.pinged = Some((number, Clock::system()));
        state.carrier.ping(number);
        drop(state);
        self.to_send.notify_one();
    }
}

/// Ends a link whose task has ended, unless that has said why.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end(CloseReason::Reset);
    }
}

/// Moves messages both ways until the link is closed.
async fn carry(shared: Arc<Shared>, sender: impl ChannelSend, receiver: impl ChannelReceive) {
    // Also when this is dropped before its end: nothing moves the bytes any more.
    let _ended = Ended(&shared);
    let reason = tokio::select! {
        reason = read(&shared, receiver) => reason,
        reason = write(&shared, sender) => reason,
        () = ping(&shared) => CloseReason::TimedOut,
    };
    shared.end(reason);
    let state = shared.lock();
    state.readers.values().for_each(|reader| reader.notify_waiters());
}

async fn read(shared: &Shared, mut receiver: impl ChannelReceive) -> CloseReason {
    let mut closed = shared.closed.subscribe();
    loop {
        if shared.when(&shared.taken, |state| shared.may_read(state).then_some(())).await.is_err() {
            return closed_here().await;
        }
        let message = tokio::select! {
            message = timeout(LINK_IDLE_TIMEOUT, receiver.next()) => message,
            () = until_closed(&mut closed) => return closed_here().await,
        };
        match message {
            Ok(Ok(Some(message))) => {
                if let Err(violation) = shared.receive(message) {
                    shared.say_last(CloseCode::Malformed.code(), &violation.to_string());
                    return closed_here().await;
                }
                if let Some(reason) =
                    shared.closed_reason().filter(|reason| *reason != CloseReason::ClosedHere)
                {
                    return reason;
                }
            }
            Ok(Ok(None)) => return CloseReason::Reset,
            Ok(Err(error)) => return CloseReason::Transport(error.to_string()),
            Err(_) => return CloseReason::TimedOut,
        }
    }
}

async fn until_closed(closed: &mut watch::Receiver<Option<CloseReason>>) {
    // The sender is in what the link shares.
    let _ = closed.wait_for(Option::is_some).await;
}

/// A link that was closed here is not read any more, and lives until its farewell has left, or for a while.
async fn closed_here() -> CloseReason {
    tokio::time::sleep(LINK_FINISH_TIMEOUT).await;
    CloseReason::ClosedHere
}

async fn write(shared: &Shared, mut sender: impl ChannelSend) -> CloseReason {
    loop {
        let mut has_sent = false;
        while let Some(message) = shared.next_message() {
            has_sent = true;
            if let Err(error) = sender.send(message).await {
                return CloseReason::Transport(error.to_string());
            }
            shared.room.notify_waiters();
            shared.taken.notify_one();
        }
        if has_sent && let Err(error) = sender.flush().await {
            return CloseReason::Transport(error.to_string());
        }
        if shared.closed_reason().is_some() && shared.lock().farewell.is_empty() {
            let _ = timeout(LINK_FINISH_TIMEOUT, sender.close()).await;
            return CloseReason::ClosedHere;
        }
        shared.to_send.notified().await;
    }
}

async fn ping(shared: &Shared) {
    let mut beat = interval(LINK_KEEP_ALIVE);
    loop {
        beat.tick().await;
        shared.ping();
    }
}

/// Frames that wait for their reader; more are read when it has taken these.
const FRAMES_WAITING_MAX: usize = 64;
/// Until the first ping is answered.
const RTT_UNKNOWN: Duration = Duration::from_millis(50);
