//! What taking records does to the base, where a proposal of this node waits.

use swarm_core::manifest::SigningKey;
use swarm_library::{Commit, Draft, Guid, Live, Record, State, Vector};
use swarm_sync::{
    ContentHash, Entry, FileContent, Index, IndexStep, Kind, Observation, Side, Stamp, TreePath,
};

use crate::{Acceptance, LibraryBook, SqliteIndex};

/// A book of the node `a`, whose folder and view tell the same until a test says otherwise.
struct World {
    book: LibraryBook,
    index: SqliteIndex,
    seqs: [u64; 2],
    last: [Option<swarm_library::CommitId>; 2],
    folder: tempfile::TempDir,
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

/// `/` is a folder, `-` nothing, anything else the content of a file.
fn kind(content: &str) -> Option<Kind> {
    let file = |hash| Kind::File(FileContent { len: 1, hash, executable: false });
    match content {
        "-" => None,
        "/" => Some(Kind::Folder),
        content => Some(file(ContentHash::of(content.as_bytes()))),
    }
}

fn key(author: usize) -> SigningKey {
    SigningKey::from_seed(&[author as u8 + 1; 32])
}

const OWN: usize = 0;
const PEER: usize = 1;

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("library.db");
        let index = SqliteIndex::open(&file).expect("a new one");
        let book = LibraryBook::open(&file).expect("the same");
        Self { book, index, seqs: [0; 2], last: [None; 2], folder }
    }

    /// The author signs `d=x`, of which this node holds it for so many votes.
    fn sign(&mut self, author: usize, what: &str, votes: u32) {
        let (name, content) = what.split_once('=').expect("a content");
        let live = |kind| State::Live(Live { kind, modified_ns: 0, sha256: None });
        let state = kind(content).map_or(State::Deleted, live);
        self.seqs[author] += 1;
        // Each version includes all before it.
        let counters = [OWN, PEER].map(|author| (key(author).public(), 10 + self.seqs[author]));
        let vector = Vector::from_counters(counters).expect("valid");
        let records = [Record { path: path(name), state, vector, parent: None, moved_from: None }];
        let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
        let after = self.last[author].map(|id| (self.seqs[author] - 1, id));
        let draft = Draft { library, after, content: None, made_at_ms: 5, covers: 0, records: &records };
        let commit = Commit::sign(&key(author), &draft).expect("signed");
        self.last[author] = Some(commit.id());
        let votes = [votes];
        let taken = match author {
            OWN => self.book.take_own(&commit, &records, &votes, 5),
            _ => {
                let acceptance = Acceptance::Take { records: &records, votes: &votes };
                self.book.take(&commit, &acceptance, &key(OWN).public(), 5)
            }
        };
        taken.expect("taken");
    }

    /// The folder or the view has this, as a run saw it.
    fn see(&mut self, side: Side, what: &str) {
        let (name, content) = what.split_once('=').expect("a content");
        let entry = |kind| Entry { kind, modified_ns: 0, stamp: Stamp::default() };
        let observation = Observation { path: path(name), entry: kind(content).map(entry) };
        self.index.apply(vec![IndexStep::Observe(side, observation)]).expect("seen");
    }

    fn agree(&mut self, name: &str) {
        self.index.apply(vec![IndexStep::Agree(path(name))]).expect("agreed");
    }

    fn settle_own(&mut self) {
        self.book.settle_own(&key(OWN).public(), true).expect("settled");
    }

    /// What the view has at a path, and what both agreed on.
    fn check(&self, name: &str, row: &str, base: &str) {
        let seen = self.book.row(&path(name)).expect("read").map(|entry| entry.kind);
        let agreed = self.index.base(&path(name)).expect("read").map(|base| base.kind);
        assert_eq!((seen, agreed), (kind(row), kind(base)), "{name}");
    }
}

#[test]
fn an_own_file_that_gives_way_to_a_folder_is_a_conflict_though_a_proposal_waits() {
    let mut world = World::new();
    world.sign(PEER, "d=/", 0);
    world.see(Side::Local, "d=/");
    world.agree("d");
    // Its user put a file where the folder stood: the deletion waits, the file does not.
    world.sign(OWN, "d=-", 2);
    world.sign(OWN, "d=x", 0);
    [Side::Local, Side::Remote].into_iter().for_each(|side| world.see(side, "d=x"));
    world.agree("d");
    world.settle_own();
    world.check("d", "x", "x");
    world.sign(PEER, "d/y=z", 0);
    // Without a base, the file of this disk is a change of its own.
    world.check("d", "/", "-");
}

#[test]
fn what_stands_again_where_a_deletion_waits_was_put_back() {
    let mut world = World::new();
    world.sign(PEER, "f=x", 0);
    world.see(Side::Local, "f=x");
    world.agree("f");
    world.check("f", "x", "x");
    // The run was cut off after it signed, and the file came back before the next one.
    world.sign(OWN, "f=-", 2);
    world.settle_own();
    world.check("f", "-", "-");
}

