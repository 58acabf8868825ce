//! Uploads that go on. Invariant: each can be taken back until it is settled, and is when its link is gone.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fact::{Fact, Report};
use super::upload::{self, UploadTask};
use swarm_core::wire::RequestId;
use swarm_engine::{Input, LinkId, RunRequest};
use swarm_link::Link;

pub(super) struct Uploads {
    running: BTreeMap<(LinkId, RequestId), CancellationToken>,
    report: Report,
    tasks: TaskTracker,
}

impl Uploads {
    pub(super) fn new(report: Report, tasks: TaskTracker) -> Self {
        Self { running: BTreeMap::new(), report, tasks }
    }

    pub(super) fn start<L: Link>(&mut self, task: UploadTask<L>) {
        let RunRequest { link, request, .. } = task.wanted;
        self.running.insert((link, request), task.cancel.clone());
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let (sent_len, end, stream) = upload::run(&task).await;
            // The node may have ended.
            let _ = report.send(Fact::Input(Input::UploadEnded { link, request, sent_len, end })).await;
            if let Some(stream) = stream {
                upload::settle(&task, stream).await;
            }
            let _ = report.send(Fact::UploadSettled { link, request }).await;
        });
    }

    /// Takes one back, as far as it has not reached the peer.
    pub(super) fn stop(&self, link: LinkId, request: RequestId) {
        if let Some(cancel) = self.running.get(&(link, request)) {
            cancel.cancel();
        }
    }

    /// The peer has all of it, or wants no more of it.
    pub(super) fn settled(&mut self, link: LinkId, request: RequestId) {
        self.running.remove(&(link, request));
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.running.retain(|(of, _), cancel| {
            if *of == link {
                cancel.cancel();
            }
            *of != link
        });
    }
}
