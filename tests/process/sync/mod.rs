//! `swarm sync` and the commands about a pair of folders, as a user sees them.

mod conflicts;
mod guard;
mod kills;
mod mistakes;
mod names;
mod reports;
mod run;
mod versions;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::{Outcome, Process, World, args};

/// A world with two folders, `a` and `b`.
pub(super) struct Folders {
    pub(super) world: World,
}

impl Folders {
    /// `a` is there and `b` is not.
    pub(super) fn new() -> Self {
        let world = World::new();
        fs::create_dir(world.path("a")).expect("a place");
        Self { world }
    }

    /// Both have these files, whose texts are their names, and agreed on them.
    pub(super) fn agreed(names: &[&str]) -> Self {
        let folders = Self::new();
        names.iter().for_each(|name| folders.write(&format!("a/{name}"), name));
        folders.sync(args![]).expect_code(0);
        folders.assert_same();
        folders
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("a place");
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("it is there");
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("it is there, and the place is free");
    }

    /// `swarm sync a b`, with these flags.
    pub(super) fn sync(&self, flags: Vec<OsString>) -> Outcome {
        self.start(flags).end()
    }

    pub(super) fn start(&self, flags: Vec<OsString>) -> Process {
        self.world.start(&[args!["sync", "a", "b"], flags].concat())
    }

    /// Any command.
    pub(super) fn run(&self, args: Vec<OsString>) -> Outcome {
        self.world.run(&args)
    }

    /// What a side holds, by path, without sync's own folder.
    pub(super) fn tree(&self, side: &str) -> BTreeMap<String, String> {
        tree(&self.path(side))
    }

    pub(super) fn assert_same(&self) {
        assert_eq!(self.tree("a"), self.tree("b"));
    }

    /// The ids of the open conflicts.
    pub(super) fn conflicts(&self) -> Vec<String> {
        let listed = self.run(args!["conflicts", "a", "--json"]).expect_code(0).json();
        listed.iter().map(|line| line["conflict_id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// Everything below a folder: what it is, whether it is executable, and its bytes or their hash.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, String> {
    let walk = walkdir::WalkDir::new(root).min_depth(1).into_iter();
    let entries = walk.filter_entry(|entry| entry.depth() != 1 || entry.file_name() != ".swarm");
    let entries = entries.map(|entry| entry.expect("it can be read").into_path());
    let name = |path: &Path| path.strip_prefix(root).expect("it is below").to_string_lossy().into_owned();
    entries.map(|path| (name(&path), described(&path))).collect()
}

fn described(path: &Path) -> String {
    let metadata = path.symlink_metadata().expect("it is there");
    if metadata.is_dir() {
        return "folder".to_owned();
    }
    if metadata.is_symlink() {
        return format!("link to {}", fs::read_link(path).expect("a link").to_string_lossy());
    }
    let executable = if metadata.permissions().mode() & 0o100 == 0 { "" } else { "executable " };
    let bytes = fs::read(path).expect("it can be read");
    match String::from_utf8(bytes) {
        Ok(text) if text.len() < 100 => format!("{executable}{text:?}"),
        Ok(text) => format!("{executable}{}", blake3::hash(text.as_bytes())),
        Err(error) => format!("{executable}{}", blake3::hash(error.as_bytes())),
    }
}

/// A number in a JSON line.
pub(super) fn number(line: &serde_json::Value, field: &str) -> u64 {
    field
        .split('.')
        .fold(line, |value, part| &value[part])
        .as_u64()
        .unwrap_or_else(|| panic!("{field}: {line}"))
}
