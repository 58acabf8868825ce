//! Records that this node is about to sign: operations of a run on the view, as records. Invariant: a path has one draft, and each draft
//! includes the version that the run saw there and the own one that lost to it. Absent here: commits.

use std::collections::BTreeMap;

use swarm_core::base::NodeId;
use swarm_sync::{ContentHash, Entry, Kind, Op, OpKind, TreePath};

use crate::limits::{COMMIT_CONTENT_LEN_MAX, COMMIT_LEN_TARGET, COMMIT_RECORDS_MAX};
use crate::{Head, Heads, Live, Record, State, Vector, record_codec};

/// What drafts are made from.
pub trait ViewReader {
    /// Why it cannot be read.
    type Error;

    /// The versions of a path that hold.
    fn heads(&self, path: &TreePath) -> Result<Heads, Self::Error>;

    /// What the run saw at a path: the winner of its versions, what a proposal of this node says while it waits, or a folder in which
    /// something stands.
    fn row(&self, path: &TreePath) -> Result<Option<Entry>, Self::Error>;

    /// The same below a place, in path order.
    fn below(&self, place: &TreePath) -> Result<Vec<(TreePath, Entry)>, Self::Error>;

    /// SHA-256 of a file with these bytes, where it is known.
    fn sha256(&self, hash: &ContentHash) -> Result<Option<[u8; 32]>, Self::Error>;

    /// The last version of this node at a path that waits for votes.
    fn proposed(&self, path: &TreePath) -> Result<Option<Record>, Self::Error>;
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drafted {
    /// It is drafted, or stands already.
    Done,
    /// Another entry stands there than the operation expects.
    Changed,
}

/// Records in the order in which their paths were drafted first.
#[derive(Debug, Default)]
pub struct Drafts {
    /// Nothing where something was drafted that came to nothing.
    records: Vec<Option<Record>>,
    at: BTreeMap<TreePath, usize>,
}

/// Who drafts, and when, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Drafter {
    /// This node.
    pub me: NodeId,
    /// By its clock, and after the greatest counter that this node ever signed: a version that is made after a deletion that waits, or that was
    /// refused, must not count as included in it.
    pub now_s: u64,
}

