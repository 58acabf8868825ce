//! The links of a node: handshakes, records, chunk streams each way, and their end.

use bytes::{Bytes, BytesMut};

use super::{Driver, Purposed, link_of};
use crate::effect::{Channel, Effect};
use crate::limits::{
    BUFFERS_LEN_MAX, CHANNEL_WAITING_LEN_MAX, CONTROL_WAITING_LEN_MAX, HANDSHAKE_TIMEOUT, PING_INTERVAL,
};
use crate::link::{HandshakeFault, Link, Own, Stage, Up};
use crate::receiving::Came;
use crate::uploading::Next;
use swarm_carrier::{Happened, StreamId};
use swarm_core::base::limits::LINK_IDLE_TIMEOUT;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{ChunkIndex, Run};
use swarm_core::trust::Role;
use swarm_core::wire::{CloseCode, Message, RequestId};
use swarm_engine::{ChunkVerdict, DialFailure, Input, Refusal, RefusalCause, UploadEnd, Violation};

/// How a link ended that the engine did not close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its channel was lost, or the peer closed it.
    Lost,
    /// The peer lets this node have none.
    TurnedAway,
    /// Another node was there than the one that was dialed.
    WrongKey,
}

impl Driver {
    pub(super) fn on_handshake(&mut self, channel: Channel, message: &[u8]) {
        let seed = self.random();
        let own = Own { key: &self.key, node: self.node, seed };
        let Some(link) = self.links.get_mut(&channel) else { return };
        let step = match link.on_message(message, &own) {
            Ok(step) => step,
            Err(HandshakeFault { words, is_final }) => {
                return self.give_up(channel, &words, if is_final { End::WrongKey } else { End::Lost });
            }
        };
        let mut send = |message: Option<Bytes>| {
            self.effects.extend(message.map(|message| Effect::Send { channel, message }));
        };
        send(step.say_plain);
        if let Some((sending, receiving)) = step.keys {
            self.effects.push_back(Effect::Encrypt { channel, sending, receiving });
        }
        self.effects.extend(step.say.map(|message| Effect::Send { channel, message }));
        if let Some(node) = step.proven {
            let link = self.links.get_mut(&channel).expect("it was looked up above");
            link.stand(self.now);
            let (role, dialed) = (Role::Full, link.is_dialed);
            let link = link_of(channel);
            self.tell(Input::LinkUp { link, node, role, dialed, address: None });
            self.ping(channel);
        }
    }

    pub(super) fn on_record(&mut self, channel: Channel, message: Bytes) {
        let Some(up) = self.up(channel) else { return };
        // Whoever causes answers and reads none is not worth its link: a native node waits, a page cannot.
        let received = up.carrier.receive(message);
        let is_congested = up.carrier.is_congested();
        let happened = match received {
            Ok(happened) if !is_congested => happened,
            Ok(_) => return self.malformed(channel, "it does not read what it is sent".to_owned()),
            Err(violation) => return self.malformed(channel, violation.to_string()),
        };
        match happened {
            Happened::Control => self.on_control(channel),
            Happened::Opened(stream) => {
                if let Some(up) = self.up(channel) {
                    up.receiving.on_opened(stream);
                }
            }
            Happened::Over(stream, _) => {
                if let Some(up) = self.up(channel) {
                    up.uploading.on_over(&mut up.carrier, stream);
                }
            }
            Happened::Pong(number) => {
                let now = self.now;
                let Some(up) = self.up(channel).filter(|up| up.ping == number) else { return };
                let (link, rtt) = (link_of(channel), now - up.pinged_at);
                self.tell(Input::Measured { link, rtt });
            }
            Happened::Closed { code, reason } => {
                self.effects.push_back(Effect::Close { channel, reason: String::new() });
                let is_turned_away = CloseCode::from_code(code) == Some(CloseCode::TurnedAway);
                let end = if is_turned_away { End::TurnedAway } else { End::Lost };
                self.drop_link(channel, &format!("the peer closed the link: {reason}"), end);
            }
            // Streams are read, and uploads carried on, after each fact.
            Happened::Arrived(_) | Happened::Room | Happened::Nothing => {}
        }
    }

