//! Fetches of tickets as transfers: how each stands and why it is slow, and what follows when somebody steers one. Invariant: what is said of a fetch holds
//! over a restart; one that is cancelled leaves nothing but what has its place already. Absent here: the transfers of libraries (`contents/jobs`).

use std::collections::BTreeMap;
use std::ops::Range;

use swarm_core::base::ContentId;
use swarm_engine::{Bottleneck, ChunkMap, ContentSnapshot};
use swarm_library::LibraryKey;

use super::super::jobs::{Job, SteerFault};
use super::super::steering::Part;
use super::super::supply::{Supply, Turn};
use super::super::{Contents, Done};
use super::state::{Step, TicketFetch};
use super::{Tickets, opening};
use crate::clock;
use crate::library::LibraryHandle;
use crate::transfers::{Action, Priority, SlowReason, TransferState};

impl Tickets {
    /// The chunks that a fetch wants; none until that is known.
    pub(in crate::contents) fn runs(&self, content: &ContentId) -> Vec<Range<u32>> {
        self.joined(content).map(|joined| joined.runs.clone()).unwrap_or_default()
    }
}

impl Contents {
    /// All fetches of tickets, without what the engine knows of them.
    pub(in crate::contents) fn ticket_jobs(&self) -> impl Iterator<Item = Job> + '_ {
        let due = self.tickets.due(clock::moment());
        self.tickets.of.iter().map(move |(content, ticket)| {
            let ahead = due.iter().position(|waiting| waiting == content);
            let known = &ticket.record.known;
            Job {
                library: ticket.library,
                content: *content,
                part: Part::Ticket(*content),
                files: known.files,
                first: None,
                path: known.path.clone(),
                renamed: known.renamed,
                len: known.len,
                priority: ticket.record.priority,
                state: self.state_of(ticket),
                ahead: ahead.unwrap_or_default() as u64,
                why: None,
                // What the engine does not know of one that it does not have.
                map: ChunkMap { here_len: known.here_len, ..ChunkMap::default() },
                rates: BTreeMap::new(),
            }
        })
    }

    fn state_of(&self, ticket: &TicketFetch) -> TransferState {
        let is_paused = self.libraries.get(&ticket.library).is_some_and(LibraryHandle::fetches_nothing);
        match &ticket.step {
            Step::Done => TransferState::Done,
            Step::Landing { .. } => TransferState::Fetching,
            Step::Waits | Step::Failed { .. } | Step::Joined(_) if ticket.record.is_paused => {
                TransferState::Paused
            }
            Step::Waits if is_paused => TransferState::Paused,
            Step::Waits => TransferState::Queued,
            Step::Failed { due_at: Some(_), wait, .. } if *wait < super::TROUBLE_MIN => {
                TransferState::Opening
            }
            Step::Failed { .. } => TransferState::Failing,
            // Until the manifest is known, peers are asked for it.
            Step::Joined(joined) if joined.given.as_ref().is_some_and(|given| given.manifest.is_none()) => {
                TransferState::Fetching
            }
            Step::Joined(joined) if joined.is_open => TransferState::Fetching,
            Step::Joined(_) => TransferState::Opening,
        }
    }

    /// Why a fetch is slow or waits.
    pub(in crate::contents) fn why_ticket(
        &self,
        job: &Job,
        known: Option<&ContentSnapshot>,
    ) -> Option<SlowReason> {
        let ticket = self.tickets.of.get(&job.content)?;
        match (job.state, &ticket.step) {
            (TransferState::Done, _) => return None,
            (TransferState::Paused, _) if ticket.record.is_paused => return Some(SlowReason::Paused),
            (TransferState::Paused, _) => return Some(self.why_paused(&job.library)),
            (TransferState::Queued, _) => return Some(SlowReason::Queued { ahead: job.ahead }),
            (_, Step::Failed { why, .. }) => return Some(SlowReason::Failing { detail: why.clone() }),
            _ => {}
        }
        let Step::Joined(joined) = &ticket.step else { return None };
        let quiet = joined.since.elapsed();
        if let Some(node) = joined.refused_by.filter(|_| job.rate() == 0) {
            return Some(SlowReason::Refused { node: node.to_string() });
        }
        match Supply::of(Turn::Fetched, known.map(|known| &known.bottleneck), Some(quiet)) {
            Supply::Nobody { seconds } => return Some(SlowReason::Nobody { seconds }),
            Supply::Asked { seconds } if job.rate() == 0 => return Some(SlowReason::Asked { seconds }),
            Supply::Asked { .. }
            | Supply::Coming
            | Supply::Queued { .. }
            | Supply::Paused
            | Supply::Cancelled
            | Supply::Failing => {}
        }
        match known.map(|known| &known.bottleneck) {
            Some(Bottleneck::Disk) => Some(SlowReason::Disk),
            Some(Bottleneck::AllChoked) => Some(SlowReason::Choked),
            _ if job.map.peers.len() == 1 => Some(SlowReason::OnePeer),
            _ => None,
        }
    }

    /// A fetch goes on otherwise from now on.
    pub(in crate::contents) async fn steer_ticket(
        &mut self,
        (library, content): (LibraryKey, ContentId),
        (action, priority): (Option<Action>, Option<Priority>),
    ) -> Result<(), SteerFault> {
        let is_it = |ticket: &&mut TicketFetch| ticket.library == library;
        let Some(ticket) = self.tickets.of.get_mut(&content).filter(is_it) else {
            return Err(SteerFault::Unknown);
        };
        let before = ticket.record.clone();
        ticket.record.priority = priority.unwrap_or(before.priority);
        match action {
            Some(Action::Cancel) => {
                self.cancel_ticket(content).await;
                return Ok(());
            }
            Some(Action::Pause) => ticket.record.is_paused = true,
            Some(Action::Resume) => ticket.record.is_paused = false,
            None => {}
        }
        if let Err(error) = ticket.folder.save(&ticket.record) {
            ticket.record = before;
            return Err(SteerFault::Disk(error.to_string()));
        }
        match (action, &ticket.step) {
            (Some(Action::Pause), Step::Joined(_)) => self.let_ticket_wait(content).await,
            (Some(Action::Resume), Step::Failed { .. }) => ticket.step = Step::Waits,
            _ => {}
        }
        self.jobs_told = None;
        self.start_tickets().await;
        Ok(())
    }

    /// Nothing more comes, and what came goes. One that is done is not shown any more.
    async fn cancel_ticket(&mut self, content: ContentId) {
        self.let_ticket_wait(content).await;
        let Some(ticket) = self.tickets.of.remove(&content) else { return };
        ticket.folder.remove();
        self.jobs_told = None;
        // Where files get their places at this moment, what is left goes after that.
        if matches!(ticket.step, Step::Waits | Step::Failed { .. } | Step::Joined(_)) {
            self.remove_bytes(Some(ticket.library), content);
        }
        self.start_tickets().await;
    }

    /// Removes what came of a fetch that is no more.
    pub(super) fn remove_bytes(&mut self, library: Option<LibraryKey>, content: ContentId) {
        let handle = library.and_then(|library| self.libraries.get(&library));
        let Some(written) = handle.map(|handle| handle.written.clone()) else { return };
        self.tasks.spawn_blocking(move || {
            opening::remove(&written, &content);
            Done::Over
        });
    }
}
