use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use swarm_sync::ContentHash;

use super::source::PART_LEN;
use super::{BLOCK_LEN, Base, FillReport, Filled, Versions, differences, fill_by_values, fill_from_old};
use crate::replica::chunk_values::{CHUNK_LEN, ChunkValues, value_of};

const MIB: usize = 1 << 20;

/// The same bytes for the same seed.
fn random(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

fn overwritten(bytes: &[u8], at: usize, len: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + len].copy_from_slice(&random(99, len));
    bytes
}

fn fresh(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("a file")
}

/// Fills a file in `there`, which has the old version, from the new version in `here`.
fn filled(here: &Path, there: &Path, old: &[u8], new: &[u8]) -> FillReport {
    let paths = [here.join("new"), there.join("old"), there.join("incoming")];
    std::fs::write(&paths[0], new).expect("written");
    std::fs::write(&paths[1], old).expect("written");
    let open = |path: &Path| File::open(path).expect("open");
    let report =
        fill_from_old(&open(&paths[0]), &open(&paths[1]), &fresh(&paths[2]), &|_| Ok(())).expect("filled");
    assert!(std::fs::read(&paths[2]).expect("read") == new, "the target holds the new version");
    assert!(std::fs::read(&paths[1]).expect("read") == old, "the old version is as it was");
    assert_eq!((report.hash, report.len), (ContentHash::of(new), new.len() as u64));
    paths.iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
    report
}

/// On whatever file system tests run: the bytes are right, whether it shares blocks or not.
fn check(old: &[u8], new: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path(), folder.path(), old, new);
}

#[test]
fn the_target_holds_the_new_version_on_any_file_system() {
    let old = random(1, 3 * MIB + 5);
    check(&old, &old);
    check(&old, &overwritten(&old, 2 * MIB - 50, 100));
    check(&old, &old[..MIB]);
    check(&old, &[&old[..], b"more"].concat());
    check(&old, &[b"x", &old[..]].concat());
    check(&old, b"");
    check(b"", &old);
    check(b"", &random(2, PART_LEN));
    check(&random(3, 10), &random(4, 20 * PART_LEN));
}

#[test]
fn zeros_are_not_written_into_a_fresh_file() {
    let folders =
        [tempfile::tempdir_in("/dev/shm"), tempfile::tempdir()].map(|folder| folder.expect("a folder"));
    let new = [vec![0; 3 * MIB], random(5, 100), vec![0; MIB]].concat();
    let report = filled(folders[0].path(), folders[1].path(), b"", &new);
    assert_eq!((report.base, report.written_len), (Base::Hole, BLOCK_LEN as u64));
}

#[test]
fn ranges_that_differ_are_whole_blocks_and_joined() {
    let check = |changed: &[usize], ranges: &[(usize, usize)]| {
        let old = vec![0; 5 * BLOCK_LEN + 7];
        let mut new = old.clone();
        changed.iter().for_each(|&at| new[at] = 1);
        let found = differences(&new, &old).into_iter().map(|range| (range.start, range.end));
        assert_eq!(found.collect::<Vec<_>>(), ranges);
    };
    check(&[], &[]);
    check(&[5], &[(0, 4096)]);
    check(&[4095, 4096], &[(0, 8192)]);
    check(&[0, 8192, 5 * BLOCK_LEN + 6], &[(0, 4096), (8192, 12288), (20480, 20487)]);
}

/// A file system that shares blocks, in an image; unmounted when dropped.
struct SharingDisk {
    at: PathBuf,
    _folder: tempfile::TempDir,
}

impl SharingDisk {
    /// `None`, with a line on stderr, where it cannot be made or mounted.
    fn mount(kind: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let (image, at) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::create_dir(&at).expect("a folder");
        File::create(&image).and_then(|file| file.set_len(512 << 20)).expect("an image");
        let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let is_made = succeeds(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
        if is_made && succeeds(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at)) {
            return Some(Self { at, _folder: folder });
        }
        eprintln!("NOT RUN: no {kind} can be mounted here, so nothing is known about blocks that it shares");
        None
    }
}

