//! Chunk streams going out on one link: one after the other, so that the first has come whole soonest.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::content::Content;
use crate::limits::UPLOAD_STALL_TIMEOUT;
use swarm_carrier::{Carrier, StreamId};
use swarm_core::base::{ContentId, Instant};
use swarm_core::manifest::{ChunkIndex, Piece, Run};
use swarm_core::wire::{ChunkStreamHeader, RequestId};
use swarm_engine::UploadEnd;

#[derive(Debug, Default)]
pub(crate) struct Uploading {
    queue: VecDeque<Upload>,
    /// Streams that were handed over and may still be taken back.
    sent: BTreeMap<RequestId, StreamId>,
    /// Bytes that the carrier has taken, of all uploads.
    taken_len: u64,
    /// How many those were at the last look, and when that was more than before.
    looked_at: (u64, Instant),
}

#[derive(Debug)]
struct Upload {
    request: RequestId,
    content: ContentId,
    run: Run,
    stream: Option<StreamId>,
    /// What is still to be sent.
    pieces: VecDeque<Piece>,
    /// Bytes that wait for credit: of the header, or of the piece before.
    waiting: Bytes,
    sent_len: u64,
}

/// What an upload comes to when it is carried on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing to do until the peer or the channel takes more.
    Waits,
    /// This chunk is to be read and checked first.
    Needs(ContentId, ChunkIndex),
    /// One is over: payload bytes handed over, and how it ended.
    Over(RequestId, u64, UploadEnd),
}

impl Uploading {
    pub(crate) fn start(&mut self, request: RequestId, content: ContentId, run: Run, of: &Content) {
        let header =
            ChunkStreamHeader { request, chunk: run.first().get(), offset: run.offset(), len: run.len() };
        self.queue.push_back(Upload {
            request,
            content,
            run,
            stream: None,
            pieces: of.manifest.geometry().pieces(run).collect(),
            waiting: Bytes::copy_from_slice(&header.encode()),
            sent_len: 0,
        });
    }

    /// Sends more of the first one, from chunks that are in memory.
    pub(crate) fn carry_on(
        &mut self,
        carrier: &mut Carrier,
        contents: &BTreeMap<ContentId, Content>,
    ) -> Next {
        let Some(upload) = self.queue.front_mut() else { return Next::Waits };
        let Some(stream) = upload.stream.or_else(|| carrier.open()) else { return Next::Waits };
        upload.stream = Some(stream);
        loop {
            while !upload.waiting.is_empty() {
                match carrier.write(stream, &mut upload.waiting) {
                    Ok(0) => return Next::Waits,
                    Ok(len) => self.taken_len += len as u64,
                    Err(_) => return self.end(carrier, UploadEnd::Stopped),
                }
            }
            let Some(piece) = upload.pieces.front().copied() else {
                let end = carrier.finish(stream).map_or(UploadEnd::Stopped, |()| UploadEnd::Sent);
                return self.end(carrier, end);
            };
            let Some(content) = contents.get(&upload.content) else {
                return self.end(carrier, UploadEnd::Stopped);
            };
            let Some(bytes) = content.cached(piece.chunk) else {
                return if content.is_verified(piece.chunk) {
                    Next::Needs(upload.content, piece.chunk)
                } else {
                    self.end(carrier, UploadEnd::Lost(piece.chunk))
                };
            };
            upload.pieces.pop_front();
            upload.sent_len += u64::from(piece.len);
            upload.waiting = bytes.slice(piece.offset as usize..(piece.offset + piece.len) as usize);
        }
    }

    /// Ends the first one if nothing of it was taken for too long: its peer does not read.
    pub(crate) fn end_stalled(&mut self, carrier: &mut Carrier, now: Instant) -> Option<Next> {
        if self.queue.is_empty() || self.looked_at.0 != self.taken_len {
            self.looked_at = (self.taken_len, now);
            return None;
        }
        (now - self.looked_at.1 >= UPLOAD_STALL_TIMEOUT).then(|| self.end(carrier, UploadEnd::Stalled))
    }

