//! Every effect in one place. `perform` carries an order out or starts a task that does; facts come back through one queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::blocks::Blocks;
use super::budget::Budget;
use super::clock::Clock;
use super::door::Door;
use super::finding::Finding;
use super::link::{ControlOut, End, Expected, LinkHandle};
use super::throttle::Throttle;
use super::upload::{self, UploadTask};
use super::windows::Windows;
use super::{Command, Limits, NodeEvent, NodeSnapshot, Options, WireTotals, link};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{ChunkIndex, Run, Source};
use swarm_core::trust::Role;
use swarm_core::wire::{CloseCode, Message, RequestId};
use swarm_discovery::{Found, Trouble, Way};
use swarm_engine::limits::PEERS_MAX;
use swarm_engine::{
    ChunkVerdict, CloseReason, DialFailure, Engine, Event, Input, LinkId, Output, Purpose, Refusal,
    RefusalCause,
};
use swarm_files::{Store, StoreError, StoreWarning, Verdict};
use swarm_link::limits::DIAL_TIMEOUT;
use swarm_link::{DialError, Endpoint, Link, Protocol};

/// What tasks report.
pub(super) enum Fact {
    Input(Input),
    /// A link stands; its tasks are still to be started.
    Linked {
        link: Link,
        dialed: bool,
    },
    /// Its control stream stands too.
    ControlReady {
        link: LinkId,
    },
    /// Who may link, or have what, is to be looked at again.
    Recheck {
        is_changed: bool,
    },
    /// A link's tasks have ended.
    Ended {
        link: LinkId,
        end: End,
    },
    /// Nothing can be taken back of it any more.
    UploadSettled {
        link: LinkId,
        request: RequestId,
    },
    StoreFailed {
        content: ContentId,
        error: StoreError,
    },
    StoreWarned {
        content: ContentId,
        warning: StoreWarning,
    },
    Command(Command),
    Found(Found),
    Trouble(Trouble),
    /// Finders want to know what this node takes part in.
    LookAround,
    Wakeup,
}

pub(super) struct Io {
    endpoint: Endpoint,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NodeEvent>,
    /// Events that found the queue full.
    late_events: VecDeque<NodeEvent>,
    facts: mpsc::Receiver<Fact>,
    report: mpsc::Sender<Fact>,
    /// Facts that this room knows at once.
    own_facts: VecDeque<Fact>,
    stores: BTreeMap<ContentId, Arc<dyn Store>>,
    links: BTreeMap<LinkId, LinkHandle>,
    uploads: BTreeMap<(LinkId, RequestId), CancellationToken>,
    /// Of links that are gone.
    past_wire: BTreeMap<NodeId, WireTotals>,
    past_wire_total: WireTotals,
    next_link: u64,
    clock: Clock,
    budget: Budget,
    windows: Windows,
    blocks: Blocks,
    up: Throttle,
    down: Throttle,
    limits: Limits,
    dial_timeout: Duration,
    finding: Finding,
    door: Door,
    /// What finders said and was told already.
    told: BTreeSet<(ContentId, NodeId, Way)>,
    tasks: TaskTracker,
    ending: CancellationToken,
    is_stopped: bool,
}

