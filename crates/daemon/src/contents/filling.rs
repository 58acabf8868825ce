//! Fills long files that are wanted from their older versions on this disk, before the rest is fetched: a peer that serves the content tells
//! what the new version is made up of. Blocking.
//!
//! Invariant: the fetch ends well without any of this; what goes wrong here costs time. Absent here: what is compared with what (`swarm_files`).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use swarm_core::base::{Bitfield, ByteLen, NodeId};
use swarm_engine::Kept;
use swarm_files::{Filling, GatheredStore, Places as _, Store as _, VersionFile};
use swarm_index::{IndexError, LibraryBook};
use swarm_library::LibraryKey;
use swarm_library::wire::{RecipeDetail, RecipeRequest};
use swarm_sync::ContentHash;
use swarm_sync::delta::{GapSlices, RangedFault, Recipe, decode_recipes, decode_slices};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::Output;
use super::opening::Opened;
use crate::clock;
use crate::exchange;
use crate::library::{LibraryHandle, LibraryPlaces};
use crate::limits::{FILLED_LEN, OLD_VERSIONS_MAX};

/// Whom to ask, and until when.
pub(super) struct Asking {
    pub(super) library: LibraryKey,
    /// Peers that serve the content. When its sender is gone, nobody wants the content any more.
    pub(super) servers: watch::Receiver<Vec<NodeId>>,
    pub(super) exchange: mpsc::Sender<exchange::Input>,
    pub(super) runtime: Handle,
    pub(super) patience: Patience,
    /// Peers that said nothing for too long, about whichever file: they are asked no more.
    pub(super) silent: Mutex<BTreeSet<NodeId>>,
}

/// How long a peer may say nothing that was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Where others could be asked.
    pub(super) among_others: Duration,
    /// Where nobody else serves the content.
    pub(super) alone: Duration,
}

/// A peer reads up to 1 GiB for an answer, after those that it reads for others.
impl Default for Patience {
    fn default() -> Self {
        Self { among_others: Duration::from_secs(15), alone: Duration::from_secs(60) }
    }
}

/// What came of a question.
enum Told {
    Answer(Bytes),
    /// The peer refuses, is not linked, or the link has gone with the question.
    Nothing,
    /// It said nothing for too long.
    Silence,
}

/// Fills what is lacking of a store that was just opened; adds what it proved to what is durable there, and returns what else it wrote.
///
/// # Errors
/// For people: the store cannot be written to.
pub(super) fn fill(handle: &LibraryHandle, opened: &mut Opened, asking: &Asking) -> Result<Kept, String> {
    let mut kept = Kept::new();
    if opened.store.manifest().is_sealed() {
        return Ok(kept);
    }
    let mut lacking = opened.wanted.clone();
    for chunk in opened.durable.iter() {
        lacking.remove(chunk);
    }
    for (hash, len) in lacking_files(&opened.store, &lacking) {
        let old = old_versions(handle, &hash).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look up older versions");
            Vec::new()
        });
        if old.is_empty() {
            tracing::debug!(%hash, "no older version of a file is here to fill it from");
            continue;
        }
        let is_over = || asking.is_over();
        let filling = Filling { store: &opened.store, hash, old: &old, is_over: &is_over };
        let mut of_file =
            AskingOf { asking, hash, len, refused: BTreeSet::new(), unanswered: BTreeSet::new() };
        let filled = filling.run(&lacking, &mut of_file).map_err(|error| error.to_string())?;
        for chunk in opened.store.flush().map_err(|error| error.to_string())? {
            opened.durable.insert(chunk.get());
        }
        if filled.missing_len < len {
            let (len, missing) = (ByteLen(len), ByteLen(filled.missing_len));
            tracing::info!(%len, %missing, chunks = filled.whole, "a file was filled from older versions");
        } else {
            tracing::debug!(%hash, is_over = asking.is_over(), "nothing of a file was filled from older versions");
        }
        kept.extend(filled.kept);
    }
    Ok(kept)
}

/// The wanted files that are worth it.
fn lacking_files(store: &GatheredStore, lacking: &Bitfield) -> Vec<(ContentHash, u64)> {
    let geometry = store.manifest().geometry();
    let mut hashes: Vec<ContentHash> = Vec::new();
    for hash in lacking.iter().filter_map(|chunk| store.content_of(geometry.chunk(chunk)?)) {
        if hashes.last() != Some(&hash) {
            hashes.push(hash);
        }
    }
    let hashes: BTreeSet<ContentHash> = hashes.into_iter().collect();
    store.contents().filter(|(hash, len)| hashes.contains(hash) && FILLED_LEN.contains(len)).collect()
}

