//! `swarm aggregate`: a coordinator with a store. It takes what others offer, keeps it and serves it.

use super::args::{AggregateArgs, Global};
use super::control::absolute;
use super::failure::Failure;
use super::node;
use super::output::{self, Json};
use super::setup;
use swarm_core::base::{ByteLen, Category, Shown};
use swarm_discovery::Finders;
use swarm_host::{Allowed, Collecting, Config, Fixed, Live, LogFormat, PeerLimits, Rates};
use swarm_link::Endpoint;

pub(super) async fn run(args: AggregateArgs, global: &Global) -> Result<(), Failure> {
    let config = config(&args)?;
    setup::node_logging(global.verbose, LogFormat::Text);
    let announce = |endpoint: &Endpoint| announce(&args, endpoint);
    node::serve(None, config, global, &announce).await
}

fn config(args: &AggregateArgs) -> Result<Config, Failure> {
    let nodes = Allowed::of(args.accept.iter().copied());
    if nodes.is_empty() {
        let message = "nobody may offer anything yet: write --accept NODEID for each node that may, or --accept any if everybody may";
        return Err(Failure::new(Category::Usage, message));
    }
    let contents = match args.content.as_slice() {
        [] => Allowed::any(),
        named => Allowed::of(named.iter().copied()),
    };
    let quota_len = args.quota.map(|ByteLen(quota_len)| quota_len);
    let fixed = Fixed {
        listen: args.listen,
        advertise: args.advertise.clone(),
        state_dir: None,
        control: None,
        finders: Finders { zone: args.zone.clone(), ..Finders::default() },
        peers: PeerLimits { rates: Rates::default(), count_max: args.max_peers },
        log: LogFormat::Text,
        metrics_listen: args.metrics_listen,
        web: None,
        is_coordinator: true,
        collecting: Some(Collecting { store: absolute(&args.store)?, quota_len, nodes, contents }),
        cert: args.trust.cert.clone(),
    };
    let live = Live {
        rates: Rates { up: args.limit_up, down: args.limit_down },
        schedule: Vec::new(),
        trust: args.trust.files(None),
        contents: Vec::new(),
    };
    Ok(Config { fixed, live, no_lan: false })
}

fn announce(args: &AggregateArgs, endpoint: &Endpoint) {
    let own = endpoint.source(&args.advertise);
    let places: Vec<String> = own.addresses.iter().map(|address| format!("{}@{address}", own.node)).collect();
    if args.json {
        return Json::Coordinating { node: own.node.to_string(), places }.print();
    }
    let addresses: Vec<&str> = own.addresses.iter().map(|address| address.as_str()).collect();
    output::note(format_args!("collecting in {}, at {}", Shown(&args.store), addresses.join(" ")));
    output::note(
        "others feed it with: swarm join NODE PATH..., and fetch with: swarm fetch TICKET --coordinator NODE",
    );
    if let Some(best) = places.first() {
        output::report(best);
    }
}
