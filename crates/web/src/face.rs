//! What JavaScript calls, and what it is to do: [`Driver`] with numbers and strings in place of types. `packages/web` is written around
//! it. Every method that changes something performs the effects that follow from it before it returns; the host does not call back from
//! within one.

use std::fmt::Write as _;
use std::time::Duration;

use js_sys::{Error, Reflect};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::{Channel, Driver, Effect, Indexer, Notice, ReadId};
use swarm_carrier::Binding;
use swarm_core::base::{Category, ContentId, Instant};
use swarm_core::manifest::{Manifest, Source, Ticket};
use swarm_engine::{ContentSnapshot, FetchPhase, PeerSnapshot};

#[wasm_bindgen]
extern "C" {
    /// Performs effects. Bytes are views of this module's memory: they are to be used or copied before a method returns.
    pub type Host;

    #[wasm_bindgen(method)]
    fn dial(this: &Host, channel: u32, node: &str, addresses: &str);
    #[wasm_bindgen(method)]
    fn send(this: &Host, channel: u32, message: &[u8]);
    #[wasm_bindgen(method)]
    fn encrypt(this: &Host, channel: u32, sending: &[u8], receiving: &[u8]);
    #[wasm_bindgen(method)]
    fn close(this: &Host, channel: u32, reason: &str);
    #[wasm_bindgen(method)]
    fn store(this: &Host, content: &str, name: &str, paths: Vec<String>, lens: Vec<f64>);
    #[wasm_bindgen(method)]
    fn write(this: &Host, content: &str, file: u32, offset: f64, bytes: &[u8]);
    #[wasm_bindgen(method)]
    fn read(this: &Host, id: u32, content: &str, file: u32, offset: f64, len: u32);
    #[wasm_bindgen(method)]
    fn flush(this: &Host, content: &str, record: &[u8]);
    #[wasm_bindgen(method)]
    fn finish(this: &Host, content: &str);
    #[wasm_bindgen(method)]
    fn forget(this: &Host, content: &str);
    /// An event: its kind, the node or content that it is about, a category where it is a failure, and words for people.
    #[wasm_bindgen(method)]
    fn event(this: &Host, kind: &str, about: &str, category: &str, words: &str);
}

/// The version of swarm that this was built from, as `0.1.0`.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// A node.
#[wasm_bindgen]
pub struct Node {
    driver: Driver,
    host: Host,
}

#[wasm_bindgen]
impl Node {
    /// A node with this secret key, 32 bytes, and these random bytes, 32.
    #[wasm_bindgen(constructor)]
    pub fn new(secret: &[u8], seed: &[u8], host: Host) -> Result<Self, JsValue> {
        let (secret, seed) = (secret.try_into(), seed.try_into());
        let (Ok(secret), Ok(seed)) = (secret, seed) else {
            return Err(fault(Category::Usage, "a key and a seed have 32 bytes each"));
        };
        Ok(Self { driver: Driver::new(secret, seed), host })
    }

