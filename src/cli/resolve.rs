//! `swarm resolve`: decides conflicts. The next `swarm sync` carries a decision out, if both versions are still what was seen.

use std::path::Path;

use super::args::{Global, ResolveArgs};
use super::failure::Failure;
use super::library::{self, Named};
use super::output::{self, ConflictJson};
use super::pair::Place;
use swarm_core::base::{Category, Shown};
use swarm_pair::Decision;
use swarm_sync::{ConflictId, Side};

pub(super) fn run(args: &ResolveArgs, global: &Global) -> Result<(), Failure> {
    if let Some(named) = Named::of(&args.target, &args.folder, global)? {
        return library::resolve(&named, args, global);
    }
    let decision = decision(&args.choice)?;
    let id = args.target.to_str().and_then(ConflictId::from_hex);
    let place = Place::of(if id.is_some() { &args.of.pair } else { &args.target }, global)?;
    let path = place.found.path.as_ref().filter(|_| id.is_none());
    let chosen = place.found.pair.conflicts_named(id, path)?;
    check_count(args, chosen.len())?;
    for view in &chosen {
        place.found.pair.decide(&view.conflict, &decision)?;
        if args.json {
            output::json(&ConflictJson::decided(view))?;
        }
    }
    if !args.json {
        let (count, names) = (output::count(chosen.len(), "conflict"), &place.names);
        let (local, remote) = (names.word(Side::Local), names.word(Side::Remote));
        output::note(format_args!("decided {count}: `swarm sync {local} {remote}` carries it out"));
    }
    Ok(())
}

/// One conflict at a time, unless the user said that all are meant.
fn check_count(args: &ResolveArgs, count: usize) -> Result<(), Failure> {
    let target = Shown(&args.target);
    let message = match count {
        0 => format!("there is no open conflict `{target}`: `swarm conflicts` lists them"),
        1 => return Ok(()),
        _ if args.all => return Ok(()),
        count => format!("there are {count} conflicts at `{target}`: name one of them, or pass --all"),
    };
    Err(Failure::new(Category::Usage, message))
}

/// What the words mean. A file that is named like a choice is written with its folder: `./merge`.
fn decision(choice: &Path) -> Result<Decision, Failure> {
    Ok(match choice.to_str() {
        Some("keep-local") => Decision::KeepLocal,
        Some("keep-remote") => Decision::KeepRemote,
        Some("keep-both") => Decision::KeepBoth,
        Some("merge") => Decision::Merge,
        _ if choice.is_file() => {
            let bytes = std::fs::read(choice).map_err(|error| Failure::file("read", choice, &error))?;
            Decision::Bytes(bytes)
        }
        _ => {
            let message = format!(
                "`{}` is no choice, and no file: choose keep-local, keep-remote, keep-both, merge, or a file",
                Shown(choice)
            );
            return Err(Failure::new(Category::Usage, message));
        }
    })
}
