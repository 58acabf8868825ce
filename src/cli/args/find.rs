//! Arguments: how other nodes are found.

use clap::builder::FalseyValueParser;

use crate::cli::failure::Failure;
use swarm_core::base::limits::COORDINATORS_MAX;
use swarm_core::base::{Category, Zone};
use swarm_core::manifest::{Address, Source};
use swarm_discovery::Finders;

/// How others are found.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Finding peers")]
pub(crate) struct FindArgs {
    /// Announce to this coordinator and ask it for peers, as NODEID@HOST:PORT; may be given more than once
    #[arg(long, value_name = "NODE", env = "SWARM_COORDINATOR", value_delimiter = ',')]
    pub(crate) coordinator: Vec<Source>,
    /// Name of this node's site or provider, chosen by you: coordinators name peers of the same zone first
    #[arg(long, value_name = "NAME", env = "SWARM_ZONE")]
    pub(crate) zone: Option<Zone>,
    /// Neither announce on the local network nor listen there for peers
    #[arg(long, env = "SWARM_NO_LAN", value_parser = FalseyValueParser::new())]
    pub(crate) no_lan: bool,
    /// Announce to BitTorrent's Mainline DHT and look there for peers; the DHT learns this node's address
    #[arg(long, env = "SWARM_DHT", value_parser = FalseyValueParser::new())]
    pub(crate) dht: bool,
    /// Enter a DHT of your own through this node, instead of the public DHT; may be given more than once
    #[arg(
        long,
        value_name = "HOST:PORT",
        requires = "dht",
        env = "SWARM_DHT_BOOTSTRAP",
        value_delimiter = ','
    )]
    pub(crate) dht_bootstrap: Vec<Address>,
    /// Ask the router to forward a port to this node (PCP, NAT-PMP, UPnP)
    #[arg(long, env = "SWARM_MAP_PORT", value_parser = FalseyValueParser::new())]
    pub(crate) map_port: bool,
}

impl FindArgs {
    /// Refuses what no ticket could name.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.coordinator.len() > COORDINATORS_MAX {
            let message = format!("more than {COORDINATORS_MAX} coordinators: name fewer by --coordinator");
            return Err(Failure::new(Category::Usage, message));
        }
        Ok(())
    }

    /// The finders that are on.
    pub(crate) fn finders(&self) -> Finders {
        let Self { coordinator, zone, no_lan, dht, dht_bootstrap, map_port } = self.clone();
        Finders { coordinators: coordinator, zone, lan: !no_lan, dht, dht_bootstrap, map_port }
    }
}