impl Drop for SharingDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn check_shared(kind: &str) {
    let Some(disk) = SharingDisk::mount(kind) else { return };
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let written = |old: &[u8], new: &[u8]| {
        let report = filled(elsewhere.path(), &disk.at, old, new);
        (report.base, report.written_len)
    };
    let old = random(1, 8 * MIB + 5);
    let block = BLOCK_LEN as u64;
    assert_eq!(written(&old, &old), (Base::Old, 0));
    assert_eq!(written(&old, &overwritten(&old, 2 * MIB - 50, 100)), (Base::Old, 2 * block));
    assert_eq!(written(&old, &old[..5 * MIB + 9]), (Base::Old, 0), "a cut file is a clone that was cut");
    assert_eq!(
        written(&old, &[&old[..], b"more"].concat()),
        (Base::Old, 9),
        "from the last block of the old version on"
    );
    assert_eq!(written(&old, &[&old[..], &vec![0; MIB]].concat()), (Base::Old, 0));
    assert_eq!(written(&old, &[b"x", &old[..]].concat()), (Base::Hole, old.len() as u64 + 1));
    assert_eq!(written(&old, &random(2, 8 * MIB)), (Base::Hole, 8 * MIB as u64));
    let long = random(4, 70 * MIB + 5);
    assert_eq!(
        written(&long, &overwritten(&long, 65 * MIB, MIB)),
        (Base::Old, MIB as u64),
        "read past the cache"
    );
    let same_disk = filled(&disk.at, &disk.at, &old, &random(3, 8 * MIB));
    assert_eq!((same_disk.base, same_disk.written_len), (Base::New, 0));
}

#[test]
fn xfs_writes_only_blocks_that_differ() {
    check_shared("xfs");
}

#[test]
fn btrfs_writes_only_blocks_that_differ() {
    check_shared("btrfs");
}

fn values_of(bytes: &[u8]) -> ChunkValues {
    let chunks = (0..).step_by(CHUNK_LEN as usize).zip(bytes.chunks(CHUNK_LEN as usize));
    let values = chunks.map(|(at, chunk)| value_of(at, chunk)).collect();
    ChunkValues::new(bytes.len() as u64, values).expect("more than one chunk").0
}

fn check_by_values(kind: &str) {
    let Some(disk) = SharingDisk::mount(kind) else { return };
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let filled = |old: &[u8], new: &[u8], values: &[u8], is_old: bool| {
        let paths = [elsewhere.path().join("new"), disk.at.join("old"), disk.at.join("incoming")];
        std::fs::write(&paths[0], new).expect("written");
        std::fs::write(&paths[1], old).expect("written");
        let [new_file, old_file] = [&paths[0], &paths[1]].map(|path| File::open(path).expect("open"));
        let (of_new, of_old) = (values_of(values), values_of(old));
        let versions = Versions { new: (&new_file, &of_new, new.len() as u64), old: (&old_file, &of_old) };
        let filled = fill_by_values(&versions, &fresh(&paths[2]), &|| is_old, &|_| Ok(())).expect("filled");
        let bytes = std::fs::read(&paths[2]).expect("read");
        paths.iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
        (filled, bytes)
    };
    let check = |old: &[u8], new: &[u8], written_len: u64| {
        let (filled, bytes) = filled(old, new, new, true);
        assert_eq!(filled, Filled::Whole { written_len });
        assert!(bytes == new, "the target holds the new version");
    };
    let old = random(1, 8 * MIB + 5);
    let block = BLOCK_LEN as u64;
    check(&old, &old, 0);
    check(&old, &overwritten(&old, 2 * MIB - 50, 100), 2 * block);
    check(&old, &old[..5 * MIB + 9], 0);
    check(&old, &[&old[..], b"more"].concat(), 9);
    check(&old, &[&old[..], &random(2, MIB)].concat(), MIB as u64 + 5);
    let none = (Filled::NotAtAll, Vec::new());
    assert_eq!(
        filled(&old, &random(3, 8 * MIB), &random(3, 8 * MIB), true),
        none,
        "it has little of the new one"
    );
    let new = overwritten(&old, MIB, 100);
    assert_eq!(filled(&old, &new, &new, false), none, "the old version changed meanwhile");
    let other = [&new[..MIB], &[0; 50], &new[MIB + 50..]].concat();
    assert_eq!(filled(&old, &other, &new, true).0, Filled::Mismatch);
}

#[test]
fn xfs_gets_the_chunks_that_have_other_values() {
    check_by_values("xfs");
}

#[test]
fn btrfs_gets_the_chunks_that_have_other_values() {
    check_by_values("btrfs");
}
