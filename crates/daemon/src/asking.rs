//! How a daemon is asked from within its process: by the control socket, the pages and an API. Invariant: who asks waits, and never holds the
//! daemon up; a daemon that ends answers that.

use tokio::sync::{mpsc, oneshot};

use crate::library::{LibraryFiles, Past, PastFile};
use crate::protocol::{Reply, Request};
use crate::transfers::{FetchOrder, FetchRefusal, FetchView};
use swarm_core::base::Category;
use swarm_sync::TreePath;

/// A question, and where its answer goes.
pub(crate) enum Call {
    /// What commands ask.
    Request { request: Request, reply: oneshot::Sender<Reply> },
    /// The files of a library, by its name or GUID.
    Files { library: String, reply: oneshot::Sender<Result<LibraryFiles, Reply>> },
    /// A ticket or a manifest is fetched.
    Fetch { order: FetchOrder, reply: oneshot::Sender<Result<FetchView, FetchRefusal>> },
    /// What a path of a library had, opened.
    Past {
        library: String,
        path: TreePath,
        past: Past,
        reply: oneshot::Sender<Result<Option<PastFile>, Reply>>,
    },
}

/// Asks a daemon that runs in this process.
#[derive(Clone, Debug)]
pub struct Asker {
    calls: mpsc::Sender<Call>,
}

impl Asker {
    pub(crate) fn new(calls: mpsc::Sender<Call>) -> Self {
        Self { calls }
    }

    /// Asks what a command may ask.
    pub async fn ask(&self, request: Request) -> Reply {
        let (reply, answered) = oneshot::channel();
        let is_sent = self.calls.send(Call::Request { request, reply }).await.is_ok();
        let answer = if is_sent { answered.await.ok() } else { None };
        answer.unwrap_or_else(stopping)
    }

    /// The files of a library, for reading.
    ///
    /// # Errors
    /// A reply that says why not: there is no such library, or it does not work.
    pub async fn files(&self, library: &str) -> Result<LibraryFiles, Reply> {
        let (reply, answered) = oneshot::channel();
        let call = Call::Files { library: library.to_owned(), reply };
        let is_sent = self.calls.send(call).await.is_ok();
        let answer = if is_sent { answered.await.ok() } else { None };
        answer.unwrap_or_else(|| Err(stopping()))
    }

    /// Fetches a ticket or a manifest into a library, or says what that would be.
    ///
    /// # Errors
    /// Why not.
    pub async fn fetch(&self, order: FetchOrder) -> Result<FetchView, FetchRefusal> {
        let (reply, answered) = oneshot::channel();
        let is_sent = self.calls.send(Call::Fetch { order, reply }).await.is_ok();
        let answer = if is_sent { answered.await.ok() } else { None };
        answer.unwrap_or_else(|| Err(FetchRefusal::Failed(stopping())))
    }

    /// What a path of a library had, for reading: a kept version, or a side of a conflict. `None` if the bytes are on their way here.
    ///
    /// # Errors
    /// A reply that says why not: there is no such version, or the library does not work.
    pub async fn past(&self, library: &str, path: &TreePath, past: Past) -> Result<Option<PastFile>, Reply> {
        let (reply, answered) = oneshot::channel();
        let call = Call::Past { library: library.to_owned(), path: path.clone(), past, reply };
        let is_sent = self.calls.send(call).await.is_ok();
        let answer = if is_sent { answered.await.ok() } else { None };
        answer.unwrap_or_else(|| Err(stopping()))
    }
}

pub(crate) fn stopping() -> Reply {
    Reply::failed(Category::Interrupted, "the daemon is stopping")
}
