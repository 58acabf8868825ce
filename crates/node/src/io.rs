//! Every effect in one place. `perform` carries an order out or starts a task that does; facts come back through one queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::blocks::Blocks;
use super::budget::Budget;
use super::events::Events;
use super::fact::{Command, End, Fact, Report};
use super::finding::Finding;
use super::ground::Ground;
use super::link::{self, ControlOut, Expected, LinkHandle};
use super::links::Links;
use super::readmission::Readmission;
use super::shares::Shares;
use super::stores::Stores;
use super::throttle::Throttle;
use super::upload::UploadTask;
use super::uploads::Uploads;
use super::windows::Windows;
use super::{Limits, NodeEvent, NodeSnapshot, Options};
use swarm_core::base::{NodeId, Rate};
use swarm_core::manifest::{Address, Source};
use swarm_core::trust::{Denial, Role};
use swarm_core::wire::{CloseCode, Message, RequestId};
use swarm_discovery::{Found, Way};
use swarm_engine::{
    CloseReason, DialFailure, Engine, Event, Input, LinkId, Output, Purpose, Refusal, RefusalCause,
    RunRequest,
};
use swarm_link::limits::DIAL_TIMEOUT;
use swarm_link::{DialError, Link as _, Network};

/// A link that stands; its tasks are still to be started.
struct Linked<L> {
    link: L,
    dialed: bool,
}

pub(super) struct Io<N: Network> {
    network: N,
    readmission: Readmission,
    finding: Finding,
    dial_timeout: Duration,
    commands: mpsc::Receiver<Command>,
    facts: mpsc::Receiver<Fact>,
    report: Report,
    linked: mpsc::Receiver<Linked<N::Link>>,
    linked_report: mpsc::Sender<Linked<N::Link>>,
    /// Facts that this room knows at once.
    own_facts: VecDeque<Fact>,
    events: Events,
    links: Links<N::Link>,
    stores: Stores,
    uploads: Uploads,
    shares: Shares,
    /// What every link's tasks share.
    shared: Shared,
    ground: Ground,
    is_stopped: bool,
}

/// What all links have a part of.
struct Shared {
    budget: Budget,
    blocks: Blocks,
    up: Throttle,
    down: Throttle,
    up_per_peer: Option<Rate>,
    down_per_peer: Option<Rate>,
}

