//! Arguments of the commands around libraries.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};

use swarm_core::base::{ParseUnitError, Rate};
use swarm_daemon_files::{LimitsChange, RateChange, Role};

/// The daemon that a command talks to, or whose files it edits.
#[derive(Clone, Debug, Args)]
pub(in super::super) struct DaemonDir {
    /// Folder of the daemon: its JSON files [default: daemon in the state folder]
    #[arg(long, value_name = "DIR", env = "SWARM_DAEMON_DIR")]
    pub(in super::super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in super::super) struct DaemonArgs {
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
    /// Log lines as JSON
    #[arg(long)]
    pub(in super::super) json: bool,
    /// Print the JSON schema of a file, as in `libraries`, and end
    #[arg(long, value_name = "FILE")]
    pub(in super::super) print_schema: Option<String>,
}

/// A library of the daemon.
#[derive(Debug, Args)]
pub(in super::super) struct LibraryArgs {
    /// The library, by its name or GUID
    #[arg(value_name = "LIBRARY")]
    pub(in super::super) library: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

/// A daemon, and how its answer is printed.
#[derive(Debug, Args)]
pub(in super::super) struct ListArgs {
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
    /// Print one JSON object a line
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(in super::super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum LibraryCommand {
    /// List the libraries of the daemon
    Ls(ListArgs),
    /// Make a library; prints its GUID, by which others subscribe to it
    Create(LibraryCreateArgs),
    /// Show how a library stands, with its folders and policy
    Show {
        #[command(flatten)]
        of: LibraryArgs,
        /// Print a JSON object
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// List the last commits: what its authors changed
    Log {
        #[command(flatten)]
        of: LibraryArgs,
        /// Print one JSON object a line
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
        /// At most so many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// List the files of a library, also those that are not on this disk
    Tree(LibraryTreeArgs),
    /// Look at the folders of a library now
    Sync {
        #[command(flatten)]
        of: LibraryArgs,
        /// Wait until this machine and the connected peers have the same
        #[arg(long)]
        wait: bool,
    },
    /// Forget a library; all its files stay
    Remove(LibraryArgs),
    /// Send and fetch nothing of a library for now
    Pause(LibraryArgs),
    /// Go on with a paused library
    Resume(LibraryArgs),
    /// Set which libraries go first
    Priority {
        #[command(flatten)]
        of: LibraryArgs,
        /// -100 to 100: higher goes first
        #[arg(value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-100..=100))]
        priority: i8,
    },
    /// Set or show how fast the files of a library may move, beside the limits of all libraries in config.json
    Limit {
        #[command(flatten)]
        of: LibraryArgs,
        #[command(flatten)]
        rates: RateArgs,
    },
    /// Set or show how many trusted peers must agree to deletions, moves and bulk changes
    Policy(LibraryPolicyArgs),
    /// Read all files of this machine again, and name those whose bytes are not what they were
    Verify {
        #[command(flatten)]
        of: LibraryArgs,
        /// Print a JSON object
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// Set which paths of a subscribed library are fetched; without patterns, all
    Select {
        #[command(flatten)]
        of: LibraryArgs,
        #[command(flatten)]
        patterns: PatternArgs,
    },
}

impl LibraryCommand {
    /// Whether a program reads stdout.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Ls(args) => args.json,
            Self::Tree(args) => args.json,
            Self::Show { json, .. } | Self::Log { json, .. } | Self::Verify { json, .. } => *json,
            Self::Create(_)
            | Self::Sync { .. }
            | Self::Remove(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Priority { .. }
            | Self::Limit { .. }
            | Self::Policy(_)
            | Self::Select { .. } => false,
        }
    }
}

#[derive(Debug, Args)]
pub(in super::super) struct LibraryCreateArgs {
    /// What this node calls it
    #[arg(value_name = "NAME")]
    pub(in super::super) name: String,
    /// Folder that holds a part of it and is never written, and where that part stands in the library [default: /]; may be given
    /// more than once
    #[arg(long, value_name = "DIR[:/PATH]")]
    pub(in super::super) mount: Vec<MountArg>,
    /// Folder that what others change is written to; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(in super::super) sync: Option<PathBuf>,
    /// What all nodes call it [default: a new one]
    #[arg(long, value_name = "GUID")]
    pub(in super::super) guid: Option<String>,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

/// A folder, and where it stands in a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct MountArg {
    pub(in super::super) dir: PathBuf,
    pub(in super::super) libpath: String,
}

impl FromStr for MountArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (dir, libpath) = match text.rsplit_once(":/") {
            Some((dir, rest)) => (dir, format!("/{rest}")),
            None => (text, "/".to_owned()),
        };
        if dir.is_empty() {
            return Err(format!("`{}` names no folder: write DIR, or DIR:/PATH", text.escape_debug()));
        }
        Ok(Self { dir: PathBuf::from(dir), libpath })
    }
}

#[derive(Debug, Args)]
pub(in super::super) struct LibraryTreeArgs {
    /// The library, by its name or GUID, or a folder in it
    #[arg(value_name = "LIBRARY[:/PATH]")]
    pub(in super::super) place: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
    /// Print one JSON object a line
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(in super::super) json: bool,
}

#[derive(Debug, Args)]
pub(in super::super) struct LibraryPolicyArgs {
    #[command(flatten)]
    pub(in super::super) of: LibraryArgs,
    /// Trusted peers, the author among them, that must agree to a deletion
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in super::super) delete: Option<u32>,
    /// The same for a move
    #[arg(long = "move", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in super::super) moves: Option<u32>,
    /// Changes in one commit from which on it is a bulk change
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in super::super) bulk: Option<u32>,
    /// Trusted peers that must agree to a bulk change
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in super::super) bulk_approvals: Option<u32>,
    /// Days after which a proposal expires
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in super::super) expiry_days: Option<u32>,
    /// Whether one no refuses a proposal
    #[arg(long, value_name = "BOOL")]
    pub(in super::super) refuse_by_one: Option<bool>,
}

