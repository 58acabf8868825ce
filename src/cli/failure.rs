//! How a command fails: a message of one line, and an exit code from the documented list.

use std::fmt::Display;
use std::process::ExitCode;

use super::ways;
use swarm_coordinator::CoordinatorError;
use swarm_core::base::{Category, Shown};
use swarm_core::manifest::SealError;
use swarm_credentials::CredentialsError;
use swarm_engine::{Bottleneck, FetchFailure, Refusal};
use swarm_files::{IndexError, StoreError};
use swarm_host::client::ClientError;
use swarm_host::jobs::{CopyError, SelectionError};
use swarm_host::{ConfigError, ContentKeyError, ControlError, ServiceError};
use swarm_link::{BindError, IdentityError};
use swarm_pair::PairError;
use swarm_web_server::ServeError;

/// The exit codes, as documented in `swarm --help` and docs/reference/exit-codes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Other = 1,
    Usage = 2,
    NoSource = 3,
    TargetDiffers = 4,
    Integrity = 5,
    Disk = 6,
    NotAuthorised = 7,
    NoNode = 8,
    Undecided = 9,
    Closed = 141,
    Interrupted = 130,
}

/// The one table from which exit codes come.
impl From<Category> for Exit {
    fn from(category: Category) -> Self {
        match category {
            Category::Usage => Self::Usage,
            Category::NoSource => Self::NoSource,
            Category::TargetDiffers => Self::TargetDiffers,
            Category::Integrity => Self::Integrity,
            Category::Disk => Self::Disk,
            Category::Denied => Self::NotAuthorised,
            Category::NoNode => Self::NoNode,
            Category::Interrupted => Self::Interrupted,
            Category::Partial | Category::Undecided => Self::Undecided,
            // A script that waits for another process learns no more from the code than from the message.
            Category::Held | Category::Other => Self::Other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends without success.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) error: anyhow::Error,
    /// Nothing is said of it: the reader of stdout is gone, and the code tells.
    pub(super) is_shown: bool,
}

impl Failure {
    /// A failure with a message.
    pub(super) fn new(exit: impl Into<Exit>, message: impl Display) -> Self {
        Self { exit: exit.into(), error: anyhow::anyhow!("{message}"), is_shown: false }
    }

    /// An error of the library, with the way out of its cause that the command line knows beside the library's own.
    fn of(category: Category, error: impl Display, way: Option<&'static str>) -> Self {
        Self::new(category, format_args!("{error}{}", way.unwrap_or_default()))
    }

    /// Refuses a path of the command line at which there is nothing.
    pub(super) fn unless_there(path: &std::path::Path) -> Result<(), Self> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Self::new(
                Category::Usage,
                format_args!("there is nothing at `{}`: check the path", Shown(&path)),
            )),
            _ => Ok(()),
        }
    }

    /// Stdout, which was to take what the command was asked for. A reader that has enough is no news; the code tells, and is
    /// what a shell gives for a program that the closed pipe ended.
    pub(super) fn stdout(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { is_shown: true, ..Self::new(Exit::Closed, "the reader of stdout is gone") };
        }
        Self::new(
            Category::Disk,
            format_args!("cannot write to stdout: {error}; make room for it and run the same command again"),
        )
    }

    /// A file that cannot be read or written.
    pub(super) fn file(op: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Category::of_io(error.kind()),
            format_args!("cannot {op} `{}`: {error}{}", Shown(&path), past_limit(error)),
        )
    }
}

/// The way out of a write that is past the limit on file sizes, which no file of a few kilobytes meets elsewhere.
fn past_limit(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => "; raise the limit (ulimit -f) and run the same command again",
        _ => "",
    }
}

impl From<swarm_daemon::DaemonError> for Failure {
    fn from(error: swarm_daemon::DaemonError) -> Self {
        Self::new(error.category(), error)
    }
}

impl From<swarm_api::ApiError> for Failure {
    fn from(error: swarm_api::ApiError) -> Self {
        Self::of(error.category(), &error, None)
    }
}

impl From<swarm_daemon::AskError> for Failure {
    fn from(error: swarm_daemon::AskError) -> Self {
        Self::new(error.category(), error)
    }
}

impl From<swarm_daemon_files::OpenError> for Failure {
    fn from(error: swarm_daemon_files::OpenError) -> Self {
        let category = match &error {
            swarm_daemon_files::OpenError::Io { .. } => Category::Disk,
            swarm_daemon_files::OpenError::Files(_) => Category::Usage,
        };
        Self::new(category, error)
    }
}

impl From<swarm_daemon_files::EditError> for Failure {
    fn from(error: swarm_daemon_files::EditError) -> Self {
        use swarm_daemon_files::EditError;
        let category = match &error {
            EditError::Invalid(_) | EditError::Refused(_) | EditError::Missing { .. } => Category::Usage,
            EditError::Exists { .. } => Category::TargetDiffers,
            EditError::Busy(_) => Category::Held,
            EditError::Io { .. } => Category::Disk,
        };
        Self::new(category, error)
    }
}

