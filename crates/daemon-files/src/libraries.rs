//! `libraries.json`: the libraries that this node keeps, and the folders that hold them. Invariant: names and GUIDs are distinct,
//! and a library has at most one sync target. Folders of different libraries are compared in `folders`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use swarm_core::base::ByteLen;
use swarm_sync::Strategy;

use crate::folders::absolute;
use crate::json::quoted;
use crate::key_path::KeyPath;
use crate::limits::{LIBRARIES_MAX, MOUNTS_MAX};
use crate::read::Wrong;
use crate::values::{
    FileLimits, FileScrub, Guid, InOrder, Limits, Parsed, Positive, Priority, Public, Role, name_fault, plain,
};

/// A library, and where this node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// What this node calls it; may stand as the name of a folder.
    pub name: String,
    /// What all nodes call it.
    pub guid: Guid,
    /// In the order of the file.
    pub mounts: Vec<Mount>,
    /// How many must agree to what.
    pub approvals: Approvals,
    /// How long what was replaced or deleted is kept.
    pub retention: Retention,
    /// How conflicts are decided; `None` for the default of the caller.
    pub conflicts: Option<Strategy>,
    /// What this node is in the library; `None` for what its trust says.
    pub role: Option<Role>,
    /// Rates of this library.
    pub limits: Limits,
    /// Days after which all its files are read again; zero if they are not.
    pub scrub_days: u32,
    /// Whether names and contents are sealed with a key of the library.
    pub is_sealed: bool,
    /// Whether nothing is sent or fetched.
    pub is_paused: bool,
    /// -100 to 100: higher goes first.
    pub priority: i8,
    /// Who sees it in a browser without a name here. A sealed library is seen by nobody, whatever this says.
    pub public: Public,
}

/// A folder that holds a part of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute.
    pub dir: PathBuf,
    /// Where it stands in the library: `/`, or `/a/b`.
    pub libpath: String,
    /// Whether changes of others are written here; a mount that is no sync target is never written.
    pub is_sync: bool,
    /// Bytes that stay free on its disk; `None` for what `config.json` says.
    pub min_free: Option<u64>,
}

/// How many trusted peers, the author among them, must agree before something happens on this disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// To a deletion; 1 if nobody is asked.
    pub delete: u32,
    /// To a move.
    pub moves: u32,
    /// Changes in one commit from which on it is a bulk change; `None` if there are none.
    pub bulk: Option<u32>,
    /// To a bulk change.
    pub bulk_approvals: u32,
    /// Days after which a proposal expires.
    pub expiry_days: u32,
    /// Whether one no is enough to refuse.
    pub refuse_by_one: bool,
}

/// How long what was replaced or deleted is kept; `None` for no such limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days.
    pub days: Option<u32>,
    /// Versions of one path.
    pub count: Option<u32>,
    /// Bytes of all kept versions of the library.
    pub bytes: Option<u64>,
}

/// The libraries that this node keeps, by name.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "libraries.json", transparent)]
#[serde(transparent)]
pub(crate) struct FileLibraries(InOrder<FileLibrary>);

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "library")]
struct FileLibrary {
    /// What all nodes call this library: 1 to 64 of the characters A-Z a-z 0-9 _ -.
    guid: Parsed<Guid>,
    /// The folders that hold it.
    #[serde(default)]
    mounts: Vec<FileMount>,
    /// How many trusted peers must agree to deletions, moves and bulk changes. Without it nobody is asked.
    #[serde(default)]
    approvals: FileApprovals,
    /// How long what was replaced or deleted is kept.
    #[serde(default)]
    retention: FileRetention,
    /// How conflicts are decided. Without it somebody is asked.
    #[schemars(with = "Option<StrategyName>")]
    conflicts: Option<Strategy>,
    /// What this node is in the library. Without it: what the peers' trust says.
    role: Option<Role>,
    /// Rates of this library's files, beside those of config.json.
    #[serde(default)]
    limits: FileLimits,
    /// How often all files on this disk are read again, to find bytes that changed by themselves: {"days": 30}, or false for never. Without it:
    /// every 30 days.
    scrub: Option<FileScrub>,
    /// Names and contents are sealed with a key of the library, for mirrors that may not read them.
    #[serde(default)]
    sealed: bool,
    /// Send and fetch nothing for now.
    #[serde(default)]
    paused: bool,
    /// Libraries with a higher number go first. Without it: 0.
    priority: Option<Priority>,
    /// true: everybody who can reach this node sees its files at /public/GUID/, without a name and a password. "indexed": search engines, too. Never if
    /// it is sealed.
    #[serde(default)]
    public: Public,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "mount")]
