//! The arguments of every command, those of several commands first. A flag that a service or a script would set has an environment
//! variable, too.

mod find;
mod limits;
mod trust;
mod web;

mod cert;
mod coordinator;
mod demo;
mod fetch;
mod library;
mod manifest;
mod seed;
mod service;
mod sync;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::builder::styling::Styles;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

pub(super) use cert::{CertCommand, IdArgs};
pub(super) use coordinator::{AggregateArgs, CoordinatorArgs};
pub(super) use demo::DemoArgs;
pub(super) use fetch::{FetchArgs, Peer};
pub(super) use find::FindArgs;
pub(super) use library::{
    ApprovalsArgs, ApproveArgs, AuthorCommand, AuthorUndoArgs, DaemonArgs, DaemonDir, LibraryArgs,
    LibraryCommand, LibraryCreateArgs, LibraryPolicyArgs, LibraryTreeArgs, ListArgs, LockArgs, PatternArgs,
    PeerAddArgs, PeerArgs, PeerCommand, RateArgs, RefuseArgs, ShareArgs, SubscribeArgs, UnlockArgs,
    UserAddArgs, UserArgs, UserCommand, UsersArgs, WithdrawArgs,
};
pub(super) use limits::{DownLimitArgs, LimitArgs};
pub(super) use manifest::{CreateArgs, ManifestCommand};
pub(super) use seed::{JoinArgs, SeedArgs};
pub(super) use service::{AddArgs, ControlArgs, LsArgs, NodeArgs, RemoveArgs, StatusArgs};
pub(super) use sync::{
    ChangesArgs, ConflictsArgs, ExplainArgs, MaxDelete, Resolve, ResolveArgs, RestoreArgs, Since, SyncArgs,
    UndoArgs, VersionsArgs,
};
pub(super) use trust::TrustArgs;
pub(super) use web::WebArgs;

/// Moves big files from many peers at once over QUIC: verified, resumable, encrypted.
#[derive(Debug, Parser)]
#[command(name = "swarm", version, max_term_width = 110, after_long_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) global: Global,
    /// The folder of a daemon that was named by a flag.
    #[arg(skip)]
    pub(super) daemon_dir: Option<PathBuf>,
}

/// The arguments of this process; an error where they are wrong, or ask for help. What is said of wrong ones has no styles: every
/// escape sequence in it comes from an argument.
pub(super) fn read() -> Result<Args, clap::Error> {
    parsed(command()).map_err(|error| {
        let is_wrong = error.use_stderr();
        let plain = is_wrong.then(|| parsed(command().styles(Styles::plain())).err()).flatten();
        plain.unwrap_or(error)
    })
}

fn parsed(mut command: clap::Command) -> Result<Args, clap::Error> {
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut args = Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    args.daemon_dir = given_folder(&matches);
    Ok(args)
}

/// `--dir`, where it is a flag: what the environment names holds for the next command, too.
fn given_folder(matches: &ArgMatches) -> Option<PathBuf> {
    if let Some((_, of)) = matches.subcommand() {
        return given_folder(of);
    }
    let dir = matches.try_get_one::<PathBuf>("dir").ok().flatten()?;
    (matches.value_source("dir") == Some(ValueSource::CommandLine)).then(|| dir.clone())
}

/// The parser. An environment variable that is set to nothing counts as not set.
pub(super) fn command() -> clap::Command {
    without_empty_variables(Args::command())
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    });
    command.mut_subcommands(without_empty_variables)
}

