//! `swarm author`: who changed a library, and the way back from what one of them did.

use super::super::args::{AuthorCommand, AuthorUndoArgs, Global, LibraryArgs};
use super::super::changes;
use super::super::daemon;
use super::super::failure::Failure;
use super::super::output::{self, TakenBackJson};
use super::{answer, done, odd, status};
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Answer, Reply, Request, TakenBackView};

pub(in super::super) fn run(command: &AuthorCommand, global: &Global) -> Result<(), Failure> {
    match command {
        AuthorCommand::Ls { of, json } => ls(of, *json, global),
        AuthorCommand::Undo(args) => undo(args, global),
    }
}

fn ls(of: &LibraryArgs, is_json: bool, global: &Global) -> Result<(), Failure> {
    let request = Request::Authors { library: of.library.clone() };
    let Answer::Authors(authors) = answer(&of.folder, global, &request)? else { return Err(odd()) };
    if is_json {
        return authors.iter().try_for_each(output::json);
    }
    output::text(&output::authors_table(&authors))
}

fn undo(args: &AuthorUndoArgs, global: &Global) -> Result<(), Failure> {
    let request = Request::TakeBack {
        library: args.library.clone(),
        author: node(args, global)?,
        since_ms: changes::since_ms(Some(args.since)),
        is_rehearsal: args.list,
    };
    let Reply::Libraries { answers } = daemon::ask(&args.folder, global, &request)? else {
        return Err(odd());
    };
    let (mut taken_back, mut refused) = (0, 0);
    for (library, answer) in answers {
        let Answer::TakenBack(report) = done(answer)? else { return Err(odd()) };
        taken_back += report.back + report.gone;
        refused += report.refused.len();
        show(&library, &report, args)?;
    }
    if taken_back == 0 && refused == 0 && !args.json {
        output::note("nothing that it did since then stands");
    }
    if refused == 0 {
        return Ok(());
    }
    let message = format!("all is taken back but for {}, which were named", output::count(refused, "path"));
    Err(Failure::new(Category::Partial, message))
}

fn show(library: &str, report: &TakenBackView, args: &AuthorUndoArgs) -> Result<(), Failure> {
    if args.json {
        let mut paths = report.paths.iter();
        return paths.try_for_each(|path| output::json(&TakenBackJson { library, path }));
    }
    output::text(&output::taken_back_text(library, report, args.list))
}

/// The digits by which the daemon knows a node; a peer may be named by its address or name.
fn node(args: &AuthorUndoArgs, global: &Global) -> Result<String, Failure> {
    let status = status(&args.folder, global)?;
    if args.node == "me" {
        return Ok(status.node);
    }
    let is_it = |peer: &&swarm_daemon::PeerStatus| peer.name == args.node || peer.address == args.node;
    let called: Vec<String> =
        status.peers.iter().filter(is_it).filter_map(|peer| peer.node.clone()).collect();
    match called.as_slice() {
        [] => {}
        [node] => return Ok(node.clone()),
        several => {
            let nodes: Vec<&str> = several.iter().map(|node| node.get(..12).unwrap_or(node)).collect();
            let message = format!("`{}` may be {}: name one of them", Shown(&args.node), nodes.join(" or "));
            return Err(Failure::new(Category::Usage, message));
        }
    }
    let digits = args.node.trim_end_matches('…').to_ascii_lowercase();
    let is_id = digits.len() >= DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let message = || {
        let known = "`swarm author ls` and `swarm peer ls` list nodes";
        Failure::new(Category::Usage, format_args!("no node is called `{}`: {known}", args.node))
    };
    is_id.then_some(digits).ok_or_else(message)
}

/// Fewer digits are more likely a mistake than a node.
const DIGITS_MIN: usize = 4;
