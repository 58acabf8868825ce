//! `swarm undo`: takes back what a run did on both sides.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{Global, UndoArgs};
use super::failure::Failure;
use super::pair::{self, Place, ended};
use swarm_core::base::Category;

pub(super) fn run(args: &UndoArgs, global: &Global, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    let place = Place::of(&args.of.pair, global)?;
    let run = match args.run {
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
        view.note(&format!(
            "cannot undo what was being done to `{}` when run {run} was cut off",
            deed.op.path
        ));
    }
    view.done(&report, of_undo);
    pair::verdict(&view, 0, &place.names)
}
