//! Gives the bytes of an origin to the engine: for each content that is fetched, the chunks of files that the origin lists, by its stand-in. A
//! content whose manifest nobody tells is helped by whole files. Invariant: the origin offers a content only while it is fetched here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::{Manifest, content_hash_of};
use swarm_index::{IndexError, LibraryBook};
use swarm_library::LibraryKey;
use swarm_origins::ListedFile;
use swarm_sync::ContentHash;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::learning::{self, Learning};
use super::listed::Listed;
use super::shared::Shared;
use super::stand_in::StandIn;
use super::store::{Held, OriginStore};
use super::{Fetching, Followed, Ground};
use crate::clock;
use crate::contents;

/// What the serving of an origin is told.
pub(super) enum Input {
    Fetching(Fetching),
    Unknown { library: LibraryKey, content: ContentId, wanted: BTreeSet<ContentHash> },
    Left(ContentId),
}

pub(super) struct Serving {
    shared: Arc<Shared>,
    ground: Ground,
    libraries: watch::Receiver<BTreeMap<LibraryKey, Followed>>,
    stand_in: Option<StandIn>,
    fetching: BTreeMap<ContentId, Fetching>,
    /// What is offered of each content.
    offered: BTreeMap<ContentId, BTreeMap<usize, ListedFile>>,
    unknown: BTreeMap<ContentId, Unknown>,
    tasks: JoinSet<()>,
}

/// A content whose manifest peers may still tell.
struct Unknown {
    library: LibraryKey,
    wanted: BTreeSet<ContentHash>,
    due_at: Instant,
}

impl Serving {
    pub(super) fn new(
        shared: Arc<Shared>,
        ground: Ground,
        libraries: watch::Receiver<BTreeMap<LibraryKey, Followed>>,
    ) -> Self {
        let (fetching, offered, unknown) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { shared, ground, libraries, stand_in: None, fetching, offered, unknown, tasks: JoinSet::new() }
    }

