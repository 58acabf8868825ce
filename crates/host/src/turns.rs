//! How a content gets from its place in the list to being served: its turn to be opened, what opening gave, and what if that
//! failed. Invariant: the engine has each content once.

use std::panic::AssertUnwindSafe;

use tracing::{info, warn};

use super::contents::{Entry, EntryId, FetchSpec, Spec, State};
use super::opening::{Opened, Refusal};
use super::protocol::{Answer, ContentStatus};
use super::run::{Running, Work};
use crate::limits::{OPENING_RETRY, OPENINGS_MAX};
use swarm_core::base::{Category, ContentId};
use swarm_core::manifest::{Manifest, Ticket};
use swarm_engine::{Join, Order, Purpose};
use swarm_files::HashProgress;

impl Running {
    /// Gives those that wait their turn, as long as there is room.
    pub(super) async fn start_openings(&mut self) {
        while self.work.openings.len() < OPENINGS_MAX {
            let Some(id) = self.work.contents.next_waiting() else { return };
            match self.work.prepare(id) {
                Prepared::Open(manifest) => {
                    let is_admitted = match &manifest {
                        Some(manifest) => self.admit(id, manifest).await,
                        None => true,
                    };
                    if is_admitted {
                        self.work.open(id, manifest);
                    }
                }
                Prepared::AskPeers(ticket) => self.begin_fetch(id, ticket).await,
                Prepared::Refused(refusal) => self.refuse(id, refusal).await,
            }
        }
    }

    /// Only the id is known: the manifest comes from peers.
    async fn begin_fetch(&mut self, id: EntryId, ticket: Ticket) {
        if self.is_twin(id, ticket.content).await {
            return;
        }
        let Some(entry) = self.work.contents.get_mut(id) else { return };
        entry.state = State::Fetching;
        entry.content = Some(ticket.content);
        self.join(ticket.content, None).await;
        for source in ticket.sources {
            self.node.add_source(ticket.content, source, Purpose::Fetch).await;
        }
        self.node.add_coordinators(ticket.content, ticket.coordinators).await;
        info!(content = %ticket.content.short(), "fetching");
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "what was added will not be known after a restart");
        }
        self.answer_added(id, false).await;
    }

    async fn join(&self, content: ContentId, manifest: Option<Manifest>) {
        self.node.join(Join { content, manifest, order: Order::RarestFirst, patience: None }).await;
    }

    pub(super) async fn on_opened(&mut self, id: EntryId, result: Result<Opened, Refusal>) {
        let opened = match result {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(id, refusal).await,
        };
        let content = opened.manifest.id();
        if self.is_twin(id, content).await {
            return;
        }
        // It may have been removed meanwhile.
        let Some(entry) = self.work.contents.get_mut(id) else { return };
        let is_joined = entry.state == State::Fetching;
        let is_seed = opened.wanted.is_empty();
        if let (Some(before), Spec::Paths { .. }) =
            (entry.content.filter(|before| *before != content), &entry.spec)
        {
            warn!(before = %before.short(), now = %content.short(), name = %entry.name, "the data changed: it is another content now");
        }
        entry.content = Some(content);
        entry.name = opened.manifest.name();
        entry.manifest = Some(opened.manifest.clone());
        entry.unreadable.clear();
        entry.complete_len = opened.complete_len();
        entry.spec = opened.spec;
        entry.content_len = opened.manifest.geometry().content_len();
        entry.present_len = opened.present_len;
        (entry.lost_chunks, entry.refusal, entry.remarks) = (0, None, opened.remarks);
        entry.state = if is_seed { State::Serving } else { State::Fetching };
        let (is_configured, name) = (entry.is_configured, entry.name.clone());
        if !is_configured && let Err(error) = self.saved.store(&self.work.contents) {
            return self.refuse(id, error.into()).await;
        }
        if !is_joined {
            self.join(content, Some(opened.manifest)).await;
        }
        self.node.open_store(content, opened.store, opened.durable, opened.wanted).await;
        if !is_joined && !is_seed {
            self.add_sources(id).await;
        }
        info!(content = %content.short(), name, bytes = opened.present_len, "serving");
        self.answer_added(id, false).await;
    }

    async fn add_sources(&self, id: EntryId) {
        let Some(Spec::Fetch(FetchSpec { ticket, .. })) = self.work.contents.get(id).map(|entry| &entry.spec)
        else {
            return;
        };
        let Ok(ticket) = ticket.parse::<Ticket>() else { return };
        for source in ticket.sources {
            self.node.add_source(ticket.content, source, Purpose::Fetch).await;
        }
        self.node.add_coordinators(ticket.content, ticket.coordinators).await;
    }

    /// Whether another entry serves this content already: one is enough. One that only claims it gives way.
    async fn is_twin(&mut self, id: EntryId, content: ContentId) -> bool {
        let Some(other) = self.work.contents.find_other(content, id) else { return false };
        let is_live = |entry: &Entry| matches!(entry.state, State::Serving | State::Fetching);
        let twice = Answer::error(Category::Other, "it was added a second time: see `swarm ls`");
        if !self.work.contents.get(other).is_some_and(is_live) {
            if let Some(mut claim) = self.work.contents.remove(other) {
                claim.answer(twice);
            }
            return false;
        }
        let waiter = self.work.contents.remove(id).and_then(|twin| twin.waiter);
        warn!(content = %content.short(), "a content is named twice: it is served once");
        if let Some(first) = self.work.contents.get_mut(other).filter(|_| waiter.is_some()) {
            first.answer(twice);
            first.waiter = waiter;
            self.answer_added(other, true).await;
        }
        true
    }

    /// A content cannot be served. If a client waits for it, the client is told and the content is dropped; otherwise it is tried again.
    pub(super) async fn refuse(&mut self, id: EntryId, refusal: Refusal) {
        let retry_at = self.work.clock.now() + OPENING_RETRY;
        let Some(entry) = self.work.contents.get_mut(id) else { return };
        let is_live = matches!(entry.state, State::Serving | State::Fetching);
        let joined = entry.content.filter(|_| is_live);
        if entry.waiter.is_some() {
            entry.answer(Answer::error(refusal.category, refusal.message));
            self.work.contents.remove(id);
        } else {
            if entry.refusal.as_ref() != Some(&refusal) {
                warn!(name = %entry.name, why = refusal.message, "cannot be served; trying again every now and then");
            }
            entry.refusal = Some(refusal);
            entry.state = State::Failed { retry_at };
        }
        if let Some(content) = joined {
            self.node.leave(content).await;
        }
    }

    async fn answer_added(&mut self, id: EntryId, was_there: bool) {
        let Some(content) = self.content_status(id).await else { return };
        if let Some(entry) = self.work.contents.get_mut(id) {
            let remarks = entry.remarks.clone();
            entry.answer(Answer::Added { content: Box::new(content), was_there, remarks });
        }
    }

    async fn content_status(&self, id: EntryId) -> Option<ContentStatus> {
        let wanted = self.work.contents.get(id)?.content?.to_string();
        let snapshot = self.node.snapshot().await;
        let contents = self.view(&snapshot, &self.source()).contents();
        contents.into_iter().find(|content| content.content.as_ref() == Some(&wanted))
    }
}

