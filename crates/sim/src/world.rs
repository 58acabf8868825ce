//! The world: nodes, links and the events between them. Performs every output of every engine; decides nothing for them.

use std::time::Duration;

use swarm_core::base::{Bitfield, Rng, mix};
use swarm_core::manifest::{Address, File, Manifest, combine_chunk_values};
use swarm_core::registry::Registry;
use swarm_core::trust::Role;
use swarm_core::wire::Message;
use swarm_engine::{
    CloseReason, DialFailure, Event, Input, Kept, LinkId, Output, Reread, RunRequest, UploadEnd,
};

use super::checks::Checks;
use super::heap::{Heap, Parked, What};
use super::link::{Direction, Expected, Link, Upload};
use super::node::{Node, index_of};
use super::report::Report;
use super::scenario::{Honesty, Swarm};
use super::stats::Stats;

/// A running simulation.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) heap: Heap,
    pub(super) rng: Rng,
    pub(super) manifest: Manifest,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    pub(super) swarm: Swarm,
    pub(super) checks: Checks,
    pub(super) stats: Stats,
    /// Bytes of one transfer unit: a sixteenth of a chunk.
    pub(super) unit_len: u32,
    pub(super) inputs: Parked<(u32, u32, Input)>,
    pub(super) registry: Registry,
    pub(super) address: Address,
    pub(super) partition_below: Option<u32>,
}

impl World {
    /// A world before any node has joined.
    pub(super) fn new(swarm: Swarm) -> Self {
        let manifest = manifest_of(swarm.chunk_count, swarm.chunk_len_log2);
        let count = manifest.geometry().chunk_count();
        let nodes: Vec<Node> =
            (0..).zip(&swarm.nodes).map(|(i, spec)| Node::new(i, spec.clone(), count, swarm.seed)).collect();
        let stats = Stats::new(&nodes, count);
        Self {
            now: 0,
            heap: Heap::default(),
            rng: Rng::seeded(swarm.seed),
            registry: Registry::new(REGISTRY_LIFE, swarm.seed),
            nodes,
            links: Vec::new(),
            checks: Checks::default(),
            stats,
            unit_len: ((1u32 << swarm.chunk_len_log2) / 16).max(1),
            inputs: Parked::default(),
            address: "192.0.2.1:1".parse().expect("it is an address"),
            partition_below: None,
            manifest,
            swarm,
        }
    }

    /// Runs until the goal is reached or the time is over.
    pub(super) fn run(mut self) -> Report {
        // Nodes that join at once know of each other: all announce themselves before any asks.
        for index in 0..self.nodes.len() as u32 {
            if self.nodes[index as usize].spec.joins_at.is_zero() {
                self.announce(index);
            }
        }
        for index in 0..self.nodes.len() as u32 {
            let at = self.nodes[index as usize].spec.joins_at;
            self.heap.push(nanos(at), What::Introduce(index));
        }
        for (step, (at, _)) in (0u32..).zip(&self.swarm.script.steps) {
            self.heap.push(nanos(*at), What::Step(step));
        }
        let limit = nanos(self.swarm.limit);
        while let Some((at, what)) = self.heap.pop().filter(|(at, _)| *at <= limit) {
            self.now = self.now.max(at);
            self.stats.on_event(at, &what);
            self.on(what);
            if self.is_done() {
                break;
            }
        }
        for index in 0..self.nodes.len() {
            self.checks.at_end(self.now, index as u32, &self.nodes[index]);
        }
        Report::of(&self)
    }

    fn is_done(&self) -> bool {
        self.stats.unfinished == 0 && self.stats.last_step_done >= self.swarm.script.steps.len() as u32
    }

    fn on(&mut self, what: What) {
        match what {
            What::Unit { link, direction, request, len } => self.on_unit(link, direction, request, len),
            What::UplinkFree(node) => {
                self.nodes[node as usize].uplink.is_busy = false;
                self.send_unit(node);
            }
            What::Wakeup(node) => self.on_wakeup(node),
            What::Input(place) => {
                let Some((node, life, input)) = self.inputs.take(place) else { return };
                if self.nodes[node as usize].life == life {
                    self.admit(node, input);
                }
            }
            What::Dialed { from, to, link_draw } => self.on_dialed(from, to, link_draw),
            What::Introduce(node) => self.introduce(node),
            What::Step(step) => {
                self.step(self.swarm.script.steps[step as usize].1);
                self.stats.last_step_done += 1;
            }
        }
    }

