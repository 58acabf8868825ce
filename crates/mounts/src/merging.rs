//! The walk of a library: the walks of all layers, merged in path order as they come. Memory does not depend on the tree.
//!
//! Invariant: of a path that several layers have, the topmost one decides, and what it has is told once. Where it has a file, nothing that
//! lower layers have below is told. Where a layer is blind, so is the merged walk, unless an upper layer hides that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use swarm_sync::{Blind, BlindWhy, Found, FoundKind, ReplicaError, Seen, TreePath, Walk};

use crate::whiteouts::Veil;

/// Merges walks, the topmost layer first.
pub(crate) struct Merging {
    layers: Vec<Walk>,
    /// Layers whose next step was not asked for yet.
    unread: Vec<usize>,
    /// The next step of each other layer that is not at its end, by its path, and then from the top.
    next: BTreeMap<(TreePath, usize), Seen>,
    /// Below this path, nothing is told.
    closed: Option<TreePath>,
    shadowed: Arc<Shadowed>,
}

/// Files of lower layers that walks found below a file of an upper one, and nothing is remembered of.
pub(crate) struct Shadowed {
    veil: Arc<Veil>,
    found: Mutex<BTreeSet<TreePath>>,
    /// In paths.
    limit: usize,
}

impl Shadowed {
    pub(crate) fn new(veil: Arc<Veil>, limit: usize) -> Self {
        Self { veil, found: Mutex::default(), limit }
    }

    /// Those that were found since this was asked last, and whether there was room for all.
    pub(crate) fn take(&self) -> (BTreeSet<TreePath>, bool) {
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        let is_all = found.len() < self.limit;
        (found, is_all)
    }

    /// What is too much now is found by another walk.
    fn note(&self, path: &TreePath) {
        // What cannot be looked up fails when it is to be remembered, too, and that is told.
        if self.veil.is_remembered(path).unwrap_or(false) {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < self.limit {
            found.insert(path.clone());
        }
    }
}

impl Merging {
    pub(crate) fn noting(layers: Vec<Walk>, shadowed: Arc<Shadowed>) -> Self {
        let unread = (0..layers.len()).collect();
        Self { layers, unread, next: BTreeMap::new(), closed: None, shadowed }
    }

    /// Reads a step of a layer. A step without a path is returned: it has no place in the order.
    fn read(&mut self, layer: usize) -> Option<Result<Seen, ReplicaError>> {
        let seen = match self.layers[layer].next() {
            Some(Ok(seen)) => seen,
            other => {
                let is_over = !matches!(other, Some(Ok(Seen::Unnamed { .. })));
                self.unread.retain(|unread| !is_over || *unread != layer);
                return other;
            }
        };
        match &seen {
            Seen::Unnamed { .. } => return Some(Ok(seen)),
            Seen::Entry(Found { path, .. }) | Seen::Blind(Blind { path, .. }) => {
                self.next.insert((path.clone(), layer), seen);
            }
        }
        self.unread.retain(|unread| *unread != layer);
        None
    }

    /// Takes what all layers have at the first path, from the top.
    fn take_first(&mut self) -> Option<(TreePath, Vec<Seen>)> {
        let ((path, layer), seen) = self.next.pop_first()?;
        let mut at_path = vec![seen];
        self.unread.push(layer);
        while let Some(entry) = self.next.first_entry() {
            if entry.key().0 != path {
                break;
            }
            self.unread.push(entry.key().1);
            at_path.push(entry.remove());
        }
        Some((path, at_path))
    }

    fn is_closed(&self, path: &TreePath) -> bool {
        self.closed.as_ref().is_some_and(|closed| path.is_below(closed))
    }
}

impl Iterator for Merging {
    type Item = Result<Seen, ReplicaError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(layer) = self.unread.last().copied() {
                if let Some(aside) = self.read(layer) {
                    return Some(aside);
                }
            }
            let (path, at_path) = self.take_first()?;
            if self.is_closed(&path) {
                continue;
            }
            let is_file = |seen: &Seen| matches!(seen, Seen::Entry(found) if found.kind != FoundKind::Folder);
            if at_path.len() > 1 && at_path.iter().all(is_file) {
                self.shadowed.note(&path);
            }
            let told = decide(at_path)?;
            if !is_open(&told) {
                self.closed = Some(path);
            }
            return Some(Ok(told));
        }
    }
}

/// What is told of a path. Folders merge: if one of them cannot be seen, nothing can be said of the whole.
fn decide(at_path: Vec<Seen>) -> Option<Seen> {
    let mut from_top = at_path.into_iter();
    let top = from_top.next()?;
    if !is_open(&top) {
        return Some(top);
    }
    let hides_more = |seen: &Seen| matches!(seen, Seen::Blind(Blind { why, .. }) if may_be_folder(why));
    Some(from_top.find(hides_more).unwrap_or(top))
}

/// Whether lower layers show through.
fn is_open(seen: &Seen) -> bool {
    matches!(seen, Seen::Entry(Found { kind: FoundKind::Folder, .. }))
}

fn may_be_folder(why: &BlindWhy) -> bool {
    match why {
        BlindWhy::Unreadable(_) | BlindWhy::Changing | BlindWhy::Mount => true,
        BlindWhy::Special | BlindWhy::LinkTarget => false,
    }
}

