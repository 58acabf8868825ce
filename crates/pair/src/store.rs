//! The pairs of a user: a folder for each in the state folder, named after its two roots. A pair is found by any path inside one of its roots.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_files::RootIdentity;
use swarm_index::IndexLock;
use swarm_sync::{PerSide, RunId, Side, TreePath};

use crate::PairError;
use crate::options::Options;

/// All pairs that one state folder knows.
#[derive(Clone, Debug)]
pub struct PairStore {
    folder: PathBuf,
}

/// One pair, known by its roots.
#[derive(Clone, Debug)]
pub struct Pair {
    pub(crate) folder: PathBuf,
    pub(crate) record: Record,
}

/// What a list of pairs shows.
#[derive(Clone, Debug, PartialEq)]
pub struct PairInfo {
    /// The name of its folder in the state folder.
    pub id: String,
    /// Both roots, absolute.
    pub roots: PerSide<PathBuf>,
    /// The last run that ended.
    pub last_run: Option<RunId>,
    /// Conflicts that were open at its end.
    pub conflicts: u64,
}

/// The pairs that are known, and what keeps others from being known.
#[derive(Debug, Default)]
pub struct PairList {
    /// By their roots.
    pub pairs: Vec<Pair>,
    /// One error for each record that cannot be read.
    pub bad: Vec<PairError>,
}

/// A pair, and a path inside one of its roots.
#[derive(Clone, Debug)]
pub struct Found {
    /// The pair.
    pub pair: Pair,
    /// The side that the path is on.
    pub side: Side,
    /// The path below the root; `None` for the root itself.
    pub path: Option<TreePath>,
}

/// The file of a pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) roots: PerSide<PathBuf>,
    /// What identified each root's file system at the last run.
    #[serde(default)]
    pub(crate) identities: PerSide<Option<RootIdentity>>,
    #[serde(default)]
    pub(crate) options: Options,
    #[serde(default)]
    pub(crate) last_run: Option<RunId>,
    #[serde(default)]
    pub(crate) conflicts: u64,
}

impl PairStore {
    /// The pairs of a state folder. Nothing is made before a pair is used.
    pub fn open(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("sync") }
    }

    /// The pair of two folders, known or new.
    pub fn pair(&self, local: &Path, remote: &Path) -> Result<Pair, PairError> {
        let roots = PerSide { local: root(local)?, remote: root(remote)? };
        check_apart(&roots)?;
        let folder = self.folder.join(id_of(&roots));
        match read_record(&folder)? {
            Some(record) => Ok(Pair { folder, record }),
            None => {
                check_not_swapped(&self.folder, &roots)?;
                let (identities, options, last_run, conflicts) = Default::default();
                Ok(Pair { folder, record: Record { roots, identities, options, last_run, conflicts } })
            }
        }
    }

    /// All pairs that were synced at least once.
    pub fn list(&self) -> Result<PairList, PairError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(PairList::default()),
            Err(error) => return Err(PairError::state(&self.folder, "read")(error)),
        };
        let PairList { mut pairs, mut bad } = PairList::default();
        for entry in entries {
            let folder = entry.map_err(PairError::state(&self.folder, "read"))?.path();
            if !folder.is_dir() {
                continue;
            }
            match read_record(&folder) {
                Ok(record) => pairs.extend(record.map(|record| Pair { folder, record })),
                Err(error) => bad.push(error),
            }
        }
        pairs.sort_by(|a, b| {
            (&a.record.roots.local, &a.record.roots.remote)
                .cmp(&(&b.record.roots.local, &b.record.roots.remote))
        });
        Ok(PairList { pairs, bad })
    }

    /// The pair that a path lies in. It need not exist any more.
    pub fn find(&self, path: &Path) -> Result<Found, PairError> {
        let path = absolute(path)?;
        let mut found: Option<Found> = None;
        let PairList { pairs, bad } = self.list()?;
        for pair in pairs {
            for side in Side::BOTH {
                let Ok(below) = path.strip_prefix(pair.record.roots.of(side)) else { continue };
                let Ok(below) = tree_path(below) else { continue };
                let roots = |found: &Found| found.pair.record.roots.of(found.side).as_os_str().len();
                let here = Found { pair: pair.clone(), side, path: below };
                match &found {
                    // The innermost root counts; of two pairs with one root, the one that ran last.
                    Some(other)
                        if (roots(other), other.pair.record.last_run)
                            >= (roots(&here), here.pair.record.last_run) => {}
                    Some(_) | None => found = Some(here),
                }
            }
        }
        // The pair that is meant may be the one whose record cannot be read.
        found.ok_or_else(|| bad.into_iter().next().unwrap_or(PairError::NoPair(path)))
    }
}

