//! Which changes a library holds back until enough peers agree. Invariant: a record that puts something where nothing stood is never held.
//! Absent here: whether the votes about a held commit suffice (`proposal`).

use std::collections::{BTreeMap, BTreeSet};

use swarm_sync::{Kind, TreePath};

use crate::{Record, State};

/// How many yes, the author's included, a change needs. Zero or one votes hold nothing. Each node guards its own disk by its own policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Yes for a deletion.
    pub delete_votes: u32,
    /// Yes for a move.
    pub move_votes: u32,
    /// Changes of one commit that make it a bulk change: files that it deletes, moves or replaces. Zero: none do.
    pub bulk_changes: u32,
    /// Yes for each of them.
    pub bulk_votes: u32,
    /// Days until a change that did not get its votes is dropped. Zero: it waits for ever.
    pub expiry_days: u32,
    /// Whether one no refuses a change. Otherwise a no is shown, and the change waits.
    pub refused_by_one: bool,
}

/// What a held record waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Yes in all, at least two.
    pub votes: u32,
    /// Which part of the policy asks for so many.
    pub cause: Cause,
}

/// Why a record is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It deletes.
    Deletion,
    /// It is one end of a move.
    Move,
    /// Its commit changes much.
    Bulk,
}

/// What a record does to what stands on the disk of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Deletes,
    /// It is the old place of a move, and counts with the new one.
    MovesAway,
    MovesHere,
    Replaces,
    /// It stands below a file, which gives way to a folder.
    Displaces,
    Adds,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            delete_votes: 0,
            move_votes: 0,
            bulk_changes: 0,
            bulk_votes: 0,
            expiry_days: 14,
            refused_by_one: false,
        }
    }
}

impl Policy {
    /// Whether it holds nothing, whatever a commit has.
    pub fn holds_nothing(&self) -> bool {
        let is_bulk_free = self.bulk_changes == 0 || self.bulk_votes < 2;
        self.delete_votes < 2 && self.move_votes < 2 && is_bulk_free
    }

    /// Milliseconds for which a change waits; `None`: for ever.
    pub fn waits_ms(&self) -> Option<u64> {
        (self.expiry_days > 0).then_some(u64::from(self.expiry_days) * DAY_MS)
    }

    /// As careful as both: it holds what either holds, for as many votes.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        // A part that is off says nothing about its number.
        let least = |one: u32, other: u32| match (one, other) {
            (0, other) => other,
            (one, 0) => one,
            (one, other) => one.min(other),
        };
        Self {
            delete_votes: self.delete_votes.max(other.delete_votes),
            move_votes: self.move_votes.max(other.move_votes),
            bulk_changes: least(self.bulk_changes, other.bulk_changes),
            bulk_votes: self.bulk_votes.max(other.bulk_votes),
            expiry_days: least(self.expiry_days, other.expiry_days),
            refused_by_one: self.refused_by_one || other.refused_by_one,
        }
    }

    fn need(&self, effect: Effect, is_bulk: bool) -> Option<Need> {
        let own = match effect {
            Effect::Deletes => Need { votes: self.delete_votes, cause: Cause::Deletion },
            Effect::MovesAway | Effect::MovesHere => Need { votes: self.move_votes, cause: Cause::Move },
            Effect::Replaces | Effect::Displaces => Need { votes: 0, cause: Cause::Bulk },
            Effect::Adds => return None,
        };
        let bulk = Need { votes: if is_bulk { self.bulk_votes } else { 0 }, cause: Cause::Bulk };
        let need = if bulk.votes > own.votes { bulk } else { own };
        (need.votes >= 2).then_some(need)
    }
}