    /// Runs until the origin is gone.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, ending: CancellationToken) {
        let mut listings = self.shared.listings.subscribe();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = ending.cancelled() => break,
                input = inputs.recv() => match input {
                    Some(input) => self.on_input(input).await,
                    None => break,
                },
                Ok(()) = listings.changed() => self.offer_all().await,
                Some(_) = self.tasks.join_next() => {}
                _ = tick.tick() => self.learn_due(),
            }
        }
        if let Some(stand_in) = &self.stand_in {
            stand_in.stop().await;
        }
    }

    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Fetching(fetching) => {
                let content = fetching.manifest.id();
                self.unknown.remove(&content);
                self.withdraw(content).await;
                self.fetching.insert(content, fetching);
                self.offer(content).await;
            }
            Input::Unknown { library, content, wanted } => {
                let due_at = clock::moment() + PATIENCE;
                self.unknown.insert(content, Unknown { library, wanted, due_at });
            }
            Input::Left(content) => {
                self.unknown.remove(&content);
                self.fetching.remove(&content);
                self.withdraw(content).await;
            }
        }
    }

    async fn offer_all(&mut self) {
        for content in self.fetching.keys().copied().collect::<Vec<_>>() {
            self.offer(content).await;
        }
    }

    /// Offers what the origin lists of a content, if that is not offered already.
    async fn offer(&mut self, content: ContentId) {
        let Some(fetching) = self.fetching.get(&content).cloned() else { return };
        let listed = self.shared.listings.borrow().get(&fetching.library).cloned();
        let followed = self.libraries.borrow().get(&fetching.library).cloned();
        let (Some(listed), Some(followed)) = (listed, followed) else { return self.withdraw(content).await };
        let (shared, index) = (Arc::clone(&self.shared), followed.handle.index_path.clone());
        let of_content = fetching.clone();
        let look = move || held(&shared, &of_content, &listed, &index);
        let held = match tokio::task::spawn_blocking(look).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => return tracing::warn!(%error, "cannot look up what an origin may give"),
            Err(_) => return,
        };
        if self.offered.get(&content) == Some(&held) {
            return;
        }
        self.withdraw(content).await;
        if held.is_empty() {
            return;
        }
        let Some(source) = self.serve(fetching, &followed, held.clone()).await else { return };
        self.offered.insert(content, held);
        let _ = self.ground.contents.send(contents::Input::Serving { source, contents: vec![content] }).await;
    }

    async fn withdraw(&mut self, content: ContentId) {
        if self.offered.remove(&content).is_some()
            && let Some(stand_in) = &self.stand_in
        {
            stand_in.leave(content).await;
        }
    }

    /// Has the stand-in serve it.
    async fn serve(
        &mut self,
        fetching: Fetching,
        followed: &Followed,
        held: BTreeMap<usize, ListedFile>,
    ) -> Option<swarm_core::manifest::Source> {
        if self.stand_in.is_none() {
            match StandIn::start(self.ground.me, &self.ground.tasks) {
                Ok(stand_in) => self.stand_in = Some(stand_in),
                Err(error) => {
                    tracing::warn!(error, "an origin cannot be used for the bytes of peers' files");
                    return None;
                }
            }
        }
        let stand_in = self.stand_in.as_ref()?;
        let Fetching { library, manifest, .. } = fetching;
        let has = chunks_of(&manifest, held.keys());
        let of_file = |(number, listed): (usize, ListedFile)| {
            let hash = ContentHash(content_hash_of(&manifest.files()[number]));
            (number, Held::new(hash, listed))
        };
        let store = OriginStore {
            files: held.into_iter().map(of_file).collect(),
            manifest: manifest.clone(),
            library,
            guid: followed.settings.guid.to_string(),
            shared: Arc::clone(&self.shared),
            runtime: Handle::current(),
            spool: self.ground.spool.clone(),
            kept: Mutex::default(),
        };
        stand_in.serve(manifest, Arc::new(store), has).await;
        Some(stand_in.source())
    }

    /// Fetches whole files for contents whose manifest nobody told for a while.
    fn learn_due(&mut self) {
        let now = clock::moment();
        let due: Vec<ContentId> = self
            .unknown
            .iter()
            .filter(|(_, unknown)| unknown.due_at <= now)
            .map(|(content, _)| *content)
            .collect();
        for content in due {
            if !self.tasks.is_empty() {
                return;
            }
            let Some(Unknown { library, wanted, .. }) = self.unknown.remove(&content) else { continue };
            let listed = self.shared.listings.borrow().get(&library).cloned();
            let followed = self.libraries.borrow().get(&library).cloned();
            let (Some(listed), Some(followed)) = (listed, followed) else {
                self.unknown.insert(content, Unknown { library, wanted, due_at: now + PATIENCE });
                continue;
            };
            let (shared, runtime, spool) =
                (Arc::clone(&self.shared), Handle::current(), self.ground.spool.clone());
            let learning = Learning { shared, library, followed, listed, runtime, spool };
            self.tasks.spawn_blocking(move || learning::run(&learning, &wanted));
        }
    }
}

/// What an origin lists of the wanted files of a content, by their numbers in the manifest.
fn held(
    shared: &Shared,
    fetching: &Fetching,
    listed: &Listed,
    index: &std::path::Path,
) -> Result<BTreeMap<usize, ListedFile>, IndexError> {
    let mut held = BTreeMap::new();
    // What is sealed goes from node to node in its sealed form.
    if fetching.manifest.is_sealed() {
        return Ok(held);
    }
    let book = LibraryBook::open(index)?;
    for (number, file) in fetching.manifest.files().iter().enumerate() {
        let hash = ContentHash(content_hash_of(file));
        if !fetching.wanted.is_empty() && !fetching.wanted.contains(&hash) {
            continue;
        }
        let sha256 = if listed.needs_sha256() { book.sha256_of(&hash)? } else { None };
        let found = listed.find(&hash, sha256.as_ref(), Some(file.len));
        held.extend(found.filter(|file| !shared.is_refused(file)).map(|file| (number, file.clone())));
    }
    Ok(held)
}

fn chunks_of<'a>(manifest: &Manifest, files: impl Iterator<Item = &'a usize>) -> Bitfield {
    let geometry = manifest.geometry();
    let mut chunks = Bitfield::new(geometry.chunk_count());
    for file in files.filter_map(|number| geometry.file(*number)) {
        for chunk in geometry.file_chunk_range(file) {
            chunks.insert(chunk);
        }
    }
    chunks
}

const TICK: Duration = Duration::from_secs(1);
/// A peer that knows a manifest tells it sooner.
const PATIENCE: Duration = Duration::from_secs(10);