impl Io {
    pub(super) fn new(
        endpoint: Endpoint,
        options: Options,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<NodeEvent>,
    ) -> Self {
        let (report, facts) = mpsc::channel(FACTS_WAITING_MAX);
        let tasks = TaskTracker::new();
        let ending = CancellationToken::new();
        let Options { limits, finders, advertise, coordination, takes_offers: _, past: _, dial_timeout } =
            options;
        tasks.spawn(accept(endpoint.clone(), report.clone(), coordination, ending.clone()));
        let mut finding = Finding::start(&endpoint, finders, advertise, &tasks, &ending);
        finding.set_up(limits.up);
        let door = Door::new(&endpoint);
        let windows_len = if limits.windows_len == 0 { u64::MAX } else { limits.windows_len };
        let windows = Windows::new(windows_len, windows_len, endpoint.link_options());
        Self {
            endpoint,
            commands,
            events,
            late_events: VecDeque::new(),
            facts,
            report,
            own_facts: VecDeque::new(),
            stores: BTreeMap::new(),
            links: BTreeMap::new(),
            uploads: BTreeMap::new(),
            past_wire: BTreeMap::new(),
            past_wire_total: WireTotals::default(),
            next_link: 0,
            clock: Clock::start(),
            budget: Budget::new(limits.buffers_len),
            windows,
            blocks: Blocks::default(),
            up: Throttle::new(limits.up),
            down: Throttle::new(limits.down),
            limits,
            dial_timeout: dial_timeout.map_or(DIAL_TIMEOUT, |limit| limit.min(DIAL_TIMEOUT)),
            finding,
            door,
            told: BTreeSet::new(),
            tasks,
            ending,
            is_stopped: false,
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The next facts, or a wake-up when it is time. Facts first: what waited while the process stood still is news, too.
    pub(super) async fn next_facts(&mut self, wakeup: Instant) -> Vec<Fact> {
        self.hand_over_late_events();
        if !self.own_facts.is_empty() {
            return self.own_facts.drain(..).collect();
        }
        let mut facts = Vec::new();
        tokio::select! {
            biased;
            Some(command) = self.commands.recv() => facts.push(Fact::Command(command)),
            // Before facts: a peer that is to go could keep those coming.
            fact = self.door.next() => facts.push(fact),
            _ = self.facts.recv_many(&mut facts, FACTS_AT_ONCE) => {}
            fact = self.finding.next() => facts.push(fact),
            () = tokio::time::sleep_until(wakeup) => facts.push(Fact::Wakeup),
        }
        facts
    }

    /// Turns a fact into the engine's input; some are this room's own affair.
    pub(super) fn admit(&mut self, fact: Fact, engine: &Engine) -> Option<Input> {
        match fact {
            Fact::Input(input) => Some(input),
            Fact::Wakeup => Some(Input::Wakeup),
            Fact::Found(found) => Some(self.admit_found(found)),
            Fact::Trouble(trouble) => {
                self.tell(NodeEvent::FinderTrouble(trouble));
                None
            }
            Fact::LookAround => {
                self.finding.update(engine);
                None
            }
            Fact::Command(command) => self.admit_command(command, engine),
            Fact::Linked { link, dialed } if self.is_crowded() => Self::turn_away(&link, dialed),
            Fact::Linked { link, dialed } => match self.endpoint.admits(&link) {
                Ok(role) => {
                    self.start_link(link, role, dialed);
                    None
                }
                // It was admitted a moment ago.
                Err(denial) => {
                    link.turn_away(&denial);
                    let failure =
                        DialFailure::Refused(Refusal::new(RefusalCause::DeniedHere, denial.to_string()));
                    dialed.then(|| Input::DialFailed { node: link.peer(), failure })
                }
            },
            Fact::Recheck { is_changed } => {
                self.recheck();
                is_changed.then(|| self.access())
            }
            Fact::ControlReady { link } => {
                let handle = self.links.get_mut(&link)?;
                handle.is_up = true;
                let (node, role, dialed) = (handle.link.peer(), handle.role, handle.dialed);
                self.windows.give(handle);
                let address = Some(handle.link.remote_address().into());
                Some(Input::LinkUp { link, node, role, dialed, address })
            }
            Fact::Ended { link, end: End { words, denial } } => {
                if let Some(handle) = self.links.get(&link) {
                    debug!(peer = %handle.link.peer().short(), reason = words, "a link has ended");
                }
                let lost = self.links.get(&link).filter(|handle| handle.dialed && !handle.is_up);
                let dialed = lost.map(|handle| handle.link.peer());
                self.forget_link(link);
                // The engine never heard of a link that ended before it was up: it still waits for the dial.
                Some(match (dialed, denial) {
                    (Some(node), None) => {
                        Input::DialFailed { node, failure: DialFailure::Unreachable(words) }
                    }
                    (Some(node), Some(_)) => {
                        let refusal = Refusal::new(RefusalCause::TurnedAway, words);
                        Input::DialFailed { node, failure: DialFailure::Refused(refusal) }
                    }
                    (None, None) => Input::LinkDown { link, reason: words },
                    (None, Some(reason)) => Input::TurnedAway { link, reason },
                })
            }
            Fact::UploadSettled { link, request } => {
                self.uploads.remove(&(link, request));
                None
            }
            Fact::StoreWarned { content, warning } => {
                self.tell(NodeEvent::StoreWarning { content, warning });
                None
            }
            Fact::StoreFailed { content, error } => {
                warn!(content = %content.short(), %error, "the store failed");
                self.tell(NodeEvent::StoreError { content, error });
                Some(Input::StoreFailed { content })
            }
        }
    }

    fn admit_command(&mut self, command: Command, engine: &Engine) -> Option<Input> {
        match command {
            Command::Join(join) => {
                self.finding.look_soon();
                Some(Input::Join(join))
            }
            Command::OpenStore { content, store, durable, wanted } => {
                self.stores.insert(content, store);
                Some(Input::StoreOpened { content, durable, wanted })
            }
            Command::AddSource { content, source: Source { node, addresses }, purpose } => {
                Some(Input::AddSource { content, node, addresses, purpose })
            }
            Command::AddCoordinators { content, coordinators } => {
                self.finding.add_coordinators(content, coordinators);
                None
            }
            Command::Leave { content, reason } => Some(Input::Leave { content, reason }),
            Command::Refuse { node, content, reason } => Some(Input::Refuse { node, content, reason }),
            Command::SetLimits { up, down } => {
                self.finding.set_up(up);
                self.up.set(up);
                self.down.set(down);
                None
            }
            Command::Snapshot(reply) => {
                // Whoever asked may be gone.
                let _ = reply.send(self.snapshot(engine));
                None
            }
            Command::Stop => Some(Input::Stop),
        }
    }

    fn admit_found(&mut self, found: Found) -> Input {
        let (content, source) = (found.content, found.source.clone());
        let way = found.way;
        let is_news = self.told.len() < PEERS_MAX && self.told.insert((content, source.node, way));
        if is_news {
            let (node, content) = (found.source.node.short(), content.short());
            tracing::info!(node, content, way = way.name(), "found peer");
            self.tell(NodeEvent::Found(found));
        }
        let purpose = match way {
            Way::Meeting => Purpose::Meet,
            Way::Coordinator | Way::Lan | Way::Dht => Purpose::Fetch,
        };
        Input::AddSource { content, node: source.node, addresses: source.addresses, purpose }
    }

    /// Carries out one order.
    pub(super) fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { node, addresses } => {
                let (endpoint, limit, report) =
                    (self.endpoint.clone(), self.dial_timeout, self.report.clone());
                let dialing = async move {
                    let dialed = endpoint.dial_within(limit, node, Protocol::Peer, &addresses).await;
                    // The node may have ended.
                    let _ = report.send(fact_of_dial(node, dialed)).await;
                };
                let ending = self.ending.clone();
                self.tasks.spawn(async move { ending.run_until_cancelled(dialing).await });
            }
            Output::Close { link, reason } => self.close(link, &reason),
            Output::Send { link, message } => self.send(link, message),
            Output::Receive { link, request, content, run } => self.expect(link, request, content, run),
            Output::Abandon { link, request } => self.abandon(link, request),
            Output::Upload { link, request, content, run } => self.upload(link, request, content, run),
            Output::StopUpload { link, request } => {
                if let Some(cancel) = self.uploads.get(&(link, request)) {
                    cancel.cancel();
                }
            }
            Output::VerifyKept { content, chunk } => self.verify_kept(content, chunk),
            Output::Reread { content, chunk } => self.reread(content, chunk),
            Output::Flush { content } => self.flush(content),
            Output::Finish { content } => self.finish(content),
            Output::Event(event) => {
                self.is_stopped |= matches!(event, Event::Stopped);
                if let Event::Left { content } = &event {
                    self.stores.remove(content);
                }
                self.tell(NodeEvent::Engine(event));
            }
        }
    }

