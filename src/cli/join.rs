//! `swarm join`: serve files in place like `swarm seed`, and offer them to a node that collects.

use super::args::{Global, JoinArgs};
use super::failure::Failure;
use super::output::{self, Json};
use super::seed;
use swarm_core::base::NodeId;
use swarm_core::manifest::Source;
use swarm_core::wire::DeclineReason;
use swarm_host::jobs::{PeerNews, ReplicaPlan};

pub(super) async fn run(args: JoinArgs, global: &Global) -> Result<(), Failure> {
    let JoinArgs { aggregator, mut seed, until_replicated } = args;
    let is_json = seed.json;
    let coordinators = &mut seed.find.coordinator;
    coordinators.retain(|known| known.node != aggregator.node);
    coordinators.insert(0, aggregator.clone());
    let joining = Joining { aggregator, is_until_replicated: until_replicated, is_json, last_news: None };
    seed::serve(seed, Some(joining), global).await
}

/// The link to the node that collects, as people see it.
pub(super) struct Joining {
    aggregator: Source,
    is_until_replicated: bool,
    is_json: bool,
    /// What people were told last: it is not said again.
    last_news: Option<String>,
}

impl Joining {
    /// What a seed is to do about it.
    pub(super) fn plan(&self) -> ReplicaPlan {
        ReplicaPlan { aggregator: self.aggregator.clone(), is_enough: self.is_until_replicated }
    }

    /// Shows what a seed does not show of every peer.
    pub(super) fn show(&mut self, node: NodeId, news: &PeerNews) {
        if node != self.aggregator.node {
            return;
        }
        let short = node.short();
        let line = match news {
            PeerNews::Durable => format!("replicated: node {short} has everything, on its disk"),
            PeerNews::Declined(_) => {
                format!("node {short} does not take it now; waiting. Does it collect: swarm aggregate?")
            }
            PeerNews::Unreachable { reason } => format!("{reason}; trying again"),
            PeerNews::Found(_)
            | PeerNews::ToldBy(_)
            | PeerNews::Joined { .. }
            | PeerNews::Left { .. }
            | PeerNews::Refused(_)
            | PeerNews::Denied
            | PeerNews::Banned(_)
            | PeerNews::Blames(_)
            | PeerNews::Accused { .. }
            | PeerNews::Completed => return,
        };
        self.tell(news.state(), line);
    }

    fn tell(&mut self, state: &'static str, line: String) {
        if self.is_json {
            Json::peer(self.aggregator.node, state, Some(line)).print();
        } else if self.last_news.as_ref() != Some(&line) {
            output::note(&line);
            self.last_news = Some(line);
        }
    }
}

/// Why an aggregator does not take a content, and the way out.
pub(super) fn declined(node: NodeId, reason: DeclineReason) -> String {
    let short = node.short();
    match reason {
        DeclineReason::NotHere => format!("node {short} does not take this content now: try again"),
        DeclineReason::NotAccepted => format!(
            "node {short} does not take this content from here: ask its operator for --accept with this node's id, and --content"
        ),
        DeclineReason::NoRoom => format!(
            "node {short} has no room for this content: ask its operator for a larger --quota or disk, and try again"
        ),
        DeclineReason::NotAuthorised => format!(
            "node {short} takes nothing new from here: ask its operator for a full role for this node's id"
        ),
    }
}
