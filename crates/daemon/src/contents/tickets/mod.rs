//! Contents that somebody gave by a ticket or a manifest: fetched into a library's sync target as one downloads a file. Invariant: so many are fetched at
//! once and no more; what is remembered of a fetch (`record`) is enough to go on after a restart at any moment; a file gets its place when all is
//! verified, and replaces none.
//!
//! `state` has them as they stand, `given` is what was given, `opening` and `landing` are what blocks, `jobs` how fetches are shown and steered. A content that a library has, too, is the
//! library's while that needs it. Absent here: who may do it, and what the library does with the files (it finds them like any other).

mod given;
mod jobs;
mod landing;
mod opening;
mod record;
mod state;

pub(crate) use given::Given;
pub(crate) use opening::{Chosen, OpeningFault};
pub(crate) use record::Record;
pub(crate) use state::Tickets;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swarm_core::base::ContentId;
use swarm_core::manifest::{Manifest, SigningKey};
use swarm_core::wire::DeclineReason;
use swarm_engine::{ContentSnapshot, Event, Join, Order, Purpose};
use swarm_library::LibraryKey;
use swarm_node::NodeEvent;
use tokio::sync::oneshot;

use super::supply::known;
use super::{Contents, Done};
use crate::clock;
use crate::library::{Input as LibraryInput, LibraryHandle};
use crate::limits::{TICKETS_AT_ONCE, TICKETS_MAX};
use landing::{Landed, LandingFault};
use opening::TicketOpened;
use record::{RecordFolder, Stage};
use state::{Step, TicketFetch, TicketJoined};

/// A new fetch.
pub(crate) struct NewTicket {
    pub(crate) content: ContentId,
    pub(crate) library: LibraryKey,
    pub(crate) given: Bytes,
    pub(crate) record: Record,
    pub(crate) reply: oneshot::Sender<Result<(), TicketFault>>,
}

/// Why a fetch is not begun; for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TicketFault {
    #[error("this content is being fetched already: see the transfers")]
    Fetched,
    #[error(
        "files of this content still get their places for a fetch that was cancelled: try again in a moment"
    )]
    Landing,
    #[error(
        "this content is of a library of this node, which serves or fetches it: look for its files there"
    )]
    OfLibrary,
    #[error("{TICKETS_MAX} fetches of tickets are not done: cancel one, or wait")]
    Full,
    #[error("cannot remember the fetch: {0}")]
    Disk(String),
}

/// What a blocking task of a fetch came to.
pub(super) enum TicketDone {
    Remembered(Box<NewTicket>, std::io::Result<RecordFolder>),
    Read(Result<Given, String>),
    Opened(Result<Box<TicketOpened>, OpeningFault>),
    Landed(Result<Landed, NotLanded>),
}

/// Why files of a fetch did not get their places.
pub(super) struct NotLanded {
    /// For people.
    why: String,
    /// The bytes are not there any more.
    is_gone: bool,
}

impl Contents {
    /// Takes a new fetch, once it is remembered.
    pub(super) fn on_new_ticket(&mut self, new: NewTicket) {
        let content = new.content;
        let fault = match self.tickets.fault_of(&content) {
            None if self.joined.contains_key(&content) => Some(TicketFault::OfLibrary),
            fault => fault,
        };
        let fault = fault.or_else(|| (!self.tickets.make_room()).then_some(TicketFault::Full));
        if let Some(fault) = fault {
            // Who asked may be gone.
            let _ = new.reply.send(Err(fault));
            return;
        }
        self.tickets.coming += 1;
        let state = self.tickets.state.clone();
        self.tasks.spawn_blocking(move || {
            let remembered = RecordFolder::create(&state, &content, &new.given, &new.record);
            Done::Ticket(content, 0, TicketDone::Remembered(Box::new(new), remembered))
        });
    }

