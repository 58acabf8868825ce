//! Gives the bytes of an origin to the engine: for each content that is fetched, the chunks of files that the origin lists, by its stand-in. A
//! content whose manifest nobody tells is helped by whole files. Invariant: the origin offers a content only while it is fetched here; nobody waits
//! for this task: it follows a state of which the newest counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::{Manifest, Source, content_hash_of};
use swarm_index::{IndexError, LibraryBook};
use swarm_origins::ListedFile;
use swarm_sync::ContentHash;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::learning::{self, Learning};
use super::listed::Listed;
use super::shared::Shared;
use super::stand_in::StandIn;
use super::store::{Held, OriginStore};
use super::threads::Threads;
use super::{Fetch, Fetches, Followed, Ground, Libraries};
use crate::clock;
use crate::contents;

pub(super) struct Serving {
    shared: Arc<Shared>,
    ground: Ground,
    libraries: watch::Receiver<Libraries>,
    threads: Threads,
    stand_in: Option<StandIn>,
    fetches: Fetches,
    /// What is offered of each content.
    offered: BTreeMap<ContentId, Offer>,
    /// Contents that could not be offered, and when that is tried again.
    failed: BTreeMap<ContentId, Due>,
    /// When each content is helped by whole files whose manifest peers may still tell.
    unknown: BTreeMap<ContentId, Due>,
    tasks: JoinSet<()>,
}

/// Files of a content that are offered, by their numbers in the manifest.
struct Offer {
    held: BTreeMap<usize, ListedFile>,
    /// Set once some of them are lost: they are offered anew after a while, as far as they are listed still.
    has_lost: Arc<AtomicBool>,
    due: Due,
}

/// When something is tried again, and how long it waited last.
#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    wait: Duration,
}

impl Due {
    fn after(wait: Duration) -> Self {
        Self { at: clock::moment() + wait, wait }
    }

    fn is_now(&self) -> bool {
        self.at <= clock::moment()
    }

    /// It came to nothing again.
    fn next(self) -> Self {
        Self::after((self.wait * 2).min(WAIT_MAX))
    }
}

impl Serving {
    pub(super) fn new(
        shared: Arc<Shared>,
        ground: Ground,
        libraries: watch::Receiver<Libraries>,
        threads: Threads,
    ) -> Self {
        Self {
            shared,
            ground,
            libraries,
            threads,
            stand_in: None,
            fetches: Fetches::new(),
            offered: BTreeMap::new(),
            failed: BTreeMap::new(),
            unknown: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until the origin is gone.
    pub(super) async fn run(mut self, ending: CancellationToken) {
        let _ = ending.run_until_cancelled(self.follow()).await;
        if let Some(stand_in) = self.stand_in.take() {
            stand_in.stop().await;
        }
    }

    /// Until nobody fetches anything any more.
    async fn follow(&mut self) {
        let (mut fetches, mut listings) = (self.ground.fetches.clone(), self.shared.listings.subscribe());
        fetches.mark_changed();
        let mut libraries = self.libraries.clone();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                changed = fetches.changed() => match changed {
                    Ok(()) => {
                        let now = fetches.borrow_and_update().clone();
                        self.set_fetches(now).await;
                    }
                    Err(_) => return,
                },
                Ok(()) = listings.changed() => self.offer_all().await,
                Ok(()) = libraries.changed() => self.offer_all().await,
                Some(_) = self.tasks.join_next() => {}
                _ = tick.tick() => {
                    self.offer_lost().await;
                    self.offer_failed().await;
                    self.learn_due();
                }
            }
        }
    }

    async fn set_fetches(&mut self, now: Fetches) {
        let before = std::mem::replace(&mut self.fetches, now);
        let is_as = |content: &ContentId, fetch: &Arc<Fetch>, others: &Fetches| {
            others.get(content).is_some_and(|other| Arc::ptr_eq(other, fetch))
        };
        for (content, fetch) in &before {
            if !is_as(content, fetch, &self.fetches) {
                self.unknown.remove(content);
                self.failed.remove(content);
                self.withdraw(*content).await;
            }
        }
        for (content, fetch) in self.fetches.clone() {
            if is_as(&content, &fetch, &before) {
                continue;
            }
            if fetch.manifest.is_some() {
                self.offer(content).await;
            } else {
                self.unknown.insert(content, Due::after(PATIENCE));
            }
        }
    }

    async fn offer_all(&mut self) {
        for content in self.fetches.keys().copied().collect::<Vec<_>>() {
            self.offer(content).await;
        }
    }

