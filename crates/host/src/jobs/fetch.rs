//! A fetch on a node of its own: joins, opens where the data goes, names sources, and says what happens until all is there or it is
//! given up. Invariant: the content has a store before its first chunk is asked for, and one only. Absent here: words for people.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::events::{JobEvent, Meaning, News, Ready, meaning_of};
use super::place::Place;
use super::plan::FetchPlan;
use super::selection::{Chosen, SelectionError};
use super::target::{self, OpenedTarget};
use crate::AdmissionFiles;
use swarm_core::base::{Bitfield, Category, ContentId, Instant};
use swarm_core::manifest::{Manifest, SealError, Ticket};
use swarm_discovery::Finders;
use swarm_engine::{FetchFailure, FetchPhase, Join, Purpose};
use swarm_files::{HashProgress, LastLook, StoreError, free_len};
use swarm_link::Endpoint;
use swarm_node::clock::Clock;
use swarm_node::{Node, NodeEvent, NodeSnapshot, Options};

/// Why a fetch ends without everything.
#[derive(Debug)]
pub enum FetchError {
    /// No source is known, and there is nothing to ask for one.
    NoSource,
    /// It was told to stop.
    Stopped {
        /// How far it was.
        percent: u64,
    },
    /// The selection chooses nothing.
    Selection(SelectionError),
    /// A stream takes one file, and so many are chosen.
    NotOneFile {
        /// Files that the selection chooses.
        count: usize,
    },
    /// The key does not fit.
    Seal(SealError),
    /// The target cannot be filled.
    Target(StoreError),
    /// The engine gave it up.
    GaveUp {
        /// The last word of the engine.
        failure: FetchFailure,
        /// What last kept a finder from working.
        trouble: Option<String>,
    },
    /// The node's task died, or the thread that opened the target.
    Died,
}

/// The figures of a fetch that is over.
#[derive(Debug)]
pub struct FetchEnd {
    /// What was fetched.
    pub content: ContentId,
    /// The last state of its node.
    pub last: NodeSnapshot,
    /// Bytes that were there when it began.
    pub present_len: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A fetch under way.
pub struct FetchJob {
    plan: FetchPlan,
    endpoint: Endpoint,
    finders: Finders,
    admission_files: AdmissionFiles,
    node: Node,
    events: mpsc::Receiver<NodeEvent>,
    task: JoinHandle<NodeSnapshot>,
    clock: Clock,
    /// As this node can read it, once it is known.
    manifest: Option<Manifest>,
    opening: Opening,
    present_len: u64,
    is_complete: bool,
    /// Why a store failed, until the engine draws its conclusion.
    store_error: Option<StoreError>,
    trouble: Option<String>,
    /// Where this node is reached, once others were told.
    place: Option<Place>,
}

/// Opening the target, one step after the other, each on a thread of its own.
struct Opening {
    step: Step,
    hashed: watch::Sender<HashProgress>,
    looked: watch::Sender<HashProgress>,
    last_look: Option<LastLook>,
}

enum Step {
    None,
    Choosing(JoinHandle<Result<Chosen, SelectionError>>),
    Opening(JoinHandle<Result<OpenedTarget, FetchError>>),
}

/// What a step came to.
enum Stepped {
    Chosen(Chosen),
    Opened(OpenedTarget),
}

/// Takes a job's events.
type Show<'a> = &'a mut dyn FnMut(JobEvent);

impl FetchError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::NoSource => Category::NoSource,
            Self::Stopped { .. } => Category::Interrupted,
            Self::Selection(error) => error.category(),
            Self::NotOneFile { .. } => Category::Usage,
            Self::Seal(error) => error.category(),
            Self::Target(error) => error.category(),
            Self::GaveUp { failure, .. } => failure.category(),
            Self::Died => Category::Other,
        }
    }
}