    /// Updates the world before the engine hears of an input.
    pub(super) fn admit(&mut self, node: u32, input: Input) {
        match &input {
            Input::ChunkChecked { chunk, verdict: swarm_engine::ChunkVerdict::Verified, .. } => {
                let store = &mut self.nodes[node as usize].store;
                if store.verified.insert(chunk.get()) {
                    store.unflushed.push(*chunk);
                    self.stats.on_verified(self.now, node, &mut self.nodes, chunk.get());
                }
            }
            Input::Flushed { chunks, .. } => {
                for chunk in chunks {
                    self.nodes[node as usize].store.durable.insert(chunk.get());
                }
            }
            Input::LinkDown { link, .. } => self.forget_end(node, link.0 as u32),
            Input::Message { link, .. } => {
                let link = &self.links[link.0 as usize];
                if !link.is_up[link.end_of(node)] {
                    return;
                }
            }
            _ => {}
        }
        self.input(node, input);
    }

    /// Hands one input to an engine, performs its outputs, and reads when it wants to be woken.
    pub(super) fn input(&mut self, index: u32, input: Input) {
        let node = &mut self.nodes[index as usize];
        if !node.is_alive {
            return;
        }
        let now = node.clock(self.now);
        node.engine.handle(now, input);
        while let Some(output) = self.nodes[index as usize].engine.poll() {
            self.perform(index, output);
        }
        self.arm(index);
    }

    fn arm(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let Some((at, timer)) = node.engine.next_wakeup() else { return };
        let at = node.world_time(at).max(self.now);
        self.checks.on_armed(self.now, index, at, timer);
        if at < node.wakeup_at {
            node.wakeup_at = at;
            self.heap.push(at, What::Wakeup(index));
        }
    }

    fn on_wakeup(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        if !node.is_alive || node.wakeup_at != self.now {
            return;
        }
        node.wakeup_at = u64::MAX;
        let is_due = node.engine.next_wakeup().is_some_and(|(at, _)| node.world_time(at) <= self.now);
        if is_due {
            self.input(index, Input::Wakeup);
        } else {
            self.arm(index);
        }
    }

    /// Schedules an input of a node.
    pub(super) fn later(&mut self, at: u64, node: u32, input: Input) {
        let life = self.nodes[node as usize].life;
        let place = self.inputs.park((node, life, input));
        self.heap.push(at, What::Input(place));
    }

    fn perform(&mut self, index: u32, output: Output) {
        let content = self.manifest.id();
        self.stats.on_output(index, &output);
        match output {
            Output::Dial { node, .. } => {
                let draw = self.rng.next_u64() as u32;
                let wait = 2 * self.delay_of(draw);
                let to = index_of(node);
                self.heap.push(self.now + wait, What::Dialed { from: index, to, link_draw: draw });
            }
            Output::Close { link, reason } => self.close(index, link, &reason),
            Output::Send { link, message } => self.send(index, link, message),
            Output::Receive(RunRequest { link, request, run, .. }) => {
                let number = link.0 as usize;
                let end = self.links[number].end_of(index);
                let expected = Expected { request, run, received_len: 0, unreported_len: 0 };
                self.links[number].directions[1 - end].expected.push(expected);
                let node = &mut self.nodes[index as usize];
                let expected = &self.links[number].directions[1 - end].expected;
                self.checks.on_receive(self.now, index, node, &self.manifest, expected);
            }
            Output::Abandon { link, request } => self.abandon(index, link, request),
            Output::Upload(RunRequest { link, request, run, .. }) => {
                let number = link.0 as usize;
                let end = self.links[number].end_of(index);
                self.links[number].directions[end].uploads.push_back(Upload { request, run, sent_len: 0 });
                let node = &self.nodes[index as usize];
                self.links[number].directions[end].answered_len += u64::from(run.len());
                self.checks.on_upload(self.now, index, node, &self.manifest, run);
                self.checks.on_upload_totals(self.now, index, node, &self.links, number);
                if node.spec.honesty != Honesty::Mute {
                    self.join_round(index, number as u32, end);
                }
            }
            Output::StopUpload { link, request } => {
                let number = link.0 as usize;
                let end = self.links[number].end_of(index);
                let uploads = &mut self.links[number].directions[end].uploads;
                if let Some(at) = uploads.iter().position(|upload| upload.request == request) {
                    let sent_len = uploads.remove(at).map_or(0, |upload| u64::from(upload.sent_len));
                    let end = UploadEnd::Stopped;
                    self.later(self.now, index, Input::UploadEnded { link, request, sent_len, end });
                }
            }
            Output::VerifyKept { chunk, .. } => self.verify_kept(index, chunk),
            // Simulated disks have no transient read errors.
            Output::Reread { content, chunk } => {
                self.later(self.now, index, Input::Reread { content, chunk, found: Reread::Readable });
            }
            Output::Flush { content } => {
                let chunks = std::mem::take(&mut self.nodes[index as usize].store.unflushed);
                self.later(self.now + FLUSH_TIME, index, Input::Flushed { content, chunks });
            }
            Output::Finish { content } => self.later(self.now, index, Input::Finished { content }),
            Output::Event(event) => self.on_event(index, &event, content),
        }
    }