    /// Offers anew what was lost: the origin may have it again.
    async fn offer_lost(&mut self) {
        let is_due = |offer: &Offer| offer.has_lost.load(Ordering::Relaxed) && offer.due.is_now();
        let lost = self.offered.iter().filter(|(_, offer)| is_due(offer));
        let lost: Vec<(ContentId, Due)> = lost.map(|(content, offer)| (*content, offer.due.next())).collect();
        for (content, due) in lost {
            self.withdraw(content).await;
            self.offer(content).await;
            if let Some(offer) = self.offered.get_mut(&content) {
                offer.due = due;
            }
        }
    }

    async fn offer_failed(&mut self) {
        let due = self.failed.iter().filter(|(_, due)| due.is_now());
        for content in due.map(|(content, _)| *content).collect::<Vec<_>>() {
            self.offer(content).await;
        }
    }

    /// Offers what the origin lists of a content, if that is not offered already; again after a while if it cannot.
    async fn offer(&mut self, content: ContentId) {
        match self.try_offer(content).await {
            Ok(()) => drop(self.failed.remove(&content)),
            Err(why) => {
                tracing::debug!(content = content.short(), why, "an origin cannot be offered now");
                let due = self.failed.get(&content).map_or(Due::after(WAIT_MIN), |due| due.next());
                self.failed.insert(content, due);
            }
        }
    }

    async fn try_offer(&mut self, content: ContentId) -> Result<(), String> {
        let Some(fetch) = self.fetches.get(&content).cloned() else { return Ok(()) };
        let Some(manifest) = fetch.manifest.clone() else { return Ok(()) };
        let listed = self.shared.listings.borrow().get(&fetch.library).cloned();
        let followed = self.libraries.borrow().get(&fetch.library).cloned();
        let (Some(listed), Some(followed)) = (listed, followed) else {
            self.withdraw(content).await;
            return Ok(());
        };
        let (shared, index, of_content) =
            (Arc::clone(&self.shared), followed.handle.index_path.clone(), Arc::clone(&fetch));
        let look = move || held(&shared, (&of_content, &manifest), &listed, &index);
        let held = match tokio::task::spawn_blocking(look).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(error) => return Err(error.to_string()),
        };
        if self.offered.get(&content).is_some_and(|offer| offer.held == held) {
            return Ok(());
        }
        self.withdraw(content).await;
        if held.is_empty() {
            return Ok(());
        }
        let has_lost = Arc::new(AtomicBool::new(false));
        let Some(source) = self.serve(&fetch, &followed, held.clone(), &has_lost).await else {
            return Err("its bytes cannot be given here".to_owned());
        };
        self.offered.insert(content, Offer { held, has_lost, due: Due::after(WAIT_MIN) });
        let _ = self.ground.contents.send(contents::Input::Serving { source, contents: vec![content] }).await;
        Ok(())
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
        fetch: &Fetch,
        followed: &Followed,
        held: BTreeMap<usize, ListedFile>,
        has_lost: &Arc<AtomicBool>,
    ) -> Option<Source> {
        if self.stand_in.is_none() {
            let threads = self.threads.handle()?;
            match StandIn::start(self.ground.me, &threads, &self.ground.tasks) {
                Ok(stand_in) => self.stand_in = Some(stand_in),
                Err(error) => {
                    tracing::warn!(error, "an origin cannot be used for the bytes of peers' files");
                    return None;
                }
            }
        }
        let (stand_in, manifest) = (self.stand_in.as_ref()?, fetch.manifest.clone()?);
        let has = chunks_of(&manifest, held.keys());
        let of_file = |(number, listed): (usize, ListedFile)| {
            let hash = ContentHash(content_hash_of(&manifest.files()[number]));
            (number, Held::new(hash, listed))
        };
        let store = OriginStore {
            files: held.into_iter().map(of_file).collect(),
            manifest: manifest.clone(),
            library: fetch.library,
            guid: followed.settings.guid.to_string(),
            shared: Arc::clone(&self.shared),
            down: followed.down.clone(),
            has_lost: Arc::clone(has_lost),
            runtime: Handle::current(),
            spool: self.ground.spool.clone(),
            kept: Mutex::default(),
        };
        stand_in.serve(manifest, Arc::new(store), has).await;
        Some(stand_in.source())
    }

    /// Fetches whole files for contents whose manifest nobody told for a while, and again if not all of them came.
    fn learn_due(&mut self) {
        let due = self.unknown.iter().filter(|(_, due)| due.is_now());
        let due: Vec<ContentId> = due.map(|(content, _)| *content).collect();
        for content in due {
            if !self.tasks.is_empty() {
                return;
            }
            let Some(fetch) = self.fetches.get(&content).cloned() else { continue };
            let listed = self.shared.listings.borrow().get(&fetch.library).cloned();
            let followed = self.libraries.borrow().get(&fetch.library).cloned();
            let (Some(listed), Some(followed), Some(threads)) = (listed, followed, self.threads.handle())
            else {
                self.unknown.insert(content, Due::after(PATIENCE));
                continue;
            };
            self.unknown.entry(content).and_modify(|due| *due = due.next());
            let (shared, runtime, spool) =
                (Arc::clone(&self.shared), Handle::current(), self.ground.spool.clone());
            let library = fetch.library;
            let learning = Learning { shared, library, followed, listed, runtime, spool };
            self.tasks.spawn_blocking_on(move || learning::run(&learning, &fetch.wanted), &threads);
        }
    }
}