/// Files that stand here at the paths that wait for a content, or that its versions were made from.
fn old_versions(handle: &LibraryHandle, hash: &ContentHash) -> Result<Vec<VersionFile>, IndexError> {
    let book = LibraryBook::open(&handle.index_path)?;
    let mut found: Vec<ContentHash> = Vec::new();
    for path in book.parked_at(hash, OLD_VERSIONS_MAX)? {
        let stands = book.entry_here(&path)?.and_then(|entry| Some(entry.kind.file()?.hash));
        let heads = book.heads(&path)?;
        let parents = heads.all().iter().filter_map(|head| head.parent);
        for old in stands.into_iter().chain(parents) {
            if old != *hash && !found.contains(&old) {
                found.push(old);
            }
        }
    }
    let mut versions = Vec::new();
    for old in found {
        let chunk_hashes = book.digest(&old)?.map(|digest| digest.chunk_hashes).unwrap_or_default();
        versions.extend(opened(&handle.places, &old, chunk_hashes));
        if versions.len() == OLD_VERSIONS_MAX {
            break;
        }
    }
    Ok(versions)
}

/// The first copy of a version that can be opened.
fn opened(places: &LibraryPlaces, hash: &ContentHash, chunk_hashes: Vec<u8>) -> Option<VersionFile> {
    let copies = places.places(hash, 0);
    let mut opened = copies.iter().filter_map(|place| VersionFile::open(place, chunk_hashes.clone()).ok());
    opened.next().filter(|version| FILLED_LEN.contains(&version.len()))
}

impl Asking {
    /// Whether nobody wants the content any more.
    pub(super) fn is_over(&self) -> bool {
        self.servers.has_changed().is_err()
    }

    /// A peer that serves the content and was not struck off yet. Waits for the first one: without it nothing comes anyway.
    fn next_server(&self, refused: &BTreeSet<NodeId>) -> Option<NodeId> {
        let mut servers = self.servers.clone();
        let known = self.runtime.block_on(servers.wait_for(|servers| !servers.is_empty())).ok()?;
        known.iter().find(|node| self.is_left(node, refused)).copied()
    }

    fn is_left(&self, node: &NodeId, refused: &BTreeSet<NodeId>) -> bool {
        !refused.contains(node) && !self.silent().contains(node)
    }

    /// Waits for an answer: not for long once there is somebody else to ask.
    async fn hear(
        &self,
        node: NodeId,
        mut answer: oneshot::Receiver<Bytes>,
        refused: &BTreeSet<NodeId>,
    ) -> Told {
        let (began, mut servers) = (clock::moment(), self.servers.clone());
        loop {
            let is_other = |other: &NodeId| *other != node && self.is_left(other, refused);
            let has_others = servers.borrow_and_update().iter().any(is_other);
            let Patience { among_others, alone } = self.patience;
            let patience = if has_others { among_others } else { alone };
            tokio::select! {
                told = &mut answer => return told.map_or(Told::Nothing, Told::Answer),
                () = tokio::time::sleep(patience.saturating_sub(began.elapsed())) => return Told::Silence,
                // When their sender is gone, nobody wants the content any more.
                changed = servers.changed() => if changed.is_err() { return Told::Nothing },
            }
        }
    }

    fn silent(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for one file, each peer until it fails.
struct AskingOf<'a> {
    asking: &'a Asking,
    hash: ContentHash,
    len: u64,
    refused: BTreeSet<NodeId>,
    /// Peers that did not answer once: of two links that nodes make at the same time, one is closed with what was asked on it.
    unanswered: BTreeSet<NodeId>,
}

impl AskingOf<'_> {
    fn ask<T>(
        &mut self,
        detail: RecipeDetail,
        ranges: &[Range<u64>],
        decode: impl Fn(&[u8]) -> Result<T, RangedFault>,
    ) -> Option<T> {
        while let Some(node) = self.asking.next_server(&self.refused) {
            let request = RecipeRequest {
                library: self.asking.library,
                file: self.hash,
                len: self.len,
                detail,
                ranges: ranges.to_vec(),
            };
            match self.answer_of(node, request) {
                Told::Answer(answer) => match decode(&answer) {
                    Ok(told) => return Some(told),
                    Err(error) => tracing::debug!(node = node.short(), %error, "a recipe is none"),
                },
                Told::Nothing if self.unanswered.insert(node) => {
                    tracing::debug!(node = node.short(), "a peer tells no recipe: it is asked once more");
                    self.asking.runtime.block_on(tokio::time::sleep(ASKED_AGAIN_AFTER));
                    continue;
                }
                Told::Nothing => tracing::debug!(node = node.short(), "a peer tells no recipe"),
                Told::Silence => {
                    tracing::debug!(
                        node = node.short(),
                        "a peer says nothing of a recipe: it is asked no more"
                    );
                    self.asking.silent().insert(node);
                }
            }
            self.refused.insert(node);
        }
        None
    }