struct FileMount {
    /// The folder on this disk. Relative to the folder of the daemon.
    dir: String,
    /// Where it stands in the library: "/", or as in "/video". The longest that fits a path owns it.
    libpath: String,
    /// true: nothing is ever written to it. This is so, too, unless `sync` is true.
    readonly: Option<bool>,
    /// true: what others add and change is written here. At most one mount of a library.
    #[serde(default)]
    sync: bool,
    /// Bytes that stay free on the disk of this folder, as in "1GB".
    min_free: Option<Parsed<ByteLen>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "approvals")]
pub(crate) struct FileApprovals {
    /// Trusted peers, the author among them, that must agree to a deletion. Without it: 1.
    delete: Option<Positive>,
    /// Trusted peers, the author among them, that must agree to a move. Without it: 1.
    r#move: Option<Positive>,
    /// Changes in one commit from which on it is a bulk change. Without it there are no bulk changes.
    bulk: Option<Positive>,
    /// Trusted peers, the author among them, that must agree to a bulk change. Without it: 2.
    bulk_approvals: Option<Positive>,
    /// Days after which a proposal expires. Without it: 14.
    expiry_days: Option<Positive>,
    /// One no refuses a proposal.
    #[serde(default)]
    refuse_by_one: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "retention")]
pub(crate) struct FileRetention {
    /// Days for which a version is kept.
    days: Option<Positive>,
    /// Versions of one path that are kept.
    count: Option<Positive>,
    /// Bytes of all kept versions together, as in "100GB".
    bytes: Option<Parsed<ByteLen>>,
}

/// The names of [`Strategy`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(dead_code, reason = "read by schemars alone")]
pub(crate) enum StrategyName {
    Manual,
    KeepLocal,
    KeepRemote,
    AutoMerge,
    Newer,
    KeepBoth,
}

impl Library {
    /// Where changes of others are written.
    pub fn sync_target(&self) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.is_sync)
    }
}

impl FileLibraries {
    /// Relative paths start at `folder`. Also what is worth a warning.
    pub(crate) fn checked(self, folder: &Path, notes: &mut Vec<Wrong>) -> Result<Vec<Library>, Wrong> {
        let entries = self.0.0;
        if entries.len() > LIBRARIES_MAX {
            let message = format!("expected at most {LIBRARIES_MAX} libraries, found {}", entries.len());
            return Err(Wrong::new(KeyPath::default(), message));
        }
        let mut libraries: Vec<Library> = Vec::with_capacity(entries.len());
        let mut names: BTreeMap<Guid, String> = BTreeMap::new();
        for (name, library) in entries {
            let at = KeyPath::default().key(&name);
            let library = library.checked(name, &at, folder, notes)?;
            if let Some(other) = names.insert(library.guid.clone(), library.name.clone()) {
                let message = format!("library {} has the same GUID: give each its own", quoted(&other));
                return Err(Wrong::new(at.key("guid"), message));
            }
            libraries.push(library);
        }
        Ok(libraries)
    }
}

impl FileLibrary {
    fn checked(
        self,
        name: String,
        at: &KeyPath,
        folder: &Path,
        notes: &mut Vec<Wrong>,
    ) -> Result<Library, Wrong> {
        if let Some(fault) = library_name_fault(&name) {
            return Err(Wrong::new(at.clone(), fault));
        }
        if self.mounts.len() > MOUNTS_MAX {
            let message = format!("expected at most {MOUNTS_MAX} mounts, found {}", self.mounts.len());
            return Err(Wrong::new(at.key("mounts"), message));
        }
        let place = |index| at.key("mounts").index(index);
        let mounts = self.mounts.into_iter().enumerate();
        let mounts = mounts.map(|(index, mount)| mount.checked(&place(index), folder, notes));
        let mounts = mounts.collect::<Result<Vec<_>, _>>()?;
        check_together(&name, &mounts, at)?;
        let Parsed(guid) = self.guid;
        Ok(Library {
            name,
            guid,
            mounts,
            approvals: self.approvals.into(),
            retention: self.retention.into(),
            conflicts: self.conflicts,
            role: self.role,
            limits: self.limits.into(),
            scrub_days: FileScrub::days(self.scrub),
            is_sealed: self.sealed,
            is_paused: self.paused,
            priority: self.priority.map_or(0, Priority::get),
            public: self.public,
        })
    }
}

