//! `swarm demo`.

use std::path::Path;

use crate::support::{Process, Signal, World, args, heavy};

fn start(world: &World, len: &str) -> Process {
    std::fs::create_dir(world.path("demo")).expect("a place");
    world.start(&args!["demo", "--len", len, "--dir", world.path("demo")])
}

/// No file and no process is left.
fn assert_nothing_is_left(world: &World) {
    let dir = world.path("demo");
    assert_eq!(std::fs::read_dir(&dir).expect("a folder").count(), 0, "files are left");
    assert_eq!(processes_in(&dir), [""; 0], "processes are left");
}

/// Command lines that name this folder; none where there is no /proc.
fn processes_in(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().expect("UTF-8");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).filter(|line| line.contains(dir)).collect()
}

#[test]
fn it_shows_that_it_works() {
    let world = World::new();
    let outcome = start(&world, "64MiB").end().expect_code(0);
    assert!(outcome.err.iter().any(|line| line.contains("identical to the original")), "{outcome:#?}");
    assert_nothing_is_left(&world);
}

#[test]
fn ctrl_c_in_the_middle_leaves_nothing_behind() {
    let _turn = heavy();
    for moment in ["making", "seed processes run", "fetching"] {
        let world = World::new();
        let mut demo = start(&world, "768MiB");
        demo.wait_stderr(moment);
        demo.signal(Signal::Interrupt);
        let outcome = demo.end();
        assert_nothing_is_left(&world);
        assert_eq!(outcome.code, Some(130), "at `{moment}`: {outcome:#?}");
    }
}
