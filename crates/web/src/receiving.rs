//! Chunk streams coming in on one link. Pure bookkeeping: which stream answers which request, and what of it has come. Invariant: no
//! more is held than was asked for, and a stream is read only while there is room for all of it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use swarm_carrier::{Carrier, Read, StreamId};
use swarm_core::base::ContentId;
use swarm_core::manifest::Run;
use swarm_core::wire::{CHUNK_STREAM_HEADER_LEN, ChunkStreamHeader, RequestId};

#[derive(Debug, Default)]
pub(crate) struct Receiving {
    /// What was asked for and has not ended.
    expected: BTreeMap<RequestId, Expected>,
    streams: BTreeMap<StreamId, Stream>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    content: ContentId,
    run: Run,
    has_begun: bool,
}

#[derive(Debug)]
enum Stream {
    /// Its header is not whole.
    Heading(Vec<u8>),
    /// It answers a request.
    Answering { request: RequestId, buffer: BytesMut },
}

/// What came of reading.
#[derive(Debug)]
pub(crate) enum Came {
    /// So many bytes more of a request.
    Bytes(RequestId, u32),
    /// A stream is over: what was asked for, and what came of it, from the front.
    Over { request: RequestId, content: ContentId, run: Run, bytes: Bytes },
    /// A stream that is not what was asked for.
    Wrong(RequestId),
}

impl Receiving {
    /// A stream for this request will come.
    pub(crate) fn expect(&mut self, request: RequestId, content: ContentId, run: Run) {
        self.expected.insert(request, Expected { content, run, has_begun: false });
    }

    pub(crate) fn on_opened(&mut self, stream: StreamId) {
        self.streams.insert(stream, Stream::Heading(Vec::new()));
    }

    /// Reads no more of a request. Returns what came of it, if its stream has begun; `None` if nothing did, or if it is not known.
    pub(crate) fn abandon(&mut self, carrier: &mut Carrier, request: RequestId) -> Option<Came> {
        let is_of =
            |stream: &Stream| matches!(stream, Stream::Answering { request: of, .. } if *of == request);
        let Some(id) = self.streams.iter().find(|(_, stream)| is_of(stream)).map(|(id, _)| *id) else {
            let Expected { content, run, .. } = self.expected.remove(&request)?;
            return Some(Came::Over { request, content, run, bytes: Bytes::new() });
        };
        carrier.stop(id, 0);
        self.over(id)
    }

    /// Reads what has come of a stream. `room` is how many bytes may be held beside what is held already; it is reduced by what a stream
    /// that begins will need.
    pub(crate) fn read(&mut self, carrier: &mut Carrier, id: StreamId, room: &mut usize) -> Vec<Came> {
        let mut came = Vec::new();
        loop {
            match self.streams.get_mut(&id) {
                None => return came,
                Some(Stream::Heading(head)) => {
                    let wanted = CHUNK_STREAM_HEADER_LEN - head.len();
                    match carrier.read(id, wanted) {
                        Ok(Read::Bytes(bytes)) => head.extend_from_slice(&bytes),
                        Ok(Read::Pending) => return came,
                        // Given up before it began: its request ends with the link, or by its timeout.
                        Ok(Read::End | Read::Reset(_)) | Err(_) => {
                            self.streams.remove(&id);
                            return came;
                        }
                    }
                    if let Ok(head) = <[u8; CHUNK_STREAM_HEADER_LEN]>::try_from(&head[..]) {
                        came.extend(self.begin(carrier, id, ChunkStreamHeader::decode(&head)));
                    }
                }
                Some(Stream::Answering { request, buffer }) => {
                    let (request, len) = (*request, self.expected[request].run.len() as usize);
                    if buffer.capacity() == 0 {
                        // Room first: until there is, the bytes wait in the carrier, whose credits bound them.
                        if *room < len {
                            return came;
                        }
                        *room -= len;
                        *buffer = BytesMut::with_capacity(len);
                    }
                    if buffer.len() == len {
                        // Whatever is sent beyond what was asked for is not read.
                        carrier.stop(id, 0);
                        came.extend(self.over(id));
                        return came;
                    }
                    match carrier.read(id, len - buffer.len()) {
                        Ok(Read::Bytes(bytes)) => {
                            buffer.extend_from_slice(&bytes);
                            came.push(Came::Bytes(request, bytes.len() as u32));
                        }
                        Ok(Read::Pending) => return came,
                        Ok(Read::End | Read::Reset(_)) | Err(_) => {
                            came.extend(self.over(id));
                            return came;
                        }
                    }
                }
            }
        }
    }

    /// Streams that may have something to read.
    pub(crate) fn streams(&self) -> Vec<StreamId> {
        self.streams.keys().copied().collect()
    }

    /// Bytes that are held, or that room is kept for.
    pub(crate) fn held_len(&self) -> usize {
        let held = |stream: &Stream| match stream {
            Stream::Heading(_) => 0,
            Stream::Answering { buffer, .. } => buffer.capacity(),
        };
        self.streams.values().map(held).sum()
    }

    /// Everything that came and has not ended: the link is gone.
    pub(crate) fn end(&mut self) -> Vec<Came> {
        self.streams().into_iter().filter_map(|id| self.over(id)).collect()
    }

    fn begin(&mut self, carrier: &mut Carrier, id: StreamId, header: ChunkStreamHeader) -> Option<Came> {
        let request = header.request;
        let expected = self.expected.get_mut(&request).filter(|expected| !expected.has_begun);
        let Some(expected) = expected else {
            // Cancelled while it was on its way, most likely: no fault.
            carrier.stop(id, 0);
            self.streams.remove(&id);
            return None;
        };
        expected.has_begun = true;
        let run = expected.run;
        if (header.chunk, header.offset, header.len) == (run.first().get(), run.offset(), run.len()) {
            self.streams.insert(id, Stream::Answering { request, buffer: BytesMut::new() });
            return None;
        }
        carrier.stop(id, 0);
        self.streams.remove(&id);
        self.expected.remove(&request);
        Some(Came::Wrong(request))
    }

    fn over(&mut self, id: StreamId) -> Option<Came> {
        let Some(Stream::Answering { request, buffer }) = self.streams.remove(&id) else { return None };
        let Expected { content, run, .. } = self.expected.remove(&request)?;
        Some(Came::Over { request, content, run, bytes: buffer.freeze() })
    }
}
