//! Requests from the control socket, one at a time.

use std::path::PathBuf;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::contents::{Contents, Entry, FetchSpec, Spec};
use super::control::Call;
use super::protocol::{Answer, Request};
use super::run::Running;
use crate::limits::CONTENTS_MAX;
use swarm_core::base::{Category, Shown};
use swarm_core::manifest::Ticket;

impl Running {
    pub(super) async fn on_call(&mut self, call: Call) {
        let spec = match call.request {
            Request::AddPaths { paths, skip_unportable } => Spec::Paths { paths, skip_unportable },
            Request::AddCopy { manifest, path } => Spec::Copy { manifest, path },
            Request::AddFetch { ticket, out, include, content_key } => {
                Spec::Fetch(FetchSpec { ticket, out, is_complete: false, include, content_key })
            }
            Request::Remove { content } => {
                let answer = self.remove(&content).await;
                return reply(call.answer, answer);
            }
            Request::List => {
                let snapshot = self.node.snapshot().await;
                let contents = self.view(&snapshot, &self.source()).contents();
                return reply(call.answer, Answer::Contents { contents });
            }
            Request::Status => {
                let snapshot = self.node.snapshot().await;
                let status = self.view(&snapshot, &self.source()).status();
                return reply(call.answer, Answer::Status(Box::new(status)));
            }
        };
        if let Err(answer) =
            may_add(&self.work.contents, &spec).map_err(|message| Answer::error(Category::Usage, message))
        {
            return reply(call.answer, answer);
        }
        let mut entry = Entry::new(spec, false, call.progress);
        entry.waiter = Some(call.answer);
        self.work.contents.insert(entry);
    }

    async fn remove(&mut self, prefix: &str) -> Answer {
        let id = match self.work.contents.find_prefix(prefix) {
            Ok(id) => id,
            Err(error) => return Answer::error(Category::Usage, error),
        };
        if self.work.contents.get(id).is_some_and(|entry| entry.is_configured) {
            let path = self.config_path.clone().unwrap_or_default();
            let path = Shown(&path);
            let message = format!("it is named in `{path}`: take it out there and send SIGHUP to the node");
            return Answer::error(Category::Usage, message);
        }
        let Some(mut entry) = self.work.contents.remove(id) else {
            return Answer::error(Category::Usage, "no such content");
        };
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "what was removed will be back after a restart");
        }
        entry.answer(Answer::error(Category::Other, "it was removed meanwhile"));
        let Some(content) = entry.content else { return Answer::error(Category::Usage, "no such content") };
        self.node.leave(content).await;
        self.saved.drop_manifest(content);
        info!(content = %content.short(), name = %entry.name, "removed");
        Answer::Removed { content: content.to_string(), name: entry.name }
    }
}

/// What speaks against a content, if anything does.
fn may_add(contents: &Contents, spec: &Spec) -> Result<(), String> {
    if contents.len() >= CONTENTS_MAX {
        return Err(format!(
            "the node has {CONTENTS_MAX} contents already: remove one, or run a second node"
        ));
    }
    let paths: Vec<&PathBuf> = match spec {
        Spec::Paths { paths, .. } if paths.is_empty() => {
            return Err("no path is named: name one".to_owned());
        }
        Spec::Paths { paths, .. } => paths.iter().collect(),
        Spec::Copy { manifest, path } => vec![manifest, path],
        Spec::Fetch(fetch) => vec![&fetch.out],
    };
    if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
        return Err(format!("`{}` is not an absolute path: name it from the root", Shown(&path)));
    }
    let Spec::Fetch(FetchSpec { ticket, .. }) = spec else { return Ok(()) };
    match ticket.parse::<Ticket>() {
        Err(error) => Err(error.to_string()),
        Ok(ticket) if contents.find(ticket.content).is_some() => Err(format!(
            "content {} is here already (`swarm ls` shows it): to fetch it otherwise, `swarm remove` it first",
            ticket.content.short()
        )),
        Ok(_) => Ok(()),
    }
}

/// The client that asked may be gone.
fn reply(to: oneshot::Sender<Answer>, answer: Answer) {
    let _ = to.send(answer);
}
