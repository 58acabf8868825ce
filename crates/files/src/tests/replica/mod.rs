//! The folder as a replica, on real folders.

mod crashes;
mod digests;
mod effects;
mod hashing;
mod putting;
mod staging;
mod walking;
mod watching;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use swarm_sync::{
    Done, Entry, FileContent, Found, FoundKind, Kind, Op, OpKind, Replica as _, ReplicaError, RunId, Seen,
    Source, StageJob, Staged, TreePath,
};

use super::watch::{Plan, Tap, Watch};
use crate::dir::Dir;
use crate::{FolderOptions, FolderReplica};

/// A folder with a replica in it.
pub(super) struct Side {
    folder: tempfile::TempDir,
    replica: FolderReplica,
}

impl Side {
    fn new() -> Self {
        Self::of(&[])
    }

    /// With these files, and folders whose names end with a slash.
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), files);
        let replica = FolderReplica::open(folder.path(), FolderOptions::default()).unwrap();
        Self { folder, replica }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Every operation fails as planned from now on, and is noted.
    fn tapped(&mut self, plan: Plan) -> Arc<Watch> {
        let watch = Watch::new(plan, &super::disk::Disk::of(self.path()));
        let dir = Dir::open(self.path()).unwrap().tapped(Tap::of(&watch));
        self.replica = FolderReplica::over(dir, FolderOptions::default()).unwrap();
        watch
    }

    fn walk(&mut self, place: Option<&str>) -> Vec<Seen> {
        let place = place.map(path);
        let walk = self.replica.walk(place.as_ref()).unwrap();
        walk.collect::<Result<_, ReplicaError>>().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }

    /// What stands there, read.
    fn entry(&mut self, name: &str) -> Entry {
        let found = self.found(name);
        let kind = match &found.kind {
            FoundKind::File { .. } => return self.replica.hash(vec![found]).remove(0).unwrap().1,
            FoundKind::Folder => Kind::Folder,
            FoundKind::Symlink { target } => Kind::Symlink { target: target.clone() },
        };
        Entry { kind, modified_ns: found.modified_ns, stamp: found.stamp }
    }

    /// Stages these bytes.
    fn stage(&mut self, name: &str, text: &str) -> Staged {
        self.try_stage(name, text).unwrap()
    }

    fn try_stage(&mut self, name: &str, text: &str) -> Result<Staged, ReplicaError> {
        let source = Box::new(Text(text.as_bytes().to_vec()));
        let job = StageJob {
            path: path(name),
            standing: None,
            content: content(text),
            modified_ns: LONG_AGO_NS,
            source,
        };
        self.replica.stage(vec![job], &|_| {}).remove(0)
    }

    /// Performs one operation.
    fn perform(&mut self, op: Op, staged: Option<Staged>) -> Result<Done, ReplicaError> {
        self.replica.perform(RUN, vec![(op, staged)]).remove(0)
    }

    /// Stages a text and puts it in place of what is expected.
    fn put(&mut self, name: &str, text: &str, expected: Option<Entry>) -> Result<Done, ReplicaError> {
        let staged = self.stage(name, text);
        self.perform(put(name, text, expected), Some(staged))
    }

    /// All versions with their bytes, as lines.
    fn kept(&self) -> String {
        let line = |kept: &crate::KeptVersion| {
            let mut source = self.replica.kept_source(&kept.id);
            let mut text = vec![0; kept.len() as usize];
            let read = source.read_at(0, &mut text).unwrap_or(0);
            let text = String::from_utf8(text[..read].to_vec()).unwrap();
            format!("{}#{} {text}\n", kept.id.path, kept.id.number)
        };
        self.replica.kept(None).unwrap().iter().map(line).collect()
    }

    /// The names of what stands beside the tree.
    fn beside(&self) -> Vec<String> {
        let name = |at: PathBuf| at.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = beside(self.path()).into_iter().map(name).collect();
        names.sort();
        names
    }

    fn found(&mut self, name: &str) -> Found {
        let seen = self.walk(Some(name)).into_iter().next();
        match seen {
            Some(Seen::Entry(found)) => found,
            other => panic!("{other:?}"),
        }
    }
}

fn fill(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let at = root.join(name);
        if name.ends_with('/') {
            fs::create_dir_all(at).unwrap();
        } else {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(&at, text).unwrap();
            // What was modified just now is read again at each scan.
            let long_ago = UNIX_EPOCH + Duration::from_nanos(LONG_AGO_NS as u64 / 2);
            fs::File::options().write(true).open(at).unwrap().set_modified(long_ago).unwrap();
        }
    }
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

/// A walk as lines: `d` folder, `f` file with length, `x` if executable, `l` link, `!` blind, `?` no name.
fn picture(seen: &[Seen]) -> String {
    let line = |seen: &Seen| match seen {
        Seen::Entry(found) => match &found.kind {
            FoundKind::Folder => format!("d {}\n", found.path),
            FoundKind::File { len, executable: false } => format!("f {} {len}\n", found.path),
            FoundKind::File { len, executable: true } => format!("x {} {len}\n", found.path),
            FoundKind::Symlink { target } => format!("l {} -> {target}\n", found.path),
        },
        Seen::Blind(blind) => format!("! {}: {}\n", blind.path, blind.why),
        Seen::Unnamed { shown, why: _ } => format!("? {shown}\n"),
    };
    seen.iter().map(line).collect()
}

fn content(text: &str) -> FileContent {
    let hash = swarm_sync::ContentHash::of(text.as_bytes());
    FileContent { len: text.len() as u64, hash, executable: false }
}

fn put(name: &str, text: &str, expected: Option<Entry>) -> Op {
    put_content(name, content(text), expected)
}

pub(super) fn put_content(name: &str, content: FileContent, expected: Option<Entry>) -> Op {
    let source = Source::Other { path: path(name) };
    let kind = OpKind::Put { content: Kind::File(content), modified_ns: LONG_AGO_NS, source };
    Op { path: path(name), kind, expected: expected.map(Box::new) }
}

fn op(name: &str, kind: OpKind, expected: Option<Entry>) -> Op {
    Op { path: path(name), kind, expected: expected.map(Box::new) }
}

fn changed(name: &str) -> ReplicaError {
    ReplicaError::Changed { path: path(name) }
}

/// Bytes in memory.
struct Text(Vec<u8>);

impl swarm_sync::ContentSource for Text {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let rest = &self.0[(offset as usize).min(self.0.len())..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

const LONG_AGO_NS: i64 = 1_000_000_000_123_456_789;
/// `20010909T014640.000Z`.
pub(super) const RUN: RunId = RunId::at_ms(1_000_000_000_000);

/// The files that stand beside the tree, whichever thread made them.
fn beside(root: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).map_or(Vec::new(), |all| all.map(|entry| entry.unwrap().path()).collect())
    };
    let (folders, mut files): (Vec<_>, Vec<_>) =
        list(&root.join(".swarm/incoming")).into_iter().partition(|at| at.is_dir());
    files.extend(folders.iter().flat_map(|folder| list(folder)));
    files
}