impl From<CoordinatorError> for Failure {
    fn from(error: CoordinatorError) -> Self {
        let way = ways::coordinator(&error);
        Self::of(error.category(), error, way)
    }
}

impl From<ContentKeyError> for Failure {
    fn from(error: ContentKeyError) -> Self {
        Self::of(error.category(), error, None)
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Store(error) => error.into(),
            CopyError::Nothing { .. } => Self::of(error.category(), error, None),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if let Some(broken) = broken_stdout(&error) {
            return Self::stdout(broken);
        }
        Self::of(error.category(), error, None)
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let way = ways::index(&error);
        Self::of(error.category(), error, way)
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let way = match &error {
            IdentityError::Io { source, .. } => Some(past_limit(source)).filter(|way| !way.is_empty()),
            _ => None,
        };
        Self::of(error.category(), error, way)
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        let way = ways::credentials(&error);
        Self::of(error.category(), error, way)
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::of(error.category(), error, None)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::of(Category::Other, error, None)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(error.category(), error, None)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::of(error.category(), error, None)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Coordinator(error) => error.into(),
            ServiceError::Trust(error) => error.into(),
            error @ (ServiceError::Saved(_)
            | ServiceError::Store(_)
            | ServiceError::Metrics { .. }
            | ServiceError::Pages(_)) => Self::of(error.category(), error, None),
        }
    }
}

impl From<PairError> for Failure {
    fn from(error: PairError) -> Self {
        Self::of(error.category(), error, None)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::of(error.category(), error, None)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let way = ways::client(&error);
        Self::of(error.category(), error, way)
    }
}

