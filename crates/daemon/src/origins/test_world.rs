//! An origin that nobody answers for, and a library that follows it, for tests of its parts.

use std::sync::Arc;

use swarm_core::base::NodeId;
use swarm_node::Throttle;
use swarm_origins::ListedFile;
use swarm_sync::ContentHash;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::{OriginSettings, Shared};
use super::{Fetches, Followed, Ground};
use crate::contents;
use crate::daemon::tests::Standing;

pub(super) struct World {
    pub(super) standing: Standing,
    pub(super) shared: Arc<Shared>,
    pub(super) followed: Followed,
    pub(super) ground: Ground,
    pub(super) spool: tempfile::TempDir,
    _contents: mpsc::Receiver<contents::Input>,
    _fetches: watch::Sender<Fetches>,
}

impl World {
    pub(super) async fn start() -> Self {
        let standing = Standing::start().await;
        let url = "http://127.0.0.1:1".parse().expect("an address");
        let settings = OriginSettings { url, user: None, fingerprint: None, trusted: true };
        let shared = Arc::new(Shared::new(settings, CancellationToken::new()).expect("an origin"));
        let down = || Throttle::new(None);
        let (handle, settings) = (standing.handle.clone(), standing.settings.clone());
        let followed = Followed { handle, settings, down: [down(), down()] };
        let (spool, (contents, taken)) = (tempfile::tempdir().expect("a folder"), mpsc::channel(8));
        let (fetches, seen) = watch::channel(Fetches::new());
        let ground = Ground {
            me: NodeId::from_bytes([1; 32]),
            spool: spool.path().to_owned(),
            contents,
            peers: watch::channel(Vec::new()).1,
            fetches: seen,
            down: down(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
        };
        Self { standing, shared, followed, ground, spool, _contents: taken, _fetches: fetches }
    }

    pub(super) async fn end(self) {
        let Self { standing, shared, followed, ground, .. } = self;
        drop((shared, followed, ground));
        standing.end().await;
    }
}

/// A file that is listed with its BLAKE3.
pub(super) fn file(path: &str, length: u64, hash: ContentHash) -> ListedFile {
    ListedFile { path: path.to_owned(), length, mtime: None, sha256: None, blake3: Some(hash.0) }
}

/// More than any disk has.
pub(super) const TOO_LONG: u64 = u64::MAX / 4;
