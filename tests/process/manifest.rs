//! `swarm manifest`: create, show, verify.

use std::fs;

use serde_json::Value;

use crate::support::{MIB, World, args, flip_byte, random};

fn json(outcome: &crate::support::Outcome) -> Value {
    serde_json::from_str(&outcome.out.join("\n")).expect("one JSON object")
}

#[test]
fn it_holds_the_standard_blake3_and_sha256() {
    let world = World::new();
    let len = (5 * MIB + 77) as usize;
    let film = world.file("film.bin", len as u64);
    let args =
        args!["manifest", "create", "--sha256", "--comment", "a film", "--sign", "-o", "f.swarm", film];
    world.run(&args).expect_code(0);
    let shown = json(&world.run(&args!["manifest", "show", "--json", "f.swarm"]).expect_code(0));
    let bytes = random("film.bin", len);
    let file = &shown["files"][0];
    assert_eq!(file["path"], "film.bin");
    assert_eq!(file["bytes"], len);
    assert_eq!(file["blake3"], blake3::hash(&bytes).to_hex().as_str());
    let sha256: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&bytes).into();
    assert_eq!(file["sha256"], blake3::Hash::from_bytes(sha256).to_hex().as_str());
    assert_eq!((&shown["comment"], &shown["chunks"]), (&"a film".into(), &6.into()));
    assert_eq!(shown["signed_by"].as_array().map(Vec::len), Some(1));
    let for_people = world.run(&args!["manifest", "show", "f.swarm"]).expect_code(0).out.join("\n");
    assert!(for_people.contains(&blake3::hash(&bytes).to_hex().to_string()), "{for_people}");
}

#[test]
fn equal_data_elsewhere_is_the_same_content() {
    let world = World::new();
    let id = |path: &str| {
        let outcome =
            world.run(&args!["manifest", "create", "-o", "x.swarm", world.path(path)]).expect_code(0);
        outcome.out[0].clone()
    };
    for root in ["one/tree", "two/tree"] {
        fs::create_dir_all(world.path(root).join("empty")).expect("a place");
        for (name, len) in [("a", 3 << 20), ("b/c", 10), ("d", 0)] {
            let path = world.path(root).join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a place");
            fs::write(path, random(name, len)).expect("a place");
        }
    }
    let same = id("one/tree");
    assert_eq!(id("two/tree"), same);
    assert_eq!(id("one/tree"), same, "out of the cache, too");
    flip_byte(&world.path("one/tree/b/c"), 3);
    assert_ne!(id("one/tree"), same);
}

#[test]
fn verify_lists_what_is_bad_or_missing_by_its_chunks() {
    let world = World::new();
    for (name, len) in [("tree/good.bin", 2 * MIB), ("tree/bad.bin", 9 * MIB), ("tree/gone.bin", 3 * MIB)] {
        world.file(name, len);
    }
    fs::create_dir(world.path("tree/empty")).expect("a place");
    let manifest = world.manifest(&world.path("tree"), "tree.swarm");
    let verify = |json: &[&str]| {
        let mut args = args!["manifest", "verify", manifest, world.path("tree")];
        args.extend(json.iter().map(Into::into));
        world.run(&args)
    };
    let good = verify(&[]).expect_code(0);
    assert_eq!(good.out, ["all 3 files are good"]);
    for at in [2 * MIB, 5 * MIB + 1, 7 * MIB - 1, 9 * MIB - 1] {
        flip_byte(&world.path("tree/bad.bin"), at);
    }
    fs::remove_file(world.path("tree/gone.bin")).expect("ours");
    fs::remove_dir(world.path("tree/empty")).expect("ours");
    let bad = verify(&[]).expect_code(5);
    assert_eq!(
        bad.out,
        [
            "damaged: tree/bad.bin: bad chunks 2, 5-6, 8 of 9",
            "missing: tree/gone.bin: bad chunks 0-2 of 3",
            "missing: tree/empty/"
        ]
    );
    bad.failure_line();
    let verified = verify(&["--json"]).expect_code(5);
    assert!(verified.error_message().contains("bad or missing"), "{verified:#?}");
    let [report, _error] = &verified.json()[..] else { panic!("not a report and an error: {verified:#?}") };
    assert_eq!((&report["complete"], &report["bad_chunks"]), (&false.into(), &7.into()));
    assert_eq!(report["files"][0]["bad_chunks"], serde_json::json!([2, 5, 6, 8]));
}

#[test]
fn a_huge_file_of_holes_has_a_manifest() {
    let world = World::new();
    let film = world.path("film.bin");
    let file = fs::File::create(&film).expect("a place");
    file.set_len(HOLES_LEN).expect("a file system with holes");
    drop(file);
    flip_byte(&film, HOLES_LEN - 1);
    let manifest = world.manifest(&film, "film.swarm");
    let shown = json(&world.run(&args!["manifest", "show", "--json", manifest]).expect_code(0));
    assert_eq!(shown["bytes"], HOLES_LEN);
    assert_eq!(shown["files"][0]["chunk_bytes"], 8 * MIB);
}

/// Beyond 10 GB, and with a last chunk that is shorter than the others.
const HOLES_LEN: u64 = 10_240 * MIB + 4097;
