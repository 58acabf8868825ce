//! Names that lead to other files during a fetch: a file that the fetch did not write gets no final name and never counts as
//! complete, and files that another running fetch holds are left alone.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Bitfield, World, bytes, three_files, world};
use crate::{LastLook, Store as _, StoreError, TargetOptions, TargetStore};

/// Replaces a file by a copy of itself: another inode, the same bytes.
fn replace_by_copy(path: &Path) {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    fs::rename(copy, path).unwrap();
}

fn open_at(world: &World, folder: &Path, overwrite: bool) -> Result<TargetStore, StoreError> {
    let wanted = Bitfield::full(world.manifest().geometry().chunk_count());
    let options = TargetOptions { overwrite, ..TargetOptions::default() };
    TargetStore::open(folder, world.manifest().clone(), wanted, options, &|_| {}).map(|(store, _)| store)
}

fn check_replaced(what: &str, replace: impl Fn(&Path)) {
    for flush_before in [true, false] {
        let world = world(&[("film", bytes(1, 10 * 16_384))]);
        let (store, _) = world.open();
        world.write(&store, 0..5);
        if flush_before {
            store.flush().unwrap();
        }
        replace(&world.at("film.part"));
        world.write(&store, 5..10);
        let refused = store.finish().unwrap_err();
        assert!(matches!(refused, StoreError::Replaced { .. }), "{what}: {refused}");
        assert!(!world.at("film").exists(), "{what}");
        drop(store);
        // The file that is there now is hashed, in spite of the journal.
        match world.try_open(true) {
            Ok((store, _)) => world.finish_and_check(&store),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn a_part_that_was_replaced_midway_never_gets_the_final_name() {
    check_replaced("by a copy of itself", replace_by_copy);
    check_replaced("by another file of its length", |path| {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes(9, 10 * 16_384)).unwrap();
    });
    check_replaced("by nothing", |path| fs::remove_file(path).unwrap());
}

#[test]
fn a_part_that_was_replaced_after_the_last_chunk_never_gets_the_final_name() {
    let world = world(&[("film", bytes(1, 10 * 16_384))]);
    let (store, _) = world.open();
    world.write_all(&store);
    fs::remove_file(world.at("film.part")).unwrap();
    fs::write(world.at("film.part"), bytes(9, 10 * 16_384)).unwrap();
    assert!(matches!(store.finish(), Err(StoreError::Replaced { .. })));
    assert!(!world.at("film").exists());
}

#[test]
fn a_finished_file_that_was_replaced_before_the_end_is_noticed() {
    let world = three_files();
    let (store, _) = world.open();
    world.write(&store, 0..4);
    store.flush().unwrap();
    fs::remove_file(world.at("a")).unwrap();
    fs::write(world.at("a"), bytes(9, 50_000)).unwrap();
    world.write_all(&store);
    let refused = store.finish().unwrap_err();
    assert!(matches!(&refused, StoreError::Replaced { path } if path.ends_with("c/a")), "{refused}");
    assert_eq!(fs::read(world.at("a")).unwrap(), bytes(9, 50_000), "it belongs to another program");
    drop(store);
    assert!(matches!(world.try_open(false), Err(StoreError::TargetExists { .. })));
    // A file that was moved away is no error.
    let world = three_files();
    let (store, _) = world.open();
    world.write(&store, 0..4);
    store.flush().unwrap();
    fs::rename(world.at("a"), world.at("watched")).unwrap();
    world.write_all(&store);
    store.finish().unwrap();
}

#[test]
fn a_name_that_a_living_fetch_holds_is_refused_whatever_is_asked_for() {
    let (one, two) = (world(&[("film", bytes(1, 50_000))]), world(&[("film", bytes(2, 50_000))]));
    let folder = one.target.path();
    let first = open_at(&one, folder, false).unwrap();
    for begun in [false, true] {
        if begun {
            one.write(&first, 0..2);
            first.flush().unwrap();
        }
        for overwrite in [false, true] {
            let refused = open_at(&two, folder, overwrite).unwrap_err();
            let pid = std::process::id();
            assert!(
                matches!(refused, StoreError::Busy { holder: Some(holder), .. } if holder == pid),
                "{refused}"
            );
            assert_eq!(
                fs::read_dir(folder).unwrap().count(),
                1 + usize::from(begun),
                "nothing is left behind"
            );
        }
    }
    one.write_all(&first);
    first.finish().unwrap();
    assert_eq!(fs::read(one.at("film")).unwrap(), bytes(1, 50_000));
    // The first fetch has ended, so its file may be replaced.
    assert!(matches!(open_at(&two, folder, false), Err(StoreError::TargetExists { .. })));
    let second = open_at(&two, folder, true).unwrap();
    two.write_all(&second);
    second.finish().unwrap();
    assert_eq!(fs::read(one.at("film")).unwrap(), bytes(2, 50_000));
}

#[test]
fn a_lock_ends_with_its_fetch_and_does_not_block_other_names() {
    let one = world(&[("film", bytes(1, 50_000)), ("song", bytes(3, 20_000))]);
    let two = world(&[("song", bytes(2, 20_000)), ("text", bytes(4, 20_000))]);
    let folder = one.target.path();
    let first = open_at(&one, folder, false).unwrap();
    assert!(matches!(open_at(&two, folder, true), Err(StoreError::Busy { .. })), "one name is enough");
    let mut only_text = Bitfield::new(two.manifest().geometry().chunk_count());
    let text = two.manifest().geometry().file(1).unwrap();
    for chunk in two.manifest().geometry().file_chunk_range(text) {
        only_text.insert(chunk);
    }
    let options = TargetOptions::default();
    let beside = TargetStore::open(folder, two.manifest().clone(), only_text, options, &|_| {}).unwrap();
    drop(beside);
    one.write(&first, 0..1);
    drop(first);
    // A killed fetch releases its names.
    let second = open_at(&two, folder, true).unwrap();
    two.write_all(&second);
    second.finish().unwrap();
}

#[test]
fn fetches_into_a_folder_and_into_one_inside_it_do_not_take_each_others_files() {
    // Equal first halves, so that one fetch would continue with the file of the other.
    let (mut old, mut new) = (bytes(1, 10 * 16_384), bytes(1, 10 * 16_384));
    old[9 * 16_384..].fill(1);
    new[9 * 16_384..].fill(2);
    let (outer, inner) = (world(&[("c/film", old.clone())]), world(&[("film", new)]));
    let folder = outer.target.path();
    let first = open_at(&outer, folder, false).unwrap();
    outer.write(&first, 0..9);
    first.flush().unwrap();
    for overwrite in [false, true] {
        let refused = open_at(&inner, &folder.join("c"), overwrite).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Busy { path, .. } if path.ends_with("c/film.part")),
            "{refused}"
        );
    }
    outer.write_all(&first);
    first.finish().unwrap();
    assert_eq!(fs::read(outer.at("c/film")).unwrap(), old);
}

