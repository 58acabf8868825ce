//! One link's tasks: its control stream each way, its incoming chunk streams, its end. Reports facts; decides nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, trace};

use super::WireTotals;
use super::budget::Budget;
use super::clock::{self, Clock};
use super::fact::{End, Fact, Report};
use super::receive;
use super::throttle::Throttle;
use super::traced::Brief;
use crate::limits::CONTROL_QUEUE_FRAMES;
use swarm_core::trust::Role;
use swarm_core::wire::{CloseCode, Message, RequestId};
use swarm_engine::{Input, LinkId, RunRequest, ShareId, Violation};
use swarm_files::Store;
use swarm_link::limits::FRAMES_GATHERED_LEN;
use swarm_link::{FrameRead as _, FrameWrite as _, Link};

/// What the node keeps of a link.
pub(super) struct LinkHandle<L> {
    pub(super) link: L,
    pub(super) role: Role,
    pub(super) dialed: bool,
    /// Its control stream stands: the engine knows it.
    pub(super) is_up: bool,
    /// Something long was asked for here.
    pub(super) is_asked: bool,
    /// What this peer alone may be sent.
    pub(super) up: Throttle,
    pub(super) control: mpsc::Sender<ControlOut>,
    /// The task that sends a chunk stream of a share holds the share's: one after the other, so that the first has come whole soonest.
    pub(super) pens: BTreeMap<ShareId, Arc<tokio::sync::Mutex<()>>>,
    requests: Requests,
}

/// What goes out on the control stream.
pub(super) enum ControlOut {
    Message(Message),
    /// Nothing after this; then the link is closed.
    Finish {
        code: u32,
        reason: String,
    },
}

/// What a link's tasks use.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) report: Report,
    pub(super) budget: Budget,
    /// Of all peers together, and of this one.
    pub(super) down: [Throttle; 2],
    /// Cancelled when the link is closed.
    pub(super) gone: CancellationToken,
    pub(super) clock: Clock,
}

impl Context {
    /// The longest piece to read at once.
    pub(super) fn down_piece_len(&self, wanted: usize) -> usize {
        self.down.iter().fold(wanted, |len, throttle| throttle.piece_len(len))
    }

    /// Waits until so many bytes may come: from this peer first, which takes no share of the others' while it waits.
    pub(super) async fn wait_down(&self, len: usize) {
        let [all, peer] = &self.down;
        peer.wait(len).await;
        all.wait(len).await;
    }
}

/// A chunk stream that is to come, or is coming.
#[derive(Clone)]
pub(super) struct Expected {
    pub(super) wanted: RunRequest,
    pub(super) store: Arc<dyn Store>,
    pub(super) cancel: CancellationToken,
    pub(super) begun: bool,
}

/// Open requests of one link, by name. Never iterated.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Mutex<HashMap<RequestId, Expected>>>);

impl Requests {
    /// Takes a request for the stream that answers it; once.
    pub(super) fn begin(&self, request: RequestId) -> Option<Expected> {
        let mut requests = self.lock();
        let expected = requests.get_mut(&request).filter(|expected| !expected.begun)?;
        expected.begun = true;
        Some(expected.clone())
    }

