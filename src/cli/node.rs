//! `swarm node`: a node as a service.

use std::path::{Path, PathBuf};

use super::args::{Global, NodeArgs};
use super::failure::Failure;
use super::output;
use super::place;
use super::setup::{self, Interrupts};
use super::steps::{Progress, Steps};
use super::trust;
use swarm_core::base::{Category, Shown};
use swarm_host::{Config, ControlSocket, Ending, Service, Signals};
use swarm_link::{Endpoint, LinkOptions};

pub(super) async fn run(args: NodeArgs, global: &Global) -> Result<(), Failure> {
    if args.print_schema {
        return output::text(&format!("{:#}\n", Config::schema()));
    }
    let path =
        args.config.ok_or_else(|| Failure::new(Category::Usage, "no configuration: name one by --config"))?;
    let mut interrupts = Interrupts::catch()?;
    let (doing, of_step) = (format!("reading `{}`", Shown(&path)), path.clone());
    let load = move |_: &Progress| Ok(Config::load(&of_step)?);
    let config = Steps::new(&mut interrupts, None).run(&doing, load).await?;
    let config = Config { no_lan: args.no_lan, ..config };
    if args.check {
        return output::result(format_args!("{} is right", Shown(&path)));
    }
    setup::node_logging(global.verbose, config.fixed.log);
    let state_dir = global.state_dir.clone().or_else(|| config.fixed.state_dir.clone());
    let global = Global { state_dir, ..global.clone() };
    serve(Some(path), config, &global, &|_| {}).await
}

/// Runs a service until a signal ends it; `announce` is called as soon as it can be reached.
pub(super) async fn serve(
    path: Option<PathBuf>,
    config: Config,
    global: &Global,
    announce: &dyn Fn(&Endpoint),
) -> Result<(), Failure> {
    let signals = Signals::catch()
        .map_err(|error| Failure::new(Category::Other, format_args!("cannot catch signals: {error}")))?;
    let mut interrupts = Interrupts::catch()?;
    let global = global.clone();
    let prepare = move |_: &Progress| prepare(path, config, &global);
    let (service, endpoint) = Steps::new(&mut interrupts, None).run("starting the node", prepare).await?;
    drop(interrupts);
    announce(&endpoint);
    drop(endpoint);
    match service.run(signals).await {
        Ending::Done => Ok(()),
        Ending::Forced => Err(Failure::new(Category::Interrupted, "ended at once by a second signal")),
    }
}

/// Everything that may block before the node runs. Must be called within a tokio runtime.
fn prepare(path: Option<PathBuf>, config: Config, global: &Global) -> Result<(Service, Endpoint), Failure> {
    let state_dir = absolute(&setup::state_dir(global)?)?;
    let control = config.fixed.control.clone().unwrap_or_else(|| swarm_host::default_control(&state_dir));
    // First, so that a second node touches nothing of the first.
    let control = ControlSocket::bind(&control)?;
    let identity = trust::identity(global, Some(swarm_host::key_claim()), config.fixed.cert.as_deref())?;
    let endpoint = setup::endpoint(config.fixed.listen, &identity, LinkOptions::default())?;
    if config.fixed.listen.is_none_or(|listen| listen.port() == 0) {
        identity.remember_port(endpoint.port())?;
    }
    if let Some(message) = place::lost_port(&endpoint) {
        tracing::warn!("{message}");
    }
    let service = Service::prepare(path, config, &state_dir, endpoint.clone(), control)?;
    Ok((service, endpoint))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}