    /// Takes an upload back, as far as it has not reached the peer. Returns how it ended, unless that was told.
    pub(crate) fn stop(&mut self, carrier: &mut Carrier, request: RequestId) -> Option<Next> {
        if let Some(stream) = self.sent.remove(&request) {
            carrier.reset(stream, 0);
            return None;
        }
        let at = self.queue.iter().position(|upload| upload.request == request)?;
        let upload = self.queue.remove(at)?;
        if let Some(stream) = upload.stream {
            carrier.reset(stream, 0);
        }
        Some(Next::Over(request, upload.sent_len, UploadEnd::Stopped))
    }

    /// A stream of this side is over.
    pub(crate) fn on_over(&mut self, carrier: &mut Carrier, stream: StreamId) {
        self.sent.retain(|_, sent| *sent != stream);
        // One that is still being written finds out when it writes.
        if self.queue.front().is_none_or(|upload| upload.stream != Some(stream)) {
            carrier.forget(stream);
        }
    }

    /// The chunk that the first one needs cannot be had.
    pub(crate) fn on_lost(
        &mut self,
        carrier: &mut Carrier,
        content: ContentId,
        chunk: ChunkIndex,
    ) -> Option<Next> {
        let first = self.queue.front()?;
        let waits =
            first.content == content && first.pieces.front().is_some_and(|piece| piece.chunk == chunk);
        waits.then(|| self.end(carrier, UploadEnd::Lost(chunk)))
    }

    fn end(&mut self, carrier: &mut Carrier, end: UploadEnd) -> Next {
        let Some(upload) = self.queue.pop_front() else { return Next::Waits };
        if let Some(stream) = upload.stream {
            if end == UploadEnd::Sent {
                self.sent.insert(upload.request, stream);
            } else {
                carrier.reset(stream, 0);
            }
        }
        debug_assert!(end != UploadEnd::Sent || upload.sent_len == u64::from(upload.run.len()));
        Next::Over(upload.request, upload.sent_len, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::manifest::{ChunkHasher, EntryPath, File, Geometry, Manifest};

    #[test]
    fn an_upload_that_is_not_read_ends() {
        let bytes = vec![5; 4 << 20];
        let geometry = Geometry::new([(bytes.len() as u64, 22)]).expect("one file");
        let chunk = geometry.chunk(0).expect("it has one");
        let hash = ChunkHasher::hash(&geometry.span(chunk), &bytes);
        let path = EntryPath::new("film").expect("a name");
        let (len, chunk_hashes) = (bytes.len() as u64, Bytes::new());
        let file = File {
            path,
            len,
            executable: false,
            blake3: hash,
            sha256: None,
            chunk_len_log2: 0,
            chunk_hashes,
        };
        let manifest = Manifest::new(vec![file], Vec::new()).expect("it adds up");
        let (content, run) = (manifest.id(), manifest.geometry().run(0, 0, 4 << 20).expect("a chunk"));
        let mut state = Content::new(manifest);
        state.open_whole();
        assert!(state.check(chunk, bytes.into()));
        let (mut uploading, mut carrier) = (Uploading::default(), Carrier::new());
        let start = Instant::ZERO;
        assert_eq!(uploading.end_stalled(&mut carrier, start), None);
        uploading.start(RequestId(1), content, run, &state);
        let contents = BTreeMap::from([(content, state)]);
        while uploading.carry_on(&mut carrier, &contents) == Next::Waits && carrier.next_record().is_some() {}
        assert_eq!(uploading.end_stalled(&mut carrier, start), None, "it moved since the last look");
        let soon = start + UPLOAD_STALL_TIMEOUT / 2;
        assert_eq!(uploading.end_stalled(&mut carrier, soon), None);
        let ended = uploading.end_stalled(&mut carrier, start + UPLOAD_STALL_TIMEOUT);
        assert!(matches!(ended, Some(Next::Over(RequestId(1), _, UploadEnd::Stalled))), "{ended:?}");
        assert_eq!(uploading.carry_on(&mut carrier, &contents), Next::Waits);
    }
}
