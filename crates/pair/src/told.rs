//! What the user of a session that watches was told already: a path that is left out or refused is named once, until it rests, is copied
//! or fails in another way. Absent here: sessions that run once, which tell everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use swarm_sync::{Blind, BlindWhy, ConflictId, Hold, PerSide, Plan, ReplicaError, RunEvent, Side, shown_ops};

use crate::SyncEvent;

/// What was told. Events come from several threads.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Places that are left out, and why.
    left_out: BTreeMap<Place, String>,
    /// What is told once for good: entries whose paths are none in a tree, and why a side is not watched.
    once: BTreeSet<Place>,
    /// Files that are written to, and how often in a row they were met so.
    changing: BTreeMap<Place, u32>,
    /// Operations that were refused, and why.
    refused: BTreeMap<Place, String>,
    refused_now: BTreeSet<Place>,
    /// Conflicts and held runs of the last plan.
    open: (Vec<ConflictId>, Option<Hold>),
}

/// A side, and a path there as it is shown.
type Place = (Side, String);

impl Told {
    /// Whether an event says something that was not told yet.
    pub(crate) fn is_news(&self, event: &SyncEvent) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            SyncEvent::Blind { side, path, why: BlindWhy::Changing } => {
                known.change((*side, path.to_string()))
            }
            SyncEvent::Blind { side, path, why } => {
                is_other(&mut known.left_out, (*side, path.to_string()), why.to_string())
            }
            SyncEvent::Unnamed { side, shown, .. } => known.once.insert((*side, shown.clone())),
            SyncEvent::Warning { message } => known.once.insert((Side::Local, message.clone())),
            SyncEvent::NotWatched { side, why } => known.once.insert((*side, why.clone())),
            SyncEvent::Run(RunEvent::Refused { side, op, error: ReplicaError::Changed { path } }) => {
                known.refuse((*side, op.path.to_string()), String::new());
                known.change((side.other(), path.to_string()))
            }
            SyncEvent::Run(RunEvent::Refused { side, op, error }) => {
                known.refuse((*side, op.path.to_string()), error.to_string())
            }
            SyncEvent::Stays { side, path, .. } => known.refuse((*side, path.to_string()), String::new()),
            SyncEvent::Run(RunEvent::Performed { .. })
            | SyncEvent::Waiting { .. }
            | SyncEvent::Scanning { .. }
            | SyncEvent::Planned(_)
            | SyncEvent::Carried { .. }
            | SyncEvent::Idle => true,
        }
    }

    /// Whether a plan has more than operations that were refused, and conflicts that were told.
    pub(crate) fn is_new_plan(&self, plan: &Plan) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_news = |side: Side| {
            let mut ops = shown_ops(plan.ops.of(side));
            ops.any(|op| !known.refused.contains_key(&(side, op.path.to_string())))
        };
        let has_news = plan.held.is_none() && Side::BOTH.into_iter().any(has_news);
        let open = (plan.conflicts.iter().map(|conflict| conflict.id).collect(), plan.held);
        let is_open_anew = std::mem::replace(&mut known.open, open) != known.open;
        has_news || is_open_anew
    }

    /// Forgets what is over by now: places that are seen again, operations that were not refused again. `blind` are all places that cannot
    /// be looked at.
    pub(crate) fn keep(&self, blind: &PerSide<Vec<Blind>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let blind_at = |side: Side| blind.of(side).iter().map(move |blind| (side, blind.path.to_string()));
        let blind: BTreeSet<Place> = Side::BOTH.into_iter().flat_map(blind_at).collect();
        known.left_out.retain(|place, _| blind.contains(place));
        let refused_now = std::mem::take(&mut known.refused_now);
        let is_refused = |(side, path): &Place| refused_now.contains(&(side.other(), path.clone()));
        known.changing.retain(|place, _| blind.contains(place) || is_refused(place));
        // What cannot be read just now is not even tried.
        let is_waiting = |(side, path): &Place| blind.contains(&(side.other(), path.clone()));
        known.refused.retain(|place, _| refused_now.contains(place) || is_waiting(place));
    }
}

impl Known {
    fn change(&mut self, place: Place) -> bool {
        let times = self.changing.entry(place).or_default();
        *times = times.saturating_add(1);
        *times == CHANGING_TOLD
    }

    fn refuse(&mut self, place: Place, why: String) -> bool {
        self.refused_now.insert(place.clone());
        is_other(&mut self.refused, place, why)
    }
}

fn is_other(known: &mut BTreeMap<Place, String>, place: Place, why: String) -> bool {
    let is_same = known.get(&place) == Some(&why);
    known.insert(place, why);
    !is_same
}

/// A file that is being copied into the folder is met so a few times, and needs no word.
const CHANGING_TOLD: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_sync::{Op, OpKind, TreePath};

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    fn refused(place: &str, error: fn(TreePath) -> ReplicaError) -> SyncEvent {
        let (path, side) = (path(place), Side::Remote);
        let error = error(path.clone());
        SyncEvent::Run(RunEvent::Refused {
            side,
            op: Op { path, kind: OpKind::Remove, expected: None },
            error,
        })
    }

    fn changed(path: TreePath) -> ReplicaError {
        ReplicaError::Changed { path }
    }

    fn denied(path: TreePath) -> ReplicaError {
        ReplicaError::Denied { path, op: "write" }
    }

    fn full(path: TreePath) -> ReplicaError {
        ReplicaError::Full { path }
    }

    fn blind(place: &str, why: BlindWhy) -> SyncEvent {
        SyncEvent::Blind { side: Side::Local, path: path(place), why }
    }

    #[test]
    fn a_refusal_is_told_once_until_it_is_over() {
        let (told, none) = (Told::default(), PerSide::default());
        assert!(told.is_news(&refused("page", full)));
        told.keep(&none);
        assert!(!told.is_news(&refused("page", full)));
        assert!(told.is_news(&refused("page", denied)), "for another reason");
        told.keep(&none);
        told.keep(&none);
        assert!(told.is_news(&refused("page", denied)), "it went well in between");
    }

    #[test]
    fn a_file_that_is_written_to_is_named_once_if_that_goes_on() {
        let told = Told::default();
        let changing = vec![Blind { path: path("log"), why: BlindWhy::Changing }];
        let changing = PerSide { local: changing, remote: Vec::new() };
        let rounds = [
            (blind("log", BlindWhy::Changing), &changing),
            (refused("log", changed), &PerSide::default()),
            (refused("log", changed), &PerSide::default()),
            (blind("log", BlindWhy::Changing), &changing),
            (refused("log", changed), &PerSide::default()),
        ];
        let news = rounds.map(|(event, blind)| {
            let is_news = told.is_news(&event);
            told.keep(blind);
            is_news
        });
        assert_eq!(news, [false, false, true, false, false]);
        // It was copied meanwhile.
        told.keep(&PerSide::default());
        assert!(!told.is_news(&refused("log", changed)));
    }

    #[test]
    fn a_place_that_is_left_out_is_named_once() {
        let told = Told::default();
        assert!(told.is_news(&blind("socket", BlindWhy::Special)));
        assert!(!told.is_news(&blind("socket", BlindWhy::Special)));
        told.keep(&PerSide::default());
        assert!(told.is_news(&blind("socket", BlindWhy::Special)), "it was gone in between");
    }
}
