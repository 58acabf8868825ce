//! The index against one in memory, by random steps; then what the memory cannot show: damage, other versions, locks, killed writers.

mod damage;
mod records;
mod twin;

use std::fs;
use std::path::{Path, PathBuf};

use swarm_sync::{
    ContentHash, Entry, FileContent, FileId, Index, IndexStep, Kind, Observation, Side, Stamp, TreePath,
};
use tempfile::TempDir;

use crate::{IndexError, IndexLock, SqliteIndex};

/// A folder for one index, and the name of its file.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pair.index");
    (folder, path)
}

/// Opens an index that does not wait for the disk: for tests that end no process.
fn quick(at: &Path) -> Result<SqliteIndex, IndexError> {
    let index = SqliteIndex::open(at)?;
    index.read(|db| Ok(db.pragma_update(None, "synchronous", "off")?))?;
    Ok(index)
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

fn file(text: &str, inode: u64) -> Entry {
    let hash = ContentHash::of(text.as_bytes());
    let content = FileContent { len: text.len() as u64, hash, executable: false };
    let stamp = Stamp { id: Some(FileId { device: u64::MAX, inode }), changed_ns: -7 };
    Entry { kind: Kind::File(content), modified_ns: 1_000 + inode.cast_signed(), stamp }
}

fn seen(side: Side, text: &str, entry: Option<Entry>) -> IndexStep {
    IndexStep::Observe(side, Observation { path: path(text), entry })
}

/// The paths that differ.
fn differing(index: &mut SqliteIndex) -> Vec<String> {
    let found = index.differences().expect("differences");
    found.into_iter().map(|difference| difference.path.as_str().to_owned()).collect()
}

/// An index with the same files on both sides, agreed on.
fn agreed(index: &mut SqliteIndex, files: &[&str]) {
    for side in Side::BOTH {
        let steps = files.iter().zip(1..).map(|(name, inode)| seen(side, name, Some(file(name, inode))));
        index.apply(steps.collect()).expect("applied");
    }
    assert_eq!(differing(index), [""; 0]);
}

#[test]
fn equal_files_of_a_first_run_are_agreed_on_and_not_returned() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    for side in Side::BOTH {
        let own = if side == Side::Local { "here" } else { "there" };
        let steps = vec![
            seen(side, "same", Some(file("same", 3))),
            seen(side, "other", Some(file(own, 4))),
            seen(side, own, Some(file("own", 5))),
        ];
        index.apply(steps).expect("applied");
    }
    assert_eq!(index.counts().expect("counted").open, None);
    assert_eq!(differing(&mut index), ["here", "other", "there"]);
    assert_eq!(index.counts().expect("counted").open, Some(3));
    assert_eq!(index.base(&path("same")).expect("read").map(|base| base.modified_ns), Some(1003));
    assert_eq!(index.base(&path("other")).expect("read"), None);
}

#[test]
fn only_changed_paths_are_open_and_a_rescan_writes_nothing() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    agreed(&mut index, &["a", "b", "c"]);
    let log = at.with_file_name("pair.index-wal");
    let state = || fs::metadata(&log).and_then(|log| Ok((log.len(), log.modified()?))).expect("a log");
    let before = state();
    index
        .apply(vec![seen(Side::Local, "b", Some(file("b", 2))), seen(Side::Remote, "x", None)])
        .expect("applied");
    assert_eq!(differing(&mut index), [""; 0]);
    assert_eq!(state(), before);
    index
        .apply(vec![seen(Side::Local, "b", Some(file("new", 2))), seen(Side::Remote, "c", None)])
        .expect("applied");
    assert_eq!(index.counts().expect("counted").open, Some(2));
    assert_eq!(differing(&mut index), ["b", "c"]);
    index.apply(vec![IndexStep::Agree(path("b"))]).expect("applied");
    assert_eq!(differing(&mut index), ["b", "c"], "nothing is agreed on while both sides differ");
    index
        .apply(vec![
            seen(Side::Remote, "b", Some(file("new", 9))),
            seen(Side::Local, "c", None),
            IndexStep::Agree(path("b")),
            IndexStep::Agree(path("c")),
        ])
        .expect("applied");
    assert_eq!(index.counts().expect("counted").open, Some(0));
    assert_eq!(index.base(&path("c")).expect("read"), None);
    let steps =
        vec![seen(Side::Local, "a", None), seen(Side::Remote, "a", None), IndexStep::Agree(path("a"))];
    index.apply(steps).expect("applied");
    assert_eq!(index.counts().expect("counted").open, Some(0));
}