    fn answer_of(&self, node: NodeId, request: RecipeRequest) -> Told {
        let (reply, answer) = oneshot::channel();
        let asked = exchange::Input::Contents(Output::AskRecipe { node, request, reply });
        if self.asking.exchange.blocking_send(asked).is_err() {
            return Told::Nothing;
        }
        self.asking.runtime.block_on(self.asking.hear(node, answer, &self.refused))
    }
}

impl swarm_files::Told for AskingOf<'_> {
    fn recipes(&mut self, ranges: &[Range<u64>]) -> Option<Vec<Recipe>> {
        self.ask(RecipeDetail::Pieces, ranges, |answer| decode_recipes(answer, lens_of(ranges)))
    }

    fn slices(&mut self, ranges: &[Range<u64>], from_both: bool) -> Option<Vec<GapSlices>> {
        let detail = if from_both { RecipeDetail::SlicesFromBothEnds } else { RecipeDetail::SlicesFromStart };
        self.ask(detail, ranges, |answer| decode_slices(answer, lens_of(ranges), from_both))
    }
}

fn lens_of(ranges: &[Range<u64>]) -> impl Iterator<Item = u64> + '_ {
    ranges.iter().map(|range| range.end - range.start)
}

/// How soon a peer that did not answer is asked once more.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: NodeId = NodeId::from_bytes([1; 32]);
    const OTHER: NodeId = NodeId::from_bytes([2; 32]);

    fn asking(patience: Patience) -> (Asking, watch::Sender<Vec<NodeId>>, mpsc::Receiver<exchange::Input>) {
        let (servers, (exchange, asked)) = (watch::Sender::new(vec![SILENT]), mpsc::channel(8));
        let asking = Asking {
            library: LibraryKey::from_slice(&[1; 32]).expect("32 bytes"),
            servers: servers.subscribe(),
            exchange,
            runtime: Handle::current(),
            patience,
            silent: Mutex::default(),
        };
        (asking, servers, asked)
    }

    fn ask(asking: &Asking, file: u8) -> Option<Vec<u8>> {
        let (hash, refused, unanswered) = (ContentHash([file; 32]), BTreeSet::new(), BTreeSet::new());
        let mut of_file = AskingOf { asking, hash, len: 1, refused, unanswered };
        of_file.ask(RecipeDetail::Pieces, &[], |answer| Ok(answer.to_vec()))
    }

    /// The node that is asked next, and where its answer goes.
    async fn next(asked: &mut mpsc::Receiver<exchange::Input>) -> (NodeId, oneshot::Sender<Bytes>) {
        match asked.recv().await {
            Some(exchange::Input::Contents(Output::AskRecipe { node, reply, .. })) => (node, reply),
            _ => panic!("a recipe is asked for"),
        }
    }

    #[tokio::test]
    async fn a_silent_peer_is_not_waited_for_once_another_one_serves_the_content_and_is_asked_no_more() {
        let patience = Patience { among_others: Duration::from_millis(1), alone: Duration::from_secs(3600) };
        let (asking, servers, mut asked) = asking(patience);
        let asks = tokio::task::spawn_blocking(move || [1, 2].map(|file| ask(&asking, file)));
        let (node, _held) = next(&mut asked).await;
        assert_eq!(node, SILENT);
        servers.send_modify(|servers| servers.push(OTHER));
        for _ in 0..2 {
            let (node, reply) = next(&mut asked).await;
            assert_eq!(node, OTHER);
            reply.send(Bytes::from_static(b"told")).expect("it waits");
        }
        assert_eq!(asks.await.expect("it is told"), [Some(b"told".to_vec()), Some(b"told".to_vec())]);
    }

    #[tokio::test]
    async fn silence_costs_its_time_once_and_a_question_that_was_lost_is_asked_again() {
        let patience = Patience { among_others: Duration::from_millis(1), alone: Duration::from_millis(1) };
        let (asking, _servers, mut asked) = asking(patience);
        let asks = tokio::task::spawn_blocking(move || [1, 2].map(|file| ask(&asking, file)));
        let _held = next(&mut asked).await;
        assert_eq!(asks.await.expect("it gives up"), [None, None]);
        assert!(asked.recv().await.is_none(), "it was asked once");
        let (asking, _servers, mut asked) = self::asking(Patience::default());
        let asks = tokio::task::spawn_blocking(move || ask(&asking, 1));
        drop(next(&mut asked).await);
        next(&mut asked).await.1.send(Bytes::from_static(b"told")).expect("it waits");
        assert_eq!(asks.await.expect("it is told"), Some(b"told".to_vec()));
    }

    #[tokio::test]
    async fn whoever_waits_for_an_answer_ends_when_nobody_wants_the_content_any_more() {
        let (asking, servers, mut asked) = asking(Patience::default());
        let asks = tokio::task::spawn_blocking(move || ask(&asking, 1));
        let _held = next(&mut asked).await;
        drop(servers);
        assert_eq!(asks.await.expect("it gives up"), None);
    }
}
