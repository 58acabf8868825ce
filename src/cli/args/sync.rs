//! Arguments: `swarm sync`, and the commands about a pair of folders that it keeps the same.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::FalseyValueParser;

use super::library::DaemonDir;
use swarm_core::base::Rate;
use swarm_sync::{Guard, Strategy, StrategyRule, UnknownStrategy};

#[derive(Debug, clap::Args)]
pub(crate) struct SyncArgs {
    /// A folder
    #[arg(value_name = "A", required_unless_present = "list")]
    pub(crate) a: Option<PathBuf>,
    /// The folder to keep the same as A; made if it is missing and its parent is there
    #[arg(value_name = "B", required_unless_present = "list")]
    pub(crate) b: Option<PathBuf>,
    /// Go on, and carry each change to the other folder as soon as it is made
    #[arg(short, long, env = "SWARM_WATCH", value_parser = FalseyValueParser::new())]
    pub(crate) watch: bool,
    /// Print what would be done, and do nothing
    #[arg(short = 'n', long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
    /// Write the plan to a file and do nothing; --plan carries it out later
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "plan"])]
    pub(crate) plan_out: Option<PathBuf>,
    /// Carry out the plan in this file, which somebody reviewed: nothing is held; what changed since is left alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "resolve", "max_delete", "include", "exclude", "one_way", "interactive"])]
    pub(crate) plan: Option<PathBuf>,
    /// Decide conflicts by a STRATEGY: manual, keep-local, keep-remote, keep-both, newer or auto-merge; PATTERN=STRATEGY for the
    /// paths that match (the last one counts); may be given more than once
    #[arg(long, value_name = "[PATTERN=]STRATEGY", env = "SWARM_RESOLVE", value_delimiter = ',')]
    pub(crate) resolve: Vec<Resolve>,
    /// Most paths of one folder that a run may delete or replace before somebody is asked: 200, or 20% [default: 1000, and 50%]
    #[arg(long, value_name = "N|P%", env = "SWARM_MAX_DELETE")]
    pub(crate) max_delete: Option<MaxDelete>,
    /// Sync only what matches this pattern (as in .gitignore); may be given more than once
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out what matches this pattern (as in .gitignore), beside what `.swarmignore` files name; may be given more than once
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Make B what A is, and change nothing in A; what B had is kept as versions
    #[arg(long)]
    pub(crate) one_way: bool,
    /// Believe that a folder which had entries at the last run is empty now
    #[arg(long)]
    pub(crate) accept_empty: bool,
    /// Believe that a folder is the right one though it is another one, or on another file system, than at the last run
    #[arg(long)]
    pub(crate) accept_root: bool,
    /// Read every file, instead of those whose length or times changed
    #[arg(long)]
    pub(crate) checksum: bool,
    /// Copy to B no faster than this: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP")]
    pub(crate) limit_up: Option<Rate>,
    /// Copy to A no faster than this
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN")]
    pub(crate) limit_down: Option<Rate>,
    /// Ask about each conflict; takes a terminal
    #[arg(short, long, conflicts_with_all = ["watch", "dry_run", "plan_out", "json"])]
    pub(crate) interactive: bool,
    /// List the pairs that are known here
    #[arg(long, conflicts_with_all = ["a", "b", "watch", "dry_run", "plan_out", "plan", "interactive"])]
    pub(crate) list: bool,
    /// Print one JSON object a line on stdout
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// Which pair, for commands that name no path in it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PairArgs {
    /// A path inside one of the folders of the pair [default: the current folder]
    #[arg(long, value_name = "PATH", default_value = ".", hide_default_value = true)]
    pub(crate) pair: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConflictsArgs {
    /// Show those at this path of a pair and below it; with --dir, of a library (LIBRARY, or LIBRARY:/PATH)
    #[arg(value_name = "PATH", default_value = ".", hide_default_value = true)]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Print one JSON object a conflict
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ResolveArgs {
    /// The conflict, by its id or path as `swarm conflicts` shows them; with --dir, LIBRARY:/PATH
    #[arg(value_name = "ID|PATH")]
    pub(crate) target: PathBuf,
    /// keep-local, keep-remote, keep-both, merge, or a file whose bytes both sides get
    #[arg(value_name = "CHOICE")]
    pub(crate) choice: PathBuf,
    /// Decide all conflicts at PATH and below it
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) of: PairArgs,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Print one JSON object a line on stdout
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VersionsArgs {
    /// A path in one of the folders of a pair; it need not exist any more; with --dir, LIBRARY:/PATH
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Print one JSON object a version
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// A path in one of the folders of a pair, and which version, as `swarm versions` shows it [default: the newest]; with --dir,
    /// LIBRARY:/PATH
    #[arg(value_name = "PATH[@VERSION]")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Write it here instead, and change nothing in the pair; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    /// The run to undo, as `swarm changes` shows it [default: the last one]; with --dir, a library
    #[arg(value_name = "RUN|LIBRARY")]
    pub(crate) what: Option<String>,
    /// The run of that library
    #[arg(value_name = "RUN", value_parser = swarm_sync::RunId::parse)]
    pub(crate) run: Option<swarm_sync::RunId>,
    #[command(flatten)]
    pub(crate) of: PairArgs,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Print one JSON object a line on stdout
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChangesArgs {
    /// With --dir, a library [default: the pair of the current folder]
    #[arg(value_name = "LIBRARY")]
    pub(crate) library: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Only those since then: 2h, 3days, 2026-11-29, 2026-11-29T10:15 or a RUN
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    #[command(flatten)]
    pub(crate) of: PairArgs,
    /// Print one JSON object
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// A path in one of the folders of a pair; with --dir, LIBRARY:/PATH
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) folder: DaemonDir,
    /// Print a JSON object; only with --dir
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// How conflicts are decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolve {
    /// Those of all paths.
    All(Strategy),
    /// Those of the paths that match a pattern: a `PATTERN=STRATEGY` that was checked.
    Paths(String),
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('=') {
            return text.parse().map(Self::All).map_err(|error: UnknownStrategy| error.to_string());
        }
        let checked = text.parse::<StrategyRule>();
        checked.map(|_| Self::Paths(text.to_owned())).map_err(|error| error.to_string())
    }
}

