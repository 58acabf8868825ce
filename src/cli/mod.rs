//! The command line: arguments in, a node to work, events shown. All printing is in `output`; commands are one file each.

mod args;
mod failure;
mod include;
mod memory;
mod output;
mod place;
mod seal;
mod setup;
mod source;
mod trust;
mod ways;

mod aggregate;
mod cert;
mod coordinator;
mod demo;
mod fetch;
mod join;
mod manifest;
mod seed;

mod control;
mod node;

mod add;
mod ls;
mod remove;
mod status;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::service::LogFormat;
use args::{Args, Command};
use failure::Exit;

/// Runs the command that the arguments name; returns its exit code.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match args.command {
        // A node's log is as its configuration says.
        Command::Node(_) | Command::Aggregate(_) => {}
        // Whoever runs it for months reads its log.
        Command::Coordinator(_) => setup::node_logging(args.global.verbose, LogFormat::Text),
        _ => setup::logging(args.global.verbose),
    }
    let result = match args.command {
        Command::Seed(seed) => setup::block_on(seed::run(*seed, &args.global)),
        Command::Join(join) => setup::block_on(join::run(*join, &args.global)),
        Command::Aggregate(aggregate) => aggregate::run(*aggregate, &args.global),
        Command::Coordinator(args_of) => setup::block_on_all_cores(coordinator::run(args_of, &args.global)),
        Command::Fetch(fetch) => setup::block_on(fetch::run(*fetch, &args.global)),
        Command::Manifest(command) => manifest::run(command, &args.global),
        Command::Demo(demo) => setup::block_on(demo::run(demo, &args.global)),
        Command::Node(node) => node::run(node, &args.global),
        Command::Add(add) => add::run(&add, &args.global),
        Command::Remove(remove) => remove::run(&remove, &args.global),
        Command::Ls(ls) => ls::run(&ls, &args.global),
        Command::Status(status) => status::run(&status, &args.global),
        Command::Cert(command) => cert::run(command),
        Command::Id(id) => cert::id(&id, &args.global),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "swarm", &mut script);
            output::result(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    };
    match result {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            output::failure(&failure);
            failure.exit.into()
        }
    }
}
