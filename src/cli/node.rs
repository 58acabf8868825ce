//! `swarm node`: a node as a service.

use std::path::{Path, PathBuf};

use super::args::{Global, NodeArgs};
use super::failure::{Exit, Failure};
use super::output;
use super::place;
use super::setup;
use super::trust;
use crate::service::{self, Config, ControlSocket, Ending, Service, Signals};
use crate::transport::{Endpoint, LinkOptions};

pub(super) fn run(args: NodeArgs, global: &Global) -> Result<(), Failure> {
    if args.print_schema {
        output::result(format_args!("{:#}", Config::schema()));
        return Ok(());
    }
    let path =
        args.config.ok_or_else(|| Failure::new(Exit::Usage, "no configuration: name one by --config"))?;
    let config = Config { no_lan: args.no_lan, ..Config::load(&path)? };
    if args.check {
        output::result(format_args!("{} is right", path.display()));
        return Ok(());
    }
    setup::node_logging(global.verbose, config.log);
    let state_dir = global.state_dir.clone().or_else(|| config.state_dir.clone());
    let global = Global { state_dir, ..global.clone() };
    setup::block_on(serve(Some(path), config, &global, &|_| {}))
}

/// Runs a service until a signal ends it; `announce` is called as soon as it can be reached.
pub(super) async fn serve(
    path: Option<PathBuf>,
    config: Config,
    global: &Global,
    announce: &dyn Fn(&Endpoint),
) -> Result<(), Failure> {
    let signals = Signals::catch()
        .map_err(|error| Failure::new(Exit::Other, format_args!("cannot catch signals: {error}")))?;
    let state_dir = absolute(&setup::state_dir(global)?)?;
    let control = config.control.clone().unwrap_or_else(|| service::default_control(&state_dir));
    // First, so that a second node touches nothing of the first.
    let control = ControlSocket::bind(&control)?;
    let identity = trust::identity(global, Some(service::key_claim()), config.cert.as_deref())?;
    let endpoint = setup::endpoint(config.listen, &identity, LinkOptions::default())?;
    if config.listen.is_none_or(|listen| listen.port() == 0) {
        identity.remember_port(endpoint.port())?;
    }
    if let Some(message) = place::lost_port(&endpoint) {
        tracing::warn!("{message}");
    }
    let service = Service::prepare(path, config, &state_dir, endpoint.clone(), control)?;
    announce(&endpoint);
    drop(endpoint);
    match service.run(signals).await {
        Ending::Done => Ok(()),
        Ending::Forced => Err(Failure::new(Exit::Interrupted, "ended at once by a second signal")),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}
