//! Which entries of a side are entries of the base under another name. By the number of a file first; then by content, for what
//! vanished and what appeared; then folders by what is found again in them. A move that is wrongly found costs no content: an entry
//! has its kind and bytes from its side. Invariant: no path is the goal of two moves.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::find as at;
use crate::{ContentHash, Difference, Entry, FileId, Kind, PerSide, Side, TreePath};

/// Where entries of the base went on a side: from their path in the base to their path now.
pub(super) type Moves = BTreeMap<TreePath, TreePath>;

/// The moves of both sides.
pub(super) fn find(differences: &[&Difference]) -> PerSide<Moves> {
    let mut searches = PerSide::each(|side| Search::run(differences, side));
    for side in Side::BOTH {
        let hints = searches.of(side.other()).moves.clone();
        searches.of_mut(side).follow(&hints);
    }
    let mut moves = PerSide { local: searches.local.moves, remote: searches.remote.moves };
    drop_equal_goals(differences, &mut moves);
    while drop_edited(differences, &mut moves) {
        // The same move on both sides may be a move of one side now, to a path at which both have the same.
        drop_equal_goals(differences, &mut moves);
    }
    moves
}

/// The search for the moves of one side.
struct Search<'a> {
    differences: &'a [&'a Difference],
    side: Side,
    moves: Moves,
    goals: BTreeSet<TreePath>,
}