    /// Waits for tasks to end: links say farewell, stores finish what they began.
    pub(super) async fn end(mut self) {
        // Nobody reads facts any more: tasks that report must not wait for that.
        self.facts.close();
        drop(self.finding);
        self.ending.cancel();
        self.links.clear();
        self.tasks.close();
        // Farewells have their own time limit.
        let _ = tokio::time::timeout(swarm_link::limits::LINK_FINISH_TIMEOUT, self.tasks.wait()).await;
        self.endpoint.close(0, "done").await;
        self.tasks.wait().await;
    }

    fn is_crowded(&self) -> bool {
        self.limits.links_max.is_some_and(|max| self.links.len() >= max)
    }

    fn turn_away(link: &Link, dialed: bool) -> Option<Input> {
        let reason = CloseReason::TooManyLinks;
        link.close(reason.code(), &reason.to_string());
        let failure = DialFailure::Unreachable("this node has as many peers as it may".to_owned());
        dialed.then(|| Input::DialFailed { node: link.peer(), failure })
    }

    /// Ends links whose peers may have none any more, or in another role.
    /// The access table of this moment, with an epoch of its own.
    pub(super) fn access(&mut self) -> Input {
        Input::Access(self.door.access())
    }

    fn recheck(&self) {
        for handle in self.links.values() {
            match self.endpoint.admits(&handle.link) {
                Ok(role) if role == handle.role => {}
                Ok(role) => {
                    debug!(peer = %handle.link.peer().short(), role = role.name(), "the role of a peer has changed");
                    let reason = CloseReason::AccessChanged;
                    handle.link.close(reason.code(), &reason.to_string());
                }
                Err(denial) => {
                    tracing::info!(peer = %handle.link.peer().short(), %denial, "turned away");
                    handle.link.turn_away(&denial);
                }
            }
        }
    }