    /// The public key, as 64 hex digits.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.driver.node_id().to_string()
    }

    /// Fetches what a ticket names; `sources` has more nodes, as `NODEID@host:port` with spaces between. Returns the content's id.
    pub fn fetch(&mut self, ticket: &str, sources: &str, patience_ms: f64) -> Result<String, JsValue> {
        let ticket = Ticket::in_text(ticket).map_err(|error| fault(Category::Usage, &error.to_string()))?;
        if ticket.key.is_some() || !ticket.wrapped_keys.is_empty() {
            let words = "the content is sealed: fetch it with the command `swarm fetch`";
            return Err(fault(Category::Usage, words));
        }
        let mut all = ticket.sources;
        for source in sources.split_whitespace() {
            let source: Source = source.parse().map_err(|error: swarm_core::manifest::SourceError| {
                fault(Category::Usage, &error.to_string())
            })?;
            all.push(source);
        }
        let patience = Duration::from_millis(patience_ms.max(0.0) as u64);
        self.driver.fetch(ticket.content, all, None, patience);
        self.perform();
        Ok(ticket.content.to_string())
    }

    /// Serves files that were indexed, whose every byte is there. Returns the content's id.
    pub fn seed(&mut self, manifest: Vec<u8>) -> Result<String, JsValue> {
        let manifest = Manifest::decode(manifest.into());
        let manifest = manifest.map_err(|error| fault(Category::Usage, &error.to_string()))?;
        let content = manifest.id().to_string();
        self.driver.seed(manifest);
        self.perform();
        Ok(content)
    }

    /// A ticket for a content, with this node and the nodes that it is linked to as far as they can be dialed.
    pub fn ticket(&self, content: &str, sources: &str) -> Result<String, JsValue> {
        let mut ticket = Ticket::new(content_of(content)?);
        ticket.sources = sources.split_whitespace().filter_map(|source| source.parse().ok()).collect();
        Ok(ticket.to_string())
    }

    /// Takes no part in a content any more.
    pub fn leave(&mut self, content: &str) -> Result<(), JsValue> {
        self.driver.leave(content_of(content)?);
        self.perform();
        Ok(())
    }

    /// Ends everything; an event says when.
    pub fn stop(&mut self) {
        self.driver.stop();
        self.perform();
    }

    /// It is so late, in milliseconds of a clock that never goes back. Returns when to come back, in the same.
    #[wasm_bindgen(js_name = onTime)]
    pub fn on_time(&mut self, now_ms: f64) -> f64 {
        self.driver.on_time(Instant::from_nanos((now_ms.max(0.0) * 1e6) as u64));
        self.perform();
        self.driver.next_wakeup().map_or(f64::INFINITY, |at| at.as_nanos() as f64 / 1e6)
    }

    /// The page or the machine stood still for so long.
    #[wasm_bindgen(js_name = onWoke)]
    pub fn on_woke(&mut self, slept_ms: f64) {
        self.driver.on_woke(Duration::from_millis(slept_ms.max(0.0) as u64));
        self.perform();
    }

    /// A peer opened a channel. The certificate's hash is that of a WebTransport session; empty: the channel is not encrypted.
    #[wasm_bindgen(js_name = onAccepted)]
    pub fn on_accepted(&mut self, certificate_hash: &[u8]) -> u32 {
        let channel = self.driver.on_accepted(binding_of(certificate_hash));
        self.perform();
        channel.0
    }

    /// A channel is open that was asked for.
    #[wasm_bindgen(js_name = onOpened)]
    pub fn on_opened(&mut self, channel: u32, certificate_hash: &[u8]) {
        self.driver.on_opened(Channel(channel), binding_of(certificate_hash));
        self.perform();
    }

    /// A message came, decrypted.
    #[wasm_bindgen(js_name = onMessage)]
    pub fn on_message(&mut self, channel: u32, message: Vec<u8>) {
        self.driver.on_message(Channel(channel), message.into());
        self.perform();
    }

    /// So many bytes of messages have left, before encryption.
    #[wasm_bindgen(js_name = onSent)]
    pub fn on_sent(&mut self, channel: u32, len: u32) {
        self.driver.on_sent(Channel(channel), len as usize);
        self.perform();
    }

    /// A channel is closed, or could not be opened.
    #[wasm_bindgen(js_name = onClosed)]
    pub fn on_closed(&mut self, channel: u32, reason: &str) {
        self.driver.on_closed(Channel(channel), reason);
        self.perform();
    }

    /// Storage is open; the record is what the last flush was given.
    #[wasm_bindgen(js_name = onStored)]
    pub fn on_stored(&mut self, content: &str, record: &[u8]) -> Result<(), JsValue> {
        self.driver.on_stored(content_of(content)?, record);
        self.perform();
        Ok(())
    }

    /// Storage has failed.
    #[wasm_bindgen(js_name = onStoreFailed)]
    pub fn on_store_failed(&mut self, content: &str, reason: &str) -> Result<(), JsValue> {
        self.driver.on_store_failed(content_of(content)?, Category::Disk, reason);
        self.perform();
        Ok(())
    }

    /// Bytes that were asked for; none if they cannot be read.
    #[wasm_bindgen(js_name = onRead)]
    pub fn on_read(&mut self, id: u32, bytes: Option<Vec<u8>>) {
        self.driver.on_read(ReadId(id), bytes.map(Into::into));
        self.perform();
    }

    /// A flush is done.
    #[wasm_bindgen(js_name = onFlushed)]
    pub fn on_flushed(&mut self, content: &str) -> Result<(), JsValue> {
        self.driver.on_flushed(content_of(content)?);
        self.perform();
        Ok(())
    }

    /// Files have their names.
    #[wasm_bindgen(js_name = onFinished)]
    pub fn on_finished(&mut self, content: &str) -> Result<(), JsValue> {
        self.driver.on_finished(content_of(content)?);
        self.perform();
        Ok(())
    }

    /// Everything at this instant, as JSON: `{"contents": [..], "peers": [..]}`.
    pub fn status(&self) -> String {
        let snapshot = self.driver.snapshot();
        let contents: Vec<_> = snapshot.contents.iter().map(content_json).collect();
        let peers: Vec<_> = snapshot.peers.iter().map(peer_json).collect();
        format!("{{\"contents\":[{}],\"peers\":[{}]}}", contents.join(","), peers.join(","))
    }

    fn perform(&mut self) {
        while let Some(effect) = self.driver.next_effect() {
            perform(&self.host, effect);
        }
    }
}

/// Files that are being hashed, to be seeded.
#[wasm_bindgen]
#[derive(Default)]
pub struct FileIndexer(Indexer);