impl<'a> Search<'a> {
    fn run(differences: &'a [&'a Difference], side: Side) -> Self {
        let mut search = Self { differences, side, moves: Moves::new(), goals: BTreeSet::new() };
        search.match_ids();
        search.match_contents();
        search.match_folders();
        search
    }

    /// Entries that have the number of an entry of the base, and its bytes: numbers of removed files are used again at once.
    fn match_ids(&mut self) {
        let mut left: BTreeMap<FileId, Vec<&Difference>> = BTreeMap::new();
        for one in self.differences.iter().filter(|one| self.has_left(one)) {
            if let Some(id) = base_id(one, self.side) {
                left.entry(id).or_default().push(one);
            }
        }
        for one in self.differences {
            let Some(entry) = self.now(one).filter(|_| self.has_come(one)) else { continue };
            let candidates = entry.stamp.id.and_then(|id| left.get(&id)).map_or(&[][..], Vec::as_slice);
            let fits = |from: &&&Difference| {
                !self.moves.contains_key(&from.path) && self.is_same_entry(from, &one.path, entry)
            };
            let best = candidates.iter().filter(fits).min_by_key(|from| from.path.name() != one.path.name());
            if let Some(from) = best {
                self.add(from.path.clone(), one.path.clone());
            }
        }
    }

    fn is_same_entry(&self, from: &Difference, to: &TreePath, entry: &Entry) -> bool {
        match from.base.as_ref().map(|base| &base.kind) {
            Some(Kind::Folder) => entry.is_folder() && self.has_child_of(&from.path, to),
            Some(Kind::File(file)) => entry.file().is_some_and(|other| other.hash == file.hash),
            Some(link @ Kind::Symlink { .. }) => entry.kind == *link,
            None => false,
        }
    }

    /// Whether an entry of a folder of the base stands in the folder at another path now.
    fn has_child_of(&self, folder: &TreePath, to: &TreePath) -> bool {
        let start = self.differences.partition_point(|one| one.path <= *folder);
        let below = self.differences[start..].iter().take_while(|one| one.path.is_below(folder));
        let is_found = |one: &&Difference| {
            let (Some(base), Some(path)) = (&one.base, one.path.moved(folder, to)) else { return false };
            let found = at(self.differences, &path).and_then(|found| self.now(found));
            found.is_some_and(|entry| {
                let is_same_id = entry.stamp.id.is_some() && entry.stamp.id == base_id(one, self.side);
                entry.kind == base.kind || is_same_id
            })
        };
        below.filter(|one| one.path.parent().as_ref() == Some(folder)).any(is_found)
    }

    /// Files that vanished, and files of the same bytes that appeared. An empty file is no evidence.
    fn match_contents(&mut self) {
        let mut gone: BTreeMap<(u64, ContentHash), Vec<&'a Difference>> = BTreeMap::new();
        let mut new = gone.clone();
        for one in self.differences {
            let base = one.base.as_ref().and_then(|base| base.kind.file()).filter(|file| file.len > 0);
            if let Some(file) = base.filter(|_| self.is_gone(one) && !self.moves.contains_key(&one.path)) {
                gone.entry((file.len, file.hash)).or_default().push(one);
            }
            let now = self.now(one).and_then(Entry::file).filter(|file| file.len > 0);
            if let Some(file) = now.filter(|_| self.is_new(one) && !self.goals.contains(&one.path)) {
                new.entry((file.len, file.hash)).or_default().push(one);
            }
        }
        for (content, gone) in gone {
            if let Some(new) = new.get(&content) {
                self.pair(&gone, new);
            }
        }
    }

    /// Pairs equal names first, each with the next of that name, then what is left in path order.
    fn pair(&mut self, gone: &[&Difference], new: &[&Difference]) {
        let mut named: BTreeMap<&str, Vec<&TreePath>> = BTreeMap::new();
        for one in new.iter().rev() {
            named.entry(one.path.name()).or_default().push(&one.path);
        }
        for one in gone {
            if let Some(to) = named.get_mut(one.path.name()).and_then(Vec::pop) {
                self.add(one.path.clone(), to.clone());
            }
        }
        let is_left = |one: &&&Difference| !self.moves.contains_key(&one.path);
        let gone: Vec<TreePath> = gone.iter().filter(is_left).map(|one| one.path.clone()).collect();
        let is_free = |one: &&&Difference| !self.goals.contains(&one.path);
        let new: Vec<TreePath> = new.iter().filter(is_free).map(|one| one.path.clone()).collect();
        gone.into_iter().zip(new).for_each(|(from, to)| self.add(from, to));
    }

    /// Folders that vanished, and of whose files at least half are found at the same paths below one folder that appeared.
    fn match_folders(&mut self) {
        let mut votes: BTreeMap<TreePath, BTreeMap<TreePath, u64>> = BTreeMap::new();
        for (from, to) in &self.moves {
            for (from, to) in folder_pairs(from, to) {
                if self.is_open_folder_move(&from, &to) {
                    *votes.entry(from).or_default().entry(to).or_default() += 1;
                }
            }
        }
        for (from, votes) in votes {
            let count = self.files_below(&from);
            let enough =
                votes.into_iter().filter(|(to, votes)| votes * 2 >= count && !self.goals.contains(to));
            let best = enough
                .min_by_key(|(to, votes)| (std::cmp::Reverse(*votes), to.name() != from.name(), to.clone()));
            if let Some((to, _)) = best {
                self.add(from, to);
            }
        }
    }

    fn is_open_folder_move(&self, from: &TreePath, to: &TreePath) -> bool {
        let is_folder = |one: &Difference| one.base.as_ref().is_some_and(|base| base.kind == Kind::Folder);
        let is_gone = |one: &Difference| is_folder(one) && self.is_gone(one);
        let is_new = |one: &Difference| self.is_new(one) && self.now(one).is_some_and(Entry::is_folder);
        !self.moves.contains_key(from)
            && !self.goals.contains(to)
            && at(self.differences, from).is_some_and(is_gone)
            && at(self.differences, to).is_some_and(is_new)
    }

    fn files_below(&self, folder: &TreePath) -> u64 {
        let start = self.differences.partition_point(|one| one.path <= *folder);
        let below = self.differences[start..].iter().take_while(|one| one.path.is_below(folder));
        below.filter_map(|one| one.base.as_ref()).filter(|base| base.kind != Kind::Folder).count() as u64
    }

    /// Believes the other side: what vanished here and there, and appeared here and there, is the same move.
    fn follow(&mut self, hints: &Moves) {
        for (from, to) in hints {
            let (Some(gone), Some(new)) = (at(self.differences, from), at(self.differences, to)) else {
                continue;
            };
            let is_open = !self.moves.contains_key(from) && !self.goals.contains(to);
            let (Some(base), Some(entry)) = (&gone.base, self.now(new)) else { continue };
            let is_same = match &base.kind {
                Kind::Folder => entry.is_folder(),
                Kind::File(_) | Kind::Symlink { .. } => entry.kind == base.kind,
            };
            if is_open && is_same && self.is_gone(gone) && self.is_new(new) {
                self.add(from.clone(), to.clone());
            }
        }
    }

    fn add(&mut self, from: TreePath, to: TreePath) {
        self.goals.insert(to.clone());
        self.moves.insert(from, to);
    }

    fn now(&self, one: &'a Difference) -> Option<&'a Entry> {
        one.now.of(self.side).as_ref()
    }

    fn is_gone(&self, one: &Difference) -> bool {
        is_gone(one, self.side)
    }

    /// Something stands where the base has nothing, or something of another class.
    fn is_new(&self, one: &Difference) -> bool {
        one.now.of(self.side).is_some() && !is_same_class(one, self.side)
    }

    fn has_left(&self, one: &Difference) -> bool {
        has_left(one, self.side)
    }

    fn has_come(&self, one: &Difference) -> bool {
        self.is_new(one) || has_other_id(one, self.side)
    }
}

