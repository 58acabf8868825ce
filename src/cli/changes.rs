//! `swarm changes`: what runs did to a pair.

use std::time::UNIX_EPOCH;

use super::args::{ChangesArgs, Global, Since};
use super::failure::Failure;
use super::output;
use super::pair::Place;
use swarm_node::clock::wall_clock;
use swarm_pair::ChangeView;
use swarm_sync::{Change, ChangeLog, DeedEnd, RunInfo, Timestamp};

pub(super) fn run(args: &ChangesArgs, global: &Global) -> Result<(), Failure> {
    let place = Place::of(&args.of.pair, global)?;
    let deeds = place.found.pair.changes(since_ms(args.since), u32::MAX)?;
    let changes: Vec<Change> = deeds.iter().flat_map(|deed| changes_of(deed, &place)).collect();
    if args.json {
        output::json(&ChangeLog { changes })
    } else if changes.is_empty() {
        output::note("no changes");
        Ok(())
    } else {
        output::text(&output::changes_table(&changes, &place.names))
    }
}

/// The line of the log of an operation that was done. Its author is the other folder.
fn changes_of(view: &ChangeView, place: &Place) -> Vec<Change> {
    let ChangeView { run, deed } = view;
    let DeedEnd::Done { .. } = deed.end else { return Vec::new() };
    let author = place.found.pair.root(deed.side.other()).to_string_lossy();
    let at = Timestamp(i64::try_from(run.ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    let info = RunInfo { run: *run, side: deed.side, at, author: &author };
    swarm_sync::changes_of(std::slice::from_ref(&deed.op), info)
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
