//! Moves bytes: the uplink's turns, windows, delay and loss, the downlink's queue, and the receiver's reports.
//! Keeps the node's order: chunks and parts of a stream are reported before its end, checks come after.

use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::RequestId;
use swarm_engine::limits::PROGRESS_REPORT_LEN;
use swarm_engine::{ChunkVerdict, Input, LinkId, UploadEnd};

use super::checks::Checks;
use super::heap::What;
use super::link::Expected;
use super::node::nanos_for;
use super::scenario::Honesty;
use super::world::World;

impl World {
    /// A direction with something to send and room in its window takes its turn on the sender's uplink.
    pub(super) fn join_round(&mut self, sender: u32, number: u32, end: usize) {
        let has_room = self.has_room(number, end);
        let link = &mut self.links[number as usize];
        let direction = &mut link.directions[end];
        let can_send = link.is_up[end] && !direction.uploads.is_empty() && has_room;
        if can_send && !direction.is_in_round {
            direction.is_in_round = true;
            self.nodes[sender as usize].uplink.round.push_back((number, end as u8));
            self.send_unit(sender);
        }
    }

    /// Whether one more unit fits the path and the window that the receiver gives this link.
    fn has_room(&self, number: u32, end: usize) -> bool {
        let link = &self.links[number as usize];
        let receiver = &self.nodes[link.ends[1 - end] as usize];
        let window_len = receiver.windows.share_of(receiver.links.len()).receive_len.max(self.unit_len);
        let direction = &link.directions[end];
        let filled_len = direction.in_flight_len + u64::from(self.unit_len);
        direction.in_flight < link.window && filled_len <= u64::from(window_len)
    }

    /// Sends the next unit, if the uplink is free.
    pub(super) fn send_unit(&mut self, sender: u32) {
        let node = &mut self.nodes[sender as usize];
        if node.uplink.is_busy || !node.is_alive {
            return;
        }
        let Some((number, end)) = node.uplink.round.pop_front() else { return };
        // The window may have become smaller since.
        let has_room = self.has_room(number, end as usize);
        let link = &mut self.links[number as usize];
        let direction = &mut link.directions[end as usize];
        direction.is_in_round = false;
        let Some(upload) = direction.uploads.front_mut().filter(|_| has_room) else {
            return self.send_unit(sender);
        };
        let len = self.unit_len.min(upload.run.len() - upload.sent_len);
        upload.sent_len += len;
        let request = upload.request;
        let is_last = upload.sent_len == upload.run.len();
        let sent_len = u64::from(upload.sent_len);
        if is_last {
            direction.uploads.pop_front();
        }
        direction.in_flight += 1;
        direction.in_flight_len += u64::from(len);
        self.hold(number, end as usize, len);
        let node = &mut self.nodes[sender as usize];
        let sent_at = self.now + nanos_for(u64::from(len), node.uplink.per_sec);
        node.uplink.is_busy = true;
        node.uplink.sent_len += u64::from(len);
        self.heap.push(sent_at, What::UplinkFree(sender));
        let arrives_at = self.arrival(number, end, sent_at, len);
        let request_number = request.0 as u32;
        self.heap.push(arrives_at, What::Unit { link: number, direction: end, request: request_number, len });
        self.stats.on_sent(self.now, sender, len);
        self.join_round(sender, number, end as usize);
        if is_last {
            let (link, end) = (LinkId(u64::from(number)), UploadEnd::Sent);
            self.later(sent_at, sender, Input::UploadEnded { link, request, sent_len, end });
        }
        if sender == 0 {
            self.maybe_seed_leaves();
        }
    }

    /// Bytes under way occupy the receiver's window until they are read.
    fn hold(&mut self, number: u32, end: usize, len: u32) {
        let link = &self.links[number as usize];
        if link.is_up[1 - end] {
            let receiver = link.ends[1 - end];
            let node = &mut self.nodes[receiver as usize];
            node.unread_len += u64::from(len);
            let in_flight_len = link.directions[end].in_flight_len;
            self.checks.on_held(self.now, receiver, node, (in_flight_len, self.unit_len));
        }
    }

    fn arrival(&mut self, number: u32, end: u8, sent_at: u64, len: u32) -> u64 {
        let link = &mut self.links[number as usize];
        let [sender, receiver] = [end as usize, 1 - end as usize].map(|end| link.ends[end]);
        let mut delay = link.delay;
        if self.swarm.loss > 0.0 && self.rng.unit() < self.swarm.loss {
            delay += 2 * link.delay;
        }
        let downlink = &mut self.nodes[receiver as usize].downlink;
        let mut at = downlink.through_at(self.now, sent_at + delay, len);
        let direction = &mut link.directions[end as usize];
        let is_far = self.swarm.nodes[sender as usize].zone != self.swarm.nodes[receiver as usize].zone;
        if let Some(per_sec) = self.swarm.zone_links.filter(|_| is_far) {
            at = at.max(direction.last_unit_at + nanos_for(u64::from(len), per_sec));
        }
        at = at.max(direction.last_unit_at);
        direction.last_unit_at = at;
        at
    }