impl Drafts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Drafts an operation.
    pub fn draft<R: ViewReader>(&mut self, op: &Op, view: &R, drafter: Drafter) -> Result<Drafted, R::Error> {
        let expected = op.expected.as_deref();
        match &op.kind {
            OpKind::MakeFolder => self.put(&op.path, live(Kind::Folder, 0), None, view, drafter),
            OpKind::Put { content, modified_ns, .. } => {
                let state = live(content.clone(), *modified_ns);
                self.put(&op.path, state, expected, view, drafter)
            }
            OpKind::SetExecutable { executable } => {
                let Some(entry) = expected else { return Ok(Drafted::Changed) };
                let Kind::File(mut file) = entry.kind else { return Ok(Drafted::Changed) };
                file.executable = *executable;
                self.put(&op.path, live(Kind::File(file), entry.modified_ns), expected, view, drafter)
            }
            OpKind::Remove => self.put(&op.path, State::Deleted, expected, view, drafter),
            OpKind::Move { from } => self.move_all(from, &op.path, expected, view, drafter),
        }
    }

    /// Drafts that this node follows what stands at a path, where a version of its own says something else and its disk has what stands: the
    /// dispute ends. What stands is the winner, or a folder because others have something in it. Not while a change of this node waits there.
    pub fn settle<R: ViewReader>(
        &mut self,
        path: &TreePath,
        view: &R,
        drafter: Drafter,
    ) -> Result<(), R::Error> {
        let heads = view.heads(path)?;
        let is_given_up = |state: &State| heads.is_given_up(&drafter.me, state.kind());
        let Some(state) = standing_of(path, &heads, view)?.filter(is_given_up) else {
            return Ok(());
        };
        let is_included = |head: &&Head| head.record.author == drafter.me || head.state.says_the_same(&state);
        let included = joined(heads.all().iter().filter(is_included));
        self.add_with(path, state, &heads, included, view, drafter)
    }

    /// Drafts that what stands at a path stands, and includes all versions, whoever made them: somebody decided so. Not while a change of this
    /// node waits there. Returns whether there was anything to decide.
    pub fn decide<R: ViewReader>(
        &mut self,
        path: &TreePath,
        view: &R,
        drafter: Drafter,
    ) -> Result<bool, R::Error> {
        let heads = view.heads(path)?;
        let Some(state) = standing_of(path, &heads, view)?.filter(|_| heads.is_disputed()) else {
            return Ok(false);
        };
        let included = joined(heads.all().iter());
        self.add_with(path, state, &heads, included, view, drafter)?;
        Ok(true)
    }

    /// Adds a draft that includes these versions.
    fn add_with<R: ViewReader>(
        &mut self,
        path: &TreePath,
        state: State,
        heads: &Heads,
        included: Vector,
        view: &R,
        drafter: Drafter,
    ) -> Result<(), R::Error> {
        self.add(path, state, None, heads, view, drafter)?;
        if let Some(record) = self.at.get(path).and_then(|at| self.records[*at].as_mut()) {
            record.vector = included.next(drafter.me, record.vector.counter(&drafter.me));
        }
        Ok(())
    }

    /// Takes the drafts out, in batches that each fit a commit. The ends of a move are in one batch.
    pub fn take_batches(&mut self) -> Vec<Vec<Record>> {
        self.at.clear();
        let (mut batches, mut batch) = (Vec::new(), Batch::default());
        let mut records = std::mem::take(&mut self.records).into_iter().flatten().peekable();
        while let Some(record) = records.next() {
            let is_end_of = |other: &Record| other.moved_from.as_ref() == Some(&record.path);
            let other_end = records.next_if(is_end_of);
            if batch.is_full_for(&record, other_end.as_ref()) {
                batches.push(std::mem::take(&mut batch).records);
            }
            batch.push(record);
            other_end.into_iter().for_each(|record| batch.push(record));
        }
        if !batch.records.is_empty() {
            batches.push(batch.records);
        }
        batches
    }

    fn put<R: ViewReader>(
        &mut self,
        path: &TreePath,
        state: State,
        expected: Option<&Entry>,
        view: &R,
        drafter: Drafter,
    ) -> Result<Drafted, R::Error> {
        let standing = self.standing(path, view)?;
        if standing.as_ref() == state.kind() {
            return Ok(Drafted::Done);
        }
        if standing.as_ref() != expected.map(|entry| &entry.kind) {
            return Ok(Drafted::Changed);
        }
        self.add(path, state, None, &view.heads(path)?, view, drafter)?;
        Ok(Drafted::Done)
    }

    fn move_all<R: ViewReader>(
        &mut self,
        from: &TreePath,
        to: &TreePath,
        expected: Option<&Entry>,
        view: &R,
        drafter: Drafter,
    ) -> Result<Drafted, R::Error> {
        let (Some(kind), Some(expected)) = (self.standing(from, view)?, expected) else {
            // A run that was cut off after the records were signed does it again.
            let is_there = self.standing(to, view)?.is_some();
            return Ok(if is_there { Drafted::Done } else { Drafted::Changed });
        };
        if kind != expected.kind || self.standing(to, view)?.is_some() {
            return Ok(Drafted::Changed);
        }
        let mut moved = vec![(from.clone(), live(kind, expected.modified_ns))];
        let rows = view.below(from)?.into_iter();
        moved.extend(rows.map(|(path, entry)| (path, live(entry.kind, entry.modified_ns))));
        let drafted: Vec<(TreePath, State)> = self.below(from);
        for (path, state) in drafted {
            moved.retain(|(known, _)| *known != path);
            moved.extend(state.is_live().then_some((path, state)));
        }
        for (path, state) in moved {
            let Some(goal) = path.moved(from, to) else { continue };
            let (old, new) = (view.heads(&path)?, view.heads(&goal)?);
            // What was drafted at a place and moves on was only on its way: others never hear of a place that had nothing before.
            let passed = self.forget(&path);
            let had_nothing = old.all().is_empty() && view.row(&path)?.is_none();
            if passed.is_none() || !had_nothing {
                self.add(&path, State::Deleted, None, &old, view, drafter)?;
            }
            let origin = passed.map_or(Some(path), |passed| passed.moved_from);
            self.add(&goal, state, origin, &new, view, drafter)?;
        }
        Ok(Drafted::Done)
    }

    /// Takes back what was drafted at a path.
    fn forget(&mut self, path: &TreePath) -> Option<Record> {
        self.records[self.at.remove(path)?].take()
    }

    /// Drafts below a place.
    fn below(&self, place: &TreePath) -> Vec<(TreePath, State)> {
        let drafts = self.at.iter().filter(|(path, _)| path.is_below(place));
        let drafts = drafts.filter_map(|(path, at)| Some((path, self.records[*at].as_ref()?)));
        drafts.map(|(path, record)| (path.clone(), record.state.clone())).collect()
    }

    /// What stands at a path once the drafts hold.
    fn standing<R: ViewReader>(&self, path: &TreePath, view: &R) -> Result<Option<Kind>, R::Error> {
        match self.at.get(path).and_then(|at| self.records[*at].as_ref()) {
            Some(record) => Ok(record.state.kind().cloned()),
            None => Ok(view.row(path)?.map(|entry| entry.kind)),
        }
    }

    fn add<R: ViewReader>(
        &mut self,
        path: &TreePath,
        mut state: State,
        moved_from: Option<TreePath>,
        heads: &Heads,
        view: &R,
        drafter: Drafter,
    ) -> Result<(), R::Error> {
        if let State::Live(live) = &mut state
            && let Kind::File(file) = &live.kind
        {
            live.sha256 = view.sha256(&file.hash)?;
        }
        if let Some(record) = self.at.get(path).and_then(|at| self.records[*at].as_mut()) {
            record.state = state;
            if moved_from.is_some() {
                record.moved_from = moved_from;
            }
            return Ok(());
        }
        let proposed = view.proposed(path)?;
        let row = view.row(path)?.map(|entry| entry.kind);
        let is_hidden = row.as_ref() != heads.winner().and_then(|head| head.state.kind());
        let parent = match proposed.as_ref().filter(|_| is_hidden) {
            Some(proposed) => parent_by(&proposed.state, proposed.parent, true, &state),
            None => parent_of(heads, &state, &drafter.me),
        };
        let counted = drafter.now_s.max(won_by(heads).saturating_add(1));
        let seen = if is_hidden {
            seen_instead(heads, row.as_ref(), proposed, &drafter.me)
        } else {
            seen(heads, proposed, &drafter.me)
        };
        let vector = seen.next(drafter.me, counted);
        self.at.insert(path.clone(), self.records.len());
        self.records.push(Some(Record { path: path.clone(), state, vector, parent, moved_from }));
        Ok(())
    }
}

