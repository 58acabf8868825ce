//! A coordinator: nodes tell it what they take part in, and it tells them of each other. Any node may be one; several may
//! serve one content, and a swarm goes on without any.
//!
//! `desk` is the one task that knows everything: it takes calls, asks the pure registry, answers. `serve` is one node's link,
//! `probe` tries whether a node is where it says and has what it says, `book` keeps the desk's knowledge over a restart,
//! `own` is the node that it runs in; `reach` decides which addresses are worth handing out, `pace` is the rate limit at the door.
//!
//! Invariant: nobody but the own node is named to others before a probe reached it; an address is handed out only if this coordinator saw the
//! node there, or reached it there, or the one who asks is on the same network. Absent here: chunks, and who fetches from whom.

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

/// A coordinator that runs as long as its tasks do.
pub struct Coordinator {
    links: mpsc::Sender<QuicLink>,
    calls: mpsc::Sender<Call>,
    totals: watch::Receiver<Totals>,
}

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// What it knew cannot be read, or nothing can be kept.
    #[error(transparent)]
    Book(#[from] BookError),
    /// It has no key to probe by.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl CoordinatorError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Book(error) => error.category(),
            Self::Identity(error) => error.category(),
        }
    }
}

/// What a coordinator knows at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Contents that somebody takes part in.
    pub contents: usize,
    /// Announcements: nodes, counted once for each content.
    pub announcements: usize,
    /// Of those, such that others are told of.
    pub listed: usize,
    /// Nodes that are linked.
    pub links: usize,
    /// Bytes of what nodes signed.
    pub records_len: usize,
}

/// Stands for a content in the claim on a key, so that a coordinator is the same node at every start.
pub fn key_claim() -> ContentId {
    ContentId::from_bytes(*blake3::hash(b"swarm coordinator").as_bytes())
}

impl Coordinator {
    /// Reads what was known before, and starts. The tasks end when `ending` is cancelled; what is known is then on disk.
    ///
    /// # Errors
    /// If the folder cannot be used, or the system gives no random bytes.
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

    /// Where links to this coordinator are handed in.
    pub fn links(&self) -> mpsc::Sender<QuicLink> {
        self.links.clone()
    }

    /// What it knows; changes at most once a second.
    pub fn totals(&self) -> watch::Receiver<Totals> {
        self.totals.clone()
    }
}