    pub(super) async fn on_ticket_done(&mut self, content: ContentId, joining: u64, done: TicketDone) {
        let landed_in = match done {
            TicketDone::Landed(_) => self.tickets.landing.remove(&content),
            TicketDone::Remembered(..) | TicketDone::Read(_) | TicketDone::Opened(_) => None,
        };
        let is_now = match self.tickets.of.get(&content).map(|ticket| &ticket.step) {
            Some(Step::Joined(joined)) => joined.joining == joining,
            Some(Step::Landing { joining: now, .. }) => *now == joining,
            Some(Step::Waits | Step::Failed { .. } | Step::Done) | None => false,
        };
        match done {
            TicketDone::Remembered(new, remembered) => self.on_remembered(*new, remembered).await,
            TicketDone::Read(Ok(given)) if is_now => self.join_ticket(content, given).await,
            TicketDone::Read(Err(why)) if is_now => self.fail_ticket(content, why, true).await,
            TicketDone::Opened(Ok(opened)) if is_now => self.on_ticket_opened(content, *opened).await,
            TicketDone::Opened(Err(fault)) if is_now => {
                let is_final = fault.is_final();
                self.fail_ticket(content, fault.to_string(), is_final).await;
            }
            TicketDone::Landed(Ok(landed)) if is_now => self.on_landed(content, landed).await,
            TicketDone::Landed(Err(fault)) if is_now => {
                if let Some(ticket) = self.tickets.of.get_mut(&content).filter(|_| fault.is_gone) {
                    ticket.record.stage = Stage::Fetching;
                    ticket.record.known.here_len = 0;
                }
                self.fail_ticket(content, fault.why, false).await;
            }
            // It was cancelled meanwhile: what has no place goes.
            TicketDone::Landed(_) if !self.tickets.of.contains_key(&content) => {
                self.remove_bytes(landed_in, content);
            }
            // Of an earlier turn.
            TicketDone::Read(_) | TicketDone::Opened(_) | TicketDone::Landed(_) => {}
        }
    }