/// For each record of one commit what it waits for. `standing` tells what the view has at a path before the commit; it is asked for the paths
/// of the records, those that they were moved from, and the folders above.
pub fn held(
    policy: &Policy,
    records: &[Record],
    standing: &dyn Fn(&TreePath) -> Option<Kind>,
) -> Vec<Option<Need>> {
    if policy.holds_nothing() {
        return vec![None; records.len()];
    }
    let moves = Moves::of(records, standing);
    let effects: Vec<Effect> = records.iter().map(|record| moves.effect(record, standing)).collect();
    let is_change =
        |effect: &&Effect| !matches!(effect, Effect::Adds | Effect::MovesAway | Effect::Displaces);
    let changes = effects.iter().filter(is_change).count() + displaced(records, &effects, standing);
    let is_bulk = policy.bulk_changes > 0 && changes >= policy.bulk_changes as usize;
    effects.into_iter().map(|effect| policy.need(effect, is_bulk)).collect()
}

/// How many files give way to folders, and have no record of their own in the commit.
fn displaced(records: &[Record], effects: &[Effect], standing: &dyn Fn(&TreePath) -> Option<Kind>) -> usize {
    let displacing = records.iter().zip(effects).filter(|(_, effect)| **effect == Effect::Displaces);
    let files: BTreeSet<TreePath> =
        displacing.filter_map(|(record, _)| file_above(&record.path, standing)).collect();
    let recorded: BTreeSet<&TreePath> = records.iter().map(|record| &record.path).collect();
    files.iter().filter(|file| !recorded.contains(file)).count()
}

/// The entry above a path that is no folder.
fn file_above(path: &TreePath, standing: &dyn Fn(&TreePath) -> Option<Kind>) -> Option<TreePath> {
    path.ancestors().find(|above| standing(above).is_some_and(|kind| kind != Kind::Folder))
}

/// The old places of the moves of one commit.
struct Moves<'a>(BTreeMap<&'a TreePath, Vec<&'a Kind>>);

impl<'a> Moves<'a> {
    /// A move has a record for each end in one commit, and moves what stands there: a deletion is not let through as a move to a file with
    /// other bytes. Something else may have come to the old place.
    fn of(records: &'a [Record], standing: &dyn Fn(&TreePath) -> Option<Kind>) -> Self {
        let mut arrived: BTreeMap<&TreePath, Vec<&Kind>> = BTreeMap::new();
        for record in records {
            if let (Some(from), Some(kind)) = (&record.moved_from, record.state.kind()) {
                arrived.entry(from).or_default().push(kind);
            }
        }
        let mut moves = BTreeMap::new();
        for gone in records {
            let Some(kinds) = arrived.get(&gone.path) else { continue };
            let stood = standing(&gone.path);
            let stays = |now: &Kind| stood.as_ref().is_none_or(|stood| has_same_bytes(stood, now));
            if gone.state.kind().is_some_and(stays) {
                continue;
            }
            let is_same = |kind: &&Kind| match &stood {
                Some(stood) => has_same_bytes(stood, kind),
                None => kind.file().map(|file| file.hash) == gone.parent,
            };
            let same: Vec<&Kind> = kinds.iter().copied().filter(is_same).collect();
            if !same.is_empty() {
                moves.insert(&gone.path, same);
            }
        }
        Self(moves)
    }

    fn effect(&self, record: &Record, standing: &dyn Fn(&TreePath) -> Option<Kind>) -> Effect {
        let State::Live(live) = &record.state else {
            let is_moved = self.0.contains_key(&record.path);
            return if is_moved { Effect::MovesAway } else { Effect::Deletes };
        };
        let moved = record.moved_from.as_ref().and_then(|from| self.0.get(from));
        if moved.is_some_and(|kinds| kinds.contains(&&live.kind)) {
            return Effect::MovesHere;
        }
        if self.0.contains_key(&record.path) {
            return Effect::MovesAway;
        }
        match standing(&record.path) {
            Some(kind) if !has_same_bytes(&kind, &live.kind) => Effect::Replaces,
            _ if file_above(&record.path, standing).is_some() => Effect::Displaces,
            Some(_) | None => Effect::Adds,
        }
    }
}

