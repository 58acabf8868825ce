//! What is said of pairs and runs: on a terminal, as JSON, and in lists.

use super::{Folders, number};
use crate::support::{MIB, Process, args};

impl Folders {
    /// Runs `swarm` on a terminal, at which these keys are typed. Returns what the terminal got; `None`, with a line on stderr, where no
    /// terminal can be made.
    #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
    pub(super) fn at_a_terminal(&self, words: &str, keys: &str) -> Option<String> {
        let plain = self.world.command(&args![]);
        let shell = format!("{} {words}", plain.get_program().to_string_lossy());
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &shell, "/dev/null"]).current_dir(self.path("")).env("TERM", "xterm");
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if std::process::Command::new("script").arg("--version").output().is_err() {
            eprintln!("NOT RUN: a terminal takes `script` of util-linux");
            return None;
        }
        let ended = Process::start(&mut command, keys.as_bytes()).end();
        Some(ended.out.join("\n"))
    }
}

#[test]
fn a_terminal_gets_the_plan_and_a_table() {
    let folders = Folders::agreed(&["edited", "moved", "deleted", "kept"]);
    folders.write("a/edited", "edited in a");
    folders.rename("a/moved", "a/elsewhere");
    folders.remove("a/deleted");
    folders.world.file("a/film.bin", 4 * MIB);
    let Some(said) = folders.at_a_terminal("sync a b", "") else { return };
    for part in
        ["1 new, 1 changed, 1 moved, 1 deleted -> b", "copied", "1        1       1        1", "swarm undo"]
    {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    let Some(said) = folders.at_a_terminal("sync a b", "") else { return };
    assert!(said.contains("a and b are the same"), "{said}");
}

#[test]
fn every_line_of_json_is_an_event_with_its_figures() {
    let folders = Folders::new();
    (0..40).for_each(|number| drop(folders.world.file(&format!("a/{number}.bin"), MIB / 8)));
    let lines = folders.sync(args!["--json", "--limit-up", "4MiB/s"]).expect_code(0);
    assert!(lines.err.is_empty(), "{lines:#?}");
    let scans = lines.events("scan");
    let entries = |side: &str| {
        scans.iter().filter(|line| line["side"] == side).map(|line| number(line, "entries")).max()
    };
    assert_eq!((entries("local"), entries("remote")), (Some(40), Some(0)));
    let plan = lines.events("plan").pop().expect("a line");
    assert_eq!((number(&plan, "remote.created"), number(&plan, "conflicts")), (40, 0));
    let progress = lines.events("progress").pop().expect("it took more than a second");
    assert_eq!((number(&progress, "total_bytes"), number(&progress, "total_operations")), (5 * MIB, 40));
    let done = lines.json().pop().expect("a line");
    assert_eq!(
        (&done["event"], number(&done, "bytes"), number(&done, "remote.created")),
        (&"done".into(), 5 * MIB, 40)
    );
    assert!(done["run"].as_str().is_some_and(|run| run.ends_with('Z')), "{done}");
}

#[test]
fn pairs_are_listed_with_what_is_open() {
    let folders = Folders::new();
    let none = folders.run(args!["sync", "--list"]).expect_code(0);
    assert!(none.out.is_empty() && none.err.join("").contains("swarm sync A B"), "{none:#?}");
    folders.write("a/page", "page");
    folders.sync(args![]).expect_code(0);
    folders.write("a/page", "from a");
    folders.write("b/page", "from b");
    folders.sync(args![]).expect_code(9);
    let listed = folders.run(args!["sync", "--list"]).expect_code(0).out.join("\n");
    let (a, b) = (folders.path("a"), folders.path("b"));
    assert!(listed.contains(&*a.to_string_lossy()) && listed.contains(&*b.to_string_lossy()), "{listed}");
    let pair = folders.run(args!["sync", "--list", "--json"]).expect_code(0).json().pop().expect("a line");
    assert_eq!(number(&pair, "open_conflicts"), 1, "{pair}");
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other_pair() {
    let folders = Folders::agreed(&["page"]);
    folders.write("c/one", "one");
    folders.run(args!["sync", "c", "d"]).expect_code(0);
    let listed = folders.run(args!["sync", "--list", "--json"]).expect_code(0).json();
    let of_c = listed.iter().find(|pair| pair["local"].as_str().is_some_and(|local| local.ends_with("/c")));
    let record =
        format!("state/sync/{}/pair.json", of_c.expect("it is listed")["pair"].as_str().expect("a name"));
    folders.write(&record, "{");
    let ended = folders.run(args!["sync", "--list"]).expect_code(2);
    assert!(ended.out.iter().any(|line| line.contains("/a")), "{ended:#?}");
    let line = ended.failure_line();
    assert!(line.contains(&record) && line.contains("move it away"), "{line}");
    // Other pairs go on, this one says why it does not; what the message says to do helps.
    folders.sync(args![]).expect_code(0);
    folders.run(args!["changes", "--pair", "b"]).expect_code(0);
    for args in [args!["sync", "c", "d"], args!["changes", "--pair", "d"]] {
        let refused = folders.run(args).expect_code(2);
        assert!(refused.failure_line().contains(&record), "{refused:#?}");
    }
    folders.remove(&record);
    folders.remove("c/one");
    folders.write("c/two", "two");
    folders.run(args!["sync", "c", "d"]).expect_code(0);
    assert!(!folders.path("d/one").exists(), "what both had last is known still");
    folders.run(args!["sync", "--list"]).expect_code(0);
}