impl FileMount {
    fn checked(self, at: &KeyPath, folder: &Path, notes: &mut Vec<Wrong>) -> Result<Mount, Wrong> {
        if let Some(fault) = libpath_fault(&self.libpath) {
            return Err(Wrong::new(at.key("libpath"), fault));
        }
        match (self.readonly, self.sync) {
            (Some(true), true) => {
                let message = "a sync target is written to: expected false, or \"readonly\": false";
                return Err(Wrong::new(at.key("sync"), message));
            }
            (Some(false), false) => {
                let message =
                    "without \"sync\": true nothing is written to this mount, as if it were read-only";
                notes.push(Wrong::new(at.key("readonly"), message));
            }
            (None | Some(false), true) | (None | Some(true), false) => {}
        }
        let dir = absolute(folder, &self.dir).map_err(|message| Wrong::new(at.key("dir"), message))?;
        let min_free = plain(self.min_free).map(|ByteLen(len)| len);
        Ok(Mount { dir, libpath: self.libpath, is_sync: self.sync, min_free })
    }
}

impl From<FileApprovals> for Approvals {
    fn from(file: FileApprovals) -> Self {
        let number = |number: Option<Positive>, default| number.map_or(default, Positive::get);
        Self {
            delete: number(file.delete, 1),
            moves: number(file.r#move, 1),
            bulk: file.bulk.map(Positive::get),
            bulk_approvals: number(file.bulk_approvals, 2),
            expiry_days: number(file.expiry_days, 14),
            refuse_by_one: file.refuse_by_one,
        }
    }
}

impl Default for Approvals {
    fn default() -> Self {
        FileApprovals::default().into()
    }
}

impl From<FileRetention> for Retention {
    fn from(file: FileRetention) -> Self {
        let bytes = plain(file.bytes).map(|ByteLen(len)| len);
        Self { days: file.days.map(Positive::get), count: file.count.map(Positive::get), bytes }
    }
}

/// What mounts of one library must not be together.
fn check_together(name: &str, mounts: &[Mount], at: &KeyPath) -> Result<(), Wrong> {
    let place = |index: usize| at.key("mounts").index(index);
    let mut sync: Option<usize> = None;
    let mut read_only: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, mount) in mounts.iter().enumerate() {
        let is_double = if mount.is_sync { sync.replace(index) } else { None };
        if let Some(first) = is_double {
            let message = format!(
                "library {} has two sync targets, {} (mounts[{first}]) and {}: expected one",
                quoted(name),
                mounts[first].dir.to_string_lossy(),
                mount.dir.to_string_lossy()
            );
            return Err(Wrong::new(place(index).key("sync"), message));
        }
        let same = if mount.is_sync { None } else { read_only.insert(&mount.libpath, index) };
        if let Some(first) = same {
            let message = format!("mounts[{first}] has the same libpath: give each its own");
            return Err(Wrong::new(place(index).key("libpath"), message));
        }
    }
    Ok(())
}

fn library_name_fault(name: &str) -> Option<String> {
    let is_folder = !name.contains('/') && name != "." && name != "..";
    let expected = || "expected a name that a folder can have: no slash, and not . or ..".to_owned();
    name_fault(name).or_else(|| (!is_folder).then(expected))
}

/// What a `libpath` must not be, as the end of a sentence; `None` if it is fine.
fn libpath_fault(libpath: &str) -> Option<String> {
    let found = crate::read::shortened(&quoted(libpath));
    let Some(rest) = libpath.strip_prefix('/') else {
        return Some(format!("expected a path that begins with /, found {found}"));
    };
    let names = || rest.split('/');
    let is_whole = |name: &str| !name.is_empty() && name != "." && name != "..";
    if rest.is_empty() || (names().all(is_whole) && !rest.contains('\0')) {
        return None;
    }
    let mut plain: Vec<&str> = Vec::new();
    for name in names().filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." {
            plain.pop();
        } else {
            plain.push(name);
        }
    }
    let plain = crate::read::shortened(&quoted(&format!("/{}", plain.join("/"))));
    Some(format!("expected a path without . or .. or empty names, such as {plain}, found {found}"))
}
