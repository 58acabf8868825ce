//! One chunk stream coming in: header, bytes into one buffer, then checked and written. Backpressure: no buffer, no reading.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Buffer;
use super::fact::{Fact, Report};
use super::link::{Context, Expected, Requests};
use super::stores::verdict_of;
use swarm_core::base::NodeId;
use swarm_core::manifest::Piece;
use swarm_core::wire::{CHUNK_STREAM_HEADER_LEN, ChunkStreamHeader, RequestId};
use swarm_engine::limits::PROGRESS_REPORT_LEN;
use swarm_engine::{Input, LinkId, RunRequest, Violation};
use swarm_files::{Store, StoreError};
use swarm_link::ChunkReceive;

pub(super) struct ReceiveTask {
    pub(super) link: LinkId,
    pub(super) node: NodeId,
    pub(super) requests: Requests,
    pub(super) context: Context,
}

impl ReceiveTask {
    pub(super) async fn run(self, mut stream: impl ChunkReceive) {
        let mut header = [0; CHUNK_STREAM_HEADER_LEN];
        if stream.read_exact(&mut header).await.is_err() {
            // Given up, or the link is gone: the request, if there is one, ends by its timeout or with the link.
            return;
        }
        let header = ChunkStreamHeader::decode(&header);
        let Some(expected) = self.requests.begin(header.request) else {
            // Cancelled while it was on its way, most likely: no fault.
            stream.stop(0);
            return;
        };
        let run = expected.wanted.run;
        if (header.chunk, header.offset, header.len) == (run.first().get(), run.offset(), run.len()) {
            self.receive(stream, &expected).await;
        } else {
            stream.stop(0);
            self.violated("it is not what was asked for").await;
        }
        self.requests.end(header.request);
        self.report(Input::StreamEnded { link: self.link, request: header.request }).await;
    }

    async fn receive(&self, mut stream: impl ChunkReceive, expected: &Expected) {
        let cancel = &expected.cancel;
        let buffer = tokio::select! {
            buffer = self.context.budget.buffer(expected.wanted.run.len()) => buffer,
            () = cancel.cancelled() => return stream.stop(0),
        };
        let (buffer, received_len) = self.fill(&mut stream, expected, buffer).await;
        // Whatever a peer sends beyond what was asked for is not read.
        stream.stop(0);
        self.settle(expected, buffer, received_len).await;
    }

    /// Reads until the buffer is full, the stream ends, or it is cancelled. Returns how much came.
    async fn fill(
        &self,
        stream: &mut impl ChunkReceive,
        expected: &Expected,
        mut buffer: Buffer,
    ) -> (Buffer, usize) {
        let (request, cancel) = (expected.wanted.request, &expected.cancel);
        let (mut filled, mut reported) = (0, 0);
        let mut reported_at = self.context.clock.now();
        let bytes = buffer.as_mut_slice();
        while filled < bytes.len() {
            let end = bytes.len().min(filled + self.context.down_piece_len(usize::MAX - filled));
            let read = tokio::select! {
                read = stream.read_some(&mut bytes[filled..end]) => read,
                () = cancel.cancelled() => break,
            };
            let Ok(len @ 1..) = read else { break };
            filled += len;
            let now = self.context.clock.now();
            if filled - reported >= PROGRESS_REPORT_LEN as usize || now - reported_at >= REPORT_INTERVAL {
                self.received(request, filled - reported).await;
                (reported, reported_at) = (filled, now);
            }
            tokio::select! {
                () = self.context.wait_down(len) => {}
                () = cancel.cancelled() => break,
                () = self.context.gone.cancelled() => break,
            }
        }
        if filled > reported {
            self.received(request, filled - reported).await;
        }
        (buffer, filled)
    }

    /// Whole chunks are checked and written while the next stream is read; parts are kept before the end is reported.
    async fn settle(&self, expected: &Expected, buffer: Buffer, received_len: usize) {
        let RunRequest { request, content, run, .. } = expected.wanted;
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        let mut at = 0;
        for mut piece in expected.store.manifest().geometry().pieces(run) {
            let len = (piece.len as usize).min(received_len - at);
            if len == piece.len as usize && piece.is_whole {
                whole.push((piece, at));
            } else if len > 0 {
                piece.len = len as u32;
                parts.push((piece, at));
            }
            at += len;
        }
        for (piece, _) in &whole {
            self.report(Input::ChunkArrived { link: self.link, request, chunk: piece.chunk }).await;
        }
        let job = CheckJob {
            link: self.link,
            node: self.node,
            request,
            store: Arc::clone(&expected.store),
            buffer,
            report: self.context.report.clone(),
        };
        let is_kept_first = !parts.is_empty();
        let work = tokio::task::spawn_blocking(move || {
            if let Err(error) = job.run(&whole, &parts) {
                let _ = job.report.blocking_send(Fact::StoreFailed { content, error });
            }
        });
        if is_kept_first {
            // A panic in there has been printed; the chunk is asked for again.
            let _ = work.await;
        }
    }

    async fn received(&self, request: RequestId, len: usize) {
        self.report(Input::Received { link: self.link, request, len: len as u32 }).await;
    }

    async fn violated(&self, what: &'static str) {
        self.report(Input::Malformed { link: self.link, violation: Violation::ChunkStream(what) }).await;
    }

    /// A node that has ended listens to no facts: that is no error.
    async fn report(&self, input: Input) {
        let _ = self.context.report.send(Fact::Input(input)).await;
    }
}

/// Checks and writes what came on one stream.
struct CheckJob {
    link: LinkId,
    node: NodeId,
    request: RequestId,
    store: Arc<dyn Store>,
    buffer: Buffer,
    report: Report,
}

impl CheckJob {
    fn run(&self, whole: &[(Piece, usize)], parts: &[(Piece, usize)]) -> Result<(), StoreError> {
        let content = self.store.manifest().id();
        for (piece, at) in parts {
            let bytes = &self.buffer.as_slice()[*at..][..piece.len as usize];
            self.store.keep_slice(piece.chunk, piece.offset, bytes)?;
            let (link, request, chunk) = (self.link, self.request, piece.chunk);
            self.tell(Input::SliceKept { link, request, chunk, offset: piece.offset, len: piece.len });
        }
        for (piece, at) in whole {
            let bytes = &self.buffer.as_slice()[*at..][..piece.len as usize];
            let verdict = verdict_of(self.store.write_chunk(piece.chunk, bytes)?);
            self.tell(Input::ChunkChecked { content, chunk: piece.chunk, from: Some(self.node), verdict });
        }
        Ok(())
    }

    fn tell(&self, input: Input) {
        let _ = self.report.blocking_send(Fact::Input(input));
    }
}

/// On a slow link at least this often, so that it is seen to move.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
