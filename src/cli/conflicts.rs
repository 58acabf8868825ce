//! `swarm conflicts`: what somebody has to decide.

use super::args::{ConflictsArgs, Global};
use super::failure::Failure;
use super::library::{self, Named};
use super::output::{self, Comparison, ConflictJson, Names, Paint};
use super::pair::Place;
use swarm_pair::Pair;
use swarm_sync::{Conflict, DiffNames, Side, unified_diff};

pub(super) fn run(args: &ConflictsArgs, global: &Global) -> Result<(), Failure> {
    if let Some(named) = Named::of(&args.path, &args.folder, global)? {
        return library::conflicts(&named, args, global);
    }
    let place = Place::of(&args.path, global)?;
    let open = place.found.pair.conflicts_named(None, place.found.path.as_ref())?;
    if args.json {
        return open.iter().try_for_each(|view| output::json(&ConflictJson::from(view)));
    }
    if open.is_empty() {
        output::note("no conflicts");
    }
    let paint = Paint::stdout();
    for (index, view) in open.iter().enumerate() {
        if index > 0 {
            output::text("\n")?;
        }
        let pair = &place.found.pair;
        let diff = diff(pair, &view.conflict, &place.names)?;
        let compared = Comparison { diff, merge: pair.merged(&view.conflict)?.map(drop) };
        output::text(&output::conflict_text(&view.conflict, &compared, &place.names, paint))?;
        if view.choice.is_some() {
            output::result("  decided: the next `swarm sync` carries it out")?;
        }
    }
    Ok(())
}

/// What turns one version into the other, if both are texts.
pub(super) fn diff(pair: &Pair, conflict: &Conflict, names: &Names) -> Result<Option<String>, Failure> {
    let texts = pair.texts(conflict)?;
    let (Some(local), Some(remote)) = (&texts.local, &texts.remote) else { return Ok(None) };
    let name = |side: Side| format!("{}/{}", names.of(side), conflict.path.as_str());
    let (old, new) = (name(Side::Local), name(Side::Remote));
    Ok(unified_diff(local, remote, DiffNames { old: &old, new: &new }))
}