/// Two folders are one pair, whichever is named first.
fn check_not_swapped(store: &Path, roots: &PerSide<PathBuf>) -> Result<(), PairError> {
    let swapped = PerSide { local: roots.remote.clone(), remote: roots.local.clone() };
    match read_record(&store.join(id_of(&swapped)))? {
        Some(_) => Err(PairError::Swapped { local: swapped.local, remote: swapped.remote }),
        None => Ok(()),
    }
}

impl Pair {
    /// What a list shows of it.
    pub fn info(&self) -> PairInfo {
        let id = self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Record { roots, last_run, conflicts, .. } = self.record.clone();
        PairInfo { id, roots, last_run, conflicts }
    }

    /// The root of a side, absolute.
    pub fn root(&self, side: Side) -> &Path {
        self.record.roots.of(side)
    }

    /// The options of the last run.
    pub fn last_options(&self) -> &Options {
        &self.record.options
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        self.folder.join("index.db")
    }

    /// Takes over what another process wrote into the record.
    fn read_again(&mut self) -> Result<bool, PairError> {
        let record = read_record(&self.folder)?;
        let is_known = record.is_some();
        self.record = record.unwrap_or_else(|| self.record.clone());
        Ok(is_known)
    }

    /// Reads the record again, or writes the first one, unless another process wrote one of these two folders meanwhile the other way round.
    pub(crate) fn register(&mut self) -> Result<(), PairError> {
        let Some(store) = self.folder.parent().map(Path::to_owned) else { return self.save() };
        let _turn = IndexLock::wait(&store.join(STORE))?;
        if !self.read_again()? {
            check_not_swapped(&store, &self.record.roots)?;
            self.save()?;
        }
        Ok(())
    }

    /// Writes the record anew: whole, or not at all.
    pub(crate) fn save(&self) -> Result<(), PairError> {
        fs::create_dir_all(&self.folder).map_err(PairError::state(&self.folder, "make"))?;
        let path = self.folder.join(RECORD);
        let text = serde_json::to_vec_pretty(&self.record).map_err(|error| PairError::BadFile {
            path: path.clone(),
            what: "record of a pair",
            why: error.to_string(),
        })?;
        let fresh = self.folder.join("pair.json.new");
        let written = fs::File::create(&fresh).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &text)?;
            file.sync_all()
        });
        written.map_err(PairError::state(&fresh, "write"))?;
        fs::rename(&fresh, &path).map_err(PairError::state(&path, "write"))
    }
}

fn read_record(folder: &Path) -> Result<Option<Record>, PairError> {
    let path = folder.join(RECORD);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(PairError::state(&path, "read")(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let why = format!(
            "{error}; move it away, and run `swarm sync` on the two folders: what both had last is kept in another file"
        );
        PairError::BadFile { path, what: "record of a pair", why }
    })
}

/// The absolute path of a root. Links above and at it are resolved, so that one folder has one name.
fn root(path: &Path) -> Result<PathBuf, PairError> {
    let root = match path.canonicalize() {
        Ok(root) => root,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(PairError::Missing(path.to_owned()));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(PairError::NotAFolder(path.to_owned()));
        }
        Err(error) => return Err(PairError::state(path, "find")(error)),
    };
    if root.is_dir() { Ok(root) } else { Err(PairError::NotAFolder(path.to_owned())) }
}

fn check_apart(roots: &PerSide<PathBuf>) -> Result<(), PairError> {
    let PerSide { local, remote } = roots;
    if local == remote {
        return Err(PairError::SameFolder(local.clone()));
    }
    for (outer, inner) in [(local, remote), (remote, local)] {
        if inner.starts_with(outer) {
            return Err(PairError::Nested { outer: outer.clone(), inner: inner.clone() });
        }
    }
    Ok(())
}

/// The absolute path; what exists of it has its links resolved, as roots have.
fn absolute(path: &Path) -> Result<PathBuf, PairError> {
    let path = std::path::absolute(path).map_err(PairError::state(path, "find"))?;
    for above in path.ancestors() {
        // The last component is not followed: a link in a tree is an entry of its own.
        if (above != path || !above.is_symlink())
            && let Ok(resolved) = above.canonicalize()
        {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) });
        }
    }
    Ok(path)
}

fn tree_path(below: &Path) -> Result<Option<TreePath>, PairError> {
    if below.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = below.to_str().ok_or_else(|| PairError::NoPair(below.to_owned()))?;
    TreePath::new(text).map(Some).map_err(|_| PairError::NoPair(below.to_owned()))
}

fn id_of(roots: &PerSide<PathBuf>) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut hasher = blake3::Hasher::new();
    for root in [&roots.local, &roots.remote] {
        hasher.update(&(root.as_os_str().len() as u64).to_le_bytes());
        hasher.update(root.as_os_str().as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

const RECORD: &str = "pair.json";
/// The lock of the list of pairs is beside this name in their folder.
const STORE: &str = "pairs";