/// Flags that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Global {
    /// Say more: -v what happens, -vv why, -vvv every message
    #[arg(short, long, action = clap::ArgAction::Count, global = true, env = "SWARM_VERBOSE")]
    pub(super) verbose: u8,
    /// Folder for keys and remembered hashes
    #[arg(long, value_name = "DIR", global = true, env = "SWARM_STATE_DIR", help_heading = "Global options")]
    pub(super) state_dir: Option<PathBuf>,
    /// File with this node's key; made if it is missing [default: a free key in the state folder]
    #[arg(long, value_name = "FILE", global = true, env = "SWARM_KEY", help_heading = "Global options")]
    pub(super) key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve files in place; prints a ticket by which others fetch them
    Seed(Box<SeedArgs>),
    /// Fetch a content from all its sources at once; run it again to continue where it stopped
    Fetch(Box<FetchArgs>),
    /// Keep two folders the same; nothing is lost: what is replaced or deleted is kept as a version
    Sync(Box<SyncArgs>),
    /// Show the conflicts of a pair that `swarm sync` keeps the same, and what each choice would do
    Conflicts(ConflictsArgs),
    /// Decide a conflict; the next `swarm sync` carries it out
    Resolve(ResolveArgs),
    /// List the kept versions of a path
    Versions(VersionsArgs),
    /// Bring a kept version back
    Restore(RestoreArgs),
    /// Take back what a run of `swarm sync` did, in both folders
    Undo(UndoArgs),
    /// List what runs of `swarm sync` changed
    Changes(ChangesArgs),
    /// Say what is known of a path, and why it is as it is
    Explain(ExplainArgs),
    /// Make, show and check manifests
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Show it at work: several nodes on this machine feed one fetch, and one of them dies midway
    Demo(DemoArgs),
    /// Run an aggregator, which stores what other nodes offer with `swarm join`, and serves it; also a coordinator
    Aggregate(Box<AggregateArgs>),
    /// Serve files in place and offer them to an aggregator
    Join(Box<JoinArgs>),
    /// Run a coordinator: nodes tell it what they have, and it tells them of each other
    Coordinator(CoordinatorArgs),
    /// Run a service that serves many contents, as its configuration says
    Node(NodeArgs),
    /// Run a daemon that keeps libraries the same on the machines of a team, as the JSON files of its folder say
    Daemon(DaemonArgs),
    /// Share a folder with another machine, which keeps it the same by `swarm sync DIR swarm://..`; prints that address
    Share(ShareArgs),
    /// Make, list and set the libraries of a daemon
    #[command(subcommand)]
    Library(LibraryCommand),
    /// Follow a library that others keep: its files come to a folder of this machine
    Subscribe(SubscribeArgs),
    /// Follow a library no more; its files stay
    Unsubscribe(LibraryArgs),
    /// Add, list and trust the peers of a daemon
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Add, list and remove those who may use a daemon
    #[command(subcommand)]
    User(UserCommand),
    /// List those who may use a daemon, or whom trusted peers propose
    Users(UsersArgs),
    /// Tell others that you edit a path; it hinders nobody
    Lock(LockArgs),
    /// Tell others that you are done
    Unlock(UnlockArgs),
    /// List the nodes that changed a library, and take back what one of them did
    #[command(subcommand)]
    Author(AuthorCommand),
    /// List the changes that wait for votes
    Approvals(ApprovalsArgs),
    /// Vote yes: a deletion, move or bulk change that waits is made once enough trusted peers agree
    Approve(ApproveArgs),
    /// Vote no
    Refuse(RefuseArgs),
    /// Take back a proposal of this node
    Withdraw(WithdrawArgs),
    /// Make the running node serve files, or fetch a content and then serve it; prints the ticket
    Add(AddArgs),
    /// Make the running node stop serving a content; its files stay
    Remove(RemoveArgs),
    /// List what the running node serves
    Ls(LsArgs),
    /// Show contents, peers and rates of the running node
    Status(StatusArgs),
    /// Run an authority: issue certificates to nodes, and revoke them
    #[command(subcommand)]
    Cert(CertCommand),
    /// Print the node id of the key in --key
    Id(IdArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages, one for every command
    Man {
        /// Folder to write them into, made if it is missing
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

impl Command {
    /// Whether a program reads stdout: a failure is then an event there. A file that goes to stdout has it alone.
    pub(super) fn wants_json(&self) -> bool {
        let is_stdout = |out: &Path| out == Path::new("-");
        match self {
            Self::Seed(args) => args.json,
            Self::Fetch(args) => args.json && !is_stdout(&args.out),
            Self::Manifest(ManifestCommand::Create(args)) => {
                args.json && !args.out.as_deref().is_some_and(is_stdout)
            }
            Self::Manifest(
                ManifestCommand::Show { json, .. }
                | ManifestCommand::Sign { json, .. }
                | ManifestCommand::Verify { json, .. },
            )
            | Self::Cert(CertCommand::Ls { json, .. })
            | Self::Author(AuthorCommand::Ls { json, .. }) => *json,
            Self::Sync(args) => args.json,
            Self::Conflicts(args) => args.json,
            Self::Resolve(args) => args.json,
            Self::Versions(args) => args.json,
            Self::Undo(args) => args.json,
            Self::Changes(args) => args.json,
            Self::Explain(args) => args.json,
            Self::Aggregate(args) => args.json,
            Self::Join(args) => args.seed.json,
            Self::Coordinator(args) => args.json,
            Self::Add(args) => args.json,
            Self::Remove(args) => args.json,
            Self::Ls(args) => args.json,
            Self::Status(args) => args.json,
            Self::Id(args) => args.json,
            Self::Library(command) => command.wants_json(),
            Self::Peer(PeerCommand::Ls(args)) => args.json,
            Self::User(UserCommand::Ls(args)) | Self::Users(args) => args.list.json,
            Self::Author(AuthorCommand::Undo(args)) => args.json,
            Self::Approvals(args) => args.list.json,
            Self::Cert(CertCommand::Ca { .. } | CertCommand::Node { .. } | CertCommand::Revoke { .. })
            | Self::Restore(_)
            | Self::Demo(_)
            | Self::Node(_)
            | Self::Daemon(_)
            | Self::Share(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Peer(_)
            | Self::User(_)
            | Self::Lock(_)
            | Self::Unlock(_)
            | Self::Approve(_)
            | Self::Refuse(_)
            | Self::Withdraw(_)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

const EXIT_CODES: &str = "Exit codes:
    0  done
    1  something else went wrong
    2  wrong usage, or a manifest or ticket that cannot be read
    3  no source, or none made progress; or a node that collects has no room: try again
    4  the target exists and differs
    5  data is not what the manifest says
    6  the disk is full, or cannot be read or written
    7  not authorised: a node proved a wrong key, or refused; or the running node is another user's
    8  no node runs at the control socket
    9  something needs a decision: a conflict, a run that is held, or what the target cannot hold; each is named
  141  the reader of stdout went away before it had everything
  130  interrupted";