#[cfg(test)]
mod tests {
    use swarm_sync::{Entry, Kind, Stamp};

    use super::*;
    use crate::{MemoryWhiteouts, Whiteouts as _};

    /// `d/`, `f=3` (a file of that length), `?d` (blind), `*d` (a pipe), `!x` (no path).
    fn seen(text: &str) -> Seen {
        let path = |text: &str| TreePath::new(text).expect("a path");
        if let Some(place) = text.strip_prefix('?') {
            return Seen::Blind(Blind { path: path(place), why: BlindWhy::Changing });
        }
        if let Some(place) = text.strip_prefix('*') {
            return Seen::Blind(Blind { path: path(place), why: BlindWhy::Special });
        }
        if let Some(shown) = text.strip_prefix('!') {
            return Seen::Unnamed { shown: shown.to_owned(), why: swarm_sync::UnnamedWhy::NotUtf8 };
        }
        let (place, kind) = match text.split_once('=') {
            Some((place, len)) => {
                (place, FoundKind::File { len: len.parse().expect("a length"), executable: false })
            }
            None => (text.trim_end_matches('/'), FoundKind::Folder),
        };
        Seen::Entry(Found { path: path(place), kind, modified_ns: 0, stamp: Stamp::default() })
    }

    fn shown(seen: &Seen) -> String {
        match seen {
            Seen::Entry(Found { path, kind: FoundKind::File { len, .. }, .. }) => format!("{path}={len}"),
            Seen::Entry(Found { path, .. }) => format!("{path}/"),
            Seen::Blind(Blind { path, why: BlindWhy::Special }) => format!("*{path}"),
            Seen::Blind(Blind { path, .. }) => format!("?{path}"),
            Seen::Unnamed { shown, .. } => format!("!{shown}"),
        }
    }

    fn noting(layers: Vec<Walk>) -> Merging {
        let veil = Arc::new(Veil::new(Arc::new(MemoryWhiteouts::default())));
        Merging::noting(layers, Arc::new(Shadowed::new(veil, 10)))
    }

    fn check(layers: &[&str], expected: &str) {
        let walk = |text: &&str| -> Walk {
            let steps: Vec<_> = text.split_whitespace().map(|text| Ok(seen(text))).collect();
            Box::new(steps.into_iter())
        };
        let merged: Vec<_> =
            noting(layers.iter().map(walk).collect()).map(|seen| shown(&seen.expect("a step"))).collect();
        assert_eq!(merged.join(" "), expected, "{layers:?}");
    }

    #[test]
    fn the_topmost_layer_decides_and_folders_merge() {
        check(&["a=9 d/ d/x=9", "a=1 b=2 d/ d/x=1 d/y=2"], "a=9 b=2 d/ d/x=9 d/y=2");
        check(&["d=9", "d/ d/x=1 d/y/ d/y/z=2 d!=4"], "d=9 d!=4");
        check(&["d/ d/x=9", "d=1 e=2"], "d/ d/x=9 e=2");
    }

    #[test]
    fn where_one_layer_is_blind_so_is_the_walk() {
        check(&["?d e=1", "d/ d/x=1 e=2"], "?d e=1");
        check(&["d/ d/x=9", "?d e=2"], "?d e=2");
        check(&["d=9", "?d"], "d=9");
        check(&["d/ d/x=9", "*d"], "d/ d/x=9");
    }

    #[test]
    fn what_is_remembered_takes_no_room_among_what_is_noted() {
        let whiteouts = Arc::new(MemoryWhiteouts::default());
        let shadowed = Arc::new(Shadowed::new(Arc::new(Veil::new(whiteouts.clone())), 2));
        let mut told = Vec::new();
        for _ in 0..3 {
            let walk = || -> Walk {
                Box::new(["a=1", "b=1", "c=1", "d=1", "e=1"].map(|text| Ok(seen(text))).into_iter())
            };
            Merging::noting(vec![walk(), walk()], Arc::clone(&shadowed)).for_each(drop);
            let (paths, is_all) = shadowed.take();
            told.push((paths.iter().map(TreePath::as_str).collect::<String>(), is_all));
            let entry = Entry { kind: Kind::Folder, modified_ns: 0, stamp: Stamp::default() };
            let hidden: Vec<_> = paths.into_iter().map(|path| (path, entry.clone())).collect();
            whiteouts.remember(&hidden).expect("memory");
        }
        let expected =
            [("ab", false), ("cd", false), ("e", true)].map(|(paths, is_all)| (paths.to_owned(), is_all));
        assert_eq!(told, expected);
    }

    #[test]
    fn what_has_no_path_is_told_as_it_comes() {
        check(&["!a !b c=1", "b=1 !z"], "!a !b b=1 !z c=1");
    }

    #[test]
    fn an_error_of_a_layer_is_passed_on() {
        let broken: Walk = Box::new([Ok(seen("a=1")), Err(ReplicaError::Stopped)].into_iter());
        let whole: Walk = Box::new(["b=1", "c=1"].map(|text| Ok(seen(text))).into_iter());
        let steps: Vec<_> = noting(vec![broken, whole]).collect();
        assert!(steps.contains(&Err(ReplicaError::Stopped)), "{steps:?}");
    }
}
