//! Targets that refuse operations: optional ones, which a fetch does without, and names and lengths, whose entries it leaves out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::super::dir::{Access, Dir};
use super::super::tap::Op;
use super::disk::Disk;
use super::fetch::folder;
use super::watch::{Plan, Tap, Watch, is_sync};
use super::{World, bytes, index_of, world};
use crate::{LeftOutWhy, Opened, Store as _, StoreError, TargetOptions, TargetStore};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{EntryPath, File as ManifestFile, Manifest, combine_chunk_values};

type Kind = fn(&Op<'_>) -> bool;

#[test]
fn a_target_that_refuses_niceties_holds_every_byte() {
    let sets_mode: Kind = |op| matches!(op, Op::SetPermissions);
    let syncs_folder: Kind = |op| matches!(op, Op::SyncDirectory { .. } | Op::SyncFileSystem);
    let locks: Kind = |op| matches!(op, Op::Lock);
    let saves_space: Kind = |op| matches!(op, Op::Punch { .. } | Op::Reserve);
    let cases: [(&str, Kind, &[Errno], usize); 5] = [
        ("chmod", sets_mode, &[Errno::PERM, Errno::NOTSUP, Errno::ACCESS, Errno::ROFS], 1),
        ("folder sync", syncs_folder, &[Errno::IO, Errno::ACCESS, Errno::PERM], 1),
        ("folder sync that is not there", syncs_folder, &[Errno::INVAL, Errno::NOTSUP, Errno::NOSYS], 0),
        ("lock", locks, &[Errno::NOTSUP, Errno::NOLCK, Errno::NOSYS], 1),
        ("holes and reserves", saves_space, &[Errno::NOTSUP, Errno::IO, Errno::INVAL, Errno::PERM], 0),
    ];
    let world = executables();
    for (what, kind, errnos, warnings) in cases {
        for &errno in errnos {
            let target = folder();
            let watch = Watch::new(Plan::Refuse { kind, errno }, &Disk::default());
            let (store, _) = open(&world, target.path(), &watch).unwrap();
            world.write_all(&store);
            store.flush().unwrap();
            store.finish().unwrap_or_else(|error| panic!("{what}, {errno:?}: {error}"));
            let told = store.take_warnings();
            assert_eq!(told.len(), warnings, "{what}, {errno:?}: {told:?}");
            assert!(told.iter().all(|warning| warning.reason == errno), "{told:?}");
            check_complete(&world, target.path(), &[]);
        }
    }
}

#[test]
fn the_sync_of_data_is_no_nicety() {
    let world = executables();
    let target = folder();
    let kind: Kind = |op| matches!(op, Op::SyncData) && is_sync(op);
    // Opening the store syncs the journal, which must succeed.
    let watch = Watch::new(Plan::Refuse { kind, errno: Errno::IO }, &Disk::default());
    let error = open(&world, target.path(), &watch).map(drop).unwrap_err();
    assert!(error.to_string().contains("cannot sync"), "{error}");
}

#[test]
fn an_entry_with_a_refused_name_is_left_out_and_the_rest_is_fetched() {
    for errno in [Errno::INVAL, Errno::NOENT, Errno::ILSEQ] {
        let world = world(&[
            ("a?b", bytes(1, 20_000)),
            ("odd:folder/film", bytes(2, 20_000)),
            ("e?mpty", vec![]),
            ("plain/film", bytes(3, 40_000)),
        ]);
        let target = folder();
        let kind: Kind = |op| places(op).iter().any(|path| path.to_string_lossy().contains(['?', ':']));
        let refusing = || Watch::new(Plan::Refuse { kind, errno }, &Disk::default());
        let (store, opened) = open(&world, target.path(), &refusing()).unwrap();
        let left_out: Vec<&str> = opened.left_out.iter().map(|left_out| left_out.path.as_str()).collect();
        assert_eq!(left_out, ["c/a?b", "c/e?mpty", "c/odd:folder/film"]);
        world.write(&store, opened.wanted.iter());
        store.finish().unwrap();
        check_complete(&world, target.path(), &left_out);
        assert_eq!(Disk::of(target.path()).names.len(), 1, "nothing else is left there");
        // A second run: every entry that can be there is there.
        let (_, again) = open(&world, target.path(), &refusing()).unwrap();
        assert_eq!((&again.left_out, &again.durable), (&opened.left_out, &opened.wanted));
    }
}

#[test]
fn a_name_that_fits_without_part_is_fetched_under_a_short_one_and_resumed() {
    let (long, longer) = ("x".repeat(140), "y".repeat(144));
    let world = world(&[(&long, bytes(1, 40_000)), (&longer, bytes(2, 40_000)), ("film", bytes(3, 40_000))]);
    let target = folder();
    // The limit of eCryptfs.
    let kind: Kind = |op| places(op).iter().any(|path| path.iter().any(|name| name.len() > 143));
    let refusing = |disk: &Disk| Watch::new(Plan::Refuse { kind, errno: Errno::NAMETOOLONG }, disk);
    let (store, opened) = open(&world, target.path(), &refusing(&Disk::default())).unwrap();
    let [left_out] = opened.left_out.as_slice() else { panic!("{:?}", opened.left_out) };
    assert!(matches!(&left_out.why, LeftOutWhy::Name { name, .. } if *name == longer), "{left_out:?}");
    let (first, rest): (Vec<u32>, Vec<u32>) = opened.wanted.iter().partition(|chunk| chunk % 3 == 0);
    world.write(&store, first.iter().copied());
    store.flush().unwrap();
    drop(store);
    let there = Disk::of(target.path());
    assert!(there.names.keys().any(|name| name.ends_with("film.part")), "{:?}", there.names);
    let (store, opened) = open(&world, target.path(), &refusing(&there)).unwrap();
    assert!(opened.resumed && opened.durable.iter().eq(first), "{opened:?}");
    world.write(&store, rest);
    store.finish().unwrap();
    check_complete(&world, target.path(), &[&format!("c/{longer}")]);
    assert_eq!(Disk::of(target.path()).names.len(), 2);
}

#[test]
fn a_narrower_fetch_keeps_what_stands_under_a_short_name() {
    let long = "x".repeat(140);
    let world = world(&[(&long, bytes(1, 40_000)), ("film", bytes(3, 40_000))]);
    let target = folder();
    let kind: Kind = |op| places(op).iter().any(|path| path.iter().any(|name| name.len() > 143));
    let refusing = |disk: &Disk| Watch::new(Plan::Refuse { kind, errno: Errno::NAMETOOLONG }, disk);
    let (store, _) = open(&world, target.path(), &refusing(&Disk::default())).unwrap();
    let geometry = world.manifest().geometry();
    let is_long = |chunk: &u32| {
        let file = geometry.chunk(*chunk).map(|chunk| geometry.span(chunk).file).unwrap();
        world.manifest().file(file).path.name() == long
    };
    let (of_long, of_film): (Vec<u32>, Vec<u32>) = (0..geometry.chunk_count()).partition(is_long);
    world.write(&store, of_long[..1].iter().copied());
    store.flush().unwrap();
    drop(store);
    let mut wanted = Bitfield::new(geometry.chunk_count());
    for &chunk in &of_film {
        wanted.insert(chunk);
    }
    let narrower = |wanted: Bitfield| {
        let disk = Disk::of(target.path());
        let dir = Dir::open(target.path()).unwrap().tapped(Tap::of(&refusing(&disk)));
        TargetStore::open_in(dir, world.manifest().clone(), wanted, TargetOptions::default(), &|_| {})
            .unwrap()
    };
    let (store, opened) = narrower(wanted);
    assert!(opened.durable.contains(of_long[0]), "{opened:?}");
    drop(store);
    let (_, opened) = narrower(Bitfield::full(geometry.chunk_count()));
    assert!(opened.durable.contains(of_long[0]), "{opened:?}");
}

#[test]
fn a_part_of_an_older_version_is_continued() {
    let name = "z".repeat(140);
    let world = world(&[(&name, bytes(1, 40_000))]);
    let (store, _) = world.open();
    world.write(&store, [0]);
    store.flush().unwrap();
    drop(store);
    assert!(world.target.path().join(format!("c/{name}.part")).is_file());
    let (_, opened) = world.open();
    assert!(opened.durable.contains(0));
}

#[test]
fn a_file_that_is_too_long_for_the_target_is_left_out_and_the_rest_is_fetched() {
    let manifest = with_a_long_file();
    let target = folder();
    let kind: Kind = |op| matches!(op, Op::SetLen { len } if *len > 1 << 30);
    let watch = Watch::new(Plan::Refuse { kind, errno: Errno::FBIG }, &Disk::default());
    let dir = Dir::open(target.path()).unwrap().tapped(Tap::of(&watch));
    let all = Bitfield::full(manifest.geometry().chunk_count());
    let (store, opened) =
        TargetStore::open_in(dir, manifest.clone(), all, TargetOptions::default(), &|_| {}).unwrap();
    let [left_out] = opened.left_out.as_slice() else { panic!("{:?}", opened.left_out) };
    assert_eq!((left_out.path.as_str(), &left_out.why), ("long", &LeftOutWhy::Length(3 << 30)));
    assert!(left_out.to_string().contains("`long`: 3"), "{left_out}");
    let song = manifest.geometry().file_chunks(manifest.geometry().file(1).unwrap()).next().unwrap();
    assert!(opened.wanted.iter().eq([song.get()]));
    assert_eq!(store.write_chunk(song, b"la").unwrap(), crate::Verdict::Verified);
    store.finish().unwrap();
    assert_eq!(Disk::of(target.path()).names.keys().collect::<Vec<_>>(), [Path::new("song")]);
}

#[test]
fn an_untried_refusal_names_the_way_out() {
    let world = world(&[("film", bytes(1, 40_000))]);
    let target = folder();
    let kind: Kind = |op| matches!(op, Op::SetLen { .. });
    let watch = Watch::new(Plan::Refuse { kind, errno: Errno::FBIG }, &Disk::default());
    let (store, _) = open(&world, target.path(), &watch).unwrap();
    let chunk = world.chunk(0);
    let error = store.write_chunk(chunk, &world.data(chunk)).unwrap_err().to_string();
    assert!(error.contains("File too large") && error.contains("ulimit -f"), "{error}");
}

/// Two executables, one all zeros, and an empty file.
fn executables() -> World {
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("c");
    fs::create_dir(&root).unwrap();
    for (name, data, mode) in [
        ("run", bytes(1, 40_000), 0o755),
        ("stop", bytes(2, 40_000), 0o755),
        ("zeros", vec![0; 40_000], 0o644),
        ("empty", vec![], 0o755),
    ] {
        fs::write(root.join(name), data).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let index = index_of(&root, None).unwrap();
    World { source, target: tempfile::tempdir().unwrap(), index }
}

/// A file of three gibibytes without data, and a song.
fn with_a_long_file() -> Manifest {
    let (len, log2) = (3u64 << 30, 24);
    let values = vec![[7; 32]; (len >> log2) as usize];
    let long = ManifestFile {
        path: EntryPath::new("long").unwrap(),
        len,
        executable: false,
        blake3: combine_chunk_values(len, log2, &values).unwrap(),
        sha256: None,
        chunk_len_log2: log2,
        chunk_hashes: values.concat().into(),
    };
    let song = ManifestFile {
        path: EntryPath::new("song").unwrap(),
        len: 2,
        executable: false,
        blake3: *blake3::hash(b"la").as_bytes(),
        sha256: None,
        chunk_len_log2: 0,
        chunk_hashes: ::bytes::Bytes::new(),
    };
    Manifest::new(vec![long, song], Vec::new()).unwrap()
}

fn open(world: &World, target: &Path, watch: &Arc<Watch>) -> Result<(TargetStore, Opened), StoreError> {
    let dir = Dir::open(target).unwrap().tapped(Tap::of(watch));
    let all = Bitfield::full(world.manifest().geometry().chunk_count());
    TargetStore::open_in(dir, world.manifest().clone(), all, TargetOptions::default(), &|_| {})
}

/// The names that an operation creates.
fn places<'a>(op: &Op<'a>) -> Vec<&'a Path> {
    match *op {
        Op::Open { path, access: Access::Create | Access::CreateNew } | Op::MakeDirectory { path } => {
            vec![path]
        }
        Op::Rename { to, .. } => vec![to],
        _ => Vec::new(),
    }
}

/// Checks that every file has its bytes, and none its temporary name.
fn check_complete(world: &World, target: &Path, left_out: &[&str]) {
    for file in world.manifest().files() {
        let name = file.path.as_str();
        let found = fs::read(target.join(name)).ok();
        if left_out.contains(&name) {
            assert_eq!(found, None, "{name}");
        } else {
            assert!(found == Some(fs::read(world.source.path().join(name)).unwrap()), "{name}");
        }
    }
    let disk = Disk::of(target);
    assert!(!disk.names.keys().any(|name| name.to_string_lossy().contains("swarm")), "{:?}", disk.names);
}
