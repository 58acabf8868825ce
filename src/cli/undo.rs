//! `swarm undo`: takes back what a run did on both sides.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{Global, UndoArgs};
use super::failure::Failure;
use super::library::{self, Named};
use super::output;
use super::pair::{self, Place, ended};
use swarm_core::base::Category;
use swarm_sync::{DETOUR_PREFIX, OpKind, RunId};

pub(super) fn run(args: &UndoArgs, global: &Global, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    if let Some(what) = &args.what
        && let Some(named) = Named::of(Path::new(what), &args.folder, global)?
    {
        return library::undo(&named, args.run, args, global);
    }
    let run = args.what.as_deref().map(RunId::parse).transpose();
    let run = run.map_err(|error| Failure::new(Category::Usage, error))?;
    let place = Place::of(&args.of.pair, global)?;
    let run = match run {
        Some(run) => run,
        None => place.found.pair.last_run_with_deeds()?.ok_or_else(|| {
            Failure::new(Category::Usage, "no run did anything yet: there is nothing to undo")
        })?,
    };
    let view = place.view(args.json);
    let mut session = place.begin(stop, &view)?;
    session.scan(&|event| view.on_event(event)).map_err(ended)?;
    let of_undo = session.run_id();
    let (report, way_back) = session.undo(run, &|event| view.on_event(event)).map_err(ended)?;
    for deed in &way_back.unknown {
        let path = match &deed.op.kind {
            OpKind::Move { from } if deed.op.path.name().starts_with(DETOUR_PREFIX) => from,
            _ => &deed.op.path,
        };
        view.note(&format!("cannot undo what was being done to `{path}` when run {run} was cut off"));
    }
    view.done(&report, of_undo);
    pair::verdict_on_asked(&view)?;
    match way_back.unknown.len() {
        0 => Ok(()),
        count => {
            let count = output::count(count, "operation");
            let message = format!(
                "all is undone but for {count} that run {run} was cut off in: `swarm versions` lists what was kept of a path"
            );
            Err(Failure::new(Category::Partial, message))
        }
    }
}
