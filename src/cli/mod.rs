//! The command line: arguments in, a node to work, events shown. All printing is in `output`; commands are one file each.

mod args;
mod download;
mod failure;
mod limits;
mod man;
mod memory;
mod output;
mod place;
#[cfg(test)]
mod reference;
mod seal;
mod setup;
mod source;
mod steps;
mod trust;
mod ways;

mod aggregate;
mod cert;
mod coordinator;
mod demo;
mod demo_team;
mod fetch;
mod join;
mod manifest;
mod seed;

mod control;
mod node;

mod daemon;
mod library;
mod password;

mod pair;

mod ask;
mod sync;

mod changes;
mod conflicts;
mod explain;
mod resolve;
mod restore;
mod undo;
mod versions;

mod add;
mod ls;
mod remove;
mod status;

use std::process::ExitCode;

use args::Command;
use failure::Exit;
use swarm_host::LogFormat;

/// Runs the command that the arguments name; returns its exit code.
pub(crate) fn main() -> ExitCode {
    let args = match args::read() {
        Ok(args) => args,
        Err(error) => return output::parsed(&error),
    };
    let wants_json = args.command.wants_json();
    if let Some(dir) = &args.daemon_dir {
        output::name_folder(dir);
    }
    match args.command {
        // A node's log is as its configuration says.
        Command::Node(_) | Command::Aggregate(_) | Command::Daemon(_) => {}
        // It runs for months, and its operator reads the log.
        Command::Coordinator(_) => setup::node_logging(args.global.verbose, LogFormat::Text),
        _ => setup::logging(args.global.verbose),
    }
    setup::survive_file_limit();
    let result = match args.command {
        Command::Seed(seed) => setup::block_on(seed::run(*seed, &args.global)),
        Command::Join(join) => setup::block_on(join::run(*join, &args.global)),
        Command::Aggregate(aggregate) => setup::block_on(aggregate::run(*aggregate, &args.global)),
        Command::Coordinator(args_of) => setup::block_on_all_cores(coordinator::run(args_of, &args.global)),
        Command::Fetch(fetch) => setup::block_on(fetch::run(*fetch, &args.global)),
        Command::Manifest(command) => setup::run_blocking(move || manifest::run(command, &args.global)),
        Command::Demo(demo) => setup::block_on(demo::run(demo, &args.global)),
        Command::Node(node) => setup::block_on(node::run(node, &args.global)),
        Command::Daemon(daemon) => setup::block_on(daemon::run(daemon, &args.global)),
        Command::Share(share) => setup::block_on(library::share(share, &args.global)),
        Command::Library(command) => setup::run_blocking(move || library::run(command, &args.global)),
        Command::Subscribe(of) => setup::run_blocking(move || library::subscribe(&of, &args.global)),
        Command::Unsubscribe(of) => setup::run_blocking(move || library::unsubscribe(&of, &args.global)),
        Command::Peer(command) => setup::run_blocking(move || library::peer(&command, &args.global)),
        Command::User(command) => setup::run_blocking(move || library::user(&command, &args.global)),
        Command::Users(of) => setup::run_blocking(move || library::users(&of, &args.global)),
        Command::Lock(of) => setup::run_blocking(move || library::lock(&of, &args.global)),
        Command::Unlock(of) => setup::run_blocking(move || library::unlock(&of, &args.global)),
        Command::Author(command) => setup::run_blocking(move || library::author(&command, &args.global)),
        Command::Approvals(of) => setup::run_blocking(move || library::approvals(&of, &args.global)),
        Command::Approve(of) => setup::run_blocking(move || library::approve(&of, &args.global)),
        Command::Refuse(of) => setup::run_blocking(move || library::refuse(&of, &args.global)),
        Command::Withdraw(of) => setup::run_blocking(move || library::withdraw(&of, &args.global)),
        Command::Add(add) => setup::block_on(add::run(add, &args.global)),
        Command::Remove(remove) => setup::run_blocking(move || remove::run(&remove, &args.global)),
        Command::Ls(ls) => setup::run_blocking(move || ls::run(&ls, &args.global)),
        Command::Status(status) => setup::run_blocking(move || status::run(&status, &args.global)),
        Command::Sync(sync) if library::is_remote(&sync) => {
            setup::block_on(library::join(*sync, &args.global))
        }
        Command::Sync(sync) => setup::run_until_stopped(move |stop| sync::run(&sync, &args.global, &stop)),
        Command::Restore(restore) => {
            setup::run_until_stopped(move |stop| restore::run(&restore, &args.global, &stop))
        }
        Command::Undo(undo) => setup::run_until_stopped(move |stop| undo::run(&undo, &args.global, &stop)),
        Command::Conflicts(conflicts) => {
            setup::run_blocking(move || conflicts::run(&conflicts, &args.global))
        }
        Command::Resolve(resolve) => setup::run_blocking(move || resolve::run(&resolve, &args.global)),
        Command::Versions(versions) => setup::run_blocking(move || versions::run(&versions, &args.global)),
        Command::Changes(changes) => setup::run_blocking(move || changes::run(&changes, &args.global)),
        Command::Explain(explain) => setup::run_blocking(move || explain::run(&explain, &args.global)),
        Command::Cert(command) => setup::run_blocking(move || cert::run(command)),
        Command::Id(id) => setup::run_blocking(move || cert::id(&id, &args.global)),
        Command::Man { dir } => setup::run_blocking(move || man::run(&dir)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::command(), "swarm", &mut script);
            output::text(&String::from_utf8_lossy(&script))
        }
    };
    match result {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            output::failure(&failure, wants_json);
            failure.exit.into()
        }
    }
}
