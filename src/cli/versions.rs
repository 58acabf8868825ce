//! `swarm versions`: what stood at a path before a run replaced or deleted it.

use super::args::{Global, VersionsArgs};
use super::failure::Failure;
use super::library::{self, Named};
use super::output::{self, VersionJson};
use super::pair::Place;
use swarm_core::base::Shown;

pub(super) fn run(args: &VersionsArgs, global: &Global) -> Result<(), Failure> {
    if let Some(named) = Named::of(&args.path, &args.folder, global)? {
        return library::versions(&named, args, global);
    }
    let place = Place::of(&args.path, global)?;
    let versions = place.found.pair.versions(Some(place.path()?))?;
    if args.json {
        versions.iter().try_for_each(|version| output::json(&VersionJson::from(version)))
    } else if versions.is_empty() {
        output::note(format_args!("no version of `{}` is kept", Shown(&args.path)));
        Ok(())
    } else {
        output::text(&output::versions_table(&versions, &place.names))
    }
}
