//! What is to be fetched, from where and how: data that a product makes of arguments, a configuration or a request.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use swarm_core::base::ContentId;
use swarm_core::base::limits::{COORDINATORS_MAX, SIGNATURES_MAX, WRAPPED_KEYS_MAX};
use swarm_core::manifest::{ContentKey, Manifest, Signature, Source, Ticket, WrappedKey};
use swarm_discovery::Finders;
use swarm_engine::{Order, Patience};

use super::Selection;

/// One fetch.
#[derive(Clone, Debug)]
pub struct FetchPlan {
    /// The content to fetch.
    pub content: ContentId,
    /// The manifest, if it need not come from peers.
    pub manifest: Option<Manifest>,
    /// Nodes that are said to have it.
    pub sources: Vec<Source>,
    /// Coordinators that the ticket or manifest names, beside those that the node asks anyhow.
    pub coordinators: Vec<Source>,
    /// What publishers signed; tickets made here repeat it.
    pub signatures: Vec<Signature>,
    /// The key that the ticket shows to all; tickets made here repeat it.
    pub ticket_key: Option<ContentKey>,
    /// The same for some nodes.
    pub wrapped_keys: Vec<WrappedKey>,
    /// What this node opens the content with, if it is sealed. Without it a sealed content is fetched as it is, as a mirror does.
    pub content_key: Option<ContentKey>,
    /// The key was asked for by name: that the content is not sealed is then an error.
    pub must_be_sealed: bool,
    /// The files that are wanted.
    pub selection: Selection,
    /// Where they go.
    pub destination: Destination,
    /// In which order chunks are fetched.
    pub order: Order,
    /// How long it goes on without any progress; `None` for ever.
    pub patience: Option<Duration>,
    /// Whether it goes on serving when all is there.
    pub keeps_seeding: bool,
}

/// Where the data of a fetch goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Into a folder.
    Folder(FolderPlan),
    /// One file in order, to what this makes.
    Stream(fn() -> Box<dyn Write + Send>),
}

/// A folder that is to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderPlan {
    /// The folder; made if it is missing.
    pub out: PathBuf,
    /// Whether files that stand in the way are replaced when the new ones are complete.
    pub overwrite: bool,
    /// Whether everything is read from the disk again before any file gets its name.
    pub verify_at_end: bool,
}

impl FetchPlan {
    /// Whether there is any node to begin with, or to ask.
    pub(super) fn may_find(&self, finders: &Finders) -> bool {
        !self.sources.is_empty() || !self.coordinators.is_empty() || finders.has_any()
    }

    /// When the engine gives up.
    pub(super) fn engine_patience(&self, finders: &Finders) -> Option<Patience> {
        self.patience.map(|idle| Patience { idle, search: self.search_time(finders).min(idle) })
    }

    /// How long finders may take to find a node that is there.
    fn search_time(&self, finders: &Finders) -> Duration {
        let asks_far = finders.dht || !finders.coordinators.is_empty() || !self.coordinators.is_empty();
        match (asks_far, finders.lan) {
            (true, _) => FAR_SEARCH_TIME,
            (false, true) => LAN_SEARCH_TIME,
            (false, false) => Duration::ZERO,
        }
    }

    /// A ticket that names `source`, for others.
    pub(super) fn ticket(&self, source: Source, finders: &Finders) -> Ticket {
        let coordinators = finders.coordinators.iter().chain(&self.coordinators);
        Ticket {
            sources: vec![source],
            coordinators: coordinators.take(COORDINATORS_MAX).cloned().collect(),
            signatures: self.signatures.iter().take(SIGNATURES_MAX).cloned().collect(),
            key: self.ticket_key.clone(),
            wrapped_keys: self.wrapped_keys.iter().take(WRAPPED_KEYS_MAX).cloned().collect(),
            ..Ticket::new(self.content)
        }
    }
}

impl Destination {
    /// The folder, if it is one.
    pub fn folder(&self) -> Option<&FolderPlan> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Stream(_) => None,
        }
    }
}

/// A coordinator answers within a round trip, a DHT within some ten seconds.
const FAR_SEARCH_TIME: Duration = Duration::from_secs(15);
/// Nodes that are there answer within a tenth of a second.
const LAN_SEARCH_TIME: Duration = Duration::from_secs(2);