impl FetchJob {
    /// Starts a node on this endpoint, whose admission rules are those of `admission_files`. Must be called within a tokio runtime; [`FetchJob::run`] fetches.
    pub fn start(
        endpoint: Endpoint,
        admission_files: AdmissionFiles,
        options: Options,
        plan: FetchPlan,
    ) -> Self {
        let finders = options.finders.clone();
        let (node, events, task) = Node::start(endpoint.clone(), options);
        let nothing = HashProgress { hashed_len: 0, total_len: 0 };
        let (hashed, looked) = (watch::Sender::new(nothing), watch::Sender::new(nothing));
        Self {
            plan,
            endpoint,
            finders,
            admission_files,
            node,
            events,
            task,
            clock: Clock::start(),
            manifest: None,
            opening: Opening { step: Step::None, hashed, looked, last_look: None },
            present_len: 0,
            is_complete: false,
            store_error: None,
            trouble: None,
            place: None,
        }
    }

    /// Fetches until all is there, or serves on if that is the plan, until `stop` is ready. To be called once.
    ///
    /// # Errors
    /// Why not everything is there.
    pub async fn run(&mut self, show: Show<'_>, stop: impl Future<Output = ()>) -> Result<(), FetchError> {
        self.join(show).await?;
        let (mut hashed, mut looked) = (self.opening.hashed.subscribe(), self.opening.looked.subscribe());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            let stepped = tokio::select! {
                event = self.events.recv() => {
                    let Some(event) = event else { return Err(FetchError::Died) };
                    tell_hashing(show, &mut hashed, &mut looked);
                    if self.on_event(event, show)? {
                        return Ok(());
                    }
                    continue;
                }
                stepped = self.opening.next() => stepped,
                Ok(()) = hashed.changed() => {
                    show(JobEvent::Hashing(*hashed.borrow_and_update()));
                    continue;
                }
                Ok(()) = looked.changed() => {
                    show(JobEvent::LastLook(*looked.borrow_and_update()));
                    continue;
                }
                _ = tick.tick() => {
                    self.look_around(show).await;
                    continue;
                }
                () = &mut stop => {
                    self.opening.stop();
                    return self.stopped().await;
                }
            };
            tell_hashing(show, &mut hashed, &mut looked);
            match stepped? {
                Stepped::Chosen(chosen) => self.on_chosen(chosen, show),
                Stepped::Opened(opened) => self.on_opened(opened, show).await?,
            }
        }
    }

    /// Stops the node. To be called after [`FetchJob::run`], whatever that came to.
    pub async fn end(self) -> FetchEnd {
        let elapsed = self.clock.now() - Instant::ZERO;
        self.node.stop().await;
        // A node that panicked has said so.
        let last = self.task.await.unwrap_or_default();
        FetchEnd { content: self.plan.content, last, present_len: self.present_len, elapsed }
    }

    async fn join(&mut self, show: Show<'_>) -> Result<(), FetchError> {
        if self.plan.manifest.is_none() && !self.plan.may_find(&self.finders) {
            return Err(FetchError::NoSource);
        }
        let (content, manifest) = (self.plan.content, self.plan.manifest.clone());
        if let Some(manifest) = manifest.clone() {
            self.open(manifest, show)?;
        }
        let (order, patience) = (self.plan.order, self.plan.engine_patience(&self.finders));
        self.node.join(Join { content, manifest, order, patience }).await;
        for source in self.plan.sources.clone() {
            self.node.add_source(content, source, Purpose::Fetch).await;
        }
        self.node.add_coordinators(content, self.plan.coordinators.clone()).await;
        Ok(())
    }

    fn open(&mut self, manifest: Manifest, show: Show<'_>) -> Result<(), FetchError> {
        let manifest = self.readable(manifest, show)?;
        self.manifest = Some(manifest.clone());
        show(JobEvent::Opening(Box::new(manifest.clone())));
        self.opening.choose(&self.plan, manifest);
        Ok(())
    }

    /// The manifest as this node can read it.
    fn readable(&self, manifest: Manifest, show: Show<'_>) -> Result<Manifest, FetchError> {
        match &self.plan.content_key {
            Some(_) if !manifest.is_sealed() && self.plan.must_be_sealed => {
                Err(FetchError::Seal(SealError::NotSealed))
            }
            _ if !manifest.is_sealed() => Ok(manifest),
            Some(key) => manifest.opened(key).map_err(FetchError::Seal),
            None => {
                show(JobEvent::Sealed);
                Ok(manifest)
            }
        }
    }

    fn on_chosen(&mut self, mut chosen: Chosen, show: Show<'_>) {
        let Some(manifest) = self.manifest.clone() else { return };
        let unmatched = std::mem::take(&mut chosen.unmatched);
        if !unmatched.is_empty() {
            show(JobEvent::Unmatched(unmatched));
        }
        self.opening.open(&self.plan, manifest, chosen);
    }

    async fn on_opened(&mut self, opened: OpenedTarget, show: Show<'_>) -> Result<(), FetchError> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let wanted_len = len_of(manifest, &opened.wanted);
        self.present_len = len_of(manifest, &opened.durable);
        let present_len = self.present_len;
        // An earlier, wider fetch may have left chunks that are not wanted now.
        let mut lacking = opened.wanted.clone();
        opened.durable.iter().for_each(|chunk| {
            lacking.remove(chunk);
        });
        let needed_len = len_of(manifest, &lacking);
        if needed_len > 0 && !self.plan.may_find(&self.finders) {
            return Err(FetchError::NoSource);
        }
        let (ticket, sources) = (self.ticket(), self.plan.sources.len());
        let (is_resumed, is_doubted) = (opened.is_resumed, opened.is_doubted);
        let node = self.endpoint.node_id();
        let ready = Ready { node, ticket, wanted_len, present_len, sources, is_resumed, is_doubted };
        show(JobEvent::Ready(Box::new(ready)));
        let free = self.plan.destination.folder().and_then(|folder| free_len(&folder.out));
        if let Some(free_len) = free.filter(|free| *free < needed_len) {
            show(JobEvent::LittleRoom { free_len, needed_len });
        }
        opened.left_out.into_iter().for_each(|entry| show(JobEvent::LeftOut(entry)));
        self.node.open_store(self.plan.content, opened.store, opened.durable, opened.wanted).await;
        Ok(())
    }

    /// True when the fetch is over.
    fn on_event(&mut self, event: NodeEvent, show: Show<'_>) -> Result<bool, FetchError> {
        match meaning_of(event) {
            Meaning::Tell(news) => self.tell(news, show),
            Meaning::Open(manifest) => self.open(manifest, show)?,
            Meaning::Complete(_) => return Ok(self.on_complete(show)),
            Meaning::GaveUp(_, failure) => return Err(self.gave_up(failure)),
            // The first is the cause, and the others its consequences.
            Meaning::StoreFailed(_, error) => {
                self.store_error.get_or_insert(error);
            }
            Meaning::Offer(..) | Meaning::Nothing => {}
        }
        Ok(false)
    }

    fn tell(&mut self, news: News, show: Show<'_>) {
        show(match news {
            News::Peer { node, news, .. } => JobEvent::Peer(node, news),
            News::Chunk { chunk, news, .. } => JobEvent::Chunk(chunk, news),
            News::Warning { warning, .. } => JobEvent::Warning(warning),
            News::Trouble(trouble) => {
                self.trouble = Some(trouble.reason.clone());
                JobEvent::Trouble(trouble)
            }
        });
    }

    fn on_complete(&mut self, show: Show<'_>) -> bool {
        self.is_complete = true;
        if self.plan.keeps_seeding {
            show(JobEvent::Seeding(Box::new(self.ticket())));
            self.place = Some(Place::new(&self.endpoint, &[], &self.endpoint.source(&[])));
        }
        !self.plan.keeps_seeding
    }

    fn gave_up(&mut self, failure: FetchFailure) -> FetchError {
        match self.store_error.take() {
            Some(error) => FetchError::Target(error),
            None => FetchError::GaveUp { failure, trouble: self.trouble.clone() },
        }
    }

    async fn look_around(&mut self, show: Show<'_>) {
        if let Err(error) = self.admission_files.look() {
            show(JobEvent::Trust(error));
        }
        if self.place.as_mut().and_then(Place::look).is_some() {
            show(JobEvent::Moved(Box::new(self.ticket())));
        }
        show(JobEvent::Progress(Box::new(self.node.snapshot().await)));
    }

    fn ticket(&self) -> Ticket {
        self.plan.ticket(self.endpoint.source(&[]), &self.finders)
    }

    /// What a fetch that is told to stop came to. The engine is asked: the event that tells of the end may still be on its way.
    async fn stopped(&self) -> Result<(), FetchError> {
        let snapshot = self.node.snapshot().await;
        let content = snapshot.engine.contents.first();
        if self.is_complete || content.is_some_and(|content| content.phase == FetchPhase::Complete) {
            return Ok(());
        }
        let percent = content.map_or(0, |content| content.verified_len * 100 / content.wanted_len.max(1));
        Err(FetchError::Stopped { percent })
    }
}