    /// Its stream is over.
    pub(super) fn end(&self, request: RequestId) {
        self.lock().remove(&request);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Link> LinkHandle<L> {
    /// What it has moved so far.
    pub(super) fn wire(&self) -> WireTotals {
        let stats = self.link.stats();
        WireTotals { received_len: stats.received_len, sent_len: stats.sent_len }
    }

    /// A chunk stream for this request will come.
    pub(super) fn expect(&self, expected: Expected) {
        self.requests.lock().insert(expected.wanted.request, expected);
    }

    /// Stops a stream. True if it has not begun and is over with this; otherwise its task reports the end.
    pub(super) fn abandon(&self, request: RequestId) -> bool {
        let mut requests = self.requests.lock();
        match requests.get(&request) {
            Some(expected) if expected.begun => {
                expected.cancel.cancel();
                false
            }
            Some(_) => requests.remove(&request).is_some(),
            // The stream's task has just reported the end.
            None => false,
        }
    }
}

/// Starts the tasks of a link.
pub(super) fn start<L: Link>(
    id: LinkId,
    link: L,
    (role, dialed): (Role, bool),
    up: Throttle,
    context: Context,
    tasks: &TaskTracker,
) -> LinkHandle<L> {
    let (control, queue) = mpsc::channel(CONTROL_QUEUE_FRAMES);
    let requests = Requests::default();
    let task = LinkTask { id, link: link.clone(), requests: requests.clone(), context };
    let span = tracing::trace_span!("link", id = id.0, peer = %link.peer().short());
    tasks.spawn(task.run(queue).instrument(span));
    LinkHandle {
        link,
        role,
        dialed,
        is_up: false,
        is_asked: false,
        up,
        control,
        pens: BTreeMap::new(),
        requests,
    }
}

struct LinkTask<L> {
    id: LinkId,
    link: L,
    requests: Requests,
    context: Context,
}

impl<L: Link> LinkTask<L> {
    async fn run(self, queue: mpsc::Receiver<ControlOut>) {
        let control = clock::timeout(CONTROL_TIMEOUT, self.link.control()).await;
        let end = match control {
            Some(Ok((writer, reader))) => self.exchange(writer, reader, queue).await,
            Some(Err(reason)) => reason.into(),
            None => {
                self.link.close(CloseCode::ControlSilent.code(), "no control stream");
                "it opened no control stream".into()
            }
        };
        self.report(Fact::Ended { link: self.id, end }).await;
    }

    /// Runs until the link is closed and every chunk stream has reported its end.
    async fn exchange(
        &self,
        writer: L::FrameWriter,
        reader: L::FrameReader,
        queue: mpsc::Receiver<ControlOut>,
    ) -> End {
        self.report(Fact::ControlReady { link: self.id }).await;
        let streams = TaskTracker::new();
        let ((), is_silent, ..) = tokio::join!(
            write_control(&self.link, writer, queue),
            self.read_control(reader),
            self.accept_streams(&streams),
            self.measure(),
            async {
                self.link.closed().await;
                self.context.gone.cancel();
            },
        );
        streams.close();
        streams.wait().await;
        let reason = self.link.closed().await;
        if is_silent { "it does not greet".into() } else { reason.into() }
    }

    /// Reads until the link is closed. True if that was because no greeting came.
    async fn read_control(&self, mut reader: L::FrameReader) -> bool {
        let silence = clock::timeout(CONTROL_TIMEOUT, std::future::pending::<()>());
        tokio::pin!(silence);
        let mut is_greeted = false;
        // What had come already when this side closed the link is not worked off: there may be megabytes.
        while !self.link.is_closed_here() {
            let frame = tokio::select! {
                frame = reader.next() => frame,
                _ = &mut silence, if !is_greeted => {
                    self.link.close(CloseCode::ControlSilent.code(), "no Hello came");
                    return true;
                }
            };
            let input = match frame {
                Ok(Some(frame)) => match Message::decode(frame) {
                    Ok(Some(message)) => {
                        trace!(message = %Brief(&message), "received");
                        Input::Message { link: self.id, message }
                    }
                    Ok(None) => continue,
                    Err(error) => self.malformed(error.to_string()),
                },
                // The peer ends the link in an orderly way and closes it next, or it is closed already.
                Ok(None) | Err(swarm_link::FrameError::LinkLost(_)) => break,
                Err(error) => self.malformed(error.to_string()),
            };
            let is_last = matches!(input, Input::Malformed { .. });
            is_greeted |= matches!(&input, Input::Message { message: Message::Hello(_), .. });
            self.report(Fact::Input(input)).await;
            if is_last {
                break;
            }
        }
        self.link.closed().await;
        false
    }

    fn malformed(&self, what: String) -> Input {
        Input::Malformed { link: self.id, violation: Violation::Malformed(what) }
    }

    async fn accept_streams(&self, streams: &TaskTracker) {
        while let Ok(stream) = self.link.accept_chunk_stream().await {
            let task = receive::ReceiveTask {
                link: self.id,
                node: self.link.peer(),
                requests: self.requests.clone(),
                context: self.context.clone(),
            };
            streams.spawn(task.run(stream));
        }
    }

    async fn measure(&self) {
        loop {
            self.report(Fact::Input(Input::Measured { link: self.id, rtt: self.link.rtt() })).await;
            tokio::select! {
                () = tokio::time::sleep(MEASURE_INTERVAL) => {}
                _ = self.link.closed() => break,
            }
        }
    }

    /// A node that has ended listens to no facts: that is no error.
    async fn report(&self, fact: Fact) {
        let _ = self.context.report.send(fact).await;
    }
}

/// Writes messages, many at once where many wait, until the link is closed or finished. Of those that wait for a slow reader no
/// more than one write's worth is encoded: a page of a manifest is long then, and shared before.
async fn write_control<L: Link>(link: &L, mut writer: L::FrameWriter, mut queue: mpsc::Receiver<ControlOut>) {
    let mut batch = Vec::new();
    loop {
        let is_open = tokio::select! {
            count = queue.recv_many(&mut batch, FRAMES_AT_ONCE) => count > 0,
            _ = link.closed() => return,
        };
        let (mut frames, mut gathered_len, mut farewell) = (Vec::<Bytes>::new(), 0, None);
        let mut outs = batch.drain(..).peekable();
        while let Some(out) = outs.next() {
            match out {
                ControlOut::Message(message) => {
                    trace!(message = %Brief(&message), "sending");
                    frames.push(message.encode());
                }
                ControlOut::Finish { code, reason } => farewell = Some((code, reason)),
            }
            gathered_len += frames.last().map_or(0, Bytes::len);
            if gathered_len < FRAMES_GATHERED_LEN && outs.peek().is_some() {
                continue;
            }
            gathered_len = 0;
            if writer.write_frames(&std::mem::take(&mut frames)).await.is_err() {
                link.closed().await;
                return;
            }
        }
        if let Some((code, reason)) = farewell {
            link.finish(writer, code, &reason).await;
            return;
        }
        if !is_open {
            link.finish(writer, 0, "done").await;
            return;
        }
    }
}

/// A peer that opens a link has this long to open its control stream, and each has this long to greet on it.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
const FRAMES_AT_ONCE: usize = 256;
