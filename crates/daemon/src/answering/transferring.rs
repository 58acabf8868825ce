//! What is asked of transfers, answered: the contents tell how each stands, and the memory of its library where its files go. Invariant: libraries are
//! read in a thread of their own. Absent here: what follows for the engine (`contents/jobs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use swarm_core::base::{Category, Rate};
use swarm_engine::PeerRow;
use swarm_index::LibraryBook;
use swarm_library::LibraryKey;
use tokio::sync::{mpsc, oneshot};

use crate::asking::stopping;
use crate::contents::{Input, Job, Jobs, JobsQuery, Part, SteerFault};
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::protocol::{Reply, Request};
use crate::transfers::{
    SlowReason, TransferDetail, TransferKind, TransferPeer, TransferState, TransferView, id_of, parse_id,
};

/// A library, as an answer names it.
struct Named {
    name: String,
    guid: String,
    index: PathBuf,
}

/// Everything that an answer is made with, beside the transfers.
struct Ground {
    libraries: BTreeMap<LibraryKey, Named>,
    /// What comes to this node, and how much of it may, bytes a second.
    rate: u64,
    limit: Option<Rate>,
}

/// Answers in a task of its own.
pub(super) fn answer(desk: &Desk, request: Request, reply: oneshot::Sender<Reply>) {
    let contents = desk.contents().clone();
    let ground = Ground { libraries: named(desk), rate: desk.traffic.down, limit: desk.limits.down };
    desk.tasks().spawn(async move {
        // Who asked may be gone.
        let _ = reply.send(answered(ground, &contents, request).await);
    });
}

fn named(desk: &Desk) -> BTreeMap<LibraryKey, Named> {
    let works = desk.libraries.iter().filter_map(|(key, running)| match running {
        Running::Works { handle, settings, .. } => {
            let (name, guid) = (settings.name.clone(), settings.guid.to_string());
            Some((*key, Named { name, guid, index: handle.index_path.clone() }))
        }
        Running::Stands { .. } => None,
    });
    works.collect()
}

async fn answered(ground: Ground, contents: &mpsc::Sender<Input>, request: Request) -> Reply {
    let id = match &request {
        Request::Transfer { id } | Request::Steer { id, .. } => Some(id.clone()),
        _ => None,
    };
    let meant = id.as_deref().map(|id| meant(&ground, id).ok_or(id));
    let (library, part) = match meant {
        None => return list(ground, contents).await,
        Some(Err(id)) => return unknown(id),
        Some(Ok(meant)) => meant,
    };
    let id = id.unwrap_or_default();
    if let Request::Steer { action, priority, .. } = request {
        let (sender, answer) = oneshot::channel();
        let _ = contents.send(Input::Steer { library, part, action, priority, reply: sender }).await;
        return match answer.await {
            Ok(Ok(())) => Reply::Done,
            Ok(Err(SteerFault::Unknown)) => unknown(&id),
            Ok(Err(SteerFault::Disk(error))) => {
                Reply::failed(Category::Disk, format!("cannot remember that: {error}"))
            }
            Err(_) => stopping(),
        };
    }
    let jobs = jobs(contents, JobsQuery::One(library, part)).await;
    let shown = tokio::task::spawn_blocking(move || {
        let job = jobs?.jobs.pop()?;
        Some(ground.detail(&job))
    });
    match shown.await {
        Ok(Some(Some(detail))) => Reply::Transfer(Box::new(detail)),
        Ok(_) => unknown(&id),
        Err(_) => Reply::failed(Category::Other, "reading a library failed: this is a bug, please report it"),
    }
}

