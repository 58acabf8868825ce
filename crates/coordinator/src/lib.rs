//! A coordinator: nodes announce their contents to it, and it tells them of each other. Any node may be one; several may
//! serve one content, and a swarm goes on without any.
//!
//! `desk` is the one task that owns all records: it takes calls, asks the pure registry, and answers. `serve` is the link of one
//! node, `probe` tests whether a node has its address and its chunks, `book` keeps the records over a restart, `own` is the node
//! of the same process; `reach` decides which addresses are passed on, `pace` limits the rate of messages.
//!
//! Invariant: no node but the own one is named to others before a probe reached it; an address is passed on only if this
//! coordinator saw the node there, a probe reached it there, or the node that asks is on the same network. Absent here: chunks,
//! and the decision which node fetches from which.

pub mod limits;

mod book;
mod desk;
mod own;
mod pace;
mod probe;
mod reach;
mod serve;

use std::path::Path;
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use book::BookError;
pub use own::{OwnNode, OwnPlace};

use crate::limits::{COORDINATOR_CALLS_WAITING_MAX, COORDINATOR_LINKS_WAITING_MAX};
use book::Book;
use desk::{Call, Desk};
use swarm_core::base::{Category, ContentId};
use swarm_link::{Endpoint, Identity, IdentityError, QuicLink};

/// A running coordinator; it ends when its tasks do.
pub struct Coordinator {
    links: mpsc::Sender<QuicLink>,
    calls: mpsc::Sender<Call>,
    totals: watch::Receiver<Totals>,
}

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// Its records cannot be read or stored.
    #[error(transparent)]
    Book(#[from] BookError),
    /// It has no key for its probes.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl CoordinatorError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Book(error) => error.category(),
            Self::Identity(error) => error.category(),
        }
    }
}

/// Sizes of a coordinator's records at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Contents with at least one node.
    pub contents: usize,
    /// Announcements: each node counts once for each content.
    pub announcements: usize,
    /// Announcements whose nodes are named to others.
    pub listed: usize,
    /// Nodes that are linked.
    pub links: usize,
    /// Length of all signed announcements, bytes.
    pub records_len: usize,
}

/// The claim on a key that stands for the coordinator, so that it is the same node at every start.
pub fn key_claim() -> ContentId {
    ContentId::from_bytes(*blake3::hash(b"swarm coordinator").as_bytes())
}

impl Coordinator {
    /// Reads the stored records, and starts. The tasks end when `ending` is cancelled, after all records were written.
    ///
    /// # Errors
    /// If the folder cannot be used, or the system has no random bytes.
    pub fn start(
        endpoint: &Endpoint,
        state_dir: &Path,
        wall_clock: fn() -> SystemTime,
        tasks: &TaskTracker,
        ending: &CancellationToken,
    ) -> Result<Self, CoordinatorError> {
        let (book, kept) = Book::open(state_dir)?;
        let (links, link_queue) = mpsc::channel(COORDINATOR_LINKS_WAITING_MAX);
        let (calls, call_queue) = mpsc::channel(COORDINATOR_CALLS_WAITING_MAX);
        let (report, totals) = watch::channel(Totals::default());
        let desk = Desk::new(endpoint, Identity::ephemeral()?, book, kept, wall_clock, calls.clone(), report);
        tasks.spawn(desk.run(call_queue, tasks.clone(), ending.clone()));
        tasks.spawn(serve::accept(
            link_queue,
            endpoint.clone(),
            calls.clone(),
            tasks.clone(),
            ending.clone(),
        ));
        Ok(Self { links, calls, totals })
    }

    /// Takes the links that nodes open to this coordinator.
    pub fn links(&self) -> mpsc::Sender<QuicLink> {
        self.links.clone()
    }

    /// The sizes of its records; they change at most once a second.
    pub fn totals(&self) -> watch::Receiver<Totals> {
        self.totals.clone()
    }
}