/// Nothing, or something of another class, stands where an entry of the base stood.
fn is_gone(one: &Difference, side: Side) -> bool {
    one.base.is_some() && !is_same_class(one, side)
}

/// Whether an entry of the base may stand elsewhere now.
pub(super) fn has_left(one: &Difference, side: Side) -> bool {
    is_gone(one, side) || has_other_id(one, side)
}

/// The folders of a moved file that have moved along: those above it, as long as the rest of both paths is the same.
fn folder_pairs(from: &TreePath, to: &TreePath) -> impl Iterator<Item = (TreePath, TreePath)> {
    let pairs = std::iter::successors(Some((from.clone(), to.clone())), |(from, to)| {
        if from.name() == to.name() { from.parent().zip(to.parent()) } else { None }
    });
    pairs.skip(1)
}

fn base_id(one: &Difference, side: Side) -> Option<FileId> {
    one.base.as_ref().and_then(|base| *base.ids.of(side))
}

/// Whether a side has what the base has as far as a file can become a folder.
fn is_same_class(one: &Difference, side: Side) -> bool {
    match (&one.base, one.now.of(side)) {
        (Some(base), Some(entry)) => (base.kind == Kind::Folder) == entry.is_folder(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn has_other_id(one: &Difference, side: Side) -> bool {
    let now = one.now.of(side).as_ref().and_then(|entry| entry.stamp.id);
    matches!((base_id(one, side), now), (Some(base), Some(now)) if base != now)
}

/// Two sides have the same at a path, though not by the same move: that is agreed, and none of it was a move. Of a folder, all that stands
/// in it has to be the same, too.
fn drop_equal_goals(differences: &[&Difference], moves: &mut PerSide<Moves>) {
    for side in Side::BOTH {
        let other = moves.of(side.other()).clone();
        moves.of_mut(side).retain(|from, to| other.get(from) == Some(to) || !has_equal_goal(differences, to));
    }
}

fn has_equal_goal(differences: &[&Difference], to: &TreePath) -> bool {
    let start = differences.partition_point(|one| one.path < *to);
    let mut there = differences[start..].iter().take_while(|one| one.path.is_at_or_below(to)).peekable();
    there.peek().is_some_and(|one| one.path == *to) && there.all(|one| one.agrees())
}

/// A file that was saved under its old name while its old version got another name: if the other side changed it, those two are the
/// versions that meet, and the old version is a copy.
fn drop_edited(differences: &[&Difference], moves: &mut PerSide<Moves>) -> bool {
    for side in Side::BOTH {
        let goals: BTreeSet<&TreePath> = moves.of(side).values().collect();
        let is_edited = |from: &&TreePath| {
            let Some(one) = at(differences, from) else { return false };
            let is_saved_anew = one.now.of(side).as_ref().is_some_and(|entry| !entry.is_folder());
            let is_file = one.base.as_ref().is_some_and(|base| base.kind != Kind::Folder);
            let is_changed = !one.is_unchanged(side.other());
            is_file && is_saved_anew && is_changed && !goals.contains(from)
        };
        let found: Vec<TreePath> = moves.of(side).keys().filter(is_edited).cloned().collect();
        for from in &found {
            moves.of_mut(side).remove(from);
        }
        if !found.is_empty() {
            return true;
        }
    }
    false
}
