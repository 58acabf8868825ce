//! `swarm daemon`: a node that keeps libraries.

use std::path::PathBuf;

use super::args::{DaemonArgs, DaemonDir, Global};
use super::failure::Failure;
use super::output;
use super::setup::{self, Interrupts};
use super::steps::{Progress, Steps};
use swarm_api::Api;
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Daemon, Reply, Request};
use swarm_daemon_files::FileName;
use swarm_host::LogFormat;
use tokio_util::sync::CancellationToken;

pub(super) async fn run(args: DaemonArgs, global: &Global) -> Result<(), Failure> {
    if let Some(file) = &args.print_schema {
        let name: FileName =
            file.parse().map_err(|error| Failure::new(Category::Usage, format_args!("{error}")))?;
        return output::text(&format!("{:#}\n", swarm_daemon_files::schema(name)));
    }
    let format = if args.json { LogFormat::Json } else { LogFormat::Text };
    setup::node_logging(global.verbose, format);
    let dir = folder(&args.folder, global)?;
    let mut interrupts = Interrupts::catch()?;
    let prepare = {
        let dir = dir.clone();
        move |_: &Progress| {
            let daemon = Daemon::prepare(&dir)?;
            let api = Api::prepare(&daemon)?;
            Ok((daemon, api))
        }
    };
    let (daemon, api) = Steps::new(&mut interrupts, None).run("starting the daemon", prepare).await?;
    for warning in daemon.warnings() {
        tracing::warn!("{warning}");
    }
    let page = page_of(&api);
    tracing::info!(node = %daemon.node_id(), listen = %daemon.address(), page, dir = %Shown(&dir), "ready");
    if let Some(link) = api.first_link() {
        tracing::info!("no user may manage this node yet: open {link} in a browser to become its admin");
    }
    let ready = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    if let Err(error) = ready {
        tracing::warn!(%error, "cannot tell systemd how the daemon stands");
    }
    let stopping = CancellationToken::new();
    let stop = async {
        interrupts.next().await;
        stopping.cancel();
    };
    tokio::join!(daemon.run(stop), api.run(stopping.cancelled()));
    Ok(())
}

/// Where a browser on this machine finds the page.
fn page_of(api: &Api) -> String {
    let port = api.address().map(|address| address.port()).unwrap_or_default();
    format!("https://localhost:{port}/")
}

/// The folder of the daemon that a command is about.
pub(super) fn folder(args: &DaemonDir, global: &Global) -> Result<PathBuf, Failure> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => setup::state_dir(global)?.join("daemon"),
    };
    std::path::absolute(&dir).map_err(|error| Failure::file("find", &dir, &error))
}

/// Asks the daemon of a folder; what it does not do is this command's failure.
pub(super) fn ask(args: &DaemonDir, global: &Global, request: &Request) -> Result<Reply, Failure> {
    let reply = swarm_daemon::ask(&folder(args, global)?, request)?;
    match reply {
        Reply::Failed { category, message } => {
            let category = Category::from_name(&category).unwrap_or(Category::Other);
            Err(Failure::new(category, message))
        }
        reply => Ok(reply),
    }
}
