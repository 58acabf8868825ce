//! What commands and daemons say where something is wrong: the fact, and a way out that holds for the daemon that was named.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::{GUID, Team};
use crate::support::{Outcome, args};

/// What a command said to people.
trait Says {
    fn says(&self, part: &str);
}

impl Says for Outcome {
    fn says(&self, part: &str) {
        assert!(self.err.iter().any(|line| line.contains(part)), "no `{part}` in {self:#?}");
    }
}

#[test]
fn a_command_that_is_named_as_a_way_out_names_the_same_daemon() {
    let team = Team::new("a");
    let dir = team.path("a").display().to_string();
    team.run('a', args!["library", "pause", "nothing"])
        .expect_code(2)
        .says(&format!("`swarm library ls --dir {dir}`"));
    team.run('a', args!["library", "show", "nothing"])
        .expect_code(8)
        .says(&format!("`swarm daemon --dir {dir}`"));
    team.keep('a', &json!({}));
    team.start('a');
    let refused = team.run('a', args!["library", "log", "nothing"]).expect_code(2);
    refused.says(&format!("`swarm library ls --dir {dir}`"));
    // What the environment names needs no flag.
    let mut command = team.world.command(&args!["library", "log", "nothing"]);
    command.env("SWARM_DAEMON_DIR", &dir);
    crate::support::Process::start(&mut command, b"").end().expect_code(2).says("`swarm library ls`");
}
