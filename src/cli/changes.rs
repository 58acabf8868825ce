//! `swarm changes`: what runs did to a pair.

use std::time::UNIX_EPOCH;

use super::args::{ChangesArgs, Global, Since};
use super::failure::Failure;
use super::library::{self, Named};
use super::output;
use super::pair::Place;
use swarm_core::base::{Category, Shown};
use swarm_node::clock::wall_clock;
use swarm_pair::{ChangeView, Purpose};
use swarm_sync::{Change, ChangeLog, DeedEnd, Detours, PerSide, RunInfo, Side, Timestamp};

pub(super) fn run(args: &ChangesArgs, global: &Global) -> Result<(), Failure> {
    if let Some(library) = &args.library {
        let Some(named) = Named::of(library, &args.folder, global)? else {
            let message = format!("there is no library `{}`: name its daemon by --dir", Shown(library));
            return Err(Failure::new(Category::Usage, message));
        };
        return library::changes_of(&named, args);
    }
    let place = Place::of(&args.of.pair, global)?;
    let deeds = place.found.pair.changes(since_ms(args.since), u32::MAX)?;
    let changes = listed(&deeds, &|side| place.found.pair.root(side).to_string_lossy().into_owned());
    if args.json {
        output::json(&ChangeLog { changes })
    } else if changes.is_empty() {
        output::note("no changes");
        Ok(())
    } else {
        output::text(&output::changes_table(&changes, &place.names))
    }
}

/// The lines of the log, where `name_of` says what a side is called.
pub(super) fn listed(deeds: &[ChangeView], name_of: &dyn Fn(Side) -> String) -> Vec<Change> {
    let of_runs = deeds.chunk_by(|one, next| one.run == next.run);
    of_runs.flat_map(|of_run| changes_of_run(of_run, name_of)).collect()
}

/// The lines of the log of the operations of one run that were done. Their author is the other folder.
fn changes_of_run(of_run: &[ChangeView], name_of: &dyn Fn(Side) -> String) -> Vec<Change> {
    let mut detours = PerSide::<Detours>::default();
    let done = of_run.iter().filter(|view| matches!(view.deed.end, DeedEnd::Done { .. }));
    let changes = done.flat_map(|ChangeView { run, purpose, deed }| {
        let Some(op) = detours.of_mut(deed.side).shown(&deed.op) else { return Vec::new() };
        let author = name_of(deed.side.other());
        let at = Timestamp(i64::try_from(run.ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000));
        let Purpose { cause, undone_run } = *purpose;
        let info = RunInfo { run: *run, side: deed.side, at, author: &author, cause, undone_run };
        swarm_sync::changes_of(&[op], info)
    });
    changes.collect()
}

/// Milliseconds since 1970.
pub(super) fn since_ms(since: Option<Since>) -> u64 {
    let now = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    match since {
        None => 0,
        Some(Since::AtMs(at_ms)) => at_ms,
        Some(Since::Ago(ago)) => now.saturating_sub(ago).as_millis().try_into().unwrap_or(u64::MAX),
    }
}
