//! One link as the hostile peer holds it: says messages or any bytes, hears messages, opens streams.

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

/// A request of the victim's.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub request: RequestId,
    pub chunk: u32,
    pub offset: u32,
    pub len: u32,
}

impl Talk {
    /// As the side that dialed.
    pub async fn open(connection: Connection) -> Option<Self> {
        let (send, recv) = connection.open_bi().await.ok()?;
        Some(Self { connection, send, recv, heard: BytesMut::new() })
    }

    /// As the side that was dialed.
    pub async fn accept(connection: Connection) -> Option<Self> {
        let (send, recv) = connection.accept_bi().await.ok()?;
        Some(Self { connection, send, recv, heard: BytesMut::new() })
    }

    /// False if the victim has closed the link.
    pub async fn say_bytes(&mut self, bytes: &[u8]) -> bool {
        self.send.write_all(bytes).await.is_ok()
    }

    pub async fn say(&mut self, message: &Message) -> bool {
        self.say_bytes(&framed(&message.encode())).await
    }

    pub async fn say_hello(&mut self) -> bool {
        self.say(&Message::Hello(Hello::ours())).await
    }

    /// Greets, and says that requests are served.
    pub async fn greet(&mut self) -> bool {
        self.say_hello().await && self.say(&Message::Choke { choked: false }).await
    }

    /// Greets, takes part and says that it has everything.
    pub async fn offer(&mut self, film: &Film) -> bool {
        self.take_part(film).await && self.say_have(film).await
    }

    /// Greets, and takes part. Ready when the victim has said that it knows the manifest, too: then it reads Haves.
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

    /// The next message; `None` when the link or the stream is over.
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

    /// The next frame, whoever says it.
    pub async fn hear_frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = take_frame(&mut self.heard) {
                return Some(frame);
            }
            let chunk = self.recv.read_chunk(64 << 10, true).await.ok()??;
            self.heard.extend_from_slice(&chunk.bytes);
        }
    }

    /// The next request; other messages are passed over.
    pub async fn hear_request(&mut self) -> Option<Asked> {
        loop {
            if let Message::Request { request, chunk, offset, len, .. } = self.hear().await? {
                return Some(Asked { request, chunk, offset, len });
            }
        }
    }

    /// Hears until the victim closes the link; what it gave as the reason. Frames are not decoded: what comes may
    /// be a peer's or a coordinator's.
    pub async fn hear_the_end(&mut self) -> String {
        while self.hear_frame().await.is_some() {}
        self.connection.closed().await.to_string()
    }

    /// The sending half, and the future that reads and drops all that comes until the link is over.
    pub fn halves(&mut self) -> (&mut SendStream, impl Future<Output = ()> + '_) {
        let recv = &mut self.recv;
        let drain = async move { while let Ok(Some(_)) = recv.read_chunk(64 << 10, true).await {} };
        (&mut self.send, drain)
    }

    /// Listens for as long as the link lasts.
    pub async fn idle(&mut self) {
        self.hear_the_end().await;
    }
}

/// A stream with this header, and then these bytes; ended.
pub async fn stream(connection: &Connection, header: ChunkStreamHeader, bytes: &[u8]) -> bool {
    let Some(mut stream) = begin(connection, header).await else { return false };
    stream.write_all(bytes).await.is_ok() && stream.finish().is_ok()
}

/// A stream with this header, and nothing else yet.
pub async fn begin(connection: &Connection, header: ChunkStreamHeader) -> Option<SendStream> {
    let mut stream = connection.open_uni().await.ok()?;
    stream.write_all(&header.encode()).await.ok()?;
    Some(stream)
}

/// Answers a request as an honest seed would.
pub async fn answer_well(connection: &Connection, film: &Film, asked: Asked) -> bool {
    stream(connection, asked.header(), film.run(asked)).await
}

impl Asked {
    pub fn header(self) -> ChunkStreamHeader {
        ChunkStreamHeader { request: self.request, chunk: self.chunk, offset: self.offset, len: self.len }
    }
}

/// Open, as one who has the manifest.
pub fn opened(film: &Film, handle: Handle) -> Message {
    Message::Open { handle, content: film.content(), knows_manifest: true, is_offer: false }
}

/// Bytes as a frame.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = varint(body.len() as u64);
    bytes.extend_from_slice(body);
    bytes
}

/// A frame of a message that no build knows.
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

/// All chunks up to `count`.
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

/// What the hostile peer calls the film.
pub const HANDLE: Handle = Handle(7);
const _: () = assert!(CHUNK_STREAM_HEADER_LEN == 20);