/// How much a run may delete or replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxDelete {
    /// So many paths of a side.
    Paths(u64),
    /// So many percent of a side's paths.
    Percent(u8),
}

impl MaxDelete {
    /// The guard that lets no more pass. A limit that the user named is the only one.
    pub(crate) fn guard(self) -> Guard {
        match self {
            Self::Paths(paths_max) => Guard { paths_max, percent_max: 100, ..Guard::default() },
            Self::Percent(percent_max) => Guard { paths_max: u64::MAX, percent_max, ..Guard::default() },
        }
    }
}

impl FromStr for MaxDelete {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("`{}` is no limit: write a number of paths, or a share as in 20%", text.escape_debug())
        };
        match text.trim().strip_suffix('%') {
            None => text.trim().parse().map(Self::Paths).map_err(|_| bad()),
            Some(percent) => {
                let percent = percent.trim().parse().ok().filter(|percent| *percent <= 100);
                percent.map(Self::Percent).ok_or_else(bad)
            }
        }
    }
}

/// A time that a user names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(std::time::Duration),
    /// Milliseconds since 1970.
    AtMs(u64),
}

pub(super) fn since(text: &str) -> Result<Since, String> {
    let at = |at: jiff::Timestamp| Since::AtMs(u64::try_from(at.as_millisecond()).unwrap_or(0));
    let local = |time: jiff::civil::DateTime| {
        time.to_zoned(jiff::tz::TimeZone::system()).map(|zoned| at(zoned.timestamp()))
    };
    if let Ok(run) = swarm_sync::RunId::parse(text) {
        return Ok(Since::AtMs(run.ms()));
    }
    if let Ok(zoned) = text.parse::<jiff::Timestamp>() {
        return Ok(at(zoned));
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return local(time).map_err(|error| error.to_string());
    }
    let span = text.parse::<jiff::SignedDuration>().or_else(|_| days(text));
    let ago = span.ok().map(|span| span.unsigned_abs());
    ago.map(Since::Ago).ok_or_else(|| {
        format!(
            "`{}` is no time: write 2h, 3days, a date as in 2026-11-29, or one with a time as in 2026-11-29T10:15",
            text.escape_debug()
        )
    })
}

/// A span of time.
pub(super) fn span(text: &str) -> Result<std::time::Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().or_else(|_| days(text));
    let wrong = |_| format!("`{}` is no span of time: write 2h, 30min or 3days", text.escape_debug());
    span.map(|span| span.unsigned_abs()).map_err(wrong)
}

/// A span that holds days or weeks, each day of 24 hours.
fn days(text: &str) -> Result<jiff::SignedDuration, jiff::Error> {
    text.parse::<jiff::Span>()?.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_may_be_for_a_pattern() {
        assert_eq!("newer".parse(), Ok(Resolve::All(Strategy::Newer)));
        for text in ["*.md=auto-merge", "a=b/*=keep-both"] {
            assert_eq!(text.parse(), Ok(Resolve::Paths(text.to_owned())));
        }
        for text in ["", "=newer", "*.md=", "newest", "[a=newer"] {
            assert!(text.parse::<Resolve>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_a_share() {
        assert_eq!("200".parse(), Ok(MaxDelete::Paths(200)));
        assert_eq!("0".parse(), Ok(MaxDelete::Paths(0)));
        assert_eq!("20%".parse(), Ok(MaxDelete::Percent(20)));
        assert_eq!("100 %".parse(), Ok(MaxDelete::Percent(100)));
        for text in ["", "%", "-1", "101%", "all", "1.5%"] {
            assert!(text.parse::<MaxDelete>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_span_a_date_or_a_run() {
        let hours = |hours: u64| Ok(Since::Ago(std::time::Duration::from_secs(hours * 3600)));
        assert_eq!(since("2h"), hours(2));
        assert_eq!(since("3days"), hours(72));
        assert_eq!(since("1w"), hours(168));
        assert_eq!(since("20261129T101500.123Z"), Ok(Since::AtMs(1_795_947_300_123)));
        assert_eq!(since("2026-11-29T10:15:00Z"), Ok(Since::AtMs(1_795_947_300_000)));
        for text in ["2026-11-29", "2026-11-29T10:15", "2026-11-29 10:15"] {
            assert!(matches!(since(text), Ok(Since::AtMs(_))), "{text}");
        }
        for text in ["", "yesterday", "5", "2026-13-01"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
