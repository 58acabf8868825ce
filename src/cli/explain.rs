//! `swarm explain`: what is known of a path, and why it is as it is.

use super::args::{ExplainArgs, Global};
use super::failure::Failure;
use super::library::{self, Named};
use super::output;
use super::pair::Place;
use swarm_core::base::Category;

pub(super) fn run(args: &ExplainArgs, global: &Global) -> Result<(), Failure> {
    if let Some(named) = Named::of(&args.path, &args.folder, global)? {
        return library::explain(&named, args, global);
    }
    if args.json {
        let message = "--json is for libraries: name one, and its daemon by --dir";
        return Err(Failure::new(Category::Usage, message));
    }
    let place = Place::of(&args.path, global)?;
    let explanation = place.found.pair.explain(place.path()?)?;
    output::text(&output::explanation_text(&explanation, &place.names))
}
