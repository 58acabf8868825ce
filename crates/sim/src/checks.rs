//! Checkers, separate from the engine: rules that hold whatever the engine decides. A finding is a bug in the engine or in the simulator.

use swarm_core::base::limits::RUN_LEN_TARGET;
use swarm_core::manifest::{Manifest, Run};
use swarm_engine::limits::REQUESTS_OPEN_MAX;
use swarm_engine::{Event, PeerSnapshot, Timer, Violation};

use super::link::{Expected, Link};
use super::node::{Node, index_of};
use super::scenario::{Has, Honesty};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Virtual time, nanoseconds.
    pub at: u64,
    /// Index of the node.
    pub node: u32,
    /// The rule and the values that break it.
    pub what: String,
}

/// State of the checkers.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) findings: Vec<Finding>,
    /// The node last woken, at which instant, and how often at that instant.
    still: (u32, u64, u32),
}

impl Checks {
    fn find(&mut self, at: u64, node: u32, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { at, node, what });
        }
    }

    /// An engine that asks to be woken at one instant again and again is in a busy loop.
    pub(super) fn on_armed(&mut self, now: u64, node: u32, at: u64, timer: Timer) {
        let is_past = at <= now;
        self.still = match self.still {
            (who, when, count) if is_past && who == node && when == now => (node, now, count + 1),
            _ => (node, now, 0),
        };
        if self.still.2 == STILL_MAX {
            self.find(now, node, format!("busy loop: {timer:?} is due again and again"));
        }
    }

    /// No chunk is requested twice at once, and no pipeline exceeds its caps.
    pub(super) fn on_receive(
        &mut self,
        now: u64,
        index: u32,
        node: &mut Node,
        manifest: &Manifest,
        expected: &[Expected],
    ) {
        let Some(newest) = expected.last() else { return };
        for piece in manifest.geometry().pieces(newest.run) {
            let chunk = piece.chunk.get();
            let asked = &mut node.asked[chunk as usize];
            *asked += 1;
            let copies = *asked;
            if copies > COPIES_MAX {
                self.find(now, index, format!("chunk {chunk} is asked of {copies} peers at once"));
            }
            if node.store.verified.contains(chunk) {
                self.find(now, index, format!("chunk {chunk} is asked for and is there"));
            }
        }
        let outstanding: u64 = expected.iter().map(|e| u64::from(e.run.len() - e.received_len)).sum();
        let chunk_len = u64::from(manifest.geometry().chunk_len_max());
        if expected.len() > REQUESTS_OPEN_MAX || outstanding > PIPELINE_LEN_ALLOWED + 2 * chunk_len {
            let what = format!("{} requests with {outstanding} bytes at one peer", expected.len());
            self.find(now, index, what);
        }
    }

    /// A request has ended.
    pub(super) fn on_released(node: &mut Node, manifest: &Manifest, run: Run) {
        for piece in manifest.geometry().pieces(run) {
            let asked = &mut node.asked[piece.chunk.get() as usize];
            *asked = asked.saturating_sub(1);
        }
    }

    /// A link's streams arrive one after another, so a receiver holds at most one incomplete stream, and that is short.
    pub(super) fn on_unit(&mut self, now: u64, index: u32, manifest: &Manifest, expected: &[Expected]) {
        let begun: Vec<u32> = expected.iter().map(|e| e.received_len).filter(|len| *len > 0).collect();
        let held_len: u64 = begun.iter().map(|len| u64::from(*len)).sum();
        let allowed_len = u64::from(manifest.geometry().chunk_len_max().max(RUN_LEN_TARGET));
        if begun.len() > 1 || held_len > allowed_len {
            self.find(
                now,
                index,
                format!("{} streams with {held_len} bytes are held of one peer", begun.len()),
            );
        }
    }

    /// The bytes on their way to a node fit its windows: each link its share, all together the budget and, while the shares change,
    /// those of one new link.
    pub(super) fn on_held(
        &mut self,
        now: u64,
        index: u32,
        node: &Node,
        (in_flight_len, unit_len): (u64, u32),
    ) {
        let count = node.links.len();
        let share_len = u64::from(node.windows.share_of(count).receive_len.max(unit_len));
        let newcomer_len = u64::from(node.windows.widest().receive_len);
        let allowed_len = node.windows.received_len_max(count).max(share_len * count as u64) + newcomer_len;
        if in_flight_len > share_len || node.unread_len > allowed_len {
            let unread_len = node.unread_len;
            let what =
                format!("{in_flight_len} bytes of one link and {unread_len} of {count} wait to be read");
            self.find(now, index, what);
        }
    }

    /// No peer is sent more than it requested, or has more streams at once than it may; nor have all peers together.
    pub(super) fn on_upload_totals(
        &mut self,
        now: u64,
        index: u32,
        node: &Node,
        links: &[Link],
        number: usize,
    ) {
        let uploads = |link: &Link| link.directions[link.end_of(index)].uploads.len();
        let direction = &links[number].directions[links[number].end_of(index)];
        if direction.answered_len > direction.asked_len {
            let (sent, asked) = (direction.answered_len, direction.asked_len);
            self.find(now, index, format!("{sent} bytes are sent where {asked} were asked for"));
        }
        let (waiting, all) =
            (uploads(&links[number]), node.links.iter().map(|&n| uploads(&links[n as usize])).sum());
        if waiting > UPLOADS_PER_LINK_ALLOWED || all > UPLOADS_ALLOWED {
            let all: usize = all;
            self.find(now, index, format!("{waiting} uploads to one peer at once, {all} in all"));
        }
    }

    /// No unverified chunk is served.
    pub(super) fn on_upload(&mut self, now: u64, index: u32, node: &Node, manifest: &Manifest, run: Run) {
        let is_bound = node.spec.honesty != Honesty::Boaster;
        for piece in manifest.geometry().pieces(run).filter(|_| is_bound) {
            if !node.store.verified.contains(piece.chunk.get()) {
                self.find(now, index, format!("chunk {} is served unverified", piece.chunk.get()));
            }
        }
    }

    /// Only corrupt peers are banned, and only for corruption.
    pub(super) fn on_event(&mut self, now: u64, index: u32, event: &Event, nodes: &[Node]) {
        if let Event::PeerBanned { node, violation } = event {
            let other = &nodes[index_of(*node) as usize];
            let is_liar = matches!(other.spec.honesty, Honesty::Corrupt | Honesty::Boaster);
            if !is_liar || !matches!(violation, Violation::Corrupt(_)) {
                self.find(now, index, format!("node {} is banned: {violation}", index_of(*node)));
            }
        }
        if let Event::Completed { .. } = event
            && !nodes[index as usize].store.durable.is_full()
            && nodes[index as usize].spec.honesty != Honesty::Boaster
            // A source of a sink scenario wants only the chunks that it has.
            && !(nodes[0].spec.is_sink && index > 0)
        {
            self.find(now, index, "it says complete, and its store is not".to_owned());
        }
    }

    /// The engine's chunks equal the store's; every node that had to finish did.
    pub(super) fn at_end(&mut self, now: u64, index: u32, node: &Node) {
        if !node.is_alive || node.spec.honesty == Honesty::Boaster {
            if node.spec.is_measured && node.completed_at.is_none() {
                self.find(now, index, "it was to finish, and is gone".to_owned());
            }
            return;
        }
        let snapshot = node.engine.survey().snapshot();
        let Some(content) = snapshot.contents.first() else { return };
        let count = u64::from(node.store.verified.len());
        let recount = content.wanted_len / count.max(1) * u64::from(node.store.verified.count());
        // A source of a sink scenario wants only its own part.
        let wants_all = node.spec.is_measured || !matches!(node.spec.has, Has::Share(_));
        if wants_all && content.verified_len != recount {
            let what = format!("it counts {} bytes verified, the store {recount}", content.verified_len);
            self.find(now, index, what);
        }
        if node.spec.is_measured && node.completed_at.is_none() {
            let waits = |peer: &PeerSnapshot| {
                let link = peer.link.as_ref().filter(|link| link.outstanding_len > 0)?;
                Some((index_of(peer.node), link.outstanding_len, link.rate, link.is_choked, link.is_stalled))
            };
            let asked: Vec<_> = snapshot.peers.iter().filter_map(waits).take(3).collect();
            let why = &content.bottleneck;
            let what = format!("it has {recount} bytes and did not finish: {why:?}, waits for {asked:?}");
            self.find(now, index, what);
        }
    }
}

const FINDINGS_MAX: usize = 20;
const STILL_MAX: u32 = 1000;
/// Copies of one chunk on their way at once: one. A reassignment cancels the old request first.
const COPIES_MAX: u8 = 1;
const PIPELINE_LEN_ALLOWED: u64 = 64 << 20;
const UPLOADS_PER_LINK_ALLOWED: usize = 3;
const UPLOADS_ALLOWED: usize = 64;
