//! What users do to a disk. An edit that does not fit what stands there does nothing, so a script of edits stays valid while it is
//! shortened.

use std::fmt;

use swarm_core::base::Rng;
use swarm_sync::TreePath;

use super::disk::{Author, Body, Bytes, Disk, Node, Slot};

/// One act of a user. A number stands for bytes that no other number gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Makes a file, or writes all of it anew in place.
    Write(TreePath, u32),
    /// Changes one of its lines in place.
    Line(TreePath, u8, u32),
    /// Adds a line in place.
    Append(TreePath, u32),
    /// Puts a new file in its place, as editors do.
    Replace(TreePath, u32),
    /// Changes a line in place and puts the time of change back to what it was.
    Sneak(TreePath, u32),
    /// Removes it with all below it.
    Remove(TreePath),
    /// Moves it; a file or link at the target is replaced.
    Rename(TreePath, TreePath),
    /// Swaps the names of two entries.
    Swap(TreePath, TreePath),
    /// Sets the executable bit of a file, or clears it.
    Executable(TreePath),
    /// Makes a symbolic link, or replaces a file or link with it.
    Link(TreePath, u32),
    /// Makes a folder.
    Folder(TreePath),
    /// Changes the time of change alone.
    Touch(TreePath),
    /// Takes away the right to read it.
    Lock(TreePath),
    /// Gives that right back.
    Unlock(TreePath),
    /// Makes a socket.
    Special(TreePath),
}

impl Edit {
    /// A word for the histogram.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Write(..) => "write",
            Self::Line(..) => "change a line",
            Self::Append(..) => "append",
            Self::Replace(..) => "replace by rename",
            Self::Sneak(..) => "change, time put back",
            Self::Remove(..) => "remove",
            Self::Rename(..) => "rename",
            Self::Swap(..) => "swap",
            Self::Executable(..) => "executable bit",
            Self::Link(..) => "symbolic link",
            Self::Folder(..) => "make a folder",
            Self::Touch(..) => "touch",
            Self::Lock(..) => "take rights away",
            Self::Unlock(..) => "give rights back",
            Self::Special(..) => "make a socket",
        }
    }

    /// Performs it as one change of the disk. Tells whether it did anything.
    pub(super) fn perform(&self, disk: &mut Disk, now_ns: i64) -> bool {
        if disk.away {
            return false;
        }
        disk.begin();
        match self {
            Self::Write(path, token) => write(disk, path, text(*token), now_ns),
            Self::Line(path, line, token) => {
                rewrite(disk, path, now_ns, false, |old| with_line(old, *line, *token))
            }
            Self::Append(path, token) => {
                rewrite(disk, path, now_ns, false, |old| [old, line_of(*token).as_bytes()].concat())
            }
            Self::Replace(path, token) => replace(disk, path, *token, now_ns),
            Self::Sneak(path, token) => rewrite(disk, path, now_ns, true, |old| with_line(old, 1, *token)),
            Self::Remove(path) => remove(disk, path),
            Self::Rename(from, to) => rename(disk, from, to, now_ns),
            Self::Swap(one, other) => swap(disk, one, other, now_ns),
            Self::Executable(path) => change(disk, path, now_ns, |node| {
                let Body::File { executable, .. } = &mut node.body else { return false };
                *executable = !*executable;
                true
            }),
            Self::Link(path, token) => make(disk, path, Body::Symlink(format!("to-{token}").into()), now_ns),
            Self::Folder(path) => disk.find(path).is_none() && make(disk, path, Body::Folder, now_ns),
            Self::Touch(path) => change(disk, path, now_ns, |node| {
                node.modified_ns = now_ns + 1;
                true
            }),
            Self::Lock(path) => change(disk, path, now_ns, |node| !std::mem::replace(&mut node.locked, true)),
            Self::Unlock(path) => {
                change(disk, path, now_ns, |node| std::mem::replace(&mut node.locked, false))
            }
            Self::Special(path) => disk.find(path).is_none() && make(disk, path, Body::Special, now_ns),
        }
    }
}

/// A new file of three lines, each of them unlike any other.
pub(super) fn text(token: u32) -> Vec<u8> {
    format!("{token:05}.1\n{token:05}.2\n{token:05}.3\n").into_bytes()
}

fn line_of(token: u32) -> String {
    format!("{token:05}.x\n")
}

fn with_line(old: &[u8], line: u8, token: u32) -> Vec<u8> {
    let lines = old.split_inclusive(|byte| *byte == b'\n').enumerate();
    let changed = line_of(token);
    lines
        .flat_map(|(at, old)| if at == usize::from(line) { changed.as_bytes() } else { old }.to_vec())
        .collect()
}

/// A new entry with nothing at its place, or a file or link there.
fn make(disk: &mut Disk, path: &TreePath, body: Body, now_ns: i64) -> bool {
    let at = match disk.find(path) {
        Some((_, node)) if node.is_folder() => return false,
        Some((at, _)) => Some(at.clone()),
        None => disk.place(path),
    };
    let Some(at) = at else { return false };
    // The old file is gone only after the new one has its number.
    let inode = disk.inode();
    disk.unlink(&at);
    disk.set(Slot::Live(at), Some(fresh(inode, body, now_ns)));
    true
}

fn fresh(inode: u64, body: Body, now_ns: i64) -> Node {
    Node {
        inode,
        body,
        modified_ns: now_ns,
        changed_ns: now_ns,
        locked: false,
        unsettled: Some(Author::User),
    }
}

fn file(bytes: Vec<u8>, executable: bool) -> Body {
    Body::File { bytes: Bytes::new(bytes), executable }
}

