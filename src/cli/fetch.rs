//! `swarm fetch`: fetch a content from all its sources at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::args::{FetchArgs, Global};
use super::failure::{self, Exit, Failure};
use super::include::Include;
use super::memory::Memory;
use super::output::{self, Done, FetchView, HashView, Json};
use super::place::Place;
use super::seal;
use super::seed::{moved, own_source};
use super::setup::{self, Interrupts};
use super::source::Wanted;
use super::trust;
use crate::base::limits::{COORDINATORS_MAX, SIGNATURES_MAX, WRAPPED_KEYS_MAX};
use crate::base::{Bitfield, ByteLen, ContentId, Instant, NodeId, Rate};
use crate::engine::{
    Bottleneck, ContentSnapshot, DialFailure, Event, FetchFailure, Join, Order, Patience, Purpose,
};
use crate::manifest::{ContentKey, Manifest, SealError, Signature, Source, Ticket, WrappedKey};
use crate::node::clock::{Clock, wall_clock};
use crate::node::{Limits, Node, NodeEvent, NodeSnapshot, Options};
use crate::service::Guard;
use crate::storage::{
    Opening, Store, StoreError, StreamStore, Target, TargetOptions, find_manifest, free_len,
};
use crate::transport::Endpoint;
use crate::wire::DeclineReason;

pub(super) async fn run(args: FetchArgs, global: &Global) -> Result<(), Failure> {
    // Whoever takes stdout for the file must find nothing else there.
    let is_json = args.json && !is_stdout(&args.out);
    let result = fetch(args, global, &mut |_| {}).await;
    result.map_err(|failure| output::told(failure, is_json))
}