impl Opening {
    fn choose(&mut self, plan: &FetchPlan, manifest: Manifest) {
        let selection = plan.selection.clone();
        self.step = Step::Choosing(tokio::task::spawn_blocking(move || selection.choose(&manifest)));
    }

    fn open(&mut self, plan: &FetchPlan, manifest: Manifest, chosen: Chosen) {
        let looks_again = plan.destination.folder().is_some_and(|folder| folder.verify_at_end);
        let (looked, hashed) = (self.looked.clone(), self.hashed.clone());
        self.last_look = looks_again.then(|| LastLook::new(move |progress| note(&looked, progress)));
        let (destination, look) = (plan.destination.clone(), self.last_look.clone());
        self.step = Step::Opening(tokio::task::spawn_blocking(move || {
            target::open(&destination, manifest, chosen, look, &|progress| note(&hashed, progress))
        }));
    }

    /// Waits for the step under way, or for ever. To be cancelled by dropping the future.
    async fn next(&mut self) -> Result<Stepped, FetchError> {
        let done = match &mut self.step {
            Step::None => std::future::pending().await,
            Step::Choosing(task) => {
                task.await.map(|chosen| chosen.map(Stepped::Chosen).map_err(FetchError::Selection))
            }
            Step::Opening(task) => task.await.map(|opened| opened.map(Stepped::Opened)),
        };
        self.step = Step::None;
        done.map_err(|_| FetchError::Died)?
    }