    fn on_control(&mut self, channel: Channel) {
        loop {
            let Some(up) = self.up(channel) else { return };
            let frame = match up.carrier.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return self.malformed(channel, error.to_string()),
            };
            match Message::decode(frame) {
                Ok(Some(message)) => self.tell(Input::Message { link: link_of(channel), message }),
                Ok(None) => {}
                Err(error) => return self.malformed(channel, error.to_string()),
            }
        }
    }

    fn malformed(&mut self, channel: Channel, what: String) {
        self.tell(Input::Malformed { link: link_of(channel), violation: Violation::Malformed(what) });
    }

    /// Reads what has come of streams, as far as there is room.
    pub(super) fn read_streams(&mut self, channel: Channel) {
        let held: usize = self.links.values().map(held_len).sum();
        let mut room = BUFFERS_LEN_MAX.saturating_sub(held);
        let Some(up) = self.up(channel) else { return };
        let streams: Vec<StreamId> = up.receiving.streams();
        let mut came = Vec::new();
        for stream in streams {
            came.extend(up.receiving.read(&mut up.carrier, stream, &mut room));
        }
        for came in came {
            self.on_came(channel, came);
        }
    }

    pub(super) fn on_came(&mut self, channel: Channel, came: Came) {
        let link = link_of(channel);
        match came {
            Came::Bytes(request, len) => self.tell(Input::Received { link, request, len }),
            Came::Over { request, content, run, bytes } => {
                let from = self.links.get(&channel).and_then(|link| link.node);
                self.settle((channel, request), from, (content, run), &bytes);
                self.tell(Input::StreamEnded { link, request });
            }
            Came::Wrong(request) => {
                let violation = Violation::ChunkStream("it is not what was asked for");
                self.tell(Input::Malformed { link, violation });
                self.tell(Input::StreamEnded { link, request });
            }
        }
    }

    /// Checks and writes the whole chunks of what came; keeps the rest, if the engine has not closed the link.
    fn settle(
        &mut self,
        (channel, request): (Channel, RequestId),
        from: Option<NodeId>,
        (content, run): (ContentId, Run),
        bytes: &Bytes,
    ) {
        let (link, is_up) = (link_of(channel), self.links.contains_key(&channel));
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.is_open) else { return };
        let pieces: Vec<_> = state.manifest.geometry().pieces(run).collect();
        let mut at = 0;
        for piece in pieces {
            let len = (piece.len as usize).min(bytes.len() - at);
            if len == 0 {
                break;
            }
            let (part, chunk) = (bytes.slice(at..at + len), piece.chunk);
            at += len;
            if len < piece.len as usize || !piece.is_whole {
                if is_up && state.takes_parts(chunk) {
                    self.effects.push_back(state.write(chunk, piece.offset, part));
                    let (offset, len) = (piece.offset, len as u32);
                    self.inputs.push_back(Input::SliceKept { link, request, chunk, offset, len });
                }
                continue;
            }
            if is_up {
                self.inputs.push_back(Input::ChunkArrived { link, request, chunk });
            }
            let is_right = state.check(chunk, part.clone());
            if is_right && !state.is_verified(chunk) {
                self.effects.push_back(state.write(chunk, 0, part));
                state.on_verified(chunk);
            }
            let verdict = if is_right { ChunkVerdict::Verified } else { ChunkVerdict::Corrupt };
            self.inputs.push_back(Input::ChunkChecked { content, chunk, from, verdict });
        }
    }

    pub(super) fn upload(&mut self, channel: Channel, request: RequestId, content: ContentId, run: Run) {
        let Some(state) = self.contents.get(&content) else { return };
        if let Some(Link { stage: Stage::Up(up), .. }) = self.links.get_mut(&channel) {
            up.uploading.start(request, content, run, state);
        }
    }

    pub(super) fn on_upload(&mut self, channel: Channel, next: Next) {
        match next {
            Next::Waits => {}
            Next::Needs(content, chunk) => self.read(Purposed::Upload(content, chunk)),
            Next::Over(request, sent_len, end) => self.end_upload(channel, request, sent_len, end),
        }
    }

    fn end_upload(&mut self, channel: Channel, request: RequestId, sent_len: u64, end: UploadEnd) {
        self.tell(Input::UploadEnded { link: link_of(channel), request, sent_len, end });
    }

    /// A chunk cannot be served any more: uploads that wait for it end.
    pub(super) fn lose(&mut self, content: ContentId, chunk: ChunkIndex) {
        let channels: Vec<Channel> = self.links.keys().copied().collect();
        for channel in channels {
            while let Some(up) = self.up(channel)
                && let Some(next) = up.uploading.on_lost(&mut up.carrier, content, chunk)
            {
                self.on_upload(channel, next);
            }
        }
    }

    /// Carries uploads on and gives the channel what it has room for.
    pub(super) fn send(&mut self, channel: Channel) {
        loop {
            let Self { links, contents, effects, .. } = self;
            let Some(Link { stage: Stage::Up(up), unsent_len, .. }) = links.get_mut(&channel) else { return };
            let next = up.uploading.carry_on(&mut up.carrier, contents);
            let mut has_sent = false;
            while *unsent_len < CHANNEL_WAITING_LEN_MAX
                && let Some(record) = up.carrier.next_record()
            {
                let mut message = BytesMut::with_capacity(record.encoded_len());
                record.encode(&mut message);
                *unsent_len += message.len();
                effects.push_back(Effect::Send { channel, message: message.freeze() });
                has_sent = true;
            }
            let is_over = matches!(next, Next::Over(..));
            self.on_upload(channel, next);
            if !has_sent && !is_over {
                return;
            }
        }
    }

    pub(super) fn say(&mut self, channel: Channel, message: Message) {
        let Some(up) = self.up(channel) else { return };
        let is_sent = up.carrier.send_frame(&message.encode()).is_ok();
        if !is_sent || up.carrier.control_waiting_len() > CONTROL_WAITING_LEN_MAX {
            self.give_up(channel, "the control stream is not read", End::Lost);
        }
    }

    /// Pings a link when it is time, and ends one that is silent.
    pub(super) fn look_after(&mut self, channel: Channel) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&channel) else { return };
        let silence = now - link.heard_at;
        match &link.stage {
            Stage::Up(_) if silence >= LINK_IDLE_TIMEOUT => {
                self.give_up(channel, "the link timed out: the peer sent nothing", End::Lost);
            }
            Stage::Up(up) => {
                let is_due = now - up.pinged_at >= PING_INTERVAL;
                if is_due {
                    self.ping(channel);
                    self.end_stalled(channel);
                }
            }
            _ if silence >= HANDSHAKE_TIMEOUT => {
                self.give_up(channel, "the peer did not prove its key in time", End::Lost);
            }
            _ => {}
        }
    }

    /// Ends an upload of which the peer has taken nothing for too long.
    fn end_stalled(&mut self, channel: Channel) {
        let now = self.now;
        let Some(up) = self.up(channel) else { return };
        if let Some(next) = up.uploading.end_stalled(&mut up.carrier, now) {
            self.on_upload(channel, next);
        }
    }

    fn ping(&mut self, channel: Channel) {
        let now = self.now;
        if let Some(up) = self.up(channel) {
            (up.ping, up.pinged_at) = (up.ping.wrapping_add(1), now);
            let number = up.ping;
            up.carrier.ping(number);
        }
    }

    /// Closes a link by order of the engine.
    pub(super) fn close(&mut self, channel: Channel, code: u32, reason: &str) {
        let Some(mut link) = self.links.remove(&channel) else { return };
        let from = link.node;
        if let Some(up) = link.up() {
            let came = up.receiving.end();
            for record in up.carrier.close(code, reason) {
                let mut message = BytesMut::with_capacity(record.encoded_len());
                record.encode(&mut message);
                self.effects.push_back(Effect::Send { channel, message: message.freeze() });
            }
            // Whole chunks that came are good whatever becomes of the link.
            for came in came {
                if let Came::Over { request, content, run, bytes } = came {
                    self.settle((channel, request), from, (content, run), &bytes);
                }
            }
        }
        self.effects.push_back(Effect::Close { channel, reason: reason.to_owned() });
    }

    /// Closes a link by itself; the engine hears of it.
    fn give_up(&mut self, channel: Channel, reason: &str, end: End) {
        self.effects.push_back(Effect::Close { channel, reason: reason.to_owned() });
        self.drop_link(channel, reason, end);
    }

    /// A link, or a dial, has come to its end.
    pub(super) fn drop_link(&mut self, channel: Channel, reason: &str, end: End) {
        let (link, reason) = (link_of(channel), reason.to_owned());
        if let Some(up) = self.up(channel) {
            // What came of streams is kept before the engine hears that the link is gone.
            let came = up.receiving.end();
            came.into_iter().for_each(|came| self.on_came(channel, came));
            self.links.remove(&channel);
            self.tell(match end {
                End::TurnedAway => Input::TurnedAway { link, reason },
                End::Lost | End::WrongKey => Input::LinkDown { link, reason },
            });
        } else if let Some(Link { node: Some(node), is_dialed: true, .. }) = self.links.remove(&channel) {
            let failure = match end {
                // There is no use in dialing it again there.
                End::WrongKey => DialFailure::Refused(Refusal::new(RefusalCause::WrongKey, reason)),
                End::Lost | End::TurnedAway => DialFailure::Unreachable(reason),
            };
            self.tell(Input::DialFailed { node, failure });
        }
    }

    pub(super) fn up(&mut self, channel: Channel) -> Option<&mut Up> {
        self.links.get_mut(&channel)?.up()
    }
}

fn held_len(link: &Link) -> usize {
    match &link.stage {
        Stage::Up(up) => up.receiving.held_len(),
        _ => 0,
    }
}