fn looking_again(world: &World) -> (TargetStore, Arc<Mutex<u64>>) {
    let seen = Arc::new(Mutex::new(0));
    let last = Arc::clone(&seen);
    let look = LastLook::new(move |progress| {
        let mut last = last.lock().unwrap();
        *last = progress.hashed_len.max(*last);
    });
    (world.open().0.looking_again(look), seen)
}

#[test]
fn the_final_check_finds_bytes_that_others_wrote_into_a_part() {
    let world = three_files();
    let (store, seen) = looking_again(&world);
    world.write(&store, 0..4);
    store.flush().unwrap();
    assert!(!world.at("a").exists(), "no name before everything was looked at");
    world.write_all(&store);
    let part = fs::File::options().write(true).open(world.at("a.part")).unwrap();
    for at in [17_000, 40_000] {
        part.write_all_at(b"!!", at).unwrap();
    }
    let found = store.finish().unwrap_err();
    assert!(matches!(found, StoreError::Damaged { chunk: 1, more_count: 1, .. }), "{found}");
    for name in ["a", "d/b", "d/z"] {
        assert!(!world.at(name).exists(), "{name}");
    }
    drop(store);
    let (store, opened) = world.open();
    let missing: Vec<u32> = (0..8).filter(|chunk| !opened.durable.contains(*chunk)).collect();
    assert_eq!(missing, [1, 2], "nothing else is fetched again");
    let store = store.looking_again(LastLook::new(|_| {}));
    world.finish_and_check(&store);
    assert_eq!(*seen.lock().unwrap(), 50_000 + 16_384 + 40_000);
}

#[test]
fn the_final_check_can_be_stopped_and_repeated() {
    let world = three_files();
    let look = LastLook::new(|_| {});
    let store = world.open().0.looking_again(look.clone());
    world.write_all(&store);
    look.stop();
    assert!(matches!(store.finish(), Err(StoreError::Stopped { .. })));
    assert!(!world.at("a").exists());
    drop(store);
    let (store, _) = looking_again(&world);
    world.finish_and_check(&store);
}