    fn stop(&self) {
        self.last_look.iter().for_each(LastLook::stop);
    }
}

/// Hashing threads overtake each other: only what is further counts.
fn note(at: &watch::Sender<HashProgress>, progress: HashProgress) {
    at.send_if_modified(|held| {
        let is_further = progress.total_len != held.total_len || progress.hashed_len > held.hashed_len;
        if is_further {
            *held = progress;
        }
        is_further
    });
}

/// Tells of hashing what was not told yet, before what comes of it is told.
fn tell_hashing(
    show: Show<'_>,
    hashed: &mut watch::Receiver<HashProgress>,
    looked: &mut watch::Receiver<HashProgress>,
) {
    if hashed.has_changed().unwrap_or_default() {
        show(JobEvent::Hashing(*hashed.borrow_and_update()));
    }
    if looked.has_changed().unwrap_or_default() {
        show(JobEvent::LastLook(*looked.borrow_and_update()));
    }
}

pub(crate) fn len_of(manifest: &Manifest, chunks: &Bitfield) -> u64 {
    let geometry = manifest.geometry();
    let held = geometry.chunks().filter(|chunk| chunks.contains(chunk.get()));
    held.map(|chunk| u64::from(geometry.chunk_len(chunk))).sum()
}

/// A picture moves as smoothly as the eye needs.
const TICK: Duration = Duration::from_millis(200);