    async fn on_remembered(&mut self, new: NewTicket, remembered: std::io::Result<RecordFolder>) {
        self.tickets.coming = self.tickets.coming.saturating_sub(1);
        let NewTicket { content, library, record, reply, .. } = new;
        let answer = match remembered {
            Ok(folder) => {
                self.tickets.of.insert(content, TicketFetch { library, folder, record, step: Step::Waits });
                self.jobs_told = None;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(TicketFault::Fetched),
            Err(error) => Err(TicketFault::Disk(error.to_string())),
        };
        let _ = reply.send(answer);
        self.start_tickets().await;
    }

    /// Lets fetches go that may not go on, and begins others as long as there is room.
    pub(super) async fn start_tickets(&mut self) {
        let joined: Vec<ContentId> =
            self.tickets.of.keys().filter(|content| self.tickets.has_joined(content)).copied().collect();
        for content in joined {
            let library = self.tickets.of.get(&content).map(|ticket| ticket.library);
            let may_go_on = library.is_some_and(|library| self.may_fetch_for(&library));
            if !may_go_on {
                self.let_ticket_wait(content).await;
            }
        }
        let due = self.tickets.due(clock::moment());
        if !due.is_empty() && self.tickets.working_count() >= TICKETS_AT_ONCE {
            // Those that nobody sends anything of keep no others waiting.
            for content in self.tickets.quiet(clock::moment()) {
                let why = "nobody sends anything of it: others have their turn, and it is tried again";
                self.fail_ticket(content, why.to_owned(), false).await;
            }
        }
        for content in due {
            if self.tickets.working_count() >= TICKETS_AT_ONCE {
                return;
            }
            self.begin_ticket(content);
        }
    }

    fn may_fetch_for(&self, library: &LibraryKey) -> bool {
        self.libraries.get(library).is_some_and(|handle| !handle.fetches_nothing())
    }

    fn begin_ticket(&mut self, content: ContentId) {
        let Some(ticket) = self.tickets.of.get(&content) else { return };
        let (library, is_landing) = (ticket.library, ticket.record.stage == Stage::Landing);
        let Some(handle) = self.libraries.get(&library).cloned() else { return };
        if is_landing {
            return self.land_ticket(content, handle);
        }
        if handle.fetches_nothing() || self.joined.contains_key(&content) {
            return;
        }
        self.next_joining += 1;
        let (joining, me) = (self.next_joining, Arc::clone(&self.me));
        let Some(ticket) = self.tickets.of.get_mut(&content) else { return };
        let waited = ticket.step.waited();
        ticket.step = Step::Joined(Box::new(TicketJoined::new(joining, waited)));
        let folder = ticket.folder.clone();
        self.tasks.spawn_blocking(move || {
            let given = given_in(&folder, &me).map_err(|error| error.to_string());
            Done::Ticket(content, joining, TicketDone::Read(given))
        });
    }

    async fn join_ticket(&mut self, content: ContentId, given: Given) {
        let Some(library) = self.tickets.of.get(&content).map(|ticket| ticket.library) else { return };
        let manifest = given.manifest.clone();
        if let Some((share, _)) = self.shares.get(&library) {
            self.node.share(content, *share).await;
        }
        let join = Join { content, manifest: manifest.clone(), order: Order::RarestFirst, patience: None };
        self.node.join(join).await;
        for source in given.sources.clone() {
            self.node.add_source(content, source, Purpose::Fetch).await;
        }
        self.node.add_coordinators(content, given.coordinators.clone()).await;
        if let Some(joined) = self.tickets.joined_mut(&content) {
            joined.given = Some(given);
        }
        if let Some(manifest) = manifest {
            self.open_ticket(content, manifest, false);
        }
    }

    /// Opens a store, and remembers the manifest if peers sent it.
    fn open_ticket(&mut self, content: ContentId, manifest: Manifest, is_news: bool) {
        let Some(ticket) = self.tickets.of.get(&content) else { return };
        let reserved = self.tickets.reserved(ticket.library, &content);
        let Step::Joined(joined) = &ticket.step else { return };
        let (Some(handle), Some(given)) = (self.libraries.get(&ticket.library), joined.given.clone()) else {
            return;
        };
        let (written, joining, kept) = (handle.written.clone(), joined.joining, ticket.folder.clone());
        let (names, folder) = (ticket.record.files.clone(), ticket.record.folder());
        self.tasks.spawn_blocking(move || {
            let saved = if is_news { kept.save_manifest(&manifest) } else { Ok(()) };
            let opened = match saved {
                Ok(()) => opening::open(&written, &given, manifest, &names, (folder.as_ref(), reserved)),
                Err(error) => Err(OpeningFault::Room(format!("cannot remember the manifest: {error}"))),
            };
            Done::Ticket(content, joining, TicketDone::Opened(opened.map(Box::new)))
        });
    }

    async fn on_ticket_opened(&mut self, content: ContentId, opened: TicketOpened) {
        let TicketOpened { store, durable, wanted, chosen, path, lacking_len } = opened;
        let Some(ticket) = self.tickets.of.get_mut(&content) else { return };
        let Step::Joined(joined) = &mut ticket.step else { return };
        (joined.is_open, joined.runs) = (true, chosen.runs());
        let known = &mut ticket.record.known;
        known.path = path.map(|path| path.as_str().to_owned());
        (known.files, known.len) = (chosen.files(), chosen.len);
        known.here_len = chosen.len.saturating_sub(lacking_len);
        self.node.open_store(content, store, durable, wanted).await;
        self.jobs_told = None;
    }

    /// An event of the node about a content that is fetched by a ticket.
    pub(super) async fn on_ticket_event(&mut self, content: ContentId, event: NodeEvent) {
        match event {
            NodeEvent::Engine(Event::ManifestComplete { manifest }) => {
                self.open_ticket(content, manifest, true);
            }
            NodeEvent::Engine(Event::Completed { .. }) => {
                let library = self.tickets.of.get(&content).map(|ticket| ticket.library);
                self.leave(content).await;
                self.flow.forget(&content);
                match library.and_then(|library| self.libraries.get(&library)).cloned() {
                    Some(handle) => self.land_ticket(content, handle),
                    None => self.let_ticket_wait(content).await,
                }
            }
            NodeEvent::Engine(Event::Failed { .. }) => {
                let trouble =
                    self.tickets.joined_mut(&content).and_then(|joined| joined.store_trouble.take());
                let why = trouble.unwrap_or_else(|| "the engine gave it up".to_owned());
                self.fail_ticket(content, why, false).await;
            }
            NodeEvent::Engine(Event::PeerDeclined { node, reason: DeclineReason::NotAuthorised, .. }) => {
                if let Some(joined) = self.tickets.joined_mut(&content) {
                    joined.refused_by = Some(node);
                }
            }
            NodeEvent::StoreError { error, .. } => {
                if let Some(joined) = self.tickets.joined_mut(&content) {
                    // The first is the cause.
                    joined.store_trouble.get_or_insert_with(|| error.to_string());
                }
            }
            NodeEvent::Engine(_)
            | NodeEvent::StoreWarning { .. }
            | NodeEvent::Found(_)
            | NodeEvent::FinderTrouble(_) => {}
        }
    }

    fn land_ticket(&mut self, content: ContentId, handle: LibraryHandle) {
        let Some(ticket) = self.tickets.of.get_mut(&content) else { return };
        self.next_joining += 1;
        let (joining, me) = (self.next_joining, Arc::clone(&self.me));
        let waited = ticket.step.waited();
        ticket.step = Step::Landing { joining, waited };
        self.tickets.landing.insert(content, ticket.library);
        ticket.record.stage = Stage::Landing;
        ticket.record.known.here_len = ticket.record.known.len;
        let (folder, record) = (ticket.folder.clone(), ticket.record.clone());
        self.tasks.spawn_blocking(move || {
            let landed = landed(&handle, content, &me, &folder, &record);
            Done::Ticket(content, joining, TicketDone::Landed(landed))
        });
    }

    async fn on_landed(&mut self, content: ContentId, landed: Landed) {
        let Some(ticket) = self.tickets.of.get_mut(&content) else { return };
        ticket.step = Step::Done;
        ticket.record.stage = Stage::Done;
        ticket.record.known.renamed += landed.renamed;
        if let Some(first) = landed.paths.first() {
            ticket.record.known.path = Some(first.as_str().to_owned());
        }
        if let Err(error) = ticket.folder.save(&ticket.record) {
            // Nothing is with the fetch any more: after a restart it lands nothing.
            tracing::warn!(%error, "cannot remember that a fetch is done");
        }
        tracing::info!(content = content.short(), files = landed.paths.len(), "a ticket was fetched");
        let library = ticket.library;
        self.jobs_told = None;
        if let Some(handle) = self.libraries.get(&library) {
            let places = Some(landed.paths).filter(|paths| paths.len() <= LOOKED_AT_MAX);
            // A worker that has ended needs nothing more.
            let _ = handle.inputs.send(LibraryInput::Look(places)).await;
        }
        self.start_tickets().await;
    }

    /// It is tried again later, or when somebody resumes it.
    async fn fail_ticket(&mut self, content: ContentId, why: String, is_final: bool) {
        let Some(ticket) = self.tickets.of.get_mut(&content) else { return };
        let is_joined = matches!(ticket.step, Step::Joined(_));
        let wait = (ticket.step.waited() * 2).clamp(RETRY_MIN, RETRY_MAX);
        tracing::debug!(content = content.short(), why, "a fetch of a ticket came to nothing for now");
        let due_at = (!is_final).then(|| clock::moment() + wait);
        ticket.step = Step::Failed { why, due_at, wait };
        if is_joined {
            self.leave(content).await;
        }
        self.jobs_told = None;
    }

    /// A library needs the content, or somebody paused the fetch: what came stays.
    pub(super) async fn let_ticket_wait(&mut self, content: ContentId) {
        let Some(ticket) = self.tickets.of.get_mut(&content) else { return };
        if matches!(ticket.step, Step::Joined(_)) {
            ticket.step = Step::Waits;
            self.leave(content).await;
            self.flow.forget(&content);
        }
    }

    /// Notes how far each fetch is.
    pub(super) fn note_tickets(&mut self, contents: &[ContentSnapshot]) {
        for (content, ticket) in &mut self.tickets.of {
            let (Step::Joined(joined), Some(known)) = (&mut ticket.step, known(contents, content)) else {
                continue;
            };
            if joined.is_open && known.wanted_len > 0 {
                ticket.record.known.here_len = known.verified_len.min(ticket.record.known.len);
            }
            if known.verified_len > joined.verified_len {
                (joined.verified_len, joined.since) = (known.verified_len, clock::moment());
                joined.refused_by = None;
            }
        }
    }

    /// Fetches of libraries that are not kept here any more are forgotten.
    pub(super) async fn forget_tickets(&mut self, known: &BTreeSet<LibraryKey>) {
        let is_gone = |(_, ticket): &(&ContentId, &TicketFetch)| !known.contains(&ticket.library);
        let gone: Vec<ContentId> =
            self.tickets.of.iter().filter(is_gone).map(|(content, _)| *content).collect();
        for content in gone {
            self.let_ticket_wait(content).await;
            self.tickets.of.remove(&content).inspect(|ticket| ticket.folder.remove());
        }
    }

    /// Removes what is left of fetches that were cancelled, once a library is there.
    pub(super) fn clean_tickets(&mut self) {
        for (library, handle) in &self.libraries {
            if !self.tickets.cleaned.insert(*library) {
                continue;
            }
            let kept = self.tickets.with_bytes();
            let written = handle.written.clone();
            self.tasks.spawn_blocking(move || {
                opening::remove_all_but(&written, &kept);
                Done::Over
            });
        }
    }
}

/// The content that an event is about, if a fetch has to hear of it.
pub(super) fn content_of(event: &NodeEvent) -> Option<ContentId> {
    match event {
        NodeEvent::Engine(Event::PeerDeclined { content, .. }) => Some(*content),
        // What was left is told to all.
        NodeEvent::Engine(Event::Left { .. }) => None,
        event => super::content_of(event),
    }
}

/// What was given, with the manifest if that is known by now.
fn given_in(
    folder: &RecordFolder,
    me: &SigningKey,
) -> Result<Given, Box<dyn std::error::Error + Send + Sync>> {
    let given = Given::read(&folder.given()?, me)?;
    match folder.manifest().filter(|manifest| given.manifest.is_none() && manifest.id() == given.content) {
        Some(manifest) => Ok(Given { manifest: Some(given.readable(manifest)?), ..given }),
        None => Ok(given),
    }
}

/// Remembers that nothing is fetched again, and gives all files their places.
fn landed(
    handle: &LibraryHandle,
    content: ContentId,
    me: &SigningKey,
    folder: &RecordFolder,
    record: &Record,
) -> Result<Landed, NotLanded> {
    let failed = |why: String| NotLanded { why, is_gone: false };
    let given = given_in(folder, me).map_err(|error| failed(error.to_string()))?;
    let manifest = given
        .manifest
        .ok_or_else(|| failed("its manifest is not remembered: cancel it, and fetch it again".to_owned()))?;
    let chosen = Chosen::of(&manifest, &record.files).map_err(|error| failed(error.to_string()))?;
    let remember = |record: &Record| {
        let saved = folder.save(record);
        saved.map_err(|error| failed(format!("cannot remember how far it is: {error}")))
    };
    remember(record)?;
    let from = opening::place_of(&content);
    let landed = landing::land(handle, &from, record.folder().as_ref(), &chosen).map_err(|error| {
        NotLanded { is_gone: matches!(error, LandingFault::Gone), why: error.to_string() }
    })?;
    // First, or a fetch whose folder is gone would begin anew after a crash.
    let mut done = record.clone();
    done.stage = Stage::Done;
    remember(&done)?;
    if let Err(error) = landing::clear(handle, &from) {
        tracing::warn!(%error, "what a fetch left is removed at another start");
    }
    Ok(landed)
}

/// With more files the library looks at all of its folder.
const LOOKED_AT_MAX: usize = 1000;
/// How soon a fetch that came to nothing is tried again, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// One that waits for so long is in trouble: before, an earlier store of the content may be closing.
const TROUBLE_MIN: Duration = Duration::from_secs(1);
