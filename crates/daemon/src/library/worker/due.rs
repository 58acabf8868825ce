//! What a batch of inputs calls for. Invariant: what is due is gathered and done once for the whole batch; too many places are one look at
//! everything. Absent here: the doing.

use std::collections::BTreeSet;

use swarm_sync::TreePath;

/// What a batch of inputs calls for.
#[derive(Default)]
pub(super) struct Due {
    pub(super) pass: bool,
    pub(super) look: Option<Places>,
    pub(super) tally: bool,
    /// Something was told, so that others may have to hear of it.
    pub(super) is_news: bool,
    /// What is wanted is to be told again.
    pub(super) wishes: bool,
}

/// Where to look.
pub(super) enum Places {
    Everywhere,
    At(BTreeSet<TreePath>),
}

impl Due {
    /// Has these places looked at, or all; a pass follows.
    pub(super) fn look(&mut self, places: Option<Vec<TreePath>>) {
        self.pass = true;
        let places = match (self.look.take(), places) {
            (Some(Places::Everywhere), _) | (_, None) => Places::Everywhere,
            (None, Some(places)) => Places::At(places.into_iter().collect()),
            (Some(Places::At(mut known)), Some(places)) => {
                known.extend(places);
                if known.len() > PLACES_MAX { Places::Everywhere } else { Places::At(known) }
            }
        };
        self.look = Some(places);
    }
}

/// More places than these, and one scan of everything is cheaper.
const PLACES_MAX: usize = 10_000;
