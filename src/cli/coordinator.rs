//! `swarm coordinator`: tell nodes of each other.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::{CoordinatorArgs, Global};
use super::failure::Failure;
use super::output::{self, Json};
use super::place;
use super::seed::moved;
use super::setup::{self, Interrupts};
use super::steps::{Progress, Steps};
use super::trust;
use swarm_coordinator::Coordinator;
use swarm_core::base::Category;
use swarm_host::limits::NODE_STOP_TIMEOUT;
use swarm_link::{Endpoint, LinkOptions};
use swarm_node::clock::wall_clock;
use swarm_node::{Node, NodeEvent, Options};

pub(super) async fn run(args: CoordinatorArgs, global: &Global) -> Result<(), Failure> {
    let mut interrupts = Interrupts::catch()?;
    // A coordinator outlives the terminal that it was started from, as a service does.
    let mut hang_ups = setup::hang_ups()?;
    let mut steps = Steps::new(&mut interrupts, None);
    let (globals, cert) = (global.clone(), args.trust.cert.clone());
    let key =
        move |_: &Progress| trust::identity(&globals, Some(swarm_coordinator::key_claim()), cert.as_deref());
    let identity = steps.run("reading keys", key).await?;
    let endpoint = setup::endpoint(args.listen, &identity, LinkOptions::default())?;
    let mut admission_files = trust::admission_files(&endpoint, args.trust.files(None), &mut steps).await?;
    if args.listen.is_none_or(|listen| listen.port() == 0) {
        identity.remember_port(endpoint.port())?;
    }
    if let Some(message) = place::lost_port(&endpoint) {
        moved(args.json, message, None);
    }
    let state_dir = match &args.state {
        Some(dir) => dir.clone(),
        None => setup::state_dir(global)?.join("coordinator"),
    };
    let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
    let (of_step, tracker, token) = (endpoint.clone(), tasks.clone(), ending.clone());
    let start =
        move |_: &Progress| Ok(Coordinator::start(&of_step, &state_dir, wall_clock, &tracker, &token)?);
    let coordinator = steps.run("reading what was known", start).await?;
    let options = Options { coordination: Some(coordinator.links()), ..Options::default() };
    let (node, mut events, node_task) = Node::start(endpoint.clone(), options);
    announce(&args, &endpoint);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            Some(event) = events.recv() => {
                // It takes part in no content: only that a link came and went.
                let NodeEvent::Engine(event) = event else { continue };
                tracing::debug!(?event, "the node");
            }
            _ = tick.tick() => {
                if let Err(error) = admission_files.look() {
                    tracing::warn!(%error, "going on with who belonged before");
                }
                let totals = *coordinator.totals().borrow();
                if args.json {
                    Json::coordinator(totals).print();
                } else if told != Some(totals) {
                    tracing::info!(
                        contents = totals.contents,
                        announcements = totals.announcements,
                        listed = totals.listed,
                        nodes = totals.links,
                        "coordinating"
                    );
                }
                told = Some(totals);
            }
            _ = hang_ups.recv() => match admission_files.look() {
                Ok(()) => tracing::info!("looking again at who belongs"),
                Err(error) => tracing::warn!(%error, "going on with who belonged before"),
            },
            () = interrupts.next() => break,
        }
    }
    let orderly = async {
        ending.cancel();
        tasks.close();
        tasks.wait().await;
        node.stop().await;
        // A node that panicked has said so.
        let _ = node_task.await;
    };
    tokio::select! {
        _ = tokio::time::timeout(NODE_STOP_TIMEOUT, orderly) => {}
        () = interrupts.next() => {}
    }
    Err(Failure::new(
        Category::Interrupted,
        "interrupted; what is known is kept: run the same command to go on",
    ))
}

fn announce(args: &CoordinatorArgs, endpoint: &Endpoint) {
    let own = endpoint.source(&args.advertise);
    let places: Vec<String> = own.addresses.iter().map(|address| format!("{}@{address}", own.node)).collect();
    if args.json {
        return Json::Coordinating { node: own.node.to_string(), places }.print();
    }
    let addresses: Vec<&str> = own.addresses.iter().map(|address| address.as_str()).collect();
    output::note(format_args!("coordinating at {}", addresses.join(" ")));
    output::note("nodes use it with: swarm seed --coordinator NODE, swarm fetch --coordinator NODE");
    if let Some(best) = places.first() {
        output::report(best);
    }
}

const TICK: Duration = Duration::from_secs(1);
