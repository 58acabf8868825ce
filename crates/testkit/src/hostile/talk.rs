//! One link of the hostile peer: sends messages or any bytes, receives messages, opens streams.

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream};
use swarm_core::base::Bitfield;
use swarm_core::wire::{
    CHUNK_STREAM_HEADER_LEN, ChunkRuns, ChunkStreamHeader, Handle, Hello, Message, RequestId,
};

use super::film::Film;

/// A link whose control stream stands.
pub struct Talk {
    pub connection: Connection,
    pub send: SendStream,
    recv: RecvStream,
    heard: BytesMut,
}

/// A request that the victim sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub request: RequestId,
    pub chunk: u32,
    pub offset: u32,
    pub len: u32,
}

impl Talk {
    /// The link of the dialing side.
    pub async fn open(connection: Connection) -> Option<Self> {
        let (send, recv) = connection.open_bi().await.ok()?;
        Some(Self { connection, send, recv, heard: BytesMut::new() })
    }

    /// The link of the accepting side.
    pub async fn accept(connection: Connection) -> Option<Self> {
        let (send, recv) = connection.accept_bi().await.ok()?;
        Some(Self { connection, send, recv, heard: BytesMut::new() })
    }

    /// Sends bytes; false if the victim has closed the link.
    pub async fn say_bytes(&mut self, bytes: &[u8]) -> bool {
        self.send.write_all(bytes).await.is_ok()
    }

    pub async fn say(&mut self, message: &Message) -> bool {
        self.say_bytes(&framed(&message.encode())).await
    }

    pub async fn say_hello(&mut self) -> bool {
        self.say(&Message::Hello(Hello::ours())).await
    }

    /// Greets, and unchokes the victim.
    pub async fn greet(&mut self) -> bool {
        self.say_hello().await && self.say(&Message::Choke { choked: false }).await
    }

    /// Greets, opens the film and announces every chunk.
    pub async fn offer(&mut self, film: &Film) -> bool {
        self.take_part(film).await && self.say_have(film).await
    }

    /// Greets and opens the film. Ready when the victim has opened it with its manifest as well: then it accepts Haves.
    pub async fn take_part(&mut self, film: &Film) -> bool {
        if !(self.greet().await && self.say(&opened(film, HANDLE)).await) {
            return false;
        }
        loop {
            match self.hear().await {
                Some(Message::Open { content, knows_manifest: true, .. }) if content == film.content() => {
                    return true;
                }
                Some(_) => {}
                None => return false,
            }
        }
    }

    pub async fn say_have(&mut self, film: &Film) -> bool {
        self.say(&Message::Have { handle: HANDLE, chunks: film.all_chunks() }).await
    }

    /// The next message; `None` when the link or the stream has ended.
    pub async fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = take_frame(&mut self.heard) {
                if let Some(message) = Message::decode(frame).expect("the victim speaks well") {
                    return Some(message);
                }
                continue;
            }
            let chunk = self.recv.read_chunk(64 << 10, true).await.ok()??;
            self.heard.extend_from_slice(&chunk.bytes);
        }
    }

    /// The next frame of any kind.
    pub async fn hear_frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = take_frame(&mut self.heard) {
                return Some(frame);
            }
            let chunk = self.recv.read_chunk(64 << 10, true).await.ok()??;
            self.heard.extend_from_slice(&chunk.bytes);
        }
    }

    /// The next request; other messages are skipped.
    pub async fn hear_request(&mut self) -> Option<Asked> {
        loop {
            if let Message::Request { request, chunk, offset, len, .. } = self.hear().await? {
                return Some(Asked { request, chunk, offset, len });
            }
        }
    }

    /// Reads until the victim closes the link; returns its reason. Frames are not decoded, because they may come from
    /// a peer or from a coordinator.
    pub async fn hear_the_end(&mut self) -> String {
        while self.hear_frame().await.is_some() {}
        self.connection.closed().await.to_string()
    }

    /// The sending half, and a future that reads and drops everything until the link ends.
    pub fn halves(&mut self) -> (&mut SendStream, impl Future<Output = ()> + '_) {
        let recv = &mut self.recv;
        let drain = async move { while let Ok(Some(_)) = recv.read_chunk(64 << 10, true).await {} };
        (&mut self.send, drain)
    }

    /// Reads until the link ends.
    pub async fn idle(&mut self) {
        self.hear_the_end().await;
    }
}

/// Sends a stream with this header and these bytes, and finishes it.
pub async fn stream(connection: &Connection, header: ChunkStreamHeader, bytes: &[u8]) -> bool {
    let Some(mut stream) = begin(connection, header).await else { return false };
    stream.write_all(bytes).await.is_ok() && stream.finish().is_ok()
}

/// Opens a stream and sends this header alone.
pub async fn begin(connection: &Connection, header: ChunkStreamHeader) -> Option<SendStream> {
    let mut stream = connection.open_uni().await.ok()?;
    stream.write_all(&header.encode()).await.ok()?;
    Some(stream)
}

/// Answers a request as an honest seed does.
pub async fn answer_well(connection: &Connection, film: &Film, asked: Asked) -> bool {
    stream(connection, asked.header(), film.run(asked)).await
}

impl Asked {
    pub fn header(self) -> ChunkStreamHeader {
        ChunkStreamHeader { request: self.request, chunk: self.chunk, offset: self.offset, len: self.len }
    }
}

/// An Open of a node that has the manifest.
pub fn opened(film: &Film, handle: Handle) -> Message {
    Message::Open { handle, content: film.content(), knows_manifest: true, is_offer: false }
}

/// Bytes as a frame.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = varint(body.len() as u64);
    bytes.extend_from_slice(body);
    bytes
}

/// A frame of an unknown message.
pub fn raw_message(field: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = varint(field << 3 | 2);
    bytes.extend(varint(body.len() as u64));
    bytes.extend_from_slice(body);
    framed(&bytes)
}

/// LEB128.
pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The chunks below `count`.
pub(crate) fn all_chunks(count: u32) -> ChunkRuns {
    ChunkRuns::of(&Bitfield::full(count)).remove(0)
}

fn take_frame(heard: &mut BytesMut) -> Option<Bytes> {
    let (mut len, mut at) = (0usize, 0);
    loop {
        let byte = *heard.get(at)?;
        len |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (heard.len() >= at + len).then(|| heard.split_to(at + len).freeze().slice(at..))
}

/// The hostile peer's handle for the film.
pub const HANDLE: Handle = Handle(7);
const _: () = assert!(CHUNK_STREAM_HEADER_LEN == 20);