/// The error of a store that writes to stdout whose reader went away: no fault of a disk.
fn broken_stdout(error: &StoreError) -> Option<&std::io::Error> {
    match error {
        StoreError::Disk { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe => Some(source),
        _ => None,
    }
}

/// A folder that a fetch cannot fill.
pub(super) fn of_target(error: StoreError) -> Failure {
    if let Some(broken) = broken_stdout(&error) {
        return Failure::stdout(broken);
    }
    let way = ways::target(&error);
    Failure::of(error.category(), error, way)
}

/// A node that refuses this one, or lacks the content.
pub(super) fn of_refusal(refusal: &Refusal) -> Failure {
    let way = ways::refusal(refusal.cause);
    Failure::new(refusal.cause.category(), format_args!("{refusal}{}", way.unwrap_or_default()))
}

/// Patterns of `--include` that choose nothing.
pub(super) fn of_selection(error: SelectionError) -> Failure {
    let category = error.category();
    let message = match error {
        SelectionError::Empty => {
            "--include names nothing: give a name or a pattern, or leave it out for all files".to_owned()
        }
        SelectionError::NotAPattern { pattern, why } => {
            let shown = pattern.escape_debug();
            format!("--include: no file is named `{shown}`, and it is no pattern: {why}")
        }
        SelectionError::NoMatch { patterns: given, files, more } => {
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown: Vec<String> = files.iter().map(|file| format!("`{}`", file.escape_debug())).collect();
            let (given, shown) = (patterns(&given), shown.join(", "));
            format!("--include {given} matches no file of this content: it has {shown}{more}")
        }
    };
    Failure::new(category, message)
}

/// Patterns as messages name them.
pub(super) fn patterns(patterns: &[String]) -> String {
    let shown: Vec<String> = patterns.iter().map(|pattern| format!("`{}`", pattern.escape_debug())).collect();
    shown.join(" and ")
}

/// A fetch that the engine gave up.
pub(super) fn of_fetch(failure: &FetchFailure, describe: impl FnOnce(&Bottleneck) -> String) -> Failure {
    let message = match failure {
        FetchFailure::Refused(refusal) => return of_refusal(refusal),
        FetchFailure::Store => "the store failed; run the same command again".to_owned(),
        FetchFailure::Manifest(reason) => reason.clone(),
        FetchFailure::NoSource(bottleneck) => {
            let why = match describe(bottleneck) {
                why if why.is_empty() => why,
                why => format!(": {why}"),
            };
            format!("no source made progress{why}; run the same command again to go on")
        }
    };
    Failure::new(failure.category(), message)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use swarm_engine::RefusalCause;
    use swarm_host::protocol::Answer;

    /// Every cause of a store, as a command ends on it.
    fn store_causes() -> Vec<(StoreError, u8)> {
        let path = || PathBuf::from("out/film");
        let system =
            |kind: io::ErrorKind| StoreError::Disk { path: path(), op: "write", source: kind.into() };
        vec![
            (system(io::ErrorKind::StorageFull), 6),
            (system(io::ErrorKind::ReadOnlyFilesystem), 6),
            (system(io::ErrorKind::PermissionDenied), 6),
            (system(io::ErrorKind::NotFound), 6),
            (system(io::ErrorKind::FileTooLarge), 6),
            (StoreError::NoInodes { path: path(), op: "open" }, 6),
            (StoreError::SyncFailed { path: path() }, 6),
            (StoreError::TargetExists { path: path() }, 4),
            (StoreError::FolderInTheWay { path: path() }, 4),
            (StoreError::NotAFolder { path: path() }, 4),
            (StoreError::DanglingLink { path: path() }, 4),
            (StoreError::Unsafe { path: path() }, 4),
            (StoreError::Displaced { path: path() }, 4),
            (StoreError::NotAFile { path: path() }, 4),
            (StoreError::Changed { path: path(), chunk: 1 }, 5),
            (StoreError::Integrity { path: path() }, 5),
            (StoreError::Sealed { path: path(), chunk: 1 }, 5),
            (StoreError::Cut { path: path() }, 5),
            (StoreError::NotOneFile { path: path() }, 2),
            (StoreError::Busy { path: path(), holder: Some(7) }, 1),
            (StoreError::NotVerified { path: path(), chunk: 1 }, 1),
            (StoreError::Unwanted { path: path(), chunk: 1 }, 1),
            (StoreError::Range { chunk: 1, offset: 0, len: 1 }, 1),
            (StoreError::Unfinished { path: path(), missing: 1 }, 1),
            (StoreError::ReadOnlyStore, 1),
            (StoreError::NotServed, 1),
        ]
    }

    /// The code of `swarm add` when the node that it asks meets this: by way of the control socket.
    fn code_of_answer(category: Category) -> u8 {
        let line = serde_json::to_string(&Answer::error(category, "why")).expect("it is JSON");
        let answer = serde_json::from_str(&line).expect("a node wrote it");
        super::super::control::done(answer).expect_err("an error").exit as u8
    }

    #[test]
    fn a_cause_of_a_store_has_one_exit_code_by_whatever_command() {
        for (error, code) in store_causes() {
            let shown = error.to_string();
            assert_eq!(code_of_answer(error.category()), code, "swarm add: {shown}");
            assert_eq!(of_target(error).exit as u8, code, "swarm fetch: {shown}");
        }
        // `swarm seed`, `swarm join` and `swarm manifest create` meet them while indexing, `swarm aggregate` and `swarm node` at
        // their start.
        for (error, code) in store_causes() {
            assert_eq!(Failure::from(IndexError::Store(error)).exit as u8, code);
        }
        for (error, code) in store_causes() {
            assert_eq!(Failure::from(ServiceError::Store(error)).exit as u8, code);
        }
    }

    #[test]
    fn every_category_has_its_exit_code_also_through_a_node() {
        let codes = Category::ALL.map(|category| (category.name(), Exit::from(category) as u8));
        let expected = [
            ("usage", 2),
            ("no_source", 3),
            ("target_differs", 4),
            ("integrity", 5),
            ("disk", 6),
            ("denied", 7),
            ("no_node", 8),
            ("held", 1),
            ("interrupted", 130),
            ("partial", 9),
            ("undecided", 9),
            ("other", 1),
        ];
        assert_eq!(codes, expected);
        for category in Category::ALL {
            assert_eq!(code_of_answer(category), Exit::from(category) as u8);
        }
    }

    #[test]
    fn what_ends_a_fetch_decides_its_exit_code_and_the_words_do_not() {
        let words = "does not have this content";
        let refused = |cause| FetchFailure::Refused(Refusal::new(cause, words));
        let mut failures: Vec<(FetchFailure, u8)> = RefusalCause::ALL
            .into_iter()
            .map(|cause| (refused(cause), if cause == RefusalCause::NotHere { 3 } else { 7 }))
            .collect();
        failures.push((FetchFailure::NoSource(Bottleneck::NoPeer(Some(words.to_owned()))), 3));
        failures.push((FetchFailure::Manifest(words.to_owned()), 2));
        failures.push((FetchFailure::Store, 6));
        for (failure, code) in failures {
            let ended = of_fetch(&failure, |_| words.to_owned());
            assert_eq!((ended.exit as u8, code_of_answer(failure.category())), (code, code), "{failure:?}");
            assert!(ended.error.to_string().lines().count() == 1, "{failure:?}");
        }
    }

    #[test]
    fn a_way_out_is_that_of_the_command_that_has_it() {
        let there = || StoreError::TargetExists { path: PathBuf::from("out/film") };
        assert!(of_target(there()).error.to_string().ends_with("move it away, or pass --overwrite"));
        assert!(!Failure::from(there()).error.to_string().contains("--"));
        let folder = StoreError::FolderInTheWay { path: PathBuf::from("out/film") };
        assert!(!of_target(folder).error.to_string().contains("--overwrite"));
    }
}
