//! What a replica makes of files that a fetch left.

use std::fs;
use std::path::{Path, PathBuf};

use swarm_sync::{FileContent, Replica as _, ReplicaError, TreePath};

use super::super::replica::{RUN, put_content};
use super::{Library, bytes, job};
use crate::fetched_source;

/// A file as a fetch leaves it.
fn left(library: &Library, data: &[u8]) -> PathBuf {
    let folder = library.at("left");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(library.hash(0).to_string()), data).unwrap();
    folder
}

fn is_left(folder: &Path, library: &Library) -> bool {
    folder.join(library.hash(0).to_string()).exists()
}

#[test]
fn a_fetched_file_that_may_not_be_taken_is_copied_and_hashed() {
    let library = Library::of_two();
    let folder = left(&library, &library.contents[0]);
    let source = fetched_source(&folder, &library.hash(0), false);
    library.stage(source, "a", library.content(0)).unwrap();
    assert!(is_left(&folder, &library));
    let folder = left(&library, &bytes(9, 70_000));
    let source = fetched_source(&folder, &library.hash(0), false);
    let path = TreePath::new("a").unwrap();
    assert_eq!(library.stage(source, "a", library.content(0)), Err(ReplicaError::Integrity { path }));
}

#[test]
fn a_fetched_file_that_is_away_or_of_another_length_changed() {
    let library = Library::of_two();
    let folder = left(&library, b"short");
    let changed = || Err(ReplicaError::Changed { path: TreePath::new("a").unwrap() });
    for may_take in [true, false] {
        let source = fetched_source(&folder, &library.hash(0), may_take);
        assert_eq!(library.stage(source, "a", library.content(0)), changed());
        assert!(is_left(&folder, &library), "it went back");
        for nowhere in [fetched_source(&folder, &library.hash(1), may_take), {
            fetched_source(&library.at("nowhere"), &library.hash(0), may_take)
        }] {
            assert_eq!(library.stage(nowhere, "a", library.content(0)), changed());
        }
    }
}

#[test]
fn a_taken_file_that_finds_no_place_goes_back_and_is_taken_again() {
    let library = Library::of_two();
    let folder = left(&library, &library.contents[0]);
    let replica = library.replica();
    let executable = FileContent { executable: true, ..library.content(0) };
    let source = fetched_source(&folder, &library.hash(0), true);
    let staged = replica.stage(vec![job(source, "a", executable)], &|_| {}).remove(0).unwrap();
    assert!(!is_left(&folder, &library));
    fs::write(library.at("tree/a"), "somebody was faster").unwrap();
    let op = put_content("a", executable, None);
    let refused = replica.perform(RUN, vec![(op, Some(staged))]).remove(0);
    assert_eq!(refused, Err(ReplicaError::Changed { path: TreePath::new("a").unwrap() }));
    assert!(is_left(&folder, &library));

    let source = fetched_source(&folder, &library.hash(0), true);
    let staged = replica.stage(vec![job(source, "b", library.content(0))], &|_| {}).remove(0).unwrap();
    let op = put_content("b", library.content(0), None);
    let done = replica.perform(RUN, vec![(op, Some(staged))]).remove(0).unwrap();
    assert_eq!(done.now.unwrap().file(), Some(&library.content(0)), "it is not executable any more");
}

#[test]
fn what_a_stopped_run_took_goes_back_with_the_replica_or_at_the_next_turn() {
    let library = Library::of_two();
    let folder = left(&library, &library.contents[0]);
    for is_dropped in [true, false] {
        let replica = library.replica();
        let source = fetched_source(&folder, &library.hash(0), true);
        replica.stage(vec![job(source, "a", library.content(0))], &|_| {}).remove(0).unwrap();
        assert!(!is_left(&folder, &library));
        if is_dropped {
            drop(replica);
        } else {
            drop(replica.take_turn(&|| unreachable!("nobody else is here")).unwrap());
        }
        assert!(is_left(&folder, &library), "dropped {is_dropped}");
    }
    assert_eq!(fs::read(folder.join(library.hash(0).to_string())).unwrap(), library.contents[0]);
}

#[test]
fn an_entry_of_the_user_is_never_taken_for_what_was_fetched() {
    let library = Library::of_two();
    let folder = left(&library, &library.contents[0]);
    let replica = library.replica();
    let source = fetched_source(&folder, &library.hash(0), true);
    let staged = replica.stage(vec![job(source, "a", library.content(0))], &|_| {}).remove(0).unwrap();
    let lane = library.at("tree").join(crate::replica::place_beside(staged.0));
    fs::remove_file(&lane).unwrap();
    fs::write(&lane, "displaced").unwrap();
    drop(replica);
    assert!(!is_left(&folder, &library));
    assert_eq!(fs::read(lane).unwrap(), b"displaced");
}