    pub(super) fn on_unit(&mut self, number: u32, end: u8, request: u32, len: u32) {
        let link = &mut self.links[number as usize];
        let [sender, receiver] = [end as usize, 1 - end as usize].map(|end| link.ends[end]);
        link.directions[end as usize].in_flight -= 1;
        link.directions[end as usize].in_flight_len -= u64::from(len);
        if link.is_up[1 - end as usize] {
            self.nodes[receiver as usize].unread_len -= u64::from(len);
        }
        self.join_round(sender, number, end as usize);
        let link = &mut self.links[number as usize];
        let request = RequestId(u64::from(request));
        let direction = &mut link.directions[end as usize];
        let at = direction.expected.iter().position(|expected| expected.request == request);
        let Some(at) = at.filter(|_| link.is_up[1 - end as usize]) else {
            self.stats.unread_len += u64::from(len);
            return;
        };
        let expected = &mut direction.expected[at];
        expected.received_len += len;
        expected.unreported_len += len;
        self.checks.on_unit(self.now, receiver, &self.manifest, &direction.expected);
        let expected = &mut direction.expected[at];
        let is_whole = expected.received_len == expected.run.len();
        let link_id = LinkId(u64::from(number));
        if is_whole || expected.unreported_len >= PROGRESS_REPORT_LEN.min(self.unit_len * 4) {
            let len = std::mem::take(&mut expected.unreported_len);
            self.stats.received_len += u64::from(len);
            self.input(receiver, Input::Received { link: link_id, request, len });
        }
        // The engine may have abandoned the request just now.
        let direction = &mut self.links[number as usize].directions[end as usize];
        if is_whole && let Some(expected) = direction.take_expected(request) {
            self.settle(receiver, sender, link_id, expected);
        }
    }

    /// The engine cancels a request: the bytes that arrived are kept.
    pub(super) fn abandon(&mut self, receiver: u32, link: LinkId, request: RequestId) {
        let state = &mut self.links[link.0 as usize];
        let end = state.end_of(receiver);
        let sender = state.ends[1 - end];
        let Some(expected) = state.directions[1 - end].take_expected(request) else { return };
        self.stats.received_len += u64::from(expected.unreported_len);
        let mut facts = Vec::new();
        if expected.unreported_len > 0 {
            facts.push(Input::Received { link, request, len: expected.unreported_len });
        }
        facts.extend(self.settlement(receiver, sender, link, expected));
        for fact in facts {
            self.later(self.now, receiver, fact);
        }
    }

    fn settle(&mut self, receiver: u32, sender: u32, link: LinkId, expected: Expected) {
        for fact in self.settlement(receiver, sender, link, expected) {
            self.input(receiver, fact);
        }
    }

    /// The receiver's reports of a stream that ended, in order; the checks of its chunks follow later.
    fn settlement(&mut self, receiver: u32, sender: u32, link: LinkId, expected: Expected) -> Vec<Input> {
        Checks::on_released(&mut self.nodes[receiver as usize], &self.manifest, expected.run);
        let request = expected.request;
        let is_bad = self.is_bad(sender);
        let (mut left, mut whole, mut facts) = (expected.received_len, Vec::new(), Vec::new());
        let geometry = self.manifest.geometry().clone();
        for piece in geometry.pieces(expected.run) {
            let len = piece.len.min(left);
            left -= len;
            if len == piece.len && piece.is_whole {
                whole.push(piece.chunk);
            } else if len > 0 {
                if is_bad {
                    self.nodes[receiver as usize].store.tainted.insert(piece.chunk.get());
                }
                let (chunk, offset) = (piece.chunk, piece.offset);
                facts.push(Input::SliceKept { link, request, chunk, offset, len });
            }
        }
        facts.extend(whole.iter().map(|&chunk| Input::ChunkArrived { link, request, chunk }));
        facts.push(Input::StreamEnded { link, request });
        for chunk in whole {
            let from = Some(self.nodes[sender as usize].id);
            self.check(receiver, chunk, from, is_bad);
        }
        facts
    }

    fn check(&mut self, node: u32, chunk: ChunkIndex, from: Option<swarm_core::base::NodeId>, is_bad: bool) {
        let content = self.manifest.id();
        let len = self.manifest.geometry().chunk_len(chunk);
        let disk = self.nodes[node as usize].spec.disk;
        let Some(at) = self.nodes[node as usize].store.write(self.now, len, disk) else {
            return self.later(self.now, node, Input::StoreFailed { content });
        };
        let verdict = if is_bad { ChunkVerdict::Corrupt } else { ChunkVerdict::Verified };
        if is_bad {
            self.stats.corrupt_chunks += 1;
        }
        self.later(at, node, Input::ChunkChecked { content, chunk, from, verdict });
    }

    pub(super) fn verify_kept(&mut self, node: u32, chunk: ChunkIndex) {
        let is_bad = self.nodes[node as usize].store.tainted.remove(&chunk.get());
        self.check(node, chunk, None, is_bad);
    }

    fn is_bad(&self, sender: u32) -> bool {
        match self.nodes[sender as usize].spec.honesty {
            Honesty::Honest | Honesty::Mute | Honesty::Trickle => false,
            Honesty::Corrupt | Honesty::Boaster => true,
        }
    }
}
