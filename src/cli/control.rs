//! What the commands that talk to a running node share.

use std::path::{Path, PathBuf};

use super::args::{ControlArgs, Global};
use super::failure::{Exit, Failure};
use super::setup;
use swarm_host::client::Client;
use swarm_host::default_control;
use swarm_host::protocol::{Answer, ErrorKind, Request};

/// Connects to the node that the arguments name.
pub(super) fn connect(args: &ControlArgs, global: &Global) -> Result<Client, Failure> {
    let path = match &args.control {
        Some(path) => path.clone(),
        None => default_control(&setup::state_dir(global)?),
    };
    Ok(Client::connect(&path)?)
}

/// Asks a node; an error that it answers is this command's failure.
pub(super) fn ask(
    client: &mut Client,
    request: Request,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Answer, Failure> {
    match client.ask(request, progress)? {
        Answer::Error { kind, message } => Err(Failure::new(exit_of(kind), message)),
        answer => Ok(answer),
    }
}

/// An answer of another kind than was asked for.
pub(super) fn odd(_answer: Answer) -> Failure {
    Failure::new(Exit::Other, "the node answered something else: use the swarm that it was started with")
}

/// The node runs in another folder: it is told whole paths.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Usage => Exit::Usage,
        ErrorKind::TargetDiffers => Exit::TargetDiffers,
        ErrorKind::Integrity => Exit::Integrity,
        ErrorKind::Disk => Exit::Disk,
        ErrorKind::Other => Exit::Other,
    }
}
