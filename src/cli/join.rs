//! `swarm join`: serve files in place like `swarm seed`, and offer them to a node that collects.

use super::args::{Global, JoinArgs};
use super::failure::{self, Exit, Failure};
use super::output::{self, Json};
use super::seed;
use swarm_core::base::ContentId;
use swarm_core::manifest::Source;
use swarm_core::wire::DeclineReason;
use swarm_engine::{DialFailure, Event, Purpose};
use swarm_node::Node;

pub(super) async fn run(args: JoinArgs, global: &Global) -> Result<(), Failure> {
    let JoinArgs { aggregator, mut seed, until_replicated } = args;
    let is_json = seed.json;
    let coordinators = &mut seed.find.coordinator;
    coordinators.retain(|known| known.node != aggregator.node);
    coordinators.insert(0, aggregator.clone());
    let joining = Joining { aggregator, is_until_replicated: until_replicated, is_json, last_news: None };
    seed::serve(seed, Some(joining), global).await.map_err(|failure| output::told(failure, is_json))
}

/// The link to the node that collects, as its events tell.
pub(super) struct Joining {
    aggregator: Source,
    is_until_replicated: bool,
    is_json: bool,
    /// What people were told last: it is not said again.
    last_news: Option<String>,
}

impl Joining {
    /// Offers the content, for as long as the node runs.
    pub(super) async fn begin(&self, node: &Node, content: ContentId) {
        node.add_source(content, self.aggregator.clone(), Purpose::Push).await;
    }

    /// What an event means for the end of the command: `Some` ends it.
    pub(super) fn on_event(&mut self, event: &Event) -> Option<Result<(), Failure>> {
        let short = self.aggregator.node.short();
        match event {
            Event::PeerDurable { node, .. } if *node == self.aggregator.node => {
                self.tell("durable", format!("replicated: node {short} has everything, on its disk"));
                self.is_until_replicated.then_some(Ok(()))
            }
            Event::PeerDeclined { node, reason, .. } if *node == self.aggregator.node => {
                self.on_declined(*reason).map(Err)
            }
            Event::PeerUnreachable { node, failure } if *node == self.aggregator.node => match failure {
                DialFailure::Unreachable(reason) => {
                    self.tell("unreachable", format!("{reason}; trying again"));
                    None
                }
                DialFailure::Refused(refusal) => Some(Err(failure::of_refusal(refusal))),
            },
            Event::PeerBanned { node, violation } if *node == self.aggregator.node => {
                let message =
                    format!("node {short} misbehaved, nothing more is exchanged with it: it {violation}");
                Some(Err(Failure::new(Exit::Other, message)))
            }
            _ => None,
        }
    }

    fn on_declined(&mut self, reason: DeclineReason) -> Option<Failure> {
        let short = self.aggregator.node.short();
        match reason {
            DeclineReason::NotHere => {
                let line =
                    format!("node {short} does not take it now; waiting. Does it collect: swarm aggregate?");
                self.tell("declined", line);
                None
            }
            DeclineReason::NotAccepted => {
                let message = format!(
                    "node {short} does not take this content from here: ask its operator for --accept with this node's id, and --content"
                );
                Some(Failure::new(Exit::NotAuthorised, message))
            }
            DeclineReason::NoRoom => {
                let message = format!(
                    "node {short} has no room for this content: ask its operator for a larger --quota or disk, and try again"
                );
                Some(Failure::new(Exit::NoSource, message))
            }
            DeclineReason::NotAuthorised => {
                let message = format!(
                    "node {short} takes nothing new from here: ask its operator for a full role for this node's id"
                );
                Some(Failure::new(Exit::NotAuthorised, message))
            }
        }
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