/// What is to be done for an entry whose turn it is.
enum Prepared {
    Open(Option<Manifest>),
    AskPeers(Ticket),
    Refused(Refusal),
}

impl Work {
    fn prepare(&self, id: EntryId) -> Prepared {
        let Some(Spec::Fetch(FetchSpec { ticket, .. })) = self.contents.get(id).map(|entry| &entry.spec)
        else {
            return Prepared::Open(None);
        };
        let ticket: Ticket = match ticket.parse() {
            Ok(ticket) => ticket,
            Err(error) => {
                return Prepared::Refused(Refusal { category: Category::Usage, message: format!("{error}") });
            }
        };
        match self.opener.known_manifest(ticket.content) {
            Some(manifest) => Prepared::Open(Some(manifest)),
            None => Prepared::AskPeers(ticket),
        }
    }

    /// Opens an entry on a thread of its own: it may have to hash what is there.
    pub(super) fn open(&mut self, id: EntryId, manifest: Option<Manifest>) {
        let Some(entry) = self.contents.get_mut(id) else { return };
        if entry.state == State::Waiting {
            entry.state = State::Hashing;
        }
        let (spec, is_configured) = (entry.spec.clone(), entry.is_configured);
        let (opener, progress) = (self.opener.clone(), entry.progress.clone());
        self.openings.spawn_blocking(move || {
            let show = |hashed: HashProgress| {
                progress.send_replace(hashed);
            };
            let open = || opener.open(spec, is_configured, manifest, &show);
            let opened = std::panic::catch_unwind(AssertUnwindSafe(open));
            (id, opened.unwrap_or_else(|_| Err(Refusal::died())))
        });
    }
}