#[test]
fn the_base_has_the_numbers_of_files_as_they_are_now() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    agreed(&mut index, &["a", "b"]);
    index.apply(vec![seen(Side::Remote, "a", Some(file("a", 77)))]).expect("applied");
    assert_eq!(differing(&mut index), [""; 0]);
    let ids = index.base(&path("a")).expect("read").expect("there").ids;
    assert_eq!((ids.local.map(|id| id.inode), ids.remote.map(|id| id.inode)), (Some(1), Some(77)));
    for inode in [None, Some(78)] {
        let steps = ["a", "b"].map(|name| seen(Side::Remote, name, inode.map(|inode| file(name, inode))));
        index.apply(steps.into()).expect("applied");
    }
    assert_eq!(differing(&mut index), [""; 0]);
    let ids = index.base(&path("b")).expect("read").expect("there").ids;
    assert_eq!((ids.local.map(|id| id.inode), ids.remote.map(|id| id.inode)), (Some(2), Some(78)));
}

#[test]
fn a_first_load_after_an_agreement_brings_the_base_up_to_date_too() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    let both = Side::BOTH.map(|side| seen(side, "a", Some(file("a", 1))));
    index.apply(both.into()).expect("applied");
    index.apply(vec![IndexStep::Agree(path("a"))]).expect("applied");
    index.apply(vec![seen(Side::Remote, "a", Some(file("a", 77)))]).expect("applied");
    assert_eq!(index.counts().expect("counted").open, None);
    assert_eq!(differing(&mut index), [""; 0]);
    let ids = index.base(&path("a")).expect("read").expect("there").ids;
    assert_eq!(ids.remote.map(|id| id.inode), Some(77));
}

#[test]
fn what_a_run_makes_on_an_empty_side_opens_nothing() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    index.apply(["a", "b"].map(|name| seen(Side::Local, name, Some(file(name, 1)))).into()).expect("applied");
    assert_eq!(differing(&mut index), ["a", "b"]);
    index
        .apply(vec![seen(Side::Remote, "a", Some(file("a", 1))), IndexStep::Agree(path("a"))])
        .expect("applied");
    assert_eq!(index.counts().expect("counted").open, Some(1));
}

#[test]
fn a_moved_folder_takes_along_what_stands_in_it_and_nothing_else() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    agreed(&mut index, &["a", "a-", "a/x", "a/x/y", "ab", "z/old"]);
    index
        .apply(vec![IndexStep::Moved { side: Side::Local, from: path("a"), to: path("z") }])
        .expect("applied");
    let known: Vec<_> =
        index.known(Side::Local, None).expect("known").map(|row| row.expect("a row").0).collect();
    assert_eq!(known, ["a-", "ab", "z", "z/x", "z/x/y"].map(path));
    assert_eq!(differing(&mut index), ["a", "a/x", "a/x/y", "z", "z/old", "z/x", "z/x/y"]);
}

#[test]
fn a_move_that_makes_a_path_too_long_changes_nothing() {
    let (_folder, at) = place();
    let mut index = SqliteIndex::open(&at).expect("opened");
    let deep = vec!["d".repeat(200); 20].join("/");
    agreed(&mut index, &["a", &deep]);
    let to = format!("e/{}", "e".repeat(250));
    let from = path(&"d".repeat(200));
    let steps =
        vec![seen(Side::Local, "a", None), IndexStep::Moved { side: Side::Local, from, to: path(&to) }];
    index.apply(steps.clone()).expect("4072 bytes are not too many");
    let from = path("a");
    let long = vec!["n".repeat(200); 20].join("/");
    let moved = index.apply(vec![
        seen(Side::Local, "b", Some(file("b", 8))),
        IndexStep::Moved { side: Side::Remote, from, to: path(&long) },
        IndexStep::Moved { side: Side::Local, from: path("e"), to: path(&long) },
    ]);
    assert!(matches!(moved, Err(IndexError::PathTooLong { .. })), "{moved:?}");
    assert_eq!(index.entry(Side::Local, &path("b")).expect("read"), None);
    assert!(index.entry(Side::Remote, &path("a")).expect("read").is_some());
}

#[test]
fn a_reader_goes_on_while_another_thread_writes() {
    let (_folder, at) = place();
    let mut index = quick(&at).expect("opened");
    let names: Vec<_> = (0..10_000).map(|number| format!("{number:05}")).collect();
    agreed(&mut index, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let reader = index.reader().expect("a reader");
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let rows = reader.known(Side::Local, Some(&path("00000"))).count();
            rows + reader.known(Side::Local, None).collect::<Result<Vec<_>, _>>().expect("rows").len()
        });
        for name in names.iter().step_by(100) {
            index.apply(vec![seen(Side::Local, name, Some(file("new", 1)))]).expect("applied");
        }
        assert_eq!(read.join().expect("read"), 10_001);
    });
}

#[test]
fn the_second_process_is_told_who_works_on_the_pair() {
    let (_folder, at) = place();
    let first = IndexLock::try_lock(&at).expect("locked");
    let second = IndexLock::try_lock(&at).expect_err("held");
    assert!(matches!(second, IndexError::HeldBy { pid: Some(pid), .. } if pid == std::process::id()));
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| IndexLock::wait(&at).map(drop));
        drop(first);
        waiting.join().expect("no panic")
    });
    waiting.expect("locked after the first");
    IndexLock::try_lock(&at).map(drop).expect("free again");
}
