//! Tests whether a node has the addresses and the chunks that it announces: links to it under a key made for probes, fetches one
//! random chunk and checks it against the manifest. The manifest comes from the node itself: its hash is the content's id, so the
//! node cannot forge it. A probe finds mistakes and cheap lies; a node that treats probes better than peers is exposed by the
//! peers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::book::Key;
use crate::limits::{PROBE_MANIFEST_LEN_MAX, PROBE_MANIFESTS_LEN_MAX, PROBE_TIMEOUT};
use swarm_core::base::limits::{MANIFEST_PAGE_LEN, MANIFEST_PAGES_IN_FLIGHT};
use swarm_core::base::{ContentId, NodeId, Rng};
use swarm_core::manifest::{Address, ChunkHasher, ChunkIndex, Manifest};
use swarm_core::wire::{
    CHUNK_STREAM_HEADER_LEN, ChunkStreamHeader, DeclineReason, Handle, Hello, Message, RequestId,
};
use swarm_link::{ChunkReceiver, Endpoint, FrameReader, FrameWriter, Identity, Protocol, QuicLink};

/// Runs probes. Clones share the manifests that they fetched.
#[derive(Clone)]
pub(super) struct Prober {
    endpoint: Endpoint,
    manifests: Arc<Mutex<Manifests>>,
    rng: Arc<Mutex<Rng>>,
}

/// The node and content to test.
pub(super) struct Probe {
    pub(super) key: Key,
    pub(super) observed: SocketAddr,
    /// Claimed addresses that may belong to another machine.
    pub(super) doubtful: Vec<Address>,
    pub(super) claims_chunks: bool,
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// The node was reached, and sent a chunk if it could.
    Good {
        /// Doubtful addresses at which the node was reached, too.
        reached: Vec<Address>,
        has_given_chunk: bool,
    },
    /// The node was not reached, or sent nothing of the content.
    Silent,
    /// The node sent a chunk that does not match the manifest.
    Corrupt,
}

/// The node's answer to the request for a chunk.
enum Given {
    /// A correct chunk, or a part of one before the timeout.
    Chunk,
    /// The node cannot be tested now: it is busy, or the manifest is too long.
    Excused,
    Nothing,
    Corrupt,
}

impl Prober {
    pub(super) fn new(endpoint: &Endpoint, identity: Identity, seed: u64) -> Self {
        let rng = Rng::seeded(seed);
        // A key of its own: a node keeps one link to each other node, and the process of the coordinator may also be a peer of this one.
        let endpoint = endpoint.disguised(identity);
        Self { endpoint, manifests: Arc::default(), rng: Arc::new(Mutex::new(rng)) }
    }

    pub(super) async fn run(&self, probe: &Probe) -> Probed {
        let (_, node) = probe.key;
        let Ok(link) = self.endpoint.dial(node, Protocol::Peer, &[probe.observed.into()]).await else {
            return Probed::Silent;
        };
        let given = if probe.claims_chunks { self.ask(&link, probe).await } else { Given::Excused };
        link.close(0, "probed");
        let has_given_chunk = match given {
            Given::Corrupt => return Probed::Corrupt,
            Given::Nothing => return Probed::Silent,
            Given::Chunk => true,
            Given::Excused => false,
        };
        Probed::Good { reached: self.reached(node, &probe.doubtful).await, has_given_chunk }
    }

    async fn reached(&self, node: NodeId, doubtful: &[Address]) -> Vec<Address> {
        let mut reached = Vec::new();
        for address in doubtful {
            let at = std::slice::from_ref(address);
            if let Ok(Ok(link)) = timeout(REACH_TIMEOUT, self.endpoint.dial(node, Protocol::Peer, at)).await {
                link.close(0, "probed");
                reached.push(address.clone());
            }
        }
        reached
    }

    async fn ask(&self, link: &QuicLink, probe: &Probe) -> Given {
        let (mut progress, is_denied) = (0, AtomicBool::new(false));
        let exchange = self.exchange(link, probe.key.0, &mut progress, &is_denied);
        let asked = timeout(PROBE_TIMEOUT, exchange).await;
        let is_turned_away = || link.close_reason().is_some_and(|reason| reason.denial().is_some());
        match asked {
            Ok(Some(given)) => given,
            // A slow line is no lie.
            _ if progress >= PROGRESS_LEN => Given::Chunk,
            // A node with an allow list refuses the unknown key of a probe: it was reached all the same.
            _ if is_denied.load(Ordering::Relaxed) || is_turned_away() => Given::Excused,
            Ok(None) | Err(_) => Given::Nothing,
        }
    }