#[test]
fn a_deletion_that_holds_takes_what_its_author_had() {
    let mut world = World::new();
    world.sign(PEER, "f=x", 0);
    world.see(Side::Local, "f=x");
    world.agree("f");
    world.sign(OWN, "f=-", 0);
    world.settle_own();
    world.check("f", "-", "x");
}
#[test]
fn a_folder_is_listed_without_what_is_below_its_folders() {
    let mut world = World::new();
    let all =
        ["a=x", "b=/", "b/1=x", "b/2=/", "b/2/deep=x", "b/3=x", "b.txt=x", "c=/", "c/gone=x", "c/gone=-"];
    all.into_iter().for_each(|what| world.sign(PEER, what, 0));
    let check = |place: Option<&str>, start: Option<&str>, limit: usize, expected: &[&str], is_more: bool| {
        let (place, start) = (place.map(path), start.map(path));
        let page = world.book.children(place.as_ref(), start.as_ref(), limit).expect("read");
        let found: Vec<&str> = page.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!((found.as_slice(), page.next.is_some()), (expected, is_more), "{place:?} after {start:?}");
    };
    check(None, None, 9, &["a", "b", "b.txt", "c"], false);
    check(None, None, 2, &["a", "b"], true);
    check(None, Some("b"), 2, &["b.txt", "c"], false);
    check(Some("b"), None, 2, &["b/1", "b/2"], true);
    check(Some("b"), Some("b/2"), 9, &["b/3"], false);
    check(Some("c"), None, 9, &[], false);
    check(Some("nowhere"), None, 9, &[], false);
}

#[test]
fn a_search_looks_below_its_place_alone() {
    let mut world = World::new();
    ["a=x", "b=/", "b/ab=x", "b/c=x", "d=/", "d/a=x"].into_iter().for_each(|what| world.sign(PEER, what, 0));
    let check = |place: Option<&str>, start: Option<&str>, limit: usize, expected: &[&str], is_more: bool| {
        let (place, start) = (place.map(path), start.map(path));
        let is_meant = |entry: &crate::ViewEntry| entry.path.as_str().contains('a');
        let page = world.book.search(place.as_ref(), start.as_ref(), limit, &is_meant).expect("read");
        let found: Vec<&str> = page.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!((found.as_slice(), page.next.is_some()), (expected, is_more));
    };
    check(None, None, 9, &["a", "b/ab", "d/a"], false);
    check(None, None, 2, &["a", "b/ab"], true);
    check(None, Some("b/ab"), 2, &["d/a"], false);
    check(Some("b"), None, 9, &["b/ab"], false);
}

#[test]
fn what_fails_in_a_batch_leaves_nothing_and_takes_nothing_with_it() {
    let mut world = World::new();
    world.book.begin_batch().expect("begun");
    world.sign(PEER, "a=x", 0);
    let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
    let live = State::Live(Live { kind: kind("y").expect("a file"), modified_ns: 0, sha256: None });
    let vector = Vector::from_counters([(key(PEER).public(), 99)]).expect("valid");
    let records = [Record { path: path("b"), state: live, vector, parent: None, moved_from: None }];
    let after = world.last[PEER].map(|id| (1, id));
    let draft = Draft { library, after, content: None, made_at_ms: 5, covers: 0, records: &records };
    let commit = Commit::sign(&key(PEER), &draft).expect("signed");
    let acceptance = Acceptance::Take { records: &records, votes: &[0] };
    // The commit itself is noted before its records are.
    let fails = "CREATE TEMP TRIGGER fails BEFORE INSERT ON heads BEGIN SELECT RAISE(ABORT, 'no'); END";
    world.book.db.execute_batch(fails).expect("made");
    assert!(world.book.take(&commit, &acceptance, &key(OWN).public(), 5).is_err());
    world.book.db.execute_batch("DROP TRIGGER fails").expect("gone");
    // Its number is free.
    world.sign(PEER, "c=x", 0);
    let other = LibraryBook::open(&world.folder.path().join("library.db")).expect("the same");
    assert_eq!(other.frontier().expect("read"), [], "others see it at the end");
    world.book.end_batch().expect("written");
    let frontier = other.frontier().expect("read");
    assert_eq!(frontier, [(key(PEER).public(), 2, world.last[PEER].expect("signed"))]);
    let there = |name: &str| world.book.row(&path(name)).expect("read").is_some();
    assert_eq!((there("a"), there("b"), there("c")), (true, false, true));
}

#[test]
fn a_batch_that_is_taken_back_says_so_at_its_end() {
    let mut world = World::new();
    world.book.begin_batch().expect("begun");
    world.sign(PEER, "a=x", 0);
    // As SQLite does when the disk is full.
    world.book.db.execute_batch("ROLLBACK").expect("taken back");
    assert!(world.book.end_batch().is_err());
    assert_eq!(world.book.frontier().expect("read"), []);
    world.book.end_batch().expect("there is none");
}
