//! The command line itself.

use crate::support::{MIB, World, args};

#[test]
fn it_says_its_version() {
    let version = World::new().run(&args!["--version"]).expect_code(0);
    assert_eq!(version.out, [format!("swarm {}", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let help = World::new().run(&args!["--help"]).expect_code(0).out.join("\n");
    for part in
        ["seed", "fetch", "sync", "manifest", "demo", "completions", "Exit codes:", "130  interrupted"]
    {
        assert!(help.contains(part), "no `{part}` in:\n{help}");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = world.run(&args!["completions", shell]).expect_code(0);
        assert!(outcome.out.iter().any(|line| line.contains("swarm")), "{shell}: {outcome:#?}");
    }
}

#[test]
fn manual_pages_are_made_for_every_command() {
    let world = World::new();
    world.run(&args!["man", "pages"]).expect_code(0);
    let page = |name: &str| {
        let path = world.path("pages").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy()))
    };
    assert!(page("swarm-fetch.1").contains("limit\\-down"));
    assert!(page("swarm-manifest-create.1").contains("sha256"));
    assert!(page("swarm.1").contains("130"));
    world.file("in-the-way", 1);
    let refused = world.run(&args!["man", "in-the-way"]);
    assert!(refused.failure_line().contains("in-the-way"), "{refused:#?}");
}

#[test]
fn a_flag_may_be_an_environment_variable() {
    let world = World::new();
    let film = world.file("film.bin", 16 * MIB);
    let seed = world.seed(args![film]);
    let mut command = world.command(&args!["fetch", "-o", "out", seed.ticket()]);
    command.env("SWARM_LIMIT_DOWN", "8MiB/s").env("SWARM_JSON", "true");
    let outcome = crate::support::Process::start(&mut command, b"").end();
    outcome.done();
    let last = outcome.json().pop().expect("a line");
    assert!(last["seconds"].as_f64().expect("a number") > 1.5, "the limit did not hold: {last}");
    let mut command = world.command(&args!["fetch", seed.ticket()]);
    command.env("SWARM_LIMIT_DOWN", "fast");
    let refused = crate::support::Process::start(&mut command, b"").end().expect_code(2);
    assert!(refused.err.join("\n").contains("not a rate"), "{refused:#?}");
}
