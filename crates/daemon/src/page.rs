//! Where the pages /metrics and /health of a daemon are served. Invariant: they stand where the settings say now; an address that is taken is told,
//! and tried again.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use swarm_pages::{Answer, Page, Tells};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::asking::Asker;
use crate::clock;
use crate::limits::PAGE_RETRY_INTERVAL;
use crate::metrics;
use crate::protocol::{Reply, Request};

/// The pages of a daemon.
pub(crate) struct Pages {
    asker: Asker,
    tasks: TaskTracker,
    ending: CancellationToken,
    place: Place,
}

enum Place {
    /// The settings name none.
    None,
    Taken {
        wanted: SocketAddr,
        why: String,
        tried_at: Instant,
    },
    /// Dropping it ends the task that serves.
    Served {
        wanted: SocketAddr,
        bound: SocketAddr,
        _ending: DropGuard,
    },
}

impl Pages {
    /// Serves nothing yet.
    pub(crate) fn new(asker: Asker, tasks: TaskTracker, ending: CancellationToken) -> Self {
        Self { asker, tasks, ending, place: Place::None }
    }

    /// Serves at an address from now on, or nowhere.
    pub(crate) fn follow(&mut self, wanted: Option<SocketAddr>) {
        if wanted == self.wanted() {
            return;
        }
        self.place = Place::None;
        if let Some(wanted) = wanted {
            self.serve(wanted);
        }
    }

    /// Tries an address again that was taken.
    pub(crate) fn look(&mut self) {
        if let Place::Taken { wanted, tried_at, .. } = self.place
            && tried_at.elapsed() >= PAGE_RETRY_INTERVAL
        {
            self.serve(wanted);
        }
    }

    /// Where they are served.
    pub(crate) fn bound(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Served { bound, .. } => Some(bound),
            Place::None | Place::Taken { .. } => None,
        }
    }

    /// Why they are not, where the settings say.
    pub(crate) fn trouble(&self) -> Option<&str> {
        match &self.place {
            Place::Taken { why, .. } => Some(why),
            Place::None | Place::Served { .. } => None,
        }
    }

    fn wanted(&self) -> Option<SocketAddr> {
        match self.place {
            Place::None => None,
            Place::Taken { wanted, .. } | Place::Served { wanted, .. } => Some(wanted),
        }
    }

    fn serve(&mut self, wanted: SocketAddr) {
        self.place = match listen(wanted) {
            Ok((listener, bound)) => {
                let ending = self.ending.child_token();
                let process = AskedDaemon(self.asker.clone());
                self.tasks.spawn(swarm_pages::serve(listener, process, ending.clone(), self.tasks.clone()));
                tracing::info!(address = %bound, "serving /metrics and /health");
                Place::Served { wanted, bound, _ending: ending.drop_guard() }
            }
            Err(error) => {
                let why = format!(
                    "config.json: \"metrics\": cannot listen at {wanted}: {error}; free it or name another"
                );
                if self.trouble() != Some(&why) {
                    tracing::warn!("{why}");
                }
                Place::Taken { wanted, why, tried_at: clock::moment() }
            }
        };
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, bound))
}

/// A daemon that is asked.
#[derive(Clone)]
struct AskedDaemon(Asker);

impl Tells for AskedDaemon {
    async fn tell(&self, page: Page) -> Option<Answer> {
        let Reply::Status(status) = self.0.ask(Request::Status).await else { return None };
        Some(match page {
            Page::Metrics => Answer::Metrics(metrics::encode(*status)),
            Page::Health => match metrics::troubles(&status) {
                troubles if troubles.is_empty() => Answer::Healthy,
                troubles => Answer::Troubles(troubles),
            },
        })
    }
}