/// What stands at a path, as a version; nothing while a change of this node waits there.
fn standing_of<R: ViewReader>(path: &TreePath, heads: &Heads, view: &R) -> Result<Option<State>, R::Error> {
    if view.proposed(path)?.is_some() {
        return Ok(None);
    }
    let row = view.row(path)?;
    let winner = heads.winner().map(|head| &head.state);
    Ok(match (row, winner) {
        (row, Some(winner)) if row.as_ref().map(|row| &row.kind) == winner.kind() => Some(winner.clone()),
        (Some(row), _) => Some(live(row.kind, row.modified_ns)),
        (None, _) => None,
    })
}

fn joined<'a>(heads: impl Iterator<Item = &'a Head>) -> Vector {
    heads.fold(Vector::default(), |all, head| all.joined(&head.vector))
}

/// The file that a version is made from, if it is made from the winner.
fn parent_of(heads: &Heads, state: &State, me: &NodeId) -> Option<ContentHash> {
    let winner = heads.winner()?;
    parent_by(&winner.state, winner.parent, winner.record.author == *me, state)
}

/// The file that a version is made from, if it is made from this one. What this node made from its own version is made from what that one was
/// made from: if another node changed the file meanwhile, it had that one, and a merge from a later base would take this node's first change
/// for undone there. The same is so of a version that keeps the bytes: one that named them would not count as a change of its own.
fn parent_by(
    before: &State,
    parent: Option<ContentHash>,
    is_own: bool,
    state: &State,
) -> Option<ContentHash> {
    let hash = |state: &State| state.kind().and_then(Kind::file).map(|file| file.hash);
    let is_kept = hash(before).is_some() && hash(before) == hash(state);
    let is_followed = is_own && state.is_live() && before.is_live();
    if is_kept || is_followed { parent } else { hash(before) }
}

