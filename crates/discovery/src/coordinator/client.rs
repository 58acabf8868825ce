//! The client of one coordinator: a link to it, announcements out, neighbours in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, timeout};
use tracing::{Instrument as _, debug, info, trace, warn};

use super::{RETRY_MAX, RETRY_MIN};
use crate::{Found, Participation, Surroundings, Trouble, Way};
use swarm_core::base::limits::{
    ANNOUNCE_INTERVAL, ANNOUNCE_LINKS_MAX, ANNOUNCE_TIME_TO_LIVE, SOURCE_ADDRESSES_MAX,
};
use swarm_core::base::{ContentId, Rate, Zone};
use swarm_core::manifest::{Address, SigningKey, Source};
use swarm_core::presence::{Announcer, Presence};
use swarm_core::wire::{
    AnnounceBody, Coordination, Hello, Neighbour, PROTOCOL_MAJOR, SignedAnnounce, Welcome,
};
use swarm_link::{FrameReader, FrameWriter, Protocol, QuicLink};

pub(super) struct Client {
    coordinator: Source,
    zone: Option<Zone>,
    surroundings: Surroundings,
    key: SigningKey,
    announcer: Announcer,
}

impl Client {
    pub(super) fn new(coordinator: Source, zone: Option<Zone>, surroundings: Surroundings) -> Self {
        let key = surroundings.endpoint.signing_key();
        Self { coordinator, zone, surroundings, key, announcer: Announcer::new(ANNOUNCE_INTERVAL) }
    }

    /// Never returns; dropping the future ends it.
    pub(super) async fn run(mut self) {
        let (mut wait, mut is_told) = (RETRY_MIN, false);
        loop {
            let dialed = self.surroundings.endpoint.dial(
                self.coordinator.node,
                Protocol::Coordinator,
                &self.coordinator.addresses,
            );
            let reason = match dialed.await {
                Ok(link) => {
                    let coordinator = self.coordinator.node.short();
                    let span = tracing::trace_span!("link", coordinator);
                    let began_at = self.surroundings.clock.now();
                    let reason = self.talk(&link).instrument(span).await;
                    if self.surroundings.clock.now() - began_at > RETRY_MAX {
                        (wait, is_told) = (RETRY_MIN, false);
                    }
                    reason
                }
                Err(error) => error.to_string(),
            };
            let coordinator = self.coordinator.node.short();
            debug!(coordinator, reason, "a coordinator is away");
            if !is_told {
                let reason = format!("coordinator {coordinator} is away, going on without it: {reason}");
                let _ = self.surroundings.troubles.try_send(Trouble { way: Way::Coordinator, reason });
            }
            is_told = true;
            wait = if self.rest(wait).await { RETRY_MIN } else { (wait * 2).min(RETRY_MAX) };
        }
    }

    /// Waits before the next dial, but only until this machine has other addresses: a dial that failed on the old network, or
    /// without one, may succeed now. True if the addresses changed.
    async fn rest(&self, wait: Duration) -> bool {
        let endpoint = &self.surroundings.endpoint;
        let (before, mut left) = (endpoint.local_addresses(), wait);
        while !left.is_zero() {
            let nap = left.min(ADDRESSES_INTERVAL);
            tokio::time::sleep(nap).await;
            left -= nap;
            if endpoint.local_addresses() != before {
                return true;
            }
        }
        false
    }

