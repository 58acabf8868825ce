//! Transient read errors, and permanent changes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use rustix::io::Errno;

use super::super::dir::Dir;
use super::super::tap::Op;
use super::disk::Disk;
use super::watch::{Plan, Tap, Watch};
use super::{Bitfield, SeedStore, World, bytes, far_future, three_files, world};
use crate::{Roots, Store, StoreError, TargetOptions, TargetStore, Trouble};

fn read(world: &World, store: &dyn Store, chunk: u32) -> Result<(), StoreError> {
    let data = world.data_of(chunk);
    let mut buf = vec![0; data.len()];
    store.read(world.chunk(chunk), 0, &mut buf)?;
    assert!(buf == data, "chunk {chunk} is wrong");
    Ok(())
}

#[test]
fn system_errors_do_not_count_as_changes_of_the_bytes() {
    let check = |op: &'static str, errno: Errno, trouble: Option<Trouble>| {
        let error = StoreError::disk("film".as_ref(), op)(errno.into());
        assert_eq!(error.trouble(), trouble, "{error}");
    };
    check("read", Errno::IO, Some(Trouble::Chunk));
    check("read", Errno::STALE, Some(Trouble::File));
    for errno in [Errno::ACCESS, Errno::PERM, Errno::IO, Errno::STALE] {
        check("open", errno, Some(Trouble::File));
        check("open folder", errno, Some(Trouble::Everything));
    }
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NODEV, Errno::NXIO, Errno::NOMEM] {
        check("open", errno, Some(Trouble::Everything));
    }
    check("open", Errno::NOENT, None);
    check("open", Errno::NOTDIR, None);
    let ended = StoreError::disk("film".as_ref(), "read")(std::io::ErrorKind::UnexpectedEof.into());
    assert_eq!(ended.trouble(), None);
    assert_eq!(StoreError::NotServed.trouble(), None);
}

#[test]
fn a_root_that_is_away_is_served_again_when_it_is_back() {
    let world = three_files();
    let (root, hidden) = (world.source.path().join("c"), world.source.path().join("hidden"));
    let seed = world.seed(far_future);
    read(&world, &seed, 0).unwrap();
    let data = world.data_of(4);
    fs::rename(&root, &hidden).unwrap();
    let mut buf = vec![0; data.len()];
    let away = seed.read(world.chunk(4), 0, &mut buf).unwrap_err();
    assert_eq!(away.trouble(), Some(Trouble::Everything), "{away}");
    fs::rename(&hidden, &root).unwrap();
    for chunk in [0, 4] {
        read(&world, &seed, chunk).unwrap();
    }
}

#[test]
fn a_file_that_is_gone_from_a_disk_that_is_there_has_changed_and_so_has_one_that_is_another_thing() {
    for other in ["nothing", "a folder", "a link"] {
        let world = three_files();
        let seed = world.seed(far_future);
        let path = world.source.path().join("c/d/b");
        fs::remove_file(&path).unwrap();
        match other {
            "a folder" => fs::create_dir(&path).unwrap(),
            "a link" => symlink(world.source.path().join("c/a"), &path).unwrap(),
            _ => {}
        }
        let mut buf = [0; 10];
        let changed = seed.read(world.chunk(4), 0, &mut buf).unwrap_err();
        assert!(matches!(changed, StoreError::Changed { chunk: 0, .. }), "{other}: {changed}");
        assert_eq!(changed.trouble(), None);
    }
}

#[test]
fn a_disk_that_is_not_mounted_is_away_and_an_emptied_folder_has_changed() {
    // A symbolic link stands for the mount point: it leads to a disk, or to the folder under the mount point.
    let (Some(disk), beside) = (memory_folder(), tempfile::tempdir().unwrap()) else { return };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(disk.path()) == device(beside.path()) {
        return;
    }
    let (mounted, emptied) = (disk.path().join("mounted"), disk.path().join("emptied"));
    let (under, point) = (beside.path().join("under"), beside.path().join("point"));
    for folder in [&mounted, &emptied, &under] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(mounted.join("film"), bytes(1, 20_000)).unwrap();
    let made = super::index_of(&mounted.join("film"), None).unwrap();
    let lead_to = |folder: &Path| {
        let _ = fs::remove_file(&point);
        symlink(folder, &point).unwrap();
    };
    lead_to(&mounted);
    let all = Bitfield::full(made.manifest.geometry().chunk_count());
    let seed = SeedStore::new(made.manifest.clone(), Roots::folder(&point), all, far_future);
    let first = made.manifest.geometry().chunk(0).unwrap();
    let read = || seed.read(first, 0, &mut [0; 10]);
    lead_to(&under);
    let away = read().unwrap_err();
    assert_eq!(away.trouble(), Some(Trouble::Everything), "{away}");
    lead_to(&emptied);
    let gone = read().unwrap_err();
    assert!(matches!(gone, StoreError::Changed { .. }), "{gone}");
    lead_to(&under);
    assert!(read().unwrap_err().trouble().is_some());
    lead_to(&mounted);
    read().unwrap();
}

/// A folder on another file system than temporary folders, if there is one.
fn memory_folder() -> Option<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").ok()
}

#[test]
fn a_read_that_fails_once_in_a_fetch_that_serves_loses_nothing() {
    let world = world(&[("film", bytes(1, 3 * 16_384))]);
    let fails: fn(&Op<'_>) -> bool = |op| matches!(op, Op::Read);
    let watch = Watch::new(Plan::FailKind { kind: fails, errno: Errno::IO }, &Disk::default());
    let dir = Dir::open(world.target.path()).unwrap().tapped(Tap::of(&watch));
    let (manifest, wanted) = (world.manifest().clone(), Bitfield::full(3));
    let (store, _) = TargetStore::open_in(dir, manifest, wanted, TargetOptions::default(), &|_| {}).unwrap();
    world.write_all(&store);
    let failed = read(&world, &store, 1).unwrap_err();
    assert_eq!(failed.trouble(), Some(Trouble::Chunk), "{failed}");
    watch.heal();
    read(&world, &store, 1).unwrap();
    store.finish().unwrap();
    read(&world, &store, 2).unwrap();
    // After a move the open file is still served.
    fs::rename(world.at("film"), world.at("moved")).unwrap();
    read(&world, &store, 2).unwrap();
}