    fn start_link(&mut self, link: Link, role: Role, dialed: bool) {
        self.next_link += 1;
        let id = LinkId(self.next_link);
        let gone = CancellationToken::new();
        let context = link::Context {
            report: self.report.clone(),
            budget: self.budget.clone(),
            down: [self.down.clone(), Throttle::new(self.limits.down_per_peer)],
            gone,
            clock: self.clock,
        };
        let up = Throttle::new(self.limits.up_per_peer);
        let handle = link::start(id, link, (role, dialed), up, context, &self.tasks);
        self.links.insert(id, handle);
        self.windows.divide(&self.links);
    }

    fn forget_link(&mut self, link: LinkId) {
        let Some(handle) = self.links.remove(&link) else { return };
        self.windows.divide(&self.links);
        let stats = handle.link.stats();
        let totals = self.past_wire.entry(handle.link.peer()).or_default();
        for totals in [totals, &mut self.past_wire_total] {
            totals.received_len += stats.received_len;
            totals.sent_len += stats.sent_len;
        }
        while self.past_wire.len() > PEERS_MAX {
            self.past_wire.pop_first();
        }
        self.uploads.retain(|(of, _), cancel| {
            if *of == link {
                cancel.cancel();
            }
            *of != link
        });
    }

    /// Everything at this instant.
    pub(super) fn snapshot(&self, engine: &Engine) -> NodeSnapshot {
        NodeSnapshot {
            engine: engine.snapshot(),
            presences: engine.presences(),
            wire: self.wire(),
            wire_total: self.wire_total(),
        }
    }