    fn on_event(&mut self, index: u32, event: &Event, content: swarm_core::base::ContentId) {
        self.checks.on_event(self.now, index, event, &self.nodes);
        match event {
            Event::ManifestComplete { manifest } => {
                let count = manifest.geometry().chunk_count();
                let (durable, wanted) = (Bitfield::new(count), Bitfield::full(count));
                self.later(
                    self.now,
                    index,
                    Input::StoreOpened { content, durable, wanted, kept: Kept::new() },
                );
            }
            Event::Completed { .. } => self.stats.on_completed(self.now, &mut self.nodes[index as usize]),
            Event::PeerBanned { .. } => self.stats.banned += 1,
            Event::Stopped => {
                let node = &mut self.nodes[index as usize];
                (node.is_alive, node.has_left) = (false, true);
                node.life += 1;
            }
            Event::PeerJoined { .. }
            | Event::PeerLeft { .. }
            | Event::PeerUnreachable { .. }
            | Event::PeerDeclined { .. }
            | Event::PeerDenied { .. }
            | Event::Offered { .. }
            | Event::PeerFound { .. }
            | Event::BlamedByPeer { .. }
            | Event::PeerAccused { .. }
            | Event::PeerCompleted { .. }
            | Event::PeerDurable { .. }
            | Event::ChunkLost { .. }
            | Event::ReadTrouble { .. }
            | Event::ReadAgain { .. }
            | Event::Failed { .. }
            | Event::Left { .. } => {}
        }
    }

    fn send(&mut self, index: u32, link: LinkId, message: Message) {
        let link_state = &mut self.links[link.0 as usize];
        let end = link_state.end_of(index);
        let other = link_state.ends[1 - end];
        if !link_state.is_up[end] {
            return;
        }
        self.stats.control_len += message.encoded_len() as u64 + FRAME_OVERHEAD_LEN;
        if let Message::Request { len, .. } = &message {
            link_state.directions[1 - end].asked_len += u64::from(*len);
        }
        let direction = &mut link_state.directions[end];
        let at = (self.now + link_state.delay).max(direction.last_message_at);
        direction.last_message_at = at;
        if link_state.is_up[1 - end] {
            self.later(at, other, Input::Message { link, message });
        }
    }

    fn close(&mut self, index: u32, link: LinkId, reason: &CloseReason) {
        let number = link.0 as u32;
        self.stats.closes += u64::from(!matches!(reason, CloseReason::Done | CloseReason::OfNoUse(_)));
        self.hang_up(index, number, &reason.to_string());
    }

    /// Closes one end; the other learns of it after every message sent before.
    pub(super) fn hang_up(&mut self, index: u32, number: u32, reason: &str) {
        let link = &mut self.links[number as usize];
        let (end, other) = (link.end_of(index), link.other(index));
        let at = (self.now + link.delay).max(link.directions[end].last_message_at);
        let is_other_up = link.is_up[1 - end];
        self.forget_end(index, number);
        if is_other_up {
            let reason = reason.to_owned();
            self.later(at, other, Input::LinkDown { link: LinkId(u64::from(number)), reason });
        }
    }

