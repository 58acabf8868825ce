//! `swarm changes`: what runs did to a pair.

use std::time::UNIX_EPOCH;

use super::args::{ChangesArgs, Global, Since};
use super::failure::Failure;
use super::output;
use super::pair::Place;
use swarm_node::clock::wall_clock;
use swarm_pair::{ChangeView, Purpose};
use swarm_sync::{Change, ChangeLog, DeedEnd, Detours, PerSide, RunInfo, Timestamp};

pub(super) fn run(args: &ChangesArgs, global: &Global) -> Result<(), Failure> {
    let place = Place::of(&args.of.pair, global)?;
    let deeds = place.found.pair.changes(since_ms(args.since), u32::MAX)?;
    let changes: Vec<Change> = deeds
        .chunk_by(|one, next| one.run == next.run)
        .flat_map(|of_run| changes_of_run(of_run, &place))
        .collect();
    if args.json {
        output::json(&ChangeLog { changes })
    } else if changes.is_empty() {
        output::note("no changes");
        Ok(())
    } else {
        output::text(&output::changes_table(&changes, &place.names))
    }
}

/// The lines of the log of the operations of one run that were done. Their author is the other folder.
fn changes_of_run(of_run: &[ChangeView], place: &Place) -> Vec<Change> {
    let mut detours = PerSide::<Detours>::default();
    let done = of_run.iter().filter(|view| matches!(view.deed.end, DeedEnd::Done { .. }));
    let changes = done.flat_map(|ChangeView { run, purpose, deed }| {
        let Some(op) = detours.of_mut(deed.side).shown(&deed.op) else { return Vec::new() };
        let author = place.found.pair.root(deed.side.other()).to_string_lossy();
        let at = Timestamp(i64::try_from(run.ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000));
        let Purpose { cause, undone_run } = *purpose;
        let info = RunInfo { run: *run, side: deed.side, at, author: &author, cause, undone_run };
        swarm_sync::changes_of(&[op], info)
    });
    changes.collect()
}

/// Milliseconds since 1970.
fn since_ms(since: Option<Since>) -> u64 {
    let now = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    match since {
        None => 0,
        Some(Since::AtMs(at_ms)) => at_ms,
        Some(Since::Ago(ago)) => now.saturating_sub(ago).as_millis().try_into().unwrap_or(u64::MAX),
    }
}
