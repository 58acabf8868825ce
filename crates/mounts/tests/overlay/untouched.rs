//! Read-only mounts after all that an overlay does: not a time, not a name is another one.

use std::fs::{File, FileTimes};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use swarm_sync::Replica as _;

use crate::layers::{World, disk_state, path, places_below, read};

/// When each folder and file was read last. Links have no way to be read without a trace.
fn read_at(places: &[PathBuf]) -> Vec<(PathBuf, i64, i64)> {
    let told = |place: &PathBuf| {
        let told = std::fs::symlink_metadata(place).unwrap();
        (place.clone(), told.atime(), told.atime_nsec())
    };
    places.iter().map(told).collect()
}

/// A time of access before that of the last change: only then do most systems note a further access.
fn age(places: &[PathBuf]) {
    for place in places {
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(place).unwrap().set_times(FileTimes::new().set_accessed(long_ago)).unwrap();
    }
}

#[test]
fn nothing_is_written_to_a_read_only_mount() {
    let mut world = World::new("ro /v: a=1 b=2* d/c=3 d/e/f=4 g=5 | ro /v/w: h=6 | target: v/a=9");
    let dirs = [world.specs[0].dir.clone(), world.specs[1].dir.clone()];
    let places: Vec<PathBuf> = dirs.iter().flat_map(|dir| places_below(dir)).collect();
    age(&places);
    let (read_before, before) = (read_at(&places), disk_state_unread(&places));
    world.reopen();
    world.overlay.recover().unwrap();
    for found in world.walk(None) {
        if let Some(entry) = world.observe(&found.path).filter(|entry| entry.file().is_some()) {
            read(world.overlay.source(&found.path, &entry)).unwrap();
        }
    }
    let ops =
        ["put v/b=7", "rm v/g", "exec v/d/c", "mv v/d v/n", "rm v/w/h", "rm v/w", "mkdir v/w", "put v/w/h=8"];
    for op in ops {
        let op = world.op(op);
        world.perform(vec![op]).remove(0).unwrap();
    }
    drop(world.overlay.take_turn(&|| {}).unwrap());
    world.overlay.forget_stale_whiteouts().unwrap();
    assert!(world.observe(&path("v/n/e/f")).is_some());
    assert_eq!(read_at(&places), read_before);
    assert_eq!(disk_state_unread(&places), before);
    let names_now: Vec<PathBuf> = dirs.iter().flat_map(|dir| places_below(dir)).collect();
    assert_eq!(names_now.len(), places.len(), "{names_now:?}");
}

/// What the disk tells, without listing a folder.
fn disk_state_unread(places: &[PathBuf]) -> Vec<(i64, i64, i64, i64, u32)> {
    let told = |place: &PathBuf| {
        let told = std::fs::symlink_metadata(place).unwrap();
        (told.mtime(), told.mtime_nsec(), told.ctime(), told.ctime_nsec(), told.mode())
    };
    places.iter().map(told).collect()
}

#[test]
fn a_folder_without_the_right_to_write_is_enough() {
    let mut world = World::new("ro /v: a=1 d/b=2 | target:");
    let dir = world.specs[0].dir.clone();
    let folders = [dir.join("d"), dir.clone()];
    let set = |mode| {
        for folder in &folders {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o555);
    let before = disk_state(std::slice::from_ref(&dir));
    for op in ["put v/a=3", "mv v/d v/e", "rm v/e/b"] {
        let op = world.op(op);
        world.perform(vec![op]).remove(0).unwrap();
    }
    assert_eq!(disk_state(&[dir]), before);
    set(0o755);
}
