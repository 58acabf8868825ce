//! `swarm sync`: keeps two folders the same. Decides the order of its steps, and with which code it ends.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{Global, MaxDelete, Resolve, SyncArgs};
use super::ask;
use super::failure::Failure;
use super::output::{self, Names, PairJson, SyncJson, SyncView};
use super::pair::{self, ended};
use swarm_core::base::{Category, Shown};
use swarm_pair::{Options, Pair, PairList, PairStore, Report, Session};
use swarm_sync::{Direction, Guard, PerSide, Proposal, Side};

pub(super) fn run(args: &SyncArgs, global: &Global, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    match (&args.a, &args.b) {
        (Some(a), Some(b)) => sync(args, (a, b), global, stop),
        (Some(_) | None, Some(_) | None) => list(args, global),
    }
}

fn list(args: &SyncArgs, global: &Global) -> Result<(), Failure> {
    let PairList { pairs, mut bad } = pair::store(global)?.list()?;
    let pairs: Vec<_> = pairs.iter().map(Pair::info).collect();
    if args.json {
        pairs.iter().try_for_each(|pair| output::json(&PairJson::from(pair)))?;
    } else if !pairs.is_empty() {
        output::text(&output::pairs_table(&pairs))?;
    } else if bad.is_empty() {
        output::note("no pairs yet: `swarm sync A B` makes one");
    }
    // One of them is how the command ends.
    let last = bad.pop();
    bad.iter().for_each(output::note);
    last.map_or(Ok(()), |error| Err(error.into()))
}

fn sync(
    args: &SyncArgs,
    (a, b): (&Path, &Path),
    global: &Global,
    stop: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    if args.interactive && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let message = "--interactive asks on a terminal, and there is none: leave it out, and decide with `swarm resolve`";
        return Err(Failure::new(Category::Usage, message));
    }
    if let Some(file) = args.plan_out.as_deref().filter(|file| file.symlink_metadata().is_ok()) {
        let message = format!("`{}` is there already: name another file, or move it away", Shown(file));
        return Err(Failure::new(Category::TargetDiffers, message));
    }
    let store = pair::store(global)?;
    if !args.dry_run {
        make_if_new(a, b, &store)?;
    }
    let pair = store.pair(a, b)?;
    let names = Names::new(a, b);
    let view = SyncView::new(names.clone(), rates(args), args.json);
    let session = pair.clone().begin(options(args), stop, &|event| view.on_event(event)).map_err(ended)?;
    if args.watch {
        return watch(session, &pair, &names, &view, stop);
    }
    once(args, session, &pair, &names, &view)
}

/// Makes the second folder, if it never was part of a pair and the first one is there. One that was is not made anew: its disk may be
/// away.
fn make_if_new(a: &Path, b: &Path, store: &PairStore) -> Result<(), Failure> {
    let is_missing = b.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let above = match b.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    let (Ok(a), Ok(above), Some(name)) = (a.canonicalize(), above.canonicalize(), b.file_name()) else {
        return Ok(());
    };
    let new = above.join(name);
    if !is_missing || !a.is_dir() || new.starts_with(&a) {
        return Ok(());
    }
    let PairList { pairs, bad } = store.list()?;
    // It may be a folder of a pair whose record cannot be read.
    if let Some(error) = bad.into_iter().next() {
        return Err(error.into());
    }
    if pairs.iter().any(|pair| Side::BOTH.into_iter().any(|side| pair.root(side) == new)) {
        return Ok(());
    }
    std::fs::create_dir(b).map_err(|error| Failure::file("make", b, &error))
}

/// One run: looks, plans, asks if that is wanted, and carries the plan out if nothing holds it.
fn once(
    args: &SyncArgs,
    mut session: Session,
    pair: &Pair,
    names: &Names,
    view: &SyncView,
) -> Result<(), Failure> {
    session.scan(&|event| view.on_event(event)).map_err(ended)?;
    let mut proposal = match &args.plan {
        Some(file) => session.read_plan(file),
        None => session.propose(),
    }
    .map_err(ended)?;
    if args.interactive && !proposal.plan.conflicts.is_empty() {
        view.clear();
        ask::about_all(pair, &proposal.plan.conflicts, names)?;
        proposal = session.propose().map_err(ended)?;
    }
    if args.dry_run || args.plan_out.is_some() {
        return propose(args, &session, &proposal, names, view);
    }
    view.planned(&proposal.plan);
    if let Some(hold) = &proposal.plan.held {
        view.clear();
        return Err(Failure::new(Category::Undecided, output::hold(hold, names)));
    }
    let run = session.run_id();
    let report = session.carry_out(&proposal, &|event| view.on_event(event)).map_err(ended)?;
    view.done(&report, run);
    pair::verdict(view, report.conflicts, names)
}

/// Runs until a signal comes.
fn watch(
    mut session: Session,
    pair: &Pair,
    names: &Names,
    view: &SyncView,
    stop: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    view.watching();
    let (mut told, mut held) = (Vec::new(), None);
    let mut on_report = |report: &Report| {
        if let Some(hold) = &report.planned.held
            && report.planned.held != held
        {
            view.note(&output::hold(hold, names));
        }
        held = report.planned.held;
        // They can be looked at again in `swarm conflicts`, if they cannot be read just now.
        let open = pair.conflicts().unwrap_or_default();
        let ids: Vec<_> = open.iter().map(|conflict| conflict.conflict.id).collect();
        if !open.is_empty() && ids != told {
            view.conflicts(&open);
        }
        told = ids;
    };
    session.watch(stop, &|event| view.on_event(event), &mut on_report).map_err(ended)?;
    view.clear();
    Err(Failure::new(Category::Interrupted, "interrupted; run the same command to watch again"))
}

fn rates(args: &SyncArgs) -> PerSide<Option<swarm_core::base::Rate>> {
    PerSide { local: args.limit_down, remote: args.limit_up }
}

fn options(args: &SyncArgs) -> Options {
    let mut options = Options {
        excludes: args.exclude.clone(),
        includes: args.include.clone(),
        direction: if args.one_way { Direction::ToRemote } else { Direction::Both },
        guard: args.max_delete.map_or_else(Guard::default, MaxDelete::guard),
        thorough: args.checksum,
        accept_empty: args.accept_empty,
        accept_root: args.accept_root,
        rates: rates(args),
        ..Options::default()
    };
    for resolve in &args.resolve {
        match resolve {
            Resolve::All(strategy) => options.strategy = *strategy,
            Resolve::Paths(rule) => options.strategies.push(rule.clone()),
        }
    }
    options
}

/// Shows a plan, or writes it to a file, and does nothing.
fn propose(
    args: &SyncArgs,
    session: &Session,
    proposal: &Proposal,
    names: &Names,
    view: &SyncView,
) -> Result<(), Failure> {
    view.clear();
    if let Some(file) = &args.plan_out {
        session.write_plan(file, &proposal.plan)?;
    }
    if args.json {
        view.planned(&proposal.plan);
        SyncJson::operations(&proposal.plan).for_each(|event| event.print());
    } else {
        output::text(&output::plan_text(&proposal.plan, names))?;
    }
    if let Some(file) = &args.plan_out {
        output::note(format_args!("the plan is in `{}`: --plan carries it out", Shown(file)));
        return Ok(());
    }
    if let Some(hold) = &proposal.plan.held {
        return Err(Failure::new(Category::Undecided, output::hold(hold, names)));
    }
    match proposal.plan.conflicts.len() as u64 {
        0 => Ok(()),
        // They are on record once a run has met them.
        count => Err(pair::undecided(count, ": without --dry-run they are noted, and then", names)),
    }
}