    fn wire_total(&self) -> WireTotals {
        self.links.values().fold(self.past_wire_total, |total, handle| {
            let stats = handle.link.stats();
            WireTotals {
                received_len: total.received_len + stats.received_len,
                sent_len: total.sent_len + stats.sent_len,
            }
        })
    }

    fn wire(&self) -> BTreeMap<NodeId, WireTotals> {
        let mut wire = self.past_wire.clone();
        for handle in self.links.values() {
            let stats = handle.link.stats();
            let totals = wire.entry(handle.link.peer()).or_default();
            totals.received_len += stats.received_len;
            totals.sent_len += stats.sent_len;
        }
        wire
    }

    fn close(&mut self, link: LinkId, reason: &CloseReason) {
        let Some(handle) = self.links.get(&link) else { return };
        debug!(peer = %handle.link.peer().short(), %reason, "closing a link");
        let farewell = ControlOut::Finish { code: reason.code(), reason: reason.to_string() };
        if handle.control.try_send(farewell).is_err() {
            handle.link.close(reason.code(), &reason.to_string());
        }
        self.forget_link(link);
    }

    fn send(&mut self, link: LinkId, message: Message) {
        let Some(handle) = self.links.get_mut(&link) else { return };
        if matches!(message, Message::ManifestRequest { .. }) {
            self.windows.make_room(handle);
        }
        let is_taken = handle.control.try_send(ControlOut::Message(message)).is_ok();
        if !is_taken && !handle.link.is_closed_here() {
            // A peer that does not read its control stream is as good as gone; its tasks report that.
            debug!(peer = %handle.link.peer().short(), "closing a link: its control stream is not read");
            handle.link.close(CloseCode::ControlStuck.code(), "the control stream is not read");
        }
    }

    fn expect(&mut self, link: LinkId, request: RequestId, content: ContentId, run: Run) {
        let (Some(handle), Some(store)) = (self.links.get_mut(&link), self.stores.get(&content)) else {
            return;
        };
        self.windows.make_room(handle);
        let expected = Expected {
            content,
            run,
            store: Arc::clone(store),
            cancel: CancellationToken::new(),
            begun: false,
        };
        handle.expect(request, expected);
    }

    fn abandon(&mut self, link: LinkId, request: RequestId) {
        let Some(handle) = self.links.get(&link) else { return };
        if handle.abandon(request) {
            self.own_facts.push_back(Fact::Input(Input::StreamEnded { link, request }));
        }
    }

