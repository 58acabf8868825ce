//! One node's link to the coordinator: a greeting, then messages between the node and the desk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, trace};

use super::desk::{Call, ClientId};
use super::pace::Pace;
use crate::limits::{COORDINATOR_LINKS_MAX, COORDINATOR_QUEUE_FRAMES};
use swarm_core::base::NodeId;
use swarm_core::base::limits::{ADMISSION_CHECK_INTERVAL, ANNOUNCE_INTERVAL, ANNOUNCE_TIME_TO_LIVE};
use swarm_core::trust::Denial;
use swarm_core::wire::{CloseCode, Coordination, Hello, PROTOCOL_MAJOR, Welcome};
use swarm_link::{CloseReason, Endpoint, FrameReader, FrameWriter, QuicLink};

/// Accepts links until `ending` is cancelled, with one task each.
pub(super) async fn accept(
    mut links: mpsc::Receiver<QuicLink>,
    endpoint: Endpoint,
    calls: mpsc::Sender<Call>,
    tasks: TaskTracker,
    ending: CancellationToken,
) {
    let (pace, places) = (Arc::new(Pace::new()), Arc::new(Semaphore::new(COORDINATOR_LINKS_MAX)));
    let mut tidy = tokio::time::interval(TIDY_INTERVAL);
    let mut next = 0;
    loop {
        let link = tokio::select! {
            link = links.recv() => link,
            _ = tidy.tick() => {
                pace.tidy();
                continue;
            }
            () = ending.cancelled() => return,
        };
        let Some(link) = link else { return };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            link.close(
                CloseCode::TooManyLinks.code(),
                "this coordinator has as many nodes as it may: ask another one",
            );
            continue;
        };
        next += 1;
        let (endpoint, calls, pace) = (endpoint.clone(), calls.clone(), Arc::clone(&pace));
        let task = ServeTask { id: ClientId(next), link, endpoint, calls, pace };
        let ending = ending.clone();
        tasks.spawn(async move {
            task.run(ending).await;
            drop(place);
        });
    }
}

struct ServeTask {
    id: ClientId,
    link: QuicLink,
    endpoint: Endpoint,
    calls: mpsc::Sender<Call>,
    pace: Arc<Pace>,
}

impl ServeTask {
    async fn run(self, ending: CancellationToken) {
        let observed = self.link.remote_address();
        let (queue, waiting) = mpsc::channel(COORDINATOR_QUEUE_FRAMES);
        let said = tokio::select! {
            said = self.serve(observed, queue, waiting) => said,
            () = ending.cancelled() => Err("the coordinator is stopping".to_owned()),
        };
        let reason = said.err().unwrap_or_default();
        self.link.close(u32::from(!reason.is_empty()), &reason);
        debug!(node = self.link.peer().short(), %observed, reason, "a node left the coordinator");
        let is_farewell = matches!(self.link.close_reason(), Some(CloseReason::ClosedByPeer { .. }));
        // The desk may have ended.
        let _ = self.calls.send(Call::Left { client: self.id, is_farewell }).await;
    }

    async fn serve(
        &self,
        observed: SocketAddr,
        queue: mpsc::Sender<Coordination>,
        waiting: mpsc::Receiver<Coordination>,
    ) -> Result<(), String> {
        let control = timeout(GREETING_TIMEOUT, self.link.control()).await;
        let (writer, mut reader) = control.map_err(|_| SILENT)?.map_err(|error| error.to_string())?;
        timeout(GREETING_TIMEOUT, greeting(&mut reader)).await.map_err(|_| SILENT)??;
        let welcome = Welcome {
            hello: Hello::ours(),
            observed: observed.into(),
            interval_s: ANNOUNCE_INTERVAL.as_secs() as u32,
            time_to_live_s: ANNOUNCE_TIME_TO_LIVE.as_secs() as u32,
        };
        // The queue is new, so it has room.
        let _ = queue.try_send(Coordination::Welcome(welcome));
        let node = self.link.peer();
        self.call(Call::Joined { client: self.id, node, observed, queue }).await?;
        let span = tracing::trace_span!("link", node = %node.short());
        tokio::select! {
            read = self.read(reader, node, observed).instrument(span.clone()) => read,
            written = write(writer, waiting).instrument(span) => written,
            denial = self.denied() => Err(denial.to_string()),
        }
    }

    /// Waits until the node may no longer have a link, and returns the reason.
    async fn denied(&self) -> Denial {
        let mut admission = self.endpoint.admission();
        loop {
            let is_open = admission.borrow_and_update().rules.is_open();
            if let Err(denial) = self.endpoint.admits(&self.link) {
                self.link.turn_away(&denial);
                return denial;
            }
            tokio::select! {
                Ok(()) = admission.changed() => {}
                () = tokio::time::sleep(ADMISSION_CHECK_INTERVAL), if !is_open => {}
                else => std::future::pending().await,
            }
        }
    }

    async fn read(&self, mut reader: FrameReader, node: NodeId, observed: SocketAddr) -> Result<(), String> {
        while let Some(frame) = reader.next().await.map_err(|error| error.to_string())? {
            while !self.pace.admits(node, observed.ip()) {
                // Not reading makes QUIC's flow control slow the node down.
                tokio::time::sleep(PACE_WAIT).await;
            }
            let message = Coordination::decode(frame).map_err(|error| error.to_string())?;
            trace!(?message, "received");
            match message {
                Some(Coordination::Announce { announce, wanted, links }) => {
                    if announce.body().node != node {
                        return Err("it announces another node than itself".to_owned());
                    }
                    // The node's address may have changed since it linked.
                    let (client, observed) = (self.id, self.link.remote_address());
                    self.call(Call::Announced { client, observed, announce, wanted, links }).await?;
                }
                Some(Coordination::Withdraw { content }) => {
                    self.call(Call::Withdrew { client: self.id, content }).await?;
                }
                None => {}
                Some(
                    Coordination::Hello(_)
                    | Coordination::Welcome(_)
                    | Coordination::Neighbours { .. }
                    | Coordination::Refused { .. }
                    | Coordination::Meet { .. },
                ) => return Err("it says what a node does not say".to_owned()),
            }
        }
        Ok(())
    }

    async fn call(&self, call: Call) -> Result<(), String> {
        self.calls.send(call).await.map_err(|_| "the coordinator is stopping".to_owned())
    }
}

async fn greeting(reader: &mut FrameReader) -> Result<(), String> {
    let frame = reader.next().await.map_err(|error| error.to_string())?.ok_or(SILENT)?;
    match Coordination::decode(frame).map_err(|error| error.to_string())? {
        Some(Coordination::Hello(hello)) if hello.major == PROTOCOL_MAJOR => Ok(()),
        Some(Coordination::Hello(hello)) => Err(format!("version {} is not spoken here", hello.major)),
        _ => Err("something before Hello".to_owned()),
    }
}

/// Writes messages until the desk closes the queue.
async fn write(mut writer: FrameWriter, mut waiting: mpsc::Receiver<Coordination>) -> Result<(), String> {
    while let Some(message) = waiting.recv().await {
        trace!(?message, "sending");
        let written = timeout(WRITE_TIMEOUT, writer.write_frames(&[message.encode()])).await;
        written.map_err(|_| "it does not read".to_owned())?.map_err(|error| error.to_string())?;
    }
    Err("another link of this node is kept, or it does not read".to_owned())
}

const SILENT: &str = "it does not greet";
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// A node that does not read for so long loses its link.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// Wait before the rate limit is asked again about a message that exceeded it.
const PACE_WAIT: Duration = Duration::from_millis(100);
