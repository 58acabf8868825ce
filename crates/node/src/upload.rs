//! One chunk stream going out: read a block, send it, read the next. Memory: one block a stream, beside what QUIC holds. What QUIC
//! holds can still be taken back: on a slow line that is many chunks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{trace, warn};

use super::blocks::Blocks;
use super::clock::timeout;
use super::throttle::Throttle;
use crate::limits::UPLOAD_STALL_TIMEOUT;
use swarm_core::manifest::{ChunkIndex, Piece};
use swarm_core::wire::ChunkStreamHeader;
use swarm_engine::{Extent, Reread, RunRequest, UploadEnd};
use swarm_files::{Store, StoreError, Trouble};
use swarm_link::{ChunkSend as _, Link};

pub(super) struct UploadTask<L> {
    pub(super) wanted: RunRequest,
    pub(super) link: L,
    pub(super) pen: Arc<Mutex<()>>,
    pub(super) store: Arc<dyn Store>,
    /// The narrower ones first: of the content's share, of this peer, of all together.
    pub(super) throttles: [Throttle; 3],
    /// Bytes to read at once.
    pub(super) block_len: u32,
    pub(super) blocks: Blocks,
    pub(super) cancel: CancellationToken,
}

/// Sends the run. Returns payload bytes handed over, how it ended, and the stream if all of it was handed over.
pub(super) async fn run<L: Link>(task: &UploadTask<L>) -> (u64, UploadEnd, Option<L::ChunkSender>) {
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
pub(super) async fn settle<L: Link>(task: &UploadTask<L>, mut stream: L::ChunkSender) {
    let is_unwanted = tokio::select! {
        stopped = stream.stopped() => matches!(stopped, Ok(Some(_))),
        () = task.cancel.cancelled() => true,
    };
    if is_unwanted {
        stream.reset(0);
    }
}

async fn send<L: Link>(
    task: &UploadTask<L>,
    stream: &mut L::ChunkSender,
    sent_len: &mut u64,
) -> Result<(), UploadEnd> {
    let RunRequest { request, run, .. } = task.wanted;
    let header =
        ChunkStreamHeader { request, chunk: run.first().get(), offset: run.offset(), len: run.len() };
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

async fn write<L: Link>(
    task: &UploadTask<L>,
    stream: &mut L::ChunkSender,
    mut bytes: Bytes,
) -> Result<(), UploadEnd> {
    while !bytes.is_empty() {
        let piece_len = task.throttles.iter().fold(bytes.len(), |len, throttle| throttle.piece_len(len));
        let mut piece = bytes.split_to(piece_len);
        // An upload that waits at the narrower gate takes no share of the others'.
        for throttle in &task.throttles {
            throttle.wait(piece.len()).await;
        }
        while !piece.is_empty() {
            let written = timeout(UPLOAD_STALL_TIMEOUT, stream.write_some(&mut piece)).await;
            written.ok_or(UploadEnd::Stalled)?.map_err(|_| UploadEnd::Stopped)?;
        }
    }
    Ok(())
}

/// The run in blocks: parts of a long chunk, or many short chunks together.
fn blocks<L>(task: &UploadTask<L>) -> Vec<Vec<Piece>> {
    let mut blocks: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for piece in task.store.manifest().geometry().pieces(task.wanted.run) {
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

/// Reads a block. What cannot be read just now is tried again for half a second: many a trouble is over by then, and no peer has to
/// hear of it.
async fn read<L: Link>(task: &UploadTask<L>, block: Vec<Piece>) -> Result<Bytes, UploadEnd> {
    let first = block.first().map(|piece| piece.chunk);
    let block = Arc::new(block);
    let mut pauses = READ_AGAIN_AFTER.iter();
    loop {
        let (store, blocks, block) = (Arc::clone(&task.store), task.blocks.clone(), Arc::clone(&block));
        let work = tokio::task::spawn_blocking(move || read_block(store.as_ref(), &blocks, &block));
        let (chunk, error) = match (work.await, first) {
            (Ok(Ok(bytes)), _) => return Ok(bytes),
            (Ok(Err(failed)), _) => failed,
            // The reader panicked: whatever chunk it was at cannot be served.
            (Err(_), Some(chunk)) => return Err(UploadEnd::Lost(chunk)),
            (Err(_), None) => return Err(UploadEnd::Stopped),
        };
        match (error.trouble(), pauses.next()) {
            (Some(_), Some(pause)) => tokio::time::sleep(*pause).await,
            (Some(trouble), None) => {
                let (extent, reason) = (extent_of(trouble), error.to_string());
                return Err(UploadEnd::Unreadable { chunk, extent, reason });
            }
            (None, _) => {
                warn!(%error, "a chunk cannot be served");
                return Err(UploadEnd::Lost(chunk));
            }
        }
    }
}

/// Reads all of a chunk again.
pub(super) fn reread(store: &dyn Store, chunk: ChunkIndex) -> Reread {
    let len = store.manifest().geometry().chunk_len(chunk);
    let mut buffer = vec![0; len.min(REREAD_LEN) as usize];
    let read = (0..len).step_by(REREAD_LEN as usize).try_for_each(|offset| {
        store.read(chunk, offset, &mut buffer[..(len - offset).min(REREAD_LEN) as usize])
    });
    match read {
        Ok(()) => Reread::Readable,
        Err(error) if error.trouble().is_some() => Reread::Trouble,
        Err(error) => {
            warn!(%error, "a chunk cannot be served");
            Reread::Changed
        }
    }
}

fn extent_of(trouble: Trouble) -> Extent {
    match trouble {
        Trouble::Chunk => Extent::Chunk,
        Trouble::File => Extent::File,
        Trouble::Everything => Extent::Content,
    }
}

fn read_block(
    store: &dyn Store,
    blocks: &Blocks,
    block: &[Piece],
) -> Result<Bytes, (ChunkIndex, StoreError)> {
    let len = block.iter().map(|piece| piece.len as usize).sum();
    blocks.filled(len, |mut rest| {
        for piece in block {
            let (part, next) = rest.split_at_mut(piece.len as usize);
            store.read(piece.chunk, piece.offset, part).map_err(|error| (piece.chunk, error))?;
            rest = next;
        }
        Ok(())
    })
}

/// Pauses between tries to read what cannot be read just now.
const READ_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// Bytes of a chunk that are read again at once.
const REREAD_LEN: u32 = 512 << 10;