async fn list(ground: Ground, contents: &mpsc::Sender<Input>) -> Reply {
    let Some(Jobs { jobs, further }) = jobs(contents, JobsQuery::All).await else {
        return stopping();
    };
    let shown = tokio::task::spawn_blocking(move || {
        let transfers: Vec<TransferView> = jobs.iter().filter_map(|job| ground.view(job)).collect();
        let guid =
            |(library, count): (LibraryKey, u64)| Some((ground.libraries.get(&library)?.guid.clone(), count));
        (transfers, further.into_iter().filter_map(guid).collect())
    });
    match shown.await {
        Ok((transfers, further)) => Reply::Transfers { transfers, further },
        Err(_) => Reply::failed(Category::Other, "reading a library failed: this is a bug, please report it"),
    }
}

async fn jobs(contents: &mpsc::Sender<Input>, query: JobsQuery) -> Option<Jobs> {
    let (reply, answer) = oneshot::channel();
    contents.send(Input::Jobs { query, reply }).await.ok()?;
    answer.await.ok()
}

fn meant(ground: &Ground, id: &str) -> Option<(LibraryKey, crate::contents::Part)> {
    let (guid, part) = parse_id(id)?;
    let library = ground.libraries.iter().find(|(_, named)| named.guid == guid)?.0;
    Some((*library, part))
}

fn unknown(id: &str) -> Reply {
    let message = format!("no transfer `{id}` here: it may be over");
    Reply::failed(Category::NoSource, message)
}

impl Ground {
    /// A transfer, if its library is one that works.
    fn view(&self, job: &Job) -> Option<TransferView> {
        let Named { name, guid, index } = self.libraries.get(&job.library)?;
        let path = job.first.and_then(|first| {
            let book = LibraryBook::open(index).ok()?;
            // A version of a conflict stands at no path that waits.
            book.parked_at(&first, 1).ok()?.pop()
        });
        let (len, rate) = (job.len(), job.rate());
        let left_len = len.saturating_sub(job.map.here_len).saturating_sub(job.map.coming_len);
        let is_fetched = job.state == TransferState::Fetching;
        let kind = match job.part {
            Part::Ticket(_) => TransferKind::Ticket,
            Part::File(_) | Part::Rest(_) => TransferKind::Library,
        };
        let path = path.map(|path| path.to_string()).or_else(|| job.path.clone());
        Some(TransferView {
            kind,
            id: id_of(guid, &job.part),
            library: guid.clone(),
            library_name: name.clone(),
            path: path.unwrap_or_default(),
            files: job.files,
            renamed: job.renamed,
            bytes: len,
            bytes_here: job.map.here_len,
            bytes_coming: job.map.coming_len,
            chunks: job.map.chunk_count,
            chunks_here: job.map.here_count,
            state: job.state,
            priority: job.priority,
            rate: if is_fetched { rate } else { 0 },
            eta_seconds: (is_fetched && rate > 0).then(|| left_len.div_ceil(rate)),
            why: self.why(job),
            peers: (job.map.peers.len() + job.map.further_peers) as u32,
        })
    }

    fn detail(&self, job: &Job) -> Option<TransferDetail> {
        let transfer = self.view(job)?;
        let source = |peer: &PeerRow| TransferPeer {
            node: peer.node.to_string(),
            rate: job.rates.get(&peer.node).copied().unwrap_or_default(),
            bytes_asked: peer.asked_len,
            chunks: peer.has_count,
            is_choked: peer.is_choked,
            is_stalled: peer.is_stalled,
            has: peer.has.clone(),
            asked: peer.asked.clone(),
        };
        Some(TransferDetail {
            transfer,
            here: job.map.here.clone(),
            sources: job.map.peers.iter().map(source).collect(),
            further_sources: job.map.further_peers as u64,
        })
    }

    /// The limit of the node counts where nothing else holds a transfer up.
    fn why(&self, job: &Job) -> Option<SlowReason> {
        let is_at_limit = |limit: &Rate| self.rate >= limit.0 / 5 * 4;
        match (&job.why, self.limit.filter(is_at_limit)) {
            (None | Some(SlowReason::OnePeer), Some(limit)) if job.state == TransferState::Fetching => {
                Some(SlowReason::Limited { bytes_per_sec: limit.0, of_library: false })
            }
            (why, _) => why.clone(),
        }
    }
}