#[wasm_bindgen]
impl FileIndexer {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a file.
    pub fn begin(&mut self, path: &str, len: f64) -> Result<(), JsValue> {
        self.0.begin(path, len as u64).map_err(|error| fault(Category::Usage, &error.to_string()))
    }

    /// Takes its next bytes.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.0.update(bytes).map_err(|error| fault(Category::Usage, &error.to_string()))
    }

    /// The body of the manifest of all files, for [`Node::seed`].
    pub fn finish(self) -> Result<Vec<u8>, JsValue> {
        let manifest = self.0.finish().map_err(|error| fault(Category::Usage, &error.to_string()))?;
        Ok(manifest.body().to_vec())
    }
}

fn perform(host: &Host, effect: Effect) {
    match effect {
        Effect::Dial { channel, node, addresses } => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            host.dial(channel.0, &node.to_string(), &addresses.join(" "));
        }
        Effect::Send { channel, message } => host.send(channel.0, &message),
        Effect::Encrypt { channel, sending, receiving } => host.encrypt(channel.0, &sending, &receiving),
        Effect::Close { channel, reason } => host.close(channel.0, &reason),
        Effect::Store { content, name, files } => {
            let lens = files.iter().map(|file| file.len as f64).collect();
            let paths = files.into_iter().map(|file| file.path).collect();
            host.store(&content.to_string(), &name, paths, lens);
        }
        Effect::Write { content, file, offset, bytes } => {
            host.write(&content.to_string(), file, offset as f64, &bytes);
        }
        Effect::Read { id, content, file, offset, len } => {
            host.read(id.0, &content.to_string(), file, offset as f64, len);
        }
        Effect::Flush { content, record } => host.flush(&content.to_string(), &record),
        Effect::Finish { content } => host.finish(&content.to_string()),
        Effect::Forget { content } => host.forget(&content.to_string()),
        Effect::Notice(notice) => tell(host, &notice),
    }
}

fn tell(host: &Host, notice: &Notice) {
    match notice {
        Notice::PeerJoined { node, agent } => host.event("peerJoined", &node.to_string(), "", agent),
        Notice::PeerLost { node, reason } => host.event("peerLost", &node.to_string(), "", reason),
        Notice::PeerBanned { node, reason } => {
            host.event("peerBanned", &node.to_string(), Category::Integrity.name(), reason);
        }
        Notice::Completed { content } => host.event("completed", &content.to_string(), "", ""),
        Notice::Failed { content, category, reason } => {
            host.event("failed", &content.to_string(), category.name(), reason);
        }
        Notice::Left { content } => host.event("left", &content.to_string(), "", ""),
        Notice::Stopped => host.event("stopped", "", "", ""),
    }
}

fn content_json(content: &ContentSnapshot) -> String {
    let phase = match content.phase {
        FetchPhase::Connecting => "connecting",
        FetchPhase::Manifest => "manifest",
        FetchPhase::Opening => "opening",
        FetchPhase::Fetching => "fetching",
        FetchPhase::Finishing => "finishing",
        FetchPhase::Complete => "complete",
        FetchPhase::Failed => "failed",
    };
    let received: u64 = content.received.values().sum();
    format!(
        "{{\"content\":\"{}\",\"name\":{},\"phase\":\"{phase}\",\"wantedLen\":{},\"verifiedLen\":{},\"durableLen\":{},\
         \"receivedLen\":{received}}}",
        content.content,
        json(content.name.as_deref().unwrap_or_default()),
        content.wanted_len,
        content.verified_len,
        content.durable_len,
    )
}

fn peer_json(peer: &PeerSnapshot) -> String {
    let link = peer.link.as_ref();
    format!(
        "{{\"node\":\"{}\",\"isLinked\":{},\"rttMs\":{},\"receivedPerSec\":{},\"receivedLen\":{},\"sentLen\":{}}}",
        peer.node,
        link.is_some(),
        link.map_or(0.0, |link| link.rtt.as_secs_f64() * 1e3),
        link.map_or(0, |link| link.rate.0),
        peer.totals.received_len,
        peer.totals.sent_len,
    )
}

/// A string as JSON.
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

fn binding_of(certificate_hash: &[u8]) -> Option<Binding> {
    certificate_hash.try_into().ok().map(Binding::Certificate)
}

fn content_of(text: &str) -> Result<ContentId, JsValue> {
    text.parse().map_err(|_| fault(Category::Usage, "a content's id has 64 hex digits"))
}

/// An error with a category, as the command has them.
fn fault(category: Category, words: &str) -> JsValue {
    let error = Error::new(words);
    // An object that was just made takes a property.
    let _ = Reflect::set(&error, &"category".into(), &category.name().into());
    error.into()
}
