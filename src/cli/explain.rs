//! `swarm explain`: what is known of a path, and why it is as it is.

use super::args::{ExplainArgs, Global};
use super::failure::Failure;
use super::output;
use super::pair::Place;

pub(super) fn run(args: &ExplainArgs, global: &Global) -> Result<(), Failure> {
    let place = Place::of(&args.path, global)?;
    let explanation = place.found.pair.explain(place.path()?)?;
    output::text(&output::explanation_text(&explanation, &place.names))
}