    /// Exchanges messages until the link ends; returns the reason.
    async fn talk(&mut self, link: &QuicLink) -> String {
        let reason = match self.exchange(link).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        };
        let closed = link.close_reason();
        link.close(0, &reason);
        closed.map_or(reason, |closed| closed.to_string())
    }

    async fn exchange(&mut self, link: &QuicLink) -> Result<std::convert::Infallible, String> {
        let (mut writer, mut reader) = link.control().await.map_err(|error| error.to_string())?;
        write(&mut writer, &[Coordination::Hello(Hello::ours())]).await?;
        let welcome = timeout(WELCOME_TIMEOUT, welcome(&mut reader)).await;
        let welcome = welcome.map_err(|_| "it gives no answer".to_owned())??;
        let coordinator = self.coordinator.node.short();
        info!(coordinator, observed = %welcome.observed, "a coordinator is there");
        // The coordinator may have forgotten the announcements made before this link.
        self.announcer = Announcer::new(interval(&welcome));
        let mut participation = self.surroundings.participation.clone();
        let mut tick = tokio::time::interval(LOOK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                frame = reader.next() => {
                    let frame = frame.map_err(|error| error.to_string())?;
                    self.on_frame(frame.ok_or("it ended the link")?).await?;
                }
                _ = tick.tick() => self.say(&mut writer).await?,
                changed = participation.changed() => {
                    changed.map_err(|_| "the node has ended".to_owned())?;
                    self.say(&mut writer).await?;
                }
            }
        }
    }

    /// Sends the announcements and withdrawals that are due.
    async fn say(&mut self, writer: &mut FrameWriter) -> Result<(), String> {
        let participation = self.surroundings.participation.borrow().clone();
        let is_ours = |presence: &&Presence| self.is_concerned(&participation, presence.content);
        let ours: Vec<&Presence> = participation.presences.iter().filter(is_ours).collect();
        let gone = self.announcer.take_gone(&ours);
        let mut messages: VecDeque<Coordination> =
            gone.into_iter().map(|content| Coordination::Withdraw { content }).collect();
        let own = self.surroundings.endpoint.source(&self.surroundings.advertise);
        let now = self.surroundings.clock.now();
        let addresses: Arc<[Address]> = own.addresses.into_iter().take(SOURCE_ADDRESSES_MAX).collect();
        for presence in ours {
            if let Some(wanted) = self.announcer.take_due(now, presence, &addresses) {
                messages.push_back(self.announce(presence, participation.up, &addresses, wanted));
            }
        }
        // A coordinator limits the messages that it accepts at once.
        while !messages.is_empty() {
            let batch: Vec<Coordination> = messages.drain(..messages.len().min(BATCH)).collect();
            write(writer, &batch).await?;
        }
        Ok(())
    }

    fn is_concerned(&self, participation: &Participation, content: ContentId) -> bool {
        let coordinators = participation.coordinators.get(&content);
        coordinators.into_iter().flatten().any(|source| source.node == self.coordinator.node)
    }

    fn announce(&self, presence: &Presence, up: Rate, addresses: &[Address], wanted: u32) -> Coordination {
        let body = AnnounceBody {
            content: presence.content,
            node: self.surroundings.endpoint.node_id(),
            addresses: addresses.to_vec(),
            have_count: presence.have_count,
            chunk_count: presence.chunk_count,
            up,
            zone: self.zone.clone(),
        };
        let links = presence.links.iter().copied().take(ANNOUNCE_LINKS_MAX).collect();
        Coordination::Announce { announce: SignedAnnounce::sign(&self.key, body), wanted, links }
    }

    async fn on_frame(&mut self, frame: Bytes) -> Result<(), String> {
        let message = Coordination::decode(frame).map_err(|error| error.to_string())?;
        trace!(?message, "received");
        match message {
            Some(Coordination::Neighbours { content, neighbours }) => {
                for neighbour in neighbours {
                    self.found(content, neighbour, Way::Coordinator).await?;
                }
            }
            Some(Coordination::Meet { content, neighbour }) => {
                self.found(content, neighbour, Way::Meeting).await?;
            }
            Some(Coordination::Refused { content, reason }) => {
                warn!(
                    coordinator = self.coordinator.node.short(),
                    content = content.short(),
                    reason,
                    "a coordinator does not take an announcement"
                );
            }
            None => {}
            Some(
                Coordination::Hello(_)
                | Coordination::Welcome(_)
                | Coordination::Announce { .. }
                | Coordination::Withdraw { .. },
            ) => return Err("it says what a coordinator does not say".to_owned()),
        }
        Ok(())
    }

    /// Reports a neighbour, if this node asked about its content.
    async fn found(&self, content: ContentId, neighbour: Neighbour, way: Way) -> Result<(), String> {
        let body = neighbour.announce.body();
        let is_asked = self.is_concerned(&self.surroundings.participation.borrow(), content);
        if body.content != content || body.node == self.surroundings.endpoint.node_id() || !is_asked {
            return Ok(());
        }
        let source = Source { node: body.node, addresses: neighbour.addresses };
        let sent = self.surroundings.found.send(Found { content, source, way }).await;
        sent.map_err(|_| "the node has ended".to_owned())
    }
}

async fn welcome(reader: &mut FrameReader) -> Result<Welcome, String> {
    let frame = reader.next().await.map_err(|error| error.to_string())?;
    match Coordination::decode(frame.ok_or("it ended the link")?).map_err(|error| error.to_string())? {
        Some(Coordination::Welcome(welcome)) if welcome.hello.major == PROTOCOL_MAJOR => Ok(welcome),
        Some(Coordination::Welcome(welcome)) => {
            Err(format!("it speaks version {} of the protocol", welcome.hello.major))
        }
        _ => Err("it does not answer as a coordinator".to_owned()),
    }
}

/// The coordinator's interval, within limits: a bad one must neither flood nor silence this node.
fn interval(welcome: &Welcome) -> Duration {
    Duration::from_secs(welcome.interval_s.into()).clamp(INTERVAL_MIN, ANNOUNCE_TIME_TO_LIVE)
}

async fn write(writer: &mut FrameWriter, messages: &[Coordination]) -> Result<(), String> {
    messages.iter().for_each(|message| trace!(?message, "sending"));
    let frames: Vec<Bytes> = messages.iter().map(Coordination::encode).collect();
    match timeout(WRITE_TIMEOUT, writer.write_frames(&frames)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read what it is told".to_owned()),
    }
}

const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// A coordinator that does not read for so long is dialed again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the announcer is asked for due announcements: milestones wait as long anyway.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often a waiting client looks for new addresses of this machine.
const ADDRESSES_INTERVAL: Duration = Duration::from_secs(3);
/// Shortest interval that a coordinator may demand.
const INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Messages of one write; as many as a coordinator accepts from one node in a second.
const BATCH: usize = 64;