    /// Removes an end from a link: its streams are gone.
    fn forget_end(&mut self, index: u32, number: u32) {
        let link = &mut self.links[number as usize];
        let end = link.end_of(index);
        if std::mem::take(&mut link.is_up[end]) {
            // The bytes in the windows of the link are gone with it.
            self.nodes[index as usize].unread_len -= link.directions[1 - end].in_flight_len;
        }
        link.directions[end].uploads = std::collections::VecDeque::new();
        let gone = std::mem::take(&mut link.directions[1 - end].expected);
        let node = &mut self.nodes[index as usize];
        for expected in gone {
            Checks::on_released(node, &self.manifest, expected.run);
        }
        node.links.retain(|own| *own != number);
    }

    fn on_dialed(&mut self, from: u32, to: u32, link_draw: u32) {
        if !self.nodes[from as usize].is_alive {
            return;
        }
        let node = self.nodes[to as usize].id;
        if !self.nodes[to as usize].is_alive || !self.can_reach(from, to) {
            let failure = DialFailure::Unreachable("no answer".to_owned());
            let wait = if self.nodes[to as usize].is_alive { DIAL_TIME } else { 0 };
            return self.later(self.now + wait, from, Input::DialFailed { node, failure });
        }
        let delay = self.delay_of(link_draw);
        let number = self.links.len() as u32;
        let per_sec = self.nodes[from as usize].uplink.per_sec.max(self.nodes[to as usize].uplink.per_sec);
        let is_far = self.nodes[from as usize].spec.zone != self.nodes[to as usize].spec.zone;
        let per_sec = self.swarm.zone_links.filter(|_| is_far).map_or(per_sec, |thin| thin.min(per_sec));
        let window = WINDOW_UNITS_MIN
            + (u128::from(per_sec) * u128::from(2 * delay) / 1_000_000_000 / u128::from(self.unit_len))
                as u32;
        let directions = [Direction::default(), Direction::default()];
        self.links.push(Link { ends: [from, to], is_up: [true; 2], delay, window, directions });
        for (index, other, dialed) in [(from, to, true), (to, from, false)] {
            self.nodes[index as usize].links.push(number);
            let link = LinkId(u64::from(number));
            let (node, address) = (self.nodes[other as usize].id, Some(self.address.clone()));
            self.later(self.now, index, Input::LinkUp { link, node, role: Role::Full, dialed, address });
            let rtt = Duration::from_nanos(2 * delay);
            self.later(self.now, index, Input::Measured { link, rtt });
        }
    }

    pub(super) fn can_reach(&self, a: u32, b: u32) -> bool {
        let is_cut = self.partition_below.is_some_and(|below| (a < below) != (b < below));
        let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
        let draw = (mix(self.swarm.seed ^ 0x0a7, pair) >> 11) as f64 / (1u64 << 53) as f64;
        !is_cut && draw >= self.swarm.unreachable_share
    }

    fn delay_of(&self, draw: u32) -> u64 {
        let (least, most) = (nanos(self.swarm.delay.0), nanos(self.swarm.delay.1));
        least + u64::from(draw) % (most - least + 1)
    }
}

/// A content of equal chunks with invented chunk values: engines never see the bytes.
fn manifest_of(chunk_count: u32, chunk_len_log2: u8) -> Manifest {
    let value = |chunk: u64| {
        let mut value = [0; 32];
        value[..8].copy_from_slice(&mix(0x00c0_ffee, chunk).to_le_bytes());
        value
    };
    let values: Vec<[u8; 32]> = (0..u64::from(chunk_count.max(2))).map(value).collect();
    let len = u64::from(chunk_count.max(2)) << chunk_len_log2;
    let file = File {
        path: swarm_core::manifest::EntryPath::new("film").expect("a good path"),
        len,
        executable: false,
        blake3: combine_chunk_values(len, chunk_len_log2, &values).expect("as many values as chunks"),
        sha256: None,
        chunk_len_log2,
        chunk_hashes: values.concat().into(),
    };
    Manifest::new(vec![file], Vec::new()).expect("one file within the limits")
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Bytes around a message: the frame's length, and its part of a datagram's header.
const FRAME_OVERHEAD_LEN: u64 = 4;
const FLUSH_TIME: u64 = 5_000_000;
/// Three announcement intervals: a node is forgotten after three missed announcements.
const REGISTRY_LIFE: Duration = Duration::from_secs(30);
const DIAL_TIME: u64 = 3_000_000_000;
/// Units under way at once, in addition to the product of rate and round trip.
const WINDOW_UNITS_MIN: u32 = 4;
