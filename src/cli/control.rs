//! What the commands that talk to a running node share.

use std::path::{Path, PathBuf};

use super::args::{ControlArgs, Global};
use super::failure::Failure;
use super::setup;
use swarm_core::base::Category;
use swarm_host::client::Client;
use swarm_host::default_control;
use swarm_host::protocol::{Answer, Request};

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
    done(client.ask(request, progress)?)
}

/// An answer, unless it is an error.
pub(super) fn done(answer: Answer) -> Result<Answer, Failure> {
    match answer {
        Answer::Error { kind, category, message } => {
            Err(Failure::new(kind.category(category.as_deref()), message))
        }
        answer @ (Answer::Progress { .. }
        | Answer::Added { .. }
        | Answer::Removed { .. }
        | Answer::Contents { .. }
        | Answer::Status(_)) => Ok(answer),
    }
}

/// An answer of another kind than was asked for.
pub(super) fn odd(_answer: Answer) -> Failure {
    Failure::new(Category::Other, "the node answered something else: use the swarm that it was started with")
}

/// The node runs in another folder: it is told whole paths.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}