impl<N: Network> Io<N> {
    pub(super) fn new(
        network: N,
        mut finding: Finding,
        ground: Ground,
        options: &Options,
        (commands, events): (mpsc::Receiver<Command>, mpsc::Sender<NodeEvent>),
    ) -> Self {
        let (report, facts) = mpsc::channel(FACTS_WAITING_MAX);
        let (linked_report, linked) = mpsc::channel(LINKED_WAITING_MAX);
        let Options { limits, dial_timeout, .. } = options;
        let accepting = accept(network.clone(), linked_report.clone(), ground.ending.clone());
        ground.tasks.spawn(accepting);
        finding.set_up(limits.up);
        let windows_len = if limits.windows_len == 0 { u64::MAX } else { limits.windows_len };
        let windows = Windows::new(windows_len, windows_len, network.link_options());
        Self {
            readmission: Readmission::new(network.admission()),
            network,
            finding,
            dial_timeout: dial_timeout.map_or(DIAL_TIMEOUT, |limit| limit.min(DIAL_TIMEOUT)),
            commands,
            facts,
            linked,
            linked_report,
            own_facts: VecDeque::new(),
            events: Events::new(events),
            links: Links::new(limits.links_max, windows),
            stores: Stores::new(report.clone(), ground.tasks.clone()),
            uploads: Uploads::new(report.clone(), ground.tasks.clone()),
            shares: Shares::default(),
            report,
            shared: Shared::new(*limits, ground.down.clone()),
            ground,
            is_stopped: false,
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Whether everything waits until the product listens again, but for its commands.
    pub(super) fn is_held_up(&self) -> bool {
        self.events.holds_up()
    }

    /// The next facts, or a wake-up when it is time. Facts first: what waited while the process stood still is news, too.
    pub(super) async fn next_facts(&mut self, wakeup: Instant) -> Vec<Fact> {
        if !self.own_facts.is_empty() {
            return self.own_facts.drain(..).collect();
        }
        let mut facts = Vec::new();
        // A product that does not listen is still heard, and a peer that is to go still goes.
        let goes_on = !self.is_held_up();
        tokio::select! {
            biased;
            Some(command) = self.commands.recv() => facts.push(Fact::Command(command)),
            // Before facts: a peer that is to go could keep those coming.
            fact = self.readmission.next() => facts.push(fact),
            () = self.events.relieved() => {}
            Some(linked) = self.linked.recv(), if goes_on => facts.extend(self.admit_link(linked).map(Fact::Input)),
            _ = self.facts.recv_many(&mut facts, FACTS_AT_ONCE), if goes_on => {}
            fact = self.finding.next(), if goes_on => facts.push(fact),
            () = tokio::time::sleep_until(wakeup), if goes_on => facts.push(Fact::Wakeup),
        }
        facts
    }

    /// Turns a fact into the engine's input; some are this room's own affair.
    pub(super) fn admit(&mut self, fact: Fact, engine: &Engine) -> Option<Input> {
        match fact {
            Fact::Input(input) => return Some(input),
            Fact::Wakeup => return Some(Input::Wakeup),
            Fact::Found(found) => return self.admit_found(found),
            Fact::Command(command) => return self.admit_command(command, engine),
            Fact::ControlReady { link } => return self.admit_up(link),
            Fact::Ended { link, end } => return Some(self.admit_end(link, end)),
            Fact::Recheck { is_changed } => {
                self.recheck();
                return is_changed.then(|| self.access());
            }
            Fact::StoreFailed { content, error } => {
                warn!(content = %content.short(), %error, "the store failed");
                self.events.tell(NodeEvent::StoreError { content, error });
                return Some(Input::StoreFailed { content });
            }
            Fact::StoreWarned { content, warning } => {
                self.events.tell(NodeEvent::StoreWarning { content, warning });
            }
            Fact::Trouble(trouble) => self.events.tell(NodeEvent::FinderTrouble(trouble)),
            Fact::LookAround => self.finding.update(engine),
            Fact::UploadSettled { link, request } => self.uploads.settled(link, request),
        }
        None
    }

    fn admit_command(&mut self, command: Command, engine: &Engine) -> Option<Input> {
        match command {
            Command::Join(join) => {
                self.finding.look_soon();
                Some(Input::Join(join))
            }
            Command::OpenStore { content, store, durable, wanted, kept } => {
                self.stores.open(content, store);
                Some(Input::StoreOpened { content, durable, wanted, kept })
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
                self.shared.up.set(up);
                self.shared.down.set(down);
                None
            }
            Command::Share { content, share } => {
                self.shares.put(content, share);
                Some(Input::Share { content, share })
            }
            Command::LimitShare { share, up, down } => {
                self.shares.limit(share, up);
                Some(Input::Limit { share, down })
            }
            Command::Rank { content, ranks } => Some(Input::Rank { content, ranks }),
            Command::Maps(queries, reply) => {
                let survey = engine.survey();
                // Who asked may be gone.
                let _ = reply.send(queries.iter().map(|query| survey.chunk_map(query)).collect());
                None
            }
            Command::Snapshot(reply) => {
                // The product that asked may be gone.
                let _ = reply.send(self.snapshot(engine));
                None
            }
            Command::Stop => {
                self.events.end();
                Some(Input::Stop)
            }
        }
    }

    fn admit_found(&mut self, found: Found) -> Option<Input> {
        let Found { content, source, way } = found.clone();
        let is_meeting_place = self.finding.is_meeting_place(&content);
        let is_news = self.finding.is_news(&found);
        if is_news {
            let (node, content) = (source.node.short(), content.short());
            tracing::info!(node, content, way = way.name(), "found peer");
        }
        // The engine remembers where its sources are; of those at a meeting place the product has to hear whenever they are seen.
        if is_news || is_meeting_place {
            self.events.tell(NodeEvent::Found(found));
        }
        if is_meeting_place {
            return None;
        }
        let purpose = match way {
            Way::Meeting => Purpose::Meet,
            Way::Coordinator | Way::Lan | Way::Dht => Purpose::Fetch,
        };
        Some(Input::AddSource { content, node: source.node, addresses: source.addresses, purpose })
    }

    /// Starts the tasks of a link, if it may stand; the engine hears of it when its control stream stands.
    fn admit_link(&mut self, Linked { link, dialed }: Linked<N::Link>) -> Option<Input> {
        if self.links.is_crowded() {
            return Self::turn_away(&link, dialed);
        }
        match self.network.admits(&link) {
            Ok(role) => {
                self.start_link(link, role, dialed);
                None
            }
            Err(denial) => Self::deny(&link, dialed, &denial),
        }
    }

    fn turn_away(link: &N::Link, dialed: bool) -> Option<Input> {
        let reason = CloseReason::TooManyLinks;
        link.close(reason.code(), &reason.to_string());
        let failure = DialFailure::Unreachable("this node has as many peers as it may".to_owned());
        dialed.then(|| Input::DialFailed { node: link.peer(), failure })
    }

    /// A link that was admitted a moment ago, and is not any more.
    fn deny(link: &N::Link, dialed: bool, denial: &Denial) -> Option<Input> {
        link.turn_away(denial);
        let refusal = Refusal::new(RefusalCause::DeniedHere, denial.to_string());
        dialed.then(|| Input::DialFailed { node: link.peer(), failure: DialFailure::Refused(refusal) })
    }

    fn start_link(&mut self, link: N::Link, role: Role, dialed: bool) {
        let id = self.links.next_id();
        let context = link::Context {
            report: self.report.clone(),
            budget: self.shared.budget.clone(),
            down: [self.shared.down.clone(), Throttle::new(self.shared.down_per_peer)],
            gone: CancellationToken::new(),
            clock: self.ground.clock,
        };
        let up = Throttle::new(self.shared.up_per_peer);
        let handle = link::start(id, link, (role, dialed), up, context, &self.ground.tasks);
        self.links.add(id, handle);
    }

    fn admit_up(&mut self, link: LinkId) -> Option<Input> {
        let handle = self.links.set_up(link)?;
        let (node, role, dialed) = (handle.link.peer(), handle.role, handle.dialed);
        let address = handle.link.address();
        Some(Input::LinkUp { link, node, role, dialed, address })
    }

    fn admit_end(&mut self, link: LinkId, End { words, denial }: End) -> Input {
        let ended = self.forget_link(link);
        if let Some(handle) = &ended {
            debug!(peer = %handle.link.peer().short(), reason = words, "a link has ended");
        }
        // The engine never heard of a link that ended before it was up: it still waits for the dial.
        let lost = ended.filter(|handle| handle.dialed && !handle.is_up);
        match (lost.map(|handle| handle.link.peer()), denial) {
            (Some(node), None) => Input::DialFailed { node, failure: DialFailure::Unreachable(words) },
            (Some(node), Some(_)) => {
                let refusal = Refusal::new(RefusalCause::TurnedAway, words);
                Input::DialFailed { node, failure: DialFailure::Refused(refusal) }
            }
            (None, None) => Input::LinkDown { link, reason: words },
            (None, Some(reason)) => Input::TurnedAway { link, reason },
        }
    }

    /// Carries out one order.
    pub(super) fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { node, addresses } => self.dial(node, addresses),
            Output::Close { link, reason } => self.close(link, &reason),
            Output::Send { link, message } => self.send(link, message),
            Output::Receive(wanted) => self.expect(wanted),
            Output::Abandon { link, request } => self.abandon(link, request),
            Output::Upload(wanted) => self.upload(wanted),
            Output::StopUpload { link, request } => self.uploads.stop(link, request),
            Output::VerifyKept { content, chunk } => self.stores.verify_kept(content, chunk),
            Output::Reread { content, chunk } => self.stores.reread(content, chunk),
            Output::Flush { content } => self.stores.flush(content),
            Output::Finish { content } => self.stores.finish(content),
            Output::Event(event) => {
                self.is_stopped |= matches!(event, Event::Stopped);
                if let Event::Left { content } = &event {
                    self.stores.close(*content);
                    self.shares.forget(*content);
                }
                self.events.tell(NodeEvent::Engine(event));
            }
        }
    }