/// Fetches; `observe` is called with the state of things several times a second.
pub(super) async fn fetch(
    args: FetchArgs,
    global: &Global,
    observe: &mut dyn FnMut(&ContentSnapshot),
) -> Result<(), Failure> {
    if args.json && is_stdout(&args.out) {
        return Err(Failure::new(Exit::Usage, "--json and -o - both want stdout: choose one"));
    }
    args.find.check()?;
    let include = Include::new(&args.include)?;
    let mut interrupts = Interrupts::catch()?;
    let (args, wanted) = find(args).await?;
    let identity = trust::identity(global, None, args.trust.cert.as_deref())?;
    let memory = Memory::split(args.memory, is_stdout(&args.out), args.limit.link());
    let endpoint = setup::endpoint(args.listen, &identity, memory.link)?;
    let content_key = wanted.content_key(args.content_key.as_deref(), &identity)?;
    let readers = args.readers.as_ref().map(|path| (wanted.content, path));
    let guard = trust::guard(&endpoint, args.trust.files(readers))?;
    let limits = Limits {
        down: args.down_limit.limit_down,
        down_per_peer: args.down_limit.limit_down_per_peer,
        ..args.limit.limits(memory.buffers_len, memory.windows_len)
    };
    let options = Options {
        limits,
        finders: args.find.finders(),
        dial_timeout: dial_timeout(args.timeout),
        ..Options::default()
    };
    let (node, mut events, task) = Node::start(endpoint.clone(), options);
    let mut fetch = Fetch {
        clock: Clock::start(),
        view: FetchView::new(args.json),
        content: wanted.content,
        manifest: None,
        include,
        node,
        endpoint,
        opening: None,
        present_len: 0,
        source_count: wanted.sources.len(),
        coordinators: wanted.coordinators.clone(),
        signatures: wanted.signatures.clone(),
        ticket_key: wanted.key.clone(),
        wrapped_keys: wanted.wrapped_keys.clone(),
        content_key,
        store_error: None,
        is_complete: false,
        place: None,
        trouble: None,
        told: BTreeSet::new(),
        guard,
        args,
    };
    let result = fetch.work(wanted, &mut events, &mut interrupts, observe).await;
    fetch.view.clear();
    let elapsed = fetch.clock.now() - Instant::ZERO;
    fetch.node.stop().await;
    let last = tokio::select! {
        last = task => last.unwrap_or_default(),
        () = interrupts.next() => return Err(fetch.interrupted(0)),
    };
    match result {
        Ok(()) => {
            fetch.conclude(&last, elapsed);
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

async fn find(args: FetchArgs) -> Result<(FetchArgs, Wanted), Failure> {
    let found = tokio::task::spawn_blocking(move || {
        let mut wanted = Wanted::find(&args)?;
        if wanted.manifest.is_none() && !is_stdout(&args.out) {
            // An earlier run learnt it already.
            wanted.manifest = find_manifest(&args.out, wanted.content);
        }
        Ok((args, wanted))
    });
    found.await.map_err(|_| {
        Failure::new(Exit::Other, "reading the manifest failed: this is a bug, please report it")
    })?
}

struct Fetch {
    clock: Clock,
    view: FetchView,
    args: FetchArgs,
    content: ContentId,
    manifest: Option<Manifest>,
    include: Include,
    node: Node,
    endpoint: Endpoint,
    opening: Option<JoinHandle<Result<OpenedStore, Failure>>>,
    present_len: u64,
    source_count: usize,
    /// Of the ticket or manifest.
    coordinators: Vec<Source>,
    signatures: Vec<Signature>,
    /// As the ticket had them, for tickets of one's own.
    ticket_key: Option<ContentKey>,
    wrapped_keys: Vec<WrappedKey>,
    /// What this node opens the content with, if it is sealed.
    content_key: Option<ContentKey>,
    store_error: Option<StoreError>,
    is_complete: bool,
    /// Where this node is reached, once others were told.
    place: Option<Place>,
    /// What last kept a finder from working.
    trouble: Option<String>,
    /// Troubles with peers that were told once.
    told: BTreeSet<(NodeId, String)>,
    guard: Guard,
}

struct OpenedStore {
    store: Arc<dyn Store>,
    durable: Bitfield,
    wanted: Bitfield,
    is_resumed: bool,
    is_doubted: bool,
}

impl Fetch {
    async fn work(
        &mut self,
        wanted: Wanted,
        events: &mut mpsc::Receiver<NodeEvent>,
        interrupts: &mut Interrupts,
        observe: &mut dyn FnMut(&ContentSnapshot),
    ) -> Result<(), Failure> {
        self.join(wanted).await?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0u32;
        loop {
            tokio::select! {
                Some(event) = events.recv() => {
                    if self.on_event(event)? {
                        return Ok(());
                    }
                }
                opened = wait_for(&mut self.opening) => self.on_opened(opened?).await?,
                _ = tick.tick() => {
                    self.show(observe, ticks.is_multiple_of(JSON_EVERY_TICKS)).await;
                    ticks += 1;
                }
                () = interrupts.next() => {
                    let percent = self.percent().await;
                    return if self.is_complete { Ok(()) } else { Err(self.interrupted(percent)) };
                }
            }
        }
    }

    async fn join(&mut self, wanted: Wanted) -> Result<(), Failure> {
        if !self.may_find(&wanted.sources) && wanted.manifest.is_none() {
            return Err(no_source());
        }
        let order = match (is_stdout(&self.args.out), self.args.sequential) {
            (true, _) => Order::Sequential {
                window_len: Some(
                    Memory::split(self.args.memory, is_stdout(&self.args.out), self.args.limit.link())
                        .window_len,
                ),
            },
            (false, true) => Order::Sequential { window_len: None },
            (false, false) => Order::RarestFirst,
        };
        let idle = Duration::from_secs(self.args.timeout);
        let patience =
            (self.args.timeout > 0).then(|| Patience { idle, search: self.search_time().min(idle) });
        let (content, manifest) = (wanted.content, wanted.manifest.clone());
        if let Some(manifest) = &manifest {
            self.open(manifest.clone())?;
        }
        self.node.join(Join { content, manifest, order, patience }).await;
        for source in wanted.sources {
            self.node.add_source(content, source, Purpose::Fetch).await;
        }
        self.node.add_coordinators(content, wanted.coordinators).await;
        Ok(())
    }

    /// Opens the store on a thread of its own: it may have to hash what is there.
    fn open(&mut self, manifest: Manifest) -> Result<(), Failure> {
        let manifest = self.unsealed(manifest)?;
        self.manifest = Some(manifest.clone());
        let (args, include) = (self.args.clone(), self.include.clone());
        self.opening = Some(tokio::task::spawn_blocking(move || open_store(&args, &include, manifest)));
        Ok(())
    }

    /// As this node can read it; what it has no key for it fetches as it is, as a mirror does.
    fn unsealed(&self, manifest: Manifest) -> Result<Manifest, Failure> {
        match &self.content_key {
            Some(_) if !manifest.is_sealed() && self.args.content_key.is_some() => {
                Err(SealError::NotSealed.into())
            }
            _ if !manifest.is_sealed() => Ok(manifest),
            Some(key) => seal::opened(&manifest, key),
            None => {
                self.view.note(
                    "the content is sealed, and the ticket holds no key for this node: fetching it as it is; --content-key FILE opens it",
                );
                Ok(manifest)
            }
        }
    }

    /// How long finders may take to find somebody who is there.
    fn search_time(&self) -> Duration {
        let finders = self.args.find.finders();
        let asks_far = finders.dht || !finders.coordinators.is_empty() || !self.coordinators.is_empty();
        match (asks_far, finders.lan) {
            (true, _) => FAR_SEARCH_TIME,
            (false, true) => LAN_SEARCH_TIME,
            (false, false) => Duration::ZERO,
        }
    }

    /// Whether there is anybody to begin with, or to ask.
    fn may_find(&self, sources: &[Source]) -> bool {
        !sources.is_empty() || !self.coordinators.is_empty() || self.args.find.finders().has_any()
    }

    async fn on_opened(&mut self, opened: OpenedStore) -> Result<(), Failure> {
        let Some(manifest) = self.manifest.clone() else { return Ok(()) };
        let len_of = |set: &Bitfield| -> u64 {
            let geometry = manifest.geometry();
            geometry
                .chunks()
                .filter(|chunk| set.contains(chunk.get()))
                .map(|chunk| u64::from(geometry.chunk_len(chunk)))
                .sum()
        };
        let (wanted_len, present_len) = (len_of(&opened.wanted), len_of(&opened.durable));
        self.present_len = present_len;
        if present_len < wanted_len && self.source_count == 0 && !self.may_find(&[]) {
            return Err(no_source());
        }
        self.tell_opened(&manifest, &opened, wanted_len);
        self.node.open_store(self.content, opened.store, opened.durable, opened.wanted).await;
        Ok(())
    }

    fn tell_opened(&self, manifest: &Manifest, opened: &OpenedStore, wanted_len: u64) {
        if self.args.json {
            let ready = Json::Ready {
                node: self.endpoint.node_id().to_string(),
                content: self.content.to_string(),
                name: manifest.name(),
                ticket: Some(self.own_ticket().to_string()),
                bytes: wanted_len,
                present_bytes: self.present_len,
                files: manifest.geometry().file_count(),
                chunks: manifest.geometry().chunk_count(),
                sources: self.source_count,
            };
            return ready.print();
        }
        let from = match self.source_count {
            0 => "looking for sources".to_owned(),
            count => format!("from {}", output::count(count, "source")),
        };
        let mut line = format!("fetching {}, {}, {from}", manifest.name(), ByteLen(wanted_len));
        if opened.is_doubted {
            line += &format!("; re-hashed what is there, {} are good", ByteLen(self.present_len));
        } else if opened.is_resumed && self.present_len > 0 {
            line += &format!("; going on after {}", ByteLen(self.present_len));
        } else if self.present_len > 0 {
            line += &format!("; {} are there", ByteLen(self.present_len));
        }
        self.view.note(&line);
        let free = if is_stdout(&self.args.out) { None } else { free_len(&self.args.out) };
        let left_len = wanted_len - self.present_len;
        if let Some(free) = free.filter(|free| *free < left_len) {
            let out = self.args.out.display();
            self.view.note(&format!(
                "only {} are free at {out}, {} are needed: make space meanwhile",
                ByteLen(free),
                ByteLen(left_len)
            ));
        }
    }

    /// True when the fetch is over.
    fn on_event(&mut self, event: NodeEvent) -> Result<bool, Failure> {
        let event = match event {
            NodeEvent::Engine(event) => event,
            NodeEvent::StoreError { error, .. } => {
                self.store_error.get_or_insert(error);
                return Ok(false);
            }
            NodeEvent::FinderTrouble(trouble) => {
                self.trouble = Some(trouble.reason.clone());
                if self.args.json {
                    Json::trouble(&trouble).print();
                } else {
                    self.view.note(&trouble.reason);
                }
                return Ok(false);
            }
            NodeEvent::Found(found) => {
                self.tell(found.source.node, "found", found.way.name().to_owned(), false);
                return Ok(false);
            }
        };
        match event {
            Event::ManifestComplete { manifest } => self.open(manifest)?,
            Event::PeerJoined { node, agent } => self.tell(node, "joined", agent, false),
            Event::PeerLeft { node, reason } => self.tell(node, "left", reason, false),
            Event::PeerUnreachable { node, failure } => match failure {
                DialFailure::Unreachable(reason) => self.tell(node, "unreachable", reason, true),
                DialFailure::Refused(refusal) => self.tell(node, "refused", refusal.words, true),
            },
            Event::PeerDeclined { node, reason, .. } => {
                let short = node.short();
                let line = match reason {
                    DeclineReason::NotAuthorised => format!("node {short} does not let this node have it"),
                    DeclineReason::NotHere | DeclineReason::NotAccepted | DeclineReason::NoRoom => {
                        format!("node {short} does not have this content")
                    }
                };
                self.tell(node, "declined", line, true);
            }
            Event::PeerBanned { node, violation } => {
                self.tell(node, "banned", format!("banned peer {}: it {violation}", node.short()), true);
            }
            Event::BlamedByPeer { node, chunk, .. } => {
                let line = format!(
                    "peer {} says chunk {} from here was corrupt: check this machine",
                    node.short(),
                    chunk.get()
                );
                self.tell(node, "blames us", line, true);
            }
            Event::PeerAccused { node, by, .. } => {
                let line = format!("peer {} says that {} gave it wrong chunks", by.short(), node.short());
                self.tell(node, "accused", line, true);
            }
            Event::ChunkLost { chunk, .. } => {
                let name = output::chunk_name(chunk, self.manifest.as_ref());
                self.view.note(&format!("withdrew {name}: it changed on disk"));
            }
            Event::PeerCompleted { node, .. } => {
                self.tell(node, "completed", "it has everything now".to_owned(), false)
            }
            Event::Completed { .. } => return Ok(self.on_completed()),
            Event::Failed { failure, .. } => return Err(self.failed(&failure)),
            Event::PeerDenied { node, .. } => {
                self.tell(node, "denied", "it may not have this".to_owned(), false)
            }
            Event::PeerFound { node, by } => {
                self.tell(node, "found", format!("told of by peer {}", by.short()), false);
            }
            Event::Offered { .. } | Event::PeerDurable { .. } | Event::Left { .. } | Event::Stopped => {}
        }
        Ok(false)
    }

    fn on_completed(&mut self) -> bool {
        self.is_complete = true;
        if self.args.keep_seeding {
            self.view.note("complete; going on as a seed. Others fetch it with: swarm fetch TICKET");
            if !self.args.json {
                output::result(self.own_ticket());
            }
            let source = own_source(&self.endpoint, &[]);
            self.place = Some(Place::new(&self.endpoint, &[], &source));
        }
        !self.args.keep_seeding
    }

    fn look_at_place(&mut self) {
        if self.place.as_mut().and_then(Place::look).is_some() {
            let message = "this node is reached elsewhere now: hand out the new ticket".to_owned();
            self.view.clear();
            moved(self.args.json, message, Some(&self.own_ticket()));
        }
    }

    fn failed(&mut self, failure: &FetchFailure) -> Failure {
        let manifest = self.manifest.as_ref();
        let trouble = self.trouble.clone();
        failure::of_fetch(failure, self.store_error.take(), |bottleneck| match (bottleneck, trouble) {
            (Bottleneck::NoPeer(None), Some(trouble)) => trouble,
            _ => output::bottleneck(bottleneck, manifest),
        })
    }

    fn tell(&mut self, node: NodeId, state: &'static str, detail: String, is_news: bool) {
        if self.args.json {
            Json::peer(node, state, Some(detail)).print();
        } else if is_news && self.told.insert((node, detail.clone())) {
            self.view.note(&detail);
        }
    }

    fn look_at_trust(&mut self) {
        let Err(error) = self.guard.look() else { return };
        let line = format!("{error}; going on with what held before");
        if self.args.json {
            Json::trust(&line).print();
        } else {
            self.view.note(&line);
        }
    }

    async fn show(&mut self, observe: &mut dyn FnMut(&ContentSnapshot), is_json_due: bool) {
        self.look_at_trust();
        self.look_at_place();
        let snapshot = self.node.snapshot().await;
        if let Some(content) = snapshot.engine.contents.first() {
            observe(content);
        }
        // While the store is opened, hashing has its own bar.
        if self.opening.is_none() {
            self.view.show(&snapshot, self.manifest.as_ref());
        }
        if self.args.json && is_json_due {
            let progress = Json::progress(&snapshot, self.view.rate().0, self.manifest.as_ref());
            progress.iter().for_each(Json::print);
        }
    }

    async fn percent(&self) -> u64 {
        let snapshot = self.node.snapshot().await;
        snapshot
            .engine
            .contents
            .first()
            .map_or(0, |content| content.verified_len * 100 / content.wanted_len.max(1))
    }

    fn interrupted(&self, percent: u64) -> Failure {
        let message = if is_stdout(&self.args.out) {
            format!("interrupted at {percent} %")
        } else {
            format!(
                "interrupted at {percent} %; what is verified is kept: run the same command again to go on"
            )
        };
        Failure::new(Exit::Interrupted, message)
    }

    fn own_ticket(&self) -> Ticket {
        let mut coordinators = self.args.find.coordinator.clone();
        coordinators.extend(self.coordinators.iter().cloned());
        coordinators.truncate(COORDINATORS_MAX);
        let sources = vec![own_source(&self.endpoint, &[])];
        Ticket {
            sources,
            coordinators,
            signatures: self.signatures.iter().take(SIGNATURES_MAX).cloned().collect(),
            key: self.ticket_key.clone(),
            wrapped_keys: self.wrapped_keys.iter().take(WRAPPED_KEYS_MAX).cloned().collect(),
            ..Ticket::new(self.content)
        }
    }

    fn conclude(&self, last: &NodeSnapshot, elapsed: Duration) {
        let Some(done) = Done::of(self.content, last, self.present_len, elapsed.as_secs_f64()) else {
            return;
        };
        if self.args.json {
            return Json::Done(done).print();
        }
        let name = self.manifest.as_ref().map_or_else(|| self.content.short(), Manifest::name);
        if done.fetched_bytes == 0 {
            return output::note(format_args!(
                "{name} is complete and verified: {} were there",
                ByteLen(done.present_bytes)
            ));
        }
        let rate = Rate::over(done.fetched_bytes, elapsed);
        let seconds = elapsed.as_secs_f64();
        output::note(format_args!(
            "{name} is complete and verified: {} in {seconds:.1} s, {rate}",
            ByteLen(done.fetched_bytes)
        ));
        output::note(output::peer_table(&last.engine.peers, elapsed));
        let (duplicate, corrupt) = (ByteLen(done.duplicate_bytes), ByteLen(done.corrupt_bytes));
        output::note(format_args!(
            "  received and not needed: {duplicate}; corrupt: {corrupt}; on the wire: {}",
            ByteLen(done.wire_bytes)
        ));
    }
}

async fn wait_for(
    opening: &mut Option<JoinHandle<Result<OpenedStore, Failure>>>,
) -> Result<OpenedStore, Failure> {
    let Some(task) = opening else { return std::future::pending().await };
    let opened = task.await;
    *opening = None;
    opened.map_err(|_| {
        Failure::new(Exit::Other, "opening the target failed: this is a bug, please report it")
    })?
}

fn open_store(args: &FetchArgs, include: &Include, manifest: Manifest) -> Result<OpenedStore, Failure> {
    let files = include.files(&manifest)?;
    let count = manifest.geometry().chunk_count();
    let mut wanted = Bitfield::new(count);
    for file in &files {
        manifest.geometry().file_chunk_range(*file).for_each(|chunk| {
            wanted.insert(chunk);
        });
    }
    if is_stdout(&args.out) {
        let [file] = files.as_slice() else {
            let message =
                format!("-o - takes one file, this content has {}: choose one with --include", files.len());
            return Err(Failure::new(Exit::Usage, message));
        };
        let store = StreamStore::new(manifest, *file, Box::new(std::io::stdout()));
        let (store, durable) = (Arc::new(store), Bitfield::new(count));
        return Ok(OpenedStore { store, durable, wanted, is_resumed: false, is_doubted: false });
    }
    let view = HashView::new("verifying", args.json);
    let options =
        TargetOptions { overwrite: args.overwrite, unwanted_empty: include.unwanted_empty(&manifest) };
    let show = |progress| view.show(progress);
    let opening = Opening { progress: &show, clock: wall_clock };
    let target = Target::open(&args.out, &manifest, &wanted, &options, opening);
    Ok(match target.map_err(failure::of_target)? {
        Target::Filled(store, opened) => {
            let (is_resumed, is_doubted) = (opened.resumed, opened.doubted);
            OpenedStore { store, durable: opened.durable, wanted, is_resumed, is_doubted }
        }
        Target::Complete(store) => {
            let durable = store.good().clone();
            OpenedStore { store: Arc::new(*store), durable, wanted, is_resumed: false, is_doubted: false }
        }
    })
}

fn no_source() -> Failure {
    Failure::new(
        Exit::NoSource,
        "nobody is known to have this content: name a source with --peer NODEID@HOST:PORT or --peer TICKET",
    )
}

/// A dial ends a little before patience does: the message at the end says what came of it.
fn dial_timeout(timeout_secs: u64) -> Option<Duration> {
    (timeout_secs > 0).then(|| Duration::from_secs(timeout_secs).mul_f64(0.8))
}

fn is_stdout(out: &Path) -> bool {
    out == Path::new("-")
}

/// A coordinator answers within a round trip, a DHT within some ten seconds.
const FAR_SEARCH_TIME: Duration = Duration::from_secs(15);
/// Found are those who are there within a tenth of a second.
const LAN_SEARCH_TIME: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(200);
const JSON_EVERY_TICKS: u32 = 5;