    fn upload(&mut self, link: LinkId, request: RequestId, content: ContentId, run: Run) {
        let (Some(handle), Some(store)) = (self.links.get(&link), self.stores.get(&content)) else { return };
        let cancel = CancellationToken::new();
        self.uploads.insert((link, request), cancel.clone());
        let (link_to, store) = (handle.link.clone(), Arc::clone(store));
        let throttles = [self.up.clone(), handle.up.clone()];
        let task = UploadTask {
            id: link,
            link: link_to,
            pen: Arc::clone(&handle.pen),
            request,
            run,
            store,
            throttles,
            block_len: self.windows.block_len(),
            blocks: self.blocks.clone(),
            cancel,
        };
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let (sent_len, end, stream) = upload::run(&task).await;
            let (link, request) = (task.id, task.request);
            // The node may have ended.
            let _ = report.send(Fact::Input(Input::UploadEnded { link, request, sent_len, end })).await;
            if let Some(stream) = stream {
                upload::settle(&task, stream).await;
            }
            let _ = report.send(Fact::UploadSettled { link, request }).await;
        });
    }

    fn verify_kept(&mut self, content: ContentId, chunk: ChunkIndex) {
        self.blocking(content, move |store| {
            let verdict = match store.verify_kept(chunk)? {
                Verdict::Verified => ChunkVerdict::Verified,
                Verdict::Corrupt => ChunkVerdict::Corrupt,
            };
            Ok(Input::ChunkChecked { content, chunk, from: None, verdict })
        });
    }

    fn reread(&mut self, content: ContentId, chunk: ChunkIndex) {
        self.blocking(content, move |store| {
            Ok(Input::Reread { content, chunk, found: upload::reread(store, chunk) })
        });
    }

    fn flush(&mut self, content: ContentId) {
        let report = self.report.clone();
        let Some(store) = self.stores.get(&content).cloned() else { return };
        self.tasks.spawn_blocking(move || {
            let flushed = store.flush();
            report_warnings(&report, content, store.as_ref());
            let chunks = flushed.unwrap_or_else(|error| {
                let _ = report.blocking_send(Fact::StoreFailed { content, error });
                Vec::new()
            });
            let _ = report.blocking_send(Fact::Input(Input::Flushed { content, chunks }));
        });
    }

    fn finish(&mut self, content: ContentId) {
        self.blocking(content, move |store| store.finish().map(|()| Input::Finished { content }));
    }

    fn blocking(
        &mut self,
        content: ContentId,
        work: impl FnOnce(&dyn Store) -> Result<Input, StoreError> + Send + 'static,
    ) {
        let report = self.report.clone();
        let Some(store) = self.stores.get(&content).cloned() else { return };
        self.tasks.spawn_blocking(move || {
            let fact = match work(store.as_ref()) {
                Ok(input) => Fact::Input(input),
                Err(error) => Fact::StoreFailed { content, error },
            };
            report_warnings(&report, content, store.as_ref());
            let _ = report.blocking_send(fact);
        });
    }

    fn tell(&mut self, event: NodeEvent) {
        self.late_events.push_back(event);
        self.hand_over_late_events();
    }

    fn hand_over_late_events(&mut self) {
        while let Some(event) = self.late_events.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.late_events.push_front(event);
                break;
            }
        }
    }
}

/// Before the fact that may end the fetch, so that they are told.
fn report_warnings(report: &mpsc::Sender<Fact>, content: ContentId, store: &dyn Store) {
    for warning in store.take_warnings() {
        let _ = report.blocking_send(Fact::StoreWarned { content, warning });
    }
}

async fn accept(
    endpoint: Endpoint,
    report: mpsc::Sender<Fact>,
    coordination: Option<mpsc::Sender<Link>>,
    ending: CancellationToken,
) {
    while let Some(Some(link)) = ending.run_until_cancelled(endpoint.accept()).await {
        match link.protocol() {
            Protocol::Peer => {
                if report.send(Fact::Linked { link, dialed: false }).await.is_err() {
                    break;
                }
            }
            Protocol::Coordinator => match &coordination {
                // A full queue is no reason to keep peers waiting.
                Some(coordination) => drop(coordination.try_send(link)),
                None => link.close(CloseCode::NoCoordinator.code(), "this node is no coordinator"),
            },
        }
    }
}

fn fact_of_dial(node: NodeId, dialed: Result<Link, DialError>) -> Fact {
    match dialed {
        Ok(link) => Fact::Linked { link, dialed: true },
        Err(error) => {
            let reason = error.to_string();
            let refused = |cause| DialFailure::Refused(Refusal::new(cause, &*reason));
            let failure = match error {
                DialError::Myself(_) => refused(RefusalCause::Myself),
                DialError::NoAddress(_) => refused(RefusalCause::NoAddress),
                DialError::WrongKey { .. } => refused(RefusalCause::WrongKey),
                DialError::Denied { .. } => refused(RefusalCause::DeniedHere),
                DialError::Unreachable { .. } | DialError::Closed => DialFailure::Unreachable(reason),
            };
            Fact::Input(Input::DialFailed { node, failure })
        }
    }
}

/// Facts waiting for the engine; tasks wait when it is full, and so do streams.
const FACTS_WAITING_MAX: usize = 1024;
const FACTS_AT_ONCE: usize = 64;