    /// `None` if the node breaks off or violates the protocol.
    async fn exchange(
        &self,
        link: &QuicLink,
        content: ContentId,
        progress: &mut usize,
        is_denied: &AtomicBool,
    ) -> Option<Given> {
        let (writer, reader) = link.control().await.ok()?;
        link.set_windows(RECEIVE_WINDOW_LEN, SEND_WINDOW_LEN);
        let mut talk = Talk { writer, reader, content, is_choked: false, is_denied };
        let known = self.lock().find(content);
        let hello =
            Hello { agent: concat!("swarm-probe/", env!("CARGO_PKG_VERSION")).to_owned(), ..Hello::ours() };
        talk.say(&[Message::Hello(hello), talk.open(known.is_some())]).await?;
        let manifest = match known {
            Some(manifest) => manifest,
            None => {
                let Some(body) = talk.manifest().await? else { return Some(Given::Excused) };
                let manifest =
                    Arc::new(Manifest::decode(body).ok().filter(|manifest| manifest.id() == content)?);
                self.lock().keep(Arc::clone(&manifest));
                talk.say(&[talk.open(true)]).await?;
                manifest
            }
        };
        let Some(chunk) = talk.offered(&manifest, &self.rng).await? else { return Some(Given::Excused) };
        let len = manifest.geometry().chunk_len(chunk);
        let request = RequestId(1);
        talk.say(&[Message::Request { request, handle: HANDLE, chunk: chunk.get(), offset: 0, len }]).await?;
        tokio::select! {
            is_excused = talk.wait_for_rejection() => is_excused?.then_some(Given::Excused),
            given = receive(link, &manifest, chunk, progress) => given,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Manifests> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The control stream of a probe.
struct Talk<'a> {
    writer: FrameWriter,
    reader: FrameReader,
    content: ContentId,
    is_choked: bool,
    /// Set when the node denies the probe the content.
    is_denied: &'a AtomicBool,
}

impl Talk<'_> {
    fn open(&self, knows_manifest: bool) -> Message {
        Message::Open { handle: HANDLE, content: self.content, knows_manifest, is_offer: false }
    }

    async fn say(&mut self, messages: &[Message]) -> Option<()> {
        let frames: Vec<Bytes> = messages.iter().map(Message::encode).collect();
        self.writer.write_frames(&frames).await.ok()
    }

    /// The next message about the content; chokes are noted on the way.
    async fn next(&mut self) -> Option<Message> {
        loop {
            match Message::decode(self.reader.next().await.ok()??).ok()? {
                Some(Message::Choke { choked }) => self.is_choked = choked,
                Some(Message::Decline { content, reason: DeclineReason::NotAuthorised })
                    if content == self.content =>
                {
                    self.is_denied.store(true, Ordering::Relaxed);
                    return None;
                }
                Some(message) => return Some(message),
                None => {}
            }
        }
    }

    /// Fetches the body, page by page; `Some(None)` if it is too long for a probe.
    async fn manifest(&mut self) -> Option<Option<Bytes>> {
        loop {
            match self.next().await? {
                Message::Open { content, knows_manifest: true, .. } if content == self.content => break,
                Message::Decline { .. } => return None,
                _ => {}
            }
        }
        let mut body = BytesMut::new();
        let (mut asked, mut total) = (0, None);
        loop {
            let pages = total.map_or(1, |len: usize| len.div_ceil(MANIFEST_PAGE_LEN) as u32);
            let came = (body.len() / MANIFEST_PAGE_LEN) as u32;
            let until = pages.min(came + MANIFEST_PAGES_IN_FLIGHT);
            let requests: Vec<Message> =
                (asked..until).map(|page| Message::ManifestRequest { handle: HANDLE, page }).collect();
            asked = asked.max(until);
            self.say(&requests).await?;
            let Message::ManifestPage { page, body_len, data, .. } = self.next().await? else { continue };
            let body_len = usize::try_from(body_len).ok()?;
            if body_len > PROBE_MANIFEST_LEN_MAX {
                return Some(None);
            }
            if page != came
                || *total.get_or_insert(body_len) != body_len
                || body.len() + data.len() > body_len
            {
                return None;
            }
            body.extend_from_slice(&data);
            if body.len() == body_len {
                return Some(Some(body.freeze()));
            }
            if !body.len().is_multiple_of(MANIFEST_PAGE_LEN) {
                return None;
            }
        }
    }

    /// A random chunk of those that the node has; `Some(None)` if it serves no peer now.
    async fn offered(&mut self, manifest: &Manifest, rng: &Mutex<Rng>) -> Option<Option<ChunkIndex>> {
        loop {
            if self.is_choked {
                return Some(None);
            }
            match self.next().await? {
                Message::Have { chunks, .. } => {
                    let geometry = manifest.geometry();
                    let offered: Vec<u32> = chunks.chunks(geometry.chunk_count())?.collect();
                    let draw = rng.lock().unwrap_or_else(PoisonError::into_inner).next_u64();
                    let index = offered.get(usize::try_from(draw % offered.len().max(1) as u64).ok()?)?;
                    return Some(Some(geometry.chunk(*index)?));
                }
                Message::Decline { .. } => return None,
                _ => {}
            }
        }
    }

    /// Resolves when the node rejects the request: true if the reason is no lie.
    async fn wait_for_rejection(&mut self) -> Option<bool> {
        use swarm_core::wire::RejectReason::{Choked, NotHeld, TooMany, Unreadable};
        loop {
            if let Message::Reject { reason, .. } = self.next().await? {
                return match reason {
                    Choked | TooMany => Some(true),
                    NotHeld | Unreadable => None,
                };
            }
        }
    }
}

async fn receive(
    link: &QuicLink,
    manifest: &Manifest,
    chunk: ChunkIndex,
    progress: &mut usize,
) -> Option<Given> {
    let mut stream = link.accept_chunk_stream().await.ok()?;
    let mut header = [0; CHUNK_STREAM_HEADER_LEN];
    stream.read_exact(&mut header).await.ok()?;
    let (header, span) = (ChunkStreamHeader::decode(&header), manifest.geometry().span(chunk));
    if (header.chunk, header.offset, header.len) != (chunk.get(), 0, span.len) {
        return None;
    }
    let mut hasher = ChunkHasher::new(&span);
    let is_whole = hash(&mut stream, &mut hasher, span.len as usize, progress).await?;
    let is_right = is_whole && hasher.finalize() == manifest.chunk_hash(chunk);
    Some(if is_right { Given::Chunk } else { Given::Corrupt })
}

/// Hashes the bytes as they arrive: a probe stores no chunk.
async fn hash(
    stream: &mut ChunkReceiver,
    hasher: &mut ChunkHasher,
    len: usize,
    progress: &mut usize,
) -> Option<bool> {
    let mut buffer = vec![0; READ_LEN];
    while *progress < len {
        let wanted = READ_LEN.min(len - *progress);
        match stream.read_some(&mut buffer[..wanted]).await.ok()? {
            0 => return None,
            read => {
                hasher.update(&buffer[..read]);
                *progress += read;
            }
        }
    }
    Some(true)
}

/// Manifests that probes fetched. Bounded in bytes: the oldest are dropped first.
#[derive(Default)]
struct Manifests {
    known: std::collections::VecDeque<Arc<Manifest>>,
    len: usize,
}

impl Manifests {
    fn find(&self, content: ContentId) -> Option<Arc<Manifest>> {
        self.known.iter().find(|manifest| manifest.id() == content).cloned()
    }

    fn keep(&mut self, manifest: Arc<Manifest>) {
        if self.find(manifest.id()).is_some() {
            return;
        }
        self.len += manifest.body().len();
        self.known.push_back(manifest);
        while self.len > PROBE_MANIFESTS_LEN_MAX {
            let Some(oldest) = self.known.pop_front() else { break };
            self.len -= oldest.body().len();
        }
    }
}

const HANDLE: Handle = Handle(1);
/// A node that has sent this much of a chunk at the timeout is slow, not empty.
const PROGRESS_LEN: usize = 16 << 10;
const READ_LEN: usize = 64 << 10;
/// A probe receives one chunk and sends a few frames.
const RECEIVE_WINDOW_LEN: u32 = 1 << 20;
const SEND_WINDOW_LEN: u32 = 256 << 10;
/// Longest dial of one doubtful address. It may belong to another machine, which must not hold the probe up.
const REACH_TIMEOUT: Duration = Duration::from_secs(3);
