//! `subscriptions.json`: libraries of others that this node follows. Invariant: GUIDs are distinct. Folders are compared in
//! `folders`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use swarm_sync::Strategy;

use crate::folders::absolute;
use crate::key_path::KeyPath;
use crate::libraries::{Approvals, FileApprovals, FileRetention, Retention, StrategyName};
use crate::limits::{LIBRARIES_MAX, PATTERNS_MAX};
use crate::peers::distinct;
use crate::read::Wrong;
use crate::values::{FileLimits, FileScrub, Guid, Limits, Parsed, Priority, Public};

/// A library of others that this node follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Which library.
    pub guid: Guid,
    /// Where its files go. Absolute.
    pub local_sync_dir: PathBuf,
    /// Peers to fetch from (address, NodeId or name); empty for all.
    pub from: Vec<String>,
    /// Patterns of paths to fetch; empty for all.
    pub include: Vec<String>,
    /// Patterns of paths to leave out.
    pub exclude: Vec<String>,
    /// The peer (address, NodeId or name) whose version is followed; `None` for the version that trust gives.
    pub version_of: Option<String>,
    /// How many must agree to what; `None` for the strictest that trusted peers tell.
    pub approvals: Option<Approvals>,
    /// How long what was replaced or deleted is kept.
    pub retention: Retention,
    /// How conflicts are decided; `None` for the default of the caller.
    pub conflicts: Option<Strategy>,
    /// Whether nothing is sent or fetched.
    pub is_paused: bool,
    /// -100 to 100: higher goes first.
    pub priority: i8,
    /// Rates of this library.
    pub limits: Limits,
    /// Days after which all its files are read again; zero if they are not.
    pub scrub_days: u32,
    /// Who sees it in a browser without a name here. A sealed library is seen by nobody, whatever this says.
    pub public: Public,
}

/// The libraries of others that this node follows.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "subscriptions.json", transparent)]
#[serde(transparent)]
pub(crate) struct FileSubscriptions(Vec<FileSubscription>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "subscription")]
struct FileSubscription {
    /// The library's GUID.
    guid: Parsed<Guid>,
    /// The folder that its files go to, for this library alone. Relative to the folder of the daemon.
    local_sync_dir: String,
    /// Fetch from these peers alone (address, NodeId or name). Without it: from all.
    #[serde(default)]
    from: Vec<String>,
    /// Fetch only paths that match one of these patterns. Without it: all.
    #[serde(default)]
    include: Vec<String>,
    /// Leave out paths that match one of these patterns.
    #[serde(default)]
    exclude: Vec<String>,
    /// Follow the version of this peer (address, NodeId or name), whatever others have.
    version_of: Option<String>,
    /// How many trusted peers must agree to deletions, moves and bulk changes on this disk. Without it: as many as the strictest of the
    /// trusted peers asks for.
    approvals: Option<FileApprovals>,
    /// How long what was replaced or deleted is kept.
    #[serde(default)]
    retention: FileRetention,
    /// How conflicts are decided. Without it somebody is asked.
    #[schemars(with = "Option<StrategyName>")]
    conflicts: Option<Strategy>,
    /// Send and fetch nothing for now.
    #[serde(default)]
    paused: bool,
    /// Libraries with a higher number go first. Without it: 0.
    priority: Option<Priority>,
    /// Rates of this library's files, beside those of config.json.
    #[serde(default)]
    limits: FileLimits,
    /// How often all files on this disk are read again, to find bytes that changed by themselves: {"days": 30}, or false for never. Without it:
    /// every 30 days.
    scrub: Option<FileScrub>,
    /// true: everybody who can reach this node sees its files at /public/GUID/, without a name and a password. "indexed": search engines, too. Never if
    /// it is sealed.
    #[serde(default)]
    public: Public,
}

impl FileSubscriptions {
    /// Relative paths start at `folder`.
    pub(crate) fn checked(self, folder: &Path) -> Result<Vec<Subscription>, Wrong> {
        if self.0.len() > LIBRARIES_MAX {
            let message = format!("expected at most {LIBRARIES_MAX} subscriptions, found {}", self.0.len());
            return Err(Wrong::new(KeyPath::default(), message));
        }
        let at = |index| KeyPath::default().index(index);
        let list = self.0.into_iter().enumerate().map(|(index, entry)| entry.checked(&at(index), folder));
        let list = list.collect::<Result<Vec<_>, _>>()?;
        distinct(list.iter().map(|entry| Some(&entry.guid)), "guid")?;
        Ok(list)
    }
}

impl FileSubscription {
    fn checked(self, at: &KeyPath, folder: &Path) -> Result<Subscription, Wrong> {
        for (key, list) in [("from", &self.from), ("include", &self.include), ("exclude", &self.exclude)] {
            check_list(list, &at.key(key))?;
        }
        let dir = absolute(folder, &self.local_sync_dir);
        let Parsed(guid) = self.guid;
        Ok(Subscription {
            guid,
            local_sync_dir: dir.map_err(|message| Wrong::new(at.key("localSyncDir"), message))?,
            from: self.from,
            include: self.include,
            exclude: self.exclude,
            version_of: self.version_of,
            approvals: self.approvals.map(Into::into),
            retention: self.retention.into(),
            conflicts: self.conflicts,
            is_paused: self.paused,
            priority: self.priority.map_or(0, Priority::get),
            limits: self.limits.into(),
            scrub_days: FileScrub::days(self.scrub),
            public: self.public,
        })
    }
}

fn check_list(list: &[String], at: &KeyPath) -> Result<(), Wrong> {
    if list.len() > PATTERNS_MAX {
        let message = format!("expected at most {PATTERNS_MAX} entries, found {}", list.len());
        return Err(Wrong::new(at.clone(), message));
    }
    match list.iter().position(String::is_empty) {
        Some(index) => Err(Wrong::new(at.index(index), "expected some text, found an empty string")),
        None => Ok(()),
    }
}
