//! `swarm daemon`: a node that keeps libraries.

use std::path::PathBuf;

use super::args::{DaemonArgs, DaemonDir, Global};
use super::failure::Failure;
use super::output;
use super::setup::{self, Interrupts};
use super::steps::{Progress, Steps};
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Daemon, Reply, Request};
use swarm_daemon_files::FileName;
use swarm_host::LogFormat;

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
        move |_: &Progress| Ok(Daemon::prepare(&dir)?)
    };
    let daemon = Steps::new(&mut interrupts, None).run("starting the daemon", prepare).await?;
    for warning in daemon.warnings() {
        tracing::warn!("{warning}");
    }
    tracing::info!(node = %daemon.node_id(), listen = %daemon.address(), dir = %Shown(&dir), "ready");
    let ready = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    if let Err(error) = ready {
        tracing::warn!(%error, "cannot tell systemd how the daemon stands");
    }
    daemon.run(async { interrupts.next().await }).await;
    Ok(())
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