    /// Waits for tasks to end: links say farewell, stores finish what they began.
    pub(super) async fn end(mut self) {
        // The loop reads facts no more: tasks that report must not wait for that.
        self.facts.close();
        self.linked.close();
        drop(self.finding);
        self.ground.ending.cancel();
        self.links.clear();
        self.ground.tasks.close();
        // Farewells have their own time limit.
        let _ = tokio::time::timeout(swarm_link::limits::LINK_FINISH_TIMEOUT, self.ground.tasks.wait()).await;
        self.network.close(0, "done").await;
        self.ground.tasks.wait().await;
    }

    /// The access table of this moment, with an epoch of its own.
    pub(super) fn access(&mut self) -> Input {
        Input::Access(self.readmission.access())
    }

    /// Ends links whose peers may have none any more, or in another role.
    fn recheck(&self) {
        for handle in self.links.iter() {
            match self.network.admits(&handle.link) {
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

    fn forget_link(&mut self, link: LinkId) -> Option<LinkHandle<N::Link>> {
        self.uploads.forget(link);
        self.links.remove(link)
    }

    /// Everything at this instant.
    pub(super) fn snapshot(&self, engine: &Engine) -> NodeSnapshot {
        NodeSnapshot {
            engine: engine.survey().snapshot(),
            presences: engine.survey().presences(),
            wire: self.links.wire(),
            wire_total: self.links.wire_total(),
        }
    }

    fn dial(&self, node: NodeId, addresses: Vec<Address>) {
        let (network, limit) = (self.network.clone(), self.dial_timeout);
        let (report, linked_report) = (self.report.clone(), self.linked_report.clone());
        let dialing = async move {
            // The node may have ended by then.
            match network.dial_peer(limit, node, &addresses).await {
                Ok(link) => drop(linked_report.send(Linked { link, dialed: true }).await),
                Err(error) => {
                    let failure = failure_of(&error);
                    let _ = report.send(Fact::Input(Input::DialFailed { node, failure })).await;
                }
            }
        };
        let ending = self.ground.ending.clone();
        self.ground.tasks.spawn(async move { ending.run_until_cancelled(dialing).await });
    }

    fn close(&mut self, link: LinkId, reason: &CloseReason) {
        let Some(handle) = self.forget_link(link) else { return };
        debug!(peer = %handle.link.peer().short(), %reason, "closing a link");
        let farewell = ControlOut::Finish { code: reason.code(), reason: reason.to_string() };
        if handle.control.try_send(farewell).is_err() {
            handle.link.close(reason.code(), &reason.to_string());
        }
    }

    fn send(&mut self, link: LinkId, message: Message) {
        let is_long = matches!(message, Message::ManifestRequest { .. });
        let handle = if is_long { self.links.make_room(link) } else { self.links.get(link) };
        let Some(handle) = handle else { return };
        let is_taken = handle.control.try_send(ControlOut::Message(message)).is_ok();
        if !is_taken && !handle.link.is_closed_here() {
            // A peer that does not read its control stream is as good as gone; its tasks report that.
            debug!(peer = %handle.link.peer().short(), "closing a link: its control stream is not read");
            handle.link.close(CloseCode::ControlStuck.code(), "the control stream is not read");
        }
    }

    fn expect(&mut self, wanted: RunRequest) {
        let Some(store) = self.stores.get(wanted.content) else { return };
        let Some(handle) = self.links.make_room(wanted.link) else { return };
        handle.expect(Expected { wanted, store, cancel: CancellationToken::new(), begun: false });
    }

    fn abandon(&mut self, link: LinkId, request: RequestId) {
        let Some(handle) = self.links.get(link) else { return };
        if handle.abandon(request) {
            self.own_facts.push_back(Fact::Input(Input::StreamEnded { link, request }));
        }
    }

    fn upload(&mut self, wanted: RunRequest) {
        let (handle, store) = (self.links.get_mut(wanted.link), self.stores.get(wanted.content));
        let (Some(handle), Some(store)) = (handle, store) else { return };
        let (share, up) = self.shares.of(wanted.content);
        let pen = Arc::clone(handle.pens.entry(share).or_default());
        self.uploads.start(UploadTask {
            wanted,
            link: handle.link.clone(),
            pen,
            store,
            throttles: [up, handle.up.clone(), self.shared.up.clone()],
            block_len: self.links.block_len(),
            blocks: self.shared.blocks.clone(),
            cancel: CancellationToken::new(),
        });
    }
}

impl Shared {
    fn new(limits: Limits, down: Throttle) -> Self {
        Self {
            budget: Budget::new(limits.buffers_len),
            blocks: Blocks::default(),
            up: Throttle::new(limits.up),
            down,
            up_per_peer: limits.up_per_peer,
            down_per_peer: limits.down_per_peer,
        }
    }
}

async fn accept<N: Network>(network: N, linked: mpsc::Sender<Linked<N::Link>>, ending: CancellationToken) {
    while let Some(Some(link)) = ending.run_until_cancelled(network.accept()).await {
        if linked.send(Linked { link, dialed: false }).await.is_err() {
            break;
        }
    }
}

fn failure_of(error: &DialError) -> DialFailure {
    let reason = error.to_string();
    let cause = match error {
        DialError::Myself(_) => RefusalCause::Myself,
        DialError::NoAddress(_) => RefusalCause::NoAddress,
        DialError::WrongKey { .. } => RefusalCause::WrongKey,
        DialError::Denied { .. } => RefusalCause::DeniedHere,
        DialError::Unreachable { .. } | DialError::Closed => return DialFailure::Unreachable(reason),
    };
    DialFailure::Refused(Refusal::new(cause, reason))
}

/// Facts waiting for the engine; tasks wait when it is full, and so do streams.
const FACTS_WAITING_MAX: usize = 1024;
const FACTS_AT_ONCE: usize = 64;
/// Links whose tasks are not started yet; handshakes wait when it is full.
const LINKED_WAITING_MAX: usize = 64;
