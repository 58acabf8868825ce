//! What the pages /metrics and /health tell of a node: they ask it for its status.

use swarm_files::HashProgress;
use swarm_pages::{Answer as Told, Page, Tells};
use tokio::sync::{mpsc, oneshot, watch};

use super::control::Call;
use super::metrics;
use super::protocol::{Answer, Request, Status};

/// A node that is asked by these calls.
#[derive(Clone)]
pub(super) struct AskedNode(pub(super) mpsc::Sender<Call>);

impl Tells for AskedNode {
    async fn tell(&self, page: Page) -> Option<Told> {
        let status = self.ask().await?;
        Some(match page {
            Page::Metrics => Told::Metrics(metrics::encode(&status)),
            Page::Health if status.is_healthy => Told::Healthy,
            Page::Health => Told::Troubles(status.troubles),
        })
    }
}

impl AskedNode {
    async fn ask(&self) -> Option<Box<Status>> {
        let (answer, answered) = oneshot::channel();
        let progress = watch::Sender::new(HashProgress { hashed_len: 0, total_len: 0 });
        self.0.send(Call { request: Request::Status, progress, answer }).await.ok()?;
        match answered.await.ok()? {
            Answer::Status(status) => Some(status),
            _ => None,
        }
    }
}