/// Which versions a run saw: the winner, the version of this node that lost, and the one that waits for votes.
fn seen(heads: &Heads, proposed: Option<Record>, me: &NodeId) -> Vector {
    let lost = heads.lost_of(me).map(|head| head.vector.clone()).unwrap_or_default();
    heads
        .vector_of_winner()
        .joined(&lost)
        .joined(&proposed.map(|proposed| proposed.vector).unwrap_or_default())
}

/// Which versions a run saw where the winner was hidden, by a change of this node that waits or by a folder in which others have something: its own
/// ones, and those that say what it saw.
fn seen_instead(heads: &Heads, row: Option<&Kind>, proposed: Option<Record>, me: &NodeId) -> Vector {
    let is_seen =
        |head: &&Head| head.record.author == *me || (proposed.is_none() && head.state.kind() == row);
    let of_heads = joined(heads.all().iter().filter(is_seen));
    of_heads.joined(&proposed.as_ref().map(|proposed| proposed.vector.clone()).unwrap_or_default())
}

/// How far the winner counts. A version that is made from it counts further, or one that lost to the winner could win against it.
fn won_by(heads: &Heads) -> u64 {
    heads.winner().map_or(0, |winner| winner.vector.counter(&winner.record.author))
}

fn live(kind: Kind, modified_ns: i64) -> State {
    State::Live(Live { kind, modified_ns, sha256: None })
}

/// Records of one commit.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    len: usize,
    content_len: u64,
}

impl Batch {
    /// Whether a record, with the other end of its move, begins another batch.
    fn is_full_for(&self, record: &Record, other_end: Option<&Record>) -> bool {
        let both = || std::iter::once(record).chain(other_end);
        let len: usize = both().map(record_codec::encoded_len_max).sum();
        let content_len = both().fold(0u64, |len, record| len.saturating_add(record.content_len()));
        self.records.len() + both().count() > COMMIT_RECORDS_MAX
            || self.len + len > COMMIT_LEN_TARGET
            || (self.content_len.saturating_add(content_len) > COMMIT_CONTENT_LEN_MAX
                && !self.records.is_empty())
    }

