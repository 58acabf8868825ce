//! Targets that cannot hold all of a content, and processes with low limits: the possible part is done, the rest is named.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{MIB, OddDisk, Outcome, Process, World, args, assert_same_file};

#[test]
fn what_a_file_system_cannot_hold_is_named_and_the_rest_is_complete() {
    let mut ran = false;
    for kind in OddDisk::KINDS {
        let world = World::new();
        let Some(disk) = OddDisk::mount(kind, &world.path("disk"), 64) else { continue };
        ran = true;
        for name in ["film.bin", "what?.bin", "odd:folder/song.bin"] {
            world.file(&format!("tree/{name}"), MIB);
        }
        let long = format!("tree/{}", "l".repeat(252));
        world.file(&long, 40_000);
        let seed = world.seed(args![world.path("tree")]);
        let out = disk.path("out");
        let first = world.fetch(args!["-o", out, seed.ticket()]).end().expect_code(9);
        let left_out: Vec<String> =
            first.events("left_out").iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(left_out, ["tree/odd:folder/song.bin", "tree/what?.bin"], "{kind}: {first:#?}");
        assert!(first.error_message().contains("cannot hold 2 paths"), "{kind}: {first:#?}");
        assert_eq!(first.events("done").len(), 1, "{kind}: {first:#?}");
        assert_same_file(&world.path("tree/film.bin"), &out.join("tree/film.bin"));
        assert_same_file(&world.path(&long), &out.join(&long));
        // Text output, and a second run: nothing is fetched twice.
        let again = world.run(&args!["fetch", "-o", out, seed.ticket()]).expect_code(9);
        assert!(again.err.iter().any(|line| line.starts_with("left out `tree/what?.bin`")), "{again:#?}");
        assert!(again.failure_line().contains("the rest is complete and verified"), "{again:#?}");
        let files: Vec<PathBuf> = walk(&out);
        assert_eq!(files, [out.join("tree/film.bin"), out.join(&long)], "{kind}");
    }
    if !ran {
        eprintln!("NOT RUN: no odd file system can be mounted, so nothing is known about names they refuse");
    }
}

#[test]
fn a_target_that_refuses_chmod_gets_the_file_with_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    for name in ["tree/run", "tree/stop"] {
        let run = world.file(name, MIB);
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    let seed = world.seed(args![world.path("tree")]);
    let fetch = args!["fetch", "--json", "-o", "out", seed.ticket()];
    let how =
        "exec strace -f -qq -o /dev/null -e trace=fchmod,fchmodat -e inject=fchmod,fchmodat:error=EPERM";
    if !is_able("strace -f -qq -o /dev/null true") {
        eprintln!("NOT RUN: no strace here, so nothing is known about targets that refuse chmod");
        return;
    }
    let outcome = through(&world, how, &fetch).end();
    outcome.done();
    let warnings = outcome.events("warning");
    assert_eq!(warnings.len(), 1, "{outcome:#?}");
    assert!(warnings[0]["message"].as_str().unwrap().contains("cannot be made executable"), "{outcome:#?}");
    for name in ["tree/run", "tree/stop"] {
        assert_same_file(&world.path(name), &world.path("out").join(name));
    }
}

#[test]
fn a_limit_on_file_sizes_is_an_error_with_a_way_out() {
    let world = World::new();
    let film = world.file("film.bin", 8 * MIB);
    let seed = world.seed(args![film]);
    // Too low for the film, and too low for any file.
    for blocks in [2048, 0] {
        let out = format!("out-{blocks}");
        let fetch = args!["fetch", "--timeout", "10", "-o", out, seed.ticket()];
        let limited = through(&world, &format!("ulimit -f {blocks}; exec"), &fetch).end();
        let code = limited.code.unwrap_or_else(|| panic!("killed by a signal: {limited:#?}"));
        assert!(code == 6, "{limited:#?}");
        assert!(limited.failure_line().contains("raise the limit (ulimit -f)"), "{limited:#?}");
        assert!(!world.path(&out).join("film.bin").exists());
        world.run(&fetch).expect_code(0);
        assert_same_file(&film, &world.path(&out).join("film.bin"));
    }
}

#[test]
fn a_limit_on_processes_is_an_error_with_a_way_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    world.file("film.bin", MIB);
    let binary = world.path("swarm");
    std::fs::copy(env!("CARGO_BIN_EXE_swarm"), &binary).expect("a copy");
    std::fs::create_dir_all(world.path("state")).expect("a folder");
    for path in [world.path(""), world.path("state")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("our own folder");
    }
    // A separate user, because root has no such limit and other users have other processes.
    let user = format!("setpriv --reuid {0} --regid {0} --clear-groups", 1_000_000 + std::process::id());
    let limited = |count: u32| format!("exec {user} prlimit --nproc={count}");
    let is_able_here = is_able(&format!("{user} prlimit --nproc=100 {} --version", binary.to_string_lossy()));
    if !is_able_here {
        eprintln!("NOT RUN: no other user can be taken on, so nothing is known about limits on processes");
        return;
    }
    for command in [args!["manifest", "create", "-o", "film.swarm", "film.bin"], args!["seed", "film.bin"]] {
        let mut start = Command::new("/bin/sh");
        start.env_clear().current_dir(world.path("")).env("SWARM_STATE_DIR", world.path("state"));
        start.args(["-c", &format!("{} \"$0\" \"$@\"", limited(1))]).arg(&binary).args(&command);
        let outcome = Process::start(&mut start, b"").end().expect_code(1);
        assert!(outcome.failure_line().contains("ulimit -u"), "{outcome:#?}");
    }
}

#[test]
fn a_file_that_hides_its_length_is_not_seeded_as_empty() {
    let world = World::new();
    if !Path::new("/proc/version").exists() {
        eprintln!("NOT RUN: no /proc here, so nothing is known about files that hide their length");
        return;
    }
    let outcome = world.run(&args!["manifest", "create", "-o", "m", "/proc/version"]).expect_code(2);
    assert!(outcome.failure_line().contains("`/proc/version` does not hold as many bytes"), "{outcome:#?}");
    // In a tree they are left out, each with a line.
    world.file("tree/film.bin", 1000);
    let made: Outcome =
        world.run(&args!["manifest", "create", "-o", "m", "tree", "/proc/sys/kernel/random"]).expect_code(0);
    let skipped = "skipped `/proc/sys/kernel/random/boot_id`: it says that it is empty, and holds data";
    assert!(made.err.iter().any(|line| line.starts_with(skipped)), "{made:#?}");
    let shown = world.run(&args!["manifest", "show", "m"]).expect_code(0);
    assert!(!shown.out.iter().any(|line| line.contains("boot_id")), "{shown:#?}");
}

/// `swarm` with these arguments, started through a line of a shell.
fn through(world: &World, line: &str, args: &[std::ffi::OsString]) -> Process {
    let plain = world.command(args);
    let mut command = Command::new("/bin/sh");
    command.env_clear().args(["-c", &format!("{line} \"$0\" \"$@\"")]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(world.path(""));
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Process::start(&mut command, b"")
}

fn is_able(line: &str) -> bool {
    Command::new("/bin/sh").args(["-c", line]).output().is_ok_and(|output| output.status.success())
}

/// Every file below a folder.
fn walk(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