fn write(disk: &mut Disk, path: &TreePath, bytes: Vec<u8>, now_ns: i64) -> bool {
    if disk.find(path).is_some() {
        return rewrite(disk, path, now_ns, false, |_| bytes);
    }
    make(disk, path, file(bytes, false), now_ns)
}

fn replace(disk: &mut Disk, path: &TreePath, token: u32, now_ns: i64) -> bool {
    let Some((_, Node { body: Body::File { executable, .. }, .. })) = disk.find(path) else { return false };
    let executable = *executable;
    make(disk, path, file(text(token), executable), now_ns)
}

/// Other bytes for the same file.
fn rewrite(
    disk: &mut Disk,
    path: &TreePath,
    now_ns: i64,
    keeps_time: bool,
    rewritten: impl FnOnce(&[u8]) -> Vec<u8>,
) -> bool {
    change(disk, path, now_ns, |node| {
        let Body::File { bytes, .. } = &mut node.body else { return false };
        if node.locked {
            return false;
        }
        *bytes = Bytes::new(rewritten(bytes.as_slice()));
        node.unsettled = Some(Author::User);
        if !keeps_time {
            node.modified_ns = now_ns;
        }
        true
    })
}

/// Another state of the same entry.
fn change(disk: &mut Disk, path: &TreePath, now_ns: i64, changed: impl FnOnce(&mut Node) -> bool) -> bool {
    let Some((at, node)) = disk.find(path) else { return false };
    let (at, mut node) = (at.clone(), node.clone());
    if !changed(&mut node) {
        return false;
    }
    node.changed_ns = now_ns;
    disk.set(Slot::Live(at), Some(node));
    true
}

fn remove(disk: &mut Disk, path: &TreePath) -> bool {
    let Some(at) = disk.find(path).map(|(at, _)| at.clone()) else { return false };
    let gone: Vec<TreePath> = disk.live().keys().filter(|path| path.is_at_or_below(&at)).cloned().collect();
    gone.iter().rev().for_each(|path| disk.unlink(path));
    true
}

fn rename(disk: &mut Disk, from: &TreePath, to: &TreePath, now_ns: i64) -> bool {
    let Some(at) = disk.find(from).map(|(at, _)| at.clone()) else { return false };
    let Some(place) = disk.place(to) else { return false };
    if place.is_at_or_below(&at) {
        return false;
    }
    let target = disk.find(to).map(|(target, node)| (target.clone(), node.is_folder()));
    if let Some((target, is_folder)) = target
        && target != at
    {
        // A folder never goes over anything, and nothing goes over a folder.
        if is_folder || disk.find(&at).is_some_and(|(_, node)| node.is_folder()) {
            return false;
        }
        disk.unlink(&target);
    }
    disk.rename(&at, &place, now_ns);
    true
}

fn swap(disk: &mut Disk, one: &TreePath, other: &TreePath, now_ns: i64) -> bool {
    let at = |disk: &Disk, path| disk.find(path).map(|(at, _)| at.clone());
    let (Some(one), Some(other)) = (at(disk, one), at(disk, other)) else { return false };
    let Ok(aside) = TreePath::new("swapping") else { return false };
    if one.is_at_or_below(&other) || other.is_at_or_below(&one) || disk.find(&aside).is_some() {
        return false;
    }
    disk.rename(&one, &aside, now_ns);
    disk.rename(&other, &one, now_ns);
    disk.rename(&aside, &other, now_ns);
    true
}

/// A path from few: collisions are what worlds are for.
pub(super) fn any_path(rng: &mut Rng) -> TreePath {
    let names = [
        "a", "b", "A", "d", "e", "d/a", "d/b", "e/a", "d/e", "d/e/a", "e/d", "ig", "d/ig", "\u{e9}",
        "e\u{301}",
    ];
    // Names that trouble some disks are rarer.
    let at = if rng.below(4) == 0 {
        rng.below(names.len() as u64)
    } else {
        [0, 1, 3, 4, 5, 6, 7, 8, 9, 10][rng.below(10) as usize]
    };
    TreePath::new(names[at as usize]).unwrap_or_else(|fault| unreachable!("{fault}"))
}

/// An edit that fits what stands on the disk, most of the time. `token` was never used before.
pub(super) fn any_edit(rng: &mut Rng, disk: &Disk, token: u32) -> Edit {
    let there: Vec<&TreePath> = disk.live().keys().collect();
    let some = |rng: &mut Rng| match there.len() {
        0 => any_path(rng),
        len => there[rng.below(len as u64) as usize].clone(),
    };
    match rng.below(32) {
        0..=5 => Edit::Write(any_path(rng), token),
        6 => Edit::Lock(some(rng)),
        7..=9 => Edit::Line(some(rng), rng.below(3) as u8, token),
        10 => Edit::Append(some(rng), token),
        11..=12 => Edit::Replace(some(rng), token),
        13 => Edit::Sneak(some(rng), token),
        14..=17 => Edit::Remove(some(rng)),
        18..=22 => Edit::Rename(some(rng), any_path(rng)),
        23 => Edit::Swap(some(rng), some(rng)),
        24 => Edit::Executable(some(rng)),
        25 => Edit::Link(any_path(rng), token),
        26..=28 => Edit::Folder(any_path(rng)),
        29 => {
            if rng.below(3) == 0 {
                Edit::Touch(some(rng))
            } else {
                Edit::Executable(some(rng))
            }
        }
        30 => {
            if rng.below(2) == 0 {
                Edit::Lock(some(rng))
            } else {
                Edit::Special(any_path(rng))
            }
        }
        _ => Edit::Unlock(some(rng)),
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