/// Whether nothing is lost if one entry takes the place of the other.
fn has_same_bytes(one: &Kind, other: &Kind) -> bool {
    match (one.file(), other.file()) {
        (Some(one), Some(other)) => one.hash == other.hash,
        (None, None) => one == other,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

const DAY_MS: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use swarm_core::base::NodeId;
    use swarm_sync::{ContentHash, FileContent};

    use super::*;
    use crate::{Live, Vector};

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    /// The kind that a content letter stands for; `/` is a folder.
    fn kind(content: &str) -> Kind {
        match content {
            "/" => Kind::Folder,
            _ => {
                let hash = ContentHash::of(content.as_bytes());
                Kind::File(FileContent { len: 1, hash, executable: content == "X" })
            }
        }
    }

    /// `a=x` puts the content x at a, `a=x<b` moved it from b, `-b` deletes b, `-b=x` says that it was x.
    fn record(text: &str) -> Record {
        let (text, moved_from) = match text.split_once('<') {
            Some((text, from)) => (text, Some(path(from))),
            None => (text, None),
        };
        let (name, content) = match text.split_once('=') {
            Some((name, content)) => (name, Some(content)),
            None => (text, None),
        };
        let vector = Vector::of(NodeId::from_bytes([1; 32]), 1);
        let parent = content.map(|content| ContentHash::of(content.as_bytes()));
        match name.strip_prefix('-') {
            Some(name) => {
                Record { path: path(name), state: State::Deleted, vector, parent, moved_from: None }
            }
            None => {
                let kind = kind(content.expect("a content"));
                let state = State::Live(Live { kind, modified_ns: 0, sha256: None });
                Record { path: path(name), state, vector, parent: None, moved_from }
            }
        }
    }

    /// `delete/move/bulk changes:bulk votes`, as votes; then what stands, the records, and what each waits for: `.` for nothing, `d3` for
    /// three yes to a deletion.
    fn check(policy: [u32; 4], stands: &str, records: &str, expected: &str) {
        let [delete_votes, move_votes, bulk_changes, bulk_votes] = policy;
        let policy = Policy { delete_votes, move_votes, bulk_changes, bulk_votes, ..Policy::default() };
        let stands: BTreeMap<TreePath, Kind> = stands
            .split_whitespace()
            .map(|word| word.split_once('=').expect("a content"))
            .map(|(name, content)| (path(name), kind(content)))
            .collect();
        let parsed: Vec<Record> = records.split_whitespace().map(record).collect();
        let held = held(&policy, &parsed, &|path| stands.get(path).cloned());
        let shown = held.iter().map(|need| match need {
            None => ".".to_owned(),
            Some(Need { votes, cause: Cause::Deletion }) => format!("d{votes}"),
            Some(Need { votes, cause: Cause::Move }) => format!("m{votes}"),
            Some(Need { votes, cause: Cause::Bulk }) => format!("b{votes}"),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{policy:?} | {records}");
    }

    #[test]
    fn a_deletion_waits_and_new_files_do_not() {
        check([2, 0, 0, 0], "a=x b=y", "-a b=z c=x", "d2 . .");
        check([3, 0, 0, 0], "", "-a", "d3");
        check([1, 0, 0, 0], "a=x", "-a", ".");
        check([1, 2, 0, 0], "a=x", "-a", ".");
        check([0, 0, 0, 0], "a=x b=y", "-a b=z", ". .");
    }

    #[test]
    fn a_move_is_no_deletion() {
        check([3, 2, 0, 0], "a=x", "-a b=x<a", "m2 m2");
        check([3, 0, 0, 0], "a=x", "-a b=x<a", ". .");
        check([3, 2, 0, 0], "a=/", "b=/<a -a", "m2 m2");
        check([0, 2, 0, 0], "a=x", "-a b=x<a c=x<a", "m2 m2 m2");
        // Where the file is not here yet, the deletion says what it was.
        check([3, 2, 0, 0], "", "-a=x b=x<a", "m2 m2");
    }

    #[test]
    fn a_deletion_is_not_let_through_as_a_move() {
        check([3, 0, 0, 0], "a=x", "-a b=y<a", "d3 .");
        check([3, 0, 0, 0], "a=x", "-a=y b=y<a", "d3 .");
        check([3, 0, 0, 0], "a=x", "-a b=/<a", "d3 .");
        check([3, 0, 0, 0], "a=x", "-a b=x<c", "d3 .");
        check([3, 2, 0, 0], "a=x", "-a b=y<a c=x<a", "m2 . m2");
        check([3, 0, 0, 0], "", "-a=x b=y<a", "d3 .");
        // The old place went in another commit: nothing says that these belong together.
        check([3, 2, 0, 0], "a=x", "-a", "d3");
        check([3, 2, 0, 0], "a=x", "b=x<a", ".");
    }

    #[test]
    fn many_changes_of_one_commit_wait_together() {
        let stands = "a=x b=y c=z";
        check([0, 0, 3, 2], stands, "-a b=n", ". .");
        check([0, 0, 3, 2], stands, "-a b=n -c d=x", "b2 b2 b2 .");
        check([3, 0, 2, 2], stands, "-a b=n", "d3 b2");
        check([2, 0, 2, 3], stands, "-a b=n", "b3 b3");
        // Both ends of a move are one change, and wait together.
        check([0, 0, 2, 2], stands, "-a d=x<a", ". .");
        check([0, 0, 2, 2], stands, "-a d=x<a -b", "b2 b2 b2");
        check([0, 0, 2, 1], stands, "-a -b", ". .");
        check([0, 0, 0, 5], stands, "-a -b -c", ". . .");
    }

    #[test]
    fn entries_that_change_places_wait_together() {
        check([3, 2, 0, 0], "a=x b=y", "a=y<b b=x<a", "m2 m2");
        check([3, 2, 0, 0], "a=x b=/ b/c=y", "a=/<b b=x<a -b/c a/c=y<b/c", "m2 m2 m2 m2");
        // What comes to the old place waits with what leaves it.
        check([3, 2, 0, 0], "a=x", "a=/ a/b=x<a", "m2 m2");
        check([3, 2, 0, 0], "a=x", "a=n b=x<a", "m2 m2");
        // It did not leave.
        check([3, 2, 0, 0], "a=x", "a=x b=x<a", ". .");
        check([0, 0, 2, 2], "a=x b=y", "a=y<b b=x<a", "b2 b2");
    }

    #[test]
    fn what_stands_below_a_file_waits_as_what_replaces_it() {
        check([0, 0, 2, 2], "a=x b=y", "a=/ a/c=n -b", "b2 b2 b2");
        // The file counts once, whether it has a record or not.
        check([0, 0, 2, 2], "a=x", "a=/ a/c=n a/d/e=m", ". . .");
        check([0, 0, 2, 2], "a=x b=y", "a/c=n a/d=n", ". .");
        check([0, 0, 2, 2], "a=x b=y", "a/c=n a/d=n b/e=n", "b2 b2 b2");
    }

    #[test]
    fn the_stricter_of_two_policies_is_as_careful_as_both() {
        let policy = |[delete_votes, move_votes, bulk_changes, bulk_votes, expiry_days]: [u32; 5],
                      refused_by_one| {
            Policy { delete_votes, move_votes, bulk_changes, bulk_votes, expiry_days, refused_by_one }
        };
        let (one, other) = (policy([2, 1, 100, 2, 14], false), policy([1, 3, 0, 0, 7], true));
        let both = policy([2, 3, 100, 2, 7], true);
        assert_eq!((one.stricter(other), other.stricter(one)), (both, both));
        assert_eq!(one.stricter(one), one);
        assert_eq!(policy([0, 0, 0, 0, 0], false).stricter(one), one);
    }

    #[test]
    fn the_same_bytes_replace_nothing() {
        check([0, 0, 1, 2], "a=X", "a=X", ".");
        check([0, 0, 1, 2], "a=/", "a=/", ".");
        check([0, 0, 1, 2], "a=/", "a=x", "b2");
        check([0, 0, 1, 2], "a=x", "a=/", "b2");
        check([0, 0, 1, 2], "", "a=x b=y c=z", ". . .");
    }
}
