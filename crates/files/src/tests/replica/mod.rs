//! The folder as a replica, on real folders.

mod hashing;
mod walking;

use std::fs;
use std::path::Path;

use swarm_sync::{Found, FoundKind, ReplicaError, Seen, TreePath};

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

    /// Every operation fails as planned from now on.
    fn tapped(&mut self, plan: Plan) {
        let watch = Watch::new(plan, &super::disk::Disk::of(self.path()));
        let dir = Dir::open(self.path()).unwrap().tapped(Tap::of(&watch));
        self.replica = FolderReplica::over(dir, FolderOptions::default()).unwrap();
    }

    fn walk(&mut self, place: Option<&str>) -> Vec<Seen> {
        let place = place.map(path);
        let walk = self.replica.walk(place.as_ref()).unwrap();
        walk.collect::<Result<_, ReplicaError>>().unwrap()
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
            fs::write(at, text).unwrap();
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
        Seen::Unnamed { shown } => format!("? {shown}\n"),
    };
    seen.iter().map(line).collect()
}