    fn push(&mut self, record: Record) {
        self.len += record_codec::encoded_len_max(&record);
        self.content_len = self.content_len.saturating_add(record.content_len());
        self.records.push(record);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use swarm_sync::{FileContent, Stamp};

    use super::*;
    use crate::RecordRef;

    fn node(name: char) -> NodeId {
        NodeId::from_bytes([name as u8; 32])
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    fn kind(content: &str) -> Kind {
        let hash = ContentHash::of(content.as_bytes());
        Kind::File(FileContent { len: 1, hash, executable: false })
    }

    /// `d/x=1` is a file with the content 1 by another node.
    struct World(BTreeMap<TreePath, Heads>);

    impl World {
        fn of(text: &str) -> Self {
            let entry = |word: &str| {
                let (name, content) = word.split_once('=').expect("a file");
                let head = Head {
                    record: RecordRef { author: node('b'), seq: 1, index: 0 },
                    state: live(kind(content), 0),
                    vector: Vector::of(node('b'), 1),
                    parent: None,
                };
                (path(name), Heads::of(vec![head]))
            };
            Self(text.split_whitespace().map(entry).collect())
        }
    }

    impl ViewReader for World {
        type Error = Infallible;

        fn heads(&self, path: &TreePath) -> Result<Heads, Infallible> {
            Ok(self.0.get(path).cloned().unwrap_or_default())
        }

        fn row(&self, path: &TreePath) -> Result<Option<Entry>, Infallible> {
            Ok(self.0.get(path).and_then(|heads| entry_of(&heads.all()[0])))
        }

        fn below(&self, place: &TreePath) -> Result<Vec<(TreePath, Entry)>, Infallible> {
            let below = self.0.iter().filter(|(path, _)| path.is_below(place));
            Ok(below.filter_map(|(path, heads)| Some((path.clone(), entry_of(&heads.all()[0])?))).collect())
        }

        fn sha256(&self, _: &ContentHash) -> Result<Option<[u8; 32]>, Infallible> {
            Ok(None)
        }

        fn proposed(&self, _: &TreePath) -> Result<Option<Record>, Infallible> {
            Ok(None)
        }
    }

    fn entry_of(head: &Head) -> Option<Entry> {
        let State::Live(live) = &head.state else { return None };
        Some(Entry { kind: live.kind.clone(), modified_ns: live.modified_ns, stamp: Stamp::default() })
    }

    fn op(path_text: &str, kind: OpKind, expected: Option<&str>) -> Op {
        let entry =
            |content: &str| Entry { kind: self::kind(content), modified_ns: 0, stamp: Stamp::default() };
        Op { path: path(path_text), kind, expected: expected.map(|content| Box::new(entry(content))) }
    }

    fn put(path_text: &str, content: &str, expected: Option<&str>) -> Op {
        let source = swarm_sync::Source::Other { path: path(path_text) };
        op(path_text, OpKind::Put { content: kind(content), modified_ns: 0, source }, expected)
    }

    /// What operations come to: `changed` where one is refused, and the drafts.
    fn check(world: &str, ops: &[Op], expected: &str) {
        let world = World::of(world);
        let (mut drafts, mut shown) = (Drafts::default(), Vec::new());
        for op in ops {
            let drafted = drafts.draft(op, &world, Drafter { me: node('a'), now_s: 0 }).expect("infallible");
            if drafted == Drafted::Changed {
                shown.push("changed".to_owned());
            }
        }
        let names: BTreeMap<ContentHash, &str> =
            ["1", "2", "3"].into_iter().map(|name| (ContentHash::of(name.as_bytes()), name)).collect();
        for record in drafts.take_batches().into_iter().flatten() {
            let content = match record.state.kind() {
                Some(Kind::File(file)) => names[&file.hash],
                Some(_) => "/",
                None => "-",
            };
            let from = record.moved_from.map(|from| format!("<{from}")).unwrap_or_default();
            // A version counts further than the one that it is made from.
            let before = world.0.get(&record.path).map_or(0, won_by);
            assert_eq!(record.vector.counter(&node('a')), before + 1);
            shown.push(format!("{}={content}{from}", record.path));
        }
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn operations_become_records() {
        check("x=1", &[put("x", "2", Some("1")), put("y", "3", None)], "x=2 y=3");
        check("x=1", &[op("x", OpKind::Remove, Some("1"))], "x=-");
        check("", &[op("d", OpKind::MakeFolder, None)], "d=/");
    }

    #[test]
    fn an_operation_on_something_else_is_refused_and_one_that_was_done_is_done() {
        check("x=1", &[put("x", "2", Some("3"))], "changed");
        check("x=1", &[put("x", "2", None)], "changed");
        check("x=2", &[put("x", "2", Some("1"))], "");
        check("", &[op("x", OpKind::Remove, Some("1"))], "");
    }

    #[test]
    fn a_move_is_a_record_for_each_end() {
        let moved = |from: &str| OpKind::Move { from: path(from) };
        check("x=1", &[op("y", moved("x"), Some("1"))], "x=- y=1<x");
        check("x=1", &[op("y", moved("x"), Some("1")), put("x", "2", None)], "x=2 y=1<x");
        check("", &[op("y", moved("x"), Some("1"))], "changed");
    }

    #[test]
    fn a_place_that_an_entry_only_passed_is_in_no_record() {
        let moved = |from: &str, to: &str, content| op(to, OpKind::Move { from: path(from) }, Some(content));
        let swap = [moved("x", "t", "1"), moved("y", "x", "2"), moved("t", "y", "1")];
        check("x=1 y=2", &swap, "x=2<y y=1<x");
        check(
            "x=1",
            &[moved("x", "t", "1"), op("x", OpKind::MakeFolder, None), moved("t", "x/t", "1")],
            "x=/ x/t=1<x",
        );
        check("", &[put("t", "1", None), moved("t", "y", "1")], "y=1");
        // Others know of this one.
        check(
            "x=1 y=2",
            &[op("y", OpKind::Remove, Some("2")), moved("x", "y", "1"), moved("y", "z", "1")],
            "x=- y=- z=1<x",
        );
    }

    /// What the record of an operation is made from, of a path whose winner is `1`, by this node or not, made from `2`; `proposed` is a content
    /// that this node has there instead, made from `3`, or `-` for a deletion.
    fn check_parent(is_own: bool, proposed: Option<&str>, content: &str, expected: &str) {
        struct One(Heads, Option<Record>);
        impl ViewReader for One {
            type Error = Infallible;
            fn heads(&self, _: &TreePath) -> Result<Heads, Infallible> {
                Ok(self.0.clone())
            }
            fn row(&self, _: &TreePath) -> Result<Option<Entry>, Infallible> {
                let winner = |heads: &Heads| heads.winner().and_then(entry_of);
                let entry =
                    |kind: &Kind| Entry { kind: kind.clone(), modified_ns: 0, stamp: Stamp::default() };
                Ok(self.1.as_ref().map_or_else(|| winner(&self.0), |record| record.state.kind().map(entry)))
            }
            fn below(&self, _: &TreePath) -> Result<Vec<(TreePath, Entry)>, Infallible> {
                Ok(Vec::new())
            }
            fn sha256(&self, _: &ContentHash) -> Result<Option<[u8; 32]>, Infallible> {
                Ok(None)
            }
            fn proposed(&self, _: &TreePath) -> Result<Option<Record>, Infallible> {
                Ok(self.1.clone())
            }
        }
        let hash = |content: &str| Some(ContentHash::of(content.as_bytes()));
        let author = node(if is_own { 'a' } else { 'b' });
        let head = Head {
            record: RecordRef { author, seq: 1, index: 0 },
            state: live(kind("1"), 0),
            vector: Vector::of(author, 1),
            parent: hash("2"),
        };
        let record = |content: &str| Record {
            path: path("x"),
            state: if content == "-" { State::Deleted } else { live(kind(content), 0) },
            vector: Vector::of(node('a'), 2),
            parent: hash("3"),
            moved_from: None,
        };
        let view = One(Heads::of(vec![head]), proposed.map(record));
        let standing = proposed.or(Some("1")).filter(|content| *content != "-");
        let kind = match content {
            "*" => OpKind::SetExecutable { executable: true },
            "-" => OpKind::Remove,
            content => put("x", content, None).kind,
        };
        let mut drafts = Drafts::default();
        let drafter = Drafter { me: node('a'), now_s: 0 };
        assert_eq!(drafts.draft(&op("x", kind, standing), &view, drafter), Ok(Drafted::Done));
        let parent = drafts.take_batches()[0][0].parent;
        let shown = ["1", "2", "3", "4"].into_iter().find(|name| hash(name) == parent).unwrap_or("-");
        assert_eq!(shown, expected, "{is_own} {proposed:?} {content}");
    }

    #[test]
    fn a_decision_includes_all_versions_whoever_made_them() {
        let World(mut all) = World::of("x=1");
        let lost = Head {
            record: RecordRef { author: node('c'), seq: 1, index: 0 },
            state: live(kind("2"), 0),
            vector: Vector::of(node('c'), 1),
            parent: None,
        };
        let heads = all.get_mut(&path("x")).expect("it is there");
        let winner = heads.all()[0].clone();
        let _ = heads.take(Head { vector: Vector::of(node('b'), 7), ..winner.clone() });
        let mut versions = heads.all().to_vec();
        versions.push(lost);
        *heads = Heads::of(versions);
        assert!(heads.is_disputed());
        let before = heads.clone();
        let view = World(all);
        let mut drafts = Drafts::default();
        let drafter = Drafter { me: node('a'), now_s: 3 };
        assert_eq!(drafts.decide(&path("x"), &view, drafter), Ok(true));
        let record = drafts.take_batches().remove(0).remove(0);
        assert!(record.state.says_the_same(&winner.state));
        assert!(before.all().iter().all(|head| record.vector.includes(&head.vector)));
        assert_eq!(drafts.decide(&path("y"), &view, drafter), Ok(false));
    }

    /// The file of this node wins, and what others put in its place hides it.
    #[test]
    fn a_file_that_replaces_a_folder_in_its_place_includes_both_versions() {
        struct Hidden(Heads);
        impl ViewReader for Hidden {
            type Error = Infallible;
            fn heads(&self, _: &TreePath) -> Result<Heads, Infallible> {
                Ok(self.0.clone())
            }
            fn row(&self, _: &TreePath) -> Result<Option<Entry>, Infallible> {
                Ok(Some(Entry { kind: Kind::Folder, modified_ns: 0, stamp: Stamp::default() }))
            }
            fn below(&self, _: &TreePath) -> Result<Vec<(TreePath, Entry)>, Infallible> {
                Ok(Vec::new())
            }
            fn sha256(&self, _: &ContentHash) -> Result<Option<[u8; 32]>, Infallible> {
                Ok(None)
            }
            fn proposed(&self, _: &TreePath) -> Result<Option<Record>, Infallible> {
                Ok(None)
            }
        }
        let head = |author: char, state: State, counters: &[(char, u64)]| Head {
            record: RecordRef { author: node(author), seq: 1, index: 0 },
            state,
            vector: Vector::from_counters(counters.iter().map(|(name, at)| (node(*name), *at)))
                .expect("valid"),
            parent: None,
        };
        let own = head('a', live(kind("1"), 0), &[('a', 9), ('c', 1)]);
        let folder = head('b', live(Kind::Folder, 0), &[('b', 5), ('c', 1)]);
        let other = head('d', live(kind("2"), 0), &[('d', 3), ('c', 1)]);
        let view = Hidden(Heads::of(vec![own.clone(), folder.clone(), other.clone()]));
        let expected = Entry { kind: Kind::Folder, modified_ns: 0, stamp: Stamp::default() };
        let put = Op { expected: Some(Box::new(expected)), ..put("x", "1", None) };
        let mut drafts = Drafts::default();
        assert_eq!(drafts.draft(&put, &view, Drafter { me: node('a'), now_s: 0 }), Ok(Drafted::Done));
        let vector = drafts.take_batches().remove(0).remove(0).vector;
        assert!(
            vector.includes(&own.vector)
                && vector.includes(&folder.vector)
                && !vector.includes(&other.vector)
        );
    }

    #[test]
    fn a_version_names_the_file_that_it_was_made_from() {
        check_parent(false, None, "4", "1");
        check_parent(false, None, "-", "1");
        // This node's own version counts as one step with what it makes of it.
        check_parent(true, None, "4", "2");
        check_parent(true, None, "-", "1");
        // The bytes are those of the winner: they were made from what that was made from.
        check_parent(false, None, "*", "2");
        // What waits hides the winner.
        check_parent(false, Some("-"), "4", "-");
        check_parent(false, Some("4"), "1", "3");
    }
}