/// How fast the files of a library may move.
#[derive(Debug, Args)]
pub(in super::super) struct RateArgs {
    /// Send its files no faster than this, all peers together: 20MB/s, 100mbit, or none for no limit
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(in super::super) up: Option<RateChange>,
    /// Fetch its files no faster than this
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(in super::super) down: Option<RateChange>,
}

impl RateArgs {
    pub(in super::super) fn change(&self) -> LimitsChange {
        let [up, down] = [&self.up, &self.down].map(|rate| rate.clone().unwrap_or_default());
        LimitsChange { up, down }
    }
}

fn rate(text: &str) -> Result<RateChange, ParseUnitError> {
    if text == "none" {
        return Ok(RateChange::NoLimit);
    }
    text.parse::<Rate>().map(|_| RateChange::To(text.to_owned()))
}

/// Which paths of a library are fetched.
#[derive(Debug, Args)]
pub(in super::super) struct PatternArgs {
    /// Fetch only what matches this pattern (as in .gitignore); may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(in super::super) include: Vec<String>,
    /// Leave out what matches this pattern; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(in super::super) exclude: Vec<String>,
}

#[derive(Debug, Args)]
pub(in super::super) struct SubscribeArgs {
    /// The library: its GUID, the name under which a connected peer offers it, or the address that `swarm share` printed
    #[arg(value_name = "GUID|NAME|ADDRESS")]
    pub(in super::super) library: String,
    /// It is a GUID, though no connected peer offers it and it is not of the form that `swarm library create` makes
    #[arg(long)]
    pub(in super::super) guid: bool,
    /// Folder that its files go to, for this library alone
    #[arg(value_name = "DIR")]
    pub(in super::super) target: PathBuf,
    /// Fetch from this peer alone (address, NODEID or name); may be given more than once
    #[arg(long, value_name = "PEER")]
    pub(in super::super) from: Vec<String>,
    #[command(flatten)]
    pub(in super::super) patterns: PatternArgs,
    #[command(flatten)]
    pub(in super::super) rates: RateArgs,
    /// Follow the version of this peer, whatever others have
    #[arg(long, value_name = "PEER")]
    pub(in super::super) version_of: Option<String>,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum PeerCommand {
    /// Add a peer
    Add(PeerAddArgs),
    /// List the peers, with those that others told of
    Ls(ListArgs),
    /// Print the address of this daemon, for `swarm peer add` at the others
    Me(DaemonDir),
    /// Let a peer's changes and votes count here
    Trust(PeerArgs),
    /// Let a peer's changes and votes count no more; what came before stays
    Untrust(PeerArgs),
    /// Forget a peer
    Remove(PeerArgs),
}

#[derive(Debug, Args)]
pub(in super::super) struct PeerArgs {
    /// The peer, by its address, NODEID or name
    #[arg(value_name = "PEER")]
    pub(in super::super) peer: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct PeerAddArgs {
    /// host:port, or NODEID@host:port; without the NODEID it is pinned at first contact, and a NODEID alone is looked for;
    /// https://host:port for a server, or a node whose UDP does not get through
    #[arg(value_name = "ADDRESS")]
    pub(in super::super) address: String,
    /// Let its changes and votes count here
    #[arg(long, conflicts_with = "mirror")]
    pub(in super::super) trust: bool,
    /// It only carries contents onward, and sees neither users, peers nor votes
    #[arg(long)]
    pub(in super::super) mirror: bool,
    /// User name that this node shows to it [default: that of config.json]
    #[arg(long, value_name = "USER", requires = "password_file")]
    pub(in super::super) user: Option<String>,
    /// File with the password that goes with it; - is stdin
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(in super::super) password_file: Option<PathBuf>,
    /// What you call it, for lists and messages
    #[arg(long, value_name = "NAME")]
    pub(in super::super) name: Option<String>,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct ApprovalsArgs {
    /// Only of this library, by its name or GUID
    #[arg(value_name = "LIBRARY")]
    pub(in super::super) library: Option<String>,
    /// Also those that ended
    #[arg(long)]
    pub(in super::super) all: bool,
    #[command(flatten)]
    pub(in super::super) list: ListArgs,
}

#[derive(Debug, Args)]
pub(in super::super) struct ApproveArgs {
    /// The first digits of the proposal's id, as `swarm approvals` shows it; with --all or --here, a library
    #[arg(value_name = "ID|LIBRARY")]
    pub(in super::super) which: String,
    /// Approve every proposal of the library
    #[arg(long, conflicts_with = "here")]
    pub(in super::super) all: bool,
    /// The deletions that this disk shows are meant: tell others of them
    #[arg(long)]
    pub(in super::super) here: bool,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct RefuseArgs {
    /// The first digits of the proposal's id, as `swarm approvals` shows it
    #[arg(value_name = "ID")]
    pub(in super::super) id: String,
    /// Why, for its author and the others
    #[arg(long, value_name = "TEXT")]
    pub(in super::super) why: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct WithdrawArgs {
    /// The first digits of the id of a proposal of this node
    #[arg(value_name = "ID")]
    pub(in super::super) id: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum UserCommand {
    /// Add somebody who may use this node; the password comes from a file or stdin, and its hash is stored
    Add(UserAddArgs),
    /// List the users
    Ls(UsersArgs),
    /// Take a user out
    Remove(UserArgs),
    /// Take over a user that a trusted peer proposes, with a password for this node
    Accept {
        #[command(flatten)]
        of: UserArgs,
        /// File with the password; - is stdin [default: stdin]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Hear no more of a user that a trusted peer proposes
    Reject(UserArgs),
}

#[derive(Debug, Args)]
pub(in super::super) struct UserArgs {
    /// The user
    #[arg(value_name = "NAME")]
    pub(in super::super) name: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct UserAddArgs {
    #[command(flatten)]
    pub(in super::super) of: UserArgs,
    /// What the user may do: admin, editor, viewer or mirror
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub(in super::super) role: Option<Role>,
    /// What the user may do in one library instead; may be given more than once
    #[arg(long, value_name = "LIBRARY=ROLE", value_parser = library_role)]
    pub(in super::super) library: Vec<(String, Role)>,
    /// File with the password; - is stdin [default: stdin]
    #[arg(long, value_name = "FILE")]
    pub(in super::super) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in super::super) struct UsersArgs {
    /// List those that trusted peers propose
    #[arg(long)]
    pub(in super::super) proposed: bool,
    #[command(flatten)]
    pub(in super::super) list: ListArgs,
}

fn role(text: &str) -> Result<Role, String> {
    let roles = [Role::Admin, Role::Editor, Role::Viewer, Role::Mirror];
    let wrong = || format!("`{}` is no role: write admin, editor, viewer or mirror", text.escape_debug());
    roles.into_iter().find(|role| role.as_str() == text).ok_or_else(wrong)
}

fn library_role(text: &str) -> Result<(String, Role), String> {
    let wrong = || format!("`{}` is no LIBRARY=ROLE, as in 'Lib 1=viewer'", text.escape_debug());
    let (library, of) = text.rsplit_once('=').filter(|(library, _)| !library.is_empty()).ok_or_else(wrong)?;
    Ok((library.to_owned(), role(of)?))
}

#[derive(Debug, Args)]
pub(in super::super) struct ShareArgs {
    /// What the library is called
    #[arg(value_name = "NAME")]
    pub(in super::super) name: String,
    /// The folder to share, made if it is missing; without it, a library of this name that is here already
    #[arg(value_name = "DIR")]
    pub(in super::super) target: Option<PathBuf>,
    /// Invite one more machine, though one was let in before
    #[arg(long)]
    pub(in super::super) invite: bool,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct LockArgs {
    /// What you are about to edit
    #[arg(value_name = "LIBRARY:/PATH")]
    pub(in super::super) place: String,
    /// For how long, as in 2h or 3days
    #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = super::sync::span)]
    pub(in super::super) time: Duration,
    /// Why, for the others
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(in super::super) why: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Args)]
pub(in super::super) struct UnlockArgs {
    /// What you edited
    #[arg(value_name = "LIBRARY:/PATH")]
    pub(in super::super) place: String,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[derive(Debug, Subcommand)]
pub(in super::super) enum AuthorCommand {
    /// List the nodes that changed a library
    Ls {
        #[command(flatten)]
        of: LibraryArgs,
        /// Print one JSON object a line
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// Take back everything that a node changed since a time: what was before comes back, what it added goes (and is kept as versions)
    Undo(AuthorUndoArgs),
}

#[derive(Debug, Args)]
pub(in super::super) struct AuthorUndoArgs {
    /// The node: its NODEID or the first digits of it, its address or its name
    #[arg(value_name = "NODE")]
    pub(in super::super) node: String,
    /// What came to this node since then: 2h, 3days, 2026-11-29 or 2026-11-29T10:15
    #[arg(long, value_name = "TIME", value_parser = super::sync::since)]
    pub(in super::super) since: super::sync::Since,
    /// Only in this library [default: in all]
    #[arg(long, value_name = "LIBRARY")]
    pub(in super::super) library: Option<String>,
    /// List what would be taken back, and change nothing
    #[arg(long)]
    pub(in super::super) list: bool,
    /// Print one JSON object a path
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(in super::super) json: bool,
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_folder_and_where_it_stands() {
        let check = |text: &str, dir: &str, libpath: &str| {
            let mount = MountArg { dir: dir.into(), libpath: libpath.to_owned() };
            assert_eq!(text.parse(), Ok(mount), "{text}");
        };
        check("/disk/video", "/disk/video", "/");
        check("/disk/video:/video", "/disk/video", "/video");
        check("films:/a/b", "films", "/a/b");
        check("odd:name", "odd:name", "/");
        assert!(":/video".parse::<MountArg>().is_err());
    }

    #[test]
    fn a_role_may_be_for_one_library() {
        assert_eq!(library_role("Lib=1=viewer"), Ok(("Lib=1".to_owned(), Role::Viewer)));
        for text in ["viewer", "=viewer", "Lib 1=owner"] {
            assert!(library_role(text).is_err(), "{text}");
        }
    }
}
