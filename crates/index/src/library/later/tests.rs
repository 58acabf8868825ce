//! Which paths a plan has, where new ones are planned in parts.

use swarm_sync::{
    ContentHash, Entry, FileContent, FileId, Index, IndexStep, Kind, Observation, Side, Stamp, TreePath,
};

use crate::{LibraryBook, SqliteIndex};

struct World {
    book: LibraryBook,
    index: SqliteIndex,
    _folder: tempfile::TempDir,
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

impl World {
    /// What was agreed on is seen on both sides first.
    fn new(agreed: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("library.db");
        let index = SqliteIndex::open(&file).expect("a new one");
        let book = LibraryBook::open(&file).expect("the same");
        let mut world = Self { book, index, _folder: folder };
        if !agreed.is_empty() {
            Side::BOTH.into_iter().for_each(|side| world.see(side, agreed));
            assert_eq!(world.differences(), "", "it is agreed on");
        }
        world
    }

    /// `a=1` is a file, `d/` a folder, `-a` nothing.
    fn see(&mut self, side: Side, what: &str) {
        let observe = |text: &str| {
            let entry = |kind| Some(Entry { kind, modified_ns: 0, stamp: Stamp::default() });
            let (name, entry) = match (text.strip_prefix('-'), text.split_once('=')) {
                (Some(name), _) => (name, None),
                (None, Some((name, content))) => {
                    let hash = ContentHash::of(content.as_bytes());
                    (name, entry(Kind::File(FileContent { len: 1, hash, executable: false })))
                }
                (None, None) => (text.trim_end_matches('/'), entry(Kind::Folder)),
            };
            IndexStep::Observe(side, Observation { path: path(name), entry })
        };
        self.index.apply(what.split_whitespace().map(observe).collect()).expect("applied");
    }

    fn differences(&mut self) -> String {
        let found = self.index.differences().expect("differences");
        found.iter().map(|one| one.path.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The paths of the next plan, and `..` if others wait. What is new on one side is carried to the other.
    fn plan(&mut self, paths_max: usize) -> String {
        let is_part = self.book.plan_part(paths_max).expect("a part");
        let found = self.index.differences().expect("differences");
        let paths: Vec<String> = found.iter().map(|one| one.path.to_string()).collect();
        let mut steps = Vec::new();
        for one in found.into_iter().filter(|one| one.base.is_none()) {
            for side in Side::BOTH.into_iter().filter(|side| one.now.of(*side).is_none()) {
                let entry = one.now.of(side.other()).clone();
                steps.push(IndexStep::Observe(side, Observation { path: one.path.clone(), entry }));
            }
            steps.push(IndexStep::Agree(one.path));
        }
        self.index.apply(steps).expect("applied");
        format!("{}{}", paths.join(" "), if is_part { " .." } else { "" })
    }

    /// The paths of all plans until none waits.
    fn plans(&mut self, paths_max: usize) -> String {
        let mut plans = Vec::new();
        loop {
            plans.push(self.plan(paths_max));
            if plans.last().is_none_or(|plan| !plan.ends_with("..")) {
                return plans.join(" | ");
            }
        }
    }
}

/// The plans, where each side has seen these beside what was agreed on.
fn check(agreed: &str, local: &str, remote: &str, expected: &str) {
    let mut world = World::new(agreed);
    world.see(Side::Local, local);
    world.see(Side::Remote, remote);
    assert_eq!(world.plans(2), expected);
    assert_eq!(world.differences(), "", "all was planned");
}

#[test]
fn what_is_new_on_one_side_is_planned_in_parts_in_path_order() {
    check("", "a=1 d/ d/x=1 d/y=1 e=1", "", "a d .. | d/x d/y .. | e");
    check("", "", "a=1 d/ d/x=1 d/y=1", "a d .. | d/x d/y");
    check("", "b=1 d=1", "a=1 c=1", "a b .. | c d");
    check("o=1", "a=1 b=1 c=1", "", "a b .. | c");
    check("", "a=1 b=1", "", "a b");
}

#[test]
fn what_may_be_about_another_path_is_planned_as_a_whole() {
    // Both sides have something at a path of a first agreement.
    check("", "a=1 b=1 c=1 d/", "d/", "a b c");
    // One of them may be the file that left its place.
    let mut world = World::new("o=1");
    world.see(Side::Local, "-o a=1 b=1 c=1");
    assert_eq!(world.plan(2), "a b c o");
}

#[test]
fn a_deletion_meanwhile_ends_the_parts_and_an_edit_does_not() {
    let new = "a=1 b=1 c=1 d=1 e=1 f=1";
    let mut world = World::new("f/ f/o=1 o=1");
    world.see(Side::Local, new.trim_end_matches(" f=1"));
    assert_eq!(world.plan(2), "a b ..");
    world.see(Side::Local, "o=2");
    assert_eq!(world.plan(2), "c d o ..", "an edited file is planned at once");
    world.see(Side::Remote, "-f/o -f");
    assert_eq!(world.plan(2), "e f f/o o", "a folder went, in which what waits may stand");
    assert_eq!(world.plan(2), "f f/o o");
}

#[test]
fn what_waits_and_is_gone_or_is_another_by_then_is_planned_as_it_is() {
    let mut world = World::new("o=1");
    world.see(Side::Local, "a=1 b=1 c=1 d=1 e=1");
    assert_eq!(world.plan(2), "a b ..");
    world.see(Side::Local, "-c");
    world.see(Side::Remote, "d=2");
    assert_eq!(world.plan(2), "d e", "both have something at a path: nothing waits");
}

/// As after a folder was copied back: a file that moves from there is recognized by its number.
#[test]
fn the_base_has_the_numbers_of_files_as_they_are_now_while_others_wait() {
    let mut world = World::new("o=1");
    world.see(Side::Local, "a=1 b=1 c=1");
    assert_eq!(world.plan(2), "a b ..");
    let kind = Kind::File(FileContent { len: 1, hash: ContentHash::of(b"1"), executable: false });
    let stamp = Stamp { id: Some(FileId { device: 1, inode: 77 }), changed_ns: 0 };
    let entry = Some(Entry { kind, modified_ns: 0, stamp });
    let seen = Observation { path: path("o"), entry };
    world.index.apply(vec![IndexStep::Observe(Side::Local, seen)]).expect("applied");
    assert_eq!(world.plan(2), "c");
    let base = world.index.base(&path("o")).expect("it reads").expect("it was agreed on");
    assert_eq!(base.ids.local.map(|id| id.inode), Some(77));
}

#[test]
fn figures_count_what_waits() {
    let mut world = World::new("");
    world.see(Side::Remote, "a=1 b=1 c=1 d=1");
    assert!(world.book.plan_part(2).expect("a part"));
    let lacking = |world: &World| world.book.figures().expect("figures").files_lacking;
    assert_eq!(lacking(&world), 4);
    world.see(Side::Remote, "d=2");
    assert_eq!(lacking(&world), 4, "each once");
}

#[test]
fn where_two_names_may_be_one_all_is_planned_at_once() {
    let mut world = World::new("o=1");
    world.see(Side::Local, "a=1 b=1 c=1");
    assert!(world.book.plan_part(2).expect("a part"));
    world.book.plan_whole().expect("all of it");
    assert_eq!(world.differences(), "a b c");
}
