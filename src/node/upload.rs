//! One chunk stream going out: read a block, send it, read the next. Memory: one block a stream, beside what QUIC holds. What QUIC
//! holds can still be taken back: on a slow line that is many chunks.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{trace, warn};

use super::blocks::Blocks;
use super::clock::timeout;
use super::throttle::Throttle;
use crate::base::limits::UPLOAD_STALL_TIMEOUT;
use crate::engine::{LinkId, UploadEnd};
use crate::manifest::{ChunkIndex, Piece, Run};
use crate::storage::Store;
use crate::transport::{ChunkSender, Link};
use crate::wire::{ChunkStreamHeader, RequestId};

pub(super) struct UploadTask {
    pub(super) id: LinkId,
    pub(super) link: Link,
    pub(super) pen: Arc<Mutex<()>>,
    pub(super) request: RequestId,
    pub(super) run: Run,
    pub(super) store: Arc<dyn Store>,
    /// Of all peers together, and of this one.
    pub(super) throttles: [Throttle; 2],
    /// Bytes to read at once.
    pub(super) block_len: u32,
    pub(super) blocks: Blocks,
    pub(super) cancel: CancellationToken,
}

/// Sends the run. Returns payload bytes handed over, how it ended, and the stream if all of it was handed over.
pub(super) async fn run(task: &UploadTask) -> (u64, UploadEnd, Option<ChunkSender>) {
    let Ok(mut stream) = task.link.open_chunk_stream().await else { return (0, UploadEnd::Stopped, None) };
    let mut sent_len = 0;
    let end = tokio::select! {
        end = send(task, &mut stream, &mut sent_len) => end,
        () = task.cancel.cancelled() => Err(UploadEnd::Stopped),
    };
    let path = task.link.stats();
    trace!(sent_len, window_len = path.congestion_window_len, rtt = ?path.rtt, lost = path.lost_packets, "a run was sent");
    match end {
        Ok(()) => (sent_len, UploadEnd::Sent, Some(stream)),
        Err(end) => {
            stream.reset(0);
            (sent_len, end, None)
        }
    }
}

/// Waits until the peer has all of a stream, or wants no more of it: then nothing more of it is sent.
pub(super) async fn settle(task: &UploadTask, mut stream: ChunkSender) {
    let is_unwanted = tokio::select! {
        stopped = stream.stopped() => matches!(stopped, Ok(Some(_))),
        () = task.cancel.cancelled() => true,
    };
    if is_unwanted {
        stream.reset(0);
    }
}

async fn send(task: &UploadTask, stream: &mut ChunkSender, sent_len: &mut u64) -> Result<(), UploadEnd> {
    let (request, chunk) = (task.request, task.run.first().get());
    let header = ChunkStreamHeader { request, chunk, offset: task.run.offset(), len: task.run.len() };
    let mut head = Some(Bytes::copy_from_slice(&header.encode()));
    let mut pen = None;
    for block in blocks(task) {
        let block_len = block.iter().map(|piece| u64::from(piece.len)).sum::<u64>();
        let bytes = read(task, block).await?;
        // The first block is read while the stream before this one is still being sent.
        if pen.is_none() {
            pen = Some(task.pen.lock().await);
        }
        if let Some(head) = head.take() {
            stream.write_all(head).await.map_err(|_| UploadEnd::Stopped)?;
        }
        write(task, stream, bytes).await?;
        *sent_len += block_len;
    }
    stream.finish().map_err(|_| UploadEnd::Stopped)
}

async fn write(task: &UploadTask, stream: &mut ChunkSender, mut bytes: Bytes) -> Result<(), UploadEnd> {
    while !bytes.is_empty() {
        let [all, peer] = &task.throttles;
        let mut piece = bytes.split_to(all.piece_len(peer.piece_len(bytes.len())));
        // The narrower gate first: whoever waits at it takes no share of the others'.
        peer.wait(piece.len()).await;
        all.wait(piece.len()).await;
        while !piece.is_empty() {
            let written = timeout(UPLOAD_STALL_TIMEOUT, stream.write_some(&mut piece)).await;
            written.ok_or(UploadEnd::Stalled)?.map_err(|_| UploadEnd::Stopped)?;
        }
    }
    Ok(())
}

/// The run in blocks: parts of a long chunk, or many short chunks together.
fn blocks(task: &UploadTask) -> Vec<Vec<Piece>> {
    let mut blocks: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for piece in task.store.manifest().geometry().pieces(task.run) {
        let (mut offset, mut left) = (piece.offset, piece.len);
        while left > 0 {
            if room == 0 {
                blocks.push(Vec::new());
                room = task.block_len;
            }
            let len = left.min(room);
            let part = Piece { offset, len, is_whole: false, ..piece };
            if let Some(block) = blocks.last_mut() {
                block.push(part);
            }
            (offset, left, room) = (offset + len, left - len, room - len);
        }
    }
    blocks
}

async fn read(task: &UploadTask, block: Vec<Piece>) -> Result<Bytes, UploadEnd> {
    let (store, blocks) = (Arc::clone(&task.store), task.blocks.clone());
    let first = block.first().map(|piece| piece.chunk);
    let work = tokio::task::spawn_blocking(move || read_block(store.as_ref(), &blocks, &block));
    match (work.await, first) {
        (Ok(result), _) => result.map_err(UploadEnd::Lost),
        // The reader panicked: whatever chunk it was at cannot be served.
        (Err(_), Some(chunk)) => Err(UploadEnd::Lost(chunk)),
        (Err(_), None) => Err(UploadEnd::Stopped),
    }
}

fn read_block(store: &dyn Store, blocks: &Blocks, block: &[Piece]) -> Result<Bytes, ChunkIndex> {
    let len = block.iter().map(|piece| piece.len as usize).sum();
    blocks.filled(len, |mut rest| {
        for piece in block {
            let (part, next) = rest.split_at_mut(piece.len as usize);
            if let Err(error) = store.read(piece.chunk, piece.offset, part) {
                warn!(chunk = piece.chunk.get(), %error, "a chunk cannot be served");
                return Err(piece.chunk);
            }
            rest = next;
        }
        Ok(())
    })
}
