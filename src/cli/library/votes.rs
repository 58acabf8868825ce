//! `swarm approvals`, `approve`, `refuse` and `withdraw`: what waits for votes, and this node's own.

use std::collections::BTreeMap;

use super::super::args::{ApprovalsArgs, ApproveArgs, DaemonDir, Global, RefuseArgs, WithdrawArgs};
use super::super::daemon;
use super::super::failure::Failure;
use super::super::output::{self, ProposalJson};
use super::{answer, done, odd};
use swarm_core::base::Category;
use swarm_daemon::{Answer, ProposalView, Reply, Request};

pub(in super::super) fn approvals(args: &ApprovalsArgs, global: &Global) -> Result<(), Failure> {
    let open = proposals(&args.list.folder, args.library.as_deref(), args.all, global)?;
    let mut count = 0;
    for (library, proposals) in &open {
        for proposal in proposals {
            count += 1;
            if args.list.json {
                output::json(&ProposalJson { library, proposal })?;
            } else {
                output::text(&output::proposal_text(library, proposal))?;
            }
        }
    }
    if count == 0 && !args.list.json {
        output::note("nothing waits for votes");
    }
    Ok(())
}

/// Proposals by library. One that cannot answer is named, and the others answer.
fn proposals(
    folder: &DaemonDir,
    library: Option<&str>,
    all: bool,
    global: &Global,
) -> Result<BTreeMap<String, Vec<ProposalView>>, Failure> {
    let request = Request::Approvals { library: library.map(str::to_owned), all };
    let Reply::Libraries { answers } = daemon::ask(folder, global, &request)? else { return Err(odd()) };
    let is_one = answers.len() == 1;
    let mut open = BTreeMap::new();
    for (name, answer) in answers {
        match done(answer) {
            Ok(Answer::Proposals(proposals)) => drop(open.insert(name, proposals)),
            Ok(_) => return Err(odd()),
            Err(failure) if is_one => return Err(failure),
            Err(failure) => output::note(format_args!("library `{name}`: {}", failure.error)),
        }
    }
    Ok(open)
}

pub(in super::super) fn approve(args: &ApproveArgs, global: &Global) -> Result<(), Failure> {
    if args.here {
        let request = Request::ApproveHere { library: args.which.clone() };
        return answer(&args.folder, global, &request).map(drop);
    }
    if !args.all {
        return vote(&args.folder, &args.which, "yes", "", global);
    }
    let open = proposals(&args.folder, Some(&args.which), false, global)?;
    let ids: Vec<&str> = open.values().flatten().map(|proposal| proposal.id.as_str()).collect();
    for id in &ids {
        vote(&args.folder, id, "yes", "", global)?;
    }
    output::note(format_args!("approved {}", output::count(ids.len(), "proposal")));
    Ok(())
}

pub(in super::super) fn refuse(args: &RefuseArgs, global: &Global) -> Result<(), Failure> {
    vote(&args.folder, &args.id, "no", &args.why, global)
}

pub(in super::super) fn withdraw(args: &WithdrawArgs, global: &Global) -> Result<(), Failure> {
    vote(&args.folder, &args.id, "withdraw", "", global)
}

/// Votes about the one proposal whose id begins so.
fn vote(folder: &DaemonDir, id: &str, verdict: &str, why: &str, global: &Global) -> Result<(), Failure> {
    let digits = id.trim().to_ascii_lowercase();
    let open = proposals(folder, None, false, global)?;
    let found: Vec<&str> = open
        .values()
        .flatten()
        .map(|proposal| proposal.id.as_str())
        .filter(|id| id.starts_with(&digits))
        .collect();
    let [id] = found.as_slice() else {
        if found.is_empty() {
            ended(folder, &digits, global)?;
        }
        let count = output::count(found.len(), "open proposal");
        let message = format!("the ids of {count} begin with `{id}`: `swarm approvals` shows them");
        return Err(Failure::new(Category::Usage, message));
    };
    let request = Request::Vote { id: (*id).to_owned(), verdict: verdict.to_owned(), why: why.to_owned() };
    let Reply::Libraries { answers } = daemon::ask(folder, global, &request)? else { return Err(odd()) };
    let mut last = None;
    for answer in answers.into_values() {
        match done(answer) {
            Ok(_) => return Ok(()),
            // Those that do not have the proposal say so.
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.unwrap_or_else(odd))
}

/// Fails with how the one proposal ended whose id begins so.
fn ended(folder: &DaemonDir, digits: &str, global: &Global) -> Result<(), Failure> {
    let all = proposals(folder, None, true, global)?;
    let mut found = all.values().flatten().filter(|proposal| proposal.id.starts_with(digits));
    let (Some(ProposalView { ended: Some(end), .. }), None) = (found.next(), found.next()) else {
        return Ok(());
    };
    let what = match end.as_str() {
        "superseded" => "what it is about changed since, or was done already: nothing is left to vote on",
        "approved" => "it was approved",
        "refused" => "it was refused",
        "expired" => "it waited too long: its author can make the change again",
        _ => "its author took it back",
    };
    Err(Failure::new(Category::Usage, format_args!("proposal `{digits}` waits no longer: {what}")))
}
