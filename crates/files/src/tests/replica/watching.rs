//! A watched folder: every change is named by a hint, or found by the scan that a hint asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use swarm_sync::{Replica as _, Seen, TreePath};

use super::{Side, path};
use crate::{FolderWatcher, Hint, Hints, Ignore};

fn watch(root: &Path, ignore: Option<Ignore>) -> (FolderWatcher, Hints) {
    FolderWatcher::start(root, ignore).unwrap()
}

/// Hints until one is of this place.
fn until(hints: &Hints, place: &str) -> BTreeSet<TreePath> {
    let mut places = BTreeSet::new();
    while !places.contains(&path(place)) {
        match hints.next(LONG).unwrap() {
            Some(Hint::Place(place)) => {
                places.insert(place);
            }
            other => panic!("{other:?} instead of {place}; before it {places:?}"),
        }
    }
    places
}

#[test]
fn each_kind_of_change_is_hinted_at() {
    let side = Side::of(&[("d/a", "1"), ("d/b", "2")]);
    let (_watcher, hints) = watch(side.path(), None);
    let at = |name: &str| side.path().join(name);
    fs::write(at("d/a"), "changed").unwrap();
    until(&hints, "d/a");
    fs::rename(at("d/b"), at("c")).unwrap();
    until(&hints, "c");
    fs::remove_file(at("c")).unwrap();
    until(&hints, "c");
    fs::rename(at("d"), at("e")).unwrap();
    until(&hints, "e");
    fs::write(at("e/new"), "in a folder that was moved").unwrap();
    until(&hints, "e/new");
}

#[test]
fn what_is_ours_or_excluded_is_not_hinted_at() {
    let side = Side::of(&[("skip/", ""), (".swarm/incoming/", "")]);
    let ignore: Ignore = Arc::new(|path: &TreePath, _| path.name() == "skip");
    let (_watcher, hints) = watch(side.path(), Some(ignore));
    fs::write(side.path().join("skip/a"), "").unwrap();
    fs::write(side.path().join(".swarm/incoming/0"), "").unwrap();
    fs::write(side.path().join("last"), "").unwrap();
    assert_eq!(until(&hints, "last"), BTreeSet::from([path("last")]));
}

#[test]
fn everything_written_into_new_nested_folders_is_found() {
    let side = Side::new();
    let (_watcher, hints) = watch(side.path(), None);
    let mut written = BTreeSet::new();
    for number in 0..300 {
        let name = format!("{}/{}/{number}", number % 7, number % 13);
        super::fill(side.path(), &[(&name, "x")]);
        written.insert(path(&name));
    }
    fs::write(side.path().join("last"), "").unwrap();
    let mut found = BTreeSet::new();
    while !written.is_subset(&found) {
        match hints.next(LONG).unwrap() {
            Some(Hint::Place(place)) => {
                let seen = side.replica.walk(Some(&place)).unwrap();
                found.extend(seen.filter_map(|seen| match seen.unwrap() {
                    Seen::Entry(found) => Some(found.path),
                    Seen::Blind(_) | Seen::Unnamed { .. } => None,
                }));
            }
            other => panic!("{other:?}; {} are not found", written.difference(&found).count()),
        }
    }
}

#[test]
fn a_folder_that_is_not_there_is_not_watched() {
    let error = FolderWatcher::start(Path::new("/nowhere/at/all"), None).err().unwrap();
    assert_eq!(
        error.to_string(),
        "cannot watch `/nowhere/at/all`: it is not there; changes are found by scans"
    );
}

#[test]
fn the_hints_end_with_the_watcher() {
    let side = Side::new();
    let (watcher, hints) = watch(side.path(), None);
    drop(watcher);
    while let Ok(hint) = hints.next(LONG) {
        assert!(hint.is_some(), "it goes on");
    }
}

const LONG: Duration = Duration::from_secs(20);