/// What an origin lists of the wanted files of a content, by their numbers in the manifest.
fn held(
    shared: &Shared,
    (fetch, manifest): (&Fetch, &Manifest),
    listed: &Listed,
    index: &std::path::Path,
) -> Result<BTreeMap<usize, ListedFile>, IndexError> {
    let mut held = BTreeMap::new();
    // What is sealed goes from node to node in its sealed form.
    if manifest.is_sealed() {
        return Ok(held);
    }
    let book = LibraryBook::open(index)?;
    for (number, file) in manifest.files().iter().enumerate() {
        let hash = ContentHash(content_hash_of(file));
        if !fetch.wanted.is_empty() && !fetch.wanted.contains(&hash) {
            continue;
        }
        let sha256 = if listed.needs_sha256() { book.sha256_of(&hash)? } else { None };
        let found = listed.find(&hash, sha256.as_ref(), Some(file.len));
        let found = found.filter(|file| !shared.is_refused(fetch.library, file));
        held.extend(found.map(|file| (number, file.clone())));
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
/// How soon what was lost is offered anew, at first.
const WAIT_MIN: Duration = Duration::from_secs(5);
/// How soon anything is tried again, at most.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::test_world::{TOO_LONG, World, file};
    use super::*;

    const HASH: ContentHash = ContentHash([7; 32]);

    #[test]
    fn what_came_to_nothing_is_tried_again_later_and_later() {
        assert!(Due::after(Duration::ZERO).is_now() && !Due::after(PATIENCE).is_now());
        let mut due = Due::after(PATIENCE);
        let waits = std::iter::repeat_with(|| {
            due = due.next();
            due.wait.as_secs()
        });
        assert_eq!(waits.take(8).collect::<Vec<_>>(), [20, 40, 80, 160, 320, 600, 600, 600]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn files_of_a_content_that_nobody_describes_are_tried_again_and_not_before_there_is_room() {
        let world = World::start().await;
        let (shared, library) = (Arc::clone(&world.shared), world.standing.library);
        let libraries = watch::channel(Libraries::from([(library, world.followed.clone())])).1;
        let threads = Threads::start().expect("threads");
        let mut serving = Serving::new(Arc::clone(&shared), world.ground.clone(), libraries, threads);
        let content = ContentId::from_bytes([1; 32]);
        let fetch = Fetch { library, manifest: None, wanted: BTreeSet::from([HASH]) };
        serving.fetches.insert(content, Arc::new(fetch));
        let make_due = |serving: &mut Serving, wait| {
            serving.unknown.insert(content, Due { at: clock::moment(), wait });
        };
        // Nothing is listed yet: it stays to be tried.
        make_due(&mut serving, PATIENCE * 4);
        serving.learn_due();
        assert!(serving.tasks.is_empty() && serving.unknown[&content].wait == PATIENCE);
        let listed = file("/long.bin", TOO_LONG, HASH);
        shared.listings.send_modify(|listings| {
            listings.insert(library, Arc::new(Listed::new(vec![listed.clone()], None)));
        });
        make_due(&mut serving, PATIENCE);
        serving.learn_due();
        assert_eq!(serving.tasks.len(), 1);
        // One that is at work is not begun a second time.
        make_due(&mut serving, PATIENCE);
        serving.learn_due();
        assert_eq!(serving.tasks.len(), 1);
        serving.tasks.join_next().await.expect("it runs").expect("it ends");
        assert!(
            shared.rests(library, &listed, None),
            "the disk has no room for it: it is left alone for a while"
        );
        let told =
            shared.state().faults.into_values().map(|fault| fault.detail.to_string()).collect::<String>();
        assert!(told.contains("make space"), "{told}");
        make_due(&mut serving, PATIENCE);
        serving.learn_due();
        assert_eq!(
            (serving.tasks.len(), serving.unknown[&content].wait),
            (1, PATIENCE * 2),
            "it is tried again"
        );
        serving.tasks.join_next().await.expect("it runs").expect("it ends");
        assert_eq!(std::fs::read_dir(world.spool.path()).map_or(0, Iterator::count), 0);
        drop((serving, shared));
        world.end().await;
    }
}
